"""Self-training with the labels of an averaged teacher, beside minimum class confusion.

Sohn et al., "FixMatch: Simplifying Semi-Supervised Learning with Consistency and Confidence", NeurIPS 2020 (labels from
one view of an image, learned on another); Tarvainen and Valpola, "Mean teachers are better role models", NeurIPS 2017
(who gives them); Jin, Wang, Long, Wang, "Minimum Class Confusion for Versatile Domain Adaptation", ECCV 2020.
Departures are listed in docs/guides/methods/self_training.md.
"""

__all__ = ["SelfTraining"]

import copy
from typing import final

import torch
from torch import nn
from torch.optim import Optimizer

from weighbridge.methods.base import Method, StepLog, Update
from weighbridge.parts.losses import confident, label_loss, minimum_class_confusion, pseudo_label_loss
from weighbridge.parts.networks import Network, follow
from weighbridge.parts.selection import AdaptiveThresholds
from weighbridge.types import DomainPair


@final
class SelfTraining(Method):
    """A student that learns the source's labels and, on the target, the classes of which its running mean is sure.

    Class confusion decides where no one is sure yet; the teacher's labels keep what was decided, under augmentation.

    Args:
        student: its domain head is not used. The teacher starts as a copy of it, and is what predicts afterwards.
        optimizer: over the parameters of the student's `features` and `label_head`.
        alpha: share of the teacher's parameters that a step leaves as they were, in [0, 1].
        threshold: tau, the teacher's probability above which its label is learned, in [0, 1].
        thresholds: of every class, in place of `threshold`; None for one of all.
        pseudo_label_weight: of the loss on these labels beside the label loss, >= 0.
        mcc_weight: mu, of the class confusion, >= 0.
        temperature: T > 0 of the class confusion's probability rescaling.
    """

    target_views = 2

    def __init__(
        self,
        student: Network,
        optimizer: Optimizer,
        *,
        alpha: float = 0.99,
        threshold: float = 0.95,
        thresholds: AdaptiveThresholds | None = None,
        pseudo_label_weight: float = 1.0,
        mcc_weight: float = 1.0,
        temperature: float = 2.5,
    ) -> None:
        self.student = student
        self.network = copy.deepcopy(student).requires_grad_(False)
        self.optimizers = {"student": optimizer}
        self.alpha = alpha
        self.threshold = threshold
        self.thresholds = thresholds
        self.pseudo_label_weight = pseudo_label_weight
        self.mcc_weight = mcc_weight
        self.temperature = temperature

    @property
    def learner(self) -> Network:
        return self.student

    def step(self, pair: DomainPair, progress: float, update: Update) -> StepLog:
        source, target = pair.source, pair.target
        if target.second_view is None:
            raise ValueError("self-training needs two views of the target images; make pairs with target_views=2")

        # Source and target go through separately, so that batch norm sees one domain at a time.
        source_logits = self.student(source.images)  # (B, K)
        student_logits = self.student(target.images)  # (B', K)
        with torch.no_grad():  # in training mode too: batch norm of the target alone
            teacher_logits = self.network(target.second_view)  # (B', K)

        loss_y = label_loss(source_logits, source.labels)
        loss_mcc = minimum_class_confusion(student_logits, self.temperature)
        if self.thresholds is None:
            sure = confident(teacher_logits, self.threshold)  # (B',)
        else:
            sure = self.thresholds.update(teacher_logits)  # (B',)
        loss_u = pseudo_label_loss(student_logits, teacher_logits, sure)
        loss = loss_y + self.mcc_weight * loss_mcc + self.pseudo_label_weight * loss_u
        update(loss, self.optimizers["student"])

        follow(self.network, self.student, self.alpha)

        scalars = {
            "label_loss": loss_y.detach(),
            "confusion_loss": loss_mcc.detach(),
            "pseudo_label_loss": loss_u.detach(),
            "confident_share": sure.mean(),
        }
        return StepLog(scalars)

    def modules(self) -> dict[str, nn.Module]:
        thresholds = {} if self.thresholds is None else {"thresholds": self.thresholds}
        return {"network": self.network, "student": self.student, **thresholds}

    def train(self) -> None:
        self.student.train()
        self.network.train()
