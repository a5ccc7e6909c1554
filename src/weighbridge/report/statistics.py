"""Means, intervals and paired differences. Plain functions of numbers."""

__all__ = [
    "Interval",
    "disagreement",
    "mean_and_deviation",
    "mean_interval",
    "paired_by_seed",
    "paired_difference",
    "sampling_error",
    "seeds_in_words",
    "signed",
]

import itertools
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats


@dataclass(frozen=True)
class Interval:
    """A mean over n seeds and the interval it lies in; None for the edges where one seed tells nothing of spread."""

    mean: float
    low: float | None
    high: float | None
    n: int


def paired_difference(a: Sequence[float], b: Sequence[float], confidence: float = 0.95) -> Interval:
    """Mean of a - b over pairs, with Student's t interval.

    Args:
        a, b: values of the same seeds in the same order, at least one.
    """
    differences = [x - y for x, y in zip(a, b, strict=True)]
    n, mean = len(differences), statistics.fmean(differences)
    if n < 2:
        return Interval(mean, None, None, n)
    margin = float(stats.t.ppf(0.5 + confidence / 2, n - 1)) * statistics.stdev(differences) / math.sqrt(n)
    return Interval(mean, mean - margin, mean + margin, n)


def paired_by_seed(ours: Mapping[int, float], theirs: Mapping[int, float]) -> Interval | None:
    """`paired_difference` of values by seed, over the seeds that both have; None if they share none."""
    shared = [seed for seed in ours if seed in theirs]
    return paired_difference([ours[s] for s in shared], [theirs[s] for s in shared]) if shared else None


def mean_interval(values: Sequence[float], confidence: float = 0.95) -> Interval:
    """Mean of values, at least one, with Student's t interval."""
    return paired_difference(values, [0.0] * len(values), confidence)


def disagreement(predicted: Sequence[NDArray[np.int32]]) -> float | None:
    """Share of the images that two runs take for different classes, mean over all pairs of runs, in [0, 1].

    It needs no label. Of two runs that differ at least one errs, so the mean error of the runs is at least half of it.
    It is that error where the runs together are calibrated (Jiang, Nagarajan, Baek, Kolter, "Assessing Generalization
    of SGD via Disagreement", ICLR 2022), which is least to be relied on for images unlike those of training (Kirsch
    and Gal, "A Note on" that paper, TMLR 2022).

    Args:
        predicted: of each run (N,), the classes of the same images in the same order.

    Returns:
        None where there is but one run, or none.
    """
    shares = [float(np.mean(ours != theirs)) for ours, theirs in itertools.combinations(predicted, 2)]
    return statistics.fmean(shares) if shares else None


def sampling_error(accuracy: float, images: int) -> float:
    """Standard error of an accuracy in percent from the number of evaluation images alone, in points."""
    share = accuracy / 100
    return 100 * math.sqrt(share * (1 - share) / images)


def seeds_in_words(count: int) -> str:
    return "one seed" if count == 1 else f"{count} seeds"


def mean_and_deviation(mean: float | None, sd: float | None) -> str:
    """Such as "71.2 ± 0.8"; "-" where there is no mean."""
    return "-" if mean is None else f"{mean:.1f}" + (f" ± {sd:.1f}" if sd is not None else "")


def signed(interval: Interval) -> str:
    """A difference as tables write it, with its interval where there is one."""
    if interval.low is None or interval.high is None:
        return f"{interval.mean:+.1f}"
    return f"{interval.mean:+.1f} [{interval.low:+.1f}, {interval.high:+.1f}]"
