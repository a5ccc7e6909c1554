"""The endless stream of training batches: what step number k sees is a function of (seed, k) and of nothing else.

So there is no loader state to save: a resumed run asks for the next step and gets the batch it would have got.
"""

__all__ = ["BATCHES", "PairStream"]

from collections.abc import Callable
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from weighbridge.data.columns import Column
from weighbridge.data.domains import LabelledDomain, UnlabelledDomain
from weighbridge.data.images import Images
from weighbridge.data.order import walked
from weighbridge.data.transforms import Preparation
from weighbridge.data.vectors import AsTheyAre
from weighbridge.types import SOURCE, TARGET, DomainPair, LabelledBatch, UnlabelledBatch

BATCHES = 2
"""Changes when a step sees other images than before, so that no table has runs of both. 1: stage two saw the batches of
the pre-classifier again."""

Balance = Literal["none", "source", "class", "both"]

_AUGMENTATION, _NOISE, _SECOND_VIEW, _STRONG = 2, 3, 4, 5  # random streams of their own, beside SOURCE and TARGET
_TAUGHT, _TAUGHT_STRONG = 6, 7


class PairStream:
    """Mini-batches of B source and B' target images, each domain shuffled anew every time it is used up.

    Args:
        source: labelled images.
        target: unlabelled images.
        batch_source: B >= 1, over all processes.
        batch_target: B' >= 0, over all processes; 0 for methods that do not look at the target.
        preparation: the same for both domains.
        seed: fixes the order of the images and their augmentation.
        target_views: 2 for methods that compare two augmentations of a target image. The first is the one that methods
            with one view see. The second, for a teacher, is never augmented strongly.
        first: the batch that step 0 sees. What goes on where a pre-classifier stopped sees new ones.
        balance: what every B source images show equally: `source`, `class`, or `both`, each class of each source;
            smaller ones come again sooner. `none`: in proportion.
        device: where the pixels are turned into floats.
        taught: labelled images of the target, if there are some. A step sees as many as of the source, but at most all
            of them (Saito et al. 2019), and two at least, as batch norm needs them. They change no other batch.
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
        preparation: Preparation | AsTheyAre,
        seed: int,
        device: torch.device,
        target_views: Literal[1, 2] = 1,
        first: int = 0,
        taught: LabelledDomain | None = None,
        balance: Balance = "none",
        memory_format: torch.memory_format = torch.contiguous_format,
        rank: int = 0,
        processes: int = 1,
    ) -> None:
        self.batch_source = batch_source
        self._source, self._target = source, target
        self._preparation, self._seed = preparation, seed
        self._device, self._memory_format = device, memory_format
        self._target_views, self._first = target_views, first
        self._rank, self._processes = rank, processes
        self._source_order = _source_order(source, batch_source, balance, (seed, SOURCE))
        self._target_order = _Order(len(target), batch_target, (seed, TARGET))
        self._taught = taught
        if taught is not None:
            batch = max(2 * processes, min(batch_source, len(taught)) // processes * processes)
            self._taught_order = _source_order(taught, batch, "class", (seed, _TAUGHT))

    def at(self, step: int) -> DomainPair:
        """The pair of batches of this step, counted from 0, prepared on the device."""
        place = self._first + step
        source_index = self._source_order.at(place)[self._rank :: self._processes]  # (B,)
        target_index = self._target_order.at(place)[self._rank :: self._processes]  # (B',)

        def draws(stream: int) -> torch.Generator:
            return torch.Generator().manual_seed(self._derived_seed(stream, step))

        generator, strong = draws(_AUGMENTATION), draws(_STRONG)
        two = self._target_views == 2
        return DomainPair(
            source=LabelledBatch(
                images=self._prepare(self._source.images, source_index, generator, strong),
                labels=self._source.labels[source_index].to(self._device, torch.int64),
                index=source_index,
                source=self._source.source[source_index].to(self._device, torch.int64),
            ),
            target=UnlabelledBatch(
                images=self._prepare(self._target.images, target_index, generator, strong),
                index=target_index,
                second_view=self._prepare(self._target.images, target_index, draws(_SECOND_VIEW)) if two else None,
            ),
            taught=None if self._taught is None else self._labelled_photos(self._taught, place, draws),
        )

    def _labelled_photos(
        self, taught: LabelledDomain, place: int, draws: Callable[[int], torch.Generator]
    ) -> LabelledBatch:
        """Every class equally often, so that a photo of a rare class comes again sooner."""
        index = self._taught_order.at(place)[self._rank :: self._processes]  # (B'',)
        return LabelledBatch(
            images=self._prepare(taught.images, index, draws(_TAUGHT), draws(_TAUGHT_STRONG)),
            labels=taught.labels[index].to(self._device, torch.int64),
            index=index,
            source=taught.source[index].to(self._device, torch.int64),
        )

    def noise_seed(self, step: int) -> int:
        """A seed for whatever a network draws in this step, such as dropout."""
        return self._derived_seed(_NOISE, step)

    def _derived_seed(self, stream: int, step: int) -> int:
        sequence = np.random.SeedSequence((self._seed, stream, self._rank, self._first + step))
        return int(sequence.generate_state(1, np.uint64)[0])

    def _prepare(
        self, images_of: Images, index: Tensor, generator: torch.Generator, strong: torch.Generator | None = None
    ) -> Tensor:
        """Fetched, cropped at random, and still one byte a pixel when they reach the device."""
        drawn = images_of.draw(len(index), generator, strong=strong is not None)
        pixels = images_of.fetch(index, drawn)
        images = self._preparation.training(pixels.to(self._device, non_blocking=True), generator, strong)
        return images.contiguous(memory_format=self._memory_format)


def _source_order(source: LabelledDomain, batch: int, balance: Balance, key: tuple[int, ...]) -> "_Order | _Turns":
    if balance == "none":
        return _Order(len(source), batch, key)
    columns = {"source": source.source.whole(), "class": source.labels.whole()}
    both = columns["source"].astype(np.int32) * len(source.classes) + columns["class"]
    kinds = columns.get(balance, both)  # (N,)
    sizes = np.unique(kinds, return_counts=True)[1]
    members = Column([np.argsort(kinds, kind="stable")], np.int32)
    return _Turns(members, sizes, batch, key) if len(sizes) > 1 else _Order(len(source), batch, key)


class _Turns:
    """An endless walk on which several groups of images take turns, each walking through its own without repeats.

    Args:
        members: (N,) the rows of one group after the other.
        sizes: (G,) how many each group has.
    """

    def __init__(self, members: Column, sizes: NDArray[np.int64], batch: int, key: tuple[int, ...]) -> None:
        self._members, self._sizes, self._batch = members, sizes, batch
        self._starts = np.cumsum(sizes) - sizes  # (G,)
        self._keys = _keys(key, 1 + len(sizes))  # of the turns, and of each group

    def at(self, step: int) -> Tensor:
        """Rows of batch number `step`, (B,) int64."""
        position = np.arange(step * self._batch, (step + 1) * self._batch)
        group = walked(position, len(self._sizes), self._keys[0])  # (B,)
        turn = position // len(self._sizes)
        place = self._starts[group] + walked(turn, self._sizes[group], self._keys[1 + group])
        return self._members[torch.from_numpy(place)].long()


class _Order:
    """An endless walk over `count` images in batches, every image once before any comes again."""

    def __init__(self, count: int, batch: int, key: tuple[int, ...]) -> None:
        self._count, self._batch, self._key = count, batch, _keys(key, 1)

    def at(self, step: int) -> Tensor:
        """Rows of batch number `step`, (B,) int64; a batch may span the end of one epoch and the start of the next."""
        position = np.arange(step * self._batch, (step + 1) * self._batch)
        return torch.from_numpy(walked(position, self._count, self._key))


def _keys(key: tuple[int, ...], count: int) -> NDArray[np.uint64]:
    """Numbers that the seed and the domain choose, (count,)."""
    return np.random.SeedSequence(key).generate_state(count, np.uint64).astype(np.uint64)
