"""The training loop, read top to bottom. It knows what a method is, never which one."""

__all__ = ["Interrupted", "Quiet", "Watch", "WeightHistory", "fit", "stop_on_signals"]

import math
import signal
import statistics
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from types import FrameType
from typing import Literal, NoReturn, Protocol

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor

from weighbridge.checkpoint import load_checkpoint, save_checkpoint
from weighbridge.data.columns import Column
from weighbridge.data.pairs import PairStream
from weighbridge.data.walk import walked
from weighbridge.errors import DivergenceError
from weighbridge.machine import give_back_memory
from weighbridge.methods.base import Method, StepLog
from weighbridge.optim import Updater, set_progress
from weighbridge.runs import RunFolder
from weighbridge.types import DomainPair

# A loss this far above chance over a window of steps has left for good: an untrained network starts at 1 times chance.
_WINDOW = 10  # steps
_RUNAWAY_LABEL_LOSS = 3.0  # times ln K
_RUNAWAY_DOMAIN_LOSS = 10.0  # times ln 2
_CHANCE = 0.95  # times ln K: nothing is told apart
_CHANCE_STEPS = 50  # in a row; tolerated until the classes were once learned, or until
_SLOW_START = 1000  # steps, and half of the run, are over, or all of it; some networks leave chance late, and then fast
_TOO_FEW = 200  # steps, after which nobody can tell
_CALM = "a lower learning rate, --clip-norm 1, or a smaller --strength"
_LEARN = "another learning rate, or a --backbone with batch norm if this has none"  # which leaves chance sooner

_SNAPSHOTS = 40  # of the weights, over a run
_NOTED_AT_ONCE = 200  # steps whose weights are written down together,
_BLOCK = 2**16  # images at a time


class Interrupted(KeyboardInterrupt):
    """Training was asked to stop and wrote a checkpoint first."""

    def __init__(self, step: int, steps: int) -> None:
        super().__init__(f"stopped after step {step} of {steps}")
        self.step, self.steps = step, steps


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


class WeightHistory:
    """The weight every source image had when it was last seen, its mean so far, and snapshots over time.

    Args:
        images: N.
        followed: images that snapshots show at most; of more, a sample that depends on nothing but their number.

    Attributes:
        rows: (S,) images that snapshots show, ascending.
    """

    def __init__(self, images: int, followed: int = 10_000) -> None:
        sample = walked(np.arange(min(followed, images)), images, key=0)
        self.rows = torch.from_numpy(np.sort(sample))
        self._last = Column.filled(images, math.nan, np.float32)
        self._total = Column.filled(images, 0, np.float64)
        self._count = Column.filled(images, 0, np.int32)
        self._waiting: list[tuple[Tensor, Tensor]] = []  # index and weights of steps that are not in the columns yet
        self.steps: list[int] = []
        self.snapshots: list[Tensor] = []  # T of (S,)

    def add(self, index: Tensor, weights: Tensor) -> None:
        """index, weights: (B,); the weights may be on any device, which is waited for now and then."""
        self._waiting.append((index, weights))
        if len(self._waiting) == _NOTED_AT_ONCE:
            self._note()

    def snapshot(self, step: int) -> None:
        self._note()
        self.steps.append(step)
        self.snapshots.append(self._last[self.rows])

    def last(self) -> Tensor:
        """(N,), NaN for images never seen."""
        self._note()
        return torch.from_numpy(self._last.whole())

    def mean(self) -> Tensor:
        """(N,), NaN for images never seen."""
        self._note()
        return (torch.from_numpy(self._total.whole()) / torch.from_numpy(self._count.whole())).float()

    def state(self) -> dict[str, Tensor]:
        self._note()
        columns = {"last": self._last, "total": self._total, "count": self._count}
        history = torch.stack(self.snapshots) if self.snapshots else torch.empty(0, len(self.rows))
        return {
            **{name: torch.from_numpy(column.whole()) for name, column in columns.items()},
            "steps": torch.tensor(self.steps, dtype=torch.int64),
            "snapshots": history,
        }

    def restore(self, state: Mapping[str, Tensor]) -> None:
        self._last = Column([state["last"].numpy()], np.float32)
        self._total = Column([state["total"].numpy()], np.float64)
        self._count = Column([state["count"].numpy()], np.int32)
        self.steps = state["steps"].tolist()
        self.snapshots = list(state["snapshots"].unbind())

    def _note(self) -> None:
        """Bring the columns up to date."""
        if not self._waiting:
            return
        index = torch.cat([index for index, _ in self._waiting])
        weights = torch.cat([weights for _, weights in self._waiting]).cpu().float()
        self._waiting = []
        block = index // _BLOCK
        for number in torch.unique(block).tolist():
            rows = slice(number * _BLOCK, (number + 1) * _BLOCK)
            place, new = index[block == number] - rows.start, weights[block == number]
            last = self._last[rows]
            last.numpy()[place.numpy()] = new.numpy()  # of an image that came twice the last one, which numpy promises
            self._last[rows] = last
            self._total[rows] = self._total[rows].index_add_(0, place, new.double())
            self._count[rows] = self._count[rows].index_add_(0, place, torch.ones_like(place, dtype=torch.int32))


def fit(
    method: Method,
    pairs: PairStream,
    *,
    fabric: Fabric,
    stage: str,
    steps: int,
    classes: int,
    folder: RunFolder,
    history: WeightHistory | None = None,
    clip_norm: float | None = None,
    log_every: int = 10,
    checkpoint_every: int = 0,
    resume: bool = False,
    watch: Watch | None = None,
) -> float:
    """Train a method for a number of steps, logging and checkpointing into a run folder.

    Args:
        stage: what the log calls it, `pre-classifier` or `adapt`.
        classes: K, for telling a runaway label loss from chance.
        history: where the source images' weights are kept, for methods that have them.
        checkpoint_every: in steps; 0 for a tenth of them.
        resume: go on from the folder's checkpoint, if it has one.

    Returns:
        Seconds of training, those before a resumption included.

    Raises:
        DivergenceError: at a non-finite or runaway loss; the last good checkpoint stays in the folder.
        Interrupted: at Ctrl-C or SIGTERM, after a checkpoint was written.
    """
    watch = watch or Quiet()
    average = (lambda tensor: _reduce(fabric, tensor, "mean")) if fabric.world_size > 1 else None
    update = Updater(fabric.backward, average=average, clip_norm=clip_norm)
    runaway = _Runaway(stage, steps, classes, folder)
    done, seconds_before = 0, 0.0
    if resume:
        if folder.checkpoint.is_file():
            done, extra = load_checkpoint(folder.checkpoint, method)
            runaway.restore(extra["runaway"])
            if history is not None:
                history.restore(extra)
            seconds_before = float(extra["seconds"])
            del extra  # it has numbers of every image
        folder.trim_log(done)

    def checkpoint(step: int) -> None:
        _refuse_broken_weights(method, stage, step, folder)
        if folder.writes:
            seconds = torch.tensor(seconds_before + time.perf_counter() - started, dtype=torch.float64)
            extra = {**(history.state() if history else {}), "seconds": seconds, "runaway": runaway.state()}
            save_checkpoint(folder.checkpoint, method, step=step, extra=extra)
            give_back_memory()  # of the history, which was whole for a moment
        fabric.barrier()

    records = _Records(stage, folder, runaway, average)
    checkpoint_every = checkpoint_every or max(1, steps // 10)
    snapshot_every = max(1, steps // _SNAPSHOTS)
    give_back_memory()  # what reading and splitting the domains took for a moment
    started = time.perf_counter()
    watch.begin(stage, steps, done)
    method.train()
    try:
        with stop_on_signals() as stop_asked, _ahead(pairs, done, steps) as stream:
            for step, pair in stream:
                set_progress(method.optimizers.values(), step / steps)
                torch.manual_seed(pairs.noise_seed(step))  # dropout is a function of (seed, step) too
                with fabric.autocast():
                    log = method.step(pair, step / steps, update)
                if history is not None and log.weights is not None:
                    history.add(pair.source.index, log.weights)

                done = step + 1
                records.add(step, pair, log)
                record = None
                if done % log_every == 0 or done == steps:
                    record = records.close(method)
                watch.advance(done, record)
                if history is not None and (done % snapshot_every == 0 or done == steps):
                    history.snapshot(done)
                stopping = _asked(fabric, stop_asked(), due=done % log_every == 0)
                if done % checkpoint_every == 0 or done == steps or stopping:
                    records.check()
                    checkpoint(done)
                if stopping:  # at the last step too, or what comes after this stage would never hear of it
                    raise Interrupted(done, steps)
    finally:
        watch.end()
    return seconds_before + time.perf_counter() - started


class _Records:
    """Losses of the last steps, kept on the device until a log line is due, so that a step never waits for one.

    Args:
        average: over all processes, so that they judge, and stop, alike; None for one process.
    """

    def __init__(
        self, stage: str, folder: RunFolder, runaway: "_Runaway", average: Callable[[Tensor], Tensor] | None
    ) -> None:
        self._stage, self._folder, self._runaway, self._average = stage, folder, runaway, average
        self._steps: list[int] = []
        self._logs: list[StepLog] = []
        self._rows: list[dict[str, float]] = []  # of the first steps, those that were read back already
        self._images = 0
        self._since = time.perf_counter()

    def add(self, step: int, pair: DomainPair, log: StepLog) -> None:
        self._steps.append(step)
        self._logs.append(log)
        self._images += len(pair.source.images) + len(pair.target.images)

    def check(self) -> None:
        """Read back what is pending; a loss that is not a number, or has run away, ends the run here."""
        unread = self._logs[len(self._rows) :]
        if not unread:
            return
        names = list(unread[0].scalars)
        device = next((v.device for v in unread[0].scalars.values() if isinstance(v, Tensor)), None)
        table = torch.stack(
            [torch.stack([torch.as_tensor(v, device=device).float() for v in log.scalars.values()]) for log in unread]
        )
        if self._average is not None:
            table = self._average(table)
        for values in table.cpu().tolist():  # one wait for the device, however many scalars
            row = dict(zip(names, values, strict=True))
            step = self._steps[len(self._rows)]
            self._rows.append(row)
            self._runaway.see(step, row)

    def close(self, method: Method) -> dict[str, float]:
        """Average the pending steps into one log line and write it."""
        self.check()
        now = time.perf_counter()
        record = {name: sum(row[name] for row in self._rows) / len(self._rows) for name in self._rows[0]}
        weights = [log.weights for log in self._logs if log.weights is not None]
        if weights:
            w = torch.cat(weights)
            stats = torch.stack([w.mean(), w.std(), w.min(), w.max()]).tolist()
            record |= dict(zip(("weight_mean", "weight_std", "weight_min", "weight_max"), stats, strict=True))
        record["learning_rate"] = next(iter(method.optimizers.values())).param_groups[0]["lr"]
        record["images_per_second"] = self._images / max(now - self._since, 1e-9)
        self._folder.log({"stage": self._stage, "step": self._steps[-1] + 1, **record})
        self._steps, self._logs, self._rows, self._images, self._since = [], [], [], 0, now
        return record


class _Runaway:
    """Ends a run whose losses have left for good; judges a window of steps, however often the log is written."""

    def __init__(self, stage: str, steps: int, classes: int, folder: RunFolder) -> None:
        self._stage, self._folder = stage, folder
        self._late = max(_TOO_FEW, min(steps - 1, max(_SLOW_START, steps // 2)))
        self._chance = math.log(classes)
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
        self._learned = self._learned or 0.0 < label < 0.5 * self._chance
        self._at_chance = self._at_chance + 1 if label > _CHANCE * self._chance else 0
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
        kept = f"The last good checkpoint is {self._folder.checkpoint}. " if self._folder.checkpoint.is_file() else ""
        raise DivergenceError(
            f"{self._stage}: {what}. {kept}Try {advice}.",
            step=step,
        )


def _refuse_broken_weights(method: Method, stage: str, step: int, folder: RunFolder) -> None:
    """A finite loss can still have led to an update that is not: never let that replace a good checkpoint."""
    for module in method.modules().values():
        for name, parameter in module.named_parameters():
            if not bool(torch.isfinite(parameter).all()):
                raise DivergenceError(
                    f"{stage}: the weights of {name} stopped being numbers at step {step}. "
                    f"The last good checkpoint, if any, is {folder.checkpoint}. Try a lower learning rate.",
                    step=step - 1,
                )


def _asked(fabric: Fabric, flag: bool, *, due: bool) -> bool:
    """Whether to stop. Several processes must stop at the same step, so they ask each other when a log line is due."""
    if fabric.world_size == 1:
        return flag
    return due and bool(_reduce(fabric, torch.tensor(float(flag), device=fabric.device), "sum") > 0)


def _reduce(fabric: Fabric, tensor: Tensor, operation: Literal["mean", "sum"]) -> Tensor:
    reduced = fabric.all_reduce(tensor, reduce_op=operation)
    assert isinstance(reduced, Tensor)
    return reduced


@contextmanager
def _ahead(pairs: PairStream, start: int, steps: int) -> Iterator[Iterator[tuple[int, DomainPair]]]:
    """Batches one step ahead of their use: decoding and copying go on while the network computes."""
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="batches") as worker:

        def stream() -> Iterator[tuple[int, DomainPair]]:
            if start >= steps:
                return
            upcoming = worker.submit(pairs.at, start)
            for step in range(start, steps):
                pair = upcoming.result()
                if step + 1 < steps:
                    upcoming = worker.submit(pairs.at, step + 1)
                yield step, pair

        yield stream()


@contextmanager
def stop_on_signals() -> Iterator["_Flag"]:
    """Turn the first Ctrl-C or SIGTERM into a flag that is read between steps; a second Ctrl-C stops at once."""
    flag = _Flag()
    previous = {}
    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            previous[number] = signal.signal(number, flag.raise_it)
    except ValueError:  # not in the main thread: signals are somebody else's
        pass
    try:
        yield flag
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


class _Flag:
    def __init__(self) -> None:
        self._asked, self._interrupted = False, False

    def raise_it(self, number: int, frame: FrameType | None) -> None:
        if self._interrupted and number == signal.SIGINT:  # a worker gets SIGTERM on top of the terminal's Ctrl-C
            raise KeyboardInterrupt
        self._asked, self._interrupted = True, self._interrupted or number == signal.SIGINT

    def __call__(self) -> bool:
        return self._asked
