"""Reading a trained network, a batch at a time."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from weighbridge.data.images import ArrayImages, View
from weighbridge.data.transforms import Preparation
from weighbridge.engine import evaluate


class Table(nn.Module):
    """Answers an image, which is one pixel k, with row k of a table of logits."""

    def __init__(self, logits):
        super().__init__()
        self.logits = nn.Parameter(torch.tensor(logits))

    def forward(self, images):
        return self.logits[((images.flatten() + 1) * 127.5).round().long()]


def pixels(*rows):
    return ArrayImages(np.array(rows, dtype=np.uint8).reshape(-1, 1, 1, 1), View(1, 1))


@pytest.mark.parametrize("at_once", [1, 2, 256])
def test_predictions_by_hand_whatever_the_batches_are(monkeypatch, at_once):
    monkeypatch.setattr(evaluate, "_AT_ONCE", at_once)
    network = Table([[math.log(3.0), 0.0], [0.0, math.log(9.0)]])  # probabilities (3/4, 1/4) and (1/10, 9/10)
    told = []
    batches = evaluate.label_logits(
        network, pixels(1, 0, 1), Preparation(), lambda done, total: told.append((done, total))
    )
    found = evaluate.predictions_of(batches, 3, ("a", "b"))
    assert found.row[:].tolist() == [1, 0, 1]
    assert found.probability[:].tolist() == pytest.approx([0.9, 0.75, 0.9])
    summary = found.summary
    assert (summary.images, summary.class_shares) == (3, {"a": 1 / 3, "b": 2 / 3})
    assert summary.mean_confidence == pytest.approx(0.85)
    entropy = [-sum(p * math.log(p) for p in row) for row in ((0.1, 0.9), (0.75, 0.25), (0.1, 0.9))]
    assert summary.prediction_entropy == pytest.approx(sum(entropy) / 3, abs=1e-6)
    mean = [0.95 / 3, 2.05 / 3]
    assert summary.mutual_information == pytest.approx(-sum(p * math.log(p) for p in mean) - sum(entropy) / 3, abs=1e-6)
    assert told[-1] == (3, 3)


def test_no_batch_is_kept_beyond_its_turn(monkeypatch):
    monkeypatch.setattr(evaluate, "_AT_ONCE", 2)
    shapes = [logits.shape for _, logits in evaluate.label_logits(Table([[0.0, 1.0]]), pixels(0, 0, 0), Preparation())]
    assert shapes == [(2, 2), (1, 2)]


def test_the_mode_of_every_part_is_put_back():
    network = nn.Sequential(Table([[0.0, 1.0]]), nn.Dropout(0.5)).train()
    network[1].eval()
    evaluate.predictions_of(evaluate.label_logits(network, pixels(0), Preparation()), 1, ("a", "b"))
    assert (network.training, network[0].training, network[1].training) == (True, True, False)
