"""Adaptive batch normalisation (AdaBN), a control: nothing is trained, one layer's statistics are read anew.

Li, Wang, Shi, Hou, Liu, "Adaptive Batch Normalization for Practical Domain Adaptation", Pattern Recognition 80, 2018,
section 3.3. Departures are listed in docs/guides/methods/adabn.md.
"""

__all__ = ["with_statistics_of"]

import copy
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from weighbridge.parts.networks import FrozenStatistics, Network, Standardised


def with_statistics_of(network: Network, batches: Iterable[Tensor]) -> Network:
    """A copy of a network whose batch norm has the mean and variance of other images; the same where it has none.

    Frozen statistics stay too. The network learned on that scale, which is of neither domain but of the published
    weights. So a network in which all are frozen comes back as it is.

    Args:
        network: trained on the source.
        batches: images of the target, (B, C, H, W) each, or features, (B, F). They count by their sizes.

    Returns:
        The copy, in evaluation mode.
    """
    adapted = copy.deepcopy(network).eval()
    fixed = next((module for module in adapted.modules() if isinstance(module, Standardised)), None)
    if fixed is not None:  # behind a backbone with published weights
        fixed.read(*_moments(_met_by(fixed, adapted, batches)))
        return adapted
    layers = [m for m in adapted.modules() if isinstance(m, _BatchNorm) and not isinstance(m, FrozenStatistics)]
    if not layers:
        return adapted
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        layer.reset_running_stats()
        layer.train()
    seen = 0
    with torch.no_grad():
        for images in batches:
            if len(images) == 1 and seen:  # of one image there may be no variance
                continue
            seen += len(images)
            for layer in layers:
                layer.momentum = len(images) / seen
            adapted(images)
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum
    return adapted.eval()


def _met_by(layer: Standardised, network: Network, batches: Iterable[Tensor]) -> Iterator[Tensor]:
    """What reaches the layer of each batch, (B, F)."""
    met: list[Tensor] = []
    handle = layer.register_forward_pre_hook(lambda layer, inputs: met.append(inputs[0]))
    try:
        for batch in batches:
            with torch.no_grad():
                network(batch)
            yield met.pop()
    finally:
        handle.remove()


def _moments(batches: Iterable[Tensor]) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of features, (F,) each."""
    count, total, squares = 0, torch.zeros(()), torch.zeros(())
    for features in batches:
        exact = features.double()  # (B, F)
        count, total, squares = count + len(exact), total + exact.sum(0), squares + exact.square().sum(0)
    mean = total / count
    return mean, (squares / count - mean.square()).clamp_min(0.0).sqrt()
