"""Images per second of the CG studio: factors, geometry, rendering, sensor and PNG file.

    ./run python benchmarks/render.py --icons ICONS [--backgrounds PHOTOS] [--seconds 4] [--out results.json]

For each family, quality and size: one process, then as many as there are cores, in turn, three rounds; the median. A
process starts to count when all have rendered their first images.
"""

import argparse
import json
import multiprocessing
import os
import platform
import statistics
import tempfile
import time
from multiprocessing.pool import Pool
from pathlib import Path
from typing import Any

import cv2

from weighbridge.render.painter import Painter
from weighbridge.render.recipe import Recipe
from weighbridge.render.studio import write_png

QUALITIES = {
    "signs": ("realtime", "prerendered"),
    "characters": ("realtime", "prerendered"),
    "objects": ("realtime", "prerendered", "camera"),
}
AIMS = {  # images a second on two cores
    ("signs", "realtime", 32): 300,
    ("signs", "realtime", 64): 300,
    ("characters", "realtime", 32): 300,
    ("characters", "realtime", 64): 300,
    ("objects", "realtime", 64): 60,
    ("signs", "prerendered", 64): 8,
    ("characters", "prerendered", 64): 8,
    ("objects", "prerendered", 64): 8,
}
_start: Any


def _receive(barrier: Any) -> None:
    global _start
    _start = barrier
    cv2.setNumThreads(1)


def _rendered(work: tuple[Recipe, str, float, int]) -> float:
    """Images a second of one process."""
    recipe, quality, seconds, number = work
    painter = Painter(recipe, quality)
    classes = painter.family.classes
    with tempfile.TemporaryDirectory() as folder:
        done = 0

        def one() -> None:
            nonlocal done
            label, index = classes[done % len(classes)], done // len(classes) + 1000 * number
            write_png(Path(folder) / label / f"{index:06}.png", painter.paint(label, index).pixels)
            done += 1

        for _ in range(3):
            one()
        _start.wait(timeout=300)
        began, done = time.perf_counter(), 0
        while time.perf_counter() < began + seconds:
            one()
        return done / (time.perf_counter() - began)


def rate(recipe: Recipe, quality: str, processes: int, seconds: float) -> float:
    """Images a second of several processes together."""
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(processes)
    with Pool(processes, _receive, (barrier,), context=context) as pool:
        work = [(recipe, quality, seconds, number) for number in range(processes)]
        return sum(pool.map(_rendered, work, chunksize=1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--icons", type=Path, required=True)
    parser.add_argument("--backgrounds", type=Path)
    parser.add_argument("--families", nargs="+", default=list(QUALITIES))
    parser.add_argument("--qualities", nargs="+", default=["realtime", "prerendered", "camera"])
    parser.add_argument("--sizes", nargs="+", type=int, default=[32, 64, 128, 224])
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "render.json")
    options = parser.parse_args()
    cores = os.cpu_count() or 1
    rows = []
    for family in options.families:
        assets = options.icons if family == "signs" else None
        for quality in [quality for quality in QUALITIES[family] if quality in options.qualities]:
            for size in options.sizes:
                recipe = Recipe(family, size=size, assets=assets, backgrounds=options.backgrounds)
                pairs = [
                    tuple(rate(recipe, quality, processes, options.seconds) for processes in (1, cores))
                    for _ in range(options.rounds)
                ]
                one, all_ = (statistics.median(column) for column in zip(*pairs, strict=True))
                gains = sorted(many / single for single, many in pairs)
                row: dict[str, Any] = {
                    "family": family,
                    "quality": quality,
                    "size": size,
                    "one_process": round(one, 1),
                    "all_cores": round(all_, 1),
                    "all_cores_per_core": round(all_ / cores, 1),
                    "gain": [round(gain, 2) for gain in (statistics.median(gains), gains[0], gains[-1])],
                }
                aim = AIMS.get((family, quality, size)) if cores == 2 else None
                if aim is not None:
                    row |= {"aim": aim, "met": all_ >= aim}
                rows.append(row)
                print(
                    f"{family:10} {quality:11} {size:4} px  one process {one:7.1f}/s  {cores} processes {all_:7.1f}/s  "
                    f"gain {row['gain']}  aim {aim or '-'}{'' if aim is None else ' met' if row['met'] else ' MISSED'}",
                    flush=True,
                )
    machine = f"{platform.processor() or platform.machine()}, {cores} cores"
    facts = {
        "machine": machine,
        "seconds": options.seconds,
        "rounds": options.rounds,
        "samples": Recipe("objects").samples,
    }
    options.out.write_text(json.dumps({**facts, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
