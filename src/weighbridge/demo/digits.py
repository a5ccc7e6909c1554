"""The data of `weighbridge demo`: printed digits as renders, scanned handwriting as photos. Nothing is downloaded.

The fonts are those that matplotlib brings along, the scans are the 1,797 handwritten digits of scikit-learn. Both are
bright ink on black, which is how the scans are stored and how anybody would draw renders for them; beyond that the
renders look like print and are not fitted to the handwriting.
"""

__all__ = ["DemoData", "Quality", "handwritten_digits", "printed_digits", "write_demo_data"]

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import matplotlib
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from weighbridge.files import whole_folder

Quality = Literal["realtime", "prerendered"]
Pixels = NDArray[np.uint8]
Labels = NDArray[np.int64]

_FAMILIES = ("DejaVuSans", "DejaVuSerif", "STIXGeneral", "cmr10", "cmb10", "cmss10", "cmtt10")
_NO_DIGITS = ("Display", "NonUni")  # files of these families without plain digits
_CANVAS = 64  # digits are drawn large and then shrunk
_ADAPTATION_SHARE = 2 / 3


@dataclass(frozen=True)
class DemoData:
    """Where the demo's images lie."""

    realtime: Path
    prerendered: Path
    handwritten: Path
    handwritten_labelled: Path


def printed_digits(per_class: int, *, quality: Quality, size: int, seed: int) -> tuple[Pixels, Labels]:
    """Digits drawn from fonts.

    The same seed gives the same scenes (font, size, place, slant, stroke) in both qualities: `realtime` is the bare
    drawing; `prerendered` adds what a better renderer would: soft focus, uneven light, worn ink, sensor noise.

    Returns:
        (10 * per_class, size, size) uint8, and their digits.
    """
    fonts = _font_files()
    images, labels = [], []
    for digit in range(10):
        for number in range(per_class):
            scene = _draw(digit, fonts, np.random.default_rng((seed, digit, number)))
            if quality == "prerendered":
                scene = _photograph(scene, np.random.default_rng((seed, digit, number, 1)))
            images.append(np.asarray(scene.resize((size, size), Image.Resampling.BOX)))
            labels.append(digit)
    return np.stack(images), np.array(labels, dtype=np.int64)


def handwritten_digits(part: Literal["adaptation", "evaluation"], *, size: int) -> tuple[Pixels, Labels]:
    """Two thirds of the scans to adapt to, or the other third to evaluate on; always the same split.

    Returns:
        (N, size, size) uint8 enlarged from 8 x 8, and their digits.
    """
    scans = load_digits()
    rows = train_test_split(
        np.arange(len(scans.target)), train_size=_ADAPTATION_SHARE, stratify=scans.target, random_state=0
    )[0 if part == "adaptation" else 1]
    images = [Image.fromarray((scans.images[row] * (255 / 16)).astype(np.uint8)) for row in rows]
    enlarged = [np.asarray(image.resize((size, size), Image.Resampling.BICUBIC)) for image in images]
    return np.stack(enlarged), scans.target[rows].astype(np.int64)


def write_demo_data(folder: Path, *, per_class: int, size: int, seed: int) -> DemoData:
    """Write both qualities, the unlabelled scans and the labelled evaluation scans as PNG, all of it or nothing.

    A folder that is there already is left as it is.
    """
    data = DemoData(
        *(folder / "realtime", folder / "prerendered"), *(folder / "handwritten", folder / "handwritten-labelled")
    )
    if folder.is_dir():
        return data
    with whole_folder(folder) as part:
        for quality in ("realtime", "prerendered"):
            _write_classes(part / quality, *printed_digits(per_class, quality=quality, size=size, seed=seed))
        _write_classes(part / "handwritten-labelled", *handwritten_digits("evaluation", size=size))
        photos, _ = handwritten_digits("adaptation", size=size)
        (part / "handwritten").mkdir()
        for number, pixels in enumerate(photos):
            Image.fromarray(pixels).save(part / "handwritten" / f"{number:04}.png")
    return data


def _font_files() -> list[Path]:
    fonts = sorted(Path(matplotlib.get_data_path(), "fonts", "ttf").glob("*.ttf"))
    return [f for f in fonts if f.stem.startswith(_FAMILIES) and not any(word in f.stem for word in _NO_DIGITS)]


def _draw(digit: int, fonts: list[Path], random: np.random.Generator) -> Image.Image:
    """One digit, large, somewhere near the middle."""
    font = ImageFont.truetype(
        fonts[random.integers(len(fonts))], int(random.integers(60, 82))
    )  # fills the frame as the scans do
    canvas = Image.new("L", (_CANVAS, _CANVAS), 0)
    pen = ImageDraw.Draw(canvas)
    left, top, right, bottom = pen.textbbox((0, 0), str(digit), font=font)
    x = (_CANVAS - (right - left)) / 2 - left + random.uniform(-3, 3)
    y = (_CANVAS - (bottom - top)) / 2 - top + random.uniform(-3, 3)
    pen.text((x, y), str(digit), fill=255, font=font, stroke_width=int(random.integers(0, 3)))
    slant, middle = random.uniform(-0.2, 0.2), _CANVAS / 2
    sheared = canvas.transform(
        canvas.size, Image.Transform.AFFINE, (1, slant, -slant * middle, 0, 1, 0), Image.Resampling.BILINEAR
    )
    return sheared.rotate(random.uniform(-8, 8), Image.Resampling.BILINEAR)


def _photograph(scene: Image.Image, random: np.random.Generator) -> Image.Image:
    """Soft focus, worn ink, uneven light, a lit background and sensor noise."""
    soft = scene.filter(ImageFilter.GaussianBlur(random.uniform(0.5, 3.0)))
    pixels = np.asarray(soft, dtype=np.float32) / 255
    coarse = Image.fromarray((random.random((8, 8)) * 255).astype(np.uint8)).resize(soft.size, Image.Resampling.BICUBIC)
    wear = np.asarray(coarse, dtype=np.float32) / 255
    pixels *= 1 - random.uniform(0.0, 0.5) * wear
    across, down = np.meshgrid(np.linspace(-1, 1, _CANVAS), np.linspace(-1, 1, _CANVAS))
    angle = random.uniform(0, 2 * np.pi)
    light = 1 + random.uniform(0, 0.3) * (np.cos(angle) * across + np.sin(angle) * down)
    pixels = (random.uniform(0, 0.15) + pixels * random.uniform(0.7, 1.0)) * light
    pixels += random.normal(0, random.uniform(0.02, 0.15), pixels.shape)
    return Image.fromarray((pixels.clip(0, 1) * 255).astype(np.uint8))


def _write_classes(folder: Path, images: Pixels, labels: Labels) -> None:
    for digit in range(10):
        (folder / str(digit)).mkdir(parents=True)
        for number, pixels in enumerate(images[labels == digit]):
            Image.fromarray(pixels).save(folder / str(digit) / f"{number:04}.png")
