"""What can render here is told in a sentence with the remedy."""

import importlib
import os
import subprocess
import sys

import pytest

from weighbridge.errors import ConfigError, RenderError, WeighbridgeError
from weighbridge.render import probe


@pytest.fixture(autouse=True)
def _nothing_is_remembered():
    probe.trouble.cache_clear()
    yield
    probe.trouble.cache_clear()


def stands_in(monkeypatch, program):
    """Another program in the place of the tiny scene."""
    monkeypatch.setattr(probe, "_TINY_SCENE", program)


def fails_to_import(monkeypatch, error):
    real = importlib.import_module

    def fails(name, *rest):
        if name in ("drjit", "mitsuba", "pyoidn"):
            raise error
        return real(name, *rest)

    monkeypatch.setattr(importlib, "import_module", fails)
    probe.mitsuba.cache_clear()


def test_scalar_rgb_works_wherever_mitsuba_is_installed():
    pytest.importorskip("mitsuba")
    assert probe.trouble("scalar_rgb") is None
    assert probe.variant_for("prerendered", "scalar_rgb") == "scalar_rgb"


@pytest.mark.parametrize("variant", ["llvm_ad_rgb", "cuda_ad_rgb"])
def test_a_variant_is_tried_without_harm(variant):
    """Whether it works depends on the machine; that this process goes on must not."""
    pytest.importorskip("mitsuba")
    problem = probe.trouble(variant)
    if problem is None:
        assert probe.variant_for("camera", variant) == variant
    else:
        with pytest.raises(RenderError) as refused:
            probe.variant_for("camera", variant)
        assert str(refused.value) == problem
        assert problem.startswith(f"Mitsuba's {variant} ")
        assert "scalar_rgb" in problem


def test_a_variant_that_ends_the_process_is_told_with_the_remedy(monkeypatch):
    stands_in(monkeypatch, "import os, sys; print('LLVM ERROR: Cannot select: 0x1', file=sys.stderr); os.abort()")
    assert probe.trouble("llvm_ad_rgb") == (
        "Mitsuba's llvm_ad_rgb ends the process on this machine (LLVM ERROR: Cannot select): install LLVM 19 "
        "(Debian: libllvm19) and set DRJIT_LIBLLVM_PATH to its libLLVM.so.19.1, or use --variant scalar_rgb"
    )


def test_a_variant_that_hangs_is_stopped(monkeypatch):
    stands_in(monkeypatch, "import time; time.sleep(60)")
    assert probe.trouble("cuda_ad_rgb", seconds=0.5) == (
        "Mitsuba's cuda_ad_rgb does not render a tiny scene here within 0.5 s: use a machine with an NVIDIA GPU "
        "and a driver with OptiX, or --variant scalar_rgb"
    )


def test_a_variant_that_works_is_taken(monkeypatch):
    stands_in(monkeypatch, "")
    monkeypatch.setattr(probe, "_has_nvidia_driver", lambda: True)
    assert probe.trouble("llvm_ad_rgb") is None
    assert probe.variant_for("prerendered", "llvm_ad_rgb") == "llvm_ad_rgb"
    assert probe.variant_for("prerendered", "auto") == "cuda_ad_rgb"


def test_auto_falls_back_to_scalar_rgb(monkeypatch):
    pytest.importorskip("mitsuba")
    stands_in(monkeypatch, "raise ImportError('no CUDA')")
    monkeypatch.setattr(probe, "_has_nvidia_driver", lambda: True)
    assert probe.variant_for("prerendered", "auto") == "scalar_rgb"


def test_without_a_driver_auto_tries_nothing(monkeypatch):
    pytest.importorskip("mitsuba")
    monkeypatch.setattr(probe, "_has_nvidia_driver", lambda: False)
    monkeypatch.setattr(subprocess, "run", None)
    assert probe.variant_for("prerendered", "auto") == "scalar_rgb"


def test_real_time_quality_needs_no_mitsuba(monkeypatch):
    fails_to_import(monkeypatch, ModuleNotFoundError("No module named 'mitsuba'", name="mitsuba"))
    assert probe.variant_for("realtime", "auto") == "scalar_rgb"


def test_an_unknown_variant_is_refused():
    with pytest.raises(ConfigError, match=r"^there is no variant 'lvm_ad_rgb'\. Did you mean 'llvm_ad_rgb'\?$"):
        probe.variant_for("prerendered", "lvm_ad_rgb")


def test_a_missing_extra_is_told(monkeypatch):
    fails_to_import(monkeypatch, ModuleNotFoundError("No module named 'drjit'", name="drjit"))
    message = "pre-rendered quality needs Mitsuba, which is not installed: pip install 'weighbridge[render]'"
    with pytest.raises(RenderError) as refused:
        probe.mitsuba("scalar_rgb")
    assert str(refused.value) == message
    with pytest.raises(RenderError, match=r"^pre-rendered quality needs Open Image Denoise, which is not installed"):
        probe.variant_for("prerendered", "auto")


def test_a_missing_libatomic_is_told_though_its_error_hides(monkeypatch):
    hidden = ImportError("libatomic.so.1: cannot open shared object file: No such file or directory")
    error = NameError("name '_drjit_ext' is not defined")
    error.__context__ = hidden
    fails_to_import(monkeypatch, error)
    with pytest.raises(RenderError) as refused:
        probe.mitsuba("scalar_rgb")
    assert str(refused.value) == (
        "Mitsuba needs libatomic.so.1, which is not on this machine: install it (Debian: apt install libatomic1)"
    )
    assert isinstance(refused.value, WeighbridgeError)


def test_the_probe_itself_loads_no_renderer():
    program = (
        "import sys, weighbridge.render.probe\n"
        "print([name for name in ('mitsuba', 'drjit', 'pyoidn') if name in sys.modules])"
    )
    told = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": ":".join(sys.path)},
    )
    assert told.stdout.strip() == "[]", told.stderr


def test_the_denoiser_comes_without_pytorch():
    pytest.importorskip("pyoidn")
    program = (
        "import sys; from weighbridge.render.probe import oidn\n"
        "assert oidn().denoise and 'torch' not in sys.modules\n"
        "import torch; print(torch.zeros(2).tolist())"
    )
    told = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": ":".join(sys.path)},
    )
    assert told.stdout.strip() == "[0.0, 0.0]", told.stderr
