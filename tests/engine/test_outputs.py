"""What a network says of many images, and what is kept of it."""

import numpy as np
import pytest
import torch
from torch import nn

from weighbridge.data.images import ArrayImages, View
from weighbridge.data.transforms import Augmentation, Preparation
from weighbridge.engine.evaluate import label_logits, predictions_of
from weighbridge.engine.outputs import outputs_of, second_look, shortened
from weighbridge.parts.networks import Network, build_network


@pytest.fixture
def images():
    pixels = np.random.default_rng(0).integers(0, 256, (300, 16, 16, 1), dtype=np.uint8)
    return ArrayImages(pixels, View(16, 1))


@pytest.fixture
def network():
    torch.manual_seed(0)
    return build_network("small-batchnorm", classes=3, channels=1, size=16)


def test_outputs_are_what_the_network_says_in_order(network, images):
    found = outputs_of(network, images, Preparation())
    logits = torch.cat([part for _, part in label_logits(network, images, Preparation())])
    assert len(found) == 300
    assert np.array_equal(found.logits, logits.numpy())
    rows, again = (torch.cat(parts) for parts in zip(*found.batches(), strict=True))
    assert torch.equal(again, logits)
    assert rows.tolist() == list(range(300))
    assert network.training


def test_predictions_of_kept_outputs_are_those_of_the_network(network, images):
    found = outputs_of(network, images, Preparation())
    one = predictions_of(label_logits(network, images, Preparation()), len(images), "abc")
    other = predictions_of(found.batches(), 300, "abc")
    assert np.array_equal(one.row.whole(), other.row.whole())
    assert one.summary.class_shares == other.summary.class_shares
    assert one.summary.mutual_information == pytest.approx(other.summary.mutual_information, abs=1e-6)


def test_long_features_are_shortened_and_keep_their_distances(network, images):
    assert outputs_of(network, images, Preparation()).features.shape[1] == 256
    features = torch.randn(40, 5000, generator=torch.Generator().manual_seed(0))
    ratios = torch.pdist(shortened(features)) / torch.pdist(features)
    assert ratios.mean() == pytest.approx(1.0, abs=0.03)
    assert ratios.std() < 0.08  # sqrt(1 / (2 x 256)) = 0.044, with room
    assert torch.equal(shortened(features[:, :100]), features[:, :100])


def test_a_second_look_is_augmented_as_in_training_and_always_the_same(images):
    torch.manual_seed(0)
    network = Network(nn.Flatten(), nn.Linear(256, 3), nn.Linear(256, 1))  # every pixel moves its answer
    rows = np.arange(0, 300, 2)
    plain = outputs_of(network, images, Preparation()).logits.argmax(axis=1)[rows]
    assert np.array_equal(second_look(network, images, Preparation(), rows), plain)  # nothing is augmented
    noisy = Preparation(Augmentation(rotate=90.0, noise=0.5))
    looks = [second_look(network, images, noisy, rows) for _ in range(2)]
    assert np.array_equal(*looks)
    assert not np.array_equal(looks[0], plain)
