"""Which of two ways is faster here: timed in turn until it is sure, or until time is up."""

__all__ = ["Pairs", "above", "in_turn", "threads_of"]

import math
import time
from collections.abc import Callable, Sequence

Pairs = Sequence[tuple[float, float]]
"""Seconds that the first way took and that the second took, in turn."""

_SURE = 100  # `above` is sure by mistake once in this many measurements at most, where the ratio is met exactly
_GAIN = 0.9  # one thread has to spare a tenth of the time, if that is not sure


def in_turn(
    first: Callable[[], object],
    second: Callable[[], object],
    *,
    enough: Callable[[Pairs], bool],
    seconds: float,
    clock: Callable[[], float] = time.perf_counter,
) -> Pairs:
    """Time two ways in turn, the order swapped from pair to pair, until there is enough or time is up.

    The first pair also pays for set-up. It counts only if there is no other.

    Args:
        enough: whether these pairs suffice.
        seconds: by the clock, after which no pair is begun.
        clock: real time, or what is spent of it in one thread.
    """
    pairs: list[tuple[float, float]] = []
    until = clock() + seconds
    while not pairs or (clock() < until and not enough(pairs[1:])):
        times = {}
        for way in (first, second) if len(pairs) % 2 == 0 else (second, first):
            start = clock()
            way()
            times[way] = clock() - start
        pairs.append((times[first], times[second]))
    return pairs[1:] or pairs


def above(pairs: Pairs, ratio: float) -> bool | None:
    """Whether the first way takes more than `ratio` times as long as the second; None if that is not sure yet.

    Each pair votes. If the median pair lay at the ratio, k of n votes were as those of a coin. A share of votes drawn
    evenly from [0, 1] explains them 2^n / ((n + 1) C(n, k)) times as well. For a coin that ever reaches 100 with
    probability 0.01 at most, however often one looks (Ville's inequality; Robbins, Ann. Math. Stat. 41, 1970).
    A vote is the same however much another process multiplied a time.
    """
    votes, n = sum(one > ratio * other for one, other in pairs), len(pairs)
    if 2**n < _SURE * (n + 1) * math.comb(n, votes):
        return None
    return votes > n / 2


def threads_of(pairs: Pairs, most: int) -> int:
    """The faster number of threads: 1 or `most`.

    If it is not sure, the sum of all times decides, as that is what training pays. One thread then has to spare a
    tenth of it.

    Args:
        pairs: on one thread and on `most`.
    """
    if (more_is_faster := above(pairs, 1.0)) is not None:
        return most if more_is_faster else 1
    one, all_of_them = (sum(times) for times in zip(*pairs, strict=True))
    return 1 if one < _GAIN * all_of_them else most
