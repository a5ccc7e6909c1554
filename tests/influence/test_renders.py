"""Which group is named, where the truth is known by construction; and what is left out."""

import dataclasses

import numpy as np
import pytest
from scipy import stats

from weighbridge.influence.estimates import Bounds, chances, lowest_fifth, mean_with_interval, unlike_chance
from weighbridge.influence.factors import groups_of
from weighbridge.influence.renders import Left, Renders, group_name
from weighbridge.influence.words import dropping_sentence, next_sentences

CLASSES = ("airplane", "car", "ship")


def some_renders(spoilt=None, *, seed=0, count=120):
    """Renders of three classes with two factors; `spoilt` (labels, up, elevation) -> (N,) bool are worth less."""
    random = np.random.default_rng(seed)
    labels = np.arange(3 * count) // count
    up = np.where(random.random(3 * count) < 0.4, "y", "z")
    elevation = random.uniform(0, 90, 3 * count)
    values = random.normal(size=3 * count)
    if spoilt is not None:
        values[spoilt(labels, up, elevation)] -= 4
    return Renders(
        files=tuple(f"{k}.png" for k in range(3 * count)),
        classes=CLASSES,
        labels=labels,
        source_names=("renders",),
        sources=np.zeros(3 * count, dtype=int),
        families=np.arange(3 * count),
        values=values,
        by_labels=None,
        weights=None,
        factors={"up": up.tolist(), "elevation": [f"{e:.4f}" for e in elevation]},
    )


def sentences_of(renders):
    named = [renders.value_of(group) for group in renders.named()]
    classes = [renders.value_of(group) for group in renders.groups if group.kind == "class"]
    return next_sentences(named, classes, {})


def test_a_class_whose_meshes_stand_on_their_noses_is_named_with_its_factor():
    renders = some_renders(lambda labels, up, elevation: (labels == 1) & (up == "y"))
    spoilt = (renders.labels == 1) & (np.array(renders.factors["up"]) == "y")
    assert renders.lowest[spoilt].mean() > 0.9
    first, second, *_ = sentences_of(renders)
    assert first.startswith("Look at the renders of class car: ")
    assert second.startswith("Look at the renders of class car with up y: ")
    assert not [text for text in sentences_of(renders) if "class ship" in text or "class airplane" in text]
    assert [group for group in renders.groups if (group.range, group.label) == ("y", None)]
    assert not [group for group in renders.named() if (group.range, group.label) == ("y", None)]  # the cars explain it


@pytest.mark.parametrize(
    ("earned", "advice"),
    [
        ((-0.3, -0.4, -0.2), "Mend or render fewer"),
        ((-0.1, -0.4, +0.2), "Look at the renders"),  # a training without them did not bear it out
        ((+0.3, +0.2, +0.4), "Look at the renders"),
    ],
)
def test_advice_says_only_what_a_training_bears_out(earned, advice):
    renders = some_renders(lambda labels, up, elevation: (labels == 1) & (up == "y"))
    named = [renders.value_of(group) for group in renders.named()]
    (text,) = next_sentences(
        [entry for entry in named if entry.group.range == "y"], [], {("up", "y", "car"): Bounds(*earned)}
    )
    assert text.startswith(f"{advice} of class car with up y: ")
    better = next_sentences(
        [entry for entry in named if entry.group.range == "z"], [], {("up", "z", "car"): Bounds(*earned)}
    )
    assert better[0].startswith("Render more" if earned[1] > 0 else "Perhaps render more")


def test_what_is_worse_is_left_out_before_what_is_better():
    renders = some_renders(lambda labels, up, elevation: (labels == 1) & (up == "y"))
    names = [group_name(group) for group in renders.to_leave_out()]
    assert names[0] == "up y of class car"
    assert "up z of class car" in names[1:]


def test_meshes_of_which_few_renders_exist_are_named_together():
    # 13 meshes of one class, about 9 renders each; 8 of them are spoilt, as they stand on their noses
    random = np.random.default_rng(0)
    renders = some_renders()
    meshes = np.where(renders.labels == 1, [f"car{k}.glb" for k in random.integers(0, 13, 360)], "other.glb")
    fallen = np.isin(meshes, [f"car{k}.glb" for k in range(8)])
    values = renders.values - 4 * fallen
    found = dataclasses.replace(renders, values=values, factors={"mesh": meshes.tolist()})
    text, better = (text for text in sentences_of(found) if "mesh" in text)
    assert text.startswith("Look at the renders of class car with mesh car")
    assert better.startswith("Perhaps render more of class car with mesh car")
    told = [
        group.range for group in found.named() if group.name == "mesh" and found.value_of(group).share.estimate > 0.5
    ]
    assert set(told) <= {f"car{k}.glb" for k in range(8)}
    assert told


def test_a_range_that_is_worse_in_all_classes_is_named():
    renders = some_renders(lambda labels, up, elevation: elevation > 67.5)
    first = sentences_of(renders)[0]
    assert first.startswith("Look at the renders with elevation ")
    low, high = first.removeprefix("Look at the renders with elevation ").split(":")[0].split(" to ")
    assert (float(low), float(high)) == pytest.approx((67.5, 90), abs=5)
    assert any(text.startswith("Perhaps render more with elevation ") for text in sentences_of(renders))


def test_where_nothing_is_worse_nothing_is_named():
    told = [renders.named() for renders in (some_renders(seed=seed) for seed in range(40))]
    assert sum(bool(groups) for groups in told) <= 6  # 5 % of 40, and three standard errors
    assert sentences_of(some_renders(seed=0))[0].startswith("No class, source or factor stands out.")


def test_a_class_that_is_worse_as_a_whole_makes_none_of_its_factors_look_worse():
    # all ships are low, and most are seen from above; within a class elevation changes nothing
    random = np.random.default_rng(0)
    labels = np.arange(300) // 100
    above = random.random(300) < np.where(labels == 2, 0.8, 0.2)
    lowest = random.random(300) < np.where(labels == 2, 0.6, 0.1)
    assert unlike_chance(above.astype(int), lowest, np.zeros(300)) < 1e-6
    assert unlike_chance(above.astype(int), lowest, labels) > 0.05


def test_the_test_of_mantel_and_haenszel_by_hand():
    # one stratum of 10, 4 lowest, 5 in the group of which 4: expected 2, variance 5*5*4*6/(100*9) = 2/3
    group, lowest = np.arange(10) < 5, np.arange(10) < 4
    z = 2 / np.sqrt(2 / 3)
    assert z == pytest.approx(2.4495, abs=1e-4)
    assert unlike_chance(group.astype(int), lowest, np.zeros(10)) == pytest.approx(2 * (1 - 0.9928472), abs=1e-5)
    assert unlike_chance(group.astype(int), np.zeros(10, dtype=bool), np.zeros(10)) == 1.0


def test_many_parts_of_one_stratum_are_the_test_of_kruskal_and_wallis():
    random = np.random.default_rng(0)
    parts, values = random.integers(0, 5, 200), random.normal(size=200).round(1)
    expected = stats.kruskal(*(values[parts == part] for part in range(5))).pvalue
    assert unlike_chance(parts, values, np.zeros(200)) == pytest.approx(expected)


def test_the_lowest_fifth_takes_no_more_than_half_of_a_class():
    labels = np.array([0] * 10 + [1] * 40)
    lowest = lowest_fifth(np.where(labels == 0, -1.0, np.arange(50)), labels)
    assert lowest.sum() == 10
    assert lowest[labels == 0].sum() == 5
    assert np.flatnonzero(lowest[10:]).tolist() == [0, 1, 2, 3, 4]


def test_among_equal_values_it_is_not_the_first_rows_that_are_lowest():
    lowest = lowest_fifth(np.zeros(1000), np.zeros(1000, dtype=int))
    assert 60 < lowest[:500].sum() < 140  # 100 expected, standard error 9


def test_an_interval_of_families_is_wider_where_they_agree():
    values = np.repeat(np.random.default_rng(0).normal(size=30), 10)
    alone = mean_with_interval(values, np.arange(300))
    together = mean_with_interval(values, np.arange(300) // 10)
    assert alone.estimate == together.estimate == pytest.approx(values.mean())
    assert (together.high - together.low) > 2 * (alone.high - alone.low)


def test_a_random_fifth_is_another_for_each_seed_and_the_same_for_one():
    fifth = Left("a random fifth", None, 50)
    assert fifth.out(0).sum() == 10
    assert (fifth.out(0) == fifth.out(0)).all()
    assert (fifth.out(0) != fifth.out(1)).any()


def test_no_training_is_planned_without_all_of_a_class():
    labels, sources = np.repeat([0, 1], 40), np.repeat([0, 1], 40)  # each source has one class
    renders = Renders(("",) * 80, ("cup", "mug"), labels, ("a", "b"), sources, labels, labels * 1.0, None, None, {})
    assert renders.groups
    assert renders.to_leave_out() == []


def test_groups_are_called_by_what_they_are():
    groups = groups_of(np.arange(80) % 2, ["cup", "mug"], np.zeros(80), ["studio"], {"up": ["y"] * 40 + ["z"] * 40})
    names = [group_name(group) for group in groups]
    assert names[:4] == ["class cup", "class mug", "source studio", "up y"]
    assert "up z of class mug" in names
    together, alone = chances(groups, np.arange(80.0), np.arange(80) % 2, np.zeros(80))
    assert len(together) == len(alone) == len(groups)


def test_what_dropping_did_is_said_with_its_interval():
    low, none = Bounds(-0.03, -0.05, -0.01), Bounds(0.0, -0.02, 0.02)
    assert dropping_sentence(low, none, Bounds(-1.25, -2.0, -0.5)) == (
        "The lowest fifth earned -0.030 [-0.050, -0.010] nats, and a random fifth +0.000 [-0.020, +0.020]. "
        "In accuracy the lowest fifth earned -1.2 [-2.0, -0.5] points. "
        "Train without it: --source without-lowest-fifth.csv in the run folder."
    )
    assert dropping_sentence(Bounds(0.2, 0.1, 0.3), none, None).endswith("Keep it.")
    assert dropping_sentence(none, none, None).endswith("Whether to keep it is not decided by this.")
