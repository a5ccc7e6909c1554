"""Icons, backgrounds, unlabelled photos and labelled test photos for signs -> GTSRB.

    WEIGHBRIDGE_DATA=... python experiments/signs-to-gtsrb/prepare.py FOLDER

FOLDER gets icons/ (43 SVG files, drawings/ of four of them as Germany draws them, mirrored pictures of ten signs, and
the eight speed limits with digits of other typefaces), backgrounds/ (200 photos of BSDS500's training split),
photos.npz (13,070 training photos of GTSRB without labels) and test.npz (all 12,630 test photos with labels, and with
the tracks that tracks.py finds as groups); photos25.npz and test25.npz are those of the 25 classes with most photos, of
which classes25.txt gives the names.
"""

import csv
import io
import os
import shutil
import sys
import zipfile
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps
from tracks import tracks, training_tracks

# People, animals and vehicles on signs face left in one country and right in the next, and roundabouts turn with the
# side that is driven on; arrows and curves do not.
FACE_EITHER_WAY = (10, 16, 23, 25, 27, 28, 29, 31, 40, 42)
SPEEDS = {0: "20", 1: "30", 2: "50", 3: "60", 4: "70", 5: "80", 7: "100", 8: "120"}  # by class
TYPEFACES = 16  # drawings of each speed limit beside its icon


def main() -> None:
    data, out = Path(os.environ["WEIGHBRIDGE_DATA"]), Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(data / "sign_icons" / "sign_icons43.zip") as icons:
        _unpack(icons, "svg/", ".svg", out / "icons")
        rows = csv.DictReader(io.TextIOWrapper(icons.open("classes.csv"), encoding="utf-8"))
        classes = [f"{int(row['class_id']):02}_{row['name']}" for row in rows]
        pictures = {name: _picture(icons, f"png256/{name}.png") for name in classes}
    for drawing in sorted(Path(__file__).with_name("drawings").glob("*.svg")):
        shutil.copy(drawing, out / "icons")
    for number in FACE_EITHER_WAY:
        ImageOps.mirror(pictures[classes[number]]).save(out / "icons" / f"{classes[number]}@mirrored.png")
    _typefaces(data, classes, pictures, out / "icons")
    with zipfile.ZipFile(data / "bsds500" / "bsds500_240.zip") as photos:
        _unpack(photos, "train/", ".jpg", out / "backgrounds")
    with np.load(data / "gtsrb" / "gtsrb32.npz") as gtsrb:
        np.savez(out / "photos.npz", x=gtsrb["x_train"])
        known = training_tracks(gtsrb["y_train"], gtsrb["track_train"])
        group = tracks(gtsrb["x_test"], 30, gtsrb["x_train"], known, 10)
        np.savez(out / "test.npz", x=gtsrb["x_test"], y=gtsrb["y_test"], classes=np.array(classes), group=group)
        frequent = Path(__file__).with_name("classes25.txt").read_text().split()
        kept = [classes.index(name) for name in frequent]
        np.savez(out / "photos25.npz", x=gtsrb["x_train"][np.isin(gtsrb["y_train"], kept)])
        chosen = np.isin(gtsrb["y_test"], kept)
        y = np.searchsorted(kept, gtsrb["y_test"][chosen])
        test = {"x": gtsrb["x_test"][chosen], "y": y, "classes": np.array(frequent), "group": group[chosen]}
        np.savez(out / "test25.npz", **test)


def _unpack(archive: zipfile.ZipFile, inside: str, ending: str, folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    for name in archive.namelist():
        if inside in name and name.endswith(ending):
            (folder / Path(name).name).write_bytes(archive.read(name))


def _picture(archive: zipfile.ZipFile, ending: str) -> Image.Image:
    name = next(name for name in archive.namelist() if name.endswith(ending))
    with Image.open(io.BytesIO(archive.read(name))) as opened:
        return opened.convert("RGBA")


def _typefaces(data: Path, classes: list[str], pictures: dict[str, Image.Image], folder: Path) -> None:
    """Every speed limit with the digits of each typeface in every rim, so that neither of them tells the number."""
    rims = [_without_digits(pictures[classes[number]]) for number in SPEEDS]
    for drawing, glyphs in enumerate(_common_typefaces(data)):
        for turn, (number, digits) in enumerate(SPEEDS.items()):
            picture = rims[(drawing + turn) % len(rims)].copy()
            _write(picture, [glyphs[int(digit)] for digit in digits])
            Image.fromarray(picture).save(folder / f"{classes[number]}@{drawing:02}.png")


def _common_typefaces(data: Path) -> list[NDArray[np.uint8]]:
    """(10, 28, 28) black on white for each of TYPEFACES, evenly from the fonts that are, as on signs, upright and bold.

    Oddities are left out first: the quarter of all fonts that is furthest from their mean.
    """
    with np.load(data / "chars74k" / "chars74k_font28.npz") as fonts:
        images, labels, font = fonts["x"], fonts["y"], fonts["font"]
    order = np.lexsort((labels, font))
    digits = images[order][labels[order] < 10].reshape(-1, 10, 28, 28)  # (1016, 10, 28, 28)
    ink = 1 - digits / np.float32(255)
    odd = np.abs(ink - ink.mean(0)).mean((1, 2, 3))
    weight = ink.mean((1, 2, 3))
    shape = [cv2.moments(zero) for zero in ink[:, 0]]
    slant = np.abs([moments["mu11"] / moments["mu02"] for moments in shape])
    fit = (odd < np.quantile(odd, 0.75)) & (slant < 0.08) & (weight > np.quantile(weight, 0.4))
    return list(digits[np.flatnonzero(fit)[np.linspace(0, fit.sum() - 1, TYPEFACES).astype(int)]])


def _without_digits(picture: Image.Image) -> NDArray[np.uint8]:
    """(256, 256, 4), the icon with the disc inside its rim left white."""
    icon = np.array(picture)
    dark = np.uint8(255) * (icon[..., :3].max(2) < 100)  # the digits; rims are red
    return np.dstack(
        [cv2.inpaint(icon[..., :3], cv2.dilate(dark, np.ones((9, 9), np.uint8)), 3, cv2.INPAINT_NS), icon[..., 3]]
    )


def _write(picture: NDArray[np.uint8], glyphs: list[NDArray[np.uint8]]) -> None:
    """Put the digits side by side in the middle, 3/8 of the sign high, or as wide as fits."""
    cut = [glyph[np.ix_((glyph < 128).any(1), (glyph < 128).any(0))] for glyph in glyphs]
    height = 96
    drawn = [
        cv2.resize(
            glyph, (max(round(glyph.shape[1] * height / glyph.shape[0]), 12), height), interpolation=cv2.INTER_CUBIC
        )
        for glyph in cut
    ]
    gap = np.full((height, 12), 255, np.uint8)
    line = np.hstack([part for glyph in drawn for part in (gap, glyph)][1:])
    line = cv2.resize(line, (min(line.shape[1], 160), height), interpolation=cv2.INTER_AREA)
    line = np.clip((line.astype(np.float32) - 128) * 3 + 128, 0, 255)  # edges as sharp as those of the icons
    top, left = (256 - height) // 2, (256 - line.shape[1]) // 2
    place = picture[top : top + height, left : left + line.shape[1], :3]
    place[:] = place * (line[..., None] / 255)


if __name__ == "__main__":
    main()
