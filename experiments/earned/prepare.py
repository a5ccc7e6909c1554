"""Lay out renders that are polluted on purpose.

    ./run python experiments/earned/prepare.py WORK

reads renders/objects7, renders/meshes4 and renders/cars-on-noses below WORK, see README.md, and writes beside them:

    renders/clean/           objects7
    renders/upside-down/     each image of clean turned by 180 degrees
    renders/blank/           for each image of clean one even grey
    renders/absurd-light/    each image of clean three stops too bright
    renders/on-wheels/       objects7 and meshes4 as one folder with one metadata.csv
    renders/on-noses/        the same with cars-on-noses in the place of the cars of meshes4
    renders/half-on-noses/   the same with cars of the 8 turned meshes alone, 40 on wheels and 40 on noses

Each has the first 80 renders of each class. Images that stay as they are are links.
"""

import argparse
import csv
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Part:
    """The first renders of each class in a folder for which `wanted` holds of their row of metadata.csv."""

    folder: Path
    wanted: Callable[[Mapping[str, str]], bool] = lambda row: True
    most: int = PER_CLASS
    prefix: str = ""  # of file names

    def rows(self) -> Iterator[dict[str, str]]:
        counts: Counter[str] = Counter()
        with (self.folder / "metadata.csv").open(newline="", encoding="utf-8") as table:
            for row in csv.DictReader(table):
                if self.wanted(row) and counts[row["label"]] < self.most:
                    counts[row["label"]] += 1
                    yield row


def merged(parts: Sequence[Part], out: Path) -> None:
    """Several folders as one, with one table of all factors."""
    rows: list[dict[str, str]] = []
    for part in parts:
        for row in part.rows():
            path = out / row["label"] / f"{part.prefix}{Path(row['file']).name}"
            path.parent.mkdir(parents=True, exist_ok=True)
            os.link(part.folder / row["file"], path)
            rows.append({**row, "file": path.relative_to(out).as_posix()})
    with (out / "metadata.csv").open("w", newline="", encoding="utf-8") as table:
        writer = csv.DictWriter(table, list(dict.fromkeys(name for row in rows for name in row)), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    renders = parser.parse_args().work / "renders"
    for name in ("clean", *EDITS, "on-wheels", "on-noses", "half-on-noses"):
        shutil.rmtree(renders / name, ignore_errors=True)
    objects, meshes, noses = (renders / name for name in ("objects7", "meshes4", "cars-on-noses"))
    merged([Part(objects)], renders / "clean")
    for name, edit in EDITS.items():
        edited(renders / "clean", renders / name, edit)
    others = [Part(objects), Part(meshes, lambda row: row["label"] != "car")]
    merged([Part(objects), Part(meshes)], renders / "on-wheels")
    merged([*others, Part(noses)], renders / "on-noses")
    turned = [row["mesh"] for row in Part(meshes, lambda row: row["label"] == "car" and row["up"] == "z").rows()]
    on_wheels = Part(meshes, lambda row: row["label"] == "car" and row["mesh"] in turned, PER_CLASS // 2)
    on_noses = Part(noses, lambda row: row["mesh"] in turned, PER_CLASS // 2, "noses-")
    merged([*others, on_wheels, on_noses], renders / "half-on-noses")


if __name__ == "__main__":
    main()
