"""Photos that flow from one class to another by adapting, and their picture.

K classes; `counts` is (K, K): rows are what the renders-only model said, columns what the adapted one says.
"""

__all__ = ["Band", "Flows", "Stop", "flows_between", "flows_of"]

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from weighbridge.files import printable

_CLASSES = 14  # that stand by themselves
_HEIGHT = 420.0  # of the picture, in pixels
_GAP = 0.3  # share of the height that lies between classes
_SMALLEST = 16.0  # pixels from the middle of one class to the next, so that names do not cover each other
_TOLD = 12  # changes that stand in words


@dataclass(frozen=True)
class Stop:
    """A class at the left or the right edge; `top` and `height` in pixels."""

    name: str
    photos: int
    top: float
    height: float


@dataclass(frozen=True)
class Band:
    """Photos that go from a class at the left to one at the right; `path` is of an SVG 100 wide."""

    path: str
    words: str
    stays: bool


@dataclass(frozen=True)
class Flows:
    """A picture with its numbers.

    Attributes:
        changed: photos that changed their class.
        biggest: (from, to, photos), most photos first.
        rest: how many classes are drawn as one; what stays among them, or moves, is not drawn: `undrawn` photos.
    """

    photos: int
    changed: int
    height: float
    left: tuple[Stop, ...]
    right: tuple[Stop, ...]
    bands: tuple[Band, ...]
    biggest: tuple[tuple[str, str, int], ...]
    pairs: int
    rest: int
    undrawn: int


def flows_between(before: NDArray[np.integer[Any]], after: NDArray[np.integer[Any]], classes: int) -> NDArray[np.int64]:
    """(K, K) photos by class before and after; both (N,) in [0, K)."""
    counts = np.zeros((classes, classes), dtype=np.int64)
    np.add.at(counts, (before, after), 1)
    return counts


def flows_of(counts: NDArray[np.int64], classes: Sequence[str]) -> Flows | None:
    """Lay out the flows; None where there is no photo.

    Of many classes those with the largest changes stand by themselves, and the others are summed.
    """
    if not counts.sum():
        return None
    moved = counts - np.diag(np.diag(counts))
    names = [printable(name) for name in classes]
    order = np.argsort(-moved, axis=None, kind="stable")
    pairs = [(int(k) // len(names), int(k) % len(names)) for k in order[: int((moved > 0).sum())]]
    kept = _kept(pairs, counts, len(names))
    reduced, stays = _summed(counts, kept)
    shown = [names[k] for k in kept]
    undrawn = 0
    if len(kept) < len(names):
        undrawn, reduced[-1, -1], stays[-1] = int(reduced[-1, -1]), 0, 0  # or they would leave no room for the others
        shown.append(f"{len(names) - len(kept)} other classes")
    left, right = (_stops(shown, reduced.sum(axis=axis)) for axis in (1, 0))
    return Flows(
        photos=int(counts.sum()),
        changed=int(moved.sum()),
        height=max(stop.top + stop.height for stop in (*left, *right)) + 10,
        left=left,
        right=right,
        bands=tuple(_bands(reduced, stays, left, right)),
        biggest=tuple((names[a], names[b], int(moved[a, b])) for a, b in pairs[:_TOLD]),
        pairs=len(pairs),
        rest=len(names) - len(kept),
        undrawn=undrawn,
    )


def _kept(pairs: Sequence[tuple[int, int]], counts: NDArray[np.int64], classes: int) -> list[int]:
    """Classes that stand by themselves: those of the largest changes, then the largest, in their own order."""
    if classes <= _CLASSES + 1:
        return list(range(classes))
    largest = np.argsort(-(counts.sum(axis=0) + counts.sum(axis=1)), kind="stable").tolist()
    wanted = dict.fromkeys([k for pair in pairs for k in pair] + largest)
    return sorted(list(wanted)[:_CLASSES])


def _summed(counts: NDArray[np.int64], kept: Sequence[int]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Counts with all other classes as the last one, and how many of its diagonal keep their class."""
    group = np.full(len(counts), len(kept), dtype=np.int64)
    group[list(kept)] = np.arange(len(kept))
    size = int(group.max()) + 1
    reduced, stays = np.zeros((size, size), dtype=np.int64), np.zeros(size, dtype=np.int64)
    np.add.at(reduced, (group[:, None], group[None, :]), counts)
    np.add.at(stays, group, np.diag(counts))
    return reduced, stays


def _stops(names: Sequence[str], photos: NDArray[np.int64]) -> tuple[Stop, ...]:
    """Classes under each other, as high as they have photos."""
    scale = _HEIGHT * (1 - _GAP) / max(int(photos.sum()), 1)
    gap = min(18.0, _HEIGHT * _GAP / max(len(names) - 1, 1))
    stops, free, last = list[Stop](), 8.0, -_SMALLEST  # half a name stands above the first
    for name, count in zip(names, photos.tolist(), strict=True):
        height = count * scale
        top = max(free, last + _SMALLEST - height / 2)
        stops.append(Stop(name, count, round(top, 2), round(height, 2)))
        free, last = top + height + gap, top + height / 2
    return tuple(stops)


def _bands(
    counts: NDArray[np.int64], stays: NDArray[np.int64], left: Sequence[Stop], right: Sequence[Stop]
) -> list[Band]:
    """Bands from above to below at both ends; those that change class come last, and lie on top."""
    scale = _HEIGHT * (1 - _GAP) / max(int(counts.sum()), 1)
    leaves, arrives = [stop.top for stop in left], [stop.top for stop in right]
    kept, moved = list[Band](), list[Band]()
    for a, start in enumerate(left):
        for b, end in enumerate(right):
            parts = (
                [(int(stays[a]), True), (int(counts[a, b] - stays[a]), False)]
                if a == b
                else [(int(counts[a, b]), False)]
            )
            for count, stay in parts:
                if not count:
                    continue
                high = count * scale
                path = _ribbon(leaves[a], arrives[b], high)
                leaves[a], arrives[b] = leaves[a] + high, arrives[b] + high
                photos = f"{count:,} photo{'' if count == 1 else 's'}"
                words = f"{photos} stay {start.name}" if stay else f"{photos}: {start.name} → {end.name}"
                (kept if stay else moved).append(Band(path, words, stay))
    return [*kept, *moved]


def _ribbon(start: float, end: float, high: float) -> str:
    """An SVG path from the left edge (x = 0) to the right one (x = 100)."""
    a, b, c, d = (f"{value:.2f}" for value in (start, end, end + high, start + high))
    return f"M0 {a}C50 {a} 50 {b} 100 {b}V{c}C50 {c} 50 {d} 0 {d}Z"
