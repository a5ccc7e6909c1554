"""Eq. 4 and 6-8 by hand."""

import math

import pytest
import torch

from weighbridge.losses import (
    discriminator_accuracy,
    domain_loss,
    label_loss,
    per_image_domain_loss,
    summed_domain_means,
)
from weighbridge.types import SOURCE, TARGET

LOGIT = math.log(3.0)  # the domain classifier says "target" with probability 3/4


def test_label_loss_is_the_mean_cross_entropy():
    logits = torch.tensor([[math.log(1.0), math.log(3.0)], [0.0, 0.0]])
    # -(ln 3/4 + ln 1/2) / 2 = 0.49041
    assert label_loss(logits, torch.tensor([1, 0])).item() == pytest.approx(0.490415, abs=1e-6)


def test_source_is_zero_and_target_is_one():
    assert (SOURCE, TARGET) == (0, 1)
    logits = torch.tensor([LOGIT])
    assert per_image_domain_loss(logits, SOURCE).item() == pytest.approx(-math.log(1 / 4))
    assert per_image_domain_loss(logits, TARGET).item() == pytest.approx(-math.log(3 / 4))


def test_domain_loss_divides_by_all_images_also_when_the_domains_differ_in_number():
    # B = 3 sources at 1/2, B' = 1 target at 3/4: (3 ln 2 + ln 4/3) / 4 = 0.59178; the mean of means would be 0.49041
    loss = domain_loss(torch.zeros(3), torch.tensor([LOGIT]))
    assert loss.item() == pytest.approx((3 * math.log(2) + math.log(4 / 3)) / 4, abs=1e-6)
    assert loss.item() == pytest.approx(0.59178, abs=5e-6)


def test_weighted_domain_loss_by_hand():
    # eq. 6: 2 ln 2 and 0.5 ln 4; eq. 7: ln 4/3; eq. 8: their sum over M = 3
    weights = torch.tensor([2.0, 0.5])
    loss = domain_loss(torch.tensor([0.0, LOGIT]), torch.tensor([LOGIT]), weights)
    assert loss.item() == pytest.approx((2 * math.log(2) + 0.5 * math.log(4) + math.log(4 / 3)) / 3, abs=1e-6)
    assert loss.item() == pytest.approx(0.78904, abs=5e-6)


def test_weights_are_not_divided_out():
    source, target = torch.randn(4), torch.randn(4)
    doubled = domain_loss(source, target, torch.full((4,), 2.0))
    alone = domain_loss(source, target)
    # only the source half doubles
    assert doubled.item() == pytest.approx(
        alone.item() + per_image_domain_loss(source, SOURCE).sum().item() / 8, abs=1e-6
    )


def test_only_source_images_are_weighted():
    target = torch.randn(3)
    loss = domain_loss(torch.randn(2), target, torch.zeros(2))
    assert loss.item() == pytest.approx(per_image_domain_loss(target, TARGET).sum().item() / 5, abs=1e-6)


def test_summed_means_is_twice_the_domain_loss_for_equal_halves():
    source, target, weights = torch.randn(6), torch.randn(6), torch.rand(6)
    assert summed_domain_means(source, target, weights).item() == pytest.approx(
        2 * domain_loss(source, target, weights).item()
    )


def test_summed_means_gives_each_domain_its_own_mean():
    # ln 2 + ln 4/3
    assert summed_domain_means(torch.zeros(3), torch.tensor([LOGIT])).item() == pytest.approx(
        math.log(2) + math.log(4 / 3)
    )


def test_loss_of_sure_and_wrong_logits_is_finite():
    assert domain_loss(torch.tensor([1e4]), torch.tensor([-1e4])).item() == pytest.approx(1e4)


def test_gradient_does_not_reach_the_weights():
    weights = torch.ones(2)
    logits = torch.zeros(2, requires_grad=True)
    domain_loss(logits, torch.zeros(2), weights).backward()
    assert logits.grad.tolist() == pytest.approx([0.125, 0.125])  # (sigmoid(0) - 0) / M
    assert weights.grad is None


def test_accuracy_counts_both_domains_alike():
    # source 1 of 1 right, target 1 of 3 right
    accuracy = discriminator_accuracy(torch.tensor([-1.0]), torch.tensor([1.0, -1.0, -1.0]))
    assert accuracy.item() == pytest.approx(2 / 3)


@pytest.mark.parametrize("loss", [domain_loss, summed_domain_means])
def test_a_weight_for_each_logit_or_none_at_all(loss):
    with pytest.raises(ValueError, match=r"expected a weight for each logit, got \(4,\) for \(4, 1\)"):
        loss(torch.zeros(4, 1), torch.zeros(4, 1), torch.ones(4))
