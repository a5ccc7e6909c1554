"""Anytime-valid tests and intervals for photos labelled one by one: whoever looks after every label errs no more often.

The photos are a finite set, labelled in random order and none twice. So evidence grows faster than with replacement,
and what the photos that are left can no longer change is certain.

Sources:

- Ville 1939: a nonnegative martingale that starts at 1 reaches 1 / alpha with probability alpha at most.
- Robbins, "Statistical methods related to the law of the iterated logarithm", Ann. Math. Statist. 41, 1970: mixtures of
  likelihood ratios.
- Howard, Ramdas, McAuliffe, Sekhon, "Time-uniform, nonparametric, nonasymptotic confidence sequences", Ann. Statist.
  49, 2021.
- Waudby-Smith and Ramdas, "Confidence sequences for sampling without replacement", NeurIPS 2020: the prior over the
  posterior is a martingale.
- Ramdas, Grünwald, Vovk, Shafer, "Game-theoretic statistics and safe anytime-valid inference", Statist. Sci. 38, 2023:
  an e-value of a composite hypothesis is the least over what it contains.
"""

__all__ = ["LEVEL", "certain", "difference_bounds", "log_evidence", "settles", "share_bounds"]

import functools
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

LEVEL = 0.05
"""alpha: the largest probability of ever being wrong."""

_ROUNDING = 1e-9  # of a logarithm, so that evidence of exactly 1 / alpha settles in any arithmetic


def log_evidence(ahead: int, behind: int, unseen: int) -> float:
    """Evidence that one model is at least as good as another on the photos that they tell differently.

    The hypothesis it speaks against is that of m photos on which exactly one model is right, the other is right on more
    than half. m is not known, but lies between the labels so far and all photos. Given m and the number k < m / 2 of
    photos for this model, labels come as from an urn, and the likelihood of theirs is

        L(m, k) = k! / (k - a)!  (m - k)! / (m - k - b)!  (m - n)! / m!        a ahead, b behind, n = a + b.

    The mixture that bets on this model has share p of the informative photos uniform on [1/2, 1]:

        Q = 2 integral_(1/2)^1 p^a (1 - p)^b dp = 2 a! b! / (n + 1)!  P(Binomial(n + 1, 1/2) <= a).

    Q / L(m, k) is a nonnegative martingale if (m, k) is true, so the smallest of them over the hypothesis reaches
    1 / alpha with probability alpha at most (Robbins 1970, with the urn of Waudby-Smith and Ramdas 2020).

    Args:
        ahead: photos on which this model is right and the other is wrong.
        behind: photos on which it is the other way round.
        unseen: photos without a label, any of which may be informative.

    Returns:
        The natural logarithm of the e-value; infinity where the hypothesis is impossible.
    """
    seen = ahead + behind
    if certain(ahead, behind, unseen):
        return math.inf
    f = _log_factorials(seen + unseen + 1)
    of_k = f[seen + 1] - f[: ahead + 1] - f[seen + 1 - np.arange(ahead + 1)]  # ln (n + 1 choose k), up to a
    tail = float(np.logaddexp.reduce(of_k)) - (seen + 1) * math.log(2)
    mixture = math.log(2) + f[ahead] + f[behind] - f[seen + 1] + tail
    m = np.arange(max(seen, 1), seen + unseen + 1)
    most = np.minimum((m - 1) // 2, m - behind)  # k of the hypothesis, and b photos of the other model were seen
    likeliest = (m + 1) * ahead // max(seen, 1)  # of all k
    k = np.minimum(np.maximum(likeliest, ahead), most)
    m, k = m[most >= ahead], k[most >= ahead]
    likelihood = f[k] - f[k - ahead] + f[m - k] - f[m - k - behind] + f[m - seen] - f[m]
    return float(mixture - likelihood.max())


def certain(ahead: int, behind: int, unseen: int) -> bool:
    """Whether the photos without a label can no longer make the other model the better one."""
    return ahead - behind >= unseen


def settles(log_evidence: float, alpha: float = LEVEL) -> bool:
    """Whether evidence has reached 1 / alpha."""
    return log_evidence >= -math.log(alpha) - _ROUNDING


def share_bounds(right: int, wrong: int, unseen: int, alpha: float = LEVEL) -> tuple[float, float]:
    """A confidence sequence for the share of all photos that a model tells right.

    A number K of right photos among all N stays in while the prior over the posterior, a martingale if K is true,
    is below 1 / alpha (Waudby-Smith and Ramdas 2020, prior-posterior ratio). With K uniform before all labels it is

        r! w! / (n + 1)!  over  K! / (K - r)!  (N - K)! / (N - K - w)!  (N - n)! / N!.

    Returns:
        (low, high) in [0, 1]. It is one number once all are labelled.
    """
    seen, count = right + wrong, right + wrong + unseen
    f = _log_factorials(count + 1)
    k = np.arange(right, right + unseen + 1)
    likelihood = f[k] - f[k - right] + f[count - k] - f[count - k - wrong] + f[unseen] - f[count]
    inside = k[f[right] + f[wrong] - f[seen + 1] - likelihood < -math.log(alpha) - _ROUNDING]
    return int(inside[0]) / count, int(inside[-1]) / count


def difference_bounds(ahead: int, behind: int, neither: int, unseen: int, alpha: float = LEVEL) -> tuple[int, int]:
    """A confidence sequence for A - B: on how many more photos this model is right than the other.

    As `share_bounds`, of three kinds of photos: A for this model, B for the other, C for neither, with a prior that is
    uniform over their shares. A difference stays in while any (A, B, C) with it does.

    Returns:
        (low, high) in photos.
    """
    seen = ahead + behind + neither
    count = seen + unseen
    f = _log_factorials(count + 2)
    least = math.log(2) + f[ahead] + f[behind] + f[neither] - f[seen + 2] + math.log(alpha) + _ROUNDING

    def inside(difference: int) -> bool:
        b = np.arange(max(behind, ahead - difference), count + 1)  # B
        a = b + difference  # A
        c = count - a - b  # C
        fits = c >= neither
        a, b, c = a[fits], b[fits], c[fits]
        if not len(b):
            return False
        likelihood = f[a] - f[a - ahead] + f[b] - f[b - behind] + f[c] - f[c - neither] + f[unseen] - f[count]
        return bool(likelihood.max() > least)

    middle = ahead - behind + round(unseen * (ahead - behind) / max(seen, 1))
    low, high = middle, middle
    while inside(low - 1) or inside(low - 2):  # two, as an odd difference may be less likely than both its neighbours
        low -= 1
    while inside(high + 1) or inside(high + 2):
        high += 1
    return low, high


def _log_factorials(largest: int) -> NDArray[Any]:
    """ln k! for k from 0 to at least `largest`."""
    return _table(1 << max(largest, 255).bit_length())


@functools.cache
def _table(size: int) -> NDArray[Any]:
    return np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, size + 1)))])
