"""What the probe of the machine chooses, what it costs, and one thread against all of them.

    ./run python benchmarks/machine.py                  # with whatever else runs
    ./run python benchmarks/machine.py --busy 2         # beside as many endless loops

Each choice is taken anew `--repeats` times, threads and precision by measurement even where the processor says it.
`before` is the rule of earlier builds for bf16: the fastest of four products in either type.
Steps are those of the probe, at the batch's scale, timed in turn with one thread and with all that are allowed.
"""

import argparse
import functools
import json
import multiprocessing
import os
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from weighbridge.data.threads import cpu_count
from weighbridge.engine import machine
from weighbridge.engine.measure import in_turn

CASES = {"8 images of 16 px": (8, 3, 16, 16), "64 images of 32 px": (64, 3, 32, 32), "8 of 224 px": (8, 3, 224, 224)}


def bf16_before() -> bool:
    """The fastest of four products in each type, once after the other."""
    seconds = {}
    for dtype in (torch.float32, torch.bfloat16):
        matrix = torch.ones(512, 512, dtype=dtype)
        times = []
        for _ in range(5):
            start = time.perf_counter()
            torch.mm(matrix, matrix)
            times.append(time.perf_counter() - start)
        seconds[dtype] = min(times[1:])
    return seconds[torch.float32] / seconds[torch.bfloat16] > 1.3


def loop() -> None:
    while True:
        pass


@contextmanager
def beside(loops: int) -> Iterator[None]:
    """Endless loops in processes of their own, as nice as this one."""
    running = [multiprocessing.get_context("spawn").Process(target=loop, daemon=True) for _ in range(loops)]
    for process in running:
        process.start()
    try:
        yield
    finally:
        for process in running:
            process.kill()


def choices(choose: Callable[[], object], repeats: int) -> dict[str, object]:
    """How often each choice was taken, and what taking it costs."""
    taken: Counter[str] = Counter()
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        taken[str(choose())] += 1
        seconds.append(time.perf_counter() - start)
    return {"taken": dict(taken), "median_s": round(statistics.median(seconds), 3), "longest_s": round(max(seconds), 3)}


def one_against_all(batch: tuple[int, int, int, int], most: int, half: bool, seconds: float) -> dict[str, object]:
    """Milliseconds of the probe's step on one thread and on all, and the ratio of their sums."""
    step = machine._small_step(batch, most, half, True)

    def on(threads: int) -> None:
        torch.set_num_threads(threads)
        step()

    pairs = in_turn(lambda: on(1), lambda: on(most), enough=lambda pairs: False, seconds=seconds)
    one, every = zip(*pairs, strict=True)
    return {
        "pairs": len(pairs),
        "one_ms": round(1000 * statistics.median(one), 2),
        "all_ms": round(1000 * statistics.median(every), 2),
        "all_over_one_in_sum": round(sum(every) / sum(one), 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--busy", type=int, default=0, help="endless loops beside it")
    parser.add_argument("--repeats", type=int, default=30)
    parser.add_argument("--seconds", type=float, default=5.0, help="for each row of one thread against all")
    parser.add_argument("--out", type=Path, help="JSON file for the figures")
    options = parser.parse_args()
    os.environ.pop("OMP_NUM_THREADS", None)
    most = min(cpu_count(), machine._PYTORCHS_THREADS)
    half = machine.bf16_pays("cpu")
    found: dict[str, object] = {
        "processor": machine.probe(device="cpu", threads=1).processor,
        "busy": options.busy,
        "load": [round(load, 1) for load in os.getloadavg()],
        "bf16_by_flags": machine.bf16_by_flags(machine._processor_flags()),
    }
    with beside(options.busy):
        time.sleep(1.0 if options.busy else 0.0)
        torch.set_num_threads(most)
        found["bf16, before"] = choices(bf16_before, options.repeats)
        found["bf16, as the processor says"] = choices(lambda: machine.bf16_pays("cpu"), options.repeats)
        found["bf16, measured"] = choices(machine._bf16_is_measured_to_pay, options.repeats)
        for name, batch in CASES.items():
            choose = functools.partial(machine.probe, device="cpu", precision="bf16" if half else "fp32", batch=batch)
            found[f"threads, {name}"] = choices(lambda choose=choose: choose().threads, options.repeats // 3)
            found[f"one against {most}, {name}"] = one_against_all(batch, most, half, options.seconds)
    for name, figures in found.items():
        print(f"{name}: {figures}")
    if options.out:
        options.out.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
