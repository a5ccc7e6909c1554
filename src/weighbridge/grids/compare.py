"""Methods, sources, targets and seeds on the same terms, and honest tables. Behind `weighbridge compare` and `demo`."""

__all__ = ["compare", "compare_grid"]

import dataclasses
import time
from collections.abc import Sequence
from pathlib import Path

from filelock import FileLock, Timeout

from weighbridge.errors import ConfigError, RunFolderError
from weighbridge.files import replace_text, write_json
from weighbridge.grids.grid import Grid, Task, grid_of, read_grid
from weighbridge.grids.jobs import Workplaces, changed_settings, check_started, precision_of, train_all
from weighbridge.grids.record import results_of
from weighbridge.report.page import write_report
from weighbridge.report.results import as_grid
from weighbridge.report.summary import one_task, summarise
from weighbridge.report.tables import csv_table, differences_csv, how_it_was_made, markdown_table, write_grid_tables
from weighbridge.runs.workplace import Workplace
from weighbridge.settings import build_data
from weighbridge.settings.config import SETTINGS, Config, from_mapping, read_toml, write_toml
from weighbridge.watch import Quiet, Watch


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
) -> Path | None:
    """Train every method on every seed and write tables and a report; finished runs in the folder are kept.

    Methods of one seed share its pre-classifier, the order of the images and the first weights of the network, so that
    their differences are paired.

    Args:
        methods: `METHOD` or `METHOD:WEIGHTING`, each once.
        evaluation: labelled images of the target domain. They are read after all training, for the table alone.
        at_once: runs that are trained at the same time, each in a process of its own.
        backend: see `spread`.

    Returns:
        The folder; None in all training processes but the first.
    """
    watch = watch or Quiet()
    grid = grid_of(source, target, config, methods=methods, seeds=seeds, evaluation=evaluation, title=title)
    (task,) = grid.tasks
    apart = at_once > 1 or backend != "loky"
    if apart and config.processes > 1:
        raise ConfigError(f"--jobs trains whole runs at once, each in one process; got processes = {config.processes}")
    if (out / "config.toml").is_file():
        _refuse_other_settings(out, config)
    elif out.exists() and any(out.iterdir()):
        raise RunFolderError(f"'{out}' exists already and is not a comparison. Choose another --out.")
    started = time.perf_counter()
    places = Workplaces(precision_of(out, grid), watch)
    workplace = places.of(task, _undecoded(config) if apart else config)
    fabric = workplace.fabric
    if evaluation:
        build_data.check_labels(evaluation, config, workplace.data.classes)
    check_started(workplace, grid, out, task)
    fabric.barrier()  # all have looked before one of them writes
    if fabric.is_global_zero:
        out.mkdir(parents=True, exist_ok=True)
        write_toml(out / "config.toml", dataclasses.asdict(config))

    diverged = train_all(grid, out, places, at_once=at_once, backend=backend)
    if fabric.is_global_zero:
        whole = results_of(grid, out, {task: workplace}, diverged, watch, started)
        results = one_task(whole, whole["tasks"][0], evaluation.name if evaluation else None)
        write_json(out / "results.json", results)
        summary = summarise(results)
        about = {key: results[key] for key in ("command", "labels")}
        write_json(out / "summary.json", {**about, **dataclasses.asdict(summary)})
        text = f"# {results['title']}\n\n{markdown_table(summary)}\n{how_it_was_made(results)}"
        replace_text(out / "table.md", text)
        replace_text(out / "table.csv", csv_table(summary))
        replace_text(out / "differences.csv", differences_csv(as_grid(results)))
        write_report(out)
    fabric.barrier()
    return out if fabric.is_global_zero else None


def compare_grid(file: Path, out: Path, *, at_once: int = 1, backend: str = "loky", watch: Watch | None = None) -> Path:
    """Train every row of every task of a grid on every seed, test every model on every evaluation, and write tables.

    What is finished in the folder is kept: seeds, rows, tasks and evaluations may be added to the file later.

    Args:
        file: the TOML file; see `grid.read_grid`.
        at_once, backend: as in `compare`.
    """
    watch = watch or Quiet()
    grid = read_grid(file)
    if not (out / "grid.toml").is_file() and out.exists() and any(out.iterdir()):
        raise RunFolderError(f"'{out}' exists already and is not a grid. Choose another --out.")
    started = time.perf_counter()
    places = Workplaces(precision_of(out, grid), watch)
    workplaces = {task: _checked(task, grid, out, places) for task in grid.tasks}
    out.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(out / ".lock", timeout=0):  # the system lets go of it when its owner dies
            replace_text(out / "grid.toml", file.read_text(encoding="utf-8"))
            diverged = train_all(grid, out, places, at_once=at_once, backend=backend)
            write_json(out / "results.json", results_of(grid, out, workplaces, diverged, watch, started))
            write_grid_tables(out)
            write_report(out)
    except Timeout as error:
        raise RunFolderError(f"another weighbridge compare is at work in '{out}'; wait for it or stop it") from error
    return out


def _checked(task: Task, grid: Grid, out: Path, places: Workplaces) -> Workplace:
    """The workplace of a task, images undecoded, once all that could stop its runs after hours was looked at."""
    for row in reversed(grid.rows):  # the first row comes last, and stays
        workplace = places.of(task, _undecoded(row.config))
        for path in grid.evaluations.values():
            build_data.check_labels(path, row.config, workplace.data.classes)
    check_started(workplace, grid, out, task)
    return workplace


def _undecoded(config: Config) -> Config:
    return config.replace(cache="off")


def _refuse_other_settings(out: Path, config: Config) -> None:
    before = dataclasses.asdict(from_mapping(read_toml(out / "config.toml"), where=str(out / "config.toml")))
    now = dataclasses.asdict(config)
    left_out = [name for name, setting in SETTINGS.items() if setting.otherwise is not None]
    rows = ("method", "backbone", *left_out)  # of a single run; `check_started` compares rows one by one
    changed = changed_settings(before, {key: value for key, value in now.items() if key not in rows})
    if changed:
        raise RunFolderError(f"'{out}' holds a comparison with other settings: {changed}. Choose another --out.")
