"""Conditional domain-adversarial network (CDAN), with entropy conditioning (CDAN+E).

Long, Cao, Wang, Jordan, "Conditional Adversarial Domain Adaptation", NeurIPS 2018. Departures are listed in
docs/guides/methods/cdan.md.
"""

__all__ = ["Cdan"]

from collections.abc import Callable
from typing import final

import torch
from torch import Tensor
from torch.nn import functional
from torch.optim import Optimizer

from weighbridge.methods.base import Method, StepLog, Update
from weighbridge.parts.conditioning import entropy_weights
from weighbridge.parts.likelihoods import InstanceWeighting
from weighbridge.parts.losses import discriminator_accuracy, label_loss, per_image_domain_loss
from weighbridge.parts.networks import Network
from weighbridge.parts.reversal import reverse_gradient
from weighbridge.parts.schedules import reversal_strength
from weighbridge.types import SOURCE, TARGET, DomainPair


@final
class Cdan(Method):
    """Features that look alike in both domains class by class: D sees what an image is taken for beside its features.

    Args:
        network: G_f, G_y and a `ConditionalDiscriminator` for G_d.
        optimizer: over all parameters of the network.
        entropy: whether images count by the certainty of their predictions (CDAN+E).
        strength: progress in [0, 1] -> lambda; that of DANN, as in the paper's experiments.
        domain_loss_weight: of the domain loss beside the label loss, >= 0; 1 in the paper.
        weighting: instance weights on the source's domain loss; None, as in the paper, for none.
    """

    def __init__(
        self,
        network: Network,
        optimizer: Optimizer,
        *,
        entropy: bool = False,
        strength: Callable[[float], float] = reversal_strength,
        domain_loss_weight: float = 1.0,
        weighting: InstanceWeighting | None = None,
    ) -> None:
        self.network = network
        self.optimizers = {"network": optimizer}
        self.entropy = entropy
        self.strength = strength
        self.domain_loss_weight = domain_loss_weight
        self.weighting = weighting

    def step(self, pair: DomainPair, progress: float, update: Update) -> StepLog:
        source, target = pair.source, pair.target
        count = len(source.images)  # B
        read_p_t = self.weighting.reader(self.network, source) if self.weighting else None

        features = self.network.features(torch.cat([source.images, target.images]))  # (M, F)  f
        label_logits = self.network.label_head(features)  # (M, K)

        # D minimises its error and all of G maximises it: f and g both meet the reversal on their way to D.
        strength = self.strength(progress)
        f = reverse_gradient(features, strength)  # (M, F)
        log_g = functional.log_softmax(reverse_gradient(label_logits, strength).float(), dim=1)  # (M, K)
        domain_logits = self.network.domain_head(f, log_g.exp()).squeeze(1)  # (M,)
        source_logits, target_logits = domain_logits[:count], domain_logits[count:]
        source_losses = per_image_domain_loss(source_logits, SOURCE)  # (B,)
        target_losses = per_image_domain_loss(target_logits, TARGET)  # (B',)
        weights = None
        if self.weighting is not None and read_p_t is not None:
            p_t = read_p_t(features[:count], label_logits[:count])  # (B,)
            weights = self.weighting.rule(self.weighting.p_a(source), p_t)  # (B,)
            source_losses = weights * source_losses
        error = loss_d = source_losses.mean() + target_losses.mean()
        if self.entropy:
            certain = entropy_weights(log_g)  # (M,); reversed too: w is a part of the error that G maximises
            loss_d = (certain[:count] * source_losses).mean() + (certain[count:] * target_losses).mean()

        loss_y = label_loss(label_logits[:count], source.labels)
        update(loss_y + self.domain_loss_weight * loss_d, self.optimizers["network"])

        scalars: dict[str, Tensor | float] = {
            "label_loss": loss_y.detach(),
            "domain_loss": error.detach() / 2,  # per image and without w(H), as DANN logs it; ln 2 is chance
            "domain_accuracy": discriminator_accuracy(source_logits, target_logits),
            "strength": strength,
        }
        return StepLog(scalars, weights)
