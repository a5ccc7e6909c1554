"""Signs from icons that the tests draw, and over many images of the real ones where they are."""

import zipfile
from dataclasses import replace
from itertools import product

import cv2
import numpy as np
import pytest
from PIL import Image, ImageDraw

from render.solidity import facing
from weighbridge.errors import DataError
from weighbridge.render.realtime import guides, render
from weighbridge.render.recipe import Recipe, generator, with_overrides
from weighbridge.render.sensor import develop
from weighbridge.render.signs import Signs
from weighbridge.render.textures import Backdrops

DISC = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 20 20"><circle cx="10" cy="10" r="9" fill="{}"/></svg>'


def draw_icons(folder, names=("disc", "square", "triangle")):
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        image = Image.new("RGBA", (100, 100))
        pen = ImageDraw.Draw(image)
        if name == "disc":
            pen.ellipse((5, 5, 95, 95), "red")
            pen.rectangle((20, 40, 80, 60), "white")
        elif name == "square":
            pen.rectangle((10, 10, 90, 90), "blue")
            pen.polygon([(30, 70), (50, 20), (70, 70)], "white")
        else:
            pen.polygon([(5, 90), (50, 10), (95, 90)], "white", "red", 8)
        image.save(folder / f"{name}.png")
    return folder


def signs(folder, size=64):
    return Signs(folder, Backdrops(None), size=size)


def scene(family, label, *, strength=0.0, index=0, **knobs):
    recipe = Recipe("signs", strength=strength)
    factors = recipe.factors(with_overrides(family.knobs, knobs), label, index, "realtime")
    return family.scene(label, factors, generator(recipe, label, index, "realtime", "scene")), factors


def photo(family, label, size=32, *, strength=1.0, index=0, **knobs):
    seen, factors = scene(family, label, strength=strength, index=index, **knobs)
    return develop(render(seen, size), factors, np.random.default_rng(index)), guides(seen, size)


def extent(family, label, size=128, **knobs):
    """Width, height, and middle of what is seen of the sign, in shares of the side."""
    left, top, right, bottom = guides(scene(family, label, **knobs)[0], size).box
    return (right - left) / size, (bottom - top) / size, (left + right) / 2 / size, (top + bottom) / 2 / size


# ---- icons ---------------------------------------------------------------------------------------------------------


def test_classes_are_the_stems_sorted(tmp_path):
    draw_icons(tmp_path)
    (tmp_path / "notes.txt").write_text("no icon")
    (tmp_path / "classes.csv").write_text("class_id,name\n0,disc\n")
    (tmp_path / ".hidden.png").write_bytes(b"")
    assert signs(tmp_path).classes == ("disc", "square", "triangle")


def test_of_two_icons_with_one_name_the_svg_is_taken(tmp_path):
    draw_icons(tmp_path, ["disc"])
    (tmp_path / "disc.svg").write_text(DISC.format("#00ff00"))
    pixels, _ = photo(signs(tmp_path), "disc", strength=0.0)
    assert pixels[16, 16].argmax() == 1  # the PNG is red and white


def test_folders_svg_and_png_with_the_same_icons_are_one_set(tmp_path):
    draw_icons(tmp_path / "png256", ["disc"])
    (tmp_path / "svg").mkdir()
    (tmp_path / "svg" / "disc.svg").write_text(DISC.format("red"))
    assert signs(tmp_path).classes == ("disc",)


def test_folders_with_different_icons_must_be_told_apart(tmp_path):
    draw_icons(tmp_path / "german", ["disc"])
    draw_icons(tmp_path / "swiss", ["square"])
    with pytest.raises(DataError) as caught:
        signs(tmp_path)
    assert (
        str(caught.value) == f"expected icons in '{tmp_path}', found different ones in its folders german, swiss. "
        "Name one of these"
    )


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(DataError) as caught:
        signs(tmp_path)
    assert str(caught.value) == f"expected SVG or PNG icons in '{tmp_path}', found none"


def test_an_archive_must_be_unpacked(tmp_path):
    with zipfile.ZipFile(tmp_path / "icons.zip", "w") as archive:
        archive.writestr("a.svg", DISC)
    with pytest.raises(DataError, match=r"and there is none\. Unpack it first\."):
        signs(tmp_path / "icons.zip")


@pytest.mark.parametrize(
    "text", ["<svg", "", "no markup", '<svg xmlns="http://www.w3.org/2000/svg" width="0" height="0"/>']
)
def test_a_broken_svg_is_named(tmp_path, text):
    draw_icons(tmp_path)
    (tmp_path / "broken.svg").write_text(text)
    with pytest.raises(DataError, match=r"icon '.*broken\.svg' cannot be read \("):
        signs(tmp_path)


def test_a_broken_png_is_named(tmp_path):
    (tmp_path / "broken.png").write_bytes(b"\x89PNG")
    with pytest.raises(DataError, match=r"icon '.*broken\.png' cannot be read \("):
        signs(tmp_path)


def test_an_icon_that_shows_nothing_is_named(tmp_path):
    Image.new("RGBA", (50, 50)).save(tmp_path / "air.png")
    with pytest.raises(
        DataError, match=r"icon '.*air\.png' shows nothing: it is transparent all over\. Replace or remove it"
    ):
        signs(tmp_path)


@pytest.mark.parametrize("mode", ["RGB", "L", "P"])
def test_an_icon_without_alpha_is_a_plate_of_its_whole_rectangle(tmp_path, mode):
    Image.new("RGB", (80, 40), (200, 30, 30)).convert(mode).save(tmp_path / "board.png")
    width, height, _, _ = extent(signs(tmp_path), "board", fill=0.8)
    assert width == pytest.approx(0.8, abs=0.02)
    assert height == pytest.approx(0.4, abs=0.02)


def test_an_icon_of_several_pieces_keeps_all_of_them(tmp_path):
    image = Image.new("RGBA", (100, 100))
    pen = ImageDraw.Draw(image)
    pen.rectangle((5, 20, 35, 80), "red")
    pen.rectangle((65, 20, 95, 80), "red")
    image.save(tmp_path / "pair.png")
    mask = guides(scene(signs(tmp_path), "pair", fill=0.9)[0], 64).mask
    assert mask[32, 10] == mask[32, 54] == 1
    assert mask[32, 32] == 0


# ---- pose ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fill", [0.5, 0.7, 0.9])
@pytest.mark.parametrize("pose", [{}, {"yaw": 40.0}, {"pitch": -15.0, "roll": 10.0}, {"distance": 3.0, "yaw": -30.0}])
@pytest.mark.parametrize("label", ["disc", "triangle"])
def test_the_sign_fills_what_the_knob_says(tmp_path, label, fill, pose):
    width, height, _, _ = extent(signs(draw_icons(tmp_path)), label, fill=fill, **pose)
    assert max(width, height) == pytest.approx(fill, abs=0.025)


def test_offsets_move_the_sign_to_the_right_and_up(tmp_path):
    _, _, across, down = extent(signs(draw_icons(tmp_path)), "disc", offset_x=0.1, offset_y=0.05, fill=0.6)
    assert across == pytest.approx(0.6, abs=0.01)
    assert down == pytest.approx(0.45, abs=0.01)


def test_a_squeezed_crop_shows_a_turned_sign_as_wide_as_high(tmp_path):
    family = signs(draw_icons(tmp_path))
    width, height, _, _ = extent(family, "square", yaw=45.0, squeeze=0.0)
    assert width / height < 0.8
    width, height, _, _ = extent(family, "square", yaw=45.0, squeeze=1.0)
    assert width / height == pytest.approx(1, abs=0.03)


def sides(family, **knobs):
    """Height of the square sign near its left and right, width near its top and bottom, in pixels."""
    mask = guides(scene(family, "square", distance=3.0, **knobs)[0], 128).mask > 0.5
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return (
        mask[:, columns[4]].sum(),
        mask[:, columns[-5]].sum(),
        mask[rows[4]].sum(),
        mask[rows[-5]].sum(),
    )


def test_yaw_and_pitch_turn_the_right_way(tmp_path):
    family = signs(draw_icons(tmp_path))
    left, right, _, _ = sides(family, yaw=30.0)
    assert left > right + 5  # facing the viewer's right, its right edge is farther away
    left, right, _, _ = sides(family, yaw=-30.0)
    assert right > left + 5
    _, _, top, bottom = sides(family, pitch=15.0)
    assert bottom > top + 3  # facing up, its top is farther away
    left, right, top, bottom = sides(family)
    assert (left, top) == (right, bottom)


def test_roll_is_clockwise(tmp_path):
    family = signs(draw_icons(tmp_path))
    mask = guides(scene(family, "triangle", roll=20.0)[0], 128).mask > 0.5
    apex = np.flatnonzero(mask[np.flatnonzero(mask.any(1))[1]]).mean()
    columns = np.flatnonzero(mask.any(0))
    assert apex > (columns[0] + columns[-1]) / 2 + 5


def test_the_print_stands_upright_and_is_not_mirrored(tmp_path):
    image = Image.new("RGBA", (100, 100), "white")
    ImageDraw.Draw(image).rectangle((0, 0, 40, 40), "red")
    image.save(tmp_path / "corner.png")
    pixels, _ = photo(signs(tmp_path), "corner", 64, strength=0.0, fill=0.9)
    red = pixels[..., 0].astype(int) - pixels[..., 1]
    rows, columns = np.nonzero(red > 60)
    assert rows.mean() < 30  # top
    assert columns.mean() < 30  # left


# ---- variation -----------------------------------------------------------------------------------------------------


def test_without_variation_every_image_of_a_class_is_the_same(tmp_path):
    family = signs(draw_icons(tmp_path))
    first, second = (photo(family, "disc", strength=0.0, index=index)[0] for index in (0, 7))
    assert (first == second).all()


def test_with_variation_no_two_images_are_the_same(tmp_path):
    family = signs(draw_icons(tmp_path))
    images = {photo(family, "disc", index=index)[0].tobytes() for index in range(20)}
    assert len(images) == 20


@pytest.mark.parametrize(
    "knob",
    [
        {"fade": 0.4},
        {"ink": 0.5},
        {"hue": 0.05},
        {"saturation": 0.5},
        {"bulge": 0.12},
        {"symbol": 1.2},
        {"symbol_aspect": 0.2},
        {"warp": 0.02},
        {"stroke": 1.0},
        {"white_rim": 0.05},
        {"dirt": 0.8},
        {"grain": 0.12},
        {"sticker": 0.2},
        {"leaves": 0.3},
        {"pole": 0.0},
        {"neighbour": "sign below"},
        {"neighbour": "board above"},
        {"shadow": 0.4, "sun_azimuth": 35, "sun_elevation": 40},
        {"background": "foliage"},
        {"background": "sky"},
        {"background": "skyline"},
        {"background_light": 1.0},
        {"background_hue": 0.9},
    ],
)
def test_each_knob_alone_changes_the_image(tmp_path, knob):
    family = signs(draw_icons(tmp_path))
    base = {name: value for name, value in knob.items() if name.startswith("sun")}
    before, _ = photo(family, "disc", 64, strength=0.0, fill=0.6, **base)
    after, _ = photo(family, "disc", 64, strength=0.0, fill=0.6, **knob)
    assert (before != after).mean() > 0.005


def test_fading_takes_colour_away(tmp_path):
    family = signs(draw_icons(tmp_path))

    def saturation(**knobs):
        pixels, seen = photo(family, "disc", 64, strength=0.0, **knobs)
        return cv2.cvtColor(pixels, cv2.COLOR_RGB2HSV)[..., 1][seen.mask > 0.9].mean()

    assert saturation(fade=0.35) < saturation() - 20


def test_a_shadow_darkens_part_of_the_sign(tmp_path):
    family = signs(draw_icons(tmp_path))
    light = {"sun": 1.0, "sun_azimuth": 35, "sun_elevation": 40}
    before, seen = photo(family, "square", 64, strength=0.0, **light)
    after, _ = photo(family, "square", 64, strength=0.0, shadow=0.3, **light)
    darker = (before.astype(int) - after).sum(2)[seen.mask > 0.9] > 30
    assert 0.05 < darker.mean() < 0.8


def test_only_the_subject_depends_on_the_class(tmp_path):
    Image.new("RGB", (50, 50), "red").save(tmp_path / "a.png")
    Image.new("RGB", (50, 50), "blue").save(tmp_path / "b.png")
    family = signs(tmp_path)
    for index in range(40):
        recipe = Recipe("signs", size=32)
        factors = recipe.factors(family.knobs, "a", index, "realtime")
        one, other = (family.scene(label, factors, np.random.default_rng(index)) for label in "ab")
        assert (one.backdrop == other.backdrop).all()
        assert (one.camera, one.light) == (other.camera, other.light)
        pairs = list(zip(one.parts, other.parts, strict=True))
        for left, right in pairs:
            assert left.subject == right.subject
            if not left.subject:
                assert (left.mesh.vertices == right.mesh.vertices).all()
                assert (left.material.texture == right.material.texture).all()
        assert any(part.subject for part in one.parts)


def check(pixels, seen, *, place):
    """Something is to be seen, and the subject is in the frame."""
    assert pixels.std() > 0.8, f"{place} is blank"
    assert (pixels.min(2) >= 254).mean() < 0.95, f"{place} is blown out"
    assert 0.1 < seen.mask.mean() < 0.95, f"{place}: the sign takes {seen.mask.mean():.2f} of the image"
    left, top, right, bottom = seen.box
    assert abs((left + right) / 2 - 16) < 6, place
    assert abs((top + bottom) / 2 - 16) < 6, place


def test_plates_are_closed_bodies(tmp_path):
    family = signs(draw_icons(tmp_path / "icons"))
    for label, index in product(family.classes, range(5)):
        seen, _ = scene(family, label, strength=1.0, index=index)
        plates = [part for part in seen.parts if part.closed]
        assert len(plates) >= 2
        for mesh in (part.mesh for part in plates):
            assert (np.einsum("fi,fi->f", facing(mesh), mesh.normals[mesh.faces[:, 0]]) > -1e-6).all()
        from_both_sides = replace(seen, parts=[replace(part, closed=False) for part in seen.parts])
        np.testing.assert_array_equal(guides(seen, 32).mask, guides(from_both_sides, 32).mask)
        assert np.abs(render(seen, 32) - render(from_both_sides, 32)).mean() < 1e-3


def test_each_image_shows_its_sign(tmp_path):
    family = signs(draw_icons(tmp_path), 32)
    for label in family.classes:
        for index in range(40):
            check(*photo(family, label, index=index), place=f"{label} {index}")


@pytest.mark.slow
def test_each_image_of_the_real_icons_shows_its_sign(real_data, tmp_path):
    with zipfile.ZipFile(real_data / "sign_icons" / "sign_icons43.zip") as archive:
        archive.extractall(tmp_path)
    family = signs(tmp_path, 32)
    assert len(family.classes) == 43
    for label in family.classes:
        for index in range(40):
            check(*photo(family, label, index=index), place=f"{label} {index}")
