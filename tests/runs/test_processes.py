"""Two processes are one process: the same batches, the same steps, the same weights."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.torch import load_file

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="gloo over loopback")
@pytest.mark.parametrize(
    "method", ["weighted-dann", *(pytest.param(name, marks=pytest.mark.slow) for name in ("dann", "adda"))]
)
def test_two_processes_train_what_one_trains(renders, photos, tmp_path, method):
    runs, losses = {}, {}
    for processes in (1, 2):
        out = tmp_path / f"run-{processes}"
        words = ["adapt", "--source", renders, "--target", photos, "--out", out, "--processes", processes]
        words += ["--method", method, "--backbone", "small", "--image-size", 16, "--channels", 1]
        words += ["--batch-source", 8, "--batch-target", 8, "--pre-steps", 5, "--steps", 6, "--device", "cpu"]
        words += ["--plain", "--strong-augmentation", 0]  # each process draws the augmentation of its share
        done = subprocess.run(
            [sys.executable, "-m", "weighbridge", *map(str, words), "--precision", "fp32"],
            capture_output=True,
            text=True,
            timeout=240,
            env={**os.environ, "PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"},
        )
        assert done.returncode == 0, done.stderr[-2000:]
        assert done.stdout.count("report.html") == 1  # one of them speaks
        assert "lightning" not in done.stderr.lower()
        assert "distributed" not in done.stderr
        assert len(re.findall(r"^adapt: (\d+) of \1 steps", done.stderr, re.MULTILINE)) == 1
        runs[processes] = load_file(out / "model.safetensors")
        assert (out / "predictions.csv").is_file()
        last = json.loads((out / "log.jsonl").read_text().splitlines()[-1])
        losses[processes] = {name: value for name, value in last.items() if name.endswith(("loss", "accuracy"))}
    assert "domain_loss" in losses[1]
    assert losses[2] == pytest.approx(losses[1], abs=1e-5)  # the log tells of all images, not of one process's half
    for name, tensor in runs[1].items():  # by the mean: where a gradient is all but 0, Adam enlarges its rounding
        assert (runs[2][name] - tensor).abs().mean() < 5e-6, name
