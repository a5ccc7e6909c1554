"""What changes while training runs, as functions of progress in [0, 1]. Whoever loops does the counting."""

__all__ = ["constant_strength", "learning_rate_factor", "reversal_strength"]

import math
from collections.abc import Callable


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
