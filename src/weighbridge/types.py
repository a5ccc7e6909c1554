"""The words every other file uses.

Shapes: B source images and B' target images in a mini-batch, M = B + B'; C channels, H x W pixels;
K classes; F features; N source images in all.

The domain label of the source is 0 and that of the target 1. Signs and importance weights flip with this
convention, so it is written here and nowhere else.
"""

__all__ = ["SOURCE", "TARGET", "DomainPair", "Interpolation", "LabelledBatch", "UnlabelledBatch"]

from dataclasses import dataclass
from typing import Literal

from torch import Tensor

SOURCE = 0
TARGET = 1

Interpolation = Literal["bicubic", "bilinear"]  # how images are made smaller


@dataclass(frozen=True)
class LabelledBatch:
    """Source images, each knowing its class, its place in the source and the source it came from."""

    images: Tensor  # (B, C, H, W) float, normalised
    labels: Tensor  # (B,) int64, in [0, K)
    index: Tensor  # (B,) int64 on the CPU, in [0, N): the row of this image in everything stored per source image
    source: Tensor  # (B,) int64: which of the --source folders it came from


@dataclass(frozen=True)
class UnlabelledBatch:
    """Target images. There is no label field, so no method can be taught by a target label."""

    images: Tensor  # (B', C, H, W) float, normalised
    index: Tensor  # (B',) int64 on the CPU
    second_view: Tensor | None = None  # (B', C, H, W) the same images augmented anew, where two are compared


@dataclass(frozen=True)
class DomainPair:
    """What one training step sees.

    Photos that somebody has labelled to learn from are a batch of their own. They count as neither domain.
    """

    source: LabelledBatch
    target: UnlabelledBatch
    taught: LabelledBatch | None = None  # (B'', ...), its index in [0, number of labelled photos)
