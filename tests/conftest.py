"""Fixtures: small domains on disk, and the folder of real data sets where there is one."""

import atexit
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from weighbridge.cli import commands, main
from weighbridge.settings.config import Config

# Indexes and decoded pixels of the tests lie apart from the user's.
os.environ["WEIGHBRIDGE_CACHE"] = tempfile.mkdtemp(prefix="weighbridge-tests-")
atexit.register(shutil.rmtree, os.environ["WEIGHBRIDGE_CACHE"], ignore_errors=True)

# A shell that starts the tests in its background has them, and all that they start, ignore Ctrl-C.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# The networks are tiny: threads would only wait for each other. No run measures what it was told.
torch.set_num_threads(1)
os.environ["OMP_NUM_THREADS"] = "1"


def stripes(kind: int, count: int, *, size: int = 16, shade: int = 255, seed: int = 0) -> list[np.ndarray]:
    """Grey images of three classes (0: upright stripes, 1: level stripes, 2: a spot) that a small network can learn."""
    random = np.random.default_rng((seed, kind))
    down, across = np.mgrid[:size, :size]
    images = []
    for _ in range(count):
        phase = random.integers(0, 4)
        pattern = [((across + phase) // 3) % 2, ((down + phase) // 3) % 2, (across - 8) ** 2 + (down - 8) ** 2 < 20]
        pixels = pattern[kind] * shade * random.uniform(0.6, 1.0) + random.uniform(0, 20, (size, size))
        images.append(pixels.clip(0, 255).astype(np.uint8))
    return images


def write_classes(folder: Path, *, count: int = 12, shade: int = 255, seed: int = 0, size: int = 16) -> Path:
    """folder/{level,spot,upright}/000.png ..."""
    for kind, name in enumerate(("upright", "level", "spot")):
        (folder / name).mkdir(parents=True)
        for number, pixels in enumerate(stripes(kind, count, shade=shade, seed=seed, size=size)):
            Image.fromarray(pixels).save(folder / name / f"{number:03}.png")
    return folder


def small_config(**changes) -> Config:
    """Settings with which a run on the small domains takes a second."""
    settings = {
        "method": "weighted-dann",
        "backbone": "small",
        "image_size": 16,
        "channels": 1,
        "batch_source": 8,
        "batch_target": 6,
    }
    config = Config(**(settings | {"pre_steps": 10, "steps": 10, "device": "cpu", "precision": "fp32"} | changes))
    return config.replace(restarts=changes.get("restarts", 1)) if config.may_restart else config


@pytest.fixture
def renders(tmp_path: Path) -> Path:
    return write_classes(tmp_path / "renders")


@pytest.fixture
def labelled_photos(tmp_path: Path) -> Path:
    return write_classes(tmp_path / "labelled-photos", count=8, shade=120, seed=5)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A flat folder of unlabelled images."""
    folder = tmp_path / "photos"
    folder.mkdir()
    images = [pixels for kind in range(3) for pixels in stripes(kind, 10, shade=120, seed=9)]
    for number in np.random.default_rng(0).permutation(len(images)):
        Image.fromarray(images[number]).save(folder / f"{number:03}.png")
    return folder


@pytest.fixture
def real_data() -> Path:
    """The data sets that the experiments use; tests that need them skip where they are not."""
    place = os.environ.get("WEIGHBRIDGE_DATA")
    if not place or not Path(place).is_dir():
        pytest.skip("set WEIGHBRIDGE_DATA to the folder with mnist/, usps/ and chars74k/")
    return Path(place)


@pytest.fixture
def call(monkeypatch, capsys, tmp_path):
    """Run the command line in this process: (exit status, standard output, standard error)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["weighbridge", *map(str, words)])
        monkeypatch.setattr(commands.app, "config", ())
        status = 0
        try:
            main.main()
        except SystemExit as stop:
            status = stop.code or 0
        out, err = capsys.readouterr()
        return status, out, err

    return run
