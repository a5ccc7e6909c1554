"""Factors of renders, from metadata.csv beside them, and the groups of renders that they make.

`weighbridge render` writes a row per image: `file`, `label` and every factor of the scene. Any other renderer may too.
"""

__all__ = ["RenderGroup", "groups_of", "read_factors"]

import csv
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

TABLE = "metadata.csv"
FEWEST = 5  # renders of a group, so that chance puts at least one into the lowest fifth (Cochran, Biometrics 10, 1954)
_NO_FACTORS = ("file", "label", "index", "seed", "left", "top", "right", "bottom")  # a name, a number, a place
_FEW = 4  # different numbers up to which each is a category


@dataclass(frozen=True)
class RenderGroup:
    """Renders that have something in common.

    Attributes:
        kind: what: `class`, `source`, or `factor`.
        name: the class, the source or the factor.
        range: of a factor: a category, or numbers such as "14 to 27"; "" for the others.
        label: the class within which it is looked at; None for all.
        rows: (N,) bool.
        peers: (N,) bool, the renders that it is compared with, and itself.
    """

    kind: str
    name: str
    range: str
    label: str | None
    rows: NDArray[np.bool_]
    peers: NDArray[np.bool_]

    @property
    def images(self) -> int:
        return int(self.rows.sum())


def read_factors(files: Sequence[str]) -> dict[str, list[str]]:
    """Factor -> its text for each render, "" where it is not known. Empty if there is no metadata.csv.

    Args:
        files: N paths of images, each below a folder with a metadata.csv, in which `file` is the path from there.
    """
    tables: dict[Path, dict[str, dict[str, str]]] = {}
    rows = [_row_of(Path(file), tables) for file in files]
    names = dict.fromkeys(name for row in rows for name in row if name not in _NO_FACTORS)
    return {name: [row.get(name) or "" for row in rows] for name in names}


def _row_of(file: Path, tables: dict[Path, dict[str, dict[str, str]]]) -> Mapping[str, str]:
    for folder in file.parents:
        if folder not in tables:
            tables[folder] = dict(_rows(folder / TABLE))
        if row := tables[folder].get(file.relative_to(folder).as_posix()):
            return row
    return {}


def _rows(table: Path) -> Iterator[tuple[str, dict[str, str]]]:
    if not table.is_file():
        return
    with table.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as lines:
        for row in csv.DictReader(lines):
            if row.get("file"):
                yield row["file"], {name: value for name, value in row.items() if isinstance(value, str)}


def groups_of(
    labels: NDArray[np.integer],
    classes: Sequence[str],
    sources: NDArray[np.integer],
    source_names: Sequence[str],
    factors: Mapping[str, Sequence[str]],
) -> list[RenderGroup]:
    """Every class, every source, every category and every quarter of a factor: over all classes and within each.

    A group has `FEWEST` renders at least, and there are two of a kind at least. A numeric factor is cut at its
    quartiles, the same for all classes.

    Args:
        labels: (N,) in [0, K).
        sources: (N,) which of the source names.
        factors: see `read_factors`.
    """
    everything = np.ones(len(labels), dtype=np.bool_)
    of_class = [(name, labels == k) for k, name in enumerate(classes)]
    of_source = [(name, sources == s) for s, name in enumerate(source_names)]
    found = [RenderGroup("class", name, "", None, rows, everything) for name, rows in of_class]
    found += [RenderGroup("source", name, "", None, rows, everything) for name, rows in of_source]
    found += [group for name, rows in of_class for group in _of_factor("source", of_source, name, rows)]
    for factor, values in factors.items():
        parts = _parts(values)
        found += _of_factor(factor, parts, None, everything)
        found += [group for name, rows in of_class for group in _of_factor(factor, parts, name, rows)]
    return found


def _of_factor(
    factor: str, parts: Sequence[tuple[str, NDArray[np.bool_]]], label: str | None, within: NDArray[np.bool_]
) -> list[RenderGroup]:
    """The parts of a factor that are large enough; none if no two are."""
    kept = [(text, rows & within) for text, rows in parts if (rows & within).sum() >= FEWEST]
    peers = np.any([rows for _, rows in kept], axis=0) if kept else within
    return [RenderGroup("factor", factor, text, label, rows, peers) for text, rows in kept] if len(kept) > 1 else []


def _parts(values: Sequence[str]) -> list[tuple[str, NDArray[np.bool_]]]:
    """The ranges or categories of one factor, in order."""
    texts = np.array(values, dtype=object)
    there = texts != ""
    numbers = _numbers(texts[there])
    if numbers is None or len(np.unique(numbers)) <= _FEW:
        counts = Counter(texts[there].tolist())
        return [(name, texts == name) for name in sorted(counts)]
    edges = np.unique(np.quantile(numbers, (0.25, 0.5, 0.75)))
    low = np.full(len(texts), -1)
    low[there] = np.searchsorted(edges, numbers, side="left")  # a number on an edge belongs below it
    found = []
    for k in range(len(edges) + 1):
        rows = low == k
        if rows.any():
            inside = numbers[rows[there]]
            found.append((_span(float(inside.min()), float(inside.max())), rows))
    return found


def _numbers(texts: NDArray[np.object_]) -> NDArray[np.float64] | None:
    """All as numbers; None if one is none."""
    try:
        numbers = texts.astype(np.float64)
    except ValueError:
        return None
    return numbers if len(numbers) and np.isfinite(numbers).all() else None


def _span(low: float, high: float) -> str:
    return f"{low:.3g}" if low == high else f"{low:.3g} to {high:.3g}"
