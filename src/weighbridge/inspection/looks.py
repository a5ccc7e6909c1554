"""Domains opened for inspection: what an index knows of all their images, read once."""

__all__ = ["LUMA", "Flags", "Look", "Numbers", "look", "pixels_of"]

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from weighbridge.data.array_rows import ArrayRows
from weighbridge.data.decode import decode_upright
from weighbridge.data.duplicates import Marks, has_structure
from weighbridge.data.index import Index, scan
from weighbridge.data.layouts import kind_of
from weighbridge.watch import Progress

Numbers = NDArray[np.int64]
Flags = NDArray[np.bool_]

_CHUNK = 8192  # rows of an index in memory at a time
_HEAD = 65_536  # bytes in which EXIF is looked for
_COLUMNS = ("hash", "width", "height", "mode", "format", "quality", "remarks", "difference_hash", "thumbnail")
LUMA = np.array([[0.299], [0.587], [0.114]])
"""(3, 1) shares of red, green and blue in brightness."""


@dataclass
class Look:
    """A domain opened, and the columns of all its images that fit in memory."""

    path: Path
    name: str
    content: Index | ArrayRows
    labels: Numbers  # (N,) into words
    words: list[str]
    marks: Marks
    splits: Numbers  # (N,) into split_words
    split_words: list[str]
    groups: int  # of images that belong together
    sizes: NDArray[np.int64]  # (N, 2) width, height
    counts: dict[str, Counter[str]]  # format, mode, remarks
    colour: dict[str, tuple[float, float]]
    grey: int
    qualities: Numbers  # of the JPEG files

    def __len__(self) -> int:
        return len(self.labels)

    def file(self, place: int) -> str:
        return self.content.name(place)

    def file_and_class(self, place: int) -> tuple[str, str]:
        return self.file(place), self.words[self.labels[place]]

    def pixels(self, place: int, least: int | None = None) -> NDArray[np.uint8]:
        """(H, W, 3) of an image, upright; whole, or smaller with both sides at least so long."""
        return pixels_of(self.content, place, least)

    def has_exif(self, place: int) -> bool:
        if isinstance(self.content, ArrayRows):
            return False
        content = self.content.read(place).content
        if isinstance(content, Path):
            with content.open("rb") as file:
                content = file.read(_HEAD)
        return any(mark in content[:_HEAD] for mark in (b"Exif\0\0", b"eXIf", b"EXIF"))


def pixels_of(content: Index | ArrayRows, place: int, least: int | None = None) -> NDArray[np.uint8]:
    """See `Look.pixels`."""
    if isinstance(content, ArrayRows):
        return np.asarray(content.image(place).convert("RGB"))
    stored = content.read(place)
    return decode_upright(stored.content, channels=3, least=least, name=stored.name)


def look(path: Path, name: str, home: Path | None, progress: Progress | None) -> Look:
    """One pass over all images, a chunk at a time."""
    content = ArrayRows(path) if kind_of(path) == "npz" else scan(path, home=home, progress=progress)
    (labels, words), (splits, split_words) = content.column("label"), content.column("split")
    rows = content.table(*_COLUMNS)
    digests, hashes, structured, sizes, qualities = [], [], [], [], []
    counts: dict[str, Counter[str]] = {"format": Counter(), "mode": Counter(), "remarks": Counter()}
    total, squares, cells, grey = np.zeros(4), np.zeros(4), 0, 0
    while chunk := list(islice(rows, _CHUNK)):
        digest, width, height, mode, kind, quality, remarks, bits, thumbnail = zip(*chunk, strict=True)
        thumbnails = np.frombuffer(b"".join(thumbnail), dtype=np.uint8).reshape(len(chunk), -1, 3)  # (n, 64, 3)
        values = np.concatenate([thumbnails, thumbnails @ LUMA], axis=2)  # (n, 64, 4)
        total, squares = total + values.sum(axis=(0, 1)), squares + (values**2).sum(axis=(0, 1))
        cells += values.shape[0] * values.shape[1]
        grey += int((np.ptp(thumbnails, axis=2).max(axis=1) <= 2).sum())
        unsigned = np.array(bits, dtype=np.int64).view(np.uint64)
        structured.append(has_structure(unsigned, thumbnails))
        digests.append(np.array(digest, dtype="S32"))
        hashes.append(unsigned)
        sizes.append(np.array([width, height], dtype=np.int64).T)
        qualities.append(np.array([q for q in quality if q], dtype=np.int64))
        counts["format"].update(kind)
        counts["mode"].update(mode)
        counts["remarks"].update(word for words_of in remarks if words_of for word in words_of.split(", "))
    mean = total / max(cells, 1)
    deviation = np.sqrt((squares / max(cells, 1) - mean**2).clip(0))
    moments = zip(mean.round(2).tolist(), deviation.round(2).tolist(), strict=True)
    colour = dict(zip(("red", "green", "blue", "brightness"), moments, strict=True)) if cells else {}
    return Look(
        path=path,
        name=name,
        content=content,
        labels=labels.astype(np.int64),
        words=words,
        marks=Marks(content, _joined(digests, "S32"), _joined(hashes, np.uint64), _joined(structured, np.bool_)),
        splits=splits.astype(np.int64),
        split_words=split_words,
        groups=sum(word != "" for word in content.column("part_of")[1]),
        sizes=_joined(sizes, np.int64).reshape(-1, 2),
        counts=counts,
        colour=colour,
        grey=grey,
        qualities=_joined(qualities, np.int64),
    )


def _joined(parts: Sequence[NDArray[Any]], dtype: Any) -> NDArray[Any]:
    return np.concatenate(parts) if parts else np.zeros(0, dtype=dtype)
