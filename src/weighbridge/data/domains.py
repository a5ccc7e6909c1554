"""Domains on disk: a folder per class, a flat or nested folder, a CSV manifest, an .npz.

Reading an unlabelled domain never looks at labels, not even at the order that class folders would give the files.
"""

__all__ = [
    "Fit",
    "Images",
    "LabelledDomain",
    "UnlabelledDomain",
    "check_labelled",
    "read_labelled",
    "read_unlabelled",
    "split_off",
]

import csv
import hashlib
import os
import re
import zipfile
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from sklearn.model_selection import StratifiedShuffleSplit
from torch import Tensor

from weighbridge.data.decode import IMAGE_SUFFIXES, Fit, decode_image, fit_square, looks_like_image
from weighbridge.errors import DataError, did_you_mean

Progress = Callable[[int, int], None]
Channels = Literal[1, 3]

MEMORY_BUDGET = 4 * 2**30  # bytes of decoded pixels a domain may keep in memory; above it files are decoded on demand


class Images(Protocol):
    """Pixels by row number."""

    def __len__(self) -> int: ...

    def fetch(self, index: Tensor) -> Tensor:
        """(B,) int64 -> (B, C, H, W) uint8 on the CPU."""
        ...


@dataclass(frozen=True)
class LabelledDomain:
    """Images with labels, from one source or several.

    Attributes:
        labels: (N,) int64 in [0, K).
        classes: K names.
        source: (N,) int64, which of `source_names` each image came from.
        files: N names, a path or "digits.npz#12".
    """

    images: Images
    labels: Tensor
    classes: tuple[str, ...]
    source: Tensor
    source_names: tuple[str, ...]
    files: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.files)

    def subset(self, index: Tensor) -> "LabelledDomain":
        """The images at these rows, (n,) int64."""
        files = tuple(self.files[row] for row in index.tolist())
        images = _Rows(self.images, index)
        return LabelledDomain(images, self.labels[index], self.classes, self.source[index], self.source_names, files)


@dataclass(frozen=True)
class UnlabelledDomain:
    """Images and nothing else."""

    images: Images
    files: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.files)


def read_labelled(
    paths: Sequence[Path],
    *,
    size: int,
    channels: Channels,
    fit: Fit,
    classes: Sequence[str] | None = None,
    progress: Progress | None = None,
) -> LabelledDomain:
    """Read one or several labelled domains as one.

    Args:
        paths: folders with one folder per class, CSV manifests with columns file, label and perhaps source, or .npz
            files with x (N, H, W[, C]) uint8, y (N,) integers and perhaps classes (K,).
        size, channels, fit: see `decode.decode_image`.
        classes: names to map labels onto, when a trained model fixes them; the images may show fewer.
        progress: called with (images done, images in all).

    Raises:
        DataError: for anything missing, empty, unreadable, or not fitting together; the message says what to do.
    """
    parts, names = _fitting_parts(paths, classes)
    row_of = {name: row for row, name in enumerate(names)}
    labels = torch.tensor([row_of[label] for part in parts for label in part.labels], dtype=torch.int64)
    source = torch.cat([torch.full((len(part.labels),), k, dtype=torch.int64) for k, part in enumerate(parts)])
    images = _read_pixels([part.content for part in parts], size, channels, fit, progress)
    files = tuple(name for part in parts for name in part.content.names)
    return LabelledDomain(images, labels, tuple(names), source, _distinct_names(parts), files)


def check_labelled(path: Path, classes: Sequence[str]) -> None:
    """Refuse what `read_labelled` would refuse by its names, and look at nothing else: before hours of training.

    Raises:
        DataError: as `read_labelled`, but for unreadable images.
    """
    _fitting_parts([path], classes)


def read_unlabelled(
    path: Path, *, size: int, channels: Channels, fit: Fit, progress: Progress | None = None
) -> UnlabelledDomain:
    """Read images without labels; folders below the first are nesting, their names mean nothing.

    Arguments and errors as in `read_labelled`. The `label` column of a manifest and the `y` of an .npz are not read.
    """
    kind = _kind(path)
    if kind == "folder":
        files = _image_files(path)
        if not files:
            raise DataError(f"expected images in '{path}' or in folders below it, found none")
        content: _Content = _Files(_label_free_order(files))
    elif kind == "csv":
        content = _Files([row.file for row in _manifest(path, columns=("file",))])
    else:
        content = _Array(path, _npz(path, "x"))
    return UnlabelledDomain(_read_pixels([content], size, channels, fit, progress), tuple(content.names))


def split_off(domain: LabelledDomain, share: float, seed: int) -> tuple[LabelledDomain, LabelledDomain]:
    """Set a share of the images aside, class by class: (training, held out). Classes of one image stay in training."""
    counts = torch.bincount(domain.labels, minlength=len(domain.classes))
    rows = (counts[domain.labels] > 1).nonzero().squeeze(1).numpy()
    labels = domain.labels.numpy()[rows]
    kinds = len(np.unique(labels))
    wanted = round(share * len(rows))
    if share == 0.0 or not len(rows) or len(rows) - kinds < kinds:
        return domain, domain.subset(torch.empty(0, dtype=torch.int64))
    wanted = min(max(wanted, kinds), len(rows) - kinds)  # at least one of each class on either side
    splitter = StratifiedShuffleSplit(n_splits=1, test_size=wanted, random_state=seed)
    _, held = next(splitter.split(rows, labels))
    aside = torch.zeros(len(domain), dtype=torch.bool)
    aside[torch.from_numpy(rows[held])] = True
    return domain.subset((~aside).nonzero().squeeze(1)), domain.subset(aside.nonzero().squeeze(1))


# ---- what lies at a path -------------------------------------------------------------------------------------------


class _Content(Protocol):
    @property
    def names(self) -> Sequence[str]: ...

    def decode(self, row: int, size: int, channels: Channels, fit: Fit) -> NDArray[np.uint8]: ...


@dataclass(frozen=True)
class _Files:
    paths: Sequence[Path]

    @property
    def names(self) -> Sequence[str]:
        return [str(path) for path in self.paths]

    def decode(self, row: int, size: int, channels: Channels, fit: Fit) -> NDArray[np.uint8]:
        return decode_image(self.paths[row], size=size, channels=channels, fit=fit)


@dataclass(frozen=True)
class _Array:
    path: Path
    pixels: NDArray[np.uint8]  # (N, H, W) or (N, H, W, C)

    @property
    def names(self) -> Sequence[str]:
        return [f"{self.path}#{row}" for row in range(len(self.pixels))]

    def decode(self, row: int, size: int, channels: Channels, fit: Fit) -> NDArray[np.uint8]:
        pixels = self.pixels[row]
        if pixels.ndim == 3 and pixels.shape[2] == 1:
            pixels = pixels[:, :, 0]
        image = Image.fromarray(pixels).convert("L" if channels == 1 else "RGB")
        return fit_square(image, size, fit)


@dataclass(frozen=True)
class _Part:
    """One source."""

    path: Path
    name: str
    content: _Content
    labels: Sequence[str]
    classes: Sequence[str]


@dataclass(frozen=True)
class _Row:
    file: Path
    label: str
    source: str


def _fitting_parts(paths: Sequence[Path], classes: Sequence[str] | None) -> tuple[list[_Part], Sequence[str]]:
    """What lies at the paths, and the names of its classes."""
    parts = [part for path in paths for part in _labelled_parts(path)]
    names = classes or _common_classes(parts)
    for part in parts:
        unknown = sorted(set(part.labels) - set(names), key=_natural)
        if unknown:
            near = did_you_mean(unknown[0], names)
            raise DataError(f"'{part.path}' has a class '{unknown[0]}' that the source does not have. {near}")
    if len(names) < 2:
        raise DataError(f"expected at least two classes in '{parts[0].path}', found only '{names[0]}'")
    return parts, names


def _labelled_parts(path: Path) -> list[_Part]:
    kind = _kind(path)
    if kind == "folder":
        return [_class_folders(path)]
    if kind == "npz":
        return [_labelled_npz(path)]
    rows = _manifest(path, columns=("file", "label"))
    classes = sorted({row.label for row in rows}, key=_natural)
    parts = []
    for name in dict.fromkeys(row.source for row in rows):
        chosen = [row for row in rows if row.source == name]
        labels = [row.label for row in chosen]
        parts.append(_Part(path, name or path.stem, _Files([row.file for row in chosen]), labels, classes))
    return parts


def _class_folders(path: Path) -> _Part:
    folders = sorted((p for p in path.iterdir() if p.is_dir() and not _hidden(p)), key=lambda p: _natural(p.name))
    files, labels, classes = [], [], []
    for folder in folders:
        found = _image_files(folder)
        if found:
            classes.append(folder.name)
            files += found
            labels += [folder.name] * len(found)
    if not classes:
        if _image_files(path):
            raise DataError(
                f"expected one folder per class in '{path}', found images without class folders. "
                f"Sort them into folders named after their classes, or give a CSV manifest with columns file,label"
            )
        raise DataError(f"expected one folder per class with images in '{path}', found none")
    return _Part(path, path.resolve().name, _Files(files), labels, classes)


def _labelled_npz(path: Path) -> _Part:
    pixels, numbers = _npz(path, "x"), _npz(path, "y")
    if numbers.shape != (len(pixels),) or numbers.dtype.kind not in "iu":
        raise DataError(
            f"expected y of shape ({len(pixels)},) with integers in '{path}', got {numbers.shape}, {numbers.dtype}"
        )
    with np.load(path, allow_pickle=False) as archive:
        named = [str(name) for name in archive["classes"]] if "classes" in archive else None
    if named is not None and (numbers.min() < 0 or numbers.max() >= len(named)):
        raise DataError(
            f"y in '{path}' runs from {numbers.min()} to {numbers.max()}, but it names {len(named)} classes"
        )
    labels = [named[k] if named else str(k) for k in numbers.tolist()]
    classes = sorted(set(labels), key=_natural) if named is None else [name for name in named if name in set(labels)]
    return _Part(path, path.stem, _Array(path, pixels), labels, classes)


def _npz(path: Path, key: str) -> NDArray[np.uint8]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            if key not in archive:
                raise DataError(f"expected an array '{key}' in '{path}', found {', '.join(archive.files) or 'none'}")
            array: NDArray[np.uint8] = archive[key]
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"'{path}' cannot be read as .npz: {error}") from error
    shape_fits = array.ndim == 3 or (array.ndim == 4 and array.shape[3] in (1, 3))
    if key == "x" and (not shape_fits or array.dtype != np.uint8 or not len(array)):
        raise DataError(
            f"expected x of shape (N, H, W) or (N, H, W, 1 or 3) in uint8 in '{path}', got {array.shape}, {array.dtype}"
        )
    return array


def _manifest(path: Path, columns: Sequence[str]) -> list[_Row]:
    """Rows of a CSV manifest; a column that is not asked for is not read."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as lines:
            reader = csv.DictReader(lines)
            found = reader.fieldnames or []
            for column in columns:
                if column not in found:
                    raise DataError(f"expected a column '{column}' in '{path}', found {', '.join(found) or 'nothing'}")
            rows = []
            for row in reader:
                file = path.parent / (row["file"] or "")
                if not file.is_file():
                    raise DataError(f"line {reader.line_num} of '{path}' names '{row['file']}', which is not a file")
                label = (row["label"] or "").strip() if "label" in columns else ""
                if "label" in columns and not label:
                    raise DataError(f"line {reader.line_num} of '{path}' has no label")
                rows.append(_Row(file, label, row.get("source") or ""))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"'{path}' cannot be read as CSV: {error}") from error
    if not rows:
        raise DataError(f"expected at least one row below the header of '{path}', found none")
    return rows


def _kind(path: Path) -> Literal["folder", "csv", "npz"]:
    if path.is_dir():
        return "folder"
    if path.is_file() and path.suffix.lower() in (".csv", ".npz"):
        return "csv" if path.suffix.lower() == ".csv" else "npz"
    if path.exists():
        raise DataError(f"expected a folder, a .csv or an .npz, got the file '{path}'")
    siblings = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
    hint = f" {did_you_mean(path.name, siblings)}" if 0 < len(siblings) <= 50 else ""
    raise DataError(f"there is nothing at '{path}'; expected a folder, a .csv or an .npz.{hint}")


def _image_files(folder: Path) -> list[Path]:
    """Image files at any depth, by content, without hidden files and files that neither are nor claim to be images.

    A file that is called an image and is none is kept, so that decoding it says so.
    """
    files = []
    for root, folders, names in os.walk(folder, followlinks=True):
        folders[:] = sorted((name for name in folders if not name.startswith(".")), key=_natural)
        for name in sorted(names, key=_natural):
            path = Path(root) / name
            if not _hidden(path) and (path.suffix.lower() in IMAGE_SUFFIXES or looks_like_image(path)):
                files.append(path)
    return files


def _label_free_order(files: Iterable[Path]) -> list[Path]:
    """By name, then content: the same images in other class folders come in the same order."""

    def key(path: Path) -> tuple[tuple[object, ...], str]:
        return _natural(path.name), hashlib.sha256(path.read_bytes()).hexdigest() if path.name in shared else ""

    listed = list(files)
    seen: set[str] = set()
    shared = {path.name for path in listed if path.name in seen or seen.add(path.name)}  # type: ignore[func-returns-value]
    return sorted(listed, key=key)


def _hidden(path: Path) -> bool:
    return path.name.startswith(".") or path.name in ("Thumbs.db", "desktop.ini", "__MACOSX")


def _natural(name: str) -> tuple[object, ...]:
    """A sorting key that puts 2 before 10."""
    return tuple((1, int(piece), "") if piece.isdigit() else (0, 0, piece) for piece in re.split(r"([0-9]+)", name))


def _common_classes(parts: Sequence[_Part]) -> Sequence[str]:
    first = parts[0]
    for part in parts[1:]:
        only = [name for name in (*part.classes, *first.classes) if (name in part.classes) != (name in first.classes)]
        if only:
            there, other = (part, first) if only[0] in part.classes else (first, part)
            raise DataError(
                f"all sources must show the same classes: '{there.path}' has '{only[0]}', '{other.path}' has not. "
                f"{did_you_mean(only[0], other.classes)}"
            )
    return first.classes


def _distinct_names(parts: Sequence[_Part]) -> tuple[str, ...]:
    names = [part.name for part in parts]
    if len(set(names)) == len(names):
        return tuple(names)
    return (
        tuple(f"{part.path.resolve().parent.name}/{part.name}" for part in parts)
        if len({(part.path.resolve().parent.name, part.name) for part in parts}) == len(parts)
        else tuple(f"{part.name} ({k + 1})" for k, part in enumerate(parts))
    )


# ---- pixels --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _InMemory:
    pixels: Tensor  # (N, C, H, W) uint8

    def __len__(self) -> int:
        return len(self.pixels)

    def fetch(self, index: Tensor) -> Tensor:
        return self.pixels[index]


class _OnDemand:
    """Files decoded when they are asked for; Pillow lets other threads work while it decodes."""

    def __init__(self, contents: Sequence[_Content], size: int, channels: Channels, fit: Fit) -> None:
        self._rows = [(content, row) for content in contents for row in range(len(content.names))]
        self._size, self._channels, self._fit = size, channels, fit
        self._pool = ThreadPoolExecutor(max_workers=_threads(), thread_name_prefix="decode")

    def __len__(self) -> int:
        return len(self._rows)

    def decode(self, row: int) -> Tensor:
        content, place = self._rows[row]
        pixels = content.decode(place, self._size, self._channels, self._fit)
        return torch.from_numpy(np.array(pixels)).permute(2, 0, 1)

    def fetch(self, index: Tensor) -> Tensor:
        decoded = list(self._pool.map(self.decode, index.tolist()))
        shape = (0, self._channels, self._size, self._size)
        return torch.stack(decoded) if decoded else torch.empty(shape, dtype=torch.uint8)


@dataclass(frozen=True)
class _Rows:
    """Some rows of other images."""

    images: Images
    rows: Tensor  # (n,)

    def __len__(self) -> int:
        return len(self.rows)

    def fetch(self, index: Tensor) -> Tensor:
        return self.images.fetch(self.rows[index])


def _read_pixels(
    contents: Sequence[_Content], size: int, channels: Channels, fit: Fit, progress: Progress | None
) -> Images:
    """Decode everything now if it fits the budget, so that a broken file is met before training starts."""
    lazy = _OnDemand(contents, size, channels, fit)
    if len(lazy) * channels * size * size > MEMORY_BUDGET:
        return lazy
    pixels = torch.empty(len(lazy), channels, size, size, dtype=torch.uint8)
    with ThreadPoolExecutor(max_workers=_threads(), thread_name_prefix="decode") as pool:
        try:
            for row, image in enumerate(pool.map(lazy.decode, range(len(lazy)))):
                pixels[row] = image
                if progress and (row % 64 == 63 or row + 1 == len(lazy)):
                    progress(row + 1, len(lazy))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return _InMemory(pixels)


def _threads() -> int:
    return min(8, os.cpu_count() or 1)
