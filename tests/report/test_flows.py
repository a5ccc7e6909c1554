"""Flows between classes and confusions, counted by hand."""

import itertools
import json

import numpy as np
import pytest

from weighbridge.report.confusions import heat_map, worst_pairs
from weighbridge.report.flows import flows_between, flows_of


def test_photos_are_counted_by_class_before_and_after():
    counts = flows_between(np.array([0, 0, 1, 2, 2]), np.array([0, 1, 1, 2, 0]), 3)
    assert counts.tolist() == [[1, 1, 0], [0, 1, 0], [1, 0, 1]]
    flows = flows_of(counts, ["a", "b", "c"])
    assert (flows.photos, flows.changed, flows.pairs, flows.rest) == (5, 2, 2, 0)
    assert flows.biggest == (("a", "b", 1), ("c", "a", 1))
    assert [band.words for band in flows.bands if not band.stays] == ["1 photo: a → b", "1 photo: c → a"]
    assert [band.words for band in flows.bands if band.stays] == [f"1 photo stay {name}" for name in "abc"]


def test_classes_are_as_high_as_they_have_photos_and_bands_fill_them():
    flows = flows_of(np.array([[30, 10], [0, 20]]), ["a", "b"])
    assert flows.left[0].height == pytest.approx(2 * flows.left[1].height)  # 40 and 20
    assert flows.right[0].height == pytest.approx(flows.right[1].height)  # 30 and 30
    assert sum(stop.height for stop in flows.left) == pytest.approx(sum(stop.height for stop in flows.right))
    start = [float(band.path.split("C")[0].split(" ")[1]) for band in flows.bands]
    assert start[0] == pytest.approx(flows.left[0].top)  # what stays in a
    assert start[2] == pytest.approx(flows.left[0].top + 0.75 * flows.left[0].height)  # what goes to b is below it


def test_names_beside_the_flows_do_not_cover_each_other():
    counts = np.diag([1000, *[1] * 13])
    counts[1, 2] = 1
    flows = flows_of(counts, [str(k) for k in range(14)])
    for stops in (flows.left, flows.right):
        middles = [stop.top + stop.height / 2 for stop in stops]
        assert all(b - a >= 15.9 for a, b in itertools.pairwise(middles))


def test_of_many_classes_the_largest_changes_stand_out_and_the_rest_is_summed():
    counts = np.diag([10] * 120)
    counts[7, 90], counts[90, 8], counts[3, 7] = 6, 5, 4
    flows = flows_of(counts, [f"{k:03}" for k in range(120)])
    assert {"003", "007", "008", "090"} <= {stop.name for stop in flows.left}
    assert flows.left[-1].name == "106 other classes"
    assert flows.undrawn == 1060
    assert flows.changed == 15
    assert sum(stop.photos for stop in flows.left) == 1215 - 1060
    assert flows.biggest[0] == ("007", "090", 6)


def test_without_photos_nothing_flows():
    assert flows_of(np.zeros((2, 2), dtype=int), ["a", "b"]) is None


def test_the_worst_pairs_are_those_of_most_images():
    counts = np.array([[8, 2, 0], [0, 3, 2], [5, 0, 45]])
    pairs, of = worst_pairs(counts, ["a", "b", "c"], most=2)
    assert of == 3
    assert [(pair.true, pair.predicted, pair.images, pair.of, pair.share) for pair in pairs] == [
        ("c", "a", 5, 50, 10.0),
        ("b", "c", 2, 5, 40.0),  # two of five before two of ten
    ]


def test_a_heat_map_has_every_cell_that_is_not_empty_once():
    counts = np.zeros((120, 120), dtype=int)
    counts[range(120), range(120)] = 9
    counts[5, 6], counts[0, 119] = 1, 3
    found = heat_map(counts, [str(k) for k in range(120)])
    cells = json.loads(found.cells)
    assert len(cells) == 122
    assert [0, 119, 3] in cells
    assert "".join(path for _, path in found.right).count("M") == 120
    assert sorted("".join(path for _, path in found.wrong).replace("h1v1h-1z", ";").split(";")) == [
        "",
        "M119 0",
        "M6 5",
    ]
    assert found.edge == 0
    assert found.cell * 120 <= 640
