"""Eq. 3 and the learning rate."""

import math

import pytest

from weighbridge.parts.schedules import (
    constant_strength,
    cosine_factor,
    learning_rate_factor,
    reversal_strength,
    warmed_up,
)


def test_strength_starts_at_zero():
    assert reversal_strength(0.0) == 0.0


def test_strength_at_a_tenth_is_tanh_of_a_half():
    # 2 / (1 + e^-1) - 1 = tanh(1/2) = 0.46212
    assert reversal_strength(0.1) == pytest.approx(0.46212, abs=5e-6)
    assert reversal_strength(0.1) == pytest.approx(math.tanh(0.5), abs=1e-12)


def test_strength_ends_just_below_one():
    assert reversal_strength(1.0) == pytest.approx(0.99991, abs=5e-6)


def test_gamma_sets_how_soon_it_rises():
    assert reversal_strength(0.1, gamma=20) == pytest.approx(reversal_strength(0.2, gamma=10))


def test_constant_strength_does_not_move():
    assert [constant_strength(0.3)(p) for p in (0.0, 0.5, 1.0)] == [0.3, 0.3, 0.3]


def test_learning_rate_falls_to_eleven_to_the_minus_three_quarters():
    assert learning_rate_factor(0.0) == 1.0
    assert learning_rate_factor(1.0) == pytest.approx(0.16556, abs=5e-6)


def test_alpha_zero_keeps_the_learning_rate():
    assert learning_rate_factor(0.7, alpha=0.0) == 1.0


def test_a_cosine_falls_to_nothing():
    assert [cosine_factor(p) for p in (0.0, 0.5, 1.0)] == pytest.approx([1.0, 0.5, 0.0], abs=1e-12)
    assert cosine_factor(0.25) == pytest.approx(0.5 + math.sqrt(0.125))


@pytest.mark.parametrize("schedule", [cosine_factor, learning_rate_factor])
def test_a_warm_up_is_a_line_and_the_whole_schedule_follows(schedule):
    warm = warmed_up(schedule, 0.2)
    assert [warm(p) for p in (0.0, 0.05, 0.1)] == pytest.approx([0.0, 0.25, 0.5])
    assert [warm(0.2 + 0.8 * q) for q in (0.0, 0.25, 0.5, 1.0)] == pytest.approx(
        [schedule(q) for q in (0.0, 0.25, 0.5, 1.0)], abs=1e-12
    )
    assert [warmed_up(schedule, 0.0)(p) for p in (0.0, 0.3, 1.0)] == [schedule(p) for p in (0.0, 0.3, 1.0)]
