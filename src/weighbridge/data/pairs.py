"""The endless stream of training batches: what step number k sees is a function of (seed, k) and of nothing else.

So there is no loader state to save: a resumed run asks for the next step and gets the batch it would have got.
"""

__all__ = ["PairStream"]

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from weighbridge.data.domains import LabelledDomain, UnlabelledDomain
from weighbridge.data.images import Images
from weighbridge.data.transforms import Preparation
from weighbridge.types import SOURCE, TARGET, DomainPair, LabelledBatch, UnlabelledBatch

Balance = Literal["none", "source", "class", "both"]

_AUGMENTATION, _NOISE = 2, 3  # random streams of their own, beside SOURCE and TARGET


class PairStream:
    """Mini-batches of B source and B' target images, each domain shuffled anew every time it is used up.

    Args:
        source: labelled images.
        target: unlabelled images.
        batch_source: B >= 1, over all processes.
        batch_target: B' >= 0, over all processes; 0 for methods that do not look at the target.
        preparation: the same for both domains.
        seed: fixes the order of the images and their augmentation.
        balance: what every B source images show equally: `source`, `class`, or `both`, each class of each source;
            smaller ones come again sooner. `none`: in proportion.
        device: where the pixels are turned into floats.
        rank: which of the processes asks.
        processes: how many share a batch.
    """

    def __init__(
        self,
        source: LabelledDomain,
        target: UnlabelledDomain,
        *,
        batch_source: int,
        batch_target: int,
        preparation: Preparation,
        seed: int,
        device: torch.device,
        balance: Balance = "none",
        memory_format: torch.memory_format = torch.contiguous_format,
        rank: int = 0,
        processes: int = 1,
    ) -> None:
        self._source, self._target = source, target
        self._preparation, self._seed = preparation, seed
        self._device, self._memory_format = device, memory_format
        self._rank, self._processes = rank, processes
        self._source_order = _source_order(source, batch_source, balance, (seed, SOURCE))
        self._target_order = _Order(len(target), batch_target, (seed, TARGET))

    def at(self, step: int) -> DomainPair:
        """The pair of batches of this step, counted from 0, prepared on the device."""
        source_index = self._source_order.at(step)[self._rank :: self._processes]  # (B,)
        target_index = self._target_order.at(step)[self._rank :: self._processes]  # (B',)
        generator = torch.Generator().manual_seed(self._derived_seed(_AUGMENTATION, step))
        return DomainPair(
            source=LabelledBatch(
                images=self._prepare(self._source.images, source_index, generator),
                labels=self._source.labels[source_index].to(self._device, torch.int64),
                index=source_index.to(self._device),
                source=self._source.source[source_index].to(self._device, torch.int64),
            ),
            target=UnlabelledBatch(
                images=self._prepare(self._target.images, target_index, generator),
                index=target_index.to(self._device),
            ),
        )

    def noise_seed(self, step: int) -> int:
        """A seed for whatever a network draws in this step, such as dropout."""
        return self._derived_seed(_NOISE, step)

    def _derived_seed(self, stream: int, step: int) -> int:
        sequence = np.random.SeedSequence((self._seed, stream, self._rank, step))
        return int(sequence.generate_state(1, np.uint64)[0])

    def _prepare(self, images_of: Images, index: Tensor, generator: torch.Generator) -> Tensor:
        """Fetched, cropped at random, and still one byte a pixel when they reach the device."""
        slack = images_of.slack
        corners = torch.randint(slack + 1, (len(index), 2), generator=generator) if slack else None
        pixels = images_of.fetch(index, corners)
        images = self._preparation.training(pixels.to(self._device, non_blocking=True), generator)
        return images.contiguous(memory_format=self._memory_format)


def _source_order(source: LabelledDomain, batch: int, balance: Balance, key: tuple[int, ...]) -> "_Order | _Turns":
    if balance == "none":
        return _Order(len(source), batch, key)
    columns = {"source": source.source, "class": source.labels}
    both = source.source.int() * len(source.classes) + source.labels
    kinds = columns.get(balance, both).numpy()  # (N,)
    members = [np.flatnonzero(kinds == kind).astype(np.int32) for kind in np.unique(kinds)]
    return _Turns(members, batch, key) if len(members) > 1 else _Order(len(source), batch, key)


class _Turns:
    """An endless walk on which several groups of images take turns, each walking through its own without repeats.

    Args:
        members: the rows of each group.
    """

    def __init__(self, members: Sequence[NDArray[np.int32]], batch: int, key: tuple[int, ...]) -> None:
        self._members, self._batch, self._key = members, batch, key
        self._walks = [_Order(len(rows), 1, (*key, 1 + group)) for group, rows in enumerate(members)]

    def at(self, step: int) -> Tensor:
        """Rows of batch number `step`, (B,) int64."""
        count, rows = len(self._members), []
        first, last = step * self._batch, (step + 1) * self._batch
        for turn in range(first // count, -(-last // count)):
            groups = np.random.default_rng((*self._key, 0, turn)).permutation(count)
            for group in groups[max(first - turn * count, 0) : last - turn * count].tolist():
                rows.append(self._members[group][int(self._walks[group].at(turn))])
        return torch.tensor(rows, dtype=torch.int64)


class _Order:
    """An endless walk over `count` images in batches, every image once before any comes again."""

    def __init__(self, count: int, batch: int, key: tuple[int, ...]) -> None:
        self._count, self._batch, self._key = count, batch, key
        self._epoch, self._shuffled = -1, np.empty(0, dtype=np.int32)

    def at(self, step: int) -> Tensor:
        """Rows of batch number `step`, (B,) int64; a batch may span the end of one epoch and the start of the next."""
        first, last = step * self._batch, (step + 1) * self._batch
        parts = []
        while first < last:
            epoch, offset = divmod(first, self._count)
            taken = min(self._count - offset, last - first)
            parts.append(self._epoch_order(epoch)[offset : offset + taken])
            first += taken
        return torch.from_numpy(np.concatenate(parts)).long() if parts else torch.empty(0, dtype=torch.int64)

    def _epoch_order(self, epoch: int) -> NDArray[np.int32]:
        if epoch != self._epoch:
            self._shuffled = np.arange(self._count, dtype=np.int32)
            np.random.default_rng((*self._key, epoch)).shuffle(self._shuffled)
            self._epoch = epoch
        return self._shuffled
