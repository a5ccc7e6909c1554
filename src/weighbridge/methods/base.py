"""What a method is: networks, optimisers, and one training step that reads like its paper."""

__all__ = ["Method", "StepLog", "Update"]

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import Tensor, nn
from torch.optim import Optimizer

from weighbridge.parts.networks import Network
from weighbridge.types import DomainPair

Update = Callable[[Tensor, Optimizer], None]
"""Takes one optimiser step down one loss. The method says in which order, `optim.Updater` says how."""


@dataclass(frozen=True)
class StepLog:
    """What a step tells the outside: scalars to log, and the weight each source image had, where there is one."""

    scalars: Mapping[str, Tensor | float]
    weights: Tensor | None = None  # (B,)


class Method(ABC):
    """Abstract; DANN, ADDA, source-only, weighted DANN and the others are final and stand side by side.

    Attributes:
        network: what predicts afterwards.
        optimizers: by name, for learning rates and checkpoints.
        uses_target: False where target images are never looked at.
        target_views: 2 where two augmentations of every target image are compared.
    """

    uses_target: ClassVar[bool] = True
    target_views: ClassVar[Literal[1, 2]] = 1

    network: Network
    optimizers: dict[str, Optimizer]

    @property
    def learner(self) -> Network:
        """The classifier that labels change: `network`, unless that is the running mean of another."""
        return self.network

    @abstractmethod
    def step(self, pair: DomainPair, progress: float, update: Update) -> StepLog:
        """Train on one pair of batches.

        Args:
            pair: B source images with labels, B' target images without.
            progress: the share of all steps that is done, in [0, 1).
            update: called once per optimiser step with the loss and the optimiser it is for.
        """

    def modules(self) -> dict[str, nn.Module]:
        """Everything a checkpoint has to hold, by name."""
        return {"network": self.network}

    def by_products(self) -> dict[str, Network]:
        """Networks beside the one that predicts, by name, which a run folder keeps for the controls."""
        return {}

    def train(self) -> None:
        """Put the parts that learn into training mode."""
        self.network.train()
