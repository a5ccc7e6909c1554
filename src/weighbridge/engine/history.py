"""The weight that every source image had, over training."""

__all__ = ["WeightHistory"]

import math
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from weighbridge.data.columns import Column
from weighbridge.data.order import walked

_NOTED_AT_ONCE = 200  # steps whose weights are written down together,
_BLOCK = 2**16  # images at a time


class WeightHistory:
    """The weight every source image had when it was last seen, its mean so far, and snapshots over time.

    Args:
        images: N.
        followed: images that snapshots show at most; of more, a sample that depends on nothing but their number.

    Attributes:
        rows: (S,) images that snapshots show, ascending.
    """

    def __init__(self, images: int, followed: int = 10_000) -> None:
        sample = walked(np.arange(min(followed, images)), images, key=0)
        self.rows = torch.from_numpy(np.sort(sample))
        self._last = Column.filled(images, math.nan, np.float32)
        self._total = Column.filled(images, 0, np.float64)
        self._count = Column.filled(images, 0, np.int32)
        self._waiting: list[tuple[Tensor, Tensor]] = []  # index and weights of steps that are not in the columns yet
        self.steps: list[int] = []
        self.snapshots: list[Tensor] = []  # T of (S,)

    def add(self, index: Tensor, weights: Tensor) -> None:
        """index, weights: (B,); the weights may be on any device, which is waited for now and then."""
        self._waiting.append((index, weights))
        if len(self._waiting) == _NOTED_AT_ONCE:
            self._note()

    def snapshot(self, step: int) -> None:
        self._note()
        self.steps.append(step)
        self.snapshots.append(self._last[self.rows])

    def last(self) -> Tensor:
        """(N,), NaN for images never seen."""
        self._note()
        return torch.from_numpy(self._last.whole())

    def mean(self) -> Tensor:
        """(N,), NaN for images never seen."""
        self._note()
        return (torch.from_numpy(self._total.whole()) / torch.from_numpy(self._count.whole())).float()

    def state(self) -> dict[str, Tensor]:
        self._note()
        columns = {"last": self._last, "total": self._total, "count": self._count}
        history = torch.stack(self.snapshots) if self.snapshots else torch.empty(0, len(self.rows))
        return {
            **{name: torch.from_numpy(column.whole()) for name, column in columns.items()},
            "steps": torch.tensor(self.steps, dtype=torch.int64),
            "snapshots": history,
        }

    def restore(self, state: Mapping[str, Tensor]) -> None:
        self._last = Column([state["last"].numpy()], np.float32)
        self._total = Column([state["total"].numpy()], np.float64)
        self._count = Column([state["count"].numpy()], np.int32)
        self.steps = state["steps"].tolist()
        self.snapshots = list(state["snapshots"].unbind())

    def _note(self) -> None:
        """Bring the columns up to date."""
        if not self._waiting:
            return
        index = torch.cat([index for index, _ in self._waiting])
        weights = torch.cat([weights for _, weights in self._waiting]).cpu().float()
        self._waiting = []
        block = index // _BLOCK
        for number in torch.unique(block).tolist():
            rows = slice(number * _BLOCK, (number + 1) * _BLOCK)
            place, new = index[block == number] - rows.start, weights[block == number]
            last = self._last[rows]
            last.numpy()[place.numpy()] = new.numpy()  # of an image that came twice the last one, which numpy promises
            self._last[rows] = last
            self._total[rows] = self._total[rows].index_add_(0, place, new.double())
            self._count[rows] = self._count[rows].index_add_(0, place, torch.ones_like(place, dtype=torch.int32))
