"""One image file to uint8 pixels, whatever it is called and however its pixels are stored."""

__all__ = ["IMAGE_SUFFIXES", "PIXEL_LIMIT", "Fit", "decode_image", "fit_square", "looks_like_image"]

import warnings
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from weighbridge.errors import DataError

Fit = Literal["crop", "stretch", "pad"]
Pixels = NDArray[np.uint8]

PIXEL_LIMIT = 120_000_000  # read from the header: a small file can claim more pixels than there is memory
IMAGE_SUFFIXES = frozenset(
    {
        ".avif",
        ".bmp",
        ".gif",
        ".jfif",
        ".jpe",
        ".jpeg",
        ".jpg",
        ".pgm",
        ".png",
        ".pnm",
        ".ppm",
        ".tga",
        ".tif",
        ".tiff",
        ".webp",
    }
)

_PAPER = (255, 255, 255)  # what shows through transparency, as in a browser


def looks_like_image(path: Path) -> bool:
    """Whether Pillow knows this file by its content; its name is not asked."""
    try:
        with _quiet(), Image.open(path):
            return True
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return False


def decode_image(path: Path, *, size: int, channels: Literal[1, 3], fit: Fit) -> Pixels:
    """Read, turn upright, flatten, make square.

    EXIF orientation is applied; transparency is laid over white; palettes, CMYK and 1-bit images are converted; 16-bit
    grey becomes 8-bit by value / 257, float grey by value * 255 if all of it lies in [0, 1] and as it is otherwise;
    of an animation the first frame counts.

    Args:
        size: side of the square result in pixels.
        channels: 1 for grey, 3 for RGB.
        fit: see `fit_square`.

    Returns:
        (size, size, channels) uint8.

    Raises:
        DataError: if the file is damaged, is no image, or claims more than `PIXEL_LIMIT` pixels.
    """
    try:
        with _quiet(), Image.open(path) as image:
            if image.width * image.height > PIXEL_LIMIT:
                raise DataError(
                    f"'{path}' claims {image.width} x {image.height} pixels, more than the limit of {PIXEL_LIMIT:,}. "
                    f"Make it smaller or remove it"
                )
            if fit != "pad":
                image.draft(None, (2 * size, 2 * size))  # a JPEG can be decoded at a fraction of its size
            upright = ImageOps.exif_transpose(image)
            return fit_square(_flatten(upright, channels), size, fit)
    except DataError:
        raise
    except Exception as error:  # Pillow's decoders raise whatever their formats provoke
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(f"'{path}' cannot be read as an image ({reason}). Replace it or remove it") from error


def fit_square(image: Image.Image, size: int, fit: Fit) -> Pixels:
    """Make an L or RGB image square.

    Args:
        fit: `crop`: the shorter side to `size`, then the middle; `stretch`: both sides to `size`; `pad`: the longer
            side to `size`, the rest filled with the mean colour of the image's border.

    Returns:
        (size, size, C) uint8.
    """
    if image.size != (size, size):
        if fit == "crop":
            image = ImageOps.fit(image, (size, size), Image.Resampling.BICUBIC)
        elif fit == "stretch":
            image = image.resize((size, size), Image.Resampling.BICUBIC)
        else:
            colour = _border_colour(image)
            image = ImageOps.pad(image, (size, size), Image.Resampling.BICUBIC, color=colour)
    pixels = np.asarray(image, dtype=np.uint8)
    return pixels.reshape(size, size, -1)


def _flatten(image: Image.Image, channels: Literal[1, 3]) -> Image.Image:
    """Any mode to L or RGB."""
    mode = "L" if channels == 1 else "RGB"
    if image.mode.startswith("I"):
        return Image.fromarray(_eight_bit(np.asarray(image))).convert(mode)
    if image.mode == "F":
        values = np.nan_to_num(np.asarray(image, dtype=np.float32))
        scale = 255.0 if values.size and values.min() >= 0.0 and values.max() <= 1.0 else 1.0
        return Image.fromarray((values * scale).round().clip(0, 255).astype(np.uint8)).convert(mode)
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        paper = Image.new("RGBA", rgba.size, (*_PAPER, 255))
        return Image.alpha_composite(paper, rgba).convert(mode)
    return image.convert(mode)


def _eight_bit(values: NDArray[np.generic]) -> Pixels:
    """16-bit grey to 8-bit. Pillow's own conversion cuts everything above 255."""
    wide = values.astype(np.int64).clip(0, 65_535)
    return ((wide + 128) // 257).astype(np.uint8)


def _border_colour(image: Image.Image) -> int | tuple[int, ...]:
    pixels = np.asarray(image).reshape(image.height, image.width, -1)
    border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    mean = tuple(round(value) for value in border.mean(axis=0))
    return mean if len(mean) > 1 else mean[0]


def _quiet() -> AbstractContextManager[object]:
    """Pillow's warnings about palettes, truncated tags and large images are answered here, not passed on."""
    return warnings.catch_warnings(action="ignore")
