"""Figures of a run or a comparison: each function reads a folder and returns a figure, or None without data."""

__all__ = [
    "confusion_figure",
    "curve_panels",
    "curves_figure",
    "draw_weights",
    "extremes_figure",
    "read_weights",
    "shares_figure",
    "weights_figure",
]

import contextlib
import csv
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from weighbridge.data.decode import Unusable, open_full
from weighbridge.report.style import INK, WIDTH, one_panel, shown, tidy
from weighbridge.run_folder import RunFolder

_CURVES = {  # scalar of a log line -> panel, which holds what is of one size; name; colour
    "label_loss": ("loss", "label loss", "#0072B2"),
    "domain_loss": ("loss", "domain loss", "#D55E00"),
    "encoder_loss": ("loss", "encoder loss", "#CC79A7"),
    "confusion_loss": ("confusion", "class confusion on the target", "#882255"),
    "pseudo_label_loss": ("pseudo", "labels of the teacher", "#332288"),
    "consistency_loss": ("consistency", "student against teacher", "#E69F00"),
    "balance_loss": ("balance", "class balance on the target", "#56B4E9"),
    "domain_accuracy": ("share", "domain classifier right", "#D55E00"),
    "confident_share": ("share", "teacher sure", "#E69F00"),
    "strength": ("share", "lambda", "#009E73"),
}
_NO_CURVES = {"stage", "step", "learning_rate", "images_per_second"}
_NO_CURVES |= {"weight_mean", "weight_std", "weight_min", "weight_max"}  # they have a figure of their own
_ABREAST = 3  # panels in a line
_LETTERS_ABREAST = 84  # of the size of labels, over the width of a figure


def curves_figure(folder: Path) -> Figure | None:
    """Every scalar that a run logged, over its steps: a panel for what is of one size.

    Scalars that nobody has foreseen are drawn too, each in a panel that bears its name.
    """
    records = RunFolder(folder).records()
    panels = _panels(records)
    if not panels:
        return None
    lines = math.ceil(len(panels) / _ABREAST)
    figure = Figure(figsize=(WIDTH, 2.6 * lines), layout="constrained")
    places = figure.subplots(lines, math.ceil(len(panels) / lines), squeeze=False).ravel()
    for axes in places[len(panels) :]:
        axes.remove()
    for axes, (panel, curves) in zip(places, panels.items(), strict=False):
        _draw_curves(axes, records, panel, curves)
    return figure


def curve_panels(folder: Path) -> list[Figure]:
    """The same, a figure for each panel, which a page may put beside or below each other."""
    records, figures = RunFolder(folder).records(), []
    for panel, curves in _panels(records).items():
        figure = Figure(figsize=(3.5, 2.5))  # with fixed margins: finding them costs more than drawing
        _draw_curves(figure.subplots(), records, panel, curves)
        figure.subplots_adjust(left=0.19, right=0.97, bottom=0.19, top=0.8)
        figures.append(figure)
    return figures


_Curves = list[tuple[str, str, str]]  # key, name, colour


def _panels(records: Sequence[Mapping[str, Any]]) -> dict[str, _Curves]:
    """What is of one size together."""
    found = dict.fromkeys(key for record in records for key in record if key not in _NO_CURVES)
    panels: dict[str, _Curves] = {}
    for key in sorted(found, key=lambda key: list(_CURVES).index(key) if key in _CURVES else len(_CURVES)):
        panel, name, colour = _CURVES.get(key, (key, key.replace("_", " "), INK))
        panels.setdefault(panel, []).append((key, name, colour))
    return panels


def _draw_curves(axes: Axes, records: Sequence[Mapping[str, Any]], panel: str, curves: _Curves) -> None:
    tidy(axes)
    for key, name, colour in curves:
        points = [(record["step"], record[key]) for record in records if key in record]
        mark = "o" if len(points) == 1 else ""
        axes.plot(*zip(*points, strict=True), marker=mark, color=colour, linewidth=1.4, label=shown(name))
    if panel == "share":
        if any(key == "domain_accuracy" for key, _, _ in curves):
            axes.axhline(0.5, color="#999999", linewidth=0.8, linestyle=":")
        axes.set_ylim(0, max(1.05, axes.get_ylim()[1]))  # lambda may be more than 1
    axes.ticklabel_format(style="plain")  # no power of ten where the legend is
    axes.set_xlabel("step")
    axes.set_ylabel("share" if panel == "share" else "loss" if curves[0][0].endswith("_loss") else "")
    above: dict[str, Any] = {"loc": "lower left", "bbox_to_anchor": (0, 1), "borderaxespad": 0.2}  # off the curves
    axes.legend(**above, frameon=False, fontsize=8, handlelength=1.2, labelspacing=0.2)


def weights_figure(folder: Path, samples: int = 12, width: float = WIDTH) -> Figure | None:
    """Transition of the instance weights (Osumi et al. 2019, fig. 5): quantile bands, and some images one by one."""
    history = read_weights(folder)
    if history is None:
        return None
    figure, axes = one_panel(2.8, width)
    draw_weights(axes, *history[:2], samples)
    axes.set_xlabel("step")
    axes.set_ylabel("instance weight w")
    return figure


def read_weights(folder: Path) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.int32] | None] | None:
    """Steps (T,), weights (T, S) and classes (S,) of the images that a run followed; None if it had no weights.

    Snapshots come in once a tenth of the images and one of each class have been seen; NaN for those that were not.
    """
    path = folder / "weights.npz"
    if not path.is_file():
        return None
    with np.load(path, allow_pickle=False) as archive:
        steps, weights = archive["step"], archive["weights"]
        label = archive.get("label")
    seen = np.isfinite(weights)
    enough = seen.mean(axis=1) >= 0.1
    if label is not None:
        enough &= np.all([seen[:, label == k].any(axis=1) for k in np.unique(label)], axis=0)
    return (steps[enough], weights[enough], label) if enough.sum() > 1 else None


def draw_weights(axes: Axes, steps: NDArray[np.int64], weights: NDArray[np.float32], samples: int = 12) -> None:
    """The middle 50, 80 and 98 % of the images, their median, and some of them one by one."""
    for low, high, alpha in ((1, 99, 0.15), (10, 90, 0.2), (25, 75, 0.35)):
        edges = np.nanpercentile(weights, [low, high], axis=1)
        axes.fill_between(steps, edges[0], edges[1], color="#009E73", alpha=alpha, linewidth=0)
    for column in np.random.default_rng(0).permutation(weights.shape[1])[:samples]:
        axes.plot(steps, weights[:, column], color=INK, linewidth=0.5, alpha=0.5)
    axes.plot(steps, np.nanmedian(weights, axis=1), color="#00664b", linewidth=1.8)
    axes.axhline(1.0, color="#999999", linewidth=0.8, linestyle=":")


def shares_figure(folder: Path) -> Figure | None:
    """How many of the target images are taken for each class; no labels needed."""
    metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    shares: Mapping[str, float] = metrics["target"]["class_shares"]
    figure, axes = one_panel(2.2)
    axes.bar(range(len(shares)), [100 * share for share in shares.values()], color="#0072B2")
    axes.axhline(100 / len(shares), color="#999999", linewidth=0.8, linestyle=":")
    names = [shown(name, 12) for name in shares]
    crowded = len(names) * (max(map(len, names)) + 1) > _LETTERS_ABREAST
    axes.set_xticks(range(len(shares)), names, rotation=90 if crowded else 0, fontsize=7 if crowded else 9)
    axes.set_ylabel("% of target images")
    return figure


def confusion_figure(folder: Path) -> Figure | None:
    """True classes down, predicted classes across, in percent of each true class."""
    evaluation = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))["evaluation"]
    if not evaluation:
        return None
    counts = np.array(evaluation["confusion"], dtype=float)
    shares = 100 * counts / counts.sum(axis=1, keepdims=True).clip(min=1)
    names, few = [shown(name) for name in evaluation["per_class"]], len(counts) <= 16
    figure = Figure(figsize=(5.0, 4.6), layout="constrained")
    axes = figure.subplots()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=100)
    axes.set_xticks(range(len(names)), names, rotation=90, fontsize=9 if few else 6)
    axes.set_yticks(range(len(names)), names, fontsize=9 if few else 6)
    if few:
        for row, column in np.argwhere(shares >= 0.5):
            dark = shares[row, column] > 55
            text = f"{shares[row, column]:.0f}"
            axes.text(column, row, text, ha="center", va="center", fontsize=7, color="white" if dark else INK)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true, % of the class")
    return figure


def extremes_figure(folder: Path, count: int = 12) -> Figure | None:
    """The source images of highest and lowest mean weight; one of each class where classes share one."""
    path = folder / "weights.csv"
    if not path.is_file():
        return None
    with path.open(newline="", encoding="utf-8", errors="surrogateescape") as lines:  # as `runs.replace_rows` writes
        rows = [row for row in csv.DictReader(lines) if row["mean_weight"] != "nan"]
    rows = list({(row["label"], row["mean_weight"]): row for row in rows}.values())
    count = min(count, len(rows) // 2)
    if not count or not Path(rows[0]["file"]).is_file():
        return None
    figure = Figure(figsize=(WIDTH, 2.4), layout="constrained")
    grid = figure.subplots(2, count, squeeze=False)
    for line, (title, chosen) in enumerate((("highest", rows[:count]), ("lowest", rows[::-1][:count]))):
        for axes, row in zip(grid[line], chosen, strict=True):
            axes.axis("off")
            with contextlib.suppress(Unusable, OSError):  # gone or changed since the run, or in an archive
                axes.imshow(np.asarray(open_full(Path(row["file"])).resize((48, 48))))
            axes.set_title(f"{shown(row['label'], 96 // count)}\n{float(row['mean_weight']):.2f}", fontsize=6.5)
        grid[line][0].text(-0.15, 0.5, title, transform=grid[line][0].transAxes, rotation=90, ha="right", va="center")
    return figure
