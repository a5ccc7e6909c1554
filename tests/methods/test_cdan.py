"""CDAN and CDAN+E: their maps and weights worked by hand, and both against their twin."""

import copy
import math

import pytest
import torch
from torch import nn

from methods.test_twins import STEPS, assert_same, batches, moved, network, plain, sgd_of, train
from reference import twins
from weighbridge.methods.cdan import Cdan
from weighbridge.parts.conditioning import LARGEST_MAP, ConditionalDiscriminator, conditioned, entropy_weights
from weighbridge.parts.networks import build_network


def linear(width):
    return nn.Linear(width, 1)


def conditional_network():
    net = network()
    net.domain_head = nn.Sequential(net.domain_head)
    torch.manual_seed(3)
    return conditioned(net)


@pytest.mark.parametrize("randomised", [False, True])
@pytest.mark.parametrize("entropy", [False, True])
def test_it_agrees_with_its_twin(entropy, randomised, monkeypatch):
    if randomised:
        monkeypatch.setattr("weighbridge.parts.conditioning.LARGEST_MAP", 36 * 3 - 1)
        monkeypatch.setattr("weighbridge.parts.conditioning.RANDOM_WIDTH", 20)
    ours, (_, _, pairs) = conditional_network(), batches()
    twin, start = copy.deepcopy(ours), copy.deepcopy(ours)
    assert ours.domain_head.randomised == randomised
    train(Cdan(ours, sgd_of(ours), entropy=entropy), pairs)
    maps = (twin.domain_head.of_features, twin.domain_head.of_classes) if randomised else ()
    twins.cdan(twin.features, twin.label_head, twin.domain_head.layers, plain(pairs), STEPS, entropy, *maps)
    for part in ("features", "label_head", "domain_head"):
        assert moved(getattr(ours, part), getattr(start, part)) > 1e-3
    assert_same(ours, twin)


def test_the_multilinear_map_is_every_feature_times_every_probability():
    head = ConditionalDiscriminator(2, 3, linear)
    joint = head.joint(torch.tensor([[2.0, -1.0]]), torch.tensor([[0.5, 0.3, 0.2]]))
    torch.testing.assert_close(joint, torch.tensor([[1.0, -0.5, 0.6, -0.3, 0.4, -0.2]]))


def test_it_is_randomised_above_the_stated_size_alone():
    assert LARGEST_MAP == 4096
    assert not ConditionalDiscriminator(1024, 4, linear).randomised
    large = ConditionalDiscriminator(1025, 4, linear)
    assert large.randomised
    assert large.joint(torch.randn(5, 1025), torch.randn(5, 4)).shape == (5, 1024)
    assert large.layers.in_features == 1024


def test_the_random_map_keeps_inner_products_in_the_mean(monkeypatch):
    # E <T(f, g), T(f', g')> = <f, f'> <g, g'>, here over a map of 400,000 dimensions.
    monkeypatch.setattr("weighbridge.parts.conditioning.LARGEST_MAP", 0)
    monkeypatch.setattr("weighbridge.parts.conditioning.RANDOM_WIDTH", 400_000)
    torch.manual_seed(0)
    head = ConditionalDiscriminator(3, 2, lambda width: nn.Identity())
    f, g = torch.tensor([[1.0, 2.0, 0.0], [2.0, 0.0, 1.0]]), torch.tensor([[0.9, 0.1], [0.4, 0.6]])
    one, other = head.joint(f, g)
    assert float(one @ other) == pytest.approx(2.0 * 0.42, abs=0.05)
    assert float(one @ one) == pytest.approx(5.0 * 0.82, abs=0.1)


def test_random_matrices_are_drawn_once_kept_and_never_trained():
    net = conditioned(build_network("small", classes=3, channels=1, size=32))  # 2048 x 3 features
    assert net.domain_head.randomised
    assert {"domain_head.of_features", "domain_head.of_classes"} <= set(net.state_dict())
    assert not {"domain_head.of_features", "domain_head.of_classes"} & {name for name, _ in net.named_parameters()}
    assert net.domain_head.of_features.std() == pytest.approx(1.0, abs=0.01)


def test_the_discriminator_is_as_wide_as_that_of_dann():
    plain_head = build_network("small", classes=3, channels=1, size=16).domain_head
    layers = conditioned(build_network("small", classes=3, channels=1, size=16)).domain_head.layers
    widths = [layer.out_features for layer in layers if isinstance(layer, nn.Linear)]
    assert widths == [layer.out_features for layer in plain_head if isinstance(layer, nn.Linear)]


def test_entropy_weights_worked_by_hand():
    # H = 0 gives 2; H = ln 2 gives 1 + 1/2; H of (1/4, 3/4) is 0.5623, exp(-H) = 0.5699.
    log_g = torch.log_softmax(torch.tensor([[200.0, 0.0], [7.0, 7.0], [0.0, math.log(3.0)]]), dim=1)
    entropy = -(0.25 * math.log(0.25) + 0.75 * math.log(0.75))
    torch.testing.assert_close(entropy_weights(log_g), torch.tensor([2.0, 1.5, 1 + math.exp(-entropy)]))


def test_a_prediction_that_leaves_no_doubt_sends_no_gradient_that_is_no_number():
    net, (_, _, pairs) = conditional_network(), batches()
    with torch.no_grad():
        net.label_head[-1].weight.mul_(1e5)  # probabilities of 0 and 1, to the bit
    Cdan(net, sgd_of(net), entropy=True).step(pairs[0], 0.5, lambda loss, optimizer: loss.backward())
    assert all(torch.isfinite(p.grad).all() for p in net.parameters())


def test_the_label_predictor_meets_the_reversal_too():
    # The error is maximised over all of G: with the features held still, the classifier alone makes D's task harder.
    net, (_, _, pairs) = conditional_network(), batches()
    found = {}
    for strength in (0.0, 1.0, 2.0):
        twin = copy.deepcopy(net)
        method = Cdan(twin, sgd_of(twin), strength=lambda progress, lam=strength: lam)
        method.step(pairs[0], 0.5, lambda loss, optimizer: loss.backward())
        found[strength] = torch.cat([p.grad.flatten() for p in twin.label_head.parameters()])
    domain = found[1.0] - found[0.0]
    assert domain.abs().max() > 1e-5
    torch.testing.assert_close(found[2.0] - found[0.0], 2 * domain, rtol=1e-3, atol=1e-7)


def test_sure_predictions_count_more_in_cdan_e_alone():
    net, (_, _, pairs) = conditional_network(), batches()
    with torch.no_grad():
        net.label_head[-1].weight.mul_(1000.0)  # every prediction is sure: w = 2
    domain, logged = [], []
    for entropy in (False, True):
        losses = []
        method = Cdan(copy.deepcopy(net), sgd_of(net), entropy=entropy)
        log = method.step(pairs[0], 0.5, lambda loss, optimizer, seen=losses: seen.append(float(loss.detach())))
        domain.append(losses[0] - float(log.scalars["label_loss"]))
        logged.append(float(log.scalars["domain_loss"]))
    assert domain[1] == pytest.approx(2 * domain[0], rel=1e-3)
    assert logged[1] == logged[0]  # without w, so that ln 2 is chance for both
    assert logged[0] == pytest.approx(domain[0] / 2, rel=1e-3)
