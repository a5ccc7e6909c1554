"""A run folder with everything that a page can show, made by hand, with its images; no training."""

import csv
import json
import os

import numpy as np
from PIL import Image

HOSTILE = [
    '<script>alert("x")</script>',
    "a & b's",
    "=cmd()|' /C calc'!A0",
    "שלום עולם",
    "two\nlines",
    "‮reversed",
    "\ud7ff{{ 7 * 7 }}",
]


def picture(path, kind, number, size=24):
    path.parent.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng((kind, number))
    pixels = random.integers(0, 90, (size, size, 3)) + np.array([29 * kind % 160, 71 * kind % 160, 113 * kind % 160])
    Image.fromarray(pixels.astype(np.uint8)).save(path)
    return str(path)


def table(path, header, rows):
    with path.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file:
        csv.writer(file).writerows([header, *rows])


def trust(verdict="adapted"):
    evidence = [
        {
            "name": "sink class",
            "value": 0.52,
            "expected": [0.05, 0.2],
            "alarm": verdict != "adapted",
            "favours": None,
            "sentence": "52 % of the photos are taken for one class; 5 to 20 % are expected.",
            "source": "Lipton, Wang, Smola, 2018",
        },
        {"name": "entropy", "value": 0.1, "expected": None, "alarm": False, "favours": "adapted",
         "sentence": "The model is as sure of photos as of held-out renders.", "source": ""},
    ]  # fmt: skip
    accuracy = {"estimate": 0.81, "low": 0.74, "high": 0.88, "how": "average thresholded confidence"}
    return {
        "verdict": verdict,
        "headline": {"adapted": "Keep the adapted model", "renders-only": "Keep the renders-only model"}.get(
            verdict, "It cannot be told which model is better"
        ),
        "next": ["Label 8 photos: weighbridge label RUN"],
        "evidence": evidence,
        "accuracy": accuracy,
        "renders_only_accuracy": {**accuracy, "estimate": 0.7, "low": 0.6, "high": 0.8},
        "temperature": 1.4,
        "threshold": 0.6,
        "unlike": {"share": 0.04, "threshold": 0.9},
    }


def make_run(place, classes=6, photos=90, labelled=True, names=None, verdict="adapted"):
    """A folder `run` with images beside it. Photo k is truly of class k % classes; each seventh is told wrong."""
    names = names or [f"class {k:02}" for k in range(classes)]
    run, random = place / "run", np.random.default_rng(3)
    run.mkdir(parents=True)
    files = [picture(place / "photos" / f"{k:04}.png", k % len(names), k) for k in range(photos)]
    renders = [
        picture(place / "renders" / f"{k % len(names)}" / f"{k:04}.png", k % len(names), k + 5000) for k in range(60)
    ]
    true = [k % len(names) for k in range(photos)]
    told = [(k + 1 + k // 7 % 3) % len(names) if k % 7 == 0 else k % len(names) for k in range(photos)]
    before = [(t + 1) % len(names) if k % 5 == 0 else t for k, t in enumerate(told)]
    sure = [0.3 + 0.7 * float(random.random()) for _ in range(photos)]
    odd = [0.95 if k % 23 == 0 else 0.1 for k in range(photos)]
    rows = [(f, names[t], f"{p:.4f}", f"{u:.4f}") for f, t, p, u in zip(files, told, sure, odd, strict=True)]
    table(run / "predictions.csv", ("file", "label", "probability", "unlike"), rows)
    rows = [(f, names[t], "0.5000") for f, t in zip(files, before, strict=True)]
    table(run / "renders-only-predictions.csv", ("file", "label", "probability"), rows)
    counts = np.zeros((len(names), len(names)), dtype=int)
    evaluation = None
    if labelled:
        np.add.at(counts, (true, told), 1)
        rows = [
            (f, names[t], names[y], f"{p:.4f}", int(t == y)) for f, t, y, p in zip(files, told, true, sure, strict=True)
        ]
        table(run / "evaluation.csv", ("file", "label", "true label", "probability", "right"), rows)
        per_class = {
            name: {
                "images": int(counts[k].sum()),
                "accuracy": counts[k, k] / counts[k].sum() if counts[k].sum() else None,
            }
            for k, name in enumerate(names)
        }
        evaluation = {"data": "labelled", "images": photos, "accuracy": float(np.trace(counts)) / photos}
        evaluation |= {"class_mean": 0.8, "per_class": per_class, "confusion": counts.tolist()}
        evaluation |= {"interval": [0.7, 0.9], "grouped_by": "nothing", "groups": photos}
    shares = dict(zip(names, (np.bincount(told, minlength=len(names)) / photos).tolist(), strict=True))
    metrics = {
        "seconds": 12.5,
        "source_held_out": {"images": 40, "accuracy": 0.95},
        "target": {"images": photos, "mean_confidence": 0.7, "class_shares": shares},
        "evaluation": evaluation,
        **({"trust": trust(verdict)} if verdict else {}),
    }
    weights = [(f, names[k % len(names)], "renders", f"{2 - k / 40:.6f}", "1.0") for k, f in enumerate(renders)]
    table(run / "weights.csv", ("file", "label", "source", "mean_weight", "last_weight"), weights)
    rows = [
        (f"{k % len(names)}/{k:04}.png", k, k % len(names), 0.1 * k, "plain" if k < 20 else "photo") for k in range(60)
    ]
    table(place / "renders" / "metadata.csv", ("file", "index", "seed", "elevation", "background"), rows)
    effect = {"estimate": 1.2, "low": -0.3, "high": 2.7}
    factor = {"factor": "elevation", "range": "0 to 2", "images": 20, "share_lowest_fifth": 0.5, "effect": effect}
    write(
        run / "influence.json",
        {"by_class": [], "by_source": [], "by_factor": [factor], "next": ["Render more from below."]},
    )
    chosen = np.arange(60) % photos
    np.savez(
        run / "embedding.npz",
        xy=random.normal(size=(120, 2)).astype(np.float32),
        domain=np.repeat([0, 1], 60).astype(np.int8),
        label=np.array([k % len(names) for k in range(60)] + [told[k] for k in chosen], dtype=np.int32),
        name=np.array(renders + [files[k] for k in chosen]),
        how=np.array("t-SNE"),
    )
    log = [{"stage": "adapt", "step": k, "label_loss": 1 / k, "domain_accuracy": 0.5 + 0.4 / k} for k in range(1, 30)]
    (run / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in log))
    (run / "config.toml").write_text('backbone = "small"\nsteps = 29\n')
    table(
        run / "quarantine.csv",
        ("file", "domain", "status", "reason"),
        [("a/b.txt", "source", "ignored", "not an image")] * 3,
    )
    write(run / "run.json", facts(place, names, photos))
    write(run / "metrics.json", metrics)
    return run


def facts(place, names, photos):
    paths = {
        kind: {"given": str(place / kind), "absolute": str((place / kind).resolve())} for kind in ("renders", "photos")
    }
    return {
        "weighbridge": "0.1.0",
        "command": "weighbridge adapt --source renders --target 'photos <b>'",
        "method": "weighted-dann",
        "weighting": "paper",
        "seed": 0,
        "steps": 29,
        "classes": list(names),
        "paths": {"source": [paths["renders"]], "target": paths["photos"]},
        "data": {
            "source": [{"name": "renders", "images": 60}],
            "held_out": 40,
            "target": {"images": photos},
            "fingerprint": "0077535deb969c34",
        },
        "parameters": 12345,
        "machine": {"python_version": "3.11.7", "torch_version": "2.14.1", "device": "cpu"},
    }


def write(path, values):
    text = json.dumps(values, ensure_ascii=False)
    path.write_bytes(text.encode("utf-8", "backslashreplace"))


def unfinished(run):
    """As `make_run` leaves it, before the end."""
    for name in ("metrics.json", "predictions.csv", "renders-only-predictions.csv", "evaluation.csv", "embedding.npz"):
        (run / name).unlink(missing_ok=True)
    with (run / "log.jsonl").open("a") as log:
        log.write('{"stage": "adapt", "st')  # it is being written
    os.utime(run)
    return run
