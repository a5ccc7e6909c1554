"""Domains on disk: labelled and unlabelled images, from folders, manifests, lists, archives and arrays.

Reading an unlabelled domain never looks at labels, not even at the order that class folders would give the files.
"""

__all__ = ["Reading", "check_labelled", "left_out_sentence", "read_labelled", "read_unlabelled", "rejected_files"]

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from weighbridge.data.array_rows import ArrayRows
from weighbridge.data.arrays import read_groups, read_labels, read_pixels
from weighbridge.data.cache import CacheMode, decoded
from weighbridge.data.columns import Column
from weighbridge.data.domains import SPLIT_NUMBERS, GroupedBy, LabelledDomain, Split, UnlabelledDomain
from weighbridge.data.duplicates import near_duplicate_groups
from weighbridge.data.images import Content, IndexedContent, Names, NpzContent, Pictures, View
from weighbridge.data.index import Index, Rejected, scan
from weighbridge.data.layouts import csv_columns, kind_of
from weighbridge.data.names import distinct_names, domain_name
from weighbridge.errors import DataError, did_you_mean
from weighbridge.watch import Progress


@dataclass(frozen=True)
class Reading:
    """How domains are read.

    Attributes:
        view: see `images.View`.
        cache: see `cache.decoded`.
        strict: stop at the first image that cannot be used, instead of going on without it.
        home: the cache folder; the user's if not given.
        later: decode when the first image is asked for.
    """

    view: View
    cache: CacheMode = "auto"
    strict: bool = False
    home: Path | None = None
    later: bool = False


def read_labelled(
    paths: Sequence[Path],
    reading: Reading,
    *,
    classes: Sequence[str] | None = None,
    splits: Sequence[Split] | None = None,
    near_duplicates: bool = False,
    progress: Progress | None = None,
) -> LabelledDomain:
    """Read one or several labelled domains as one.

    Args:
        paths: whatever `layouts` knows, with classes.
        classes: names to map labels onto, when a trained model fixes them; the images may show fewer.
        splits: of domains with a train/val/test layout the first of these that it has, or all of it if None.
        near_duplicates: group near duplicates where the data names no groups; takes a pass over all thumbnails.
        progress: called with (images done, images in all), while they are scanned and again while they are decoded.

    Raises:
        DataError: for anything missing, empty, or not fitting together; the message says what to do.
    """
    parts, names = _fitting_parts(paths, classes, reading, progress, near_duplicates)
    parts = [_in_split(part, splits) for part in parts]
    row_of = {name: row for row, name in enumerate(names)}
    labels = [np.array([row_of[name] for name in part.classes], dtype=np.int32)[part.labels] for part in parts]
    source = [np.full(len(part.labels), k, dtype=np.int16) for k, part in enumerate(parts)]
    pictures = Pictures([part.content for part in parts], [part.places for part in parts])
    return LabelledDomain(
        images=decoded(
            pictures, reading.view, reading.cache, home=reading.home, later=reading.later, progress=progress
        ),
        labels=Column(labels, np.int32),
        classes=tuple(names),
        source=Column(source, np.int16),
        source_names=distinct_names([part.name for part in parts], [part.path for part in parts]),
        files=Names(pictures),
        groups=Column(_apart(parts), np.int32),
        splits=Column((part.splits for part in parts), np.int8),
        fingerprint=" ".join(part.fingerprint for part in parts),
        rejected=tuple(rejected for part in parts for rejected in part.rejected),
        grouped_by=_all_grouped_by(parts),
    )


def check_labelled(path: Path, classes: Sequence[str], reading: Reading, progress: Progress | None = None) -> None:
    """Refuse what `read_labelled` would refuse, before hours of training.

    Raises:
        DataError: as `read_labelled`.
    """
    _fitting_parts([path], classes, reading, progress)


def read_unlabelled(
    path: Path, reading: Reading, *, splits: Sequence[Split] | None = None, progress: Progress | None = None
) -> UnlabelledDomain:
    """Read images without labels; folders below the first are nesting, their names mean nothing.

    Arguments and errors as in `read_labelled`. The `label` column of a manifest and the `y` of an .npz are not read.
    """
    if kind_of(path) == "npz":
        content: Content = NpzContent(path, read_pixels(path))
        places: NDArray[np.integer[Any]] = np.arange(len(content), dtype=np.int32)
        fingerprint, rejected = content.digest, tuple[Rejected, ...]()
    else:
        index = scan(path, home=reading.home, progress=progress)
        rejected = rejected_files(index, reading.strict, f"images in '{path}' or in folders below it")
        places = index.label_free_order()
        numbers, words = index.column("split")
        wanted = _first_split([words[k] for k in np.unique(numbers)], splits)
        if wanted:
            places = places[np.isin(numbers[places], [words.index(wanted)])]
        content, fingerprint = IndexedContent(index), index.fingerprint
    pictures = Pictures([content], [places])
    images = decoded(pictures, reading.view, reading.cache, home=reading.home, later=reading.later, progress=progress)
    return UnlabelledDomain(images, Names(pictures), fingerprint, rejected)


def rejected_files(index: Index, strict: bool, expected: str) -> tuple[Rejected, ...]:
    """Files that are not used, each with its reason.

    Args:
        strict: refuse an index that has images that cannot be used.
        expected: what an error says was looked for.

    Raises:
        DataError: if nothing can be used, or not all where `strict` asks for it.
    """
    rejected = tuple(index.rejected("quarantined", "ignored"))
    broken = [file for file in rejected if file.status == "quarantined"]
    if strict and broken:
        raise DataError(
            f"{_cannot_be_used(broken, len(index))}. Replace or remove what is broken, or go on without --strict"
        )
    if not len(index):
        if broken:
            raise DataError(f"expected {expected}; {_cannot_be_used(broken, 0)}")
        raise DataError(f"expected {expected}, found none")
    return rejected


def left_out_sentence(rejected: Sequence[Rejected], used: int) -> str:
    """How many images cannot be used and why the first of them; "" if all can."""
    broken = [file for file in rejected if file.status == "quarantined"]
    return _cannot_be_used(broken, used) if broken else ""


@dataclass(frozen=True)
class _SourcePart:
    """What one source gives to the labelled images."""

    path: Path
    name: str
    content: Content
    places: NDArray[np.integer[Any]]  # (n,)
    labels: NDArray[np.integer[Any]]  # (n,) in [0, len(classes))
    classes: Sequence[str]
    groups: NDArray[np.int32]  # (n,)
    splits: NDArray[np.int8]  # (n,)
    fingerprint: str
    grouped_by: GroupedBy
    rejected: tuple[Rejected, ...] = ()

    def chosen(self, rows: NDArray[np.bool_], **changes: Any) -> "_SourcePart":
        columns = ("places", "labels", "groups", "splits")
        return replace(self, **{name: getattr(self, name)[rows] for name in columns}, **changes)


def _fitting_parts(
    paths: Sequence[Path],
    classes: Sequence[str] | None,
    reading: Reading,
    progress: Progress | None,
    near_duplicates: bool = False,
) -> tuple[list[_SourcePart], Sequence[str]]:
    """What lies at the paths, and the names of its classes."""
    parts = [part for path in paths for part in _labelled_parts(path, reading, progress, near_duplicates)]
    names = classes or _common_classes(parts)
    for part in parts:
        unknown = [name for name in part.classes if name not in names]
        if unknown:
            near = did_you_mean(unknown[0], names)
            raise DataError(f"'{part.path}' has a class '{unknown[0]}' that the source does not have. {near}")
    if len(names) < 2:
        raise DataError(f"expected at least two classes in '{parts[0].path}', found only '{names[0]}'")
    return parts, names


def _labelled_parts(
    path: Path, reading: Reading, progress: Progress | None, near_duplicates: bool
) -> list[_SourcePart]:
    kind = kind_of(path)
    if kind == "npz":
        return [_labelled_npz(path, near_duplicates)]
    if kind == "csv" and "label" not in csv_columns(path):
        raise DataError(f"expected a column 'label' in '{path}', found {', '.join(csv_columns(path)) or 'nothing'}")
    index = scan(path, home=reading.home, progress=progress)
    rejected = rejected_files(index, reading.strict, f"one folder per class with images in '{path}'")
    numbers, words = index.column("label")
    groups, grouped_by = _groups(*index.column("part_of"), index if near_duplicates else None)
    whole = _SourcePart(
        path=path,
        name=domain_name(path),
        content=IndexedContent(index),
        places=np.arange(len(index), dtype=np.int32),
        labels=numbers,
        classes=words,
        groups=groups,
        splits=_split_numbers(*index.column("split")),
        fingerprint=index.fingerprint,
        grouped_by=grouped_by,
        rejected=rejected,
    )
    if "" in words:
        whole = _without_nameless(whole, reading.strict)
    numbers, sources = index.column("source")
    if len(sources) == 1:
        return [whole if not sources[0] else replace(whole, name=sources[0])]
    first_seen = sorted(range(len(sources)), key=lambda k: int(np.argmax(numbers == k)))
    of_rows = numbers[whole.places]
    return [whole.chosen(of_rows == k, name=sources[k] or whole.name, rejected=()) for k in first_seen]


def _without_nameless(part: _SourcePart, strict: bool) -> _SourcePart:
    """Images that no class folder and no label claims cannot be learned from; they are told, not dropped."""
    nameless = part.labels == part.classes.index("")
    if nameless.all():
        raise DataError(
            f"expected one folder per class in '{part.path}', found images without class folders. "
            f"Sort them into folders named after their classes, or give a CSV manifest with columns file,label"
        )
    rejected = tuple(
        Rejected(part.content.name(int(place)), "quarantined", "no class") for place in part.places[nameless]
    )
    if strict:
        raise DataError(f"'{rejected[0].file}' has no class. Give it one, remove it, or go on without --strict")
    classes = [name for name in part.classes if name]
    shift = part.classes.index("")
    kept = part.chosen(~nameless, classes=classes, rejected=(*part.rejected, *rejected))
    return replace(kept, labels=kept.labels - (kept.labels > shift))


def _cannot_be_used(broken: Sequence[Rejected], used: int) -> str:
    first, count = broken[0], len(broken)
    of = f"{count} of {used + count} images cannot be used, the first being" if used + count > 1 else ""
    return f"{of} '{first.file}': {first.reason}".strip()


def _in_split(part: _SourcePart, splits: Sequence[Split] | None) -> _SourcePart:
    names = [name for name, number in SPLIT_NUMBERS.items() if (part.splits == number).any()]
    wanted = _first_split(names, splits)
    return part.chosen(part.splits == SPLIT_NUMBERS[wanted]) if wanted else part


def _first_split(found: Sequence[str], wanted: Sequence[Split] | None) -> str:
    """The first wanted split that is there; "" for no choice."""
    return next((name for name in wanted or () if name in found), "")


def _groups(
    numbers: NDArray[np.int32], words: Sequence[str], searched: Index | ArrayRows | None
) -> tuple[NDArray[np.int32], GroupedBy]:
    """Group numbers, and how they are known; images without a group are a group of their own.

    Args:
        searched: where near duplicates are looked for among images whose group is not named.
    """
    alone = np.arange(len(numbers), dtype=np.int32)
    if not any(words):
        return (alone, "nothing") if searched is None else (near_duplicate_groups(searched), "near-duplicates")
    groups = numbers.copy()
    if "" not in words:
        return groups, "group"
    nameless = numbers == words.index("")
    others = alone if searched is None else near_duplicate_groups(searched)
    groups[nameless] = len(words) + others[nameless]
    return groups, "nothing" if searched is None else "near-duplicates"


def _all_grouped_by(parts: Sequence[_SourcePart]) -> GroupedBy:
    """Of several answers the weakest; near duplicates that were searched for and not found tell nothing."""
    known = {part.grouped_by for part in parts}
    if known == {"group"}:
        return "group"
    found = any(len(np.unique(part.groups)) < len(part.groups) for part in parts)
    return "near-duplicates" if "nothing" not in known and found else "nothing"


def _apart(parts: Sequence[_SourcePart]) -> list[NDArray[np.int32]]:
    """Group numbers of different paths must not meet; the sources that one manifest names share its groups."""
    start, moved = 0, list[NDArray[np.int32]]()
    for _, of_path in groupby(parts, key=lambda part: part.path):
        groups = [part.groups for part in of_path]
        moved += [numbers + np.int32(start) for numbers in groups]
        start += max(int(numbers.max(initial=0)) for numbers in groups) + 1
    return moved


def _split_numbers(numbers: NDArray[np.int32], words: Sequence[str]) -> NDArray[np.int8]:
    return np.array([SPLIT_NUMBERS[word] for word in words], dtype=np.int8)[numbers]


def _labelled_npz(path: Path, near_duplicates: bool) -> _SourcePart:
    pixels = read_pixels(path)
    labels, classes = read_labels(path, len(pixels))
    named = read_groups(path, len(pixels))
    groups, grouped_by = _groups(*named, ArrayRows(path, pixels) if near_duplicates else None)
    rows = np.arange(len(pixels), dtype=np.int32)
    content = NpzContent(path, pixels)
    return _SourcePart(
        path=path,
        name=domain_name(path),
        content=content,
        places=rows,
        labels=labels,
        classes=classes,
        groups=groups,
        splits=np.zeros(len(pixels), dtype=np.int8),
        fingerprint=content.digest,
        grouped_by=grouped_by,
    )


def _common_classes(parts: Sequence[_SourcePart]) -> Sequence[str]:
    first = parts[0]
    for part in parts[1:]:
        only = [name for name in (*part.classes, *first.classes) if (name in part.classes) != (name in first.classes)]
        if only:
            there, other = (part, first) if only[0] in part.classes else (first, part)
            raise DataError(
                f"all sources must have the same classes, "
                f"but '{only[0]}' of '{there.path}' is missing in '{other.path}'. "
                f"{did_you_mean(only[0], other.classes)}"
            )
    return first.classes
