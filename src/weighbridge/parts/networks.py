"""The three parts of every method here: feature extractor G_f, label predictor G_y, domain classifier G_d.

G_f ends where the paper attaches the domain classifier, at the last convolution output, flattened to (M, F). Which
layer that is, is said at each network below.
"""

__all__ = [
    "BACKBONES",
    "FrozenStatistics",
    "Network",
    "Standardised",
    "build_network",
    "evaluating",
    "feature_network",
    "follow",
    "freeze_statistics",
    "is_stochastic",
    "parameter_count",
    "split_before_classifier",
    "stages",
    "with_dropout",
]

import math
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Self

import torch
import torchvision
from torch import Tensor, nn
from torch.nn import Parameter
from torch.nn.modules.batchnorm import _BatchNorm, _NormBase

from weighbridge.errors import ConfigError
from weighbridge.parts.lite0 import LITE0
from weighbridge.parts.published import published_features, torchvision_model

_HIDDEN = 256  # units behind a frozen backbone
SMALL = ("lenet", "small", "small-batchnorm", "slim-batchnorm")  # nobody publishes weights of these
BACKBONES = (*SMALL, "vgg16", LITE0)  # and any torchvision name, and timm:NAME


class Network(nn.Module):
    """G_f, G_y and G_d side by side. Methods call the parts; calling the network classifies.

    Args:
        features: G_f, (M, C, H, W) -> (M, F).
        label_head: G_y, (M, F) -> (M, K) label logits.
        domain_head: G_d, (M, F) -> (M, 1) domain logits; positive means target.
    """

    def __init__(self, features: nn.Module, label_head: nn.Module, domain_head: nn.Module) -> None:
        super().__init__()
        self.features = features
        self.label_head = label_head
        self.domain_head = domain_head

    def forward(self, images: Tensor) -> Tensor:
        """Label logits, (M, C, H, W) -> (M, K)."""
        logits: Tensor = self.label_head(self.features(images))
        return logits

    def domain_logits(self, features: Tensor) -> Tensor:
        """(M, F) -> (M,)."""
        logits: Tensor = self.domain_head(features).squeeze(1)
        return logits


class Standardised(nn.Module):
    """Features less their mean, over one deviation for all of them: small ones, which tell little, stay small.

    The moments are fixed numbers, not those of a batch, so a training pass and an evaluation pass agree.

    Args:
        features: F.
    """

    mean: Tensor  # (F,)
    deviation: Tensor  # ()

    def __init__(self, features: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("deviation", torch.ones(()))

    def forward(self, features: Tensor) -> Tensor:
        """(M, F) -> (M, F)."""
        return (features - self.mean) / self.deviation

    def read(self, mean: Tensor, deviation: Tensor) -> None:
        """Take the moments of other features, (F,) each."""
        self.mean.copy_(mean)
        self.deviation.copy_(deviation.square().mean().sqrt().clamp_min(1e-6))


def feature_network(width: int, classes: int) -> Network:
    """The layers that are trained behind a frozen backbone: one hidden layer of 256 and the heads of the others.

    Args:
        width: F of the backbone.
        classes: K >= 2.

    Returns:
        A network of features, (M, F) -> (M, K); its G_f ends at the hidden layer.
    """
    features = nn.Sequential(Standardised(width), nn.Linear(width, _HIDDEN), nn.ReLU())
    return Network(features, nn.Linear(_HIDDEN, classes), _mlp(_HIDDEN, 256, 256, 1))


def build_network(backbone: str, *, classes: int, channels: int, size: int, weights: str = "none") -> Network:
    """A network by name.

    Args:
        backbone: `lenet`, `small`, `small-batchnorm`, `slim-batchnorm`, `vgg16`, `efficientnet-lite0`, any other
            torchvision classifier, or `timm:NAME`.
        classes: K >= 2.
        channels: 1 or 3; published networks take 3.
        size: side of the square images in pixels.
        weights: `none`, `imagenet` (downloaded, but for `efficientnet-lite0`), or the path of a file.

    Raises:
        ConfigError: if there is no such backbone, the images do not fit it, or the weights cannot be had or are of
            another network.
    """
    if backbone in SMALL:
        if weights != "none":
            raise ConfigError(
                f"backbone '{backbone}' has no published weights, got weights = '{weights}'. Set weights = 'none'"
            )
        if backbone == "lenet":
            return _lenet(classes, channels, size)
        if backbone == "slim-batchnorm":
            return _slim(classes, channels, size)
        return _small(classes, channels, size, batch_norm=backbone == "small-batchnorm")
    if channels != 3:
        raise ConfigError(f"backbone '{backbone}' takes colour images, got channels = {channels}. Set channels = 3")
    if backbone == "vgg16":
        return _vgg16(classes, size, weights)
    return _pooled_backbone(backbone, classes, size, weights)


def split_before_classifier(network: Network, *hidden: int) -> Network:
    """The same layers as ADDA divides them (CVPR 2017, fig. 3): encoder, classifier, and a new discriminator.

    The encoder M is everything before the last layer, the classifier C is the last, linear layer, and the
    discriminator D reads the encoder's output.

    Args:
        network: its features and label head are taken over, its domain head is not.
        hidden: widths of D's hidden layers; 500 and 500 for digits, 1024 and 2048 for VGG-16 in the paper.
    """
    *inner, last = network.label_head if isinstance(network.label_head, nn.Sequential) else [network.label_head]
    if not isinstance(last, nn.Linear):
        raise TypeError(f"expected the label head to end in a linear layer, got {type(last).__name__}")
    discriminator = _mlp(last.in_features, *hidden, 1).to(last.weight.device)
    return Network(nn.Sequential(network.features, *inner), last, discriminator)


def with_dropout(head: nn.Module, share: float) -> nn.Module:
    """The same layers with dropout behind each ReLU, wherever in the head they stand in a row.

    Args:
        share: of the values that are dropped in training, in [0, 1); 0 leaves the head as it is.
    """
    if not share:
        return head
    if not isinstance(head, nn.Sequential):  # such as a head that joins features and predictions first
        for name, layer in head.named_children():
            setattr(head, name, with_dropout(layer, share))
        return head
    layers: list[nn.Module] = []
    for layer in head:
        layers += [layer, nn.Dropout(share)] if isinstance(layer, nn.ReLU) else [with_dropout(layer, share)]
    return nn.Sequential(*layers)


def is_stochastic(module: nn.Module) -> bool:
    """Whether a layer draws in training what it leaves out: any dropout, or the stochastic depth of torchvision
    (`StochasticDepth`) and of timm (`DropPath`, `DropBlock2d`).
    """
    by_name = ("StochasticDepth", "DropPath", "DropBlock2d", "PatchDropout")
    return isinstance(module, nn.modules.dropout._DropoutNd) or type(module).__name__ in by_name


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Evaluation mode for a while. Then every part has its own mode again: what was frozen before stays frozen."""
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for part, training in modes:
            part.training = training


@torch.no_grad()
def follow(teacher: nn.Module, student: nn.Module, alpha: float, *, buffers: bool = False) -> None:
    """Move the teacher's parameters towards the student's: alpha of its own, 1 - alpha of theirs.

    Args:
        buffers: whether statistics of batch norm follow too. They do not for a teacher that sees images of its own.
    """
    for own, new in zip(teacher.parameters(), student.parameters(), strict=True):
        own.lerp_(new, 1.0 - alpha)
    for statistic, newer in zip(teacher.buffers(), student.buffers(), strict=True) if buffers else ():
        if statistic.is_floating_point():
            statistic.lerp_(newer, 1.0 - alpha)
        else:  # how many batches were seen
            statistic.copy_(newer)


class FrozenStatistics(nn.Module):
    """Batch norm that is in evaluation mode whatever mode its network is put into. See `freeze_statistics`."""

    def train(self, mode: bool = True) -> Self:
        return super().train(False)


def freeze_statistics(module: nn.Module) -> None:
    """Keep the mean and variance of every batch norm as they are; scales (gamma) and shifts (beta) still learn.

    Each layer becomes one of its own kind, such as timm's with an activation, that never enters training mode; nor do
    copies of it. So training and evaluation passes are the same function, and no batch reaches the statistics. State
    dicts keep their names.

    Args:
        module: changed in place. A batch norm that keeps no statistics stays as it is.
    """
    for layer in module.modules():
        if isinstance(layer, _BatchNorm) and layer.running_mean is not None and not isinstance(layer, FrozenStatistics):
            kind = type(layer)
            layer.__class__ = type(f"Frozen{kind.__name__}", (FrozenStatistics, kind), {})  # as parametrize does
            layer.train(False)


def stages(features: nn.Module) -> list[list[Parameter]]:
    """The parameters of a feature extractor stage by stage, from the pixels up; together they are all of them.

    Networks of timm say themselves what their stages are: stem, groups of blocks, blocks of a transformer. Elsewhere a
    stage is a child of the trunk that has parameters: of a ResNet the stem and `layer1` to `layer4`, of a torchvision
    network with `features` its entries. A norm layer belongs to the stage before it.
    """
    found = next((_timm_stages(module) for module in features.modules() if hasattr(module, "group_matcher")), None)
    found = found or _child_stages(features) or [[]]
    staged = {id(parameter) for stage in found for parameter in stage}
    found[-1] += [parameter for parameter in features.parameters() if id(parameter) not in staged]
    return found


def _timm_stages(model: nn.Module) -> list[list[Parameter]]:
    from timm.models import group_parameters

    by_name = dict(model.named_parameters())
    groups = group_parameters(model, model.group_matcher(coarse=True))  # type: ignore[operator]
    return [[by_name[name] for name in names] for _, names in sorted(groups.items())]


def _child_stages(module: nn.Module) -> list[list[Parameter]]:
    found: list[list[Parameter]] = []
    inner: list[nn.Module] = []
    for name, child in module.named_children():
        parameters = list(child.parameters())
        if name == "features":  # hidden layers of a classifier may follow
            found += _child_stages(child)
            inner += child.children()
        elif found and isinstance(child, _NormBase | nn.GroupNorm | nn.LayerNorm):
            found[-1] += parameters
        elif parameters:
            found.append(parameters)
            inner.append(child)
    if len(inner) == 1 and next(inner[0].children(), None) is not None:  # a trunk inside
        return _child_stages(inner[0])
    return found


def parameter_count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def _mlp(*widths: int) -> nn.Sequential:
    """Linear layers with ReLU between them, none after the last."""
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(widths):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def _lenet(classes: int, channels: int, size: int) -> Network:
    """The digit network of Ganin et al. (JMLR 2016, fig. 4a); last convolution output: the second max-pooling."""
    if size < 16:
        raise ConfigError(f"backbone 'lenet' needs images of at least 16 pixels, got image_size = {size}")
    side = ((size - 4) // 2 - 4) // 2
    width = 48 * side * side  # 768 at 28 pixels
    features = nn.Sequential(
        *(nn.Conv2d(channels, 32, 5), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(32, 48, 5), nn.ReLU(), nn.MaxPool2d(2)),
        nn.Flatten(),
    )
    return Network(features, _mlp(width, 100, 100, classes), _mlp(width, 100, 1))


def _small(classes: int, channels: int, size: int, *, batch_norm: bool) -> Network:
    """For 16 to 64 pixels: pairs of 3x3 convolutions, halved until 4x4; last convolution output: the last max-pooling.

    Batch norm learns sooner, and from few images of similar classes where group norm may stay at chance. Group norm
    treats every image alone: a training pass and an evaluation pass agree, and eq. 5 needs no pass of its own for P_t.
    """
    blocks = round(math.log2(max(size, 1) / 4))
    if not 1 <= blocks <= 4 or size % 2**blocks:
        name = "small-batchnorm" if batch_norm else "small"
        raise ConfigError(
            f"backbone '{name}' takes images of 8 to 64 pixels that can be halved down to 3, 4 or 5, "
            f"got image_size = {size}. Set 16, 32, 48 or 64, for example"
        )
    layers: list[nn.Module] = []
    width = channels
    for wider in (32, 64, 128, 128)[:blocks]:
        for inputs in (width, wider):
            norm = nn.BatchNorm2d(wider) if batch_norm else nn.GroupNorm(8, wider)
            layers += [nn.Conv2d(inputs, wider, 3, padding=1, bias=False), norm, nn.ReLU()]
        layers.append(nn.MaxPool2d(2))
        width = wider
    flat = width * (size // 2**blocks) ** 2
    return Network(nn.Sequential(*layers, nn.Flatten()), _mlp(flat, 128, classes), _mlp(flat, 256, 256, 1))


def _slim(classes: int, channels: int, size: int) -> Network:
    """For grids of many runs on a CPU: a quarter of the arithmetic of `small` at 32 pixels.

    At full size there is one narrow convolution only; batch norm throughout; last convolution output: the last ReLU.
    """
    if size < 16 or size % 8:
        raise ConfigError(
            f"backbone 'slim-batchnorm' takes images of at least 16 pixels, in multiples of 8, got image_size = {size}"
        )

    def convolution(inputs: int, outputs: int) -> list[nn.Module]:
        return [nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]

    features = nn.Sequential(
        *(*convolution(channels, 16), nn.MaxPool2d(2)),
        *(*convolution(16, 32), *convolution(32, 32), nn.MaxPool2d(2)),
        *(*convolution(32, 64), *convolution(64, 64), nn.MaxPool2d(2)),
        *(*convolution(64, 128), nn.Flatten()),
    )
    flat = 128 * (size // 8) ** 2  # 2048 at 32 pixels
    return Network(features, _mlp(flat, 128, classes), _mlp(flat, 256, 256, 1))


def _vgg16(classes: int, size: int, weights: str) -> Network:
    """VGG-16 as in Osumi et al. (2019), sec. 4.1.

    The last convolution output is torchvision's `features.30`: conv5_3, its ReLU and its max-pooling, 512 x 7 x 7 at
    224 pixels, flattened to F = 25,088. G_y is VGG's own classifier, G_d is F-1024-1024-1 as in the DANN paper.
    """
    if size < 32:
        raise ConfigError(
            f"backbone 'vgg16' needs images of at least 32 pixels, got image_size = {size}. Set backbone = 'auto'"
        )
    model = torchvision_model("vgg16", size, weights)
    assert isinstance(model, torchvision.models.VGG)
    model.classifier[6] = nn.Linear(4096, classes)
    features = nn.Sequential(model.features, model.avgpool, nn.Flatten())
    return Network(features, model.classifier, _mlp(25_088, 1024, 1024, 1))


def _pooled_backbone(backbone: str, classes: int, size: int, weights: str) -> Network:
    """Any published classifier up to its last layer, see `published_features`; G_y is one linear layer.

    So G_d reads what the authors' own classifier reads. AlexNet and the VGG networks with batch norm keep their fc6 and
    fc7 in G_f; only `vgg16` ends at its last convolution, as in the paper.
    """
    features = published_features(backbone, size, weights)
    try:
        with evaluating(features), torch.inference_mode():  # published feature counts are not to be trusted: ask it
            shape = features(torch.zeros(1, 3, size, size)).shape
    except (RuntimeError, AssertionError, ValueError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ConfigError(
            f"backbone '{backbone}' does not take images of {size} x {size} pixels ({reason}). Set another image_size"
        ) from error
    if len(shape) != 2:
        raise ConfigError(f"backbone '{backbone}' makes no vector of an image, but {tuple(shape)}. Choose another")
    width = shape[1]
    return Network(features, nn.Linear(width, classes), _mlp(width, 1024, 1024, 1))
