"""Instance weights: how much each source image counts in the domain loss (Osumi et al. 2019, sec. 3.1).

A weighting is a function (P_a, P_t) -> w, all (B,) and detached. `paper` is eq. 5; the others are what it has to be
measured against. All of them equal 1 where P_a = P_t for every image of the batch.
"""

__all__ = [
    "WEIGHTINGS",
    "Weighting",
    "class_likelihood",
    "inverse_weights",
    "normalised_weights",
    "paper_weights",
    "permuted_weights",
    "uniform_weights",
]

from collections.abc import Callable

import torch
from torch import Tensor

Weighting = Callable[[Tensor, Tensor], Tensor]


def class_likelihood(label_logits: Tensor, labels: Tensor) -> Tensor:
    """P(y_i | x_i): the softmax probability of each image's own class.

    Args:
        label_logits: (B, K), any float type; computed in float32, as bf16 cannot tell 0.998 from 1.
        labels: (B,) int64 in [0, K).

    Returns:
        (B,) float32 in [0, 1], detached: the weights grade the batch, they must not be trained by it.
    """
    probabilities = label_logits.detach().float().softmax(dim=1)  # (B, K)
    return probabilities.gather(1, labels[:, None]).squeeze(1)  # (B,)


def paper_weights(p_a: Tensor, p_t: Tensor) -> Tensor:
    """w = exp(P_a) / exp(P_t), in [1/e, e] (eq. 5).

    Above 1 where the network being adapted is less sure of the image's class than the pre-classifier was.
    """
    return torch.exp(p_a - p_t).detach()


def uniform_weights(p_a: Tensor, p_t: Tensor) -> Tensor:
    """w = 1: everything of the method except its weights."""
    return torch.ones_like(p_t)


def permuted_weights(p_a: Tensor, p_t: Tensor) -> Tensor:
    """Eq. 5's weights dealt to the wrong images of the batch: same values, no information."""
    weights = paper_weights(p_a, p_t)
    return weights[torch.randperm(len(weights), device=weights.device)]


def inverse_weights(p_a: Tensor, p_t: Tensor) -> Tensor:
    """1 / w: eq. 5 turned upside down, up-weighting what the adapted network is surest of."""
    return torch.exp(p_t - p_a).detach()


def normalised_weights(p_a: Tensor, p_t: Tensor) -> Tensor:
    """w / mean(w) over the batch: eq. 5 without its effect on the size of the source's share."""
    weights = paper_weights(p_a, p_t)
    return weights / weights.mean()


WEIGHTINGS: dict[str, Weighting] = {
    "paper": paper_weights,
    "uniform": uniform_weights,
    "permuted": permuted_weights,
    "inverse": inverse_weights,
    "normalised": normalised_weights,
}
