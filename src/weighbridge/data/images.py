"""Pixels and names of images by row number, wherever they lie: in files, in archives, in an array, in memory."""

__all__ = [
    "ArrayImages",
    "Content",
    "Images",
    "IndexedContent",
    "Names",
    "NpzContent",
    "OnDemand",
    "Pictures",
    "View",
]

import hashlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, overload

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from weighbridge.data.columns import Column
from weighbridge.data.index import Index
from weighbridge.data.squares import Fit, decode_image, fit_square
from weighbridge.data.threads import thread_count
from weighbridge.types import Interpolation

Channels = Literal[1, 3]
Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class View:
    """How images are looked at.

    Attributes:
        size: side in pixels of the square images that a network gets.
        channels: 1 for grey, 3 for RGB.
        fit: see `squares.fit_square`.
        slack: pixels that are kept beyond `size`, for crops that move about; a plain look takes the middle.
        interpolation: how images are made smaller, as those were that published weights were trained on.
    """

    size: int
    channels: Channels
    fit: Fit = "crop"
    slack: int = 0
    interpolation: Interpolation = "bicubic"

    @property
    def side(self) -> int:
        """Of the squares that are decoded and kept."""
        return self.size + self.slack


class Images(Protocol):
    """Pixels by row number, or what a frozen backbone has made of them."""

    @property
    def digest(self) -> str:
        """Changes when any pixel could."""
        ...

    def __len__(self) -> int: ...

    def draw(self, count: int, generator: torch.Generator, *, strong: bool) -> Tensor | None:
        """What a training look at so many images leaves to chance; None where it leaves nothing.

        Args:
            strong: whether the images will be augmented strongly.

        Returns:
            (count, ...) integers for `fetch`.
        """
        ...

    def fetch(self, index: Tensor, drawn: Tensor | None = None) -> Tensor:
        """Images of these rows.

        Args:
            index: (B,) int64.
            drawn: what `draw` said; a plain look if not given.

        Returns:
            (B, C, H, W) uint8 on the CPU, laid out channels last; (B, F) float32 of features.
        """
        ...


class Content(Protocol):
    """Images that can be decoded one by one."""

    @property
    def digest(self) -> str:
        """Changes when any pixel could."""
        ...

    def __len__(self) -> int: ...

    def name(self, place: int) -> str: ...

    def digest_of(self, place: int) -> str:
        """Of one image: the same for the same bytes under another name."""
        ...

    def decode(self, place: int, view: View) -> Pixels:
        """(side, side, C) uint8."""
        ...


@dataclass(frozen=True)
class IndexedContent:
    """What an index lists."""

    index: Index

    @property
    def digest(self) -> str:
        return self.index.pixels

    def __len__(self) -> int:
        return len(self.index)

    def name(self, place: int) -> str:
        return self.index.name(place)

    def digest_of(self, place: int) -> str:
        ((digest,),) = self.index.rows([place], "hash")
        return str(digest.hex())

    def decode(self, place: int, view: View) -> Pixels:
        return decode_image(
            self.index.read(place),
            size=view.side,
            channels=view.channels,
            fit=view.fit,
            interpolation=view.interpolation,
        )


@dataclass(frozen=True)
class NpzContent:
    """The array x of an .npz, (N, H, W) or (N, H, W, 1 or 3) uint8."""

    path: Path
    pixels: Pixels

    @property
    def digest(self) -> str:
        facts = self.path.stat()
        return f"{self.path.resolve()} {facts.st_size} {facts.st_mtime_ns}"

    def __len__(self) -> int:
        return len(self.pixels)

    def name(self, place: int) -> str:
        return f"{self.path}#{place}"

    def digest_of(self, place: int) -> str:
        return hashlib.sha256(self.pixels[place].tobytes()).hexdigest()

    def decode(self, place: int, view: View) -> Pixels:
        pixels = self.pixels[place]
        if pixels.ndim == 3 and pixels.shape[2] == 1:
            pixels = pixels[:, :, 0]
        image = Image.fromarray(pixels).convert("L" if view.channels == 1 else "RGB")
        upright = torch.from_numpy(np.array(image)).reshape(*pixels.shape[:2], view.channels)
        return fit_square(upright.permute(2, 0, 1), view.side, view.fit, view.interpolation)


class Pictures:
    """Places of several contents, one after the other, as the rows of a domain.

    Args:
        contents: where the images are.
        places: which of each, (n,) integers.
    """

    def __init__(self, contents: Sequence[Content], places: Sequence[NDArray[np.integer[Any]]]) -> None:
        self._contents, self._places = tuple(contents), Column(places, np.int32)
        self._starts = np.cumsum([0, *map(len, places)])

    def __len__(self) -> int:
        return len(self._places)

    def parts(self) -> Iterator[tuple[Content, NDArray[np.int32]]]:
        """Each content with its places, (n,)."""
        starts = self._starts.tolist()
        for content, start, end in zip(self._contents, starts, starts[1:], strict=False):
            yield content, self._places.whole()[start:end]

    def at(self, rows: Tensor) -> list[tuple[Content, int]]:
        """Where these rows, (n,), are found: a content and a place in it."""
        part = np.searchsorted(self._starts, rows.numpy(), side="right") - 1
        found = zip(part.tolist(), self._places[rows].tolist(), strict=True)
        return [(self._contents[k], place) for k, place in found]

    def name(self, row: int) -> str:
        ((content, place),) = self.at(torch.tensor([row]))
        return content.name(place)

    def digest_of(self, row: int) -> str:
        """Of one image: the same for the same bytes under another name."""
        ((content, place),) = self.at(torch.tensor([row]))
        return content.digest_of(place)

    def decode(self, row: int, view: View) -> Pixels:
        """(side, side, C) uint8."""
        ((content, place),) = self.at(torch.tensor([row]))
        return content.decode(place, view)


class Names(Sequence[str]):
    """The names of images, looked up when they are asked for: a million paths need not be in memory.

    Args:
        pictures: what is named.
        rows: which of them; all if not given.
    """

    def __init__(self, pictures: Pictures, rows: Column | None = None) -> None:
        self._pictures, self._rows = pictures, rows

    def __len__(self) -> int:
        return len(self._pictures) if self._rows is None else len(self._rows)

    @overload
    def __getitem__(self, row: int) -> str: ...
    @overload
    def __getitem__(self, row: slice) -> list[str]: ...
    def __getitem__(self, row: int | slice) -> str | list[str]:
        if isinstance(row, slice):
            return [self[k] for k in range(*row.indices(len(self)))]
        if not -len(self) <= row < len(self):
            raise IndexError(row)
        row %= len(self)
        return self._pictures.name(row if self._rows is None else int(self._rows[row]))

    def __iter__(self) -> Iterator[str]:
        return (self[row] for row in range(len(self)))

    def digests(self) -> list[str]:
        """`Pictures.digest_of` each, in order."""
        rows = range(len(self)) if self._rows is None else self._rows.whole().tolist()
        return [self._pictures.digest_of(row) for row in rows]

    def of(self, rows: Column) -> "Names":
        """The names of some of these rows."""
        return Names(self._pictures, rows if self._rows is None else self._rows.of(rows))


class ArrayImages:
    """Squares that are decoded already, in memory or in a file mapped into it.

    Args:
        pixels: (N, side, side, C) uint8.
        check: called with the rows of a batch before they are read.
    """

    def __init__(
        self,
        pixels: Pixels,
        view: View,
        check: Callable[[NDArray[np.int64]], None] | None = None,
        *,
        digest: str = "",
    ) -> None:
        self._pixels, self._view, self._check = pixels, view, check
        self.digest = digest

    def __len__(self) -> int:
        return len(self._pixels)

    def draw(self, count: int, generator: torch.Generator, *, strong: bool) -> Tensor | None:
        return _corners(self._view, count, generator)

    def fetch(self, index: Tensor, drawn: Tensor | None = None) -> Tensor:
        rows = index.numpy()
        if self._check is not None:
            self._check(rows)
        size, slack = self._view.size, self._view.slack
        if slack == 0:
            return torch.from_numpy(self._pixels[rows]).permute(0, 3, 1, 2)
        out = np.empty((len(rows), size, size, self._view.channels), dtype=np.uint8)
        places = _places(self._view, len(rows), drawn)
        for to, row, (top, left) in zip(out, rows.tolist(), places, strict=True):
            to[:] = self._pixels[row, top : top + size, left : left + size]
        return torch.from_numpy(out).permute(0, 3, 1, 2)


class OnDemand:
    """Images decoded when they are asked for; Pillow lets other threads work while it decodes."""

    def __init__(self, pictures: Pictures, view: View, *, digest: str = "") -> None:
        self._pictures, self._view, self.digest = pictures, view, digest
        self._pool = ThreadPoolExecutor(max_workers=thread_count(), thread_name_prefix="decode")

    def __len__(self) -> int:
        return len(self._pictures)

    def draw(self, count: int, generator: torch.Generator, *, strong: bool) -> Tensor | None:
        return _corners(self._view, count, generator)

    def fetch(self, index: Tensor, drawn: Tensor | None = None) -> Tensor:
        size = self._view.size
        out = np.empty((len(index), size, size, self._view.channels), dtype=np.uint8)
        places = _places(self._view, len(index), drawn)

        def decode(to: Pixels, found: tuple[Content, int], corner: Sequence[int]) -> None:
            (content, place), (top, left) = found, corner
            to[:] = content.decode(place, self._view)[top : top + size, left : left + size]

        list(self._pool.map(decode, out, self._pictures.at(index), places))
        return torch.from_numpy(out).permute(0, 3, 1, 2)


def _corners(view: View, count: int, generator: torch.Generator) -> Tensor | None:
    """Top and left edge of each crop in [0, slack], (count, 2)."""
    return torch.randint(view.slack + 1, (count, 2), generator=generator) if view.slack else None


def _places(view: View, count: int, corners: Tensor | None) -> list[Sequence[int]]:
    """The same as numbers; those of the middle if none were drawn."""
    return corners.tolist() if corners is not None else [(view.slack // 2, view.slack // 2)] * count
