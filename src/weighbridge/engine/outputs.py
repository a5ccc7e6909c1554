"""What a network says of many images, kept on disk: logits, and features that are short enough to be compared."""

__all__ = ["Outputs", "outputs_of", "second_look", "shortened"]

import functools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from weighbridge.data.columns import Column
from weighbridge.data.images import Images
from weighbridge.data.transforms import Preparation
from weighbridge.data.vectors import AsTheyAre
from weighbridge.engine.evaluate import prepared_batches
from weighbridge.parts.networks import Network, evaluating
from weighbridge.watch import Progress

_LONGEST = 256  # features that are kept of an image
_AT_ONCE = 4096  # images that are read back together
_LOOKED_AT = 256  # images of a forward pass


@dataclass(frozen=True)
class Outputs:
    """Of N images, on disk as N may be large.

    Attributes:
        width: K and F, what an image has of each.
    """

    logit_column: Column
    feature_column: Column
    width: tuple[int, int]

    def __len__(self) -> int:
        return len(self.logit_column) // self.width[0]

    @property
    def logits(self) -> NDArray[np.float32]:
        """(N, K), mapped into memory while somebody holds them."""
        return self.logit_column.whole().reshape(-1, self.width[0])

    @property
    def features(self) -> NDArray[np.float32]:
        """(N, F), mapped into memory while somebody holds them."""
        return self.feature_column.whole().reshape(-1, self.width[1])

    def batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Rows (batch,) and their logits (batch, K), in order."""
        logits = self.logits
        for start in range(0, len(logits), _AT_ONCE):
            part = torch.from_numpy(np.array(logits[start : start + _AT_ONCE]))
            yield torch.arange(start, start + len(part)), part


def outputs_of(
    network: Network, images: Images, preparation: Preparation | AsTheyAre, progress: Progress | None = None
) -> Outputs:
    """Look at every image in order, in evaluation mode, without augmentation; at least one image.

    Args:
        progress: called with (images done, images in all).
    """
    columns: tuple[Column, Column] | None = None
    width = (0, 0)
    with evaluating(network):
        for rows, prepared in prepared_batches(network, images, preparation):
            with torch.no_grad():
                inner = network.features(prepared)
                logits = network.label_head(inner).float().cpu()  # (batch, K)
            features = shortened(inner.float().flatten(1)).cpu()  # (batch, F)
            if columns is None:
                width = (logits.shape[1], features.shape[1])
                columns = tuple(Column.filled(len(images) * each, 0.0, np.float32) for each in width)  # type: ignore[assignment]
            assert columns is not None
            first, last = int(rows[0]), int(rows[-1]) + 1
            for column, each, values in zip(columns, width, (logits, features), strict=True):
                column[slice(first * each, last * each)] = values.flatten()
            if progress:
                progress(last, len(images))
    assert columns is not None
    return Outputs(*columns, width)


def second_look(
    network: Network, images: Images, preparation: Preparation | AsTheyAre, rows: NDArray[np.int64]
) -> NDArray[np.int64]:
    """What the network takes images for once they are augmented as in training, (n,); the same at each call.

    Args:
        rows: (n,) of these images.
    """
    mild, strong = (torch.Generator().manual_seed(seed) for seed in (0, 1))
    device, told = next(network.parameters()).device, []
    with evaluating(network), torch.no_grad():
        for start in range(0, len(rows), _LOOKED_AT):
            index = torch.from_numpy(rows[start : start + _LOOKED_AT])
            drawn = images.draw(len(index), mild, strong=True)
            prepared = preparation.training(images.fetch(index, drawn).to(device), mild, strong)
            told.append(network(prepared).argmax(dim=1).cpu().numpy())
    return np.concatenate(told)


def shortened(features: Tensor) -> Tensor:
    """(N, F) -> (N, 256 at most), by a fixed random projection that keeps distances (Johnson, Lindenstrauss 1984)."""
    width = features.shape[1]
    return features if width <= _LONGEST else features @ _projection(width).to(features.device)


@functools.lru_cache(maxsize=1)
def _projection(width: int) -> Tensor:
    """(F, 256), the same for every network of this width."""
    drawn = np.random.default_rng(0).standard_normal((width, _LONGEST), dtype=np.float32)
    return torch.from_numpy(drawn) / float(np.sqrt(_LONGEST))
