"""Domains: labelled and unlabelled images, and splitting a part off."""

__all__ = ["SPLIT_NUMBERS", "GroupedBy", "LabelledDomain", "Split", "UnlabelledDomain", "split_off"]

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from weighbridge.data.columns import Column
from weighbridge.data.images import Images, Names
from weighbridge.data.index import Rejected
from weighbridge.data.splits import held_out_rows

Split = Literal["train", "val", "test"]
GroupedBy = Literal["group", "near-duplicates", "nothing"]
"""How it is known which images belong together: the data says so, they look nearly the same, or it is not known."""


@dataclass(frozen=True)
class LabelledDomain:
    """Images with labels, from one source or several. What is known of each image lies on disk: N may be millions.

    Attributes:
        labels: (N,) int32 in [0, K).
        classes: K names.
        source: (N,) int16, which of `source_names` each image came from.
        files: N names, a path or "digits.npz#12".
        groups: (N,) int32; images of one number belong together, such as patches of one picture.
        splits: (N,) int8: 0 where the domain names no split, else 1 train, 2 val, 3 test.
        rejected: files that are not used, each with its reason.
        grouped_by: "group" only if every source names groups; by near duplicates only a part of them is known.
    """

    images: Images
    labels: Column
    classes: tuple[str, ...]
    source: Column
    source_names: tuple[str, ...]
    files: Sequence[str]
    groups: Column
    splits: Column
    fingerprint: str
    rejected: tuple[Rejected, ...] = ()
    grouped_by: GroupedBy = "nothing"

    def __len__(self) -> int:
        return len(self.labels)

    def images_of_sources(self) -> list[int]:
        """How many images each source has."""
        counts: list[int] = np.bincount(self.source.whole(), minlength=len(self.source_names)).tolist()
        return counts

    def subset(self, index: Tensor) -> "LabelledDomain":
        """The images at these rows, (n,) integers."""
        rows = Column([index.numpy()], np.int32)
        files = self.files.of(rows) if isinstance(self.files, Names) else [self.files[k] for k in index.tolist()]
        chosen = (column.of(rows) for column in (self.labels, self.source, self.groups, self.splits))
        labels, source, groups, splits = chosen
        images = _Rows(self.images, rows)
        return replace(self, images=images, labels=labels, source=source, files=files, groups=groups, splits=splits)


@dataclass(frozen=True)
class UnlabelledDomain:
    """Images and nothing else.

    Attributes:
        files: N names.
        fingerprint: changes when any image or name does.
        rejected: files that are not used, each with its reason.
    """

    images: Images
    files: Sequence[str]
    fingerprint: str
    rejected: tuple[Rejected, ...] = ()

    def __len__(self) -> int:
        return len(self.files)


def split_off(domain: LabelledDomain, share: float, seed: int) -> tuple[LabelledDomain, LabelledDomain]:
    """(training, held out). Given splits are kept: train against val; test is used for neither.

    Args:
        share: of the images to hold out where no val is given, class by class and in whole groups.
    """
    given = domain.splits.whole()
    training = (given == 0) | (given == SPLIT_NUMBERS["train"])
    held = given == SPLIT_NUMBERS["val"]
    if not held.any():
        rows = np.flatnonzero(training)
        held[rows] = held_out_rows(domain.labels.whole()[rows], domain.groups.whole()[rows], share, seed)
    return domain.subset(_numbers(training & ~held)), domain.subset(_numbers(held))


# ---- what lies at a path -------------------------------------------------------------------------------------------

SPLIT_NUMBERS = {"": 0, "train": 1, "val": 2, "test": 3}


def _numbers(rows: NDArray[np.bool_]) -> Tensor:
    return torch.from_numpy(np.flatnonzero(rows))


@dataclass(frozen=True)
class _Rows:
    """Some rows of other images."""

    images: Images
    rows: Column  # (n,)

    @property
    def digest(self) -> str:
        rows = self.rows.whole().astype(np.int64).tobytes()
        return hashlib.sha256(self.images.digest.encode() + rows).hexdigest()

    def __len__(self) -> int:
        return len(self.rows)

    def draw(self, count: int, generator: torch.Generator, *, strong: bool) -> Tensor | None:
        return self.images.draw(count, generator, strong=strong)

    def fetch(self, index: Tensor, drawn: Tensor | None = None) -> Tensor:
        return self.images.fetch(self.rows[index], drawn)
