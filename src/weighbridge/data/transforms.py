"""From uint8 pixels to what a network sees, on the device, a whole batch at a time.

One `Preparation` serves both domains. Different augmentation or scaling per domain would hand the domain classifier a
cue that has nothing to do with the images.
"""

__all__ = ["Augmentation", "Normalisation", "PixelScale", "Preparation", "Strong", "resized_crop"]

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from weighbridge.data.colour import adjust_brightness, adjust_contrast, adjust_hue, adjust_saturation
from weighbridge.data.strong import root_mean_square

Strong = Callable[[Tensor, torch.Generator], Tensor]
"""A strong augmentation, `StrongAugmentation` or `AugMix`: (B, C, H, W) in [0, 1] and a CPU generator -> the same."""
Normalisation = Literal["half", "imagenet", "per-image"]


@dataclass(frozen=True)
class PixelScale:
    """Mean and deviation by which pixels in [0, 1] are scaled, of each channel, or of all where there is one number."""

    mean: tuple[float, ...]
    deviation: tuple[float, ...]


_SCALES = {
    "half": PixelScale((0.5,), (0.5,)),
    "imagenet": PixelScale((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
}


@dataclass(frozen=True)
class Augmentation:
    """How far training images are moved about; every number is the edge of a uniform range, and 0 switches it off.

    Args:
        rotate: degrees to either side.
        shift: share of the side length, in both directions.
        zoom: 0.2 draws factors from 1/1.2 to 1.2.
        shear: tangent of the angle.
        flip: mirror left-right, half of the images.
        resized_crop: least share of the area, in [0, 1), of a random crop of aspect 3/4 to 4/3 that is then resized to
            the whole (Szegedy et al., CVPR 2015, sec. 6). Boxes are drawn as torchvision's RandomResizedCrop does.
        jitter: largest change of brightness, contrast and saturation, in [0, 1], and of hue a quarter of it, as
            torchvision's ColorJitter defines them (in the proportions of SimCLR, ICML 2020, app. A). Grey images have
            no saturation and no hue.
        brightness: added to pixels in [0, 1].
        contrast: 0.3 draws factors from 1/1.3 to 1.3, around the image's mean.
        noise: largest standard deviation of Gaussian pixel noise, in [0, 1].
        invert: probability of a photographic negative.
        grey: probability of an image without colour, as torchvision's RandomGrayscale makes it.
    """

    rotate: float = 0.0
    shift: float = 0.0
    zoom: float = 0.0
    shear: float = 0.0
    flip: bool = False
    resized_crop: float = 0.0
    jitter: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0
    noise: float = 0.0
    invert: float = 0.0
    grey: float = 0.0

    @property
    def only_mirrors(self) -> bool:
        """Whether images keep their own pixel values, so that bytes need not become floats to be augmented."""
        return replace(self, flip=False) == Augmentation()

    def mirror(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """(B, C, H, W) of any type, half of them mirrored where `flip` is set."""
        if not self.flip:
            return images
        mirrored = images.clone()
        rows = mirrored.permute(0, 2, 3, 1)  # (B, H, W, C), a view
        chosen = (torch.rand(len(images), generator=generator) < 0.5).nonzero().squeeze(1)
        for row in chosen.tolist():  # one by one: torch turns (H, W, C) six times faster than (B, C, H, W)
            rows[row] = rows[row].flip(1)
        return mirrored

    def __call__(self, pixels: Tensor, generator: torch.Generator) -> Tensor:
        """(B, C, H, W) in [0, 1] -> the same; draws come from a CPU generator, so every device sees the same ones."""
        if self.resized_crop:
            pixels = resized_crop(pixels, _boxes(pixels, self.resized_crop, generator))
        if self.rotate or self.shift or self.zoom or self.shear:
            pixels = self._move(pixels, generator)
        else:
            pixels = self.mirror(pixels, generator)
        if self.jitter:
            pixels = self._jittered(pixels, generator)
        if self.invert:
            chosen = torch.rand(len(pixels), 1, 1, 1, generator=generator) < self.invert
            pixels = torch.where(chosen.to(pixels.device), 1.0 - pixels, pixels)
        if self.grey:
            chosen = torch.rand(len(pixels), 1, 1, 1, generator=generator) < self.grey
            pixels = adjust_saturation(pixels, 1.0 - chosen.to(pixels))
        if self.contrast:
            factor = torch.exp(_uniform(pixels, math.log1p(self.contrast), generator))
            mean = pixels.mean(dim=(1, 2, 3), keepdim=True)
            pixels = (pixels - mean) * factor + mean
        if self.brightness:
            pixels = pixels + _uniform(pixels, self.brightness, generator)
        if self.noise:
            size = torch.rand(len(pixels), 1, 1, 1, generator=generator) * self.noise
            pixels = pixels + (torch.randn(pixels.shape, generator=generator) * size).to(pixels.device)
        return pixels.clamp(0.0, 1.0)

    def _jittered(self, pixels: Tensor, generator: torch.Generator) -> Tensor:
        """Four changes in an order that is drawn for the batch, each by as much as is drawn for the image."""
        factors = [1.0 + _uniform(pixels, self.jitter, generator) for _ in range(3)]
        turn = _uniform(pixels, self.jitter / 4, generator)
        for change in torch.randperm(4, generator=generator).tolist():
            if change < 3:
                pixels = (adjust_brightness, adjust_contrast, adjust_saturation)[change](pixels, factors[change])
            else:
                pixels = adjust_hue(pixels, turn)
        return pixels

    def _move(self, pixels: Tensor, generator: torch.Generator) -> Tensor:
        count = len(pixels)

        def draw(edge: float) -> Tensor:
            return (2.0 * torch.rand(count, generator=generator) - 1.0) * edge

        angle = draw(math.radians(self.rotate))
        zoom = torch.exp(draw(math.log1p(self.zoom)))
        shear = draw(self.shear)
        mirror = (
            torch.where(torch.rand(count, generator=generator) < 0.5, -1.0, 1.0) if self.flip else torch.ones(count)
        )
        cos, sin = torch.cos(angle) * zoom, torch.sin(angle) * zoom
        rows = [
            torch.stack([cos * mirror, -sin + shear * cos, 2 * draw(self.shift)], dim=1),
            torch.stack([sin * mirror, cos + shear * sin, 2 * draw(self.shift)], dim=1),
        ]
        theta = torch.stack(rows, dim=1).to(pixels)  # (B, 2, 3): where each output pixel is fetched from
        grid = functional.affine_grid(theta, list(pixels.shape), align_corners=False)
        return functional.grid_sample(pixels, grid, padding_mode="border", align_corners=False)


def resized_crop(pixels: Tensor, boxes: Tensor) -> Tensor:
    """A part of every image at the size of the whole, bilinear, as torchvision's function of the same name.

    Args:
        pixels: (B, C, H, W).
        boxes: top, left, height and width in whole pixels, (B, 4); within the image.
    """
    rows = _looked_up(boxes[:, 0], boxes[:, 2], pixels.shape[2])  # (B, H)
    columns = _looked_up(boxes[:, 1], boxes[:, 3], pixels.shape[3])  # (B, W)
    grid = torch.stack(
        [columns[:, None].expand(-1, rows.shape[1], -1), rows[..., None].expand(-1, -1, columns.shape[1])], dim=3
    )  # (B, H, W, 2)
    return functional.grid_sample(pixels, grid.to(pixels), padding_mode="border", align_corners=False)


def _looked_up(start: Tensor, length: Tensor, side: int) -> Tensor:
    """Where each of `side` pixels is fetched from, (B, side) with the image from -1 to 1; never from beyond the box."""
    start, length = start[:, None].float(), length[:, None].float()
    place = (torch.arange(side) + 0.5) * length / side  # (B, side), in pixels from the edge of the box
    place = torch.minimum(place.clamp_min(0.5), length - 0.5)
    return 2.0 * (start + place) / side - 1.0


def _boxes(pixels: Tensor, least: float, generator: torch.Generator) -> Tensor:
    """Boxes of at least this share of the area, (B, 4); of ten that are drawn the first that fits, else the whole."""
    height, width = pixels.shape[-2:]
    share, aspect, top, left = torch.rand(4, len(pixels), 10, generator=generator)  # (B, 10) each
    area = (least + (1.0 - least) * share) * (height * width)
    ratio = torch.exp((2.0 * aspect - 1.0) * math.log(4 / 3))
    widths, heights = (area * ratio).sqrt().round(), (area / ratio).sqrt().round()
    fits = (widths >= 1) & (widths <= width) & (heights >= 1) & (heights <= height)
    tops, lefts = (top * (height - heights + 1)).floor(), (left * (width - widths + 1)).floor()
    first = fits.int().argmax(dim=1, keepdim=True)  # (B, 1)
    boxes = torch.stack([tops, lefts, heights, widths], dim=2)  # (B, 10, 4)
    chosen = boxes.gather(1, first[..., None].expand(-1, -1, 4)).squeeze(1)
    whole = torch.tensor([0.0, 0.0, height, width])
    return torch.where(fits.any(dim=1, keepdim=True), chosen, whole)


@dataclass(frozen=True)
class Preparation:
    """uint8 -> normalised float: to [0, 1], augmentation when training, then the network's scale.

    Args:
        augmentation: applied by `training`, never by `plain`.
        strong: applied on top by `training` where it is asked for.
        normalisation: `half`: (x - 0.5) / 0.5; `imagenet`: that data set's mean and deviation per channel;
            `per-image`: each image to mean 0 and deviation 1, which removes brightness and contrast as domain cues;
            or the scale that published weights were trained with.
    """

    augmentation: Augmentation = Augmentation()
    normalisation: Normalisation | PixelScale = "half"
    strong: Strong | None = None

    def training(self, images: Tensor, generator: torch.Generator, for_strong: torch.Generator | None = None) -> Tensor:
        """(B, C, H, W) uint8 -> float, augmented; B = 0 where a method does not look at the target.

        Args:
            for_strong: draws of the strong augmentation; None leaves that out. Those of the mild one stay as they are.
        """
        if not len(images):
            return images.float()
        if self.strong is not None and for_strong is not None:
            return self._normalise(self.strong(self._mildly(images, generator), for_strong), top=1.0)
        if self.augmentation.only_mirrors:
            return self.plain(self.augmentation.mirror(images, generator))
        return self._normalise(self._mildly(images, generator), top=1.0)

    def plain(self, images: Tensor) -> Tensor:
        """(B, C, H, W) uint8 -> float, as it is: for evaluation, prediction and stored likelihoods."""
        return self._normalise(images, top=255.0)

    def _mildly(self, images: Tensor, generator: torch.Generator) -> Tensor:
        return self.augmentation(images.float().div_(255.0), generator)

    def _normalise(self, pixels: Tensor, *, top: float) -> Tensor:
        """pixels in [0, top] -> float."""
        if self.normalisation == "per-image":
            shares = pixels.float() / top
            shares = shares - shares.mean(dim=(1, 2, 3), keepdim=True)
            return shares.div_(root_mean_square(shares).clamp_min(1e-2))
        scale = _SCALES[self.normalisation] if isinstance(self.normalisation, str) else self.normalisation
        mean, deviation = (torch.tensor(numbers).expand(pixels.shape[1]) for numbers in (scale.mean, scale.deviation))
        return _standardised(pixels, mean * top, deviation * top)


def _standardised(pixels: Tensor, mean: Tensor, deviation: Tensor) -> Tensor:
    """(pixels - mean) / deviation, (B, C, H, W) of any type -> float, channels last; mean, deviation: (C,).

    As rows of W * C numbers: broadcasting over the last and longest axis is six times faster than over channels.
    """
    count, channels, height, width = pixels.shape
    rows = pixels.permute(0, 2, 3, 1).reshape(count * height, width * channels).float()  # a view where C lies last
    rows.sub_(mean.to(rows).repeat(width)).div_(deviation.to(rows).repeat(width))
    return rows.view(count, height, width, channels).permute(0, 3, 1, 2)


def _uniform(pixels: Tensor, edge: float, generator: torch.Generator) -> Tensor:
    """One number in [-edge, edge] per image, (B, 1, 1, 1)."""
    return ((2.0 * torch.rand(len(pixels), 1, 1, 1, generator=generator) - 1.0) * edge).to(pixels.device)
