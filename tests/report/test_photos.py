"""Which photos a page shows, and where their pictures come from."""

import csv
import io
import os
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from report.pages import picture, table
from weighbridge.report import photos as photos_module
from weighbridge.report.photos import read_photos, shown_photos
from weighbridge.report.pictures import OwnPictures

CLASSES = ["cup", "jug"]


def noted(path):
    return {"given": str(path), "absolute": str(path.resolve())}


@pytest.fixture
def run(tmp_path):
    """Six photos: cups at 0.9, 0.8, 0.7, 0.6, jugs at 0.99 and 0.95."""
    files = [picture(tmp_path / "photos" / f"{k}.png", k, k) for k in range(6)]
    said = [("cup", 0.9), ("cup", 0.8), ("cup", 0.7), ("cup", 0.6), ("jug", 0.99), ("jug", 0.95)]
    rows = [(file, label, p) for file, (label, p) in zip(files, said, strict=True)]
    table(tmp_path / "predictions.csv", ("file", "label", "probability"), rows)
    return tmp_path


def order(run, most=400, trust=None):
    found = read_photos(run, CLASSES, trust)
    sections, count = shown_photos(found, OwnPictures([noted(run / "photos")]), most)
    assert count == sum(len(section.cards) for section in sections)
    return {section.name: [Path(card.file).name for card in section.cards] for section in sections}


def test_the_least_sure_come_first_and_every_class_has_its_share(run):
    assert order(run) == {"cup": ["3.png", "2.png", "1.png", "0.png"], "jug": ["5.png", "4.png"]}
    assert order(run, most=4) == {"cup": ["3.png", "2.png"], "jug": ["5.png", "4.png"]}
    assert order(run, most=3) == {"cup": ["3.png", "2.png"], "jug": ["5.png"]}


def test_wrong_ones_come_before_the_least_sure(run):
    rows = [(run / "photos" / "0.png", "cup", "jug", 0.9, 0), (run / "photos" / "1.png", "cup", "cup", 0.8, 1)]
    table(run / "evaluation.csv", ("file", "label", "true label", "probability", "right"), rows)
    assert order(run)["cup"] == ["0.png", "3.png", "2.png", "1.png"]
    found = read_photos(run, CLASSES, None)
    assert found.right.tolist() == [0, 1, -1, -1, -1, -1]
    assert found.true == {0: "jug", 1: "cup"}


def test_evaluated_images_that_are_not_of_the_target_are_shown_too(run):
    other = picture(run / "test" / "x.png", 1, 1)
    table(
        run / "evaluation.csv", ("file", "label", "true label", "probability", "right"), [(other, "jug", "cup", 0.5, 0)]
    )
    found = read_photos(run, CLASSES, None)
    assert (found.target, len(found)) == (6, 7)
    assert found.names([0, 6]) == {0: f"{run}/photos/0.png", 6: other}
    sections, _ = shown_photos(found, OwnPictures([noted(run / "photos"), noted(run / "test")]))
    assert sections[0].name == "jug"  # it has a wrong one
    assert sections[0].cards[0].picture.startswith("data:image/jpeg")


def test_a_photo_of_the_target_that_was_evaluated_under_another_name_is_shown_once(run):
    copy = run / "test" / "other name.png"
    copy.parent.mkdir()
    copy.write_bytes((run / "photos" / "5.png").read_bytes())
    table(
        run / "evaluation.csv", ("file", "label", "true label", "probability", "right"), [(copy, "jug", "cup", 0.95, 0)]
    )
    sections, count = shown_photos(
        read_photos(run, CLASSES, None), OwnPictures([noted(run / "photos"), noted(run / "test")])
    )
    assert count == 6
    assert [Path(card.file).name for card in sections[0].cards] == ["other name.png", "4.png"]


def test_doubtful_is_what_the_verdict_says_or_else_a_tenth(run):
    assert read_photos(run, CLASSES, {"threshold": 0.75}).doubtful.tolist() == [False, False, True, True, False, False]
    assert read_photos(run, CLASSES, None).doubtful.tolist() == [False, False, False, True, False, False]
    rows = [(f"{run}/photos/{k}.png", "cup", 1.0) for k in range(6)]
    table(run / "predictions.csv", ("file", "label", "probability"), rows)
    assert read_photos(run, CLASSES, None).doubtful.sum() == 1  # also where all are as sure


def test_what_adapting_changed_is_known_only_of_the_same_photos(run):
    rows = [(f"{run}/photos/{k}.png", "cup", 0.5) for k in range(6)]
    table(run / "renders-only-predictions.csv", ("file", "label", "probability"), rows)
    assert read_photos(run, CLASSES, None).changed.tolist() == [False] * 4 + [True] * 2
    table(run / "renders-only-predictions.csv", ("file", "label", "probability"), rows[:5])
    assert not read_photos(run, CLASSES, None).changed.any()


def test_a_page_holds_so_many_bytes_and_no_more(run, monkeypatch):
    one = len(
        shown_photos(read_photos(run, CLASSES, None), OwnPictures([noted(run / "photos")]))[0][0].cards[0].picture
    )
    monkeypatch.setattr(photos_module, "_MOST_BYTES", round(2.5 * one))
    assert order(run) == {"cup": ["3.png"], "jug": ["5.png"]}


def test_a_photo_of_another_class_has_no_place_but_is_shown(run):
    with (run / "predictions.csv").open("a", newline="") as file:
        csv.writer(file).writerow((picture(run / "photos" / "9.png", 1, 9), "none of these", 0.1))
    assert order(run)["none of these"] == ["9.png"]


# ---- pictures ------------------------------------------------------------------------------------------------------


def test_thumbnails_are_small_jpegs_that_keep_their_shape(tmp_path):
    (tmp_path / "photos").mkdir()
    Image.new("RGB", (400, 200), "red").save(tmp_path / "photos" / "wide.png")
    Image.new("L", (10, 10), 128).save(tmp_path / "photos" / "tiny.png")
    pictures = OwnPictures([noted(tmp_path / "photos")])
    wide, tiny = pictures.thumbnails([f"{tmp_path}/photos/wide.png", f"{tmp_path}/photos/tiny.png"], 112)
    assert Image.open(io.BytesIO(wide)).size == (112, 56)
    assert Image.open(io.BytesIO(tiny)).size == (10, 10)
    assert Image.open(io.BytesIO(wide)).format == "JPEG"


def test_names_that_lead_elsewhere_have_no_picture(tmp_path):
    inside, outside = (picture(tmp_path / where / "a.png", 1, 1) for where in ("photos", "private"))
    (tmp_path / "photos" / "link.png").symlink_to(outside)
    (tmp_path / "photos" / "folder").symlink_to(tmp_path / "private")
    (tmp_path / "photos" / "inner.png").symlink_to(inside)
    (tmp_path / "photos-too").mkdir()
    os.link(outside, tmp_path / "photos-too" / "a.png")
    names = ["link.png", "../private/a.png", "folder/a.png", "../photos-too/a.png"]
    pictures = OwnPictures([noted(tmp_path / "photos")])
    found = pictures.thumbnails([*(f"{tmp_path}/photos/{name}" for name in names), outside, "/etc/hostname"], 112)
    assert found == [None] * 6
    assert (pictures.outside, pictures.gone) == (6, 0)
    kept = pictures.thumbnails([inside, f"{tmp_path}/photos/inner.png", f"{tmp_path}/photos/gone.png"], 112)
    assert [picture is not None for picture in kept] == [True, True, False]
    assert pictures.gone == 1


def test_a_run_is_found_from_another_folder_by_the_path_that_was_noted(tmp_path, monkeypatch):
    picture(tmp_path / "photos" / "a.png", 1, 1)
    monkeypatch.chdir(tmp_path / "photos")
    pictures = OwnPictures([{"given": "photos", "absolute": str(tmp_path / "photos")}])
    assert pictures.thumbnails(["photos/a.png"], 112)[0] is not None


def test_pictures_come_out_of_manifests_archives_and_arrays(tmp_path):
    file = picture(tmp_path / "photos" / "a.png", 1, 1)
    (tmp_path / "list.csv").write_text("file\nphotos/a.png\n")
    with tarfile.open(tmp_path / "shard.tar", "w") as archive:
        archive.add(file, "7.png")
    np.savez(tmp_path / "digits.npz", x=np.zeros((3, 9, 9), dtype=np.uint8))
    for path, name in (
        ("list.csv", f"{tmp_path}/photos/a.png"),
        ("shard.tar", f"{tmp_path}/shard.tar#7.png"),
        ("digits.npz", f"{tmp_path}/digits.npz#2"),
    ):
        assert OwnPictures([noted(tmp_path / path)]).thumbnails([name], 112)[0] is not None, path
    assert OwnPictures([noted(tmp_path / "digits.npz")]).thumbnails([f"{tmp_path}/digits.npz#3"], 112) == [None]
