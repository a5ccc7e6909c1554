"""What photos that look alike are taken for, and photos unlike all renders. N photos, M renders, F features."""

__all__ = [
    "EXCEEDED",
    "NEAR",
    "Likeness",
    "bulk",
    "gradient_histograms",
    "nearest",
    "neighbour_information",
    "neighbour_information_gain",
    "render_distance",
    "robust_position",
]

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp, ndtr, xlogy
from sklearn.neighbors import NearestNeighbors

Floats = NDArray[np.floating[Any]]
Labels = NDArray[np.integer[Any]]

NEAR = 5  # a photo is as far from the renders as from the 5th nearest of them
EXCEEDED = 0.05  # share of held-out renders that are called unlike all renders
_GROUPS = 20  # of a jackknife
_SIDE, _CELLS, _ANGLES = 32, 4, 8  # pixels, cells a side, orientations


def nearest(features: Floats, neighbours: int, among: Floats | None = None) -> tuple[Floats, Labels]:
    """Distances and rows of the nearest vectors, (N, k) each, between vectors of length one.

    Args:
        features: (N, F).
        neighbours: k >= 1, fewer than there are.
        among: (M, F) vectors to look in; the others of `features` if not given.
    """
    own = _unit(features)
    index = NearestNeighbors(n_neighbors=neighbours, algorithm="brute").fit(own if among is None else _unit(among))
    distances, rows = index.kneighbors(None if among is None else own)
    return distances, rows


def _unit(features: Floats) -> Floats:
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    unit: Floats = features / np.maximum(lengths, 1e-12)
    return unit


def neighbour_information(labels: Labels, neighbours: Labels, classes: int) -> float:
    """Mutual information between the class of a photo and of its neighbours, in nats, in [0, ln K].

    High where photos that look alike are taken for one class and all classes occur. A class that swallows half of
    every other lowers it, and so does one that swallows all of another. The measure of Ji, Henriques, Vedaldi (ICCV
    2019, eq. 2 and 3), with nearest neighbours in place of augmented copies.

    Args:
        labels: (N,) in [0, K), what each photo is taken for.
        neighbours: (N, k) rows of photos that look alike, by features that neither model has made.
    """
    pairs = labels[:, None] * classes + labels[neighbours]  # (N, k)
    return _information(np.bincount(pairs.ravel(), minlength=classes**2).reshape(classes, classes))


def _information(counts: NDArray[Any]) -> float:
    joint = (counts + counts.T) / (2.0 * counts.sum())  # (K, K)
    single = joint.sum(axis=0)
    return float(xlogy(joint, joint).sum() - 2.0 * xlogy(single, single).sum())


def neighbour_information_gain(
    after: Labels, before: Labels, neighbours: Labels, classes: int, seed: int = 0
) -> tuple[float, float]:
    """Neighbour information of one model less that of another on the same photos, and its standard error, in nats.

    The error is a jackknife's over 20 groups of photos, which leaves each out as photo and as neighbour (Efron and
    Stein, Annals of Statistics 9, 1981). So is the bias, which is taken off: few photos of many classes seem to tell
    more than they do, and most so where predictions are noise.

    Args:
        after, before: (N,) in [0, K); N >= 40.
        neighbours: (N, k).
    """
    group = np.random.default_rng(seed).permutation(len(after)) % _GROUPS  # (N,)
    gains, shares = [], []
    for left_out in range(-1, _GROUPS):
        kept = (group != left_out)[:, None] & (group != left_out)[neighbours]  # (N, k)
        values = []
        for labels in (after, before):
            pairs = (labels[:, None] * classes + labels[neighbours])[kept]
            values.append(_information(np.bincount(pairs, minlength=classes**2).reshape(classes, classes)))
        gains.append(values[0] - values[1])
        shares.append(kept.mean())
    bias = (np.mean(gains[1:]) - gains[0]) / (1.0 / np.mean(shares[1:]) - 1.0)  # falls as 1 / pairs
    spread = np.var(gains[1:]) * (_GROUPS - 1)
    return float(gains[0] - bias), float(np.sqrt(spread))


def gradient_histograms(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Histograms of edge directions, (N, C, H, W) uint8 -> (N, 128): features that no model has made.

    Dalal and Triggs (CVPR 2005), with 4 x 4 cells of a 32-pixel square, 8 unsigned directions, and one normalisation
    for the whole square. A picture and its negative are alike.
    """
    grey = _shrunk(pixels.mean(axis=1))  # (N, 32, 32)
    down, across = np.gradient(grey, axis=1), np.gradient(grey, axis=2)
    size = np.hypot(down, across)
    angle = (np.arctan2(down, across) % np.pi) / np.pi * _ANGLES
    direction = np.minimum(angle.astype(int), _ANGLES - 1)  # (N, 32, 32)
    cell = np.arange(_SIDE) * _CELLS // _SIDE
    place = (cell[:, None] * _CELLS + cell) * _ANGLES + direction
    bins = _CELLS * _CELLS * _ANGLES
    row = np.arange(len(grey))[:, None, None] * bins
    sums = np.bincount((row + place).ravel(), weights=size.ravel(), minlength=len(grey) * bins)
    found = np.sqrt(sums.reshape(len(grey), bins))
    return np.asarray(_unit(found), dtype=np.float32)


def _shrunk(grey: Floats) -> Floats:
    """Squares of 32 pixels by area: means over the pixels of each, or the nearest pixel of a smaller picture."""
    for axis in (1, 2):
        edges = np.linspace(0, grey.shape[axis], _SIDE + 1)
        starts = np.minimum(edges[:-1].astype(int), grey.shape[axis] - 1)
        widths = np.maximum(np.diff(np.append(starts, grey.shape[axis])), 1)
        shape = [1, 1, 1]
        shape[axis] = _SIDE
        grey = np.add.reduceat(grey, starts, axis=axis) / widths.reshape(shape)
    return grey


def render_distance(features: Floats, renders: Floats | None = None) -> NDArray[np.float64]:
    """Distance to the 5th nearest render, (N, F) -> (N,) (Sun, Ming, Zhu, Li, ICML 2022, sec. 3).

    Args:
        features: of photos; of the renders themselves, each apart from itself, if `renders` is not given.
        renders: (M, F), M >= 5.
    """
    distances, _ = nearest(features, NEAR, renders)
    return np.asarray(distances[:, -1], dtype=np.float64)


def bulk(values: Floats) -> tuple[float, float]:
    """Median, and 1.4826 times the median absolute deviation, > 0, which is a normal standard deviation.

    Up to half of the values may be strange (Rousseeuw and Croux, JASA 88, 1993). values: (N,).
    """
    middle = float(np.median(values))
    return middle, max(1.4826 * float(np.median(np.abs(values - middle))), 1e-9)


def robust_position(values: Floats, middle_and_deviation: tuple[float, float]) -> NDArray[np.float64]:
    """How many deviations above the bulk each value lies, (N,) -> (N,): a gap that all photos have moves none."""
    middle, deviation = middle_and_deviation
    return np.asarray((values - middle) / deviation, dtype=np.float64)


@dataclass(frozen=True)
class Likeness:
    """How unlike all renders an image is, relative to the bulk of the photos.

    The mean of two signs: distance to the 5th nearest held-out render (Sun et al., ICML 2022), and energy -ln sum exp z
    (Liu, Wang, Owens, Li, NeurIPS 2020, eq. 4). Each is counted in deviations from the bulk of the photos.

    Attributes:
        renders: (M, F) features of held-out renders, M > 5.
        far, energy: middle and deviation of both signs among the photos.
        threshold: the score that 5 % of held-out renders exceed, relative to their own bulk.
    """

    renders: Floats
    far: tuple[float, float]
    energy: tuple[float, float]
    threshold: float

    @classmethod
    def of(cls, renders: Floats, render_logits: Floats, photos: Floats, photo_logits: Floats) -> "Likeness":
        """renders: (M, F), (M, K); photos: (n, F), (n, K), whose bulk it is."""
        own = _as_score(*(robust_position(v, bulk(v)) for v in (render_distance(renders), _energy(render_logits))))
        threshold = float(np.quantile(own, 1.0 - EXCEEDED))
        return cls(renders, bulk(render_distance(photos, renders)), bulk(_energy(photo_logits)), threshold)

    def score(self, features: Floats, logits: Floats) -> NDArray[np.float64]:
        """(N, F), (N, K) -> (N,) in [0, 1]; half of the bulk is below 0.5."""
        far = robust_position(render_distance(features, self.renders), self.far)
        return _as_score(far, robust_position(_energy(logits), self.energy))


def _energy(logits: Floats) -> NDArray[np.float64]:
    return np.asarray(-logsumexp(logits, axis=1), dtype=np.float64)


def _as_score(far: Floats, energy: Floats) -> NDArray[np.float64]:
    return np.asarray(ndtr((far + energy) / 2.0), dtype=np.float64)
