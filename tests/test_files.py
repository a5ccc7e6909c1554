"""Files and folders that are there whole or not at all."""

import pytest

from weighbridge.files import occupied, replace_rows, replace_text, whole_file, whole_folder


def listing(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def stopped(whole, begin):
    """Something is begun, and then Ctrl-C comes."""

    def half():
        with whole as part:
            begin(part)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        half()


def test_a_file_takes_its_place_when_it_is_whole(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with whole_file(path) as part:
        part.write_text("new")
        assert path.read_text() == "old"
        assert listing(tmp_path) == ["a.txt", "a.txt.part"]
    assert path.read_text() == "new"
    assert listing(tmp_path) == ["a.txt"]


def test_a_file_that_was_not_finished_leaves_what_was_there(tmp_path):
    path = tmp_path / "a.txt"
    stopped(whole_file(path), lambda part: part.write_text("half"))
    assert listing(tmp_path) == []
    path.write_text("old")
    stopped(whole_file(path), lambda part: part.write_text("half"))
    stopped(whole_file(path), lambda part: None)
    assert (listing(tmp_path), path.read_text()) == (["a.txt"], "old")


def test_rows_that_end_in_an_error_leave_what_was_there(tmp_path):
    replace_rows(tmp_path / "a.csv", ("n",), [(1,)])
    with pytest.raises(ZeroDivisionError):
        replace_rows(tmp_path / "a.csv", ("n",), ((1 // n,) for n in (1, 0)))
    assert (listing(tmp_path), (tmp_path / "a.csv").read_text()) == (["a.csv"], "n\n1\n")


def test_two_that_write_one_path_at_once_do_not_meet_where_each_has_a_file_of_its_own(tmp_path):
    path = tmp_path / "a.txt"
    with whole_file(path, tmp_path / ".one.part") as one, whole_file(path, tmp_path / ".two.part") as two:
        one.write_text("one")
        two.write_text("two")
        assert listing(tmp_path) == [".one.part", ".two.part"]
    assert (listing(tmp_path), path.read_text()) == (["a.txt"], "one")


def test_an_error_names_the_file_that_was_asked_for(tmp_path):
    nowhere = tmp_path / "nowhere" / "a.txt"
    with pytest.raises(FileNotFoundError) as caught:
        replace_text(nowhere, "a")
    assert caught.value.filename == str(nowhere)
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError) as caught:
        replace_text(tmp_path / "folder", "a")
    assert caught.value.filename == str(tmp_path / "folder")
    with pytest.raises(FileNotFoundError) as caught, whole_file(tmp_path / "a.txt"):
        (tmp_path / "other").read_text()
    assert caught.value.filename == str(tmp_path / "other")


def test_a_folder_takes_its_place_when_it_is_whole(tmp_path):
    path = tmp_path / "above" / "a"
    with whole_folder(path) as part:
        (part / "b").write_text("b")
        assert listing(tmp_path) == ["above", "above/a.part", "above/a.part/b"]
    assert listing(tmp_path) == ["above", "above/a", "above/a/b"]


def test_a_folder_that_was_not_finished_is_not_there_and_does_not_stand_in_the_way(tmp_path):
    path = tmp_path / "a"
    stopped(whole_folder(path), lambda part: (part / "half").write_text("h"))
    assert listing(tmp_path) == ["a.part", "a.part/half"]
    with whole_folder(path) as part:
        assert not any(part.iterdir())
    assert listing(tmp_path) == ["a"]


def test_a_folder_replaces_an_empty_one_and_no_other(tmp_path):
    path = tmp_path / "a"
    path.mkdir()
    with whole_folder(path) as part:
        (part / "b").write_text("first")
    with pytest.raises(OSError), whole_folder(path):
        pass
    assert (path / "b").read_text() == "first"


def test_an_empty_folder_is_nothing_in_the_way(tmp_path):
    assert not occupied(tmp_path / "nothing")
    (tmp_path / "empty").mkdir()
    assert not occupied(tmp_path / "empty")
    (tmp_path / "file").write_text("")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / ".hidden").write_text("")
    assert occupied(tmp_path / "file")
    assert occupied(tmp_path / "full")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    assert occupied(tmp_path / "link")
