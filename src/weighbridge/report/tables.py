"""Tables as text: Markdown and CSV."""

__all__ = [
    "CSV_SIZES",
    "csv_rows",
    "csv_sizes",
    "csv_table",
    "differences_csv",
    "how_it_was_made",
    "markdown_table",
    "sizes_in_words",
    "table_cells",
    "table_note",
    "write_grid_tables",
]

import csv
import dataclasses
import io
import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from weighbridge.files import printable, replace_text, write_json
from weighbridge.report.results import View, accuracies_by_seed, read_results, views
from weighbridge.report.statistics import (
    mean_and_deviation,
    paired_by_seed,
    seeds_in_words,
    signed,
)
from weighbridge.report.summary import Row, Sizes, Summary, difference_to

CSV_SIZES = ("source_images", "held_out", "target_images")


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
        f"Mean ± standard deviation over {seeds_in_words(summary.seeds)}; paired differences in points, 95 % t "
        f"intervals; source %: accuracy on held-out source images{differ}. {sizes_in_words(summary.sizes)}"
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
            interval = difference_to(row, to)
            cells += [_number(v) for v in ((interval.mean, interval.low, interval.high) if interval else (None,) * 3)]
        rows.append([*cells, _number(row.seconds)])
    return rows


def _scores(row: Row) -> tuple[float | None, ...]:
    return (
        *(row.accuracy, row.sd, row.source_accuracy, row.prediction_entropy, row.domain_accuracy),
        row.disagreement,
    )


def table_cells(summary: Summary) -> list[list[str]]:
    """The table as text, header first; differences to what is not in it have no column."""
    labelled = summary.evaluation_images is not None
    columns = {"dann": "to DANN", "source-only": "to source only"}
    against = {to: column for to, column in columns.items() if any(difference_to(row, to) for row in summary.rows)}
    header = ["method", "accuracy %", *against.values()] if labelled else ["method"]
    differ = _shows_disagreement(summary)
    header += ["seeds differ %"] if differ else []
    table = [[*header, "source %", "seconds"]]
    for row in summary.rows:
        cells = [row.name + (f" ({row.diverged} diverged)" if row.diverged else "")]
        if labelled:
            cells.append(mean_and_deviation(row.accuracy, row.sd))
            cells += [signed(interval) if (interval := difference_to(row, to)) else "" for to in against]
        if differ:
            cells.append("-" if row.disagreement is None else f"{row.disagreement:.1f}")
        cells.append("-" if row.source_accuracy is None else f"{row.source_accuracy:.1f}")
        table.append([*cells, "-" if row.seconds is None else f"{row.seconds:.1f}"])
    return table


def _shows_disagreement(summary: Summary) -> bool:
    """Where there are labels, accuracy says more."""
    return summary.evaluation_images is None and any(row.disagreement is not None for row in summary.rows)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def write_grid_tables(folder: Path) -> None:
    """table.md, table.csv, differences.csv and summary.json from results.json."""
    results = read_results(folder)
    replace_text(folder / "differences.csv", differences_csv(results))
    seen = list(views(results))
    replace_text(folder / "table.md", _markdown(results, seen))
    replace_text(folder / "table.csv", _csv(seen))
    entries = [
        {
            "task": view.task["name"],
            "evaluation": view.evaluation,
            "findings": view.findings,
            **dataclasses.asdict(view.summary),
        }
        for view in seen
    ]
    about = {key: results[key] for key in ("title", "command", "labels")}
    write_json(folder / "summary.json", {**about, "tables": entries})


def _markdown(results: Mapping[str, Any], seen: list[View]) -> str:
    lines, before = [f"# {results['title']}\n"], None
    for view in seen:
        if view.task is not before:
            before = view.task
            lines.append(f"## {view.task['name']}\n")
        lines.append(f"### {view.heading[0].upper()}{view.heading[1:]}\n\n{markdown_table(view.summary)}")
    return "\n".join([*lines, how_it_was_made(results)])


def _csv(seen: list[View]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    for number, view in enumerate(seen):
        header, *rows = csv_rows(view.summary)
        entry = view.evaluation or {"name": "", "seen": "", "images": "", "trained_on": ""}
        error = view.summary.sampling_error
        about = [view.task["source_name"], view.task["target_name"]]
        about += [entry["name"], entry["seen"], entry["images"], "" if error is None else f"{error:.4f}"]
        about += csv_sizes(view.summary)
        if number == 0:
            where = ["source", "target", "evaluation", "seen", "images", "sampling_error", *CSV_SIZES]
            writer.writerow([*where, *header])
        writer.writerows([*about, *row] for row in rows)
    return text.getvalue()


def differences_csv(results: Mapping[str, Any]) -> str:
    """Every row less every other of its task, paired seed by seed, on every evaluation: points, 95 % t intervals."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["source", "target", "evaluation", "row", "less", "seeds", "difference", "low", "high"])
    for task in results["tasks"]:
        for name in [entry["name"] for entry in task["evaluations"]]:
            accuracies = {row["name"]: accuracies_by_seed(row, name) for row in task["rows"]}
            for (row, ours), (other, theirs) in itertools.permutations(accuracies.items(), 2):
                interval = paired_by_seed(ours, theirs)
                if interval is None:
                    continue
                edges = ["" if v is None else f"{v:.4f}" for v in (interval.mean, interval.low, interval.high)]
                writer.writerow([task["source_name"], task["target_name"], name, row, other, interval.n, *edges])
    return text.getvalue()
