"""Data sets are read as they are downloaded: miniature trees of the well-known ones, and archives."""

import io
import json
import os
import tarfile
from collections import Counter
from pathlib import Path

import pytest
import torch

from conftest import write_classes
from data.hostile import encoded, picture, write_files
from weighbridge.data.domains import split_off
from weighbridge.data.images import View
from weighbridge.data.index import scan
from weighbridge.data.layouts import empty_classes
from weighbridge.data.reading import Reading, read_labelled, read_unlabelled
from weighbridge.errors import DataError
from weighbridge.files import replace_rows

READING = Reading(View(16, 3))


def labelled(path, **options):
    return read_labelled([path], READING, **options)


def unlabelled(path, **options):
    return read_unlabelled(path, READING, **options)


def tally(domain):
    """{class: images}"""
    return dict(Counter(domain.classes[k] for k in domain.labels[:].tolist()))


def images(folder, count, start=0):
    return write_files(folder, {f"{k:04}.jpg": encoded(picture(seed=k), "JPEG") for k in range(start, start + count)})


# ---- the well-known ones ----


@pytest.fixture
def visda(tmp_path):
    """VisDA-2017: train/CLASS/src_*.png with image_list.txt, validation alike, test/trunkNN without classes."""
    for split, start in (("train", 0), ("validation", 50)):
        lines = []
        for number, name in enumerate(("aeroplane", "bicycle")):
            images(tmp_path / "visda" / split / name, 3 + number, start=start)
            lines += [f"{name}/{start + k:04}.jpg {number}" for k in range(3 + number)]
        (tmp_path / "visda" / split / "image_list.txt").write_text("\n".join(lines))
    images(tmp_path / "visda" / "test" / "trunk00", 2, start=90)
    (tmp_path / "visda" / "test" / "image_list.txt").write_text("trunk00/0090.jpg 0\ntrunk00/0091.jpg 1\n")
    return tmp_path / "visda"


def test_visda_by_folder_and_by_list(visda):
    for place in (visda / "train", visda / "train" / "image_list.txt"):
        assert tally(labelled(place)) == {"aeroplane": 3, "bicycle": 4}
    assert len(unlabelled(visda / "validation")) == 7
    assert len(unlabelled(visda / "test" / "image_list.txt")) == 2
    assert [file.reason for file in labelled(visda / "train").rejected] == ["not an image"]  # the list


def test_visda_s_test_list_has_numbers_where_folders_say_nothing(visda):
    domain = labelled(visda / "test" / "image_list.txt")
    assert domain.classes == ("0", "1")


def test_office_31_has_a_folder_between(tmp_path):
    for name in ("back_pack", "bike"):
        images(tmp_path / "amazon" / "images" / name, 2)
    assert tally(labelled(tmp_path / "amazon")) == {"back_pack": 2, "bike": 2}
    assert labelled(tmp_path / "amazon").source_names == ("amazon",)


def test_office_home_has_names_with_spaces(tmp_path):
    for name in ("Alarm_Clock", "Desk Lamp"):
        images(tmp_path / "Real World" / name, 2)
    assert tally(labelled(tmp_path / "Real World")) == {"Alarm_Clock": 2, "Desk Lamp": 2}


def test_domainnet_by_its_lists(tmp_path):
    for name in ("aircraft_carrier", "zebra"):
        images(tmp_path / "clipart" / name, 4)
    for split, rows in (("train", (0, 1, 2)), ("test", (3,))):
        numbers = {"aircraft_carrier": 0, "zebra": 344}
        lines = [f"clipart/{name}/{k:04}.jpg {number}" for name, number in numbers.items() for k in rows]
        (tmp_path / f"clipart_{split}.txt").write_text("\n".join(lines) + "\n")
    assert tally(labelled(tmp_path / "clipart_train.txt")) == {"aircraft_carrier": 3, "zebra": 3}
    assert tally(labelled(tmp_path / "clipart_test.txt")) == {"aircraft_carrier": 1, "zebra": 1}
    assert tally(labelled(tmp_path / "clipart")) == {"aircraft_carrier": 4, "zebra": 4}


def test_pacs_has_its_lists_in_another_folder(tmp_path):
    for name in ("dog", "elephant"):
        images(tmp_path / "Raw images" / "kfold" / "photo" / name, 2)
    lists = tmp_path / "Train val splits and h5py files pre-read"
    lists.mkdir()
    (lists / "photo_train_kfold.txt").write_text("photo/dog/0000.jpg 1\nphoto/elephant/0001.jpg 2\n")
    assert tally(labelled(lists / "photo_train_kfold.txt")) == {"dog": 1, "elephant": 1}
    assert tally(labelled(tmp_path / "Raw images" / "kfold" / "photo")) == {"dog": 2, "elephant": 2}


def test_a_list_that_fits_no_folder(tmp_path):
    (tmp_path / "list.txt").write_text("gone/a.jpg 0\n")
    with pytest.raises(DataError, match=r"line 1 of '.*list.txt' names 'gone/a.jpg', but there is no such file in"):
        labelled(tmp_path / "list.txt")


# ---- splits that are given ----


def test_a_given_split_is_kept(tmp_path):
    write_classes(tmp_path / "a" / "train", count=6)
    write_classes(tmp_path / "a" / "Val", count=2, seed=1)
    write_classes(tmp_path / "a" / "test", count=3, seed=2)
    whole = labelled(tmp_path / "a")
    assert tally(whole) == {"level": 11, "spot": 11, "upright": 11}
    training, held_out = split_off(whole, 0.5, seed=0)
    assert {name.split("/")[-3] for name in training.files} == {"train"}
    assert {name.split("/")[-3] for name in held_out.files} == {"Val"}
    assert (len(training), len(held_out)) == (18, 6)
    assert len(labelled(tmp_path / "a", splits=("test", "val"))) == 9
    assert len(unlabelled(tmp_path / "a", splits=("train",))) == 18
    assert len(unlabelled(tmp_path / "a")) == 33


def test_a_manifest_may_name_splits_and_groups(renders):
    rows = [f"spot/{k:03}.png,spot,{'train' if k < 8 else 'val'},g{k // 4}" for k in range(12)]
    rows += [f"level/{k:03}.png,level,train,g0" for k in range(3)]
    (renders / "list.csv").write_text("\n".join(["file,label,split,group", *rows]))
    domain = labelled(renders / "list.csv")
    training, held_out = split_off(domain, 0.1, seed=0)
    assert (len(training), len(held_out)) == (11, 4)
    assert len(domain.groups[:].unique()) == 3
    (renders / "list.csv").write_text("file,label,split\nspot/000.png,a,tset\n")
    with pytest.raises(DataError, match=r"line 2 of '.*list\.csv': split must be train, val or test, got 'tset'"):
        labelled(renders / "list.csv")


def test_rows_without_a_group_and_groups_of_other_sources_stay_apart(renders):
    for name in ("a.csv", "b.csv"):
        rows = ["spot/000.png,spot,one", "spot/001.png,spot,one", "spot/002.png,spot,", "level/000.png,level,"]
        (renders / name).write_text("\n".join(["file,label,group", *rows]) + "\n")
    groups = read_labelled([renders / "a.csv", renders / "b.csv"], Reading(View(16, 1))).groups[:].tolist()
    assert len(set(groups)) == 6  # of each manifest one of two images and two of one
    assert len(set(groups[:4]) | set(groups[4:])) == len(set(groups[:4])) + len(set(groups[4:]))
    assert sorted(groups.count(group) for group in groups[:4]) == [1, 1, 2, 2]


def test_class_folders_called_like_splits_are_classes_where_others_are_not(tmp_path):
    for name in ("test", "train", "control"):
        images(tmp_path / "a" / name, 2)
    assert labelled(tmp_path / "a").classes == ("control", "test", "train")


def test_class_folders_without_files_are_found(tmp_path):
    images(tmp_path / "a" / "full", 1)
    (tmp_path / "a" / "empty").mkdir()
    (tmp_path / "a" / "hollow" / "deeper").mkdir(parents=True)
    assert empty_classes(tmp_path / "a") == ["empty", "hollow"]


# ---- archives ----


def shard(path, members):
    with tarfile.open(path, "w") as archive:
        for name, content in members.items():
            facts = tarfile.TarInfo(name)
            facts.size = len(content)
            archive.addfile(facts, io.BytesIO(content))
    return path


def test_webdataset_shards(tmp_path):
    for number in range(2):
        members = {}
        for k in range(3):
            members[f"{number}{k}.jpg"] = encoded(picture(seed=3 * number + k), "JPEG")
            members[f"{number}{k}.cls"] = str(k % 2).encode()
        shard(tmp_path / f"photos-{number:06}.tar", members)
    assert tally(labelled(tmp_path)) == {"0": 4, "1": 2}
    (tmp_path / "classes.txt").write_text("cat\ndog\n")
    domain = labelled(tmp_path)
    assert tally(domain) == {"cat": 4, "dog": 2}
    assert domain.files[0] == f"{tmp_path}/photos-000000.tar#00.jpg"
    write_files(tmp_path / "plain", {f"{k}.jpg": encoded(picture(seed=k), "JPEG") for k in range(6)})
    rows = torch.arange(6)
    assert unlabelled(tmp_path).images.fetch(rows).equal(unlabelled(tmp_path / "plain").images.fetch(rows))


def test_a_shard_with_json_with_folders_and_with_a_broken_image(tmp_path):
    members = {
        "cat/1.jpg": encoded(picture(), "JPEG"),
        "dog/2.jpg": encoded(picture(seed=1), "JPEG"),
        "dog/3.jpg": encoded(picture(seed=2), "JPEG"),
        "dog/3.json": json.dumps({"label": "wolf"}).encode(),
        "dog/4.jpg": b"broken",
        "dog/4.txt": b"a caption",
    }
    domain = labelled(shard(tmp_path / "a.tar", members))
    assert tally(domain) == {"cat": 1, "dog": 1, "wolf": 1}
    assert [(file.file.split("#")[1], file.status) for file in domain.rejected] == [
        ("dog/4.jpg", "quarantined"),
        ("dog/4.txt", "ignored"),
    ]


def test_a_broken_archive_is_named(tmp_path):
    (tmp_path / "a.tar").write_bytes(b"no archive at all" * 100)
    with pytest.raises(DataError, match=r"a\.tar' cannot be read as a \.tar"):
        labelled(tmp_path / "a.tar")


def test_parquet_tables(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    pictures = [encoded(picture(seed=k), "JPEG") for k in range(7)]
    features = {"info": {"features": {"label": {"names": ["cat", "dog"]}}}}
    table = pyarrow.table(
        {"image": [{"bytes": content, "path": "x.jpg"} for content in pictures], "label": [0, 1, 0, 1, 0, 1, 1]}
    ).replace_schema_metadata({"huggingface": json.dumps(features)})
    parquet.write_table(table, tmp_path / "a.parquet", row_group_size=3)
    domain = labelled(tmp_path / "a.parquet")
    assert tally(domain) == {"cat": 3, "dog": 4}
    write_files(tmp_path / "plain", {f"{k}.jpg": content for k, content in enumerate(pictures)})
    rows = torch.arange(7)
    assert domain.images.fetch(rows).equal(unlabelled(tmp_path / "plain").images.fetch(rows))
    parquet.write_table(pyarrow.table({"x": [1]}), tmp_path / "b.parquet")
    with pytest.raises(DataError, match=r"expected a column 'image' in '.*b.parquet', found x"):
        labelled(tmp_path / "b.parquet")
    (tmp_path / "c.parquet").write_bytes(b"PAR1 nothing")
    with pytest.raises(DataError, match=r"c\.parquet' cannot be read as \.parquet"):
        labelled(tmp_path / "c.parquet")


@pytest.mark.parametrize("link", ["a link", "z link"])
def test_a_folder_and_a_link_to_it_are_read_once_by_the_folders_name(tmp_path, link):
    write_files(tmp_path / "root" / "m cats", {"1.png": encoded(picture(), "PNG")})
    write_files(tmp_path / "root" / "n dogs", {"2.png": encoded(picture(seed=1), "PNG")})
    (tmp_path / "root" / link).symlink_to("m cats")
    index = scan(tmp_path / "root")
    assert index.column("label")[1] == ["m cats", "n dogs"]
    assert [(Path(file.file).name, file.reason) for file in index.rejected("ignored")] == [
        (link, "a link to a folder that was read already")
    ]


def test_a_manifest_may_name_files_of_any_bytes(tmp_path):
    name = os.fsdecode(b"caf\xe9.png")
    write_files(tmp_path, {name: encoded(picture(), "PNG")})
    replace_rows(tmp_path / "list.csv", ("file", "label"), [(name, os.fsdecode(b"gr\xf6n"))])
    index = scan(tmp_path / "list.csv")
    assert index.name(0) == str(tmp_path / name)
    assert index.column("label")[1] == [os.fsdecode(b"gr\xf6n")]
