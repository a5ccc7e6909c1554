"""Probabilities that mean something: temperatures, and below which of them a person should look.

N images, K classes.
"""

__all__ = [
    "doubt_threshold",
    "expected_calibration_error",
    "fit_temperature",
    "probabilities_of",
    "temperature_of_confidence",
]

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq, minimize_scalar
from scipy.special import log_softmax, softmax
from sklearn.isotonic import isotonic_regression

Floats = NDArray[np.floating[Any]]
Labels = NDArray[np.integer[Any]]

_COLDEST, _HOTTEST = np.log(0.02), np.log(500.0)  # of temperatures; whatever is beyond is one-hot or even


def probabilities_of(logits: Floats, temperature: float = 1.0) -> NDArray[np.float64]:
    """Class probabilities softmax(z / T), (N, K) -> (N, K)."""
    probabilities: NDArray[np.float64] = softmax(np.asarray(logits, dtype=np.float64) / temperature, axis=1)
    return probabilities


def fit_temperature(logits: Floats, labels: Labels) -> float:
    """T > 0 with the least negative log likelihood of labelled images (Guo et al., ICML 2017, sec. 4.2).

    The likelihood has Platt's targets, (N + 1) / (N + 2) for the label and the rest for all others (Platt 1999, sec.
    2.2). Without them T is 0 where every one of a few images is right.

    Args:
        logits: (N, K), N >= 1.
        labels: (N,) in [0, K).
    """
    count, kinds = logits.shape
    off = 1.0 / (count + 2) / max(kinds - 1, 1)
    on = (count + 1) / (count + 2) - off

    def loss(log_temperature: float) -> float:
        logs = log_softmax(np.asarray(logits, dtype=np.float64) / np.exp(log_temperature), axis=1)
        return -float(on * logs[np.arange(count), labels].mean() + off * logs.sum(axis=1).mean())

    return float(np.exp(minimize_scalar(loss, bounds=(_COLDEST, _HOTTEST), method="bounded").x))


def temperature_of_confidence(logits: Floats, confidence: float) -> float:
    """T > 0 at which the mean probability of the predicted class is `confidence`.

    A calibrated model is as confident as it is accurate (Guo et al., ICML 2017, eq. 1). So an estimate of accuracy
    without labels gives a temperature without labels.

    Args:
        logits: (N, K).
        confidence: in [0, 1]; below that of the hottest temperature it gives that temperature, as 1 / K is the least.
    """

    def excess(log_temperature: float) -> float:
        return float(probabilities_of(logits, float(np.exp(log_temperature))).max(axis=1).mean()) - confidence

    if excess(_COLDEST) <= 0:
        return float(np.exp(_COLDEST))
    if excess(_HOTTEST) >= 0:
        return float(np.exp(_HOTTEST))
    return float(np.exp(brentq(excess, _COLDEST, _HOTTEST, xtol=1e-4)))


def expected_calibration_error(probability: Floats, right: NDArray[np.bool_], bins: int = 15) -> float:
    """ECE in [0, 1]: |accuracy - confidence| in bins of equal width, weighted by their images (Guo et al., eq. 3).

    Args:
        probability: (N,) of the predicted class.
        right: (N,) whether that is the label.
    """
    place = np.minimum((probability * bins).astype(int), bins - 1)  # (N,)
    gaps = np.bincount(place, weights=right - probability, minlength=bins)  # (bins,), in images
    return float(np.abs(gaps).sum() / len(probability))


def doubt_threshold(probability: Floats, belief: Floats, error: float = 0.1) -> float:
    """The calibrated probability below which the estimated error is above `error`, in [0, 1]: a person should look.

    Belief rises with probability once it is made monotone (isotonic regression; Zadrozny and Elkan, KDD 2002).

    Args:
        probability: (N,) of the predicted class.
        belief: (N,) that the class is right, in [0, 1], by whatever else is known.

    Returns:
        The least probability where belief is at least 1 - error; 1 if there is none.
    """
    order = np.argsort(probability, kind="stable")
    rising = isotonic_regression(np.asarray(belief, dtype=np.float64)[order])
    sure = np.flatnonzero(rising >= 1.0 - error)
    return float(probability[order[sure[0]]]) if len(sure) else 1.0
