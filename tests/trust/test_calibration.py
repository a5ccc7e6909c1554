"""Temperatures, calibration error, and the threshold of doubt."""

import numpy as np
import pytest

from weighbridge.trust.calibration import (
    doubt_threshold,
    expected_calibration_error,
    fit_temperature,
    probabilities_of,
    temperature_of_confidence,
)


def test_a_temperature_divides_logits():
    found = probabilities_of(np.array([[np.log(4.0), 0.0]]), 2.0)  # softmax(ln 2, 0)
    assert found == pytest.approx(np.array([[2 / 3, 1 / 3]]))


def test_the_temperature_makes_confidence_the_accuracy_of_labelled_images():
    # Logits ln 9 claim 0.9, and 3 of 4 are right. With Platt's targets (4000 + 1) / (4000 + 2) confidence is 0.75.
    logits = np.tile([[np.log(9.0), 0.0]], (4000, 1))
    labels = np.arange(4000) % 4 // 3
    temperature = fit_temperature(logits, labels)
    assert probabilities_of(logits, temperature)[0, 0] == pytest.approx(0.75, abs=1e-3)
    assert temperature == pytest.approx(np.log(9.0) / np.log(3.0), abs=1e-2)


def test_the_temperature_of_images_that_are_all_right_is_no_limit():
    # 8 of 8 right: Platt's target is 9 / 10, so ln 9 / T = ln 9 and T = 1.
    logits = np.tile([[np.log(9.0), 0.0]], (8, 1))
    assert fit_temperature(logits, np.zeros(8, dtype=int)) == pytest.approx(1.0, abs=1e-3)


def test_a_temperature_is_found_for_a_mean_confidence():
    logits = np.array([[np.log(9.0), 0.0], [np.log(9.0), 0.0]])
    temperature = temperature_of_confidence(logits, 0.75)
    assert temperature == pytest.approx(2.0, abs=1e-3)  # ln 9 / 2 = ln 3, and 3 : 1 is 0.75


@pytest.mark.parametrize(("confidence", "limit"), [(1.0, 0.02), (0.2, 500.0)])
def test_confidences_that_no_temperature_gives_end_at_the_limits(confidence, limit):
    logits = np.array([[0.01, 0.0]])
    assert temperature_of_confidence(logits, confidence) == pytest.approx(limit)


def test_calibration_error_is_the_gap_weighted_by_images():
    # 3 images at 0.9, 2 right: gap |2 - 2.7| = 0.7. 1 image at 0.6, right: gap 0.4. (0.7 + 0.4) / 4.
    probability, right = np.array([0.9, 0.9, 0.9, 0.6]), np.array([True, True, False, True])
    assert expected_calibration_error(probability, right) == pytest.approx(1.1 / 4)


def test_a_person_looks_below_the_probability_where_belief_reaches_the_wanted_share():
    probability = np.array([0.99, 0.6, 0.9, 0.8])
    belief = np.array([0.97, 0.5, 0.92, 0.7])
    assert doubt_threshold(probability, belief) == 0.9
    # Belief falls from 0.94 to 0.88 behind 0.9: together 0.91, so both are above.
    assert doubt_threshold(np.array([0.8, 0.9, 0.95]), np.array([0.5, 0.94, 0.88])) == 0.9
    assert doubt_threshold(probability, belief, error=0.01) == 1.0
