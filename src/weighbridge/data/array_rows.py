"""An .npz that answers as an index would."""

__all__ = ["ArrayRows"]

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from weighbridge.data.arrays import has_labels, read_groups, read_labels, read_pixels
from weighbridge.data.decode import glance
from weighbridge.data.index import Rejected


class ArrayRows:
    """The images of an .npz, by the questions that can be asked of an `Index`.

    Args:
        pixels: the array x, if it has been read already.
    """

    def __init__(self, path: Path, pixels: NDArray[np.uint8] | None = None) -> None:
        self._path, self.pixels = path, read_pixels(path) if pixels is None else pixels
        self._glances: dict[int, tuple[int, bytes]] = {}  # of the images that were asked for
        self.tally = {"used": len(self.pixels), "quarantined": 0, "ignored": 0}

    def __len__(self) -> int:
        return len(self.pixels)

    def name(self, place: int) -> str:
        return f"{self._path}#{place}"

    def rejected(self, *statuses: str) -> Iterator[Rejected]:
        return iter(())

    def image(self, place: int) -> Image.Image:
        pixels = self.pixels[place]
        return Image.fromarray(pixels[..., 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels)

    def column(self, name: str) -> tuple[NDArray[np.int32], list[str]]:
        if name == "label" and has_labels(self._path):
            labels, words = read_labels(self._path, len(self))
            return labels.astype(np.int32), words
        if name == "part_of":
            return read_groups(self._path, len(self))
        return np.zeros(len(self), dtype=np.int32), [""]

    def table(self, *columns: str) -> Iterator[tuple[Any, ...]]:
        return self.rows(range(len(self)), *columns)

    def rows(self, places: Iterable[int], *columns: str) -> Iterator[tuple[Any, ...]]:
        shape = str(self.pixels.shape[1:]).encode()
        for place in places:
            image = self.image(place)
            if place not in self._glances:
                self._glances[place] = glance(image)
            difference_hash, thumbnail = self._glances[place]
            facts = {
                "hash": hashlib.sha256(shape + self.pixels[place].tobytes()).digest(),
                "width": image.width,
                "height": image.height,
                "mode": image.mode,
                "format": "array",
                "quality": 0,
                "remarks": "",
                "difference_hash": difference_hash,
                "thumbnail": thumbnail,
            }
            yield tuple(facts[column] for column in columns)
