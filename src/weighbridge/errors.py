"""Everything weighbridge refuses, in one family.

    WeighbridgeError                 what the user can put right; the command line prints it and exits with 2
    ├── ConfigError                  a setting that does not exist, or a value that cannot work
    ├── DataError                    a domain that cannot be read, or two that do not fit together
    ├── RenderError                  a renderer that is not installed, or does not run on this machine
    ├── RunFolderError               a run folder that exists, is missing, or is not one
    └── DivergenceError              training left the numbers; the last good checkpoint is kept

A message says what was expected, what came, and what to do, in one sentence or two.
"""

__all__ = [
    "ConfigError",
    "DataError",
    "DivergenceError",
    "LeftOutWarning",
    "RenderError",
    "RunFolderError",
    "ToldWarning",
    "WeighbridgeError",
    "did_you_mean",
]

from collections.abc import Iterable
from difflib import get_close_matches


class WeighbridgeError(Exception):
    """Base of every error that the user can put right."""


class ConfigError(WeighbridgeError):
    """A setting that does not exist, or a value that cannot work."""


class DataError(WeighbridgeError):
    """A domain that cannot be read, or two domains that do not fit together."""


class RenderError(WeighbridgeError):
    """A renderer that is not installed, or does not run on this machine."""


class RunFolderError(WeighbridgeError):
    """A run folder that exists already, is missing, or is not a run folder."""


class DivergenceError(WeighbridgeError):
    """Training left the numbers: a non-finite or runaway loss.

    Args:
        message: what happened, where, and what to try.
        step: the first step, counted from 0, at which it was seen.
    """

    def __init__(self, message: str, *, step: int) -> None:
        super().__init__(message)
        self.step = step


class LeftOutWarning(UserWarning):
    """Images that cannot be used, and go without a prediction or out of an evaluation."""


class ToldWarning(UserWarning):
    """What somebody who looks on is told in a line of its own, for whoever calls from Python without progress bars."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A closing sentence that names the nearest known word, or lists what there is, up to 20 of it."""
    choices = list(known)
    near = get_close_matches(word, choices, n=1, cutoff=0.6)
    if near:
        return f"Did you mean '{near[0]}'?"
    more = f" and {len(choices) - 20:,} more" if len(choices) > 20 else ""
    return f"Known: {', '.join(choices[:20])}{more}."
