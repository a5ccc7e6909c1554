"""How far renders and photos lie apart, and what the domain classifier of a run did."""

__all__ = ["adversary_state", "proxy_a_distance", "trivial_cues"]

import warnings
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

Floats = NDArray[np.floating[Any]]

_FOLDS = 5
_NOT_ALIGNED = 0.9  # share of the domain labels still told right at the end; 0.5 is chance
_NEVER_LEARNED = 0.55  # share told right that a domain classifier at work exceeds at some time


def proxy_a_distance(renders: Floats, photos: Floats) -> float | None:
    """2 (1 - 2 e) in [0, 2], where e is the error of telling the domains apart.

    Ben-David, Blitzer, Crammer, Pereira (NIPS 2006), sec. 4, with five-fold cross-validated logistic regression. 0 says
    that they cannot be told apart, 2 that no image is mistaken.

    Args:
        renders, photos: (M, F), (N, F); domains count alike, whatever M and N.

    Returns:
        None for fewer images than folds.
    """
    if min(len(renders), len(photos)) < _FOLDS:
        return None
    features = np.concatenate([renders, photos]).astype(np.float64)
    domain = np.repeat([0, 1], [len(renders), len(photos)])
    classifier = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, class_weight="balanced", max_iter=200))
    folds = StratifiedKFold(_FOLDS, shuffle=True, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the last digits of a distance matter to nobody
        told = cross_val_predict(classifier, features, domain, cv=folds)
    error = np.mean([(told[domain == kind] != kind).mean() for kind in (0, 1)])
    return float(max(0.0, 2.0 * (1.0 - 2.0 * error)))


def trivial_cues(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """What gives a domain away without a look at content, (N, C, H, W) uint8 -> (N, 6).

    Brightness, contrast, colourfulness, noise, how flat the border is, and how much brighter it is than the middle.
    """
    values = pixels.astype(np.float64)
    grey = values.mean(axis=1)  # (N, H, W)
    around = grey[:, :-2, 1:-1] + grey[:, 2:, 1:-1] + grey[:, 1:-1, :-2] + grey[:, 1:-1, 2:]
    noise = np.median(np.abs(4.0 * grey[:, 1:-1, 1:-1] - around), axis=(1, 2))
    border = np.concatenate([grey[:, 0], grey[:, -1], grey[:, :, 0], grey[:, :, -1]], axis=1)  # (N, 2H + 2W)
    brightness = grey.mean(axis=(1, 2))
    colour = values.std(axis=1).mean(axis=(1, 2))
    columns = (brightness, grey.std(axis=(1, 2)), colour, noise, border.std(axis=1), border.mean(axis=1) - brightness)
    return np.stack(columns, axis=1)


def adversary_state(accuracies: Sequence[float]) -> Literal["dead", "winning", "balanced"] | None:
    """What the domain classifier did.

    Dead: it never told domains apart, so features learned nothing of it. Winning: at the end it is right about more
    than 90 % of the images, so the domains are not aligned (Ganin et al., JMLR 17, 2016, sec. 4: the adversary at its
    best should be at chance).

    Args:
        accuracies: share of images that it told right, in the order of training; the last tenth is the end.

    Returns:
        None where nothing was logged.
    """
    if not accuracies:
        return None
    if max(accuracies) < _NEVER_LEARNED:
        return "dead"
    end = accuracies[-max(1, len(accuracies) // 10) :]
    return "winning" if float(np.mean(end)) > _NOT_ALIGNED else "balanced"
