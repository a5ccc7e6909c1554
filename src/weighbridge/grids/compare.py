"""Methods, sources, targets and seeds on the same terms, and honest tables. Behind `weighbridge compare` and `demo`."""

__all__ = ["begun", "compare", "compare_grid", "proposed_for"]

import dataclasses
import functools
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout

from weighbridge.errors import ConfigError, RunFolderError
from weighbridge.files import replace_text, write_json
from weighbridge.grids.grid import Grid, Task, grid_of, read_grid
from weighbridge.grids.jobs import (
    Workplaces,
    changed_settings,
    check_images,
    check_settings,
    check_weights,
    precision_of,
    threads_of,
    train_all,
)
from weighbridge.grids.record import results_of
from weighbridge.report.page import write_report
from weighbridge.report.tables import write_tables
from weighbridge.runs.workplace import Workplace
from weighbridge.settings import build_data
from weighbridge.settings.config import SETTINGS, Config, from_mapping, read_toml, write_toml
from weighbridge.watch import Quiet, Watch

_PROPOSED = "proposed.json"


def compare(
    source: Sequence[Path],
    target: Path,
    config: Config,
    out: Path,
    *,
    methods: Sequence[str],
    seeds: Sequence[int],
    evaluation: Path | None = None,
    title: str = "Comparison",
    watch: Watch | None = None,
    at_once: int = 1,
    backend: str = "loky",
    proposed: Mapping[str, Any] | None = None,
) -> Path | None:
    """Train every method on every seed and write tables and a report; finished runs in the folder are kept.

    Methods of one seed share its pre-classifier, the order of the images and the first weights of the network, so that
    their differences are paired.

    Args:
        methods: `METHOD` or `METHOD:WEIGHTING`, each once.
        evaluation: labelled images of the target domain. They are read after all training, for the table alone.
        at_once: runs that are trained at the same time, each in a process of its own.
        backend: see `spread`.
        proposed: which of the settings were chosen by the images, and why, for proposed.json.

    Returns:
        The folder; None in all training processes but the first.
    """
    grid = grid_of(source, target, config, methods=methods, seeds=seeds, evaluation=evaluation, title=title)
    if config.processes > 1 and _apart(at_once, backend):
        raise ConfigError(f"--jobs trains whole runs at once, each in one process; got processes = {config.processes}")
    if begun(out):
        _refuse_other_settings(out, config)
    else:
        _refuse_somebody_s(out, "comparison")

    def begin() -> None:
        write_toml(out / "config.toml", dataclasses.asdict(config))
        if proposed is not None:
            write_json(out / _PROPOSED, proposed)

    return _train_and_record(grid, out, begin, watch or Quiet(), at_once, backend)


def begun(out: Path) -> bool:
    """Whether a comparison lies in this folder."""
    return (out / "config.toml").is_file()


def proposed_for(out: Path) -> dict[str, Any] | None:
    """What was chosen by the images when the comparison in this folder began; None if nothing was."""
    path = out / _PROPOSED
    if not path.is_file():
        return None
    proposed: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return proposed


def compare_grid(file: Path, out: Path, *, at_once: int = 1, backend: str = "loky", watch: Watch | None = None) -> Path:
    """Train every row of every task of a grid on every seed, test every model on every evaluation, and write tables.

    What is finished in the folder is kept: seeds, rows, tasks and evaluations may be added to the file later.

    Args:
        file: the TOML file; see `grid.read_grid`.
        at_once, backend: as in `compare`.
    """
    grid = read_grid(file)
    if (out / "grid.toml").is_file():
        _refuse_another_contrast(out, file)
    else:
        _refuse_somebody_s(out, "grid")
    begin = functools.partial(replace_text, out / "grid.toml", file.read_text(encoding="utf-8"))
    _train_and_record(grid, out, begin, watch or Quiet(), at_once, backend)
    return out


def _train_and_record(
    grid: Grid, out: Path, begin: Callable[[], None], watch: Watch, at_once: int, backend: str
) -> Path | None:
    """Check, train, test, write; `begin` notes in the folder what was asked for, once nothing speaks against it."""
    started = time.perf_counter()
    apart, threads = _apart(at_once, backend), torch.get_num_threads()
    share = at_once if apart and backend == "loky" else 1
    places = Workplaces(precision_of(out, grid), threads_of(out, grid), watch, at_once=share)
    alike = len(grid.tasks) == 1 and len({build_data.build_reading(row.config) for row in grid.rows}) == 1
    keep = alike and not apart
    workplaces = {task: _checked(task, grid, out, places, keep=keep) for task in grid.tasks}
    fabric = next(iter(workplaces.values())).fabric
    fabric.barrier()  # all have looked before one of them writes
    with _alone_in(out) if fabric.world_size == 1 else nullcontext():  # one of several must not stop by itself
        if fabric.is_global_zero:
            begin()
        diverged = train_all(grid, out, places, at_once=at_once, backend=backend)
        if apart:
            torch.set_num_threads(threads)  # its workers are gone, and it tests their models alone
        if fabric.is_global_zero:
            write_json(out / "results.json", results_of(grid, out, workplaces, diverged, watch, started))
            write_tables(out)
            write_report(out)
        fabric.barrier()
    return out if fabric.is_global_zero else None


def _checked(task: Task, grid: Grid, out: Path, places: Workplaces, *, keep: bool) -> Workplace:
    """The workplace of a task, once all that could stop its runs after hours was looked at.

    Args:
        keep: whether its images are decoded already, since its runs will happen there.
    """
    check_settings(grid, out, task)
    checked = set[object]()
    for row in reversed(grid.rows):  # the first row comes last, and stays
        check_weights(grid, out, task, row)
        config = row.config if keep else row.config.replace(cache="off")
        workplace, reading = places.of(task, config), build_data.build_reading(config)
        for path in grid.evaluations.values() if reading not in checked else ():
            build_data.check_labels(path, config, workplace.data.classes)
        checked.add(reading)
        check_images(workplace, grid, out, task, row)
    return workplace


@contextmanager
def _alone_in(out: Path) -> Iterator[None]:
    out.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(out / ".lock", timeout=0):  # the system lets go of it when its owner dies
            yield
    except Timeout as error:
        raise RunFolderError(f"another weighbridge compare is at work in '{out}'; wait for it or stop it") from error


def _apart(at_once: int, backend: str) -> bool:
    """Whether runs are trained in processes of their own."""
    return at_once > 1 or backend != "loky"


def _refuse_somebody_s(out: Path, what: str) -> None:
    if out.exists() and any(out.iterdir()):
        raise RunFolderError(f"'{out}' exists already and is not a {what}. Choose another --out.")


def _refuse_another_contrast(out: Path, file: Path) -> None:
    """A contrast that is named, or changed, when results may be known was not named beforehand."""
    before, now = (read_toml(path).get("primary") for path in (out / "grid.toml", file))
    if before != now:
        raise RunFolderError(
            f"'{out}' was begun with {'another' if before else 'no'} [primary], which has to be named before training. "
            "Put it back, or choose another --out"
        )


def _refuse_other_settings(out: Path, config: Config) -> None:
    before = dataclasses.asdict(from_mapping(read_toml(out / "config.toml"), where=str(out / "config.toml")))
    now = dataclasses.asdict(config)
    left_out = [name for name, setting in SETTINGS.items() if setting.otherwise is not None]
    rows = (
        "method",
        "backbone",
        "weights",
        "normalisation",
        *left_out,
    )  # of a single run; `check_settings` compares rows one by one
    changed = changed_settings(before, {key: value for key, value in now.items() if key not in rows})
    if changed:
        raise RunFolderError(f"'{out}' holds a comparison with other settings: {changed}. Choose another --out.")
