"""How often the verdicts and the intervals of `weighbridge label` are wrong, for someone who looks after every label.

    ./run python experiments/labelling/coverage.py                  # 1,000 runs a setting, some minutes
    ./run python experiments/labelling/coverage.py --runs 100

The truth is known, as photos are made up. A run labels all of them in random order. It is wrong if at any label the
verdict is to keep the model that is strictly worse, or if the interval misses the truth. At most 5 % may be.
"""

import argparse
import functools
from dataclasses import dataclass

import numpy as np

from weighbridge.labelling import sequential

log_evidence = functools.cache(sequential.log_evidence)
share_bounds = functools.cache(sequential.share_bounds)
difference_bounds = functools.cache(sequential.difference_bounds)


@dataclass(frozen=True)
class Compared:
    """Two models on the photos that they tell differently: how many each alone is right on, and neither is."""

    ahead: int
    behind: int
    neither: int


COMPARED = (
    *(Compared(16, 17, 0), Compared(15, 15, 4), Compared(14, 16, 10), Compared(8, 22, 4), Compared(3, 25, 6)),
    *(Compared(49, 50, 1), Compared(40, 45, 15), Compared(20, 30, 50), Compared(5, 10, 85), Compared(10, 60, 30)),
    *(Compared(149, 150, 1), Compared(100, 120, 80), Compared(50, 150, 100), Compared(10, 20, 270)),
)
SHARES = ((100, 50), (100, 90), (100, 99), (400, 240), (400, 380))  # photos, right ones


def labels_until(kinds: np.ndarray) -> tuple[int, bool, bool]:
    """(labels until the question is settled, whether the worse model was ever kept, whether an interval missed)."""
    total, counts = len(kinds), np.stack([np.cumsum(kinds == kind) for kind in (1, -1, 0)])
    truth, settled_at, wrong, missed = int(kinds.sum()), None, False, False
    for n in range(1, total + 1):
        ahead, behind, neither = counts[:, n - 1].tolist()
        keep_ahead = sequential.settles(log_evidence(ahead, behind, total - n))
        keep_behind = sequential.settles(log_evidence(behind, ahead, total - n))
        settled_at = n if settled_at is None and (keep_ahead or keep_behind) else settled_at
        wrong |= (keep_ahead and truth < 0) or (keep_behind and truth > 0)
        if n % max(1, total // 20) == 0:  # of an interval each twentieth look will do
            low, high = difference_bounds(ahead, behind, neither, total - n)
            missed |= not low <= truth <= high
    assert settled_at is not None, "what is left decides at the end"
    return settled_at, wrong, missed


def share_missed(photos: int, right: int, random: np.random.Generator) -> bool:
    """Whether the interval of an accuracy ever misses it in one run."""
    drawn = np.cumsum(random.permutation(photos) < right)
    for n in range(1, photos + 1):
        low, high = share_bounds(int(drawn[n - 1]), n - int(drawn[n - 1]), photos - n)
        if not low <= right / photos <= high:
            return True
    return False


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    random = np.random.default_rng(given.seed)
    print("| A alone right | B alone right | neither | wrong verdicts % | missed intervals % | labels: median | 90 % |")
    print("|---:|---:|---:|---:|---:|---:|---:|")
    for made in COMPARED:
        kinds = np.repeat([1, -1, 0], [made.ahead, made.behind, made.neither])
        runs = [labels_until(random.permutation(kinds)) for _ in range(given.runs)]
        labels, wrong, missed = (np.array(column) for column in zip(*runs, strict=True))
        shown = [made.ahead, made.behind, made.neither, f"{100 * wrong.mean():.1f}", f"{100 * missed.mean():.1f}"]
        shown += [f"{np.median(labels):.0f}", f"{np.quantile(labels, 0.9):.0f}"]
        print("|", " | ".join(map(str, shown)), "|", flush=True)
    print("\n| photos | right | missed intervals % |\n|---:|---:|---:|")
    for photos, right in SHARES:
        missed = np.mean([share_missed(photos, right, random) for _ in range(given.runs)])
        print(f"| {photos} | {right} | {100 * missed:.1f} |", flush=True)


if __name__ == "__main__":
    main()
