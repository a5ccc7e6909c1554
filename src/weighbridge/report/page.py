"""One self-contained HTML page from a run folder or a comparison folder; no scripts, nothing fetched."""

__all__ = ["write_report"]

import base64
import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib.figure import Figure

from weighbridge.errors import RunFolderError
from weighbridge.files import replace_text
from weighbridge.report import comparison_figures, run_figures, style
from weighbridge.report.results import read_results, views
from weighbridge.report.sentences import findings
from weighbridge.report.summary import Summary, summarise
from weighbridge.report.tables import table_cells, table_note
from weighbridge.run_folder import RunFolder

Drawing = Callable[[Path], Figure | None]


def write_report(folder: Path) -> Path:
    """Draw the figures into the folder and write its report.html.

    Raises:
        RunFolderError: if the folder is neither a finished run nor a comparison.
    """
    if (folder / "grid.toml").is_file() and (folder / "results.json").is_file():
        page = _grid_page(folder)
    elif (folder / "results.json").is_file():
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
    results = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    summary = summarise(results)
    pictures = [_picture(folder, folder, "accuracy", comparison_figures.accuracy_figure, "Every seed of every method")]
    first = [
        (f"{row['name']}, seed {row['runs'][0]['seed']}", folder / row["runs"][0]["folder"]) for row in results["rows"]
    ]
    weighted = [(name, run) for name, run in first if (run / "weights.npz").is_file()]
    for name, run in weighted[:1]:
        pictures += _weight_pictures(folder, run, name)
    for name, run in first:  # diverged or not
        pictures.append(_picture(folder, run, f"curves-{run.name}", run_figures.curves_figure, f"Training of {name}"))
    best = _best_run(results, summary)
    if best is not None:
        name, run = best
        pictures.append(
            _picture(
                folder,
                folder / run["folder"],
                "confusion",
                run_figures.confusion_figure,
                f"Confusions of {name}, seed {run['seed']}",
            )
        )
    return _render(
        "comparison.html.j2",
        title=results["title"],
        findings=findings(summary),
        table=table_cells(summary),
        note=table_note(summary),
        task=results["task"],
        labels=results["labels"],
        command=results["command"],
        facts={
            "seeds": ", ".join(map(str, results["seeds"])),
            "minutes": f"{results['seconds'] / 60:.1f}",
            **results["machine"],
        },
        config=(folder / "config.toml").read_text(encoding="utf-8"),
        pictures=[picture for picture in pictures if picture],
    )


def _grid_page(folder: Path) -> str:
    results = read_results(folder)
    pictures = []
    if any(task["evaluations"] for task in results["tasks"]):
        caption = "Every method on every domain: mean over seeds with 95 % intervals"
        pictures.append(_picture(folder, folder, "methods", comparison_figures.methods_figure, caption))
    caption = "Transition of the instance weights, first seed of every task"
    pictures.append(_picture(folder, folder, "weights", _transition_figure, caption))
    sections = [
        {
            "task": view.task["name"],
            "heading": view.heading,
            "findings": view.findings,
            "table": table_cells(view.summary),
            "note": table_note(view.summary),
        }
        for view in views(results)
    ]
    return _render(
        "grid.html.j2",
        title=results["title"],
        tasks=results["tasks"],
        sections=sections,
        labels=results["labels"],
        command=results["command"],
        facts={
            "seeds": ", ".join(map(str, results["seeds"])),
            "minutes": f"{results['seconds'] / 60:.1f}",
            **results["machine"],
        },
        config=(folder / "grid.toml").read_text(encoding="utf-8"),
        pictures=[picture for picture in pictures if picture],
    )


def _transition_figure(folder: Path) -> Figure | None:
    try:
        return comparison_figures.transition_figure([folder])
    except RunFolderError:  # no method has weights, every run with them diverged, or none was long enough
        return None


def _run_page(folder: Path) -> str:
    run = RunFolder(folder)
    metrics, facts, config = run.metrics(), run.facts(), run.config.read_text(encoding="utf-8")
    pictures = [
        _picture(
            folder,
            folder,
            "shares",
            run_figures.shares_figure,
            "What the target images are taken for; the line is an equal share",
        ),
        *_weight_pictures(folder, folder, str(facts["method"])),
        _picture(folder, folder, "curves", run_figures.curves_figure, "Training"),
        _picture(folder, folder, "confusion", run_figures.confusion_figure, "Confusions on the labelled images"),
    ]
    return _render(
        "run.html.j2",
        title=f"{facts['method']} · {folder.resolve().name}",
        metrics=metrics,
        facts=facts,
        network=tomllib.loads(config)["backbone"],
        config=config,
        pictures=[picture for picture in pictures if picture],
    )


def _weight_pictures(folder: Path, run: Path, name: str) -> list[dict[str, str] | None]:
    bands = "median, the middle 50, 80 and 98 % of the source images, some one by one"
    transition = f"Transition of the instance weights of {name}: {bands}"
    extremes = f"Source images with the highest and the lowest mean weight, {name}"
    return [
        _picture(folder, run, "weights", run_figures.weights_figure, transition),
        _picture(folder, run, "extremes", run_figures.extremes_figure, extremes),
    ]


def _picture(folder: Path, source: Path, name: str, draw: Drawing, caption: str) -> dict[str, str] | None:
    figure = draw(source)
    if figure is None:
        return None
    (folder / "figures").mkdir(exist_ok=True)
    path = style.save(figure, folder / "figures" / f"{name}.png")
    return {"data": base64.b64encode(path.read_bytes()).decode("ascii"), "caption": caption}


def _best_run(results: dict[str, Any], summary: Summary) -> tuple[str, dict[str, Any]] | None:
    """Name and first finished run of the row with the highest mean accuracy."""
    scored = [(row.accuracy, k) for k, row in enumerate(summary.rows) if row.accuracy is not None]
    if not scored:
        return None
    best = results["rows"][max(scored)[1]]
    finished = [run for run in best["runs"] if run["diverged_at"] is None]
    return (best["name"], finished[0]) if finished else None


def _render(template: str, **values: Any) -> str:
    environment = Environment(
        loader=PackageLoader("weighbridge.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    return environment.get_template(template).render(**values)
