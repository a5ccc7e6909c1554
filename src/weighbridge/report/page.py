"""One self-contained HTML page from a run folder or a comparison folder; nothing is fetched."""

__all__ = ["write_report"]

from pathlib import Path

from weighbridge.errors import RunFolderError
from weighbridge.files import replace_text
from weighbridge.report import run_figures, style
from weighbridge.report.comparison_page import comparison_page
from weighbridge.report.run_page import run_page

_FIGURES = {
    "shares": run_figures.shares_figure,
    "weights": run_figures.weights_figure,
    "extremes": run_figures.extremes_figure,
    "curves": run_figures.curves_figure,
    "confusion": run_figures.confusion_figure,
}


def write_report(folder: Path) -> Path:
    """Draw the figures into the folder and write its report.html. A run may be unfinished.

    Raises:
        RunFolderError: if the folder is neither a run nor a comparison.
    """
    if (folder / "results.json").is_file():
        page = comparison_page(folder)
    elif (folder / "run.json").is_file():
        if (folder / "metrics.json").is_file():
            _draw(folder)
        page = run_page(folder)
    else:
        raise RunFolderError(
            f"expected a run (run.json) or a finished comparison (results.json) in '{folder}', found neither"
        )
    replace_text(folder / "report.html", page)
    return folder / "report.html"


def _draw(folder: Path) -> None:
    """The figures of a finished run as PNG, for slides and papers."""
    (folder / "figures").mkdir(exist_ok=True)
    for name, draw in _FIGURES.items():
        if (figure := draw(folder)) is not None:
            style.save(figure, folder / "figures" / f"{name}.png")
