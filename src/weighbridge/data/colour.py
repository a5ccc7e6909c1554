"""Changes of colour by an amount of its own for every image of a batch.

torchvision's functions of the same names, `torchvision.transforms.functional.adjust_*`, take one amount for all.
Pixels are (B, C, H, W) in [0, 1] with C = 1 or 3; amounts are (B, 1, 1, 1).
"""

__all__ = ["adjust_brightness", "adjust_contrast", "adjust_hue", "adjust_saturation"]

import torch
from torch import Tensor
from torchvision.transforms.v2.functional import rgb_to_grayscale


def adjust_brightness(pixels: Tensor, factor: Tensor) -> Tensor:
    """0: black. 1: as it is."""
    return (pixels * factor).clamp_(0.0, 1.0)


def adjust_contrast(pixels: Tensor, factor: Tensor) -> Tensor:
    """0: the mean grey of the image all over. 1: as it is."""
    return torch.lerp(_grey(pixels).mean(dim=(1, 2, 3), keepdim=True), pixels, factor).clamp_(0.0, 1.0)


def adjust_saturation(pixels: Tensor, factor: Tensor) -> Tensor:
    """0: grey. 1: as it is, and so are grey images."""
    return torch.lerp(_grey(pixels), pixels, factor).clamp_(0.0, 1.0) if pixels.shape[1] == 3 else pixels


def adjust_hue(pixels: Tensor, turn: Tensor) -> Tensor:
    """Each colour moved along the circle of hues, its value and saturation (HSV) as they are; grey images stay.

    Args:
        turn: share of the circle, in [-0.5, 0.5].
    """
    if pixels.shape[1] != 3:
        return pixels
    red, green, blue = torch.split(pixels, 1, dim=1)  # (B, 1, H, W) each
    value = pixels.amax(1, keepdim=True)
    chroma = value - pixels.amin(1, keepdim=True)
    step = torch.where(chroma > 0, chroma, 1.0)
    hue = torch.where(value == green, 2.0 + (blue - red) / step, 4.0 + (red - green) / step)
    hue = torch.where(value == red, (green - blue) / step, hue)  # in sixths of the circle, (B, 1, H, W)
    sixths = torch.tensor([5.0, 3.0, 1.0], device=pixels.device).view(1, 3, 1, 1)  # of red, green and blue
    place = (hue + 6.0 * turn + sixths) % 6.0  # (B, 3, H, W)
    return value - chroma * torch.minimum(place, 4.0 - place).clamp_(0.0, 1.0)


def _grey(pixels: Tensor) -> Tensor:
    """(B, 1, H, W)."""
    if pixels.shape[1] != 3:
        return pixels
    grey: Tensor = rgb_to_grayscale(pixels)
    return grey
