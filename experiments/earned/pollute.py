"""A fifth of the renders polluted: are they found, and does it pay to drop what is found?

    ./run python experiments/earned/pollute.py WORK OUT

For each kind of pollution and each seed: a fifth of 560 renders, drawn anew, is exchanged for spoilt ones; the default
method is trained; every render is valued; and the method is trained again without the lowest fifth, without a random
fifth and without exactly the spoilt ones. The seed of a training is that of the draw. Labels of photos judge and
choose nothing.

OUT/results.csv has a row per kind and seed, and a second call goes on. The tables in OUT are made of it.
"""

import argparse
import csv
import dataclasses
import shutil
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import stats
from torch import Tensor

from weighbridge.data.columns import Column
from weighbridge.data.domains import LabelledDomain
from weighbridge.engine.checkpoint import load_network
from weighbridge.engine.evaluate import evaluate
from weighbridge.influence.estimates import lowest_fifth
from weighbridge.influence.shapley import aligned, render_values
from weighbridge.parts.networks import Network
from weighbridge.runs.adapt import train_run
from weighbridge.runs.earned import valued
from weighbridge.runs.retrain import without
from weighbridge.runs.workplace import Workplace, begin_run, featured, fresh_network, open_workplace
from weighbridge.settings import build_data
from weighbridge.settings.config import Config

KINDS = ("mislabelled", "blank", "upside down", "absurd light", "nothing")
FOLDERS = {"blank": "blank", "upside down": "upside-down", "absurd light": "absurd-light"}
ESTIMATES = {
    "found": "k-NN Shapley value to photos as told",
    "found_labels": "the same with labels of 212 photos",
    "found_renders": "the same to other renders",
    "found_both": "sum of the first and third rank",
    "found_gradient": "gradient of the score, last layer",
    "found_loss": "own log probability",
}
FIGURES = ("all", "lowest", "random", "spoilt")
COLUMNS = ("kind", "seed", *ESTIMATES, *(f"score_{name}" for name in FIGURES), *FIGURES, "seconds")
CONFIG = Config(
    image_size=160,
    rotate=8.0,
    shift=0.06,
    zoom=0.12,
    grey=0.3,
    views=0,
    pre_steps=100,
    steps=100,
    held_out=0.0,
    threads=1,
)


class Task:
    """Renders of all kinds as features, photos, and labelled photos."""

    def __init__(self, work: Path) -> None:
        sources = [work / "renders" / name for name in ("clean", *FOLDERS.values())]
        place = open_workplace(sources, work / "caltech7" / "photos", CONFIG)
        none = place.data.held_out
        labelled = build_data.open_labelled(work / "caltech7" / "test", CONFIG, place.data.classes)
        place = featured(_holding(place, labelled), CONFIG)  # so that its features are computed as those of the others
        self.labelled = place.data.held_out
        self.place = _holding(place, none)
        source = place.data.source
        self.rows: dict[int, dict[str, int]] = {k: {} for k in range(len(sources))}  # source -> name -> row
        for row, (file, k) in enumerate(zip(source.files, source.source.whole().tolist(), strict=True)):
            self.rows[k][Path(file).relative_to(sources[k]).as_posix()] = row

    def polluted(self, kind: str, seed: int) -> tuple[Workplace, NDArray[np.bool_], NDArray[np.bool_]]:
        """The workplace, and of all its renders which are used and which are spoilt, (N,) each."""
        random, source = np.random.default_rng((23, seed)), self.place.data.source
        names = sorted(self.rows[0])
        chosen = random.permutation(len(names))[: len(names) // 5] if kind != "nothing" else []
        used, spoilt = np.zeros(len(source), dtype=np.bool_), np.zeros(len(source), dtype=np.bool_)
        used[list(self.rows[0].values())] = True
        labels = source.labels.whole().copy()
        for name in (names[k] for k in chosen):
            row = self.rows[0][name]
            if kind in FOLDERS:
                used[row], row = False, self.rows[1 + list(FOLDERS).index(kind)][name]
                used[row] = True
            else:
                labels[row] = (labels[row] + random.integers(1, len(source.classes))) % len(source.classes)
            spoilt[row] = True
        data = dataclasses.replace(self.place.data, source=_as_one(source, labels))
        return dataclasses.replace(self.place, data=data), used, spoilt


def _holding(place: Workplace, held_out: LabelledDomain) -> Workplace:
    return dataclasses.replace(place, data=dataclasses.replace(place.data, held_out=held_out))


def _as_one(source: LabelledDomain, labels: NDArray[np.int32]) -> LabelledDomain:
    one = Column.filled(len(source), 0, np.int16)
    return dataclasses.replace(source, labels=Column([labels], np.int32), source=one, source_names=("renders",))


def train(task: Task, place: Workplace, seed: int, out: Path) -> tuple[Network, float, float]:
    """(network, mutual information in nats, accuracy on labelled photos in percent)."""
    config, folder = CONFIG.replace(seed=seed), out / "training"
    shutil.rmtree(folder, ignore_errors=True)
    run = begin_run(place, config, folder, part=True)
    train_run(place, config, run)
    network = fresh_network(place, config)
    load_network(run.model, network)
    score = float(run.metrics()["target"]["mutual_information"])
    shutil.rmtree(folder)
    return network, score, 100 * evaluate(network, task.labelled, build_data.preparation_of(config)).accuracy


def estimates(place: Workplace, network: Network, labelled: LabelledDomain) -> dict[str, NDArray[np.float64]]:
    """Ways to value renders, (N,) each; the first is that of the command."""
    renders = valued(place, CONFIG, network, labelled)
    assert renders.by_labels is not None
    source, target = place.data.source.images, place.data.target.images
    vectors, photos = (images.fetch(torch.arange(len(images))) for images in (source, target))
    labels = torch.from_numpy(renders.labels)
    with torch.no_grad():
        hidden, of_photos = network.features(vectors), network.features(photos)
        own = network.label_head(hidden).log_softmax(dim=1)
    logits = network.label_head(of_photos).detach().requires_grad_()
    score = torch.special.entr(logits.softmax(1).mean(0)).sum() - torch.special.entr(logits.softmax(1)).sum(1).mean()
    (gradient,) = torch.autograd.grad(score, logits)  # (M, K)
    residual = torch.nn.functional.one_hot(labels, own.shape[1]) - own.exp()  # (N, K)
    along = (residual @ (gradient.T @ of_photos) * hidden).sum(1) + residual @ gradient.sum(0)
    return {
        "found": renders.values,
        "found_labels": renders.by_labels,
        "found_renders": among_renders(vectors, labels, own.shape[1]),
        "found_both": ranked(renders.values) + ranked(among_renders(vectors, labels, own.shape[1])),
        "found_gradient": along.double().numpy(),
        "found_loss": own[torch.arange(len(labels)), labels].double().numpy(),
    }


def ranked(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(stats.rankdata(values))


def among_renders(vectors: Tensor, labels: Tensor, classes: int) -> NDArray[np.float64]:
    """Values in telling other renders, (N,): of each half in telling the other one."""
    vectors, shares = aligned(vectors, vectors.mean(0)), torch.nn.functional.one_hot(labels, classes).float()
    halves = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0)).chunk(2)
    values = torch.zeros(len(labels), dtype=torch.float64)
    for ours, others in (halves, halves[::-1]):
        values[ours] = render_values(vectors[ours], labels[ours], vectors[others], shares[others])
    return values.numpy()


def measure(task: Task, kind: str, seed: int, out: Path) -> list[float]:
    """Numbers of a row of results.csv, from `found` on."""
    started = time.perf_counter()
    place, used, spoilt = task.polluted(kind, seed)
    rows = np.flatnonzero(used)
    polluted = without(place, ~used)
    network, *whole = train(task, polluted, seed, out)
    labels = polluted.data.source.labels.whole()
    fifths = [rows[lowest_fifth(values, labels)] for values in estimates(polluted, network, task.labelled).values()]
    drawn = np.random.default_rng((24, seed)).permutation(rows)[: len(fifths[0])]
    judged = [whole]
    for dropped in (fifths[0], drawn, np.flatnonzero(spoilt)):
        left_out = ~used
        left_out[dropped] = True
        judged.append(list(train(task, without(place, left_out), seed, out)[1:]) if len(dropped) else whole)
    found = [100 * float(spoilt[fifth].sum() / max(1, spoilt.sum())) for fifth in fifths]
    figures = [*(score for score, _ in judged), *(accuracy for _, accuracy in judged)]
    return [*found, *figures, time.perf_counter() - started]


def tables(out: Path) -> None:
    """table.csv and table.md from results.csv."""
    with (out / "results.csv").open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    header = ("kind", "seeds", "found %", "all %", "lowest dropped %", "random dropped %", "spoilt dropped %")
    header += ("lowest less random, points", "lowest less all, points", "lowest less all, nats")
    table = [header]
    for kind in dict.fromkeys(row["kind"] for row in rows):
        of = {name: [float(row[name]) for row in rows if row["kind"] == kind] for name in COLUMNS[2:]}
        accuracies = [of[name] for name in ("all", "lowest", "random", "spoilt")]
        found = "" if kind == "nothing" else interval(of["found"], 0, "")
        shown = [f"{statistics.fmean(values):.1f}" for values in accuracies]
        apart = [difference(of["lowest"], of[name]) for name in ("random", "all")]
        score = difference(of["score_lowest"], of["score_all"], 3)
        table.append((kind, str(len(of["all"])), found, *shown, *apart, score))
    with (out / "table.csv").open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(table)
    kinds = [kind for kind in dict.fromkeys(row["kind"] for row in rows) if kind != "nothing"]
    ways = [("share of the spoilt renders among the lowest fifth, %", *kinds)]
    for name, said in ESTIMATES.items():
        found = [[float(row[name]) for row in rows if row["kind"] == kind] for kind in kinds]
        ways.append((said, *(interval(values, 0, "") for values in found)))
    with (out / "estimates.csv").open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(ways)
    (out / "table.md").write_text(markdown(table) + "\n" + markdown(ways))


def markdown(table: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(cells) + " |\n" for cells in table]
    lines.insert(1, "|---|" + "---:|" * (len(table[0]) - 1) + "\n")
    return "".join(lines)


def difference(ours: list[float], theirs: list[float], digits: int = 1) -> str:
    return interval([a - b for a, b in zip(ours, theirs, strict=True)], digits, "+")


def interval(values: list[float], digits: int, sign: str) -> str:
    """Mean with Student's 95 % interval over seeds."""
    mean = statistics.fmean(values)
    if len(values) < 2:
        return f"{mean:{sign}.{digits}f}"
    margin = stats.t.ppf(0.975, len(values) - 1) * statistics.stdev(values) / len(values) ** 0.5
    return f"{mean:{sign}.{digits}f} [{mean - margin:{sign}.{digits}f}, {mean + margin:{sign}.{digits}f}]"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--kinds", nargs="+", default=KINDS)
    parser.add_argument("--seeds", type=int, default=5)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    results = given.out / "results.csv"
    done = set()
    if results.is_file():
        with results.open(newline="") as lines:
            done = {(row["kind"], int(row["seed"])) for row in csv.DictReader(lines)}
    else:
        results.write_text(",".join(COLUMNS) + "\n")
    task = Task(given.work)
    for seed in range(given.seeds):
        for kind in given.kinds:
            if (kind, seed) in done:
                continue
            row = measure(task, kind, seed, given.out)
            with results.open("a", newline="") as file:
                csv.writer(file, lineterminator="\n").writerow([kind, seed, *(f"{value:.4f}" for value in row)])
            print(kind, seed, *(f"{value:.3f}" for value in row), flush=True)
            tables(given.out)


if __name__ == "__main__":
    main()
