"""weighbridge render, as it is typed."""

import json

import pytest
from PIL import Image

from weighbridge.render.recipe import read_recipe


def test_render_says_what_it_did(call, tmp_path):
    words = ("render", "objects", "--size", 16, "--count", 2, "--classes", "nut", "key", "--workers", 1)
    status, said, _ = call(*words, "--out", tmp_path / "out")
    assert status == 0
    assert "4 images rendered in " in said
    assert f"4 in {tmp_path / 'out'}" in said
    assert call(*words, "--out", tmp_path / "out")[1].startswith("0 images rendered")


def test_the_printed_recipe_is_a_recipe(call, tmp_path):
    status, text, _ = call("render", "objects", "--knobs", "--strength", 0.5)
    assert status == 0
    path = tmp_path / "recipe.toml"
    path.write_text(text)
    values = read_recipe(path)
    assert values["strength"] == 0.5
    assert set(values["knobs"]["elevation"]) == {"low", "high", "nominal"}
    words = ("render", "objects", "--size", 16, "--count", 1, "--classes", "nut", "--workers", 1)
    for name, more in (("first", ("--strength", 0.5)), ("second", ("--recipe", path))):
        assert call(*words, "--out", tmp_path / name, *more)[0] == 0
    same = [(tmp_path / name / "nut" / "000000.png").read_bytes() for name in ("first", "second")]
    assert same[0] == same[1]


def test_an_option_overrules_the_recipe_file(call, tmp_path):
    (tmp_path / "recipe.toml").write_text("size = 48\n[knobs]\nclutter = 0\n")
    words = ("--recipe", tmp_path / "recipe.toml", "--count", 1, "--classes", "nut", "--workers", 1)
    call("render", "objects", *words, "--size", 16, "--out", tmp_path / "out")
    with Image.open(tmp_path / "out" / "nut" / "000000.png") as image:
        assert image.size == (16, 16)


@pytest.mark.parametrize("ending", ["png", "jpg", "webp"])
def test_a_sheet_has_a_row_per_class_and_a_group_per_quality(call, tmp_path, ending):
    path = tmp_path / f"sheet.{ending}"
    words = ("--quality", "realtime", "camera", "--samples", 4, "--size", 16, "--count", 2, "--classes", "nut", "key")
    assert call("render", "objects", "--sheet", path, *words)[0] == 0
    with Image.open(path) as sheet:
        assert sheet.format == {"jpg": "JPEG"}.get(ending, ending.upper())
        assert sheet.height == 14 + 2 * 16
        assert sheet.width >= 4 * 16 + 2 * 8
    assert [left.name for left in tmp_path.glob("sheet*")] == [path.name]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("objects",), "--out is missing. See: weighbridge render --help"),
        (
            ("objects", "--out", "out", "--quality", "realtime", "camera"),
            "expected one --quality for a folder, got realtime and camera. Run the command once",
        ),
        (("objects", "--out", "out", "--classes", "nutt"), "there is no class 'nutt' here. Did you mean 'nut'?"),
        (("signs", "--out", "out"), "signs are made from icons. Name a folder of them with --assets"),
        (("signs", "--out", "out", "--assets", "nowhere"), "expected a folder of SVG or PNG icons at 'nowhere'"),
        (("objects", "--out", "out", "--backgrounds", "nowhere"), "expected a folder of photos for the background"),
        (("objects", "--out", "out", "--recipe", "nowhere.toml"), "'nowhere.toml' cannot be read as a recipe"),
        (("objects", "--out", "out", "--strength", "2"), "strength must lie in [0, 1], got 2.0"),
        (
            ("objects", "--sheet", "sheet.png", "--classes", "nutt"),
            "there is no class 'nutt' here. Did you mean 'nut'?",
        ),
        (("objects", "--sheet", "sheet.png", "--count", "0"), "needs at least one image per class, got 0"),
        (("objects", "--sheet", "sheet.gif"), "a contact sheet is a .png, .jpg or .webp, got 'sheet.gif'"),
        (
            ("objects", "--out", "out", "--quality", "prerendered", "--variant", "scalar"),
            "there is no variant 'scalar'",
        ),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(call, tmp_path, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    status, _, said = call("render", *words)
    assert status == 2
    assert message in said
    assert "Traceback" not in said
    assert not list(tmp_path.iterdir())


def test_a_family_that_does_not_exist_is_answered_with_those_that_do(call):
    status, said, complained = call("render", "sings", "--out", "out")
    assert status == 2
    assert "signs" in said + complained


def test_boxes_are_in_coco_form(call, tmp_path):
    words = ("render", "objects", "--size", 24, "--count", 1, "--classes", "nut", "--workers", 1, "--boxes")
    assert call(*words, "--out", tmp_path / "out", "--masks", tmp_path / "masks")[0] == 0
    assert len(json.loads((tmp_path / "out" / "boxes.json").read_text())["annotations"]) == 1
    assert (tmp_path / "masks" / "nut" / "000000.png").is_file()
