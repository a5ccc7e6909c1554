"""What came out of a grid, as results.json has it. Labels of evaluations are looked at here, after all training."""

__all__ = ["results_of"]

import dataclasses
import hashlib
import json
import statistics
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from weighbridge.data.domains import LabelledDomain
from weighbridge.engine.evaluate import Evaluation
from weighbridge.files import write_json
from weighbridge.grids.grid import Grid, Row, Task
from weighbridge.grids.jobs import run_folder
from weighbridge.report.statistics import disagreement
from weighbridge.run_folder import command_line
from weighbridge.runs.finished import Run
from weighbridge.runs.tables import read_predicted
from weighbridge.runs.workplace import Workplace
from weighbridge.settings import build_data
from weighbridge.watch import Watch

_NOTHING = ("source_accuracy", "prediction_entropy", "domain_accuracy", "seconds")  # of a run that diverged


def results_of(
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
    data, tests = workplace.data, _Tests(grid, workplace.data.classes)
    if not task.folder:  # a comparison's, whose source is called as its parts are
        task = dataclasses.replace(task, source_name=" + ".join(data.source.source_names))
    rows = []
    for place, row in enumerate(grid.rows):
        about = f"testing {task.name} · {row.name}" if task.folder else f"testing {row.name}"
        watch.about(about, place, len(grid.rows))
        rows.append(_row_results(grid, out, task, row, tests, diverged))
    sizes = zip(data.source.source_names, data.source.images_of_sources(), strict=True)
    return {
        "name": task.name,
        "source_name": task.source_name,
        "source": [{"name": name, "images": images} for name, images in sizes],
        "held_out": len(data.held_out),
        "target": {"name": task.target.name, "images": len(data.target)},
        "target_name": task.target_name,
        "classes": list(data.classes),
        "image_size": grid.rows[0].config.image_size,
        "evaluations": _evaluations(grid, task, tests.of(grid.rows[0])),
        "rows": rows,
    }


def _evaluations(grid: Grid, task: Task, domains: Mapping[str, LabelledDomain]) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "images": len(domains[name]),
            "seen": grid.seen(task, name),
            "trained_on": _trained_on(task, path, domains[name]),
        }
        for name, path in grid.evaluations.items()
    ]


def _row_results(
    grid: Grid, out: Path, task: Task, row: Row, tests: "_Tests", diverged: Mapping[Path, int]
) -> dict[str, Any]:
    noted = min(grid.evaluations.items(), key=lambda entry: grid.seen(task, entry[0]) != "target", default=None)
    paths = [(seed, run_folder(out, task, seed, row)) for seed in grid.seeds]
    runs = [_run_results(path, out, seed, tests.of(row), noted, diverged.get(path)) for seed, path in paths]
    return {
        "method": row.config.method,
        "weighting": row.config.weighting_name,
        "name": row.shown,
        "disagreement": _disagreement(out, runs, tests.classes),
        **({"caution": sentence} if (sentence := build_data.caution(row.config)) else {}),
        **({"variant": True} if row.variant else {}),
        "runs": runs,
    }


class _Tests:
    """The evaluations of a task, read once for all rows that read images alike."""

    def __init__(self, grid: Grid, classes: Sequence[str]) -> None:
        self._grid, self.classes = grid, classes
        self._read: dict[object, dict[str, LabelledDomain]] = {}

    def of(self, row: Row) -> dict[str, LabelledDomain]:
        key = build_data.build_reading(row.config)
        if key not in self._read:
            self._read[key] = {
                name: build_data.open_labelled(path, row.config, self.classes)
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
