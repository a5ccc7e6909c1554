"""Choices about the machine are probed, recorded and can be overruled."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from weighbridge.engine import machine
from weighbridge.engine.machine import bf16_by_flags, keep_freed_memory, probe
from weighbridge.errors import ConfigError

FLAGS = {
    "Sapphire Rapids": ("fpu avx2 avx512f avx512_bf16 amx_bf16 amx_tile", True),
    "Zen 4": ("fpu avx2 avx512f avx512_bf16", True),
    "Cascade Lake": ("fpu avx2 avx512f avx512_vnni", False),
    "Haswell": ("fpu avx avx2", None),
    "not told": ("", None),
}


@pytest.mark.parametrize(("flags", "said"), FLAGS.values(), ids=FLAGS)
def test_the_processor_says_whether_it_is_made_for_bf16(flags, said):
    assert bf16_by_flags(frozenset(flags.split())) is said


@pytest.mark.parametrize("said", [True, False])
def test_what_the_processor_says_is_not_measured(monkeypatch, said):
    monkeypatch.setattr(machine, "bf16_by_flags", lambda flags: said)
    monkeypatch.setattr(machine, "in_turn", None)  # cannot be called
    assert probe(device="cpu").precision == ("bf16" if said else "fp32")
    assert probe(device="cpu", precision="fp32").precision == "fp32"
    assert probe(device="cpu", precision="bf16").fabric_precision == "bf16-mixed"


@pytest.mark.parametrize(
    ("pairs", "chosen"),
    [([(6.5, 1.0)] * 11, "bf16"), ([(1.25, 1.0)] * 11, "fp32"), ([(6.5, 1.0)] * 5, "fp32")],  # the last is not sure
)
def test_bf16_is_taken_where_it_is_surely_measured_to_be_faster(monkeypatch, pairs, chosen):
    monkeypatch.setattr(machine, "bf16_by_flags", lambda flags: None)
    monkeypatch.setattr(machine, "in_turn", lambda *ways, **rest: pairs)
    assert probe(device="cpu").precision == chosen


def test_a_measurement_leaves_the_threads_and_the_random_numbers_as_they_were(monkeypatch):
    monkeypatch.setattr(machine, "bf16_by_flags", lambda flags: None)
    monkeypatch.setattr(machine, "_LONGEST", 0.0)
    monkeypatch.setattr(machine, "_PYTORCHS_THREADS", 2)
    monkeypatch.setattr(machine, "cpu_count", lambda: 2)
    monkeypatch.delenv("OMP_NUM_THREADS")
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    found = probe(device="cpu", batch=(2, 1, 16, 16))
    assert found.precision == "fp32"  # nothing is sure after one pair
    assert found.threads in (1, 2)
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(("pairs", "chosen"), [([(2.0, 1.0)] * 11, 8), ([(1.0, 2.0)] * 11, 1)])
def test_threads_are_measured_between_one_and_the_share_of_the_cpus(monkeypatch, pairs, chosen):
    monkeypatch.delenv("OMP_NUM_THREADS")
    monkeypatch.setattr(machine, "_PYTORCHS_THREADS", 64)
    monkeypatch.setattr(machine, "cpu_count", lambda: 32)
    monkeypatch.setattr(machine, "in_turn", lambda *ways, **rest: pairs)
    machine._measured_threads.cache_clear()  # it is measured once a process
    assert probe(device="cpu", precision="fp32", processes=2, at_once=2).threads == chosen
    machine._measured_threads.cache_clear()


def test_a_number_of_threads_that_was_set_is_not_measured(monkeypatch):
    monkeypatch.setattr(machine, "in_turn", None)  # cannot be called
    monkeypatch.setattr(machine, "cpu_count", lambda: 8)
    monkeypatch.setattr(machine, "_PYTORCHS_THREADS", 8)
    for said, threads in (("3", 3), ("5,2", 5), (" 6 ", 6)):
        monkeypatch.setenv("OMP_NUM_THREADS", said)
        assert probe(device="cpu", precision="fp32").threads == threads
        assert probe(device="cpu", precision="fp32", threads=4).threads == 4
    monkeypatch.setenv("OMP_NUM_THREADS", "all")  # says no number
    assert probe(device="cpu", precision="fp32", processes=8).threads == 1


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="Linux only")
def test_a_process_that_is_held_to_one_cpu_takes_one_thread():
    say = (
        "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); import torch; "
        "from weighbridge.engine import machine; machine._PYTORCHS_THREADS = 2; "  # what it may have found before
        "print(machine.probe(device='cpu', precision='fp32').threads)"
    )
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    environment["PYTHONPATH"] = str(Path(machine.__file__).parents[2])
    done = subprocess.run([sys.executable, "-c", say], capture_output=True, text=True, timeout=240, env=environment)
    assert (done.stdout, done.stderr) == ("1\n", "")


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
