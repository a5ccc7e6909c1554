"""AdaBN: batch norm reads the statistics of the target, and nothing else changes."""

import pytest
import torch
from torch import nn

from weighbridge.methods.adabn import with_statistics_of
from weighbridge.parts.networks import Network, build_network, freeze_statistics


@pytest.fixture
def network():
    torch.manual_seed(0)
    features = nn.Sequential(nn.BatchNorm2d(2), nn.Flatten())
    made = Network(features, nn.Sequential(nn.Linear(32, 3), nn.Dropout(0.5)), nn.Linear(32, 1))
    made.features[0].running_mean += 5.0
    return made.eval()


def images(count, seed=1):
    torch.manual_seed(seed)
    return 3.0 + 2.0 * torch.randn(count, 2, 4, 4)


def test_the_mean_and_variance_are_those_of_the_target(network):
    target = images(400)
    adapted = with_statistics_of(network, target.split(100))
    layer = adapted.features[0]
    torch.testing.assert_close(layer.running_mean, target.mean(dim=(0, 2, 3)))
    torch.testing.assert_close(layer.running_var, target.var(dim=(0, 2, 3)), rtol=0.01, atol=0)
    normalised = layer(target)
    torch.testing.assert_close(normalised.mean(dim=(0, 2, 3)), torch.zeros(2), rtol=0, atol=1e-4)


def test_batches_count_by_their_sizes(network):
    target = images(130)
    adapted = with_statistics_of(network, target.split(100))  # 100 and 30
    torch.testing.assert_close(adapted.features[0].running_mean, target.mean(dim=(0, 2, 3)))


def test_the_given_network_and_all_weights_stay_as_they_are(network):
    before = {name: value.clone() for name, value in network.state_dict().items()}
    adapted = with_statistics_of(network, [images(64)])
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    for (_, ours), (_, theirs) in zip(adapted.named_parameters(), network.named_parameters(), strict=True):
        assert torch.equal(ours, theirs)
    assert adapted.features[0].momentum == network.features[0].momentum == 0.1
    assert not any(part.training for part in adapted.modules())


def test_the_order_of_the_batches_does_not_matter(network):
    first, second = images(64, seed=1), images(64, seed=2)
    one, other = (with_statistics_of(network, batches) for batches in ([first, second], [second, first]))
    torch.testing.assert_close(one.features[0].running_var, other.features[0].running_var)


def test_a_single_image_at_the_end_is_left_out_and_alone_is_not(network):
    target = images(65)
    without = with_statistics_of(network, [target[:64]])
    assert torch.equal(
        with_statistics_of(network, target.split(64)).features[0].running_mean, without.features[0].running_mean
    )
    alone = with_statistics_of(network, [target[:1]]).features[0]
    torch.testing.assert_close(alone.running_mean, target[:1].mean(dim=(0, 2, 3)))


def test_without_batch_norm_the_network_is_the_same():
    torch.manual_seed(0)
    network = build_network("small", classes=3, channels=1, size=16)
    adapted, shown = with_statistics_of(network, [torch.randn(8, 1, 16, 16)]), torch.randn(4, 1, 16, 16)
    assert torch.equal(adapted(shown), network.eval()(shown))


def test_frozen_statistics_are_not_read_anew(network):
    freeze_statistics(network)
    adapted = with_statistics_of(network, [images(64)])
    assert adapted is not network
    assert all(torch.equal(value, network.state_dict()[name]) for name, value in adapted.state_dict().items())
