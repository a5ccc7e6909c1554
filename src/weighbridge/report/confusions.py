"""Which classes are taken for which: the worst pairs as a list, all of them as a heat map.

K classes; `counts` is (K, K): rows are true classes, columns predicted ones.
"""

__all__ = ["ConfusedPair", "HeatMap", "heat_map", "worst_pairs"]

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from weighbridge.files import printable

_LEVELS = 8  # of shade
_NAMED = 24  # so many classes have their names at the edge, and their shares in the cells
_WIDTH = 640.0  # of a large map without its names, in pixels


@dataclass(frozen=True)
class ConfusedPair:
    """Images of one class that are taken for another; `share` of the true class, in percent."""

    true: str
    predicted: str
    images: int
    of: int
    share: float


@dataclass(frozen=True)
class HeatMap:
    """An SVG of K by K cells, shaded by their share of the true class.

    Attributes:
        cell: side of a cell, in pixels.
        edge: room for names at the left and above, in pixels; 0 where there are too many.
        shades: (opacity, path) of the wrong and of the right cells, in units of a cell.
        cells: JSON for the hover text: [true, predicted, images] of every cell that is not empty.
        numbers: (row, column, percent) of what stands in cells.
    """

    names: tuple[str, ...]
    cell: float
    edge: float
    wrong: tuple[tuple[float, str], ...]
    right: tuple[tuple[float, str], ...]
    cells: str
    of: str
    numbers: tuple[tuple[int, int, int], ...]


def worst_pairs(counts: NDArray[np.int64], classes: Sequence[str], most: int = 20) -> tuple[list[ConfusedPair], int]:
    """The pairs with most wrong images, and how many pairs there are; of equal ones the larger share comes first."""
    wrong, of = counts - np.diag(np.diag(counts)), counts.sum(axis=1)
    pairs = [
        ConfusedPair(
            printable(classes[a]),
            printable(classes[b]),
            int(wrong[a, b]),
            int(of[a]),
            100 * int(wrong[a, b]) / int(of[a]),
        )
        for a, b in zip(*(places.tolist() for places in np.nonzero(wrong)), strict=True)
    ]
    pairs.sort(key=lambda pair: (-pair.images, -pair.share, pair.true, pair.predicted))
    return pairs[:most], len(pairs)


def heat_map(counts: NDArray[np.int64], classes: Sequence[str]) -> HeatMap:
    """Lay out the map. Counts may be empty for some true classes."""
    names = tuple(printable(name) for name in classes)
    named, of = len(names) <= _NAMED, counts.sum(axis=1)
    shares = counts / of.clip(min=1)[:, None]  # (K, K)
    cell = min(44.0, max(4.0, _WIDTH / len(names)))
    rows, columns = (places.tolist() for places in np.nonzero(counts))
    filled = list(zip(rows, columns, strict=True))
    return HeatMap(
        names=names,
        cell=cell,
        edge=6.0 + 7.0 * min(16, max(map(len, names))) if named else 0.0,
        wrong=_shaded([(a, b) for a, b in filled if a != b], shares),
        right=_shaded([(a, b) for a, b in filled if a == b], shares),
        cells=json.dumps([[a, b, int(counts[a, b])] for a, b in filled]),
        of=json.dumps(of.tolist()),
        numbers=tuple((a, b, round(100 * float(shares[a, b]))) for a, b in filled) if named and cell >= 24 else (),
    )


def _shaded(cells: Sequence[tuple[int, int]], shares: NDArray[np.float64]) -> tuple[tuple[float, str], ...]:
    """Cells of one shade as one path."""
    paths: dict[int, list[str]] = {}
    for row, column in cells:
        level = max(1, int(np.ceil(_LEVELS * shares[row, column])))
        paths.setdefault(level, []).append(f"M{column} {row}h1v1h-1z")
    return tuple((round(0.12 + 0.88 * level / _LEVELS, 3), "".join(parts)) for level, parts in sorted(paths.items()))
