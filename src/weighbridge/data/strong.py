"""What makes a photo hard to read, for the view that a student learns from.

Sohn et al., "FixMatch: Simplifying Semi-Supervised Learning with Consistency and Confidence", NeurIPS 2020: the label
of a plain view of an image is learned on a strongly augmented one. Their operations come from a general collection;
these four are what keeps a camera from seeing signs, characters and things: poor focus, uneven light, noise, something
in front.
"""

__all__ = ["StrongAugmentation", "root_mean_square"]

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

_BLUR, _NOISE, _LIGHT, _HOLE = 0.05, 0.5, math.log(2.0), 0.5  # at magnitude 1


@dataclass(frozen=True)
class StrongAugmentation:
    """Each image blurred, lit unevenly, made noisy and covered in part; how much is drawn anew for each of the four.

    Args:
        magnitude: in [0, 1], the edge of what is drawn. At 1: a blur of deviation 5 % of the side, pixel values that
            double from the middle to one edge and halve to the other, noise of half the image's own deviation, a
            square of half the side, anywhere, that is the image's mean colour. All four are as often weak as strong.
    """

    magnitude: float

    def __call__(self, pixels: Tensor, generator: torch.Generator) -> Tensor:
        """(B, C, H, W) in [0, 1] -> the same; draws come from a CPU generator, so every device sees the same ones."""
        draws = torch.rand(7, len(pixels), 1, 1, 1, generator=generator).to(pixels)
        blur, angle, light, noise, side, row, column = draws  # (B, 1, 1, 1) each
        white = torch.randn(pixels.shape, generator=generator).to(pixels.device)
        largest = self.magnitude * _BLUR * pixels.shape[-1]
        pixels = _blurred(pixels, blur * largest, reach=max(math.ceil(3 * largest), 1))
        y, x = _axes(pixels)
        slope = torch.cos(2 * math.pi * angle) * x + torch.sin(2 * math.pi * angle) * y  # (B, 1, H, W)
        pixels = pixels * torch.exp(slope * light * self.magnitude * _LIGHT)
        colour = pixels.mean(dim=(2, 3), keepdim=True)  # (B, C, 1, 1)
        deviation = root_mean_square(pixels - colour.mean(dim=1, keepdim=True))  # (B, 1, 1, 1)
        pixels = pixels + white * (noise * self.magnitude * _NOISE * deviation)
        half = side * self.magnitude * _HOLE  # of the square, where the image reaches from -1 to 1
        covered = ((y - 2 * row + 1).abs() < half) & ((x - 2 * column + 1).abs() < half)  # (B, 1, H, W)
        return torch.where(covered, colour, pixels).clamp_(0.0, 1.0)


def root_mean_square(pixels: Tensor) -> Tensor:
    """Of every image, (B, C, H, W) -> (B, 1, 1, 1). Of centred pixels it is their deviation, much sooner than `std`."""
    norm: Tensor = torch.linalg.vector_norm(pixels, dim=(1, 2, 3), keepdim=True)
    return norm / math.sqrt(math.prod(pixels.shape[1:]))


def _axes(pixels: Tensor) -> tuple[Tensor, Tensor]:
    """Height and width from -1 to 1, (H, 1) and (W,)."""
    height, width = pixels.shape[-2:]
    return (
        torch.linspace(-1, 1, height, device=pixels.device)[:, None],
        torch.linspace(-1, 1, width, device=pixels.device),
    )


def _blurred(pixels: Tensor, deviation: Tensor, *, reach: int) -> Tensor:
    """(B, C, H, W) under a Gaussian of its own for every image.

    Args:
        deviation: in pixels, (B, 1, 1, 1).
        reach: pixels to either side of which the Gaussian is made, the same for every batch.
    """
    count, channels, height, width = pixels.shape
    offsets = torch.arange(-reach, reach + 1, device=pixels.device)  # (R,)
    kernel = torch.exp(-0.5 * (offsets / deviation.view(-1, 1).clamp_min(1e-3)) ** 2)  # (B, R)
    kernel = (kernel / kernel.sum(1, keepdim=True)).repeat_interleave(channels, 0)[:, None]  # (B * C, 1, R)
    planes = pixels.reshape(1, count * channels, height, width)
    planes = functional.pad(planes, (reach, reach, reach, reach), mode="replicate")
    planes = functional.conv2d(planes, kernel[..., None], groups=count * channels)
    planes = functional.conv2d(planes, kernel[..., None, :], groups=count * channels)
    return planes.view(count, channels, height, width)
