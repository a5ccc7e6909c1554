"""Clean fonts against street photos: does a class swallow photos of all others, and does the verdict call it?

    ./run python experiments/trust/sink.py --fonts fonts.npz --photos street-labelled --out work/sink

Ten letters, 24 clean fonts of each as renders, 100 street photos of each. Fonts this clean teach little of the street.
The verdict is printed beside the truth, which it has not seen. `--setting KEY=VALUE` changes a setting of the run; not
every setting makes a sink.
"""

import argparse
import csv
import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

import weighbridge

_LETTERS = "ACDEHLNRST"


def fonts_of(path: Path, classes: str, each: int, out: Path) -> Path:
    """The first images of these classes, as another .npz."""
    with np.load(path) as stored:
        x, y, names = stored["x"], stored["y"], [str(name) for name in stored["classes"]]
    rows = np.concatenate([np.flatnonzero(y == names.index(name))[:each] for name in classes])
    labels = np.array([classes.index(names[k]) for k in y[rows]])
    np.savez(out, x=x[rows], y=labels, classes=np.array(list(classes)))
    return out


def photos_of(path: Path, classes: str, each: int, out: Path) -> dict[str, str]:
    """Some photos of these classes in one flat folder, and which is which."""
    out.mkdir(parents=True)
    truth = {}
    for name in classes:
        for photo in sorted((path / name).iterdir())[:each]:
            copy = out / f"{len(truth):04}{photo.suffix}"
            shutil.copyfile(photo, copy)
            truth[copy.name] = name
    return truth


def value_of(word: str) -> Any:
    try:
        return json.loads(word)
    except json.JSONDecodeError:
        return word


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fonts", type=Path, required=True, help=".npz with x, y and classes")
    parser.add_argument("--photos", type=Path, required=True, help="folder of class folders; their names only judge")
    parser.add_argument("--out", type=Path, required=True, help="folder to create")
    parser.add_argument("--classes", default=_LETTERS)
    parser.add_argument("--renders", type=int, default=24, help="of each class")
    parser.add_argument("--each", type=int, default=100, help="photos of each class")
    parser.add_argument("--setting", nargs="*", default=[], metavar="KEY=VALUE")
    options = parser.parse_args()
    options.out.mkdir(parents=True)
    renders = fonts_of(options.fonts, options.classes, options.renders, options.out / "renders.npz")
    truth = photos_of(options.photos, options.classes, options.each, options.out / "photos")
    settings = {key: value_of(value) for key, _, value in (word.partition("=") for word in options.setting)}
    run = weighbridge.adapt(
        source=renders, target=options.out / "photos", out=options.out / "run", progress=False, **settings
    )
    with (run.path / "predictions.csv").open(newline="") as lines:
        told = {Path(row["file"]).name: row["label"] for row in csv.DictReader(lines)}
    with (run.path / "renders-only-predictions.csv").open(newline="") as lines:
        alone = {Path(row["file"]).name: row["label"] for row in csv.DictReader(lines)}
    trust, (name, count) = run.metrics["trust"], Counter(told.values()).most_common(1)[0]
    print(f"'{name}' is {count} of {len(told)} predictions and {Counter(truth.values())[name]} of the photos")
    print(f"mean probability before calibration {run.metrics['target']['mean_confidence']:.4f}")
    for word, labels in (("adapted", told), ("renders alone", alone)):
        print(f"right: {word} {sum(labels[file] == truth[file] for file in truth)} of {len(truth)}")
    print(f"\n{trust['verdict']}: {trust['headline']}", *trust["reasons"], *trust["next"], sep="\n  ")
    print(f"  estimate: {trust['accuracy']}\n  renders alone: {trust['renders_only_accuracy']}")


if __name__ == "__main__":
    main()
