"""Letters of the fonts that come with matplotlib."""

import shutil
from pathlib import Path

import matplotlib
import numpy as np
import pytest

from weighbridge.errors import DataError
from weighbridge.render.characters import CLASSES, Characters
from weighbridge.render.realtime import guides, render
from weighbridge.render.recipe import Recipe, generator, with_overrides
from weighbridge.render.sensor import develop
from weighbridge.render.textures import Backdrops

FONTS = Path(matplotlib.get_data_path()) / "fonts" / "ttf"


def copy_fonts(folder, *names):
    for name in names:
        shutil.copy(FONTS / f"{name}.ttf", folder)
    return folder


@pytest.fixture(scope="module")
def family(tmp_path_factory):
    folder = copy_fonts(tmp_path_factory.mktemp("fonts"), "DejaVuSans", "DejaVuSerif-Bold", "DejaVuSansMono-Oblique")
    return Characters(folder, Backdrops(None))


def scene(family, label, *, strength=0.0, index=0, **knobs):
    recipe = Recipe("characters", strength=strength)
    factors = recipe.factors(with_overrides(family.knobs, knobs), label, index, "realtime")
    return family.scene(label, factors, generator(recipe, label, index, "realtime", "scene")), factors


def photo(family, label, size=32, *, strength=1.0, index=0, **knobs):
    seen, factors = scene(family, label, strength=strength, index=index, **knobs)
    return develop(render(seen, size), factors, np.random.default_rng(index)), guides(seen, size)


# ---- fonts ---------------------------------------------------------------------------------------------------------


def test_classes_are_digits_and_capitals_sorted(family):
    assert "".join(family.classes) == "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    assert list(family.classes) == sorted(family.classes)


def test_a_folder_of_fonts_replaces_those_of_the_machine(family):
    assert family.knobs["font"].options == ("DejaVuSans", "DejaVuSansMono-Oblique", "DejaVuSerif-Bold")
    assert family.knobs["font"].nominal == "DejaVuSans"


def test_fonts_of_the_machine_are_letters(tmp_path):
    family = Characters(None, Backdrops(None))
    assert "DejaVuSans" in family.knobs["font"].options
    assert not {"cmsy10", "cmex10", "LastResortHE-Regular", "DejaVuSansDisplay"} & set(family.knobs["font"].options)


def test_fonts_that_cannot_be_used_are_left_out_and_told(tmp_path):
    copy_fonts(tmp_path, "cmr10", "cmsy10", "DejaVuSansDisplay")
    (tmp_path / "broken.otf").write_bytes(b"no font")
    family = Characters(tmp_path, Backdrops(None))
    assert family.knobs["font"].options == ("cmr10",)
    assert family.left_out["DejaVuSansDisplay.ttf"] == "has no '0'"
    assert family.left_out["cmsy10.ttf"] == "holds symbols in place of letters"
    assert family.left_out["broken.otf"].startswith("cannot be read (")


def test_a_font_without_digits_alone_is_refused(tmp_path):
    copy_fonts(tmp_path, "DejaVuSansDisplay")
    with pytest.raises(DataError) as caught:
        Characters(tmp_path, Backdrops(None))
    assert (
        str(caught.value)
        == f"expected a font with 0-9 and A-Z in '{tmp_path}', found 'DejaVuSansDisplay.ttf' has no '0'. "
        "Name a folder of fonts with --assets"
    )


def test_folders_without_fonts_are_refused(tmp_path):
    with pytest.raises(DataError) as caught:
        Characters(tmp_path, Backdrops(None))
    assert (
        str(caught.value) == f"expected a font with 0-9 and A-Z in '{tmp_path}', found no font at all. "
        "Name a folder of fonts with --assets"
    )
    with pytest.raises(DataError) as caught:
        Characters(tmp_path / "none", Backdrops(None))
    assert str(caught.value) == f"expected a folder of fonts at '{tmp_path / 'none'}', and there is none"


# ---- letters -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fill", [0.6, 0.9])
@pytest.mark.parametrize(
    "style", [{}, {"slant": 20.0}, {"weight": 0.06}, {"yaw": 30.0, "pitch": 10.0}, {"squeeze": 1.0}]
)
@pytest.mark.parametrize("label", ["I", "M", "Q"])
def test_the_letter_fills_what_the_knob_says(family, label, fill, style):
    left, top, right, bottom = guides(scene(family, label, fill=fill, **style)[0], 128).box
    assert max(right - left, bottom - top) / 128 == pytest.approx(fill, abs=0.025)


def test_letters_stand_upright_and_are_not_mirrored(family):
    mask = guides(scene(family, "L", fill=0.9)[0], 64).mask > 0.5
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    assert mask[rows[-2]].sum() > 2 * mask[rows[2]].sum()  # the bar is at the bottom
    assert mask[:, columns[1]].sum() > 4 * mask[:, columns[-2]].sum()  # the stem at the left


def test_letters_keep_their_holes(family):
    mask = guides(scene(family, "O", fill=0.9)[0], 64).mask
    assert mask[32, 32] == 0
    assert mask.mean() > 0.05


def test_weight_makes_strokes_thicker_and_none_vanish(family):
    thin, usual, thick = (guides(scene(family, "E", weight=weight)[0], 64).mask.sum() for weight in (-0.05, 0.0, 0.05))
    assert 0.4 * usual < thin < usual < thick


def test_slant_leans_to_the_right(family):
    mask = guides(scene(family, "I", slant=20.0)[0], 64).mask > 0.5
    rows = np.flatnonzero(mask.any(1))
    top, bottom = (np.flatnonzero(mask[row]).mean() for row in (rows[3], rows[-4]))
    assert top > bottom + 8


def test_yaw_turns_the_right_way(family):
    mask = guides(scene(family, "H", yaw=40.0, distance=2.5)[0], 128).mask > 0.5
    columns = np.flatnonzero(mask.any(0))
    assert mask[:, columns[3]].sum() > mask[:, columns[-4]].sum() + 5  # its right side is farther away


def test_raised_letters_have_sides(family):
    flat, _ = photo(family, "T", 64, strength=0.0, yaw=35.0)
    raised, _ = photo(family, "T", 64, strength=0.0, yaw=35.0, relief="raised", depth=0.25)
    assert (flat != raised).mean() > 0.05


def test_neighbours_stand_at_the_edges_and_are_no_subject(family):
    alone = guides(scene(family, "I", fill=0.7)[0], 64)
    both = guides(scene(family, "I", fill=0.7, neighbours="both", spacing=0.05)[0], 64)
    assert (alone.mask == both.mask).all()
    changed = np.flatnonzero((alone.albedo != both.albedo).any(axis=(0, 2)))
    assert changed.min() < 16
    assert changed.max() > 48


@pytest.mark.parametrize("board", [0.1, 0.3, 0.5, 0.7, 0.95])
@pytest.mark.parametrize("ink", [0.1, 0.3, 0.5, 0.7, 0.95])
def test_letters_differ_from_their_board(family, ink, board):
    pixels, seen = photo(family, "H", 64, strength=0.0, ink_value=ink, board_value=board, ink_contrast=0.4)
    grey = pixels.mean(2)
    assert abs(grey[seen.mask > 0.99].mean() - grey[seen.mask < 0.01].mean()) > 25


# ---- variation -----------------------------------------------------------------------------------------------------


def test_without_variation_every_image_of_a_class_is_the_same(family):
    first, second = (photo(family, "R", strength=0.0, index=index)[0] for index in (0, 7))
    assert (first == second).all()


def test_with_variation_no_two_images_are_the_same(family):
    assert len({photo(family, "R", index=index)[0].tobytes() for index in range(20)}) == 20


@pytest.mark.parametrize(
    "knob",
    [
        {"font": "DejaVuSerif-Bold"},
        {"ink_hue": 0.1, "ink_saturation": 0.9, "ink_value": 0.3},
        {"ink_slope": 0.7},
        {"wear": 0.7},
        {"metal": 1},
        {"glow": 2.0},
        {"outline": 0.06},
        {"drop": 0.1},
        {"board": "plate"},
        {"board": "none"},
        {"board_pattern": "brick"},
        {"board_value": 0.5},
        {"shadow": 0.4},
        {"leaves": 0.25},
    ],
)
def test_each_knob_alone_changes_the_image(family, knob):
    before, _ = photo(family, "R", 64, strength=0.0, fill=0.5)
    after, _ = photo(family, "R", 64, strength=0.0, fill=0.5, **knob)
    assert (before != after).mean() > 0.005


def test_only_the_subject_depends_on_the_class(family):
    for index in range(40):
        recipe = Recipe("characters")
        knobs = with_overrides(family.knobs, {"neighbours": "none", "board": ["wall", "none"], "shadow": 0})
        factors = recipe.factors(knobs, "A", index, "realtime")
        one, other = (family.scene(label, factors, np.random.default_rng(index)) for label in "AB")
        assert (one.backdrop == other.backdrop).all()
        assert one.light == other.light
        for left, right in zip(one.parts, other.parts, strict=True):
            assert left.subject == right.subject
            assert (left.material.texture == right.material.texture).all()


def check(pixels, seen, *, place):
    """Something is to be seen, and the letter is in the frame."""
    assert pixels.std() > 0.8, f"{place} is blank"
    assert (pixels.min(2) >= 254).mean() < 0.97, f"{place} is blown out"
    assert 0.02 < seen.mask.mean() < 0.95, f"{place}: the letter takes {seen.mask.mean():.2f} of the image"
    left, top, right, bottom = seen.box
    assert abs((left + right) / 2 - 16) < 7, place
    assert abs((top + bottom) / 2 - 16) < 7, place


def test_each_image_shows_its_letter(family):
    for label in CLASSES:
        for index in range(4):
            check(*photo(family, label, index=index), place=f"{label} {index}")


@pytest.mark.slow
def test_each_image_of_the_fonts_on_the_machine_shows_its_letter():
    family = Characters(None, Backdrops(None))
    for label in CLASSES:
        for index in range(60):
            check(*photo(family, label, index=index), place=f"{label} {index}")
