"""Lay out the data of the first-light experiments as anybody's folders would be: renders, photos, labelled photos.

    ./run python experiments/first-light/prepare.py FOLDER

reads mnist/, usps/ and chars74k/ below the folder that WEIGHBRIDGE_DATA names and writes below FOLDER:

    fonts.npz              34,544 font renders of 34 characters (0-9 and A-Z without I and O), 28 px
    street/                half of the street photos of the same characters, without labels, to adapt to
    street-labelled/       the other half in class folders, to evaluate on
    mnist.npz, usps.npz    10,000 and 7,291 digits, as sources
    mnist-photos.npz, usps-photos.npz              unlabelled: 5,000 and 7,291
    mnist-labelled.npz, usps-labelled.npz          to evaluate on: 5,000 and 2,007

Splits are drawn by a fixed seed and never by label. The street photos split by image: the data set does not say which
characters come from one photograph.
"""

import argparse
import io
import os
import sys
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

LEFT_OUT = ("I", "O")  # the renders have none


def fonts_and_street(data: Path, out: Path) -> None:
    with np.load(data / "chars74k" / "chars74k_font28.npz", allow_pickle=False) as archive:
        x, y, names = archive["x"], archive["y"], [str(name) for name in archive["classes"]]
    if len(names) == 36:  # the ids count I and O
        kept = [k for k, name in enumerate(names) if name not in LEFT_OUT]
        y = np.searchsorted(kept, y)
        names = [names[k] for k in kept]
    np.savez_compressed(out / "fonts.npz", x=x, y=y, classes=np.array(names))
    with zipfile.ZipFile(data / "chars74k" / "chars74k_real.zip") as archive:
        files = sorted(n for n in archive.namelist() if n.endswith(".jpg") and Path(n).parent.name not in LEFT_OUT)
        adapt_to = np.zeros(len(files), dtype=bool)
        adapt_to[np.random.default_rng(0).permutation(len(files))[: len(files) // 2]] = True
        for number, (name, unlabelled) in enumerate(zip(files, adapt_to, strict=True)):
            folder = out / "street" if unlabelled else out / "street-labelled" / Path(name).parent.name
            folder.mkdir(parents=True, exist_ok=True)
            content = archive.read(name)
            Image.open(io.BytesIO(content)).verify()
            (folder / f"{number:05}.jpg").write_bytes(content)


def digits(data: Path, out: Path) -> None:
    with np.load(data / "mnist" / "mnist_t10k.npz", allow_pickle=False) as archive:
        x, y = archive["x"], archive["y"]
    half = np.random.default_rng(0).permutation(len(x))
    np.savez_compressed(out / "mnist.npz", x=x, y=y)
    np.savez_compressed(out / "mnist-photos.npz", x=x[half[: len(x) // 2]])
    np.savez_compressed(out / "mnist-labelled.npz", x=x[half[len(x) // 2 :]], y=y[half[len(x) // 2 :]])
    with np.load(data / "usps" / "usps.npz", allow_pickle=False) as archive:
        np.savez_compressed(out / "usps.npz", x=archive["x_train"], y=archive["y_train"])
        np.savez_compressed(out / "usps-photos.npz", x=archive["x_train"])
        np.savez_compressed(out / "usps-labelled.npz", x=archive["x_test"], y=archive["y_test"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    out: Path = parser.parse_args().folder
    data = os.environ.get("WEIGHBRIDGE_DATA", "")
    if not Path(data, "chars74k").is_dir():
        sys.exit("set WEIGHBRIDGE_DATA to the folder with mnist/, usps/ and chars74k/")
    out.mkdir(parents=True, exist_ok=True)
    fonts_and_street(Path(data), out)
    digits(Path(data), out)


if __name__ == "__main__":
    main()
