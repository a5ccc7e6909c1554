"""Did adapting help? Methods on paired seeds, and a verdict in words.

    python examples/comparison_with_verdict.py SOURCE TARGET LABELLED [--seeds 5] [--steps 1000] [--methods dann ...]

SOURCE and LABELLED have one folder per class. TARGET has photos without labels, none of them in LABELLED. It trains
every method on every seed and prints the table. For each method it then says whether it was better than the best
control, which learns from no photo, by how many points (95 % interval), or that it cannot be told.
The same command goes on if stopped.
Imports: weighbridge.grids.compare, weighbridge.progress, weighbridge.settings
"""

import argparse
import csv
from pathlib import Path

from weighbridge.grids.compare import compare
from weighbridge.progress import ProgressBars
from weighbridge.settings.catalogue import CONTROLS
from weighbridge.settings.config import Config

COLUMNS = ("difference_to_best_control", "low_to_best_control", "high_to_best_control")


def verdict(row: dict[str, str]) -> str:
    """A row of table.csv against the best control, in points over seeds that share first weights and batches."""
    name, (difference, low, high) = row["name"], (row[column] for column in COLUMNS)
    if not low:  # one seed has no spread
        return f"{name}: cannot be told: fewer than two seeds finished."
    points = f"{float(difference):+.1f} points [{float(low):+.1f}, {float(high):+.1f}]"
    if float(low) > 0:
        return f"{name} helped: {points}."
    if float(high) < 0:
        return f"{name} made it worse: {points}."
    return f"{name}: cannot be told: {points}, and 0 lies inside."


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("source", "target", "labelled"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=1000, help="of the pre-classifier, and again of every method")
    parser.add_argument("--methods", nargs="+", default=["dann", "weighted-dann", "iwdan-self-training"])
    parser.add_argument("--out", type=Path, default=Path("runs/verdict"))
    words = parser.parse_args()

    config = Config(pre_steps=words.steps, steps=words.steps)  # and any other setting, such as image_size=64
    task = {"methods": [*CONTROLS, *words.methods], "seeds": range(words.seeds), "evaluation": words.labelled}
    with ProgressBars() as bars:
        compare([words.source], words.target, config, words.out, watch=bars, **task)

    print((words.out / "table.md").read_text(encoding="utf-8"))
    table = (words.out / "table.csv").read_text(encoding="utf-8")
    for row in csv.DictReader(table.splitlines()):
        if not row["control"]:
            print(verdict(row))


if __name__ == "__main__":
    main()
