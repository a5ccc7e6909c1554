"""When a run has left for good, and is ended."""

__all__ = ["Runaway", "refuse_broken_weights"]

import math
import statistics
from collections import deque
from collections.abc import Mapping
from typing import NoReturn

import torch
from torch import Tensor

from weighbridge.errors import DivergenceError
from weighbridge.methods.base import Method
from weighbridge.run_folder import RunFolder

# A loss this far above chance over a window of steps has left for good: an untrained network starts at 1 times chance.
_WINDOW = 10  # steps
_RUNAWAY_LABEL_LOSS = 3.0  # times ln K
_RUNAWAY_DOMAIN_LOSS = 10.0  # times ln 2
_CHANCE = 0.95  # times ln K: nothing is told apart. Of many classes it would be a network that has begun to,
_CHANCE_GAP = 0.19  # so that it is never further below ln K than this; 0.05 ln K reaches it at 45 classes
_LEARNED = 0.5  # times ln K, and of many classes
_LEARNED_GAP = 2.0  # this far below ln K: the classes were once learned
_CHANCE_STEPS = 50  # in a row; tolerated until the classes were once learned, or until
_SLOW_START = 1000  # steps, and half of the run, are over, or all of it; some networks leave chance late, and then fast
_TOO_FEW = 200  # steps, after which nobody can tell; and
_TOO_FEW_OF_A_CLASS = 200  # images of each class on average
_CALM = "a lower learning rate, --clip-norm 1, or a smaller --strength"
_LEARN = "another learning rate, or a --backbone with batch norm if this has none"  # which leaves chance sooner


class Runaway:
    """Ends a run whose losses have left for good; judges a window of steps, however often the log is written.

    Args:
        classes: K >= 2.
        batch: source images a step, over all processes. With many classes a run needs more steps until it can be told
            that nothing is learned, and a short run is never told so.
    """

    def __init__(self, stage: str, steps: int, classes: int, folder: RunFolder, *, batch: int) -> None:
        self._stage, self._folder = stage, folder
        too_few = max(_TOO_FEW, math.ceil(_TOO_FEW_OF_A_CLASS * classes / batch))
        self._late = max(too_few, min(steps - 1, max(_SLOW_START, steps // 2)))
        self._chance = math.log(classes)
        self._at_chance_above = max(_CHANCE * self._chance, self._chance - _CHANCE_GAP)
        self._learned_below = max(_LEARNED * self._chance, self._chance - _LEARNED_GAP)
        self._label: deque[float] = deque(maxlen=_WINDOW)
        self._domain: deque[float] = deque(maxlen=_WINDOW)
        self._learned, self._at_chance = False, 0

    def see(self, step: int, scalars: Mapping[str, float]) -> None:
        """Judge one step, counted from 0.

        Raises:
            DivergenceError: if a loss is not a number or the window has run away.
        """
        for name, value in scalars.items():
            if not math.isfinite(value):
                self._stop(f"{name} became {value} at step {step + 1}", step)
        self._label.append(scalars.get("label_loss", 0.0))
        self._domain.append(scalars.get("domain_loss", 0.0))
        if len(self._label) < _WINDOW:
            return
        label, domain = statistics.fmean(self._label), statistics.fmean(self._domain)
        self._learned = self._learned or 0.0 < label < self._learned_below
        self._at_chance = self._at_chance + 1 if label > self._at_chance_above else 0
        lasting = self._at_chance >= _CHANCE_STEPS
        by = f"by step {step + 1}"
        if label > _RUNAWAY_LABEL_LOSS * self._chance:
            self._stop(f"the label loss rose to {label:.3g} ({self._chance:.3g} is chance) {by}", step)
        if domain > _RUNAWAY_DOMAIN_LOSS * math.log(2):
            self._stop(f"the domain loss rose to {domain:.3g} (0.693 is chance) {by}", step)
        if lasting and self._learned:
            self._stop(
                f"{by} the label loss went back to {label:.3g}, which is chance: the features lost the classes", step
            )
        if lasting and step >= self._late:
            what = f"{by} the label loss is still {label:.3g}, which is chance: nothing is learned"
            weaker = "a smaller --strength, " if "domain_loss" in scalars else ""
            longer = "--pre-steps" if self._stage == "pre-classifier" else "--steps"
            self._stop(what, step, f"{weaker}more {longer}, {_LEARN}")

    def state(self) -> Tensor:
        """Everything seen that still matters, for a checkpoint."""
        windows = [[*values, *[math.nan] * (_WINDOW - len(values))] for values in (self._label, self._domain)]
        return torch.tensor([float(self._learned), self._at_chance, *windows[0], *windows[1]], dtype=torch.float64)

    def restore(self, state: Tensor) -> None:
        learned, at_chance, *windows = state.tolist()
        self._learned, self._at_chance = bool(learned), int(at_chance)
        self._label.extend(value for value in windows[:_WINDOW] if not math.isnan(value))
        self._domain.extend(value for value in windows[_WINDOW:] if not math.isnan(value))

    def _stop(self, what: str, step: int, advice: str = _CALM) -> NoReturn:
        raise DivergenceError(f"{self._stage}: {what}. {_kept(self._folder)}Try {advice}.", step=step)


def _kept(folder: RunFolder) -> str:
    return f"The last good checkpoint is {folder.checkpoint}. " if folder.checkpoint.is_file() else ""


def refuse_broken_weights(method: Method, stage: str, step: int, folder: RunFolder) -> None:
    """A finite loss can still have led to an update that is not: never let that replace a good checkpoint."""
    for module in method.modules().values():
        for name, parameter in module.named_parameters():
            if not bool(torch.isfinite(parameter).all()):
                raise DivergenceError(
                    f"{stage}: {name} contains NaN or infinity after step {step}. "
                    f"{_kept(folder)}Try a lower learning rate.",
                    step=step - 1,
                )
