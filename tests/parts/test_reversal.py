"""Eq. 1 and 2."""

import pytest
import torch

from weighbridge.parts.reversal import reverse_gradient


def test_forward_is_the_identity():
    features = torch.randn(3, 5)
    assert torch.equal(reverse_gradient(features, 0.7), features)


@pytest.mark.parametrize("strength", [0.0, 0.1, 1.0, 10.0])
def test_backward_is_minus_strength_times_the_gradient(strength):
    x = torch.tensor([1.0, 2.0, 3.0], requires_grad=True)
    (reverse_gradient(x, strength) * torch.tensor([4.0, 5.0, 6.0])).sum().backward()
    assert x.grad.tolist() == pytest.approx([-4.0 * strength, -5.0 * strength, -6.0 * strength])


def test_gradient_below_the_reversal_is_reversed_and_not_zero():
    torch.manual_seed(0)
    layer, images = torch.nn.Linear(4, 3), torch.randn(8, 4)
    layer(images).square().sum().backward()
    straight = layer.weight.grad.clone()
    layer.zero_grad()
    reverse_gradient(layer(images), 1.0).square().sum().backward()
    assert straight.abs().min() > 1e-4
    assert torch.equal(layer.weight.grad, -straight)


def test_reversing_twice_points_forward_again():
    x = torch.ones(2, requires_grad=True)
    reverse_gradient(reverse_gradient(x, 2.0), 3.0).sum().backward()
    assert x.grad.tolist() == [6.0, 6.0]


def test_bf16_stays_bf16():
    x = torch.ones(2, dtype=torch.bfloat16, requires_grad=True)
    reverse_gradient(x, 0.5).sum().backward()
    assert x.grad.dtype == torch.bfloat16
    assert x.grad.tolist() == [-0.5, -0.5]


def test_negative_strength_is_refused():
    with pytest.raises(ValueError, match=r"the reversal strength must be >= 0, got -1.0; the minus sign is added here"):
        reverse_gradient(torch.ones(1), -1.0)
