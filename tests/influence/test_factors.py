"""Factors beside renders, and the groups they make."""

import numpy as np

from weighbridge.influence.factors import groups_of, read_factors


def write_table(folder, lines):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "metadata.csv").write_text("\n".join(lines) + "\n")


def test_factors_are_found_by_the_path_of_each_image(tmp_path):
    write_table(tmp_path / "a", ["file,label,index,seed,elevation", "mug/0.png,mug,0,0,12.5", "mug/1.png,mug,1,0,50"])
    write_table(tmp_path / "b", ["file,label,up", "train/mug/0.png,mug,z"])
    files = [tmp_path / "a/mug/1.png", tmp_path / "b/train/mug/0.png", tmp_path / "b/train/mug/9.png"]
    assert read_factors([str(file) for file in files]) == {"elevation": ["50", "", ""], "up": ["", "z", ""]}


def test_without_a_table_there_are_no_factors(tmp_path):
    assert read_factors([str(tmp_path / "mug/0.png")]) == {}


def some_groups(factors, count):
    labels = np.arange(count) % 2
    return groups_of(labels, ["cup", "mug"], np.zeros(count, dtype=int), ["renders"], factors)


def test_numbers_are_cut_at_their_quartiles_and_the_same_for_all_classes():
    found = some_groups({"turn": [str(k) for k in range(80)]}, 80)
    assert [g.range for g in found if g.name == "turn" and g.label is None] == [
        *("0 to 19", "20 to 39", "40 to 59", "60 to 79")
    ]
    mugs = [g for g in found if g.label == "mug"]
    assert [(g.range, g.images) for g in mugs] == [(g.range, 10) for g in found if g.name == "turn" and not g.label]


def test_a_factor_that_is_mostly_nothing_keeps_nothing_as_a_range_of_its_own():
    found = some_groups({"haze": ["0"] * 50 + [f"{0.1 + k / 100:.2f}" for k in range(30)]}, 80)
    assert next((g.range, g.images) for g in found if g.name == "haze" and g.label is None) == ("0", 50)


def test_few_different_numbers_and_words_are_categories():
    found = some_groups({"occluders": ["0", "1"] * 20, "floor": ["plain"] * 20 + ["checker"] * 20}, 40)
    over_all = [(g.name, g.range) for g in found if g.kind == "factor" and g.label is None]
    assert over_all == [("occluders", "0"), ("occluders", "1"), ("floor", "checker"), ("floor", "plain")]


def test_groups_are_not_made_of_a_few_or_of_all_but_a_few():
    found = some_groups({"floor": ["plain"] * 36 + ["checker"] * 4}, 40)
    assert not [g for g in found if g.name == "floor"]


def test_a_value_that_is_not_known_is_in_no_group():
    found = some_groups({"turn": [""] * 20 + ["left"] * 20 + ["right"] * 20}, 60)
    turns = {g.range: g.images for g in found if g.name == "turn" and g.label is None}
    assert turns == {"left": 20, "right": 20}


def test_within_a_class_one_source_is_held_against_the_others():
    labels, sources = np.arange(80) % 2, np.arange(80) // 40
    found = groups_of(labels, ["cup", "mug"], sources, ["plain", "studio"], {})
    within = [(g.range, g.label, g.images) for g in found if g.kind == "factor"]
    assert within == [(s, c, 20) for c in ("cup", "mug") for s in ("plain", "studio")]
