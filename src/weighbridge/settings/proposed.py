"""Settings that the images ask for: chosen by classes and counts of the source, and by unlabelled photos alone.

Each rule is a function that gives a value and a sentence that says why. A setting that the user gave is never changed.
"""

__all__ = ["Proposal", "propose", "propose_for"]

import math
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from weighbridge.data.layouts import empty_classes
from weighbridge.data.names import domain_name
from weighbridge.files import printable
from weighbridge.inspection.glimpse import Glimpse, glimpse, open_content
from weighbridge.settings.config import SETTINGS, Config, at_some_size
from weighbridge.watch import Progress

Estimate = Callable[[Config, int, int, int], float | None]
"""Minutes in all of settings, source images, target images and classes; None if nobody knows."""
Change = tuple[str, Any, str]
"""A setting, its value, and why."""

_SMALL_IMAGES = 48  # pixels: up to here the small network, which starts from random numbers
_SMALL_SIDES = (32, 40, 48)  # that the small network takes, and can tell signs and digits at
_LARGE_SIDES = (128, 160, 224)
_ENLARGED = 2.5  # at most: of Tiny ImageNet, 64 px, features of 160 px told more than those of 96 px
_CPU_SIDE = 160  # of a pre-trained network without a GPU
_OWN_NETWORKS = ("lenet", "small", "small-batchnorm", "slim-batchnorm")  # that take small and grey images
_ALL_GREY = 0.95
_GREY_APART = 0.02  # between shares of grey images
_CUT_OFF = 0.4  # share of the details of an image: 0.32 for Caltech-101, whose objects lie in the middle
_ALIKE = 1.25  # factor between aspect ratios
_TWO_TONES = 0.8  # print 0.84 to 0.97; signs, objects and scenes up to 0.77
_TONES_APART = 0.25  # between shares of images that are light on dark
_MIXED = 0.2  # share of the rarer of light on dark and dark on light
_TOLD = 0.3  # share of images told by thumbnails: below, mirrored ones show nothing
_MIRRORS = 0.9  # share of them that is told when mirrored
_UNEQUAL = 5.0  # factor between the largest and the smallest class, or source
_EPOCHS = 10
_STEPS = {True: (300, 1000), False: (1000, 2000)}  # floor and ceiling, of a pre-trained network and of another
_BATCH, _LARGEST_BATCH = 64, 256
_PER_CLASS = 0.25  # images of each class in a batch, at least
_FEWEST_PHOTOS = 8  # in a batch, where there are fewer they come again
_NAMED = 6  # classes in the first line


@dataclass(frozen=True)
class Proposal:
    """What was chosen from the images.

    Attributes:
        changes: settings that the user did not give -> values that are not the defaults.
        reasons: a sentence for each.
        lines: four lines for a terminal: classes, photos, network, stages. None of them where there is nothing to see.
        config: the changes and what the user gave.
    """

    changes: dict[str, Any]
    reasons: dict[str, str]
    lines: tuple[str, ...]
    config: Config

    def facts(self) -> dict[str, Any]:
        """For a run folder."""
        return {"changes": self.changes, "reasons": self.reasons}

    def options(self) -> str:
        """The changes as they are typed behind a command, such as `--image-size 160 --flip`."""
        words = []
        for name, value in self.changes.items():
            option = "--" + name.replace("_", "-")
            words += [option] if value is True else [option, f"{value:g}" if isinstance(value, float) else str(value)]
        return shlex.join(words)


def propose_for(
    source: Sequence[Path],
    target: Path,
    given: Mapping[str, Any],
    *,
    methods: Sequence[str] = (),
    estimate: Estimate | None = None,
    home: Path | None = None,
    progress: Progress | None = None,
) -> Proposal:
    """Look shortly at what lies at the paths, and propose; see `propose`.

    Args:
        home: where indexes are kept, see `index.scan`.
        progress: of scans, where they have not been made yet.

    Raises:
        DataError: if nothing lies at a path, or what lies there cannot be read at all.
        ConfigError: for a given setting that cannot work.
    """
    name = domain_name(source[0]) if len(source) == 1 else f"{len(source)} sources"
    renders = glimpse([open_content(path, home, progress) for path in source], name, labelled=True)
    photos = glimpse([open_content(target, home, progress)], domain_name(target), labelled=False)
    empty = sorted({name for path in source for name in empty_classes(path)})
    return propose(renders, photos, given, empty=empty, methods=methods, estimate=estimate)


def propose(
    source: Glimpse | None,
    target: Glimpse | None,
    given: Mapping[str, Any],
    *,
    gpu: bool | None = None,
    empty: Sequence[str] = (),
    methods: Sequence[str] = (),
    estimate: Estimate | None = None,
) -> Proposal:
    """Settings for these domains.

    Args:
        source, target: what a short look found; None where there is nothing to train on, which reading refuses.
        given: settings that the user chose.
        gpu: whether training happens on one; asked of PyTorch if not given.
        empty: class folders without any image.
        methods: of a comparison; of a single run the settings name it.
        estimate: tells minutes for the last line.

    Raises:
        ConfigError: for a given setting that cannot work.
    """
    asked = at_some_size(given)
    if source is None or target is None:
        return Proposal({}, {}, (), asked)
    small = _takes_small(given, source, target)
    on_gpu = _on_gpu(asked) if gpu is None else gpu
    found = [
        *_network(small, source, target, on_gpu, given),
        *_channels(small, source, target, given),
        *_fit(source, target),
        *_invert(source, target),
        *(_grey(source, target) if not small else []),
        *_moves(),
        *(_flip(source) if not small else []),
        *_batches(source, target, asked.processes),
        *_balance(source),
    ]
    so_far = Config(**({name: value for name, value, _ in found} | dict(given)))
    found += _length(source, asked, so_far)
    usual = Config()
    read = {name for name, setting in SETTINGS.items() if methods or setting.readers.read(asked)}
    kept = [
        (name, value, reason)
        for name, value, reason in found
        if name in read and name not in given and value != getattr(usual, name)
    ]
    changes = {name: value for name, value, _ in kept}
    config = Config(**(changes | dict(given)))
    lines = (
        _classes_line(source, empty),
        _photos_line(target, config),
        _network_line(changes, config),
        _stages_line(config, source, target, methods, estimate),
    )
    return Proposal(changes, {name: reason for name, _, reason in kept}, lines, config)


def _on_gpu(config: Config) -> bool:
    import torch  # takes seconds, and is needed for this answer alone

    return config.device == "cuda" or (config.device == "auto" and torch.cuda.is_available())


def _takes_small(given: Mapping[str, Any], source: Glimpse, target: Glimpse) -> bool:
    """Whether the network is one for small images: as the user says, else by the domain with the smaller images."""
    backbone, weights = given.get("backbone", "auto"), given.get("weights", "auto")
    if backbone != "auto":
        return backbone in _OWN_NETWORKS
    if given.get("training") in ("features", "fine-tune"):
        return False
    if weights not in ("auto", "none"):
        return False
    if given.get("channels") == 1 and "image_size" not in given:
        return True  # published networks take colour
    if "image_size" in given:
        return bool(given["image_size"] <= 64)
    return _common_side(source, target) <= _SMALL_IMAGES


def _common_side(source: Glimpse, target: Glimpse) -> int:
    return min(source.short_side, target.short_side)


def _network(small: bool, source: Glimpse, target: Glimpse, on_gpu: bool, given: Mapping[str, Any]) -> list[Change]:
    sides = f"shorter sides are {source.short_side} px in renders and {target.short_side} px in photos, in the median"
    least = _common_side(source, target)
    if small:
        side = min(_SMALL_SIDES, key=lambda side: (abs(side - least), -side))
        network = [] if "image_size" in given else [("backbone", "small-batchnorm", f"Images are small: {sides}")]
        return [("image_size", side, f"Of the sizes of a small network nearest to the images: {sides}"), *network]
    most = _LARGE_SIDES[-1] if on_gpu else _CPU_SIDE
    wanted = next((side for side in _LARGE_SIDES if side >= _ENLARGED * least), _LARGE_SIDES[-1])
    reason = f"Published networks saw things large, so small images are enlarged: {sides}"
    if wanted > most:
        reason = f"The largest size that a CPU takes in reasonable time: {sides}"
    elif wanted < least:
        reason = f"The largest size that is proposed: {sides}"
    return [("image_size", min(wanted, most), reason)]


def _channels(small: bool, source: Glimpse, target: Glimpse, given: Mapping[str, Any]) -> list[Change]:
    if not small or given.get("normalisation") == "imagenet":
        return []
    for what, domain in (("renders", source), ("photos", target)):
        if domain.grey > _ALL_GREY:
            return [("channels", 1, f"All {what} are grey, so colour can tell nothing")]
    return []


def _fit(source: Glimpse, target: Glimpse) -> list[Change]:
    what, worst = max((("renders", source), ("photos", target)), key=lambda named: named[1].cut)
    if worst.cut <= _CUT_OFF:
        return []
    reason = f"The middle square leaves out {100 * worst.cut:.0f} % of the details of the {what}"
    low, high = sorted((source.aspect, target.aspect))
    if high <= _ALIKE * low:
        return [("fit", "stretch", f"{reason}, and both domains are oblong alike")]
    return [("fit", "pad", reason)]


def _invert(source: Glimpse, target: Glimpse) -> list[Change]:
    """Print and handwriting come light on dark and dark on light. What has more than two tones has no negative."""
    if min(source.two_tone, target.two_tone) < _TWO_TONES or source.light_on_dark is None:
        return []
    if target.light_on_dark is None:
        return []
    apart = abs(source.light_on_dark - target.light_on_dark) > _TONES_APART
    if not apart and not _MIXED <= target.light_on_dark <= 1.0 - _MIXED:
        return []
    light = f"{100 * source.light_on_dark:.0f} % of renders and {100 * target.light_on_dark:.0f} % of photos"
    return [("invert", 0.5, f"Images have two tones, and {light} are light on dark")]


def _grey(source: Glimpse, target: Glimpse) -> list[Change]:
    """Where one domain alone has grey images, being grey would tell them apart, and stand for a class."""
    if abs(source.grey - target.grey) < _GREY_APART:
        return []
    shares = f"{100 * source.grey:.0f} % of renders and {100 * target.grey:.0f} % of photos"
    return [("grey", 0.3, f"Being grey must not tell a class: {shares} are grey")]


def _moves() -> list[Change]:
    reason = "A class stays what it is when its images are turned, moved or scaled so little"
    return [("rotate", 8.0, reason), ("shift", 0.06, reason), ("zoom", 0.12, reason)]


def _flip(source: Glimpse) -> list[Change]:
    """Only where renders show that mirroring keeps the class. Letters and arrows are told far less when mirrored."""
    if source.told is None or source.told_mirrored is None:
        return []
    if source.told < _TOLD or source.told_mirrored < _MIRRORS * source.told:
        return []
    told = f"{100 * source.told:.0f} % as they are and {100 * source.told_mirrored:.0f} % mirrored"
    return [("flip", True, f"Thumbnails of renders are told as well when mirrored: {told}")]


def _batches(source: Glimpse, target: Glimpse, processes: int) -> list[Change]:
    classes = len(source.classes)
    wanted = min(max(_BATCH, _power(math.ceil(classes * _PER_CLASS))), _LARGEST_BATCH)
    many = f"{classes:,} classes need larger batches, so that class ratios are not noise"
    changes = []
    for name, domain, what in (("batch_source", source, "renders"), ("batch_target", target, "photos")):
        fits = 2 ** int(math.log2(domain.images))
        batch = min(wanted, max(fits, _FEWEST_PHOTOS))
        batch = max(1, round(batch / processes)) * processes
        changes.append((name, batch, many if batch > _BATCH else f"There are only {domain.images:,} {what}"))
    return changes


def _power(count: int) -> int:
    """The power of two that is at least so large."""
    return 1 << math.ceil(math.log2(count))


def _balance(source: Glimpse) -> list[Change]:
    counts, sources = source.classes.values(), source.sources
    by_class = max(counts) >= _UNEQUAL * min(counts)
    by_source = max(sources) >= _UNEQUAL * max(1, min(sources))
    said = [
        *([f"classes have {min(counts):,} to {max(counts):,} renders"] if by_class else []),
        *([f"sources have {min(sources):,} to {max(sources):,} renders"] if by_source else []),
    ]
    if not said:
        return []
    value = "both" if by_class and by_source else "class" if by_class else "source"
    return [("balance", value, " and ".join(said).capitalize())]


def _length(source: Glimpse, asked: Config, so_far: Config) -> list[Change]:
    """Steps of some passes over the renders, within a floor and a ceiling; not where the user counts epochs."""
    low, high = _STEPS[so_far.weights_name != "none"]
    images = source.images * (1.0 - asked.held_out)
    steps = round(_EPOCHS * images / so_far.batch_source / 100) * 100
    steps = min(max(steps, low), high)
    reason = f"{_EPOCHS} passes over {source.images:,} renders, within {low:,} to {high:,} steps"
    counted = (("pre_steps", asked.pre_epochs), ("steps", asked.epochs))
    return [(name, steps, reason) for name, epochs in counted if epochs is None]


# ---- what is said -----------------------------------------------------------------------------------------------


def _classes_line(source: Glimpse, empty: Sequence[str]) -> str:
    shown = ", ".join(f"{name} {count:,}" for name, count in list(source.classes.items())[:_NAMED])
    more = len(source.classes) - _NAMED
    without = f"; without images: {', '.join(empty[:_NAMED])}" if empty else ""
    rest = f" and {more:,} more" if more > 0 else ""
    return printable(f"{_counted(len(source.classes), 'class', 'classes')}: {shown}{rest}{without}")


def _photos_line(target: Glimpse, config: Config) -> str:
    width, height = target.median_size
    side, short = config.image_size, min(width, height)
    oblong = width != height
    seen = f"the middle {short} x {short} px " if config.fit == "crop" and oblong else ""
    size = short if config.fit == "crop" else max(width, height)
    how = "shrunk to" if side < size else "enlarged to" if side > size else "seen at"
    how = {"pad": f"padded and {how}", "stretch": f"squeezed and {how}"}.get(config.fit, how) if oblong else how
    count = _counted(target.images, "photo", "photos")
    return f"{count}, median {width} x {height} px: {seen}{how} {side} x {side} px"


def _network_line(changes: Mapping[str, Any], config: Config) -> str:
    weights = "random weights" if config.weights_name == "none" else f"weights {config.weights_name}"
    weights += ", frozen" if config.on_features else ", frozen at first" if config.fine_tunes else ""
    images = "grey images" if config.channels == 1 else "colour images"
    told = ("image_size", "backbone", "channels", "pre_steps", "steps")
    rest = [f"{name} {_value(value)}" for name, value in changes.items() if name not in told]
    return ", ".join([f"network {config.network_name}", weights, images, *rest])


def _stages_line(
    config: Config, source: Glimpse, target: Glimpse, methods: Sequence[str], estimate: Estimate | None
) -> str:
    trained = round(source.images * (1.0 - config.held_out))
    lasting = config.lasting(max(1, trained))
    if methods:
        stages = f"{lasting.pre_steps:,} steps of the pre-classifier, then {lasting.steps:,} of each method"
    elif lasting.from_scratch:
        stages = f"{lasting.total_steps:,} steps of {config.method}"
    else:
        stages = f"{lasting.pre_steps:,} steps of the pre-classifier, then {lasting.steps:,} of {config.method}"
    if config.may_restart and config.restarts > 1:
        stages += f", from {config.restarts} random starts"
    stages += ", then fine-tuning" if config.fine_tunes else ""
    if config.on_features or config.fine_tunes:
        looks = (source.images + target.images) * (1 + config.views)
        stages = f"features of {looks:,} looks at images, once; {stages}"
    images = (trained, target.images, len(source.classes))
    minutes = estimate(config, *images) if estimate and not methods else None
    lasts = f", about {max(1, round(minutes))} min in all" if minutes is not None else ""
    return f"{stages}{lasts} (--plain: defaults, whatever the images)"


def _counted(count: int, one: str, several: str) -> str:
    return f"{count:,} {one if count == 1 else several}"


def _value(value: Any) -> str:
    return "on" if value is True else f"{value:g}" if isinstance(value, float) else str(value)
