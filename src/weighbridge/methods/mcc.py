"""Minimum class confusion (MCC).

Jin, Wang, Long, Wang, "Minimum Class Confusion for Versatile Domain Adaptation", ECCV 2020. Departures are listed in
docs/guides/methods/mcc.md.
"""

__all__ = ["Mcc"]

from typing import final

from torch.optim import Optimizer

from weighbridge.methods.base import Method, StepLog, Update
from weighbridge.parts.losses import label_loss, minimum_class_confusion
from weighbridge.parts.networks import Network
from weighbridge.types import DomainPair


@final
class Mcc(Method):
    """A classifier of the source that must not waver between classes on the target; no adversary.

    The loss is the paper's overall objective: L_CE of the source plus mu L_MCC of the target.

    Args:
        network: its domain head is not used.
        optimizer: over the parameters of `network.features` and `network.label_head`.
        mcc_weight: mu, the trade-off, >= 0; 1 in the paper, and 0 is source only.
        temperature: T > 0 of the probability rescaling.
    """

    def __init__(
        self, network: Network, optimizer: Optimizer, *, mcc_weight: float = 1.0, temperature: float = 2.5
    ) -> None:
        self.network = network
        self.optimizers = {"network": optimizer}
        self.mcc_weight = mcc_weight
        self.temperature = temperature

    def step(self, pair: DomainPair, progress: float, update: Update) -> StepLog:
        # Each domain has a pass of its own, as in the authors' code: batch norm sees one at a time.
        source_logits = self.network(pair.source.images)  # (B, K)
        target_logits = self.network(pair.target.images)  # (B', K)

        loss_y = label_loss(source_logits, pair.source.labels)
        loss_mcc = minimum_class_confusion(target_logits, self.temperature)
        update(loss_y + self.mcc_weight * loss_mcc, self.optimizers["network"])
        return StepLog({"label_loss": loss_y.detach(), "confusion_loss": loss_mcc.detach()})
