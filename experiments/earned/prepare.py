"""Lay out renders that are polluted on purpose.

    ./run python experiments/earned/prepare.py WORK

reads renders/objects7, renders/meshes4 and renders/cars-on-noses below WORK, see README.md, and writes beside them:

    renders/clean/           objects7
    renders/upside-down/     each image of clean turned by 180 degrees
    renders/blank/           for each image of clean one even grey
    renders/absurd-light/    each image of clean three stops too bright
    renders/on-wheels/       objects7 and meshes4 as one folder with one metadata.csv
    renders/on-noses/        the same with cars-on-noses in the place of the cars of meshes4

Each has the first 80 renders of each class. Images that stay as they are are links.
"""

import argparse
import csv
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

PER_CLASS = 80


def edited(source: Path, out: Path, edit: Callable[[Image.Image, np.random.Generator], Image.Image]) -> None:
    """The same folder with each image changed."""
    for number, file in enumerate(sorted(source.rglob("*.png"))):
        path = out / file.relative_to(source)
        path.parent.mkdir(parents=True, exist_ok=True)
        edit(Image.open(file).convert("RGB"), np.random.default_rng((23, number))).save(path)


def upside_down(image: Image.Image, random: np.random.Generator) -> Image.Image:
    return image.transpose(Image.Transpose.ROTATE_180)


def blank(image: Image.Image, random: np.random.Generator) -> Image.Image:
    return Image.new("RGB", image.size, (int(random.integers(256)),) * 3)


def absurd_light(image: Image.Image, random: np.random.Generator) -> Image.Image:
    linear = (np.asarray(image) / 255) ** 2.2  # about
    return Image.fromarray(np.uint8(255 * np.minimum(8 * linear, 1) ** (1 / 2.2)))


EDITS = {"upside-down": upside_down, "blank": blank, "absurd-light": absurd_light}


def merged(parts: Sequence[tuple[Path, Callable[[str], bool]]], out: Path) -> None:
    """The first renders of some classes of several folders as one folder, with one table of all factors."""
    rows: list[dict[str, str]] = []
    for folder, wanted in parts:
        with (folder / "metadata.csv").open(newline="", encoding="utf-8") as table:
            for row in csv.DictReader(table):
                if not wanted(row["label"]) or int(row["index"]) >= PER_CLASS:
                    continue
                path = out / row["file"]
                path.parent.mkdir(parents=True, exist_ok=True)
                os.link(folder / row["file"], path)
                rows.append(row)
    with (out / "metadata.csv").open("w", newline="", encoding="utf-8") as table:
        writer = csv.DictWriter(table, list(dict.fromkeys(name for row in rows for name in row)), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    renders = parser.parse_args().work / "renders"
    for name in ("clean", *EDITS, "on-wheels", "on-noses"):
        shutil.rmtree(renders / name, ignore_errors=True)
    objects, meshes, noses = (renders / name for name in ("objects7", "meshes4", "cars-on-noses"))
    merged([(objects, lambda label: True)], renders / "clean")
    for name, edit in EDITS.items():
        edited(renders / "clean", renders / name, edit)
    merged([(objects, lambda label: True), (meshes, lambda label: True)], renders / "on-wheels")
    others = (meshes, lambda label: label != "car")
    merged([(objects, lambda label: True), others, (noses, lambda label: True)], renders / "on-noses")


if __name__ == "__main__":
    main()
