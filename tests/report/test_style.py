"""Colours and hatches tell methods and rows apart."""

import pytest

from weighbridge.report import style
from weighbridge.report.comparison_figures import _looks
from weighbridge.report.style import row_colours
from weighbridge.settings.catalogue import METHODS


def test_every_method_has_a_colour_of_its_own_wherever_it_stands():
    assert set(style._COLOURS) <= set(METHODS)
    alone = [row_colours([method])[0] for method in METHODS]
    assert len(set(alone)) == len(METHODS)
    assert set(style._COLOURS.values()).isdisjoint(style._OTHERS)
    assert set(row_colours(["a method to come", "another one"])) <= {colour.lower() for colour in style._OTHERS}
    assert row_colours(METHODS[::-1]) == alone[::-1]
    second = [row_colours(["dann", "dann"])[1] if method == "dann" else alone[k] for k, method in enumerate(METHODS)]
    assert row_colours(["dann", *METHODS])[1:] == second


def test_a_figure_that_cannot_be_drawn_leaves_what_was_there(tmp_path):
    path = tmp_path / "figure.png"
    style.save(style.one_panel(2.0)[0], path)
    before = path.read_bytes()
    figure, axes = style.one_panel(2.0)
    axes.set_title("$unfinished {$")
    with pytest.raises(ValueError):
        style.save(figure, path)
    assert path.read_bytes() == before
    assert [left.name for left in tmp_path.iterdir()] == ["figure.png"]


def test_twenty_rows_of_a_method_can_be_told_apart():
    assert len(set(_looks(["weighted-dann"] * 20))) == 20
    assert len(set(row_colours(["source-only", *["weighted-dann"] * 4, *["dann"] * 3, "adda", "mcc"]))) == 10
