"""The rule of trust on synthetic domains, where the truth is known: where its constants come from.

    ./run python experiments/trust/simulate.py --worlds 200

Renders and photos are points around class centres. Photos are moved, turned and noisier, and their classes have other
shares. The renders-only model is logistic regression on the renders. The adapted model trains itself further on photos:
on the classes that it is sure of, for five rounds. In a third of the worlds it starts with a bias towards one class,
which makes a sink. No image and no label of a real photo is used.
"""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression

from weighbridge.trust.calibration import expected_calibration_error, probabilities_of
from weighbridge.trust.verdict import judge

_CLEAR = 0.01  # a difference in accuracy below which no verdict is wrong


@dataclass(frozen=True)
class World:
    labels: np.ndarray
    truth: np.ndarray
    photos: np.ndarray
    before: tuple[np.ndarray, np.ndarray]
    after: tuple[np.ndarray, np.ndarray]
    told: dict[str, Any]


def drawn(random: np.random.Generator) -> World:
    kinds, width, count = int(random.choice([5, 10, 25])), int(random.choice([16, 32])), int(random.choice([400, 1500]))
    centres = random.normal(size=(kinds, 3, width)) * 0.45 + 1.1 * random.normal(size=(kinds, 1, width))
    gap, noise, turn = random.uniform(0.0, 3.5), random.uniform(1.0, 1.6), random.uniform(0.0, 0.35)
    shares = random.dirichlet(np.full(kinds, random.choice([2.0, 20.0])))

    def points(labels: np.ndarray, deviation: float) -> np.ndarray:
        return centres[labels, random.integers(3, size=len(labels))] + deviation * random.normal(
            size=(len(labels), width)
        )

    train, labels = (random.integers(kinds, size=number) for number in (60 * kinds, 15 * kinds))
    truth = random.choice(kinds, size=count, p=shares)
    renders, held_out = points(train, 1.0), points(labels, 1.0)
    direction = random.normal(size=width)
    mixing = np.eye(width) + turn * random.normal(size=(width, width)) / np.sqrt(width)
    photos = points(truth, noise) @ mixing + gap * direction / np.linalg.norm(direction)
    first = LogisticRegression(C=0.5, max_iter=60, tol=1e-2).fit(renders, train)
    sink = random.random() < 1 / 3
    bias = np.zeros(kinds)
    if sink:
        bias[random.integers(kinds)] = random.uniform(1.0, 6.0)
    sure, model = random.uniform(0.4, 0.9), first
    for _ in range(5):
        probabilities = probabilities_of(logits(model, photos) + bias)
        kept = probabilities.max(axis=1) > sure
        points_now = np.concatenate([renders, photos[kept]])
        classes_now = np.concatenate([train, probabilities.argmax(axis=1)[kept]])
        weight = np.r_[np.full(len(renders), 1.0), np.full(kept.sum(), len(renders) / max(kept.sum(), 1))]
        model = LogisticRegression(C=2.0, max_iter=60, tol=1e-2).fit(points_now, classes_now, weight)
        bias *= 0.5
    told = {"kinds": kinds, "photos": count, "gap": gap, "sink": sink}
    pairs = [(logits(each, held_out), logits(each, photos)) for each in (first, model)]
    return World(labels, truth, photos, *pairs, told)


def logits(model: LogisticRegression, features: np.ndarray) -> np.ndarray:
    found = np.full((len(features), int(model.classes_.max()) + 1), -30.0)
    scores = model.decision_function(features)
    found[:, model.classes_] = scores if scores.ndim > 1 else np.stack([-scores, scores], axis=1) / 2
    return found


def row_of(seed: int) -> dict[str, Any]:
    """One world, judged."""
    world = drawn(np.random.default_rng(seed))
    kinds = world.before[0].shape[1]
    found = judge(
        classes=[str(k) for k in range(kinds)],
        labels=world.labels,
        held_out=world.after[0],
        photos=world.after[1],
        before=world.before,
        alike=(np.arange(len(world.truth)), world.photos),
    )
    before, after = (model[1].argmax(axis=1) == world.truth for model in (world.before, world.after))
    errors = {
        name: expected_calibration_error(probabilities_of(world.after[1], temperature).max(axis=1), after)
        for name, temperature in (("ece_before", 1.0), ("ece_after", found.temperature))
    }
    assert found.accuracy is not None
    assert found.renders_only_accuracy is not None
    return {
        **world.told,
        "seed": seed,
        "verdict": found.verdict,
        "before": float(before.mean()),
        "after": float(after.mean()),
        "estimate": found.accuracy.estimate,
        "low": found.accuracy.low,
        "high": found.accuracy.high,
        "estimate_before": found.renders_only_accuracy.estimate,
        "witnesses": found.accuracy.witnesses,
        "witnesses_before": found.renders_only_accuracy.witnesses,
        "favours": {piece.name: piece.favours for piece in found.evidence},
        "values": {piece.name: piece.value for piece in found.evidence},
        **errors,
    }


def outcome(row: dict[str, Any]) -> str:
    """Whether a verdict names the better model; within one point it cannot be wrong."""
    gain = row["after"] - row["before"]
    if row["verdict"] == "inconclusive":
        return "inconclusive"
    if abs(gain) <= _CLEAR:
        return "right"
    return "right" if (gain > 0) == (row["verdict"] == "adapted") else "wrong"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--worlds", type=int, default=200)
    parser.add_argument("--out", type=Path, help="JSON file for all rows")
    options = parser.parse_args()
    rows = [row_of(seed) for seed in range(options.worlds)]
    print("| worlds | number | right | wrong | inconclusive | accuracy, error | in range | ECE before | after |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    kinds = {
        "adapting helped": [row for row in rows if row["after"] - row["before"] > _CLEAR],
        "adapting harmed": [row for row in rows if row["after"] - row["before"] < -_CLEAR],
        "no difference": [row for row in rows if abs(row["after"] - row["before"]) <= _CLEAR],
        "all": rows,
    }
    for name, some in kinds.items():
        if not some:
            continue
        counts = [sum(outcome(row) == word for row in some) for word in ("right", "wrong", "inconclusive")]
        error = np.mean([abs(row["estimate"] - row["after"]) for row in some])
        inside = np.mean([row["low"] <= row["after"] <= row["high"] for row in some])
        ece = [np.mean([row[key] for row in some]) for key in ("ece_before", "ece_after")]
        cells = [name, len(some), *counts, f"{error:.3f}", f"{100 * inside:.0f} %", *(f"{value:.3f}" for value in ece)]
        print("| " + " | ".join(map(str, cells)) + " |")
    if options.out:
        options.out.write_text(json.dumps(rows, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
