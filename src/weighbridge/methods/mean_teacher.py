"""Mean teacher for domain adaptation (self-ensembling).

French, Mackiewicz, Fisher, "Self-ensembling for visual domain adaptation", ICLR 2018, after Tarvainen and Valpola,
"Mean teachers are better role models", NeurIPS 2017. Departures are listed in docs/guides/methods/mean_teacher.md.
"""

__all__ = ["MeanTeacher"]

import copy
from typing import final

import torch
from torch import nn
from torch.optim import Optimizer

from weighbridge.methods.base import Method, StepLog, Update
from weighbridge.parts.losses import class_balance_loss, confident, consistency_loss, label_loss
from weighbridge.parts.networks import Network, follow
from weighbridge.types import DomainPair


@final
class MeanTeacher(Method):
    """A student that learns the source's labels and, on the target, what its own running mean is sure of.

    Sections of the paper stand beside the lines. The running mean is the mean teacher of Tarvainen and Valpola.

    Args:
        student: its domain head is not used. The teacher starts as a copy of it, and is what predicts afterwards.
        optimizer: over the parameters of the student's `features` and `label_head`.
        alpha: share of the teacher's parameters that a step leaves as they were, in [0, 1].
        threshold: the teacher's probability above which it is listened to, in [0, 1]; in place of a ramp-up.
        consistency_weight: of the self-ensembling loss beside the label loss, >= 0.
        balance_weight: of the class balance loss within it, >= 0; 0 for classes that are not equally frequent.
    """

    target_views = 2

    def __init__(
        self,
        student: Network,
        optimizer: Optimizer,
        *,
        alpha: float = 0.99,
        threshold: float = 0.968,
        consistency_weight: float = 3.0,
        balance_weight: float = 0.005,
    ) -> None:
        self.student = student
        self.network = copy.deepcopy(student).requires_grad_(False)  # the teacher
        self.optimizers = {"student": optimizer}
        self.alpha = alpha
        self.threshold = threshold
        self.consistency_weight = consistency_weight
        self.balance_weight = balance_weight

    @property
    def learner(self) -> Network:
        return self.student

    def step(self, pair: DomainPair, progress: float, update: Update) -> StepLog:
        source, target = pair.source, pair.target
        if target.second_view is None:
            raise ValueError("mean teacher needs two views of the target images; make pairs with target_views=2")

        # "Adapting to domain adaptation": source and target go through separately; batch norm sees one at a time.
        source_logits = self.student(source.images)  # (B, K)
        student_logits = self.student(target.images)  # (B', K)
        with torch.no_grad():  # in training mode too: dropout on, and batch norm of the target alone
            teacher_logits = self.network(target.second_view)  # (B', K)

        loss_y = label_loss(source_logits, source.labels)
        sure = confident(teacher_logits, self.threshold)  # (B',)  "Confidence thresholding", in place of a ramp-up
        loss_c = consistency_loss(student_logits, teacher_logits, sure)
        # "Class balance loss": none before there is confidence.
        loss_b = class_balance_loss(student_logits) * sure.mean()
        update(loss_y + self.consistency_weight * (loss_c + self.balance_weight * loss_b), self.optimizers["student"])

        follow(self.network, self.student, self.alpha)

        scalars = {
            "label_loss": loss_y.detach(),
            "consistency_loss": loss_c.detach(),
            "balance_loss": loss_b.detach(),
            "confident_share": sure.mean(),
        }
        return StepLog(scalars)

    def modules(self) -> dict[str, nn.Module]:
        return {"network": self.network, "student": self.student}

    def train(self) -> None:
        self.student.train()
        self.network.train()
