"""Choices about the machine are probed, recorded and can be overruled."""

import sys

import pytest
import torch

from weighbridge.engine import machine
from weighbridge.engine.machine import bf16_gain, keep_freed_memory, probe
from weighbridge.errors import ConfigError


@pytest.mark.parametrize(("gain", "chosen"), [(6.5, "bf16"), (1.29, "fp32"), (0.2, "fp32")])
def test_bf16_is_taken_where_it_is_measured_to_be_faster(monkeypatch, gain, chosen):
    monkeypatch.setattr(machine, "bf16_gain", lambda device: gain)
    assert probe(device="cpu").precision == chosen
    assert probe(device="cpu", precision="fp32").precision == "fp32"
    assert probe(device="cpu", precision="bf16").fabric_precision == "bf16-mixed"


def test_the_gain_is_measured():
    assert 0.0 < bf16_gain("cpu") < 100.0


def test_everything_chosen_is_recorded():
    facts = probe(device="cpu", channels_last=False, keep_memory=False).facts()
    assert facts["channels_last"] is False
    assert facts["keeps_memory"] is False
    assert facts["torch_version"] == torch.__version__
    assert facts["processor"].endswith("cores")


def test_a_gpu_that_is_not_there_is_refused():
    if torch.cuda.is_available():
        pytest.skip("there is one")
    with pytest.raises(ConfigError, match="device = 'cuda' needs a CUDA GPU, and PyTorch finds none"):
        probe(device="cuda")
    assert probe().device == "cpu"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc only")
def test_the_allocator_can_be_told_to_keep_memory():
    assert keep_freed_memory() in (True, False)
    assert probe(device="cpu", keep_memory=True).keeps_memory == keep_freed_memory()
