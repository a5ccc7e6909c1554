"""The evidence and the intervals, worked by hand and by drawing from urns."""

import functools
import itertools
import math
from fractions import Fraction

import numpy as np
import pytest

from weighbridge.labelling.sequential import certain, difference_bounds, log_evidence, settles, share_bounds

FOREVER = 100_000  # photos that are left, so that drawing without replacement is drawing with it


def test_evidence_of_a_row_of_successes_with_endless_photos():
    # Q = 2 integral_(1/2)^1 p^n dp = 2 (1 - 2^-(n+1)) / (n + 1); the likelihood of a coin is 2^-n.
    for n, expected in ((1, 1.5), (3, 3.75), (7, 2 * 127.5 / 8)):
        assert math.exp(log_evidence(n, 0, FOREVER)) == pytest.approx(expected, rel=1e-3)
    assert not settles(log_evidence(6, 0, FOREVER))  # 2 * 63.5 / 7 = 18.1
    assert settles(log_evidence(7, 0, FOREVER))  # 31.9


def test_evidence_against_a_small_urn_by_hand():
    # 5 photos: 2 ahead, 3 unseen. m may be 3, 4 or 5 (with m = 2 both are ahead). k < m / 2 and k >= 2 leaves
    # m = 5, k = 2: L = (2 * 1) / (5 * 4) = 1/10. Q = 2 * 2! 0! / 3! * P(Binomial(3, 1/2) <= 2) = 2/3 * 7/8 = 7/12.
    assert math.exp(log_evidence(2, 0, 3)) == pytest.approx(70 / 12)


def test_no_label_is_no_evidence():
    assert log_evidence(0, 0, 10) == pytest.approx(0.0)


def test_what_is_left_decides_when_it_is_certain():
    assert certain(3, 1, 2)  # 3 : 3 at worst, at least as good
    assert not certain(3, 1, 3)
    assert log_evidence(3, 1, 2) == math.inf
    assert log_evidence(3, 1, 3) < math.inf
    assert certain(0, 0, 0)


def enumerated_evidence(ahead, behind, unseen):
    """The same from fractions, over the whole hypothesis."""
    n = ahead + behind
    mixture = Fraction(2 * math.factorial(ahead) * math.factorial(behind), math.factorial(n + 1))
    mixture *= Fraction(sum(math.comb(n + 1, k) for k in range(ahead + 1)), 2 ** (n + 1))
    worst = max(
        (
            Fraction(math.perm(k, ahead) * math.perm(m - k, behind), math.perm(m, n))
            for m in range(max(n, 1), n + unseen + 1)
            for k in range(ahead, m + 1 - behind)
            if 2 * k < m
        ),
        default=Fraction(0),
    )
    return float(mixture / worst) if worst else math.inf


@pytest.mark.parametrize(("ahead", "behind", "unseen"), [*itertools.product(range(5), range(4), (1, 4, 9))])
def test_evidence_is_the_least_over_the_whole_hypothesis(ahead, behind, unseen):
    assert math.exp(log_evidence(ahead, behind, unseen)) == pytest.approx(enumerated_evidence(ahead, behind, unseen))


def test_no_urn_of_the_hypothesis_is_called_wrong_more_often_than_alpha():
    """Exactly, by the tree of all labels: the other model is better on 4 : 5 photos, and 3 tell nothing."""

    @functools.cache
    def wrong(a, b, c, ahead=0, behind=0):
        if settles(log_evidence(ahead, behind, a + b + c)):
            return Fraction(1)
        left, total = a + b + c, Fraction(0)
        for count, (i, j, k) in ((a, (1, 0, 0)), (b, (0, 1, 0)), (c, (0, 0, 1))):
            if count:
                total += Fraction(count, left) * wrong(a - i, b - j, c - k, ahead + i, behind + j)
        return total

    assert 0 <= wrong(4, 5, 3) <= Fraction(1, 20)
    assert wrong(5, 4, 3) > Fraction(1, 2)  # where it is the better one it is called so


def test_bounds_of_a_share_by_hand():
    # 3 photos, one right: prior over posterior of K is 1!0!/2! / (K / 3), which is 3 / (2 K) for K = 1, 2, 3.
    assert share_bounds(1, 0, 2, alpha=0.05) == (1 / 3, 1.0)
    assert share_bounds(1, 0, 2, alpha=0.7) == (2 / 3, 1.0)  # 1.5 is not below 1 / 0.7 = 1.43; 0.75 and 0.5 are
    assert share_bounds(7, 3, 0) == (0.7, 0.7)
    assert share_bounds(0, 0, 5) == (0.0, 1.0)


def test_bounds_of_a_difference_by_hand():
    assert difference_bounds(0, 0, 0, 4) == (-4, 4)
    assert difference_bounds(3, 1, 2, 0) == (2, 2)
    # One photo ahead, one unseen: prior over posterior is 2 * 1!0!0!/3! / (A / 2) = 2 / (3 A): 2/3 for A = 1, 1/3 for
    # A = 2. So A - B is 2 (A = 2), 1 (C = 1) or 0 (B = 1).
    assert difference_bounds(1, 0, 0, 1) == (0, 2)
    assert difference_bounds(1, 0, 0, 1, alpha=0.9) == (0, 2)


@pytest.mark.parametrize("right", [30, 170])
def test_intervals_hold_however_often_one_looks(right):
    random, missed = np.random.default_rng(right), 0
    labels = np.arange(200) < right
    for _ in range(200):
        drawn = np.cumsum(random.permutation(labels))
        for n in range(1, 201, 3):
            low, high = share_bounds(int(drawn[n - 1]), n - int(drawn[n - 1]), 200 - n)
            if not low <= right / 200 <= high:
                missed += 1
                break
    assert missed <= 18  # 5 % of 200 is 10, and binomial chance above 18 is below 1 %


def test_differences_hold_however_often_one_looks():
    random, missed = np.random.default_rng(0), 0
    photos = np.repeat([1, -1, 0], [20, 8, 12])
    for _ in range(60):
        drawn = random.permutation(photos)
        for n in range(1, 41, 4):
            counts = [int((drawn[:n] == kind).sum()) for kind in (1, -1, 0)]
            low, high = difference_bounds(*counts, 40 - n)
            if not low <= 12 <= high:
                missed += 1
                break
    assert missed <= 8
