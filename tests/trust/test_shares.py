"""Shares of classes: estimated, expected, and strange."""

import numpy as np
import pytest

from weighbridge.trust.shares import (
    Expected,
    Flow,
    confusion_of,
    estimated_shares,
    expected_shares,
    flows,
    sinks,
    vanished,
)


def test_the_confusion_has_a_column_for_each_class():
    probabilities = np.array([[0.8, 0.2], [0.6, 0.4], [0.1, 0.9]])
    # Class 0: (0.8 + 0.6 + 1) / 3 and (0.2 + 0.4) / 3. Class 1: 0.1 / 2 and (0.9 + 1) / 2.
    assert confusion_of(probabilities, np.array([0, 0, 1])) == pytest.approx(np.array([[0.8, 0.05], [0.2, 0.95]]))


def test_a_class_without_held_out_renders_is_taken_as_told_right():
    assert confusion_of(np.array([[1.0, 0.0]]), np.array([0]))[:, 1] == pytest.approx([0.0, 1.0])


def test_shares_are_found_behind_the_confusion():
    confusion = np.array([[0.9, 0.3], [0.1, 0.7]])
    predicted = confusion @ [0.2, 0.8]  # (0.42, 0.58)
    assert estimated_shares(confusion, predicted, rounds=2000) == pytest.approx([0.2, 0.8], abs=1e-3)


def drawn(random, shares, count, sure=0.9):
    """Predictions of a model that gives its class 0.9, and is right that often; and the true classes."""
    kinds = len(shares)
    labels = random.choice(kinds, size=count, p=shares)
    off = (1.0 - sure) / (kinds - 1)
    told = np.where(random.random(count) < sure, labels, (labels + random.integers(1, kinds, count)) % kinds)
    return np.where(np.eye(kinds)[told] > 0, sure, off), labels


def test_the_error_of_expected_shares_is_what_other_samples_would_give():
    random, shares, found = np.random.default_rng(0), np.array([0.5, 0.3, 0.2]), []
    for seed in range(60):
        renders, labels = drawn(random, np.full(3, 1 / 3), 200)
        photos, _ = drawn(random, shares, 300)
        found.append(expected_shares(renders, labels, photos, draws=30, seed=seed))
    spread = np.std([expected.share for expected in found], axis=0)
    counting = np.sqrt(shares * (1 - shares) / 300)
    errors = np.mean([expected.error for expected in found], axis=0)
    assert errors == pytest.approx(np.hypot(spread, counting), rel=0.25)


def test_the_judged_model_has_a_confusion_of_its_own():
    renders, labels = np.repeat(np.eye(2), 500, axis=0), np.repeat([0, 1], 500)
    photos = np.repeat(np.eye(2), [300, 700], axis=0)
    judged = np.where(labels[:, None] == 0, [0.5, 0.5], [0.0, 1.0])
    # Half of class 0 is told as class 1: 0.3 / 2 and 0.7 + 0.3 / 2, but for the one image that each class has more.
    assert expected_shares(renders, labels, photos, judged, draws=5).share == pytest.approx([0.15, 0.85], abs=2e-3)


EXPECTED = Expected(np.array([0.1, 0.3, 0.6]), np.full(3, 0.01))


def test_limits_hold_for_all_classes_together():
    low, high = EXPECTED.limits()
    reach = 2.935 * 0.01  # of a normal: 1 % over two sides and three classes
    assert high == pytest.approx([0.1 + reach, 0.3 + reach, 0.6 + reach], abs=1e-4)
    assert low == pytest.approx([0.1 - reach, 0.3 - reach, 0.6 - reach], abs=1e-4)


def test_a_class_that_swallows_others_is_a_sink():
    assert sinks(np.array([0.52, 0.18, 0.3]), EXPECTED) == [0]
    assert sinks(np.array([0.19, 0.3, 0.51]), EXPECTED) == []  # clear, and no tenth of all photos
    assert sinks(np.array([0.1, 0.5, 0.4]), EXPECTED) == []  # 20 points more, and not twice as many
    assert sinks(np.array([0.52, 0.18, 0.3]), Expected(EXPECTED.share, np.full(3, 0.2))) == []  # sampling explains it


def test_a_class_that_loses_its_photos_has_vanished():
    assert vanished(np.array([0.1, 0.05, 0.85]), EXPECTED) == [1]
    assert vanished(np.array([0.0, 0.0, 1.0]), EXPECTED) == [1, 0]
    assert vanished(np.array([0.04, 0.3, 0.66]), EXPECTED) == []  # fewer, and more than a quarter
    assert vanished(np.array([0.0, 0.3, 0.7]), Expected(EXPECTED.share, np.full(3, 0.05))) == []


def test_flows_count_who_went_where():
    before, after = np.array([0, 0, 0, 1, 2, 2]), np.array([1, 1, 0, 1, 0, 2])
    assert flows(before, after, 3) == [Flow(0, 1, 2), Flow(2, 0, 1)]
    assert flows(before, before, 3) == []
