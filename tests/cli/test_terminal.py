"""What is printed when a comparison or grid is done."""

import json

import pytest

from report.made import results
from weighbridge.cli.terminal import show_tables


@pytest.fixture
def shown(tmp_path, monkeypatch, capsys):
    def show(made):
        monkeypatch.setenv("COLUMNS", "400")
        text = json.dumps(made)
        (tmp_path / "results.json").write_text(text)
        show_tables(tmp_path)
        return capsys.readouterr().out.replace(str(tmp_path), "c")

    return show


def test_one_table_with_its_note_and_sentences(shown):
    lines = shown(results(dann=[0.5, 0.6], weighted=[0.7, 0.7])).splitlines()
    assert lines[1:4] == ["slow + fa\\xe9st to photos", "", "tested on e: target domain, 100 images"]
    assert lines[4].split() == ["method", "accuracy", "%", "to", "DANN", "source", "%", "seconds"]
    assert lines[5].split()[:4] == ["DANN", "55.0", "±", "7.1"]
    assert lines[8].startswith("Mean ± standard deviation over 2 seeds. Differences are paired by seed, in points")
    assert lines[10] == "• Highest mean accuracy: weighted DANN with 70.0 %."
    assert lines[-3:] == ["", "tables c/table.md", "report c/report.html"]


def test_of_several_tables_those_of_the_target_have_sentences_and_none_a_note(shown):
    made = results(dann=[0.5, 0.6], weighted=[0.7, 0.7])
    (task,) = made["tasks"]
    task["evaluations"].append({**task["evaluations"][0], "name": "[b]other[/b]", "seen": "unseen"})
    for run in (run for row in task["rows"] for run in row["runs"]):
        run["accuracies"]["[b]other[/b]"] = 0.3
    text = shown(made)
    assert text.count("slow + fa\\xe9st to photos") == 1
    assert text.count("weighted DANN  ") == 2
    assert "tested on [b]other[/b]: a domain never seen in training, 100 images" in text
    assert text.count("• Highest mean accuracy") == 1
    assert "Mean ± standard deviation" not in text


def test_processes_that_do_not_write_say_nothing(capsys):
    show_tables(None)
    assert capsys.readouterr().out == ""
