"""Errors that know of groups of photos and of seeds. Plain functions of counts and accuracies.

Photos come in groups: the frames of a track, the shots of a burst, the patches of one picture. Photos of a group are
told right or wrong together, so an evaluation knows less than its number of photos says. Seeds vary as well. Both parts
are variances of a mean, in points^2, and an `Estimate` adds them.

Shapes: R rows of a table, S seeds, G groups, N photos. `right` holds an array (S, G) for each row, the photos of a
group that each seed told right; rows may have different numbers of seeds. `sizes` is (G,), the photos of a group, each
at least 1. Points are percent of accuracy.

What was tried before these forms were chosen, and with which coverage, is in `benchmarks/coverage.py`.
"""

__all__ = [
    "Estimate",
    "accuracy_interval",
    "design_effect",
    "estimate",
    "holm",
    "intra_group_correlation",
    "photo_covariance",
    "photo_freedom",
    "variance_of_difference",
    "wilson_interval",
]

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from weighbridge.report.statistics import Interval

_WIDEST_AT = 0.95  # the confidence at which the sources of error are compared


@dataclass(frozen=True)
class Estimate:
    """A mean with its standard error. The error divides into the mean as Student's t with `freedom` does.

    Args:
        mean: an accuracy or a difference of accuracies, in points.
        error: its standard error in points; None where neither seeds nor groups tell one.
        freedom: degrees of freedom of the error, >= 1; None as `error` is.
        n: seeds.
    """

    mean: float
    error: float | None
    freedom: float | None
    n: int

    def margin(self, confidence: float = 0.95) -> float | None:
        """Half the width of the interval, in points."""
        if self.error is None or self.freedom is None:
            return None
        return float(special.stdtrit(self.freedom, 0.5 + confidence / 2)) * self.error

    def interval(self, confidence: float = 0.95) -> Interval:
        """Two-sided interval; the edges are None where no error is known."""
        margin = self.margin(confidence)
        if margin is None:
            return Interval(self.mean, None, None, self.n)
        return Interval(self.mean, self.mean - margin, self.mean + margin, self.n)

    def p_value(self) -> float | None:
        """Two-sided p-value of a mean of zero: below 0.05 exactly where the 95 % interval leaves zero out."""
        if self.error is None or self.freedom is None:
            return None
        if self.error == 0:
            return 1.0 if self.mean == 0 else 0.0
        return 2 * float(special.stdtr(self.freedom, -abs(self.mean) / self.error))

    def not_below(self, margin: float, confidence: float = 0.95) -> bool | None:
        """Whether the mean is shown to be no worse than -margin: its interval lies above -margin.

        The lower edge of a two-sided 95 % interval is a one-sided test at 2.5 % (Schuirmann, "A comparison of the two
        one-sided tests procedure and the power approach", 1987).

        Args:
            margin: points of accuracy that may be lost, > 0, chosen before the results are seen.

        Returns:
            None where no error is known.

        Raises:
            ValueError: margin is not above 0.
        """
        if not margin > 0:
            raise ValueError(f"The margin of a non-inferiority test must be above 0 points, got {margin}.")
        low = self.interval(confidence).low
        return None if low is None else low > -margin


def photo_covariance(right: Iterable[NDArray[np.integer]], sizes: NDArray[np.integer]) -> NDArray[np.float64] | None:
    """Covariance of the rows' seed-mean accuracies that comes from which groups were photographed.

    The jackknife over groups: each group is left out in turn (MacKinnon, Nielsen, Webb, "Fast and reliable jackknife
    and bootstrap methods for cluster-robust inference", 2023, CV3). Where all groups are of one size it equals the
    cluster-robust covariance of Liang and Zeger ("Longitudinal data analysis using generalized linear models", 1986)
    with the factor G/(G-1). Where they are not it is a little larger.

    Returns:
        (R, R) in points^2; None where there are fewer than two groups.
    """
    if len(sizes) < 2:
        return None
    moved = _moved(right, sizes)  # (R, G)
    return np.asarray((1 - 1 / len(sizes)) * moved @ moved.T)  # (R, R)


def photo_freedom(right: Iterable[NDArray[np.integer]], sizes: NDArray[np.integer]) -> NDArray[np.float64] | None:
    """Degrees of freedom of the variances that `photo_covariance` tells, in [1, G-1].

    A variance that rests on few groups, because few err or few are large, is itself uncertain. With x what a group adds
    to it, its own variance is about sum(x^2) - sum(x)^2 / G, and degrees of freedom are 2 V^2 / Var(V) (Satterthwaite,
    "An approximate distribution of estimates of variance components", 1946).

    Returns:
        (R, R): on the diagonal of a row's accuracy, elsewhere of the difference of two rows; None where there are fewer
        than two groups.
    """
    groups = len(sizes)
    if groups < 2:
        return None
    moved = _moved(right, sizes)  # (R, G)
    freedom = np.full((len(moved), len(moved)), groups - 1.0)
    for a, row in enumerate(moved):
        apart = row - moved  # (R, G)
        apart[a] = row
        added = apart**2  # (R, G)
        varied = added.sum(axis=1) > 0  # (R,)
        share = added[varied] / added[varied].sum(axis=1, keepdims=True)  # (varied rows, G)
        spread = np.maximum((share**2).sum(axis=1) - 1 / groups, 2 / (groups - 1))
        freedom[a, varied] = 2 / spread
    return freedom


def _moved(right: Iterable[NDArray[np.integer]], sizes: NDArray[np.integer]) -> NDArray[np.float64]:
    """(R, G): by how many points a row's seed-mean accuracy falls if the group is left out."""
    photos = int(sizes.sum())
    told = np.stack([row.mean(axis=0) for row in right])  # (R, G)
    beyond = told - told.sum(axis=1, keepdims=True) / photos * sizes  # (R, G)
    return np.asarray(100 * beyond / (photos - sizes))


def variance_of_difference(covariance: Sequence[Sequence[float]] | NDArray[np.float64], a: int, b: int) -> float:
    """Variance of row a minus row b in points^2, at least 0 also where the entries were rounded."""
    return max(0.0, float(covariance[a][a] + covariance[b][b] - covariance[a][b] - covariance[b][a]))


def estimate(
    per_seed: Sequence[float], photo_variance: float | None = None, photo_freedom: float | None = None
) -> Estimate:
    """Mean over seeds with the error of seeds and photos.

    The variances of seeds and of groups are added, with Satterthwaite's degrees of freedom. Two-way clustering
    (Cameron, Gelbach, Miller, "Robust inference with multiway clustering", 2011) would take off what both contain, the
    interaction of seed and group. With so few seeds it covers too little, so nothing is taken off. Seeds alone, groups
    alone and both together each give an error; the one with the widest 95 % interval counts. Without that the degrees
    of freedom are too many where two or three seeds lie close by chance.

    Where no group made a difference the error is that of a difference too rare to be seen, never zero.

    With one seed the error is that of photos alone and speaks of this one model. Without photos it is Student's over
    seeds, as `paired_difference` has it. Without either it is None.

    Args:
        per_seed: (S,) accuracies, or differences of two rows by seed, in points; at least one.
        photo_variance: of their mean, in points^2, from `photo_covariance` or `variance_of_difference`.
        photo_freedom: its degrees of freedom, from the same place of `photo_freedom`.
    """
    n, mean = len(per_seed), statistics.fmean(per_seed)
    if photo_variance == 0 and photo_freedom is not None:
        photo_variance = (_unseen(photo_freedom) / float(special.stdtrit(photo_freedom, 0.5 + _WIDEST_AT / 2))) ** 2
    parts = [(statistics.variance(per_seed) / n, n - 1.0)] if n > 1 else []
    if photo_variance is not None and photo_freedom is not None:
        parts.append((photo_variance, photo_freedom))
    if not parts:
        return Estimate(mean, None, None, n)
    whole = sum(variance for variance, _ in parts)
    if whole > 0:
        parts.append((whole, whole**2 / sum(variance**2 / freedom for variance, freedom in parts)))
    sources = [Estimate(mean, math.sqrt(variance), freedom, n) for variance, freedom in parts]
    return max(sources, key=lambda source: (source.margin(_WIDEST_AT) or 0, source.freedom or 0))


def _unseen(freedom: float, confidence: float = _WIDEST_AT) -> float:
    """The largest share, in percent, that could be so without being seen in one of the groups: `freedom` + 1 of them.

    None of G would show a share of all groups with probability (1 - share)^G; half of 1 - confidence is allowed.
    """
    return float(100 * (1 - (0.5 - confidence / 2) ** (1 / (freedom + 1))))


def accuracy_interval(
    per_seed: Sequence[float],
    photo_variance: float | None = None,
    photo_freedom: float | None = None,
    confidence: float = 0.95,
) -> Interval:
    """Interval of one row's accuracy, from the same error as `estimate`, within 0 and 100 percent.

    It is symmetric in log odds, since errors are skewed near 100 % (Korn and Graubard, "Confidence intervals for
    proportions with small expected number of positive counts estimated from survey data", 1998, compare the forms).
    Where all photos are told right, or all wrong, no variance is seen. The exact binomial interval then counts each
    group as one photo.

    Args:
        as of `estimate`; `per_seed` in percent.
    """
    told = estimate(per_seed, photo_variance, photo_freedom)
    margin, share = told.margin(confidence), told.mean / 100
    if margin is None or (photo_freedom is None and margin == 0):
        return told.interval(confidence)
    if photo_freedom is not None and not 0 < share < 1:
        unseen = _unseen(photo_freedom, confidence)
        low, high = (0.0, unseen) if share <= 0 else (100 - unseen, 100.0)
        return Interval(told.mean, low, high, told.n)
    odds, wide = special.logit(share), margin / 100 / (share * (1 - share))
    return Interval(told.mean, 100 * float(special.expit(odds - wide)), 100 * float(special.expit(odds + wide)), told.n)


def wilson_interval(share: float, images: float, confidence: float = 0.95) -> tuple[float, float]:
    """Interval of a share of independent photos, also of few (Wilson, "Probable inference", 1927, JASA 22:209).

    Brown, Cai and DasGupta ("Interval estimation for a binomial proportion", 2001) recommend it for small counts. Of
    photos in groups `images` is the number of independent photos that would tell as much; see `design_effect`.

    Args:
        share: in [0, 1].
        images: > 0.

    Returns:
        The edges, in [0, 1].
    """
    z = float(special.ndtri(0.5 + confidence / 2))
    spread = z**2 / images
    middle = (share + spread / 2) / (1 + spread)
    half = math.sqrt(spread * (share * (1 - share) + spread / 4)) / (1 + spread)
    return max(0.0, middle - half), min(1.0, middle + half)


def design_effect(right: NDArray[np.integer], sizes: NDArray[np.integer]) -> float | None:
    """How many times larger grouping makes the variance of one row's accuracy than independent photos would have it.

    N divided by it is the number of independent photos that would tell as much (Kish, "Survey Sampling", 1965).

    Args:
        right: (S, G), one row; the variances are averaged over seeds.

    Returns:
        At least 0, and 1 where every group is one photo; None with fewer than two groups or where no seed errs.
    """
    grouped = photo_covariance(right[:, None], sizes)
    share = right.sum(axis=1) / sizes.sum()  # (S,)
    independent = float((share * (1 - share)).sum()) * 100**2 / max(int(sizes.sum()) - 1, 1)
    return None if grouped is None or independent == 0 else float(np.trace(grouped)) / independent


def intra_group_correlation(right: NDArray[np.integer], sizes: NDArray[np.integer]) -> float | None:
    """Correlation of two photos of a group in being told right, the ANOVA estimator.

    Mean squares between and within groups, averaged over seeds (Ridout, Demetrio, Firth, "Estimating intraclass
    correlation for binary data", 1999).

    Args:
        right: (S, G), one row.

    Returns:
        At most 1, about 0 for independent photos; None with fewer than two groups, where every group is one photo, or
        where all photos are told alike.
    """
    groups, photos = len(sizes), int(sizes.sum())
    if groups < 2 or photos == groups:
        return None
    share = right / sizes  # (S, G)
    mean = right.sum(axis=1, keepdims=True) / photos  # (S, 1)
    between = float((sizes * (share - mean) ** 2).sum()) / (groups - 1)
    within = float((sizes * share * (1 - share)).sum()) / (photos - groups)
    typical = (photos - float((sizes**2).sum()) / photos) / (groups - 1)  # a group's size
    whole = between + (typical - 1) * within
    return None if whole == 0 else (between - within) / whole


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values adjusted so that the chance of any false claim among them stays below the level, in the order given.

    Holm, "A simple sequentially rejective multiple test procedure", 1979: the smallest of m times m, the next times
    m - 1 and so on, never below a smaller one and at most 1.
    """
    adjusted, largest = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = largest
    return adjusted
