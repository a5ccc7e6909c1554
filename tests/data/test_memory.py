"""What a training process holds does not grow with the number of its images."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

# A training process on a made-up index, whose images are all the same bytes of one file.
PROGRAM = """
import contextlib, io, json, re, sys
from pathlib import Path
import numpy as np
import torch
from PIL import Image
from weighbridge.data import index, reading
from weighbridge.data.columns import Column
from weighbridge.engine.history import WeightHistory
from weighbridge.engine.loop import fit
from weighbridge.parts.likelihoods import stored
from weighbridge.run_folder import RunFolder
from weighbridge.settings.build_data import Data, build_pairs, open_source, open_target
from weighbridge.settings.build_machine import build_fabric, build_machine
from weighbridge.settings.build_method import build_method, new_network
from weighbridge.settings.config import Config
from weighbridge.watch import Quiet

count, place = int(sys.argv[1]), Path(sys.argv[2])
content = io.BytesIO()
Image.fromarray(np.arange(768, dtype=np.uint8).reshape(16, 16, 3)).save(content, "PNG")
(place / "a.tar").write_bytes(content.getvalue())
size = len(content.getvalue())


def rows():
    for k in range(count):
        label, group = str(k % 10).encode(), ""
        yield k, f"{k}".encode(), b"a.tar", size, 0, label, "", "", group, "used", b"", "PNG", 16, 16, "RGB", 1


with contextlib.closing(index._connect(":memory:")) as database:
    index._attach(database, place / "made-up.sqlite")
    database.executescript(index._TABLES)
    database.executemany(
        "INSERT INTO image (id, name, file, size, at, label, source, split, part_of, status, hash, format, width,"
        " height, mode, orientation) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows())
    database.execute("INSERT INTO place SELECT id, id, ? - 1 - id FROM image", (count,))
    database.executemany("INSERT INTO fact VALUES (?, '')", [("fingerprint",), ("pixels",)])
    database.commit()
reading.scan = lambda path, **words: index.Index(place / "made-up.sqlite", place)

config = Config(method="weighted-dann", backbone="lenet", image_size=16, cache="off", balance="class",
    batch_source=16, batch_target=16, device="cpu", precision="fp32", steps=20)
settled, fabric = build_machine(config), build_fabric(build_machine(config))
source, held_out = open_source([place], config)
data = Data(source, held_out, open_target(place, config))
network = new_network(config, 10, fabric.device, settled.memory_format)
method = build_method(config, network, 10, stored(Column.filled(len(source), 0.5, np.float32)))
pairs = build_pairs(config, data, method, settled, fabric.device)


class Weigh(Quiet):
    def advance(self, step, record):
        if step == config.steps:
            status = Path("/proc/self/status").read_text()
            self.held = {key: int(re.search(key + r":\\s+(\\d+)", status)[1]) for key in ("RssAnon", "RssFile")}


(place / "checkpoints").mkdir()
watch = Weigh()
fit(method, pairs, fabric=fabric, stage="adapt", steps=config.steps, classes=10, folder=RunFolder(place), watch=watch,
    history=WeightHistory(len(source)), checkpoint_every=10)
print(json.dumps(watch.held))
"""


def held(count, place):
    """KiB of a process, by kind, at the end of its training."""
    folder = place / str(count)
    folder.mkdir()
    # One heap for all threads: how they share several of them differs from run to run by more than what is looked for.
    environment = {**os.environ, "MALLOC_ARENA_MAX": "1", "OMP_NUM_THREADS": "1"}
    words = [sys.executable, "-c", PROGRAM, str(count), str(folder)]
    done = subprocess.run(words, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


# Before, a million images took 31 to 51 MiB in training, and what reading them had taken for a moment on top.
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="asks the kernel what a process holds")
def test_training_holds_as_much_for_three_hundred_thousand_images_as_for_two_thousand(tmp_path):
    few, many = (held(count, tmp_path) for count in (2_000, 300_000))
    assert many["RssAnon"] - few["RssAnon"] < 5_000  # KiB: 17 bytes an image
    assert many["RssFile"] - few["RssFile"] < 2_000
