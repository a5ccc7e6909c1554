"""Procedural textures and backdrops. Everything tiles, is float32 and linear."""

__all__ = ["PATTERNS", "Backdrops", "Grain", "blotches", "colour", "pattern", "plain", "texels"]

import colorsys
from collections import OrderedDict
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from weighbridge.data.decode import IMAGE_SUFFIXES, Unusable, open_full
from weighbridge.data.layouts import walk
from weighbridge.errors import DataError
from weighbridge.render.scene import Array, linear

PATTERNS = (
    ["plain", "noise", "wood", "brushed", "stripes", "checker"],  # what real-time and pre-rendered images wear
    ["marble", "dots", "fabric", "brick", "speckle", "noise", "plain"],  # what camera images wear
)

_LINEAR = linear(np.arange(256, dtype=np.float32) / np.float32(255))  # of each value that a byte of a photo has
_KEPT = 128 * 2**20  # bytes of decoded photos that a process keeps: decoding one takes as long as half a sign


def colour(hue: float, saturation: float, value: float) -> Array:
    """(3,) linear; hue in turns, any number."""
    return linear(colorsys.hsv_to_rgb(hue % 1.0, saturation, value))


def plain(shade: Array) -> Array:
    """(1, 1, 3) of one colour."""
    return np.asarray(shade, np.float32).reshape(1, 1, 3)


def texels(size: int) -> int:
    """Side of the textures for images of a side: as fine as these, from 64 to 256."""
    return 64 if size <= 64 else 128 if size <= 128 else 256


def blotches(random: Generator, size: int, *, coarse: int = 4, octaves: int = 4) -> Array:
    """(size, size) in [0, 1]: fractal noise that tiles: `coarse` blotches a side, twice as many in each octave."""
    total = np.zeros((size, size), np.float32)
    for octave in range(octaves):
        cells = coarse << octave
        if cells > size:
            break
        grid = np.pad(random.random((cells, cells), np.float32), 2, mode="wrap")
        step = size / cells
        shift = np.array(
            [[1 / step, 0, 1.5], [0, 1 / step, 1.5]], np.float32
        )  # output pixel -> place in the padded grid
        fine = cv2.warpAffine(grid, shift, (size, size), flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP)
        total += fine * np.float32(0.5**octave)
    low, high = float(total.min()), float(total.max())
    return (total - low) / max(high - low, 1e-6)


class Grain:
    """Fractal noise ready made: a few fields that are shifted and turned anew for every use.

    Args:
        size: side in pixels.
    """

    def __init__(self, size: int) -> None:
        fixed = np.random.default_rng(0)
        self._fields = [blotches(fixed, size, coarse=coarse) for coarse in (2, 3, 4, 4, 6, 8) for _ in range(4)]

    def draw(self, random: Generator) -> Array:
        """(size, size) in [0, 1]; it tiles."""
        field = self._fields[random.integers(len(self._fields))]
        if random.random() < 0.5:
            field = field.T
        return np.roll(field, tuple(random.integers(0, len(field), 2).tolist()), (0, 1))


def pattern(name: str, random: Generator, first: Array, second: Array, rough: Array) -> Array:
    """A texture of two colours.

    Args:
        name: one of PATTERNS.
        random: its places and frequencies.
        first, second: (3,) linear.
        rough: (T, T) in [0, 1], what is irregular in it; see Grain.

    Returns:
        (T, T, 3) in [0, 1].
    """
    size = len(rough)
    rows, columns = _grid(size)
    turn = np.float32(2 * np.pi)
    if name == "plain":
        share = 0.12 * rough
    elif name == "noise":
        share = rough
    elif name == "wood":
        share = (0.5 + 0.5 * np.sin((columns * random.integers(3, 8) + 0.8 * rough) * turn)) ** 2
    elif name == "brushed":
        share = 0.6 * np.repeat(random.random((size, 1), np.float32), size, 1) + 0.3 * rough
    elif name == "stripes":
        share = np.floor(columns * random.integers(3, 8) * 2) % 2
    elif name == "checker":
        cells = random.integers(2, 5) * 2
        share = (np.floor(columns * cells) + np.floor(rows * cells)) % 2
    elif name == "marble":
        share = np.abs(np.sin((columns + rows) * turn * random.integers(1, 3) + 10 * rough)) ** 0.4
    elif name == "dots":
        cells = random.integers(3, 7)
        share = (np.hypot((columns * cells) % 1 - 0.5, (rows * cells) % 1 - 0.5) < 0.3).astype(np.float32)
    elif name == "fabric":
        threads = size // 4
        weave = 0.5 + 0.25 * np.sin(columns * turn * threads) + 0.25 * np.sin(rows * turn * threads)
        share = 0.6 * weave + 0.4 * rough
    elif name == "brick":
        course = np.floor(rows * 6)
        mortar = (((columns * 3 + 0.5 * course) % 1) < 0.06) | ((rows * 6) % 1 < 0.12)
        share = np.clip(mortar + 0.4 * rough, 0, 1)
    elif name == "speckle":
        share = 0.8 * (random.random((size, size), np.float32) < 0.15) + 0.2 * rough
    else:
        raise ValueError(f"no pattern '{name}'; there are {PATTERNS}")
    return np.asarray(first + share[..., None].astype(np.float32) * (second - first), np.float32)


@cache
def _grid(size: int) -> tuple[Array, Array]:
    rows, columns = np.mgrid[:size, :size].astype(np.float32) / np.float32(size)
    return rows, columns


class Backdrops:
    """What stands behind a scene: one colour, something made up, or a piece of a photo.

    Args:
        photos: a folder of images, searched to the bottom, or None.

    Raises:
        DataError: if the folder holds no image.
    """

    def __init__(self, photos: Path | None) -> None:
        self._photos = _images(photos) if photos is not None else []
        self._kept: OrderedDict[Path, NDArray[np.uint8]] = OrderedDict()  # decoded, the last used at the end
        self._bytes = 0

    @property
    def options(self) -> tuple[str, ...]:
        """Words for a knob: photos half of the time, where there are any."""
        made = ("procedural", "plain")
        return (*made, "photo", "photo") if self._photos else made

    def draw(self, kind: str, random: Generator, size: int) -> tuple[Array, str]:
        """(size, size, 3) linear, and the photo's name, "" where it is none.

        Args:
            kind: one of `options`.
            random: which photo, which piece of it, which colours.
            size: side in pixels.
        """
        if kind == "photo":
            return self._piece(random, size)
        shades = [colour(random.random(), random.uniform(0, 0.6), random.uniform(0.1, 1)) for _ in range(3)]
        if kind == "plain":
            return np.broadcast_to(shades[0], (size, size, 3)).astype(np.float32), ""
        return _made_up(random, size, shades), ""

    def _piece(self, random: Generator, size: int) -> tuple[Array, str]:
        for _ in range(20):  # a folder of photos may hold a few that cannot be read
            path = self._photos[random.integers(len(self._photos))]
            photo = self._read(path)
            if photo is not None:
                break
        else:
            raise DataError(
                f"20 backgrounds in a row could not be read, the last being '{path}'. Remove or repair them"
            )
        height, width = photo.shape[:2]
        side = int(random.integers(min(40, height, width), min(height, width) + 1))
        top, left = random.integers(height - side + 1), random.integers(width - side + 1)
        piece = cv2.resize(photo[top : top + side, left : left + side], (size, size), interpolation=cv2.INTER_AREA)
        if random.random() < 0.5:
            piece = piece[:, ::-1]
        return np.take(_LINEAR, piece), path.name

    def _read(self, path: Path) -> NDArray[np.uint8] | None:
        if path not in self._kept:
            try:
                image = open_full(path)
            except (Unusable, OSError):
                return None
            image.thumbnail((512, 512))
            self._kept[path] = np.asarray(image.convert("RGB"))
            self._bytes += self._kept[path].nbytes
            while self._bytes > _KEPT:
                self._bytes -= self._kept.popitem(last=False)[1].nbytes
        self._kept.move_to_end(path)
        return self._kept[path]


def _images(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise DataError(f"expected a folder of photos for the background at '{folder}', and there is none")
    names = (entry.name for entry in walk(folder) if not entry.ignored)
    found = [folder / name for name in names if Path(name).suffix.lower() in IMAGE_SUFFIXES]
    if not found:
        raise DataError(f"expected photos for the background in '{folder}', found no image in it")
    return found


def _made_up(random: Generator, size: int, shades: list[Array]) -> Array:
    """Blotches and a few blurred shapes, as of foliage, sky and walls out of focus."""
    rough = blotches(random, size, coarse=int(random.integers(2, 7)), octaves=int(random.integers(2, 5)))[..., None]
    image = shades[0] * (1 - rough) + shades[1] * rough
    for _ in range(int(random.integers(0, 5))):
        ends = random.integers(-size // 4, size + size // 4, 4).tolist()
        shade = (shades[2] * np.float32(random.uniform(0.3, 1.2))).tolist()
        if random.random() < 0.5:
            cv2.rectangle(image, ends[:2], ends[2:], shade, -1)
        else:
            cv2.line(image, ends[:2], ends[2:], shade, int(random.integers(1, max(size // 4, 2))), cv2.LINE_AA)
    blur = random.uniform(0.0, 0.04) * size
    if blur > 0.3:
        image = cv2.GaussianBlur(image, (0, 0), blur)
    slope = np.linspace(random.uniform(0.5, 1), random.uniform(0.5, 1), size, dtype=np.float32)
    return np.clip(image * slope[:, None, None], 0, 1).astype(np.float32)
