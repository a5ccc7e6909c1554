"""One image to the square of bytes that training wants, as fast as the machine can.

Pillow reads whatever comes. The common JPEG, which a scan has already found to be sound, goes straight to the library
that Pillow uses too, and all resizing goes through torch: together more than twice as fast (benchmarks/data.py).
"""

__all__ = ["Fit", "decode_image", "fit_square"]

from pathlib import Path
from typing import Literal

import numpy as np
import simplejpeg
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from weighbridge.data.decode import decode_upright
from weighbridge.data.index import Stored
from weighbridge.types import Interpolation

Fit = Literal["crop", "stretch", "pad"]
Pixels = NDArray[np.uint8]


def decode_image(
    source: Path | bytes | Stored,
    *,
    size: int,
    channels: Literal[1, 3],
    fit: Fit,
    interpolation: Interpolation = "bicubic",
    name: str = "",
) -> Pixels:
    """Read, flatten and turn upright as `decode.decode_upright` does, and make square.

    Args:
        source: a file, what stands in one, or an image that an index describes.
        size: side of the square result in pixels.
        channels: 1 for grey, 3 for RGB.
        fit, interpolation: see `fit_square`.
        name: what errors call bytes.

    Returns:
        (size, size, channels) uint8.

    Raises:
        Unusable: if the file is damaged, is no image, or claims too many pixels.
    """
    pixels = None
    if isinstance(source, Stored):
        name = source.name
        common = source.format == "JPEG" and source.mode == ("RGB" if channels == 3 else "L")
        # A much larger JPEG is decoded at a fraction of its size, which only Pillow does.
        if common and min(source.width, source.height) < 4 * size:
            pixels = _quickly(source, channels)
        source = source.content
    if pixels is None:
        least = 2 * size if fit != "pad" else None
        upright = decode_upright(source, channels=channels, least=least, name=name)  # (H, W, C)
        pixels = torch.from_numpy(upright).permute(2, 0, 1)
    return fit_square(pixels, size, fit, interpolation)


def fit_square(pixels: Tensor, size: int, fit: Fit, interpolation: Interpolation = "bicubic") -> Pixels:
    """Make an image square.

    Args:
        pixels: (C, H, W) uint8.
        fit: `crop`: the square in the middle, as large as it can be; `stretch`: both sides to `size`; `pad`: the
            longer side to `size`, the rest filled with the mean colour of the image's border.
        interpolation: of the pixels, with antialiasing.

    Returns:
        (size, size, C) uint8.
    """
    height, width = pixels.shape[1:]
    if fit == "crop" and height != width:
        side = min(height, width)
        top, left = (height - side) // 2, (width - side) // 2
        pixels = pixels[:, top : top + side, left : left + side]
    if fit == "pad" and height != width:
        return _padded(pixels, size, interpolation)
    return _resized(pixels, size, size, interpolation).permute(1, 2, 0).contiguous().numpy()


def _padded(pixels: Tensor, size: int, interpolation: Interpolation) -> Pixels:
    border = torch.cat([pixels[:, 0], pixels[:, -1], pixels[:, :, 0], pixels[:, :, -1]], dim=1)  # (C, n)
    colour = border.float().mean(dim=1).round().to(torch.uint8)
    height, width = (max(1, round(length * size / max(pixels.shape[1:]))) for length in pixels.shape[1:])
    square = colour.repeat(size, size, 1)  # (size, size, C)
    top, left = (size - height) // 2, (size - width) // 2
    resized = _resized(pixels, height, width, interpolation)
    square[top : top + height, left : left + width] = resized.permute(1, 2, 0)
    return square.numpy()


def _resized(pixels: Tensor, height: int, width: int, interpolation: Interpolation) -> Tensor:
    """(C, H, W) uint8 -> (C, height, width) uint8, with antialiasing."""
    if pixels.shape[1:] == (height, width):
        return pixels
    return functional.interpolate(pixels[None], (height, width), mode=interpolation, antialias=True)[0]


def _quickly(stored: Stored, channels: Literal[1, 3]) -> Tensor | None:
    """A common JPEG by libjpeg-turbo, (C, H, W) uint8; None if it will not, so that Pillow can say why."""
    content = stored.content
    try:
        data = content.read_bytes() if isinstance(content, Path) else content
        pixels = simplejpeg.decode_jpeg(data, colorspace="GRAY" if channels == 1 else "RGB")  # (H, W, C)
    except (ValueError, OSError):
        return None
    return _turned(torch.from_numpy(pixels).permute(2, 0, 1), stored.orientation)


def _turned(pixels: Tensor, orientation: int) -> Tensor:
    """As the EXIF orientation says, 1 to 8."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.transpose(1, 2)
    across = orientation in (2, 3, 6, 7)
    down = orientation in (3, 4, 7, 8)
    return pixels.flip([axis for axis, turned in ((1, down), (2, across)) if turned])
