"""The training loop, read top to bottom. It knows what a method is, never which one."""

__all__ = ["fit"]

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Literal

import torch
from lightning_fabric import Fabric
from torch import Tensor

from weighbridge.data.pairs import PairStream
from weighbridge.engine.checkpoint import load_checkpoint, save_checkpoint
from weighbridge.engine.history import WeightHistory
from weighbridge.engine.machine import give_back_memory
from weighbridge.engine.runaway import Runaway, refuse_broken_weights
from weighbridge.engine.signals import Interrupted, stop_on_signals
from weighbridge.methods.base import Method, StepLog
from weighbridge.parts.optim import Updater, set_progress
from weighbridge.parts.schedules import RateSchedule, learning_rate_factor
from weighbridge.run_folder import RunFolder
from weighbridge.types import DomainPair
from weighbridge.watch import Quiet, Watch

_SNAPSHOTS = 40  # of the weights, over a run


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
    rate_schedule: RateSchedule = learning_rate_factor,
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
        rate_schedule: how learning rates move: a function of progress, so that a resumed run has the same.
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
    runaway = Runaway(stage, steps, classes, folder, batch=pairs.batch_source)
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
        refuse_broken_weights(method, stage, step, folder)
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
                set_progress(method.optimizers.values(), step / steps, rate_schedule)
                _seed(pairs.noise_seed(step))  # dropout is a function of (seed, step) too
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


def _seed(seed: int) -> None:
    """`torch.manual_seed`, which without a GPU writes down a traceback each time, for the day one is asked for."""
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.manual_seed(seed)
    else:
        torch.default_generator.manual_seed(seed)


class _Records:
    """Losses of the last steps, kept on the device until a log line is due, so that a step never waits for one.

    Args:
        average: over all processes, so that they judge, and stop, alike; None for one process.
    """

    def __init__(
        self, stage: str, folder: RunFolder, runaway: "Runaway", average: Callable[[Tensor], Tensor] | None
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
