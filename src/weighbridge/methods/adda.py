"""Adversarial discriminative domain adaptation (ADDA).

Tzeng, Hoffman, Saenko, Darrell, "Adversarial Discriminative Domain Adaptation", CVPR 2017. Departures are listed in
docs/guides/methods/adda.md.
"""

__all__ = ["Adda"]

import copy
from typing import final

import torch
from torch import nn
from torch.optim import Optimizer

from weighbridge.methods.base import Method, StepLog, Update
from weighbridge.parts.likelihoods import InstanceWeighting, own_pass
from weighbridge.parts.losses import discriminator_accuracy, per_image_domain_loss, summed_domain_means
from weighbridge.parts.networks import Network, is_stochastic
from weighbridge.types import SOURCE, DomainPair


@final
class Adda(Method):
    """A target encoder M_t that learns to be mistaken for the frozen source encoder M_s.

    Args:
        network: the target side: features M_t with the pre-classifier's weights, label head C, domain head D, new. In
            the paper M is everything before the last layer; `networks.split_before_classifier` divides a network so.
        encoder_optimizer: over `network.features` only; C stays as the source left it.
        discriminator_optimizer: over `network.domain_head` only.
        weighting: instance weights on the source's part of D's loss; None, as in the paper, for none.
    """

    def __init__(
        self,
        network: Network,
        encoder_optimizer: Optimizer,
        discriminator_optimizer: Optimizer,
        *,
        weighting: InstanceWeighting | None = None,
    ) -> None:
        self.network = network
        self.source_encoder = copy.deepcopy(network.features).eval().requires_grad_(False)  # M_s
        self.optimizers = {"encoder": encoder_optimizer, "discriminator": discriminator_optimizer}
        self.weighting = weighting

    def step(self, pair: DomainPair, progress: float, update: Update) -> StepLog:
        source, target = pair.source, pair.target
        weights = None
        if self.weighting is not None:  # M_t never trains on source images, so P_t has a pass of its own
            weights = self.weighting.rule(self.weighting.p_a(source), own_pass(self.network, source))  # (B,)
        with torch.no_grad():
            source_features = self.source_encoder(source.images)  # (B, F)
        target_features = self.network.features(target.images)  # (B', F)

        # Eq. 9, first line: D tells the two encoders apart.
        source_logits = self.network.domain_logits(source_features)  # (B,)
        target_logits = self.network.domain_logits(target_features.detach())  # (B',)
        loss_d = summed_domain_means(source_logits, target_logits, weights)
        update(loss_d, self.optimizers["discriminator"])

        # Eq. 9, second line: M_t is taught by inverted labels, against the D just updated.
        loss_m = per_image_domain_loss(self.network.domain_logits(target_features), SOURCE).mean()
        update(loss_m, self.optimizers["encoder"])

        scalars = {
            "domain_loss": loss_d.detach() / 2,  # per image; ln 2 is chance
            "encoder_loss": loss_m.detach(),
            "domain_accuracy": discriminator_accuracy(source_logits, target_logits),
        }
        return StepLog(scalars, weights)

    def modules(self) -> dict[str, nn.Module]:
        return {"network": self.network, "source_encoder": self.source_encoder}

    def train(self) -> None:
        """M_t and D learn; C is frozen and M_s never leaves evaluation mode. Dropout and stochastic depth are off in
        both encoders, as in one alone they would give the domain away. D keeps its dropout.
        """
        self.network.train()
        self.network.label_head.eval()
        for module in self.network.features.modules():
            if is_stochastic(module):
                module.eval()
