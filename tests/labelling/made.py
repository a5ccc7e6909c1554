"""Run folders with predictions, as `weighbridge label` reads them, and photos to look at."""

import json
from pathlib import Path

import numpy as np
from PIL import Image

CLASSES = ("bowl", "cup", "spoon")


def write_photos(folder: Path, count: int, *, size=(60, 40)) -> list[str]:
    """Photos of one colour each, and their names as a run given this folder calls them."""
    folder.mkdir(parents=True)
    random, names = np.random.default_rng(0), []
    for k in range(count):
        name = folder / f"{k:03}.jpg"
        Image.new("RGB", size, tuple(random.integers(0, 255, 3).tolist())).save(name)
        names.append(str(name))
    return names


def write_run(path: Path, photos: Path, told: dict[str, str], *, renders_only=None, classes=CLASSES) -> Path:
    """A finished run that says this of its photos."""
    path.mkdir(parents=True)
    noted = {"given": str(photos), "absolute": str(photos.resolve())}
    (path / "run.json").write_text(json.dumps({"classes": list(classes), "paths": {"source": [], "target": noted}}))
    (path / "metrics.json").write_text("{}")
    for name, predictions in (("predictions.csv", told), ("renders-only-predictions.csv", renders_only)):
        if predictions is not None:
            rows = [f"{file},{label},0.9\n" for file, label in predictions.items()]
            (path / name).write_text("file,label,probability\n" + "".join(rows))
    return path
