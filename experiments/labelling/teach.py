"""What three labelled photos of each class teach, on the digits of `weighbridge demo`.

    ./run python experiments/labelling/teach.py OUT              # 3 seeds, some minutes

Printed digits are the renders, scanned handwriting the photos. A method trains without labels and with three labelled
scans of each digit, drawn by the seed. Accuracy is that on other scans, of which none was seen in training.
"""

import argparse
from pathlib import Path

import numpy as np

from weighbridge.demo import PER_CLASS, demo_config
from weighbridge.demo.digits import handwritten_digits, write_demo_data
from weighbridge.labelling.answers import Answer, write_answers
from weighbridge.runs.adapt import adapt
from weighbridge.runs.finished import Run

EACH = 3  # labelled photos of each class


def main() -> None:
    """Print accuracy without and with labels, a row for each method and seed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--methods", nargs="*", default=["source-only", "dann", "iwdan-self-training"])
    given = parser.parse_args()
    data = write_demo_data(given.out / "data", per_class=PER_CLASS, size=16, seed=0)
    files, (_, truth) = sorted(data.handwritten.iterdir()), handwritten_digits("adaptation", size=16)
    print("| method | seed | without labels % | with 3 of each class % |\n|---|---:|---:|---:|")
    for method in given.methods:
        for seed in range(given.seeds):
            drawn = np.random.default_rng(seed).permutation(len(files))
            chosen = [k for digit in range(10) for k in drawn[truth[drawn] == digit][:EACH]]
            labels = given.out / f"labels-{seed}.csv"
            write_answers(labels, [Answer(str(files[k]), str(truth[k]), asked="teach") for k in chosen])
            config, accuracies = demo_config().replace(method=method, seed=seed), []
            for name, learned in (("without", None), ("with", labels)):
                out = given.out / f"{method}-{seed}-{name}"
                sources = [data.realtime, data.prerendered]
                folder = adapt(sources, data.handwritten, config, out, target_labels=learned)
                accuracies.append(100 * Run(folder.path).evaluate(data.handwritten_labelled).accuracy)
            print(f"| {method} | {seed} | {accuracies[0]:.1f} | {accuracies[1]:.1f} |", flush=True)


if __name__ == "__main__":
    main()
