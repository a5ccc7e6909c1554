"""Jobs in processes of their own: all of them, each once, and stopped when somebody asks."""

import os
import subprocess
import sys
import time
import types
from pathlib import Path

import joblib
import pytest
import torch
from joblib.parallel import ThreadingBackend

from weighbridge.data.threads import cpu_count
from weighbridge.errors import ConfigError
from weighbridge.grids.processes import spread

ROOT = Path(__file__).parents[2]


def look_around(number):
    return number * number, os.getpid(), torch.get_num_threads(), str(Path.cwd())


def test_every_job_is_done_once_by_other_processes_that_share_the_cores(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = dict(spread(look_around, range(5), at_once=2))
    assert {job: result[0] for job, result in done.items()} == {0: 0, 1: 1, 2: 4, 3: 9, 4: 16}
    assert os.getpid() not in {result[1] for result in done.values()}
    assert {result[2] for result in done.values()} == {max(1, cpu_count() // 2)}
    assert {result[3] for result in done.values()} == {str(tmp_path)}


def fail(number):
    raise ConfigError(f"job {number} cannot be")


def test_what_a_job_raises_arrives():
    with pytest.raises(ConfigError, match="job 3 cannot be"):
        list(spread(fail, [3], at_once=2))


def test_without_ray_one_sentence_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ConfigError) as caught:
        list(spread(look_around, [1], at_once=1, backend="ray"))
    assert str(caught.value) == "--backend ray needs the extra 'ray': pip install 'weighbridge[ray]'"


def test_ray_gets_the_jobs_through_joblib_and_is_asked_for_a_gpu_each(monkeypatch):
    asked = []

    class StandIn(ThreadingBackend):  # takes what Ray's takes, and cannot do what Ray's cannot
        supports_return_generator = False

        def __init__(self, ray_remote_args=None, **rest):
            asked.append(ray_remote_args)
            super().__init__(**rest)

    package = types.ModuleType("ray.util.joblib")
    package.register_ray = lambda: joblib.register_parallel_backend("ray", StandIn)
    for name in ("ray", "ray.util"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    monkeypatch.setitem(sys.modules, "ray.util.joblib", package)
    assert [result for _, result in spread(abs, [-4], at_once=2, backend="ray", gpu=True)] == [4]
    assert [result for _, result in spread(abs, [-5], at_once=2, backend="ray")] == [5]
    assert asked == [{"num_gpus": 1}, None]


SLEEPERS = """
import os, sys, time
from pathlib import Path
from weighbridge.grids.processes import spread

def work(number):
    Path(f"{number}.pid").write_text(str(os.getpid()))
    time.sleep(600)

if __name__ == "__main__":
    for job, result in spread(work, range(6), at_once=2):
        print(job, result, flush=True)
"""


def start_sleepers(tmp_path):
    (tmp_path / "sleepers.py").write_text(SLEEPERS)
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"}
    words = [sys.executable, "sleepers.py"]
    process = subprocess.Popen(
        words, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    until = time.monotonic() + 120
    while len(list(tmp_path.glob("*.pid"))) < 2 or not all(p.read_text() for p in tmp_path.glob("*.pid")):
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < until
        time.sleep(0.05)
    return process, [int(path.read_text()) for path in tmp_path.glob("*.pid")]


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("number", [2, 15])
def test_asked_to_stop_no_job_is_begun_and_those_that_run_say_so(tmp_path, number):
    process, _ = start_sleepers(tmp_path)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert sorted(out.splitlines()) == ["0 stopped", "1 stopped"]
    assert (process.returncode, err.splitlines()[-1]) == (-2, "KeyboardInterrupt")
    assert err.count("Traceback") == 1  # the parent's; workers are silent
    assert len(list(tmp_path.glob("*.pid"))) == 2


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_workers_end_with_a_parent_that_was_killed(tmp_path):
    process, workers = start_sleepers(tmp_path)
    assert all(map(alive, workers))
    process.kill()
    process.communicate(timeout=60)
    until = time.monotonic() + 10
    while any(map(alive, workers)) and time.monotonic() < until:
        time.sleep(0.05)
    assert not any(map(alive, workers))
