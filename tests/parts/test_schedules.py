"""Eq. 3 and the learning rate."""

import math

import pytest

from weighbridge.parts.schedules import constant_strength, learning_rate_factor, reversal_strength


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
