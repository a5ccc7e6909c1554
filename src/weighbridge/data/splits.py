"""Which labelled images train and which are held out: stratified by class, whole groups, seeded."""

__all__ = ["held_out_rows"]

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold, StratifiedShuffleSplit

_Column = NDArray[np.integer[Any]]


def held_out_rows(labels: _Column, groups: _Column, share: float, seed: int) -> NDArray[np.bool_]:
    """Choose rows to hold out, class by class, never a part of a group.

    Args:
        labels: (N,) in [0, K).
        groups: (N,); images of one number stay together, such as patches of one picture or frames of one track.
        share: of the images, in [0, 1).
        seed: fixes the choice.

    Returns:
        (N,) True for rows to hold out. No class leaves training altogether; if no class can spare an image, none is
        held out. With groups the share is met as nearly as whole groups allow.
    """
    held = np.zeros(len(labels), dtype=np.bool_)
    if share > 0.0 and len(labels):
        if len(np.unique(groups)) == len(groups):
            held[_single(labels, share, seed)] = True
        else:
            held = np.isin(groups, _whole_groups(labels, groups, share, seed))
    return held


def _single(labels: _Column, share: float, seed: int) -> NDArray[np.int64]:
    """Rows to hold out, at least one of each class that has two."""
    rows = np.flatnonzero(np.bincount(labels)[labels] > 1)
    kinds = len(np.unique(labels[rows]))
    if not len(rows) or len(rows) - kinds < kinds:
        return rows[:0]
    wanted = min(max(round(share * len(rows)), kinds), len(rows) - kinds)  # at least one of each class on either side
    splitter = StratifiedShuffleSplit(n_splits=1, test_size=wanted, random_state=seed)
    _, chosen = next(splitter.split(rows, labels[rows]))
    held: NDArray[np.int64] = rows[chosen]
    return held


def _whole_groups(labels: _Column, groups: _Column, share: float, seed: int) -> _Column:
    """Groups to hold out."""
    names = np.unique(groups)
    folds = min(max(2, round(1.0 / max(share, 1e-6))), len(names), int(np.bincount(labels).max()))
    if folds < 2:
        return names[:0]
    with warnings.catch_warnings(action="ignore", category=UserWarning):  # a class with fewer images than folds is fine
        splitter = StratifiedGroupKFold(n_splits=folds, shuffle=True, random_state=seed)
        _, chosen = next(splitter.split(labels, labels, groups))
    held: _Column = np.unique(groups[chosen])
    for kind in np.unique(labels):  # no class may leave training altogether
        of_this_kind = np.unique(groups[labels == kind])
        if np.isin(of_this_kind, held).all():
            held = held[held != of_this_kind[0]]
    return held
