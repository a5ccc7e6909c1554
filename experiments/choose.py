"""Compare settings without target labels: train each on development seeds, print the label-free score of the target.

    ./run python experiments/choose.py --source A --target B --base base.toml --seeds 10 11 \
        --grid method=weighted-dann fine_tune_rate=0.003,0.01 new_layer_multiplier=1,10

The score is the mutual information of image and prediction on the unlabelled target images (Shi and Sha, ICML 2012):
high when single predictions are sure and all classes occur. A setting in which any seed diverges is out. Rule: of the
settings that stay, the highest mean score. No label of the target is ever opened here: there is no option for it.
"""

import argparse
import itertools
import json
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

from weighbridge.errors import DivergenceError
from weighbridge.runs.adapt import adapt_in
from weighbridge.runs.workplace import open_workplace
from weighbridge.settings.config import from_mapping, read_toml


def grid_of(words: list[str]) -> list[dict[str, Any]]:
    """["a=1,2", "b=x"] -> [{a: 1, b: "x"}, {a: 2, b: "x"}]."""
    axes = []
    for word in words:
        key, _, values = word.partition("=")
        axes.append([(key, _value(value)) for value in values.split(",")])
    return [dict(point) for point in itertools.product(*axes)]


def _value(word: str) -> Any:
    try:
        return json.loads(word)
    except json.JSONDecodeError:
        return word


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", type=Path, nargs="+", required=True)
    parser.add_argument("--target", type=Path, required=True)
    parser.add_argument("--base", type=Path, help="TOML file with the settings that stay")
    parser.add_argument("--seeds", type=int, nargs="+", default=[10, 11])
    parser.add_argument("--grid", nargs="+", default=[], metavar="KEY=VALUE,VALUE")
    options = parser.parse_args()

    base = read_toml(options.base) if options.base else {}
    workplace = open_workplace(options.source, options.target, from_mapping(base))
    print(f"command: {' '.join(sys.argv)}\n")
    print("| setting | seeds | mutual information, nats | source held-out % | diverged at |")
    print("| --- | ---: | ---: | ---: | --- |")
    for point in grid_of(options.grid):
        scores, held_out, diverged = [], [], []
        for seed in options.seeds:
            with tempfile.TemporaryDirectory() as place:
                try:
                    folder = adapt_in(workplace, from_mapping({**base, **point, "seed": seed}), Path(place) / "run")
                except DivergenceError as error:
                    diverged.append(f"seed {seed}, step {error.step + 1}")
                    continue
                metrics = folder.metrics()
            scores.append(metrics["target"]["mutual_information"])
            held_out.append(100 * metrics["source_held_out"]["accuracy"])
        name = ", ".join(f"{key} {value}" for key, value in point.items())
        score = f"{statistics.fmean(scores):.3f} ({', '.join(f'{s:.3f}' for s in scores)})" if scores else "-"
        source = f"{statistics.fmean(held_out):.1f}" if held_out else "-"
        print(f"| {name} | {len(options.seeds)} | {score} | {source} | {'; '.join(diverged)} |", flush=True)


if __name__ == "__main__":
    main()
