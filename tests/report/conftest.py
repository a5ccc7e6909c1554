"""Folders that reports are written of: trained ones, made once, and one that was never trained."""

import json

import pytest
from PIL import Image

from conftest import small_config, stripes, write_classes
from report.made import CLASSES, run_of, write_run
from weighbridge.grids.compare import compare
from weighbridge.report.page import write_report
from weighbridge.runs.adapt import adapt
from weighbridge.runs.finished import Run
from weighbridge.settings.config import Config


@pytest.fixture(scope="session")
def folders(tmp_path_factory):
    """A comparison and a single run, made once."""
    place = tmp_path_factory.mktemp("report")
    source = write_classes(place / "renders", count=14)
    labelled = write_classes(place / "labelled", count=8, shade=120, seed=5)
    photos = place / "photos"
    photos.mkdir()
    for number, pixels in enumerate(p for kind in range(3) for p in stripes(kind, 6, shade=120, seed=9)):
        Image.fromarray(pixels).save(photos / f"{number:03}.png")
    methods = ["source-only", "dann", "adda", "weighted-dann"]
    title = "<b>fonts & photos</b>"
    config = small_config(method=Config().method, steps=40, log_every=2, fine_tune_rate=0.02)
    comparison = compare(
        [source], photos, config, place / "c", methods=methods, seeds=[0, 1], evaluation=labelled, title=title
    )
    run = adapt([source], photos, config.replace(method="weighted-dann"), place / "run")
    Run(run.path).evaluate(labelled)
    write_report(run.path)
    return comparison, run.path


@pytest.fixture
def grid(tmp_path):
    """Two sources, one target, tested on it and on a domain never seen; accuracies that can be added in the head."""
    rows = [("source-only", None, "source only", 0.5), ("dann", None, "DANN", 0.6)]
    tasks = []
    for source, more in (("realtime", 0.0), ("both", 0.1)):
        listed = []
        for method, weighting, name, accuracy in [*rows, ("weighted-dann", "paper", "weighted DANN", 0.7)]:
            folder = f"{source}-to-photos/seed-0/{method}"
            runs = [run_of(folder, s, {"photos": accuracy + more + 0.02 * s, "other": 0.3}) for s in range(3)]
            listed.append({"method": method, "weighting": weighting, "name": name, "runs": runs})
        lost = [run_of("none", s, {}, diverged=4) for s in range(3)]
        listed.append({"method": "dann", "weighting": None, "name": "wild", "variant": True, "runs": lost})
        write_run(tmp_path / f"{source}-to-photos/seed-0/weighted-dann")
        seen = [{"name": "photos", "images": 400, "seen": "target", "trained_on": False}]
        seen.append({"name": "other", "images": 50, "seen": "unseen", "trained_on": False})
        tasks.append(
            {
                "name": f"{source} to photos",
                "source_name": source,
                "source": [{"name": source, "images": 90}],
                "target_name": "photos",
                "held_out": 9,
                "target": {"name": "photos", "images": 80},
                "classes": CLASSES,
                "image_size": 16,
                "evaluations": seen,
                "rows": listed,
            }
        )
    results = {"title": "T", "command": "c", "seeds": [0, 1, 2], "machine": {}, "labels": "l", "seconds": 1.0}
    (tmp_path / "results.json").write_text(json.dumps({**results, "tasks": tasks}))
    return tmp_path
