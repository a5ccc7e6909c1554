"""Every setting of a run in one visible block. Known only to `build.py` and the doors above it.

The same names are keys in a TOML file, options on the command line (`--image-size`) and arguments of
`weighbridge.adapt`.
"""

__all__ = ["Config", "from_mapping", "read_run", "read_toml", "write_toml"]

import dataclasses
import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import tomli_w

from weighbridge.errors import ConfigError, did_you_mean
from weighbridge.settings.catalogue import NO_DOMAIN_LOSS, OF_METHOD, OWN_WEIGHTS, START_CHOSEN, MethodName


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings of one run; the defaults are the recipe that docs/defaults.md explains."""

    # What is trained
    method: MethodName = "iwdan-self-training"
    """By default what gained most here; weighted-dann is that of Osumi et al. (MVA 2019). All: see the README."""
    seed: int = 0
    """Fixes weights, order of images and augmentation."""
    backbone: str = "auto"
    """auto: small-batchnorm to 64 px, else resnet18. Or lenet, small, slim-batchnorm, any of torchvision, timm:NAME."""
    weights: str = "none"
    """Where the backbone starts: none (random), imagenet (downloads), or a file."""
    start: Literal["pre-classifier", "scratch"] = "pre-classifier"
    """mcc, dann-mcc, mean-teacher, the iwdan and self-training methods: from the pre-classifier, or as dann does."""

    # What it sees
    image_size: int = 32
    """Side of the square images in pixels."""
    channels: Literal[1, 3] = 3
    """1: grey, 3: colour."""
    fit: Literal["crop", "stretch", "pad"] = "crop"
    """How an oblong image becomes square."""
    crop: float = 0.0
    """Share of the side that images are decoded larger by, for random crops; 0.14 makes 255 pixels for 224."""
    cache: Literal["auto", "memory", "disk", "off"] = "auto"
    """Decoded images: in memory, in the cache folder, or not kept; auto: memory up to 1 GiB, else off."""
    strict: bool = False
    """Stop at images that cannot be used, instead of listing them and going on."""
    balance: Literal["none", "source", "class", "both"] = "none"
    """What every batch shows equally: the sources, the classes, or each class of each source."""
    normalisation: Literal["half", "imagenet", "per-image"] = "per-image"
    """Pixel scale of both domains; per-image: each to mean 0 and deviation 1; half: from -1 to 1."""
    batch_source: int = 64
    """B, source images per step."""
    batch_target: int = 64
    """B', target images per step."""
    held_out: float = 0.1
    """Share of the source kept out of training to measure source accuracy."""
    rotate: float = 0.0
    """Augmentation, both domains: degrees to either side."""
    shift: float = 0.0
    """Augmentation: share of the side."""
    zoom: float = 0.0
    """Augmentation: 0.2 draws factors from 1/1.2 to 1.2."""
    shear: float = 0.0
    """Augmentation: tangent of the angle."""
    flip: bool = False
    """Augmentation: mirror left-right."""
    brightness: float = 0.0
    """Augmentation: added to pixels in [0, 1]."""
    contrast: float = 0.0
    """Augmentation: 0.3 draws factors from 1/1.3 to 1.3."""
    noise: float = 0.0
    """Augmentation: largest standard deviation of pixel noise."""
    invert: float = 0.0
    """Augmentation: probability of a photographic negative."""
    strong_augmentation: float | None = None
    """Blur, shade, noise and a hole in what a student sees, 0 to 1; left out: 0.5 for self-training, 0 for all else."""

    # How it learns
    pre_steps: int = 1000
    """Steps of the pre-classifier; methods without one take pre_steps + steps, so that every method sees as much."""
    steps: int = 1000
    """Steps of adaptation."""
    learning_rate: float = 0.01
    """First learning rate of networks trained from the start."""
    fine_tune_rate: float | None = None
    """First rate from the pre-classifier on, not of adda and mean-teacher; 0.001: weighted-dann, 0.01: all others."""
    new_layer_multiplier: float | None = None
    """How many times faster a domain classifier beside it learns; left out: 10 for weighted-dann, 1 for all others."""
    momentum: float = 0.9
    """Of SGD."""
    weight_decay: float = 0.0
    """Of SGD."""
    clip_norm: float = 0.0
    """Largest gradient norm; 0 does not clip."""

    # The adversary
    schedule: Literal["default", "eq3", "constant"] = "default"
    """lambda over training; default: constant for weighted-dann, eq3 for all others with a domain classifier."""
    strength: float | None = None
    """lambda, or what eq. 3 rises to; left out: 0.1 for both iwdan methods, 1 for all others."""
    gamma: float = 10.0
    """How soon lambda of eq. 3 rises."""
    adda_rate: float = 0.0002
    """adda: learning rate of Adam for encoder and discriminator."""
    adda_discriminator_rate: float | None = None
    """adda: that of the discriminator, where the encoder is too fast for it; left out: adda_rate."""

    # The target's predictions
    mcc_weight: float = 1.0
    """mcc, dann-mcc, the iwdan and self-training methods: how much class confusion counts beside the label loss."""
    mcc_temperature: float = 2.5
    """mcc, dann-mcc, the iwdan and self-training methods: T that the target's logits are divided by."""
    mean_teacher_rate: float = 0.001
    """mean-teacher: learning rate of Adam for the student."""
    confidence_threshold: float = 0.968
    """mean-teacher and both self-trainings: probability above which the teacher is listened to."""
    consistency_weight: float = 3.0
    """mean-teacher: how much agreement with the teacher counts beside the label loss."""
    pseudo_label_weight: float = 1.0
    """Both self-trainings: how much the teacher's labels count beside the label loss."""
    class_balance_weight: float = 0.005
    """mean-teacher: how much equally frequent classes count within consistency; 0 where photos have them unequally."""

    # The instance weights
    weigh_labels: bool = False
    """Both iwdan: whether class ratios are in the label loss too, as in the code of their authors."""
    weighting: Literal["default", "none", "paper", "uniform", "permuted", "inverse", "normalised"] = "default"
    """Which rule makes w of P_a and P_t; default: paper for weighted-dann, none for the others."""
    p_a: Literal["stored", "per-step", "cross-fitted"] = "stored"
    """Of eq. 5. stored: once per image; per-step: on the step's pixels; cross-fitted: by networks that never saw it."""
    p_t: Literal["auto", "shared-features", "training-pass", "evaluation-pass"] = "auto"
    """Of eq. 5: how it is read; auto: by a pass of its own if G_f has batch norm or dropout, else from training's."""
    folds: int = 5
    """Of cross-fitting."""

    # The machine
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """auto takes a GPU if there is one."""
    processes: int = 1
    """Training processes; batches are shared among them."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """auto takes bf16 where it is measured to be faster."""
    channels_last: bool = True
    """Memory layout of images and convolutions."""
    fused: bool = True
    """Optimiser steps in one kernel."""
    keep_memory: bool = True
    """Freed memory stays with the process (glibc)."""
    log_every: int = 10
    """Steps between two lines of log.jsonl."""
    checkpoint_every: int = 0
    """Steps between two checkpoints; 0: a tenth of the steps."""

    def __post_init__(self) -> None:
        _check_values(self)

    @property
    def from_scratch(self) -> bool:
        """Whether training starts from random or published weights; otherwise it starts from the pre-classifier's."""
        chosen = self.method in START_CHOSEN and self.start == "scratch"
        return chosen or self.method in ("source-only", "dann")

    def of_method(self, name: str) -> float:
        """The setting of this name, one of `OF_METHOD`; where it is left out, that of the method."""
        given: float | None = getattr(self, name)
        if given is not None:
            return given
        for_all, for_some = OF_METHOD[name]
        return for_some.get(self.method, for_all)

    @property
    def network_name(self) -> str:
        """The backbone, `auto` resolved."""
        by_size = "small-batchnorm" if self.image_size <= 64 else "resnet18"
        return by_size if self.backbone == "auto" else self.backbone

    def settled(self) -> dict[str, Any]:
        """Every setting as a run folder has it: what is left out, and the network, whatever the default is later."""
        settings = dataclasses.asdict(self) | {"backbone": self.network_name}
        return settings | {name: self.of_method(name) for name in OF_METHOD}

    def read_by_the_method(self) -> dict[str, Any]:
        """`settled`, without the rates of fine-tuning where nothing is fine-tuned by them: two runs alike are equal."""
        unread = self.from_scratch or self.method in ("adda", "mean-teacher")
        rates = ("fine_tune_rate", "new_layer_multiplier") if unread else ()
        return {name: value for name, value in self.settled().items() if name not in rates}

    @property
    def total_steps(self) -> int:
        """Steps of this method's own training; from scratch it also does what others leave to the pre-classifier."""
        return self.steps + (self.pre_steps if self.from_scratch else 0)

    def replace(self, **changes: Any) -> "Config":
        """The same settings but for these."""
        return from_mapping({**dataclasses.asdict(self), **changes})


def from_mapping(values: Mapping[str, Any], *, where: str = "settings") -> Config:
    """Settings from a mapping; what is not given keeps its default.

    Raises:
        ConfigError: for a key that does not exist, with the nearest one, and for a value of the wrong kind.
    """
    known = [field.name for field in dataclasses.fields(Config)]
    for key in values:
        if key not in known:
            raise ConfigError(f"there is no setting '{key}' ({where}). {did_you_mean(key, known)}")
    return Config(**values)


def read_toml(path: Path) -> dict[str, Any]:
    """The keys of a TOML file.

    Raises:
        ConfigError: if the file is missing or is not TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"expected a configuration file at '{path}': {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"'{path}' is not valid TOML: {error}") from error


def read_run(path: Path) -> Config:
    """The settings of a run from the file in its folder.

    Runs now name their network. One that says `auto` is from before, when that was another network.
    """
    config = from_mapping(read_toml(path), where=str(path))
    before = "small" if config.image_size <= 64 else "vgg16"
    return config.replace(backbone=before) if config.backbone == "auto" else config


def write_toml(path: Path, values: Mapping[str, Any]) -> None:
    """Write keys as TOML, None left out."""
    path.write_text(tomli_w.dumps({k: v for k, v in values.items() if v is not None}), encoding="utf-8")


_AT_LEAST_ONE = ("image_size", "batch_source", "log_every", "processes")
_NOT_NEGATIVE = (
    *("seed", "steps", "pre_steps", "batch_target"),
    *("crop", "rotate", "shift", "zoom", "shear", "brightness", "contrast", "noise", "invert"),
    *("learning_rate", "fine_tune_rate", "new_layer_multiplier", "momentum", "weight_decay", "clip_norm"),
    *(
        "strength",
        "gamma",
        "adda_rate",
        "adda_discriminator_rate",
        "mcc_weight",
        "mean_teacher_rate",
        "checkpoint_every",
    ),
    *("consistency_weight", "class_balance_weight", "pseudo_label_weight"),
)


def _check_values(config: Config) -> None:
    hints = get_type_hints(Config)
    for field in dataclasses.fields(config):
        value, hint = getattr(config, field.name), hints[field.name]
        if get_origin(hint) is Literal:
            choices = get_args(hint)
            if value not in choices:
                hint_text = did_you_mean(str(value), map(str, choices))
                raise ConfigError(f"{field.name} cannot be '{value}'. {hint_text}")
            continue
        if value is None and type(None) in get_args(hint):
            continue
        kind = next((part for part in get_args(hint) if part is not type(None)), hint)
        if kind is float and isinstance(value, int) and not isinstance(value, bool):
            object.__setattr__(config, field.name, float(value))
        elif type(value) is not kind:
            raise ConfigError(f"{field.name} must be {kind.__name__}, got {value!r}")
        if kind is float and not math.isfinite(getattr(config, field.name)):
            raise ConfigError(f"{field.name} must be a number, got {value}")
    for name in _AT_LEAST_ONE:
        if getattr(config, name) < 1:
            raise ConfigError(f"{name} must be at least 1, got {getattr(config, name)}")
    for name in _NOT_NEGATIVE:
        if (getattr(config, name) or 0) < 0:
            raise ConfigError(f"{name} must not be negative, got {getattr(config, name)}")
    if config.invert > 1.0:
        raise ConfigError(f"invert is a probability in [0, 1], got {config.invert}")
    if not 0.0 <= (config.strong_augmentation or 0.0) <= 1.0:
        raise ConfigError(f"strong_augmentation lies in [0, 1], got {config.strong_augmentation}")
    if not 0.0 <= config.held_out < 1.0:
        raise ConfigError(f"held_out is a share of the source in [0, 1), got {config.held_out}")
    if config.total_steps < 1:
        raise ConfigError(
            f"{config.method} needs at least 1 step, got pre_steps={config.pre_steps}, steps={config.steps}"
        )
    if config.pre_steps < 1 and (not config.from_scratch or config.weighting not in ("default", "none")):
        raise ConfigError(f"{config.method} starts from a pre-classifier: pre_steps must be at least 1, got 0")
    if config.folds < 2:
        raise ConfigError(f"cross-fitting needs folds of at least 2, got {config.folds}")
    if config.method == "weighted-dann" and config.weighting == "none":
        raise ConfigError("weighted-dann needs a weighting; for no weights say weighting = 'uniform'")
    if config.method in NO_DOMAIN_LOSS and config.weighting not in ("default", "none"):
        raise ConfigError(f"{config.method} has no domain loss to weight, got weighting = '{config.weighting}'")
    if config.method in OWN_WEIGHTS and config.weighting not in ("default", "none"):
        raise ConfigError(
            f"{config.method} has weights of its own, got weighting = '{config.weighting}'; leave it out, "
            f"or take method = 'weighted-dann' (in a comparison: --methods weighted-dann:{config.weighting})"
        )
    if not 0.0 <= config.confidence_threshold <= 1.0:
        raise ConfigError(f"confidence_threshold is a probability in [0, 1], got {config.confidence_threshold}")
    if config.mcc_temperature <= 0.0:
        raise ConfigError(f"mcc_temperature divides logits: it must be above 0, got {config.mcc_temperature}")
    if config.method != "source-only" and config.batch_target < 1:
        raise ConfigError(f"{config.method} looks at target images: batch_target must be at least 1, got 0")
    if config.batch_source % config.processes or config.batch_target % config.processes:
        raise ConfigError(
            f"batch_source and batch_target must divide among {config.processes} processes, "
            f"got {config.batch_source} and {config.batch_target}"
        )
