"""Thresholds that every class has for itself."""

import math

import pytest
import torch
from torch.nn import functional

from weighbridge.parts.losses import confident
from weighbridge.parts.selection import AdaptiveThresholds

MOMENTUM = 0.9


def by_hand(batches, classes):
    """FreeMatch, eq. 5 to 7, number by number; batches of probabilities as lists."""
    tau, p, chosen = 1 / classes, [1 / classes] * classes, []
    for q in batches:
        tau = MOMENTUM * tau + (1 - MOMENTUM) * sum(max(row) for row in q) / len(q)
        p = [MOMENTUM * p[c] + (1 - MOMENTUM) * sum(row[c] for row in q) / len(q) for c in range(classes)]
        chosen.append([float(max(row) > p[row.index(max(row))] / max(p) * tau) for row in q])
    return chosen


def test_it_chooses_what_the_equations_choose():
    torch.manual_seed(0)
    thresholds = AdaptiveThresholds(4, MOMENTUM)
    logits = [2.0 * torch.randn(16, 4) + torch.tensor([2.0, 0.0, 0.0, -1.0]) for _ in range(30)]
    found = [thresholds.update(batch).tolist() for batch in logits]
    expected = by_hand([functional.softmax(batch, dim=1).tolist() for batch in logits], 4)
    assert found == expected
    assert 0.2 < sum(map(sum, found)) / (30 * 16) < 0.95  # some and not others


def test_a_rare_class_of_which_the_teacher_is_less_sure_is_learned_too():
    # 7 in 8 photos are of class 0, told for sure; the others of class 1, at 0.7. One threshold of 0.95 never sees them.
    logits = torch.tensor([[math.log(0.97 / 0.03), 0.0]] * 7 + [[0.0, math.log(0.7 / 0.3)]])
    thresholds = AdaptiveThresholds(2, MOMENTUM)
    for _ in range(100):
        sure = thresholds.update(logits)
    assert confident(logits, 0.95)[7] == 0
    assert sure[7] == 1
    assert thresholds.overall == pytest.approx((7 * 0.97 + 0.7) / 8, abs=1e-3)


def test_the_bar_rises_as_the_teacher_grows_sure():
    thresholds, unsure = AdaptiveThresholds(3, MOMENTUM), torch.tensor([[0.8, 0.0, 0.0]])
    assert thresholds.update(unsure).tolist() == [1.0]
    for label in [0, 1, 2] * 40:
        thresholds.update(8.0 * functional.one_hot(torch.tensor([label]), 3).float())
    assert thresholds.update(unsure).tolist() == [0.0]


def test_a_thousand_classes_in_half_precision_give_numbers():
    torch.manual_seed(0)
    thresholds = AdaptiveThresholds(1000, 0.99)
    with torch.autocast("cpu", torch.bfloat16):
        for _ in range(20):
            sure = thresholds.update(10 * torch.randn(32, 1000))
    assert set(sure.tolist()) <= {0.0, 1.0}
    assert thresholds.shares.dtype == torch.float32
    assert float(thresholds.shares.sum()) == pytest.approx(1.0, abs=1e-5)
    assert 0 < thresholds.overall < 1
