"""Errors by hand, in the cases whose answer is known, and in a simulation whose truth is known."""

import math

import numpy as np
import pytest
from scipy import special, stats

from weighbridge.report.statistics import paired_difference, sampling_error
from weighbridge.report.uncertainty import (
    Estimate,
    accuracy_interval,
    design_effect,
    estimate,
    holm,
    intra_group_correlation,
    photo_covariance,
    photo_freedom,
    variance_of_difference,
    wilson_interval,
)

SIZES = np.array([3, 5, 2, 8, 1, 6])


def counts(rows=3, seeds=2, sizes=SIZES, seed=0):
    """Photos told right, (rows, seeds, groups)."""
    return np.random.default_rng(seed).integers(0, sizes + 1, (rows, seeds, len(sizes)))


def test_groups_of_one_photo_have_the_binomial_variance():
    right = (np.arange(50) < 43).astype(int)[None, None]  # 43 of 50 photos
    variance = photo_covariance(right, np.ones(50, int))[0, 0]
    assert variance == pytest.approx(sampling_error(86, 50) ** 2 * 50 / 49)


def test_a_photo_that_stands_there_twice_tells_nothing_more():
    right = np.random.default_rng(1).integers(0, 2, (3, 2, 40))
    alone, twice = np.ones(40, int), np.full(40, 2)
    assert photo_covariance(2 * right, twice) == pytest.approx(photo_covariance(right, alone))
    assert photo_freedom(2 * right, twice) == pytest.approx(photo_freedom(right, alone))


def test_two_rows_by_hand():
    # three groups of 2 photos, one seed; row 0 tells 2, 2, 0 right, row 1 tells 2, 1, 0
    # residuals to 4/6 and 3/6 of each group: 2/3, 2/3, -4/3 and 1, 0, -1
    # their products: 8/3, 2 and 2; times 3/2 / 6^2 * 100^2
    right = np.array([[[2, 2, 0]], [[2, 1, 0]]])
    covariance = photo_covariance(right, np.array([2, 2, 2]))
    assert covariance == pytest.approx(np.array([[8 / 3, 2], [2, 2]]) * 1.5 / 36 * 1e4)
    assert variance_of_difference(covariance, 0, 1) == pytest.approx((2 / 3) * 1.5 / 36 * 1e4)


def test_groups_of_unequal_size_by_hand():
    # 1 of 1, 1 of 2 and 0 of 3 photos right: 1/3 of all; without each group 1/5, 1/4 and 2/3
    covariance = photo_covariance(np.array([[[1, 1, 0]]]), np.array([1, 2, 3]))
    apart = [1 / 5 - 1 / 3, 1 / 4 - 1 / 3, 2 / 3 - 1 / 3]
    assert covariance[0, 0] == pytest.approx(1e4 * 2 / 3 * sum(x * x for x in apart))


def test_seeds_are_averaged_first():
    right = np.array([[[2, 0, 1], [0, 2, 1]]])  # the mean of the seeds is 1, 1, 1
    assert photo_covariance(right, np.array([2, 2, 2]))[0, 0] == 0


def test_rows_may_have_different_numbers_of_seeds():
    right = counts()
    ragged = [right[0], np.concatenate([right[1], right[1]]), right[2]]
    assert photo_covariance(ragged, SIZES) == pytest.approx(photo_covariance(right, SIZES))
    assert photo_freedom(ragged, SIZES) == pytest.approx(photo_freedom(right, SIZES))


def test_the_variance_of_a_difference_is_that_of_the_counts_subtracted():
    right = counts()
    apart = right[:1] - right[1:2]
    assert variance_of_difference(photo_covariance(right, SIZES), 0, 1) == pytest.approx(
        photo_covariance(apart, SIZES)[0, 0]
    )
    assert photo_freedom(right, SIZES)[0, 1] == pytest.approx(photo_freedom(apart, SIZES)[0, 0])
    assert variance_of_difference([[1.0, 1.01], [1.01, 1.0]], 0, 1) == 0


def test_the_order_of_groups_changes_nothing():
    right, order = counts(), [4, 2, 0, 5, 1, 3]
    for tell in (photo_covariance, photo_freedom):
        assert tell(right[..., order], SIZES[order]) == pytest.approx(tell(right, SIZES))
    assert design_effect(right[0][:, order], SIZES[order]) == pytest.approx(design_effect(right[0], SIZES))


def test_one_group_tells_no_error():
    assert photo_covariance(np.array([[[3]]]), np.array([4])) is None
    assert photo_freedom(np.array([[[3]]]), np.array([4])) is None
    assert design_effect(np.array([[3]]), np.array([4])) is None
    assert intra_group_correlation(np.array([[3]]), np.array([4])) is None


def test_freedom_counts_the_groups_that_the_variance_rests_on():
    sizes = np.full(10, 4)
    half = np.array([[[4, 0] * 5]])  # every group adds the same
    assert photo_freedom(half, sizes) == pytest.approx(9)
    one = np.array([[[0] + [4] * 9]])
    # residuals -3.6 and nine times 0.4: squares 12.96 and 0.16, their shares of 14.4 are 0.9 and 0.0111
    assert photo_freedom(one, sizes) == pytest.approx(2 / (0.9**2 + 9 * (0.16 / 14.4) ** 2 - 0.1))
    apart = photo_freedom(np.concatenate([half, half - one]), sizes)  # half less the second row is one
    assert apart[0, 1] == pytest.approx(photo_freedom(one, sizes)[0, 0])
    rows = np.concatenate([half, half])
    assert photo_freedom(rows, sizes)[0, 1] == 9  # rows that agree everywhere differ by nothing


def test_seeds_and_photos_add_by_hand():
    # differences 1, 2, 3: variance of the mean 1/3 with 2 degrees; photos 2 with 40
    told = estimate([1, 2, 3], 2, 40)
    assert (told.mean, told.n) == (2, 3)
    assert told.error == pytest.approx(math.sqrt(1 / 3 + 2))
    assert told.freedom == pytest.approx((1 / 3 + 2) ** 2 / ((1 / 3) ** 2 / 2 + 2**2 / 40))
    half = stats.t.ppf(0.975, told.freedom) * told.error
    interval = told.interval()
    assert (interval.low, interval.high) == pytest.approx((2 - half, 2 + half))
    assert told.p_value() == pytest.approx(2 * stats.t.sf(2 / told.error, told.freedom))


def test_an_interval_is_never_narrower_than_over_the_seeds_alone():
    told, before = estimate([1, 3], 0.8, 100).interval(), paired_difference([1, 3], [0, 0])
    assert (told.low, told.high) == pytest.approx((before.low, before.high))  # the sum has 3.2 degrees, not 1


def test_without_photos_it_is_student_over_seeds():
    assert estimate([2, 4, 7]).interval(0.9).low == pytest.approx(paired_difference([2, 4, 7], [0] * 3, 0.9).low)


def test_one_seed_has_the_error_of_photos_alone():
    assert estimate([2], 4.0, 30) == Estimate(2, 2.0, 30, 1)


def test_where_nothing_is_known_there_are_no_edges():
    told = estimate([2])
    assert (told.error, told.p_value(), told.not_below(1)) == (None, None, None)
    assert (told.interval().low, told.interval().high) == (None, None)
    assert accuracy_interval([90]).low is None


def test_rows_that_agree_everywhere_differ_by_nothing():
    assert estimate([0.0, 0.0], 0.0, 9).p_value() == 1
    assert estimate([1.0, 1.0]).p_value() == 0


def test_where_no_group_differed_a_rare_difference_is_not_ruled_out():
    told = estimate([0.0, 0.0, 0.0], 0.0, 9)  # ten groups
    assert told.interval().high == pytest.approx(100 * (1 - 0.025**0.1))
    assert told.not_below(1.0) is False
    assert estimate([0.0, 0.0, 0.0], 0.0, 9999).not_below(1.0) is True


def test_a_p_value_below_a_twentieth_is_an_interval_without_zero():
    for mean in np.linspace(0.1, 4, 40):
        told = estimate([mean - 0.3, mean, mean + 0.3], 1.0, 20)
        assert (told.p_value() < 0.05) == (told.interval().low > 0)


def test_no_worse_than_a_margin():
    told = Estimate(-0.5, 0.2, 1e9, 3)  # lower edge -0.892
    assert told.not_below(0.9)
    assert not told.not_below(0.88)
    assert told.not_below(0.88, confidence=0.9)
    with pytest.raises(ValueError, match="above 0 points, got 0"):
        told.not_below(0)


def test_the_interval_of_an_accuracy_stays_within_a_hundred():
    interval = accuracy_interval([98.6, 98.9, 99.2], 0.3, 20)
    assert 90 < interval.low < interval.mean < interval.high < 100
    assert interval.mean - interval.low > interval.high - interval.mean  # errors are skewed
    one = accuracy_interval([80.0], 4.0, 30)  # log odds of 0.8 are log 4
    wide = stats.t.ppf(0.975, 30) * 0.02 / 0.16
    assert one.high == pytest.approx(100 / (1 + math.exp(-math.log(4) - wide)))


def test_all_right_in_every_group_is_the_exact_interval_of_as_many_photos():
    sizes = np.full(40, 30)
    right = np.stack([np.stack([sizes, sizes]), 0 * np.stack([sizes, sizes])])  # all right, all wrong
    covariance, freedom = photo_covariance(right, sizes), photo_freedom(right, sizes)
    interval = accuracy_interval([100, 100], covariance[0, 0], freedom[0, 0])
    assert (interval.low, interval.high) == pytest.approx((100 * 0.025 ** (1 / 40), 100))
    interval = accuracy_interval([0, 0], covariance[1, 1], freedom[1, 1])
    assert (interval.low, interval.high) == pytest.approx((0, 100 - 100 * 0.025 ** (1 / 40)))


def test_groups_that_agree_wholly_count_as_one_photo_each():
    sizes, right = np.full(50, 4), 4 * (np.arange(50) % 5 > 0)[None].astype(int)
    assert design_effect(right, sizes) == pytest.approx(4 * 199 / 196)  # 49 against 199 / 4 degrees
    assert intra_group_correlation(right, sizes) == pytest.approx(1)
    assert design_effect(right // 4, np.ones(50, int)) == pytest.approx(1)
    assert intra_group_correlation(right // 4, np.ones(50, int)) is None
    assert design_effect(np.array([[4, 4]]), np.array([4, 4])) is None
    assert intra_group_correlation(np.array([[4, 4]]), np.array([4, 4])) is None


def test_a_correlation_by_hand():
    # groups of 2, 2 and 4: 2, 1 and 1 right, half of all; between (2 * 0.25 + 0 + 4 * 0.0625) / 2 = 0.375,
    # within (0 + 0.5 + 0.75) / 5 = 0.25, typical size (8 - 24 / 8) / 2 = 2.5
    found = intra_group_correlation(np.array([[2, 1, 1]]), np.array([2, 2, 4]))
    assert found == pytest.approx(0.125 / (0.375 + 1.5 * 0.25))


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.02, 0.6, 0.001, 0.8]) == pytest.approx([0.06, 1, 0.004, 1])
    assert holm([]) == []


def test_intervals_hold_where_photos_come_in_groups_and_those_of_before_do_not():
    """Two methods of 90 and 88 % over five seeds, 60 groups of 20 photos with a correlation of about 0.45."""
    generator, sizes, threshold = np.random.default_rng(3), np.full(60, 20), special.ndtri([0.9, 0.88])[:, None, None]
    held = {"accuracy": 0, "difference": 0, "binomial": 0, "student": 0}
    for _ in range(600):
        # variances: 0.56 of all rows, 0.07 of a method, 0.07 of a method and seed, 0.3 of a photo
        shapes = ((1, 1, 60), (2, 1, 60), (2, 5, 60))
        parts = [math.sqrt(v) * generator.standard_normal(s) for v, s in zip((0.56, 0.07, 0.07), shapes, strict=True)]
        right = generator.binomial(sizes, special.ndtr((threshold + sum(parts)) / math.sqrt(0.3)))  # (2, S, G)
        ours, theirs = 100 * right.sum(axis=2) / sizes.sum()  # (S,) each
        covariance, freedom = photo_covariance(right, sizes), photo_freedom(right, sizes)
        of_one = accuracy_interval(ours, covariance[0, 0], freedom[0, 0])
        apart = estimate(ours - theirs, variance_of_difference(covariance, 0, 1), freedom[0, 1]).interval()
        before = paired_difference(ours, theirs)
        held["accuracy"] += of_one.low <= 90 <= of_one.high
        held["difference"] += apart.low <= 2 <= apart.high
        held["binomial"] += abs(ours.mean() - 90) <= 1.96 * sampling_error(ours.mean(), 1200)
        held["student"] += before.low <= 2 <= before.high
    share = {name: hits / 600 for name, hits in held.items()}
    assert 0.93 < share["accuracy"] < 0.985, share
    assert 0.93 < share["difference"] < 0.985, share
    assert share["binomial"] < 0.8, share
    assert share["student"] < 0.8, share


@pytest.mark.parametrize(("right", "images"), [(9, 10), (20, 20), (0, 7), (42, 43)])
def test_wilson_s_interval_is_that_of_scipy(right, images):
    expected = stats.binomtest(right, images).proportion_ci(method="wilson")
    assert wilson_interval(right / images, images) == pytest.approx((expected.low, expected.high))


def test_fewer_independent_photos_make_a_wider_interval():
    narrow, wide = wilson_interval(0.9, 40), wilson_interval(0.9, 12.5)
    assert wide[0] < narrow[0] < 0.9 < narrow[1] < wide[1]
