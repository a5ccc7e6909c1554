"""How far the label-free rules are from the truth, on finished comparisons with labelled photos.

    ./run python experiments/trust/oracle.py runs/objects=photos/labelled runs/letters=street-labelled --out table.json

Each argument is the folder of a finished comparison and the labelled photos to judge by. Runs are read, never written.
Labels are opened behind all rules: they judge, and choose nothing.
"""

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from weighbridge.data.vectors import Vectors
from weighbridge.engine.checkpoint import load_network
from weighbridge.engine.evaluate import evaluation_of
from weighbridge.engine.outputs import Outputs, outputs_of
from weighbridge.errors import WeighbridgeError
from weighbridge.run_folder import RunFolder
from weighbridge.runs.frozen import features_of
from weighbridge.runs.trusted import weighed
from weighbridge.runs.workplace import Workplace, featured, found_again, fresh_network, open_workplace
from weighbridge.settings import build_data
from weighbridge.settings.config import Config, read_run
from weighbridge.trust.calibration import expected_calibration_error, fit_temperature, probabilities_of
from weighbridge.trust.neighbours import gradient_histograms, nearest
from weighbridge.trust.selection import Candidate, chosen, score_of
from weighbridge.trust.verdict import HARM

_CLEAR = 0.01  # a difference in accuracy below which no verdict is wrong
_COMPARED = 2000


def folders(comparison: Path, seeds: int) -> Iterator[tuple[Path, list[Path]]]:
    """Each seed with its runs."""
    for seed in sorted(comparison.glob("*/seed-*"))[:seeds]:
        yield seed, sorted(path.parent for path in seed.glob("*/metrics.json") if path.parent.name != "pre-classifier")


def placed(run: RunFolder, config: Config) -> Workplace:
    """The images that a run was trained on."""
    facts = run.facts()
    sources = [found_again(entry) for entry in facts["paths"]["source"]]
    place = open_workplace(
        sources, found_again(facts["paths"]["target"]), config, precision=facts["machine"]["precision"]
    )
    return featured(place, config, run if config.on_features else None)


def judged_images(place: Workplace, config: Config, path: Path) -> Any:
    """Labelled photos as the networks of this workplace see images."""
    labelled = build_data.open_labelled(path, config, place.data.classes)
    if place.frozen is None:
        return labelled, labelled.images
    frozen, machine = place.frozen, place.machine
    images = features_of(
        labelled.images,
        lambda: frozen.module,
        config,
        digest=frozen.digest,
        precision=machine.precision,
        autocast=place.fabric.autocast,
        views=0,
    )
    return labelled, images


def rows_of(comparison: Path, evaluation: Path, seeds: int, only: list[str] | None) -> Iterator[dict[str, Any]]:
    place = None
    for seed, runs in folders(comparison, seeds):
        runs = [run for run in runs if not only or run.name in only]
        alone: dict[str, Outputs] = {}
        for path in [seed / "pre-classifier", *runs]:
            run = RunFolder(path)
            try:
                config = read_run(run.config)
                if place is None:
                    place = placed(RunFolder(runs[0]), read_run(RunFolder(runs[0]).config))
                    labelled, images = judged_images(place, config, evaluation)
                    neighbours = neighbours_of(place)
                network = fresh_network(place, config)
                load_network(run.model, network)
            except WeighbridgeError as error:
                print(f"{path}: left out. {str(error)[:200]}", file=sys.stderr)
                continue
            preparation, data = build_data.preparation_of(config), place.data
            told = {
                name: outputs_of(network, each, preparation)
                for name, each in (("held out", data.held_out.images), ("target", data.target.images), ("test", images))
            }
            if path.name == "pre-classifier":
                alone = told
            before = (alone["held out"], alone["target"]) if alone and not is_control(config) else None
            yield row_of(place, config, run, told, before, alone, labelled, neighbours, comparison.name)


def is_control(config: Config) -> bool:
    return config.entry.control and config.method != "adabn"


def neighbours_of(place: Workplace) -> tuple[np.ndarray, np.ndarray]:
    """Rows of some photos, and their neighbours among these."""
    images = place.data.target.images
    rows = np.unique(np.linspace(0, len(images) - 1, min(len(images), _COMPARED)).astype(int))
    fetched = images.fetch(torch_of(rows)).numpy()
    return rows, nearest(fetched if isinstance(images, Vectors) else gradient_histograms(fetched), 10)[1]


def torch_of(rows: np.ndarray) -> Any:
    import torch

    return torch.from_numpy(rows)


def row_of(
    place: Workplace,
    config: Config,
    run: RunFolder,
    told: dict[str, Outputs],
    before: tuple[Outputs, Outputs] | None,
    alone: dict[str, Outputs],
    labelled: Any,
    neighbours: tuple[np.ndarray, np.ndarray],
    task: str,
) -> dict[str, Any]:
    """What the rules say of a run, and then what is true."""
    trust = weighed(place, config, run, told["held out"], told["target"], before).trust
    temperature = fit_temperature(told["held out"].logits, place.data.held_out.labels.whole())
    compared, near = neighbours
    score = score_of(probabilities_of(told["target"].logits[compared], temperature), near)
    truth, probability = evaluation_of(told["test"].batches(), labelled), told["test"].logits
    accuracies = (trust.accuracy, trust.renders_only_accuracy)
    return {
        "task": task,
        "seed": config.seed,
        "name": run.path.name,
        "verdict": trust.verdict if before else None,
        "favours": {piece.name: piece.favours for piece in trust.evidence},
        "values": {piece.name: piece.value for piece in trust.evidence},
        "headline": trust.headline,
        "harmed": any(piece.alarm and piece.favours and piece.name in HARM for piece in trust.evidence)
        and trust.verdict != "adapted",
        "score": score,
        "estimate": accuracies[0] and accuracies[0].facts(),
        "renders_only_estimate": accuracies[1] and accuracies[1].facts(),
        "temperature": trust.temperature,
        "threshold": trust.threshold,
        "accuracy": truth.accuracy,
        "renders_only": evaluation_of(alone["test"].batches(), labelled).accuracy if alone else None,
        "ece": [
            expected_calibration_error(probabilities_of(probability, each).max(axis=1), truth.right)
            for each in (1.0, temperature, trust.temperature)
        ],
    }


def percent(share: float) -> str:
    return f"{100 * share:.1f}"


def tables(rows: list[dict[str, Any]]) -> Iterator[str]:
    """Markdown: verdict against truth, choice against oracle, estimate against accuracy, calibration."""
    tasks = list(dict.fromkeys(row["task"] for row in rows))
    yield "| task | verdicts | right | wrong | inconclusive | worst wrong, points |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: |"
    for task in [*tasks, None]:
        some = [row for row in rows if row["verdict"] and task in (row["task"], None)]
        words = [outcome(row) for row in some]
        worst = max(
            (abs(row["accuracy"] - row["renders_only"]) for row in some if outcome(row) == "wrong"), default=0.0
        )
        cells = [task or "all", len(some), *(words.count(word) for word in ("right", "wrong", "inconclusive"))]
        yield "| " + " | ".join(map(str, [*cells, percent(worst)])) + " |"
    yield "\n| task | oracle % | rule % | points lost, mean | most |\n| --- | ---: | ---: | ---: | ---: |"
    everywhere = []
    for task in tasks:
        lost, best, taken = [], [], []
        for some in by_seed(row for row in rows if row["task"] == task):
            oracle = max(row["accuracy"] for row in some)
            name = chosen([Candidate(row["name"], row["score"], row["harmed"]) for row in some]).name
            got = next(row["accuracy"] for row in some if row["name"] == name)
            lost.append(oracle - got)
            best.append(oracle)
            taken.append(got)
        everywhere += lost
        cells = map(percent, (np.mean(best), np.mean(taken), np.mean(lost), max(lost)))
        yield f"| {task} | " + " | ".join(cells) + " |"
    yield f"| all | | | {percent(np.mean(everywhere))} | {percent(max(everywhere))} |"
    yield "\n| task | estimate less accuracy, mean | mean size | in its range | ECE at 1 | renders' T | photos' T |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: | ---: |"
    for task in [*tasks, None]:
        some = [row for row in rows if row["estimate"] and task in (row["task"], None)]
        gaps = np.array([row["estimate"]["estimate"] - row["accuracy"] for row in some])
        inside = np.mean([row["estimate"]["low"] <= row["accuracy"] <= row["estimate"]["high"] for row in some])
        errors = np.mean([row["ece"] for row in some], axis=0)
        cells = [percent(gaps.mean()), percent(np.abs(gaps).mean()), f"{100 * inside:.0f} %", *map(percent, errors)]
        yield "| " + " | ".join([task or "all", *cells]) + " |"


def outcome(row: dict[str, Any]) -> str:
    """Whether a verdict names the better model; within one point it cannot be wrong."""
    gain = row["accuracy"] - row["renders_only"]
    if row["verdict"] == "inconclusive" or abs(gain) <= _CLEAR:
        return "inconclusive" if row["verdict"] == "inconclusive" else "right"
    return "right" if (gain > 0) == (row["verdict"] == "adapted") else "wrong"


def by_seed(rows: Iterator[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    grouped = defaultdict(list)
    for row in rows:
        grouped[row["seed"]].append(row)
    return list(grouped.values())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("comparisons", nargs="+", metavar="FOLDER=LABELLED")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--only", nargs="+", metavar="RUN", help="names of the runs that are judged; all if not given")
    parser.add_argument("--out", type=Path, help="JSON file for all rows")
    options = parser.parse_args()
    rows = []
    for word in options.comparisons:
        folder, _, evaluation = word.partition("=")
        for row in rows_of(Path(folder), Path(evaluation), options.seeds, options.only):
            rows.append(row)
            if options.out:
                options.out.write_text(json.dumps(rows, indent=1), encoding="utf-8")
    print("\n".join(tables(rows)))


if __name__ == "__main__":
    main()
