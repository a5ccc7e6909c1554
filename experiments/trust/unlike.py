"""Photos of classes that the renders lack: how many "none of these" finds, and how many good photos it costs.

    ./run python experiments/trust/unlike.py --source renders --photos labelled --out work/unlike

The photos lie in one folder for each class, of which the renders lack some. All of them are the unlabelled target.
Names of folders only judge. Without such data it says so and stops.
"""

import argparse
import shutil
import sys
from pathlib import Path

import numpy as np
from sklearn.metrics import roc_auc_score

import weighbridge
from weighbridge.runs.finished import NONE_OF_THESE


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", type=Path, nargs="+", required=True)
    parser.add_argument("--photos", type=Path, nargs="+", required=True, help="folders of class folders")
    parser.add_argument("--out", type=Path, required=True, help="folder to create")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    missing = [path for path in (*options.source, *options.photos) if not path.exists()]
    if missing:
        sys.exit(f"skipped: there is no '{missing[0]}'")
    flat = options.out / "photos"
    flat.mkdir(parents=True)
    truth = {}
    for folder in options.photos:
        for photo in sorted(path for path in folder.glob("*/*") if path.is_file()):
            copy = flat / f"{len(truth):05}{photo.suffix}"
            shutil.copyfile(photo, copy)
            truth[copy.name] = photo.parent.name
    run = weighbridge.adapt(
        source=list(options.source), target=flat, out=options.out / "run", progress=False, seed=options.seed
    )
    told = {Path(each.file).name: each for each in run.predict(flat, none_of_these=True)}
    plain = {Path(each.file).name: each for each in run.predict(flat)}
    strange = np.array([truth[name] not in run.classes for name in truth])
    flagged = np.array([told[name].label == NONE_OF_THESE for name in truth])
    right = np.array([plain[name].label == truth[name] for name in truth])
    scores = np.array([told[name].unlike for name in truth])
    print(f"photos of classes with renders {(~strange).sum()}, without {strange.sum()}")
    print(f"called none of these: {100 * flagged[strange].mean():.1f} % of those without renders")
    print(f"called none of these: {100 * flagged[~strange].mean():.1f} % of the others")
    print(f"area under the curve {roc_auc_score(strange, scores):.3f}")
    doubt = 1.0 - np.array([plain[name].probability for name in truth])
    print(f"area under the curve of low probability alone {roc_auc_score(strange, doubt):.3f}")
    kept = right & ~flagged | strange & flagged
    print(f"right of all photos: {100 * right.mean():.1f} % without the option, {100 * kept.mean():.1f} % with it")
    print(f"told share {run.metrics['trust']['unlike']}")


if __name__ == "__main__":
    main()
