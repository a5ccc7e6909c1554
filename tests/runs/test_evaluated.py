"""What an evaluation leaves in the run folder, and what it prints."""

import csv
import dataclasses
import json
import re

import numpy as np
import pytest

from conftest import small_config, write_classes
from weighbridge.runs.adapt import adapt
from weighbridge.runs.embedding import embed, in_a_plane, write_report_of
from weighbridge.runs.evaluated import write_evaluation
from weighbridge.runs.finished import Run
from weighbridge.settings import build_data


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    place = tmp_path_factory.mktemp("evaluated")
    source, labelled = write_classes(place / "renders"), write_classes(place / "labelled", count=8, shade=120, seed=5)
    path = adapt([source], labelled, small_config(steps=20), place / "run").path
    Run(path).evaluate(labelled)
    return path


def rows_of(run, table="evaluation.csv"):
    with (run / table).open(newline="") as lines:
        return list(csv.DictReader(lines))


def test_every_image_has_a_line_that_agrees_with_the_counts(run):
    rows, evaluation = rows_of(run), json.loads((run / "metrics.json").read_text())["evaluation"]
    assert list(rows[0]) == ["file", "label", "true label", "probability", "right"]
    assert len(rows) == evaluation["images"] == 24
    assert all((row["label"] == row["true label"]) == (row["right"] == "1") for row in rows)
    assert sum(row["right"] == "1" for row in rows) / 24 == evaluation["accuracy"]
    assert all(row["file"].split("/")[-2] == row["true label"] for row in rows)
    predicted = {row["file"]: row for row in rows_of(run, "predictions.csv")}
    assert all(predicted[row["file"]]["label"] == row["label"] for row in rows)
    assert all(
        float(predicted[row["file"]]["probability"]) == pytest.approx(float(row["probability"]), abs=2e-4)
        for row in rows
    )


def test_metrics_have_intervals_by_groups_and_the_path(run):
    evaluation = json.loads((run / "metrics.json").read_text())["evaluation"]
    low, high = evaluation["interval"]
    assert 0 <= low < evaluation["accuracy"] or low == high == 1
    assert evaluation["groups"] <= 24
    assert evaluation["grouped_by"] in ("near-duplicates", "nothing")
    assert evaluation["path"]["absolute"].endswith("labelled")
    assert all(len(told["interval"]) == 2 for told in evaluation["per_class"].values())


def test_photos_of_a_group_make_the_interval_wider(tmp_path):
    source = write_classes(tmp_path / "renders")
    path = adapt([source], source, small_config(steps=2, pre_steps=2), tmp_path / "run").path
    wide = []
    for groups in (36, 6):
        lines = [
            f"renders/{name}/{k:03}.png,{name},{(k + 12 * kind) % groups}"
            for kind, name in enumerate(("level", "spot", "upright"))
            for k in range(12)
        ]
        (tmp_path / "test.csv").write_text("\n".join(["file,label,group", *lines]) + "\n")
        finished = Run(path)
        finished.evaluate(tmp_path / "test.csv")
        noted = finished.metrics["evaluation"]
        assert (noted["groups"], noted["grouped_by"]) == (groups, "group")
        wide.append(noted["interval"][1] - noted["interval"][0])
    assert wide[1] > 1.2 * wide[0]


def test_evaluate_prints_an_interval_and_writes_the_report_anew(run, call):
    (run / "report.html").unlink(missing_ok=True)
    labelled = run.parent / "labelled"
    status, out, _ = call("evaluate", run, labelled)
    assert status == 0
    assert re.search(r"^class mean +[\d.]+ %$", out, flags=re.M)
    assert re.search(r"^95 % interval of the accuracy: [\d.]+ to [\d.]+ %; (near-dup|photos count)", out, flags=re.M)
    assert f"photo by photo {run}/evaluation.csv" in out
    assert "Class-mean accuracy" in (run / "report.html").read_text()


def test_the_report_of_a_run_has_both_domains_in_one_plane(run):
    (run / "embedding.npz").unlink(missing_ok=True)
    write_report_of(run)
    training = sum(row["split"] == "train" for row in rows_of(run, "split.csv"))
    with np.load(run / "embedding.npz", allow_pickle=False) as archive:
        assert archive["xy"].shape == (training + 24, 2)
        assert archive["domain"].tolist() == [0] * training + [1] * 24
        names, label = archive["name"], archive["label"]
    classes = json.loads((run / "run.json").read_text())["classes"]
    assert all(f"/{classes[label[k]]}/" in names[k] for k in range(training))  # renders have their own labels
    said = {row["file"]: row["label"] for row in rows_of(run, "predictions.csv")}
    photos = range(training, training + 24)
    assert all(said[str(names[k])] == classes[label[k]] for k in photos)  # what they are taken for
    before = (run / "embedding.npz").read_bytes()
    (run / "embedding.npz").unlink()
    embed(Run(run))
    assert (run / "embedding.npz").read_bytes() == before
    assert "Both domains in one plane" in (run / "report.html").read_text()


def test_a_report_is_written_where_the_images_are_gone(run, tmp_path):
    (run / "embedding.npz").unlink(missing_ok=True)
    run.parent.joinpath("labelled").rename(run.parent / "away")
    try:
        text = write_report_of(run).read_text()
    finally:
        run.parent.joinpath("away").rename(run.parent / "labelled")
    assert "Both domains in one plane</h2>" not in text
    assert "Of 24 the picture is not where it was" in text


def test_points_that_are_alike_lie_together():
    random = np.random.default_rng(0)
    features = np.concatenate([random.normal(size=(30, 8)), random.normal(size=(30, 8)) + 20]).astype(np.float32)
    places, how = in_a_plane(features)
    assert how.startswith("t-SNE")
    near = np.linalg.norm(places[:, None] - places[None], axis=2) + 1e9 * np.eye(60)
    nearest = near.argmin(axis=1)
    assert ((nearest < 30) == (np.arange(60) < 30)).all()
    few, how = in_a_plane(features[:4])
    assert few.shape == (4, 2)
    assert "principal components" in how
    alike, how = in_a_plane(np.ones((30, 4), dtype=np.float32))
    assert not alike.any()
    assert "the same features" in how


def test_an_evaluation_of_other_images_takes_the_old_lines_away(run, tmp_path):
    other = write_classes(tmp_path / "other", count=3, seed=8)
    finished = Run(run)
    rows_before = rows_of(run)
    finished.evaluate(other)
    assert len(rows_of(run)) == 9
    counts = dataclasses.replace(finished.evaluate(run.parent / "labelled"), predicted=None, probability=None)
    assert rows_of(run) == rows_before
    domains = [
        build_data.open_labelled(path, finished.config, finished.classes) for path in (run.parent / "labelled", other)
    ]
    write_evaluation(run, counts, domains[0])
    assert rows_of(run) == rows_before  # of the same images
    write_evaluation(run, counts, domains[1])
    assert not (run / "evaluation.csv").exists()


def test_probabilities_of_an_evaluation_are_those_of_predict(run):
    finished = Run(run)
    assert finished.temperature != 1.0
    finished.evaluate(finished.metrics["evaluation"]["data"])
    told = {row["file"]: float(row["probability"]) for row in rows_of(run)}
    for prediction in finished.predict(finished.metrics["evaluation"]["data"]):
        assert told[prediction.file] == pytest.approx(prediction.probability, abs=1e-3)
