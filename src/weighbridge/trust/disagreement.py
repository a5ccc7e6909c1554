"""On how many photos models differ."""

__all__ = ["disagreement", "mean_disagreement"]

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.integer[Any]]


def disagreement(one: Labels, other: Labels) -> float:
    """Share of photos taken for different classes, in [0, 1]. one, other: (N,).

    Of two models that differ at least one is wrong. Where models of several seeds are together calibrated, mean error
    equals mean disagreement (Jiang, Nagarajan, Baek, Kolter, ICLR 2022, theorem 4.1).
    """
    return float(np.mean(np.asarray(one) != np.asarray(other)))


def mean_disagreement(models: Sequence[Labels]) -> float | None:
    """Over all pairs of models; None for fewer than two."""
    pairs = [disagreement(one, other) for one, other in itertools.combinations(models, 2)]
    return float(np.mean(pairs)) if pairs else None
