"""A DANN weighted by class ratios that also learns the labels of an averaged teacher (IWDAN + self-training).

Tachet des Combes, Zhao, Wang, Gordon, "Domain Adaptation with Conditional Distribution Matching and Generalized Label
Shift", NeurIPS 2020, is IWDAN; Sohn et al., "FixMatch: Simplifying Semi-Supervised Learning with Consistency and
Confidence", NeurIPS 2020, the labels; Jin, Wang, Long, Wang, "Minimum Class Confusion for Versatile Domain Adaptation",
ECCV 2020, the class confusion. Departures are listed in docs/guides/methods/iwdan_self_training.md.
"""

__all__ = ["IwdanSelfTraining"]

import copy
from collections.abc import Callable
from typing import final

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from weighbridge.methods.base import Method, StepLog, Update
from weighbridge.parts.class_ratios import ClassRatios
from weighbridge.parts.losses import (
    confident,
    discriminator_accuracy,
    label_loss,
    minimum_class_confusion,
    pseudo_label_loss,
    summed_domain_means,
)
from weighbridge.parts.networks import Network, follow
from weighbridge.parts.reversal import reverse_gradient
from weighbridge.parts.schedules import reversal_strength
from weighbridge.parts.selection import AdaptiveThresholds
from weighbridge.types import DomainPair


@final
class IwdanSelfTraining(Method):
    """The domains are aligned class share by class share, and the target learns the classes that have become sure.

    Source images of class y count w_y = p_T(y) / p_S(y) in the domain loss, as `IwdanMcc` has it; the teacher's labels
    and the class confusion are those of `SelfTraining`.

    Args:
        student: G_f, G_y and G_d. The teacher starts as a copy of it, and is what predicts afterwards.
        optimizer: over all parameters of the student.
        ratios: the estimate of w_y, which is 1 before the first batch.
        alpha: share of the teacher's parameters that a step leaves as they were, in [0, 1].
        threshold: tau, the teacher's probability above which its label is learned, in [0, 1].
        thresholds: of every class, in place of `threshold`; None for one of all.
        pseudo_label_weight: of the loss on these labels beside the label loss, >= 0.
        mcc_weight: mu, of the class confusion, >= 0.
        temperature: T > 0 of the class confusion's probability rescaling.
        weigh_labels: whether w_y is in the label loss too, as in the authors' code, for a classifier of the target's
            shares.
        strength: progress in [0, 1] -> lambda; the DANN paper's schedule with gamma = 10, a tenth of it by default in
            `weighbridge adapt`.
    """

    target_views = 2

    def __init__(
        self,
        student: Network,
        optimizer: Optimizer,
        ratios: ClassRatios,
        *,
        alpha: float = 0.99,
        threshold: float = 0.95,
        thresholds: AdaptiveThresholds | None = None,
        pseudo_label_weight: float = 1.0,
        mcc_weight: float = 1.0,
        temperature: float = 2.5,
        weigh_labels: bool = False,
        strength: Callable[[float], float] = reversal_strength,
    ) -> None:
        self.student = student
        self.network = copy.deepcopy(student).requires_grad_(False)
        self.optimizers = {"student": optimizer}
        self.ratios = ratios
        self.alpha = alpha
        self.threshold = threshold
        self.thresholds = thresholds
        self.pseudo_label_weight = pseudo_label_weight
        self.mcc_weight = mcc_weight
        self.temperature = temperature
        self.weigh_labels = weigh_labels
        self.strength = strength

    @property
    def learner(self) -> Network:
        return self.student

    def step(self, pair: DomainPair, progress: float, update: Update) -> StepLog:
        source, target = pair.source, pair.target
        if target.second_view is None:
            raise ValueError("self-training needs two views of the target images; make pairs with target_views=2")

        # Source and target go through separately, so that batch norm sees one domain at a time.
        source_features = self.student.features(source.images)  # (B, F)
        target_features = self.student.features(target.images)  # (B', F)
        source_logits = self.student.label_head(source_features)  # (B, K)
        student_logits = self.student.label_head(target_features)  # (B', K)
        with torch.no_grad():  # in training mode too: batch norm of the target alone
            teacher_logits = self.network(target.second_view)  # (B', K)

        ratios = self.ratios.update(source_logits, source.labels, student_logits)  # (K,)
        weights = ratios[source.labels]  # (B,)

        loss_y = label_loss(source_logits, source.labels, weights if self.weigh_labels else None)
        loss_mcc = minimum_class_confusion(student_logits, self.temperature)
        if self.thresholds is None:
            sure = confident(teacher_logits, self.threshold)  # (B',)
        else:
            sure = self.thresholds.update(teacher_logits)  # (B',)
        loss_u = pseudo_label_loss(student_logits, teacher_logits, sure)

        strength = self.strength(progress)
        source_domain = self.student.domain_logits(reverse_gradient(source_features, strength))  # (B,)
        target_domain = self.student.domain_logits(reverse_gradient(target_features, strength))  # (B',)
        loss_d = summed_domain_means(source_domain, target_domain, weights)

        loss = loss_y + loss_d + self.mcc_weight * loss_mcc + self.pseudo_label_weight * loss_u
        update(loss, self.optimizers["student"])

        follow(self.network, self.student, self.alpha)

        scalars: dict[str, Tensor | float] = {
            "label_loss": loss_y.detach(),
            "confusion_loss": loss_mcc.detach(),
            "pseudo_label_loss": loss_u.detach(),
            "confident_share": sure.mean(),
            "domain_loss": loss_d.detach() / 2,  # per image, as DANN logs it; ln 2 is chance
            "domain_accuracy": discriminator_accuracy(source_domain, target_domain),
            "strength": strength,
        }
        return StepLog(scalars, weights)

    def modules(self) -> dict[str, nn.Module]:
        thresholds = {} if self.thresholds is None else {"thresholds": self.thresholds}
        return {"network": self.network, "student": self.student, "ratios": self.ratios, **thresholds}

    def train(self) -> None:
        self.student.train()
        self.network.train()
