import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import trimesh
from PIL import Image

from weighbridge.data.images import View
from weighbridge.data.reading import Reading, read_labelled
from weighbridge.errors import ConfigError, RunFolderError
from weighbridge.render import studio
from weighbridge.render.painter import Painter
from weighbridge.render.recipe import Recipe
from weighbridge.render.studio import render, write_png

SRC = Path(__file__).parents[2] / "src"
TINY = Recipe("objects", size=16)
CLASSES = ["bolt", "mug"]


def tree(folder):
    """Every visible file's bytes."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files if not path.name.startswith(".")}


def opened(path):
    with Image.open(path) as image:
        return np.asarray(image)  # all of it, or an error


def command(out, *more):
    words = ["render", "objects", "--out", str(out), "--size", "16", "--classes", "bolt", "mug", *map(str, more)]
    environment = {**os.environ, "PYTHONPATH": str(SRC)}
    return subprocess.Popen(
        [sys.executable, "-m", "weighbridge", *words], env=environment, stderr=subprocess.PIPE, text=True
    )


def wait_for(condition, seconds=60.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.02)


def rows(out):
    with (out / "metadata.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """60 images of each class, one process, never interrupted."""
    out = tmp_path_factory.mktemp("studio") / "out"
    summary = render(TINY, "realtime", out, count=60, classes=CLASSES, workers=1)
    assert (summary.images, summary.rendered) == (120, 120)
    return out


def test_a_folder_holds_images_rows_and_the_recipe_and_nothing_else(whole):
    names = [f"{label}/{index:06}.png" for label in CLASSES for index in range(60)]
    assert sorted(tree(whole)) == sorted([*names, "metadata.csv", "recipe.toml"])
    assert sorted(path.name for path in whole.iterdir()) == [".lock", "bolt", "metadata.csv", "mug", "recipe.toml"]
    assert opened(whole / "mug" / "000000.png").shape == (16, 16, 3)
    assert [row["file"] for row in rows(whole)] == names


def test_a_row_says_what_made_its_image(whole):
    painter = Painter(TINY, "realtime")
    for row in rows(whole)[::13]:
        factors = painter.factors(row["label"], int(row["index"]))
        assert list(row)[5:] == [*factors, "photo"]
        for name, value in factors.items():
            assert row[name] == value if isinstance(value, str) else float(row[name]) == pytest.approx(value, rel=1e-4)
        picture = painter.paint(row["label"], int(row["index"]))
        np.testing.assert_array_equal(picture.pixels, opened(whole / row["file"]))


def test_it_is_a_domain(whole):
    domain = read_labelled([whole], Reading(View(16, 3)))
    assert domain.classes == ("bolt", "mug")
    assert len(domain.labels) == 120


def test_processes_do_not_matter(whole, tmp_path):
    render(TINY, "realtime", tmp_path / "out", count=60, classes=CLASSES, workers=2)
    assert tree(tmp_path / "out") == tree(whole)


def test_more_images_are_added_and_those_there_stay(whole, tmp_path):
    out = tmp_path / "out"
    render(TINY, "realtime", out, count=50, classes=["mug"], workers=1)
    before = (out / "mug" / "000007.png").stat().st_mtime_ns
    assert render(TINY, "realtime", out, count=60, classes=CLASSES, workers=1).rendered == 70
    assert (out / "mug" / "000007.png").stat().st_mtime_ns == before
    assert tree(out) == tree(whole)
    assert render(TINY, "realtime", out, count=60, classes=CLASSES, workers=1).rendered == 0


@pytest.mark.parametrize("workers", [1, 2])
def test_a_killed_job_goes_on_and_leaves_nothing_half_written(whole, tmp_path, workers):
    out = tmp_path / "out"
    process = command(out, "--count", 60, "--workers", workers)
    wait_for(lambda: list(out.glob(".shards/*.csv")))
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    process.kill()
    process.wait()
    process.stderr.close()
    wait_for(lambda: not any(Path(f"/proc/{child}").exists() for child in children))  # no orphans
    (out / "mug").mkdir(exist_ok=True)
    (out / "mug" / ".000059.png.0123abcd.part").write_bytes(b"half")
    for path in out.glob("*/*.png"):
        opened(path)
    noted = len(list((out / ".shards").glob("*.csv")))
    assert noted >= 1
    summary = render(TINY, "realtime", out, count=60, classes=CLASSES, workers=1)
    assert summary.images == 120
    assert summary.rendered <= 120 - 10 * noted  # what was finished is not done again
    assert tree(out) == tree(whole)
    assert not list(out.glob("*/.*"))
    assert not (out / ".shards").exists()


def test_two_jobs_share_a_folder(whole, tmp_path):
    out = tmp_path / "out"
    jobs = [command(out, "--count", 60, "--workers", 1) for _ in range(2)]
    for job in jobs:
        _, said = job.communicate(timeout=120)
        assert job.returncode == 0, said
    assert tree(out) == tree(whole)
    assert not (out / ".shards").exists()


@pytest.mark.parametrize("workers", [1, 2])
def test_ctrl_c_says_how_to_go_on(tmp_path, workers):
    out = tmp_path / "out"
    process = command(out, "--count", 2000, "--workers", workers)
    wait_for(lambda: len(list(out.glob("*/*.png"))) >= 20)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Nothing done so far is lost; go on with: weighbridge render objects --out" in said
    assert "Traceback" not in said
    assert not list(out.glob("*/.*.part"))
    assert [row["file"] for row in rows(out)] == sorted(str(path.relative_to(out)) for path in out.glob("*/*.png"))


@pytest.mark.parametrize("killed", [False, True])
def test_ctrl_c_between_an_image_and_its_row_leaves_neither(whole, tmp_path, monkeypatch, killed):
    out, written = tmp_path / "out", []
    if killed:  # an image without a row is there already, and stays
        (out / "bolt").mkdir(parents=True)
        (out / "recipe.toml").write_bytes((whole / "recipe.toml").read_bytes())
        (out / "bolt/000004.png").write_bytes((whole / "bolt/000004.png").read_bytes())

    def stopped(path, pixels):
        write_png(path, pixels)
        written.append(path)
        if len(written) == 5:
            raise KeyboardInterrupt

    monkeypatch.setattr(studio, "write_png", stopped)
    with pytest.raises(KeyboardInterrupt):
        render(TINY, "realtime", out, count=60, classes=CLASSES, workers=1)
    noted = [row["file"] for row in rows(out)]
    assert len(noted) == 4
    assert sorted(str(path.relative_to(out)) for path in out.glob("*/*.png")) == noted + killed * ["bolt/000004.png"]
    monkeypatch.undo()
    render(TINY, "realtime", out, count=60, classes=CLASSES, workers=1)
    assert tree(out) == tree(whole)


def test_a_recipe_of_fewer_knobs_is_refused(tmp_path):
    out = tmp_path / "out"
    render(TINY, "realtime", out, count=1, classes=CLASSES, workers=1)
    recipe = (out / "recipe.toml").read_text().splitlines()
    (out / "recipe.toml").write_text("\n".join(recipe[:-2]) + "\n")  # as before the last knob was there
    with pytest.raises(RunFolderError, match="was started with another recipe: 'nothing' there, '# what cameras"):
        render(TINY, "realtime", out, count=2, classes=CLASSES, workers=1)


def test_another_recipe_is_refused(whole):
    with pytest.raises(RunFolderError) as error:
        render(Recipe("objects", size=24), "realtime", whole, count=60, classes=CLASSES)
    assert str(error.value) == (
        f"'{whole}' was started with another recipe: 'size = 16' there, 'size = 24' here. Choose another --out"
    )
    with pytest.raises(RunFolderError, match="realtime objects"):
        render(TINY, "prerendered", whole, count=60, classes=CLASSES)


def test_a_folder_of_something_else_is_refused(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(RunFolderError, match="holds files that weighbridge did not render"):
        render(TINY, "realtime", tmp_path, count=1, classes=CLASSES)
    with pytest.raises(RunFolderError, match="is a file"):
        render(TINY, "realtime", tmp_path / "thesis.txt", count=1, classes=CLASSES)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"classes": ["mugg"]}, "there is no class 'mugg' here. Did you mean 'mug'?"),
        ({"count": 0}, "count must lie in [1, 1000000] and test in [0, 1000000], got 0 and 0"),
        ({"workers": 0}, "workers must be at least 1, got 0"),
    ],
)
def test_what_cannot_be_rendered_is_said(tmp_path, changes, message):
    with pytest.raises(ConfigError) as error:
        render(TINY, "realtime", tmp_path / "out", **{"count": 1, "classes": CLASSES, **changes})
    assert str(error.value) == message
    assert not (tmp_path / "out").exists()


def test_masks_inside_the_images_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="must lie outside"):
        render(TINY, "realtime", tmp_path / "out", count=1, masks=tmp_path / "out" / "masks")


def test_masks_and_boxes_show_the_subject(tmp_path):
    out, masks = tmp_path / "out", tmp_path / "masks"
    plain = Recipe("objects", size=48, strength=0.0)
    render(plain, "realtime", out, count=1, classes=["mug"], masks=masks, boxes=True, workers=1)
    mask = opened(masks / "mug" / "000000.png")
    assert mask.shape == (48, 48)
    (row,) = rows(out)
    left, top, right, bottom = (int(row[side]) for side in ("left", "top", "right", "bottom"))
    inside = np.zeros_like(mask, bool)
    inside[top:bottom, left:right] = True
    assert mask[~inside].max() < 200
    assert max(right - left, bottom - top) == pytest.approx(0.8 * 48, abs=2)  # the knob `fill`
    coco = json.loads((out / "boxes.json").read_text())
    assert coco["annotations"][0]["bbox"] == [left, top, right - left, bottom - top]
    assert coco["images"][0]["file_name"] == "mug/000000.png"
    assert coco["categories"] == [{"id": 0, "name": "mug"}]


def test_test_images_are_others_and_are_found_by_evaluation(tmp_path):
    out = tmp_path / "out"
    assert render(TINY, "realtime", out, count=3, test=2, classes=CLASSES, workers=1).images == 10
    assert sorted(path.name for path in out.iterdir() if not path.name.startswith(".")) == [
        *("metadata.csv", "recipe.toml", "test", "train"),
    ]
    names = [row["file"] for row in rows(out) if row["label"] == "mug"]
    assert names == [f"train/mug/{n:06}.png" for n in range(3)] + [f"test/mug/{1_000_000 + n}.png" for n in range(2)]
    pixels = {opened(out / name).tobytes() for name in names}
    assert len(pixels) == 5
    read = {split: read_labelled([out], Reading(View(16, 3)), splits=[split]) for split in ("train", "test")}
    assert {split: len(domain.labels) for split, domain in read.items()} == {"train": 6, "test": 4}
    assert render(TINY, "realtime", out, count=4, test=2, classes=CLASSES, workers=1).rendered == 2
    with pytest.raises(RunFolderError, match="test images: no' here"):
        render(TINY, "realtime", out, count=4, classes=CLASSES)


def test_classes_of_any_name_go_through(tmp_path):
    names = ["a,b", 'c"d', "ü", os.fsdecode(b"\xff")]
    for name in names:
        (tmp_path / "meshes" / name).mkdir(parents=True)
        trimesh.creation.box().export(tmp_path / "meshes" / "box.ply")
        (tmp_path / "meshes" / "box.ply").rename(tmp_path / "meshes" / name / "box.ply")
    recipe = Recipe("objects", size=16, assets=tmp_path / "meshes")
    for count in (1, 2):
        assert render(recipe, "realtime", tmp_path / "out", count=count, boxes=True, workers=1).rendered == 4
    with (tmp_path / "out" / "metadata.csv").open(errors="surrogateescape", newline="") as file:
        assert sorted({row["label"] for row in csv.DictReader(file)}) == sorted(names)


def test_other_assets_are_another_recipe(tmp_path):
    for name in ("one", "two"):
        (tmp_path / "meshes" / "box").mkdir(parents=True, exist_ok=True)
        trimesh.creation.box().export(tmp_path / "meshes" / "box" / f"{name}.ply")
        if name == "one":
            recipe = Recipe("objects", size=16, assets=tmp_path / "meshes")
            render(recipe, "realtime", tmp_path / "out", count=1, workers=1)
            assert rows(tmp_path / "out")[0]["mesh"] == "one.ply"
    with pytest.raises(RunFolderError, match=r"# assets: [0-9a-f]{12}, backgrounds: none' there"):
        render(recipe, "realtime", tmp_path / "out", count=2, workers=1)


def test_files_of_others_among_the_masks_stay(tmp_path):
    (tmp_path / "masks").mkdir()
    (tmp_path / "masks" / ".mine.part").write_text("not yours")
    render(TINY, "realtime", tmp_path / "out", count=1, classes=CLASSES, masks=tmp_path / "masks", workers=1)
    assert (tmp_path / "masks" / ".mine.part").read_text() == "not yours"
    with pytest.raises(RunFolderError, match=r"is not empty\. Choose another --masks"):
        render(TINY, "realtime", tmp_path / "other", count=1, classes=CLASSES, masks=tmp_path / "masks", workers=1)
