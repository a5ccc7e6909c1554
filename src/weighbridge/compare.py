"""Methods, sources, targets and seeds on the same terms, and honest tables. Behind `weighbridge compare` and `demo`."""

__all__ = ["compare", "compare_grid"]

import dataclasses
import hashlib
import json
import statistics
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from weighbridge import build
from weighbridge.comparison import csv_table, disagreement, how_it_was_made, markdown_table, one_task, summarise
from weighbridge.config import OF_METHOD, Config, from_mapping, read_toml, write_toml
from weighbridge.data.domains import LabelledDomain
from weighbridge.engine import Quiet, Watch
from weighbridge.errors import ConfigError, RunFolderError
from weighbridge.evaluate import Evaluation
from weighbridge.grid import Grid, Row, Task, grid_of, read_grid
from weighbridge.grid_tables import as_grid, differences_csv, write_grid_tables
from weighbridge.harness import Workplaces, changed_settings, check_started, precision_of, run_folder, train_all
from weighbridge.report import write_report
from weighbridge.runs import command_line, replace_text, write_json
from weighbridge.tables import read_predicted
from weighbridge.trained import Run
from weighbridge.training import Workplace

_NOTHING = ("source_accuracy", "prediction_entropy", "domain_accuracy", "seconds")  # of a run that diverged


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
        build.check_labels(evaluation, config, workplace.data.classes)
    check_started(workplace, grid, out, task)
    fabric.barrier()  # all have looked before one of them writes
    if fabric.is_global_zero:
        out.mkdir(parents=True, exist_ok=True)
        write_toml(out / "config.toml", dataclasses.asdict(config))

    diverged = train_all(grid, out, places, at_once=at_once, backend=backend)
    if fabric.is_global_zero:
        whole = _results(grid, out, {task: workplace}, diverged, watch, started)
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
            write_json(out / "results.json", _results(grid, out, workplaces, diverged, watch, started))
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
            build.check_labels(path, row.config, workplace.data.classes)
    check_started(workplace, grid, out, task)
    return workplace


def _undecoded(config: Config) -> Config:
    return config.replace(cache="off")


def _results(
    grid: Grid,
    out: Path,
    workplaces: Mapping[Task, Workplace],
    diverged: Mapping[Path, int],
    watch: Watch,
    started: float,
) -> dict[str, Any]:
    """All numbers. Only now are labels of evaluations looked at."""
    tasks = [_task_results(grid, out, task, workplace, diverged, watch) for task, workplace in workplaces.items()]
    return {
        "title": grid.title,
        "command": command_line(),
        "settings": grid.fingerprint(),
        "seeds": list(grid.seeds),
        "machine": next(iter(workplaces.values())).machine.facts(),
        "labels": _labels_used(grid),
        "tasks": tasks,
        "seconds": round(time.perf_counter() - started, 1),
    }


def _task_results(
    grid: Grid, out: Path, task: Task, workplace: Workplace, diverged: Mapping[Path, int], watch: Watch
) -> dict[str, Any]:
    tests = _Tests(grid, workplace.data.classes)
    noted = min(grid.evaluations.items(), key=lambda entry: grid.seen(task, entry[0]) != "target", default=None)
    rows = []
    for place, row in enumerate(grid.rows):
        watch.about(
            f"testing {task.name} · {row.name}" if task.folder else f"testing {row.name}", place, len(grid.rows)
        )
        paths = [(seed, run_folder(out, task, seed, row)) for seed in grid.seeds]
        runs = [_run_results(path, out, seed, tests.of(row), noted, diverged.get(path)) for seed, path in paths]
        kind: dict[str, Any] = {"method": row.config.method, "weighting": build.weighting_name(row.config)}
        kind |= {"name": row.shown, "disagreement": _disagreement(out, runs, workplace.data.classes)}
        kind |= {"caution": sentence} if (sentence := build.caution(row.config)) else {}
        rows.append({**kind, **({"variant": True} if row.variant else {}), "runs": runs})
    data = workplace.data
    sizes = zip(data.source.source_names, data.source.images_of_sources(), strict=True)
    domains = tests.of(grid.rows[0])
    return {
        "name": task.name,
        "source_name": task.source_name,
        "source": [{"name": name, "images": images} for name, images in sizes],
        "held_out": len(data.held_out),
        "target": {"name": task.target.name, "images": len(data.target)},
        "target_name": task.target_name,
        "classes": list(data.classes),
        "image_size": grid.rows[0].config.image_size,
        "evaluations": [
            {
                "name": name,
                "images": len(domains[name]),
                "seen": grid.seen(task, name),
                "trained_on": _trained_on(task, path, domains[name]),
            }
            for name, path in grid.evaluations.items()
        ],
        "rows": rows,
    }


class _Tests:
    """The evaluations of a task, read once for all rows that read images alike."""

    def __init__(self, grid: Grid, classes: Sequence[str]) -> None:
        self._grid, self._classes = grid, classes
        self._read: dict[object, dict[str, LabelledDomain]] = {}

    def of(self, row: Row) -> dict[str, LabelledDomain]:
        key = build.build_reading(row.config)
        if key not in self._read:
            self._read[key] = {
                name: build.open_labelled(path, row.config, self._classes)
                for name, path in self._grid.evaluations.items()
            }
        return self._read[key]


def _run_results(
    path: Path,
    out: Path,
    seed: int,
    domains: Mapping[str, LabelledDomain],
    noted: tuple[str, Path] | None,
    step: int | None,
) -> dict[str, Any]:
    """One run; `noted` is the evaluation that the run's own report shows, `step` where it diverged."""
    about = {"seed": seed, "folder": str(path.relative_to(out))}
    if step is not None:
        return {**about, "accuracies": {}, **dict.fromkeys(_NOTHING), "diverged_at": step}
    run = Run(path)
    found = _tested(run, domains)
    if noted is not None:
        run.note(found[noted[0]], str(noted[1]))
    held_out = run.metrics["source_held_out"]
    return {
        **about,
        "accuracies": {name: evaluation.accuracy for name, evaluation in found.items()},
        "source_accuracy": held_out and held_out["accuracy"],
        "prediction_entropy": run.metrics["target"]["prediction_entropy"],
        "domain_accuracy": _last_domain_accuracy(run),
        "seconds": run.metrics["seconds"],
        "diverged_at": None,
    }


def _disagreement(out: Path, runs: Sequence[Mapping[str, Any]], classes: Sequence[str]) -> float | None:
    folders = [out / run["folder"] for run in runs if run["diverged_at"] is None]
    return disagreement([read_predicted(folder / "predictions.csv", classes) for folder in folders])


def _tested(run: Run, domains: Mapping[str, LabelledDomain]) -> dict[str, Evaluation]:
    """All tests of a run. Those on record for the same model, images and labels are not made again."""
    if not domains:
        return {}
    file = run.folder.path / "evaluations.json"
    known = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    with run.folder.model.open("rb") as model:
        weights = hashlib.file_digest(model, "sha256").digest()
    marks = {name: _mark(weights, domain) for name, domain in domains.items()}
    new = {name: domain for name, domain in domains.items() if known.get(name, {}).get("mark") != marks[name]}
    made = run.test(new) if new else {}
    found = {name: made[name] if name in made else Evaluation.of(known[name]) for name in domains}
    if new or found.keys() != known.keys():
        write_json(file, {name: {"mark": marks[name], **evaluation.facts()} for name, evaluation in found.items()})
    return found


def _mark(weights: bytes, labelled: LabelledDomain) -> str:
    """Another one where the model, an image, a label or a class is another."""
    digest = hashlib.sha256(weights)
    digest.update(repr((labelled.fingerprint, labelled.classes)).encode("utf-8", "backslashreplace"))
    digest.update(labelled.labels.whole().astype(np.int64).tobytes())
    return digest.hexdigest()[:16]


def _last_domain_accuracy(run: Run) -> float | None:
    """How well the domain classifier still told the domains apart over the last tenth of the log; None without one."""
    values = [record["domain_accuracy"] for record in run.folder.records() if "domain_accuracy" in record]
    return statistics.fmean(values[-max(1, len(values) // 10) :]) if values else None


def _trained_on(task: Task, evaluation: Path, labelled: LabelledDomain) -> bool:
    """Whether these very images, with their labels, were trained on: the same place, and no split kept them out."""
    same = evaluation.resolve() in {path.resolve() for path in task.source}
    return same and bool((labelled.splits.whole() <= 1).any())  # 0: no split is named, 1: train


def _labels_used(grid: Grid) -> str:
    if not grid.evaluations:
        return "No target labels were given and none were used."
    table = "this table" if len(grid.tasks) == len(grid.evaluations) == 1 else "these tables"
    return (
        "No target label was used for training, for stopping or for any choice of settings in this command: every "
        f"run is taken at its last step. The labels of the evaluation images were read after all training, for {table} "
        "alone."
    )


def _refuse_other_settings(out: Path, config: Config) -> None:
    before = dataclasses.asdict(from_mapping(read_toml(out / "config.toml"), where=str(out / "config.toml")))
    now = dataclasses.asdict(config)
    rows = ("method", "weighting", "backbone", *OF_METHOD)  # of a single run; `check_started` compares rows one by one
    changed = changed_settings(before, {key: value for key, value in now.items() if key not in rows})
    if changed:
        raise RunFolderError(f"'{out}' holds a comparison with other settings: {changed}. Choose another --out.")
