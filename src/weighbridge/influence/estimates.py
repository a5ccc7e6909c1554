"""What a group of renders is worth, and whether it holds more of the lowest fifth than chance would give it.

Shapes: N renders.
"""

__all__ = ["Bounds", "GroupValue", "chances", "lowest_fifth", "mean_with_interval", "unlike_chance", "value_of"]

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from weighbridge.influence.factors import RenderGroup

_RESAMPLES = 999
_AT_ONCE = 2**20  # numbers drawn at once
_CONFIDENCE = 0.95


@dataclass(frozen=True)
class Bounds:
    """An estimate with its 95 % interval."""

    estimate: float
    low: float
    high: float

    def facts(self) -> dict[str, float]:
        """For influence.json."""
        return {"estimate": self.estimate, "low": self.low, "high": self.high}


@dataclass(frozen=True)
class GroupValue:
    """What is known of a group without any training.

    Attributes:
        value: mean value of its renders.
        weight: mean weight that training gave them; None if it gave none.
        share: of its renders that are among the lowest fifth, in [0, 1].
        others: the same share of the renders that it is compared with.
        worse: whether its mean value is below theirs.
    """

    group: RenderGroup
    value: Bounds
    weight: Bounds | None
    share: Bounds
    others: float
    worse: bool


def lowest_fifth(values: NDArray[np.float64], labels: NDArray[np.integer]) -> NDArray[np.bool_]:
    """The renders of lowest value, (N,) bool, a fifth of all; no class gives more than half of its own.

    Among equal values chance decides, and decides alike every time.

    Args:
        values, labels: (N,).
    """
    wanted, most = len(values) // 5, np.bincount(labels) // 2
    chosen, given = np.zeros(len(values), dtype=np.bool_), np.zeros(len(most), dtype=np.int64)
    for row in np.lexsort((np.random.default_rng(0).random(len(values)), values)):
        if wanted == 0:
            break
        if given[labels[row]] < most[labels[row]]:
            chosen[row] = True
            given[labels[row]] += 1
            wanted -= 1
    return chosen


def mean_with_interval(values: NDArray[np.float64], families: NDArray[np.integer]) -> Bounds:
    """Mean with a percentile bootstrap interval over families of renders, such as patches of one picture.

    Args:
        values: (n,), at least one.
        families: (n,), renders of one number are drawn together.
    """
    _, family = np.unique(families, return_inverse=True)
    sums, sizes = np.bincount(family, weights=values), np.bincount(family)
    mean = float(values.mean())
    if len(sums) < 2:
        return Bounds(mean, mean, mean)
    interval = stats.bootstrap(
        (sums, sizes),
        lambda total, count, axis=-1: total.sum(axis) / count.sum(axis),
        paired=True,
        vectorized=True,
        method="percentile",
        confidence_level=_CONFIDENCE,
        n_resamples=_RESAMPLES,
        batch=max(1, _AT_ONCE // len(sums)),
        random_state=np.random.default_rng(0),
    ).confidence_interval
    return Bounds(mean, float(interval.low), float(interval.high))


def unlike_chance(parts: NDArray[np.integer], values: NDArray[Any], strata: NDArray[np.integer]) -> float:
    """p-value that the parts differ in value by chance alone, stratum by stratum.

    Values are ranked within their stratum, and mean ranks are held against those expected by their covariance: the
    generalised test of Mantel and Haenszel (Landis, Heyman and Koch, International Statistical Review 46, 1978). In
    one stratum it is the test of Kruskal and Wallis (1952), and of values 0 and 1 that of Mantel and Haenszel (1959).

    Args:
        parts: (n,) in [0, R), to which part each render belongs.
        values: (n,).
        strata: (n,) numbers; renders of one number are compared with each other.

    Returns:
        In [0, 1]; 1 where no stratum has renders of two parts, or of two values.
    """
    _, stratum = np.unique(strata, return_inverse=True)
    size = np.bincount(stratum)  # (S,)
    ranks = np.empty(len(values))
    for s in range(len(size)):
        rows = stratum == s
        ranks[rows] = stats.rankdata(values[rows]) - (size[s] + 1) / 2  # their mean is 0
    counts = np.zeros((len(size), int(parts.max()) + 1))
    np.add.at(counts, (stratum, parts), 1)  # (S, R)
    apart = np.bincount(parts, weights=ranks, minlength=counts.shape[1])  # (R,)
    scale = np.bincount(stratum, weights=ranks**2) / (size * np.maximum(size - 1, 1))  # (S,)
    covariance = np.diag((scale * size) @ counts) - (counts * scale[:, None]).T @ counts  # (R, R)
    rank = int(np.linalg.matrix_rank(covariance, hermitian=True))
    if rank == 0:
        return 1.0
    return float(stats.chi2.sf(apart @ np.linalg.pinv(covariance, hermitian=True) @ apart, rank))


def chances(
    groups: Sequence[RenderGroup],
    values: NDArray[np.float64],
    labels: NDArray[np.integer],
    sources: NDArray[np.integer],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """How likely chance alone makes each group as high or as low in value, (G,) p-values of two kinds.

    A class is compared with all classes, a source with other sources class by class, and a factor with the renders of
    its class and source that have it otherwise. A class or source that is lower as a whole makes none of its factors
    look lower.

    Args:
        groups: G of them.
        values, labels, sources: (N,).

    Returns:
        Of all groups of a factor together, adjusted: of factors below 0.05, at most 5 % are expected to be there by
        chance (Benjamini and Hochberg, 1995). And of the group alone, as it is.
    """
    if not groups:
        return np.empty(0), np.empty(0)
    questions: dict[tuple[str, str, str | None], list[int]] = {}
    for place, group in enumerate(groups):
        name = group.name if group.kind == "factor" else ""
        questions.setdefault((group.kind, name, group.label), []).append(place)
    together, alone = np.ones(len(groups)), np.ones(len(groups))
    of_all = [_p_value([groups[k] for k in places], values, labels, sources) for places in questions.values()]
    adjusted = stats.false_discovery_control(of_all)
    for places, p in zip(questions.values(), adjusted, strict=True):
        together[places] = p
        alone[places] = [_p_value([groups[k]], values, labels, sources) for k in places]
    return together, alone


def _p_value(
    groups: Sequence[RenderGroup],
    values: NDArray[np.float64],
    labels: NDArray[np.integer],
    sources: NDArray[np.integer],
) -> float:
    """Of groups that are compared with each other and with the rest of their peers."""
    first = groups[0]
    if first.kind == "class":
        strata = np.zeros_like(labels)
    elif first.kind == "source" or first.name == "source":
        strata = labels
    else:
        strata = labels * (int(sources.max()) + 1) + sources
    parts = np.zeros(len(labels), dtype=np.int64)
    for number, group in enumerate(groups, 1):
        parts[group.rows] = number
    peers = first.peers
    return unlike_chance(parts[peers], values[peers], strata[peers])


def value_of(
    group: RenderGroup,
    values: NDArray[np.float64],
    lowest: NDArray[np.bool_],
    weights: NDArray[np.float64] | None,
    families: NDArray[np.integer],
) -> GroupValue:
    """What a group is worth. All arrays are (N,).

    Args:
        weights: NaN for renders that training never saw; None if it weighs none.
        families: see `mean_with_interval`.
    """
    rows = group.rows
    share = stats.binomtest(int((rows & lowest).sum()), group.images).proportion_ci(_CONFIDENCE, "wilson")
    others = group.peers & ~rows
    seen = rows & np.isfinite(weights) if weights is not None else np.zeros_like(rows)
    return GroupValue(
        group,
        mean_with_interval(values[rows], families[rows]),
        mean_with_interval(weights[seen], families[seen]) if weights is not None and seen.any() else None,
        Bounds(float(lowest[rows].mean()), float(share.low), float(share.high)),
        float(lowest[others].mean()) if others.any() else float("nan"),
        bool(others.any() and values[rows].mean() < values[others].mean()),
    )
