"""What the catalogue says of a method is true of it: every fact here is asked of every method."""

import copy
import re
from pathlib import Path

import pytest
import torch

from weighbridge.parts.likelihoods import stored
from weighbridge.parts.networks import build_network
from weighbridge.parts.optim import Updater
from weighbridge.parts.weights import class_likelihood
from weighbridge.settings.build_method import BUILDERS, READINGS, build_method, start_from
from weighbridge.settings.catalogue import CATALOGUE, CONTROLS, DEFAULT_METHOD, DEFAULT_METHODS, METHODS
from weighbridge.settings.config import Config
from weighbridge.types import DomainPair, LabelledBatch, UnlabelledBatch

ROOT = Path(__file__).parents[2]
B, B_TARGET, SIZE = 12, 6, 16
TRAINED = tuple(name for name, entry in CATALOGUE.items() if entry.start != "source-only")  # others read what is there
EVERY = pytest.mark.parametrize("name", TRAINED)


def having(*parts):
    return pytest.mark.parametrize("name", [name for name in TRAINED if CATALOGUE[name].has.issuperset(parts)])


def without(part):
    return pytest.mark.parametrize("name", [name for name in TRAINED if part not in CATALOGUE[name].has])


def pair(seed=1, moved=1.0, renders=B, photos=B_TARGET, classes=3):
    torch.manual_seed(seed)
    source = torch.randn(renders, 1, SIZE, SIZE)
    target = torch.randn(photos, 1, SIZE, SIZE) + moved
    rows = torch.arange(renders)
    batch = LabelledBatch(source, rows % classes, rows, torch.zeros(renders, dtype=torch.int64))
    return DomainPair(batch, UnlabelledBatch(target, torch.arange(photos), second_view=target.flip(3)))


def built(name, classes=3, **settings):
    """The method of this name around a small network; every teacher is sure."""
    common = {"image_size": SIZE, "channels": 1, "backbone": "small", "confidence_threshold": 0.0, "fused": False}
    config = Config(method=name, **(common | settings))
    torch.manual_seed(0)
    pre_classifier = build_network("small", classes=classes, channels=1, size=SIZE)
    source = pair(renders=32).source
    with torch.no_grad():
        p_a = stored(class_likelihood(pre_classifier.eval()(source.images), source.labels))
    method = build_method(config, start_from(pre_classifier.train(), config), classes, p_a)
    method.train()
    return method


def learner(method):
    """The network that learns: a teacher only follows."""
    return method.modules().get("student", method.network)


def gradients(method, batch, progress=0.5):
    """Of every part by name, summed over all losses of a step, none of which is taken."""
    method.step(batch, progress, lambda loss, optimizer: loss.backward())
    return {
        part: torch.cat(
            [(p.grad if p.grad is not None else torch.zeros_like(p)).flatten() for p in module.parameters()]
        )
        for part, module in learner(method).named_children()
    }


def update(loss, optimizer):
    Updater(lambda value: value.backward())(loss, optimizer)


# ---- what is said, and where ----


def test_every_method_has_a_builder_of_its_own():
    assert tuple(BUILDERS) == TRAINED
    assert len(set(BUILDERS.values())) == len(TRAINED)
    assert {*READINGS} == {*METHODS} - {*TRAINED} == {name for name, entry in CATALOGUE.items() if entry.reads}


def test_what_nobody_asked_for_is_in_the_catalogue():
    assert {DEFAULT_METHOD, *DEFAULT_METHODS} <= set(METHODS)
    assert DEFAULT_METHOD in DEFAULT_METHODS
    assert {*CONTROLS} < {*DEFAULT_METHODS}, "a comparison holds every method against every control"


def test_a_control_adapts_nothing():
    controls = {name for name, entry in CATALOGUE.items() if entry.control}
    assert controls == {name for name, entry in CATALOGUE.items() if not entry.has}
    assert {*CONTROLS} == controls


@EVERY
def test_a_default_of_its_own_is_another_than_that_of_all(name):
    for setting, value in CATALOGUE[name].defaults.items():
        assert Config(method="source-only")._chosen(setting) != value, setting


def test_the_page_of_methods_has_a_row_for_each_in_the_same_order_that_says_what_it_has():
    page = (ROOT / "docs" / "guides" / "methods" / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| \[`([\w-]+)`\]\((\w+\.md)\)[^|]*\|[^|]*\|[^|]*\| ([^|]*) \|$", page, flags=re.M)
    assert tuple(name for name, *_ in rows) == METHODS
    for name, file, has in rows:
        assert (ROOT / "docs" / "guides" / "methods" / file).is_file()
        assert {part for part in has.split(", ") if part} == CATALOGUE[name].has - {"target"}, name


# ---- what it has ----


@EVERY
def test_a_step_learns_the_labels_of_the_source(name):
    if name == "adda":  # its classifier is the pre-classifier's, for good
        return
    method, batch = built(name), pair()
    losses = [float(method.step(batch, 0.0, update).scalars["label_loss"]) for _ in range(12)]
    assert losses[-1] < 0.8 * losses[0]


@EVERY
def test_whoever_has_the_target_looks_at_it_and_nobody_else_does(name):
    there, elsewhere = (built(name) for _ in range(2))
    changed = gradients(there, pair(moved=1.0))["features"] - gradients(elsewhere, pair(moved=-2.0))["features"]
    assert bool(changed.abs().max() > 1e-6) == ("target" in CATALOGUE[name].has)
    assert type(there).uses_target == ("target" in CATALOGUE[name].has)


@EVERY
def test_the_domain_classifier_is_touched_by_whoever_has_a_domain_loss_alone(name):
    head = gradients(built(name), pair())["domain_head"]
    assert bool(head.abs().max() > 1e-4) == ("domain loss" in CATALOGUE[name].has)


@EVERY
@pytest.mark.parametrize("photos", [32, 1])
def test_a_thousand_classes_train_in_batches_that_show_a_few_of_them(name, photos):
    settings = {"selection": "class-balanced"} if "pseudo-labels" in CATALOGUE[name].has else {}
    method, batch = built(name, classes=1000, **settings), pair(renders=32, photos=photos, classes=1000)
    before = [p.clone() for p in learner(method).features.parameters()]
    for k in range(2):
        log = method.step(batch, k / 2, update)
    assert all(torch.isfinite(torch.as_tensor(value)) for value in log.scalars.values())
    assert all(torch.isfinite(p).all() for p in learner(method).parameters())
    assert any((p - q).abs().max() > 1e-6 for p, q in zip(learner(method).features.parameters(), before, strict=True))
    assert log.weights is None or log.weights.shape == (32,)


@having("reversal")
def test_the_domain_loss_sends_the_features_a_reversed_gradient_that_grows_with_lambda(name):
    batch, at = pair(), {}
    for strength in (0.0, 1.0, 2.0):
        method = built(name, strength=strength, schedule="constant", **unweighted(name))
        at[strength] = gradients(method, batch)
    domain = at[1.0]["features"] - at[0.0]["features"]
    assert domain.abs().max() > 1e-4
    torch.testing.assert_close(at[2.0]["features"] - at[0.0]["features"], 2 * domain, rtol=1e-3, atol=1e-6)
    torch.testing.assert_close(at[0.0]["domain_head"], at[2.0]["domain_head"])  # it learns at full size all the same


def unweighted(name):
    return {"weighting": "uniform"} if CATALOGUE[name].defaults.get("weighting") else {}


@having("reversal")
def test_the_features_climb_the_loss_that_the_domain_classifier_descends(name):
    batch = pair()
    before = domain_error(built(name), batch)
    climbed, descended = (built(name, strength=1.0, schedule="constant", **unweighted(name)) for _ in range(2))
    plain = built(name, strength=0.0, schedule="constant", **unweighted(name))
    at, none = gradients(climbed, batch)["features"], gradients(plain, batch)["features"]
    step_along(learner(climbed).features, -0.05 * (at - none) / (at - none).norm())
    assert domain_error(climbed, batch) > before + 1e-4
    head = gradients(descended, batch)["domain_head"]
    step_along(learner(descended).domain_head, -0.05 * head / head.norm())
    assert domain_error(descended, batch) < before - 1e-4


def domain_error(method, batch):
    """The method's own domain loss, nothing being trained."""
    log = copy.deepcopy(method).step(batch, 0.5, lambda loss, optimizer: None)
    return float(log.scalars["domain_loss"])


@torch.no_grad()
def step_along(module, direction):
    start = 0
    for parameter in module.parameters():
        parameter += direction[start : start + parameter.numel()].reshape(parameter.shape)
        start += parameter.numel()


@having("domain loss")
def test_the_domain_classifier_learns_to_tell_the_domains_apart(name):
    settings = {"strength": 0.0} if "reversal" in CATALOGUE[name].has else {"adda_rate": 1e-3}
    settings |= {"learning_rate": 0.05, "fine_tune_rate": 0.05, "new_layer_multiplier": 1.0}
    settings |= {"mcc_weight": 0.0, "pseudo_label_weight": 0.0}  # the domain loss alone
    method, batch = built(name, **settings), pair(moved=2.0)
    for k in range(40):
        log = method.step(batch, k / 40, update)
    assert log.scalars["domain_accuracy"] > 0.9


@having("domain loss")
def test_it_takes_instance_weights_unless_it_has_its_own(name):
    batch = pair()
    if "class ratios" in CATALOGUE[name].has:
        log = built(name).step(batch, 0.0, update)
        assert log.weights.shape == (B,)
        return
    log = built(name, weighting="paper", p_t="evaluation-pass").step(batch, 0.0, update)
    torch.testing.assert_close(log.weights, torch.ones(B), rtol=0, atol=1e-5)
    assert built(name, weighting="default").step(batch, 0.0, update).weights is None or CATALOGUE[name].defaults


@having("domain loss")
def test_dropout_in_the_domain_classifier_acts_on_it_alone(name):
    batch, found = pair(), {}
    for share in (0.0, 0.9):
        method = built(name, domain_dropout=share)
        layers = [part for part in learner(method).domain_head.modules() if isinstance(part, torch.nn.Dropout)]
        assert bool(layers) == bool(share)
        torch.manual_seed(7)
        found[share] = gradients(method, batch)["domain_head"]
    assert (found[0.9] == 0).float().mean() > (found[0.0] == 0).float().mean() + 0.2


@having("class confusion")
def test_class_confusion_reaches_the_features(name):
    there, off = (gradients(built(name, mcc_weight=weight), pair())["features"] for weight in (2.0, 0.0))
    assert (there - off).abs().max() > 1e-5


@having("teacher")
def test_a_teacher_judges_a_second_view_and_learns_by_no_gradient(name):
    method = built(name)
    assert type(method).target_views == 2
    assert {"network", "student"} <= set(method.modules())
    method.step(pair(), 0.0, lambda loss, optimizer: loss.backward())
    assert all(p.grad is None for p in method.network.parameters())  # the teacher is what predicts
    assert any(p.grad is not None for p in method.modules()["student"].parameters())


@without("teacher")
def test_nobody_else_asks_for_a_second_view(name):
    assert type(built(name)).target_views == 1


@having("pseudo-labels")
def test_the_teacher_s_labels_reach_the_student(name):
    found = []
    for weight in (0.0, 3.0):
        method = built(name, pseudo_label_weight=weight)
        method.step(pair(), 0.5, lambda loss, optimizer: loss.backward())
        student = method.modules()["student"].features
        found.append(torch.cat([p.grad.flatten() for p in student.parameters()]))
    assert (found[1] - found[0]).abs().max() > 1e-5


@EVERY
def test_adam_has_a_rate_of_its_own_and_sgd_that_of_all(name):
    rates = {
        group["lr"]
        for o in built(name, learning_rate=0.5, fine_tune_rate=0.5).optimizers.values()
        for group in o.param_groups
    }
    assert (0.5 in rates) == (CATALOGUE[name].optimizer == "sgd")


# ---- what settings do to every method ----


def fine_tuned(name, **settings):
    """The method around a network with batch norm, whose weights stand for published ones."""
    config = Config(
        method=name, **({"image_size": SIZE, "channels": 1, "weights": "published.pth", "training": "full"} | settings)
    )
    torch.manual_seed(0)
    method = build_method(
        config,
        start_from(build_network("small-batchnorm", classes=3, channels=1, size=SIZE), config),
        3,
        stored(torch.rand(B)),
    )
    method.train()
    return method


@EVERY
def test_frozen_statistics_move_in_no_network_of_any_method(name):
    found = {}
    for policy in ("frozen", "train"):
        method = fine_tuned(name, batch_norm=policy, confidence_threshold=0.0)
        networks = torch.nn.ModuleDict(method.modules())
        statistics = [buffer for part, buffer in networks.named_buffers() if "running" in part]
        gammas = [
            p for part in learner(method).features.modules() if hasattr(part, "running_mean") for p in part.parameters()
        ]
        before = copy.deepcopy(statistics), copy.deepcopy(gammas)
        for k in range(2):
            method.train()
            method.step(pair(), k / 2, update)
        found[policy] = any(not torch.equal(*both) for both in zip(statistics, before[0], strict=True))
        assert all(not torch.equal(*both) for both in zip(gammas, before[1], strict=True)), "gamma and beta learn"
    assert found == {"frozen": False, "train": True}


@EVERY
def test_adamw_and_lower_rates_nearer_to_the_pixels_reach_whatever_trains_by_sgd(name):
    settings = {
        "optimizer": "adamw",
        "layer_decay": 0.5,
        "learning_rate": 0.4,
        "fine_tune_rate": 0.4,
        "weight_decay": 0.1,
    }
    method = fine_tuned(name, new_layer_multiplier=10.0, **settings)
    if CATALOGUE[name].optimizer == "adam":
        assert all(type(optimizer) is torch.optim.Adam for optimizer in method.optimizers.values())
        return
    (optimizer,) = method.optimizers.values()
    assert type(optimizer) is torch.optim.AdamW
    rates = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    network = learner(method)
    convolutions = [layer for layer in network.features if isinstance(layer, torch.nn.Conv2d)]
    assert [rates[id(layer.weight)] for layer in convolutions] == pytest.approx([0.05, 0.1, 0.2, 0.4])
    heads = {part: rates.get(id(next(getattr(network, part).parameters()))) for part in ("label_head", "domain_head")}
    new_head = 4.0 if CATALOGUE[name].start == "scratch" else 0.4  # else it is the pre-classifier's
    assert heads == {"label_head": new_head, "domain_head": 4.0 if "domain loss" in CATALOGUE[name].has else None}
