"""`weighbridge earned`: which renders of a finished run earned it, where the truth is known."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from conftest import small_config, write_classes
from weighbridge.data.vectors import Vectors
from weighbridge.errors import ConfigError, RunFolderError
from weighbridge.runs.adapt import adapt
from weighbridge.runs.earned import earned
from weighbridge.runs.finished import Run
from weighbridge.settings.build_data import open_source
from weighbridge.settings.config import read_run
from weighbridge.watch import Quiet

LITE0 = {"backbone": "efficientnet-lite0", "channels": 3, "image_size": 32, "views": 1}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run on features. Every third render of class level shows upright stripes, by a mesh of its own."""
    place = tmp_path_factory.mktemp("earned")
    renders = write_classes(place / "renders", count=40)
    photos = place / "photos"
    photos.mkdir()
    labelled = write_classes(place / "labelled-photos", count=14, shade=120, seed=5)
    for file in labelled.rglob("*.png"):
        shutil.copy(file, photos / f"{file.parent.name[0]}{file.name}")
    with (renders / "metadata.csv").open("w", newline="") as table:
        rows = csv.writer(table)
        rows.writerow(["file", "label", "index", "mesh", "turn"])
        for label in ("level", "spot", "upright"):
            for k in range(40):
                bad = label == "level" and k % 3 == 0
                if bad:
                    shutil.copy(renders / "upright" / f"{k:03}.png", renders / "level" / f"{k:03}.png")
                rows.writerow([f"{label}/{k:03}.png", label, k, "fallen" if bad else "upright", (k * 7) % 40])
    config = small_config(**LITE0, method="iwdan-self-training", pre_steps=40, steps=20, held_out=0.0)
    folder = adapt([renders], photos, config, place / "run")
    Run(folder.path).evaluate(labelled)
    return folder.path


def copied(finished, tmp_path):
    return shutil.copytree(finished, tmp_path / "run")


@pytest.fixture(scope="module")
def found(finished, tmp_path_factory):
    """What the command leaves behind."""
    run = shutil.copytree(finished, tmp_path_factory.mktemp("found") / "run")
    return run, earned(run, seeds=2, retrainings=8)


def read(run):
    return json.loads((run / "influence.json").read_text())


def test_renders_that_show_something_else_are_lowest_and_their_factor_is_named(found):
    run, outcome = found
    with (run / "influence.csv").open() as lines:
        rows = list(csv.DictReader(lines))
    bad = {f"level/{k:03}.png" for k in range(0, 40, 3)}
    lowest = [row["file"] for row in rows if row["lowest_fifth"] == "1"]
    caught = sum(any(file.endswith(name) for name in bad) for file in lowest)
    assert caught >= 12
    assert any("of class level with mesh fallen" in sentence for sentence in outcome.next)
    assert [float(row["value"]) for row in rows] == sorted(float(row["value"]) for row in rows)
    assert {"value_by_labels", "weight"} <= set(rows[0])


def test_the_files_have_what_a_report_shows(found):
    run, outcome = found
    facts = read(run)
    assert facts["next"] == outcome.next
    assert {entry["class"] for entry in facts["by_class"]} == {"level", "spot", "upright"}
    assert [entry["source"] for entry in facts["by_source"]] == ["renders"]
    fallen = next(entry for entry in facts["by_factor"] if (entry["range"], entry["class"]) == ("fallen", "level"))
    assert fallen["factor"] == "mesh"
    assert fallen["images"] == 14
    assert fallen["effect"]["low"] <= fallen["effect"]["estimate"] <= fallen["effect"]["high"]
    assert fallen["share_lowest_fifth"] >= 0.8
    assert set(facts["fifths"]) == {"the lowest fifth", "a random fifth"}
    assert facts["fifths"]["the lowest fifth"]["accuracy_effect"] is not None


def test_what_is_left_without_the_lowest_fifth_is_a_source(found):
    run, _ = found
    with (run / "influence.csv").open() as lines:
        kept = {row["file"] for row in csv.DictReader(lines) if row["lowest_fifth"] == "0"}
    source, held_out = open_source([run / "without-lowest-fifth.csv"], read_run(run / "config.toml"))
    assert {Path(file).name + Path(file).parent.name for file in source.files} == {
        Path(file).name + Path(file).parent.name for file in kept
    }
    assert len(source) == 96
    assert len(held_out) == 0


def test_training_again_with_all_renders_is_the_run_itself(found):
    run, _ = found
    metrics = json.loads((run / "metrics.json").read_text())
    again = read(run)["with_all"][0]
    assert again["score"] == pytest.approx(metrics["target"]["mutual_information"], abs=1e-6)
    assert again["accuracy"] == metrics["evaluation"]["accuracy"]


def test_no_more_is_trained_than_was_asked_for_and_nothing_twice(found):
    run, outcome = found
    lines = (run / "retrainings.jsonl").read_text().splitlines()
    assert len(lines) == 8
    assert read(run)["retrainings"] == 8
    before = read(run)
    assert earned(run, seeds=2, retrainings=8).rows == outcome.rows
    assert (run / "retrainings.jsonl").read_text().splitlines() == lines
    assert read(run) == before
    assert not (run / "retraining").exists()


class Stops(Quiet):
    """Ctrl-C before the third retraining."""

    def about(self, run, done, total):
        if done == 2:
            raise KeyboardInterrupt


def test_a_call_that_was_stopped_goes_on(finished, found, tmp_path):
    run = copied(finished, tmp_path)
    with pytest.raises(KeyboardInterrupt):
        earned(run, seeds=2, retrainings=8, watch=Stops())
    assert len((run / "retrainings.jsonl").read_text().splitlines()) == 2
    earned(run, seeds=2, retrainings=8)
    assert read(run) == read(found[0])


def test_without_features_only_the_weights_are_told(renders, photos, tmp_path):
    told = []
    watch = Quiet()
    watch.tell = told.append
    folder = adapt([renders], photos, small_config(), tmp_path / "run")
    outcome = earned(folder.path, watch=watch)
    assert told == ["this run did not train on features, so nothing is trained again: only its weights are looked at"]
    assert outcome.rows[0] == ("renders", "number", "mean weight")
    facts = read(folder.path)
    assert facts["score"] == "mean weight in training"
    assert all(entry["effect"] is None and entry["weight"] for entry in facts["by_class"])


def test_without_features_and_weights_there_is_nothing_to_tell(renders, photos, tmp_path):
    folder = adapt([renders], photos, small_config(method="source-only"), tmp_path / "run")
    with pytest.raises(RunFolderError, match="expected a run on features or a run with weights"):
        earned(folder.path)


def test_too_few_retrainings_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="retrainings must be at least 3 for each of 4 seeds"):
        earned(tmp_path, seeds=4, retrainings=11)
    with pytest.raises(ConfigError, match="seeds must be at least 2"):
        earned(tmp_path, seeds=1)


def test_what_is_left_out_is_no_part_of_the_scale():
    plain = np.array([[1.0], [3.0], [100.0]], dtype=np.float16)
    mean, deviation = Vectors(plain, np.empty((3, 0, 1), np.float16), "").moments(np.array([0, 1]))
    assert (mean.tolist(), deviation.tolist()) == ([2.0], [1.0])


def test_the_command_says_what_to_render_next(finished, found, tmp_path, call):
    run = copied(finished, tmp_path)
    shutil.copy(found[0] / "retrainings.jsonl", run)
    status, out, _ = call("earned", run, "--seeds", "2", "--retrainings", "8")
    assert status == 0
    assert "the lowest fifth" in out
    assert "What to render next\n  - " in out
    assert str(run / "influence.json") in out
