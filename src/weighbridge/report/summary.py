"""From results over seeds to tables."""

__all__ = ["Difference", "Sizes", "Table", "TableRow", "difference_to", "sizes_of", "summarise", "tables_of"]

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from weighbridge.files import printable
from weighbridge.report.results import accuracies_by_seed
from weighbridge.report.statistics import Interval, paired_by_seed, sampling_error


@dataclass(frozen=True)
class Difference:
    """A paired difference in points to another row."""

    to: str
    interval: Interval


@dataclass(frozen=True)
class TableRow:
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
class Table:
    """One task, tested on one evaluation.

    Attributes:
        task: its name, as it can be printed.
        evaluation: as in results.json: name, images, seen, trained_on; None where there is none.
        sampling_error: standard error of one accuracy from the number of evaluation images alone, in points.
        chance: accuracy of guessing, in percent.
    """

    task: str
    source_name: str
    target_name: str
    evaluation: Mapping[str, Any] | None
    rows: tuple[TableRow, ...]
    seeds: int
    sampling_error: float | None
    chance: float
    sizes: Sizes

    @property
    def evaluation_images(self) -> int | None:
        return None if self.evaluation is None else int(self.evaluation["images"])


def tables_of(results: Mapping[str, Any]) -> list[Table]:
    """Every task with every evaluation, in the order of the file."""
    return [
        summarise(results, task, evaluation)
        for task in results["tasks"]
        for evaluation in task["evaluations"] or [None]
    ]


def summarise(results: Mapping[str, Any], task: Mapping[str, Any], evaluation: Mapping[str, Any] | None) -> Table:
    """The table of a task of results.json and one of its evaluations, or None where it has none."""
    name, images = (evaluation["name"], evaluation["images"]) if evaluation else (None, 0)
    accuracies = [accuracies_by_seed(row, name) for row in task["rows"]]
    rows = tuple(
        _row(row, list(accuracies[k].values()), _differences(task["rows"], accuracies, k))
        for k, row in enumerate(task["rows"])
    )
    known = [row.accuracy for row in rows if row.accuracy is not None]
    return Table(
        task=printable(task["name"]),
        source_name=task["source_name"],
        target_name=task["target_name"],
        evaluation=evaluation,
        rows=rows,
        seeds=len(results["seeds"]),
        sampling_error=sampling_error(statistics.fmean(known), images) if known and images else None,
        chance=100 / len(task["classes"]),
        sizes=sizes_of(task),
    )


def sizes_of(task: Mapping[str, Any]) -> Sizes:
    source = tuple((entry["name"], entry["images"]) for entry in task["source"])
    return Sizes(source, task.get("held_out"), task["target"]["images"])


def difference_to(row: TableRow, to: str) -> Interval | None:
    return next((difference.interval for difference in row.differences if difference.to == to), None)


def _row(row: Mapping[str, Any], accuracies: Sequence[float], differences: tuple[Difference, ...]) -> TableRow:
    finished = [run for run in row["runs"] if run["diverged_at"] is None]
    return TableRow(
        name=row["name"],
        method=row["method"],
        weighting=row["weighting"],
        n=len(finished),
        accuracy=statistics.fmean(accuracies) if accuracies else None,
        sd=statistics.stdev(accuracies) if len(accuracies) > 1 else None,
        source_accuracy=_mean(finished, "source_accuracy", 100.0),
        prediction_entropy=_mean(finished, "prediction_entropy"),
        domain_accuracy=_mean(finished, "domain_accuracy"),
        disagreement=None if row.get("disagreement") is None else 100.0 * row["disagreement"],
        differences=differences,
        diverged=len(row["runs"]) - len(finished),
        seconds=_mean(finished, "seconds"),
        caution=row.get("caution"),
    )


def _differences(
    rows: Sequence[Mapping[str, Any]], accuracies: Sequence[Mapping[int, float]], k: int
) -> tuple[Difference, ...]:
    """Of row k to its baselines, where they are in the table and share a seed with it."""
    # A variant has settings of its own: it is compared with the plain methods, and none with it.
    place = {(row["method"], row["weighting"]): n for n, row in enumerate(rows) if not row.get("variant")}
    baselines: dict[str, tuple[str, str | None]] = {"dann": ("dann", None), "source-only": ("source-only", None)}
    baselines["uniform"] = (rows[k]["method"], "uniform")
    others = {to: place[kind] for to, kind in baselines.items() if place.get(kind, k) != k}
    found = {to: paired_by_seed(accuracies[k], accuracies[other]) for to, other in others.items()}
    return tuple(Difference(to, interval) for to, interval in found.items() if interval)


def _mean(runs: Sequence[Mapping[str, Any]], key: str, factor: float = 1.0) -> float | None:
    values = [factor * run[key] for run in runs if run[key] is not None]
    return statistics.fmean(values) if values else None
