"""From results over seeds to the rows of a table."""

__all__ = ["Difference", "Row", "Sizes", "Summary", "difference_to", "one_task", "sizes_of", "summarise"]

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from weighbridge.report.statistics import Interval, paired_by_seed, sampling_error


@dataclass(frozen=True)
class Difference:
    """A paired difference in points to another row."""

    to: str
    interval: Interval


@dataclass(frozen=True)
class Row:
    """One method.

    Attributes:
        accuracy: mean over seeds with its spread `sd`, in percent; None without evaluation labels.
        differences: seed by seed, in points: to "dann" and "source-only", both without weights, and to "uniform", the
            same method with all weights at 1.
        diverged: how many of the seeds ended in a divergence; they are left out of every mean.
        domain_accuracy: share of the domain labels that the domain classifier told right at the end, in [0, 1].
        disagreement: share of the target images that two seeds take for different classes, in percent.
        seconds: mean training time of a run, without the pre-classifier that methods share.
        caution: what to know of its settings before its numbers are believed.
    """

    name: str
    method: str
    weighting: str | None
    n: int
    accuracy: float | None
    sd: float | None
    source_accuracy: float | None
    prediction_entropy: float | None
    domain_accuracy: float | None
    disagreement: float | None
    differences: tuple[Difference, ...]
    diverged: int
    seconds: float | None
    caution: str | None = None


@dataclass(frozen=True)
class Sizes:
    """Images that were trained with.

    Attributes:
        source: (name, images) of each, without those held out.
        held_out: source images that were kept out of training; None where results do not say.
    """

    source: tuple[tuple[str, int], ...]
    held_out: int | None
    target: int


@dataclass(frozen=True)
class Summary:
    """The table.

    Attributes:
        sampling_error: standard error of one accuracy from the number of evaluation images alone, in points.
        chance: accuracy of guessing, in percent.
    """

    title: str
    rows: tuple[Row, ...]
    seeds: int
    evaluation_images: int | None
    sampling_error: float | None
    chance: float
    sizes: Sizes


def one_task(results: Mapping[str, Any], task: Mapping[str, Any], evaluation: str | None) -> dict[str, Any]:
    """From results.json of a grid: one of its tasks, as tested on one evaluation, as results of a comparison."""
    tested = next((entry for entry in task["evaluations"] if entry["name"] == evaluation), None)
    rows = []
    for row in task["rows"]:
        runs = []
        for run in row["runs"]:
            place = {"seed": run["seed"], "folder": run["folder"]}
            rest = {key: value for key, value in run.items() if key not in (*place, "accuracies")}
            runs.append({**place, "accuracy": run["accuracies"].get(evaluation), **rest})
        rows.append({**row, "runs": runs})
    facts = {key: task[key] for key in ("source", "held_out", "target", "classes", "image_size") if key in task}
    facts["evaluation"] = tested and {"name": tested["name"], "images": tested["images"]}
    kept = ("title", "command", "settings", "seeds", "machine", "labels", "seconds")
    return {**{key: results[key] for key in kept if key in results}, "task": facts, "rows": rows}


def summarise(results: Mapping[str, Any]) -> Summary:
    """From results.json of a comparison folder."""
    task = results["task"]
    accuracies = [_percent(row) for row in results["rows"]]  # per row: seed -> accuracy in percent
    # A variant has settings of its own: it is compared with the plain methods, and none with it.
    plain = [(k, row) for k, row in enumerate(results["rows"]) if not row.get("variant")]
    place = {(row["method"], row["weighting"]): k for k, row in plain}
    rows = []
    for k, row in enumerate(results["rows"]):
        finished = [run for run in row["runs"] if run["diverged_at"] is None]
        values = list(accuracies[k].values())
        differences = []
        baselines = {
            "dann": ("dann", None),
            "source-only": ("source-only", None),
            "uniform": (row["method"], "uniform"),
        }
        for to, baseline in baselines.items():
            other = place.get(baseline)
            if other is None or other == k:
                continue
            if interval := paired_by_seed(accuracies[k], accuracies[other]):
                differences.append(Difference(to, interval))
        rows.append(
            Row(
                name=row["name"],
                method=row["method"],
                weighting=row["weighting"],
                n=len(finished),
                accuracy=statistics.fmean(values) if values else None,
                sd=statistics.stdev(values) if len(values) > 1 else None,
                source_accuracy=_mean(finished, "source_accuracy", 100.0),
                prediction_entropy=_mean(finished, "prediction_entropy"),
                domain_accuracy=_mean(finished, "domain_accuracy"),
                disagreement=None if row.get("disagreement") is None else 100.0 * row["disagreement"],
                differences=tuple(differences),
                diverged=len(row["runs"]) - len(finished),
                seconds=_mean(finished, "seconds"),
                caution=row.get("caution"),
            )
        )
    images = task["evaluation"]["images"] if task["evaluation"] else None
    known = [row.accuracy for row in rows if row.accuracy is not None]
    sampling = sampling_error(statistics.fmean(known), images) if known and images else None
    return Summary(
        title=results["title"],
        rows=tuple(rows),
        seeds=len(results["seeds"]),
        evaluation_images=images,
        sampling_error=sampling,
        chance=100 / len(task["classes"]),
        sizes=sizes_of(task),
    )


def sizes_of(task: Mapping[str, Any]) -> Sizes:
    """From the task of a comparison's results.json, or one of a grid's."""
    source = tuple((entry["name"], entry["images"]) for entry in task["source"])
    return Sizes(source, task.get("held_out"), task["target"]["images"])


def difference_to(row: Row, to: str) -> Interval | None:
    return next((difference.interval for difference in row.differences if difference.to == to), None)


def _percent(row: Mapping[str, Any]) -> dict[int, float]:
    finished = [run for run in row["runs"] if run["diverged_at"] is None and run["accuracy"] is not None]
    return {run["seed"]: 100.0 * run["accuracy"] for run in finished}


def _mean(runs: Sequence[Mapping[str, Any]], key: str, factor: float = 1.0) -> float | None:
    values = [factor * run[key] for run in runs if run[key] is not None]
    return statistics.fmean(values) if values else None
