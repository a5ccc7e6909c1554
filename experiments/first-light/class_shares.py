"""Why aligning can hurt: what share of the photos each method takes for each class, against the true shares.

    ./run python experiments/first-light/class_shares.py runs/fonts-to-street

Reads the metrics.json of a comparison's runs. Distances are total variation, half the sum of absolute differences, in
[0, 1], means over seeds. True shares are those of the labelled evaluation photos: this explains results and chose
nothing.
"""

import json
import sys
from pathlib import Path

import numpy as np

from weighbridge.report.results import read_results


def main(folder: Path) -> None:
    results = read_results(folder)
    print("| method | from the true shares | from equal shares |\n| --- | ---: | ---: |")
    equal_to_true = 0.0
    for row in results["tasks"][0]["rows"]:
        distances = []
        for run in row["runs"]:
            if run["diverged_at"] is not None:
                continue
            metrics = json.loads((folder / run["folder"] / "metrics.json").read_text(encoding="utf-8"))
            shares = metrics["target"]["class_shares"]
            images = {name: facts["images"] for name, facts in metrics["evaluation"]["per_class"].items()}
            predicted = np.array([shares[name] for name in images])
            true = np.array(list(images.values())) / sum(images.values())
            equal = 1 / len(true)
            distances.append([np.abs(predicted - true).sum() / 2, np.abs(predicted - equal).sum() / 2])
            equal_to_true = np.abs(true - equal).sum() / 2
        from_true, from_equal = np.mean(distances, axis=0)
        print(f"| {row['name']} | {from_true:.3f} | {from_equal:.3f} |")
    print(f"\nThe true shares are {equal_to_true:.3f} from equal ones; {len(results['seeds'])} seeds.")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
