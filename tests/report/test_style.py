"""Colours and hatches tell methods and rows apart."""

from weighbridge.report import style
from weighbridge.report.comparison_figures import _looks
from weighbridge.report.style import row_colours
from weighbridge.settings.catalogue import METHODS


def test_every_method_has_a_colour_of_its_own_wherever_it_stands():
    assert set(METHODS) <= set(style._COLOURS)
    alone = [row_colours([method])[0] for method in METHODS]
    assert len(set(alone)) == len(METHODS)
    assert set(alone).isdisjoint(row_colours(["a method to come", "another one"]))
    assert row_colours(METHODS[::-1]) == alone[::-1]
    assert row_colours(["dann", *METHODS])[1:] == [alone[0], row_colours(["dann", "dann"])[1], *alone[2:]]


def test_twenty_rows_of_a_method_can_be_told_apart():
    assert len(set(_looks(["weighted-dann"] * 20))) == 20
    assert len(set(row_colours(["source-only", *["weighted-dann"] * 4, *["dann"] * 3, "adda", "mcc"]))) == 10
