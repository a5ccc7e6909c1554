"""What an inspection finds in small folders, each made to show one thing."""

import csv
import io
import json
import shutil
import tarfile

import numpy as np
import pytest
from PIL import Image

from conftest import write_classes
from weighbridge.errors import DataError
from weighbridge.inspection import contact_sheet, inspect, text


@pytest.fixture
def look(tmp_path):
    """Inspect folders with an index of their own."""
    return lambda *paths, **options: inspect(paths, home=tmp_path / "cache", **options)


def scene(seed, size=(96, 96), noise=3.0):
    """Something like a photo: soft coloured shapes and a little noise."""
    random = np.random.default_rng(seed)
    coarse = random.integers(20, 236, (5, 5, 3)).astype(np.uint8)
    pixels = np.asarray(Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC), dtype=np.float64)
    return Image.fromarray((pixels + random.normal(0, noise, pixels.shape)).clip(0, 255).astype(np.uint8))


def flat_folder(folder, images, suffix=".png", **options):
    folder.mkdir(parents=True)
    for number, image in enumerate(images):
        image.save(folder / f"{number:03}{suffix}", **options)
    return folder


def class_folders(folder, classes, first=0):
    """{"bolt": 3}: three scenes in a folder bolt."""
    seeds = iter(range(first, first + 10_000))
    for name, count in classes.items():
        flat_folder(folder / name, [scene(next(seeds)) for _ in range(count)])
    return folder


def pair(found, first, second):
    return next(p for p in found.pairs if (p.first, p.second) == (first, second))


def told(found, *parts):
    """The warnings that say all of this."""
    return [sentence for sentence in found.warnings if all(part in sentence for part in parts)]


# ---- what is there ----


def test_classes_are_counted_and_a_flat_folder_has_none(renders, photos, look):
    source, target = look(renders, photos).domains
    assert source.classes == {"level": 12, "spot": 12, "upright": 12}
    assert (source.role, source.labelled, target.role, target.labelled) == ("source", True, "target", False)
    assert (target.classes, target.without_class) == ({}, 0)
    assert (source.formats, source.modes) == ({"PNG": 36}, {"L": 36})


def test_every_file_is_accounted_for(renders, photos, look):
    (renders / "spot" / "000.png").write_bytes(b"\x89PNG\r\n\x1a\n and then nothing")
    (renders / "notes.txt").write_text("from the studio")
    shutil.copy(renders / "level" / "001.png", renders / "level" / "001.jpg")
    source = look(renders, photos).domains[0]
    assert source.tally == {"used": 36, "quarantined": 1, "ignored": 1}
    assert sum(source.tally.values()) == sum(path.is_file() for path in renders.rglob("*"))
    rejected = {file: status for file, status, _ in source.rejected}
    assert rejected == {str(renders / "spot" / "000.png"): "quarantined", str(renders / "notes.txt"): "ignored"}
    assert all(reason for _, _, reason in source.rejected)
    assert source.remarks == {"wrong extension": 1}


def test_facts_are_plain_json(renders, photos, look):
    (photos / "empty.png").write_bytes(b"")
    found = look(renders, photos)
    facts = found.facts()
    assert json.loads(json.dumps(facts, allow_nan=False)) == facts
    assert facts["domains"][1]["rejected"] == [[str(photos / "empty.png"), "quarantined", "the file is empty"]]
    assert facts["domains"][0]["classes"] == {"level": 12, "spot": 12, "upright": 12}
    assert facts["warnings"] == found.warnings
    assert told(found, "1 of 31 images of 'photos' cannot be used", "the file is empty")


def test_nearly_empty_and_empty_classes(tmp_path, photos, look):
    folder = class_folders(tmp_path / "renders", {"bolt": 30, "gear": 30, "nut": 3, "pin": 2, "rod": 40})
    (folder / "saw").mkdir()
    found = look(folder, photos)
    source = found.domains[0]
    assert source.near_empty == {"pin": 2}  # the median class has 30: fewer than 3 are few
    assert source.empty_classes == ["saw"]
    assert told(found, "very few", "'pin' (2)")
    assert told(found, "without any file: 'saw'")


def test_one_image_is_always_too_few(tmp_path, photos, look):
    found = look(class_folders(tmp_path / "renders", {"bolt": 2, "nut": 1}), photos)
    assert found.domains[0].near_empty == {"nut": 1}


def test_class_names_that_do_not_match_come_with_the_nearest(tmp_path, look):
    renders = class_folders(tmp_path / "renders", {"hex_nut": 2, "bolt": 2, "gear": 2, "zebra": 2})
    photos = class_folders(tmp_path / "photos", {"Hex Nut": 2, "bolts": 2, "gear": 2}, first=100)
    found = look(renders, photos)
    assert pair(found, "renders", "photos").only_first == {"bolt": "bolts", "hex_nut": "Hex Nut", "zebra": ""}
    assert pair(found, "renders", "photos").only_second == {"Hex Nut": "hex_nut", "bolts": "bolt"}
    assert told(found, "'photos' has 2 classes that 'renders' does not have", "'Hex Nut' is nearest to 'hex_nut'")


def test_folders_of_a_target_that_are_no_classes_are_nesting(tmp_path, renders, look):
    photos = class_folders(tmp_path / "photos", {"2024-05": 2, "2024-06": 2})
    found = look(renders, photos)
    assert not found.domains[1].labelled
    assert pair(found, "renders", "photos").only_first == {}
    assert "Folders are taken as nesting" in found.domains[1].notes[0]
    assert told(look(renders, renders, photos), "No folder of 'photos' has the name of a class")


def test_images_outside_class_folders_are_counted(renders, photos, look):
    (renders / "spot" / "000.png").rename(renders / "stray.png")
    found = look(renders, photos)
    assert found.domains[0].without_class == 1
    assert sum(found.domains[0].classes.values()) == 35
    assert told(found, "1 image of 'renders' is in no class folder")


def test_splits_and_groups(tmp_path, photos, look):
    flat_folder(tmp_path / "a", [scene(k) for k in range(4)])
    shutil.copy(tmp_path / "a" / "000.png", tmp_path / "a" / "copy.png")
    with (tmp_path / "list.csv").open("w", newline="") as file:
        rows = [
            ("000", "x", "train", "g"),
            ("001", "y", "train", "g"),
            ("002", "x", "val", "h"),
            ("copy", "x", "val", "h"),
        ]
        csv.writer(file).writerows(
            [("file", "label", "split", "group"), *((f"a/{name}.png", *rest) for name, *rest in rows)]
        )
    found = look(tmp_path / "list.csv", photos)
    assert found.domains[0].splits == {"train": 2, "val": 2}
    assert found.domains[0].groups == 2
    assert pair(found, "list", "list").across_splits == 1
    assert told(found, "1 pair", "two splits")


def test_a_source_without_classes_and_a_folder_without_images(tmp_path, photos, look):
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "notes.txt").write_text("later")
    found = look(photos, tmp_path / "empty")
    assert found.warnings[0] == f"No image in '{tmp_path / 'empty'}' can be used. Give a folder with images"
    assert told(found, "is the source and has no classes")
    assert (found.domains[1].quantiles, found.domains[1].colour, found.domains[1].cues) == ({}, {}, {})
    assert "notes.txt" in json.dumps(found.facts())
    assert text(found)


def test_a_missing_folder_is_refused(renders, look):
    with pytest.raises(DataError, match="there is nothing at"):
        look(renders, renders / "gone")


def test_case_and_dashes_do_not_keep_names_apart(tmp_path, look):
    renders = class_folders(tmp_path / "renders", {"x_____y": 2, "gear": 2})
    photos = class_folders(tmp_path / "photos", {"X-Y": 2, "gear": 2}, first=100)
    assert pair(look(renders, photos), "renders", "photos").only_second == {"X-Y": "x_____y"}


# ---- sizes and colours ----


def test_sizes(tmp_path, renders, look):
    shapes = [(100, 100)] * 3 + [(200, 100)]
    target = look(renders, flat_folder(tmp_path / "photos", [scene(k, s) for k, s in enumerate(shapes)])).domains[1]
    assert target.quantiles["width"] == [100, 100, 100, 125, 200]
    assert target.quantiles["height"] == [100] * 5
    assert target.quantiles["aspect"] == [1, 1, 1, 1.25, 2]
    assert target.sizes == [(100, 100, 3), (200, 100, 1)]
    assert (target.cues["one_size"], target.cues["square"]) == (0.75, 0.75)


def test_colour_over_all_thumbnails(tmp_path, renders, look):
    plain = [Image.new("RGB", (16, 16), (0, 100, 10)), Image.new("RGB", (16, 16), (200, 100, 30))]
    colour = look(renders, flat_folder(tmp_path / "photos", plain)).domains[1].colour
    assert colour["red"] == (100, 100)
    assert colour["green"] == (100, 0)
    assert colour["blue"] == (20, 10)
    assert colour["brightness"] == pytest.approx((0.299 * 100 + 0.587 * 100 + 0.114 * 20, 0.299 * 100 + 1.14), abs=0.01)


def test_grey_images_are_told_by_their_pixels(tmp_path, renders, look):
    grey = [scene(k).convert("L").convert("RGB") for k in range(3)]
    nearly = Image.new("RGB", (16, 16), (100, 102, 101))
    tinted = Image.new("RGB", (16, 16), (100, 103, 100))
    photos = flat_folder(tmp_path / "photos", [*grey, nearly, tinted, scene(9), scene(10), scene(11)])
    assert look(renders, photos).domains[1].cues["grey"] == 0.5


# ---- what gives a domain away ----


def framed(image, sides):
    """A white line along the first of left, right, top, bottom."""
    pixels = np.array(image)
    for side in ((slice(None), 0), (slice(None), -1), 0, -1)[:sides]:
        pixels[side] = 255
    return Image.fromarray(pixels)


def test_uniform_borders_need_two_sides(tmp_path, renders, look):
    images = [framed(scene(k), sides) for k, sides in enumerate((0, 1, 2, 4))]
    assert look(renders, flat_folder(tmp_path / "photos", images)).domains[1].cues["bordered"] == 0.5


def test_a_border_that_only_renders_have_is_told(tmp_path, look):
    renders, photos = tmp_path / "renders", flat_folder(tmp_path / "photos", [scene(k + 50) for k in range(4)])
    for name in ("bolt", "nut"):
        flat_folder(renders / name, [framed(scene(len(name) + 10 * k), 4) for k in range(4)])
    found = look(renders, photos)
    assert told(found, "100 % of 'renders' have a uniform border, 0 % of 'photos'")
    assert not told(look(photos, photos), "uniform border")


def test_compression_leaves_a_grid_even_in_a_png(tmp_path, renders, look):
    images = [scene(k, (160, 120)) for k in range(6)]
    again = []
    for image in images:
        image.save(file := io.BytesIO(), "JPEG", quality=30)
        again.append(Image.open(file).convert("RGB"))
    clean, once = flat_folder(tmp_path / "clean", images), flat_folder(tmp_path / "once", again)
    found = look(renders, clean, once)
    assert found.domains[1].cues["grid"] == pytest.approx(1.0, abs=0.05)
    assert found.domains[2].cues["grid"] > 1.3
    assert "quality" not in found.domains[2].cues
    assert told(found, "'once' does not look like 'clean' (8 x 8 grid)")


def test_jpeg_and_its_quality(tmp_path, renders, look):
    fine = flat_folder(tmp_path / "fine", [scene(k) for k in range(3)], ".jpg", quality=95)
    coarse = flat_folder(tmp_path / "coarse", [scene(k + 9) for k in range(3)], ".jpg", quality=30)
    found = look(renders, fine, coarse)
    assert [domain.cues["jpeg"] for domain in found.domains] == [0, 1, 1]
    assert found.domains[2].cues["quality"] > 5 * found.domains[1].cues["quality"]
    assert told(found, "0 % of 'renders' are JPEG files, 100 % of 'fine'")
    assert told(found, "'coarse' does not look like 'fine'", "JPEG quantisation")


def test_noise_is_measured_in_levels(tmp_path, renders, look):
    noisy = [
        Image.fromarray(np.random.default_rng(k).normal(128, 10, (64, 64)).clip(0, 255).astype(np.uint8))
        for k in (0, 1)
    ]
    found = look(
        renders, flat_folder(tmp_path / "noisy", noisy), flat_folder(tmp_path / "plain", [Image.new("L", (64, 64))])
    )
    assert found.domains[1].cues["noise"] == pytest.approx(10, rel=0.1)
    assert found.domains[2].cues["noise"] == 0


def test_resolution_that_gives_the_domain_away(tmp_path, look):
    renders = class_folders(tmp_path / "renders", {"bolt": 2, "nut": 2})  # 96 x 96
    small = flat_folder(tmp_path / "small", [scene(k, (32, 32)) for k in range(20, 23)])
    found = look(renders, small)
    assert told(found, "'renders' is 96 x 96 (all), 'small' is 32 x 32 (all). Resolution tells the domains apart")
    same = flat_folder(tmp_path / "same", [scene(k) for k in range(20, 23)])
    assert not told(look(renders, same), "Resolution")
    other = flat_folder(tmp_path / "other", [scene(k, (100, 96)) for k in range(20, 23)])
    assert told(look(renders, other), "Resolution")


def test_transparency(tmp_path, look):
    renders, photos = tmp_path / "renders", flat_folder(tmp_path / "photos", [scene(30)])
    for name in ("bolt", "nut"):
        flat_folder(renders / name, [scene(len(name)).convert("RGBA")])
    found = look(renders, photos)
    assert [domain.cues["alpha"] for domain in found.domains] == [1, 0]
    assert told(found, "100 % of 'renders' have an alpha channel")


def test_exif(tmp_path, renders, look):
    exif = Image.Exif()
    exif[0x010F] = "a camera"
    photos = flat_folder(tmp_path / "photos", [scene(1)], ".jpg", exif=exif)
    scene(2).save(photos / "bare.jpg")
    assert [domain.cues["exif"] for domain in look(renders, photos).domains] == [0, 0.5]


def test_the_sample_is_seeded_and_no_larger_than_asked(tmp_path, renders, look):
    photos = flat_folder(tmp_path / "photos", [scene(k, noise=k) for k in range(12)])
    one, again, other = (look(renders, photos, sample=5, seed=seed).domains[1] for seed in (0, 0, 1))
    assert one.sampled == 5
    assert one == again
    assert one.cues["noise"] != other.cues["noise"]


# ---- what is there twice ----


def test_exact_duplicates_inside_and_across(tmp_path, look):
    renders = class_folders(tmp_path / "renders", {"bolt": 4, "nut": 4})
    for copy in ("x.png", "y.png"):
        shutil.copy(renders / "bolt" / "000.png", renders / "bolt" / copy)
    photos = flat_folder(tmp_path / "photos", [scene(k) for k in range(50, 56)])
    test = flat_folder(tmp_path / "test", [scene(k) for k in range(70, 73)])
    for name in ("000.png", "001.png"):
        shutil.copy(photos / name, test / f"copy-{name}")
    found = look(renders, photos, test)
    inside = pair(found, "renders", "renders")
    assert (inside.exact_files, inside.exact_groups, inside.shared) == ((3, 3), 1, 3)
    assert inside.exact == [
        (str(renders / "bolt" / "000.png"), str(renders / "bolt" / name)) for name in ("x.png", "y.png")
    ]
    assert inside.conflicts == 0
    across = pair(found, "photos", "test")
    assert (across.exact_files, across.exact_groups, across.shared) == ((2, 2), 2, 2)
    assert across.exact[0] == (str(photos / "000.png"), str(test / "copy-000.png"))
    assert pair(found, "renders", "photos").exact_files == (0, 0)
    assert found.warnings[0] == (
        "2 images of 'test' are also in 'photos' (2 identical). Accuracy on them is meaningless. "
        "Remove them from one of the two"
    )
    assert told(found, "3 images of 'renders' are exact or near duplicates")


def test_an_evaluation_leak_comes_before_a_leak_into_the_target(tmp_path, look):
    renders = class_folders(tmp_path / "renders", {"bolt": 4, "nut": 4})
    photos = flat_folder(tmp_path / "photos", [scene(0), scene(60)])
    test = flat_folder(tmp_path / "test", [scene(60), scene(61)])
    first, second, *_ = look(renders, photos, test).warnings
    assert first.startswith("1 image of 'test' is also in 'photos'")
    assert second.startswith("1 image of 'photos' is also in 'renders'")
    assert "Accuracy on them is meaningless" not in second


def test_one_image_under_two_labels(tmp_path, photos, look):
    renders = class_folders(tmp_path / "renders", {"bolt": 3, "nut": 3})
    shutil.copy(renders / "bolt" / "001.png", renders / "nut" / "same.png")
    found = look(renders, photos)
    inside = pair(found, "renders", "renders")
    assert inside.conflicts == 1
    assert inside.conflicting == [(str(renders / "bolt" / "001.png"), "bolt", str(renders / "nut" / "same.png"), "nut")]
    assert told(found, "1 image in 'renders' is filed under two classes")


def test_near_duplicates_are_found_and_other_pictures_are_not(tmp_path, look):
    renders = class_folders(tmp_path / "renders", {"bolt": 20, "nut": 20})
    photos = flat_folder(tmp_path / "photos", [scene(k, (200, 160)) for k in range(100, 130)])
    test = tmp_path / "test"
    test.mkdir()
    scene(100, (200, 160)).save(test / "again.jpg", quality=60)
    scene(101, (200, 160)).resize((190, 152)).save(test / "smaller.png")
    scene(999, (200, 160)).save(test / "other.png")
    found = look(renders, photos, test)
    leak = pair(found, "photos", "test")
    assert leak.near == [
        (str(photos / "000.png"), str(test / "again.jpg")),
        (str(photos / "001.png"), str(test / "smaller.png")),
    ]
    assert (leak.near_files, leak.near_pairs, leak.exact_files, leak.shared) == ((2, 2), 2, (0, 0), 2)
    assert sum(p.near_pairs for p in found.pairs) == 2
    assert found.warnings[0].startswith(
        "2 images of 'test' are also in 'photos' (2 nearly identical). Accuracy on them is meaningless. "
    )


def test_the_same_shapes_in_other_colours_are_no_duplicates(tmp_path, renders, look):
    grey = np.asarray(scene(1).convert("L"))[..., None]
    red, blue = ((grey * tint).astype(np.uint8) for tint in ((1.0, 0.7, 0.4), (0.7, 0.75, 1.0)))
    found = look(renders, flat_folder(tmp_path / "photos", [Image.fromarray(red), Image.fromarray(blue)]))
    assert pair(found, "photos", "photos").near_pairs == 0


def test_flat_images_are_counted_and_not_paired(tmp_path, renders, look):
    images = [Image.new("RGB", (40 + k, 40), (120, 120, 120 + k % 3)) for k in range(8)]
    found = look(renders, flat_folder(tmp_path / "photos", images))
    assert found.domains[1].structureless == 8
    assert pair(found, "photos", "photos").near_pairs == 0


def test_a_set_of_look_alikes_too_large_is_cut_and_said(tmp_path, renders, look, monkeypatch):
    monkeypatch.setattr("weighbridge.data.duplicates._BUCKET", 3)
    photos = flat_folder(tmp_path / "photos", [scene(1, (96 + k, 96), noise=0.0) for k in range(7)])
    found = look(renders, photos)
    assert found.cut > 0
    assert "were too large to be searched for near duplicates in full" in " ".join(text(found).split())
    assert 7 <= pair(found, "photos", "photos").near_pairs < 21
    monkeypatch.undo()
    assert pair(look(renders, photos), "photos", "photos").near_pairs == 21


# ---- archives and arrays ----


def test_images_in_an_archive_are_decoded_too(tmp_path, renders, look):
    photos = flat_folder(tmp_path / "loose", [framed(scene(0), 4), scene(1)])
    with tarfile.open(tmp_path / "photos.tar", "w") as archive:
        for path in sorted(photos.iterdir()):
            archive.add(path, path.name)
    found = look(renders, tmp_path / "photos.tar", photos)
    assert found.domains[1].sampled == 2
    assert found.domains[1].cues == found.domains[2].cues
    assert pair(found, "photos", "loose").exact[0] == (f"{tmp_path / 'photos.tar'}#000.png", str(photos / "000.png"))
    assert contact_sheet(found, tmp_path / "sheet.png", per_class=1) == 3 + 2 + 2


def test_an_array_is_inspected_as_an_index_is(tmp_path, renders, look):
    pixels = np.random.default_rng(0).integers(0, 256, (6, 20, 30, 3), dtype=np.uint8)
    pixels[5] = pixels[0]
    labels = np.array([2, 0, 2, 2, 0, 0])
    np.savez(tmp_path / "a.npz", x=pixels, y=labels, classes=np.array(["level", "spot", "upright"]))
    found = look(renders, tmp_path / "a.npz")
    target = found.domains[1]
    assert (target.kind, target.tally["used"], target.classes) == ("npz", 6, {"level": 3, "upright": 3})
    assert target.sizes == [(30, 20, 6)]
    assert target.colour["red"][0] == pytest.approx(pixels[..., 0].mean(), abs=8)
    inside = pair(found, "a", "a")
    assert inside.exact == [(f"{tmp_path / 'a.npz'}#0", f"{tmp_path / 'a.npz'}#5")]
    assert inside.conflicts == 1
    assert (target.notes, target.groups, target.structureless) == ([], 0, 0)


def test_groups_and_near_duplicates_in_an_array(tmp_path, renders, look):
    pictures = [scene(1), scene(1, noise=1.0), scene(2), Image.new("RGB", (96, 96))]
    np.savez(tmp_path / "a.npz", x=np.stack([np.asarray(p) for p in pictures]), group=np.array(["p", "p", "q", ""]))
    photos = flat_folder(tmp_path / "photos", [scene(2)])
    found = look(renders, photos, tmp_path / "a.npz")
    assert (found.domains[2].groups, found.domains[2].structureless) == (2, 1)
    assert pair(found, "a", "a").near == [(f"{tmp_path / 'a.npz'}#0", f"{tmp_path / 'a.npz'}#1")]
    assert pair(found, "photos", "a").near == [(str(photos / "000.png"), f"{tmp_path / 'a.npz'}#2")]


def test_an_array_that_is_none(tmp_path, renders, look):
    np.savez(tmp_path / "a.npz", x=np.zeros((2, 4, 4)))
    with pytest.raises(DataError, match=r"expected x in .* got float64 of shape \(2, 4, 4\)"):
        look(renders, tmp_path / "a.npz")


# ---- what people see ----


def test_the_text_fits_a_terminal_and_says_everything(tmp_path, look):
    long = "a_very_long_class_name_that_no_terminal_of_eighty_columns_could_ever_show_in_full_width"
    renders = class_folders(tmp_path / "renders", {long: 2, **{f"class {k:02}": 3 for k in range(40)}})
    photos = flat_folder(tmp_path / "photos", [scene(0), *(scene(k) for k in range(500, 505))])
    (photos / "bad\n\udcff.png").write_bytes(b"")
    found = look(renders, photos, photos, renders)
    shown = text(found)
    assert max(map(len, shown.splitlines())) <= 80
    assert shown.isascii() or shown.encode()
    assert "and 17 more" in shown
    assert "bad\\x0a\\xff.png" in shown
    flat = " ".join(shown.split())
    assert all(" ".join(sentence.split("/")[0].split()) in flat for sentence in found.warnings)


def test_two_domains_stand_side_by_side(renders, photos, look):
    lines = text(look(renders, photos)).splitlines()
    assert lines[0].split() == ["renders", "photos"]
    assert next(line for line in lines if line.startswith("images")).split() == ["images", "36", "30"]


def test_nothing_is_warned_of_where_nothing_is_wrong(tmp_path, look):
    renders = class_folders(tmp_path / "renders", {"bolt": 6, "nut": 6})
    photos = class_folders(tmp_path / "photos", {"bolt": 6, "nut": 6}, first=100)
    found = look(renders, photos)
    assert found.warnings == []
    assert text(found).endswith("Nothing stands out.\n")


RED, BLUE, GREEN = (250, 0, 0), (0, 0, 250), (0, 250, 0)


def coloured(folder, name, colour, count):
    flat_folder(folder / name, [Image.new("RGB", (30 + k, 30 + k), colour) for k in range(count)])


def pictures_of(sheet, colour):
    return int((np.asarray(Image.open(sheet).convert("RGB")) == colour).all(axis=2).sum()) / 64**2


def test_the_contact_sheet_shows_so_many_of_each(tmp_path, look):
    coloured(tmp_path / "renders", "bolt", RED, 9)
    coloured(tmp_path / "renders", "nut", BLUE, 2)
    coloured(tmp_path, "photos", GREEN, 20)
    found = look(tmp_path / "renders", tmp_path / "photos")
    assert contact_sheet(found, tmp_path / "sheet.png", per_class=4) == 4 + 2 + 8
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert (sheet.format, sheet.size) == ("PNG", (112 + 2 * (4 * 68 + 8), 20 + 2 * 68))
    assert [pictures_of(tmp_path / "sheet.png", colour) for colour in (RED, BLUE, GREEN)] == [4, 2, 8]


def test_the_contact_sheet_leaves_out_rare_classes_and_says_so(tmp_path, look):
    for k in range(26):
        coloured(tmp_path / "renders", f"{k:02}", RED if k < 24 else BLUE, 3 if k < 24 else 2)
    found = look(tmp_path / "renders")
    assert contact_sheet(found, tmp_path / "sheet.png", per_class=2) == 48
    assert pictures_of(tmp_path / "sheet.png", BLUE) == 0
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.size == (112 + 2 * 68 + 8, 20 + 24 * 68 + 20)
        footer = np.asarray(sheet.convert("L"))[-20:]
    assert footer.min() < 150  # words


def test_the_contact_sheet_is_seeded(tmp_path, look):
    renders = class_folders(tmp_path / "renders", {f"{k}": 9 for k in range(12)})
    found = look(renders, write_classes(tmp_path / "photos"))
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        contact_sheet(found, tmp_path / f"{name}.png", seed=seed)
    a, b, c = ((tmp_path / f"{name}.png").read_bytes() for name in "abc")
    assert a == b != c
