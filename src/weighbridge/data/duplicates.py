"""Images that are the same, byte for byte, or nearly the same picture."""

__all__ = ["Alike", "Marks", "alike", "has_structure", "near_duplicate_groups"]

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import compress, islice
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from weighbridge.data.decode import THUMBNAIL

_Numbers = NDArray[np.int64]
_Flags = NDArray[np.bool_]

_HASH_DISTANCE = 3  # of 64 bits, so that at least one of four bands of 16 is equal
_LEVELS_APART = 4.0  # mean absolute difference of two thumbnails
_BUCKET = 1000  # images compared with each other because a band of theirs is equal
_AT_ONCE = 8192  # pairs of thumbnails compared, or rows of an index in memory
_CANDIDATES = 1_000_000  # pairs kept for a band before thumbnails are looked at
_FEWEST_BITS = 6  # a difference hash with fewer set or unset says nothing
_LEAST_STRUCTURE = 4.0  # levels of standard deviation in a thumbnail


class _Tabled(Protocol):
    """An `Index`, or `ArrayRows`."""

    def table(self, *columns: str) -> Iterator[tuple[Any, ...]]: ...


@dataclass(frozen=True)
class Marks:
    """What tells whether two images are alike, of all images of a domain."""

    content: _Tabled
    digests: NDArray[np.bytes_]  # (N,) sha256
    hashes: NDArray[np.uint64]  # (N,)
    structured: _Flags  # (N,)

    def __len__(self) -> int:
        return len(self.digests)

    def thumbnails(self, wanted: _Flags) -> NDArray[np.uint8]:
        """(n, 192) of the wanted images, (N,)."""
        rows = compress(self.content.table("thumbnail"), wanted.tolist()) if wanted.any() else ()
        return np.frombuffer(b"".join(row[0] for row in rows), dtype=np.uint8).reshape(-1, 3 * THUMBNAIL**2)


@dataclass(frozen=True)
class Alike:
    """Images of several domains that are the same or nearly so. Images of the same bytes are one kind.

    Attributes:
        kinds: of each domain, (N,) in [0, count).
        count: how many kinds there are in all domains together.
        near: (2, n) kinds that look alike.
        cut: how many sets of candidates were too large to be compared in full.
    """

    kinds: list[_Numbers]
    count: int
    near: _Numbers
    cut: int


def has_structure(hashes: NDArray[np.uint64], thumbnails: NDArray[np.uint8]) -> _Flags:
    """(n,) whether images are uneven enough for their likeness to mean anything.

    Args:
        hashes: (n,) difference hashes.
        thumbnails: (n, 64, 3).
    """
    rising = np.bitwise_count(hashes)
    uneven = thumbnails.std(axis=1).max(axis=1) >= _LEAST_STRUCTURE
    structured: _Flags = uneven & (rising >= _FEWEST_BITS) & (rising <= 64 - _FEWEST_BITS)
    return structured


def alike(domains: Sequence[Marks]) -> Alike:
    """Kinds are numbered once over all domains."""
    everything = np.concatenate([marks.digests for marks in domains])
    distinct, start, numbers = np.unique(everything, return_index=True, return_inverse=True)
    ends = np.cumsum([len(marks) for marks in domains])
    near, cut = _near(domains, start, ends)
    return Alike(np.split(numbers, ends[:-1]), len(distinct), near, cut)


def near_duplicate_groups(content: _Tabled) -> NDArray[np.int32]:
    """(N,) in place order: exact and near duplicates have one number, and so do those that others connect."""
    found = alike([_marks(content)])
    one, other = found.near
    pairs = coo_array((np.ones(len(one), dtype=np.bool_), (one, other)), shape=(found.count, found.count))
    _, group_of_kind = connected_components(pairs, directed=False)
    groups: NDArray[np.int32] = group_of_kind[found.kinds[0]].astype(np.int32)
    return groups


def _marks(content: _Tabled) -> Marks:
    rows = content.table("hash", "difference_hash", "thumbnail")
    digests, hashes = [np.zeros(0, dtype="S32")], [np.zeros(0, dtype=np.uint64)]
    structured = [np.zeros(0, dtype=np.bool_)]
    while chunk := list(islice(rows, _AT_ONCE)):
        digest, bits, thumbnail = zip(*chunk, strict=True)
        digests.append(np.array(digest, dtype="S32"))
        hashes.append(np.array(bits, dtype=np.int64).view(np.uint64))
        small = np.frombuffer(b"".join(thumbnail), dtype=np.uint8).reshape(len(chunk), -1, 3)  # (n, 64, 3)
        structured.append(has_structure(hashes[-1], small))
    return Marks(content, np.concatenate(digests), np.concatenate(hashes), np.concatenate(structured))


def _near(domains: Sequence[Marks], start: _Numbers, ends: _Numbers) -> tuple[_Numbers, int]:
    """Kinds (2, n) that look alike, and how many buckets were cut. `start` is an image of each kind."""
    hashes = np.concatenate([marks.hashes for marks in domains])[start]
    able = np.flatnonzero(np.concatenate([marks.structured for marks in domains])[start])
    candidates, cut = _candidates(hashes[able])
    candidates = able[candidates]
    wanted = np.zeros(int(ends[-1]), dtype=np.bool_)
    wanted[start[candidates.ravel()]] = True
    row_of = np.cumsum(wanted) - 1  # in the block of thumbnails that follows
    parts = zip(domains, np.split(wanted, ends[:-1]), strict=True)
    thumbnails = np.concatenate([marks.thumbnails(mine) for marks, mine in parts])
    kept = []
    for chunk in np.array_split(candidates, max(1, candidates.shape[1] // _AT_ONCE), axis=1):
        one, other = (thumbnails[row_of[start[numbers]]].astype(np.int16) for numbers in chunk)
        kept.append(chunk[:, np.abs(one - other).mean(axis=1) < _LEVELS_APART] if chunk.size else chunk)
    return np.concatenate(kept, axis=1), cut


def _candidates(hashes: NDArray[np.uint64]) -> tuple[_Numbers, int]:
    """Rows (2, n) of hashes at most `_HASH_DISTANCE` bits apart, and how many buckets were too large.

    Sorted with one band in front, hashes with that band equal stand together, and likely ones next to each other. Each
    is compared with the `_BUCKET` that follow: with all of its bucket, unless that is larger.
    """
    found, cut = [np.zeros((2, 0), dtype=np.int64)], 0
    for shift in (0, 16, 32, 48):
        turned = hashes << np.uint64(shift) | hashes >> np.uint64(64 - shift) if shift else hashes
        order = np.argsort(turned)
        turned = turned[order]
        band = turned >> np.uint64(48)
        cut += int((np.unique(band, return_counts=True)[1] > _BUCKET).sum())
        row, hits = np.arange(len(turned)), 0
        for step in range(1, _BUCKET + 1):
            row = row[row + step < len(turned)]
            row = row[band[row] == band[row + step]]
            near = row[np.bitwise_count(turned[row] ^ turned[row + step]) <= _HASH_DISTANCE]
            found.append(np.sort(np.stack([order[near], order[near + step]]), axis=0))
            hits += len(near)
            if not len(row) or hits > _CANDIDATES:
                cut += int(hits > _CANDIDATES)
                break
    one, other = np.concatenate(found, axis=1)
    pairs = np.unique(one * max(len(hashes), 1) + other)
    return np.stack(np.divmod(pairs, max(len(hashes), 1))), cut
