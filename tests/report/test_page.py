"""Figures and the page: drawn from a folder, self-contained, looked at by the browser as text cannot be."""

import itertools
import json
import os
import re
import shutil
from html.parser import HTMLParser

import numpy as np
import pytest
import torch
from PIL import Image

from conftest import small_config, stripes, write_classes
from weighbridge.errors import LeftOutWarning, RunFolderError
from weighbridge.grids.compare import compare
from weighbridge.parts.networks import build_network
from weighbridge.report import comparison_figures, run_figures, style
from weighbridge.report.page import write_report
from weighbridge.runs.adapt import adapt
from weighbridge.runs.finished import Run
from weighbridge.settings import build_method
from weighbridge.settings.catalogue import METHODS
from weighbridge.settings.config import Config
from weighbridge.types import DomainPair, LabelledBatch, UnlabelledBatch


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A comparison and a single run, made once."""
    place = tmp_path_factory.mktemp("report")
    source = write_classes(place / "renders", count=14)
    labelled = write_classes(place / "labelled", count=8, shade=120, seed=5)
    photos = place / "photos"
    photos.mkdir()
    for number, pixels in enumerate(p for kind in range(3) for p in stripes(kind, 6, shade=120, seed=9)):
        Image.fromarray(pixels).save(photos / f"{number:03}.png")
    methods = ["source-only", "dann", "adda", "weighted-dann"]
    title = "<b>fonts & photos</b>"
    config = small_config(method=Config().method, steps=40, log_every=2, fine_tune_rate=0.02)
    comparison = compare(
        [source], photos, config, place / "c", methods=methods, seeds=[0, 1], evaluation=labelled, title=title
    )
    run = adapt([source], photos, config.replace(method="weighted-dann"), place / "run")
    Run(run.path).evaluate(labelled)
    write_report(run.path)
    return comparison, run.path


class Page(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.references, self.tags, self.open = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        if tag not in ("meta", "img", "br", "link", "input"):
            self.open.append(tag)
        self.references += [value for name, value in attributes if name in ("src", "href", "srcset", "action")]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.mark.parametrize("which", [0, 1])
def test_the_page_is_one_file_without_scripts_or_anything_fetched(folders, which):
    text = (folders[which] / "report.html").read_text()
    page = Page(text)
    assert page.open == []
    assert "script" not in page.tags
    assert page.references
    assert all(reference.startswith(("data:image/png;base64,", "#")) for reference in page.references)
    assert not re.search(r"url\(|@import|http", text.split("<h1>")[0])


def test_the_comparison_page_says_what_was_found_and_which_labels_were_used(folders):
    text = (folders[0] / "report.html").read_text()
    assert "&lt;b&gt;fonts &amp; photos&lt;/b&gt;" in text
    for words in ("weighted DANN", "No target label was used for training", "2 seeds are few", "24 evaluation images"):
        assert words in text
    assert "learning_rate = 0.01" in text


def test_captions_call_runs_as_the_table_does(folders):
    text = (folders[0] / "report.html").read_text()
    captions = re.findall("<figcaption>(.*?)</figcaption>", text)
    names = [row["name"] for row in json.loads((folders[0] / "results.json").read_text())["rows"]]
    training = [caption.removeprefix("Training of ") for caption in captions if caption.startswith("Training of ")]
    assert training == [f"{name}, seed 0" for name in names]
    assert any(
        caption.startswith("Transition of the instance weights of weighted DANN, seed 0:") for caption in captions
    )
    assert "Source images with the highest and the lowest mean weight, weighted DANN, seed 0" in captions
    assert captions[-1] in [f"Confusions of {name}, seed 0" for name in names]


def test_the_run_page_shows_shares_weights_curves_and_confusions(folders):
    text = (folders[1] / "report.html").read_text()
    assert text.count("<img ") == 5
    assert "Transition of the instance weights" in text
    assert "<dt>network</dt><dd>small</dd>" in text


def test_a_report_can_be_written_again_from_the_folder_alone(folders, tmp_path):
    moved = tmp_path / "moved"
    shutil.copytree(folders[0], moved)
    (moved / "report.html").unlink()
    shutil.rmtree(moved / "figures")
    write_report(moved)
    assert (moved / "report.html").stat().st_size > 10_000


def test_every_figure_shows_something(folders):
    comparison, run = folders
    drawn = {
        "accuracy": comparison_figures.accuracy_figure(comparison),
        "curves": run_figures.curves_figure(run),
        "weights": run_figures.weights_figure(run),
        "shares": run_figures.shares_figure(run),
        "confusion": run_figures.confusion_figure(run),
        "extremes": run_figures.extremes_figure(run),
    }
    for name, figure in drawn.items():
        assert figure is not None, name
        path = style.save(figure, comparison / f"{name}.png")
        assert np.asarray(Image.open(path).convert("L")).std() > 5, name
        assert path.stat().st_size < 300_000


def test_the_accuracy_figure_has_a_dot_for_every_seed_of_every_method(folders):
    axes = comparison_figures.accuracy_figure(folders[0]).axes[0]
    dots = [len(points.get_offsets()) for points in axes.collections]
    assert dots == [2, 2, 2, 2]
    results = json.loads((folders[0] / "results.json").read_text())
    assert [label.get_text() for label in axes.get_yticklabels()] == [row["name"] for row in results["rows"]]


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


@pytest.mark.parametrize("method", METHODS)
def test_what_a_method_logs_is_foreseen(method):
    config = small_config(method=method)
    network = build_method.start_from(build_network("small", classes=3, channels=1, size=16), config)
    images, rows = torch.rand(3, 1, 16, 16), torch.arange(3)
    pair = DomainPair(LabelledBatch(images, rows, rows, 0 * rows), UnlabelledBatch(images, rows, second_view=images))
    one = build_method.build_method(config, network, 3, p_a=lambda batch: torch.full((3,), 0.5))
    log = one.step(pair, 0.0, lambda loss, optimizer: loss.backward())
    assert set(log.scalars) <= set(run_figures._CURVES)


def test_figures_without_data_are_left_out(folders, tmp_path):
    bare = tmp_path / "bare"
    shutil.copytree(folders[1], bare)
    for name in ("weights.npz", "weights.csv", "log.jsonl"):
        (bare / name).unlink()
    metrics = json.loads((bare / "metrics.json").read_text())
    (bare / "metrics.json").write_text(json.dumps({**metrics, "evaluation": None}))
    assert run_figures.weights_figure(bare) is None
    assert run_figures.curves_figure(bare) is None
    assert run_figures.confusion_figure(bare) is None
    write_report(bare)
    assert (bare / "report.html").read_text().count("<img ") == 1


def test_a_comparison_whose_first_run_diverged_is_still_reported(folders, tmp_path):
    moved = tmp_path / "moved"
    shutil.copytree(folders[0], moved)
    results = json.loads((moved / "results.json").read_text())
    empty = dict.fromkeys(("accuracy", "source_accuracy", "prediction_entropy", "domain_accuracy", "seconds"))
    results["rows"][0]["runs"][0] |= {**empty, "diverged_at": 17}
    (moved / "results.json").write_text(json.dumps(results))
    (moved / results["rows"][0]["runs"][0]["folder"] / "metrics.json").unlink()
    text = write_report(moved).read_text()
    assert "source only: 1 of 2 seeds diverged" in text
    assert "Training of source only, seed 0" in text  # where it went wrong


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(RunFolderError, match="expected a finished run"):
        write_report(tmp_path)


def test_classes_and_files_may_be_called_by_any_bytes(tmp_path):
    source = write_classes(tmp_path / "renders", count=14)
    latin = os.fsdecode(b"caf\xe9")
    (source / "spot").rename(source / latin)
    (source / "level").rename(source / "a $x_{ in dollars$")  # would be a formula, and a broken one
    (source / latin / "003.png").rename(source / latin / os.fsdecode(b"\xff.png"))
    (source / latin / "broken \udcff.png").write_bytes(b"")
    run = adapt([source], source, small_config(steps=6, pre_steps=2), tmp_path / "run")
    with pytest.warns(LeftOutWarning, match="1 of 43 images cannot be used"):
        Run(run.path).evaluate(source)
    write_report(run.path)
    assert {path.stem for path in (run.path / "figures").iterdir()} >= {"confusion", "extremes", "shares"}
    facts = json.loads((run.path / "run.json").read_text(encoding="utf-8"))
    assert facts["classes"] == ["a $x_{ in dollars$", latin, "upright"]
