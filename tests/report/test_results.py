"""Results are read: those of today under any name, those of before, and all that are committed."""

import csv
import json
from pathlib import Path

import pytest

from report.made import shows_something
from weighbridge.errors import RunFolderError
from weighbridge.report.comparison_figures import methods_figure
from weighbridge.report.results import read_results
from weighbridge.report.sentences import findings, heading
from weighbridge.report.summary import tables_of
from weighbridge.report.tables import table_cells, tables_csv

EXPERIMENTS = Path(__file__).parents[2] / "experiments"
COMMITTED = sorted(EXPERIMENTS.rglob("*grid.json"))
BEFORE = sorted(EXPERIMENTS.glob("first-light/*/metrics.json"))  # as comparisons were written when they were made

# results.json of a comparison as it was written before it had the shape of a grid's.
OLD_RUN = {"source_accuracy": 0.99, "prediction_entropy": 0.5, "domain_accuracy": None, "seconds": 3.5}
OLD = {
    "title": "Printed digits to handwriting",
    "command": "weighbridge compare --out c",
    "settings": "0123456789abcdef",
    "seeds": [0, 1],
    "machine": {"device": "cpu", "precision": "fp32"},
    "labels": "No target label was used for training.",
    "seconds": 99.9,
    "task": {
        "source": [{"name": "realtime", "images": 1799}, {"name": "prerendered", "images": 1801}],
        "held_out": 400,
        "target": {"name": "handwritten", "images": 1198},
        "classes": ["0", "1"],
        "image_size": 16,
        "evaluation": {"name": "handwritten-labelled", "images": 599},
    },
    "rows": [
        {
            "method": "source-only",
            "weighting": None,
            "name": "source only",
            "disagreement": 0.25,
            "runs": [
                {"seed": 0, "folder": "seed-0/source-only", "accuracy": 0.5, **OLD_RUN, "diverged_at": None},
                {
                    "seed": 1,
                    "folder": "seed-1/source-only",
                    "accuracy": None,
                    **dict.fromkeys(OLD_RUN),
                    "diverged_at": 4,
                },
            ],
        }
    ],
}


def test_results_are_read_under_any_name(grid, tmp_path):
    copy = tmp_path / "published.json"
    copy.write_bytes((grid / "results.json").read_bytes())
    assert read_results(copy) == read_results(grid)
    assert shows_something(methods_figure(copy), tmp_path / "f.png")
    for text in ("{}", "[]", "{"):
        copy.write_text(text)
        with pytest.raises(RunFolderError, match=r"published.json' holds no results of a comparison or grid"):
            read_results(copy)


def test_a_comparison_of_before_is_read_as_a_task_with_an_evaluation(tmp_path):
    (tmp_path / "results.json").write_text(json.dumps(OLD))
    found = read_results(tmp_path)
    (task,) = found.pop("tasks")
    assert found == {key: value for key, value in OLD.items() if key not in ("task", "rows")}
    (row,) = task.pop("rows")
    assert row["control"] is True
    assert task == {
        "name": "realtime + prerendered to handwritten",
        "source_name": "realtime + prerendered",
        "target_name": "handwritten",
        **{key: value for key, value in OLD["task"].items() if key != "evaluation"},
        "evaluations": [{"name": "handwritten-labelled", "images": 599, "seen": "target", "trained_on": False}],
    }
    first, lost = row["runs"]
    old = {"seed": 0, "folder": "seed-0/source-only", **OLD_RUN, "diverged_at": None}
    assert first == {**old, "accuracies": {"handwritten-labelled": 0.5}}
    assert (lost["accuracies"], lost["diverged_at"], "accuracy" in lost) == ({}, 4, False)
    (table,) = tables_of(read_results(tmp_path))
    assert table.rows[0].accuracy == pytest.approx(50.0)
    assert heading(table) == "tested on handwritten-labelled: target domain, 599 images"
    figure = methods_figure(tmp_path)
    assert figure.axes[0].get_title(loc="left") == "realtime + prerendered → handwritten"


def test_a_comparison_of_before_without_labels_is_read_too(tmp_path):
    runs = [{**run, "accuracy": None} for run in OLD["rows"][0]["runs"]]
    old = {**OLD, "task": {**OLD["task"], "evaluation": None}, "rows": [{**OLD["rows"][0], "runs": runs}]}
    (tmp_path / "results.json").write_text(json.dumps(old))
    (table,) = tables_of(read_results(tmp_path))
    assert (table.evaluation, table.rows[0].accuracy, table.rows[0].disagreement) == (None, None, 25.0)
    assert heading(table) == "not tested: there are no labelled images"


def name_of(path):
    return str(path.relative_to(EXPERIMENTS))


def accuracies(text):
    """(source, target, evaluation, name) -> accuracy as it is written; tables of before have the name alone."""
    where = ("source", "target", "evaluation", "name")
    return {tuple(row.get(key) for key in where): row["accuracy"] for row in csv.DictReader(text.splitlines())}


def test_there_are_committed_results():
    assert len(COMMITTED) > 20
    assert len(BEFORE) == 3


@pytest.mark.parametrize("path", COMMITTED, ids=name_of)
def test_every_committed_result_is_read_and_is_that_of_its_table(path):
    results = read_results(path)
    assert json.loads(path.read_text(encoding="utf-8")) == results  # in the one shape
    tables = tables_of(results)
    assert all(table_cells(table) and heading(table) for table in tables)
    assert any(findings(table) for table in tables)
    beside = path.with_name(path.name.replace("grid.json", "table.csv"))
    assert accuracies(tables_csv(tables)) == accuracies(beside.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", BEFORE, ids=name_of)
def test_results_of_before_that_are_committed_are_read_too(path):
    (table,) = tables_of(read_results(path))
    assert f"±{table.photo_margin:.1f} points" in path.with_name("table.md").read_text(encoding="utf-8")
    ours = {name: accuracy for (*_, name), accuracy in accuracies(tables_csv([table])).items()}
    theirs = {name: accuracy for (*_, name), accuracy in accuracies(path.with_name("table.csv").read_text()).items()}
    assert ours == theirs
