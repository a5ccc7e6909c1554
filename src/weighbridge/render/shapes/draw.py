"""How shapes choose their proportions: random numbers that shrink to one nominal object."""

__all__ = ["Draw", "Solids"]

from typing import TypeAlias, TypeVar

import numpy as np
from manifold3d import Manifold

T = TypeVar("T")
Solids: TypeAlias = list[tuple[Manifold, str]]
"""What a shape is made of: solids and the slot each takes its material from. Solids of one slot may overlap."""


class Draw:
    """Draws whose spread is `variation`: 0 gives the nominal value whatever the generator says, 1 the whole range.

    Args:
        random: read the same number of times whatever the variation.
        variation: in [0, 1].
    """

    def __init__(self, random: np.random.Generator, variation: float) -> None:
        self.random = random
        self.variation = variation

    def between(self, low: float, high: float) -> float:
        """Uniform; the middle is nominal."""
        return (low + high) / 2 + self.variation * (self.random.random() - 0.5) * (high - low)

    def count(self, low: int, high: int) -> int:
        """A whole number from `low` to `high`, both included; the middle is nominal."""
        return min(int(self.between(low, high + 1)), high)

    def chance(self, probability: float) -> bool:
        """True that often; nominal is whichever is more likely."""
        nominal = float(probability >= 0.5)
        return self.random.random() < nominal + self.variation * (probability - nominal)

    def pick(self, *options: T) -> T:
        """Any of the options alike; the first is nominal."""
        leave, index = self.random.random(), int(self.random.integers(len(options)))
        return options[index] if leave < self.variation else options[0]
