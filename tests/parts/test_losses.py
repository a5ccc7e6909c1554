"""The losses by hand, and against their twins."""

import math
import sys
from pathlib import Path

import pytest
import torch

from weighbridge.parts.losses import (
    class_balance_loss,
    confident,
    consistency_loss,
    discriminator_accuracy,
    domain_loss,
    label_loss,
    minimum_class_confusion,
    per_image_domain_loss,
    pseudo_label_loss,
    summed_domain_means,
)
from weighbridge.types import SOURCE, TARGET

sys.path.insert(0, str(Path(__file__).parent))
from reference import twins

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


# ---- minimum class confusion ----


@pytest.mark.parametrize("temperature", [1.0, 2.5])
def test_class_confusion_agrees_with_its_twin_in_plain_numbers(temperature):
    logits = 4 * torch.randn(7, 3, generator=torch.Generator().manual_seed(0))
    expected = twins.minimum_class_confusion(logits, temperature)
    assert minimum_class_confusion(logits, temperature).item() == pytest.approx(expected, abs=1e-6)


def test_class_confusion_by_hand():
    # Two images at T = 1: (3/4, 1/4) and (1/2, 1/2); H = 0.56234 and ln 2, w ~ 1.56987 and 1.5.
    # C_11 = (9/16 w1 + 1/4 w2) / (3/4 w1 + 1/2 w2), C_22 = (1/16 w1 + 1/4 w2) / (1/4 w1 + 1/2 w2)
    first = 1 + math.exp(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    kept = [(9 / 16 * first + 0.375) / (3 / 4 * first + 0.75), (1 / 16 * first + 0.375) / (1 / 4 * first + 0.75)]
    loss = minimum_class_confusion(torch.tensor([[math.log(3.0), 0.0], [0.0, 0.0]]), 1.0)
    assert loss.item() == pytest.approx(1 - sum(kept) / 2, abs=1e-6)


def test_class_confusion_lies_between_certainty_and_indifference():
    assert minimum_class_confusion(100 * torch.eye(4).repeat(2, 1)).item() == pytest.approx(0.0, abs=1e-6)
    assert minimum_class_confusion(torch.zeros(5, 4)).item() == pytest.approx(3 / 4)


def test_class_confusion_s_weights_carry_no_gradient():
    logits = (3 * torch.randn(6, 4, generator=torch.Generator().manual_seed(1))).requires_grad_(True)
    (ours,) = torch.autograd.grad(minimum_class_confusion(logits), logits)
    (twin,) = torch.autograd.grad(twins.minimum_class_confusion_matrix(logits, 2.5), logits)
    assert ours.abs().max() > 1e-3
    torch.testing.assert_close(ours, twin, rtol=1e-4, atol=1e-7)


def test_a_class_that_no_image_resembles_leaves_loss_and_gradient_finite():
    logits = torch.tensor([[500.0, 0.0, -500.0], [0.0, 500.0, -400.0]], requires_grad=True)  # Y_3 is 0 in float32
    loss = minimum_class_confusion(logits, 1.0)
    loss.backward()
    assert loss.item() == pytest.approx(1 / 3, abs=1e-6)  # the third class is all confused, the others not at all
    assert logits.grad.isfinite().all()


# ---- self-ensembling ----


def logits(*probabilities):
    return torch.tensor(probabilities).log()


def test_the_teacher_is_listened_to_above_the_threshold_only():
    sure = confident(logits([0.98, 0.02], [0.97, 0.03], [0.02, 0.98], [0.5, 0.5]), 0.975)
    assert sure.tolist() == [1.0, 0.0, 1.0, 0.0]


def test_consistency_is_the_mean_squared_difference_of_what_the_teacher_is_sure_of():
    # image 1: ((0.5 - 0.9)^2 + (0.5 - 0.1)^2) / 2 = 0.16, image 2 would be 0.09; over both images 0.08
    student, teacher = logits([0.5, 0.5], [0.9, 0.1]), logits([0.9, 0.1], [0.6, 0.4])
    assert consistency_loss(student, teacher, torch.tensor([1.0, 0.0])).item() == pytest.approx(0.08, abs=1e-6)
    assert consistency_loss(student, teacher, torch.ones(2)).item() == pytest.approx(0.125, abs=1e-6)


def test_pseudo_labels_cost_the_cross_entropy_of_the_teachers_class():
    # image 1 is taught class 1 at probability 1/2: ln 2; image 2 is not sure; over both images ln 2 / 2
    student, teacher = logits([0.5, 0.5], [0.9, 0.1]), logits([0.1, 0.9], [0.6, 0.4])
    assert pseudo_label_loss(student, teacher, torch.tensor([1.0, 0.0])).item() == pytest.approx(0.346574, abs=1e-6)
    assert pseudo_label_loss(student, teacher, torch.zeros(2)).item() == 0.0


def test_class_balance_by_hand():
    # mean (3/4, 1/4) against (1/2, 1/2): each class costs -(ln 3/4 + ln 1/4) / 2 = 0.83699, both 1.67398
    loss = class_balance_loss(logits([1.0 - 1e-7, 1e-7], [0.5, 0.5]))
    assert loss.item() == pytest.approx(1.67398, abs=1e-5)


def test_class_balance_is_smallest_where_all_classes_come_equally_often_however_sure_each_image_is():
    torch.testing.assert_close(class_balance_loss(20 * torch.eye(3)), class_balance_loss(torch.zeros(2, 3)))
    assert class_balance_loss(20 * torch.eye(3)[[0, 0, 1]]) > class_balance_loss(torch.zeros(2, 3)) + 0.1


def test_class_balance_of_a_class_that_is_never_predicted_is_finite():
    collapsed = torch.tensor([[500.0, 0.0]], requires_grad=True)
    loss = class_balance_loss(collapsed)
    loss.backward()
    assert loss.isfinite()
    assert collapsed.grad.isfinite().all()
