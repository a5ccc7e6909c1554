"""What is known of every photo, and which of them a page shows.

Columns, since there may be millions: N photos, those of the target first, then labelled ones that are not among them.
"""

__all__ = ["Card", "PhotoSection", "Photos", "read_photos", "shown_photos"]

import csv
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from weighbridge.files import printable
from weighbridge.report.pictures import OwnPictures, data_url

_MOST_PHOTOS = 400
_MOST_BYTES = 4_000_000  # of a page, for thumbnails as base64
_SIDES = ((60, 240), (160, 168), (_MOST_PHOTOS, 112))  # up to so many photos thumbnails have so many pixels
_DOUBTFUL = 0.1  # share of the target that is called doubtful where no threshold is known


@dataclass(frozen=True)
class Photos:
    """All photos, as columns.

    Attributes:
        classes: K names.
        label: (N,) what each is taken for, a place in `classes`.
        probability: (N,) of that label, in [0, 1].
        before: (N,) what the renders-only model takes it for; -1 where that is not known.
        before_probability: (N,) of that; NaN where it is not known.
        unlike: (N,) how unlike all renders it is, in [0, 1]; NaN where that is not known.
        right: (N,) 1 or 0 where its label is known, else -1.
        true: row -> the true label, of those that have one.
        target: how many are of the target; the others were given to be evaluated.
        doubtful: (N,) whether a person should look at it.
        threshold: a probability below it is doubtful; None where the least sure tenth of the target is.
        unlike_threshold: a photo above it is unlike all renders; None where that is not known.
        folder: where the target's names stand.
        others: names of the others.
    """

    classes: tuple[str, ...]
    label: NDArray[np.int32]
    probability: NDArray[np.float32]
    before: NDArray[np.int32]
    before_probability: NDArray[np.float32]
    unlike: NDArray[np.float32]
    right: NDArray[np.int8]
    true: Mapping[int, str]
    target: int
    doubtful: NDArray[np.bool_]
    threshold: float | None
    unlike_threshold: float | None
    folder: Path
    others: Sequence[str]

    def __len__(self) -> int:
        return len(self.label)

    @property
    def odd(self) -> NDArray[np.bool_]:
        """(N,) whether a photo is called unlike all renders."""
        if self.unlike_threshold is None:
            return np.zeros(len(self), dtype=np.bool_)
        odd: NDArray[np.bool_] = np.nan_to_num(self.unlike) > self.unlike_threshold
        return odd

    @property
    def changed(self) -> NDArray[np.bool_]:
        """(N,) whether adapting changed the class."""
        changed: NDArray[np.bool_] = (self.before >= 0) & (self.before != self.label)
        return changed

    def names(self, rows: Sequence[int]) -> dict[int, str]:
        """Row -> file, of some rows."""
        wanted = {row for row in rows if row < self.target}
        found = {row: self.others[row - self.target] for row in rows if row >= self.target}
        for row, cells in enumerate(_table(self.folder / "predictions.csv")):
            if row in wanted:
                found[row] = cells["file"]
        return found


@dataclass(frozen=True)
class Card:
    """One photo as the page shows it. Shares are in percent, empty where they are not known."""

    file: str
    picture: str
    label: str
    probability: str
    before: str
    before_probability: str
    true: str
    unlike: str
    flags: str  # of "wrong", "right", "doubtful", "changed", "unlike", "none-like"
    words: str  # what a screen reader says


@dataclass(frozen=True)
class PhotoSection:
    """The photos that are taken for one class.

    Attributes:
        key: of the class, for the filter.
        photos: how many are, shown or not.
    """

    key: int
    name: str
    photos: int
    wrong: int
    doubtful: int
    cards: tuple[Card, ...]


def read_photos(folder: Path, classes: Sequence[str], trust: Mapping[str, Any] | None) -> Photos | None:
    """Join predictions.csv, renders-only-predictions.csv and evaluation.csv; None if there are no predictions.

    Args:
        trust: as metrics.json has it: `threshold`, `unlike`.
    """
    if not (folder / "predictions.csv").is_file():
        return None
    place = {name: k for k, name in enumerate(classes)}
    known = _evaluated(folder)
    label, probability, unlike, right, true = [], [], [], [], {}
    for row, cells in enumerate(_table(folder / "predictions.csv")):
        label.append(place.get(cells["label"], -1))
        probability.append(float(cells["probability"]))
        unlike.append(_number(cells.get("unlike")))
        told = known.pop(cells["file"], None)
        right.append(-1 if told is None else int(told["label"] == told["true label"]))
        if told is not None:
            true[row] = told["true label"]
    target, others = len(label), list(known)
    before, before_probability = _before(folder, place, target)
    for row, cells in enumerate(known.values(), start=target):
        label.append(place.get(cells["label"], -1))
        probability.append(float(cells["probability"]))
        unlike.append(_number(cells.get("unlike")))
        right.append(int(cells["label"] == cells["true label"]))
        true[row] = cells["true label"]
    spare = len(others)
    chance = np.array(probability, dtype=np.float32)
    threshold = (trust or {}).get("threshold")
    return Photos(
        classes=tuple(classes),
        label=np.array(label, dtype=np.int32),
        probability=chance,
        before=np.concatenate([before, np.full(spare, -1, dtype=np.int32)]),
        before_probability=np.concatenate([before_probability, np.full(spare, np.nan, dtype=np.float32)]),
        unlike=np.array(unlike, dtype=np.float32),
        right=np.array(right, dtype=np.int8),
        true=true,
        target=target,
        doubtful=_doubtful(chance, target) if threshold is None else chance < threshold,
        threshold=threshold,
        unlike_threshold=((trust or {}).get("unlike") or {}).get("threshold"),
        folder=folder,
        others=others,
    )


def _doubtful(probability: NDArray[np.float32], target: int) -> NDArray[np.bool_]:
    """(N,) the least sure tenth of the target, by rank, as all may be as sure; and others below it."""
    least = np.argsort(probability[:target], kind="stable")[: round(_DOUBTFUL * target)]
    doubtful = np.zeros(len(probability), dtype=np.bool_)
    doubtful[least] = True
    if len(least):
        doubtful[target:] = probability[target:] < probability[least[-1]]
    return doubtful


def _table(path: Path) -> Iterator[dict[str, str]]:
    """Rows of a CSV file. File names may be any bytes."""
    with path.open(newline="", encoding="utf-8", errors="surrogateescape") as lines:
        yield from csv.DictReader(lines)


def _evaluated(folder: Path) -> dict[str, dict[str, str]]:
    """File -> its row of evaluation.csv."""
    path = folder / "evaluation.csv"
    return {cells["file"]: cells for cells in _table(path)} if path.is_file() else {}


def _before(folder: Path, place: Mapping[str, int], count: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """(N,) each: what the renders-only model says of the target. Its table has the same photos in the same order."""
    path = folder / "renders-only-predictions.csv"
    told = (
        [(place.get(cells["label"], -1), float(cells["probability"])) for cells in _table(path)]
        if path.is_file()
        else []
    )
    if len(told) != count or not told:
        return np.full(count, -1, dtype=np.int32), np.full(count, np.nan, dtype=np.float32)
    label, probability = zip(*told, strict=True)
    return np.array(label, dtype=np.int32), np.array(probability, dtype=np.float32)


def _number(cell: str | None) -> float:
    return float(cell) if cell else np.nan


# ---- the gallery ---------------------------------------------------------------------------------------------------


def shown_photos(photos: Photos, pictures: OwnPictures, most: int = _MOST_PHOTOS) -> tuple[list[PhotoSection], int]:
    """The photos of the gallery by class, and how many they are.

    Wrong ones come first, then the most doubtful. Each class gives its first before any gives its second, and so on.
    """
    rows = _chosen(photos, most)
    side = next((side for count, side in _SIDES if len(rows) <= count), _SIDES[-1][1])
    names = photos.names(rows.tolist())
    urls = [
        data_url(found) if found else "" for found in pictures.thumbnails((names[row] for row in rows.tolist()), side)
    ]
    room = np.cumsum([len(url) for url in urls]) <= _MOST_BYTES
    known = {url for row, url in zip(rows.tolist(), urls, strict=True) if url and photos.right[row] >= 0}
    cards: dict[int, list[Card]] = {}
    for row, url, fits in zip(rows.tolist(), urls, room.tolist(), strict=True):
        twice = url in known and photos.right[row] < 0  # the same picture under another name, with its label
        if fits and not twice:
            cards.setdefault(int(photos.label[row]), []).append(_card(photos, row, names[row], url))
    sections = [_section(photos, key, tuple(of_class)) for key, of_class in cards.items()]
    sections.sort(key=lambda section: (-section.wrong, -section.doubtful, -section.photos))
    return sections, sum(len(section.cards) for section in sections)


def _chosen(photos: Photos, most: int) -> NDArray[np.int64]:
    """(n,) rows: the first of every class, then the second of every class, ..."""
    urgent = np.lexsort((photos.probability, photos.right != 0, photos.label))  # (N,), class by class
    label = photos.label[urgent]
    starts = np.flatnonzero(np.diff(label, prepend=-2))
    rank = np.arange(len(label)) - np.repeat(starts, np.diff(np.append(starts, len(label))))
    turn = np.lexsort((photos.probability[urgent], photos.right[urgent] != 0, rank))
    chosen: NDArray[np.int64] = urgent[turn[:most]]
    return chosen


def _section(photos: Photos, key: int, cards: tuple[Card, ...]) -> PhotoSection:
    own = photos.label == key
    wrong, doubtful = (int((own & kind).sum()) for kind in (photos.right == 0, photos.doubtful))
    return PhotoSection(key, _class_name(photos, key), int(own.sum()), wrong, doubtful, cards)


def _class_name(photos: Photos, key: int) -> str:
    return printable(photos.classes[key]) if key >= 0 else "none of these"


def _card(photos: Photos, row: int, file: str, url: str) -> Card:
    label, before = _class_name(photos, int(photos.label[row])), int(photos.before[row])
    true, right = photos.true.get(row), int(photos.right[row])
    kinds = {
        "wrong": right == 0,
        "right": right == 1,
        "doubtful": bool(photos.doubtful[row]),
        "changed": bool(photos.changed[row]),
        "unlike": bool(photos.odd[row]),
    }
    flags = [kind for kind, holds in kinds.items() if holds]
    chance = _percent(photos.probability[row])
    said = [f"{label}, {chance}"]
    said += [f"wrong, it is {printable(true or 'none of these')}"] if right == 0 else []
    said += [f"{_class_name(photos, before)} before adapting"] if kinds["changed"] else []
    return Card(
        file=printable(file),
        picture=url,
        label=label,
        probability=chance,
        before="" if before < 0 else _class_name(photos, before),
        before_probability="" if before < 0 else _percent(photos.before_probability[row]),
        true="" if true is None else printable(true),
        unlike="" if np.isnan(photos.unlike[row]) else f"{photos.unlike[row]:.2f}",
        flags=" ".join(flags),
        words=f"{printable(os.path.basename(file))}: {'; '.join(said)}",  # noqa: PTH119 (a name, not a path here)
    )


def _percent(share: np.floating) -> str:
    """Number and sign stay in one line."""
    return f"{100 * share:.0f}\u00a0%"
