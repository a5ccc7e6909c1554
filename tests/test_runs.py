"""The run folder."""

import json
import sys

import pytest

from weighbridge.errors import RunFolderError
from weighbridge.runs import RunFolder, command_line, write_json


def test_a_folder_with_anything_in_it_is_not_made_into_a_run(tmp_path):
    (tmp_path / "run" / "checkpoints").mkdir(parents=True)
    with pytest.raises(RunFolderError, match="exists already and nothing in it is overwritten"):
        RunFolder.create(tmp_path / "run")
    (tmp_path / "file").write_text("x")
    with pytest.raises(RunFolderError, match="exists already"):
        RunFolder.create(tmp_path / "file")
    (tmp_path / "empty").mkdir()
    RunFolder.create(tmp_path / "empty")


def test_processes_that_do_not_write_leave_nothing(tmp_path):
    folder = RunFolder.create(tmp_path / "run", writes=False)
    folder.log({"step": 1})
    folder.write_facts({"a": 1})
    folder.write_metrics({"a": 1})
    assert not (tmp_path / "run").exists()


def test_a_file_is_written_whole_or_not_at_all(tmp_path):
    write_json(tmp_path / "a.json", {"a": 1})
    with pytest.raises(TypeError):
        write_json(tmp_path / "a.json", {"a": object()})
    assert json.loads((tmp_path / "a.json").read_text()) == {"a": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_a_folder_that_is_no_run_names_its_neighbour(tmp_path):
    RunFolder.create(tmp_path / "first").write_facts({"a": 1})
    assert RunFolder.open(tmp_path / "first").facts() == {"a": 1}
    with pytest.raises(RunFolderError, match=r"Did you mean 'first'\?"):
        RunFolder.open(tmp_path / "frist")


def test_a_run_folder_whose_facts_are_damaged_says_so(tmp_path):
    folder = RunFolder.create(tmp_path / "run")
    (tmp_path / "run" / "run.json").write_text("{")
    with pytest.raises(RunFolderError, match="cannot be read"):
        folder.facts()


def test_the_command_can_be_typed_again(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/somewhere/weighbridge/__main__.py", "adapt", "--source", "my renders"])
    assert command_line() == "weighbridge adapt --source 'my renders'"
