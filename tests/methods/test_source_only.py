"""The running mean that source-only keeps for its control."""

import pytest
import torch
from torch import nn

from weighbridge.methods.source_only import SourceOnly
from weighbridge.parts.networks import build_network
from weighbridge.parts.optim import Updater, sgd
from weighbridge.types import DomainPair, LabelledBatch, UnlabelledBatch


def trained(ema_decay, steps=5):
    torch.manual_seed(0)
    network = build_network("small-batchnorm", classes=3, channels=1, size=16)
    optimizer = sgd([*network.features.parameters(), *network.label_head.parameters()], learning_rate=0.05)
    method = SourceOnly(network, optimizer, ema_decay=ema_decay)
    method.train()
    expected = {name: value.clone() for name, value in network.state_dict().items()}
    for step in range(steps):
        torch.manual_seed(100 + step)
        labels = torch.arange(12) % 3
        source = LabelledBatch(torch.randn(12, 1, 16, 16), labels, torch.arange(12), torch.zeros_like(labels))
        pair = DomainPair(source, UnlabelledBatch(torch.empty(0, 1, 16, 16), torch.empty(0)))
        method.step(pair, step / steps, Updater(lambda loss: loss.backward()))
        for name, value in network.state_dict().items():
            if value.is_floating_point():
                expected[name] = 0.8 * expected[name] + 0.2 * value
            else:
                expected[name] = value.clone()
    return method, expected


def test_the_running_mean_is_that_of_weights_and_statistics():
    method, expected = trained(0.8)
    for name, value in method.running_mean.state_dict().items():
        torch.testing.assert_close(value, expected[name], msg=name)


def test_the_running_mean_touches_nothing_in_training():
    (with_mean, _), (without, _) = trained(0.8), trained(None)
    assert without.by_products() == {}
    assert set(with_mean.modules()) == {"network", "running-mean"}
    for ours, theirs in zip(with_mean.network.parameters(), without.network.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_a_mean_that_forgets_at_once_is_the_network_itself():
    method, _ = trained(0.0)
    for ours, theirs in zip(method.running_mean.parameters(), method.network.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    assert isinstance(method.running_mean, nn.Module)


@pytest.mark.parametrize("decay", [0.9, None])
def test_it_looks_at_no_target(decay):
    assert SourceOnly.uses_target is False
    assert trained(decay)[0].network is not None
