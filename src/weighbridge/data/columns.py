"""Columns: a number for every image, in a file instead of in memory, of which there may be millions."""

__all__ = ["Column"]

import tempfile
import threading
import weakref
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import DTypeLike, NDArray
from torch import Tensor

from weighbridge.errors import DataError
from weighbridge.files import cache_home


class Column:
    """N numbers in a file without a name, which goes with its process, however that ends.

    It is read and written by rows as a tensor is. Rows are fetched one by one by the file's position: the pages of a
    mapped file would count as memory of the process once they are touched, and an epoch touches all of them.

    Args:
        parts: the numbers, (n,) each, one after the other.
        kind: as what they are kept.

    Raises:
        DataError: if the cache folder, where the file lies, has no room.
    """

    def __init__(self, parts: Iterable[NDArray[Any]], kind: DTypeLike) -> None:
        self._kind, self._lock = np.dtype(kind), threading.Lock()
        home = cache_home()
        with _told(home):
            home.mkdir(parents=True, exist_ok=True)
            self._file = tempfile.TemporaryFile(buffering=0, dir=home)  # noqa: SIM115 (open as long as the column lives)
        weakref.finalize(self, self._file.close)  # before the collector meets the file, also where both are in a circle
        for part in parts:  # which may come from a network that reads images: their errors are theirs
            with _told(home):
                part.astype(self._kind, copy=False).tofile(self._file)
        self._count = self._file.seek(0, 2) // self._kind.itemsize

    @classmethod
    def filled(cls, count: int, value: float, kind: DTypeLike) -> "Column":
        """The same number for every image."""
        at_once = 2**16
        return cls((np.full(min(at_once, count - start), value) for start in range(0, count, at_once)), kind)

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, rows: Tensor | slice | int) -> Tensor:
        """The numbers of these rows, (n,), or of one row, ()."""
        if isinstance(rows, slice):
            return torch.from_numpy(self.whole()[rows].copy())
        numbers = torch.from_numpy(self._read([rows] if isinstance(rows, int) else rows.tolist()))
        return numbers[0] if isinstance(rows, int) else numbers

    def __setitem__(self, rows: slice, values: Tensor) -> None:
        """Rows that follow each other are written. values: (n,)."""
        start, stop, _ = rows.indices(self._count)
        if len(values) != stop - start:
            raise ValueError(f"expected {stop - start} numbers for rows {start} to {stop - 1}, got {len(values)}")
        with self._lock:
            self._file.seek(start * self._kind.itemsize)
            values.numpy().astype(self._kind, copy=False).tofile(self._file)

    def of(self, rows: "Column") -> "Column":
        """The numbers of these rows."""
        return Column([self.whole()[rows.whole()]], self._kind)

    def whole(self) -> NDArray[Any]:
        """All numbers, (N,), mapped into memory for as long as somebody holds them; changes do not reach the column."""
        if not self._count:
            return np.empty(0, dtype=self._kind)  # nothing cannot be mapped
        with self._lock:
            return np.memmap(self._file, dtype=self._kind, mode="c", shape=(self._count,))

    def _read(self, rows: list[int]) -> NDArray[Any]:
        size, parts = self._kind.itemsize, []
        with self._lock:
            for row in self._inside(rows):
                self._file.seek(row * size)
                parts.append(self._file.read(size))
        return np.frombuffer(bytearray().join(parts), dtype=self._kind)

    def _inside(self, rows: list[int]) -> list[int]:
        if rows and isinstance(rows[0], bool):
            raise IndexError("expected row numbers, got a mask")
        if rows and not 0 <= min(rows) <= max(rows) < self._count:
            raise IndexError(f"expected rows from 0 to {self._count - 1}, got {min(rows)} to {max(rows)}")
        return rows


@contextmanager
def _told(home: Path) -> Iterator[None]:
    """A folder without room or rights is told in a sentence."""
    try:
        yield
    except OSError as error:
        raise DataError(
            f"cannot write temporary per-image data to '{home}' ({error}). Set WEIGHBRIDGE_CACHE to another folder"
        ) from error
