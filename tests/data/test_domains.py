"""Domains as people have them, and one whole sentence for each that cannot be used."""

import csv
import shutil

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
