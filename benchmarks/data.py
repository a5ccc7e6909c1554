"""What the data path costs, each figure as a ratio on the same files in one run.

    ./run python benchmarks/data.py loading        # images per second against torchvision's ImageFolder + DataLoader
    ./run python benchmarks/data.py waiting        # share of a VGG-16 step spent waiting for data
    ./run python benchmarks/data.py index          # scan rates, opening time and memory at 10^4, 10^5 and 10^6 images
    ./run python benchmarks/data.py hostile        # peak memory of a scan of images just below the pixel limit

Every measured form runs in a process of its own, so that no form profits from another's memory. Images are smooth noise
saved as JPEG, made once in a temporary folder. `loading` gives each form one core.
"""

import argparse
import io
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image

RESULTS = Path(__file__).parent / "results" / "data.json"
SIZES = {"256 px": (256, 256), "640 x 480 px": (640, 480)}
BATCH = 64
SECONDS = 6.0  # that each form is timed for, after a warm-up


# ---- images --------------------------------------------------------------------------------------------------------


def make_folder(folder: Path, *, count: int, size: tuple[int, int], classes: int = 4) -> Path:
    """Photo-like JPEGs: noise on several scales, quality 90."""
    random = np.random.default_rng(0)
    for number in range(count):
        path = folder / f"class-{number % classes}" / f"{number:06}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        picture = np.zeros((size[1], size[0], 3))
        for cells, strength in ((4, 90), (16, 50), (64, 25), (size[1], 8)):
            noise = random.uniform(-strength, strength, (cells, cells, 3)) + 127
            layer = Image.fromarray(noise.clip(0, 255).astype(np.uint8)).resize(size, Image.Resampling.BICUBIC)
            picture += np.asarray(layer, dtype=float) - 127
        Image.fromarray((picture + 127).clip(0, 255).astype(np.uint8)).save(path, quality=90)
    return folder


# ---- loading -------------------------------------------------------------------------------------------------------


def rate_of(next_batch) -> float:
    """Images per second of batches that are ready for the network."""
    for _ in range(3):
        next_batch()
    images, start = 0, time.perf_counter()
    while time.perf_counter() - start < SECONDS:
        images += len(next_batch())
    return images / (time.perf_counter() - start)


def image_folder(folder: Path) -> float:
    """The usual way: PIL, Resize(256), RandomCrop(224), flip, ToTensor, Normalize, image by image."""
    from torchvision import transforms
    from torchvision.datasets import ImageFolder

    steps = [transforms.Resize(256), transforms.RandomCrop(224), transforms.RandomHorizontalFlip()]
    steps += [transforms.ToTensor(), transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))]
    data = ImageFolder(str(folder), transforms.Compose(steps))
    loader = torch.utils.data.DataLoader(data, batch_size=BATCH, shuffle=True, num_workers=0, drop_last=True)

    def batches():
        while True:
            for images, _ in loader:
                yield images

    stream = batches()
    return rate_of(lambda: next(stream))


def ours(folder: Path, cache: str) -> float:
    """The source half of weighbridge's batches: the same size, crop, flip and normalisation."""
    from weighbridge.data.images import View
    from weighbridge.data.pairs import PairStream
    from weighbridge.data.reading import Reading, read_labelled, read_unlabelled
    from weighbridge.data.transforms import Augmentation, Preparation
    from weighbridge.engine.machine import keep_freed_memory

    keep_freed_memory()  # as in every run
    reading = Reading(View(224, 3, "crop", slack=32), cache=cache, home=folder.parent / "cache")
    source, target = read_labelled([folder], reading), read_unlabelled(folder, reading)
    stream = PairStream(
        source,
        target,
        batch_source=BATCH,
        batch_target=0,
        preparation=Preparation(Augmentation(flip=True), "imagenet"),
        seed=0,
        device=torch.device("cpu"),
        memory_format=torch.channels_last,
    )
    steps = iter(range(10**9))
    return rate_of(lambda: stream.at(next(steps)).source.images)


FORMS = {
    "ImageFolder": image_folder,
    "ours, JPEG": lambda folder: ours(folder, "off"),
    "ours, cache": lambda folder: ours(folder, "disk"),
}


def loading(rounds: int) -> dict:
    results = {}
    with tempfile.TemporaryDirectory() as place:
        for name, size in SIZES.items():
            folder = make_folder(Path(place) / name.replace(" ", ""), count=512, size=size)
            rates: dict[str, list[float]] = {form: [] for form in FORMS}
            for number in range(rounds):
                for form in list(FORMS)[number % 3 :] + list(FORMS)[: number % 3]:
                    rates[form].append(float(in_a_process("form", form, str(folder), core=True)))
            results[name] = {"images_per_second": {form: round(statistics.median(r), 1) for form, r in rates.items()}}
            print(f"{name}, one core, batches of {BATCH}, 224 px, {rounds} rounds")
            for form in FORMS:
                ratios = sorted(a / b for a, b in zip(rates[form], rates["ImageFolder"], strict=True))
                low, middle, high = ratios[0], statistics.median(ratios), ratios[-1]
                results[name][f"{form} / ImageFolder"] = [round(x, 2) for x in (middle, low, high)]
                rate = statistics.median(rates[form])
                print(f"  {form:<12} {rate:8.0f} images/s   x {middle:.2f}  ({low:.2f} to {high:.2f})")
    return results


# ---- waiting -------------------------------------------------------------------------------------------------------


def waiting(steps: int) -> dict:
    """Share of a VGG-16 DANN step in which the loop waits for its batch, from JPEGs and from the cache."""
    with tempfile.TemporaryDirectory() as place:
        make_folder(Path(place) / "source", count=128, size=SIZES["640 x 480 px"])
        make_folder(Path(place) / "target", count=128, size=SIZES["640 x 480 px"])
        results = {}
        for cache in ("off", "disk"):
            words = in_a_process("wait", cache, place, str(steps)).split()
            results[cache] = {"step_seconds": float(words[0]), "waiting_share": float(words[1]), "device": words[2]}
            share = 100 * float(words[1])
            print(f"cache {cache}: {words[0]} s a step on {words[2]}, {share:.2f} % of it waiting for data")
    return results


def wait(cache: str, place: str, steps: str) -> str:
    from weighbridge.engine import loop
    from weighbridge.run_folder import RunFolder
    from weighbridge.runs.workplace import open_workplace
    from weighbridge.settings import build_data
    from weighbridge.settings.build_method import build_method, new_network
    from weighbridge.settings.config import Config
    from weighbridge.watch import Quiet

    batch = 8 if not torch.cuda.is_available() else 32
    config = Config(
        method="dann",
        image_size=224,
        crop=0.14,
        flip=True,
        batch_source=batch,
        batch_target=batch,
        cache=cache,
        backbone="vgg16",
        steps=int(steps),
        pre_steps=0,
        clip_norm=1.0,
        learning_rate=1e-4,
    )
    os.environ["WEIGHBRIDGE_CACHE"] = str(Path(place) / "cache")
    workplace = open_workplace([Path(place) / "source"], Path(place) / "target", config)
    device = workplace.fabric.device
    network = new_network(config, len(workplace.data.classes), device, workplace.machine.memory_format)
    method = build_method(config, network, len(workplace.data.classes))
    pairs = build_data.build_pairs(config, workplace.data, method, workplace.machine, device)
    waited, real = [], loop._ahead

    @loop.contextmanager
    def timed(*words):
        with real(*words) as stream:

            def batches():
                while True:
                    start = time.perf_counter()
                    pair = next(stream, None)
                    if pair is None:
                        return
                    waited.append(time.perf_counter() - start)
                    yield pair

            yield batches()

    loop._ahead = timed
    times = []

    class Clock(Quiet):
        def advance(self, step, record):
            if device.type == "cuda":
                torch.cuda.synchronize()
            times.append(time.perf_counter())

    folder = RunFolder(Path(place) / f"run-{cache}")
    (folder.path / "checkpoints").mkdir(parents=True)
    loop.fit(
        method,
        pairs,
        fabric=workplace.fabric,
        stage="adapt",
        steps=int(steps),
        classes=4,
        folder=folder,
        checkpoint_every=10**9,
        log_every=10**9,
        watch=Clock(),
    )
    warm = 2  # the first batch has nobody to hide behind
    seconds = (times[-2] - times[warm - 1]) / (len(times) - 1 - warm)
    return f"{seconds:.3f} {statistics.fmean(waited[warm:-1]) / seconds:.5f} {device.type}"


# ---- index ---------------------------------------------------------------------------------------------------------


def index(counts: list[int]) -> dict:
    results = {}
    with tempfile.TemporaryDirectory() as place:
        for count in counts:
            folder = linked(Path(place) / str(count), count)
            facts = json.loads(in_a_process("measure-index", str(folder), place))
            results[str(count)] = facts
            print(f"{count:>8} images: " + ", ".join(f"{name} {value}" for name, value in facts.items()), flush=True)
    return results


def linked(folder: Path, count: int) -> Path:
    """Many names for few small images: a scan cannot tell, and the disk is spared."""
    random = np.random.default_rng(0)
    firsts = []
    for number in range(100):
        content = io.BytesIO()
        Image.fromarray(random.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(content, "PNG")
        firsts.append(folder / f"class-{number % 10}" / f"first-{number}.png")
        firsts[-1].parent.mkdir(parents=True, exist_ok=True)
        firsts[-1].write_bytes(content.getvalue())
    for number in range(count - 100):
        os.link(firsts[number % 100], folder / f"class-{number % 10}" / f"{number:07}.png")
    return folder


def measure_index(folder: str, place: str) -> str:
    from weighbridge.data.index import Index, scan

    facts = {}
    for name in ("first", "second"):
        start = time.perf_counter()
        found = scan(Path(folder), home=Path(place) / "cache")
        facts[f"{name}_scan_files_per_second"] = round(len(found) / (time.perf_counter() - start))
    start = time.perf_counter()
    opened = Index(found.path, Path(folder))
    opened.column("label"), opened.label_free_order()
    facts["open_seconds"] = round(time.perf_counter() - start, 3)
    facts["index_bytes_per_image"] = round(found.path.stat().st_size / len(found))
    facts |= json.loads(in_a_process("measure-training", folder, place))
    return json.dumps(facts)


def measure_training(folder: str, place: str) -> str:
    """Memory of a process that trains a small network with instance weights, decoding on demand."""
    from weighbridge.data.columns import Column
    from weighbridge.engine import loop
    from weighbridge.engine.history import WeightHistory
    from weighbridge.parts.likelihoods import stored
    from weighbridge.run_folder import RunFolder
    from weighbridge.settings import build_data
    from weighbridge.settings.build_machine import build_fabric, build_machine
    from weighbridge.settings.build_method import build_method, new_network
    from weighbridge.settings.config import Config
    from weighbridge.watch import Quiet

    before = held("VmRSS")
    os.environ["WEIGHBRIDGE_CACHE"] = str(Path(place) / "cache")
    config = Config(method="weighted-dann", backbone="small", image_size=32, cache="off", steps=50, held_out=0.1)
    machine = build_machine(config.replace(device="cpu", precision="fp32"))
    fabric = build_fabric(machine)
    data = build_data.Data(
        *build_data.open_source([Path(folder)], config), build_data.open_target(Path(folder), config)
    )
    network = new_network(config, len(data.classes), fabric.device, machine.memory_format)
    p_a = Column.filled(len(data.source), 0.5, np.float32)
    method = build_method(config, network, len(data.classes), stored(p_a))
    facts = {"imports_mib": before}

    class Weigh(Quiet):
        def advance(self, step, record):
            if step == config.steps:
                facts.update(training_mib=held("VmRSS"), of_it_no_file_mib=held("RssAnon"), peak_mib=held("VmHWM"))

    with tempfile.TemporaryDirectory() as run:
        (Path(run) / "checkpoints").mkdir()
        loop.fit(
            method,
            build_data.build_pairs(config, data, method, machine, fabric.device),
            fabric=fabric,
            stage="adapt",
            steps=config.steps,
            classes=len(data.classes),
            folder=RunFolder(Path(run)),
            history=WeightHistory(len(data.source)),
            watch=Weigh(),
        )
    return json.dumps(facts)


def held(kind: str) -> int:
    """MiB."""
    return int(re.search(rf"{kind}:\s+(\d+)", Path("/proc/self/status").read_text())[1]) // 1024


# ---- hostile -------------------------------------------------------------------------------------------------------


def hostile() -> dict:
    """Peak memory of a scan by eight threads, in a process without torch, as `inspect` and `adapt` scan."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "hostile"
        folder.mkdir()
        save_hostile(folder)
        code = (
            "import json, re, sys, time\nfrom pathlib import Path\nfrom weighbridge.data.index import scan\n"
            "start = time.perf_counter()\nfound = scan(Path(sys.argv[1]), home=Path(sys.argv[2]), threads=8)\n"
            "seconds = round(time.perf_counter() - start, 1)\n"
            "peak = int(re.search(r'VmHWM:\\s+(\\d+)', Path('/proc/self/status').read_text())[1]) // 1024\n"
            "print(json.dumps({**found.tally, 'peak_mib': peak, 'seconds': seconds}))"
        )
        words = [sys.executable, "-c", code, str(folder), str(Path(place) / "cache")]
        facts = json.loads(subprocess.run(words, capture_output=True, text=True, check=True).stdout)
    print(
        f"{facts['used']} images at the limits, {facts['quarantined']} beyond: peak {facts['peak_mib']} MiB, "
        f"{facts['seconds']} s"
    )
    return facts


def save_hostile(folder: Path) -> None:
    """One image of each kind just below its limit, and several of a size that threads decode side by side."""
    for name, side in (("large", 9400), ("middling", 3900)):
        black = Image.new("RGB", (side, side))
        black.convert("RGBA").save(folder / f"{name}.png", compress_level=1)
        black.convert("RGBA").save(folder / f"{name} raw.tif")
        black.save(folder / f"{name}.tif", compression="tiff_lzw")
        black.save(folder / f"{name} progressive.jpg", progressive=True, subsampling=0)
        black.convert("CMYK").save(folder / f"{name} cmyk.jpg", progressive=True)
        Image.fromarray(np.zeros((side, side), dtype=np.uint16)).save(folder / f"{name} wide.png", compress_level=1)
        Image.fromarray(np.zeros((side, side), dtype=np.float32)).save(folder / f"{name} float.tif")
        black.quantize(4).save(folder / f"{name} palette.gif")
        less = black.crop((0, 0, min(side, 6300), min(side, 6300)))
        less.save(folder / f"{name}.webp", quality=1, method=0)
        black.crop((0, 0, min(side, 8900), min(side, 8900))).save(folder / f"{name}.avif", speed=10)
        less.save(folder / f"{name}.jp2")
    for padding in (120, 130):  # MiB, one on either side of the limit
        content = (folder / "large.webp").read_bytes()
        (folder / f"padded by {padding}.webp").write_bytes(content + bytes(padding * 2**20))
    for copy in range(4):
        for name in ("middling.webp", "middling.jp2", "middling.png", "middling raw.tif"):
            (folder / f"{copy} {name}").hardlink_to(folder / name)


# ---- running -------------------------------------------------------------------------------------------------------


def in_a_process(*words: str, core: bool = False) -> str:
    environment = {**os.environ, **({"WEIGHBRIDGE_ONE_CORE": "1"} if core else {})}
    done = subprocess.run(
        [sys.executable, __file__, "--inner", *words], capture_output=True, text=True, env=environment, check=False
    )
    if done.returncode:
        sys.exit(done.stderr)
    return done.stdout.strip().splitlines()[-1]


def inner(words: list[str]) -> None:
    if os.environ.get("WEIGHBRIDGE_ONE_CORE"):
        os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[-1]})
        torch.set_num_threads(1)
    name, *rest = words
    if name == "form":
        print(FORMS[rest[0]](Path(rest[1])))
    else:
        print(
            {
                "wait": wait,
                "measure-index": measure_index,
                "measure-training": measure_training,
            }[name](*rest)
        )


def main() -> None:
    if sys.argv[1:2] == ["--inner"]:
        return inner(sys.argv[2:])
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["loading", "waiting", "index", "hostile", "all"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--counts", type=int, nargs="+", default=[10**4, 10**5, 10**6])
    parser.add_argument("--out", type=Path, default=RESULTS)
    words = parser.parse_args()
    chosen = ["loading", "waiting", "index", "hostile"] if words.what == "all" else [words.what]
    results = json.loads(words.out.read_text()) if words.out.is_file() else {}
    for name in chosen:
        run = {"loading": lambda: loading(words.rounds), "waiting": lambda: waiting(words.steps)}
        run |= {"index": lambda: index(words.counts), "hostile": hostile}
        results[name] = run[name]()
        words.out.parent.mkdir(exist_ok=True)
        words.out.write_text(json.dumps(results, indent=2) + "\n")
    return None


if __name__ == "__main__":
    main()
