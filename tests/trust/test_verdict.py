"""The rule: which model to keep, by worlds where it is known which is better."""

import dataclasses

import numpy as np
import pytest

from trust.made import KINDS, world
from weighbridge.trust.calibration import expected_calibration_error, probabilities_of
from weighbridge.trust.evidence import Evidence
from weighbridge.trust.verdict import decide, judge
from weighbridge.trust.words import next_steps

CLASSES = [f"class {k}" for k in range(KINDS)]


def judged(made, model, **more):
    alike = (np.arange(len(made.truth)), made.features)
    settings = {"before": made.before, "alike": alike, **more}
    return judge(classes=CLASSES, labels=made.labels, held_out=model[0], photos=model[1], **settings)


def test_a_model_that_learned_the_photos_is_kept():
    made = world()
    assert made.right(made.centred) > made.right(made.before) + 0.15
    found = judged(made, made.centred)
    assert found.verdict == "adapted"
    assert found.headline.startswith("Keep the adapted model")
    assert found.accuracy.low <= made.right(made.centred) <= found.accuracy.high
    assert found.renders_only_accuracy.low <= made.right(made.before) <= found.renders_only_accuracy.high


def test_a_class_that_swallows_half_of_the_photos_is_called():
    """The case that must not pass: 52 % of the photos are taken for a class that a tenth of them are, and surely."""
    made = world(gap=2.5)
    sunk = made.sunk(0.45)
    assert probabilities_of(sunk[1]).max(axis=1).mean() > 0.9
    assert (sunk[1].argmax(axis=1) == 0).mean() > 0.45
    found = judged(made, sunk)
    assert found.verdict == "renders-only"
    assert found.evidence[0].name == "sink class"
    assert "are taken for 'class 0', where" in found.headline
    assert found.accuracy.low <= made.right(sunk) <= found.accuracy.high


def test_a_model_that_tells_photos_at_random_is_not_kept():
    made = world()
    rows = np.random.default_rng(2).permutation(len(made.truth))
    held_out, photos = made.centred
    worse = photos.copy()
    worse[: len(rows) // 2] = photos[rows[: len(rows) // 2]]
    found = judged(made, (held_out, worse))
    assert found.verdict == "renders-only"


def test_a_model_that_changes_nothing_makes_no_difference():
    made = world()
    found = judged(made, (made.before[0], 1.5 * made.before[1]))
    assert found.verdict == "inconclusive"
    assert found.headline == "It makes no difference: adapting changed 0.0 % of the photos."


def test_a_model_that_forgot_the_renders_is_not_kept():
    made = world()
    held_out = made.before[0].copy()
    held_out[:100] = held_out[:100, ::-1]
    photos = made.before[1].copy()
    photos[:40] = photos[:40, ::-1]
    found = judged(made, (held_out, photos))
    assert found.verdict == "renders-only"
    assert any(piece.name == "held-out renders" and piece.alarm for piece in found.evidence)


def test_classes_that_lose_their_photos_are_told():
    made = world()
    held_out, photos = made.centred
    lost = photos.copy()
    lost[:, 3] -= 1000.0
    found = judged(made, (held_out, lost))
    (piece,) = (piece for piece in found.evidence if piece.name == "vanished classes")
    assert "Next to no photo is taken for 'class 3'" in piece.sentence


def test_other_shares_of_classes_are_no_alarm():
    made = world(gap=2.0, shares=[0.44] + [0.08] * 7)
    found = judged(made, made.centred)
    assert found.verdict == "adapted"
    assert not [piece for piece in found.evidence if piece.alarm and piece.favours == "renders-only"]


def test_seeds_that_differ_lower_the_estimate():
    made = world()
    random = np.random.default_rng(4)
    other = np.where(random.random(len(made.truth)) < 0.5, random.integers(KINDS, size=len(made.truth)), made.truth)
    found, alone = judged(made, made.centred, others=[other]), judged(made, made.centred)
    (piece,) = (piece for piece in found.evidence if piece.name == "seeds differ")
    assert piece.alarm
    assert found.accuracy.estimate < alone.accuracy.estimate


def test_without_a_renders_only_model_nothing_is_claimed():
    made = world()
    found = judged(made, made.centred, before=None)
    assert found.verdict == "inconclusive"
    assert "no renders-only model" in found.headline
    steps = next_steps("inconclusive", found.evidence, "runs/first", 0)
    assert any("--method source-only" in step for step in steps)
    alone = judged(made, made.before, before=None, adapts=False)
    assert (alone.verdict, alone.headline[:33]) == ("renders-only", "This is the renders-only model: a")


def test_probabilities_mean_more_than_before():
    made = world(gap=4.0)
    found = judged(made, made.before, before=None, adapts=False)
    right = made.before[1].argmax(axis=1) == made.truth
    errors = [
        expected_calibration_error(probabilities_of(made.before[1], temperature).max(axis=1), right)
        for temperature in (1.0, found.temperature)
    ]
    assert errors[1] < errors[0] - 0.02


def piece(name, favours, alarm=False):
    return Evidence(name, 0.0, None, alarm, favours, "A sentence.", "A paper.")


@pytest.mark.parametrize(
    ("neighbours", "information", "harm", "verdict"),
    [
        ("adapted", "adapted", False, "adapted"),
        ("adapted", None, False, "adapted"),
        ("adapted", "renders-only", False, "inconclusive"),
        (None, "adapted", False, "inconclusive"),  # methods raise it themselves
        (None, None, False, "inconclusive"),
        (None, "renders-only", False, "renders-only"),
        ("renders-only", None, False, "renders-only"),
        ("renders-only", "adapted", False, "renders-only"),
        ("renders-only", "adapted", True, "renders-only"),
        (None, "adapted", True, "renders-only"),
        ("adapted", None, True, "inconclusive"),
        ("adapted", "adapted", True, "adapted"),
    ],
)
def test_the_rule(neighbours, information, harm, verdict):
    evidence = [piece("neighbours", neighbours), piece("mutual information", information)]
    if harm:
        evidence.append(piece("sink class", "renders-only", True))
    assert decide(evidence, changed=0.2) == verdict
    assert decide(evidence, changed=0.01) == "inconclusive"


def test_what_to_do_next_is_said():
    changed, same = (dataclasses.replace(piece("changed photos", None), value=value) for value in (0.3, 0.005))
    sunk = [changed, piece("sink class", "renders-only", True)]
    steps = next_steps("renders-only", sunk, "runs/first", 12)
    assert "weighbridge label runs/first" in steps[0]
    assert any("--confidence-threshold" in step for step in steps)
    assert "12 doubtful" in next_steps("adapted", [changed], "runs/first", 12)[0]
    assert "settle it" in next_steps("inconclusive", [changed], "runs/first", 12)[0]
    assert "take either model" in next_steps("inconclusive", [same], "runs/first", 12)[0]
