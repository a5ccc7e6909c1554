"""Networks that other people publish, with their weights: torchvision's, timm's, and EfficientNet-Lite0 from a package.

Every network ends where its authors end it, just before the last layer, which makes classes of features. Weights are
always a file: the one that is named, the package's, or the one that torchvision or timm keeps of a download.
"""

__all__ = ["PublishedPixels", "pixels_of", "published_features", "sha256_of", "torchvision_model", "weights_file"]

import argparse
import functools
import hashlib
import pickle
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import torch
import torchvision
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torchvision.models.vision_transformer import interpolate_embeddings

from weighbridge.errors import ConfigError, did_you_mean
from weighbridge.parts.lite0 import LITE0, LITE0_SHA256, lite0_file
from weighbridge.types import Interpolation

_LITE0_OF_TIMM = "tf_efficientnet_lite0"
_EXTRA = "pip install 'weighbridge[pretrained]'"
_PATIENCE = 8.0  # seconds in which a host of weights must answer
_FIRST_MARK = 1000  # above what layers start from
_WRAPPINGS = (  # where training scripts put a state dict; running means first, as timm has it
    *("state_dict_ema", "model_ema", "ema_state_dict", "ema"),
    *("state_dict", "model_state_dict", "model", "net", "network", "module"),
)
_PREFIXES = ("module.", "_orig_mod.", "model.", "net.", "network.", "backbone.", "encoder.")
_NAMED_AT_MOST = 4  # keys that an error lists of each kind

State = Mapping[str, Tensor]


@dataclass(frozen=True)
class PublishedPixels:
    """How the images looked on which weights were trained.

    Attributes:
        mean, deviation: per channel, for pixels in [0, 1].
        size: side of the square images in pixels.
        interpolation: by which images were made smaller.
    """

    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    size: int
    interpolation: Interpolation


@functools.cache
def pixels_of(backbone: str, weights: str) -> PublishedPixels | None:
    """The pixels that the weights of a backbone were trained on, by timm's or torchvision's own account.

    The weights in a file are taken to be trained as the published ones of their network were. The file is not read.

    Returns:
        None for weights = 'none' and for networks of which nobody publishes weights.

    Raises:
        ConfigError: if there is no such backbone, or timm is needed and missing.
    """
    if weights == "none":
        return None
    if backbone == LITE0:
        return PublishedPixels((0.5,) * 3, (0.5,) * 3, 224, "bicubic")
    if backbone.startswith("timm:"):
        name = _timm_name(backbone)
        config = _timm().get_pretrained_cfg(name)
        return PublishedPixels(config.mean, config.std, config.input_size[-1], _interpolation(config.interpolation))
    if backbone not in _torchvision_names():
        return None
    seen = torchvision.models.get_model_weights(backbone).DEFAULT.transforms()
    mean, deviation = tuple(map(float, seen.mean)), tuple(map(float, seen.std))
    return PublishedPixels(mean, deviation, seen.crop_size[0], _interpolation(seen.interpolation.value))


def _interpolation(name: str) -> Interpolation:
    return "bilinear" if name == "bilinear" else "bicubic"


def weights_file(backbone: str, weights: str) -> Path | None:
    """The file with the numbers that a network starts from; published weights are downloaded if they are not here.

    Args:
        weights: `none`, `imagenet`, or the path of a file.

    Returns:
        None for weights = 'none'.

    Raises:
        ConfigError: if there is no such file, or the published weights cannot be had; within ten seconds if no host
            answers.
    """
    if weights == "none":
        return None
    if weights != "imagenet":
        if not Path(weights).is_file():
            raise ConfigError(
                f"weights must be 'auto', 'none', 'imagenet' or the path of a file, got '{weights}', which is no file"
            )
        return Path(weights)
    if backbone == LITE0:
        return _file_of_package()
    try:
        return _downloaded_of_timm(backbone) if backbone.startswith("timm:") else _downloaded_of_torchvision(backbone)
    except ConfigError:
        raise
    except Exception as error:  # the clients of several hosts, which raise what their transports raise
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ConfigError(
            f"the published weights of '{backbone}' are not on this machine and cannot be downloaded ({reason}). "
            f"Name a file that you have with weights = 'FILE', or take backbone = '{LITE0}', whose weights come with "
            f"{_EXTRA}, or start from random numbers with weights = 'none'"
        ) from error


def sha256_of(file: Path) -> str:
    """The SHA-256 of a file's content, in hexadecimal digits."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def published_features(backbone: str, size: int, weights: str) -> nn.Module:
    """Everything of a published network but its last layer, (M, 3, size, size) -> (M, F).

    Args:
        backbone: `efficientnet-lite0`, a classifier of torchvision, or `timm:NAME`. SqueezeNet classifies by a
            convolution; its last feature map is averaged over the pixels.
        size: side of the images in pixels. Vision transformers are built for it, their position embeddings resampled.
        weights: `none`, `imagenet`, or the path of a file.

    Raises:
        ConfigError: if there is no such backbone, it does not take images of this size, or the weights cannot be had
            or are not those of this network.
    """
    if backbone == LITE0 or backbone.startswith("timm:"):
        return _timm_features(backbone, size, weights)
    model = torchvision_model(backbone, size, weights)
    parts = dict(model.named_children())
    # The first three compute the same as the whole without its last layer, under keys that older runs know.
    if "layer4" in parts:  # ResNet and its relatives keep their stages as children in order
        trunk: nn.Module = nn.Sequential(*list(parts.values())[: list(parts).index("layer4") + 1])
    elif {"features", "norm", "permute"} <= set(parts):  # Swin keeps its channels last until here
        trunk = nn.Sequential(parts["features"], parts["norm"], parts["permute"])
    elif backbone.startswith(("efficientnet", "mobilenet_v2", "squeezenet")):
        trunk = parts["features"]
    else:
        *above, name = _last_layer(model).split(".")
        setattr(model.get_submodule(".".join(above)), name, nn.Identity())
        return model
    return nn.Sequential(trunk, nn.AdaptiveAvgPool2d(1), nn.Flatten())


def torchvision_model(name: str, size: int, weights: str) -> nn.Module:
    """A classifier of torchvision, (M, 3, size, size) -> (M, 1000), whose last layer keeps its random numbers.

    Raises:
        ConfigError: if there is no such network, or the weights cannot be had or are not those of this network.
    """
    options = _torchvision_options(name, size, trained=weights != "none")
    model: nn.Module = torchvision.models.get_model(_known(name), weights=None, **options)
    for auxiliary in ("aux1", "aux2", "AuxLogits"):  # classifiers on the way, which only train the layers below them
        if hasattr(model, auxiliary):
            setattr(model, auxiliary, None)
    file = weights_file(name, weights)
    if file is None:
        return model
    own = model.state_dict()
    state = _unprefixed(_read(file), own)
    if name.startswith("densenet"):  # the published files are older than today's names
        state = {re.sub(r"\.(norm|relu|conv)\.([12])\.", r".\1\2.", key): value for key, value in state.items()}
    if name.startswith("vit"):
        state = _resampled(name, size, state)
    replaced = (f"{_outermost(model, _last_layer(model))}.", "aux1.", "aux2.", "AuxLogits.")
    own = {key: value for key, value in own.items() if not key.startswith(replaced)}
    state = {key: value for key, value in state.items() if not key.startswith(replaced)}
    missing = [key for key in own if key not in state and not _counts_batches(key)]
    left_over = [key for key in state if key not in own]
    if missing or left_over or _other_shapes(own, state):
        raise _misfit(name, file, missing, left_over, _other_shapes(own, state))
    model.load_state_dict(state, strict=False)
    return model


def _torchvision_names() -> list[str]:
    names: list[str] = torchvision.models.list_models(module=torchvision.models)
    return names


def _known(name: str) -> str:
    if name not in _torchvision_names():
        known = ("lenet", "small", "small-batchnorm", "slim-batchnorm", "vgg16", LITE0, *_torchvision_names())
        raise ConfigError(f"there is no backbone '{name}'. {did_you_mean(name, known)}")
    return name


def _torchvision_options(name: str, size: int, *, trained: bool) -> dict[str, Any]:
    """What a network must be told when it is built, beside its name."""
    if name.startswith("vit"):
        return {"image_size": size}
    if name.startswith("maxvit"):
        return {"input_size": (size, size)}
    if name in ("googlenet", "inception_v3"):  # whose published weights want pixels from -1 to 1, which they see to
        return {"init_weights": True, "transform_input": trained}
    return {}


def _resampled(name: str, size: int, state: State) -> State:
    """Position embeddings of a vision transformer of torchvision, for images of another size."""
    patch = int(re.findall(r"\d+", name)[-1])  # vit_b_16
    try:
        resampled: State = interpolate_embeddings(size, patch, dict(state))
    except (KeyError, ValueError):  # no such embeddings: the comparison of keys says so
        return state
    return resampled


def _last_layer(model: nn.Module) -> str:
    """The name of the layer that makes classes of features."""
    names: list[str] = [
        name for name, part in model.named_modules() if any(True for _ in part.parameters(recurse=False))
    ]
    return names[-1]


def _outermost(model: nn.Module, name: str) -> str:
    """The largest part of a model that has no parameters but those of this layer, such as `heads` for `heads.head`."""
    count = len(list(model.get_submodule(name).parameters()))
    while above := name.rpartition(".")[0]:
        if len(list(model.get_submodule(above).parameters())) > count:
            break
        name = above
    return name


def _timm() -> Any:
    try:
        import timm
    except ImportError as error:
        raise ConfigError(f"backbones of timm need the extra 'pretrained': {_EXTRA}") from error
    return timm


def _timm_name(backbone: str) -> str:
    """timm's name of a backbone.

    Raises:
        ConfigError: if timm is missing or has no such model.
    """
    timm = _timm()
    name: str = _LITE0_OF_TIMM if backbone == LITE0 else backbone.removeprefix("timm:")
    if not timm.is_model(name):
        raise ConfigError(f"timm has no model '{name}'. {did_you_mean(name, timm.list_models())[:200]}")
    return name


def _timm_features(backbone: str, size: int, weights: str) -> nn.Module:
    """A timm model without classes: its own pooling and, in transformers, its last norm stay."""
    name, file = _timm_name(backbone), weights_file(backbone, weights)
    if file is None:
        return _timm_model(name, size)
    if backbone == LITE0 and sha256_of(file) == LITE0_SHA256:
        model = _timm_model(name, size)
        model.load_state_dict(_lite0_state(file, model))
        return model
    state = _unprefixed(_read(file), _timm_model(name, size).state_dict())
    try:
        model = _timm_model(name, size, state)
        missing, left_over = _not_taken(name, size, state)
    except (RuntimeError, KeyError, AssertionError) as error:
        published_size = _timm().get_pretrained_cfg(name).input_size[-1]  # position embeddings of others are resampled
        own = _timm_model(name, published_size).state_dict()
        missing = [key for key in own if key not in state and not _counts_batches(key)]
        left_over = [key for key in state if key not in own and not key.startswith(_classifiers(name))]
        raise _misfit(backbone, file, missing, left_over, _other_shapes(own, state)) from error
    if weights == "imagenet":
        left_over = []  # such as the text half of CLIP: timm knows what of its own files it wants
    if missing or left_over:
        raise _misfit(backbone, file, missing, left_over, [])
    return model


def _timm_model(name: str, size: int, state: State | None = None) -> nn.Module:
    """A model of timm for images of this size, without classes, by timm's own way of loading if there is a state."""
    timm = _timm()
    options: dict[str, Any] = {"num_classes": 0}
    if timm.get_pretrained_cfg(name).fixed_input_size:
        options["img_size"] = size
    if state is not None:
        overlay = {"state_dict": dict(state), "custom_load": False}
        options |= {"pretrained": True, "pretrained_cfg_overlay": overlay}
    model = timm.create_model(name, **options)
    model.pretrained_cfg["state_dict"] = None  # or every copy of the network would carry the weights twice
    without_classes: nn.Module = model
    return without_classes


def _not_taken(name: str, size: int, state: State) -> tuple[list[str], list[str]]:
    """What timm, which renames, splits and resamples as it loads, did not find, and what of the file it did not use.

    Every tensor of the file is filled with a number of its own, and a second model shows which of them arrived.

    Returns:
        Keys of the model, and keys of the file without those of the classifier.
    """
    keys = [key for key, value in state.items() if value.is_floating_point()]
    marks = {key: torch.full(state[key].shape, float(_FIRST_MARK + k)) for k, key in enumerate(keys)}
    missing, used = [], set[int]()
    for key, value in _timm_model(name, size, dict(state) | marks).state_dict().items():
        if value.is_floating_point() and value.numel():
            rows = value.reshape(len(value) if value.ndim else 1, -1)[:, 0]
            found = {k for mark in rows.tolist() if 0 <= (k := round(mark) - _FIRST_MARK) < len(keys)}
            used |= found
            if not found:
                missing.append(key)
    unused = [key for k, key in enumerate(keys) if k not in used]
    return missing, [key for key in unused if not key.startswith(_classifiers(name))]


def _classifiers(name: str) -> tuple[str, ...]:
    """How keys of a timm model's classifier begin."""
    found = _timm().get_pretrained_cfg(name).classifier or ()
    return tuple(f"{classifier}." for classifier in ((found,) if isinstance(found, str) else found))


def _file_of_package() -> Path:
    """The installed weights of EfficientNet-Lite0.

    Raises:
        ConfigError: if the package is missing, or its file is another than the one we know.
    """
    file = lite0_file()
    if file is None:
        raise ConfigError(f"the weights of backbone '{LITE0}' need the extra 'pretrained': {_EXTRA}")
    if sha256_of(file) != LITE0_SHA256:
        raise ConfigError(
            f"'{file}' is not the file of weights that weighbridge knows (another SHA-256). "
            f"Install it again: {_EXTRA}, or name the file with weights = '{file}' if it is meant"
        )
    return file


def _lite0_state(file: Path, model: nn.Module) -> State:
    """The package's tensors, which are timm's in the same order, under timm's names and without the classifier."""
    own, given = model.state_dict(), list(_read(file).values())
    given = given[: len(own)]  # the last two are the classifier's
    assert [value.shape for value in own.values()] == [value.shape for value in given], "timm's network is another"
    return dict(zip(own, given, strict=True))


def _downloaded_of_torchvision(name: str) -> Path:
    return _from_url(torchvision.models.get_model_weights(_known(name)).DEFAULT.url)


def _downloaded_of_timm(backbone: str) -> Path:
    config = _timm().get_pretrained_cfg(_timm_name(backbone))
    if not config.hf_hub_id:
        if not config.url:
            raise ConfigError(f"nobody publishes weights of '{backbone}'. Set weights = 'none' or weights = 'FILE'")
        return _from_url(config.url)
    from huggingface_hub import constants, hf_hub_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    get = functools.partial(hf_hub_download, config.hf_hub_id, config.hf_hub_filename or "model.safetensors")
    try:
        return Path(get(local_files_only=True))
    except LocalEntryNotFoundError:
        _reach(constants.ENDPOINT)  # its client would ask again for more than a minute
        return Path(get())


def _from_url(url: str) -> Path:
    """A file in the folder in which torch keeps downloads, now or from before."""
    file = Path(torch.hub.get_dir(), "checkpoints", Path(urlsplit(url).path).name)
    if not file.is_file():
        _reach(url)
        torch.hub.load_state_dict_from_url(url, map_location="cpu", check_hash=True, progress=False, weights_only=True)
    return file


def _reach(url: str) -> None:
    """Raise OSError if a host does not answer within `_PATIENCE` seconds, the search for its address included."""
    said: list[OSError | None] = []

    def ask() -> None:
        try:
            with urlopen(Request(url, method="HEAD"), timeout=_PATIENCE):
                said.append(None)
        except HTTPError:
            said.append(None)  # somebody answers
        except OSError as error:
            said.append(error)

    asking = Thread(target=ask, daemon=True)  # nothing else ends the search for an address
    asking.start()
    asking.join(_PATIENCE + 1.0)
    error = said[0] if said else TimeoutError(f"no answer from {urlsplit(url).hostname}")
    if error is not None:
        raise error


def _read(file: Path) -> State:
    """The tensors of a .safetensors file or of a pickle, out of what they are wrapped in; no code in it is run.

    Raises:
        ConfigError: if the file cannot be read, holds other objects than tensors, or holds none.
    """
    try:
        if file.suffix == ".safetensors":
            content: Any = load_file(file)
        else:
            with torch.serialization.safe_globals([argparse.Namespace]):  # settings, beside the weights
                content = torch.load(file, map_location="cpu", weights_only=True)
    except (OSError, SafetensorError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError) as error:
        raise ConfigError(f"the weights in '{file}' cannot be read: {_why_not(file)}") from error
    while isinstance(content, Mapping):
        inner = next((content[key] for key in _WRAPPINGS if isinstance(content.get(key), Mapping)), None)
        if inner is None:
            break
        content = inner
    state = {key: value for key, value in content.items() if isinstance(value, Tensor)} if _named(content) else {}
    if not state:
        raise ConfigError(
            f"the weights in '{file}' cannot be read: expected tensors by name, as in "
            f"torch.save(model.state_dict(), FILE)"
        )
    return state


def _named(content: Any) -> bool:
    return isinstance(content, Mapping) and all(isinstance(key, str) for key in content)


def _why_not(file: Path) -> str:
    """Why a file cannot be read, in words."""
    try:
        others = torch.serialization.get_unsafe_globals_in_checkpoint(str(file))
    except (OSError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError):
        others = []
    if others:
        return (
            f"it holds objects that may run code ({_some(others)}), and only tensors are read. "
            "Save those alone: torch.save(model.state_dict(), FILE)"
        )
    return "it is damaged, or no .safetensors file and none that torch.save has written"


def _unprefixed(state: State, own: State) -> State:
    """The state under a network's own names, where it is part of something larger or wrapped.

    The prefix is the one under which most of the network's names are found. Names that no prefix makes those of the
    network, such as another library's, lose what wrappers put before all of them.
    """
    anchor = max(own, key=len)
    prefixes = {key.removesuffix(anchor) for key in state if key.endswith(anchor)}
    if prefixes:
        best = max(sorted(prefixes), key=lambda prefix: sum(prefix + key in state for key in own))
        return {key.removeprefix(best): value for key, value in state.items() if key.startswith(best)}
    while prefix := next((prefix for prefix in _PREFIXES if all(key.startswith(prefix) for key in state)), ""):
        state = {key.removeprefix(prefix): value for key, value in state.items()}
    return state


def _counts_batches(key: str) -> bool:
    """Whether it is a counter that nothing reads, and that files from before it lack."""
    return key.endswith("num_batches_tracked")


def _other_shapes(own: State, state: State) -> list[str]:
    return [
        f"{key}: {_shape(state[key])} in the file, {_shape(value)} in the network"
        for key, value in own.items()
        if key in state and state[key].shape != value.shape
    ]


def _shape(value: Tensor) -> str:
    return " x ".join(map(str, value.shape)) or "one number"


def _misfit(
    backbone: str, file: Path, missing: list[str], left_over: list[str], other_shapes: list[str]
) -> ConfigError:
    kinds = {"missing": missing, "left over": left_over, "of another shape": other_shapes}
    said = "; ".join(f"{len(keys)} {kind} ({_some(keys)})" for kind, keys in kinds.items() if keys)
    return ConfigError(
        f"the weights in '{file}' are not those of backbone '{backbone}': {said or 'timm cannot load them'}. "
        "Set backbone to the network that they were made with"
    )


def _some(keys: list[str]) -> str:
    more = f" and {len(keys) - _NAMED_AT_MOST:,} more" if len(keys) > _NAMED_AT_MOST else ""
    return ", ".join(keys[:_NAMED_AT_MOST]) + more
