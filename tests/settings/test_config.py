"""Settings: names, kinds, ranges, and where they may come from."""

import dataclasses

import pytest

from weighbridge.errors import ConfigError
from weighbridge.settings.catalogue import METHODS
from weighbridge.settings.config import Config, from_mapping, read_toml, write_toml


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
        ({"steps": 2.5}, "steps must be int, got 2.5"),
        ({"flip": 1}, "flip must be bool, got 1"),
        ({"rotate": True}, "rotate must be float, got True"),
        ({"image_size": 0}, "image_size must be at least 1, got 0"),
        ({"momentum": -0.1}, "momentum must not be negative, got -0.1"),
        ({"method": "dann", "steps": 0, "pre_steps": 0}, "dann needs at least 1 step, got pre_steps=0, steps=0"),
        ({"folds": 1}, "cross-fitting needs folds of at least 2, got 1"),
        ({"strength": True}, "strength must be float, got True"),
        ({"strength": float("inf")}, "strength must be a number, got inf"),
        ({"strength": -0.1}, "strength must not be negative, got -0.1"),
        ({"batch_target": 0}, "iwdan-self-training looks at target images: batch_target must be at least 1, got 0"),
        (
            {"processes": 3},
            "batch_source and batch_target must divide among 3 processes, got 64 and 64",
        ),
        ({"momentum": float("nan")}, "momentum must be a number, got nan"),
        ({"mcc_weight": -1.0}, "mcc_weight must not be negative, got -1.0"),
        ({"mcc_temperature": 0.0}, "mcc_temperature divides logits: it must be above 0, got 0.0"),
        ({"method": "mcc", "batch_target": 0}, "mcc looks at target images: batch_target must be at least 1, got 0"),
        (
            {"method": "iwdan-mcc", "weighting": "paper"},
            "iwdan-mcc has weights of its own, got weighting = 'paper'; "
            "leave it out, or take method = 'weighted-dann' (in a comparison: --methods weighted-dann:paper)",
        ),
        (
            {"method": "iwdan-self-training", "weighting": "uniform"},
            "iwdan-self-training has weights of its own, got weighting = 'uniform'; "
            "leave it out, or take method = 'weighted-dann' (in a comparison: --methods weighted-dann:uniform)",
        ),
        (
            {"method": "self-training", "weighting": "paper"},
            "self-training has no domain loss to weight, got weighting = 'paper'",
        ),
        ({"pseudo_label_weight": -1}, "pseudo_label_weight must not be negative, got -1.0"),
        ({"method": "mcc", "weighting": "paper"}, "mcc has no domain loss to weight, got weighting = 'paper'"),
        ({"method": "mcc", "pre_steps": 0}, "mcc starts from a pre-classifier: pre_steps must be at least 1, got 0"),
        (
            {"confidence_threshold": 1.1},
            "confidence_threshold is a probability in [0, 1], got 1.1",
        ),
        ({"consistency_weight": -1.0}, "consistency_weight must not be negative, got -1.0"),
        ({"class_balance_weight": -1.0}, "class_balance_weight must not be negative, got -1.0"),
        ({"invert": 1.5}, "invert is a probability in [0, 1], got 1.5"),
        ({"strong_augmentation": 1.5}, "strong_augmentation lies in [0, 1], got 1.5"),
    ],
)
def test_a_setting_that_cannot_work_gets_one_sentence(settings, sentence):
    with pytest.raises(ConfigError) as caught:
        from_mapping(settings)
    assert str(caught.value) == sentence


def test_every_setting_is_explained():
    import ast
    import inspect

    from weighbridge.settings import config

    tree = next(n for n in ast.parse(inspect.getsource(config)).body if getattr(n, "name", "") == "Config")
    for place, node in enumerate(tree.body):
        if isinstance(node, ast.AnnAssign):
            following = tree.body[place + 1]
            assert isinstance(following, ast.Expr), node.target.id
            assert len(following.value.value) > 5


@pytest.mark.parametrize(
    ("method", "strength", "rate", "multiplier", "strong"),
    [
        ("weighted-dann", 1.0, 0.001, 10.0, 0.0),
        ("dann-mcc", 1.0, 0.01, 1.0, 0.0),
        ("mean-teacher", 1.0, 0.01, 1.0, 0.0),
        ("self-training", 1.0, 0.01, 1.0, 0.5),
        ("iwdan-mcc", 0.1, 0.01, 1.0, 0.0),
        ("iwdan-self-training", 0.1, 0.01, 1.0, 0.5),
    ],
)
def test_what_is_left_out_is_settled_by_the_method(method, strength, rate, multiplier, strong):
    names = ("strength", "fine_tune_rate", "new_layer_multiplier", "strong_augmentation")
    left_out, given = Config(method=method), Config(method=method, **dict.fromkeys(names, 0))
    assert [left_out.settled()[name] for name in names] == [strength, rate, multiplier, strong]
    assert [given.settled()[name] for name in names] == [0.0, 0.0, 0.0, 0.0]


@pytest.mark.parametrize(
    ("backbone", "image_size", "network"),
    [
        ("auto", 32, "small-batchnorm"),
        ("auto", 64, "small-batchnorm"),
        ("auto", 65, "resnet18"),
        ("small", 32, "small"),
    ],
)
def test_a_run_folder_names_the_network_whatever_the_default_will_be(backbone, image_size, network):
    assert Config(backbone=backbone, image_size=image_size).settled()["backbone"] == network


def test_methods_that_skip_the_pre_classifier_take_its_steps_themselves():
    steps = {method: Config(method=method, pre_steps=30, steps=70).total_steps for method in METHODS}
    from_scratch, fine_tuned = (
        ("source-only", "dann"),
        (
            "adda",
            "weighted-dann",
            "mcc",
            "dann-mcc",
            "iwdan-mcc",
            "mean-teacher",
            "self-training",
            "iwdan-self-training",
        ),
    )
    assert steps == {**dict.fromkeys(from_scratch, 100), **dict.fromkeys(fine_tuned, 70)}


def test_methods_beyond_the_paper_may_start_from_scratch_and_the_others_start_as_ever():
    steps = {method: Config(method=method, start="scratch", pre_steps=30, steps=70).total_steps for method in METHODS}
    assert [method for method, count in steps.items() if count == 70] == ["adda", "weighted-dann"]
