"""The optimisers, their schedule, and how a loss becomes a step."""

import copy

import pytest
import torch
from torch import nn

from weighbridge.parts.optim import Updater, adam, adamw, set_progress, sgd
from weighbridge.settings.build_method import rate_schedule
from weighbridge.settings.config import Config


def parameter(value=1.0):
    return nn.Parameter(torch.tensor([value]))


def test_two_steps_of_sgd_with_momentum_by_hand():
    w = parameter()
    optimizer = sgd([w], learning_rate=0.1, momentum=0.9)
    update = Updater(lambda loss: loss.backward())
    update((w * 2).sum(), optimizer)  # v = 2, w = 1 - 0.2
    update((w * 2).sum(), optimizer)  # v = 0.9 * 2 + 2 = 3.8, w = 0.8 - 0.38
    assert w.item() == pytest.approx(0.42)


def test_new_layers_learn_faster_and_everything_decays():
    optimizer = sgd([parameter()], [parameter()], learning_rate=0.01, new_multiplier=10)
    set_progress([optimizer], 0.5)
    factor = (1 + 10 * 0.5) ** -0.75
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([0.01 * factor, 0.1 * factor])
    set_progress([optimizer], 0.0)
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([0.01, 0.1])


def test_the_rate_may_fall_by_the_steps_of_the_authors_of_dann():
    optimizer = sgd([parameter()], learning_rate=0.01)
    set_progress([optimizer], 0.25, rate_schedule(Config(rate_decay=20.0)))  # of 20,000 steps
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.01 * (1 + 0.001 * 5000) ** -0.75)


def test_two_steps_of_nesterov_s_momentum_by_hand():
    w = parameter()
    optimizer = sgd([w], learning_rate=0.1, momentum=0.9, nesterov=True)
    update = Updater(lambda loss: loss.backward())
    update((w * 2).sum(), optimizer)  # v = 2, w = 1 - 0.1 (2 + 0.9 * 2)
    update((w * 2).sum(), optimizer)  # v = 3.8, w = 0.62 - 0.1 (2 + 0.9 * 3.8)
    assert w.item() == pytest.approx(0.078)


def test_adda_s_learning_rate_stays():
    optimizer = adam([parameter()], learning_rate=2e-4)
    set_progress([optimizer], 0.9)
    assert optimizer.param_groups[0]["lr"] == 2e-4
    assert optimizer.param_groups[0]["betas"] == (0.5, 0.999)


def test_clipping_limits_the_norm_over_all_parameters():
    a, b = parameter(0.0), parameter(0.0)
    optimizer = sgd([a, b], learning_rate=1.0, momentum=0.0)
    Updater(lambda loss: loss.backward(), clip_norm=1.0)((3 * a + 4 * b).sum(), optimizer)
    assert [a.item(), b.item()] == pytest.approx([-0.6, -0.8], rel=1e-5)


def test_gradients_are_averaged_before_they_are_clipped_and_none_is_skipped():
    a, b, unused = parameter(), parameter(), parameter()
    optimizer = sgd([a, b, unused], learning_rate=1.0, momentum=0.0)
    seen = []

    def average(flat):
        seen.append(flat.clone())
        return flat / 2

    Updater(lambda loss: loss.backward(), average=average)((2 * a + 6 * b).sum(), optimizer)
    assert seen[0].tolist() == [2.0, 6.0]
    assert [a.item(), b.item(), unused.item()] == [0.0, -2.0, 1.0]


def test_gradients_of_an_earlier_loss_do_not_linger():
    w = parameter()
    optimizer = sgd([w], learning_rate=0.1, momentum=0.0)
    (w * 100).sum().backward()
    Updater(lambda loss: loss.backward())((w * 1).sum(), optimizer)
    assert w.item() == pytest.approx(0.9)


@pytest.mark.parametrize("make", [sgd, adam, adamw])
def test_fused_kernels_give_the_same_numbers(make):
    values = []
    for fused in (True, False):
        torch.manual_seed(0)
        layer = nn.Linear(5, 3)
        optimizer = make(layer.parameters(), learning_rate=0.1, fused=fused)
        for _ in range(4):
            Updater(lambda loss: loss.backward())(layer(torch.ones(2, 5)).square().sum(), optimizer)
        values.append(layer.weight.detach().clone())
    torch.testing.assert_close(values[0], values[1], rtol=1e-5, atol=1e-6)


def test_a_step_of_adamw_by_hand():
    w = nn.Parameter(torch.tensor([[2.0]]))
    optimizer = adamw([w], learning_rate=0.1, weight_decay=0.5)
    Updater(lambda loss: loss.backward())((w * 3).sum(), optimizer)
    # 2 - 0.1 * 0.5 * 2 of decay, then 0.1 * m / sqrt(v) = 0.1 at the first step
    assert w.item() == pytest.approx(1.8)
    assert optimizer.defaults["betas"] == (0.9, 0.999)


def test_adamw_spares_biases_and_norm_layers_and_sgd_does_not():
    layers = nn.Sequential(nn.Linear(2, 2), nn.GroupNorm(1, 2))
    before = copy.deepcopy(layers)
    optimizer = adamw(layers.parameters(), learning_rate=0.1, weight_decay=0.5)
    Updater(lambda loss: loss.backward())(sum(p.sum() for p in layers.parameters()) * 0.0, optimizer)
    torch.testing.assert_close(layers[0].weight, before[0].weight * 0.95)
    for name in ("0.bias", "1.weight", "1.bias"):
        assert torch.equal(layers.get_parameter(name), before.get_parameter(name)), name
    assert [
        group["weight_decay"] for group in sgd(layers.parameters(), learning_rate=1, weight_decay=0.5).param_groups
    ] == [0.5]


@pytest.mark.parametrize("make", [sgd, adamw])
def test_stages_nearer_to_the_pixels_learn_more_slowly(make):
    first, second, last, new = (nn.Parameter(torch.ones(1, 1)) for _ in range(4))
    optimizer = make([last], [new], learning_rate=0.1, new_multiplier=10, earlier=[[first], [second]], layer_decay=0.5)
    set_progress([optimizer], 0.5, lambda progress: 1.0 - progress)
    rates = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    assert [rates[id(p)] for p in (first, second, last, new)] == pytest.approx([0.0125, 0.025, 0.05, 0.5])
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.05)  # which the log has
