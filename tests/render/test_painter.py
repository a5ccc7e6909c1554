"""Whole images: what a person would notice at once."""

import numpy as np
import pytest
import trimesh
from PIL import Image

from weighbridge.errors import ConfigError
from weighbridge.render.painter import Painter, family_of
from weighbridge.render.recipe import Recipe
from weighbridge.render.shapes import SHAPES


@pytest.fixture(scope="module")
def icons(tmp_path_factory):
    """A red ring with a bar, and a blue square with an arrow."""
    folder = tmp_path_factory.mktemp("icons")
    head = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 100 100">'
    ring = '<circle cx="50" cy="50" r="49" fill="#c11"/><circle cx="50" cy="50" r="38" fill="#fff"/>'
    (folder / "bar.svg").write_text(f'{head}{ring}<rect x="25" y="42" width="50" height="16"/></svg>')
    arrow = '<path d="M50 15 80 50H60V85H40V50H20z" fill="#fff"/>'
    (folder / "up.svg").write_text(f'{head}<rect width="100" height="100" rx="8" fill="#14a"/>{arrow}</svg>')
    return folder


def subject(picture, share=0.5):
    return picture.mask >= 255 * share


def flaws(picture):
    """What is wrong with an image, in words: no subject, blank, clipped, or a subject that cannot be told apart."""
    pixels, mask = picture.pixels.astype(float), subject(picture)
    found = []
    if mask.sum() < 0.02 * mask.size:
        found.append(f"subject covers {mask.mean():.1%}")
    if mask.mean() > 0.95:
        found.append("nothing around the subject")
    if pixels.std() < 6:
        found.append(f"deviation {pixels.std():.1f}")
    apart = np.abs(pixels[mask].mean(0) - pixels[~mask].mean(0)).max() if 0 < mask.sum() < mask.size else 0.0
    if max(apart, pixels[mask].std() if mask.any() else 0.0) < 4:
        found.append("the subject cannot be told from what is around it")
    for edge, clipped in (("black", pixels.max(axis=2) <= 2), ("white", pixels.min(axis=2) >= 253)):
        if clipped.mean() > 0.5:
            found.append(f"{clipped.mean():.0%} {edge}")
    return found


def check(recipe, quality, count, allowed=0.02):
    """At most this share of all images has a flaw, and never two of a class that shows only a few."""
    painter, bad = Painter(recipe, quality), []
    for label in painter.family.classes:
        for index in range(count):
            bad += [(label, index, flaw) for flaw in flaws(painter.paint(label, index, masks=True))]
    assert len(bad) <= allowed * count * len(painter.family.classes), bad
    labels = [label for label, _, _ in bad]
    assert all(labels.count(label) <= max(1, count // 10) for label in labels), bad


@pytest.mark.parametrize("quality", ["realtime", "camera"])
def test_objects_are_seen(quality):
    check(Recipe("objects", size=32, samples=4), quality, 2)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "quality", "count"),
    [
        ("objects", "realtime", 60),
        ("objects", "prerendered", 6),
        ("objects", "camera", 6),
        ("characters", "realtime", 40),
        ("characters", "prerendered", 4),
        ("signs", "realtime", 30),
        ("signs", "prerendered", 10),
    ],
)
def test_many_images_are_neither_blank_nor_clipped(family, quality, count, icons):
    assets = icons if family == "signs" else None
    # signs are as dark and as blown out as a driver's photos of them
    check(Recipe(family, size=48, samples=4, seed=7, assets=assets), quality, count, 0.1 if family == "signs" else 0.02)


def test_signs_are_seen_in_both_qualities(icons):
    knobs = {"exposure": 0, "leaves": 0, "blur": 0, "resolution": 1, "haze": 0, "sun": [0.4, 0.8], "sun_azimuth": 30}
    for quality in ("realtime", "prerendered"):
        check(Recipe("signs", size=32, samples=4, assets=icons, knobs=knobs), quality, 3)


def test_what_stands_behind_objects_is_seen(tmp_path):
    """A background in a colour that nothing else has; not in every image, since some look down on the floor."""
    Image.new("RGB", (64, 64), (255, 0, 255)).save(tmp_path / "magenta.png")
    knobs = {"background": "photo", "sky": 0.4, "clutter": 0, "exposure": 0, "contrast": 0, "warmth": 0, "tint": 0}
    painter = Painter(Recipe("objects", size=32, backgrounds=tmp_path, knobs=knobs), "realtime")
    shares = []
    for index in range(40):
        picture = painter.paint("mug", index)
        assert picture.notes == ("magenta.png",)
        shares.append(((picture.pixels[..., 0] > 200) & (picture.pixels[..., 1] < 40)).mean())
    assert np.mean(np.array(shares) > 0.05) > 0.4


def test_without_variation_every_image_of_a_class_is_the_same():
    painter = Painter(Recipe("objects", size=24, strength=0.0), "realtime")
    for label in painter.family.classes:
        np.testing.assert_array_equal(painter.paint(label, 0).pixels, painter.paint(label, 1).pixels)


def test_both_qualities_show_the_same_scene_and_differ():
    recipe = Recipe("objects", size=48, seed=1)
    realtime, traced = (Painter(recipe, quality).paint("mug", 3, masks=True) for quality in ("realtime", "prerendered"))
    assert realtime.factors == traced.factors
    assert realtime.box == traced.box
    np.testing.assert_array_equal(realtime.mask, traced.mask)
    difference = np.abs(realtime.pixels.astype(float) - traced.pixels)
    assert 1.0 < difference.mean() < 40.0  # another light, not another image


def test_a_camera_image_is_another_scene():
    recipe = Recipe("objects", size=32, samples=4)
    assert Painter(recipe, "camera").factors("mug", 0)["turn"] != Painter(recipe, "realtime").factors("mug", 0)["turn"]


def test_the_subject_turns_and_is_framed():
    turned = Recipe("objects", size=64, strength=0.0, knobs={"turn": 120.0, "fill": 0.6, "offset_x": 0.1})
    plain = Recipe("objects", size=64, strength=0.0)
    (left, top, right, bottom), (l0, t0, r0, b0) = (
        Painter(recipe, "realtime").paint("mug", 0, masks=True).box for recipe in (turned, plain)
    )
    assert max(right - left, bottom - top) == pytest.approx(0.6 * 64, abs=2)
    assert max(r0 - l0, b0 - t0) == pytest.approx(0.8 * 64, abs=2)
    assert (left + right) / 2 - 32 == pytest.approx(0.1 * 64, abs=3)
    assert (l0 + r0) / 2 - 32 == pytest.approx(0, abs=3)


def test_the_sun_stands_where_the_knob_says():
    def brightness(azimuth):
        knobs = {"sun_azimuth": azimuth, "sun_elevation": 20.0, "sky": 0.2, "sun": 1.1}
        picture = Painter(Recipe("objects", size=64, strength=0.0, knobs=knobs), "realtime").paint(
            "vase", 0, masks=True
        )
        columns = np.where(subject(picture)[..., None], picture.pixels, np.nan)
        left, _, right, _ = picture.box
        middle = (left + right) // 2
        return np.nanmean(columns[:, left:middle]), np.nanmean(columns[:, middle:right])

    left, right = brightness(80.0)  # to the left of the camera
    assert left > 1.2 * right
    left, right = brightness(-80.0)
    assert right > 1.2 * left


def test_meshes_of_the_user_are_a_family(tmp_path):
    for name, mesh in {"ball": trimesh.creation.icosphere(2), "block": trimesh.creation.box((1, 2, 3))}.items():
        (tmp_path / name).mkdir()
        mesh.export(tmp_path / name / "one.ply")
    painter = Painter(Recipe("objects", size=32, assets=tmp_path), "realtime")
    assert painter.family.classes == ("ball", "block")
    for label in painter.family.classes:
        assert flaws(painter.paint(label, 0, masks=True)) == []
    ball = Painter(Recipe("objects", size=64, assets=tmp_path, strength=0.0), "realtime").paint("ball", 0, masks=True)
    left, top, right, bottom = ball.box
    assert right - left == pytest.approx(bottom - top, abs=1)
    assert subject(ball).sum() == pytest.approx(np.pi / 4 * (right - left) ** 2, rel=0.06)


@pytest.mark.parametrize(
    ("recipe", "quality", "message"),
    [
        (Recipe("sings"), "realtime", "there is no family 'sings'. Did you mean 'signs'?"),
        (Recipe("objects"), "real-time", "there is no quality 'real-time'. Did you mean 'realtime'?"),
        (
            Recipe("characters"),
            "camera",
            "quality 'camera' is for objects only, got characters. Choose realtime or prerendered",
        ),
        (
            Recipe("signs"),
            "realtime",
            "signs are made from icons. Name a folder of them with --assets, such as --assets icons/svg",
        ),
    ],
)
def test_what_cannot_be_painted_is_said(recipe, quality, message):
    with pytest.raises(ConfigError) as error:
        family_of(recipe, quality)
    assert str(error.value) == message


def test_the_objects_are_the_shapes():
    assert family_of(Recipe("objects"), "realtime").classes == tuple(SHAPES)
    with pytest.raises(ConfigError, match="Did you mean 'elevation'"):
        Painter(Recipe("objects", knobs={"elevatoin": 3}), "realtime")
