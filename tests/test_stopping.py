"""What answers signals, and workers that end with their parents."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from weighbridge.stopping import SIGNALS, answered_by

SRC = Path(__file__).parents[1] / "src"


def handlers():
    return [signal.getsignal(number) for number in SIGNALS]


def test_both_signals_are_answered_and_then_go_where_they_went():
    before, heard = handlers(), []
    with answered_by(lambda number, frame: heard.append(number)):
        for number in (signal.SIGINT, signal.SIGTERM):
            os.kill(os.getpid(), number)
        with answered_by(signal.SIG_IGN):
            os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGINT)
    assert heard == [signal.SIGINT, signal.SIGTERM, signal.SIGINT]
    assert handlers() == before


def test_signals_go_where_they_went_after_an_error_too():
    before = handlers()

    def stop(number, frame):
        raise KeyboardInterrupt

    def interrupted():
        with answered_by(stop):
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert handlers() == before


def test_outside_the_main_thread_nothing_changes():
    before, within = handlers(), []

    def work():
        with answered_by(signal.SIG_IGN):
            within.append(handlers())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert within == [before]


WORKER = "import os, sys, time; from weighbridge.stopping import end_with; "
FOREVER = "print(os.getpid(), flush=True); time.sleep(600)"
PARENT = f"""
import multiprocessing, os, subprocess, sys, time
from weighbridge.stopping import end_with

def work(parent):
    end_with(parent)
    {FOREVER}

if __name__ == "__main__":
    if sys.argv[1] == "multiprocessing":
        multiprocessing.get_context("spawn").Process(target=work, args=(os.getpid(),)).start()
    else:
        subprocess.Popen([sys.executable, "-c", {WORKER!r} + f"end_with({{os.getpid()}}); {FOREVER}"])
    time.sleep(600)
"""


def started(*words):
    environment = {**os.environ, "PYTHONPATH": str(SRC)}
    return subprocess.Popen([sys.executable, *words], env=environment, stdout=subprocess.PIPE, text=True)


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize("way", ["multiprocessing", "subprocess"])
def test_a_worker_ends_with_a_parent_that_was_killed(tmp_path, way):
    (tmp_path / "parent.py").write_text(PARENT)
    with started(str(tmp_path / "parent.py"), way) as parent:
        worker = int(parent.stdout.readline())
        time.sleep(0.5)
        assert alive(worker)
        parent.kill()
    until = time.monotonic() + 10
    while alive(worker) and time.monotonic() < until:
        time.sleep(0.05)
    ended = not alive(worker)
    if not ended:
        os.kill(worker, signal.SIGKILL)
    assert ended


def test_a_worker_whose_parent_is_gone_already_ends_at_once():
    gone = 2**30  # no process has this number
    with started("-c", f"{WORKER}end_with({gone}); time.sleep(600)") as worker:
        assert worker.wait(timeout=30) == 1


def test_a_parent_is_watched_once():
    say = "import threading; print([thread.name for thread in threading.enumerate()].count('parent-watch'))"
    with started("-c", f"{WORKER}end_with(os.getppid()); end_with(os.getppid()); {say}") as worker:
        assert worker.stdout.read() == "1\n"
