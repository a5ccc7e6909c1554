"""Training on the source alone: the floor under every other method, and the pre-classifier of section 3.1.

Osumi, Yamashita, Fujiyoshi, "Domain Adaptation using a Gradient Reversal Layer with Instance Weighting", MVA 2019:
"the pre-classifier network consists of a feature extractor and label predictor", trained "with only source domain
samples in advance". Departures are listed in docs/guides/methods/source_only.md.
"""

__all__ = ["SourceOnly"]

from typing import final

from torch.optim import Optimizer

from weighbridge.methods.base import Method, StepLog, Update
from weighbridge.parts.losses import label_loss
from weighbridge.parts.networks import Network
from weighbridge.types import DomainPair


@final
class SourceOnly(Method):
    """G_f and G_y, trained on source labels.

    Args:
        network: its domain head is not used.
        optimizer: over the parameters of `network.features` and `network.label_head`.
    """

    uses_target = False

    def __init__(self, network: Network, optimizer: Optimizer) -> None:
        self.network = network
        self.optimizers = {"network": optimizer}

    def step(self, pair: DomainPair, progress: float, update: Update) -> StepLog:
        source = pair.source
        label_logits = self.network(source.images)  # (B, K)
        loss = label_loss(label_logits, source.labels)
        update(loss, self.optimizers["network"])
        return StepLog({"label_loss": loss.detach()})
