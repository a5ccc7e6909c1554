"""Accuracy on photos, estimated without labels. N photos, M held-out renders, K classes."""

__all__ = ["AccuracyEstimate", "average_thresholded_confidence", "combined", "difference_of_confidences"]

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import entr

Floats = NDArray[np.floating[Any]]
Labels = NDArray[np.integer[Any]]

_WIDE = 1.96  # standard errors of a 95 % interval


@dataclass(frozen=True)
class AccuracyEstimate:
    """Accuracy in [0, 1] with a range, and in words how it came about."""

    estimate: float
    low: float
    high: float
    how: str

    def facts(self) -> dict[str, Any]:
        """For metrics.json."""
        return asdict(self)


def average_thresholded_confidence(held_out: Floats, labels: Labels, photos: Floats) -> float:
    """ATC, in [0, 1]: the share of photos above the score that as many held-out renders exceed as are right.

    Garg, Balakrishnan, Lipton, Neyshabur, Sedghi (ICLR 2022), eq. 1 and 2, with the score negative entropy.

    Args:
        held_out: (M, K) probabilities.
        labels: (M,).
        photos: (N, K) probabilities.
    """
    scores = np.sort(-entr(held_out).sum(axis=1))  # (M,)
    wrong = int((held_out.argmax(axis=1) != labels).sum())
    threshold = scores[wrong] if wrong < len(scores) else np.inf
    return float((-entr(photos).sum(axis=1) >= threshold).mean())


def difference_of_confidences(held_out: Floats, labels: Labels, photos: Floats) -> float:
    """Held-out accuracy less what mean confidence loses from renders to photos, in [0, 1].

    Guillory, Shankar, Ebrahimi, Darrell, Schmidt (ICCV 2021), sec. 3, with a slope of one.

    Args:
        held_out: (M, K) probabilities.
        labels: (M,).
        photos: (N, K) probabilities.
    """
    accuracy = float((held_out.argmax(axis=1) == labels).mean())
    return float(np.clip(accuracy - held_out.max(axis=1).mean() + photos.max(axis=1).mean(), 0.0, 1.0))


def combined(witnesses: Mapping[str, float], photos: int) -> AccuracyEstimate:
    """The mean of several estimates. Its range holds them all, each with 95 % of sampling error.

    Estimates that err in different ways tell by their spread how little is known; no one of them is best everywhere
    (Garg et al., ICLR 2022, table 1).

    Args:
        witnesses: in words -> accuracy in [0, 1]; at least one.
        photos: N.
    """
    values = np.array(list(witnesses.values()))
    errors = _WIDE * np.sqrt(values * (1.0 - values) / photos)
    low, high = np.clip([(values - errors).min(), (values + errors).max()], 0.0, 1.0)
    how = "mean of " + ", ".join(f"{name} {100 * value:.0f} %" for name, value in witnesses.items())
    return AccuracyEstimate(float(values.mean()), float(low), float(high), how)
