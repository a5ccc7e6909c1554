"""Results and run folders made by hand, with accuracies that can be added in the head."""

import json

import numpy as np
from PIL import Image

from weighbridge.report.summary import tables_of

CLASSES = ["a", "b", "c"]


def run_of(folder, seed, accuracies, diverged=None):
    return {
        "seed": seed,
        "folder": folder,
        "accuracies": accuracies,
        **dict.fromkeys(("source_accuracy", "prediction_entropy", "domain_accuracy", "seconds"), 0.5),
        "diverged_at": diverged,
    }


def write_run(path, images=20, steps=9, classes=CLASSES):
    path.mkdir(parents=True)
    data = {"source": [{"name": "renders"}]}
    facts = {
        "seed": 3,
        "method": "weighted-dann",
        "classes": classes,
        "data": data,
        "paths": {"target": {"given": "x/p"}},
    }
    (path / "run.json").write_text(json.dumps(facts))
    label = np.arange(images, dtype=np.int32) % len(classes)
    weights = 1 + 0.1 * label + np.linspace(0, 0.1, steps)[:, None] * np.ones(images)
    weights[0, images // 20 :] = np.nan  # hardly any were seen yet
    np.savez(path / "weights.npz", step=np.arange(steps), row=np.arange(images), label=label, weights=weights)
    return path


def shows_something(figure, path):
    figure.savefig(path, dpi=80)
    return np.asarray(Image.open(path).convert("L")).std() > 5


def results(images=100, **rows):
    """results.json of one task; rows: method name -> accuracies over seeds; None for a seed that diverged."""
    names = {
        "source_only": ("source-only", None, "source only"),
        "adabn": ("adabn", None, "source only, AdaBN"),
        "dann": ("dann", None, "DANN"),
        "weighted": ("weighted-dann", "paper", "weighted DANN"),
        "uniform": ("weighted-dann", "uniform", "weighted DANN, uniform"),
    }
    listed = []
    for key, accuracies in rows.items():
        method, weighting, name = names[key]
        runs = [
            {
                "seed": seed,
                "folder": f"seed-{seed}/{method}",
                "accuracies": {"e": accuracy} if images and accuracy is not None else {},
                "source_accuracy": None if accuracy is None else 0.99,
                "prediction_entropy": None if accuracy is None else 0.1,
                "domain_accuracy": None if accuracy is None or key in ("source_only", "adabn") else 0.6,
                "seconds": None if accuracy is None else 2.0,
                "diverged_at": 17 if accuracy is None else None,
            }
            for seed, accuracy in enumerate(accuracies)
        ]
        control = {"control": method in ("source-only", "adabn")}
        listed.append({"method": method, "weighting": weighting, "name": name, **control, "runs": runs})
    tested = {"name": "e", "images": images, "seen": "target", "trained_on": False}
    task = {
        "name": "slow + fa\udce9st to photos",
        "source_name": "slow + fa\udce9st",
        "target_name": "photos",
        "source": [{"name": "slow", "images": 1800}, {"name": "fa\udce9st", "images": 450}],
        "held_out": 250,
        "target": {"name": "photos", "images": 3000},
        "evaluations": [tested] if images else [],
        "classes": ["a", "b"],
        "rows": listed,
    }
    return {
        "title": "T",
        "tasks": [task],
        "seeds": list(range(len(listed[0]["runs"]))),
        "labels": "No label was read.",
        "command": "weighbridge compare --out c",
    }


def table_of(made):
    (table,) = tables_of(made)
    return table
