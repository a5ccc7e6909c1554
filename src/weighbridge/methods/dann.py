"""Domain-adversarial neural network (DANN).

Ganin, Ustinova, Ajakan, Germain, Larochelle, Laviolette, Marchand, Lempitsky, "Domain-Adversarial Training of Neural
Networks", JMLR 17(59), 2016; Ganin and Lempitsky, ICML 2015. Departures are listed in docs/guides/methods/dann.md.
"""

__all__ = ["Dann"]

from collections.abc import Callable
from typing import final

import torch
from torch import Tensor
from torch.optim import Optimizer

from weighbridge.methods.base import Method, StepLog, Update
from weighbridge.parts.likelihoods import InstanceWeighting
from weighbridge.parts.losses import discriminator_accuracy, label_loss, summed_domain_means
from weighbridge.parts.networks import Network
from weighbridge.parts.reversal import reverse_gradient
from weighbridge.parts.schedules import reversal_strength
from weighbridge.types import DomainPair


@final
class Dann(Method):
    """Features from which the label can be told and the domain cannot.

    Args:
        network: G_f, G_y and G_d, from random or published weights.
        optimizer: over all parameters of the network.
        strength: progress in [0, 1] -> lambda; the paper's schedule with gamma = 10.
        domain_loss_weight: of the domain loss beside the label loss, >= 0; 1 in the paper.
        weighting: instance weights on the source's domain loss; None, as in the paper, for none.
    """

    def __init__(
        self,
        network: Network,
        optimizer: Optimizer,
        *,
        strength: Callable[[float], float] = reversal_strength,
        domain_loss_weight: float = 1.0,
        weighting: InstanceWeighting | None = None,
    ) -> None:
        self.network = network
        self.optimizers = {"network": optimizer}
        self.strength = strength
        self.domain_loss_weight = domain_loss_weight
        self.weighting = weighting

    def step(self, pair: DomainPair, progress: float, update: Update) -> StepLog:
        source, target = pair.source, pair.target
        count = len(source.images)  # B

        read_p_t = self.weighting.reader(self.network, source) if self.weighting else None

        # Both domains go through the feature extractor together, as one mini-batch.
        features = self.network.features(torch.cat([source.images, target.images]))  # (M, F)

        # The label predictor learns from the source alone.
        label_logits = self.network.label_head(features[:count])  # (B, K)

        # The domain classifier learns to tell the domains apart; the reversal makes the features unlearn it.
        strength = self.strength(progress)
        domain_logits = self.network.domain_logits(reverse_gradient(features, strength))  # (M,)
        source_logits, target_logits = domain_logits[:count], domain_logits[count:]
        weights = None
        if self.weighting is not None and read_p_t is not None:
            p_t = read_p_t(features[:count], label_logits)  # (B,)
            weights = self.weighting.rule(self.weighting.p_a(source), p_t)  # (B,)

        loss_y = label_loss(label_logits, source.labels)
        loss_d = summed_domain_means(source_logits, target_logits, weights)
        update(loss_y + self.domain_loss_weight * loss_d, self.optimizers["network"])

        scalars: dict[str, Tensor | float] = {
            "label_loss": loss_y.detach(),
            "domain_loss": loss_d.detach() / 2,  # per image, comparable with eq. 8; ln 2 is chance
            "domain_accuracy": discriminator_accuracy(source_logits, target_logits),
            "strength": strength,
        }
        return StepLog(scalars, weights)
