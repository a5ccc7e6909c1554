"""Every setting of a run in one visible block, section by section.

The same names are keys in a TOML file, options on the command line (`--image-size`) and arguments of
`weighbridge.adapt`. Each setting says what reads it first, its range, and which methods read it.
"""

__all__ = [
    "SETTINGS",
    "Config",
    "Readers",
    "Setting",
    "Stage",
    "at_some_size",
    "from_mapping",
    "read_run",
    "read_toml",
    "write_toml",
]

import copy
import dataclasses
import math
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args, get_origin, get_type_hints

import tomli_w

from weighbridge.errors import ConfigError, did_you_mean
from weighbridge.parts import lite0
from weighbridge.settings.catalogue import CATALOGUE, DEFAULT_METHOD, METHODS, MethodEntry, Part

if TYPE_CHECKING:
    MethodName = str
else:
    MethodName = Literal[METHODS]

Stage = Literal["workplace", "pre-classifier", "adaptation"]
"""What reads a setting first, in this order: opening data and machine, training the pre-classifier, or adapting.

Runs that agree in all settings of a stage, and of those before it, share what it makes. `Config.upto` holds them to it:
a stage never sees the settings of a later one.
"""
_STAGES: tuple[str, ...] = get_args(Stage)


@dataclass(frozen=True)
class Readers:
    """Who reads a setting.

    Attributes:
        words: such as "methods with a teacher"; "" for all.
        read: whether training with these settings looks at it.
    """

    words: str
    read: Callable[["Config"], bool]


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What a setting says of itself.

    Attributes:
        stage: see `Stage`.
        low, high: the range, ends included; None where it has no end.
        above, below: an end that is not included.
        otherwise: what it is where it is left out and its method has no default of its own.
        readers: who reads it.
    """

    stage: Stage
    low: float | None = None
    high: float | None = None
    above: float | None = None
    below: float | None = None
    otherwise: float | str | None = None
    readers: Readers = Readers("", lambda config: True)

    @property
    def range(self) -> str:
        """Such as "at least 0", "in [0, 1)"; "" where any value of its kind will do."""
        left, right = (
            self.low if self.low is not None else self.above,
            self.high if self.high is not None else self.below,
        )
        if left is not None and right is not None:
            edges = "[" if self.low is not None else "(", "]" if self.high is not None else ")"
            return f"in {edges[0]}{left:g}, {right:g}{edges[1]}"
        return f"at least {self.low:g}" if self.low is not None else f"above {left:g}" if left is not None else ""

    def holds(self, value: float) -> bool:
        """Whether a value is in the range."""
        return (
            (self.low is None or value >= self.low)
            and (self.high is None or value <= self.high)
            and (self.above is None or value > self.above)
            and (self.below is None or value < self.below)
        )


_SMALL = 64  # px: up to here images have a small network, which learns from random numbers
_OF_PHOTOS = 160  # px
_COUNTED = {"pre_steps": "pre_epochs", "steps": "epochs"}


def _counts_steps(epochs: str) -> Callable[["Config"], bool]:
    return lambda config: getattr(config, epochs) is None


def _has(words: str, *parts: Part) -> Readers:
    return Readers(words, lambda config: config.entry.has.issuperset(parts))


def _method(name: str) -> Readers:
    return Readers(name, lambda config: config.method == name)


def _has_new_layers(config: "Config") -> bool:
    """Whether layers that start from random numbers learn by SGD beside others that do not."""
    published = config.weights_name != "none" and not config.features_first
    beside_others = published if config.from_scratch else "domain loss" in config.entry.has
    return config.entry.optimizer == "sgd" and beside_others


def _fine_tuned(config: "Config") -> bool:
    return config.entry.optimizer == "sgd" and not config.from_scratch


def _balances(config: "Config") -> bool:
    """Whether every class has a threshold of its own."""
    return "pseudo-labels" in config.entry.has and config.selection == "class-balanced"


def _weighable(config: "Config") -> bool:
    return "domain loss" in config.entry.has and "class ratios" not in config.entry.has


def _by_sgd(config: "Config") -> bool:
    """Whether anything trains at the rates that all methods share; a pre-classifier does."""
    return config.entry.optimizer == "sgd" or not config.from_scratch


_SGD = Readers("whatever trains by SGD or AdamW", _by_sgd)
_MOMENTUM = Readers("whatever trains by SGD", lambda config: _by_sgd(config) and config.optimizer == "sgd")
_FINE_TUNED = Readers("methods that fine-tune by SGD or AdamW", _fine_tuned)
_STRONG = Readers("all, unless strong_augmentation is 0", lambda config: config.strong_augmentation > 0)
_TARGET = _has("methods that see photos", "target")
_REVERSAL = _has("methods with a reversal layer", "reversal")
_LABELS = _has("methods with pseudo-labels", "pseudo-labels")
_AVERAGED = Readers(
    "methods with a teacher and source-only, whose running mean is a control",
    lambda config: "teacher" in config.entry.has or config.method in ("source-only", "source-only-ema"),
)
_CONFUSION = _has("methods with class confusion", "class confusion")
_WITH_A_WEIGHT = ("dann", "cdan", "cdan-e", "cdan-mcc", "cdan-e-mcc")  # of the domain loss
_WEIGHTING = Readers("methods that take a weighting, if one is set", lambda config: config.weighting_name is not None)
_TUNED = Readers("training = 'fine-tune'", lambda config: config.fine_tunes)


# Settings in sections, first what people set first. A section is a class, its docstring the heading that `--help` and
# docs/guides/settings.md give it.


@dataclass(frozen=True, kw_only=True)
class _First:
    """Main settings"""

    method: Annotated[MethodName, Setting(stage="adaptation")] = DEFAULT_METHOD
    """Adaptation method. weighted-dann is the method of Osumi et al. (MVA 2019)."""
    image_size: Annotated[int, Setting(stage="workplace", low=1)] = 32
    """Side of the square images in pixels."""
    channels: Annotated[Literal[1, 3], Setting(stage="workplace")] = 3
    """Colour channels. 1: grey. 3: colour."""
    backbone: Annotated[str, Setting(stage="workplace")] = "auto"
    """auto: small-batchnorm up to 64 px, else efficientnet-lite0. Or lenet, small, one of torchvision, timm:X."""
    weights: Annotated[str, Setting(stage="workplace")] = "auto"
    """Initial weights. auto: published for efficientnet-lite0, else random. none, imagenet, or the path of a file."""
    training: Annotated[Literal["auto", "features", "fine-tune", "full"], Setting(stage="workplace")] = "auto"
    """features: a frozen backbone. fine-tune: that, then all. full: all. auto: features with published weights."""
    views: Annotated[
        int,
        Setting(
            stage="pre-classifier",
            low=0,
            readers=Readers("training on features", lambda config: config.features_first),
        ),
    ] = 4
    """Number of augmented views of every image. Their features are computed once, with those of the plain image."""
    restarts: Annotated[
        int,
        Setting(
            stage="adaptation",
            low=1,
            readers=Readers("methods that see photos, in training on features", lambda config: config.may_restart),
        ),
    ] = 3
    """Number of trainings from different random numbers. One is kept, by a score that needs no labels of photos."""
    pre_steps: Annotated[
        int,
        Setting(
            stage="pre-classifier", low=0, readers=Readers("all, unless pre_epochs is set", _counts_steps("pre_epochs"))
        ),
    ] = 1000
    """Training steps of the pre-classifier. Methods without a pre-classifier train for pre_steps + steps."""
    steps: Annotated[
        int,
        Setting(stage="adaptation", low=0, readers=Readers("all, unless epochs is set", _counts_steps("epochs"))),
    ] = 1000
    """Training steps of the adaptation."""
    pre_epochs: Annotated[float | None, Setting(stage="pre-classifier", above=0)] = None
    """Length of the pre-classifier's training in passes over the source. Default: pre_steps."""
    epochs: Annotated[float | None, Setting(stage="adaptation", above=0)] = None
    """Length of the adaptation in passes over the source. Default: steps."""
    learning_rate: Annotated[float, Setting(stage="pre-classifier", low=0, readers=_SGD)] = 0.01
    """Initial learning rate of networks trained from scratch, such as the pre-classifier."""
    seed: Annotated[int, Setting(stage="pre-classifier", low=0)] = 0
    """Random seed of initial weights, order of images and augmentation."""
    device: Annotated[Literal["auto", "cpu", "cuda"], Setting(stage="workplace")] = "auto"
    """Where to train. auto: on a GPU if there is one."""


@dataclass(frozen=True, kw_only=True)
class _Images:
    """Images"""

    fit: Annotated[Literal["crop", "stretch", "pad"], Setting(stage="workplace")] = "crop"
    """How an oblong image becomes square. crop: take the middle. stretch: squeeze. pad: add a border."""
    crop: Annotated[float, Setting(stage="workplace", low=0)] = 0.0
    """Additional share of the side, for random crops. 0.14 decodes 255 pixels for images of 224."""
    normalisation: Annotated[Literal["auto", "half", "imagenet", "per-image"], Setting(stage="workplace")] = "auto"
    """Pixel scale. auto: as the weights were trained, else per-image. per-image: mean 0, deviation 1. half: -1 to 1."""
    held_out: Annotated[float, Setting(stage="workplace", low=0, below=1)] = 0.1
    """Share of the source held out of training to measure source accuracy."""
    cache: Annotated[Literal["auto", "memory", "disk", "off"], Setting(stage="workplace")] = "auto"
    """Where decoded images are kept. disk: in the cache folder. off: nowhere. auto: memory up to 1 GiB, else off."""
    strict: Annotated[bool, Setting(stage="workplace")] = False
    """Stop if an image cannot be used, instead of leaving it out."""


@dataclass(frozen=True, kw_only=True)
class _Batches:
    """Batches"""

    batch_source: Annotated[int, Setting(stage="pre-classifier", low=1)] = 64
    """Source images per step (B)."""
    batch_target: Annotated[int, Setting(stage="pre-classifier", low=0, readers=_TARGET)] = 64
    """Target images per step (B')."""
    balance: Annotated[Literal["none", "source", "class", "both"], Setting(stage="pre-classifier")] = "none"
    """What every batch shows equally often. both: every class of every source."""


@dataclass(frozen=True, kw_only=True)
class _Augmentation:
    """Augmentation"""

    rotate: Annotated[float, Setting(stage="pre-classifier", low=0)] = 0.0
    """Largest rotation in either direction, in degrees."""
    shift: Annotated[float, Setting(stage="pre-classifier", low=0)] = 0.0
    """Largest shift, as a share of the side."""
    zoom: Annotated[float, Setting(stage="pre-classifier", low=0)] = 0.0
    """Largest zoom. 0.2 draws factors from 1/1.2 to 1.2."""
    shear: Annotated[float, Setting(stage="pre-classifier", low=0)] = 0.0
    """Largest shear, as the tangent of its angle."""
    flip: Annotated[bool, Setting(stage="pre-classifier")] = False
    """Mirror half of the images left to right."""
    resized_crop: Annotated[float, Setting(stage="pre-classifier", low=0, high=1)] = 0.0
    """Smallest share of the area that a random crop keeps before it is resized, such as 0.7. 0 or 1: no crops."""
    jitter: Annotated[float, Setting(stage="pre-classifier", low=0, high=1)] = 0.0
    """Largest change of brightness, contrast and saturation, and of hue a quarter of it, as torchvision has them."""
    brightness: Annotated[float, Setting(stage="pre-classifier", low=0)] = 0.0
    """Largest change of brightness, for pixels in [0, 1]."""
    contrast: Annotated[float, Setting(stage="pre-classifier", low=0)] = 0.0
    """Largest change of contrast. 0.3 draws factors from 1/1.3 to 1.3."""
    noise: Annotated[float, Setting(stage="pre-classifier", low=0)] = 0.0
    """Largest standard deviation of pixel noise, for pixels in [0, 1]."""
    invert: Annotated[float, Setting(stage="pre-classifier", low=0, high=1)] = 0.0
    """Probability of turning an image into its negative."""
    grey: Annotated[float, Setting(stage="pre-classifier", low=0, high=1)] = 0.0
    """Probability of taking the colour from an image."""
    strong_augmentation: Annotated[float, Setting(stage="pre-classifier", low=0, high=1)] = 0.5
    """Strength of what strong_kind does to the training images. A teacher sees its photos without it."""
    strong_kind: Annotated[Literal["camera", "augmix"], Setting(stage="pre-classifier", readers=_STRONG)] = "camera"
    """camera: blur, shade, noise and a hole. augmix: mixed chains of operations; severity 3 is strength 0.3."""


@dataclass(frozen=True, kw_only=True)
class _Optimisation:
    """Optimisation"""

    start: Annotated[
        Literal["pre-classifier", "scratch"],
        Setting(
            stage="adaptation",
            readers=Readers("methods that can start either way", lambda config: config.entry.start == "either"),
        ),
    ] = "pre-classifier"
    """Weights that adaptation starts from. scratch: initial weights, as dann does."""
    fine_tune_rate: Annotated[float | None, Setting(stage="adaptation", low=0, otherwise=0.01, readers=_FINE_TUNED)] = (
        None
    )
    """Initial learning rate when starting from the pre-classifier."""
    new_layer_multiplier: Annotated[
        float | None,
        Setting(
            stage="adaptation",
            low=0,
            otherwise=1.0,
            readers=Readers(
                "methods that fine-tune beside a domain classifier, or start from published weights",
                _has_new_layers,
            ),
        ),
    ] = None
    """Learning rate of new layers, as a multiple of the others'. With published weights the label head is new too."""
    optimizer: Annotated[Literal["sgd", "adamw"], Setting(stage="pre-classifier", readers=_SGD)] = "sgd"
    """Optimiser of all that does not train by Adam. adamw wants learning rates of 0.001 or less."""
    rate_schedule: Annotated[Literal["dann", "cosine"], Setting(stage="pre-classifier", readers=_SGD)] = "dann"
    """How learning rates fall. dann: (1 + 10 p)^-0.75 at progress p, to 17 %. cosine: to 0 along half a cosine."""
    warmup: Annotated[float, Setting(stage="pre-classifier", low=0, below=1, readers=_SGD)] = 0.0
    """Share of the steps in which learning rates rise from 0, before they fall by rate_schedule."""
    layer_decay: Annotated[float, Setting(stage="pre-classifier", above=0, high=1, readers=_SGD)] = 1.0
    """Learning rate of each stage of the backbone, as a multiple of the next stage's. 1: all the same."""
    momentum: Annotated[float, Setting(stage="pre-classifier", low=0, readers=_MOMENTUM)] = 0.9
    """Momentum of SGD."""
    nesterov: Annotated[bool, Setting(stage="pre-classifier", readers=_MOMENTUM)] = False
    """Use Nesterov's form of the momentum."""
    rate_decay: Annotated[
        float,
        Setting(
            stage="pre-classifier",
            low=0,
            readers=Readers(
                "whatever trains by SGD or AdamW, if rate_schedule = 'dann'",
                lambda config: _by_sgd(config) and config.rate_schedule == "dann",
            ),
        ),
    ] = 10.0
    """alpha of the factor (1 + alpha p)^-0.75 on the learning rate, p from 0 to 1. 0: a constant rate."""
    weight_decay: Annotated[float, Setting(stage="pre-classifier", low=0, readers=_SGD)] = 0.0
    """Weight decay. With adamw it leaves out biases and norm layers."""
    batch_norm: Annotated[Literal["train", "frozen"], Setting(stage="pre-classifier")] = "train"
    """frozen: batch norm keeps the mean and variance of published weights. Its scales and shifts still learn."""
    clip_norm: Annotated[float, Setting(stage="pre-classifier", low=0)] = 0.0
    """Largest gradient norm; longer gradients are shortened to it. 0: no clipping."""


@dataclass(frozen=True, kw_only=True)
class _Tuning:
    """Fine-tuning after training on features"""

    tune_epochs: Annotated[
        float,
        Setting(
            stage="adaptation",
            above=0,
            readers=Readers(
                "training = 'fine-tune', unless tune_steps is set",
                lambda config: config.fine_tunes and not config.tune_steps,
            ),
        ),
    ] = 3.0
    """Length of fine-tuning in passes over the source."""
    tune_steps: Annotated[int, Setting(stage="adaptation", low=0, readers=_TUNED)] = 0
    """Length of fine-tuning in steps. 0: tune_epochs."""
    tune_rate: Annotated[float, Setting(stage="adaptation", low=0, readers=_TUNED)] = 1e-5
    """Initial learning rate of fine-tuning, of the last layers."""
    tune_layer_decay: Annotated[float, Setting(stage="adaptation", above=0, high=1, readers=_TUNED)] = 0.7
    """layer_decay of fine-tuning: earlier stages of the backbone learn at lower rates. 1: all the same."""


@dataclass(frozen=True, kw_only=True)
class _Adversary:
    """The adversary"""

    strength: Annotated[float | None, Setting(stage="adaptation", low=0, otherwise=1.0, readers=_REVERSAL)] = None
    """lambda of the reversal layer, or its final value if it rises by eq. 3."""
    schedule: Annotated[
        Literal["default", "eq3", "constant"], Setting(stage="adaptation", otherwise="eq3", readers=_REVERSAL)
    ] = "default"
    """lambda over training. constant: strength. eq3: rises from 0 to strength by eq. 3."""
    gamma: Annotated[
        float,
        Setting(
            stage="adaptation",
            low=0,
            readers=Readers(
                "methods with a reversal layer, if lambda rises by eq. 3",
                lambda config: "reversal" in config.entry.has and config.schedule_name == "eq3",
            ),
        ),
    ] = 10.0
    """How fast lambda rises by eq. 3."""
    domain_loss_weight: Annotated[
        float,
        Setting(
            stage="adaptation",
            low=0,
            readers=Readers("dann and the CDAN methods", lambda config: config.method in _WITH_A_WEIGHT),
        ),
    ] = 1.0
    """Weight of the domain loss, for domain classifier and features alike. The label loss has weight 1."""
    domain_dropout: Annotated[
        float,
        Setting(stage="adaptation", low=0, below=1, readers=_has("methods with a domain classifier", "domain loss")),
    ] = 0.0
    """Dropout between the layers of the domain classifier."""
    adda_rate: Annotated[float, Setting(stage="adaptation", low=0, readers=_method("adda"))] = 0.0002
    """Learning rate of Adam for the encoder and the discriminator."""
    adda_discriminator_rate: Annotated[float | None, Setting(stage="adaptation", low=0, readers=_method("adda"))] = None
    """Learning rate of Adam for the discriminator alone. Default: adda_rate."""


@dataclass(frozen=True, kw_only=True)
class _Predictions:
    """Class confusion, teacher and pseudo-labels"""

    mcc_weight: Annotated[float, Setting(stage="adaptation", low=0, readers=_CONFUSION)] = 1.0
    """Weight of the class-confusion loss. The label loss has weight 1."""
    mcc_temperature: Annotated[float, Setting(stage="adaptation", above=0, readers=_CONFUSION)] = 2.5
    """Temperature T of the class-confusion loss. It divides the target's logits."""
    selection: Annotated[Literal["threshold", "class-balanced"], Setting(stage="adaptation", readers=_LABELS)] = (
        "threshold"
    )
    """Labels to learn. threshold: above confidence_threshold. class-balanced: above a threshold of each class."""
    confidence_threshold: Annotated[
        float,
        Setting(
            stage="adaptation",
            low=0,
            high=1,
            readers=Readers(
                "methods with a teacher, unless selection = 'class-balanced'",
                lambda config: "teacher" in config.entry.has and not _balances(config),
            ),
        ),
    ] = 0.968
    """Probability above which the teacher's class for a photo is used."""
    pseudo_label_weight: Annotated[float, Setting(stage="adaptation", low=0, readers=_LABELS)] = 1.0
    """Weight of the loss on the teacher's labels. The label loss has weight 1."""
    ema_decay: Annotated[float, Setting(stage="adaptation", low=0, high=1, readers=_AVERAGED)] = 0.99
    """Share of the running mean of the weights (EMA) that a step leaves as it was."""
    mean_teacher_rate: Annotated[float, Setting(stage="adaptation", low=0, readers=_method("mean-teacher"))] = 0.001
    """Learning rate of Adam for the student."""
    consistency_weight: Annotated[float, Setting(stage="adaptation", low=0, readers=_method("mean-teacher"))] = 3.0
    """Weight of the loss between student and teacher. The label loss has weight 1."""
    class_balance_weight: Annotated[float, Setting(stage="adaptation", low=0, readers=_method("mean-teacher"))] = 0.005
    """Weight of the class-balance loss, times consistency_weight. Set 0 if the photos' classes are unequal."""


@dataclass(frozen=True, kw_only=True)
class _Weights:
    """Instance weights"""

    weighting: Annotated[
        Literal["default", "none", "paper", "uniform", "permuted", "inverse", "normalised"],
        Setting(
            stage="adaptation",
            otherwise="none",
            readers=Readers("methods with a domain classifier and without weights of their own", _weighable),
        ),
    ] = "default"
    """Rule that computes the weight w from P_a and P_t. paper: eq. 5. uniform: w = 1. none: no weights."""
    p_a: Annotated[
        Literal["stored", "per-step", "cross-fitted"],
        Setting(stage="adaptation", readers=_WEIGHTING),
    ] = "stored"
    """How P_a is computed. stored: once. per-step: on each step's pixels. cross-fitted: by networks of other folds."""
    p_t: Annotated[
        Literal["auto", "shared-features", "training-pass", "evaluation-pass"],
        Setting(stage="adaptation", readers=_WEIGHTING),
    ] = "auto"
    """How P_t is computed. auto: a separate forward pass if the network has batch norm or dropout."""
    folds: Annotated[
        int,
        Setting(
            stage="pre-classifier",
            low=2,
            readers=Readers(
                "methods that take a weighting, if p_a = 'cross-fitted'",
                lambda config: config.weighting_name is not None and config.p_a == "cross-fitted",
            ),
        ),
    ] = 5
    """Number of folds of cross-fitting."""
    weigh_labels: Annotated[
        bool, Setting(stage="adaptation", readers=_has("methods with class ratios", "class ratios"))
    ] = False
    """Apply the class ratios to the label loss too, as in the code of IWDAN's authors."""


@dataclass(frozen=True, kw_only=True)
class _Machine:
    """The machine"""

    processes: Annotated[int, Setting(stage="workplace", low=1)] = 1
    """Number of training processes. They share every batch."""
    precision: Annotated[Literal["auto", "fp32", "bf16"], Setting(stage="workplace")] = "auto"
    """Number format. auto: bf16 if the processor is made for it or is measured to be faster with it, else fp32."""
    threads: Annotated[int, Setting(stage="workplace", low=0)] = 0
    """Threads of each training process. 0: one or all of its CPUs, whichever is measured to be faster at the start."""
    channels_last: Annotated[bool, Setting(stage="workplace")] = True
    """Use the channels-last memory layout for images and convolutions."""
    keep_memory: Annotated[bool, Setting(stage="workplace")] = True
    """Keep freed memory in the process (glibc only)."""
    fused: Annotated[bool, Setting(stage="pre-classifier")] = True
    """Run each optimiser step as one kernel."""
    log_every: Annotated[int, Setting(stage="pre-classifier", low=1)] = 10
    """Steps between two lines of log.jsonl."""
    checkpoint_every: Annotated[int, Setting(stage="pre-classifier", low=0)] = 0
    """Steps between two checkpoints. 0: a tenth of the steps."""


@dataclass(frozen=True, kw_only=True)
class Config(  # dataclasses take the fields of the last base first
    _Machine, _Weights, _Predictions, _Adversary, _Tuning, _Optimisation, _Augmentation, _Batches, _Images, _First
):
    """Settings of one run. docs/defaults.md says how the defaults were chosen."""

    def __post_init__(self) -> None:
        _check_kinds(self)
        _check_ranges(self)
        _check_together(self)

    @property
    def entry(self) -> MethodEntry:
        """The method's entry in the catalogue."""
        return CATALOGUE[self.method]

    @property
    def from_scratch(self) -> bool:
        """Whether training starts from random or published weights; otherwise it starts from the pre-classifier's."""
        start = self.entry.start
        return start in ("scratch", "source-only") or (start == "either" and self.start == "scratch")

    def of_method(self, name: str) -> float:
        """A setting that may be left out: as it was given, else as the method has it, else as all have it."""
        return float(self._chosen(name))

    @property
    def schedule_name(self) -> str:
        """How lambda goes, `default` resolved."""
        return str(self._chosen("schedule"))

    @property
    def weighting_name(self) -> str | None:
        """The rule that makes w of P_a and P_t, `default` resolved; None for no weights."""
        name = str(self._chosen("weighting"))
        return None if name == "none" else name

    @property
    def weighs_images(self) -> bool:
        """Whether every source image has a weight in the domain loss, by a rule or by the method itself."""
        return "class ratios" in self.entry.has or self.weighting_name is not None

    def _chosen(self, name: str) -> float | str:
        given: float | str | None = getattr(self, name)
        if given is not None and given != "default":
            return given
        otherwise = SETTINGS[name].otherwise
        assert otherwise is not None, f"{name} cannot be left out"
        return self.entry.defaults.get(name, otherwise)

    @property
    def network_name(self) -> str:
        """The backbone, `auto` resolved."""
        if self.backbone != "auto":
            return self.backbone
        if self.image_size <= _SMALL and self.training not in ("features", "fine-tune"):  # these ask for weights
            return "small-batchnorm"
        return lite0.LITE0 if self.weights in ("auto", "imagenet") and lite0.installed() else "resnet18"

    @property
    def weights_name(self) -> str:
        """The initial weights, `auto` resolved."""
        by_network = "imagenet" if self.network_name == lite0.LITE0 else "none"
        return by_network if self.weights == "auto" else self.weights

    @property
    def normalisation_name(self) -> str:
        """The pixel scale, `auto` resolved where the start is random; `auto` for that of published weights."""
        random = self.normalisation == "auto" and self.weights_name == "none"
        return "per-image" if random else self.normalisation

    @property
    def from_random_numbers(self) -> bool:
        """Whether a network for photos starts from random numbers although nobody asked for it."""
        return self.weights == "auto" and self.weights_name == "none" and self.image_size > _SMALL

    @property
    def training_name(self) -> str:
        """What learns, `auto` resolved."""
        published = "full" if self.weights_name == "none" else "features"
        return published if self.training == "auto" else self.training

    @property
    def on_features(self) -> bool:
        """Whether the backbone is frozen, so that training sees features in the place of images."""
        return self.training_name == "features"

    @property
    def fine_tunes(self) -> bool:
        """Whether the whole network learns after a run on features."""
        return self.training_name == "fine-tune"

    @property
    def features_first(self) -> bool:
        """Whether a run on features is all, or the first stage."""
        return self.on_features or self.fine_tunes

    @property
    def may_restart(self) -> bool:
        """Whether a run may be the best of several: where a training takes seconds, and photos can judge it."""
        return self.features_first and "target" in self.entry.has

    def settled(self) -> dict[str, Any]:
        """Every setting as a run folder has it: what is left out, and the network, whatever the default is later."""
        settings = dataclasses.asdict(self) | self._resolved()
        return settings | {name: self.of_method(name) for name in _LEFT_OUT}

    def _resolved(self) -> dict[str, Any]:
        """What `auto` stands for where that may change: with the size, the packages installed, a later default."""
        return {
            "backbone": self.network_name,
            "weights": self.weights_name,
            "normalisation": self.normalisation_name,
            "training": self.training_name,
        }

    def read_settings(self) -> dict[str, Any]:
        """`settled`, without what training never looks at: two runs alike are equal."""
        return {name: value for name, value in self.settled().items() if SETTINGS[name].readers.read(self)}

    def given(self) -> tuple[str, ...]:
        """Settings that are not what this method has by default."""
        usual = Config(method=self.method).settled()
        return tuple(name for name, value in self.settled().items() if value != usual[name] and name != "method")

    def unread(self) -> tuple[str, ...]:
        """Settings that were set, and that training never looks at; not steps that stand for epochs."""
        counted = {steps for steps, epochs in _COUNTED.items() if getattr(self, epochs) is not None}
        return tuple(name for name in self.given() if not SETTINGS[name].readers.read(self) and name not in counted)

    def upto(self, stage: Stage) -> "Config":
        """Settings as this stage may see them: those of later stages are as if nobody had set them.

        Whatever is made of it can be shared by runs for which it is equal, even if a setting is put down for too late a
        stage: such a setting then has no effect there, instead of one on somebody else's run.
        """
        seen = copy.copy(self)  # unchecked: a mix that nobody trains with
        for name, setting in SETTINGS.items():
            if _STAGES.index(setting.stage) > _STAGES.index(stage):
                object.__setattr__(seen, name, _DEFAULTS[name])
        for name, value in self._resolved().items():  # whether or not it was left to the size
            object.__setattr__(seen, name, value)
        if self.fine_tunes and stage != "adaptation":
            object.__setattr__(seen, "training", "features")
        return seen

    @property
    def total_steps(self) -> int:
        """Steps of this method's own training; from scratch it also does what others leave to the pre-classifier."""
        return self.steps + (self.pre_steps if self.from_scratch else 0)

    def lasting(self, source_images: int) -> "Config":
        """The same settings, with steps for what is given in epochs.

        Args:
            source_images: that are trained on, without those held out.
        """
        changes = {
            steps: max(1, round(passes * source_images / self.batch_source))
            for steps, epochs in _COUNTED.items()
            if (passes := getattr(self, epochs)) is not None
        }
        return self.replace(**changes)

    def replace(self, **changes: Any) -> "Config":
        """The same settings but for these."""
        return from_mapping({**dataclasses.asdict(self), **changes})


_NOTED = get_type_hints(Config, include_extras=True)  # name -> Annotated[type, Setting]
_HINTS = {name: get_args(noted)[0] for name, noted in _NOTED.items()}
SETTINGS: dict[str, Setting] = {
    name: next(note for note in get_args(noted) if isinstance(note, Setting)) for name, noted in _NOTED.items()
}
_DEFAULTS = {field.name: field.default for field in dataclasses.fields(Config)}
# Numbers that may be left out. `schedule` and `weighting` stay "default" in a run folder.
_LEFT_OUT = tuple(name for name, setting in SETTINGS.items() if isinstance(setting.otherwise, float))


def from_mapping(values: Mapping[str, Any], *, where: str = "settings") -> Config:
    """Settings from a mapping; what is not given keeps its default.

    Raises:
        ConfigError: for a key that does not exist, with the nearest one, and for a value of the wrong kind.
    """
    for key in values:
        if key not in SETTINGS:
            raise ConfigError(f"there is no setting '{key}' ({where}). {did_you_mean(key, SETTINGS)}")
    return Config(**values)


def at_some_size(given: Mapping[str, Any]) -> Config:
    """Settings that may still get their image size: at the default, or at that of photos where only this can work.

    Raises:
        ConfigError: as `from_mapping`, if neither can.
    """
    try:
        return from_mapping(given)
    except ConfigError:
        if "image_size" in given or not given.keys() <= SETTINGS.keys():
            raise
        try:
            return from_mapping({**given, "image_size": _OF_PHOTOS})
        except ConfigError:
            pass
        raise


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

    Runs name their network. One that says `auto` is from before they did, when that was another network. One that does
    not say what learned is from before features, when all layers did.
    """
    config = from_mapping({"training": "full"} | read_toml(path), where=str(path))
    before = "small" if config.image_size <= 64 else "vgg16"
    return config.replace(backbone=before) if config.backbone == "auto" else config


def write_toml(path: Path, values: Mapping[str, Any]) -> None:
    """Write keys as TOML, None left out."""
    path.write_text(tomli_w.dumps({k: v for k, v in values.items() if v is not None}), encoding="utf-8")


_KINDS = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}


def _check_kinds(config: Config) -> None:
    for name, hint in _HINTS.items():
        value = getattr(config, name)
        if get_origin(hint) is Literal:
            choices = get_args(hint)
            if value not in choices:
                raise ConfigError(f"{name} cannot be '{value}'. {did_you_mean(str(value), map(str, choices))}")
            continue
        if value is None and type(None) in get_args(hint):
            continue
        kind = next((part for part in get_args(hint) if part is not type(None)), hint)
        if kind is float and isinstance(value, int) and not isinstance(value, bool):
            object.__setattr__(config, name, float(value))
        elif type(value) is not kind:
            raise ConfigError(f"{name} must be {_KINDS[kind]}, got {value!r}")
        if kind is float and not math.isfinite(getattr(config, name)):
            raise ConfigError(f"{name} must be a finite number, got {value}")


def _check_ranges(config: Config) -> None:
    for name, setting in SETTINGS.items():
        value = getattr(config, name)
        if setting.range and value is not None and not setting.holds(value):
            raise ConfigError(f"{name} must be {setting.range}, got {value}")


def _check_together(config: Config) -> None:
    """What one setting asks of another."""
    method, weighting, has = config.method, config.weighting, config.entry.has
    weighted = weighting not in ("default", "none")
    if config.total_steps < 1 and config.pre_epochs is None and config.epochs is None:
        raise ConfigError(f"{method} needs at least 1 step, got pre_steps={config.pre_steps}, steps={config.steps}")
    if config.features_first and config.weights_name == "none":
        raise ConfigError(
            f"training = '{config.training_name}' needs published weights: features of random numbers tell nothing, "
            f"and {config.network_name} starts from those. Set weights, another backbone, or training = 'full'"
        )
    if config.channels == 1 and config.normalisation == "imagenet":
        raise ConfigError(
            "normalisation = 'imagenet' is for colour images, got channels = 1. "
            "Set normalisation = 'half' or 'per-image', or channels = 3"
        )
    if config.batch_norm == "frozen" and config.weights_name == "none":
        raise ConfigError(
            "batch_norm = 'frozen' keeps the statistics of published weights, got weights = 'none'. "
            "Set weights, or leave batch_norm out"
        )
    if config.pre_steps < 1 and config.pre_epochs is None and (not config.from_scratch or weighted):
        raise ConfigError(f"{method} needs a pre-classifier: pre_steps must be at least 1, got 0")
    if method == "source-only-ema" and config.steps < 1 and config.epochs is None:
        raise ConfigError("source-only-ema needs a running mean over the last steps: steps must be at least 1, got 0")
    if weighting == "none" and config.entry.defaults.get("weighting"):
        raise ConfigError(
            f"{method} needs a weighting, got 'none'. Set weighting = 'uniform' to give all images the weight 1"
        )
    if weighted and "domain loss" not in has:
        raise ConfigError(f"{method} has no domain loss to weight, got weighting = '{weighting}'. Leave it out")
    if weighted and "class ratios" in has:
        raise ConfigError(
            f"{method} has weights of its own, got weighting = '{weighting}'. Leave it out, "
            f"or take method = 'weighted-dann' (in a comparison: --methods weighted-dann:{weighting})"
        )
    if config.nesterov and not config.momentum:
        raise ConfigError("nesterov needs momentum above 0, got 0. Set momentum, or leave nesterov out")
    if "target" in has and config.batch_target < 1:
        raise ConfigError(f"{method} trains on target images: batch_target must be at least 1, got 0")
    if config.batch_source % config.processes or config.batch_target % config.processes:
        raise ConfigError(
            f"batch_source and batch_target must be divisible by processes = {config.processes}, "
            f"got {config.batch_source} and {config.batch_target}"
        )
