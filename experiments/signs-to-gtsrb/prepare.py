"""Icons, backgrounds, unlabelled photos and labelled test photos for signs -> GTSRB.

    WEIGHBRIDGE_DATA=... python experiments/signs-to-gtsrb/prepare.py FOLDER

FOLDER gets icons/ (43 SVG files), backgrounds/ (200 photos of BSDS500's training split), photos.npz (13,070 training
photos of GTSRB without labels) and test.npz (all 12,630 test photos with labels).
"""

import csv
import io
import os
import sys
import zipfile
from pathlib import Path

import numpy as np


def main() -> None:
    data, out = Path(os.environ["WEIGHBRIDGE_DATA"]), Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(data / "sign_icons" / "sign_icons43.zip") as icons:
        _unpack(icons, "svg/", ".svg", out / "icons")
        rows = csv.DictReader(io.TextIOWrapper(icons.open("classes.csv"), encoding="utf-8"))
        classes = [f"{int(row['class_id']):02}_{row['name']}" for row in rows]
    with zipfile.ZipFile(data / "bsds500" / "bsds500_240.zip") as photos:
        _unpack(photos, "train/", ".jpg", out / "backgrounds")
    with np.load(data / "gtsrb" / "gtsrb32.npz") as gtsrb:
        np.savez(out / "photos.npz", x=gtsrb["x_train"])
        np.savez(out / "test.npz", x=gtsrb["x_test"], y=gtsrb["y_test"], classes=np.array(classes))


def _unpack(archive: zipfile.ZipFile, inside: str, ending: str, folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    for name in archive.namelist():
        if inside in name and name.endswith(ending):
            (folder / Path(name).name).write_bytes(archive.read(name))


if __name__ == "__main__":
    main()
