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
from weighbridge.report.results import read_results
from weighbridge.report.sentences import findings, heading
from weighbridge.report.statistics import Interval, mean_and_deviation, seeds_in_words, signed
from weighbridge.report.summary import BEST_CONTROL, Scores, Sizes, Table, TableRow, contrast_to, tables_of
from weighbridge.report.uncertainty import holm

_ABOUT = ("source", "target", "evaluation", "seen", "images", "groups", "grouped_by", "photo_margin", "best_control")
_SIZES = ("source_images", "held_out", "target_images")
_ROW = ("name", "method", "weighting", "control", "primary", "seeds", "diverged")
_SCORES = ("accuracy", "sd", "class_mean", "source_accuracy", "prediction_entropy", "domain_accuracy", "disagreement")
_BASELINES = {BEST_CONTROL: "to best control", "dann": "to DANN"}
_EDGES = ("difference", "low", "high")
_PHOTOS = {
    "group": "photos of a group count together",
    "near-duplicates": "near-duplicates count together, and intervals are at least so wide",
    "nothing": "photos count as independent, so intervals are at least so wide",
}


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
            lines += [f"- {sentence}" for sentence in findings(table)] + [""]
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
        f"Mean ± standard deviation over {seeds_in_words(table.seeds)}. Differences are paired by seed, in points. "
        f"{_intervals_in_words(table)} source %: accuracy on held-out source images."
    )
    if table.best_control is not None:
        note += f" Best control: {printable(table.best_control)}, chosen by these labels, which favours the controls."
    if _shows_class_means(table):
        note += " class mean %: every class counts alike."
    if shown:
        note += " seeds differ %: target images that two seeds take for different classes."
    note += f" {sizes_in_words(table.sizes)}."
    if table.photo_margin is not None:
        groups = f" in {table.groups:,} groups" if table.groups and table.grouped_by != "nothing" else ""
        least = "" if table.grouped_by == "group" else "at least "
        note += (
            f" {table.evaluation_images:,} evaluation images{groups}: "
            f"their choice alone gives an accuracy a 95 % interval of {least}±{table.photo_margin:.1f} points."
        )
    return note


def _intervals_in_words(table: Table) -> str:
    if table.grouped_by is None or not table.over_photos:
        return "Brackets hold 95 % t intervals over seeds alone."
    return f"Brackets hold 95 % intervals over seeds and photos; {_PHOTOS[table.grouped_by]}."


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
    against = {to: title for to, title in _BASELINES.items() if any(contrast_to(row, to) for row in table.rows)}
    labelled, differ, by_class = table.evaluation is not None, _shows_disagreement(table), _shows_class_means(table)
    header = [
        "method",
        *(["accuracy %", *(["class mean %"] if by_class else []), *against.values()] if labelled else []),
    ]
    header += [*(["seeds differ %"] if differ else []), "source %", "seconds"]
    cells = [header]
    for row in table.rows:
        line = [row.name + (f" ({row.diverged} diverged)" if row.diverged else "")]
        if labelled:
            line.append(mean_and_deviation(row.accuracy, row.sd))
            line += [_one_decimal(row.class_mean)] if by_class else []
            line += [signed(found.estimate.interval()) if (found := contrast_to(row, to)) else "" for to in against]
        line += [_one_decimal(row.disagreement)] if differ else []
        cells.append([*line, _one_decimal(row.source_accuracy), _one_decimal(row.seconds)])
    return cells


def _shows_disagreement(table: Table) -> bool:
    """Where there are labels, accuracy says more."""
    return table.evaluation is None and any(row.disagreement is not None for row in table.rows)


def _shows_class_means(table: Table) -> bool:
    return any(row.class_mean is not None for row in table.rows)


def _one_decimal(value: float | None) -> str:
    return mean_and_deviation(value, None)


def tables_csv(tables: Iterable[Table]) -> str:
    """Every row of every table in CSV, a number per cell, empty where there is none."""
    against = [f"{part}_to_{to.replace(' ', '_')}" for to in _BASELINES for part in (*_EDGES, "p_holm")]
    header = [*_ABOUT, *_SIZES, *_ROW, *_SCORES, *against, "seconds"]
    return _csv(header, ([*_about(table), *_csv_cells(row, table)] for table in tables for row in table.rows))


def _about(table: Table) -> list[object]:
    """What all rows of a table have in common: the cells under `_ABOUT` and `_SIZES`."""
    entry = table.evaluation or dict.fromkeys(("name", "seen", "images"), "")
    tested = [entry["name"], entry["seen"], entry["images"], entry.get("groups", ""), entry.get("grouped_by", "")]
    tested += [_number(table.photo_margin), table.best_control or ""]
    held_out = "" if table.sizes.held_out is None else table.sizes.held_out
    sizes = [sum(images for _, images in table.sizes.source), held_out, table.sizes.target]
    return [table.source_name, table.target_name, *tested, *sizes]


def _csv_cells(row: TableRow, table: Table) -> list[object]:
    edges: list[str] = []
    for found in (contrast_to(row, to) for to in _BASELINES):
        edges += [*_edges(found.estimate.interval()), _number(found.p)] if found else ["", "", "", ""]
    scores = [_number(getattr(row, score)) for score in _SCORES]
    named = "yes" if table.primary is not None and table.primary.method == row.name else ""
    about = [row.name, row.method, row.weighting or "", "yes" if row.control else "", named, row.n, row.diverged]
    return [*about, *scores, *edges, _number(row.seconds)]


def _edges(interval: Interval) -> list[str]:
    """The cells under `_EDGES`."""
    return [_number(value) for value in (interval.mean, interval.low, interval.high)]


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _csv(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([printable(cell) if isinstance(cell, str) else cell for cell in row] for row in rows)
    return text.getvalue()


def differences_csv(results: Mapping[str, Any]) -> str:
    """Every row less every other of its task on every evaluation: points, 95 % intervals over seeds and photos.

    `p_holm` is corrected over all pairs of rows of a table, as if none had been named beforehand.
    """
    rows: list[list[object]] = []
    for task in results["tasks"]:
        names = [row["name"] for row in task["rows"]]
        for entry in task["evaluations"]:
            scores = Scores(task["rows"], entry)
            pairs = {
                (a, b): less for a, b in itertools.permutations(range(len(names)), 2) if (less := scores.less(a, b))
            }
            tried = {pair: p for pair, less in pairs.items() if pair[0] < pair[1] and (p := less.p_value()) is not None}
            corrected = dict(zip(tried, holm(list(tried.values())), strict=True))
            for (a, b), less in pairs.items():
                about = [task["source_name"], task["target_name"], entry["name"], names[a], names[b], less.n]
                rows.append([*about, *_edges(less.interval()), _number(corrected.get((min(a, b), max(a, b))))])
    return _csv(["source", "target", "evaluation", "row", "less", "seeds", *_EDGES, "p_holm"], rows)
