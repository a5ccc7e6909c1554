"""Which of several models to take, without labels of photos: checkpoints, methods, or values of a setting."""

__all__ = ["Candidate", "chosen", "score_of"]

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from weighbridge.trust.neighbours import neighbour_information
from weighbridge.trust.scores import mutual_information

Floats = NDArray[np.floating[Any]]
Labels = NDArray[np.integer[Any]]


@dataclass(frozen=True)
class Candidate:
    """A model that may be taken.

    Attributes:
        score: of `score_of`.
        harmed: whether an alarm of harm was raised, see `verdict.decide`.
    """

    name: str
    score: float
    harmed: bool = False


def score_of(photos: Floats, neighbours: Labels | None) -> float:
    """The two witnesses of the verdict added up, in nats, in [0, 2 ln K]. Higher is better.

    Mutual information of photo and prediction (Shi and Sha, ICML 2012), and of the classes of neighbours (Ji et al.,
    ICCV 2019). The first says that predictions are sure and varied; the second, by features that no candidate has made,
    that photos which look alike are told alike.

    Args:
        photos: (N, K) probabilities, calibrated on held-out renders, so that no candidate gains by mere sharpness.
        neighbours: (N, k) of the photos, see `neighbours.nearest`; the first witness is alone without them.
    """
    score = mutual_information(photos)
    if neighbours is not None:
        score += neighbour_information(photos.argmax(axis=1), neighbours, photos.shape[1])
    return score


def chosen(candidates: Sequence[Candidate]) -> Candidate:
    """The rule: of the candidates without an alarm of harm the one with the highest score; of all if all have one.

    Args:
        candidates: at least one; the first of equals is taken, so put the one that changes least first.
    """
    sound = [candidate for candidate in candidates if not candidate.harmed]
    return max(sound or candidates, key=lambda candidate: candidate.score)
