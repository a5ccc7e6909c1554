"""From results over seeds to an honest table and plain sentences. Plain functions; nothing is trained here."""

__all__ = [
    "CSV_SIZES",
    "Difference",
    "Interval",
    "Row",
    "Sizes",
    "Summary",
    "csv_rows",
    "csv_sizes",
    "csv_table",
    "disagreement",
    "findings",
    "how_it_was_made",
    "markdown_table",
    "mean_and_deviation",
    "mean_interval",
    "one_task",
    "paired_by_seed",
    "paired_difference",
    "sampling_error",
    "signed",
    "sizes_in_words",
    "sizes_of",
    "summarise",
    "table_cells",
    "table_note",
]

import csv
import io
import itertools
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from weighbridge.inspection.wording import printable

CSV_SIZES = ("source_images", "held_out", "target_images")
_FEW_SEEDS = 5
_NOT_ALIGNED = 0.9  # share of the domain labels still told right at the end; 0.5 is chance
_FORGOTTEN = 3.0  # points on held-out source images below training on the source alone
_SURE = 3.0  # sampling errors above chance: an accuracy below this is nothing learned


@dataclass(frozen=True)
class Interval:
    """A mean over n seeds and the interval it lies in; None for the edges where one seed tells nothing of spread."""

    mean: float
    low: float | None
    high: float | None
    n: int


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


def paired_difference(a: Sequence[float], b: Sequence[float], confidence: float = 0.95) -> Interval:
    """Mean of a - b over pairs, with Student's t interval.

    Args:
        a, b: values of the same seeds in the same order, at least one.
    """
    differences = [x - y for x, y in zip(a, b, strict=True)]
    n, mean = len(differences), statistics.fmean(differences)
    if n < 2:
        return Interval(mean, None, None, n)
    margin = float(stats.t.ppf(0.5 + confidence / 2, n - 1)) * statistics.stdev(differences) / math.sqrt(n)
    return Interval(mean, mean - margin, mean + margin, n)


def paired_by_seed(ours: Mapping[int, float], theirs: Mapping[int, float]) -> Interval | None:
    """`paired_difference` of values by seed, over the seeds that both have; None if they share none."""
    shared = [seed for seed in ours if seed in theirs]
    return paired_difference([ours[s] for s in shared], [theirs[s] for s in shared]) if shared else None


def mean_interval(values: Sequence[float], confidence: float = 0.95) -> Interval:
    """Mean of values, at least one, with Student's t interval."""
    return paired_difference(values, [0.0] * len(values), confidence)


def disagreement(predicted: Sequence[NDArray[np.int32]]) -> float | None:
    """Share of the images that two runs take for different classes, mean over all pairs of runs, in [0, 1].

    It needs no label. Of two runs that differ at least one errs, so the mean error of the runs is at least half of it.
    It is that error where the runs together are calibrated (Jiang, Nagarajan, Baek, Kolter, "Assessing Generalization
    of SGD via Disagreement", ICLR 2022), which is least to be relied on for images unlike those of training (Kirsch
    and Gal, "A Note on" that paper, TMLR 2022).

    Args:
        predicted: of each run (N,), the classes of the same images in the same order.

    Returns:
        None where there is but one run, or none.
    """
    shares = [float(np.mean(ours != theirs)) for ours, theirs in itertools.combinations(predicted, 2)]
    return statistics.fmean(shares) if shares else None


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


def findings(summary: Summary) -> list[str]:
    """What the table says, in words; also where the paper's method did not win."""
    said = [
        f"{row.name}: {row.diverged} of {summary.seeds} seeds diverged and are left out."
        for row in summary.rows
        if row.diverged
    ]
    said += [f"{row.name}: {row.caution}." for row in summary.rows if row.caution]
    if summary.evaluation_images is None:
        said.append(
            "No labelled images of the target were given, so accuracy there is not known. "
            "Label a hundred or so and run weighbridge compare with --evaluation."
        )
        return said + _without_labels(summary)
    scored = [row for row in summary.rows if row.accuracy is not None]
    if not scored:
        return said
    best = max(scored, key=lambda row: row.accuracy or 0.0)
    fewer = f" over {_seeds(best.n)} of {summary.seeds}" if best.n < summary.seeds else ""
    said.insert(0, f"Highest mean accuracy: {best.name} with {best.accuracy:.1f} %{fewer}.")
    nothing_learned = summary.chance + _SURE * sampling_error(summary.chance, summary.evaluation_images)
    for row in scored:
        if row.method == "weighted-dann" and row.weighting == "paper":
            said += _verdict(row, "dann", "DANN")
            said += _share_of_weights(row)
        if row.method != "source-only":
            said += _against_source(row)
            said += _on_its_own_source(row, summary)
        if row.domain_accuracy is not None and row.domain_accuracy > _NOT_ALIGNED:
            said.append(
                f"{row.name} did not align the domains: at the end its domain classifier is right about "
                f"{100 * row.domain_accuracy:.0f} % of the images (50 % is chance)."
            )
        if row.accuracy is not None and row.accuracy < nothing_learned:
            said.append(f"{row.name} is at chance ({summary.chance:.1f} %): its training collapsed.")
    if any((row.domain_accuracy or 0.0) > _NOT_ALIGNED for row in scored):
        said.append("What gives the domains away without a look at content, weighbridge inspect lists.")
    if summary.seeds < _FEW_SEEDS:
        few = "One seed is" if summary.seeds == 1 else f"{summary.seeds} seeds are"
        said.append(f"{few} few: the intervals are wide, and a difference inside one may be luck.")
    return said


def markdown_table(summary: Summary) -> str:
    """The table in Markdown, with what its numbers mean underneath."""
    header, *rows = table_cells(summary)
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines) + f"\n\n{table_note(summary)}\n"


def table_note(summary: Summary) -> str:
    """What the numbers of the table mean."""
    shown = _shows_disagreement(summary)
    differ = "; seeds differ %: target images that two seeds take for different classes" if shown else ""
    note = (
        f"Mean ± standard deviation over {_seeds(summary.seeds)}; paired differences in points, 95 % t intervals; "
        f"source %: accuracy on held-out source images{differ}. {sizes_in_words(summary.sizes)}"
    )
    if summary.sampling_error is not None:
        note += (
            f"; {summary.evaluation_images:,} evaluation images: sampling error ±{summary.sampling_error:.1f} points"
        )
    return note + "."


def how_it_was_made(results: Mapping[str, Any]) -> str:
    """What ends a file of tables, in Markdown: which labels were read, seeds, hash of the settings, command."""
    seeds = ", ".join(map(str, results["seeds"]))
    settings = f"settings {results['settings']}; " if "settings" in results else ""
    return f"{results['labels']}\n\nSeeds {seeds}; {settings}made by\n\n```\n{results['command']}\n```\n"


def sizes_in_words(sizes: Sizes) -> str:
    """Such as "900 realtime + 900 prerendered source images, 200 more held out; 80 target images"."""
    counts = [(f"{images:,}", printable(name)) for name, images in sizes.source]
    source = counts[0][0] if len(counts) == 1 else " + ".join(f"{count} {name}" for count, name in counts)
    held_out = "" if sizes.held_out is None else f", {sizes.held_out:,} more held out"
    return f"{source} source images{held_out}; {sizes.target:,} target images"


def csv_table(summary: Summary) -> str:
    """The table in CSV, a number per cell, empty where there is none."""
    text = io.StringIO()
    sampling = "" if summary.sampling_error is None else f"{summary.sampling_error:.4f}"
    about = [*csv_sizes(summary), summary.evaluation_images or "", sampling]
    header, *rows = csv_rows(summary)
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*header, *CSV_SIZES, "images", "sampling_error"])
    writer.writerows([*row, *about] for row in rows)
    return text.getvalue()


def csv_sizes(summary: Summary) -> list[object]:
    """The cells under `CSV_SIZES`."""
    sizes = summary.sizes
    return [sum(images for _, images in sizes.source), "" if sizes.held_out is None else sizes.held_out, sizes.target]


def csv_rows(summary: Summary) -> list[list[object]]:
    """The cells of the table in CSV, header first."""
    head = [
        "name",
        "method",
        "weighting",
        "seeds",
        "diverged",
        "accuracy",
        "sd",
        "source_accuracy",
        "prediction_entropy",
        "domain_accuracy",
        "disagreement",
    ]
    parts = [f"{part}_to_{to}" for to in ("dann", "source-only") for part in ("difference", "low", "high")]
    rows: list[list[object]] = [[*head, *parts, "seconds"]]
    for row in summary.rows:
        cells: list[object] = [row.name, row.method, row.weighting or "", row.n, row.diverged]
        cells += [_number(v) for v in _scores(row)]
        for to in ("dann", "source-only"):
            interval = _difference(row, to)
            cells += [_number(v) for v in ((interval.mean, interval.low, interval.high) if interval else (None,) * 3)]
        rows.append([*cells, _number(row.seconds)])
    return rows


def _scores(row: Row) -> tuple[float | None, ...]:
    return (
        *(row.accuracy, row.sd, row.source_accuracy, row.prediction_entropy, row.domain_accuracy),
        row.disagreement,
    )


def _without_labels(summary: Summary) -> list[str]:
    shares = [f"{row.name} {row.disagreement:.1f} %" for row in summary.rows if row.disagreement is not None]
    if not shares:
        return []
    return [
        f"Of the target images, two seeds take for different classes: {', '.join(shares)}. At least half as "
        "many are wrong; about as many, where seeds are no surer than right; more, where they err alike: a low number "
        "is no proof."
    ]


def _verdict(row: Row, to: str, other: str) -> list[str]:
    interval = _difference(row, to)
    if interval is None:
        return []
    size = f"{signed(interval)} points over {_seeds(interval.n)}"
    if interval.low is None or interval.high is None:
        return [f"{row.name} against {other}: {size}; one seed shows no spread, so this proves nothing."]
    if interval.low > 0:
        return [f"{row.name} beat {other}: {size}."]
    if interval.high < 0:
        return [f"{row.name} lost to {other}: {size}."]
    return [f"{row.name} and {other}: no difference that we can be sure of, {size}."]


def _share_of_weights(row: Row) -> list[str]:
    interval = _difference(row, "uniform")
    if interval is None:
        return []
    unsure = interval.low is None or interval.high is None or interval.low <= 0 <= interval.high
    verdict = ", which may be luck" if unsure else ""
    return [
        f"The weights themselves: {signed(interval)} points over {_seeds(interval.n)} against the same training with "
        f"all weights at 1{verdict}."
    ]


def sampling_error(accuracy: float, images: int) -> float:
    """Standard error of an accuracy in percent from the number of evaluation images alone, in points."""
    share = accuracy / 100
    return 100 * math.sqrt(share * (1 - share) / images)


def _seeds(count: int) -> str:
    return "one seed" if count == 1 else f"{count} seeds"


def _against_source(row: Row) -> list[str]:
    interval = _difference(row, "source-only")
    if interval is None or interval.low is None or interval.high is None:
        return []
    if interval.high < 0:
        return [f"Negative transfer: {row.name} is worse than not adapting at all, {signed(interval)} points."]
    if interval.low > 0:
        return [f"{row.name} helped: {signed(interval)} points over training on the source alone."]
    return [f"{row.name} against the source alone: {signed(interval)} points, which may be luck."]


def _on_its_own_source(row: Row, summary: Summary) -> list[str]:
    """What may lie behind a low accuracy and has nothing to do with the target."""
    alone = next((other.source_accuracy for other in summary.rows if other.method == "source-only"), None)
    if alone is None or row.source_accuracy is None or row.source_accuracy > alone - _FORGOTTEN:
        return []
    return [
        f"{row.name} knows the source less well than training on it alone does, {row.source_accuracy:.1f} against "
        f"{alone:.1f} % of its held-out images: it was trained on it too little, or lost it while adapting."
    ]


def table_cells(summary: Summary) -> list[list[str]]:
    """The table as text, header first; differences to what is not in it have no column."""
    labelled = summary.evaluation_images is not None
    columns = {"dann": "to DANN", "source-only": "to source only"}
    against = {to: column for to, column in columns.items() if any(_difference(row, to) for row in summary.rows)}
    header = ["method", "accuracy %", *against.values()] if labelled else ["method"]
    differ = _shows_disagreement(summary)
    header += ["seeds differ %"] if differ else []
    table = [[*header, "source %", "seconds"]]
    for row in summary.rows:
        cells = [row.name + (f" ({row.diverged} diverged)" if row.diverged else "")]
        if labelled:
            cells.append(mean_and_deviation(row.accuracy, row.sd))
            cells += [signed(interval) if (interval := _difference(row, to)) else "" for to in against]
        if differ:
            cells.append("-" if row.disagreement is None else f"{row.disagreement:.1f}")
        cells.append("-" if row.source_accuracy is None else f"{row.source_accuracy:.1f}")
        table.append([*cells, "-" if row.seconds is None else f"{row.seconds:.1f}"])
    return table


def _shows_disagreement(summary: Summary) -> bool:
    """Where there are labels, accuracy says more."""
    return summary.evaluation_images is None and any(row.disagreement is not None for row in summary.rows)


def _difference(row: Row, to: str) -> Interval | None:
    return next((difference.interval for difference in row.differences if difference.to == to), None)


def mean_and_deviation(mean: float | None, sd: float | None) -> str:
    """Such as "71.2 ± 0.8"; "-" where there is no mean."""
    return "-" if mean is None else f"{mean:.1f}" + (f" ± {sd:.1f}" if sd is not None else "")


def signed(interval: Interval) -> str:
    """A difference as tables write it, with its interval where there is one."""
    if interval.low is None or interval.high is None:
        return f"{interval.mean:+.1f}"
    return f"{interval.mean:+.1f} [{interval.low:+.1f}, {interval.high:+.1f}]"


def _percent(row: Mapping[str, Any]) -> dict[int, float]:
    finished = [run for run in row["runs"] if run["diverged_at"] is None and run["accuracy"] is not None]
    return {run["seed"]: 100.0 * run["accuracy"] for run in finished}


def _mean(runs: Sequence[Mapping[str, Any]], key: str, factor: float = 1.0) -> float | None:
    values = [factor * run[key] for run in runs if run[key] is not None]
    return statistics.fmean(values) if values else None


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"
