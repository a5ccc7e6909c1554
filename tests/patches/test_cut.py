"""Patches lie where they should, show what they say, and come with the label of what they show."""

import csv
import json
import shutil
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from weighbridge.data.decode import open_full
from weighbridge.errors import ConfigError, DataError
from weighbridge.patches import cut as cutting
from weighbridge.patches.cut import Skipped, cut, grid, load_upright, random_boxes


def numbered(width, height):
    """Every pixel says where it is: red is its column, green its row."""
    down, across = np.mgrid[:height, :width]
    return Image.fromarray(np.stack([across, down, np.zeros_like(down)], axis=2).astype(np.uint8))


def save(path, width=8, height=8):
    path.parent.mkdir(parents=True, exist_ok=True)
    numbered(width, height).save(path)
    return path


def save_mask(path, ids, mode="L"):
    path.parent.mkdir(parents=True, exist_ok=True)
    mask = Image.fromarray(np.array(ids, dtype=np.uint8))
    if mode == "P":
        mask.putpalette([200, 10, 10, 10, 200, 10, 10, 10, 200])
    mask.save(path)


def table(out, name="patches.csv"):
    with (out / name).open(newline="", encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


def labels(out):
    """{(group, left, top): label}"""
    return {(row["group"], int(row["left"]), int(row["top"])): row["label"] for row in table(out)}


def contents(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def refused(*arguments, error=DataError, **options):
    with pytest.raises(error) as caught:
        cut(*arguments, **options)
    return str(caught.value)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "images"


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


# ---- places ----


def test_a_grid_without_overlap():
    assert grid(4, 6, 2, 2) == [(0, 0), (2, 0), (0, 2), (2, 2), (0, 4), (2, 4)]


def test_the_last_row_and_column_are_shifted_inwards():
    assert grid(7, 5, 3, 2) == [(0, 0), (2, 0), (4, 0), (0, 2), (2, 2), (4, 2)]
    assert grid(8, 3, 3, 3) == [(0, 0), (3, 0), (5, 0)]


def test_an_image_of_the_size_of_a_patch_is_one_patch():
    assert grid(3, 3, 3, 1) == [(0, 0)]


@pytest.mark.parametrize(("width", "height"), [(2, 9), (9, 2), (2, 2)])
def test_an_image_too_small_in_one_direction_has_no_place(width, height):
    assert grid(width, height, 3, 3) == []
    assert random_boxes(width, height, 3, 4, np.random.default_rng(0)) == []


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 40), st.data())
def test_a_grid_covers_every_pixel_and_stays_inside(width, height, size, data):
    stride = data.draw(st.integers(1, size))
    seen = np.zeros((height, width), dtype=bool)
    boxes = grid(width, height, size, stride)
    for left, top in boxes:
        assert left >= 0
        assert top >= 0
        assert left + size <= width
        assert top + size <= height
        seen[top : top + size, left : left + size] = True
    assert len(set(boxes)) == len(boxes)
    assert seen.all() == (min(width, height) >= size)


@given(st.integers(1, 20), st.integers(1, 20), st.integers(1, 12), st.integers(1, 30))
def test_random_boxes_stay_inside_and_differ(width, height, size, count):
    boxes = random_boxes(width, height, size, count, np.random.default_rng(0))
    places = max(width - size + 1, 0) * max(height - size + 1, 0)
    assert len(boxes) == len(set(boxes)) == min(count, places)
    assert all(0 <= left <= width - size and 0 <= top <= height - size for left, top in boxes)


def test_random_boxes_reach_every_place():
    assert random_boxes(4, 3, 2, 6, np.random.default_rng(0)) == [(0, 0), (1, 0), (2, 0), (0, 1), (1, 1), (2, 1)]
    drawn = {random_boxes(4, 3, 2, 1, np.random.default_rng(seed))[0] for seed in range(100)}
    assert len(drawn) == 6


@pytest.mark.parametrize(("size", "stride", "name"), [(0, 1, "size"), (1, 0, "stride")])
def test_a_grid_of_nothing_is_refused(size, stride, name):
    with pytest.raises(ConfigError, match=f"{name} must be at least 1, got 0"):
        grid(4, 4, size, stride)


# ---- what is written ----


def test_an_unlabelled_folder_is_cut_flat(folder, out):
    save(folder / "a.png", 5, 4)
    summary = cut(folder, out, size=2)
    places = ("0_0", "0_2", "2_0", "2_2", "3_0", "3_2")
    assert sorted(contents(out)) == [*(f"a__{place}.png" for place in places), "patches.csv"]
    with Image.open(out / "a__3_2.png") as patch:
        assert np.array_equal(patch, np.asarray(numbered(5, 4))[2:4, 3:5])
    assert (summary.images, summary.patches, summary.per_class, summary.dropped) == (1, 6, {}, 0)
    assert summary.skipped == ()
    first = {"file": "a__0_0.png", "label": "", "group": "a.png", "image": str(folder / "a.png")}
    assert table(out)[0] == first | {"left": "0", "top": "0"}


def test_folders_with_images_are_classes(folder, out):
    save(folder / "bolt" / "1.png", 4, 2)
    save(folder / "nut" / "deep" / "1.png", 2, 2)
    summary = cut(folder, out, size=2)
    assert sorted(contents(out)) == ["bolt/1__0_0.png", "bolt/1__2_0.png", "nut/1__0_0.png", "patches.csv"]
    assert summary.per_class == {"bolt": 2, "nut": 1}
    assert labels(out) == {
        ("bolt/1.png", 0, 0): "bolt",
        ("bolt/1.png", 2, 0): "bolt",
        ("nut/deep/1.png", 0, 0): "nut",
    }


def test_patches_of_one_image_are_one_group(folder, out):
    for name in ("x/1.png", "x/2.png", "y/1.png"):
        save(folder / name, 4, 4)
    cut(folder, out, size=2)
    groups = [row["group"] for row in table(out)]
    assert groups == ["x/1.png"] * 4 + ["x/2.png"] * 4 + ["y/1.png"] * 4
    assert [row["file"].split("__")[0] for row in table(out)] == ["x/1"] * 4 + ["x/2"] * 4 + ["y/1"] * 4


def test_folders_are_not_classes_if_so_said(folder, out):
    save(folder / "2024" / "a.png", 2, 2)
    save(folder / "2025" / "b.png", 2, 2)
    summary = cut(folder, out, size=2, labelled=False)
    assert sorted(contents(out)) == ["a__0_0.png", "b__0_0.png", "patches.csv"]
    assert summary.per_class == {}


def test_stems_that_meet_get_a_hash_of_their_path_and_others_do_not(folder, out):
    for name in ("2024/a.png", "2025/a.png", "2025/b.png"):
        save(folder / name, 2, 2)
    cut(folder, out, size=2, labelled=False)
    files = {row["group"]: row["file"] for row in table(out)}
    assert files["2025/b.png"] == "b__0_0.png"
    assert files["2024/a.png"] != files["2025/a.png"]
    assert files["2024/a.png"].startswith("a-")
    assert all((out / file).is_file() for file in files.values())
    shutil.rmtree(folder / "2025")
    save(folder / "1999" / "a.png", 2, 2)
    cut(folder, out.with_name("again"), size=2, labelled=False)
    assert files["2024/a.png"] in [row["file"] for row in table(out.with_name("again"))]


def test_files_of_one_stem_in_one_class_do_not_overwrite_each_other(folder, out):
    save(folder / "bolt" / "a.png", 2, 2)
    save(folder / "bolt" / "a.bmp", 2, 2)
    save(folder / "bolt" / "b.png", 2, 2)
    save(folder / "bolt" / "B.tif", 2, 2)
    assert cut(folder, out, size=2).patches == 4
    assert len({path.name.lower() for path in (out / "bolt").iterdir()}) == 4  # on any file system


def test_somebody_s_mess_is_passed_over(folder, out):
    save(folder / "a.png", 2, 2)
    save(folder / ".thumbs" / "b.png", 2, 2)
    (folder / "._a.png").write_bytes(b"\0")
    (folder / "notes.txt").write_text("from the phone")
    numbered(2, 2).save(folder / "without_suffix", format="PNG")
    (folder / "round").symlink_to(folder)
    summary = cut(folder, out, size=2)
    assert (summary.images, summary.skipped) == (2, ())


def test_an_image_turned_by_exif_is_cut_upright(folder, out):
    folder.mkdir()
    exif = Image.Exif()
    exif[0x0112] = 6
    numbered(6, 3).transpose(Image.Transpose.ROTATE_90).save(folder / "a.png", exif=exif)
    assert load_upright(folder / "a.png").size == (6, 3)
    cut(folder, out, size=3)
    assert [(row["left"], row["top"]) for row in table(out)] == [("0", "0"), ("3", "0")]
    patch = open_full(out / "a__3_0.png")  # as training will: nothing turns it once more
    assert np.array_equal(patch, np.asarray(numbered(6, 3))[:, 3:6])


def test_sixteen_bits_and_transparency_come_out_right(folder, out):
    folder.mkdir()
    Image.fromarray(np.full((2, 2), 32_896, dtype=np.uint16)).save(folder / "deep.png")
    Image.new("RGBA", (2, 2), (0, 0, 0, 0)).save(folder / "clear.png")
    cut(folder, out, size=2)
    assert open_full(out / "deep__0_0.png").getpixel((0, 0)) == (128, 128, 128)
    assert open_full(out / "clear__0_0.png").getpixel((0, 0)) == (255, 255, 255)


def test_a_patch_is_pixels_and_nothing_else(folder, out):
    folder.mkdir()
    numbered(2, 2).save(folder / "a.png", icc_profile=b"profile" * 100)
    cut(folder, out, size=2)
    with Image.open(out / "a__0_0.png") as patch:
        assert patch.info == {}


# ---- labels by mask ----


@pytest.fixture
def classes(tmp_path):
    path = tmp_path / "classes.csv"
    path.write_text("id,name\n1,bolt\n2,nut\n")
    return path


@pytest.mark.parametrize(("pixels", "label"), [(7, None), (8, "bolt"), (16, "bolt")])
def test_a_class_must_cover_half_of_a_patch(folder, out, tmp_path, classes, pixels, label):
    save(folder / "a.png", 8, 4)
    ids = np.full((4, 8), 2)  # the right patch is all nut
    ids[:, :4] = np.where(np.arange(16).reshape(4, 4) < pixels, 1, 0)
    save_mask(tmp_path / "masks" / "a.tif", ids)
    summary = cut(folder, out, size=4, masks=tmp_path / "masks", mask_classes=classes)
    expected = {("a.png", 0, 0): label, ("a.png", 4, 0): "nut"}
    assert labels(out) == {place: name for place, name in expected.items() if name}
    assert summary.dropped == (label is None)
    assert summary.per_class == {"nut": 1} | ({"bolt": 1} if label else {})


def test_of_two_classes_the_larger_names_the_patch_and_background_none(folder, out, tmp_path, classes):
    save(folder / "a.png", 6, 3)
    left, right = [[0, 0, 9], [9, 1, 2], [2, 2, 0]], [[1, 2, 1], [2, 1, 2], [1, 2, 9]]  # 1 : 3 and 4 : 4
    save_mask(tmp_path / "masks" / "a.png", np.concatenate([left, right], axis=1))
    cut(folder, out, size=3, masks=tmp_path / "masks", mask_classes=classes, coverage=0.3)
    assert labels(out) == {("a.png", 0, 0): "nut", ("a.png", 3, 0): "bolt"}


def test_ids_of_one_name_cover_together(folder, out, tmp_path):
    save(folder / "a.png", 2, 2)
    save_mask(tmp_path / "masks" / "a.png", [[1, 2], [0, 0]])
    (tmp_path / "classes.json").write_text('{"1": "nut", "2": "nut"}')
    cut(folder, out, size=2, masks=tmp_path / "masks", mask_classes=tmp_path / "classes.json")
    assert labels(out) == {("a.png", 0, 0): "nut"}


@pytest.mark.parametrize("mode", ["L", "P"])
@pytest.mark.parametrize(
    ("name", "text"),
    [("c.csv", "1,bolt\n2,nut\n"), ("c.json", '{"1": "bolt", "2": "nut"}'), ("c.toml", '1 = "bolt"\n2 = "nut"\n')],
)
def test_names_come_from_csv_json_or_toml_and_ids_from_grey_or_palette(folder, out, tmp_path, name, text, mode):
    save(folder / "a" / "b.png", 2, 2)
    save_mask(tmp_path / "masks" / "a" / "b.png", [[2, 2], [2, 1]], mode)
    (tmp_path / name).write_text(text)
    cut(folder, out, size=2, masks=tmp_path / "masks", mask_classes=tmp_path / name)
    assert labels(out) == {("a/b.png", 0, 0): "nut"}


def test_masks_below_the_images_are_not_images(folder, out, classes):
    save(folder / "a.png", 2, 2)
    save_mask(folder / "masks" / "a.png", [[1, 1], [1, 1]])
    summary = cut(folder, out, size=2, masks=folder / "masks", mask_classes=classes)
    assert (summary.images, summary.skipped) == (1, ())


def test_masks_that_do_not_fit_are_skipped_with_the_reason(folder, out, tmp_path, classes):
    for name in ("good", "none", "two", "large", "colour", "blurred"):
        save(folder / f"{name}.png", 2, 2)
    masks = tmp_path / "masks"
    save_mask(masks / "good.png", [[1, 1], [1, 1]])
    save_mask(masks / "two.png", [[1, 1], [1, 1]])
    save_mask(masks / "two.bmp", [[1, 1], [1, 1]])
    save_mask(masks / "large.png", [[1, 1, 1], [1, 1, 1]])
    save(masks / "colour.png", 2, 2)
    save(masks / "blurred.jpg", 2, 2)
    summary = cut(folder, out, size=2, masks=masks, mask_classes=classes)
    formats = "PNG, TIFF, BMP, GIF, PPM, which keep class ids"
    assert summary.skipped == (
        Skipped("blurred.png", f"the mask '{masks / 'blurred.jpg'}' is none of {formats}"),
        Skipped("colour.png", f"the mask '{masks / 'colour.png'}' has mode RGB, expected class ids in grey or palette"),
        Skipped("large.png", f"the mask '{masks / 'large.png'}' has 3 x 2 pixels, but the upright image has 2 x 2"),
        Skipped("none.png", f"expected one mask 'none.*' in '{masks}', found none"),
        Skipped("two.png", f"expected one mask 'two.*' in '{masks}', found 2"),
    )
    assert summary.per_class == {"bolt": 1}


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("c.csv", "1,bolt\n1,nut\n", "an id is listed twice"),
        ("c.csv", "id,name\n", "it lists none"),
        ("c.yaml", "1: bolt", "its suffix is '.yaml', not .toml, .json or .csv"),
        ("c.json", "[1]", "'list' object has no attribute 'items'"),
    ],
)
def test_mask_classes_that_say_nothing_are_refused(folder, out, tmp_path, name, text, reason):
    save(folder / "a.png")
    (tmp_path / name).write_text(text)
    message = refused(folder, out, size=2, masks=folder, mask_classes=tmp_path / name)
    expected = f"expected class ids and their names in '{tmp_path / name}', such as 1,bolt in a CSV"
    assert message == f"{expected}: {reason}"


def test_a_class_that_cannot_be_a_folder_is_refused(folder, out, tmp_path):
    save(folder / "a.png")
    path = tmp_path / "c.csv"
    path.write_text("1,nuts/bolts\n")
    assert refused(folder, out, size=2, masks=folder, mask_classes=path) == (
        f"expected class names that can be folder names in '{path}', got 'nuts/bolts'. Rename it there"
    )


# ---- labels by COCO boxes ----


def write_coco(path, boxes, *, file="a.png", **image):
    """boxes: (category, [x, y, w, h])"""
    facts = {
        "images": [{"id": 7, "file_name": file} | image],
        "categories": [{"id": 3, "name": "bolt"}, {"id": 5, "name": "nut"}],
        "annotations": [{"image_id": 7, "category_id": number, "bbox": box} for number, box in boxes],
    }
    path.write_text(json.dumps(facts))
    return path


@pytest.mark.parametrize(("x", "label"), [(2, "bolt"), (2.1, None), (-1, None)])
def test_a_patch_must_show_half_of_a_box(folder, out, tmp_path, x, label):
    save(folder / "a.png", 8, 4)  # patches at 0 and 4; a box of 4 x 2 from 2 on lies half in each
    coco = write_coco(tmp_path / "c.json", [(3, [x, 1, 4, 2]), (5, [4, 0, 4, 4])])
    summary = cut(folder, out, size=4, coco=coco, coverage=0.5 if x > 0 else 0.76)
    expected = {("a.png", 0, 0): label, ("a.png", 4, 0): "nut"}
    assert labels(out) == {place: name for place, name in expected.items() if name}
    assert summary.dropped == (label is None)


@pytest.mark.parametrize("turned", [False, True])
def test_of_boxes_shown_well_enough_the_larger_visible_area_wins(folder, out, tmp_path, turned):
    save(folder / "a.png", 4, 4)
    # The bolt shows 2 of 2 pixels, the nut 6 of 12: both pass at a half, the nut is larger. At 0.6 the nut fails.
    boxes = [(3, [0, 0, 2, 1]), (5, [2, 1, 4, 3])]
    coco = write_coco(tmp_path / "c.json", boxes[::-1] if turned else boxes)
    cut(folder, out, size=4, coco=coco)
    assert labels(out) == {("a.png", 0, 0): "nut"}
    cut(folder, out.with_name("strict"), size=4, coco=coco, coverage=0.6)
    assert labels(out.with_name("strict")) == {("a.png", 0, 0): "bolt"}


def test_a_box_beside_the_patch_in_both_directions_is_not_in_it(folder, out, tmp_path):
    save(folder / "a.png", 8, 8)
    coco = write_coco(tmp_path / "c.json", [(3, [5, 5, 2, 2])])
    summary = cut(folder, out, size=4, coco=coco, coverage=0.1)
    assert labels(out) == {("a.png", 4, 4): "bolt"}
    assert summary.dropped == 3


def test_images_the_coco_file_does_not_know_or_knows_otherwise_are_skipped(folder, out, tmp_path):
    for name in ("a.png", "b.png"):
        save(folder / name, 4, 2)
    coco = write_coco(tmp_path / "c.json", [(3, [0, 0, 2, 2])], width=4, height=2)
    assert cut(folder, out, size=2, coco=coco).skipped == (
        Skipped("b.png", f"no image in '{coco}' has this path as its file_name"),
    )
    coco = write_coco(tmp_path / "c.json", [(3, [0, 0, 2, 2])], width=2, height=4)  # as it lay before EXIF turned it
    assert f"('{coco}' says 2 x 4 pixels, but the upright image has 4 x 2)" in refused(
        folder, out.with_name("turned"), size=2, coco=coco
    )


@pytest.mark.parametrize(
    ("boxes", "reason"),
    [([(4, [0, 0, 1, 1])], "4 is missing"), ([(3, [0, 0, 1])], "not enough values to unpack (expected 4, got 3)")],
)
def test_a_coco_file_that_is_none_is_refused(folder, out, tmp_path, boxes, reason):
    save(folder / "a.png")
    coco = write_coco(tmp_path / "c.json", boxes)
    expected = "expected COCO with images, categories and annotations with bbox [x, y, width, height]"
    assert refused(folder, out, size=2, coco=coco) == f"{expected} in '{coco}': {reason}"


# ---- random places ----


def test_the_seed_and_the_path_alone_choose_random_places(folder, out):
    for name in ("a.png", "b.png", "c.png"):
        save(folder / name, 40, 30)
    cut(folder, out, size=5, random_count=6, seed=3)
    cut(folder, out.with_name("same"), size=5, random_count=6, seed=3)
    cut(folder, out.with_name("other"), size=5, random_count=6, seed=4)
    assert contents(out) == contents(out.with_name("same"))
    assert labels(out) != labels(out.with_name("other"))
    places = {name: {place[1:] for place in labels(out) if place[0] == name} for name in ("a.png", "b.png", "c.png")}
    assert [len(found) for found in places.values()] == [6, 6, 6]
    assert places["a.png"] != places["b.png"]
    (folder / "a.png").unlink()
    save(folder / "0.png", 40, 30)
    cut(folder, out.with_name("fewer"), size=5, random_count=6, seed=3)
    assert {place[1:] for place in labels(out.with_name("fewer")) if place[0] == "b.png"} == places["b.png"]


@pytest.mark.parametrize("threads", [1, 3])
def test_threads_change_nothing_and_hold_few_images(folder, out, monkeypatch, threads):
    for number in range(20):
        save(folder / f"{number}.png", 20, 20)
    (folder / "4.png").write_bytes(b"not an image")
    cut(folder, out, size=5, random_count=3)
    inside, most, lock = 0, 0, threading.Lock()

    def counting(path):
        nonlocal inside, most
        with lock:
            inside += 1
            most = max(most, inside)
        try:
            return open_full(path)
        finally:
            with lock:
                inside -= 1

    monkeypatch.setattr(cutting, "_THREADS", threads)
    monkeypatch.setattr(cutting, "open_full", counting)
    seen = []
    cut(folder, out.with_name("again"), size=5, random_count=3, progress=lambda done, all_: seen.append((done, all_)))
    assert contents(out.with_name("again")) == contents(out)
    assert 1 <= most <= threads
    assert seen == [(done, 20) for done in range(1, 21)]


# ---- what is not done ----


def test_nothing_is_overwritten(folder, out):
    save(folder / "a.png")
    out.mkdir()
    (out / "mine.txt").write_text("mine")
    message = f"'{out}' exists already and nothing in it is overwritten. Choose another --out, or remove it"
    assert refused(folder, out, size=4) == message
    assert contents(out) == {"mine.txt": b"mine"}
    assert refused(folder, out / "mine.txt", size=4).startswith(f"'{out / 'mine.txt'}' exists already")


def test_an_empty_folder_is_filled(folder, out):
    save(folder / "a.png")
    out.mkdir()
    cut(folder, out, size=4)
    assert len(table(out)) == 4


def test_patches_do_not_go_among_the_images(folder):
    save(folder / "a.png")
    assert refused(folder, folder / "patches", size=4) == (
        f"'{folder / 'patches'}' lies in '{folder}', where patches would be taken for images. Choose another --out"
    )


def test_a_killed_run_leaves_nothing_that_looks_finished_and_is_cleared_away(folder, out):
    for name in ("a.png", "b.png"):
        save(folder / name)

    def kill(done, _):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cut(folder, out, size=4, progress=kill)
    part = out.with_name("out.part")
    assert not out.exists()
    assert part.is_dir()
    (part / "stale.png").write_bytes(b"of the run that was killed")
    cut(folder, out, size=4)
    assert not part.exists()
    assert len(contents(out)) == 9
    assert "stale.png" not in contents(out)


def test_images_that_cannot_be_cut_are_listed_and_the_others_cut(folder, out):
    save(folder / "a.png", 4, 4)
    save(folder / "small.png", 9, 3)
    (folder / "broken, really.jpg").write_bytes(b"not an image")
    summary = cut(folder, out, size=4)
    expected = (
        Skipped("broken, really.jpg", "not an image"),
        Skipped("small.png", "9 x 3 pixels, smaller than a patch of 4 x 4"),
    )
    assert summary.skipped == expected
    assert (summary.images, summary.patches) == (1, 1)
    assert table(out, "skipped.csv") == [row._asdict() for row in expected]


def test_nothing_skipped_leaves_no_list(folder, out):
    save(folder / "a.png")
    cut(folder, out, size=4)
    assert not (out / "skipped.csv").exists()


def test_nothing_cuttable_is_refused_with_the_reasons(folder, out, tmp_path, classes):
    save(folder / "a.png", 4, 3)
    save(folder / "b.png", 8, 4)
    save_mask(tmp_path / "masks" / "b.png", np.zeros((4, 8)))
    message = refused(folder, out, size=4, masks=tmp_path / "masks", mask_classes=classes)
    assert message == (
        f"expected at least one patch from the 2 images in '{folder}', got none: "
        "1 skipped, the first being 'a.png' (4 x 3 pixels, smaller than a patch of 4 x 4), and "
        "2 patches dropped below the coverage of 0.5. Choose a smaller size or coverage, or repair what was skipped"
    )
    assert not out.exists()
    assert not out.with_name("out.part").exists()


def test_a_folder_without_images_is_refused(folder, out):
    assert refused(folder, out, size=4) == f"expected a folder with images at '{folder}', found nothing"
    folder.mkdir()
    assert refused(folder, out, size=4) == f"expected images in '{folder}' or in folders below it, found none"


def test_images_both_loose_and_in_folders_need_a_word(folder, out):
    save(folder / "a.png")
    save(folder / "bolt" / "b.png")
    assert refused(folder, out, size=4) == (
        f"expected images either at the top of '{folder}' or in class folders, found 'a.png' and 'bolt/b.png'. "
        "Move the loose images into class folders, or remove the folders"
    )
    summary = cut(folder, out, size=4, labelled=True)
    assert summary.per_class == {"bolt": 4}
    assert summary.skipped == (Skipped("a.png", "it lies in no class folder"),)
    assert cut(folder, out.with_name("flat"), size=4, labelled=False).patches == 8


def test_splits_are_not_taken_for_classes(folder, out):
    save(folder / "train" / "bolt" / "a.png")
    save(folder / "test" / "bolt" / "a.png")
    assert refused(folder, out, size=4) == (
        f"expected class folders in '{folder}', found the splits test, train. Cut each of them by itself"
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 0}, "size must be at least 1, got 0"),
        ({"stride": 0}, "stride must be at least 1, got 0"),
        ({"random_count": 0}, "random_count must be at least 1, got 0"),
        ({"seed": -1}, "seed must be at least 0, got -1"),
        ({"coverage": 0.0}, "coverage must be above 0 and at most 1, got 0.0"),
        ({"coverage": 1.5}, "coverage must be above 0 and at most 1, got 1.5"),
        ({"stride": 2, "random_count": 2}, "stride is for a grid of patches and cannot be combined with random places"),
        ({"masks": "m", "mask_classes": "n", "coco": "c"}, "expected labels from masks or from coco, got both"),
        ({"masks": "m"}, "masks and mask_classes need each other, but mask_classes is missing"),
        ({"mask_classes": "m"}, "masks and mask_classes need each other, but masks is missing"),
        ({"coco": "c", "labelled": False}, "labelled is for class folders and cannot be combined with masks or coco"),
    ],
)
def test_settings_that_cannot_work_are_refused(folder, out, options, message):
    save(folder / "a.png")
    assert refused(folder, out, error=ConfigError, **({"size": 2} | options)).startswith(message)
    assert not out.exists()
