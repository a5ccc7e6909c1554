"""What domains have in common: the same bytes, nearly the same picture, the same classes."""

__all__ = ["pairs_of"]

from collections.abc import Sequence
from itertools import combinations_with_replacement, compress

import numpy as np
from numpy.typing import NDArray

from weighbridge.data.decode import THUMBNAIL
from weighbridge.data.index import Index
from weighbridge.inspection.looks import Flags, Look, Numbers, joined
from weighbridge.inspection.names import lacking
from weighbridge.inspection.records import Domain, Pair

_LISTED = 20  # pairs of files named for each finding; all are counted
_HASH_DISTANCE = 3  # of 64 bits, so that at least one of four bands of 16 is equal
_LEVELS_APART = 4.0  # mean absolute difference of two thumbnails
_BUCKET = 1000  # images compared with each other because a band of theirs is equal
_AT_ONCE = 8192  # pairs of thumbnails compared
_CANDIDATES = 1_000_000  # pairs kept for a band before thumbnails are looked at


def pairs_of(domains: Sequence[Domain], looks: Sequence[Look]) -> tuple[list[Pair], int]:
    """Contents are numbered once over all domains; `leaders` are the first places at which a domain has them."""
    everything = joined([look.digests for look in looks], "S32")
    distinct, start, numbers = np.unique(everything, return_index=True, return_inverse=True)
    ends = np.cumsum([len(look) for look in looks])
    contents = np.split(numbers, ends[:-1])
    leaders = [_leaders(of, len(distinct)) for of in contents]
    near, cut = _near(looks, start, ends)
    found = []
    for a, b in combinations_with_replacement(range(len(looks)), 2):
        exact = _exact(contents, leaders, a, b)
        both = [(near[0], near[1])] if a == b else [(near[0], near[1]), (near[1], near[0])]
        there = [(leaders[a][g] >= 0) & (leaders[b][h] >= 0) for g, h in both]
        first = np.concatenate([g[rows] for (g, _), rows in zip(both, there, strict=True)])  # contents
        second = np.concatenate([h[rows] for (_, h), rows in zip(both, there, strict=True)])
        alike = np.stack([leaders[a][first], leaders[b][second]])  # places
        alike = np.sort(alike, axis=0) if a == b else alike
        alike = alike[:, np.lexsort(alike[::-1])]
        near_a = np.isin(contents[a], np.concatenate([first, second]) if a == b else first)
        near_b = near_a if a == b else np.isin(contents[b], second)
        same_b = np.isin(contents[b], contents[b][exact[1]])
        same_a = same_b if a == b else np.isin(contents[a], contents[b])
        every = np.concatenate([exact, alike], axis=1)
        unlike = _differ(looks[a], looks[b], exact) if domains[a].labelled and domains[b].labelled else exact[0] < 0
        conflicts = exact[:, unlike][:, :_LISTED].T.tolist()
        only_first, only_second = _unmatched(domains[a], domains[b])
        found.append(
            Pair(
                first=domains[a].name,
                second=domains[b].name,
                exact_files=(int(same_a.sum()), int(same_b.sum())),
                exact_groups=len(np.unique(contents[b][exact[1]])),
                exact=[(looks[a].file(p), looks[b].file(q)) for p, q in exact[:, :_LISTED].T.tolist()],
                near_files=(int(near_a.sum()), int(near_b.sum())),
                near_pairs=alike.shape[1],
                near=[(looks[a].file(p), looks[b].file(q)) for p, q in alike[:, :_LISTED].T.tolist()],
                shared=int((near_b | same_b).sum()),
                conflicts=len(np.unique(contents[b][exact[1][unlike]])),
                conflicting=[(*looks[a].file_and_class(p), *looks[b].file_and_class(q)) for p, q in conflicts],
                across_splits=_across_splits(looks[a], every) if a == b else 0,
                only_first=only_first,
                only_second=only_second,
            )
        )
    return found, cut


def _leaders(contents: Numbers, kinds: int) -> Numbers:
    """Of every content the first place that has it; -1 where none does."""
    first = np.full(kinds, -1, dtype=np.int64)
    shown, places = np.unique(contents, return_index=True)
    first[shown] = places
    return first


def _exact(contents: Sequence[Numbers], leaders: Sequence[Numbers], a: int, b: int) -> Numbers:
    """Places (2, n): the first image of a with a content, and each further one in b with the same."""
    second = np.arange(len(contents[b]))
    first = leaders[a][contents[b]] if len(second) else second
    rows = (first >= 0) & ((first != second) if a == b else True)
    found = np.stack([first[rows], second[rows]])
    return found[:, np.lexsort(found[::-1])]


def _near(looks: Sequence[Look], start: Numbers, ends: Numbers) -> tuple[Numbers, int]:
    """Contents (2, n) that look alike, and how many buckets were cut. `start` is an image that has the content."""
    hashes = joined([look.hashes for look in looks], np.uint64)[start]
    able = np.flatnonzero(joined([look.structured for look in looks], np.bool_)[start])
    candidates, cut = _candidates(hashes[able])
    candidates = able[candidates]
    wanted = np.zeros(int(ends[-1]), dtype=np.bool_)
    wanted[start[candidates.ravel()]] = True
    row_of = np.cumsum(wanted) - 1  # in the block of thumbnails that follows
    blocks = []
    for look, mine in zip(looks, np.split(wanted, ends[:-1]), strict=True):
        if isinstance(look.content, Index) and mine.any():
            rows = compress(look.content.table("thumbnail"), mine.tolist())
            blocks.append(np.frombuffer(b"".join(row[0] for row in rows), dtype=np.uint8).reshape(-1, 3 * THUMBNAIL**2))
    thumbnails = joined(blocks, np.uint8)
    kept = []
    for chunk in np.array_split(candidates, max(1, candidates.shape[1] // _AT_ONCE), axis=1):
        one, other = (thumbnails[row_of[start[numbers]]].astype(np.int16) for numbers in chunk)
        kept.append(chunk[:, np.abs(one - other).mean(axis=1) < _LEVELS_APART] if chunk.size else chunk)
    return np.concatenate(kept, axis=1), cut


def _candidates(hashes: NDArray[np.uint64]) -> tuple[Numbers, int]:
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


def _differ(one: Look, other: Look, pairs: Numbers) -> Flags:
    """Which pairs of places have two different classes."""
    words = sorted({*one.words, *other.words})
    numbers = [np.array([words.index(word) for word in look.words], dtype=np.int64) for look in (one, other)]
    a, b = (n[look.labels[p]] for n, look, p in zip(numbers, (one, other), pairs, strict=True))
    nameless = words.index("") if "" in words else -1
    differ: Flags = (a != b) & (a != nameless) & (b != nameless)
    return differ


def _across_splits(look: Look, pairs: Numbers) -> int:
    one, other = look.splits[pairs]
    named = np.array([word != "" for word in look.split_words] or [False])
    return int((named[one] & named[other] & (one != other)).sum()) if pairs.size else 0


def _unmatched(one: Domain, other: Domain) -> tuple[dict[str, str], dict[str, str]]:
    """Class names that only one of two has, each with the nearest name of the other."""
    if not (one.labelled and other.labelled) or one is other:
        return {}, {}
    return lacking(one.classes, other.classes), lacking(other.classes, one.classes)
