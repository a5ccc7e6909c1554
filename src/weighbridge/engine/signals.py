"""Ctrl-C and SIGTERM, heard between two steps."""

__all__ = ["Interrupted", "stop_on_signals"]

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from weighbridge.stopping import answered_by


class Interrupted(KeyboardInterrupt):
    """Training was asked to stop and wrote a checkpoint first."""

    def __init__(self, step: int, steps: int) -> None:
        super().__init__(f"stopped after step {step} of {steps}")
        self.step, self.steps = step, steps


@contextmanager
def stop_on_signals() -> Iterator["_Flag"]:
    """Turn the first Ctrl-C or SIGTERM into a flag that is read between steps; a second Ctrl-C stops at once."""
    flag = _Flag()
    with answered_by(flag.raise_it):
        yield flag


class _Flag:
    def __init__(self) -> None:
        self._asked, self._interrupted = False, False

    def raise_it(self, number: int, frame: FrameType | None) -> None:
        if self._interrupted and number == signal.SIGINT:  # a worker gets SIGTERM on top of the terminal's Ctrl-C
            raise KeyboardInterrupt
        self._asked, self._interrupted = True, self._interrupted or number == signal.SIGINT

    def __call__(self) -> bool:
        return self._asked
