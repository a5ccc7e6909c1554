"""What came out of a comparison or grid, as its folder has it."""

__all__ = ["accuracies_by_seed", "read_results"]

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from weighbridge.errors import RunFolderError


def read_results(folder: Path) -> dict[str, Any]:
    """results.json: its tasks, a source with a target each, their rows, and the runs of every row.

    Args:
        folder: of a comparison or grid, or a copy of its results.json under any name.

    Raises:
        RunFolderError: if there is none.
    """
    file = folder if folder.is_file() else folder / "results.json"
    try:
        results = json.loads(file.read_text(encoding="utf-8"))
        return _with_controls(dict(results) if "tasks" in results else _with_tasks(results))
    except OSError as error:
        raise RunFolderError(f"expected a finished comparison or grid (results.json) in '{folder}'") from error
    except (ValueError, KeyError, TypeError) as error:
        raise RunFolderError(f"'{file}' holds no results of a comparison or grid") from error


def accuracies_by_seed(row: Mapping[str, Any], evaluation: str | None) -> dict[int, float]:
    """seed -> accuracy in percent of what its user has: of a control's model where this one diverged.

    Seeds that were not tested are left out.
    """
    runs = [run for run in row["runs"] if evaluation in run["accuracies"]]
    return {run["seed"]: 100.0 * run["accuracies"][evaluation] for run in runs}


def _with_controls(results: dict[str, Any]) -> dict[str, Any]:
    """Results of before, when training on the source alone was the only control and nobody said so."""
    for task in results["tasks"]:
        for row in task["rows"]:
            row.setdefault("control", row["method"] == "source-only")
    return results


def _with_tasks(old: Mapping[str, Any]) -> dict[str, Any]:
    """Results of a comparison of before, in which rows stood beside the only task, and a run had one accuracy."""
    task, tested, classes = dict(old["task"]), old["task"]["evaluation"], old["task"]["classes"]
    source, target = " + ".join(entry["name"] for entry in task["source"]), task["target"]["name"]
    task |= {"name": f"{source} to {target}", "source_name": source, "target_name": target}
    task["classes"] = [str(k) for k in range(classes)] if isinstance(classes, int) else classes  # once only their count
    task["evaluations"] = [{**tested, "seen": "target", "trained_on": False}] if tested else []
    task["rows"] = [{**row, "runs": [_with_accuracies(run, tested) for run in row["runs"]]} for row in old["rows"]]
    del task["evaluation"]
    return {key: value for key, value in old.items() if key not in ("task", "rows")} | {"tasks": [task]}


def _with_accuracies(run: Mapping[str, Any], tested: Mapping[str, Any] | None) -> dict[str, Any]:
    known = {} if tested is None or run["accuracy"] is None else {tested["name"]: run["accuracy"]}
    return {key: value for key, value in run.items() if key != "accuracy"} | {"accuracies": known}
