"""Domains that are one .npz: `x` (N, H, W) or (N, H, W, 1 or 3) uint8.

Perhaps with `y` integers, `classes` names, and `group` integers or words.
"""

__all__ = ["has_labels", "read_groups", "read_labels", "read_pixels"]

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from weighbridge.errors import DataError


def read_pixels(path: Path) -> NDArray[np.uint8]:
    """The array x; y is not read.

    Raises:
        DataError: if the file cannot be read, or x is missing or of another shape.
    """
    with _opened(path) as archive:
        pixels = _array(archive, "x", path)
    shape_fits = pixels.ndim == 3 or (pixels.ndim == 4 and pixels.shape[3] in (1, 3))
    if not shape_fits or pixels.dtype != np.uint8 or not len(pixels):
        raise DataError(
            f"expected x in '{path}' as uint8 of shape (N, H, W), (N, H, W, 1) or (N, H, W, 3), "
            f"got {pixels.dtype} of shape {pixels.shape}"
        )
    return pixels


def has_labels(path: Path) -> bool:
    """Whether there is an array y."""
    with _opened(path) as archive:
        return "y" in archive


def read_labels(path: Path, images: int) -> tuple[NDArray[np.int64], list[str]]:
    """Labels (N,) in [0, K) and the K names of the classes that occur.

    Raises:
        DataError: if y is missing, does not fit x, or does not fit the names that the file has for its classes.
    """
    with _opened(path) as archive:
        numbers = _array(archive, "y", path)
        named = [str(name) for name in archive["classes"]] if "classes" in archive else None
    if numbers.shape != (images,) or numbers.dtype.kind not in "iu":
        came = f"got {numbers.dtype} of shape {numbers.shape}"
        raise DataError(f"expected y in '{path}' as integers of shape ({images},), {came}")
    if named is not None and (numbers.min() < 0 or numbers.max() >= len(named)):
        raise DataError(
            f"y in '{path}' runs from {numbers.min()} to {numbers.max()}, but classes has {len(named)} names"
        )
    shown, labels = np.unique(numbers.astype(np.int64), return_inverse=True)
    return labels, [named[k] if named else str(k) for k in shown.tolist()]


def read_groups(path: Path, images: int) -> tuple[NDArray[np.int32], list[str]]:
    """The array group as numbers (N,) into the sorted words that occur; one empty word where there is no such array.

    Raises:
        DataError: if group does not fit x.
    """
    with _opened(path) as archive:
        if "group" not in archive:
            return np.zeros(images, dtype=np.int32), [""]
        groups = _array(archive, "group", path)
    if groups.shape != (images,) or groups.dtype.kind not in "iuU":
        came = f"got {groups.dtype} of shape {groups.shape}"
        raise DataError(f"expected group in '{path}' as integers or words of shape ({images},), {came}")
    words = np.char.strip(groups) if groups.dtype.kind == "U" else groups
    shown, numbers = np.unique(words, return_inverse=True)
    return numbers.astype(np.int32), [str(word) for word in shown.tolist()]


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            yield archive
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"'{path}' cannot be read as .npz: {error}") from error


def _array(archive: Any, key: str, path: Path) -> NDArray[Any]:
    if key not in archive:
        raise DataError(f"expected an array '{key}' in '{path}', found {', '.join(archive.files) or 'none'}")
    array: NDArray[Any] = archive[key]
    return array
