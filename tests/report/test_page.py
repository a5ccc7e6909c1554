"""The page: drawn from a folder, self-contained, looked at by the browser as text cannot be."""

import json
import os
import re
import shutil
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from conftest import small_config, write_classes
from weighbridge.errors import LeftOutWarning, RunFolderError
from weighbridge.report import comparison_figures, run_figures, style
from weighbridge.report.page import write_report
from weighbridge.runs.adapt import adapt
from weighbridge.runs.finished import Run


class Page(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.references, self.tags, self.open, self.handlers = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        if tag not in ("meta", "img", "br", "link", "input"):
            self.open.append(tag)
        self.references += [value for name, value in attributes if name in ("src", "href", "xlink:href", "action")]
        self.handlers += [name for name, _ in attributes if name.startswith("on")]

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if self.open and self.open[-1] == tag:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.mark.parametrize("which", [0, 1])
def test_the_page_is_one_file_that_fetches_nothing(folders, which):
    text = (folders[which] / "report.html").read_text()
    page = Page(text)
    assert page.open == []
    assert page.tags.count("script") == 1
    assert page.handlers == []
    assert page.references
    assert all(reference.startswith(("data:", "#")) for reference in page.references)
    assert "default-src &#39;none&#39;; img-src data:" in text
    assert not re.search(r"url\((?!#)|@import|http", text.split("<h1>")[0].replace("http-equiv", ""))


def test_the_comparison_page_says_what_was_found_and_which_labels_were_used(folders):
    text = (folders[0] / "report.html").read_text()
    assert "&lt;b&gt;fonts &amp; photos&lt;/b&gt;" in text
    for words in ("weighted DANN", "No target label was used for training", "2 seeds are few", "24 evaluation images"):
        assert words in text
    assert "learning_rate = 0.01" in text
    assert text.count('<tr class="control">') == 1  # source only


def headings(text):
    return re.findall(r"<h[23][^>]*>(.*?)</h[23]>", text)


def captions_of(text):
    return re.findall("<figcaption>(.*?)</figcaption>", text)


def test_captions_call_runs_as_the_table_does(folders):
    text = (folders[0] / "report.html").read_text()
    names = [row["name"] for row in json.loads((folders[0] / "results.json").read_text())["tasks"][0]["rows"]]
    training = [title.removeprefix("Training of ") for title in headings(text) if title.startswith("Training of ")]
    assert training == [f"{name}, seed 0" for name in names]
    captions = captions_of(text)
    assert any(
        caption.startswith("Transition of the instance weights of weighted DANN, seed 0:") for caption in captions
    )
    assert "Source images with the highest and the lowest mean weight, weighted DANN, seed 0" in captions
    (confusions,) = (title for title in headings(text) if title.startswith("Confusions of "))
    assert confusions in [f"Confusions of {name}, seed 0" for name in names]


def test_a_comparison_shows_accuracy_then_confusions_then_weights_and_curves_last(folders):
    text = (folders[0] / "report.html").read_text()
    order = ["Every seed of every method", "Confusions of", "Transition of", "Training of", "How it was made"]
    places = [text.index(words) for words in order]
    assert places == sorted(places)


def test_a_page_of_one_table_has_every_seed_and_single_runs(folders):
    text = (folders[0] / "report.html").read_text()
    assert "<h2>renders to photos</h2>\n<p>tested on labelled: target domain, 24 images</p>" in text
    assert "<dt>image size</dt><dd>16 px</dd>" in text
    drawn = {path.stem for path in (folders[0] / "figures").iterdir()}
    curves = {f"curves-{name}" for name in ("source-only", "dann", "adda", "weighted-dann")}
    assert drawn == {"accuracy", "methods", "weights", "extremes", "confusion", *curves}
    assert len(captions_of(text)) == 4
    assert text.count("<svg") > len(drawn)  # a panel of curves is a figure of its own


def test_a_page_of_several_tables_has_every_domain_and_the_weights_of_every_task(grid):
    text = write_report(grid).read_text()
    assert captions_of(text) == [
        "Every method on every domain: mean over seeds with 95 % intervals",
        "Transition of the instance weights, first seed of every task",
    ]
    assert text.count('<table class="sorts') == 4
    assert "<summary>Settings</summary>" not in text  # a copy of results alone has none


def test_a_folder_of_before_has_the_same_report(folders, tmp_path):
    moved = tmp_path / "moved"
    shutil.copytree(folders[0], moved)
    results = json.loads((moved / "results.json").read_text())
    (task,) = results.pop("tasks")
    rows = task.pop("rows")
    for run in (run for row in rows for run in row["runs"]):
        run["accuracy"] = run.pop("accuracies")["labelled"]
        del run["class_means"]
    old = {key: task[key] for key in ("source", "held_out", "target", "classes", "image_size")}
    old["evaluation"] = {"name": "labelled", "images": 24}
    (moved / "results.json").write_text(json.dumps({**results, "task": old, "rows": rows}))
    before, now = write_report(moved).read_text(), (folders[0] / "report.html").read_text()
    # Groups and class means were not noted then; all else is the same.
    assert "Brackets hold 95 % t intervals over seeds alone." in before
    assert "Brackets hold 95 % intervals over seeds and photos; " in now
    titles = [[*headings(page), *captions_of(page), *re.findall("<li>High.*?</li>", page)] for page in (before, now)]
    assert titles[0] == titles[1]
    assert len(titles[0]) > 5


def test_the_run_page_shows_photos_classes_confusions_renders_and_curves(folders):
    text = (folders[1] / "report.html").read_text()
    titles = [title for title in headings(text) if " <small>" not in title]
    wanted = ["Photos by predicted class", "Class by class", "Confusions", "Which renders counted", "Training"]
    assert [title for title in titles if title in wanted] == wanted
    assert text.count('class="card') >= 24
    assert "no picture" not in text
    assert "Instance weights over training" in text
    assert "<dt>network</dt><dd>small</dd>" in text
    drawn = {path.stem for path in (folders[1] / "figures").iterdir()}
    assert drawn == {"shares", "weights", "extremes", "curves", "confusion"}


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
    text = write_report(bare).read_text()
    assert not {"Confusions", "Which renders counted", "Training"} & set(headings(text))


def test_a_comparison_whose_first_run_diverged_is_still_reported(folders, tmp_path):
    moved = tmp_path / "moved"
    shutil.copytree(folders[0], moved)
    results = json.loads((moved / "results.json").read_text())
    empty = dict.fromkeys(("source_accuracy", "prediction_entropy", "domain_accuracy", "seconds"))
    run = results["tasks"][0]["rows"][0]["runs"][0]
    run |= {**empty, "accuracies": {}, "diverged_at": 17}
    (moved / "results.json").write_text(json.dumps(results))
    (moved / run["folder"] / "metrics.json").unlink()
    text = write_report(moved).read_text()
    assert "source only: 1 of 2 seeds diverged" in text
    assert "Training of source only, seed 0" in text  # where it went wrong


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(RunFolderError, match="expected a run"):
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
