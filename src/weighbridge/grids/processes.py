"""Independent jobs over the processes of this machine, or over a Ray cluster, through joblib."""

__all__ = ["BACKENDS", "STOPPED", "spread"]

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, Final, TypeVar

import torch
from joblib import Parallel, delayed, parallel_config

from weighbridge.data.threads import cpu_count
from weighbridge.errors import ConfigError
from weighbridge.stopping import SIGNALS, answered_by, end_with

Given = TypeVar("Given")
Result = TypeVar("Result")

# No threads: they would share PyTorch's one random generator, and two runs would draw each other's numbers.
BACKENDS = ("loky", "ray")
STOPPED: Final = "stopped"  # what a job comes to that was asked to stop
_ASKS = 0.3  # seconds from asking workers to stop to asking again


def spread(
    work: Callable[[Given], Result], jobs: Iterable[Given], *, at_once: int, backend: str = "loky", gpu: bool = False
) -> Iterator[tuple[Given, Result | str]]:
    """Do all jobs, several at once, in processes of their own.

    Yields (job, result) as they are done; Ray's come at the end. After Ctrl-C or SIGTERM no job is begun, and those
    that run are asked to stop: their result is `STOPPED`, and when all have answered KeyboardInterrupt is raised; jobs
    of Ray cannot be asked, and are waited for. After a second Ctrl-C they are killed. A worker whose parent is gone
    ends itself, so that it does not go on writing beside whoever takes up its work.

    Args:
        work: can be pickled, as the jobs can.
        at_once: how many; on this machine they share its CPUs.
        backend: `loky` for processes of this machine, `ray` for those of the cluster that RAY_ADDRESS names.
        gpu: whether Ray has to give every worker a GPU.

    Raises:
        ConfigError: if Ray is asked for and is not installed.
    """
    remote: dict[str, Any] = {}
    if backend == "ray":
        _register_ray()
        remote = {"ray_remote_args": {"num_gpus": 1}} if gpu else {}
    threads = max(1, cpu_count() // at_once) if backend == "loky" else None
    worker = _Worker(work, threads, str(Path.cwd()), os.getpid() if backend == "loky" else None)
    asked = _Asked()
    # One job per worker and none in waiting: what is not begun when somebody asks to stop is not begun at all.
    calls = (delayed(worker)(job) for job in _until(asked, jobs))
    try:
        with parallel_config(backend=backend, n_jobs=at_once, **remote):
            if backend == "ray":  # its backend cannot hand out results one by one
                with answered_by(asked.ask):
                    yield from Parallel(batch_size=1, pre_dispatch=at_once)(calls)
            else:
                parallel = Parallel(return_as="generator_unordered", batch_size=1, pre_dispatch=at_once)
                with answered_by(signal.SIG_IGN):  # workers begin deaf, as they inherit it, and listen while they work
                    results = parallel(calls)
                with answered_by(asked.ask):
                    yield from results
    except Exception:
        if not asked():  # else it is a worker that was stopped before it could say so
            raise
    finally:
        asked.over.set()
    if asked():
        raise KeyboardInterrupt


class _Worker:
    """Does one job in a process of its own."""

    def __init__(self, work: Callable[[Any], Any], threads: int | None, home: str, parent: int | None) -> None:
        self.work, self.threads, self.home, self.parent = work, threads, home, parent

    def __call__(self, job: Any) -> tuple[Any, Any]:
        if self.threads is not None:
            torch.set_num_threads(self.threads)
        if self.parent is not None:
            end_with(self.parent)
        os.chdir(self.home)  # paths may be relative; a worker of Ray starts elsewhere
        with _interruptible():
            try:
                return job, self.work(job)
            except KeyboardInterrupt:
                return job, STOPPED


def _until(asked: Callable[[], bool], jobs: Iterable[Given]) -> Iterator[Given]:
    for job in jobs:
        if asked():
            return
        yield job


class _Asked:
    """Whether somebody asked to stop; workers are asked too. A second Ctrl-C raises."""

    def __init__(self) -> None:
        self.over = threading.Event()
        self._asked = False

    def __call__(self) -> bool:
        return self._asked

    def ask(self, number: int, frame: FrameType | None) -> None:
        if self._asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        if not self._asked:
            self._asked = True
            threading.Thread(target=self._ask_workers, daemon=True, name="ask-workers").start()

    def _ask_workers(self) -> None:
        """Again and again, since one that is about to begin its job does not listen yet."""
        while not self.over.wait(_ASKS):
            for child in multiprocessing.active_children():
                if child.pid is not None:
                    os.kill(child.pid, signal.SIGTERM)


@contextmanager
def _interruptible() -> Iterator[None]:
    """A signal ends the job by KeyboardInterrupt, where training does not wait for the end of its step; once."""

    def stop(number: int, frame: FrameType | None) -> None:
        for each in SIGNALS:
            signal.signal(each, signal.SIG_IGN)
        raise KeyboardInterrupt

    with answered_by(stop):
        yield


def _register_ray() -> None:
    try:
        from ray.util.joblib import register_ray
    except ImportError as error:
        raise ConfigError("--backend ray needs the extra 'ray': pip install 'weighbridge[ray]'") from error
    register_ray()
