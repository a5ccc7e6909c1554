"""DANN with instance weighting.

Osumi, Yamashita, Fujiyoshi, "Domain Adaptation using a Gradient Reversal Layer with Instance Weighting", MVA 2019,
section 3. Departures are listed in docs/guides/methods/weighted_dann.md.
"""

__all__ = ["WeightedDann"]

from collections.abc import Callable
from typing import final

import torch
from torch import Tensor
from torch.optim import Optimizer

from weighbridge.methods.base import Method, StepLog, Update
from weighbridge.parts.likelihoods import InstanceWeighting
from weighbridge.parts.losses import discriminator_accuracy, domain_loss, label_loss
from weighbridge.parts.networks import Network
from weighbridge.parts.reversal import reverse_gradient
from weighbridge.parts.schedules import constant_strength
from weighbridge.types import DomainPair


@final
class WeightedDann(Method):
    """A DANN, fine-tuned from a pre-classifier, whose source images are weighted in the domain loss.

    Args:
        network: the training network: G_f and G_y with the pre-classifier's weights, G_d new.
        optimizer: over all parameters of the network.
        weighting: P_a of the pre-classifier, how P_t is read, and the rule that makes w of them (eq. 5).
        strength: progress in [0, 1] -> lambda; constant, since "the proposed method does not need to update the value
            of lambda such as in Eq. (3)" (section 3.3).
    """

    def __init__(
        self,
        network: Network,
        optimizer: Optimizer,
        weighting: InstanceWeighting,
        *,
        strength: Callable[[float], float] = constant_strength(1.0),  # noqa: B008 (a pure function, made once)
    ) -> None:
        self.network = network
        self.optimizers = {"network": optimizer}
        self.weighting = weighting
        self.strength = strength

    def step(self, pair: DomainPair, progress: float, update: Update) -> StepLog:
        source, target = pair.source, pair.target
        count = len(source.images)  # B = N_source; N_target = B', M = B + B'

        read_p_t = self.weighting.reader(self.network, source)
        features = self.network.features(torch.cat([source.images, target.images]))  # (M, F)
        label_logits = self.network.label_head(features[:count])  # (B, K)

        # 3.1 Instance weighting: how sure the pre-classifier was of each source image, and how sure we are now.
        p_a = self.weighting.p_a(source)  # (B,)
        p_t = read_p_t(features[:count], label_logits)  # (B,)
        weights = self.weighting.rule(p_a, p_t)  # (B,)  eq. 5; detached: the weights grade the batch

        # 3.2 Domain-classification loss: eq. 6 weights the source, eq. 7 leaves the target, eq. 8 sums over all M.
        strength = self.strength(progress)
        domain_logits = self.network.domain_logits(reverse_gradient(features, strength))  # (M,)
        source_logits, target_logits = domain_logits[:count], domain_logits[count:]
        loss_d = domain_loss(source_logits, target_logits, weights)

        # The label predictor learns from the source alone, unweighted (eq. 4).
        loss_y = label_loss(label_logits, source.labels)
        update(loss_y + loss_d, self.optimizers["network"])

        scalars: dict[str, Tensor | float] = {
            "label_loss": loss_y.detach(),
            "domain_loss": loss_d.detach(),
            "domain_accuracy": discriminator_accuracy(source_logits, target_logits),
            "strength": strength,
        }
        return StepLog(scalars, weights)
