"""Who looks on while something long runs: a progress bar, or nobody. No torch."""

__all__ = ["Nth", "Progress", "Quiet", "Warns", "Watch"]

import warnings
from collections.abc import Callable, Mapping
from typing import Protocol

from weighbridge.errors import ToldWarning

Progress = Callable[[int, int], None]
"""Told (done, in all) now and then; in all is 0 while it is not known."""


class Watch(Protocol):
    """Somebody who looks on: a progress bar, or nobody."""

    def about(self, run: str, done: int, total: int) -> None: ...

    def reading(self, what: str) -> Callable[[int, int], None]: ...

    def tell(self, sentence: str) -> None: ...

    def begin(self, stage: str, steps: int, start: int) -> None: ...

    def advance(self, step: int, record: Mapping[str, float] | None) -> None: ...

    def end(self) -> None: ...


class Quiet:
    """Nobody looks on."""

    def about(self, run: str, done: int, total: int) -> None:
        """See `Watch`."""

    def reading(self, what: str) -> Callable[[int, int], None]:
        """See `Watch`."""
        return lambda done, total: None

    def tell(self, sentence: str) -> None:
        """See `Watch`."""

    def begin(self, stage: str, steps: int, start: int) -> None:
        """See `Watch`."""

    def advance(self, step: int, record: Mapping[str, float] | None) -> None:
        """See `Watch`."""

    def end(self) -> None:
        """See `Watch`."""


class Warns(Quiet):
    """Nobody looks on; what would be told becomes a warning."""

    def tell(self, sentence: str) -> None:
        """See `Watch`."""
        warnings.warn(sentence, ToldWarning, stacklevel=2)


class Nth(Quiet):
    """Somebody who looks on at one of several trainings of a kind, and is told which.

    Args:
        watch: who looks on.
        place: which, counted from 0.
        among: of how many.
    """

    def __init__(self, watch: Watch, place: int, among: int) -> None:
        self._watch, self._said = watch, f"{place + 1} of {among}"

    def reading(self, what: str) -> Callable[[int, int], None]:
        """See `Watch`."""
        return self._watch.reading(what)

    def tell(self, sentence: str) -> None:
        """See `Watch`."""
        self._watch.tell(sentence)

    def begin(self, stage: str, steps: int, start: int) -> None:
        """See `Watch`."""
        self._watch.begin(f"{stage} {self._said}", steps, start)

    def advance(self, step: int, record: Mapping[str, float] | None) -> None:
        """See `Watch`."""
        self._watch.advance(step, record)

    def end(self) -> None:
        """See `Watch`."""
        self._watch.end()
