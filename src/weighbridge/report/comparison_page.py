"""The page of a comparison or a grid, read from its folder."""

__all__ = ["comparison_page"]

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from weighbridge.errors import RunFolderError
from weighbridge.files import printable
from weighbridge.report import comparison_figures, run_figures, style
from weighbridge.report.html import Cell, Heading, Line, SortedTable, render
from weighbridge.report.inline import inline_svg
from weighbridge.report.results import read_results
from weighbridge.report.run_page import confusion_values
from weighbridge.report.sentences import findings, heading
from weighbridge.report.summary import BEST_CONTROL, Table, contrast_to, tables_of
from weighbridge.report.tables import table_cells, table_note
from weighbridge.run_folder import RunFolder

_BANDS = "median, the middle 50, 80 and 98 % of the source images, some one by one"


def comparison_page(folder: Path) -> str:
    """The HTML of a comparison or grid; its figures are left in the folder as PNG too."""
    results = read_results(folder)
    tables = tables_of(results)
    asked = [path for name in ("grid.toml", "config.toml") if (path := folder / name).is_file()]
    parts = _of_one_table(folder, results, tables[0]) if len(tables) == 1 else _of_several(folder)
    curves = [svg for _, panels in parts["training"] for svg in panels]
    return render(
        "comparison.html.j2",
        drawn=[*(picture["svg"] for key in ("pictures", "after") for picture in parts[key]), *curves],
        title=results["title"],
        tasks=results["tasks"],
        sections=[_section(table) for table in tables],
        labels=results["labels"],
        command=printable(results["command"]),
        facts={
            "seeds": ", ".join(map(str, results["seeds"])),
            "minutes": f"{results['seconds'] / 60:.1f}",
            **results["machine"],
            "image size": f"{results['tasks'][0]['image_size']} px",
        },
        config=asked[0].read_text(encoding="utf-8") if asked else "",
        **parts,
    )


def _section(table: Table) -> dict[str, Any]:
    text = {"task": table.task, "heading": heading(table), "findings": findings(table)}
    return {**text, "tone": _tone(table), "table": _sorted(table), "note": table_note(table)}


def _tone(table: Table) -> str:
    """The colour of what was found: of the contrast named beforehand, or else of all that is clear."""
    if table.primary is not None:
        interval = table.primary.estimate.interval()
        lost = interval.high is not None and interval.high < 0 and table.primary.below_all
        return "good" if (interval.low or 0) > 0 else "bad" if lost else "warn"
    clear = [
        contrast
        for row in table.rows
        if not row.control and (contrast := contrast_to(row, BEST_CONTROL)) and contrast.clear
    ]
    if any(contrast.estimate.mean > 0 for contrast in clear):
        return "good"
    return "bad" if any(contrast.below_all for contrast in clear) else "neutral"


def _sorted(table: Table) -> SortedTable:
    header, *rows = table_cells(table)
    columns = tuple(Heading(name, text=place == 0) for place, name in enumerate(header))
    lines = [
        Line(tuple(Cell(text, text if place == 0 else _leading(text)) for place, text in enumerate(cells)), row.control)
        for cells, row in zip(rows, table.rows, strict=True)
    ]
    return SortedTable(columns, tuple(lines))


def _leading(text: str) -> str:
    """The number that a cell begins with, which it is sorted by."""
    number = text.split(" ", 1)[0].replace("−", "-").replace(",", "")
    try:
        return f"{float(number):g}"
    except ValueError:
        return ""


def _of_several(folder: Path) -> dict[str, Any]:
    bars = "Every method on every domain: mean over seeds with 95 % intervals"
    weights = "Transition of the instance weights, first seed of every task"
    return {
        "pictures": _drawn(folder, "methods", _methods_figure(folder), bars),
        "after": _drawn(folder, "weights", _transition_figure(folder), weights),
        "confusion": None,
        "training": [],
    }


def _of_one_table(folder: Path, results: Mapping[str, Any], table: Table) -> dict[str, Any]:
    """There is room for every seed and for single runs: of every row the first, whether it diverged or not."""
    rows = results["tasks"][0]["rows"]
    means = "Every method: mean over seeds with 95 % intervals"
    return {
        "pictures": [
            *_drawn(folder, "accuracy", comparison_figures.accuracy_figure(folder), "Every seed of every method"),
            *_drawn(folder, "methods", _methods_figure(folder), means),
        ],
        "confusion": _confusions_of_the_best(folder, rows, table),
        "after": _weights_of_one(folder),
        "training": [curves for row in rows if (curves := _training_of(folder, row))[1]],
    }


def _training_of(folder: Path, row: Mapping[str, Any]) -> tuple[str, list[str]]:
    run = folder / row["runs"][0]["folder"]
    figure = run_figures.curves_figure(run)
    if figure is not None:
        _save(folder, f"curves-{run.name}", figure)
    panels = [inline_svg(panel) for panel in run_figures.curve_panels(run)]
    return f"Training of {printable(row['name'])}, seed {row['runs'][0]['seed']}", list(panels)


def _weights_of_one(folder: Path) -> list[dict[str, Any]]:
    weighted = comparison_figures.weighted_runs(folder)
    if not weighted:
        return []
    _, row, run = weighted[0]
    name = f"{printable(row['name'])}, seed {run['seed']}"
    over = f"Transition of the instance weights of {name}: {_BANDS}; and class by class"
    ends = f"Source images with the highest and the lowest mean weight, {name}"
    return [
        *_drawn(folder, "weights", _transition_figure(folder), over),
        *_drawn(folder, "extremes", run_figures.extremes_figure(folder / run["folder"]), ends),
    ]


def _confusions_of_the_best(folder: Path, rows: Sequence[Mapping[str, Any]], table: Table) -> dict[str, Any] | None:
    """Of the row with the highest mean accuracy the first run that was finished."""
    scored = [(row.accuracy, k) for k, row in enumerate(table.rows) if row.accuracy is not None]
    if not scored:
        return None
    best = rows[max(scored)[1]]
    run = next(run for run in best["runs"] if run["diverged_at"] is None)
    evaluation = RunFolder(folder / run["folder"]).metrics()["evaluation"]
    figure = run_figures.confusion_figure(folder / run["folder"])
    if not evaluation or figure is None:
        return None
    _save(folder, "confusion", figure)
    caption = f"Confusions of {printable(best['name'])}, seed {run['seed']}"
    return {**confusion_values(evaluation, "confused"), "caption": caption}


def _methods_figure(folder: Path) -> Figure | None:
    try:
        return comparison_figures.methods_figure(folder)
    except RunFolderError:  # no model was tested
        return None


def _transition_figure(folder: Path) -> Figure | None:
    try:
        return comparison_figures.transition_figure([folder])
    except RunFolderError:  # no method has weights, every run with them diverged, or none was long enough
        return None


def _drawn(folder: Path, name: str, figure: Figure | None, caption: str) -> list[dict[str, Any]]:
    """A figure as the page shows it, if there is one; the folder keeps it as PNG."""
    if figure is None:
        return []
    _save(folder, name, figure)
    return [{"svg": inline_svg(figure), "caption": caption, "wide": True}]


def _save(folder: Path, name: str, figure: Figure) -> None:
    (folder / "figures").mkdir(exist_ok=True)
    style.save(figure, folder / "figures" / f"{name}.png")
