"""Training on the source alone: the pre-classifier of section 3.1, and the first of the controls.

Osumi, Yamashita, Fujiyoshi, "Domain Adaptation using a Gradient Reversal Layer with Instance Weighting", MVA 2019:
"the pre-classifier network consists of a feature extractor and label predictor", trained "with only source domain
samples in advance". Departures are listed in docs/guides/methods/source_only.md.
"""

__all__ = ["SourceOnly"]

import copy
from typing import final

import torch
from torch import nn
from torch.optim import Optimizer

from weighbridge.methods.base import Method, StepLog, Update
from weighbridge.parts.losses import label_loss
from weighbridge.parts.networks import Network, follow
from weighbridge.types import DomainPair


@final
class SourceOnly(Method):
    """G_f and G_y, trained on source labels.

    Args:
        network: its domain head is not used.
        optimizer: over the parameters of `network.features` and `network.label_head`.
        ema_decay: share of the running mean of all weights that a step leaves as it was, in [0, 1]; None keeps none.
            It touches nothing in training, and is read by the control `source-only-ema`.
    """

    uses_target = False

    def __init__(self, network: Network, optimizer: Optimizer, *, ema_decay: float | None = None) -> None:
        self.network = network
        self.ema_decay = ema_decay
        self.running_mean = None if ema_decay is None else copy.deepcopy(network).requires_grad_(False)
        self.optimizers = {"network": optimizer}

    def step(self, pair: DomainPair, progress: float, update: Update) -> StepLog:
        source = pair.source
        label_logits = self.network(source.images)  # (B, K)
        loss = label_loss(label_logits, source.labels)
        update(loss, self.optimizers["network"])
        if self.running_mean is not None and self.ema_decay is not None:
            with torch.no_grad():
                follow(self.running_mean, self.network, self.ema_decay, buffers=True)
        return StepLog({"label_loss": loss.detach()})

    def modules(self) -> dict[str, nn.Module]:
        return {"network": self.network, **self.by_products()}

    def by_products(self) -> dict[str, Network]:
        return {} if self.running_mean is None else {"running-mean": self.running_mean}
