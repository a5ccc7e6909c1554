"""Figures over several runs: methods on every domain, the weights over training, one source against another."""

__all__ = ["accuracy_figure", "methods_figure", "sources_figure", "transition_figure", "weighted_runs"]

import math
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from weighbridge.errors import RunFolderError
from weighbridge.report.inline import ON_COLOUR
from weighbridge.report.results import accuracies_by_seed, read_results
from weighbridge.report.run_figures import draw_weights, read_weights
from weighbridge.report.sources import Sources
from weighbridge.report.statistics import Interval, mean_interval, seeds_in_words
from weighbridge.report.style import INK, WIDTH, nth_of_its_method, one_panel, row_colours, shown, tidy
from weighbridge.report.summary import Scores
from weighbridge.run_folder import RunFolder


def accuracy_figure(folder: Path) -> Figure | None:
    """The first task on its first evaluation: a dot per seed, lines between dots of one seed, a bar at the mean."""
    task = read_results(folder)["tasks"][0]
    tested = next((entry["name"] for entry in task["evaluations"]), None)
    rows = [(row, values) for row in task["rows"] if (values := accuracies_by_seed(row, tested))]
    if not rows:
        return None
    figure, axes = one_panel(0.55 * len(rows) + 1.1)
    colours = row_colours([row["method"] for row, _ in rows])
    by_seed: dict[int, list[tuple[float, int]]] = {}
    for place, ((_, values), colour) in enumerate(zip(rows, colours, strict=True)):
        mean = float(np.mean(list(values.values())))
        axes.plot([mean, mean], [place - 0.28, place + 0.28], color=colour, linewidth=3, solid_capstyle="butt")
        axes.scatter(list(values.values()), [place] * len(values), s=36, color=colour, zorder=3)
        axes.text(mean, place - 0.3, f"{mean:.1f}", ha="center", va="bottom", color=INK, fontsize=9)
        for seed, value in values.items():
            by_seed.setdefault(seed, []).append((value, place))
    for points in by_seed.values():
        axes.plot(*zip(*points, strict=True), color="#bbbbbb", linewidth=0.8, zorder=1)
    axes.set_yticks(range(len(rows)), [shown(row["name"]) for row, _ in rows])
    axes.set_ylim(len(rows) - 0.5, -0.7)
    axes.set_xlabel("accuracy on the evaluation images, %")
    return figure


_CLASS_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")  # Okabe and Ito
_HATCHES = ("", "//", "..", "xx", "\\\\")  # further rows of a method; as many as share no factor with the shades
_UNDER = {"source": "source domain", "target": "target domain", "unseen": "never seen in training"}
_BARS = 0.84  # share of a group's width that bars fill
_WIDEST_BAR = 0.9  # inches
_WIDE_GROUPS = 4  # so many groups have room for a line of text under each
_LEGEND_COLUMNS = 3
_INSIDE = 16.0  # percent; a bar that is lower has its number above it
_SMALLEST = 5.0  # points that can be read
_PLOT_WIDTH = WIDTH - 0.75  # inches, without the labels of the y axis


def methods_figure(folder: Path) -> Figure:
    """Every method on every domain (Osumi et al. 2019, fig. 4), a panel per task.

    Bars are means over seeds. Lines are 95 % intervals over seeds and photos, or over seeds where no more is known.

    Raises:
        RunFolderError: without results, or where no model was tested.
    """
    results = read_results(folder)
    tasks = [task for task in results["tasks"] if task["evaluations"]]
    if not tasks:
        raise RunFolderError(f"no model in '{folder}' was tested: name labelled images under [evaluations] and go on")
    rows = tasks[0]["rows"]
    figure, panels = _panels(len(tasks), len(rows))
    for axes, task in zip(panels, tasks, strict=True):
        groups = []
        for place, entry in enumerate(task["evaluations"]):
            under = "trained on" if entry["trained_on"] else _UNDER[entry["seen"]]
            if len(task["evaluations"]) > _WIDE_GROUPS:
                under = under.replace(" in ", "\nin ").replace(" domain", "\ndomain")
            groups.append(f"{_short(entry['name'], len(task['evaluations']))}\n{under}")
            if entry["seen"] == "unseen":
                axes.axvspan(place - 0.5, place + 0.5, color="#f0f0f0", zorder=0, linewidth=0)
        scores = [Scores(task["rows"], entry) for entry in task["evaluations"]]
        values = [[of.accuracy(place) for of in scores] for place in range(len(task["rows"]))]
        _grouped_bars(axes, groups, values, [row["method"] for row in rows])
        axes.set_title(f"{shown(task['source_name'])} → {shown(task['target_name'])}", fontsize=10, loc="left")
    over_photos = all("covariance" in entry for task in tasks for entry in task["evaluations"])
    _legend(figure, [row["name"] for row in rows], [row["method"] for row in rows])
    _say_lines(figure, len(results["seeds"]), over_photos=over_photos)
    return figure


def sources_figure(table: Sources) -> Figure:
    """What each source is worth on one target (Osumi et al. 2019, table 1): mean over seeds with 95 % t interval."""
    figure, (axes,) = _panels(1, len(table.columns))
    values = [
        [_over_seeds(table.accuracies[source][column].values()) for source in table.accuracies]
        for column in table.columns
    ]
    _grouped_bars(axes, [_short(source, len(values[0])) for source in table.accuracies], values, table.methods)
    title = "adapted to {0} and tested on it" if table.target == table.evaluation else "adapted to {0}, tested on {1}"
    axes.set_title(title.format(shown(table.target), shown(table.evaluation)), fontsize=10, loc="left")
    axes.set_xlabel("source")
    _legend(figure, table.columns, table.methods)
    _say_lines(figure, max((group.n for row in values for group in row if group), default=0), over_photos=False)
    return figure


def _over_seeds(values: Collection[float]) -> Interval | None:
    return mean_interval(list(values)) if values else None


def transition_figure(folders: Sequence[Path], samples: int = 12) -> Figure:
    """Instance weights over training (Osumi et al. 2019, fig. 5), a line of panels per run.

    On the left all source images: quantile bands, the median, and some images one by one. On the right the classes,
    which differ less and have a scale of their own: median and middle half of each; of many classes those whose weights
    ended highest and lowest stand out. Both scales are the same for all runs.

    Args:
        folders: runs with weights, comparisons or grids; of these the first seed of every task.

    Raises:
        RunFolderError: where there are no weights to draw.
    """
    runs = [run for folder in folders for run in _titled_runs(folder)]
    figure = Figure(figsize=(WIDTH, 2.35 * len(runs) + 0.35), layout="constrained")
    grid = figure.subplots(len(runs), 2, sharey="col", squeeze=False, width_ratios=(1, 1.15))
    named: list[tuple[Axes, list[_Named]]] = []
    for number, (line, (title, method, run)) in enumerate(zip(grid, runs, strict=True)):
        history = read_weights(run)
        if history is None:
            raise RunFolderError(f"the run in '{run}' kept too few snapshots of its weights; train for more steps")
        steps, weights, label = history
        draw_weights(line[0], steps, weights, samples)
        letter = f"({chr(ord('a') + number)}) " if len(runs) > 1 else ""
        line[0].set_title(f"{letter}{title}", fontsize=9, loc="left")
        line[0].set_ylabel(f"instance weight w\n{shown(method, 28)}")
        if label is not None:
            named.append((line[1], _draw_classes(line[1], steps, weights, label, RunFolder(run).facts()["classes"])))
        for axes in line:
            tidy(axes)
            axes.set_xlim(steps[0], steps[-1])
            axes.set_xlabel("step" if number == len(runs) - 1 else "")
    for axes, classes in named:  # once the common range of all runs is known
        _name_classes(axes, classes)
    handles: list[Artist] = [Line2D([], [], color="#00664b", linewidth=1.8)]
    handles += [Patch(color="#009E73", alpha=alpha) for alpha in (0.55, 0.32, 0.15)]
    handles.append(Line2D([], [], color=INK, linewidth=0.5, alpha=0.7))
    labels = ["median", *(f"middle {share} %" for share in (50, 80, 98)), "single images"]
    figure.legend(handles, labels, loc="outside upper left", ncols=5, frameon=False, fontsize=8)
    return figure


def weighted_runs(folder: Path) -> list[tuple[Mapping[str, Any], Mapping[str, Any], Mapping[str, Any]]]:
    """Task, row and run of the first finished run of every task that has instance weights, eq. 5 before others."""
    found = []
    for task in read_results(folder)["tasks"]:
        rows = sorted(task["rows"], key=lambda row: (row["weighting"] != "paper", bool(row.get("variant"))))
        finished = [(row, run) for row in rows for run in row["runs"] if run["diverged_at"] is None]
        runs = [(task, row, run) for row, run in finished if (folder / run["folder"] / "weights.npz").is_file()]
        found += runs[:1]
    return found


def _titled_runs(folder: Path) -> list[tuple[str, str, Path]]:
    """Title, method and folder of a run with weights, or of those of a comparison or grid."""
    if (folder / "run.json").is_file():
        facts = RunFolder(folder).facts()
        if not (folder / "weights.npz").is_file():
            raise RunFolderError(
                f"the run in '{folder}' has no instance weights: {facts['method']} was trained without"
            )
        source = " + ".join(part["name"] for part in facts["data"]["source"])
        target = Path(facts["paths"]["target"]["given"])
        name = target.stem if target.suffix in (".npz", ".csv") else target.name  # as sources are called
        return [(_title(source, name, facts["seed"]), str(facts["method"]), folder)]
    found = [
        (_title(task["source_name"], task["target_name"], run["seed"]), str(row["name"]), folder / run["folder"])
        for task, row, run in weighted_runs(folder)
    ]
    if not found:
        raise RunFolderError(f"no run in '{folder}' has instance weights; add weighted-dann or an iwdan method")
    return found


def _title(source: str, target: str, seed: int) -> str:
    return f"{shown(source, 24)} → {shown(target, 16)}, seed {seed}"


_Named = tuple[str, str, float, float]  # a class in colour: name, colour, last step, last median; from low to high


def _draw_classes(axes: Axes, steps: Any, weights: Any, label: Any, names: Sequence[str]) -> list[_Named]:
    """Median and middle half of every class; at most six in colour, the highest three and the lowest three."""
    present = [k for k in range(len(names)) if (label == k).any()]
    quartiles = {k: np.nanpercentile(weights[:, label == k], [25, 50, 75], axis=1) for k in present}  # each (3, T)
    order = sorted(present, key=lambda k: quartiles[k][1][-1])
    told = order if len(order) <= len(_CLASS_COLOURS) else [*order[:3], *order[-3:]]
    for k in present:
        if k not in told:
            axes.plot(steps, quartiles[k][1], color="#bbbbbb", linewidth=0.8, zorder=1)
    for k, colour in zip(told, _CLASS_COLOURS, strict=False):
        low, middle, high = quartiles[k]
        axes.fill_between(steps, low, high, color=colour, alpha=0.15, linewidth=0)
        axes.plot(steps, middle, color=colour, linewidth=1.5)
    axes.axhline(1.0, color="#999999", linewidth=0.8, linestyle=":")
    which = "by class" if told == order else "3 highest and 3 lowest classes"
    axes.set_title(f"{which}, middle 50 %", fontsize=9, loc="left")
    ends = [(names[k], float(quartiles[k][1][-1])) for k in told]
    return [(name, colour, steps[-1], end) for (name, end), colour in zip(ends, _CLASS_COLOURS, strict=False)]


def _name_classes(axes: Axes, classes: Sequence[_Named]) -> None:
    places = _apart([end for *_, end in classes], gap=0.07 * float(np.ptp(axes.get_ylim())))
    for (name, colour, step, end), place in zip(classes, places, strict=True):
        at: dict[str, Any] = {"xytext": (1.05, place), "textcoords": ("axes fraction", "data"), "va": "center"}
        at |= {"arrowprops": {"arrowstyle": "-", "color": colour, "linewidth": 0.7, "shrinkA": 1, "shrinkB": 0}}
        axes.annotate(shown(name, 14), (step, end), color=colour, fontsize=8, **at)


def _apart(values: Sequence[float], gap: float) -> list[float]:
    """Ascending values moved as little upwards as keeps a gap between neighbours, and back down by half of it all."""
    moved = list[float]()
    for value in values:
        moved.append(max(value, moved[-1] + gap) if moved else value)
    shift = sum(after - before for after, before in zip(moved, values, strict=True)) / max(len(moved), 1)
    return [value - shift for value in moved]


def _short(name: str, groups: int) -> str:
    """A name that stays within its group; a letter of the labels is about five points wide."""
    return shown(name, min(24, int(72 * _PLOT_WIDTH / groups / 5.5)))


def _panels(count: int, rows: int) -> tuple[Figure, list[Axes]]:
    """Panels under each other, as high with a long legend as with a short one."""
    legend = 0.2 * math.ceil(rows / _LEGEND_COLUMNS)
    figure = Figure(figsize=(WIDTH, 2.4 * count + legend + 0.3), layout="constrained")
    panels = list(figure.subplots(count, 1, squeeze=False)[:, 0])
    for axes in panels:
        tidy(axes)
    return figure, panels


def _grouped_bars(
    axes: Axes, groups: Sequence[str], values: Sequence[Sequence[Interval | None]], methods: Sequence[str]
) -> None:
    """values: rows x groups, in percent; a bar per row in every group."""
    width = min(_BARS / len(values), _WIDEST_BAR * len(groups) / _PLOT_WIDTH)
    size = min(7.5, 72 * _PLOT_WIDTH / len(groups) * width * 0.9)  # points: no higher than a bar is wide
    for place, (row, (colour, hatch)) in enumerate(zip(values, _looks(methods), strict=True)):
        for group, interval in enumerate(row):
            x = group + (place - (len(values) - 1) / 2) * width
            if interval is None:
                axes.text(x, 1, "diverged", rotation=90, ha="center", va="bottom", fontsize=7, color="#777777")
                continue
            axes.bar(x, interval.mean, 0.94 * width, color=colour, hatch=hatch, edgecolor="white", linewidth=0)
            if interval.low is not None and interval.high is not None:
                ends = max(interval.low, 0.0), min(interval.high, 100.0)
                axes.plot([x, x], ends, color=INK, linewidth=1.1, solid_capstyle="butt")
            if size < _SMALLEST:
                continue  # numbers would cover each other; they stand in the table
            label: dict[str, Any] = {"rotation": 90, "ha": "center", "va": "bottom", "fontsize": size}
            if interval.mean < _INSIDE:
                above = max(interval.mean, interval.high or 0.0)
                axes.text(x, above + 1.8, f"{interval.mean:.1f}", color=INK, **label)
                continue
            label["bbox"] = {"facecolor": colour, "linewidth": 0, "pad": 0.6}  # an interval may reach down here
            axes.text(x, 1.8, f"{interval.mean:.1f}", color=_readable(colour), **label)
    axes.set_xticks(range(len(groups)), groups)
    axes.set_xlim(-0.5, len(groups) - 0.5)
    axes.set_ylim(0, 100)
    axes.set_ylabel("accuracy, %")
    axes.tick_params(axis="x", length=0)


def _looks(methods: Sequence[str]) -> list[tuple[str, str]]:
    """Colour and hatch of every row."""
    hatches = [_HATCHES[place % len(_HATCHES)] for place in nth_of_its_method(methods)]
    return list(zip(row_colours(methods), hatches, strict=True))


def _readable(colour: str) -> str:
    red, green, blue = (int(colour[k : k + 2], 16) for k in (1, 3, 5))
    return "white" if 0.299 * red + 0.587 * green + 0.114 * blue < 130 else ON_COLOUR


def _legend(figure: Figure, names: Sequence[str], methods: Sequence[str]) -> None:
    handles = [
        Patch(facecolor=colour, hatch=hatch, edgecolor="white", linewidth=0) for colour, hatch in _looks(methods)
    ]
    figure.legend(
        handles,
        [shown(name, 28) for name in names],
        loc="outside upper left",
        ncols=_LEGEND_COLUMNS,
        frameon=False,
        fontsize=8.5,
    )


def _say_lines(figure: Figure, seeds: int, *, over_photos: bool) -> None:
    """What the lines on bars are, where there are any."""
    over = f"{seeds_in_words(seeds)} and photos" if over_photos else f"{seeds} seeds"
    if seeds > 1 or over_photos:
        figure.supxlabel(f"lines: 95 % intervals over {over}", fontsize=8, x=0.99, ha="right")
