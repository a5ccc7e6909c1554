"""What domains are called."""

from pathlib import Path

from weighbridge.data.names import distinct_names, domain_name


def distinct(*paths):
    paths = [Path(path) for path in paths]
    return distinct_names([path.name for path in paths], paths)


def test_a_domain_is_called_like_its_folder_or_its_file(tmp_path, monkeypatch):
    (tmp_path / "v1.2").mkdir()
    monkeypatch.chdir(tmp_path / "v1.2")
    assert domain_name(tmp_path / "v1.2") == "v1.2"
    assert domain_name(Path()) == "v1.2"
    assert domain_name(tmp_path / "renders.npz") == "renders"


def test_names_that_differ_stay_as_they_are():
    assert distinct("/a/renders", "/b/photos") == ("renders", "photos")
    assert distinct() == ()


def test_names_that_are_the_same_get_the_folders_above_and_others_do_not():
    assert distinct("/a/renders", "/b/photos", "/c/renders") == ("a/renders", "photos", "c/renders")


def test_names_that_are_still_the_same_get_numbers_and_others_do_not():
    paths = ("/a/renders", "/b/photos", "/x/c/renders", "/y/c/renders")
    assert distinct(*paths) == ("a/renders", "photos", "c/renders (3)", "c/renders (4)")


def test_one_domain_that_is_given_twice_has_two_names():
    assert distinct("/a/renders", "/a/renders") == ("a/renders (1)", "a/renders (2)")
