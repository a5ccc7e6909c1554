"""Every run of a grid that is not finished yet, here or in other processes. Behind `weighbridge compare`."""

__all__ = [
    "Workplaces",
    "changed_settings",
    "check_images",
    "check_settings",
    "check_weights",
    "precision_of",
    "run_folder",
    "threads_of",
    "train_all",
]

import dataclasses
import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from weighbridge.data.pairs import BATCHES
from weighbridge.data.threads import cpu_count
from weighbridge.errors import DivergenceError, RunFolderError
from weighbridge.grids.grid import Grid, Row, Task, pre_classifier_settings
from weighbridge.grids.processes import STOPPED, spread
from weighbridge.run_folder import RunFolder
from weighbridge.runs.adapt import read_file, source_only_of, train_run, train_shared
from weighbridge.runs.workplace import (
    Workplace,
    begin_run,
    featured,
    open_workplace,
    refuse_other_images,
    refuse_other_weights,
)
from weighbridge.settings import build_data, build_method
from weighbridge.settings.config import SETTINGS, Config, read_run
from weighbridge.settings.described import unread_sentence
from weighbridge.watch import Quiet, Watch


class Workplaces:
    """The data and the machine of one task at a time: the last one stays open, as images may fill the memory.

    Args:
        precision: that of the runs that are there already; one comparison has one, however often it is measured.
        threads: those of the runs that are there already. What is measured first holds for all runs of a comparison.
        at_once: how many runs share the CPUs of this machine.
    """

    def __init__(self, precision: str | None, threads: int | None, watch: Watch, *, at_once: int = 1) -> None:
        self.precision, self.threads, self.watch, self.at_once = precision, threads, watch, at_once
        self._open: tuple[object, Workplace] | None = None
        self._featured: tuple[object, Workplace] | None = None

    def of(self, task: Task, config: Config) -> Workplace:
        """Where the runs of this task and these settings happen."""
        key = (task, config.upto("workplace"))
        if self._open is None or self._open[0] != key:
            self._open = self._featured = None  # before another one is filled
            opened = open_workplace(
                task.source,
                task.target,
                config,
                self.watch,
                precision=self.precision,
                threads=self.threads and min(self.threads, max(1, cpu_count() // self.at_once)),
                at_once=self.at_once,
            )
            self.precision = opened.machine.precision
            if not config.threads:  # else it is this row's alone
                self.threads = opened.machine.threads
            self._open = key, opened
        return self._open[1]

    def featured(self, task: Task, config: Config) -> Workplace:
        """The same, with features in the place of images where these settings train on those."""
        opened = self.of(task, config)
        key = (task, config.upto("workplace"), build_data.build_preparation(config), config.views)
        if self._featured is None or self._featured[0] != key:
            self._featured = key, featured(opened, config)
        return self._featured[1]


@dataclass(frozen=True)
class _Job:
    """One run or, with `shared`, the pre-classifier of the runs of one seed."""

    task: Task
    row: Row
    seed: int
    folder: Path
    home: Path  # of the pre-classifier
    shared: bool = False

    @property
    def config(self) -> Config:
        return self.row.config.replace(seed=self.seed)

    @property
    def path(self) -> Path:
        return self.home if self.shared else self.folder

    @property
    def label(self) -> str:
        what = self.row.home if self.shared else self.row.name
        return " · ".join([*([self.task.name] if self.task.folder else []), f"seed {self.seed}", what])

    @property
    def reads(self) -> bool:
        """Whether its home is a source-only run, of which it is another reading."""
        return self.row.config.entry.start == "source-only"

    @property
    def needs_home(self) -> bool:
        config = self.row.config
        return self.reads or not config.from_scratch or config.weighting_name is not None

    @property
    def needs_folds(self) -> bool:
        config = self.row.config
        return self.needs_home and config.weighting_name is not None and config.p_a == "cross-fitted"


@dataclass(frozen=True)
class _Diverged:
    """How a run ended that did not get to its end.

    Attributes:
        step: counted from 1.
        why: the message of its error, in which is said what to try.
    """

    step: int
    why: str


def run_folder(out: Path, task: Task, seed: int, row: Row) -> Path:
    """Where a run of a grid lies."""
    return out / task.folder / f"seed-{seed}" / row.folder


def precision_of(out: Path, grid: Grid) -> str | None:
    """The precision of the runs that are there already; None if there are none.

    Raises:
        RunFolderError: if they differ, which would put differences of precision among those of the methods.
    """
    met: dict[str, Path] = {}
    for job in _jobs(grid, out):
        for folder in (RunFolder(job.home), RunFolder(job.folder)):
            if folder.started:
                met.setdefault(str(folder.facts()["machine"]["precision"]), folder.path)
    if len(met) > 1:
        runs = " and ".join(f"{precision} in '{path}'" for precision, path in met.items())
        raise RunFolderError(f"the runs of a table must have one precision, found {runs}. Delete those of one of them")
    return next(iter(met), None)


def threads_of(out: Path, grid: Grid) -> int | None:
    """The number of threads of the runs that are there already; None if there are none, or they differ."""
    folders = (RunFolder(path) for job in _jobs(grid, out) for path in (job.home, job.folder))
    met = {int(folder.facts()["machine"]["threads"]) for folder in folders if folder.started}
    return met.pop() if len(met) == 1 else None


def check_settings(grid: Grid, out: Path, task: Task) -> None:
    """Refuse to go on with runs or pre-classifiers of a task that were begun with other settings.

    Raises:
        RunFolderError: that names the first of them and what changed.
    """
    jobs = [job for job in _jobs(grid, out) if job.task == task]
    homes = {
        job.home: (source_only_of(job.config), Config.read_settings)
        if job.reads
        else (job.config, pre_classifier_settings)
        for job in jobs
    }
    for job in jobs:
        if job.reads and RunFolder(job.home).complete:
            read_file(job.config, RunFolder(job.home))
    runs = {job.folder: (job.config, Config.read_settings) for job in jobs}
    for path, (config, what_counts) in (homes | runs).items():
        folder = RunFolder(path)
        if not folder.started:
            continue
        if folder.facts().get("batches", 1) != BATCHES:
            raise RunFolderError(
                f"the run in '{folder.path}' is of an earlier build, in which a step saw other images. "
                "Choose another --out, or delete the run"
            )
        if changed := changed_settings(what_counts(read_run(folder.config)), what_counts(config)):
            raise RunFolderError(
                f"the run in '{folder.path}' was started with other settings: {changed}. "
                f"Choose another --out, give the row another name, or delete the run"
            )


def check_images(workplace: Workplace, grid: Grid, out: Path, task: Task, row: Row) -> None:
    """Refuse to go on with runs or pre-classifiers of a row, whose workplace this is, that were begun on other images.

    Raises:
        RunFolderError: that names the first of them.
    """
    jobs = [job for job in _jobs(grid, out) if job.task == task and job.row == row]
    for path in dict.fromkeys([*(job.folder for job in jobs), *(job.home for job in jobs)]):
        folder = RunFolder(path)
        if folder.started:
            refuse_other_images(workplace, folder)


def check_weights(grid: Grid, out: Path, task: Task, row: Row) -> None:
    """Look at the initial weights of a row, if one of its runs still needs them.

    Raises:
        ConfigError: if they cannot be had, or are of another network.
        RunFolderError: if a run or a pre-classifier was begun with others.
    """
    jobs = [job for job in _jobs(grid, out) if job.task == task and job.row == row]
    waiting = [job for job in jobs if not RunFolder(job.folder).complete]
    if waiting:
        build_method.check_weights(row.config)
    for path in dict.fromkeys([*(job.folder for job in waiting), *(job.home for job in waiting)]):
        folder = RunFolder(path)
        if folder.started:
            refuse_other_weights(row.config, folder)


def changed_settings(before: Mapping[str, object], now: Mapping[str, object]) -> str:
    """Which settings are others now, and what they were, in words; "" if none is."""
    both = [key for key in now if key in before]  # what only one of them reads hangs on another that is in both
    pairs = {key: (before[key], now[key]) for key in both if now[key] != before[key]}
    said = {key: ["left out" if value is None else str(value) for value in pair] for key, pair in pairs.items()}
    return ", ".join(f"{key} ({there} there, {here} now)" for key, (there, here) in said.items())


def train_all(grid: Grid, out: Path, places: Workplaces, *, at_once: int = 1, backend: str = "loky") -> dict[Path, int]:
    """Train what is not finished; whoever looks on is told by the watch of the workplaces.

    One at a time, with loky, everything happens in this process.

    Returns:
        Run folder -> step at which it diverged.

    Raises:
        KeyboardInterrupt: when somebody asked to stop; the same call goes on.
    """
    jobs = list(_jobs(grid, out))
    for row in grid.rows:
        if sentence := build_data.caution(row.config):
            places.watch.tell(f"{row.shown}: {sentence}")
    for sentence in dict.fromkeys(build_method.random_start(row.config) for row in grid.rows):
        if sentence:
            places.watch.tell(sentence)
    if unread := _unread_by_all(grid):
        places.watch.tell(unread_sentence("this comparison", unread))
    if at_once > 1 or backend != "loky":
        return _train_apart(jobs, places, at_once, backend)
    ended: dict[Path, int] = {}  # run, or what it starts from -> step at which it diverged
    for number, job in enumerate(jobs):
        places.watch.about(job.label, number, len(jobs))
        if job.needs_home and job.home in ended:  # nothing to start from
            ended[job.folder] = ended[job.home]
            continue
        ending = _train(job, places)
        if ending is not None:
            places.watch.tell(f"{job.label}: {ending.why}")
            ended[job.folder] = ending.step
            if job.needs_home and not RunFolder(job.home).complete:
                ended[job.home] = ending.step
    return _of_runs(ended, jobs)


def _of_runs(ended: Mapping[Path, int], jobs: Sequence[_Job]) -> dict[Path, int]:
    return {job.folder: ended[job.folder] for job in jobs if job.folder in ended}


def _unread_by_all(grid: Grid) -> tuple[str, ...]:
    """Settings that some row was given, at a value that no row reads."""
    in_vain = {(name, row.config.settled()[name]) for row in grid.rows for name in row.config.unread()}
    read = {entry for row in grid.rows for entry in row.config.read_settings().items()}
    return tuple(name for name in SETTINGS if name in dict(in_vain - read))


def _train_apart(jobs: Sequence[_Job], places: Workplaces, at_once: int, backend: str) -> dict[Path, int]:
    """In processes of their own: first all pre-classifiers, so that no two runs train the same one, then the runs."""
    waiting = [job for job in jobs if not RunFolder(job.folder).complete]
    shared = {job.home: dataclasses.replace(job, shared=True) for job in waiting if job.needs_home}
    # The folds of cross-fitting are shared too, so a row that has them speaks for its pre-classifier.
    shared |= {job.home: dataclasses.replace(job, shared=True) for job in waiting if job.needs_folds}
    first = [job for job in shared.values() if job.needs_folds or not RunFolder(job.home).complete]
    done, made = len(jobs) - len(waiting), {job.home for job in first}
    waiting = [job for job in waiting if job.folder not in made]  # a row that others start from is not trained twice
    total = done + len(first) + len(waiting)
    ended: dict[Path, int] = {}  # run, or what it starts from -> step at which it diverged
    for wave in (first, waiting):
        possible = [job for job in wave if job.home not in ended or not job.needs_home]
        ended |= {job.folder: ended[job.home] for job in wave if job not in possible}  # nothing to start from
        done += len(wave) - len(possible)
        if not possible:
            continue
        places.watch.about(f"{min(at_once, len(possible))} at once", done, total)
        threads = places.threads if backend == "loky" else None  # what is measured here holds for no other machine
        work = functools.partial(_train_in_worker, precision=places.precision, threads=threads)
        results = spread(work, possible, at_once=at_once, backend=backend, gpu=_wants_gpu(jobs))
        left = len(possible)
        try:
            for job, ending in results:
                if ending == STOPPED:
                    continue
                left, done = left - 1, done + 1
                if isinstance(ending, _Diverged):
                    ended[job.path] = ending.step
                places.watch.tell(f"{job.label}: {_outcome(job, ending)}")
                places.watch.about(f"{min(at_once, left)} at once", done, total)
        except KeyboardInterrupt:
            raise KeyboardInterrupt(f"stopped with {done} of {total} runs done") from None
    return _of_runs(ended, jobs)


def _jobs(grid: Grid, out: Path) -> Iterator[_Job]:
    for task in grid.tasks:
        for seed in grid.seeds:
            for row in grid.rows:
                folder = run_folder(out, task, seed, row)
                yield _Job(task, row, seed, folder, folder.with_name(row.home))


def _train(job: _Job, places: Workplaces) -> _Diverged | None:
    """None if it got to its end."""
    folder = RunFolder(job.folder)
    if folder.complete and not job.shared:
        return None
    workplace = places.featured(job.task, job.config)
    config = job.config.lasting(len(workplace.data.source))
    writes = workplace.fabric.is_global_zero
    home = RunFolder(job.home, writes=writes)
    try:
        if job.shared:
            train_shared(workplace, config, home)
            return None
        if folder.started:
            refuse_other_images(workplace, folder)
            folder = RunFolder(job.folder, writes=writes)
        else:
            folder = begin_run(workplace, config, job.folder)
        train_run(workplace, config, folder, pre_classifier=home)
    except DivergenceError as error:
        return _Diverged(error.step + 1, str(error))
    return None


@functools.cache
def _places_of_this_process(precision: str | None, threads: int | None) -> Workplaces:
    return Workplaces(precision, threads, Quiet())


def _train_in_worker(job: _Job, *, precision: str | None, threads: int | None) -> _Diverged | None:
    return _train(job, _places_of_this_process(precision, threads))


def _outcome(job: _Job, ending: _Diverged | str | None) -> str:
    if isinstance(ending, _Diverged):
        return ending.why
    return f"{RunFolder(job.path).metrics()['seconds']:.0f} s"


def _wants_gpu(jobs: Sequence[_Job]) -> bool:
    return any(
        job.config.device == "cuda" or (job.config.device == "auto" and torch.cuda.is_available()) for job in jobs
    )
