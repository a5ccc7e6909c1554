"""Labelled photos that teach: learned from, kept apart from those that judge, and the same after a resumption."""

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from conftest import small_config, stripes
from weighbridge.errors import DataError, LeftOutWarning, RunFolderError
from weighbridge.labelling.answers import Answer, write_answers
from weighbridge.runs.adapt import adapt, resume
from weighbridge.runs.finished import Run


def write(folder, kinds, seed, count):
    """folder/KIND-000.png ..."""
    folder.mkdir(parents=True)
    for kind in kinds:
        for number, pixels in enumerate(stripes(kind, count, shade=200, seed=seed)):
            Image.fromarray(pixels).save(folder / f"{kind}-{number:03}.png")


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Renders of upright and of level stripes. Among the photos the level ones are spots, which no render shows."""
    monkeypatch.chdir(tmp_path)
    for name, kind in (("one", 0), ("two", 1)):
        write(Path("renders") / name, [kind], 1, 12)
    write(Path("photos"), [0, 2], 2, 20)
    return tmp_path


TRUTH = {"0": "one", "2": "two"}  # of the photos


def labels_of(numbers, asked="teach"):
    return [Answer(f"photos/{kind}-{k:03}.png", TRUTH[kind], asked=asked) for kind in "02" for k in numbers]


CONFIG = {"method": "source-only", "pre_steps": 0, "steps": 60, "backbone": "small-batchnorm", "learning_rate": 0.05}


LITE0 = {"backbone": "efficientnet-lite0", "channels": 3, "image_size": 32, "views": 1}


def accuracy(folder):
    with (folder.path / "predictions.csv").open() as rows:
        told = [(Path(row["file"]).name[0], row["label"]) for row in csv.DictReader(rows)]
    return float(np.mean([TRUTH[kind] == label for kind, label in told]))


def test_three_labels_a_class_teach_what_renders_cannot(place):
    config = small_config(**CONFIG)
    write_answers(place / "labels.csv", [*labels_of(range(3)), *labels_of(range(3, 9), "better")])
    without = adapt([Path("renders")], Path("photos"), config, Path("without"))
    with_labels = adapt([Path("renders")], Path("photos"), config, Path("with"), target_labels=Path("labels.csv"))
    assert accuracy(without) < 0.7  # most spots are taken for the other class
    assert accuracy(with_labels) > 0.9
    assert with_labels.facts()["data"]["target_labels"] == {"images": 6, "by_class": {"one": 3, "two": 3}}
    assert with_labels.records()[-1]["target_label_loss"] < 1.0


def test_judging_leaves_out_what_was_learned(place):
    config = small_config(**CONFIG | {"steps": 2})
    write_answers(place / "labels.csv", [*labels_of(range(3)), *labels_of(range(3, 5), "better")])
    run = Run(adapt([Path("renders")], Path("photos"), config, Path("run"), target_labels=Path("labels.csv")).path)
    with pytest.warns(LeftOutWarning, match="6 of 10 labelled photos are left out: 6 taught or shall teach"):
        assert run.evaluate("labels.csv").images == 4
    for kind, name in TRUTH.items():  # copies under other names
        (place / "labelled" / name).mkdir(parents=True)
        for k in range(5):
            shutil.copy(place / f"photos/{kind}-{k:03}.png", place / "labelled" / name / f"copy-{k}.png")
    with pytest.warns(LeftOutWarning, match="6 of 10 images are left out, as the run has learned their labels"):
        assert run.evaluate("labelled").images == 4
    write_answers(place / "learned.csv", labels_of(range(3)))
    with pytest.raises(DataError, match="found none of 6: 6 taught"):
        run.evaluate("learned.csv")


@pytest.mark.parametrize(
    "changes",
    [{}, {"method": "dann"}, {**LITE0, "training": "features"}, {**LITE0, "training": "fine-tune", "tune_steps": 6}],
    ids=["images", "adversary", "features", "fine-tune"],
)
def test_a_resumed_run_learns_the_same(place, changes):
    config = small_config(**CONFIG | {"steps": 6, "checkpoint_every": 4} | changes)
    write_answers(place / "labels.csv", labels_of(range(3)))
    whole = adapt([Path("renders")], Path("photos"), config, Path("whole"), target_labels=Path("labels.csv"))
    parts = adapt([Path("renders")], Path("photos"), config, Path("parts"), target_labels=Path("labels.csv"))
    (parts.path / "metrics.json").unlink()
    parts.model.unlink()
    Path("labels.csv").unlink()  # the run has its own
    a, b = load_file(whole.model), load_file(resume(parts.path).model)
    assert all(torch.equal(a[name], b[name]) for name in a)
    (parts.path / "metrics.json").unlink()
    rows = (parts.path / "target-labels.csv").read_text().replace(",one,", ",two,")
    (parts.path / "target-labels.csv").write_text(rows)
    with pytest.raises(RunFolderError, match="have changed since it started"):
        resume(parts.path)


def test_without_labels_nothing_changes_and_the_pre_classifier_never_sees_them(place):
    config = small_config(method="mcc", pre_steps=4, steps=4)
    write_answers(place / "labels.csv", labels_of(range(3)))
    plain = adapt([Path("renders")], Path("photos"), config, Path("plain"))
    taught = adapt([Path("renders")], Path("photos"), config, Path("taught"), target_labels=Path("labels.csv"))
    before, after = (load_file(f.path / "pre-classifier/model.safetensors") for f in (plain, taught))
    assert all(torch.equal(before[name], after[name]) for name in before)
    one, other = load_file(plain.model), load_file(taught.model)
    assert not all(torch.equal(one[name], other[name]) for name in one)
    weightless = config.replace(target_label_weight=0.0)
    same = adapt([Path("renders")], Path("photos"), weightless, Path("same"), target_labels=Path("labels.csv"))
    third = load_file(same.model)
    assert all(torch.equal(one[name], third[name]) for name in one)  # other batches stay what they were


def test_what_cannot_teach_is_refused(place):
    config = small_config(**CONFIG)

    def started(answers):
        write_answers(place / "labels.csv", answers)
        return adapt([Path("renders")], Path("photos"), config, Path("run"), target_labels=Path("labels.csv"))

    with pytest.raises(DataError, match=r"to learn from, found none\. Labels given to judge do not teach"):
        started(labels_of(range(3), "better"))
    with pytest.raises(DataError, match=r"no usable image in 'photos'"):
        started([Answer("photos/gone.png", "one", asked="teach")])
    with pytest.raises(DataError, match=r"has the label 'oen'. Did you mean 'one'\?"):
        started([Answer("photos/2-000.png", "oen", asked="teach")])
    shutil.copy(place / "photos/2-000.png", place / "photos/twin.png")
    with pytest.raises(
        DataError, match=r"'photos/2-000.png' teaches in '.*', and the same picture judges as '.*twin.png'"
    ):
        started([*labels_of(range(1)), Answer("photos/twin.png", "two", asked="accuracy")])
    assert not Path("run").exists()
