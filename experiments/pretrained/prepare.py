"""Lay out the photos of the pre-trained experiments, and what their renders are made from.

    ./run python experiments/pretrained/prepare.py FOLDER

reads caltech101/, tiny_imagenet/, bsds500/ and meshes/ below the folder that WEIGHBRIDGE_DATA names and writes below
FOLDER, for each of the tasks caltech7, caltech11, caltech12 and tin9:

    TASK/photos/              all photos without labels, to adapt on: 00000.jpg, 00001.jpg, ... in an order by chance
    TASK/development/CLASS/   half of each class with labels; settings may be chosen on it
    TASK/test/CLASS/          the other half with labels; nothing is chosen on it
    TASK/development-photos/  the photos of development/ without labels
    TASK/test-photos/         the photos of test/ without labels
    TASK/key.csv              name, class, half and origin of each photo

and for the renders:

    backgrounds/              500 photos of BSDS500
    meshes/CLASS/             37 meshes of 7 classes

A photo has the same name in each folder of its task. Halves, and what is left out of a large class, are drawn from SEED
and the class, so that no photo is for development in one task and for testing in another. Photos are the files of the
data sets, byte for byte.
"""

import argparse
import csv
import io
import os
import shutil
import sys
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

SEED = 22

OBJECTS = {  # a class as `weighbridge render objects` calls it: the folders of Caltech-101
    "chair": ("chair",),
    "lamp": ("lamp",),
    "mug": ("cup",),
    "scissors": ("scissors",),
    "umbrella": ("umbrella",),
    "vase": ("ewer",),
    "wrench": ("wrench",),
}
MESHES = {"airplane": ("airplanes",), "car": ("car_side",), "laptop": ("laptop",), "ship": ("ketch", "schooner")}
PIZZA = {"pizza": ("pizza",)}
TINY = ("bottle", "bucket", "chair", "dumbbell", "lamp", "plate", "spoon", "table", "umbrella")


@dataclass(frozen=True)
class Task:
    """Photos of some classes.

    Attributes:
        archive: below the folder of data.
        folders: the folders in the archive that make each class.
        most: photos of any class; None is all. The rest is left out by chance.
    """

    archive: str
    folders: Mapping[str, tuple[str, ...]]
    most: Mapping[str, int] | int | None = None

    def limit(self, label: str) -> int | None:
        return self.most.get(label) if isinstance(self.most, Mapping) else self.most


CALTECH = "caltech101/caltech20.zip"
AIRPLANES = {"airplane": 120}  # of 800, or they would be half of all photos
TASKS = {
    "caltech7": Task(CALTECH, OBJECTS),
    "caltech11": Task(CALTECH, {**OBJECTS, **MESHES}, AIRPLANES),
    "caltech12": Task(CALTECH, {**OBJECTS, **MESHES, **PIZZA}, AIRPLANES),
    "tin9": Task("tiny_imagenet/tin9.zip", {label: (label,) for label in TINY}, 80),
}


def lay_out(name: str, task: Task, data: Path, out: Path) -> None:
    with zipfile.ZipFile(data / task.archive) as archive:
        rows = []  # class, half, origin
        for label in sorted(task.folders):
            random = np.random.default_rng([SEED, zlib.crc32(label.encode())])
            files = sorted(n for n in archive.namelist() if n.split("/")[0] in task.folders[label] and n[-1] != "/")
            drawn = [files[i] for i in random.permutation(len(files))[: task.limit(label)]]
            half = len(drawn) // 2
            rows += [(label, "development" if i < half else "test", file) for i, file in enumerate(drawn)]
        order = np.random.default_rng([SEED, zlib.crc32(name.encode())]).permutation(len(rows))
        key = [(f"{number:05}.jpg", *rows[place]) for number, place in enumerate(order)]
        for file, label, half, origin in key:
            content = archive.read(origin)
            Image.open(io.BytesIO(content)).verify()
            for folder in ("photos", f"{half}-photos", f"{half}/{label}"):
                path = out / name / folder / file
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
    with (out / name / "key.csv").open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream, lineterminator="\n").writerows([("file", "class", "half", "origin"), *key])


def unpack(archive: Path, out: Path) -> None:
    with zipfile.ZipFile(archive) as opened:
        opened.extractall(out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    out: Path = parser.parse_args().folder
    data = os.environ.get("WEIGHBRIDGE_DATA", "")
    if not Path(data, CALTECH).is_file():
        sys.exit("set WEIGHBRIDGE_DATA to the folder with caltech101/, tiny_imagenet/, bsds500/ and meshes/")
    for name, task in TASKS.items():
        if (out / name).exists():  # photos of another layout would be left between these
            shutil.rmtree(out / name)
        lay_out(name, task, Path(data), out)
    unpack(Path(data, "bsds500", "bsds500_240.zip"), out / "backgrounds")
    unpack(Path(data, "meshes", "cc0_meshes.zip"), out / "meshes")


if __name__ == "__main__":
    main()
