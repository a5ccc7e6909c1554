"""What domains have in common: the same bytes, nearly the same picture, the same classes."""

__all__ = ["pairs_of"]

from collections.abc import Sequence
from itertools import combinations_with_replacement

import numpy as np

from weighbridge.data.duplicates import alike
from weighbridge.inspection.looks import Flags, Look, Numbers
from weighbridge.inspection.names import lacking
from weighbridge.inspection.records import Domain, Pair

_LISTED = 20  # pairs of files named for each finding; all are counted


def pairs_of(domains: Sequence[Domain], looks: Sequence[Look]) -> tuple[list[Pair], int]:
    """`leaders` are the first places at which a domain has an image of each kind."""
    known = alike([look.marks for look in looks])
    kinds, near = known.kinds, known.near
    leaders = [_leaders(of, known.count) for of in kinds]
    found = []
    for a, b in combinations_with_replacement(range(len(looks)), 2):
        exact = _exact(kinds, leaders, a, b)
        both = [(near[0], near[1])] if a == b else [(near[0], near[1]), (near[1], near[0])]
        there = [(leaders[a][g] >= 0) & (leaders[b][h] >= 0) for g, h in both]
        first = np.concatenate([g[rows] for (g, _), rows in zip(both, there, strict=True)])  # kinds
        second = np.concatenate([h[rows] for (_, h), rows in zip(both, there, strict=True)])
        near_pairs = np.stack([leaders[a][first], leaders[b][second]])  # places
        near_pairs = np.sort(near_pairs, axis=0) if a == b else near_pairs
        near_pairs = near_pairs[:, np.lexsort(near_pairs[::-1])]
        near_a = np.isin(kinds[a], np.concatenate([first, second]) if a == b else first)
        near_b = near_a if a == b else np.isin(kinds[b], second)
        same_b = np.isin(kinds[b], kinds[b][exact[1]])
        same_a = same_b if a == b else np.isin(kinds[a], kinds[b])
        every = np.concatenate([exact, near_pairs], axis=1)
        unlike = _differ(looks[a], looks[b], exact) if domains[a].labelled and domains[b].labelled else exact[0] < 0
        conflicts = exact[:, unlike][:, :_LISTED].T.tolist()
        only_first, only_second = _unmatched(domains[a], domains[b])
        found.append(
            Pair(
                first=domains[a].name,
                second=domains[b].name,
                exact_files=(int(same_a.sum()), int(same_b.sum())),
                exact_groups=len(np.unique(kinds[b][exact[1]])),
                exact=[(looks[a].file(p), looks[b].file(q)) for p, q in exact[:, :_LISTED].T.tolist()],
                near_files=(int(near_a.sum()), int(near_b.sum())),
                near_pairs=near_pairs.shape[1],
                near=[(looks[a].file(p), looks[b].file(q)) for p, q in near_pairs[:, :_LISTED].T.tolist()],
                shared=int((near_b | same_b).sum()),
                conflicts=len(np.unique(kinds[b][exact[1][unlike]])),
                conflicting=[(*looks[a].file_and_class(p), *looks[b].file_and_class(q)) for p, q in conflicts],
                across_splits=_across_splits(looks[a], every) if a == b else 0,
                only_first=only_first,
                only_second=only_second,
            )
        )
    return found, known.cut


def _leaders(kinds: Numbers, count: int) -> Numbers:
    """Of every kind the first place that has it; -1 where none does."""
    first = np.full(count, -1, dtype=np.int64)
    shown, places = np.unique(kinds, return_index=True)
    first[shown] = places
    return first


def _exact(kinds: Sequence[Numbers], leaders: Sequence[Numbers], a: int, b: int) -> Numbers:
    """Places (2, n): the first image of a of a kind, and each further one in b with the same."""
    second = np.arange(len(kinds[b]))
    first = leaders[a][kinds[b]] if len(second) else second
    rows = (first >= 0) & ((first != second) if a == b else True)
    found = np.stack([first[rows], second[rows]])
    return found[:, np.lexsort(found[::-1])]


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
