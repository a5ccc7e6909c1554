"""CDAN + MCC: against its twin, and what each of its two parts may reach."""

import copy

import pytest
import torch

from methods.test_cdan import conditional_network
from methods.test_twins import STEPS, assert_same, batches, moved, plain, sgd_of, train
from reference import twins
from weighbridge.methods.cdan import Cdan
from weighbridge.methods.cdan_mcc import CdanMcc


@pytest.mark.parametrize("entropy", [False, True])
def test_it_agrees_with_its_twin(entropy):
    ours, (_, _, pairs) = conditional_network(), batches()
    twin, start = copy.deepcopy(ours), copy.deepcopy(ours)
    train(CdanMcc(ours, sgd_of(ours), entropy=entropy, mcc_weight=3.0), pairs)
    twins.cdan(twin.features, twin.label_head, twin.domain_head.layers, plain(pairs), STEPS, entropy, mu=3.0)
    for part in ("features", "label_head", "domain_head"):
        assert moved(getattr(ours, part), getattr(start, part)) > 1e-3
    assert_same(ours, twin)


@pytest.mark.parametrize("entropy", [False, True])
def test_without_class_confusion_it_is_cdan(entropy):
    start, (_, _, pairs) = conditional_network(), batches()
    ours, other, confused = (copy.deepcopy(start) for _ in range(3))
    train(CdanMcc(ours, sgd_of(ours), entropy=entropy, mcc_weight=0.0), pairs)
    train(Cdan(other, sgd_of(other), entropy=entropy), pairs)
    train(CdanMcc(confused, sgd_of(confused), entropy=entropy, mcc_weight=30.0), pairs)
    assert_same(ours, other)
    assert moved(confused, other) > 1e-4


def test_class_confusion_is_descended_by_the_label_predictor_whatever_lambda_is():
    start, (_, _, pairs) = conditional_network(), batches()
    found = {}
    for strength, mu in ((0.0, 0.0), (0.0, 2.0), (1.0, 0.0), (1.0, 2.0)):
        net = copy.deepcopy(start)
        method = CdanMcc(net, sgd_of(net), mcc_weight=mu, strength=lambda progress, lam=strength: lam)
        method.step(pairs[0], 0.5, lambda loss, optimizer: loss.backward())
        found[strength, mu] = torch.cat([p.grad.flatten() for p in net.label_head.parameters()])
    confusion = found[0.0, 2.0] - found[0.0, 0.0]
    assert confusion.abs().max() > 1e-3
    torch.testing.assert_close(found[1.0, 2.0] - found[1.0, 0.0], confusion, rtol=1e-4, atol=1e-6)
