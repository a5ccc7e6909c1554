"""Settings from the images at the doors: what is said, what is recorded, and how it is left alone."""

import json
import shlex

import numpy as np
import pytest
from PIL import Image

import weighbridge
from conftest import stripes
from weighbridge.settings.config import Config, read_toml

SHORT = ["--backbone", "slim-batchnorm", "--pre-steps", "2", "--steps", "2", "--device", "cpu", "--precision", "fp32"]


@pytest.fixture
def words(renders, photos):
    return ["--source", renders, "--target", photos, *SHORT]


def proposed(folder):
    return json.loads((folder / "run.json").read_text())["proposed"]


def test_adapt_says_in_four_lines_what_it_saw_and_chose_and_records_it(call, words, tmp_path):
    status, out, err = call("adapt", *words, "--out", "run")
    assert status == 0, err
    assert out.splitlines()[:2] == [
        "3 classes: level 12, spot 12, upright 12",
        "30 photos, median 16 x 16 px: enlarged to 32 x 32 px",
    ]
    assert out.splitlines()[2].startswith("network slim-batchnorm, random weights, grey images, ")
    assert out.splitlines()[3].startswith("2 steps of the pre-classifier, then 2 of iwdan-self-training")
    facts = proposed(tmp_path / "run")
    assert facts["changes"]["channels"] == 1
    assert set(facts["reasons"]) == set(facts["changes"])
    config = read_toml(tmp_path / "run/config.toml")
    assert {name: config[name] for name in facts["changes"]} == facts["changes"]


def test_plain_leaves_all_that_alone(call, words, tmp_path):
    status, out, err = call("adapt", *words, "--out", "run", "--plain")
    assert (status, "classes:" in out) == (0, False), err
    assert proposed(tmp_path / "run") is None
    config = read_toml(tmp_path / "run/config.toml")
    assert (config["channels"], config["rotate"], config["batch_target"]) == (3, 0.0, 64)


def test_what_is_given_counts_as_given_also_at_its_default_and_in_a_file(call, words, tmp_path):
    (tmp_path / "my.toml").write_text("rotate = 0.0\n")
    status, _, err = call("adapt", *words, "--out", "run", "--channels", "3", "--config", "my.toml")
    assert status == 0, err
    assert {"zoom", "batch_target"} <= set(proposed(tmp_path / "run")["changes"])
    assert not {"channels", "rotate"} & set(proposed(tmp_path / "run")["changes"])
    assert read_toml(tmp_path / "run/config.toml")["channels"] == 3


def test_python_proposes_too_and_leaves_it_alone_if_asked(renders, photos, tmp_path, capsys):
    short = {"backbone": "slim-batchnorm", "pre_steps": 2, "steps": 2, "device": "cpu", "precision": "fp32"}
    run = weighbridge.adapt(source=renders, target=photos, out=tmp_path / "a", progress=False, **short)
    assert (run.config.channels, run.config.batch_target) == (1, 16)
    run = weighbridge.adapt(source=renders, target=photos, out=tmp_path / "b", progress=False, plain=True, **short)
    assert (run.config.channels, run.config.batch_target) == (3, 64)
    assert capsys.readouterr().out == ""


def test_a_comparison_keeps_what_was_proposed_when_it_began(call, words, tmp_path):
    compare = ["compare", *words, "--out", "c", "--methods", "source-only"]
    status, out, err = call(*compare, "--seeds", "1")
    assert status == 0, err
    assert out.splitlines()[3].startswith("2 steps of the pre-classifier, then 2 of each method")
    began = json.loads((tmp_path / "c/proposed.json").read_text())
    assert began["changes"]["channels"] == 1
    began["changes"]["rotate"] = 5.0  # as another version would have chosen
    (tmp_path / "c/proposed.json").write_text(json.dumps(began))
    config = (tmp_path / "c/config.toml").read_text()
    (tmp_path / "c/config.toml").write_text(config.replace("rotate = 8.0", "rotate = 5.0"))
    run = tmp_path / "c/seed-0/source-only/config.toml"
    run.write_text(run.read_text().replace("rotate = 8.0", "rotate = 5.0"))
    status, out, err = call(*compare, "--seeds", "2")
    assert status == 0, err
    assert read_toml(tmp_path / "c/seed-1/source-only/config.toml")["rotate"] == 5.0


def test_a_comparison_that_began_plain_goes_on_plain(call, words, tmp_path):
    compare = ["compare", *words, "--out", "c", "--methods", "source-only"]
    assert call(*compare, "--seeds", "1", "--plain")[0] == 0
    status, _, err = call(*compare, "--seeds", "2")
    assert status == 0, err
    assert read_toml(tmp_path / "c/seed-1/source-only/config.toml")["channels"] == 3


def test_inspect_ends_in_one_command_to_paste(call, renders, photos, tmp_path):
    strange = photos.rename(tmp_path / "my фото")
    status, out, err = call("inspect", renders, strange, "--out", "seen")
    assert status == 0, err
    assert "channels = 1: All renders are grey" in out
    assert "30 photos, median 16 x 16 px: enlarged to 32 x 32 px" in out
    name, *pasted = shlex.split(out.splitlines()[-1])
    assert name == "weighbridge"
    assert "--channels 1" in out.splitlines()[-1]
    status, _, err = call(*pasted, *SHORT[2:], "--plain")
    assert status == 0, err
    facts = json.loads((tmp_path / "seen/inspection.json").read_text())["proposed"]
    config = read_toml(tmp_path / "runs/first/config.toml")
    rest = {name: value for name, value in facts["changes"].items() if name not in ("pre_steps", "steps")}
    assert {name: config[name] for name in rest} == rest


def test_inspect_of_renders_alone_proposes_nothing(call, renders):
    status, out, _ = call("inspect", renders)
    assert (status, "What the images ask for" in out) == (0, False)


def test_one_photo_an_empty_class_and_names_in_other_scripts_train(call, tmp_path, words, renders):
    (renders / "spot").rename(renders / "ключ")
    (renders / "杯子").mkdir()
    (tmp_path / "one").mkdir()
    Image.fromarray(stripes(0, 1)[0]).save(tmp_path / "one" / "фото.png")
    at = words.index("--target")
    one = [*words[: at + 1], tmp_path / "one", *words[at + 2 :]]
    status, out, err = call("adapt", *one, "--out", "run")
    assert status == 0, err
    assert out.splitlines()[0] == "3 classes: level 12, upright 12, ключ 12; without images: 杯子"
    assert out.splitlines()[1].startswith("1 photo, ")
    assert read_toml(tmp_path / "run/config.toml")["batch_target"] == 8


def test_what_is_refused_is_refused_before_anything_is_said(call, words, tmp_path):
    status, out, err = call("adapt", *words, "--out", "run", "--image-size", "0")
    assert (status, out) == (2, "")
    assert "image_size must be at least 1" in err


def test_defaults_stay_as_they_are():
    assert (Config().image_size, Config().channels, Config().fit, Config().rotate) == (32, 3, "crop", 0.0)
    assert np.isclose(Config().invert, 0.0)
