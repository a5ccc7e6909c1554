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
from numpy.typing import NDArray

from weighbridge.data.domains import LabelledDomain
from weighbridge.engine.evaluate import Evaluation
from weighbridge.files import whole_file, write_json
from weighbridge.grids.grid import Grid, Row, Task
from weighbridge.grids.jobs import run_folder
from weighbridge.report.statistics import disagreement
from weighbridge.report.uncertainty import photo_covariance, photo_freedom
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
        **({"primary": _primary(grid)} if grid.primary else {}),
        "command": command_line(),
        "settings": grid.fingerprint(),
        "seeds": list(grid.seeds),
        "machine": next(iter(workplaces.values())).machine.facts(),
        "labels": _labels_used(grid),
        "tasks": tasks,
        "seconds": round(time.perf_counter() - started, 1),
    }


def _primary(grid: Grid) -> dict[str, Any]:
    """The contrast that was named beforehand, by what tables call its rows."""
    assert grid.primary is not None
    shown = {row.name: row.shown for row in grid.rows}
    control = grid.primary.control
    return {
        "method": shown[grid.primary.method],
        "control": shown.get(control, control),
        "margin": grid.primary.margin,
    }


def _task_results(
    grid: Grid, out: Path, task: Task, workplace: Workplace, diverged: Mapping[Path, int], watch: Watch
) -> dict[str, Any]:
    data, tests = workplace.data, _Tests(grid, workplace.data.classes)
    if not task.folder:  # a comparison's, whose source is called as its parts are
        task = dataclasses.replace(task, source_name=" + ".join(data.source.source_names))
    tested: dict[Path, dict[str, Evaluation]] = {}
    for place, row in enumerate(grid.rows):
        about = f"testing {task.name} · {row.name}" if task.folder else f"testing {row.name}"
        watch.about(about, place, len(grid.rows))
        tested |= _tested_row(grid, out, task, row, tests, diverged)
    rows = [_row_results(grid, out, task, row, tests, tested, diverged) for row in grid.rows]
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
        "evaluations": _evaluations(grid, out, task, tests.of(grid.rows[0]), tested),
        "rows": rows,
    }


def _evaluations(
    grid: Grid,
    out: Path,
    task: Task,
    domains: Mapping[str, LabelledDomain],
    tested: Mapping[Path, dict[str, Evaluation]],
) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "images": len(domains[name]),
            "seen": grid.seen(task, name),
            "trained_on": _trained_on(task, path, domains[name]),
            **_photo_errors(grid, out, task, domains[name], name, tested),
        }
        for name, path in grid.evaluations.items()
    ]


def _photo_errors(
    grid: Grid,
    out: Path,
    task: Task,
    domain: LabelledDomain,
    name: str,
    tested: Mapping[Path, dict[str, Evaluation]],
) -> dict[str, Any]:
    """Groups of an evaluation, and what their sampling does to the rows: covariance in points^2, and its freedom.

    Rows and columns of a row that was never tested hold null. Images are in the same order for all rows, as all read
    the same files.
    """
    group = np.unique(domain.groups.whole(), return_inverse=True)[1]  # (N,)
    sizes = np.bincount(group)  # (G,)
    right: list[NDArray[np.int64] | None] = []  # (S, G) of each row
    for row in grid.rows:
        evaluations = [_stands(tested, grid, out, task, seed, row) for seed in grid.seeds]
        counts = [np.bincount(group, weights=entry[name].right).astype(np.int64) for entry in evaluations if entry]
        right.append(np.stack(counts) if counts else None)
    known = [k for k, counts in enumerate(right) if counts is not None]
    rows = [counts for counts in right if counts is not None]
    return {
        "groups": len(sizes),
        "grouped_by": domain.grouped_by,
        "covariance": _spread_out(photo_covariance(rows, sizes) if rows else None, known, len(right)),
        "freedom": _spread_out(photo_freedom(rows, sizes) if rows else None, known, len(right)),
    }


def _spread_out(matrix: NDArray[np.float64] | None, known: Sequence[int], rows: int) -> list[list[float | None]] | None:
    """A matrix over some rows as one over all, null elsewhere; six digits of each number."""
    if matrix is None:
        return None
    whole: list[list[float | None]] = [[None] * rows for _ in range(rows)]
    for a, values in zip(known, matrix.tolist(), strict=True):
        for b, value in zip(known, values, strict=True):
            whole[a][b] = float(f"{value:.6g}")
    return whole


def _tested_row(
    grid: Grid, out: Path, task: Task, row: Row, tests: "_Tests", diverged: Mapping[Path, int]
) -> dict[Path, dict[str, Evaluation]]:
    """Run folder -> its tests, of the runs that got to their end."""
    noted = min(grid.evaluations.items(), key=lambda entry: grid.seen(task, entry[0]) != "target", default=None)
    tested = {}
    for path in (run_folder(out, task, seed, row) for seed in grid.seeds):
        if path not in diverged:
            run, domains = Run(path), tests.of(row)
            tested[path] = _tested(run, domains)
            if noted is not None:  # what the run's own report shows
                run.note(tested[path][noted[0]], str(noted[1]), domains[noted[0]])
    return tested


def _stands(
    tested: Mapping[Path, dict[str, Evaluation]], grid: Grid, out: Path, task: Task, seed: int, row: Row
) -> dict[str, Evaluation] | None:
    """The tests of what a user of this row has for a seed: of its model or, if it diverged, of the control's."""
    stand_in = _stand_in(tested, grid, out, task, seed)
    path = run_folder(out, task, seed, row)
    if path in tested:
        return tested[path]
    return tested[run_folder(out, task, seed, stand_in)] if stand_in else None


def _stand_in(tested: Mapping[Path, Any], grid: Grid, out: Path, task: Task, seed: int) -> Row | None:
    """The first control of this seed that got to its end: what whoever meets a divergence is left with."""
    controls = [row for row in grid.rows if row.config.entry.control]
    return next((row for row in controls if run_folder(out, task, seed, row) in tested), None)


def _row_results(
    grid: Grid,
    out: Path,
    task: Task,
    row: Row,
    tests: "_Tests",
    tested: Mapping[Path, dict[str, Evaluation]],
    diverged: Mapping[Path, int],
) -> dict[str, Any]:
    runs = []
    for seed in grid.seeds:
        path, stand_in = run_folder(out, task, seed, row), _stand_in(tested, grid, out, task, seed)
        found = _stands(tested, grid, out, task, seed, row)
        counts_as = stand_in.shown if stand_in and path in diverged else None
        runs.append(_run_results(path, out, seed, found or {}, diverged.get(path), counts_as))
    return {
        "method": row.config.method,
        "weighting": row.config.weighting_name,
        "name": row.shown,
        "control": row.config.entry.control,
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
    path: Path, out: Path, seed: int, found: Mapping[str, Evaluation], step: int | None, counts_as: str | None
) -> dict[str, Any]:
    """One run; `step` is where it diverged, `counts_as` the control whose tests these are then."""
    about = {
        "seed": seed,
        "folder": str(path.relative_to(out)),
        "accuracies": {name: evaluation.accuracy for name, evaluation in found.items()},
        "class_means": {name: evaluation.class_mean for name, evaluation in found.items()},
    }
    if step is not None:
        return {**about, **dict.fromkeys(_NOTHING), "diverged_at": step, "counts_as": counts_as}
    run = Run(path)
    held_out = run.metrics["source_held_out"]
    return {
        **about,
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
    file, outcomes = run.folder.path / "evaluations.json", run.folder.path / "evaluations.npz"
    known = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    right = _outcomes(outcomes)
    with run.folder.model.open("rb") as model:
        weights = hashlib.file_digest(model, "sha256").digest()
    marks = {name: _mark(weights, domain) for name, domain in domains.items()}
    kept = {name for name in domains if known.get(name, {}).get("mark") == marks[name] and marks[name] in right}
    new = {name: domain for name, domain in domains.items() if name not in kept}
    made = run.test(new) if new else {}
    found = {
        name: made[name] if name in made else Evaluation.of(known[name], right[marks[name]][: len(domain)])
        for name, domain in domains.items()
    }
    if new or found.keys() != known.keys():
        with whole_file(outcomes) as part, part.open("wb") as archive:
            packed = {marks[name]: np.packbits(evaluation.right) for name, evaluation in found.items()}
            np.savez(archive, allow_pickle=False, **packed)
        write_json(file, {name: {"mark": marks[name], **evaluation.facts()} for name, evaluation in found.items()})
    return found


def _outcomes(file: Path) -> dict[str, NDArray[np.bool_]]:
    """Mark of a test -> whether each image was told right, with up to seven more at the end; empty without a file."""
    if not file.is_file():
        return {}
    with np.load(file, allow_pickle=False) as archive:
        return {mark: np.unpackbits(archive[mark]).astype(np.bool_) for mark in archive.files}


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
