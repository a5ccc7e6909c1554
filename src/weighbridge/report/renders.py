"""Renders of the highest and the lowest weight, and what their factors have to do with it."""

__all__ = ["Factor", "Render", "Weighed", "weighed_renders"]

import csv
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from weighbridge.files import printable
from weighbridge.report.pictures import OwnPictures, data_url

_EACH = 12  # pictures of either end
_SIDE = 112  # pixels
_FIFTH = 0.2  # of the renders, at either end
_FACTORS = 8  # that stand in the table
_KINDS = 12  # so many words a factor of words may have
_NO_FACTORS = {"file", "label", "index", "seed", "photo"}


@dataclass(frozen=True)
class Render:
    """One image; `factors` are those of the table."""

    file: str
    label: str
    weight: str
    picture: str
    factors: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Factor:
    """How the fifth with the highest and that with the lowest weights differ in a factor.

    Attributes:
        highest, lowest: mean, or share of a word in percent.
        apart: their distance in standard deviations over all renders.
    """

    name: str
    highest: str
    lowest: str
    apart: float


@dataclass(frozen=True)
class Weighed:
    """Both ends, most extreme first, and the factors that differ most between them."""

    highest: tuple[Render, ...]
    lowest: tuple[Render, ...]
    factors: tuple[Factor, ...]
    renders: int
    with_factors: int


def weighed_renders(folder: Path, pictures: OwnPictures) -> Weighed | None:
    """Read weights.csv, and metadata.csv of the renders where there is one; None without weights."""
    path = folder / "weights.csv"
    if not path.is_file():
        return None
    rows = [row for row in _table(path) if row["mean_weight"] != "nan"]  # best first
    apart = list({(row["label"], row["mean_weight"]): row for row in rows}.values())  # one, where classes share one
    count = min(_EACH, len(apart) // 2)
    if not count:
        return None
    known = _metadata(rows, pictures)
    factors = _factors([known.get(row["file"]) for row in rows]) if known else ()
    told = list(dict.fromkeys(factor.name.split(" = ")[0] for factor in factors))
    highest, lowest = (_renders(chosen, pictures, known, told) for chosen in (apart[:count], apart[::-1][:count]))
    return Weighed(highest, lowest, factors, len(rows), len(known))


def _table(path: Path) -> Iterator[dict[str, str]]:
    with path.open(newline="", encoding="utf-8", errors="surrogateescape") as lines:
        yield from csv.DictReader(lines)


def _renders(
    rows: Sequence[Mapping[str, str]],
    pictures: OwnPictures,
    known: Mapping[str, Mapping[str, str]],
    told: Iterable[str],
) -> tuple[Render, ...]:
    found = pictures.thumbnails((row["file"] for row in rows), _SIDE)
    return tuple(
        Render(
            file=printable(row["file"]),
            label=printable(row["label"]),
            weight=f"{float(row['mean_weight']):.2f}",
            picture=data_url(picture) if picture else "",
            factors=tuple((name, _short(known[row["file"]].get(name, ""))) for name in told)
            if row["file"] in known
            else (),
        )
        for row, picture in zip(rows, found, strict=True)
    )


def _short(cell: str) -> str:
    value = _number(cell)
    return printable(cell) if math.isnan(value) else f"{value:.3g}"


def _metadata(rows: Sequence[Mapping[str, str]], pictures: OwnPictures) -> dict[str, dict[str, str]]:
    """File -> its row of the metadata.csv that lies at the root of its source."""
    tables: dict[Path, dict[str, dict[str, str]]] = {}
    found = {}
    for row in rows:
        placed = pictures.relative(row["file"])
        if placed is None:
            continue
        root, rest = placed
        if root not in tables:
            path = root / "metadata.csv"
            tables[root] = {cells.get("file", ""): cells for cells in _table(path)} if path.is_file() else {}
        if rest in tables[root]:
            found[row["file"]] = tables[root][rest]
    return found


def _factors(rows: Sequence[Mapping[str, str] | None]) -> tuple[Factor, ...]:
    """Of renders from the highest weight to the lowest, None where nothing is known of one."""
    known = [row for row in rows if row is not None]
    count = max(1, round(_FIFTH * len(known)))
    if len(known) < 2:
        return ()
    factors = []
    for name, values, share in _columns(known):
        spread = float(np.nanstd(values))
        if not spread > 0:
            continue
        with np.errstate(invalid="ignore"):
            high, low = (_mean(part) for part in (values[:count], values[-count:]))
        if math.isnan(high) or math.isnan(low):
            continue
        highest, lowest = (f"{100 * value:.0f} %" if share else f"{value:.3g}" for value in (high, low))
        factors.append(Factor(printable(name), highest, lowest, (high - low) / spread))
    factors.sort(key=lambda factor: -abs(factor.apart))
    return tuple(factors[:_FACTORS])


def _mean(values: NDArray[np.float64]) -> float:
    seen = values[np.isfinite(values)]
    return float(seen.mean()) if len(seen) else math.nan


def _columns(rows: Sequence[Mapping[str, str]]) -> Iterator[tuple[str, NDArray[np.float64], bool]]:
    """Name, (N,) values, and whether these are 1 and 0 for one word among several."""
    for name in rows[0]:
        if name in _NO_FACTORS or not name:
            continue
        cells = [row.get(name) or "" for row in rows]
        values = np.array([_number(cell) for cell in cells])
        if np.isfinite(values).sum() >= sum(map(bool, cells)):
            yield name, values, False
            continue
        words = sorted(set(cells) - {""})
        for word in words if len(words) <= _KINDS else ():
            yield f"{name} = {word}", np.array([float(cell == word) for cell in cells]), True


def _number(cell: str) -> float:
    try:
        value = float(cell)
    except ValueError:
        return math.nan
    return value if math.isfinite(value) else math.nan
