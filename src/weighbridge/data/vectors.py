"""Features of images, as a frozen backbone has made them, in the place of the images."""

__all__ = ["AsTheyAre", "Vectors"]

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


class Vectors:
    """One plain and V augmented looks at every image, as F features each.

    Args:
        plain: (N, F) float16.
        augmented: (N, V, F) float16.
        digest: see `images.Images`.
    """

    def __init__(self, plain: NDArray[np.float16], augmented: NDArray[np.float16], digest: str) -> None:
        self._plain, self._augmented, self.digest = plain, augmented, digest

    def __len__(self) -> int:
        return len(self._plain)

    @property
    def width(self) -> int:
        """F."""
        return int(self._plain.shape[1])

    def draw(self, count: int, generator: torch.Generator, *, strong: bool) -> Tensor | None:
        """The number of a look for each image, (count,); always the plain one for a teacher.

        All looks are as likely. Without the plain one, training on renders alone loses 2 points.
        """
        looks = 1 + self._augmented.shape[1]
        return torch.randint(looks, (count,), generator=generator) if strong and looks > 1 else None

    def fetch(self, index: Tensor, drawn: Tensor | None = None) -> Tensor:
        """(B, F) float32."""
        rows = index.numpy()
        features = self._plain[rows]
        if drawn is not None:
            looks = drawn.numpy()
            others = looks > 0
            features[others] = self._augmented[rows[others], looks[others] - 1]
        return torch.from_numpy(features).float()  # NumPy takes ten times as long for this

    def moments(self, rows: NDArray[np.integer] | None = None) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of the plain looks, (F,) each.

        Args:
            rows: (n,) the images that count; all if not given.
        """
        count, total, squares = len(self) if rows is None else len(rows), 0.0, 0.0
        for start in range(0, count, 4096):
            span = slice(start, start + 4096)
            part = self._plain[span if rows is None else rows[span]].astype(np.float64)
            total, squares = total + part.sum(0), squares + (part**2).sum(0)
        mean = total / count
        deviation = np.sqrt(np.maximum(squares / count - mean**2, 0.0))
        return torch.from_numpy(np.float32(mean)), torch.from_numpy(np.float32(deviation))


class AsTheyAre:
    """The preparation of features: there is nothing left to do, as augmentation and scale are in them."""

    def training(self, images: Tensor, generator: torch.Generator, for_strong: torch.Generator | None = None) -> Tensor:
        """(B, F) -> the same."""
        return images

    def plain(self, images: Tensor) -> Tensor:
        """(B, F) -> the same."""
        return images
