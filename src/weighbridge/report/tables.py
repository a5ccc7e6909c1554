"""Tables as text: Markdown and CSV."""

__all__ = [
    "differences_csv",
    "how_it_was_made",
    "markdown_lines",
    "markdown_table",
    "sizes_in_words",
    "table_cells",
    "table_note",
    "tables_csv",
    "write_tables",
]

import csv
import dataclasses
import io
import itertools
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from weighbridge.files import printable, replace_text, write_json
from weighbridge.report.results import accuracies_by_seed, read_results
from weighbridge.report.sentences import findings, heading
from weighbridge.report.statistics import Interval, mean_and_deviation, paired_by_seed, seeds_in_words, signed
from weighbridge.report.summary import Sizes, Table, TableRow, difference_to, tables_of

_ABOUT = ("source", "target", "evaluation", "seen", "images", "sampling_error")
_SIZES = ("source_images", "held_out", "target_images")
_ROW = ("name", "method", "weighting", "seeds", "diverged")
_SCORES = ("accuracy", "sd", "source_accuracy", "prediction_entropy", "domain_accuracy", "disagreement")
_BASELINES = {"dann": "to DANN", "source-only": "to source only"}
_EDGES = ("difference", "low", "high")


def write_tables(folder: Path) -> None:
    """table.md, table.csv, differences.csv and summary.json from results.json."""
    results = read_results(folder)
    tables = tables_of(results)
    replace_text(folder / "table.md", _markdown(results, tables))
    replace_text(folder / "table.csv", tables_csv(tables))
    replace_text(folder / "differences.csv", differences_csv(results))
    about = {key: results[key] for key in ("title", "command", "labels")}
    entries = [{**dataclasses.asdict(table), "findings": findings(table)} for table in tables]
    write_json(folder / "summary.json", {**about, "tables": entries})


def _markdown(results: Mapping[str, Any], tables: Iterable[Table]) -> str:
    lines = [f"# {results['title']}\n"]
    for task, of_task in itertools.groupby(tables, lambda table: table.task):
        lines.append(f"## {task}\n")
        for table in of_task:
            said = heading(table)
            lines.append(f"### {said[0].upper()}{said[1:]}\n\n{markdown_table(table)}")
    return "\n".join([*lines, how_it_was_made(results)])


def markdown_table(table: Table) -> str:
    """The table in Markdown, with what its numbers mean underneath."""
    header, *rows = table_cells(table)
    return f"{markdown_lines(header, rows)}\n{table_note(table)}\n"


def markdown_lines(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of names in the first column and of numbers in the others."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "".join("| " + " | ".join(cells) + " |\n" for cells in lines)


def table_note(table: Table) -> str:
    """What the numbers of the table mean."""
    shown = _shows_disagreement(table)
    note = (
        f"Mean ± standard deviation over {seeds_in_words(table.seeds)}. Differences are paired by seed, in points, "
        f"with 95 % t intervals. source %: accuracy on held-out source images."
    )
    if shown:
        note += " seeds differ %: target images that two seeds take for different classes."
    note += f" {sizes_in_words(table.sizes)}."
    if table.sampling_error is not None:
        note += f" {table.evaluation_images:,} evaluation images: sampling error ±{table.sampling_error:.1f} points."
    return note


def sizes_in_words(sizes: Sizes) -> str:
    """Such as "900 realtime + 900 prerendered source images, 200 more held out; 80 target images"."""
    counts = [(f"{images:,}", printable(name)) for name, images in sizes.source]
    source = counts[0][0] if len(counts) == 1 else " + ".join(f"{count} {name}" for count, name in counts)
    held_out = "" if sizes.held_out is None else f", {sizes.held_out:,} more held out"
    return f"{source} source images{held_out}; {sizes.target:,} target images"


def how_it_was_made(results: Mapping[str, Any]) -> str:
    """What ends a file of tables, in Markdown: which labels were read, seeds, hash of the settings, command."""
    seeds = ", ".join(map(str, results["seeds"]))
    settings = f"settings {results['settings']}; " if "settings" in results else ""
    return f"{results['labels']}\n\nSeeds {seeds}; {settings}made by\n\n```\n{results['command']}\n```\n"


def table_cells(table: Table) -> list[list[str]]:
    """The table as text, header first; differences to what is not in it have no column."""
    against = {to: title for to, title in _BASELINES.items() if any(difference_to(row, to) for row in table.rows)}
    labelled, differ = table.evaluation is not None, _shows_disagreement(table)
    header = ["method", *(["accuracy %", *against.values()] if labelled else [])]
    header += [*(["seeds differ %"] if differ else []), "source %", "seconds"]
    cells = [header]
    for row in table.rows:
        line = [row.name + (f" ({row.diverged} diverged)" if row.diverged else "")]
        if labelled:
            line.append(mean_and_deviation(row.accuracy, row.sd))
            line += [signed(interval) if (interval := difference_to(row, to)) else "" for to in against]
        line += [_one_decimal(row.disagreement)] if differ else []
        cells.append([*line, _one_decimal(row.source_accuracy), _one_decimal(row.seconds)])
    return cells


def _shows_disagreement(table: Table) -> bool:
    """Where there are labels, accuracy says more."""
    return table.evaluation is None and any(row.disagreement is not None for row in table.rows)


def _one_decimal(value: float | None) -> str:
    return mean_and_deviation(value, None)


def tables_csv(tables: Iterable[Table]) -> str:
    """Every row of every table in CSV, a number per cell, empty where there is none."""
    against = [f"{part}_to_{to}" for to in _BASELINES for part in _EDGES]
    header = [*_ABOUT, *_SIZES, *_ROW, *_SCORES, *against, "seconds"]
    return _csv(header, ([*_about(table), *_csv_cells(row)] for table in tables for row in table.rows))


def _about(table: Table) -> list[object]:
    """What all rows of a table have in common: the cells under `_ABOUT` and `_SIZES`."""
    entry = table.evaluation or dict.fromkeys(("name", "seen", "images"), "")
    tested = [entry["name"], entry["seen"], entry["images"], _number(table.sampling_error)]
    held_out = "" if table.sizes.held_out is None else table.sizes.held_out
    sizes = [sum(images for _, images in table.sizes.source), held_out, table.sizes.target]
    return [table.source_name, table.target_name, *tested, *sizes]


def _csv_cells(row: TableRow) -> list[object]:
    edges = [edge for to in _BASELINES for edge in _edges(difference_to(row, to))]
    scores = [_number(getattr(row, score)) for score in _SCORES]
    return [row.name, row.method, row.weighting or "", row.n, row.diverged, *scores, *edges, _number(row.seconds)]


def _edges(interval: Interval | None) -> list[str]:
    """The cells under `_EDGES`."""
    return ["", "", ""] if interval is None else [_number(v) for v in (interval.mean, interval.low, interval.high)]


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _csv(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([printable(cell) if isinstance(cell, str) else cell for cell in row] for row in rows)
    return text.getvalue()


def differences_csv(results: Mapping[str, Any]) -> str:
    """Every row less every other of its task, paired seed by seed, on every evaluation: points, 95 % t intervals."""
    rows: list[list[object]] = []
    for task in results["tasks"]:
        for name in [entry["name"] for entry in task["evaluations"]]:
            accuracies = {row["name"]: accuracies_by_seed(row, name) for row in task["rows"]}
            for (row, ours), (other, theirs) in itertools.permutations(accuracies.items(), 2):
                if interval := paired_by_seed(ours, theirs):
                    about = [task["source_name"], task["target_name"], name, row, other]
                    rows.append([*about, interval.n, *_edges(interval)])
    return _csv(["source", "target", "evaluation", "row", "less", "seeds", *_EDGES], rows)
