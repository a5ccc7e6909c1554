"""From settings to objects: the only file below the doors that knows both."""

__all__ = [
    "Data",
    "build_fabric",
    "build_machine",
    "build_method",
    "build_pairs",
    "build_preparation",
    "build_reading",
    "caution",
    "check_backbone",
    "check_labels",
    "check_processes",
    "new_network",
    "open_labelled",
    "open_source",
    "open_target",
    "p_t_mode",
    "start_from",
    "weighs_images",
    "weighting_name",
]

import copy
import logging
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from lightning_fabric import Fabric

from weighbridge.class_ratios import ClassRatios
from weighbridge.config import OWN_WEIGHTS, Config
from weighbridge.data.domains import (
    LabelledDomain,
    Reading,
    Split,
    UnlabelledDomain,
    check_labelled,
    read_labelled,
    read_unlabelled,
    split_off,
)
from weighbridge.data.images import View
from weighbridge.data.index import Progress
from weighbridge.data.pairs import PairStream
from weighbridge.data.strong import StrongAugmentation
from weighbridge.data.transforms import Augmentation, Preparation
from weighbridge.errors import ConfigError
from weighbridge.likelihoods import InstanceWeighting, PtMode, SourceLikelihood, exact_mode
from weighbridge.machine import Machine, probe
from weighbridge.methods.adda import Adda
from weighbridge.methods.base import Method
from weighbridge.methods.dann import Dann
from weighbridge.methods.dann_mcc import DannMcc
from weighbridge.methods.iwdan_mcc import IwdanMcc
from weighbridge.methods.iwdan_self_training import IwdanSelfTraining
from weighbridge.methods.mcc import Mcc
from weighbridge.methods.mean_teacher import MeanTeacher
from weighbridge.methods.self_training import SelfTraining
from weighbridge.methods.source_only import SourceOnly
from weighbridge.methods.weighted_dann import WeightedDann
from weighbridge.networks import Network, build_network, split_before_classifier
from weighbridge.optim import adam, sgd
from weighbridge.schedules import constant_strength, reversal_strength
from weighbridge.weights import WEIGHTINGS

_PRECISION = "WEIGHBRIDGE_PRECISION"


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
    """Labelled images of the source's classes to evaluate on: the test split where there is one, else val, else all."""
    return read_labelled([path], build_reading(config), classes=classes, splits=("test", "val"), progress=progress)


def check_labels(path: Path, config: Config, classes: Sequence[str], progress: Progress | None = None) -> None:
    """Refuse what `open_labelled` would refuse, before hours of training."""
    check_labelled(path, classes, build_reading(config), progress)


def build_reading(config: Config) -> Reading:
    slack = round(config.crop * config.image_size)
    view = View(config.image_size, config.channels, config.fit, slack)
    return Reading(view, cache=config.cache, strict=config.strict)


def check_backbone(config: Config) -> None:
    """Build the network without memory for its weights, so that a setting that cannot work is met before any data.

    Raises:
        ConfigError: if there is no such backbone or the images do not fit it.
    """
    with torch.device("meta"):
        _network(config, classes=2, weights="none")


def check_processes(config: Config) -> None:
    """Refuse a start by torchrun that the settings do not know of.

    Raises:
        ConfigError: if torchrun started another number of processes than the settings say.
    """
    started = int(os.environ.get("WORLD_SIZE", "1"))
    if "TORCHELASTIC_RUN_ID" in os.environ and started != config.processes:
        raise ConfigError(f"torchrun started {started} processes, got processes = {config.processes}; make them equal")


def build_machine(config: Config) -> Machine:
    machine = probe(
        device=config.device,
        processes=config.processes,
        precision=os.environ.get(_PRECISION, config.precision) if config.precision == "auto" else config.precision,
        channels_last=config.channels_last,
        keep_memory=config.keep_memory,
    )
    if machine.processes > 1:
        os.environ[_PRECISION] = machine.precision  # processes started from here must not measure for themselves
    return machine


def build_fabric(machine: Machine) -> Fabric:
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # it tells of itself otherwise, once a run
    return Fabric(
        accelerator="cuda" if machine.device == "cuda" else "cpu",
        devices=machine.processes,
        strategy="ddp" if machine.processes > 1 else "auto",
        precision=machine.fabric_precision,
    )


def build_preparation(config: Config) -> Preparation:
    strong = config.of_method("strong_augmentation")
    return Preparation(_augmentation(config), config.normalisation, StrongAugmentation(strong) if strong else None)


def _augmentation(config: Config) -> Augmentation:
    return Augmentation(
        rotate=config.rotate,
        shift=config.shift,
        zoom=config.zoom,
        shear=config.shear,
        flip=config.flip,
        brightness=config.brightness,
        contrast=config.contrast,
        noise=config.noise,
        invert=config.invert,
    )


def caution(config: Config) -> str | None:
    """What whoever trains with these settings, or reads the results, should know; None if there is nothing."""
    strong = config.of_method("strong_augmentation")
    moves = _augmentation(config) != Augmentation() or strong or build_reading(config).view.slack
    if config.method not in ("mean-teacher", "self-training", "iwdan-self-training") or moves:
        return None
    return (
        "both views of each target image are the same, since no augmentation is set, so that the teacher is but an "
        "average over time: set rotate, shift, zoom, noise, crop or others, as much as people would not be misled by, "
        "or strong_augmentation"
    )


def new_network(config: Config, classes: int, device: torch.device, memory_format: torch.memory_format) -> Network:
    """A network with the weights that this seed gives it, on the device."""
    torch.manual_seed(config.seed)
    network = _laid_out(_network(config, classes, config.weights), config)
    return network.to(device=device, memory_format=memory_format)  # type: ignore[call-overload, no-any-return]


def _network(config: Config, classes: int, weights: str) -> Network:
    size, channels = config.image_size, config.channels
    return build_network(config.network_name, classes=classes, channels=channels, size=size, weights=weights)


def build_pairs(
    config: Config, data: Data, method: Method, machine: Machine, device: torch.device, *, rank: int = 0
) -> PairStream:
    return PairStream(
        data.source,
        data.target,
        batch_source=config.batch_source,
        batch_target=config.batch_target if method.uses_target else 0,
        preparation=build_preparation(config),
        seed=config.seed,
        device=device,
        target_views=method.target_views,
        balance=config.balance,
        memory_format=machine.memory_format,
        rank=rank,
        processes=machine.processes,
    )


def build_method(config: Config, network: Network, classes: int, p_a: SourceLikelihood | None = None) -> Method:
    """The method that the settings name, around a network.

    Args:
        network: random or published weights where `config.from_scratch`, else the pre-classifier's.
        classes: K.
        p_a: P_a of a batch, where a weighting is asked for.
    """
    if config.method == "source-only":
        return SourceOnly(network, _sgd(config, _classifier(network)))
    if config.method == "mcc":
        optimizer = _sgd(config, _classifier(network))
        return Mcc(network, optimizer, mcc_weight=config.mcc_weight, temperature=config.mcc_temperature)
    if config.method == "mean-teacher":
        rate = config.mean_teacher_rate
        return MeanTeacher(
            network,
            adam(_classifier(network), learning_rate=rate, beta1=0.9, fused=config.fused),
            threshold=config.confidence_threshold,
            consistency_weight=config.consistency_weight,
            balance_weight=config.class_balance_weight,
        )
    if config.method == "self-training":
        return SelfTraining(
            network,
            _sgd(config, _classifier(network)),
            threshold=config.confidence_threshold,
            pseudo_label_weight=config.pseudo_label_weight,
            mcc_weight=config.mcc_weight,
            temperature=config.mcc_temperature,
        )
    if config.method == "iwdan-mcc":
        return IwdanMcc(
            network,
            _sgd(config, _classifier(network), network.domain_head.parameters()),
            ClassRatios(classes).to(next(network.parameters()).device),
            mcc_weight=config.mcc_weight,
            temperature=config.mcc_temperature,
            weigh_labels=config.weigh_labels,
            strength=_strength(config, default="eq3"),
        )
    if config.method == "iwdan-self-training":
        return IwdanSelfTraining(
            network,
            _sgd(config, _classifier(network), network.domain_head.parameters()),
            ClassRatios(classes).to(next(network.parameters()).device),
            threshold=config.confidence_threshold,
            pseudo_label_weight=config.pseudo_label_weight,
            mcc_weight=config.mcc_weight,
            temperature=config.mcc_temperature,
            weigh_labels=config.weigh_labels,
            strength=_strength(config, default="eq3"),
        )
    weighting = _weighting(config, network, p_a)
    if config.method == "dann":
        optimizer = _sgd(config, network.parameters())
        return Dann(network, optimizer, strength=_strength(config, default="eq3"), weighting=weighting)
    if config.method == "dann-mcc":
        return DannMcc(
            network,
            _sgd(config, _classifier(network), network.domain_head.parameters()),
            mcc_weight=config.mcc_weight,
            temperature=config.mcc_temperature,
            strength=_strength(config, default="eq3"),
            weighting=weighting,
        )
    if config.method == "adda":
        rate, of_d = config.adda_rate, config.adda_discriminator_rate
        return Adda(
            network,
            encoder_optimizer=adam(network.features.parameters(), learning_rate=rate, fused=config.fused),
            discriminator_optimizer=adam(
                network.domain_head.parameters(), learning_rate=rate if of_d is None else of_d, fused=config.fused
            ),
            weighting=weighting,
        )
    if weighting is None:
        raise ConfigError("weighted-dann needs P_a from a pre-classifier")
    optimizer = _sgd(config, _classifier(network), network.domain_head.parameters())
    return WeightedDann(network, optimizer, weighting, strength=_strength(config, default="constant"))


def weighting_name(config: Config) -> str | None:
    """The rule that will be used, `default` resolved; None for no weights."""
    if config.weighting == "default":
        return "paper" if config.method == "weighted-dann" else None
    return None if config.weighting == "none" else config.weighting


def weighs_images(config: Config) -> bool:
    """Whether every source image has a weight in the domain loss, by a rule or by the method itself."""
    return config.method in OWN_WEIGHTS or weighting_name(config) is not None


def start_from(pre_classifier: Network, config: Config) -> Network:
    """A training network that starts from the pre-classifier's weights (section 3.3), laid out for its method."""
    return _laid_out(copy.deepcopy(pre_classifier).requires_grad_(True), config)


def _laid_out(network: Network, config: Config) -> Network:
    """ADDA reads another layer and has another discriminator than the methods with a reversal layer."""
    if config.method != "adda":
        return network
    torch.manual_seed(config.seed)
    return split_before_classifier(network, *((500, 500) if config.image_size <= 64 else (1024, 2048)))


def p_t_mode(config: Config, network: Network) -> PtMode:
    """How P_t will be read, `auto` resolved."""
    return exact_mode(network) if config.p_t == "auto" else config.p_t


def _weighting(config: Config, network: Network, p_a: SourceLikelihood | None) -> InstanceWeighting | None:
    name = weighting_name(config)
    return InstanceWeighting(p_a, WEIGHTINGS[name], p_t_mode(config, network)) if name and p_a else None


def _strength(config: Config, *, default: str) -> Callable[[float], float]:
    schedule = config.schedule if config.schedule != "default" else default
    if schedule == "constant":
        return constant_strength(config.of_method("strength"))
    return lambda progress: config.of_method("strength") * reversal_strength(progress, config.gamma)


def _classifier(network: Network) -> list[torch.nn.Parameter]:
    """What classifies: G_f and G_y, without G_d."""
    return [*network.features.parameters(), *network.label_head.parameters()]


def _sgd(
    config: Config, parameters: Iterable[torch.nn.Parameter], new: Iterable[torch.nn.Parameter] = ()
) -> torch.optim.Optimizer:
    """SGD at the rate that the start asks for; `new` at a multiple of it where the rest is fine-tuned."""
    return sgd(
        parameters,
        new,
        learning_rate=config.learning_rate if config.from_scratch else config.of_method("fine_tune_rate"),
        new_multiplier=1.0 if config.from_scratch else config.of_method("new_layer_multiplier"),
        momentum=config.momentum,
        weight_decay=config.weight_decay,
        fused=config.fused,
    )
