"""From settings to data: domains, preparation, batches."""

__all__ = [
    "Data",
    "build_pairs",
    "build_preparation",
    "build_reading",
    "caution",
    "check_labels",
    "open_labelled",
    "open_source",
    "open_target",
    "preparation_of",
    "published_pixels",
]

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from weighbridge.data.augmix import AugMix
from weighbridge.data.domains import LabelledDomain, Split, UnlabelledDomain, split_off
from weighbridge.data.images import View
from weighbridge.data.pairs import PairStream
from weighbridge.data.reading import Reading, check_labelled, read_labelled, read_unlabelled
from weighbridge.data.strong import StrongAugmentation
from weighbridge.data.transforms import Augmentation, Normalisation, PixelScale, Preparation, Strong
from weighbridge.data.vectors import AsTheyAre
from weighbridge.engine.machine import Machine
from weighbridge.methods.base import Method
from weighbridge.parts.published import PublishedPixels, pixels_of
from weighbridge.settings.config import Config
from weighbridge.watch import Progress


@dataclass(frozen=True)
class Data:
    """The domains of a run: source images to train on, source images held out, target images without labels."""

    source: LabelledDomain
    held_out: LabelledDomain
    target: UnlabelledDomain

    @property
    def classes(self) -> tuple[str, ...]:
        return self.source.classes


def open_source(
    paths: Sequence[Path], config: Config, progress: Progress | None = None
) -> tuple[LabelledDomain, LabelledDomain]:
    """The labelled source, split into training and held-out images by the seed-independent split 0."""
    source = read_labelled(paths, build_reading(config), progress=progress)
    return split_off(source, config.held_out, seed=0)


def open_target(
    path: Path, config: Config, progress: Progress | None = None, *, whole: bool = False
) -> UnlabelledDomain:
    """Target images to train on, or the whole of them: only differs where a train/val/test layout is given."""
    splits: Sequence[Split] | None = None if whole else ("train",)
    return read_unlabelled(path, build_reading(config), splits=splits, progress=progress)


def open_labelled(
    path: Path, config: Config, classes: Sequence[str], progress: Progress | None = None
) -> LabelledDomain:
    """Labelled images of the source's classes to evaluate on: the test split where there is one, else val, else all.

    Where the data names no groups, near duplicates are a group.
    """
    reading = build_reading(config)
    return read_labelled(
        [path], reading, classes=classes, splits=("test", "val"), near_duplicates=True, progress=progress
    )


def check_labels(path: Path, config: Config, classes: Sequence[str], progress: Progress | None = None) -> None:
    """Refuse what `open_labelled` would refuse, before hours of training."""
    check_labelled(path, classes, build_reading(config), progress)


def build_reading(config: Config) -> Reading:
    slack = round(config.crop * config.image_size)
    pixels = published_pixels(config)
    interpolation = pixels.interpolation if pixels else "bicubic"
    view = View(config.image_size, config.channels, config.fit, slack, interpolation)
    return Reading(view, cache=config.cache, strict=config.strict, later=config.features_first)


def preparation_of(config: Config) -> Preparation | AsTheyAre:
    """Of what training sees: images, or features that a frozen backbone has made of prepared images."""
    return AsTheyAre() if config.on_features else build_preparation(config)


def published_pixels(config: Config) -> PublishedPixels | None:
    """How images looked on which the initial weights were trained; None where pixel scale does not follow them."""
    if config.normalisation_name != "auto":
        return None
    return pixels_of(config.network_name, config.weights_name)


def build_preparation(config: Config) -> Preparation:
    """Of images."""
    kind = _STRONG_KINDS[config.strong_kind]
    strong = kind(config.strong_augmentation) if config.strong_augmentation else None
    return Preparation(_augmentation(config), _pixel_scale(config), strong)


def _pixel_scale(config: Config) -> Normalisation | PixelScale:
    if pixels := published_pixels(config):
        return PixelScale(pixels.mean, pixels.deviation)
    return "per-image" if config.normalisation == "auto" else config.normalisation


_STRONG_KINDS: dict[str, Callable[[float], Strong]] = {"camera": StrongAugmentation, "augmix": AugMix}


def _augmentation(config: Config) -> Augmentation:
    return Augmentation(
        rotate=config.rotate,
        shift=config.shift,
        zoom=config.zoom,
        shear=config.shear,
        flip=config.flip,
        resized_crop=config.resized_crop if config.resized_crop < 1 else 0.0,
        jitter=config.jitter,
        brightness=config.brightness,
        contrast=config.contrast,
        noise=config.noise,
        invert=config.invert,
        grey=config.grey,
    )


def caution(config: Config) -> str | None:
    """What whoever trains with these settings, or reads the results, should know; None if there is nothing."""
    if config.method == "adabn" and config.batch_norm == "frozen" and not config.on_features:
        return "batch_norm = 'frozen' leaves no statistics to read anew, so this is source-only again"
    moves = _augmentation(config) != Augmentation() or config.strong_augmentation or build_reading(config).view.slack
    if "teacher" in config.entry.has and config.on_features and not config.views:
        return "views = 0, so student and teacher see the same features. Set views to 1 or more"
    if "teacher" not in config.entry.has or moves:
        return None
    return (
        "no augmentation is set, so student and teacher see the same image. Set rotate, shift, zoom, noise or "
        "strong_augmentation, only as far as the class stays recognisable"
    )


def build_pairs(
    config: Config,
    data: Data,
    method: Method,
    machine: Machine,
    device: torch.device,
    *,
    first: int | None = None,
    rank: int = 0,
) -> PairStream:
    """The batches of a run. Those of its pre-classifier come first, so that nothing is seen again for the first time.

    What trains from scratch sees in its last `steps` the very batches that the others adapt on.

    Args:
        first: the batch that step 0 sees, where that is another.
    """
    if first is None:
        first = 0 if config.from_scratch else config.pre_steps
    return PairStream(
        data.source,
        data.target,
        batch_source=config.batch_source,
        batch_target=config.batch_target if method.uses_target else 0,
        preparation=preparation_of(config),
        seed=config.seed,
        device=device,
        target_views=method.target_views,
        first=first,
        balance=config.balance,
        memory_format=torch.contiguous_format if config.on_features else machine.memory_format,
        rank=rank,
        processes=machine.processes,
    )
