"""The run folder."""

import json
import sys

import pytest

from weighbridge.errors import RunFolderError
from weighbridge.files import write_json
from weighbridge.run_folder import RunFolder, command_line


def create(path):
    with RunFolder.create(path) as folder:
        folder.write_facts({"a": 1})
    return RunFolder(path)


def test_a_folder_with_anything_in_it_is_not_made_into_a_run(tmp_path):
    (tmp_path / "run" / "checkpoints").mkdir(parents=True)
    (tmp_path / "file").write_text("x")
    for name in ("run", "file"):
        with pytest.raises(RunFolderError, match="exists already and nothing in it is overwritten"):
            create(tmp_path / name)
    (tmp_path / "empty").mkdir()
    assert create(tmp_path / "empty").started


def test_a_run_folder_appears_whole_or_not_at_all(tmp_path):
    def half():
        with RunFolder.create(tmp_path / "run"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        half()
    assert not (tmp_path / "run").exists()
    assert create(tmp_path / "run").started  # what was left does not stand in the way
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_processes_that_do_not_write_leave_nothing(tmp_path):
    folder = RunFolder(tmp_path / "run", writes=False)
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
    create(tmp_path / "first")
    assert RunFolder.open(tmp_path / "first").facts() == {"a": 1}
    with pytest.raises(RunFolderError, match=r"Did you mean 'first'\?"):
        RunFolder.open(tmp_path / "frist")


def test_a_run_folder_whose_facts_are_damaged_says_so(tmp_path):
    folder = create(tmp_path / "run")
    (tmp_path / "run" / "run.json").write_text("{")
    with pytest.raises(RunFolderError, match="cannot be read"):
        folder.facts()


def test_the_command_can_be_typed_again(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/somewhere/weighbridge/__main__.py", "adapt", "--source", "my renders"])
    assert command_line() == "weighbridge adapt --source 'my renders'"
