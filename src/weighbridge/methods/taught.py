"""Any method, taught by a few labelled target images as well: semi-supervised domain adaptation.

Saito, Kim, Sclaroff, Darrell, Saenko, "Semi-supervised Domain Adaptation via Minimax Entropy", ICCV 2019: the
cross-entropy is taken over labelled images of the source and of the target, as many of each in a step. Departures are
listed in docs/guides/labelling.md.
"""

__all__ = ["Taught"]

from typing import final

from torch import Tensor, nn
from torch.optim import Optimizer

from weighbridge.methods.base import Method, StepLog, Update
from weighbridge.parts.losses import label_loss
from weighbridge.parts.networks import Network
from weighbridge.types import DomainPair


@final
class Taught(Method):
    """A method whose loss has one more term, the cross-entropy of labelled target images.

    The method does not see these images: to it they are neither source nor target, so no domain loss and no instance
    weight meets them. The term is added to the one update of a step that changes the classifier.

    Args:
        method: what is taught, and trains as it always does.
        weight: of the term beside the label loss of the source, which has weight 1, >= 0.

    Raises:
        ValueError: if no optimiser of the method changes its classifier.
    """

    def __init__(self, method: Method, *, weight: float = 1.0) -> None:
        self.method, self.weight = method, weight
        self.network, self.optimizers = method.network, method.optimizers
        mine = {id(p) for part in (method.learner.features, method.learner.label_head) for p in part.parameters()}
        changing = [
            o for o in method.optimizers.values() if mine & {id(p) for g in o.param_groups for p in g["params"]}
        ]
        if len(changing) != 1:
            raise ValueError(f"expected one optimiser that changes the classifier, got {len(changing)}")
        self._optimizer = changing[0]

    def step(self, pair: DomainPair, progress: float, update: Update) -> StepLog:
        if pair.taught is None:
            raise ValueError("expected labelled target images in the pair; make pairs with taught=...")
        taught, losses = pair.taught, list[Tensor]()

        def with_labels(loss: Tensor, optimizer: Optimizer) -> None:
            if optimizer is self._optimizer:
                losses.append(label_loss(self.method.learner(taught.images), taught.labels))  # of (B'', K)
                loss = loss + self.weight * losses[-1]
            update(loss, optimizer)

        log = self.method.step(pair, progress, with_labels)
        return StepLog({**log.scalars, "target_label_loss": losses[-1].detach()}, log.weights)

    @property
    def learner(self) -> Network:
        return self.method.learner

    def modules(self) -> dict[str, nn.Module]:
        return self.method.modules()

    def by_products(self) -> dict[str, Network]:
        return self.method.by_products()

    def train(self) -> None:
        self.method.train()
