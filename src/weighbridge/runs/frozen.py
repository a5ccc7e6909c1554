"""A backbone that is not trained: where its weights come from, its features, and the file that a run keeps of it."""

__all__ = [
    "Frozen",
    "digest_of",
    "features_of",
    "frozen_backbone",
    "keep_backbone",
    "refuse_other_backbone",
    "tuned_network",
    "unfilled_backbone",
    "whole_network",
]

import copy
import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from filelock import FileLock
from torch import Tensor, nn

from weighbridge.data.images import Images
from weighbridge.data.vectors import Vectors
from weighbridge.engine.checkpoint import load_network, save_network
from weighbridge.engine.features import Autocast, computed
from weighbridge.engine.machine import Precision
from weighbridge.errors import RunFolderError
from weighbridge.files import cache_home
from weighbridge.parts.networks import Network
from weighbridge.run_folder import RunFolder
from weighbridge.settings import build_data, build_method
from weighbridge.settings.config import Config
from weighbridge.settings.tuning import tuning_of
from weighbridge.watch import Progress


@dataclass(frozen=True)
class Frozen:
    """A backbone that is not trained.

    Attributes:
        module: (M, C, H, W) -> (M, F), on the device that computes.
        digest: of its weights.
        moments: mean and deviation of the source's plain features, (F,) each.
    """

    module: nn.Module
    digest: str
    moments: tuple[Tensor, Tensor]

    @property
    def width(self) -> int:
        """F."""
        return len(self.moments[0])

    def facts(self) -> dict[str, Any]:
        """For run.json."""
        return {"backbone": self.digest, "width": self.width}


def frozen_backbone(
    config: Config, device: torch.device, memory_format: torch.memory_format, home: RunFolder | None = None
) -> nn.Module:
    """The backbone that the settings name, (M, C, H, W) -> (M, F).

    Args:
        home: a run that was begun with it, whose own file is read, wherever the published weights are by now.

    Raises:
        RunFolderError: if that file is gone or damaged.
    """
    if home is not None:
        module = unfilled_backbone(config, device, memory_format)
        load_network(home.backbone, module)
        return module
    return _backbone(config, config.weights_name, device, memory_format)


def unfilled_backbone(config: Config, device: torch.device, memory_format: torch.memory_format) -> nn.Module:
    """The same before a file fills it."""
    return _backbone(config, "none", device, memory_format)


def _backbone(config: Config, weights: str, device: torch.device, memory_format: torch.memory_format) -> nn.Module:
    module = build_method.frozen_backbone(config, weights)
    return module.to(device=device, memory_format=memory_format)  # type: ignore[call-overload, no-any-return]


def refuse_other_backbone(home: RunFolder, digest: str) -> None:
    """Raise RunFolderError if a run was begun with another backbone."""
    if home.facts()["features"]["backbone"] != digest:
        raise RunFolderError(
            f"'{home.backbone}' is not the backbone that the run in '{home.path}' was trained behind. Restore the file"
        )


def digest_of(module: nn.Module) -> str:
    """Changes when a weight does."""
    digest = hashlib.sha256()
    for name, tensor in module.state_dict().items():
        digest.update(f"{name} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:20]


def features_of(
    images: Images,
    backbone: Callable[[], nn.Module],
    config: Config,
    *,
    digest: str,
    precision: Precision,
    autocast: Autocast,
    views: int,
    progress: Progress | None = None,
) -> Vectors:
    """The features of images, from the cache where they are there.

    Args:
        backbone: asked for only if something has to be computed.
        digest: of its weights.
        precision: of the forward pass, which `autocast` enters.
        views: V >= 0 augmented looks beside the plain one.
        progress: called with (images done, images in all).
    """
    return computed(
        backbone,
        images,
        build_data.build_preparation(config),
        views=views,
        autocast=autocast,
        named=f"{config.network_name} {digest} {precision}",
        home=None if config.cache == "off" else cache_home(),
        progress=progress,
    )


def keep_backbone(frozen: Frozen, config: Config, folder: RunFolder) -> None:
    """Leave the backbone's weights in a run folder: a link to one file of the cache if the system can, else a copy."""
    if config.cache == "off":
        save_network(folder.backbone, frozen.module)
        return
    file = cache_home() / "backbones" / f"{frozen.digest}.safetensors"
    try:
        if not file.is_file():
            file.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(f"{file}.lock"):
                save_network(file, frozen.module)
        os.link(file, folder.backbone)
    except OSError:  # a cache that may only be read, another disk, or a system without links
        save_network(folder.backbone, frozen.module)


def whole_network(backbone: nn.Module, head: Network) -> Network:
    """Backbone and trained layers as one network of images."""
    return Network(nn.Sequential(backbone, head.features), head.label_head, head.domain_head)


def tuned_network(backbone: nn.Module, head: Network, config: Config) -> Network:
    """The same with a backbone of its own, in which all layers can learn: what training = 'fine-tune' goes on with."""
    return build_method.for_tuning(whole_network(copy.deepcopy(backbone), head), tuning_of(config))
