"""What a group of renders is worth, and whether it holds more of the lowest fifth than chance would give it.

Shapes: N renders.
"""

__all__ = ["Bounds", "GroupValue", "chances", "lowest_fifth", "mean_with_interval", "unlike_chance", "value_of"]

from collections.abc import Sequence
from dataclasses import dataclass

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
    """

    group: RenderGroup
    value: Bounds
    weight: Bounds | None
    share: Bounds
    others: float


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


def unlike_chance(group: NDArray[np.bool_], lowest: NDArray[np.bool_], strata: NDArray[np.integer]) -> float:
    """Two-sided p-value of Mantel and Haenszel (1959): within strata, is being in the group unlike being lowest?

    Args:
        group, lowest: (n,) bool.
        strata: (n,) numbers; renders of one number are compared with each other.

    Returns:
        In [0, 1]; 1 where no stratum has both kinds of both.
    """
    _, stratum = np.unique(strata, return_inverse=True)
    size = np.bincount(stratum).astype(np.float64)
    inside, low = np.bincount(stratum, weights=group), np.bincount(stratum, weights=lowest)
    expected = inside * low / size
    variance = inside * (size - inside) * low * (size - low) / (size**2 * np.maximum(size - 1, 1))
    if variance.sum() == 0:
        return 1.0
    z = (float((group & lowest).sum()) - expected.sum()) / np.sqrt(variance.sum())
    return float(2 * stats.norm.sf(abs(z)))


def chances(
    groups: Sequence[RenderGroup],
    lowest: NDArray[np.bool_],
    labels: NDArray[np.integer],
    sources: NDArray[np.integer],
) -> NDArray[np.float64]:
    """How likely chance alone puts as many or as few of the lowest fifth into each group, (G,) p-values, adjusted.

    A class is compared with all classes, a source with other sources class by class, and a factor with the renders of
    its class and source that have it otherwise. A class or source that is lower as a whole makes none of its factors
    look lower. Of groups below 0.05, at most 5 % are expected to be there by chance (Benjamini and Hochberg, 1995).

    Args:
        groups: G of them.
        lowest, labels, sources: (N,).
    """
    p = [_p_value(group, lowest, labels, sources) for group in groups]
    return np.asarray(stats.false_discovery_control(p)) if p else np.empty(0)


def _p_value(
    group: RenderGroup, lowest: NDArray[np.bool_], labels: NDArray[np.integer], sources: NDArray[np.integer]
) -> float:
    if group.kind == "class":
        strata = np.zeros_like(labels)
    elif group.name == "source" or group.kind == "source":
        strata = labels
    else:
        strata = labels * (int(sources.max()) + 1) + sources
    peers = _peers(group, labels)
    return unlike_chance(group.rows[peers], lowest[peers], strata[peers])


def _peers(group: RenderGroup, labels: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Whom a group is one of: its class, or all."""
    if group.label is None:
        return np.ones(len(labels), dtype=np.bool_)
    return labels == labels[np.argmax(group.rows)]


def value_of(
    group: RenderGroup,
    values: NDArray[np.float64],
    lowest: NDArray[np.bool_],
    weights: NDArray[np.float64] | None,
    labels: NDArray[np.integer],
    families: NDArray[np.integer],
) -> GroupValue:
    """What a group is worth. All arrays are (N,).

    Args:
        weights: NaN for renders that training never saw; None if it weighs none.
        families: see `mean_with_interval`.
    """
    rows = group.rows
    share = stats.binomtest(int((rows & lowest).sum()), group.images).proportion_ci(_CONFIDENCE, "wilson")
    others = _peers(group, labels) & ~rows
    seen = rows & np.isfinite(weights) if weights is not None else np.zeros_like(rows)
    return GroupValue(
        group,
        mean_with_interval(values[rows], families[rows]),
        mean_with_interval(weights[seen], families[seen]) if weights is not None and seen.any() else None,
        Bounds(float(lowest[rows].mean()), float(share.low), float(share.high)),
        float(lowest[others].mean()) if others.any() else float("nan"),
    )
