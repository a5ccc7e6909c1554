"""The gradient reversal layer of Ganin and Lempitsky (2015); Osumi et al. (2019), eq. 1 and 2."""

__all__ = ["reverse_gradient"]

from typing import Any

import torch
from torch import Tensor


class _Reversal(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, features: Tensor, strength: float) -> Tensor:
        ctx.strength = strength
        return features.view_as(features)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return -ctx.strength * gradients[0], None


def reverse_gradient(features: Tensor, strength: float) -> Tensor:
    """R_lambda: the identity forwards (eq. 1), -lambda times the gradient backwards (eq. 2).

    Args:
        features: any shape; the features that the domain classifier is about to see.
        strength: lambda >= 0, how hard the features are pushed; 0 switches adaptation off.

    Returns:
        The same values in the same shape.

    Raises:
        ValueError: if the strength is negative, which would teach the features to tell the domains apart.
    """
    if strength < 0:
        raise ValueError(f"the reversal strength must be >= 0, got {strength}; the minus sign is added here")
    reversed_features: Tensor = _Reversal.apply(features, strength)
    return reversed_features
