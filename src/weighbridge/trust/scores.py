"""Scores of predictions without labels, for evidence and for choosing between runs. Higher is better in all of them.

N photos, K classes.
"""

__all__ = [
    "average_confidence",
    "mean_entropy",
    "mutual_information",
    "mutual_information_gain",
    "soft_neighbourhood_density",
]

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import entr, softmax, xlogy

Floats = NDArray[np.floating[Any]]

_SHARPNESS = 0.05  # tau of soft neighbourhood density, as in the paper
_ROWS = 1024  # of a block of similarities


def average_confidence(probabilities: Floats) -> float:
    """Mean probability of the predicted class, in [1 / K, 1]. probabilities: (N, K)."""
    return float(probabilities.max(axis=1).mean())


def mean_entropy(probabilities: Floats) -> float:
    """Mean entropy of single predictions, in nats, in [0, ln K]. Lower is surer. probabilities: (N, K)."""
    return float(entr(probabilities).sum(axis=1).mean())


def mutual_information(probabilities: Floats) -> float:
    """Entropy of the mean prediction less the mean entropy, in nats, in [0, ln K] (Shi and Sha, ICML 2012, eq. 5).

    High where single predictions are sure and all classes occur; 0 for a collapsed network. probabilities: (N, K).
    """
    return float(entr(probabilities.mean(axis=0)).sum()) - mean_entropy(probabilities)


def mutual_information_gain(after: Floats, before: Floats) -> tuple[float, float]:
    """Mutual information of one model less that of another on the same photos, and its standard error, in nats.

    The error is that of the mean of per-photo influences -sum_k p_k ln m_k - H(p), where m is the mean prediction
    (the delta method; van der Vaart, Asymptotic Statistics, 1998, ch. 20).

    Args:
        after, before: (N, K) probabilities, N >= 2.
    """
    influence = _influence(after) - _influence(before)  # (N,)
    gain = mutual_information(after) - mutual_information(before)
    return gain, float(influence.std(ddof=1) / np.sqrt(len(influence)))


def _influence(probabilities: Floats) -> NDArray[np.float64]:
    mean = probabilities.mean(axis=0)  # (K,)
    influence: NDArray[np.float64] = -xlogy(probabilities, mean).sum(axis=1) - entr(probabilities).sum(axis=1)
    return influence


def soft_neighbourhood_density(probabilities: Floats) -> float:
    """Mean entropy of a photo's similarities to all others, in nats (Saito et al., ICCV 2021, eq. 1 to 3).

    High where photos lie in dense groups of predictions. Predictions are normalised and compared by their inner
    product over tau = 0.05. A collapsed network scores best, so it is of use beside a score that sees collapse.

    Args:
        probabilities: (N, K), N >= 2; memory grows by N, time by N squared.
    """
    rows = probabilities / np.linalg.norm(probabilities, axis=1, keepdims=True)  # (N, K)
    total = 0.0
    for start in range(0, len(rows), _ROWS):
        similar = rows[start : start + _ROWS] @ rows.T / _SHARPNESS  # (n, N)
        own = np.arange(len(similar))
        similar[own, start + own] = -np.inf  # nobody is a neighbour of himself
        total += float(entr(softmax(similar, axis=1)).sum())
    return total / len(rows)
