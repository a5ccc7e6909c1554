"""Decoded squares, kept: in memory where they are few, else in a file that is mapped into memory.

A cache file is written once, in parallel, by whoever comes first; others wait for it. A build that was killed goes on
where it stopped. Every image carries a checksum, compared when it is first read; a damaged one is decoded again.
"""

__all__ = ["CacheMode", "decoded", "room"]

import functools
import hashlib
import mmap
import os
import shutil
import threading
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np
import PIL
import torch
from filelock import FileLock
from numpy.typing import NDArray
from torch import Tensor

from weighbridge.data.columns import Column
from weighbridge.data.images import ArrayImages, Images, OnDemand, Pictures, Pixels, View
from weighbridge.data.threads import thread_count, working
from weighbridge.errors import DataError
from weighbridge.files import cache_home
from weighbridge.watch import Progress

CacheMode = Literal["auto", "memory", "disk", "off"]

MEMORY_BUDGET = 2**30  # bytes of decoded pixels that `auto` keeps in memory
_FORMAT = 2  # of the cache and of what decoding means; another number is another key
_AT_ONCE = 64  # images decoded between two notes of how far a build has come
_TOUCHED = 2**27  # bytes of a cache that are mapped before the process lets go of its pages
_SMALL = 2**16  # bytes of an image below which what lies around it counts, of which as much as this may come along:
_AROUND = 2**21


def decoded(
    pictures: Pictures,
    view: View,
    mode: CacheMode,
    *,
    home: Path | None = None,
    later: bool = False,
    progress: Progress | None = None,
) -> Images:
    """Images ready to be fetched.

    Args:
        mode: `memory`: decoded now; `disk`: from a file in the cache folder, made now if it is not there; `off`:
            decoded every time they are asked for; `auto`: memory up to `MEMORY_BUDGET` bytes, else off.
        home: the cache folder; `cache_home()` if not given.
        later: whether what would be decoded now waits until an image is asked for, since perhaps none is.
        progress: called with (images decoded, images to decode).

    Raises:
        DataError: if an image cannot be decoded, or the disk is full.
    """
    size = len(pictures) * view.side * view.side * view.channels
    if mode == "off" or (mode == "auto" and size > MEMORY_BUDGET):
        return OnDemand(pictures, view, digest=_key(pictures, view))
    if mode == "disk":
        keep = functools.partial(_mapped, pictures, view, (home or cache_home()) / "pixels", progress)
    else:
        keep = functools.partial(_in_memory, pictures, view, progress)
    return _Later(keep, len(pictures), _key(pictures, view)) if later else keep()


class _Later:
    """Images that are decoded, all of them, when the first is asked for."""

    def __init__(self, decode: Callable[[], Images], count: int, digest: str) -> None:
        self._decode, self._count, self.digest = decode, count, digest
        self._images: Images | None = None
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return self._count

    def draw(self, count: int, generator: torch.Generator, *, strong: bool) -> Tensor | None:
        return self._whole().draw(count, generator, strong=strong)

    def fetch(self, index: Tensor, drawn: Tensor | None = None) -> Tensor:
        return self._whole().fetch(index, drawn)

    def _whole(self) -> Images:
        with self._lock:
            if self._images is None:
                self._images = self._decode()
            return self._images


def _in_memory(pictures: Pictures, view: View, progress: Progress | None) -> Images:
    pixels = np.empty((len(pictures), view.side, view.side, view.channels), dtype=np.uint8)
    for _ in _decode(pictures, view, np.arange(len(pictures)), pixels, progress):
        pass
    return ArrayImages(pixels, view, digest=_key(pictures, view))


def _mapped(pictures: Pictures, view: View, home: Path, progress: Progress | None) -> Images:
    folder = home / _key(pictures, view)
    home.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{folder}.lock"):  # the system lets go of it when its owner dies
        if not folder.is_dir():
            _build(pictures, view, folder, progress)
    shape = (len(pictures), view.side, view.side, view.channels)
    pixels = np.memmap(folder / "pixels", dtype=np.uint8, mode="r+", shape=shape)
    checksums = np.memmap(folder / "checksums", dtype=np.uint32, mode="r+", shape=shape[:1])
    check = _Check(pictures, view, pixels, checksums)
    return ArrayImages(pixels, view, check, digest=folder.name)


def _build(pictures: Pictures, view: View, folder: Path, progress: Progress | None) -> None:
    """Decode into a folder beside the final one, which takes its name when all is there."""
    part = folder.with_name(f"{folder.name}.part")
    part.mkdir(exist_ok=True)
    count = len(pictures)
    shape = (count, view.side, view.side, view.channels)
    try:
        pixels: Pixels = room(part / "pixels", np.uint8, shape)
        checksums = room(part / "checksums", np.uint32, (count,))
        done = room(part / "done", np.uint8, (count,))
    except OSError as error:
        shutil.rmtree(part, ignore_errors=True)
        needed = count * view.side * view.side * view.channels / 2**30
        raise DataError(
            f"the decoded images need {needed:.1f} GiB in '{folder.parent}': {error.strerror}. "
            f"Set WEIGHBRIDGE_CACHE to a larger disk, or use --cache off"
        ) from error
    for rows in _decode(pictures, view, np.flatnonzero(done == 0), pixels, progress):
        checksums[rows] = [zlib.crc32(pixels[row]) for row in rows]
        done[rows] = 1  # last, so that a kill at any moment leaves no row that only seems to be there
    del pixels, checksums, done
    os.replace(part, folder)  # not by whole_folder: what a build that was killed has decoded is kept


def room(path: Path, kind: Any, shape: tuple[int, ...]) -> NDArray[Any]:
    """A file of this shape on disk, kept if it is there."""
    with path.open("r+b" if path.is_file() else "w+b") as file:
        _reserve(file, int(np.prod(shape)) * np.dtype(kind).itemsize)
    return np.memmap(path, dtype=kind, mode="r+", shape=shape)


def _reserve(file: IO[bytes], length: int) -> None:
    """Give a file its length and its room on disk now: a disk that is full when a mapped page is written kills."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file.fileno(), 0, length)
    file.truncate(length)


def _decode(
    pictures: Pictures, view: View, rows: NDArray[np.int64], into: Pixels, progress: Progress | None
) -> Iterator[NDArray[np.int64]]:
    """Decode rows in parallel, and yield those that are done, batch by batch."""

    def one(row: int) -> None:
        into[row] = pictures.decode(row, view)

    with working(thread_count(), "decode") as pool:
        for start in range(0, len(rows), _AT_ONCE):
            batch = rows[start : start + _AT_ONCE]
            list(pool.map(one, batch.tolist()))
            yield batch
            if progress:
                progress(start + len(batch), len(rows))


def _key(pictures: Pictures, view: View) -> str:
    """Another index, another view, another decoder: another file."""
    digest = hashlib.sha256(f"{_FORMAT} {PIL.__version__} {view}".encode())
    for content, places in pictures.parts():
        digest.update(content.digest.encode())
        digest.update(places.astype(np.int64).tobytes())
    return digest.hexdigest()[:20]


class _Check:
    """Compares each image with its checksum when it is first read, and repairs it from its file.

    Pages of mapped files count as memory of the process from when they are touched, and an epoch touches all of them.
    They are let go of now and then; what the system keeps of the files in its own memory stays there.
    """

    def __init__(
        self, pictures: Pictures, view: View, pixels: "np.memmap[Any, Any]", checksums: "np.memmap[Any, Any]"
    ) -> None:
        self._pictures, self._view, self._pixels, self._checksums = pictures, view, pixels, checksums
        self._known = Column.filled(len(checksums), False, np.bool_)
        self._lock, self._touched = threading.Lock(), 0

    def __call__(self, rows: NDArray[np.int64]) -> None:
        for row in rows[~self._known[torch.from_numpy(rows)].numpy()].tolist():
            if zlib.crc32(self._pixels[row]) != self._checksums[row]:
                with self._lock:
                    self._pixels[row] = self._pictures.decode(row, self._view)
                    self._checksums[row] = zlib.crc32(self._pixels[row])
            self._known[row : row + 1] = torch.tensor([True])
        size = self._pixels[0].nbytes
        self._touched += len(rows) * (size if size >= _SMALL else _AROUND)
        if self._touched > _TOUCHED:
            self._touched = 0
            for mapped in (self._pixels, self._checksums):
                _let_go(mapped)


def _let_go(mapped: "np.memmap[Any, Any]") -> None:
    """The pages of a mapped file stop counting as memory of the process; the next look maps them again."""
    if hasattr(mmap, "MADV_DONTNEED"):
        mapped._mmap.madvise(mmap.MADV_DONTNEED)  # type: ignore[attr-defined]
