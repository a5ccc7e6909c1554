"""Domains as people have them, and one whole sentence for each that cannot be used."""

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from conftest import stripes, write_classes
from weighbridge.data import cache
from weighbridge.data.domains import split_off
from weighbridge.data.images import OnDemand, View
from weighbridge.data.reading import Reading, read_labelled, read_unlabelled
from weighbridge.errors import DataError


def labelled(*paths, **options):
    return read_labelled(list(paths), reading(options), **options)


def unlabelled(path, **options):
    return read_unlabelled(path, reading(options), **options)


def reading(options):
    """How to read, out of options for both."""
    view = {"size": 16, "channels": 1, "fit": "crop", "slack": 0}
    view |= {name: options.pop(name) for name in view if name in options}
    return Reading(View(**view), **{name: options.pop(name) for name in ("cache", "strict") if name in options})


def pixels(domain):
    return domain.images.fetch(torch.arange(len(domain)))


def write_npz(path, **extra):
    images = np.stack([image for kind in range(3) for image in stripes(kind, 4)])
    np.savez(path, x=images, y=np.repeat(np.arange(3), 4), **extra)
    return path


def write_manifest(path, rows, header=("file", "label")):
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path


# ---- what is read ----


def test_a_folder_per_class(renders):
    domain = labelled(renders)
    assert domain.classes == ("level", "spot", "upright")
    assert len(domain) == 36
    assert torch.bincount(domain.labels[:]).tolist() == [12, 12, 12]
    assert domain.source_names == ("renders",)
    assert pixels(domain).shape == (36, 1, 16, 16)


def test_folders_below_a_class_folder_are_nesting(renders):
    (renders / "spot" / "second" / "take").mkdir(parents=True)
    (renders / "spot" / "000.png").rename(renders / "spot" / "second" / "take" / "000.png")
    domain = labelled(renders)
    assert domain.classes == ("level", "spot", "upright")
    assert torch.bincount(domain.labels[:]).tolist() == [12, 12, 12]


def test_class_names_sort_by_number(tmp_path):
    for name in ("10", "9", "2"):
        (tmp_path / name).mkdir()
        Image.fromarray(stripes(0, 1)[0]).save(tmp_path / name / "a.png")
    assert labelled(tmp_path).classes == ("2", "9", "10")


def test_a_nested_unlabelled_folder(renders):
    domain = unlabelled(renders)
    assert len(domain) == 36
    assert not hasattr(domain, "labels")


def test_somebody_s_mess_is_passed_over(photos):
    (photos / "notes.txt").write_text("from the phone")
    (photos / ".DS_Store").write_bytes(b"\0")
    (photos / "Thumbs.db").write_bytes(b"\0")
    (photos / ".hidden").mkdir()
    Image.fromarray(stripes(0, 1)[0]).save(photos / ".hidden" / "a.png")
    Image.fromarray(stripes(0, 1)[0]).save(photos / "IMG 1 (ü).JPG")
    Image.fromarray(stripes(0, 1)[0]).save(photos / "no_suffix", format="PNG")
    assert len(unlabelled(photos)) == 32


def test_a_csv_manifest_with_several_sources(renders):
    rows = [(f"level/{k:03}.png", "flat", "a") for k in range(3)] + [(f"spot/{k:03}.png", "dot", "b") for k in range(3)]
    rows += [("spot/003.png", "dot", "a"), ("level/003.png", "flat", "b")]
    domain = labelled(write_manifest(renders / "list.csv", rows, ("file", "label", "source")))
    assert domain.classes == ("dot", "flat")
    assert domain.source_names == ("a", "b")
    assert torch.bincount(domain.source[:]).tolist() == [4, 4]
    assert len(unlabelled(renders / "list.csv")) == 8


def test_an_npz_with_and_without_class_names(tmp_path):
    assert labelled(write_npz(tmp_path / "a.npz")).classes == ("0", "1", "2")
    named = labelled(write_npz(tmp_path / "b.npz", classes=np.array(["up", "flat", "dot"])))
    assert named.classes == ("up", "flat", "dot")
    assert named.files[5].endswith("b.npz#5")
    assert len(unlabelled(tmp_path / "a.npz")) == 12


def test_an_npz_and_a_folder_of_the_same_images_agree(renders, tmp_path):
    folder = labelled(renders)
    np.savez(tmp_path / "a.npz", x=pixels(folder).squeeze(1).numpy(), y=folder.labels[:].numpy())
    assert torch.equal(pixels(labelled(tmp_path / "a.npz")), pixels(folder))


def test_several_sources_know_where_each_image_came_from(renders, tmp_path):
    other = write_classes(tmp_path / "other" / "renders", count=4, seed=3)
    domain = labelled(renders, other)
    assert len(domain) == 48
    assert domain.source_names[0] != domain.source_names[1]
    assert domain.source_names == (f"{tmp_path.name}/renders", "other/renders")
    assert torch.bincount(domain.source[:]).tolist() == [36, 12]
    assert all(str(other) in name for name in domain.files[36:])


def test_images_decoded_on_demand_are_the_same(renders, monkeypatch):
    ready = pixels(labelled(renders))
    assert torch.equal(pixels(labelled(renders, cache="off")), ready)
    monkeypatch.setattr(cache, "MEMORY_BUDGET", 10)
    lazy = labelled(renders)
    assert isinstance(lazy.images, OnDemand)
    assert torch.equal(pixels(lazy), ready)


def test_labels_of_a_target_change_neither_its_images_nor_their_order(labelled_photos, tmp_path):
    swapped = tmp_path / "swapped"
    shutil.copytree(labelled_photos, swapped)
    (swapped / "level").rename(swapped / "x")
    (swapped / "spot").rename(swapped / "level")
    (swapped / "x").rename(swapped / "spot")
    assert torch.equal(pixels(unlabelled(labelled_photos)), pixels(unlabelled(swapped)))


def test_the_held_out_share_is_stratified_and_disjoint(renders):
    domain = labelled(renders)
    training, held_out = split_off(domain, 0.25, seed=0)
    assert torch.bincount(held_out.labels[:]).tolist() == [3, 3, 3]
    assert not set(training.files) & set(held_out.files)
    assert set(training.files) | set(held_out.files) == set(domain.files)
    for part in (training, held_out):
        for k in range(len(part)):
            assert part.files[k].split("/")[-2] == part.classes[part.labels[k]]


def test_a_class_of_one_image_stays_in_training(tmp_path):
    write_classes(tmp_path, count=8)
    for path in sorted((tmp_path / "spot").iterdir())[1:]:
        path.unlink()
    training, held_out = split_off(labelled(tmp_path), 0.25, seed=0)
    assert 1 in training.labels
    assert 1 not in held_out.labels


def test_nothing_is_held_out_where_a_class_could_not_spare_one(tmp_path):
    write_classes(tmp_path, count=1)
    training, held_out = split_off(labelled(tmp_path), 0.1, seed=0)
    assert (len(training), len(held_out)) == (3, 0)


# ---- what belongs together ----


def partition(domain):
    groups = domain.groups[:].tolist()
    return sorted([k for k in range(len(groups)) if groups[k] == group] for group in set(groups))


def alone(domain):
    return [[k] for k in range(len(domain))]


def test_a_domain_knows_how_its_groups_are_known(renders):
    plain = labelled(renders)
    assert (plain.grouped_by, partition(plain)) == ("nothing", alone(plain))
    rows = [(f"level/{k:03}.png", "flat", "ab"[k % 2]) for k in range(3)] + [("spot/000.png", "dot", "")]
    named = labelled(write_manifest(renders / "list.csv", rows, ("file", "label", "group")))
    assert (named.grouped_by, partition(named)) == ("nothing", [[0, 2], [1], [3]]), "of one image nobody knows"
    whole = [(*row[:2], row[2] or "c") for row in rows]
    named = labelled(write_manifest(renders / "whole.csv", whole, ("file", "label", "group")))
    assert (named.grouped_by, partition(named)) == ("group", [[0, 2], [1], [3]])
    assert named.subset(torch.tensor([2, 0])).grouped_by == "group"
    empty = write_manifest(renders / "empty.csv", [(*row[:2], " ") for row in rows], ("file", "label", "group"))
    assert labelled(empty).grouped_by == "nothing"


def test_an_npz_names_its_groups(tmp_path):
    domain = labelled(write_npz(tmp_path / "a.npz", group=np.arange(12) // 2))
    assert (domain.grouped_by, partition(domain)) == ("group", [[k, k + 1] for k in range(0, 12, 2)])
    training, held_out = split_off(domain, 0.3, seed=0)
    assert len(held_out)
    assert not set(training.groups[:].tolist()) & set(held_out.groups[:].tolist())
    assert (training.grouped_by, held_out.grouped_by) == ("group", "group")
    assert labelled(write_npz(tmp_path / "b.npz")).grouped_by == "nothing"


def test_groups_of_an_npz_that_do_not_fit_concern_only_those_who_read_labels(tmp_path):
    path = write_npz(tmp_path / "a.npz", group=np.zeros(3))
    assert len(unlabelled(path)) == 12
    assert refused(path) == (
        f"expected group in '{path}' as integers or words of shape (12,), got float64 of shape (3,)"
    )


def test_groups_are_known_only_if_all_sources_name_them(tmp_path):
    named = write_npz(tmp_path / "a.npz", group=np.repeat(np.arange(6), 2))
    other = write_npz(tmp_path / "b.npz", group=np.repeat(np.arange(6), 2))
    plain = write_npz(tmp_path / "c.npz")
    both = labelled(named, other)
    assert (both.grouped_by, len(partition(both))) == ("group", 12)
    assert labelled(named, plain).grouped_by == "nothing"


def test_sources_of_one_manifest_share_its_groups(renders):
    rows = [("level/000.png", "flat", "a", "x"), ("spot/000.png", "dot", "b", "y"), ("spot/001.png", "dot", "a", "y")]
    manifest = write_manifest(renders / "list.csv", rows, ("file", "label", "source", "group"))
    other = write_manifest(renders / "more.csv", rows, ("file", "label", "source", "group"))
    domain = labelled(manifest, other)
    assert torch.bincount(domain.source[:]).tolist() == [2, 1, 2, 1]
    named = [[str(Path(domain.files[k]).relative_to(renders)) for k in group] for group in partition(domain)]
    assert sorted(named) == [["level/000.png"]] * 2 + [["spot/001.png", "spot/000.png"]] * 2


def mixed(folder, copies):
    """Three classes of noise with copies among them, a test split, and an image without a label before all others."""
    rows, random = [], np.random.default_rng(0)
    for k in range(9):
        pixels = random.integers(0, 256, (24, 24, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{k}.png")
        rows.append((f"{k}.png", "abc"[k % 3] if k else "", "train" if k < 4 else "test"))
    for k, original in enumerate(copies):
        shutil.copy(folder / f"{original}.png", folder / f"1{k}.png")
        rows.append((f"1{k}.png", "abc"[original % 3], "test"))
    return write_manifest(folder / "list.csv", rows, ("file", "label", "split"))


def test_near_duplicates_are_a_group_where_asked_and_where_no_group_is_named(tmp_path):
    path = mixed(tmp_path, copies=(7, 5, 5, 1))
    assert labelled(path, splits=("test",)).grouped_by == "nothing"
    domain = labelled(path, splits=("test",), near_duplicates=True)
    assert domain.grouped_by == "near-duplicates"
    names = [file.split("/")[-1] for file in domain.files]
    together = sorted([names[k] for k in group] for group in partition(domain) if len(group) > 1)
    assert together == [["5.png", "11.png", "12.png"], ["7.png", "10.png"]]
    assert labelled(path, splits=("train",), near_duplicates=True).grouped_by == "nothing"  # 1.png's copy is a test


def test_near_duplicates_are_not_asked_where_groups_are_named(tmp_path):
    images = np.stack([image for kind in range(3) for image in stripes(kind, 4)])
    images[1] = images[0]
    np.savez(tmp_path / "a.npz", x=images, y=np.repeat(np.arange(3), 4))
    found = labelled(tmp_path / "a.npz", near_duplicates=True)
    assert found.grouped_by == "near-duplicates"
    assert any({0, 1} <= set(group) for group in partition(found))
    np.savez(tmp_path / "b.npz", x=images, y=np.repeat(np.arange(3), 4), group=np.arange(12) // 3)
    named = labelled(tmp_path / "b.npz", near_duplicates=True)
    assert (named.grouped_by, partition(named)[0]) == ("group", [0, 1, 2])


def test_training_does_not_look_for_near_duplicates(renders, monkeypatch):
    def searched(content):
        raise AssertionError("near duplicates were searched for")

    monkeypatch.setattr("weighbridge.data.reading.near_duplicate_groups", searched)
    assert labelled(renders).grouped_by == "nothing"
    with pytest.raises(AssertionError, match="searched"):
        labelled(renders, near_duplicates=True)


# ---- what is refused ----


def refused(*paths, read=labelled, **options):
    with pytest.raises(DataError) as caught:
        read(*paths, **options)
    return str(caught.value)


def test_a_missing_folder_is_named_with_its_neighbour(renders):
    wrong = renders.with_name("rendes")
    assert refused(wrong) == (
        f"there is nothing at '{wrong}'; expected a folder, a .csv, .txt, .npz, .tar or .parquet file. "
        "Did you mean 'renders'?"
    )


def test_an_empty_folder(tmp_path):
    assert refused(tmp_path) == f"expected one folder per class with images in '{tmp_path}', found none"
    assert refused(tmp_path, read=unlabelled) == f"expected images in '{tmp_path}' or in folders below it, found none"


def test_images_without_class_folders(photos):
    assert refused(photos) == (
        f"expected one folder per class in '{photos}', found images without class folders. "
        "Sort them into folders named after their classes, or give a CSV manifest with columns file,label"
    )


def test_one_class(renders):
    shutil.rmtree(renders / "spot")
    shutil.rmtree(renders / "level")
    assert refused(renders) == f"expected at least two classes in '{renders}', found only 'upright'"


def test_an_unreadable_image_is_listed_or_stops_where_asked(renders):
    broken = renders / "spot" / "000.png"
    broken.write_bytes(b"not an image")
    for domain in (labelled(renders), unlabelled(renders)):
        assert len(domain) == 35
        assert str(broken) not in domain.files
        assert [(file.file, file.reason) for file in domain.rejected] == [(str(broken), "not an image")]
    for read in (labelled, unlabelled):
        assert refused(renders, read=read, strict=True) == (
            f"1 of 36 images cannot be used, the first being '{broken}': not an image. "
            "Replace or remove what is broken, or go on without --strict"
        )


def test_a_folder_in_which_nothing_can_be_used(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"")
    assert refused(tmp_path, read=unlabelled) == (
        f"expected images in '{tmp_path}' or in folders below it; '{tmp_path / 'a.jpg'}': the file is empty"
    )


def test_an_image_outside_all_class_folders_is_listed(renders):
    stray = renders / "stray.png"
    (renders / "spot" / "000.png").rename(stray)
    domain = labelled(renders)
    assert len(domain) == 35
    assert [(file.file, file.reason) for file in domain.rejected] == [(str(stray), "no class")]
    assert len(unlabelled(renders)) == 36
    assert refused(renders, strict=True).startswith(f"'{stray}' has no class.")


def test_sources_with_different_classes(renders, tmp_path):
    other = write_classes(tmp_path / "other")
    (other / "upright").rename(other / "Upright")
    message = refused(renders, other)
    assert message.startswith("all sources must have the same classes, but '")
    assert message.endswith("Did you mean 'upright'?")


def test_evaluation_classes_that_the_source_does_not_have(renders, labelled_photos):
    (labelled_photos / "spot").rename(labelled_photos / "spots")
    assert refused(labelled_photos, classes=labelled(renders).classes) == (
        f"'{labelled_photos}' has a class 'spots' that the source does not have. Did you mean 'spot'?"
    )


def test_a_file_that_is_no_domain(tmp_path):
    path = tmp_path / "a.pdf"
    path.write_text("x")
    assert refused(path) == f"expected a folder, a .csv, .txt, .npz, .tar or .parquet file, got '{path}'"


def test_a_manifest_without_its_column(renders):
    path = write_manifest(renders / "list.csv", [("spot/000.png", "a")], ("path", "label"))
    assert refused(path) == f"expected a column 'file' in '{path}', found path, label"


def test_a_manifest_that_names_no_file(renders):
    path = write_manifest(renders / "list.csv", [("spot/000.png", "a"), ("gone.png", "b")])
    assert refused(path) == f"line 3 of '{path}' names 'gone.png', but there is no such file in '{path.parent}'"


def test_rows_of_a_manifest_without_a_label_are_listed(renders):
    rows = [("spot/000.png", "a"), ("spot/001.png", " "), ("spot/002.png", "b"), ("spot/003.png",)]
    domain = labelled(write_manifest(renders / "list.csv", rows))
    assert domain.labels[:].tolist() == [0, 1]
    assert [file.reason for file in domain.rejected] == ["no class", "no class"]


def test_a_truncated_npz(tmp_path):
    path = write_npz(tmp_path / "a.npz")
    path.write_bytes(path.read_bytes()[:900])
    assert refused(path).startswith(f"'{path}' cannot be read as .npz")


def test_an_npz_of_the_wrong_shape_or_type(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.zeros((4, 8, 8), dtype=np.float32))
    assert refused(tmp_path / "a.npz", read=unlabelled) == (
        f"expected x in '{tmp_path / 'a.npz'}' as uint8 of shape (N, H, W), (N, H, W, 1) or (N, H, W, 3), "
        "got float32 of shape (4, 8, 8)"
    )
    np.savez(tmp_path / "b.npz", x=np.zeros((4, 8, 8), dtype=np.uint8))
    assert refused(tmp_path / "b.npz") == f"expected an array 'y' in '{tmp_path / 'b.npz'}', found x"


def test_an_npz_with_pickles_is_not_opened(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.array([{"a": 1}], dtype=object))
    assert "cannot be read as .npz" in refused(tmp_path / "a.npz", read=unlabelled)
