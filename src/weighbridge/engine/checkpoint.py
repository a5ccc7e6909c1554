"""All that a resumed run needs, in one safetensors file: tensors as tensors, the rest as JSON. No pickles."""

__all__ = ["load_checkpoint", "load_network", "save_checkpoint", "save_network"]

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.optim import Optimizer

from weighbridge.errors import RunFolderError
from weighbridge.files import whole_file
from weighbridge.methods.base import Method

_FORMAT = "4"  # of checkpoints; a stage that goes on must be in the same batches and with the same modules as before


def save_checkpoint(path: Path, method: Method, *, step: int, extra: Mapping[str, Tensor]) -> None:
    """Write the state of a method after `step` steps, whole or not at all.

    Args:
        extra: more tensors to keep, by name (the history of the weights).
    """
    tensors: dict[str, Tensor] = {f"extra/{name}": tensor for name, tensor in extra.items()}
    for name, module in method.modules().items():
        tensors |= {f"module/{name}/{key}": value for key, value in module.state_dict().items()}
    groups: dict[str, Any] = {}
    for name, optimizer in method.optimizers.items():
        state = optimizer.state_dict()
        groups[name] = state["param_groups"]
        for row, values in state["state"].items():
            tensors |= {f"optimizer/{name}/{row}/{key}": value for key, value in values.items() if value is not None}
    _write(path, tensors, {"format": _FORMAT, "step": str(step), "groups": json.dumps(groups)})


def load_checkpoint(path: Path, method: Method) -> tuple[int, dict[str, Tensor]]:
    """Put a method back to where `save_checkpoint` saw it. Random numbers need no state: they follow from the step.

    Returns:
        How many steps were done, and the extra tensors.

    Raises:
        RunFolderError: if there is no checkpoint, it is damaged, or it belongs to another method, network or version.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata()
        if metadata.get("format") != _FORMAT:
            raise ValueError("an earlier version of weighbridge made it. Start a new run with another --out")
        tensors = load_file(path)
        groups = json.loads(metadata["groups"])
        for name, module in method.modules().items():
            module.load_state_dict(_below(tensors, f"module/{name}/"))
        for name, optimizer in method.optimizers.items():
            _restore_optimizer(optimizer, groups[name], _below(tensors, f"optimizer/{name}/"))
    except (OSError, SafetensorError, LookupError, RuntimeError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise RunFolderError(f"cannot continue from the checkpoint '{path}': {reason}") from error
    return int(metadata["step"]), _below(tensors, "extra/")


def save_network(path: Path, network: nn.Module) -> None:
    """Write the weights of a network, whole or not at all."""
    _write(path, dict(network.state_dict()), {})


def load_network(path: Path, network: nn.Module) -> None:
    """Fill a network with saved weights.

    Raises:
        RunFolderError: if the file is missing, damaged, or of another network.
    """
    try:
        network.load_state_dict(load_file(path))
    except (OSError, SafetensorError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise RunFolderError(f"cannot read the weights of this run's network from '{path}': {reason}") from error


def _restore_optimizer(optimizer: Optimizer, groups: list[dict[str, Any]], tensors: Mapping[str, Tensor]) -> None:
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        row, name = key.split("/", 1)
        like = parameters[int(row)]
        if value.shape == like.shape:  # fused kernels walk through memory: state must lie there as its parameter does
            value = torch.empty_like(like, dtype=value.dtype).copy_(value)
        state.setdefault(int(row), {})[name] = value
    own = optimizer.param_groups  # with what a checkpoint of an older version lacks
    merged = [ours | saved for ours, saved in zip(own, groups, strict=True)]
    optimizer.load_state_dict({"state": state, "param_groups": merged})


def _below(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}


def _write(path: Path, tensors: Mapping[str, Tensor], metadata: dict[str, str]) -> None:
    with whole_file(path) as part:
        save_file({key: value.detach().cpu().contiguous() for key, value in tensors.items()}, part, metadata)
