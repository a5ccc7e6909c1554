"""Optimisers and the one place where a loss becomes a step."""

__all__ = ["Updater", "adam", "adamw", "set_progress", "sgd"]

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter
from torch.optim import SGD, Adam, AdamW, Optimizer

from weighbridge.parts.schedules import RateSchedule, learning_rate_factor


def sgd(
    parameters: Iterable[Parameter],
    new_parameters: Iterable[Parameter] = (),
    *,
    learning_rate: float,
    momentum: float = 0.9,
    weight_decay: float = 0.0,
    new_multiplier: float = 1.0,
    nesterov: bool = False,
    earlier: Sequence[Iterable[Parameter]] = (),
    layer_decay: float = 1.0,
    fused: bool = True,
) -> SGD:
    """SGD with momentum (Osumi et al. 2019, sec. 4.1).

    Args:
        parameters: what learns at the learning rate.
        new_parameters: what learns `new_multiplier` times as fast: layers that start from random numbers while the
            rest is fine-tuned (JMLR 2016, sec. 5.2.2).
        nesterov: Nesterov's form of the momentum, which must be above 0.
        weight_decay: of every parameter, as in the DANN paper.
        earlier: stages nearer to the pixels than `parameters`, from the pixels up.
        layer_decay: how fast a stage of `earlier` learns, as a multiple of the stage after it. The last of them learns
            `layer_decay` times as fast as `parameters`.
        fused: one kernel for all parameters, on CPUs and GPUs alike; the same numbers, sooner.
    """
    groups = _rate_groups(parameters, new_parameters, learning_rate, new_multiplier, earlier, layer_decay)
    optimizer = SGD(groups, momentum=momentum, weight_decay=weight_decay, nesterov=nesterov, fused=fused)
    _remember_first_rate(optimizer, decay=True)
    return optimizer


def adamw(
    parameters: Iterable[Parameter],
    new_parameters: Iterable[Parameter] = (),
    *,
    learning_rate: float,
    weight_decay: float = 0.0,
    new_multiplier: float = 1.0,
    earlier: Sequence[Iterable[Parameter]] = (),
    layer_decay: float = 1.0,
    fused: bool = True,
) -> AdamW:
    """Adam with decoupled weight decay (Loshchilov and Hutter, ICLR 2019, algorithm 2); betas 0.9 and 0.999.

    Args:
        weight_decay: each step takes this share, times the learning rate, off the weights. Parameters of one dimension
            are left out: biases, and the scales and shifts of norm layers.

    The other arguments are those of `sgd`.
    """
    groups = [
        {"params": chosen, "lr": group["lr"], "weight_decay": share}
        for group in _rate_groups(parameters, new_parameters, learning_rate, new_multiplier, earlier, layer_decay)
        for flat, share in ((False, weight_decay), (True, 0.0))
        if (chosen := [parameter for parameter in group["params"] if (parameter.ndim <= 1) == flat])
    ]
    optimizer = AdamW(groups, betas=(0.9, 0.999), fused=fused)
    _remember_first_rate(optimizer, decay=True)
    return optimizer


def _rate_groups(
    parameters: Iterable[Parameter],
    new_parameters: Iterable[Parameter],
    learning_rate: float,
    new_multiplier: float,
    earlier: Sequence[Iterable[Parameter]],
    layer_decay: float,
) -> list[dict[str, Any]]:
    """Groups as torch's optimisers take them, those with parameters. The first has `learning_rate`, which is logged."""
    rates = [(parameters, 1.0), (new_parameters, new_multiplier)]
    rates += [(stage, layer_decay**distance) for distance, stage in enumerate(reversed(earlier), start=1)]
    groups = [{"params": list(members), "lr": learning_rate * multiple} for members, multiple in rates]
    return [group for group in groups if group["params"]]


def adam(parameters: Iterable[Parameter], *, learning_rate: float, beta1: float = 0.5, fused: bool = True) -> Adam:
    """Adam at a constant learning rate; beta1 = 0.5 is what ADDA's authors set."""
    optimizer = Adam(list(parameters), lr=learning_rate, betas=(beta1, 0.999), fused=fused)
    _remember_first_rate(optimizer, decay=False)
    return optimizer


def _remember_first_rate(optimizer: Optimizer, decay: bool) -> None:
    for group in optimizer.param_groups:
        group["first_lr"] = group["lr"]
        group["decay"] = decay


def set_progress(
    optimizers: Iterable[Optimizer], progress: float, schedule: RateSchedule = learning_rate_factor
) -> None:
    """Set every learning rate to its value at this progress in [0, 1]."""
    factor = schedule(progress)
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = group["first_lr"] * (factor if group["decay"] else 1.0)


class Updater:
    """zero_grad, backward, average over processes, clip, step.

    Methods say which loss goes to which optimiser and in which order; this says how.

    Args:
        backward: turns a loss into gradients (Fabric's, which knows about precision).
        average: averages a tensor over all processes, in place or not; None for one process. Gradients travel as one
            flat tensor, so networks need no wrapper and a method may run its parts in any order, any number of times.
        clip_norm: largest norm of one optimiser's whole gradient; None leaves it alone.
    """

    def __init__(
        self,
        backward: Callable[[Tensor], None],
        *,
        average: Callable[[Tensor], Tensor] | None = None,
        clip_norm: float | None = None,
    ) -> None:
        self._backward = backward
        self._average = average
        self._clip_norm = clip_norm

    def __call__(self, loss: Tensor, optimizer: Optimizer) -> None:
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast(loss.device.type, enabled=False):  # the step runs under autocast; its backward must not
            self._backward(loss)
        if self._average is not None:
            self._average_gradients(parameters)
        if self._clip_norm is not None:
            torch.nn.utils.clip_grad_norm_(parameters, self._clip_norm)
        optimizer.step()
        torch.clear_autocast_cache()  # or a second pass in the same step would see the bf16 copy of the old weights

    def _average_gradients(self, parameters: list[Parameter]) -> None:
        assert self._average is not None
        gradients = [p.grad for p in parameters if p.grad is not None]
        if not gradients:
            return
        flat = self._average(torch.cat([g.reshape(-1) for g in gradients]))
        for gradient, mean in zip(gradients, torch.split(flat, [g.numel() for g in gradients]), strict=True):
            gradient.copy_(mean.view_as(gradient))
