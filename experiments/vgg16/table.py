"""VGG-16 as the paper has it, four methods, one table, within a budget of minutes; on a CPU at reduced size.

    ./run python experiments/vgg16/table.py --out vgg16                    renders its own images
    ./run python experiments/vgg16/table.py --out vgg16 --source renders --target photos.npz --evaluation test.npz

It measures how fast this machine renders, trains and writes, and plans from that: the largest images of which there are
enough and at which there is time to learn, and then as many seeds as fit. The plan, and all in which it falls short of
the paper, is printed and stands above the table. The same command goes on where a stopped one was, with a new budget.

    OUT/plan.json            what was measured and chosen, and what it falls short of
    OUT/data/                renders: realtime (source), prerendered (target) and a test set of each quality
    OUT/start.safetensors    the random numbers that VGG-16 starts from, without --weights
    OUT/grid.toml            the grid that `weighbridge compare --grid` would take as well
    OUT/grid/                what that makes: run folders, table.md, table.csv, results.json, report.html
    OUT/table.md             the plan and the table
"""

import argparse
import dataclasses
import json
import math
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from weighbridge.errors import ConfigError, WeighbridgeError
from weighbridge.files import replace_text, write_json
from weighbridge.progress import ProgressBars

# The renderers' processes import this file: PyTorch, 450 MiB in each of them, is imported where it is used.
from weighbridge.settings.config import write_toml

METHODS = ("source-only", "dann", "adda", "weighted-dann")
GPU_SIZES, CPU_SIZES = (224, 160, 128, 96, 64), (64, 32)  # VGG-16 halves five times: 32 px is the least
FEW_CLASSES = ("bottle", "ladder", "plate", "scissors", "table")  # where 25 are too many to learn
TESTS = ("realtime", "prerendered", "camera")  # the domains of figure 4; camera, never trained on, stands for photos


@dataclass(frozen=True)
class Images:
    """Images of each domain, all classes together."""

    source: int
    target: int
    evaluation: int  # of all evaluations together


@dataclass(frozen=True)
class Speeds:
    """What was measured on this machine, by side of the images in pixels.

    Attributes:
        gpu: whether training happens on one.
        realtime, traced: images a second, all cores together; empty where nothing is rendered.
        step: seconds of a step of DANN.
        save: seconds to write a network.
        free: bytes of disk.
    """

    gpu: bool
    realtime: Mapping[int, float]
    traced: Mapping[int, float]
    step: Mapping[int, float]
    save: float
    free: float


@dataclass(frozen=True)
class Wishes:
    """What was asked for on the command line; None is left to the plan.

    Attributes:
        given: images of folders that are there, of which nothing is rendered.
        count: source images of each class.
    """

    minutes: float = 10.0
    weights: str = "none"
    size: int | None = None
    seeds: int | None = None
    steps: int | None = None
    count: int | None = None
    given: Images | None = None


@dataclass(frozen=True)
class Plan:
    """What will be done.

    Attributes:
        source, target, evaluation: images to render, of each class; 0 where nothing is rendered.
        few: whether to take a few classes instead of all 25.
        batch: B, and B'.
        seeds: that are expected to fit. After the first seed its true time decides.
        rendering, a_seed: seconds that are expected.
        enough: whether images, steps and seeds reach what a comparison needs.
    """

    size: int
    source: int
    target: int
    evaluation: int
    few: bool
    batch: int
    pre_steps: int
    steps: int
    seeds: int
    rendering: float
    a_seed: float
    enough: bool


# ---- the plan: numbers in, numbers out -------------------------------------------------------------------------------

CLASSES = 25
PAPER = {"source": 1000, "target": 500, "evaluation": 100}  # images of each class
LEAST_IMAGES = {"source": 200, "target": 50, "evaluation": 10}  # of each class, for a size to be taken
LEAST_STEPS = {"none": 600, "file": 300}  # of adaptation; random numbers need longer, and twice that ahead of it
MOST_STEPS = 4  # times the least
GOOD_SEEDS, MOST_SEEDS = 3, 5
RENDERING = 0.35  # share of the budget, at most
RENDERING_LATEST = 0.5  # share of what is left then, after which it is stopped
FOR_SOURCE = 0.3  # share of that, at most; path-traced images get the rest
TRAINING = 0.8  # share of what is left after rendering that is planned for; the rest is for what was not thought of
SEED_BYTES = 11e9  # checkpoints and networks of the five runs of a seed
# Seconds of a step in steps of DANN: half the images, or no second network to train. Kept on the safe side.
COST = {"source-only": 0.6, "dann": 1.0, "adda": 0.9, "weighted-dann": 1.1}


def make_plan(speeds: Speeds, wishes: Wishes) -> Plan:
    """The largest images with which a comparison is worth its name; where there are none, the smallest.

    Args:
        speeds: of this machine.
        wishes: with `minutes` that are left.

    Raises:
        ConfigError: if nothing was measured, or the disk is too full for one seed.
    """
    if speeds.free < SEED_BYTES:
        raise ConfigError(
            f"the runs of one seed need {SEED_BYTES / 1e9:.0f} GB of disk, and {speeds.free / 1e9:.1f} GB are free; "
            f"make room or take another --out"
        )
    sizes = sorted((size for size in speeds.step if wishes.size in (None, size)), reverse=True)
    if not sizes:
        measured = ", ".join(map(str, sorted(speeds.step))) or "none"
        raise ConfigError(f"no step of training was measured at {wishes.size or 'any'} px, but at: {measured}")
    plans = [plan_at(size, speeds, wishes) for size in sizes]
    return next((plan for plan in plans if plan.enough), plans[-1])


def plan_at(size: int, speeds: Speeds, wishes: Wishes) -> Plan:
    """What fits into the budget with images of this size."""
    few = not speeds.gpu and wishes.given is None
    classes = len(FEW_CLASSES) if few else CLASSES
    counts, rendering = dict.fromkeys(PAPER, 0), 0.0
    if wishes.given is None:
        counts = images_that_fit(size, speeds, RENDERING * 60 * wishes.minutes / classes)
        if wishes.count is not None:
            counts = {name: max(2, wishes.count * most // PAPER["source"]) for name, most in PAPER.items()}
        rendering = classes * seconds_to_render(size, speeds, counts)
    tests = len(TESTS) * counts["evaluation"]
    images = wishes.given or Images(classes * counts["source"], classes * counts["target"], classes * tests)
    batch = 32 if speeds.gpu else 16
    least = LEAST_STEPS["none" if wishes.weights == "none" else "file"]
    ahead = 2 if wishes.weights == "none" else 1  # steps of the pre-classifier to one of adaptation
    left = TRAINING * (60 * wishes.minutes - rendering)

    def that_fit(seeds: int) -> int:
        fixed, each = seconds_around(size, speeds, images, batch), seconds_of_steps(size, speeds, ahead, 1)
        return max(1, min(MOST_STEPS * least, int((left / seeds - fixed) / each)))

    if wishes.seeds is not None:
        seeds = wishes.seeds
    else:
        possible = range(min(MOST_SEEDS, int(speeds.free // SEED_BYTES)), 0, -1)
        seeds = next((seeds for seeds in possible if that_fit(seeds) >= least), 1)
    steps = wishes.steps or that_fit(seeds)
    shown = wishes.given is not None or all(counts[name] >= LEAST_IMAGES[name] for name in PAPER)
    return Plan(
        size=size,
        **counts,
        few=few,
        batch=batch,
        pre_steps=ahead * steps,
        steps=steps,
        seeds=seeds,
        rendering=rendering,
        a_seed=seconds_around(size, speeds, images, batch) + seconds_of_steps(size, speeds, ahead * steps, steps),
        enough=shown and steps >= least and seeds >= (wishes.seeds or GOOD_SEEDS),
    )


def images_that_fit(size: int, speeds: Speeds, seconds: float) -> dict[str, int]:
    """Images of one class, at most the paper's: of all that is path-traced the same share is left out."""
    source = min(PAPER["source"], int(FOR_SOURCE * seconds * speeds.realtime[size]))
    traced = PAPER["target"] + 2 * PAPER["evaluation"]
    share = min(1.0, (1 - FOR_SOURCE) * seconds * speeds.traced[size] / traced)
    return {"source": max(8, source)} | {name: max(4, int(share * PAPER[name])) for name in ("target", "evaluation")}


def seconds_to_render(size: int, speeds: Speeds, counts: Mapping[str, int]) -> float:
    """Of one class: the source and one test in real-time quality, the target and two tests path-traced."""
    realtime, traced = counts["source"] + counts["evaluation"], counts["target"] + 2 * counts["evaluation"]
    return realtime / speeds.realtime[size] + traced / speeds.traced[size]


def seconds_of_steps(size: int, speeds: Speeds, pre_steps: int, steps: int) -> float:
    """All steps of one seed: the pre-classifier, two methods from the start, two that start from it."""
    of_dann = COST["source-only"] * pre_steps + (COST["source-only"] + COST["dann"]) * (pre_steps + steps)
    return speeds.step[size] * (of_dann + (COST["adda"] + COST["weighted-dann"]) * steps)


def seconds_around(size: int, speeds: Speeds, images: Images, batch: int) -> float:
    """What one seed takes beside its steps: predictions of five runs, P_a, tests, and files.

    The four methods are tested twice, as the table of the first seed is written before others are begun.
    """
    forward = speeds.step[size] / (2 * batch) / 2  # seconds an image; a step goes back as well, which takes twice that
    looks = 5 * (images.target + images.source / 10) + images.source + 2 * len(METHODS) * images.evaluation
    return forward * looks + 5 * 4 * speeds.save  # network and checkpoint, two to three times as large, and reading


def seeds_in_all(plan: Plan, wishes: Wishes, first: float, left: float, free: float) -> int:
    """How many seeds, the first included, fit when that one took `first` of the seconds and `left` are left."""
    if wishes.seeds is not None:
        return wishes.seeds
    more = min(int(left / (1.15 * first)), int(free // SEED_BYTES))
    return min(MOST_SEEDS, 1 + max(0, more))


def shortfalls(plan: Plan, wishes: Wishes, *, gpu: bool) -> list[str]:
    """Everything in which the plan falls short of the paper, in words."""
    found = [] if gpu else ["a CPU instead of a GPU"]
    if plan.size < GPU_SIZES[0]:
        found.append(f"images of {plan.size} px instead of {GPU_SIZES[0]}")
    if plan.few:
        found.append(f"{len(FEW_CLASSES)} classes instead of {CLASSES}")
    if wishes.given is None:
        counts = {"source": plan.source, "target": plan.target, "evaluation": plan.evaluation}
        found += [
            f"{count} {name} images of each class instead of {PAPER[name]}"
            for name, count in counts.items()
            if count < PAPER[name]
        ]
    if not plan.enough:
        found.append("too few images, steps or seeds to rank methods: read it as a sign that all of them ran")
    return found


# ---- measuring -------------------------------------------------------------------------------------------------------


def measure(wishes: Wishes, out: Path, classes: int) -> Speeds:
    """Train some steps, write a network and render some images, each as the work itself will do it."""
    import torch

    gpu, step, save = torch.cuda.is_available(), {}, 0.0
    sizes = [wishes.size] if wishes.size else sorted(GPU_SIZES if gpu else CPU_SIZES)
    for size in sizes:
        try:
            step[size], save = seconds_of_a_step(size, 32 if gpu else 16, classes, wishes.weights, out)
        except torch.OutOfMemoryError:
            print(f"images of {size} px and more do not fit into the memory of the GPU")
            break
        if step[size] > 1.0:
            break  # larger ones would cost minutes to measure, and are not for this machine
    rendered = [] if wishes.given else list(step)
    realtime, traced = (rendering_speeds(quality, rendered) for quality in ("realtime", "prerendered"))
    return Speeds(gpu, realtime, traced, step, save, float(shutil.disk_usage(out).free))


def seconds_of_a_step(size: int, batch: int, classes: int, weights: str, out: Path) -> tuple[float, float]:
    """Seconds of a step of DANN on made-up images, and seconds to write its network."""
    import torch

    from weighbridge.engine.checkpoint import save_network
    from weighbridge.parts.optim import Updater
    from weighbridge.settings.build_machine import build_fabric, build_machine
    from weighbridge.settings.build_method import build_method, new_network
    from weighbridge.settings.config import from_mapping
    from weighbridge.types import DomainPair, LabelledBatch, UnlabelledBatch

    config = from_mapping({**settings(size, batch, 1, 1, weights), "method": "dann"})
    machine = build_machine(config)
    fabric = build_fabric(machine)
    network = new_network(config, classes, fabric.device, machine.memory_format)
    method, update = build_method(config, network, classes), Updater(fabric.backward, clip_norm=1.0)
    images = torch.rand(batch, 3, size, size, device=fabric.device).contiguous(memory_format=machine.memory_format)
    rows = torch.arange(batch)
    labels = (rows % classes).to(fabric.device)
    pair = DomainPair(LabelledBatch(images, labels, rows, labels * 0), UnlabelledBatch(images, rows))
    method.train()

    def steps(count: int) -> float:
        started = time.perf_counter()
        for _ in range(count):
            with fabric.autocast():
                method.step(pair, 0.0, update)
        if machine.device == "cuda":
            torch.cuda.synchronize()
        return (time.perf_counter() - started) / count

    warm = steps(1 if machine.device == "cpu" else 3)  # kernels are chosen and memory is taken
    seconds = steps(1 if warm > 1.0 else 10)
    with tempfile.TemporaryDirectory(dir=out) as place:
        started = time.perf_counter()
        save_network(Path(place) / "network.safetensors", network)
        return seconds, time.perf_counter() - started


def rendering_speeds(quality: str, sizes: Sequence[int]) -> dict[int, float]:
    """Images a second of all cores, by size: painted at the smallest and the largest size, between them a power law."""
    from weighbridge.render.painter import Painter
    from weighbridge.render.probe import variant_for
    from weighbridge.render.recipe import Recipe

    if not sizes:  # nothing will be rendered, and the renderers need not be installed
        return {}
    variant, seconds = variant_for(quality, VARIANT), {}
    for size in {min(sizes), max(sizes)}:
        painter = Painter(Recipe("objects", size=size), quality, variant=variant)
        painter.paint(FEW_CLASSES[0], 0)  # the first one pays for set-up
        started = time.perf_counter()
        for number, label in enumerate(FEW_CLASSES, start=1):
            painter.paint(label, number)
        seconds[size] = (time.perf_counter() - started) / len(FEW_CLASSES)
    together = 1 + 0.6 * (cores() - 1)  # what one core wins beside others, on the safe side
    return {size: together / power_law(seconds, size) for size in sizes}


def power_law(known: Mapping[int, float], at: int) -> float:
    """A positive number that is known at one or two sizes, at another size between them."""
    low, high = min(known), max(known)
    if low == high:
        return known[low]
    return float(known[low] * (known[high] / known[low]) ** (math.log(at / low) / math.log(high / low)))


def cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


# ---- doing -----------------------------------------------------------------------------------------------------------

VARIANT = "scalar_rgb"  # of Mitsuba, on all cores: on one GPU there is one process, and it was never measured
SEED_OF = {"realtime": 1, "prerendered": 2, "realtime-test": 11, "prerendered-test": 12, "camera-test": 13}
MEMORY_BUDGET = 12e9  # bytes of decoded images that are kept in memory


class OutOfTimeError(Exception):
    """The budget is used up; what is finished is kept."""


class Clock(ProgressBars):
    """Progress bars that stop training when its time is over."""

    def __init__(self, deadline: float) -> None:
        super().__init__()
        self._deadline = deadline

    def advance(self, step: int, record: Mapping[str, float] | None) -> None:
        super().advance(step, record)
        if time.monotonic() > self._deadline:
            raise OutOfTimeError


def settings(size: int, batch: int, pre_steps: int, steps: int, weights: str) -> dict[str, Any]:
    """Of every run. README.md says why these rates."""
    scratch = weights == "none"
    return {
        "backbone": "vgg16",
        "weights": weights,
        "image_size": size,
        "batch_source": batch,
        "batch_target": batch,
        "pre_steps": pre_steps,
        "steps": steps,
        "learning_rate": 0.003,
        "adda_rate": 2e-6,
        "adda_discriminator_rate": 2e-4,
        "normalisation": "per-image" if scratch else "imagenet",
        "clip_norm": 1.0,
        "strong_augmentation": 0.0,  # the paper has none
        "checkpoint_every": pre_steps + steps,  # one, at the end: each takes a gigabyte and seconds
    }


def render_all(plan: Plan, out: Path, end: float) -> None:
    """The tests first, which the table needs whole, then the target, which takes longest, then the source.

    Of target and source, what is not done by `end` is left out, of every class alike; the next call goes on with it.
    """
    from weighbridge.render.recipe import Recipe
    from weighbridge.render.studio import render

    counts = {f"{quality}-test": plan.evaluation for quality in TESTS}
    counts |= {"prerendered": plan.target, "realtime": plan.source}
    # The source gets its share even where the target was slower than was measured.
    ends = {"prerendered": end - FOR_SOURCE * (end - time.monotonic()), "realtime": end}
    for name, count in counts.items():
        folder = out / "data" / name
        with ProgressBars() as bars:
            show = bars.counting(f"rendering {name}", "images")
            try:
                render(
                    Recipe("objects", seed=SEED_OF[name], size=plan.size),
                    name.removesuffix("-test"),
                    folder,
                    count=count,
                    classes=FEW_CLASSES if plan.few else None,
                    variant=VARIANT,
                    progress=until(ends.get(name, math.inf), show, folder, plan),
                )
            except OutOfTimeError:
                print(f"rendering took longer than was measured: {name} stays smaller than planned", flush=True)


def until(end: float, show: Callable[[int, int], None], folder: Path, plan: Plan) -> Callable[[int, int], None]:
    """Shows how far rendering has come, and stops it after `end`, but not before every class has images."""

    def watch(done: int, total: int) -> None:
        show(done, total)
        if time.monotonic() > end and done < total:
            begun = sum(1 for part in folder.iterdir() if part.is_dir() and not part.name.startswith("."))
            if begun >= (len(FEW_CLASSES) if plan.few else CLASSES):
                raise OutOfTimeError

    return watch


def write_start(path: Path, sources: Sequence[Path], size: int) -> None:
    """Random numbers that VGG-16 can start from without batch norm: every convolution puts out a deviation of 1.

    Torchvision's own let the signal fade from layer to layer, and the label loss long stays at chance. So the weights
    of each convolution are divided by the deviation of what it puts out on one batch of the source (Mishkin and Matas,
    "All you need is a good init", ICLR 2016). Labels are not used. All seeds share the file but for the last layer.
    """
    import torch
    import torchvision
    from safetensors.torch import save_file

    from weighbridge.data.pairs import PairStream
    from weighbridge.settings import build_data
    from weighbridge.settings.config import from_mapping

    config = from_mapping({**settings(size, 32, 1, 1, "none"), "cache": "off"})
    source, target = build_data.open_source(sources, config)[0], build_data.open_target(sources[0], config)
    preparation, device = build_data.build_preparation(config), torch.device("cpu")
    pairs = PairStream(source, target, batch_source=32, batch_target=0, preparation=preparation, seed=0, device=device)
    torch.manual_seed(0)
    model = torchvision.models.vgg16(weights=None).eval()
    signal = pairs.at(0).source.images
    with torch.no_grad():
        for layer in model.features:
            if isinstance(layer, torch.nn.Conv2d):
                assert layer.bias is not None  # VGG-16 has no batch norm to make up for it
                layer.bias.zero_()
                layer.weight /= layer(signal).std().clamp_min(1e-6)
            signal = layer(signal)
    save_file(model.state_dict(), path)


def write_grid(path: Path, plan: Plan, wishes: Wishes, domains: Mapping[str, Any], kept: int, title: str) -> None:
    """What `weighbridge compare --grid` takes; methods and seeds are written anew for each call."""
    pixels = 3 * plan.size**2 * kept
    chosen = settings(plan.size, plan.batch, plan.pre_steps, plan.steps, wishes.weights)
    chosen["cache"] = "memory" if pixels < MEMORY_BUDGET else "off"
    if wishes.weights == "none":
        chosen["weights"] = str(path.with_name("start.safetensors").resolve())
    write_toml(path, {"title": title, "seeds": [0], "methods": list(METHODS), **domains, "settings": chosen})


def compare(out: Path, seeds: Sequence[int], methods: Sequence[str], end: float) -> bool:
    """Train what is missing and write the table; whether that was done when time was over."""
    from weighbridge.grids.compare import compare_grid
    from weighbridge.settings.config import read_toml

    file = out / "grid.toml"
    write_toml(file, {**read_toml(file), "seeds": list(seeds), "methods": list(methods)})
    try:
        with Clock(end) as clock:
            compare_grid(file, out / "grid", watch=clock)
    except OutOfTimeError:
        return False
    drop_checkpoints(out / "grid")
    return True


def drop_checkpoints(grid: Path) -> None:
    """A finished run never reads its checkpoint again, and each takes a gigabyte or two."""
    for metrics in grid.rglob("metrics.json"):
        (metrics.parent / "checkpoints" / "last.safetensors").unlink(missing_ok=True)


def finished(out: Path) -> tuple[list[int], list[str]]:
    """The largest table that can be made of runs that are complete: seeds with all methods, else one with some."""
    from weighbridge.grids.grid import read_grid
    from weighbridge.grids.jobs import run_folder
    from weighbridge.run_folder import RunFolder

    grid = read_grid(out / "grid.toml")
    (task,) = grid.tasks
    done = {
        seed: [row.name for row in grid.rows if RunFolder(run_folder(out / "grid", task, seed, row)).complete]
        for seed in grid.seeds
    }
    whole = [seed for seed in grid.seeds if len(done[seed]) == len(grid.rows)]
    best = max(grid.seeds, key=lambda seed: len(done[seed]))
    return (whole, list(METHODS)) if whole else ([best], done[best])


def train_all(plan: Plan, wishes: Wishes, out: Path, end: float) -> list[str]:
    """The first seed, a table of it, and then as many more as its true time allows.

    Returns:
        What went otherwise than planned, in words.
    """
    end -= max(10.0, plan.a_seed / 10)  # for testing what is finished
    started = time.monotonic()
    done = compare(out, [0], METHODS, end)
    if done and not diverged(out):  # a run that diverged would be trained again
        now = time.monotonic()
        first = max(now - started, trained_seconds(out))  # in a call that goes on the first seed takes no time
        there = len(list((out / "grid").glob("*/seed-*")))
        seeds = range(max(there, seeds_in_all(plan, wishes, first, end - now, shutil.disk_usage(out).free)))
        done = len(seeds) == 1 or compare(out, seeds, METHODS, end)
    if done:
        return [f"{name} diverged" for name in diverged(out)]
    finished_seeds, methods = finished(out)
    if not methods:
        raise ConfigError(
            f"no run was finished within {wishes.minutes:g} minutes. What was begun is kept: go on with the same "
            f"command, with more --minutes"
        )
    compare(out, finished_seeds, methods, math.inf)
    missing = [name for name in METHODS if name not in methods]
    left_out = f", without {' and '.join(missing)}" if missing else ""
    return [f"time was over: the table has {len(finished_seeds)} finished seed(s){left_out}; the same command goes on"]


def results_of(out: Path) -> dict[str, Any]:
    results: dict[str, Any] = json.loads((out / "grid" / "results.json").read_text(encoding="utf-8"))
    return results


def diverged(out: Path) -> list[str]:
    """Methods of which a run diverged."""
    return [
        row["name"]
        for row in results_of(out)["tasks"][0]["rows"]
        if any(run["diverged_at"] is not None for run in row["runs"])
    ]


def nothing_learned(results: Mapping[str, Any]) -> str | None:
    """A warning, where source-only does not tell the classes of the source apart: then the table ranks nothing."""
    task = results["tasks"][0]
    runs = [run for row in task["rows"] if row["method"] == "source-only" for run in row["runs"]]
    found = [run["source_accuracy"] for run in runs if run["source_accuracy"] is not None]
    chance = 1 / len(task["classes"])
    if not found or sum(found) / len(found) >= 2 * chance:
        return None
    return (
        f"NOTHING WAS LEARNED: source only is right in {100 * sum(found) / len(found):.0f} % of the source's held-out "
        f"images, chance is {100 * chance:.0f} %; this table shows that all methods ran, and nothing about them"
    )


def trained_seconds(out: Path) -> float:
    """Of all runs of the first seed, the pre-classifier included."""
    metrics = (out / "grid").glob("*/seed-0/*/metrics.json")
    return float(sum(json.loads(path.read_text(encoding="utf-8"))["seconds"] for path in metrics))


# ---- the command -----------------------------------------------------------------------------------------------------


def options_of(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="the folder to make, or to go on with")
    parser.add_argument("--minutes", type=float, default=10.0, help="for everything; 10")
    parser.add_argument("--weights", default="none", metavar="FILE", help="a state dict of torchvision's vgg16")
    parser.add_argument("--source", type=Path, nargs="+", help="labelled images instead of rendered ones")
    parser.add_argument("--target", type=Path, help="unlabelled images, with --source")
    parser.add_argument("--evaluation", type=Path, help="labelled images of the target domain, with --source")
    parser.add_argument("--image-size", type=int, help="pixels, whatever the plan would choose")
    parser.add_argument("--seeds", type=int, help="seeds, whatever the plan would choose")
    parser.add_argument("--steps", type=int, help="steps of adaptation, whatever the plan would choose")
    parser.add_argument("--count", type=int, help="source images to render of each class; the rest in proportion")
    options = parser.parse_args(words)
    folders = (options.source, options.target, options.evaluation)
    if any(folders) and not all(folders):
        parser.error("--source, --target and --evaluation come together, or none of them to render")
    for name in ("minutes", "image_size", "seeds", "steps", "count"):
        value = getattr(options, name)
        if value is not None and value <= 0:
            parser.error(f"--{name.replace('_', '-')} must be above 0, got {value}")
    if options.image_size is not None and options.image_size < CPU_SIZES[-1]:
        parser.error(f"VGG-16 halves its images five times: --image-size is at least 32, got {options.image_size}")
    return options


def look_at(options: argparse.Namespace) -> tuple[Images | None, int]:
    """How many images and classes the folders have; (None, 25) where images are rendered."""
    if options.source is None:
        return None, CLASSES
    from weighbridge.settings import build_data
    from weighbridge.settings.config import Config

    config = Config(cache="off")
    training, held_out = build_data.open_source(options.source, config)
    target, evaluation = build_data.open_target(options.target, config), options.evaluation
    tests = build_data.open_labelled(evaluation, config, training.classes)
    return Images(len(training) + len(held_out), len(target), len(tests)), len(training.classes)


def planned(options: argparse.Namespace, started: float) -> tuple[Plan, Wishes, list[str], int]:
    """The plan, what was wished, what it falls short of, and images at hand; from the folder where one is there."""
    file, out = options.out / "plan.json", options.out
    asked = {key: str(value) for key, value in vars(options).items() if key not in ("out", "minutes")}
    if file.is_file():
        before = json.loads(file.read_text(encoding="utf-8"))
        changed = [key for key, value in asked.items() if before["asked"][key] != value]
        if changed:
            raise ConfigError(
                f"'{out}' was begun with another {' and '.join(changed)}; repeat that command or take another --out"
            )
        given = before["given"] and Images(**before["given"])
        return Plan(**before["plan"]), wishes_of(options, given), before["falls short"], before["images"]
    if out.exists() and any(out.iterdir()):
        raise ConfigError(f"'{out}' holds something else than this table; take another --out")
    out.mkdir(parents=True, exist_ok=True)
    given, classes = look_at(options)
    wishes = wishes_of(options, given)
    speeds = measure(wishes, out, classes)
    left = dataclasses.replace(wishes, minutes=wishes.minutes - (time.monotonic() - started) / 60)
    plan = make_plan(speeds, left)
    short = shortfalls(plan, wishes, gpu=speeds.gpu)
    classes = len(FEW_CLASSES) if plan.few else classes
    images = given.source + given.target if given else classes * (plan.source + plan.target)
    facts = {"asked": asked, "given": given and dataclasses.asdict(given), "images": images, "falls short": short}
    write_json(file, {**facts, "plan": dataclasses.asdict(plan), "speeds": dataclasses.asdict(speeds)})
    return plan, wishes, short, images


def wishes_of(options: argparse.Namespace, given: Images | None) -> Wishes:
    return Wishes(
        options.minutes, options.weights, options.image_size, options.seeds, options.steps, options.count, given
    )


def told(plan: Plan, short: Sequence[str], weights: str) -> str:
    """The plan in words."""
    images = (
        f"{plan.source} real-time source images, {plan.target} path-traced target images and {plan.evaluation} images "
        f"for each of {len(TESTS)} tests, of each class; "
        if plan.source
        else ""
    )
    lines = [
        f"Planned: {plan.size} px; {images}{plan.batch} + {plan.batch} images a step; {plan.pre_steps} steps of the "
        f"pre-classifier and {plan.steps} of adaptation, {plan.pre_steps + plan.steps} for the methods without one; "
        f"{plan.seeds} seed(s), more or fewer as time allows; some {plan.rendering:.0f} s of rendering and "
        f"{plan.a_seed:.0f} s a seed. VGG-16 starts from {'random numbers' if weights == 'none' else 'a file'}; the "
        f"paper does not say where it does."
    ]
    if short:
        lines.append("**REDUCED** against the paper:\n\n" + "\n".join(f"- {what}" for what in short))
    return "\n\n".join(lines)


def main(words: Sequence[str] | None = None) -> None:
    started = time.monotonic()
    options = options_of(words)
    out: Path = options.out
    plan, wishes, short, images = planned(options, started)
    about = told(plan, short, wishes.weights)
    print(f"{about}\n", flush=True)
    end = started + 60 * options.minutes
    if wishes.given is None:
        render_all(plan, out, time.monotonic() + RENDERING_LATEST * (end - time.monotonic()))
        tests = {quality: f"data/{quality}-test" for quality in TESTS}
        domains: dict[str, Any] = {
            "sources": {"realtime": "data/realtime"},
            "targets": {"prerendered": "data/prerendered"},
            "evaluations": tests,
        }
    else:
        domains = {
            "sources": {"source": [str(path.resolve()) for path in options.source]},
            "targets": {"target": str(options.target.resolve())},
            "evaluations": {"target": str(options.evaluation.resolve())},
        }
    if wishes.weights == "none" and not (out / "start.safetensors").is_file():
        write_start(out / "start.safetensors", options.source or [out / "data" / "realtime"], plan.size)
    title = f"VGG-16 at {plan.size} px{', reduced' if short else ''}"
    write_grid(out / "grid.toml", plan, wishes, domains, images, title)
    otherwise = train_all(plan, wishes, out, end)
    table = (out / "grid" / "table.md").read_text(encoding="utf-8")
    took = f"It took {(time.monotonic() - started) / 60:.1f} minutes"
    warning = nothing_learned(results_of(out))
    happened = "; ".join([took, *otherwise, *([warning] if warning else [])]) + "."
    replace_text(out / "table.md", f"{about}\n\n{happened}\n\n{table}")
    print(f"\n{table}\n{happened}{' REDUCED: see above.' if short else ''}\n{out / 'table.md'}")


if __name__ == "__main__":
    try:
        main()
    except WeighbridgeError as error:
        sys.exit(f"{Path(__file__).name}: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
