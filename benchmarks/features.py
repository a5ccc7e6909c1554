"""How fast features are computed, beside the bare forward pass of the backbone, and what training behind it costs.

    python benchmarks/features.py FOLDER [--count 512] [--size 160] [--views 4] [--out benchmarks/results/features.json]

FOLDER holds images. Nothing is kept in the cache.
"""

import argparse
import json
import time
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import torch

from weighbridge.engine.features import computed
from weighbridge.settings import build_data, build_machine, build_method
from weighbridge.settings.config import Config

_AT_ONCE = 32


def bare(backbone: torch.nn.Module, size: int, layout: torch.memory_format, autocast, seconds: float) -> float:
    """Images a second of the forward pass alone."""
    looks = torch.randn(_AT_ONCE, 3, size, size).contiguous(memory_format=layout)
    with torch.inference_mode(), autocast():
        backbone(looks)
        started, done = time.perf_counter(), 0
        while time.perf_counter() - started < seconds:
            backbone(looks)
            done += _AT_ONCE
    return done / (time.perf_counter() - started)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=512)
    parser.add_argument("--size", type=int, default=160)
    parser.add_argument("--views", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    config = Config(image_size=given.size, views=given.views, rotate=8.0, shift=0.06, zoom=0.12, cache="memory")
    machine = build_machine.build_machine(config)
    torch.set_num_threads(machine.threads)
    device = torch.device("cpu")
    backbone = build_method.frozen_backbone(config, config.weights_name).to(memory_format=machine.memory_format)
    domain = build_data.open_target(given.folder, config)
    images = domain.images
    rows = torch.arange(min(given.count, len(images)))
    images.fetch(rows[:1])  # now all are decoded

    class Some:
        digest = ""

        def __len__(self) -> int:
            return len(rows)

        def draw(self, count: int, generator: torch.Generator, *, strong: bool) -> torch.Tensor | None:
            return images.draw(count, generator, strong=strong)

        def fetch(self, index: torch.Tensor, drawn: torch.Tensor | None = None) -> torch.Tensor:
            return images.fetch(index, drawn)

    def autocast() -> AbstractContextManager[None]:
        return torch.autocast(device.type, torch.bfloat16, enabled=machine.precision == "bf16")

    found = []
    for _ in range(given.rounds):  # in turn, as the machine may be used by others
        alone = bare(backbone, given.size, machine.memory_format, autocast, 5.0)
        row = {"bare": alone}
        for views in (0, given.views):
            started = time.perf_counter()
            computed(
                lambda: backbone,
                Some(),
                build_data.build_preparation(config),
                views=views,
                autocast=autocast,
                named="",
                home=None,
            )
            row[f"views_{views}"] = len(rows) * (1 + views) / (time.perf_counter() - started)
        found.append(row)
        print({name: round(rate, 1) for name, rate in row.items()}, flush=True)
    medians = {name: float(np.median([row[name] for row in found])) for name in found[0]}
    result = {
        "images": len(rows),
        "size": given.size,
        "views": given.views,
        "machine": machine.facts(),
        "looks_per_second": medians,
        "share_of_bare": {name: medians[name] / medians["bare"] for name in medians if name != "bare"},
    }
    print(json.dumps(result, indent=2))
    if given.out:
        given.out.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
