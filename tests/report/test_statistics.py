"""Means, intervals and paired differences by hand."""

import math

import numpy as np
import pytest

from weighbridge.report.statistics import disagreement, paired_difference


def test_the_interval_of_three_differences_by_hand():
    # differences 1, 2, 3: mean 2, deviation 1, t(0.975, 2) = 4.302653, half width 4.302653 / sqrt(3)
    interval = paired_difference([2, 4, 6], [1, 2, 3])
    assert interval.mean == 2
    assert interval.high - 2 == pytest.approx(4.302653 / math.sqrt(3), rel=1e-6)
    assert 2 - interval.low == pytest.approx(2.48414, rel=1e-5)


def test_one_seed_has_no_interval():
    interval = paired_difference([0.5], [0.25])
    assert (interval.mean, interval.low, interval.high, interval.n) == (0.25, None, None, 1)


def test_two_seeds_that_take_images_for_different_classes_by_hand():
    a, b, c = (np.array(labels, np.int32) for labels in ([0, 1, 2, 2], [0, 1, 2, 0], [1, 1, 0, 0]))
    assert disagreement([a, b]) == 0.25
    assert disagreement([a, b, c]) == pytest.approx((0.25 + 0.75 + 0.5) / 3)
    assert disagreement([a]) is None
    assert disagreement([]) is None
