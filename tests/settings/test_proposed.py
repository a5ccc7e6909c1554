"""What is proposed for small folders of images, each made to ask for one thing."""

import numpy as np
import pytest
from PIL import Image, ImageDraw

from weighbridge.errors import ConfigError
from weighbridge.inspection.glimpse import glimpse, open_content
from weighbridge.settings.config import Config
from weighbridge.settings.proposed import propose, propose_for


def scene(seed, size=(32, 32), grey=False):
    """Something like a photo: soft shapes of many tones."""
    random = np.random.default_rng(seed)
    pixels = random.integers(20, 236, (4, 4, 1 if grey else 3)).repeat(3 if grey else 1, axis=2).astype(np.uint8)
    return Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC)


def disc(left, size=(32, 32), ink=(40, 60, 120), paper=(150, 160, 150)):
    """An object on a plain ground, a third as wide as the image is high."""
    image = Image.new("RGB", size, paper)
    third = size[1] // 3
    ImageDraw.Draw(image).ellipse((left, third, left + third, 2 * third), fill=ink)
    return image


def fill(folder, images):
    folder.mkdir(parents=True)
    for number, image in enumerate(images):
        image.save(folder / f"{number:03}.png")
    return folder


@pytest.fixture
def domains(tmp_path):
    """Two folders of the same images: classes "a" and "b" of renders, and photos."""

    def make(render, photo, *, renders=8, photos=8):
        for name, start in (("a", 0), ("b", 1000)):
            fill(tmp_path / "renders" / name, [render(start + k) for k in range(renders)])
        fill(tmp_path / "photos", [photo(5000 + k) for k in range(photos)])
        return [tmp_path / "renders"], tmp_path / "photos"

    return make


def changes(domains, **given):
    return propose_for(*domains, {"device": "cpu", **given}).changes


def looked(domains):
    source, target = domains
    return (
        glimpse([open_content(path) for path in source], "renders", labelled=True),
        glimpse([open_content(target)], "photos", labelled=False),
    )


# ---- size and network ----


@pytest.mark.parametrize(("photo", "side"), [(28, 32), (40, 40), (44, 48), (48, 48), (16, 32)])
def test_small_photos_keep_the_small_network_at_about_their_size(domains, photo, side):
    found = propose_for(*domains(lambda k: scene(k, (64, 64)), lambda k: scene(k, (photo, photo))), {})
    assert (found.config.backbone, found.config.image_size) == ("small-batchnorm", side)


@pytest.mark.parametrize(("render", "photo", "side"), [(160, 300, 160), (64, 300, 160), (300, 100, 160), (50, 64, 128)])
def test_large_photos_are_seen_at_what_both_domains_have(domains, render, photo, side):
    found = changes(domains(lambda k: scene(k, (render, render)), lambda k: scene(k, (photo + 10, photo))))
    assert found["image_size"] == side
    assert "backbone" not in found


def test_a_gpu_takes_larger_images_than_a_cpu(domains):
    source, target = looked(domains(lambda k: scene(k, (400, 400)), lambda k: scene(k, (400, 400))))
    assert [propose(source, target, {}, gpu=gpu).changes["image_size"] for gpu in (False, True)] == [160, 224]


def test_the_shorter_side_counts(domains):
    found = propose_for(*domains(lambda k: scene(k, (200, 40)), lambda k: scene(k, (200, 40))), {})
    assert found.config.image_size == 40


def test_the_network_that_is_given_decides_the_size(domains):
    large = domains(lambda k: scene(k, (200, 200)), lambda k: scene(k, (200, 200)))
    assert changes(large, backbone="lenet")["image_size"] == 48
    assert changes(large, backbone="resnet18")["image_size"] == 160
    assert "image_size" not in changes(large, image_size=32)  # the default too, where it is given


def test_a_network_from_random_numbers_gets_the_steps_that_it_needs(domains):
    large = domains(lambda k: scene(k, (200, 200)), lambda k: scene(k, (200, 200)))
    assert changes(large)["steps"] == 300
    assert "steps" not in changes(large, weights="none")  # 1,000, the default


def test_grey_that_is_asked_for_keeps_a_network_that_takes_it(domains):
    large = domains(lambda k: scene(k, (200, 200)), lambda k: scene(k, (200, 200)))
    assert propose_for(*large, {"channels": 1}).config.network_name == "small-batchnorm"


def test_what_photos_make_possible_is_not_refused_before_they_are_looked_at(domains):
    large = domains(lambda k: scene(k, (200, 200)), lambda k: scene(k, (200, 200)))
    assert propose_for(*large, {"training": "features"}).config.on_features
    assert propose_for(*large, {"training": "full", "batch_norm": "frozen"}).config.image_size == 160
    with pytest.raises(ConfigError, match="needs published weights"):
        propose_for(*large, {"training": "features", "weights": "none"})


def test_images_of_a_source_that_are_never_trained_on_do_not_count(tmp_path):
    for split, count in (("train", 6), ("val", 2), ("test", 9)):
        for name in "ab":
            fill(tmp_path / "renders" / split / name, [scene(k + 10 * count, (64, 64)) for k in range(count)])
    fill(tmp_path / "photos", [scene(k, (64, 64)) for k in range(8)])
    found = propose_for([tmp_path / "renders"], tmp_path / "photos", {"device": "cpu"})
    assert found.lines[0] == "2 classes: a 6, b 6"


def test_given_weights_ask_for_a_network_that_has_some(domains):
    small = domains(lambda k: scene(k), lambda k: scene(k))
    assert changes(small, weights="imagenet")["image_size"] == 128
    assert "backbone" not in changes(small, weights="imagenet")


# ---- colour, fit, tones, mirrors ----


def test_grey_images_need_one_channel(domains):
    assert changes(domains(lambda k: scene(k, grey=True), lambda k: scene(k, grey=True)))["channels"] == 1


def test_colour_stays_where_both_domains_have_it(domains):
    assert "channels" not in changes(domains(scene, scene))


def test_colour_stays_where_the_network_or_the_scale_needs_it(domains):
    grey = domains(lambda k: scene(k, (100, 100), grey=True), lambda k: scene(k, (100, 100), grey=True))
    assert "channels" not in changes(grey)
    assert "channels" not in changes(grey, backbone="small", normalisation="imagenet")
    assert changes(grey, backbone="small")["channels"] == 1


def test_objects_at_the_side_are_padded_and_not_cut_off(domains):
    side = domains(lambda k: disc(10 + k % 3), lambda k: disc(k % 4, (64, 32)))
    assert changes(side)["fit"] == "pad"


def test_objects_in_the_middle_are_cropped(domains):
    assert "fit" not in changes(domains(lambda k: disc(10 + k % 3), lambda k: disc(26 + k % 3, (64, 32))))


def test_what_is_oblong_alike_in_both_domains_is_squeezed(domains):
    long = domains(lambda k: disc(k % 50, (120, 40)), lambda k: disc(k % 4, (125, 40)))
    assert changes(long)["fit"] == "stretch"


def letter(dark_on_light, size=(32, 32)):
    ink, paper = (30, 225) if dark_on_light else (225, 30)
    image = Image.new("L", size, paper)
    ImageDraw.Draw(image).text((10, 8), "A", fill=ink)
    return image


def test_print_of_one_polarity_to_photos_of_both_asks_for_negatives(domains):
    assert changes(domains(lambda k: letter(True), lambda k: letter(k % 2)))["invert"] == 0.5


def test_print_to_its_negative_asks_for_negatives(domains):
    assert changes(domains(lambda k: letter(True), lambda k: letter(False)))["invert"] == 0.5


def test_print_of_the_same_polarity_does_not(domains):
    assert "invert" not in changes(domains(lambda k: letter(True), lambda k: letter(True)))


def test_objects_have_no_negatives_whatever_is_behind_them(domains):
    def shaded(k):
        """A shaded ball on white: the border is light in all renders, and mixed in photos."""
        down, across = np.mgrid[:32, :32]
        ball = 255 - 8 * np.hypot(across - 12, down - 12)
        return Image.fromarray(np.where(np.hypot(across - 16, down - 16) < 13, ball, 255).clip(0, 255).astype(np.uint8))

    assert "invert" not in changes(domains(shaded, scene))


def arrow(right, k, size=(96, 96)):
    image = Image.new("RGB", size, (200, 200 - k, 200))
    tip, tail = (70, 25) if right else (25, 70)
    ImageDraw.Draw(image).polygon([(tip, 48 + k), (tail, 25 + k), (tail, 70 + k)], fill=(20, 20, 120))
    return image


@pytest.fixture
def two_classes(tmp_path):
    def make(a, b, photo=lambda k: scene(k, (96, 96))):
        fill(tmp_path / "renders" / "a", [a(k) for k in range(12)])
        fill(tmp_path / "renders" / "b", [b(k) for k in range(12)])
        return [tmp_path / "renders"], fill(tmp_path / "photos", [photo(k) for k in range(8)])

    return make


def test_classes_that_are_mirror_images_are_not_mirrored(two_classes):
    assert "flip" not in changes(two_classes(lambda k: arrow(True, k), lambda k: arrow(False, k)))


def test_classes_that_are_told_as_well_when_mirrored_are(two_classes):
    def bar(level):
        return lambda k: disc(30 + k % 3, (96, 96)) if level else arrow(k % 4 < 2, k)

    assert changes(two_classes(bar(True), bar(False)))["flip"] is True


def test_classes_that_thumbnails_do_not_tell_show_nothing_of_mirrors(two_classes):
    random = np.random.default_rng(0)

    def noise(k):
        return Image.fromarray(random.integers(0, 256, (96, 96, 3)).astype(np.uint8))

    domains = two_classes(noise, noise)
    source, target = looked(domains)
    assert "flip" not in propose(source, target, {"device": "cpu"}).changes or source.told >= 0.3


def test_small_images_are_never_mirrored(two_classes):
    assert "flip" not in changes(two_classes(lambda k: disc(8), lambda k: disc(4), lambda k: scene(k)))


# ---- batches, balance, length ----


def test_a_domain_smaller_than_a_batch_makes_the_batch_smaller(domains):
    few = domains(scene, scene, renders=9, photos=20)
    found = changes(few)
    assert (found["batch_source"], found["batch_target"]) == (16, 16)


def test_one_photo_comes_again_within_a_batch(domains):
    assert changes(domains(scene, scene, photos=1))["batch_target"] == 8


def test_batches_divide_by_the_processes(domains):
    assert changes(domains(scene, scene, photos=1), processes=16)["batch_target"] == 16


def test_many_classes_need_large_batches(domains, monkeypatch):
    source, target = looked(domains(scene, scene))
    sizes = []
    for classes in (43, 400, 5000):
        object.__setattr__(source, "classes", {f"{k}": 40 for k in range(classes)})
        object.__setattr__(source, "images", 40 * classes)
        object.__setattr__(target, "images", 9000)
        sizes.append(propose(source, target, {}, gpu=False).config.batch_source)
    assert sizes == [64, 128, 256]


def test_unequal_classes_are_balanced(domains, tmp_path):
    folders = domains(scene, scene, renders=2)
    assert "balance" not in changes(folders)
    fill(tmp_path / "renders" / "c", [scene(k) for k in range(10)])
    assert changes(folders)["balance"] == "class"


def test_unequal_sources_are_balanced(domains, tmp_path):
    (source, target), more = ([tmp_path / "renders"], tmp_path / "photos"), tmp_path / "more"
    domains(scene, scene, renders=2)
    for name in ("a", "b"):
        fill(more / name, [scene(k) for k in range(10)])
    assert changes(([*source, more], target))["balance"] == "source"


@pytest.mark.parametrize(("images", "steps"), [(100, 1000), (10_000, 1400), (100_000, 2000)])
def test_steps_are_passes_within_a_floor_and_a_ceiling(domains, images, steps):
    source, target = looked(domains(scene, scene))
    object.__setattr__(source, "images", images)  # 10 passes over 9,000 in batches of 64 are 1,406 steps
    config = propose(source, target, {"batch_source": 64}, gpu=False).config
    assert (config.pre_steps, config.steps) == (steps, steps)


def test_whoever_counts_epochs_is_left_alone(domains):
    large = domains(lambda k: scene(k, (100, 100)), lambda k: scene(k, (100, 100)))
    assert {"pre_steps", "steps"} <= set(changes(large))
    assert {"pre_steps", "steps"} & set(changes(large, epochs=3.0)) == {"pre_steps"}


# ---- what holds for all ----


def test_what_is_given_is_never_changed(domains):
    side = domains(lambda k: letter(True), lambda k: letter(k % 2, (64, 32)), photos=3)
    everything = changes(side)
    assert len(everything) >= 6
    usual = {name: getattr(Config(), name) for name in everything}
    found = propose_for(*side, usual)
    assert (found.changes, found.config) == ({}, Config())


def test_each_change_has_a_reason_and_is_no_default(domains):
    found = propose_for(*domains(lambda k: letter(True), lambda k: letter(k % 2), photos=3), {})
    assert set(found.reasons) == set(found.changes)
    assert all(value != getattr(Config(), name) for name, value in found.changes.items())
    assert found.facts() == {"changes": found.changes, "reasons": found.reasons}


def test_nothing_is_proposed_that_the_method_never_reads(domains):
    found = propose_for(*domains(scene, scene, photos=3), {"method": "source-only"})
    assert "batch_target" not in found.changes
    assert found.config.unread() == ()


def test_classes_of_the_photos_change_nothing(domains, tmp_path):
    domains(lambda k: scene(k), lambda k: scene(k))
    found = []
    for shift in (0, 1):  # the same photos under other class folders
        target = tmp_path / f"photos-{shift}"
        for k in range(40):
            path = target / "ab"[(k + shift) % 2] / f"{k:03}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            (letter(k % 3) if k % 4 else scene(k, (30 + k, 40))).save(path)
        seen = glimpse([open_content(target)], "photos", labelled=False)
        found.append((seen.median_size, seen.two_tone, seen.light_on_dark, seen.cut, seen.classes))
    assert found[0] == found[1]


def test_a_glimpse_of_many_photos_is_a_sample_of_the_same_ones(tmp_path, monkeypatch):
    monkeypatch.setattr("weighbridge.inspection.glimpse._THUMBNAILS", 10)
    seen = []
    for shift in (0, 1):
        for k in range(40):
            path = tmp_path / str(shift) / "ab"[(k + shift) % 2] / f"{k:03}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            scene(k, (30 + k, 30)).save(path)
        seen.append(glimpse([open_content(tmp_path / str(shift))], "photos", labelled=False).width.tolist())
    assert len(seen[0]) == 10
    assert seen[0] == seen[1]


def test_of_photos_with_splits_only_those_of_training_are_seen(tmp_path, domains):
    source, _ = domains(scene, scene)
    fill(tmp_path / "split" / "train" / "x", [scene(k) for k in range(5)])
    fill(tmp_path / "split" / "test" / "x", [scene(k, (99, 99)) for k in range(50)])
    found = propose_for(source, tmp_path / "split", {})
    assert found.config.image_size == 32
    assert found.lines[1].startswith("5 photos")


def test_arrays_are_looked_at_too(tmp_path):
    pixels = np.stack([np.asarray(letter(True)) for _ in range(12)])
    np.savez(tmp_path / "fonts.npz", x=pixels, y=np.arange(12) % 3)
    np.savez(tmp_path / "photos.npz", x=np.concatenate([pixels, 255 - pixels]))
    found = propose_for([tmp_path / "fonts.npz"], tmp_path / "photos.npz", {})
    assert (found.config.channels, found.config.invert, found.config.image_size) == (1, 0.5, 32)
    assert found.lines[0] == "3 classes: 0 4, 1 4, 2 4"


def test_a_setting_that_does_not_exist_is_refused(domains):
    with pytest.raises(ConfigError, match="Did you mean 'steps'"):
        propose_for(*domains(scene, scene), {"stpes": 3})


@pytest.mark.parametrize(("renders", "photos", "grey"), [(0, 2, 0.3), (2, 0, 0.3), (0, 0, None), (2, 2, None)])
def test_grey_is_proposed_where_one_domain_alone_has_grey_images(domains, renders, photos, grey):
    def some(every):
        return lambda k: scene(k, (160, 160), grey=every > 0 and k % every == 0)

    assert changes(domains(some(renders), some(photos))).get("grey") == grey


# ---- what is said ----


def test_four_lines_say_what_was_seen_and_chosen(domains):
    large = domains(lambda k: scene(k, (160, 160)), lambda k: scene(k, (300, 197)))
    found = propose_for(
        *large, {"device": "cpu", "pre_steps": 1000, "flip": False}, estimate=lambda config, *images: 4.4
    )
    assert found.lines == (
        "2 classes: a 8, b 8",
        "8 photos, median 300 x 197 px: the middle 197 x 197 px shrunk to 160 x 160 px",
        "network efficientnet-lite0, weights imagenet, frozen, colour images, rotate 8, shift 0.06, zoom 0.12, "
        "batch_source 16, batch_target 8",
        "features of 120 looks at images, once; 1,000 steps of the pre-classifier, then 300 of iwdan-self-training, "
        "from 3 random starts, "
        "about 4 min in all (--plain: defaults, whatever the images)",
    )


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"fit": "pad"}, "padded and shrunk to 160 x 160 px"),
        ({"fit": "stretch"}, "squeezed and shrunk to 160 x 160 px"),
        ({"image_size": 40}, "the middle 3024 x 3024 px shrunk to 40 x 40 px"),
    ],
)
def test_large_photos_are_told_what_they_are_shrunk_to(tmp_path, domains, given, said):
    source, target = domains(lambda k: scene(k, (300, 300)), scene, photos=1)
    (target / "000.png").unlink()
    scene(0, (4032, 3024)).save(target / "IMG_0.jpg")
    found = propose_for(source, target, {"device": "cpu"} | given)
    assert found.lines[1] == f"1 photo, median 4032 x 3024 px: {said}"


def test_empty_classes_and_names_in_other_scripts_are_told(domains, tmp_path):
    folders = domains(scene, scene)
    fill(tmp_path / "renders" / "ключ", [scene(1)])
    (tmp_path / "renders" / "杯子").mkdir()
    assert propose_for(*folders, {}).lines[0] == "3 classes: a 8, b 8, ключ 1; without images: 杯子"


def test_of_many_classes_the_first_are_named(tmp_path, domains):
    folders = domains(scene, scene)
    for k in range(118):
        fill(tmp_path / "renders" / f"part_{k:03}", [scene(k)])
    found = propose_for(*folders, {})
    assert found.lines[0] == ("120 classes: a 8, b 8, part_000 1, part_001 1, part_002 1, part_003 1 and 114 more")


def test_where_there_is_nothing_to_look_at_nothing_is_proposed(domains, tmp_path):
    source, target = domains(scene, scene)
    (tmp_path / "empty").mkdir()
    for paths in (([target], target), (source, tmp_path / "empty")):
        found = propose_for(*paths, {"steps": 7})
        assert (found.changes, found.lines, found.config) == ({}, (), Config(steps=7))


def test_changes_as_options(domains):
    found = propose_for(*domains(lambda k: letter(True), lambda k: letter(k % 2), photos=20), {"pre_steps": 5})
    assert found.options() == (
        "--backbone small-batchnorm --channels 1 --invert 0.5 --rotate 8 --shift 0.06 --zoom 0.12 --batch-source 16 "
        "--batch-target 16"
    )
