"""A DANN that also minimises class confusion (DANN + MCC).

Jin, Wang, Long, Wang, "Minimum Class Confusion for Versatile Domain Adaptation", ECCV 2020, where MCC is a regulariser
of adversarial methods; the DANN is that of Ganin et al., JMLR 17(59), 2016. Departures are listed in
docs/guides/methods/mcc.md.
"""

__all__ = ["DannMcc"]

from collections.abc import Callable
from typing import final

import torch
from torch import Tensor
from torch.optim import Optimizer

from weighbridge.methods.base import Method, StepLog, Update
from weighbridge.parts.likelihoods import InstanceWeighting
from weighbridge.parts.losses import discriminator_accuracy, label_loss, minimum_class_confusion, summed_domain_means
from weighbridge.parts.networks import Network
from weighbridge.parts.reversal import reverse_gradient
from weighbridge.parts.schedules import reversal_strength
from weighbridge.types import DomainPair


@final
class DannMcc(Method):
    """Features from which the domain cannot be told, and a label predictor that does not waver on the target.

    L_CE + mu L_MCC, as `Mcc` has it, and the domain loss of DANN (JMLR 2016, eq. 9) behind a reversal layer.

    Args:
        network: G_f, G_y and G_d.
        optimizer: over all parameters of the network.
        mcc_weight: mu, the trade-off, >= 0; 1 in the paper, and 0 is DANN.
        temperature: T > 0 of the probability rescaling.
        strength: progress in [0, 1] -> lambda; the DANN paper's schedule with gamma = 10.
        weighting: instance weights on the source's domain loss; None, as in the paper, for none.
    """

    def __init__(
        self,
        network: Network,
        optimizer: Optimizer,
        *,
        mcc_weight: float = 1.0,
        temperature: float = 2.5,
        strength: Callable[[float], float] = reversal_strength,
        weighting: InstanceWeighting | None = None,
    ) -> None:
        self.network = network
        self.optimizers = {"network": optimizer}
        self.mcc_weight = mcc_weight
        self.temperature = temperature
        self.strength = strength
        self.weighting = weighting

    def step(self, pair: DomainPair, progress: float, update: Update) -> StepLog:
        source, target = pair.source, pair.target
        count = len(source.images)  # B
        read_p_t = self.weighting.reader(self.network, source) if self.weighting else None

        # Both domains go through G_f together, as in DANN, and here through G_y too.
        features = self.network.features(torch.cat([source.images, target.images]))  # (M, F)
        label_logits = self.network.label_head(features)  # (M, K)
        loss_y = label_loss(label_logits[:count], source.labels)
        loss_mcc = minimum_class_confusion(label_logits[count:], self.temperature)

        strength = self.strength(progress)
        domain_logits = self.network.domain_logits(reverse_gradient(features, strength))  # (M,)
        source_logits, target_logits = domain_logits[:count], domain_logits[count:]
        weights = None
        if self.weighting is not None and read_p_t is not None:
            p_t = read_p_t(features[:count], label_logits[:count])  # (B,)
            weights = self.weighting.rule(self.weighting.p_a(source), p_t)  # (B,)
        loss_d = summed_domain_means(source_logits, target_logits, weights)

        update(loss_y + loss_d + self.mcc_weight * loss_mcc, self.optimizers["network"])

        scalars: dict[str, Tensor | float] = {
            "label_loss": loss_y.detach(),
            "confusion_loss": loss_mcc.detach(),
            "domain_loss": loss_d.detach() / 2,  # per image, as DANN logs it; ln 2 is chance
            "domain_accuracy": discriminator_accuracy(source_logits, target_logits),
            "strength": strength,
        }
        return StepLog(scalars, weights)
