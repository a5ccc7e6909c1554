"""How long a run will take, from a few steps on made-up images. Nothing is read and nothing is kept."""

__all__ = ["minutes"]

import statistics
import time
from collections.abc import Callable

import torch

from weighbridge.errors import ConfigError
from weighbridge.parts.likelihoods import stored
from weighbridge.parts.networks import Network
from weighbridge.parts.optim import Updater
from weighbridge.settings import build_machine, build_method
from weighbridge.settings.config import Config
from weighbridge.types import DomainPair, LabelledBatch, UnlabelledBatch

_AT_LEAST, _AT_MOST, _LONGEST = 2, 40, 0.5  # calls; seconds, unless fewer calls take longer
_LOOKS = 16  # images of a forward pass


def minutes(config: Config, source_images: int, target_images: int, classes: int) -> float | None:
    """Minutes in all: features, if training is on them, pre-classifier and adaptation. Reading images comes on top.

    Args:
        source_images, target_images: that are trained on.
        classes: K.

    Returns:
        None on GPUs, in several processes, and where nothing can be measured without images.
    """
    if config.processes > 1 or config.entry.start == "source-only" or config.fine_tunes:
        return None
    try:
        machine = build_machine.build_machine(config)
        if machine.device == "cuda":
            return None
        fabric = build_machine.build_fabric(machine)
        threads = torch.get_num_threads()
        torch.set_num_threads(machine.threads)
        try:
            with torch.random.fork_rng(devices=[]), fabric.autocast():
                return _seconds(config, machine.memory_format, source_images, target_images, classes) / 60.0
        finally:
            torch.set_num_threads(threads)
    except ConfigError:  # such as weights that cannot be had: whoever trains says so
        return None


def _seconds(
    config: Config, memory_format: torch.memory_format, source_images: int, target_images: int, classes: int
) -> float:
    shape: tuple[int, ...] = (config.channels, config.image_size, config.image_size)
    features = 0.0
    device = torch.device("cpu")
    if config.on_features:
        backbone = build_method.frozen_backbone(config, config.weights_name).to(memory_format=memory_format)
        looks = torch.zeros(_LOOKS, *shape).contiguous(memory_format=memory_format)
        with torch.inference_mode():
            features = _one(lambda: backbone(looks)) / _LOOKS * (source_images + target_images) * (1 + config.views)
            width = backbone(looks[:1]).shape[1]
        shape = (width,)

    def network(of: Config) -> Network:
        if config.on_features:
            return build_method.new_head(of, classes, width, device)
        return build_method.new_network(of, classes, device, memory_format, weights="none")

    lasting = config.lasting(max(1, source_images))
    stages = [(lasting, lasting.total_steps)]
    if not config.from_scratch or config.weighting_name is not None:
        stages.append((lasting.replace(method="source-only"), lasting.pre_steps))
    starts = config.restarts if config.may_restart else 1
    return features + starts * sum(steps * _one(_step(of, network(of), shape, classes)) for of, steps in stages)


def _step(config: Config, network: Network, shape: tuple[int, ...], classes: int) -> Callable[[], object]:
    """A training step on a pair of batches of noise."""
    rows = torch.arange(config.batch_source)
    method = build_method.build_method(config, network, classes, stored(torch.full((len(rows),), 0.5)))
    method.train()
    target = config.batch_target if method.uses_target else 0
    source, first, second = (torch.randn(count, *shape) for count in (len(rows), target, target))
    pair = DomainPair(
        source=LabelledBatch(source, rows % classes, rows, torch.zeros_like(rows)),
        target=UnlabelledBatch(first, torch.arange(target), second if method.target_views == 2 else None),
    )
    update = Updater(lambda loss: loss.backward())  # type: ignore[no-untyped-call]
    return lambda: method.step(pair, 0.5, update)


def _one(call: Callable[[], object]) -> float:
    """Seconds of a call, the median of several."""
    call()  # pays for what has to be set up once
    times, started = list[float](), time.perf_counter()
    while len(times) < _AT_LEAST or (time.perf_counter() - started < _LONGEST and len(times) < _AT_MOST):
        before = time.perf_counter()
        call()
        times.append(time.perf_counter() - before)
    return statistics.median(times)
