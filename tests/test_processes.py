"""Two processes are one process: the same batches, the same steps, the same weights."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

ROOT = Path(__file__).parents[1]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="gloo over loopback")
@pytest.mark.parametrize("method", ["dann", "weighted-dann", "adda"])
def test_two_processes_train_what_one_trains(renders, photos, tmp_path, method):
    runs = {}
    for processes in (1, 2):
        out = tmp_path / f"run-{processes}"
        words = ["adapt", "--source", renders, "--target", photos, "--out", out, "--processes", processes]
        words += ["--method", method, "--backbone", "small", "--image-size", 16, "--channels", 1]
        words += ["--batch-source", 8, "--batch-target", 8, "--pre-steps", 5, "--steps", 6, "--device", "cpu"]
        done = subprocess.run(
            [sys.executable, "-m", "weighbridge", *map(str, words), "--precision", "fp32"],
            capture_output=True,
            text=True,
            timeout=240,
            env={**os.environ, "PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"},
        )
        assert done.returncode == 0, done.stderr[-2000:]
        assert done.stdout.count("report.html") == 1  # one of them speaks
        runs[processes] = load_file(out / "model.safetensors")
        assert (out / "predictions.csv").is_file()
    for name, tensor in runs[1].items():
        torch.testing.assert_close(runs[2][name], tensor, rtol=1e-4, atol=1e-6, msg=name)
