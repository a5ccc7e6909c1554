"""Where P_a and P_t of eq. 5 come from (Osumi et al. 2019, sec. 3.1), for any method that weights its source images."""

__all__ = [
    "InstanceWeighting",
    "PerImage",
    "PtMode",
    "SourceLikelihood",
    "exact_mode",
    "own_pass",
    "per_step",
    "stored",
]

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor, nn

from weighbridge.parts.networks import FrozenStatistics, Network, evaluating, is_stochastic
from weighbridge.parts.weights import Weighting, class_likelihood
from weighbridge.types import LabelledBatch

SourceLikelihood = Callable[[LabelledBatch], Tensor]
"""P_a of a batch of source images: LabelledBatch -> (B,)."""

PtMode = Literal["shared-features", "training-pass", "evaluation-pass"]


class PerImage(Protocol):
    """A number for every source image, (N,): a tensor, or whatever else gives the numbers of some rows."""

    def __getitem__(self, rows: Tensor, /) -> Tensor: ...


def stored(p_a: PerImage) -> SourceLikelihood:
    """P_a computed once for every source image, and looked up by index: costs a gather a step."""
    return lambda batch: p_a[batch.index].to(batch.labels.device)


def per_step(pre_classifier: Network) -> SourceLikelihood:
    """P_a from a frozen pre-classifier at every step, on the very pixels the step sees: the textbook form."""
    pre_classifier.eval().requires_grad_(False)

    def likelihood(batch: LabelledBatch) -> Tensor:
        with torch.no_grad():
            return class_likelihood(pre_classifier(batch.images), batch.labels)

    return likelihood


def exact_mode(network: Network) -> PtMode:
    """The cheapest way to read P_t that gives what an evaluation pass gives.

    The features of the training pass do where G_f has no dropout, no stochastic depth, and no batch norm but a frozen
    one. If P_a is of the same pixels, w is then 1 at the first step.
    """
    batch_norm = nn.modules.batchnorm._BatchNorm
    moving = (m for m in network.features.modules() if not isinstance(m, FrozenStatistics))
    inexact = any(isinstance(m, batch_norm) or is_stochastic(m) for m in moving)
    return "evaluation-pass" if inexact else "shared-features"


@dataclass(frozen=True)
class InstanceWeighting:
    """All that eq. 5 needs to know: where P_a comes from, how P_t is read, and the rule that makes w of them.

    Args:
        p_a: gives P_a of a batch.
        rule: (P_a, P_t) -> w; one of `weights.WEIGHTINGS`.
        p_t_mode: `shared-features`: the features of the training pass, the label predictor in evaluation mode (no
            dropout), exact for networks whose G_f has neither dropout nor batch norm, but with frozen statistics;
            `training-pass`: the label logits of the training pass as they are, dropout and all; `evaluation-pass`: a
            second pass of the whole network in evaluation mode, exact for any network, at the price of a forward pass.
    """

    p_a: SourceLikelihood
    rule: Weighting
    p_t_mode: PtMode = "shared-features"

    def reader(self, network: Network, batch: LabelledBatch) -> Callable[[Tensor, Tensor], Tensor]:
        """How P_t(y_i | x_i) of the network being adapted will be read at this step.

        Called before the training pass: that pass moves batch-norm statistics, and an evaluation pass after it would
        no longer see the network that the step started from.

        Returns:
            A function of the training pass, features (B, F) and label logits (B, K), that gives P_t, (B,) detached.
        """
        if self.p_t_mode == "evaluation-pass":
            p_t = own_pass(network, batch)
            return lambda features, label_logits: p_t

        def read(features: Tensor, label_logits: Tensor) -> Tensor:
            if self.p_t_mode == "shared-features" and _has_dropout(network.label_head):
                label_logits = _in_evaluation_mode(network.label_head, features.detach())
            return class_likelihood(label_logits, batch.labels)

        return read


def own_pass(network: Network, batch: LabelledBatch) -> Tensor:
    """P_t by a forward pass of its own in evaluation mode, (B,) detached."""
    return class_likelihood(_in_evaluation_mode(network, batch.images), batch.labels)


def _in_evaluation_mode(module: nn.Module, inputs: Tensor) -> Tensor:
    """One forward pass without gradient in evaluation mode."""
    with evaluating(module), torch.no_grad():
        outputs: Tensor = module(inputs)
    return outputs


def _has_dropout(module: nn.Module) -> bool:
    return any(isinstance(part, nn.Dropout) and part.p > 0 and part.training for part in module.modules())
