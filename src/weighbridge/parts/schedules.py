"""What changes while training runs, as functions of progress in [0, 1]. Whoever loops does the counting."""

__all__ = [
    "RateSchedule",
    "constant_strength",
    "cosine_factor",
    "learning_rate_factor",
    "reversal_strength",
    "warmed_up",
]

import math
from collections.abc import Callable

RateSchedule = Callable[[float], float]
"""Progress in [0, 1] -> factor on every first learning rate."""


def reversal_strength(progress: float, gamma: float = 10.0) -> float:
    """lambda = 2 / (1 + exp(-gamma p)) - 1, rising from 0 towards 1 (Osumi et al. 2019, eq. 3; JMLR 2016, sec. 5.2.2).

    Args:
        progress: p, the share of all steps that is done, in [0, 1].
        gamma: how soon lambda rises; 10 in the DANN paper.
    """
    return 2.0 / (1.0 + math.exp(-gamma * progress)) - 1.0


def constant_strength(value: float) -> Callable[[float], float]:
    """lambda that stays where it is, for networks that start from a pre-classifier (Osumi et al. 2019, sec. 3.3)."""
    return lambda progress: value


def learning_rate_factor(progress: float, alpha: float = 10.0, beta: float = 0.75) -> float:
    """(1 + alpha p)^-beta, the factor on the first learning rate (Ganin et al., JMLR 2016, sec. 5.2.2).

    Args:
        progress: p, the share of all steps that is done, in [0, 1].
        alpha: 10 in the paper; 0 keeps the learning rate constant.
        beta: 0.75 in the paper.
    """
    return float((1.0 + alpha * progress) ** -beta)


def cosine_factor(progress: float) -> float:
    """(1 + cos(pi p)) / 2, from 1 to 0 (Loshchilov and Hutter, ICLR 2017, eq. 5, without restarts and down to 0).

    Args:
        progress: p, the share of all steps that is done, in [0, 1].
    """
    return 0.5 * (1.0 + math.cos(math.pi * progress))


def warmed_up(schedule: RateSchedule, share: float) -> RateSchedule:
    """A linear rise from 0 to 1, then the whole schedule over the steps that are left (Goyal et al., 2017, sec. 2.2).

    Args:
        share: of all steps, in [0, 1); 0 gives the schedule as it is. The first step of a rise has the factor 0.
    """
    return lambda progress: progress / share if progress < share else schedule((progress - share) / (1.0 - share))
