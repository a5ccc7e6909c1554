"""How the cost of a run grows with classes, photos and the side of images: on features, and when all layers learn.

    python benchmarks/growth.py [--seconds 10] [--out benchmarks/results/growth.json]

Images and features are made up. Measured are the parts: looks a second at each side, a step on features at each number
of classes and photos, and a step of fine-tuning at each side. Minutes of whole runs are sums of parts, with one start.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import torch

from weighbridge.data.columns import Column
from weighbridge.data.domains import LabelledDomain, UnlabelledDomain
from weighbridge.data.images import ArrayImages, View
from weighbridge.data.vectors import Vectors
from weighbridge.engine.features import computed
from weighbridge.parts.optim import Updater
from weighbridge.runs.frozen import tuned_network
from weighbridge.settings import build_data, build_machine, build_method
from weighbridge.settings.config import Config
from weighbridge.settings.tuning import tuning_of
from weighbridge.types import DomainPair, LabelledBatch, UnlabelledBatch

SIDES = (96, 128, 160, 224)
CLASSES = (7, 100, 1000)
PHOTOS = (1_000, 10_000, 100_000)
WIDTH, VIEWS = 1280, 4
STEPS, TUNE_EPOCHS = (
    800,
    3.0,
)  # of pre-classifier and adaptation together, as the proposal has them for few images; passes


def rate(call: Callable[[], object], seconds: float) -> float:
    """Calls a second."""
    call()
    started, done = time.perf_counter(), 0
    while time.perf_counter() - started < seconds:
        call()
        done += 1
    return done / (time.perf_counter() - started)


def looks_a_second(size: int, autocast: Callable[[], AbstractContextManager[None]], seconds: float) -> float:
    config = Config(image_size=size, views=VIEWS, rotate=8.0, shift=0.06, zoom=0.12)
    backbone = build_method.frozen_backbone(config, config.weights_name).to(memory_format=torch.channels_last)
    pixels = np.random.default_rng(0).integers(256, size=(64, size, size, 3), dtype=np.uint8)
    images = ArrayImages(pixels, View(size, 3))
    preparation = build_data.build_preparation(config)

    def compute() -> object:
        return computed(lambda: backbone, images, preparation, views=VIEWS, autocast=autocast, named="", home=None)

    return rate(compute, seconds) * len(images) * (1 + VIEWS)


def tuning_step(size: int, autocast: Callable[[], AbstractContextManager[None]], seconds: float) -> float:
    """Seconds of a step in which all layers learn: 64 renders, 64 photos."""
    config = Config(image_size=size, training="fine-tune")
    backbone = build_method.frozen_backbone(config, config.weights_name).to(memory_format=torch.channels_last)
    head = build_method.new_head(config.replace(training="features"), 7, WIDTH, torch.device("cpu"))
    tuning = tuning_of(config)
    method = build_method.build_method(tuning, tuned_network(backbone, head, config), 7, None)
    method.train()
    rows = torch.arange(tuning.batch_source)
    first, second, third = (
        torch.randn(tuning.batch_source, 3, size, size).contiguous(memory_format=torch.channels_last) for _ in range(3)
    )
    pair = DomainPair(
        source=LabelledBatch(first, rows % 7, rows, torch.zeros_like(rows)),
        target=UnlabelledBatch(second, rows, third if method.target_views == 2 else None),
    )
    update = Updater(lambda loss: loss.backward())

    def step() -> None:
        with autocast():
            method.step(pair, 0.5, update)

    return 1.0 / rate(step, seconds)


def vectors(count: int, folder: Path, name: str) -> Vectors:
    """Features of `count` images in a file, as the cache keeps them."""
    file = np.memmap(folder / name, dtype=np.float16, mode="w+", shape=(count, 1 + VIEWS, WIDTH))
    block = np.random.default_rng(0).standard_normal((1000, 1 + VIEWS, WIDTH)).astype(np.float16)
    for start in range(0, count, len(block)):
        file[start : start + len(block)] = block[: count - start]
    return Vectors(file[:, 0], file[:, 1:], "")


def features_step(
    classes: int, photos: int, autocast: Callable[[], AbstractContextManager[None]], seconds: float
) -> float:
    """Seconds of a step of the default method on features, its batch and all else of the loop's content."""
    config = Config(image_size=160, views=VIEWS)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        labels = np.arange(photos, dtype=np.int32) % classes
        source = LabelledDomain(
            images=vectors(photos, folder, "source"),
            labels=Column([labels], np.int32),
            classes=tuple(str(k) for k in range(classes)),
            source=Column.filled(photos, 0, np.int16),
            source_names=("renders",),
            files=[str(k) for k in range(photos)],
            fingerprint="",
            groups=Column([np.arange(photos, dtype=np.int32)], np.int32),
            splits=Column.filled(photos, 0, np.int8),
        )
        target = UnlabelledDomain(vectors(photos, folder, "target"), source.files, "")
        head = build_method.new_head(config, classes, WIDTH, torch.device("cpu"))
        method = build_method.build_method(config, head, classes, None)
        method.train()
        machine = build_machine.build_machine(config.replace(threads=torch.get_num_threads(), precision="fp32"))
        data = build_data.Data(source, source, target)
        pairs = build_data.build_pairs(config, data, method, machine, torch.device("cpu"))
        update, steps = Updater(lambda loss: loss.backward()), iter(range(10**9))

        def step() -> None:
            pair = pairs.at(next(steps))
            with autocast():
                method.step(pair, 0.5, update)

        return 1.0 / rate(step, seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    machine = build_machine.build_machine(Config(image_size=160))
    torch.set_num_threads(machine.threads)

    def autocast() -> AbstractContextManager[None]:
        return torch.autocast("cpu", torch.bfloat16, enabled=machine.precision == "bf16")

    found: dict[str, object] = {"machine": machine.facts(), "seconds": given.seconds}
    sides = {}
    for size in SIDES:
        looks = looks_a_second(size, autocast, given.seconds)
        sides[size] = {"looks_a_second": looks, "tuning_step": tuning_step(size, autocast, given.seconds)}
        print(
            f"{size} px: {looks:.0f} looks a second, fine-tuning {sides[size]['tuning_step']:.2f} s a step", flush=True
        )
    steps = {}
    for classes in CLASSES:
        for photos in PHOTOS:
            took = features_step(classes, photos, autocast, given.seconds)
            steps[f"{classes} {photos}"] = took
            print(
                f"{classes} classes, {photos:,} photos and renders: {1000 * took:.1f} ms a step on features", flush=True
            )
    found |= {"sides": sides, "steps": steps}
    print("minutes in all, as many renders as photos: features + heads, and what fine-tuning for 3 passes adds")
    for photos in PHOTOS:
        cells = []
        for size in SIDES:
            looks = 2 * photos * (1 + VIEWS) / sides[size]["looks_a_second"]
            heads = STEPS * steps[f"7 {photos}"]
            tuning = TUNE_EPOCHS * photos / 64 * sides[size]["tuning_step"]
            cells.append(f"{size} px {looks / 60:.1f} + {heads / 60:.1f}, {tuning / 60:.0f}")
        print(f"{photos:>7,}: " + "; ".join(cells))
    if given.out:
        given.out.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
