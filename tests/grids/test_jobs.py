"""Whole grids on small domains: every run once, in this process or in others, killed or not."""

import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from filelock import FileLock
from PIL import Image
from safetensors.torch import load_file

from conftest import small_config, stripes, write_classes
from weighbridge.errors import DataError, RunFolderError
from weighbridge.grids import jobs, record
from weighbridge.grids.compare import compare, compare_grid
from weighbridge.grids.grid import grid_of, read_grid
from weighbridge.report.page import write_report
from weighbridge.settings.config import Config, read_toml, write_toml
from weighbridge.watch import Quiet

ROOT = Path(__file__).parents[2]
SETTINGS = """
[settings]
backbone = "small"
image_size = 16
channels = 1
batch_source = 8
batch_target = 6
pre_steps = 10
steps = 10
folds = 2
device = "cpu"
precision = "fp32"
"""
GRID = (
    """
title = "Stripes"
seeds = 2
methods = ["source-only", "dann", "weighted-dann"]
[sources]
bright = "bright"
both = ["bright", "dim"]
[targets]
photos = "photos"
[evaluations]
photos = "labelled"
dim = "dim"
[variants.gentle]
method = "weighted-dann"
strength = 0.1
p_a = "cross-fitted"
[variants.wild]
method = "dann"
learning_rate = 1e9
[variants.wild-start]
method = "weighted-dann"
learning_rate = 1e9
"""
    + SETTINGS
)
SMALL = GRID.replace("seeds = 2", "seeds = 1").split("[variants")[0] + SETTINGS
ROWS = ("source-only", "dann", "weighted-dann", "gentle", "wild", "wild-start")
PHOTOS = 18


def write_domains(place):
    place.mkdir(exist_ok=True)
    write_classes(place / "bright", count=12)
    write_classes(place / "dim", count=12, shade=200, seed=3)
    write_classes(place / "labelled", count=8, shade=120, seed=5)
    (place / "photos").mkdir()
    for number, pixels in enumerate(p for kind in range(3) for p in stripes(kind, PHOTOS // 3, shade=120, seed=9)):
        Image.fromarray(pixels).save(place / "photos" / f"{number:03}.png")
    return place


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return write_domains(tmp_path)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A grid that was trained in this process, and the folder with its domains."""
    place = write_domains(tmp_path_factory.mktemp("grid"))
    (place / "grid.toml").write_text(GRID)
    return compare_grid(place / "grid.toml", place / "out")


def results_of(folder):
    return json.loads((folder / "results.json").read_text())


def models(folder):
    return {str(path.relative_to(folder)): load_file(path) for path in folder.rglob("model.safetensors")}


def assert_same_models(one, other):
    assert one.keys() == other.keys()
    for name, tensors in one.items():
        for key, tensor in tensors.items():
            assert torch.equal(tensor, other[name][key]), (name, key)


def assert_same_numbers(one, other):
    """All results but times, the command, and the threads of the process that looked on while others trained."""

    def plain(value):
        if isinstance(value, dict):
            return {key: plain(entry) for key, entry in value.items() if key not in ("seconds", "command", "threads")}
        return [plain(entry) for entry in value] if isinstance(value, list) else value

    assert plain(one) == plain(other)


# ---- what a grid leaves behind ----


def test_every_run_has_its_folder_and_the_pre_classifier_of_a_seed_is_shared(finished):
    for task in ("bright-to-photos", "both-to-photos"):
        for seed in ("seed-0", "seed-1"):
            names = {path.name for path in (finished / task / seed).iterdir()}
            assert names == {*ROWS, "pre-classifier", "pre-classifier-wild"}
            assert not list((finished / task / seed).glob("*/pre-classifier"))
            assert (finished / task / seed / "pre-classifier/fold-1-of-2/model.safetensors").is_file()


def test_every_model_is_tested_on_every_evaluation(finished):
    results = results_of(finished)
    assert [task["name"] for task in results["tasks"]] == ["bright to photos", "both to photos"]
    for task in results["tasks"]:
        for row in task["rows"][:4]:
            for run in row["runs"]:
                assert set(run["accuracies"]) == {"photos", "dim"}
                tested = json.loads((finished / run["folder"] / "evaluations.json").read_text())
                for name, accuracy in run["accuracies"].items():
                    assert tested[name]["accuracy"] == accuracy
                noted = json.loads((finished / run["folder"] / "metrics.json").read_text())["evaluation"]
                assert (Path(noted["data"]).name, noted["images"]) == ("labelled", 24)
    seen = [[(e["name"], e["seen"], e["trained_on"]) for e in task["evaluations"]] for task in results["tasks"]]
    assert seen[0] == [("photos", "target", False), ("dim", "unseen", False)]
    assert seen[1] == [("photos", "target", False), ("dim", "source", True)]


def test_a_model_is_tested_again_only_where_it_the_images_or_the_labels_are_others(place):
    (place / "grid.toml").write_text(SMALL)
    out = compare_grid(place / "grid.toml", place / "out")
    runs = {run["folder"]: run for task in results_of(out)["tasks"] for row in task["rows"] for run in row["runs"]}
    folder = next(name for name in runs if "bright-to-photos" in name and name.endswith("source-only"))
    record = out / folder / "evaluations.json"
    true = json.loads(record.read_text())
    forged = json.loads(record.read_text())
    for facts in forged.values():  # as if all were told wrong: whoever reads the record says so, whoever tests does not
        facts["confusion"] = [row[1:] + row[:1] for row in facts["confusion"]]

    def told(change):
        record.write_text(json.dumps(forged))
        change()
        compare_grid(place / "grid.toml", out)
        tasks = results_of(out)["tasks"]
        (run,) = (r for task in tasks for row in task["rows"] for r in row["runs"] if r["folder"] == folder)
        return run["accuracies"]

    was = runs[folder]["accuracies"]
    read = told(lambda: None)
    assert all(read[name] != was[name] for name in was)
    image = next((place / "labelled").rglob("*.png"))
    renamed = image.with_name("another.png")
    assert told(lambda: image.rename(renamed)) == {"photos": was["photos"], "dim": read["dim"]}
    wrong = next(other for other in (place / "labelled").iterdir() if other != image.parent)
    moved = told(lambda: renamed.rename(wrong / "another.png"))
    assert moved["dim"] == read["dim"]
    assert json.loads(record.read_text())["photos"]["images"] == true["photos"]["images"]
    assert json.loads(record.read_text())["photos"]["mark"] != true["photos"]["mark"]
    model = out / folder / "model.safetensors"
    assert (
        told(lambda: shutil.copy(out / folder.replace("source-only", "dann") / model.name, model))["dim"] != read["dim"]
    )


def test_results_say_where_they_come_from(finished):
    results = results_of(finished)
    assert results["seeds"] == [0, 1]
    assert re.fullmatch("[0-9a-f]{16}", results["settings"])
    assert "read after all training" in results["labels"]
    assert results["machine"]["precision"] == "fp32"
    task = results["tasks"][1]
    assert [source["name"] for source in task["source"]] == ["bright", "dim"]
    assert sum(source["images"] for source in task["source"]) + task["held_out"] == 72
    assert 0 < task["held_out"] < 12
    assert task["target"]["images"] == PHOTOS
    assert all(run["seconds"] > 0 for run in task["rows"][0]["runs"])


def test_what_diverged_is_told_and_counts_as_the_control_that_its_user_would_have_had(finished):
    for task in results_of(finished)["tasks"]:
        control = [(run["accuracies"], run["class_means"]) for run in task["rows"][0]["runs"]]
        for row in task["rows"][4:]:
            assert all(run["diverged_at"] >= 1 and run["counts_as"] == "source only" for run in row["runs"])
            assert [(run["accuracies"], run["class_means"]) for run in row["runs"]] == control
    (first, *_) = json.loads((finished / "summary.json").read_text())["tables"]
    assert (
        "wild: 2 of 2 seeds diverged and count as source only, which their users would have had." in first["findings"]
    )
    table, source_only = (finished / "table.md").read_text(), first["rows"][0]
    assert f"| wild (2 diverged) | {source_only['accuracy']:.1f} ± {source_only['sd']:.1f} |" in table
    assert "| wild-start (2 diverged) |" in table


def test_without_a_control_what_diverged_is_left_out(place):
    methods = 'methods = ["dann"]\n'
    (place / "grid.toml").write_text(re.sub("methods = .*", methods, SMALL) + "learning_rate = 1e9\n")
    (task, _) = results_of(compare_grid(place / "grid.toml", place / "out"))["tasks"]
    (run,) = task["rows"][0]["runs"]
    assert (run["accuracies"], run["counts_as"]) == ({}, None)
    assert task["evaluations"][0]["covariance"] is None


CONTROLS = 'methods = ["source-only", "source-only-ema", "adabn", "source-only-continued", "weighted-dann"]'


@pytest.mark.parametrize("at_once", [1, 2])
def test_controls_share_one_training_on_the_source(place, at_once):
    (place / "grid.toml").write_text('skip = [["both", "photos"]]\n' + re.sub("methods = .*", CONTROLS, SMALL))
    out = compare_grid(place / "grid.toml", place / "out", at_once=at_once)
    folder = out / "bright-to-photos" / "seed-0"
    assert {path.name for path in folder.iterdir()} == {
        *("source-only", "source-only-ema", "adabn", "source-only-continued", "weighted-dann", "pre-classifier")
    }
    assert not list((folder / "source-only-ema").glob("log.jsonl")), "nothing is trained for it"
    assert not list((folder / "adabn").glob("log.jsonl"))
    mean = load_file(folder / "source-only" / "running-mean.safetensors")
    ours = load_file(folder / "source-only-ema" / "model.safetensors")
    assert all(torch.equal(ours[name], value) for name, value in mean.items())
    (task,) = results_of(out)["tasks"]
    assert [row["control"] for row in task["rows"]] == [True, True, True, True, False]
    assert all(run["diverged_at"] is None for row in task["rows"] for run in row["runs"])
    (table, *_) = json.loads((out / "summary.json").read_text())["tables"]
    assert table["best_control"] in {row["name"] for row in table["rows"][:4]}


@pytest.mark.parametrize("at_once", [1, 2])
def test_controls_of_a_source_only_run_that_diverged_diverged_too(place, at_once):
    (place / "grid.toml").write_text(re.sub("methods = .*", CONTROLS, SMALL) + "learning_rate = 1e9\n")
    out = compare_grid(place / "grid.toml", place / "out", at_once=at_once)
    rows = results_of(out)["tasks"][0]["rows"]
    ended = [row["runs"][0]["diverged_at"] for row in rows]
    assert ended[0] == ended[1] == ended[2]
    assert all(ended)


def test_runs_of_two_precisions_never_share_a_table(place):
    (place / "grid.toml").write_text(SMALL)
    out = compare_grid(place / "grid.toml", place / "out")
    facts = out / "bright-to-photos" / "seed-0" / "dann" / "run.json"
    facts.write_text(facts.read_text().replace('"precision": "fp32"', '"precision": "bf16"'))
    with pytest.raises(RunFolderError, match=r"the runs of a table must have one precision, found fp32 in .* and bf16"):
        compare_grid(place / "grid.toml", place / "out")


def test_the_runs_of_a_table_have_one_number_of_threads(place, monkeypatch):
    (place / "grid.toml").write_text(SMALL)
    grid = read_grid(place / "grid.toml")
    task, config = grid.tasks[0], grid.rows[0].config
    monkeypatch.setattr(jobs, "cpu_count", lambda: 4)
    try:
        for at_once, expected in ((1, 3), (2, 2), (8, 1)):  # runs that are there have 3
            places = jobs.Workplaces("fp32", 3, Quiet(), at_once=at_once)
            assert places.of(task, config).machine.threads == torch.get_num_threads() == expected
            assert places.of(task, config.replace(threads=5)).machine.threads == 5
            assert places.threads == expected
    finally:
        torch.set_num_threads(1)
    places = jobs.Workplaces("fp32", None, Quiet())
    places.of(task, config)
    assert places.threads == 1  # OMP_NUM_THREADS; what is found first holds for the others


def test_threads_of_runs_that_differ_are_measured_anew(place):
    (place / "grid.toml").write_text(SMALL)
    grid, out = read_grid(place / "grid.toml"), place / "out"
    assert jobs.threads_of(out, grid) is None
    for row, threads, known in (("dann", 3, 3), ("pre-classifier", 3, 3), ("source-only", 1, None)):
        folder = out / "bright-to-photos" / "seed-0" / row
        folder.mkdir(parents=True)
        (folder / "run.json").write_text(json.dumps({"machine": {"threads": threads}}))
        assert jobs.threads_of(out, grid) == known


def test_length_in_epochs_goes_on_like_any_other(place):
    (place / "grid.toml").write_text(SMALL + "pre_epochs = 1\nepochs = 0.5\n")
    out = compare_grid(place / "grid.toml", place / "out")
    assert results_of(compare_grid(place / "grid.toml", place / "out"))["tasks"] == results_of(out)["tasks"]
    run = json.loads((out / "bright-to-photos/seed-0/weighted-dann/run.json").read_text())
    assert run["steps"] == 2  # 32 images in batches of 8


def test_the_contrast_that_was_named_stands_in_the_results(place):
    named = '[primary]\nmethod = "weighted-dann"\ncontrol = "best control"\nmargin = 2\n'
    text = 'skip = [["both", "photos"]]\n' + SMALL
    (place / "grid.toml").write_text(text + named)
    out = compare_grid(place / "grid.toml", place / "out")
    for other in (text, text + named.replace("margin = 2", "margin = 9")):
        (place / "grid.toml").write_text(other)
        with pytest.raises(
            RunFolderError, match=r"begun with another \[primary\], which has to be named before training"
        ):
            compare_grid(place / "grid.toml", place / "out")
    assert results_of(out)["primary"] == {"method": "weighted DANN", "control": "best control", "margin": 2.0}
    (first, *_) = json.loads((out / "summary.json").read_text())["tables"]
    assert first["findings"][0].startswith("Named beforehand: weighted DANN less source only is ")
    assert "- Named beforehand: weighted DANN less" in (out / "table.md").read_text()


def test_runs_that_saw_other_images_never_share_a_table(place):
    (place / "grid.toml").write_text(SMALL)
    out = compare_grid(place / "grid.toml", place / "out")
    facts = out / "bright-to-photos" / "seed-0" / "weighted-dann" / "run.json"
    facts.write_text(facts.read_text().replace('"batches": 2,', ""))
    with pytest.raises(RunFolderError, match="is of an earlier build, in which a step saw other images"):
        compare_grid(place / "grid.toml", place / "out")


@pytest.mark.parametrize("at_once", [1, 2])
def test_a_pre_classifier_that_comes_to_nothing_is_trained_once(place, at_once):
    methods = 'methods = ["dann", "weighted-dann", "weighted-dann:uniform", "mcc"]'
    (place / "grid.toml").write_text(re.sub("methods = .*", methods, SMALL) + "learning_rate = 1e9\n")

    class Told(Quiet):
        said = ""

        def tell(self, what):
            self.said += what + "\n"

    out = compare_grid(place / "grid.toml", place / "out", at_once=at_once, watch=(watch := Told()))
    ended = [row["runs"][0]["diverged_at"] for row in results_of(out)["tasks"][0]["rows"]]
    assert all(ended)
    assert len(set(ended[1:])) == 1
    stopped = re.findall(r"pre-classifier: \S+ contains NaN or infinity after step \d+\. ", watch.said)
    assert len(stopped) == 2  # one a task


def test_the_tables_of_all_tasks_and_evaluations(finished):
    table = (finished / "table.md").read_text()
    assert table.startswith("# Stripes\n\n## bright to photos\n\n### Tested on photos: target domain, 24 images\n")
    start = (
        "Mean ± standard deviation over 2 seeds. Differences are paired by seed, in points. "
        "Brackets hold 95 % intervals over seeds and photos; "
    )
    assert table.count(start) == 4
    # The 36 of dim are drawn so much alike that some are near-duplicates.
    for known in ("photos count as independent, so intervals", "near-duplicates count together, and intervals"):
        assert table.count(f"{start}{known}") == 2
    assert table.count(" 32 source images, 4 more held out; 18 target images. 24 evaluation images: ") == 1
    assert re.search(r" \d+ bright \+ \d+ dim source images, \d+ more held out; 18 target images\. 36 eval", table)
    command = results_of(finished)["command"]
    made = f"Seeds 0, 1; settings {results_of(finished)['settings']}; made by"
    assert table.endswith(f"alone.\n\n{made}\n\n```\n{command}\n```\n")
    assert "### Tested on dim: a domain never seen in training, 36 images\n" in table
    assert "### Tested on dim: source domain, 36 images, the very images that were trained on\n" in table
    assert table.count("24 evaluation images: their choice alone gives an accuracy a 95 % interval of at least ±") == 2
    with (finished / "table.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * 2 * len(ROWS)
    accuracies = [run["accuracies"]["dim"] for run in results_of(finished)["tasks"][0]["rows"][1]["runs"]]
    (dann,) = (r for r in rows if (r["source"], r["evaluation"], r["name"]) == ("bright", "dim", "DANN"))
    assert float(dann["accuracy"]) == pytest.approx(50 * sum(accuracies), abs=1e-3)
    assert {row["photo_margin"] for row in rows if row["evaluation"] == "dim"} != {""}
    assert {(row["source_images"], row["target_images"]) for row in rows if row["source"] == "bright"} == {("32", "18")}
    summary = json.loads((finished / "summary.json").read_text())
    assert summary["command"] == command
    assert summary["tables"][0]["sizes"] == {"source": [["bright", 32]], "held_out": 4, "target": 18}
    assert [(e["task"], e["evaluation"]["name"]) for e in summary["tables"]][1] == ("bright to photos", "dim")


def test_a_variant_is_compared_with_the_plain_methods_and_they_are_not_with_it(finished):
    (first, *_) = json.loads((finished / "summary.json").read_text())["tables"]
    rows = {row["name"]: row for row in first["rows"]}
    assert {contrast["to"] for contrast in rows["gentle"]["contrasts"]} == {"dann", "best control"}
    assert {contrast["to"] for contrast in rows["weighted DANN"]["contrasts"]} == {"dann", "best control"}
    runs = results_of(finished)["tasks"][0]["rows"]
    weighted, dann = ([run["accuracies"]["photos"] for run in runs[k]["runs"]] for k in (2, 1))
    contrasts = rows["weighted DANN"]["contrasts"]
    (to_dann,) = (contrast["estimate"]["mean"] for contrast in contrasts if contrast["to"] == "dann")
    assert to_dann == pytest.approx(50 * (sum(weighted) - sum(dann)))


def test_the_report_of_a_grid_has_a_section_for_every_table(finished):
    text = (finished / "report.html").read_text()
    assert text.count('<table class="sorts') == 4
    assert text.count("<figcaption>") == 2
    assert "a domain never seen in training" in text
    assert write_report(finished) == finished / "report.html"


# ---- the same, otherwise ----


def test_a_comparison_is_the_grid_of_its_one_task(place):
    (place / "grid.toml").write_text(
        'seeds = 2\nmethods = ["dann", "weighted-dann:permuted"]\n[sources]\na = "bright"\n[targets]\nb = "photos"\n'
        '[evaluations]\nb = "labelled"\n' + SETTINGS
    )
    grid = compare_grid(place / "grid.toml", place / "grid")
    single = compare(
        [Path("bright")],
        Path("photos"),
        small_config(method=Config().method, folds=2),
        place / "single",
        methods=["dann", "weighted-dann:permuted"],
        seeds=range(2),
        evaluation=Path("labelled"),
    )
    assert_same_models(models(grid / "a-to-b"), models(single))
    ((task,), (other,)) = results_of(grid)["tasks"], results_of(single)["tasks"]
    assert task.keys() == other.keys()
    assert results_of(grid).keys() == results_of(single).keys()
    for row, its in zip(task["rows"], other["rows"], strict=True):
        ours, theirs = ([run["accuracies"] for run in each["runs"]] for each in (row, its))
        assert [accuracies["b"] for accuracies in ours] == [accuracies["labelled"] for accuracies in theirs]
        assert (row["method"], row["weighting"], row["name"]) == (its["method"], its["weighting"], its["name"])
    assert [run["folder"] for run in other["rows"][0]["runs"]] == ["seed-0/dann", "seed-1/dann"]
    assert (other["name"], other["source_name"], other["target_name"]) == ("bright to photos", "bright", "photos")
    (tested,) = other["evaluations"]
    about = {"name": "labelled", "images": 24, "seen": "target", "trained_on": False, "groups": 24}
    assert tested.items() >= {**about, "grouped_by": "nothing"}.items()
    files = {path.name for path in grid.iterdir() if path.is_file()}
    assert {path.name for path in single.iterdir() if path.is_file()} == files - {"grid.toml"} | {"config.toml"}


def test_several_processes_train_what_one_trains(finished, tmp_path):
    shutil.copytree(finished.parent, tmp_path / "copy", ignore=shutil.ignore_patterns("out"))
    out = compare_grid(tmp_path / "copy/grid.toml", tmp_path / "out", at_once=2)
    ours, theirs = models(out), models(finished)
    assert ours.keys() == theirs.keys()
    for name, tensors in ours.items():
        for key, tensor in tensors.items():  # other numbers of threads may add in another order
            assert torch.allclose(tensor, theirs[name][key], atol=1e-4), (name, key)
    diverged = [[run["diverged_at"] for run in row["runs"]] for row in results_of(out)["tasks"][0]["rows"]]
    assert diverged == [[run["diverged_at"] for run in row["runs"]] for row in results_of(finished)["tasks"][0]["rows"]]


def watch_labels(monkeypatch, out):
    """Every reading of an evaluation's labels from here on: its name, and how many runs were finished by then."""
    opened, original = [], record.build_data.open_labelled

    def watched(path, *rest):
        opened.append((path.name, len(list(out.rglob("metrics.json")))))
        return original(path, *rest)

    monkeypatch.setattr(record.build_data, "open_labelled", watched)  # as `record` calls it
    return opened


def test_labels_are_read_after_all_training(place, monkeypatch):
    (place / "grid.toml").write_text(SMALL)
    opened = watch_labels(monkeypatch, place / "out")
    compare_grid(place / "grid.toml", place / "out")
    done = len(list((place / "out").glob("*/seed-*/*/metrics.json")))
    assert sorted(set(opened)) == [("dim", done), ("labelled", done)]


def test_labels_of_a_comparison_are_read_after_all_training(place, monkeypatch):
    opened = watch_labels(monkeypatch, place / "out")
    methods = {"methods": ["source-only", "dann"], "seeds": range(2), "evaluation": Path("labelled")}
    compare([Path("bright")], Path("photos"), small_config(method=Config().method), place / "out", **methods)
    assert opened == [("labelled", len(list((place / "out").glob("seed-*/*/metrics.json"))))]


# ---- going on ----


def test_finished_runs_are_kept_when_the_grid_grows(place):
    (place / "grid.toml").write_text(SMALL)
    out = compare_grid(place / "grid.toml", place / "out")
    before = {path: path.stat().st_mtime_ns for path in out.rglob("model.safetensors")}
    assert len(before) == 8
    grown = SMALL.replace("seeds = 1", "seeds = [7, 0]") + '[variants.late]\nmethod = "adda"\nadda_rate = 0.01\n'
    (place / "grid.toml").write_text(grown)
    compare_grid(place / "grid.toml", out)
    assert all(path.stat().st_mtime_ns == moment for path, moment in before.items())
    assert len(list(out.rglob("model.safetensors"))) == 20
    assert (out / "bright-to-photos/seed-7/late/metrics.json").is_file()
    assert results_of(out)["seeds"] == [7, 0]
    assert (out / "grid.toml").read_text() == grown


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        (
            "strength = 0.1",
            "strength = 0.2",
            r"gentle' was started with other settings: strength \(0.1 there, 0.2 now\)",
        ),
        ('bright = "bright"', 'bright = "dim"', "have changed since it started"),
    ],
)
def test_a_grid_does_not_go_on_with_what_is_not_the_same(finished, tmp_path, old, new, sentence):
    shutil.copytree(finished.parent, tmp_path / "copy")
    (tmp_path / "copy/grid.toml").write_text(GRID.replace(old, new).replace("seeds = 2", "seeds = 3"))
    with pytest.raises(RunFolderError, match=sentence):
        compare_grid(tmp_path / "copy/grid.toml", tmp_path / "copy/out")
    assert not list((tmp_path / "copy/out").rglob("seed-2"))


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        (
            "pre_steps = 10",
            "pre_steps = 11",
            r"pre-classifier' was started with .* settings: pre_steps \(10 there, 11 now\)",
        ),
        ('backbone = "small"', 'backbone = "lenet"', r"pre-classifier' .*: backbone \(small there, lenet now\)"),
        ('bright = "bright"', 'bright = "dim"', "have changed since it started"),
    ],
)
def test_a_grid_does_not_start_from_a_pre_classifier_that_is_not_the_same(finished, tmp_path, old, new, sentence):
    shutil.copytree(finished.parent, tmp_path / "copy")
    for folder in (tmp_path / "copy/out").glob("*/seed-*/*"):
        if not folder.name.startswith("pre-classifier"):
            shutil.rmtree(folder)
    (tmp_path / "copy/grid.toml").write_text(GRID.replace(old, new))
    with pytest.raises(RunFolderError, match=sentence):
        compare_grid(tmp_path / "copy/grid.toml", tmp_path / "copy/out")


def test_a_grid_does_not_go_on_with_another_network_than_was_the_default_when_it_began(finished, tmp_path):
    shutil.copytree(finished.parent, tmp_path / "copy")
    for written in (tmp_path / "copy/out").rglob("config.toml"):
        write_toml(written, read_toml(written) | {"backbone": "auto"})
    grid = tmp_path / "copy/grid.toml"
    grid.write_text(GRID)
    compare_grid(grid, tmp_path / "copy/out")
    grid.write_text(GRID.replace('backbone = "small"', 'backbone = "auto"'))
    with pytest.raises(RunFolderError, match=r"other settings: backbone \(small there, small-batchnorm now\)"):
        compare_grid(grid, tmp_path / "copy/out")


def test_what_cannot_be_evaluated_is_refused_before_training(place):
    (place / "grid.toml").write_text(GRID)
    (place / "dim/spot").rename(place / "dim/spott")
    with pytest.raises(DataError, match="Did you mean 'spot'"):
        compare_grid(place / "grid.toml", place / "out")
    assert not (place / "out").exists()


def test_a_grid_does_not_start_in_somebody_s_folder(place):
    (place / "grid.toml").write_text(GRID)
    with pytest.raises(RunFolderError, match="exists already and is not a grid"):
        compare_grid(place / "grid.toml", place / "photos")


def test_two_at_work_in_one_folder_would_undo_each_other(finished):
    with (
        FileLock(finished / ".lock"),
        pytest.raises(RunFolderError, match="another weighbridge compare is at work in"),
    ):
        compare_grid(finished.parent / "grid.toml", finished)


def test_two_comparisons_in_one_folder_would_too(place):
    config, where = small_config(method=Config().method), ([Path("bright")], Path("photos"))
    out = compare(*where, config, place / "out", methods=["dann"], seeds=[0])
    before = (out / "results.json").read_bytes()
    with FileLock(out / ".lock"), pytest.raises(RunFolderError, match="another weighbridge compare is at work in"):
        compare(*where, config, out, methods=["dann"], seeds=[0, 1])
    assert (out / "results.json").read_bytes() == before
    assert not (out / "seed-1").exists()


# ---- killed, for real ----

LONG = GRID.replace("\nsteps = 10", "\nsteps = 80").replace("seeds = 2", "seeds = 1")
LONG = LONG.replace('both = ["bright", "dim"]\n', "") + "checkpoint_every = 10\n"


def start(place, out, *words):
    return subprocess.Popen(
        [sys.executable, "-m", "weighbridge", "compare", "--grid", "grid.toml", "--out", out, *words],
        cwd=place,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1", "COLUMNS": "200"},
    )


def wait_for(found, process, seconds=240):
    until = time.monotonic() + seconds
    while not found():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < until
        time.sleep(0.02)


@pytest.fixture
def uninterrupted(place):
    """The long grid as nobody disturbed it. It is trained here, which spares three processes that load PyTorch."""
    (place / "grid.toml").write_text(LONG)
    compare_grid(Path("grid.toml"), Path("whole"))  # relative, as below: paths are part of what a grid is
    return place


@pytest.mark.timeout(900)  # three trainings of a grid, on machines that may be busy
def test_a_killed_grid_goes_on_and_comes_out_the_same(uninterrupted):
    out = uninterrupted / "killed"
    process = start(uninterrupted, "killed", "--jobs", "2")
    wait_for(lambda: any(out.glob("*/seed-0/source-only/metrics.json")), process)
    wait_for(lambda: any(out.glob("*/seed-0/*ann/checkpoints/last.safetensors")), process)
    process.kill()
    process.communicate(timeout=60)  # until the workers are gone too
    kept = {path: path.stat().st_mtime_ns for path in out.rglob("metrics.json")}
    models_kept = {path.with_name("model.safetensors").stat().st_mtime_ns for path in kept}
    assert not (out / "results.json").exists()
    assert len(kept) < len(list((uninterrupted / "whole").rglob("metrics.json")))

    process = start(uninterrupted, "killed", "--jobs", "2")
    said, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    why = r"adapt: .+ (at|by) step \d+\. .*Try a lower learning rate"
    assert re.search(rf"bright to photos · seed 0 · wild: {why}", err)
    assert "tables killed/table.md" in said
    assert {path.with_name("model.safetensors").stat().st_mtime_ns for path in kept} == models_kept
    assert_same_models(models(out), models(uninterrupted / "whole"))
    assert_same_numbers(results_of(out), results_of(uninterrupted / "whole"))


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_ctrl_c_leaves_checkpoints_and_says_how_to_go_on(place, jobs):
    (place / "grid.toml").write_text(LONG.replace("\nsteps = 80", "\nsteps = 80000"))  # whoever is not stopped is late
    out = place / "out"
    process = start(place, "out", "--jobs", jobs)
    wait_for(lambda: any(out.glob("*/seed-0/source-only/log.jsonl")), process)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert re.search(r"weighbridge: stopped (after step \d+ of|with \d+ of \d+ runs done)", err)
    assert f"go on with: weighbridge compare --grid grid.toml --out out --jobs {jobs}" in err
    assert "Traceback" not in err
    assert any(out.glob("*/seed-0/*/checkpoints/last.safetensors"))


def test_a_variant_that_splits_its_source_otherwise_goes_on_where_it_was(place):
    (place / "grid.toml").write_text(SMALL + '[variants.held]\nmethod = "dann"\nheld_out = 0.3\n')
    compare_grid(place / "grid.toml", place / "out")
    models = {path: path.stat().st_mtime_ns for path in (place / "out").rglob("model.safetensors")}
    compare_grid(place / "grid.toml", place / "out")
    assert {path: path.stat().st_mtime_ns for path in (place / "out").rglob("model.safetensors")} == models
    assert {path.parent.name for path in models} >= {"held", "source-only", "dann", "weighted-dann"}


@pytest.mark.parametrize(
    ("methods", "settings", "unread"),
    [
        (["source-only", "dann"], {"mcc_weight": 3.0}, ("mcc_weight",)),
        (["source-only", "dann-mcc"], {"mcc_weight": 3.0}, ()),
        (["source-only", "iwdan-mcc"], {"strength": 0.1}, ()),  # what the second has anyway
        (["source-only", "weighted-dann"], {"fine_tune_rate": 0.001}, ()),
        (["source-only", "dann"], {"rotate": 5.0}, ()),
    ],
)
def test_a_comparison_tells_what_none_of_its_rows_reads(tmp_path, methods, settings, unread):
    rest = {"methods": methods, "seeds": [0], "evaluation": None, "title": "T"}
    assert jobs._unread_by_all(grid_of([tmp_path], tmp_path, Config(**settings), **rest)) == unread
