"""How P_a and P_t are read, on networks where the ways differ."""

import copy

import pytest
import torch
from torch import nn

from weighbridge.parts.likelihoods import InstanceWeighting, exact_mode, own_pass, per_step, stored
from weighbridge.parts.networks import Network, build_network, freeze_statistics
from weighbridge.parts.weights import class_likelihood, paper_weights
from weighbridge.types import LabelledBatch


def batch(count=6):
    torch.manual_seed(3)
    index = torch.tensor([4, 0, 9, 2, 7, 5])[:count]
    return LabelledBatch(torch.randn(count, 1, 16, 16), torch.arange(count) % 3, index, torch.zeros_like(index))


def network(backbone="lenet"):
    torch.manual_seed(0)
    return build_network(backbone, classes=3, channels=1, size=16)


def test_stored_likelihoods_are_looked_up_by_the_place_in_the_source():
    p_a = torch.arange(10) / 10
    torch.testing.assert_close(stored(p_a)(batch()), torch.tensor([0.4, 0.0, 0.9, 0.2, 0.7, 0.5]))


def test_the_pre_classifier_of_the_textbook_form_is_frozen_and_in_evaluation_mode():
    net = network("small-batchnorm").train()
    likelihood = per_step(net)
    before = [b.clone() for b in net.buffers()]
    assert not likelihood(batch()).requires_grad
    assert not any(p.requires_grad for p in net.parameters())
    assert all(torch.equal(a, b) for a, b in zip(net.buffers(), before, strict=True))


def test_a_pass_of_its_own_leaves_modes_and_statistics_as_they_were():
    net = network("small-batchnorm").train()
    net.label_head.eval()
    before = [b.clone() for b in net.buffers()]
    own_pass(net, batch())
    assert net.features.training
    assert not net.label_head.training
    assert all(torch.equal(a, b) for a, b in zip(net.buffers(), before, strict=True))


@pytest.mark.parametrize(
    ("backbone", "mode"),
    [("lenet", "shared-features"), ("small", "shared-features"), ("small-batchnorm", "evaluation-pass")],
)
def test_the_cheapest_exact_mode(backbone, mode):
    assert exact_mode(network(backbone)) == mode


def test_dropout_in_the_features_calls_for_a_pass_of_its_own():
    net = network()
    assert exact_mode(Network(nn.Sequential(net.features, nn.Dropout(0.5)), net.label_head, net.domain_head)) == (
        "evaluation-pass"
    )


def test_stochastic_depth_calls_for_a_pass_of_its_own():
    assert exact_mode(build_network("convnext_tiny", classes=3, channels=3, size=32)) == "evaluation-pass"


@pytest.mark.parametrize("backbone", ["lenet", "small", "small-batchnorm", "dropout", "frozen"])
def test_the_exact_mode_gives_weights_of_one_at_the_start_in_every_network(backbone):
    net = network({"dropout": "lenet", "frozen": "small-batchnorm"}.get(backbone, backbone))
    if backbone == "frozen":
        freeze_statistics(net)
        assert exact_mode(net) == "shared-features"
    if backbone == "dropout":
        net.label_head.insert(2, nn.Dropout(0.5))
    source = batch()
    pre = copy.deepcopy(net).eval()
    weigh = InstanceWeighting(per_step(pre), paper_weights, exact_mode(net))
    net.train()
    read = weigh.reader(net, source)
    features = net.features(source.images)
    p_t = read(features, net.label_head(features))
    torch.testing.assert_close(weigh.rule(weigh.p_a(source), p_t), torch.ones(6), rtol=0, atol=1e-6)


def test_p_t_is_the_probability_of_the_image_s_own_class():
    net, source = network().eval(), batch()
    weigh = InstanceWeighting(stored(torch.zeros(10)), paper_weights)
    features = net.features(source.images)
    logits = net.label_head(features)
    p_t = weigh.reader(net, source)(features, logits)
    expected = torch.stack([logits[k].softmax(0)[source.labels[k]] for k in range(6)])
    torch.testing.assert_close(p_t, expected)
    assert torch.equal(p_t, class_likelihood(logits, source.labels))
