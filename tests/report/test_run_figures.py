"""Figures of a run, drawn from its folder."""

import itertools
import json

import numpy as np
import pytest
import torch

from conftest import small_config
from weighbridge.parts.networks import build_network
from weighbridge.report import run_figures
from weighbridge.settings import build_method
from weighbridge.types import DomainPair, LabelledBatch, UnlabelledBatch


@pytest.mark.parametrize("count", [4, 12])
def test_names_of_classes_over_the_images_of_extreme_weight_do_not_cover_each_other(folders, tmp_path, count):
    lines = (folders[1] / "weights.csv").read_text().splitlines()
    fields = lines[0].split(",")
    rows = [dict(zip(fields, line.split(","), strict=True)) for line in lines[1:]]
    for number, row in enumerate(rows):
        row["label"] = f"{number:02}_hammer_drill"
    (tmp_path / "weights.csv").write_text("\n".join([lines[0], *(",".join(row.values()) for row in rows)]) + "\n")
    figure = run_figures.extremes_figure(tmp_path, count)
    figure.draw_without_rendering()
    boxes = [axes.title.get_window_extent() for axes in figure.axes if axes.get_title()]
    assert len(boxes) == 2 * count
    for line in (boxes[:count], boxes[count:]):
        assert all(left.x1 <= right.x0 for left, right in itertools.pairwise(line))


@pytest.mark.parametrize(
    "names", [["bolt", "gear", "nut"], [f"{k:02}_speed_limit" for k in range(8)], list("ABCDEFGHIJKLMN")]
)
def test_names_of_classes_under_the_bars_do_not_cover_each_other(tmp_path, names):
    shares = dict.fromkeys(names, 1 / len(names))
    (tmp_path / "metrics.json").write_text(json.dumps({"target": {"class_shares": shares}}))
    figure = run_figures.shares_figure(tmp_path)
    figure.draw_without_rendering()
    boxes = [label.get_window_extent() for label in figure.axes[0].get_xticklabels()]
    assert len(boxes) == len(names)
    assert all(left.x1 < right.x0 for left, right in itertools.pairwise(boxes))


def test_weights_close_to_1_are_written_out(tmp_path):
    weights = 1 + 0.0004 * np.linspace(-1, 1, 40).reshape(2, 20)
    np.savez(tmp_path / "weights.npz", step=np.arange(2), row=np.arange(20), weights=weights)
    figure = run_figures.weights_figure(tmp_path)
    figure.draw_without_rendering()
    assert figure.axes[0].yaxis.get_offset_text().get_text() == ""
    assert any(label.get_text() == "1.0002" for label in figure.axes[0].get_yticklabels())


def curves(folder, **scalars):
    """The axes drawn of a log of three lines; scalars: name -> values."""
    folder.mkdir()
    lines = [{name: values[k] for name, values in scalars.items()} for k in range(3)]
    rest = {"stage": "adapt", "learning_rate": 0.1, "images_per_second": 9.0, "weight_mean": 1.0}
    text = "".join(json.dumps({"step": 2 * k + 2, **rest, **line}) + "\n" for k, line in enumerate(lines))
    (folder / "log.jsonl").write_text(text)
    return run_figures.curves_figure(folder).axes


def drawn(axes):
    return [(line.get_label(), list(line.get_ydata())) for line in axes.get_lines() if len(line.get_xdata()) == 3]


def test_every_scalar_of_the_log_has_a_curve_beside_others_of_its_size(tmp_path):
    adversary, confusion, shares = curves(
        tmp_path / "dann-mcc",
        label_loss=[3, 2, 1],
        strength=[0, 1, 2],
        confusion_loss=[0.9, 0.8, 0.7],
        domain_loss=[1, 1, 2],
        domain_accuracy=[0.5, 0.6, 0.7],
    )
    assert drawn(adversary) == [("label loss", [3, 2, 1]), ("domain loss", [1, 1, 2])]
    assert drawn(confusion) == [("class confusion on the target", [0.9, 0.8, 0.7])]
    assert drawn(shares) == [("domain classifier right", [0.5, 0.6, 0.7]), ("lambda", [0, 1, 2])]
    assert shares.get_ylim()[1] >= 2  # lambda is not cut off
    assert [axes.get_ylabel() for axes in (adversary, confusion, shares)] == ["loss", "loss", "share"]
    axes = curves(
        tmp_path / "mean-teacher",
        label_loss=[3, 2, 1],
        consistency_loss=[0, 0.01, 0.02],
        balance_loss=[3, 3, 3],
        confident_share=[0, 0.1, 0.5],
    )
    assert [[name for name, _ in drawn(each)] for each in axes] == [
        ["label loss"],
        ["student against teacher"],
        ["class balance on the target"],
        ["teacher sure"],
    ]


def test_a_scalar_that_nobody_has_foreseen_is_drawn_under_its_name(tmp_path):
    axes = curves(tmp_path / "new", sharpness_of_minimum=[7, 8, 9], label_loss=[3, 2, 1])
    assert [drawn(each) for each in axes] == [[("label loss", [3, 2, 1])], [("sharpness of minimum", [7, 8, 9])]]


@pytest.mark.parametrize("method", build_method.BUILDERS)
def test_what_a_method_logs_is_foreseen(method):
    config = small_config(method=method)
    network = build_method.start_from(build_network("small", classes=3, channels=1, size=16), config)
    images, rows = torch.rand(3, 1, 16, 16), torch.arange(3)
    pair = DomainPair(LabelledBatch(images, rows, rows, 0 * rows), UnlabelledBatch(images, rows, second_view=images))
    one = build_method.build_method(config, network, 3, p_a=lambda batch: torch.full((3,), 0.5))
    log = one.step(pair, 0.0, lambda loss, optimizer: loss.backward())
    assert set(log.scalars) <= set(run_figures._CURVES)
