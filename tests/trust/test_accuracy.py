"""Accuracy on photos without labels."""

import numpy as np
import pytest

from weighbridge.trust.accuracy import average_thresholded_confidence, combined, difference_of_confidences


def sure(*confidences):
    """Predictions of class 0 of two, with these probabilities."""
    return np.array([[c, 1.0 - c] for c in confidences])


HELD_OUT, LABELS = sure(0.9, 0.8, 0.7, 0.6), np.array([0, 0, 1, 0])


def test_atc_counts_photos_above_the_score_that_as_many_renders_exceed_as_are_right():
    # 3 of 4 right: the threshold is the second lowest score, that of 0.7.
    assert average_thresholded_confidence(HELD_OUT, LABELS, sure(0.95, 0.71, 0.69, 0.55, 0.5)) == pytest.approx(2 / 5)
    assert average_thresholded_confidence(HELD_OUT, LABELS, HELD_OUT) == pytest.approx(3 / 4)


def test_atc_of_a_model_without_errors_or_without_hits():
    assert average_thresholded_confidence(HELD_OUT, np.zeros(4, int), sure(0.61, 0.59)) == pytest.approx(1 / 2)
    assert average_thresholded_confidence(HELD_OUT, np.ones(4, int), HELD_OUT) == 0.0


def test_accuracy_falls_as_confidence_does():
    # 0.75 on renders at a confidence of 0.75; photos have 0.65.
    assert difference_of_confidences(HELD_OUT, LABELS, sure(0.7, 0.6)) == pytest.approx(0.65)


def test_estimates_are_averaged_and_the_range_holds_all_of_them():
    found = combined({"one": 0.9, "other": 0.5}, 100)
    assert found.estimate == pytest.approx(0.7)
    # Odds of 1 / 2.25 are 0.3077, and 1.96 x 0.05 of counting. Odds of 9 x 2.25 are 0.9529, and 1.96 x 0.03.
    assert found.low == pytest.approx(1 / 3.25 - 1.96 * 0.05)
    assert found.high == 1.0
    assert combined({"one": 0.9}, 10_000).high == pytest.approx(20.25 / 21.25 + 1.96 * 0.003)
    assert found.how == "by one 90 %, other 50 %"


def test_a_witness_may_count_double():
    assert combined({"one": 0.9, "other": 0.6}, 100, trusted="one").estimate == pytest.approx(0.8)


def test_estimates_of_everything_or_nothing_leave_room():
    assert combined({"one": 1.0}, 50).low < 0.98
    assert combined({"one": 0.0}, 50).high > 0.02
