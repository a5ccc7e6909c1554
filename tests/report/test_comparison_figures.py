"""Figures over several runs, drawn from folders that were never trained."""

import itertools
import json

import numpy as np
import pytest

from report.made import shows_something, write_run
from weighbridge.errors import RunFolderError
from weighbridge.report import comparison_figures
from weighbridge.report.comparison_figures import methods_figure, sources_figure, transition_figure
from weighbridge.report.results import read_results
from weighbridge.report.sources import sources_table


def test_a_bar_per_method_and_domain_with_its_interval_and_the_unseen_domain_marked(grid, tmp_path):
    figure = methods_figure(grid)
    assert shows_something(figure, tmp_path / "f.png")
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["realtime → photos", "both → photos"]
    axes = figure.axes[0]
    labels = [label.get_text() for label in axes.get_xticklabels()]
    assert labels == ["photos\ntarget domain", "other\nnever seen in training"]
    bars = [patch.get_height() for container in axes.containers for patch in container]
    assert bars == pytest.approx([52, 30, 62, 30, 72, 30])
    # accuracies 50, 52, 54: deviation 2, t(0.975, 2) = 4.3027, half width 4.3027 * 2 / sqrt(3) = 4.968 points; in log
    # odds ln(52 / 48) -+ 0.04968 / (0.52 * 0.48) = 0.0800 -+ 0.1990
    assert axes.lines[0].get_ydata() == pytest.approx([47.028, 56.932], abs=1e-3)
    assert [text.get_text() for text in axes.texts].count("diverged") == 2


def test_the_transition_of_the_weights_of_every_task(grid, tmp_path):
    figure = transition_figure([grid])
    assert shows_something(figure, tmp_path / "f.png")
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    by_class = "by class, middle 50 %"
    assert titles == ["(a) realtime → photos, seed 0", by_class, "(b) both → photos, seed 0", by_class]
    assert figure.axes[0].get_ylabel() == "instance weight w\nweighted DANN"
    assert [text.get_text() for text in figure.axes[1].texts] == ["a", "b", "c"]
    medians = [line.get_ydata()[-1] for line in figure.axes[1].lines[:3]]
    assert medians == pytest.approx([1.1, 1.2, 1.3])
    assert figure.axes[0].get_xlim()[0] == 1  # the snapshot in which most images are missing is left out


def test_weights_of_a_method_s_own_are_drawn_too(grid):
    results = json.loads((grid / "results.json").read_text())
    for row in results["tasks"][0]["rows"]:
        row["weighting"] = None
    (grid / "results.json").write_text(json.dumps(results))
    titles = [axes.get_title(loc="left") for axes in transition_figure([grid]).axes[::2]]
    assert titles == ["(a) realtime → photos, seed 0", "(b) both → photos, seed 0"]


def test_of_many_classes_the_highest_and_the_lowest_stand_out(tmp_path):
    names = [f"class {k}" for k in range(10)]
    figure = transition_figure([write_run(tmp_path / "run", images=60, classes=names)])
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles == ["renders → p, seed 3", "3 highest and 3 lowest classes, middle 50 %"]
    assert [text.get_text() for text in figure.axes[1].texts] == [f"class {k}" for k in (0, 1, 2, 7, 8, 9)]


def test_classes_have_a_scale_of_their_own_on_which_their_names_do_not_overlap(tmp_path):
    calm, wild = write_run(tmp_path / "calm"), write_run(tmp_path / "wild")
    with np.load(wild / "weights.npz") as archive:
        arrays = dict(archive)
    arrays["weights"][:, -3:] *= 2.5  # three images of sixty: the bands know them, the classes do not
    arrays["weights"][:, :-3] = 1 + 0.5 * (arrays["weights"][:, :-3] - 1)
    np.savez(wild / "weights.npz", **arrays)
    figure = transition_figure([calm, wild])
    left, right = figure.axes[::2], figure.axes[1::2]
    assert left[0].get_ylim() == left[1].get_ylim()
    assert right[0].get_ylim() == right[1].get_ylim()
    assert np.ptp(right[0].get_ylim()) < 0.5 * np.ptp(left[0].get_ylim())
    for axes in right:
        heights = [text.xyann[1] for text in axes.texts]
        assert min(np.diff(heights)) >= 0.0699 * np.ptp(axes.get_ylim())


def within(figure):
    """Whether every title and legend is inside the figure, as it is drawn."""
    figure.draw_without_rendering()
    width, height = figure.bbox.size
    texts = [text for axes in figure.axes for text in (axes.title, axes._left_title, *axes.get_xticklabels())]
    texts += [axes.yaxis.label for axes in figure.axes]
    boxes = [text.get_window_extent() for text in texts if text.get_text()]
    boxes += [legend.get_window_extent() for legend in figure.legends]
    return all(box.x0 >= 0 and box.x1 <= width and box.y0 >= 0 and box.y1 <= height for box in boxes)


def test_no_title_is_cut_off(grid, tmp_path):
    names = [f"class {k}" for k in range(10)]
    assert within(transition_figure([write_run(tmp_path / "run", images=60, classes=names)]))
    assert within(transition_figure([grid]))
    assert within(methods_figure(grid))
    assert within(sources_figure(sources_table(read_results(grid))))


def changed(grid, change):
    results = json.loads((grid / "results.json").read_text())
    change(results["tasks"])
    (grid / "results.json").write_text(json.dumps(results))
    return methods_figure(grid)


def numbers(axes):
    return [text for text in axes.texts if text.get_text().replace(".", "").isdigit()]


def test_a_low_bar_has_its_number_above_the_interval_and_not_in_a_box_higher_than_itself(grid):
    def lower(tasks):
        for task in tasks:
            for run in task["rows"][0]["runs"]:
                run["accuracies"]["photos"] = 0.05 + 0.02 * run["seed"]  # 7 +- 4.968

    axes = changed(grid, lower).axes[0]
    low, high = (next(text for text in numbers(axes) if text.get_text() == value) for value in ("7.0", "62.0"))
    assert low.get_bbox_patch() is None
    assert low.get_position()[1] > 7 + 4.968
    assert high.get_bbox_patch() is not None
    assert high.get_position()[1] < 10


def test_the_only_bar_is_no_wall(grid):
    def one(tasks):
        del tasks[1:], tasks[0]["rows"][1:], tasks[0]["evaluations"][1:]

    (axes,) = changed(grid, one).axes
    axes.figure.draw_without_rendering()
    (bar,) = axes.patches
    assert bar.get_window_extent().width < 0.2 * axes.bbox.width


def test_of_many_domains_neither_labels_nor_numbers_cover_each_other(grid):
    def more(count):
        def multiply(tasks):
            for task in tasks:
                first = task["evaluations"][0]
                task["evaluations"] = [{**first, "name": f"a domain of photographs {k}"} for k in range(count)]
                task["evaluations"][-1]["seen"] = "unseen"
                for run in (run for row in task["rows"] for run in row["runs"]):
                    run["accuracies"] = (
                        {entry["name"]: 0.6 for entry in task["evaluations"]} if run["accuracies"] else {}
                    )

        return multiply

    figure = changed(grid, more(7))
    figure.draw_without_rendering()
    axes = figure.axes[0]
    for texts in (axes.get_xticklabels(), sorted(numbers(axes), key=lambda text: text.get_position())):
        boxes = [text.get_window_extent() for text in texts]
        assert len(boxes) > 6
        assert all(one.x1 <= next_one.x0 for one, next_one in itertools.pairwise(boxes))
    assert numbers(changed(grid, more(40)).axes[0]) == []


def test_what_cannot_be_drawn_is_told(grid, tmp_path):
    bare = write_run(tmp_path / "bare")
    (bare / "weights.npz").unlink()
    with pytest.raises(RunFolderError, match="has no instance weights"):
        transition_figure([bare])
    with pytest.raises(RunFolderError, match=r"expected a finished comparison or grid \(results.json\) in"):
        methods_figure(bare)
    results = json.loads((grid / "results.json").read_text())
    for task in results["tasks"]:
        task["evaluations"] = []
    (grid / "results.json").write_text(json.dumps(results))
    with pytest.raises(RunFolderError, match=r"no model in .* was tested"):
        methods_figure(grid)


def test_the_accuracy_figure_has_a_dot_for_every_seed_of_every_method(folders):
    axes = comparison_figures.accuracy_figure(folders[0]).axes[0]
    dots = [len(points.get_offsets()) for points in axes.collections]
    assert dots == [2, 2, 2, 2]
    (task,) = json.loads((folders[0] / "results.json").read_text())["tasks"]
    assert [label.get_text() for label in axes.get_yticklabels()] == [row["name"] for row in task["rows"]]
