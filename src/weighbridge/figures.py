"""Figures of a run or a comparison: each function reads a folder and returns a figure, or None without data."""

__all__ = [
    "INK",
    "WIDTH",
    "accuracy_figure",
    "confusion_figure",
    "curves_figure",
    "draw_weights",
    "extremes_figure",
    "nth_of_its_method",
    "read_weights",
    "row_colours",
    "save",
    "shares_figure",
    "shown",
    "tidy",
    "weights_figure",
]

import contextlib
import csv
import json
import math
import os
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from weighbridge.data.decode import Unusable, open_full
from weighbridge.inspection.wording import printable
from weighbridge.runs import RunFolder

_COLOURS = {  # after Okabe and Ito: told apart by colour-blind readers too
    "source-only": "#7f7f7f",
    "dann": "#0072B2",
    "adda": "#E69F00",
    "weighted-dann": "#009E73",
    "mcc": "#CC79A7",
    "dann-mcc": "#56B4E9",
    "iwdan-mcc": "#882255",
    "mean-teacher": "#D55E00",
    "self-training": "#332288",
    "iwdan-self-training": "#661100",
}
_OTHERS = ("#117733", "#999933", "#7A1F3D")  # methods that nobody has chosen a colour for
_SHADES = (0.0, 0.5, -0.4, 0.75)  # further rows of a method: how far towards white, or towards black where negative
INK = "#222222"
WIDTH = 7.2  # inches

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


def accuracy_figure(folder: Path) -> Figure | None:
    """Accuracy of every method: a dot per seed, lines between dots of one seed, a bar at the mean."""
    results = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    rows = [row for row in results["rows"] if any(run["accuracy"] is not None for run in row["runs"])]
    if not rows:
        return None
    figure, axes = _figure(0.55 * len(rows) + 1.1)
    colours = row_colours([row["method"] for row in rows])
    by_seed: dict[int, list[tuple[float, int]]] = {}
    for place, row in enumerate(rows):
        values = [(run["seed"], 100 * run["accuracy"]) for run in row["runs"] if run["accuracy"] is not None]
        colour = colours[place]
        mean = float(np.mean([value for _, value in values]))
        axes.plot([mean, mean], [place - 0.28, place + 0.28], color=colour, linewidth=3, solid_capstyle="butt")
        axes.scatter([value for _, value in values], [place] * len(values), s=36, color=colour, zorder=3)
        axes.text(mean, place - 0.3, f"{mean:.1f}", ha="center", va="bottom", color=INK, fontsize=9)
        for seed, value in values:
            by_seed.setdefault(seed, []).append((value, place))
    for points in by_seed.values():
        axes.plot(*zip(*points, strict=True), color="#bbbbbb", linewidth=0.8, zorder=1)
    axes.set_yticks(range(len(rows)), [shown(row["name"]) for row in rows])
    axes.set_ylim(len(rows) - 0.5, -0.7)
    axes.set_xlabel("accuracy on the evaluation images, %")
    return figure


def curves_figure(folder: Path) -> Figure | None:
    """Every scalar that a run logged, over its steps: a panel for what is of one size.

    Scalars that nobody has foreseen are drawn too, each in a panel that bears its name.
    """
    records = RunFolder(folder).records()
    found = dict.fromkeys(key for record in records for key in record if key not in _NO_CURVES)
    panels: dict[str, list[tuple[str, str, str]]] = {}  # key, name, colour
    for key in sorted(found, key=lambda key: list(_CURVES).index(key) if key in _CURVES else len(_CURVES)):
        panel, name, colour = _CURVES.get(key, (key, key.replace("_", " "), INK))
        panels.setdefault(panel, []).append((key, name, colour))
    if not panels:
        return None
    lines = math.ceil(len(panels) / _ABREAST)
    figure = Figure(figsize=(WIDTH, 2.6 * lines), layout="constrained")
    places = figure.subplots(lines, math.ceil(len(panels) / lines), squeeze=False).ravel()
    for axes in places[len(panels) :]:
        axes.remove()
    for axes, (panel, curves) in zip(places, panels.items(), strict=False):
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
    return figure


def weights_figure(folder: Path, samples: int = 12) -> Figure | None:
    """Transition of the instance weights (Osumi et al. 2019, fig. 5): quantile bands, and some images one by one."""
    history = read_weights(folder)
    if history is None:
        return None
    figure, axes = _figure(2.8)
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
    figure, axes = _figure(2.2)
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


def save(figure: Figure, path: Path) -> Path:
    """Write a PNG, whole or not at all."""
    part = path.with_name(path.name + ".part")
    figure.savefig(part, format="png", dpi=130)
    os.replace(part, path)
    return path


def shown(name: str, longest: int = 1000) -> str:
    """A name as a figure can write it: folders may be called by any bytes, and a dollar would start a formula."""
    name = printable(name)
    return (name if len(name) <= longest else name[: longest - 1] + "…").replace("$", r"\$")


def _figure(height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    axes = figure.subplots()
    tidy(axes)
    return figure, axes


def tidy(axes: Axes) -> None:
    """No frame but the two axes; numbers written out."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=9)
    axes.ticklabel_format(useOffset=False)  # 1.0004, and not 0.0004 under a "+1" in the corner


def row_colours(methods: Sequence[str]) -> list[str]:
    """A colour for every row of a table: that of its method, and shades of it for further rows of the same method.

    It depends on no other method, so that a method looks the same in every figure.
    """
    return [
        _shade(_colour(method), _SHADES[place % len(_SHADES)])
        for method, place in zip(methods, nth_of_its_method(methods), strict=True)
    ]


def nth_of_its_method(methods: Sequence[str]) -> list[int]:
    """How many rows before each one are of its method."""
    return [list(methods[:place]).count(method) for place, method in enumerate(methods)]


def _colour(method: str) -> str:
    return _COLOURS.get(method, _OTHERS[zlib.crc32(method.encode("utf-8", "replace")) % len(_OTHERS)])


def _shade(colour: str, share: float) -> str:
    """Mixed with white, or with black where the share is negative."""
    end = 255 if share > 0 else 0
    mixed = (round(int(colour[k : k + 2], 16) * (1 - abs(share)) + end * abs(share)) for k in (1, 3, 5))
    return "#" + "".join(f"{part:02x}" for part in mixed)
