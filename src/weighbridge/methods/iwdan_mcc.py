"""A DANN weighted by class ratios that also minimises class confusion (IWDAN + MCC).

Tachet des Combes, Zhao, Wang, Gordon, "Domain Adaptation with Conditional Distribution Matching and Generalized Label
Shift", NeurIPS 2020, is IWDAN; Jin, Wang, Long, Wang, "Minimum Class Confusion for Versatile Domain Adaptation", ECCV
2020, is MCC. Departures are listed in docs/guides/methods/iwdan_mcc.md.
"""

__all__ = ["IwdanMcc"]

from collections.abc import Callable
from typing import final

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from weighbridge.methods.base import Method, StepLog, Update
from weighbridge.parts.class_ratios import ClassRatios
from weighbridge.parts.losses import discriminator_accuracy, label_loss, minimum_class_confusion, summed_domain_means
from weighbridge.parts.networks import Network
from weighbridge.parts.reversal import reverse_gradient
from weighbridge.parts.schedules import reversal_strength
from weighbridge.types import DomainPair


@final
class IwdanMcc(Method):
    """A DANN that compares the domains as if the source had the target's classes, in the target's shares.

    A DANN makes the two domains look alike, and where renders have every class equally often and photos do not, it can
    do so only by taking images of one class for another. Source images of class y therefore count w_y = p_T(y) / p_S(y)
    in the domain loss. The weight stays where the domains differ; that of eq. 5 of Osumi et al. dies out as training
    goes on.

    Args:
        network: G_f, G_y and G_d.
        optimizer: over all parameters of the network.
        ratios: the estimate of w_y, which is 1 before the first batch.
        mcc_weight: mu, the trade-off of the class confusion, >= 0; 0 is IWDAN alone.
        temperature: T > 0 of the probability rescaling.
        weigh_labels: whether w_y is in the label loss too, as in the authors' code, for a classifier of the target's
            shares.
        strength: progress in [0, 1] -> lambda; the DANN paper's schedule with gamma = 10, a tenth of it by default in
            `weighbridge adapt`.
    """

    def __init__(
        self,
        network: Network,
        optimizer: Optimizer,
        ratios: ClassRatios,
        *,
        mcc_weight: float = 1.0,
        temperature: float = 2.5,
        weigh_labels: bool = False,
        strength: Callable[[float], float] = reversal_strength,
    ) -> None:
        self.network = network
        self.optimizers = {"network": optimizer}
        self.ratios = ratios
        self.mcc_weight = mcc_weight
        self.temperature = temperature
        self.weigh_labels = weigh_labels
        self.strength = strength

    def step(self, pair: DomainPair, progress: float, update: Update) -> StepLog:
        source, target = pair.source, pair.target
        count = len(source.images)  # B

        features = self.network.features(torch.cat([source.images, target.images]))  # (M, F)
        label_logits = self.network.label_head(features)  # (M, K)

        # How often each class occurs among the photos, as far as predictions and their known confusions tell.
        ratios = self.ratios.update(label_logits[:count], source.labels, label_logits[count:])  # (K,)
        weights = ratios[source.labels]  # (B,)

        loss_y = label_loss(label_logits[:count], source.labels, weights if self.weigh_labels else None)
        loss_mcc = minimum_class_confusion(label_logits[count:], self.temperature)

        strength = self.strength(progress)
        domain_logits = self.network.domain_logits(reverse_gradient(features, strength))  # (M,)
        source_logits, target_logits = domain_logits[:count], domain_logits[count:]
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

    def modules(self) -> dict[str, nn.Module]:
        return {"network": self.network, "ratios": self.ratios}
