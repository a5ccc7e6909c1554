"""Optimisers and the one place where a loss becomes a step."""

__all__ = ["Updater", "adam", "set_progress", "sgd"]

from collections.abc import Callable, Iterable

import torch
from torch import Tensor
from torch.nn import Parameter
from torch.optim import SGD, Adam, Optimizer

from weighbridge.parts.schedules import learning_rate_factor


def sgd(
    parameters: Iterable[Parameter],
    new_parameters: Iterable[Parameter] = (),
    *,
    learning_rate: float,
    momentum: float = 0.9,
    weight_decay: float = 0.0,
    new_multiplier: float = 1.0,
    nesterov: bool = False,
    rate_decay: float = 10.0,
    fused: bool = True,
) -> SGD:
    """SGD with momentum (Osumi et al. 2019, sec. 4.1).

    Args:
        parameters: what learns at the learning rate.
        new_parameters: what learns `new_multiplier` times as fast: layers that start from random numbers while the
            rest is fine-tuned (JMLR 2016, sec. 5.2.2).
        nesterov: Nesterov's form of the momentum, which must be above 0.
        rate_decay: alpha of the factor by which `set_progress` lowers the learning rate; 0 for a constant one.
        fused: one kernel for all parameters, on CPUs and GPUs alike; the same numbers, sooner.
    """
    groups = [
        {"params": list(parameters), "lr": learning_rate},
        {"params": list(new_parameters), "lr": learning_rate * new_multiplier},
    ]
    given = [group for group in groups if group["params"]]
    optimizer = SGD(given, momentum=momentum, weight_decay=weight_decay, nesterov=nesterov, fused=fused)
    _remember_first_rate(optimizer, rate_decay)
    return optimizer


def adam(parameters: Iterable[Parameter], *, learning_rate: float, beta1: float = 0.5, fused: bool = True) -> Adam:
    """Adam at a constant learning rate; beta1 = 0.5 is what ADDA's authors set."""
    optimizer = Adam(list(parameters), lr=learning_rate, betas=(beta1, 0.999), fused=fused)
    _remember_first_rate(optimizer, rate_decay=0.0)
    return optimizer


def _remember_first_rate(optimizer: Optimizer, rate_decay: float) -> None:
    for group in optimizer.param_groups:
        group["first_lr"] = group["lr"]
        group["rate_decay"] = rate_decay


def set_progress(optimizers: Iterable[Optimizer], progress: float) -> None:
    """Set every learning rate to its value at this progress in [0, 1]."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = group["first_lr"] * learning_rate_factor(progress, group["rate_decay"])


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
