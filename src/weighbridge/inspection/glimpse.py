"""A short look at a domain: as much as settings can be chosen by, in seconds, whatever its size.

Of classes and numbers it knows all. Sizes, colour and tones are measured on a sample, which is chosen by file names and
contents alone: folders of a target, which may be its classes, have no part in it.
"""

__all__ = ["Content", "Glimpse", "glimpse", "open_content"]

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from weighbridge.data.array_rows import ArrayRows
from weighbridge.data.decode import Unusable
from weighbridge.data.index import Index, scan
from weighbridge.data.layouts import kind_of
from weighbridge.inspection.looks import LUMA, pixels_of
from weighbridge.watch import Progress

Content = Index | ArrayRows
Brightness = NDArray[np.float64]

_THUMBNAILS = 2000  # images of a domain whose size and thumbnail are read
_DECODED = 150  # images of a domain that are decoded, at most
_PIXELS = 2e8  # in all of them, so that photos of 12 megapixels take no minute
_FEWEST = 12
_SIDE = 64  # pixels of the shorter side that tones and details are measured at
_FLAT = 4.0  # levels of brightness: an image that varies less shows nothing
_CLEAR = 0.7  # share of a border that has one tone: the image has that background


@dataclass(frozen=True)
class Glimpse:
    """What a short look finds.

    Attributes:
        name: of the domain.
        images: that can be used.
        classes: images of each class; empty for a domain that is looked at without labels.
        sources: images of each source.
        width, height: (n,) in pixels, of a sample.
        grey: share of images without colour.
        two_tone: median share of an image's variance of brightness that lies between its two tones (Otsu, IEEE Trans.
            SMC 9, 1979); 0.97 for print, 0.75 for a ramp of all tones.
        light_on_dark: share of images with a dark border and a light middle, of those with a border of one tone; None
            where too few have one.
        cut: mean share of details (steps of brightness) that lies outside the square in the middle.
        told, told_mirrored: share of images that the nearest mean thumbnail of a class gets right, and of the same
            images mirrored; None for a domain without classes.
    """

    name: str
    images: int
    classes: dict[str, int]
    sources: tuple[int, ...]
    width: NDArray[np.int64]
    height: NDArray[np.int64]
    grey: float
    two_tone: float
    light_on_dark: float | None
    cut: float
    told: float | None
    told_mirrored: float | None

    @property
    def median_size(self) -> tuple[int, int]:
        """(width, height) in pixels."""
        return int(np.median(self.width)), int(np.median(self.height))

    @property
    def short_side(self) -> int:
        """The median of the shorter sides, in pixels."""
        return int(np.median(np.minimum(self.width, self.height)))

    @property
    def aspect(self) -> float:
        """The median of width / height."""
        return float(np.median(self.width / self.height))


def open_content(path: Path, home: Path | None = None, progress: Progress | None = None) -> Content:
    """The index of what lies at a path, brought up to date, or the rows of an .npz."""
    return ArrayRows(path) if kind_of(path) == "npz" else scan(path, home=home, progress=progress)


def glimpse(contents: Sequence[Content], name: str, *, labelled: bool, seed: int = 0) -> Glimpse | None:
    """Look shortly at a domain.

    Args:
        contents: of each of its sources.
        labelled: whether its labels may be read. Of a domain without labels that has splits, only the images of `train`
            are looked at, as in training.
        seed: fixes the sample.

    Returns:
        None if there is no image, or no class where there should be classes.
    """
    places = [_places(content, labelled) for content in contents]  # (n,) each
    classes: dict[str, int] = {}
    for k, content in enumerate(contents) if labelled else ():
        labels, words = content.column("label")
        places[k] = places[k][np.array([word != "" for word in words])[labels[places[k]]]]
        counted = np.bincount(labels[places[k]], minlength=len(words)).tolist()
        for word, count in zip(words, counted, strict=True):
            if word:
                classes[word] = classes.get(word, 0) + count
    total = sum(map(len, places))
    if not total or (labelled and not classes):
        return None
    random = np.random.default_rng(seed)
    sample = [
        (content, random.permutation(own)[: max(1, _THUMBNAILS * len(own) // total)])
        for content, own in zip(contents, places, strict=True)
        if len(own)
    ]
    sizes, thumbnails = _columns(sample)
    tones = _tones(sample, float(np.median(sizes.prod(axis=1))))
    told = _told(sample, thumbnails, classes) if labelled else (None, None)
    return Glimpse(
        name=name,
        images=total,
        classes=classes,
        sources=tuple(map(len, places)),
        width=sizes[:, 0],
        height=sizes[:, 1],
        grey=float((np.ptp(thumbnails, axis=2).max(axis=1) <= 2).mean()),
        two_tone=tones[0],
        light_on_dark=tones[1],
        cut=tones[2],
        told=told[0],
        told_mirrored=told[1],
    )


def _places(content: Content, labelled: bool) -> NDArray[np.int32]:
    order = np.arange(len(content), dtype=np.int32) if isinstance(content, ArrayRows) else content.label_free_order()
    splits, words = content.column("split")
    if "train" not in words:
        return order
    # A source's images without a split are trained on too; of a target that has splits only those of train are.
    trained = [k for k, word in enumerate(words) if word == "train" or (labelled and not word)]
    chosen: NDArray[np.int32] = order[np.isin(splits[order], trained)]
    return chosen


def _columns(sample: Sequence[tuple[Content, NDArray[np.int32]]]) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """Sizes, (n, 2) width and height, and thumbnails, (n, 64, 3)."""
    rows = [row for content, places in sample for row in content.rows(places.tolist(), "width", "height", "thumbnail")]
    sizes = np.array([row[:2] for row in rows], dtype=np.int64)
    return sizes, np.frombuffer(b"".join(row[2] for row in rows), dtype=np.uint8).reshape(len(rows), -1, 3)


def _tones(sample: Sequence[tuple[Content, NDArray[np.int32]]], pixels: float) -> tuple[float, float | None, float]:
    """`two_tone`, `light_on_dark` and `cut` of images that are decoded."""
    count = int(np.clip(_PIXELS / pixels, _FEWEST, _DECODED))
    total = sum(len(places) for _, places in sample)
    between, dark, cut = [], [], []
    for content, places in sample:
        for place in places[: max(1, count * len(places) // total)].tolist():
            try:
                grey = _small_grey(pixels_of(content, place, least=_SIDE))  # (h, w)
            except (Unusable, OSError):  # gone since the scan
                continue
            if float(grey.std()) < _FLAT:
                continue
            share, threshold = _otsu(grey)
            border = np.concatenate([grey[0], grey[-1], grey[1:-1, 0], grey[1:-1, -1]])
            between.append(share)
            dark.append(float((border <= threshold).mean()))
            cut.append(_outside(grey))
    clear = [share for share in dark if share > _CLEAR or share < 1.0 - _CLEAR]
    enough = len(clear) >= max(1, len(dark) // 2)
    return (
        float(np.median(between)) if between else 0.0,
        float(np.mean([share > _CLEAR for share in clear])) if enough else None,
        float(np.mean(cut)) if cut else 0.0,
    )


def _small_grey(pixels: NDArray[np.uint8]) -> Brightness:
    """(H, W, 3) -> (h, w) brightness, the shorter side at most `_SIDE` pixels."""
    height, width = pixels.shape[:2]
    factor = _SIDE / min(height, width)
    if factor < 1.0:
        size = max(1, round(width * factor)), max(1, round(height * factor))
        pixels = np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BOX))
    grey: Brightness = (pixels @ LUMA)[..., 0]
    return grey


def _otsu(grey: Brightness) -> tuple[float, float]:
    """The share of variance between the two tones that tell most, and the brightness up to which a pixel is dark."""
    values = np.sort(grey, axis=None)  # (n,)
    sums = np.cumsum(values)
    dark = np.arange(1, len(values))  # pixels of the darker tone
    means = sums[:-1] / dark, (sums[-1] - sums[:-1]) / (len(values) - dark)
    share = dark / len(values)
    between = share * (1.0 - share) * (means[0] - means[1]) ** 2
    best = int(between.argmax())
    return float(between[best] / values.var()), float(values[best])


def _outside(grey: Brightness) -> float:
    """The share of steps of brightness outside the square in the middle."""
    steps = np.zeros_like(grey)
    steps[:, 1:] += np.abs(np.diff(grey, axis=1))
    steps[1:] += np.abs(np.diff(grey, axis=0))
    height, width = grey.shape
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return float(1.0 - steps[top : top + side, left : left + side].sum() / steps.sum())


def _told(
    sample: Sequence[tuple[Content, NDArray[np.int32]]], thumbnails: NDArray[np.uint8], classes: dict[str, int]
) -> tuple[float, float]:
    """How many images the nearest of the classes' mean thumbnails gets right, and how many of them mirrored."""
    number = {word: k for k, word in enumerate(classes)}
    labels = []
    for content, places in sample:
        numbers, words = content.column("label")
        labels += [number[words[k]] for k in numbers[places]]
    y = np.array(labels)  # (n,)
    grey = (thumbnails @ LUMA)[..., 0]  # (n, 64)
    grey = grey - grey.mean(axis=1, keepdims=True)
    grey /= np.linalg.norm(grey, axis=1, keepdims=True).clip(1.0)
    side = round(grey.shape[1] ** 0.5)
    mirrored = grey.reshape(-1, side, side)[:, :, ::-1].reshape(len(grey), -1)
    learned = np.arange(len(y)) % 2 == 0  # images that make the means; the others are told
    known = np.unique(y[learned])
    means = np.stack([grey[learned & (y == k)].mean(axis=0) for k in known])  # (k, 64)
    asked = ~learned & np.isin(y, known)
    if not asked.any():
        return 0.0, 0.0

    def right(images: Brightness) -> float:
        distance = (means**2).sum(axis=1) - 2.0 * images @ means.T  # (n, k), less what is the same for all classes
        return float((known[distance.argmin(axis=1)] == y[asked]).mean())

    return right(grey[asked]), right(mirrored[asked])
