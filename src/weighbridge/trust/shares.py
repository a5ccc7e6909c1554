"""Shares of classes among photos: those predicted against those expected, sinks, vanished classes, and flows.

N photos, M held-out renders, K classes.
"""

__all__ = ["Expected", "Flow", "confusion_of", "estimated_shares", "expected_shares", "flows", "sinks", "vanished"]

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.stats import norm

from weighbridge.parts.class_ratios import better_shares

Floats = NDArray[np.floating[Any]]
Labels = NDArray[np.integer[Any]]

_ROUNDS = 200  # of expectation maximisation
_CHANCE = 0.01  # that any of K classes is called strange by sampling alone
_MORE, _EXCESS = 2.0, 0.1  # a sink has twice the photos expected, and a tenth of all photos too many
_LESS = 0.25  # a vanished class has a quarter of the photos expected, or none
_PRIOR = 1.0  # image of each class that the held-out confusion has beside those counted


def confusion_of(probabilities: Floats, labels: Labels) -> NDArray[np.float64]:
    """C_ij = mean probability of class i on images of class j, (K, K), each column summing to one.

    The soft confusion of Lipton, Wang, Smola (ICML 2018, sec. 4). Each class counts one more image, told right, so
    that a class without images has a column.

    Args:
        probabilities: (M, K).
        labels: (M,).
    """
    kinds = probabilities.shape[1]
    rows = np.arange(len(labels))
    sums = csr_matrix((np.ones(len(rows)), (labels, rows)), shape=(kinds, len(rows))) @ probabilities  # (K, K)
    counts = np.bincount(labels, minlength=kinds) + _PRIOR
    confusion: NDArray[np.float64] = ((sums + _PRIOR * np.eye(kinds)) / counts[:, None]).T
    return confusion


def estimated_shares(confusion: Floats, predicted: Floats, rounds: int = _ROUNDS) -> NDArray[np.float64]:
    """Shares q of the classes among photos, (K,), where predictions occur with shares mu = C q.

    Maximum likelihood by expectation maximisation (Saerens, Latinne, Decaestecker, Neural Computation 14, 2002) on the
    confusion (Lipton, Wang, Smola, ICML 2018): see `class_ratios.better_shares`.

    Args:
        confusion: (K, K), columns summing to one.
        predicted: (K,) mu.
    """
    columns, seen = torch.from_numpy(np.asarray(confusion, float)), torch.from_numpy(np.asarray(predicted, float))
    shares = torch.full_like(seen, 1.0 / len(seen))
    for _ in range(rounds):
        shares = better_shares(shares, columns, seen)
    found: NDArray[np.float64] = shares.numpy()
    return found


@dataclass(frozen=True)
class Expected:
    """Shares with which a model should predict each class on N photos, with sampling error, (K,) each."""

    share: NDArray[np.float64]
    error: NDArray[np.float64]

    def limits(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Between which all K shares lie with 99 % probability (Bonferroni), (K,) each, in [0, 1]."""
        reach = norm.isf(_CHANCE / 2 / len(self.share)) * self.error
        return np.clip(self.share - reach, 0.0, 1.0), np.clip(self.share + reach, 0.0, 1.0)


def expected_shares(
    held_out: Floats,
    labels: Labels,
    photos: Floats,
    judged: Floats | None = None,
    *,
    draws: int = 100,
    seed: int = 0,
) -> Expected:
    """Shares that a model should predict, by what another model says of the same photos.

    The other model's predictions and its confusion on held-out renders give the shares of the classes
    (`estimated_shares`). The judged model's confusion turns these into its predictions. The error is a bootstrap's
    over renders and photos (Efron, Annals of Statistics 7, 1979), and that of counting N photos.

    Args:
        held_out: (M, K) probabilities of the other model.
        labels: (M,) of those renders.
        photos: (N, K) probabilities of the other model.
        judged: (M, K) probabilities of the model that is judged; the other one if not given.
        draws: of the bootstrap, >= 2.
    """
    random, found = np.random.default_rng(seed), []
    for draw in range(draws + 1):
        rows = np.arange(len(labels)) if draw == 0 else random.integers(len(labels), size=len(labels))
        seen = np.arange(len(photos)) if draw == 0 else random.integers(len(photos), size=len(photos))
        weight = np.bincount(seen, minlength=len(photos)) / len(photos)  # (N,)
        told = confusion_of(held_out[rows], labels[rows])
        shares = estimated_shares(told, weight @ photos, _ROUNDS if draw == 0 else _ROUNDS // 4)
        own = told if judged is None else confusion_of(judged[rows], labels[rows])
        found.append(own @ shares)
    share = found[0]
    counting = share * (1.0 - share) / len(photos)
    return Expected(share, np.sqrt(np.var(found[1:], axis=0, ddof=1) + counting))


def sinks(predicted: Floats, expected: Expected) -> list[int]:
    """Classes that swallow photos of others, the largest first.

    Such a class has more photos than sampling explains, twice as many as expected, and a tenth of all photos too many.

    Args:
        predicted: (K,) shares of the photos.
    """
    excess = predicted - expected.share
    _, high = expected.limits()
    strange = (predicted > high) & (predicted > _MORE * expected.share) & (excess > _EXCESS)
    return [int(k) for k in np.argsort(-excess) if strange[k]]


def vanished(predicted: Floats, expected: Expected) -> list[int]:
    """Classes that lost their photos, those with most expected first.

    Such a class has fewer photos than sampling explains, and at most a quarter of those expected.

    Args:
        predicted: (K,) shares of the photos.
    """
    low, _ = expected.limits()
    strange = (predicted < low) & (predicted <= _LESS * expected.share)
    return [int(k) for k in np.argsort(-expected.share) if strange[k]]


@dataclass(frozen=True)
class Flow:
    """Photos that one model takes for class `before` and another for class `after`."""

    before: int
    after: int
    photos: int


def flows(before: Labels, after: Labels, classes: int) -> list[Flow]:
    """Which classes photos left and which they came to, the largest first. before, after: (N,) in [0, K)."""
    moved = before != after
    pairs = np.bincount(before[moved] * classes + after[moved], minlength=1)
    largest = np.argsort(-pairs, kind="stable")[: int((pairs > 0).sum())]
    return [Flow(int(pair) // classes, int(pair) % classes, int(pairs[pair])) for pair in largest]
