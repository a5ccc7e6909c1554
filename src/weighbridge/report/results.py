"""The results of a comparison or grid, as its folder has them."""

__all__ = ["SEEN", "View", "accuracies_by_seed", "as_grid", "read_results", "views"]

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from weighbridge.errors import RunFolderError
from weighbridge.report.sentences import findings
from weighbridge.report.summary import Summary, one_task, summarise

SEEN = {"source": "source domain", "target": "target domain", "unseen": "a domain never seen in training"}


@dataclass(frozen=True)
class View:
    """One task, tested on one evaluation.

    Attributes:
        evaluation: as in results.json: name, images, seen, trained_on; None where there is none.
    """

    task: Mapping[str, Any]
    evaluation: Mapping[str, Any] | None
    summary: Summary

    @property
    def findings(self) -> list[str]:
        """The table in words; on the source domain there is nothing to adapt to, and nothing is said."""
        if self.evaluation is not None and self.evaluation["seen"] == "source":
            return []
        return findings(self.summary)

    @property
    def heading(self) -> str:
        """Such as "tested on photos: target domain, 240 images"."""
        if self.evaluation is None:
            return "not tested: there are no labelled images"
        same = ", the very images that were trained on" if self.evaluation["trained_on"] else ""
        entry = self.evaluation
        return f"tested on {entry['name']}: {SEEN[entry['seen']]}, {entry['images']:,} images{same}"


def read_results(folder: Path) -> dict[str, Any]:
    """results.json of a grid, or that of a comparison as a grid of one task.

    Args:
        folder: of a comparison or grid, or a copy of its results.json under any name.

    Raises:
        RunFolderError: if there is none.
    """
    file = folder if folder.is_file() else folder / "results.json"
    try:
        return as_grid(json.loads(file.read_text(encoding="utf-8")))
    except OSError as error:
        raise RunFolderError(f"expected a finished comparison or grid (results.json) in '{folder}'") from error
    except (ValueError, KeyError, TypeError) as error:
        raise RunFolderError(f"'{file}' holds no results of a comparison or grid") from error


def as_grid(results: Mapping[str, Any]) -> dict[str, Any]:
    """Results of a comparison as those of a grid with one task and at most one evaluation."""
    if "tasks" in results:
        return dict(results)
    task, tested = results["task"], results["task"]["evaluation"]
    evaluations = [{**tested, "seen": "target", "trained_on": False}] if tested else []
    rows = []
    for row in results["rows"]:
        runs = [
            {**run, "accuracies": {tested["name"]: run["accuracy"]} if tested and run["accuracy"] is not None else {}}
            for run in row["runs"]
        ]
        rows.append({**row, "runs": runs})
    source = " + ".join(entry["name"] for entry in task["source"])
    names = {
        "source_name": source,
        "target_name": task["target"]["name"],
        "name": f"{source} to {task['target']['name']}",
    }
    return {**results, "tasks": [{**task, **names, "evaluations": evaluations, "rows": rows}]}


def views(results: Mapping[str, Any]) -> Iterator[View]:
    """Every task with every evaluation, in the order of the file."""
    for task in results["tasks"]:
        for evaluation in task["evaluations"] or [None]:
            name = evaluation and evaluation["name"]
            yield View(task, evaluation, summarise(one_task(results, task, name)))


def accuracies_by_seed(row: Mapping[str, Any], evaluation: str) -> dict[int, float]:
    """seed -> accuracy in percent, without the seeds that diverged."""
    finished = [run for run in row["runs"] if run["diverged_at"] is None]
    return {run["seed"]: 100 * run["accuracies"][evaluation] for run in finished}
