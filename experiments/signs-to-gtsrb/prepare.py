"""Icons, backgrounds, unlabelled photos and labelled test photos for signs -> GTSRB.

    WEIGHBRIDGE_DATA=... python experiments/signs-to-gtsrb/prepare.py FOLDER

FOLDER gets icons/ (43 SVG files, and mirrored pictures of nine signs whose people, animals and vehicles face either
way), backgrounds/ (200 photos of BSDS500's training split), photos.npz (13,070 training photos of GTSRB without labels)
and test.npz (all 12,630 test photos with labels).
"""

import csv
import io
import os
import sys
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

# People, animals and vehicles on signs face left in one country and right in the next; arrows and curves do not.
FACE_EITHER_WAY = (10, 16, 23, 25, 27, 28, 29, 31, 42)


def main() -> None:
    data, out = Path(os.environ["WEIGHBRIDGE_DATA"]), Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(data / "sign_icons" / "sign_icons43.zip") as icons:
        _unpack(icons, "svg/", ".svg", out / "icons")
        rows = csv.DictReader(io.TextIOWrapper(icons.open("classes.csv"), encoding="utf-8"))
        for name in icons.namelist():
            if "png256/" in name and name.endswith(".png") and int(Path(name).name[:2]) in FACE_EITHER_WAY:
                with Image.open(io.BytesIO(icons.read(name))) as picture:
                    ImageOps.mirror(picture).save(out / "icons" / f"{Path(name).stem}@mirrored.png")
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
