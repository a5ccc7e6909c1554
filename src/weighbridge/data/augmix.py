"""AugMix: each image mixed with what chains of simple operations make of it.

Hendrycks, Mu, Cubuk, Zoph, Gilmer, Lakshminarayanan, "AugMix: A Simple Data Processing Method to Improve Robustness and
Uncertainty", ICLR 2020. Their loss between views is no part of this. Operations, their ranges and the mixing are those
of the authors' code (google-research/augmix, augmentations.py and cifar.py), but amounts are not rounded to whole
degrees and pixels, and start at 0 in place of a hundredth of the range.
"""

__all__ = ["AugMix"]

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional
from torchvision.transforms.v2 import functional as torchvision_functional

_CHAINS, _DEPTH = 3, 3  # k chains of one to three operations: the authors' width and greatest depth
_MOVES = ("rotate", "shear-x", "shear-y", "shift-x", "shift-y")
_OPERATIONS = ("autocontrast", "equalize", "posterize", "solarize", *_MOVES)
_DEGREES, _SHEAR, _SHIFT, _BITS = 30.0, 0.3, 1 / 3, 4  # at magnitude 1


@dataclass(frozen=True)
class AugMix:
    """m x + (1 - m) (w_1 chain_1(x) + w_2 chain_2(x) + w_3 chain_3(x)); m and w are drawn for every image.

    m is uniform in [0, 1], which is Beta(1, 1), and w is Dirichlet(1, 1, 1). A chain is one, two or three of nine
    operations: autocontrast, equalize, posterize, solarize, rotate, and shear and shift in both directions.

    Args:
        magnitude: in [0, 1], the edge of what is drawn; a tenth of the authors' severity, which is 3. At 1: rotation of
            30 degrees, shear of 0.3, shift of a third of the side, one bit left, and negatives of all pixels.
    """

    magnitude: float

    def __call__(self, pixels: Tensor, generator: torch.Generator) -> Tensor:
        """(B, C, H, W) in [0, 1] -> the same; draws come from a CPU generator, so every device sees the same ones."""
        count = len(pixels)
        own = torch.rand(count, generator=generator)  # (B,)
        shares = -torch.log1p(-torch.rand(_CHAINS, count, generator=generator)) + 1e-12  # exponential
        shares = (1.0 - own) * shares / shares.sum(dim=0)  # (chains, B)
        depth = torch.randint(1, _DEPTH + 1, (_CHAINS * count,), generator=generator)
        operation = torch.randint(len(_OPERATIONS), (_DEPTH, _CHAINS * count), generator=generator)
        amount = torch.rand(_DEPTH, _CHAINS * count, generator=generator) * self.magnitude
        sign = torch.where(torch.rand(_DEPTH, _CHAINS * count, generator=generator) < 0.5, -1.0, 1.0)

        chains = pixels.repeat(_CHAINS, 1, 1, 1)  # (chains * B, C, H, W)
        for place in range(_DEPTH):
            for kind, apply in _KINDS.items():
                rows = ((depth > place) & _is(kind, operation[place])).nonzero().squeeze(1)
                if len(rows):
                    there = rows.to(pixels.device)
                    drawn = (operation[place, rows], amount[place, rows], sign[place, rows])
                    chains[there] = apply(chains[there], *drawn)
        mixed = pixels * own.to(pixels).view(-1, 1, 1, 1)
        for chain, share in zip(torch.split(chains, count), shares.to(pixels), strict=True):
            mixed = mixed.addcmul_(chain, share.view(-1, 1, 1, 1))
        return mixed.clamp_(0.0, 1.0)


def _is(kind: str, operation: Tensor) -> Tensor:
    """Which of the drawn operations are of a kind; one kind does all that moves pixels."""
    moves = len(_OPERATIONS) - len(_MOVES)
    return operation >= moves if kind == "move" else operation == _OPERATIONS.index(kind)


def _autocontrast(pixels: Tensor, operation: Tensor, amount: Tensor, sign: Tensor) -> Tensor:
    """Each channel stretched to the whole range."""
    stretched: Tensor = torchvision_functional.autocontrast(pixels)
    return stretched


def _equalize(pixels: Tensor, operation: Tensor, amount: Tensor, sign: Tensor) -> Tensor:
    """Each channel with as many dark as bright pixels."""
    levelled: Tensor = torchvision_functional.equalize(pixels)
    return levelled


def _posterize(pixels: Tensor, operation: Tensor, amount: Tensor, sign: Tensor) -> Tensor:
    """The first bits of each pixel, four less the amount in whole bits."""
    levels = (2.0 ** (_BITS - (amount * _BITS).floor())).to(pixels).view(-1, 1, 1, 1)
    return torch.minimum((pixels * levels).floor(), levels - 1) / levels


def _solarize(pixels: Tensor, operation: Tensor, amount: Tensor, sign: Tensor) -> Tensor:
    """Pixels above a threshold turned into their negative."""
    return torch.where(pixels >= (1.0 - amount).to(pixels).view(-1, 1, 1, 1), 1.0 - pixels, pixels)


def _move(pixels: Tensor, operation: Tensor, amount: Tensor, sign: Tensor) -> Tensor:
    """Turned, sheared or shifted, bilinear, with black where there was nothing."""

    def edge(name: str, largest: float) -> Tensor:
        return torch.where(operation == _OPERATIONS.index(name), amount * sign * largest, 0.0)

    angle = edge("rotate", math.radians(_DEGREES))
    cos, sin = torch.cos(angle), torch.sin(angle)
    rows = [
        torch.stack([cos, -sin + edge("shear-x", _SHEAR), edge("shift-x", 2 * _SHIFT)], dim=1),
        torch.stack([sin + edge("shear-y", _SHEAR), cos, edge("shift-y", 2 * _SHIFT)], dim=1),
    ]
    theta = torch.stack(rows, dim=1).to(pixels)  # (B, 2, 3): where each output pixel is fetched from
    grid = functional.affine_grid(theta, list(pixels.shape), align_corners=False)
    return functional.grid_sample(pixels, grid, align_corners=False)


_KINDS = {
    "autocontrast": _autocontrast,
    "equalize": _equalize,
    "posterize": _posterize,
    "solarize": _solarize,
    "move": _move,
}
