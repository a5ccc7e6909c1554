"""`weighbridge label`, and `evaluate` on what it wrote."""

import csv
import os
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from conftest import small_config
from weighbridge.errors import LeftOutWarning
from weighbridge.labelling.answers import Answer, write_answers
from weighbridge.runs.adapt import adapt
from weighbridge.runs.finished import Run


@pytest.fixture
def run(renders, photos, tmp_path, monkeypatch):
    """A trained run of 30 photos, given by a path from here."""
    monkeypatch.chdir(tmp_path)
    config = small_config(method="source-only", pre_steps=20, steps=0)
    return adapt([Path("renders")], Path("photos"), config, Path("run")).path


def told(run):
    with (run / "predictions.csv").open() as rows:
        return {row["file"]: row["label"] for row in csv.DictReader(rows)}


def test_labels_are_evaluated_where_they_lie(call, run, tmp_path):
    predicted = told(run)
    files = list(predicted)
    wrong = next(name for name in Run(run).classes if name != predicted[files[3]])
    labels = [predicted[files[0]], predicted[files[1]], predicted[files[2]], wrong, "", "none of these"]
    answers = [Answer(file, label, 1.0, "accuracy") for file, label in zip(files, labels, strict=False)]
    write_answers(run / "labels.csv", answers)
    left_out = "2 of 6 labelled photos are left out: 1 cannot be told, 1 show none of these classes"
    with pytest.warns(LeftOutWarning, match=left_out):
        status, out, err = call("evaluate", run, "--data", run / "labels.csv")
    assert status == 0, err
    assert re.search(r"^all +75\.0 %  of 4$", out, flags=re.M)
    assert re.search(r"^On all 30 photos [\d.]+ to 100\.0 % are right, wrong at most 5 times in 100", out, flags=re.M)
    with pytest.warns(LeftOutWarning, match=left_out):
        assert Run(run).evaluate(run / "labels.csv").accuracy == 0.75


def test_labels_of_photos_that_are_gone_are_told(call, run):
    files = list(told(run))
    write_answers(run / "labels.csv", [Answer(files[0], "spot"), Answer("photos/gone.png", "spot")])
    status, _, err = call("evaluate", run, "--data", run / "labels.csv")
    assert status == 2
    assert "the label 'spot' is of 'photos/gone.png', which is no usable image in 'photos'" in err
    write_answers(run / "labels.csv", [Answer(files[0], "spott")])
    status, _, err = call("evaluate", run, "--data", run / "labels.csv")
    assert status == 2
    assert "Did you mean 'spot'?" in err


def test_the_offline_file_says_its_size(call, run, tmp_path):
    status, out, err = call("label", run, "--offline", "labels.html", "--photos", 7)
    assert status == 0, err
    assert re.fullmatch(r"labels\.html: 7 of 30 photos, [\d.]+ MB\. Save its labels to run/labels\.csv\n", out)
    assert "How good is run?" in (tmp_path / "labels.html").read_text()


def test_what_makes_no_sense_is_refused(call, run):
    assert "--accuracy cannot be combined with --teach" in call("label", run, "--accuracy", "--teach")[2]
    assert "--photos must be at least 1" in call("label", run, "--offline", "x.html", "--photos", 0)[2]
    assert call("label", "nowhere")[0] == 2


def test_the_page_is_served_until_ctrl_c(run, tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "src"), "PYTHONUNBUFFERED": "1"}
    words = [sys.executable, "-m", "weighbridge", "label", str(run)]
    with subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        address = next(line.strip() for line in process.stdout if line.startswith("http://127.0.0.1:"))
        with urllib.request.urlopen(address, timeout=20) as page:
            assert "How good is run?" in page.read().decode()
        process.send_signal(signal.SIGINT)
        rest = process.stdout.read()
    assert process.returncode == 0
    assert "0 of 30 photos are labelled" in rest
    assert rest.endswith("labels run/labels.csv\n")
