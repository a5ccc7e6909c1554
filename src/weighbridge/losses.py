"""The losses, from logits. Every domain classifier ends in one logit; positive means target."""

__all__ = ["discriminator_accuracy", "domain_loss", "label_loss", "per_image_domain_loss", "summed_domain_means"]

import torch
from torch import Tensor
from torch.nn import functional

from weighbridge.types import SOURCE, TARGET


def label_loss(label_logits: Tensor, labels: Tensor) -> Tensor:
    """L_y: mean cross-entropy over the source images, the first sum of eq. 4.

    Args:
        label_logits: (B, K). labels: (B,) int64 in [0, K).
    """
    return functional.cross_entropy(label_logits.float(), labels)


def per_image_domain_loss(domain_logits: Tensor, domain: int) -> Tensor:
    """L_d of each image: binary cross-entropy against the domain label, (B,) -> (B,)."""
    targets = torch.full_like(domain_logits, float(domain), dtype=torch.float32)
    return functional.binary_cross_entropy_with_logits(domain_logits.float(), targets, reduction="none")


def domain_loss(source_logits: Tensor, target_logits: Tensor, source_weights: Tensor | None = None) -> Tensor:
    """L_d = (1/M) (sum_i w_i l_i + sum_j l_j), a sum over all M = B + B' images (Osumi et al. 2019, eq. 6-8).

    It is not a mean of two means: the two differ when B != B', and when weights do not average to one.

    Args:
        source_logits: (B,) domain logits of the source images.
        target_logits: (B',) domain logits of the target images.
        source_weights: (B,) w of eq. 5, detached; None for w = 1.

    Raises:
        ValueError: if weights and logits differ in shape, such as (B,) and (B, 1), which would pair all with all.
    """
    source = _weighted(per_image_domain_loss(source_logits, SOURCE), source_weights)  # (B,)  eq. 6
    target = per_image_domain_loss(target_logits, TARGET)  # (B',)  eq. 7
    return (source.sum() + target.sum()) / (len(source) + len(target))  # eq. 8


def summed_domain_means(source_logits: Tensor, target_logits: Tensor, source_weights: Tensor | None = None) -> Tensor:
    """mean_i w_i l_i + mean_j l_j: each domain its own mean, added up (Ganin et al., JMLR 2016, eq. 9; ADDA, eq. 6).

    Twice `domain_loss` when B = B'. Arguments as there.
    """
    source = _weighted(per_image_domain_loss(source_logits, SOURCE), source_weights)  # (B,)
    target = per_image_domain_loss(target_logits, TARGET)  # (B',)
    return source.mean() + target.mean()


def _weighted(losses: Tensor, weights: Tensor | None) -> Tensor:
    if weights is None:
        return losses
    if weights.shape != losses.shape:
        raise ValueError(f"expected a weight for each logit, got {tuple(weights.shape)} for {tuple(losses.shape)}")
    return weights * losses


def discriminator_accuracy(source_logits: Tensor, target_logits: Tensor) -> Tensor:
    """Share of the domain labels told right, both domains counting alike: 0.5 is chance. (B,), (B',) -> scalar."""
    return 0.5 * ((source_logits < 0).float().mean() + (target_logits >= 0).float().mean())
