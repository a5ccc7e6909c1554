"""What a run says of itself without labels, and what it writes of it."""

import csv
import json
import shutil

import numpy as np
import pytest

from conftest import small_config, stripes, write_classes
from weighbridge.errors import ConfigError, RunFolderError
from weighbridge.runs.adapt import adapt
from weighbridge.runs.finished import NONE_OF_THESE, Run
from weighbridge.runs.trusted import read_likeness


def rows_of(path):
    with path.open() as lines:
        return list(csv.DictReader(lines))


@pytest.fixture
def run(tmp_path):
    """An adapted run with enough held-out renders to know how they look."""
    renders = write_classes(tmp_path / "many-renders", count=30)
    photos = write_classes(tmp_path / "many-photos", count=20, shade=150, seed=3)
    settings = {"method": "dann-mcc", "backbone": "small-batchnorm", "held_out": 0.3, "pre_steps": 40, "steps": 20}
    return Run(adapt([renders], photos, small_config(**settings), tmp_path / "run").path)


def test_a_run_tells_whether_to_trust_it(run):
    trust = run.metrics["trust"]
    assert trust["verdict"] in ("adapted", "renders-only", "inconclusive")
    assert trust["headline"].endswith(".")
    assert 1 <= len(trust["reasons"]) <= 3
    assert f"weighbridge label {run.path}" in trust["next"][0]
    names = [piece["name"] for piece in trust["evidence"]]
    assert {"sink class", "vanished classes", "mutual information", "neighbours", "confidence"} <= set(names)
    assert {"distance on features", "trivial cues", "domain classifier", "views differ", "unlike all renders"} <= set(
        names
    )
    assert len(names) == len(set(names))
    for accuracy in (trust["accuracy"], trust["renders_only_accuracy"]):
        assert 0 <= accuracy["low"] <= accuracy["estimate"] <= accuracy["high"] <= 1
    assert 0 < trust["threshold"] <= 1
    assert set(trust["unlike"]) == {"share", "threshold"}
    json.dumps(trust, allow_nan=False)


def test_predictions_are_calibrated_here_and_later(run, tmp_path):
    table = rows_of(run.path / "predictions.csv")
    assert list(table[0]) == ["file", "label", "probability", "unlike"]
    mean = np.mean([float(row["probability"]) for row in table])
    assert mean == pytest.approx(run.metrics["trust"]["accuracy"]["estimate"], abs=0.01)
    assert run.temperature == run.metrics["trust"]["temperature"] != 1.0
    for prediction, row in zip(run.predict(tmp_path / "many-photos"), table, strict=True):
        assert prediction.label == row["label"]
        assert prediction.probability == pytest.approx(float(row["probability"]), abs=1e-4)
        assert prediction.unlike == pytest.approx(float(row["unlike"]), abs=2e-2)  # renders are kept as float16


def test_what_the_renders_only_model_says_is_kept_beside_it(run, tmp_path):
    table = rows_of(run.path / "renders-only-predictions.csv")
    assert [row["file"] for row in table] == [row["file"] for row in rows_of(run.path / "predictions.csv")]
    alone = Run(run.path / "pre-classifier")
    assert [row["label"] for row in table] == [found.label for found in alone.predict(tmp_path / "many-photos")]
    assert alone.metrics["trust"]["verdict"] == "renders-only"
    assert "This is the renders-only model" in alone.metrics["trust"]["headline"]
    assert not (alone.path / "renders-only-predictions.csv").exists()


def test_labels_of_photos_move_nothing(run, tmp_path):
    swapped = tmp_path / "many-photos"
    (swapped / "level").rename(swapped / "x")
    (swapped / "spot").rename(swapped / "level")
    (swapped / "x").rename(swapped / "spot")
    again = Run(adapt([tmp_path / "many-renders"], swapped, run.config, tmp_path / "again").path)
    assert without_paths(again) == without_paths(run)


def without_paths(run):
    return {key: value for key, value in run.metrics["trust"].items() if key != "next"}


def test_runs_without_held_out_renders_have_no_verdict(renders, photos, tmp_path):
    run = Run(adapt([renders], photos, small_config(method="mcc", held_out=0.0), tmp_path / "run").path)
    assert run.metrics["trust"] is None
    assert run.temperature == 1.0
    assert list(rows_of(run.path / "predictions.csv")[0]) == ["file", "label", "probability"]
    assert len(run.predict(photos)) == 30


def test_photos_unlike_all_renders_may_be_told_as_none_of_these(run, tmp_path):
    """Half of these photos are noise, which no render shows."""
    from PIL import Image

    mixed = tmp_path / "mixed"
    for kind, name in enumerate(("upright", "level", "spot")):
        (mixed / name).mkdir(parents=True)
        for number, pixels in enumerate(stripes(kind, 10, shade=150, seed=8)):
            Image.fromarray(pixels).save(mixed / name / f"{number}.png")
    (mixed / "noise").mkdir()
    random = np.random.default_rng(0)
    for number in range(30):
        noise = np.where(random.random((16, 16)) < 0.5, 0, 255).astype(np.uint8)
        Image.fromarray(noise).save(mixed / "noise" / f"{number}.png")
    found = run.evaluate(mixed, none_of_these=True)
    assert found.classes == ("level", "spot", "upright", NONE_OF_THESE)
    per_class = run.metrics["evaluation"]["per_class"]
    assert per_class[NONE_OF_THESE]["images"] == 30
    assert per_class[NONE_OF_THESE]["accuracy"] > 0.5
    flagged = [each.label == NONE_OF_THESE for each in run.predict(mixed, none_of_these=True)]
    assert sum(flagged) == sum(row[3] for row in found.confusion)
    assert not any(each.label == NONE_OF_THESE for each in run.predict(mixed))
    out = tmp_path / "flagged.csv"
    run.write_predictions(mixed, out, none_of_these=True)
    assert sum(row["label"] == NONE_OF_THESE for row in rows_of(out)) == sum(flagged)
    with pytest.raises(ConfigError, match="expected none_of_these or patch_size, got both"):
        run.write_predictions(mixed, out, none_of_these=True, patch_size=8)


def test_runs_that_know_no_renders_say_so(run, tmp_path):
    shutil.copytree(run.path, tmp_path / "older")
    (tmp_path / "older" / "likeness.npz").unlink()
    older = Run(tmp_path / "older")
    assert older.predict(tmp_path / "many-photos")[0].unlike is None
    with pytest.raises(RunFolderError, match="does not know which images are unlike all renders"):
        older.predict(tmp_path / "many-photos", none_of_these=True)
    assert read_likeness(run.folder.likeness).threshold == run.metrics["trust"]["unlike"]["threshold"]
