"""One self-contained HTML page from a run folder or a comparison folder; no scripts, nothing fetched."""

__all__ = ["write_report"]

import base64
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib.figure import Figure

from weighbridge.errors import RunFolderError
from weighbridge.files import replace_text
from weighbridge.report import comparison_figures, run_figures, style
from weighbridge.report.results import read_results
from weighbridge.report.sentences import findings, heading
from weighbridge.report.summary import Table, tables_of
from weighbridge.report.tables import table_cells, table_note
from weighbridge.run_folder import RunFolder

Drawing = Callable[[Path], Figure | None]
Picture = dict[str, str] | None  # PNG in base64 and caption; None where there is nothing to draw

_BANDS = "median, the middle 50, 80 and 98 % of the source images, some one by one"


def write_report(folder: Path) -> Path:
    """Draw the figures into the folder and write its report.html.

    Raises:
        RunFolderError: if the folder is neither a finished run nor a comparison.
    """
    if (folder / "results.json").is_file():
        page = _comparison_page(folder)
    elif (folder / "metrics.json").is_file():
        page = _run_page(folder)
    else:
        raise RunFolderError(
            f"expected a finished run (metrics.json) or a comparison (results.json) in '{folder}', found neither"
        )
    replace_text(folder / "report.html", page)
    return folder / "report.html"


def _comparison_page(folder: Path) -> str:
    results = read_results(folder)
    tables = tables_of(results)
    asked = [path for name in ("grid.toml", "config.toml") if (path := folder / name).is_file()]
    return _render(
        "comparison.html.j2",
        title=results["title"],
        tasks=results["tasks"],
        sections=[_section(table) for table in tables],
        labels=results["labels"],
        command=results["command"],
        facts={
            "seeds": ", ".join(map(str, results["seeds"])),
            "minutes": f"{results['seconds'] / 60:.1f}",
            **results["machine"],
            "image size": f"{results['tasks'][0]['image_size']} px",
        },
        config=asked[0].read_text(encoding="utf-8") if asked else "",
        pictures=_drawn(_of_one_table(folder, results, tables[0]) if len(tables) == 1 else _of_several(folder)),
    )


def _section(table: Table) -> dict[str, Any]:
    text = {"task": table.task, "heading": heading(table), "findings": findings(table)}
    return {**text, "table": table_cells(table), "note": table_note(table)}


def _of_several(folder: Path) -> list[Picture]:
    bars = "Every method on every domain: mean over seeds with 95 % intervals"
    weights = "Transition of the instance weights, first seed of every task"
    return [
        _picture(folder, folder, "methods", _methods_figure, bars),
        _picture(folder, folder, "weights", _transition_figure, weights),
    ]


def _of_one_table(folder: Path, results: Mapping[str, Any], table: Table) -> list[Picture]:
    """There is room for every seed and for single runs: of every row the first, whether it diverged or not."""
    rows = results["tasks"][0]["rows"]
    first = [(f"{row['name']}, seed {row['runs'][0]['seed']}", folder / row["runs"][0]["folder"]) for row in rows]
    return [
        _picture(folder, folder, "accuracy", comparison_figures.accuracy_figure, "Every seed of every method"),
        _picture(folder, folder, "methods", _methods_figure, "Every method: mean over seeds with 95 % intervals"),
        *_weights_of_one(folder),
        *(
            _picture(folder, run, f"curves-{run.name}", run_figures.curves_figure, f"Training of {name}")
            for name, run in first
        ),
        *_confusions_of_the_best(folder, rows, table),
    ]


def _weights_of_one(folder: Path) -> list[Picture]:
    weighted = comparison_figures.weighted_runs(folder)
    if not weighted:
        return []
    _, row, run = weighted[0]
    name = f"{row['name']}, seed {run['seed']}"
    return [
        _picture(folder, folder, "weights", _transition_figure, f"{_transition_of(name)}; and class by class"),
        _extremes(folder, folder / run["folder"], name),
    ]


def _confusions_of_the_best(folder: Path, rows: Sequence[Mapping[str, Any]], table: Table) -> list[Picture]:
    """Of the row with the highest mean accuracy the first run that was finished."""
    scored = [(row.accuracy, k) for k, row in enumerate(table.rows) if row.accuracy is not None]
    if not scored:
        return []
    best = rows[max(scored)[1]]
    run = next(run for run in best["runs"] if run["diverged_at"] is None)
    caption = f"Confusions of {best['name']}, seed {run['seed']}"
    return [_picture(folder, folder / run["folder"], "confusion", run_figures.confusion_figure, caption)]


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


def _run_page(folder: Path) -> str:
    run = RunFolder(folder)
    metrics, facts, config = run.metrics(), run.facts(), run.config.read_text(encoding="utf-8")
    name, shares = str(facts["method"]), "What the target images are taken for; the line is an equal share"
    return _render(
        "run.html.j2",
        title=f"{facts['method']} · {folder.resolve().name}",
        metrics=metrics,
        facts=facts,
        network=tomllib.loads(config)["backbone"],
        config=config,
        pictures=_drawn(
            [
                _picture(folder, folder, "shares", run_figures.shares_figure, shares),
                _picture(folder, folder, "weights", run_figures.weights_figure, _transition_of(name)),
                _extremes(folder, folder, name),
                _picture(folder, folder, "curves", run_figures.curves_figure, "Training"),
                _picture(
                    folder, folder, "confusion", run_figures.confusion_figure, "Confusions on the labelled images"
                ),
            ]
        ),
    )


def _transition_of(name: str) -> str:
    return f"Transition of the instance weights of {name}: {_BANDS}"


def _extremes(folder: Path, run: Path, name: str) -> Picture:
    caption = f"Source images with the highest and the lowest mean weight, {name}"
    return _picture(folder, run, "extremes", run_figures.extremes_figure, caption)


def _picture(folder: Path, source: Path, name: str, draw: Drawing, caption: str) -> Picture:
    figure = draw(source)
    if figure is None:
        return None
    (folder / "figures").mkdir(exist_ok=True)
    path = style.save(figure, folder / "figures" / f"{name}.png")
    return {"data": base64.b64encode(path.read_bytes()).decode("ascii"), "caption": caption}


def _drawn(pictures: Iterable[Picture]) -> list[Picture]:
    return [picture for picture in pictures if picture]


def _render(template: str, **values: Any) -> str:
    environment = Environment(
        loader=PackageLoader("weighbridge.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    return environment.get_template(template).render(**values)
