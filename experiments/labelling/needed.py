"""How many labels settle which of two models is better, on finished runs whose photos have known labels.

    ./run python experiments/labelling/needed.py COMPARISON KEY.csv --against pre-classifier

COMPARISON is the folder of a comparison; each of its runs is set against the one named, seed by seed. KEY.csv has the
class of each photo (columns file and class). The labels play the person: they answer, and judge the verdict. Orders are
drawn anew; "at random" asks photos without a look at where the models differ, and has the same test.
"""

import argparse
import csv
from pathlib import Path

import numpy as np
from coverage import log_evidence

from weighbridge.labelling.sequential import settles


def read(path: Path, column: str) -> dict[str, str]:
    """Base name of each photo -> what a column says."""
    with path.open(newline="", encoding="utf-8") as lines:
        return {Path(row["file"]).name: row[column] for row in csv.DictReader(lines)}


def settled_at(kinds: np.ndarray) -> tuple[int, int]:
    """(labels until settled, 1 to keep the first model, -1 the second, 0 either), of differing photos in this order."""
    ahead = behind = 0
    for n, kind in enumerate(kinds.tolist(), start=1):
        ahead, behind, left = ahead + (kind > 0), behind + (kind < 0), len(kinds) - n
        one, other = settles(log_evidence(ahead, behind, left)), settles(log_evidence(behind, ahead, left))
        if one or other:
            return n, one - other
    return 0, 0


def main() -> None:
    """Print a row for each pair of runs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("comparison", type=Path)
    parser.add_argument("key", type=Path)
    parser.add_argument("--against", default="pre-classifier")
    parser.add_argument("--methods", nargs="*")
    parser.add_argument("--orders", type=int, default=200)
    given = parser.parse_args()
    truth, random = read(given.key, "class"), np.random.default_rng(0)
    print("| method | seed | photos | differ | points | labels: median | 90 % | at random: median | 90 % | wrong % |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|")
    for seed in sorted(given.comparison.glob("*/seed-*")):
        theirs = read(seed / given.against / "predictions.csv", "label")
        for run in sorted(path.parent for path in seed.glob("*/predictions.csv")):
            if run.name == given.against or (given.methods and run.name not in given.methods):
                continue
            ours = read(run / "predictions.csv", "label")
            photos = sorted(ours)
            differ = np.array([ours[photo] != theirs[photo] for photo in photos])
            kinds = np.array([(ours[p] == truth[p]) - int(theirs[p] == truth[p]) for p in photos])
            if not differ.any():
                continue
            labels, asked, wrong = [], [], 0
            for _ in range(given.orders):
                order = random.permutation(len(photos))
                places = np.flatnonzero(differ[order])  # where photos that differ come in this order
                n, keep = settled_at(kinds[order][places])
                labels.append(n)
                asked.append(int(places[n - 1]) + 1)
                wrong += keep * kinds.sum() < 0
            shown = [run.name, seed.name[5:], len(photos), differ.sum(), f"{100 * kinds.sum() / len(photos):+.1f}"]
            for counts in (labels, asked):
                shown += [f"{np.median(counts):.0f}", f"{np.quantile(counts, 0.9):.0f}"]
            print("|", " | ".join(map(str, [*shown, f"{100 * wrong / given.orders:.1f}"])), "|", flush=True)


if __name__ == "__main__":
    main()
