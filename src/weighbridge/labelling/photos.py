"""The photos of a run as a person sees them: whole, upright, and as large as the screen."""

__all__ = ["TargetPhotos"]

import io
import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from weighbridge.data.arrays import read_pixels
from weighbridge.data.decode import open_full
from weighbridge.data.index import scan
from weighbridge.data.layouts import kind_of
from weighbridge.errors import DataError
from weighbridge.files import absolute
from weighbridge.watch import Progress

_QUALITY = 85  # of JPEG


class TargetPhotos:
    """Photos by their names, wherever they lie: in files, archives or an array.

    Args:
        path: the target of a run.
        progress: called with (images examined, images to examine).
    """

    def __init__(self, path: Path, progress: Progress | None = None) -> None:
        self._path = path
        self._pixels: NDArray[np.uint8] | None = None
        if kind_of(path) == "npz":
            self._pixels = read_pixels(path)
            names = [f"{path}#{place}" for place in range(len(self._pixels))]
        else:
            self._index = scan(path, progress=progress)
            names = [f"{self._index.root}{os.sep}{os.fsdecode(name)}" for (name,) in self._index.table("name")]
        self._places = {absolute(name): place for place, name in enumerate(names)}

    def __contains__(self, name: str) -> bool:
        return absolute(name) in self._places

    def picture(self, name: str, *, side: int) -> tuple[bytes, str]:
        """A photo as bytes that browsers know, and their media type: PNG if it is small, else JPEG.

        Args:
            name: as predictions.csv has it.
            side: the longest side in pixels; what is smaller stays as it is.

        Raises:
            DataError: if there is no such photo, or it cannot be read any more.
        """
        image, file = self._opened(name), io.BytesIO()
        image.thumbnail((side, side), Image.Resampling.LANCZOS)
        if max(image.size) <= 128:  # where JPEG would be seen
            image.save(file, "PNG")
            return file.getvalue(), "image/png"
        image.save(file, "JPEG", quality=_QUALITY)
        return file.getvalue(), "image/jpeg"

    def _opened(self, name: str) -> Image.Image:
        place = self._places.get(absolute(name))
        if place is None:
            raise DataError(f"there is no photo '{name}' in '{self._path}'. Was it moved or renamed since the run?")
        if self._pixels is None:
            return open_full(self._index.read(place).content, name=name)
        pixels = self._pixels[place]
        return Image.fromarray(pixels[:, :, 0] if pixels.shape[2:] == (1,) else pixels).convert("RGB")
