"""Progress bars for people who look on."""

__all__ = ["ProgressBars"]

import time
from collections.abc import Callable, Mapping
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

_SHOWN = (  # log key, what the bar calls it; short, for terminals of 80 columns
    ("label_loss", "label"),
    ("domain_loss", "domain"),
    ("domain_accuracy", "dacc"),
)


class ProgressBars:
    """One bar for the stage that runs: share done, losses, domain-classifier accuracy, images per second, time left.

    Above it, in a comparison, a bar over all runs. A finished stage leaves one line behind.

    Args:
        console: where to draw; standard error by default, so that standard output stays clean for results.
    """

    def __init__(self, console: Console | None = None) -> None:
        console = console or Console(stderr=True)
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=8),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}"),
            TimeRemainingColumn(compact=True),
            console=console,
            refresh_per_second=4,
            disable=not console.is_terminal,  # a log file gets the finished lines alone
        )
        self._run, self._stage = "", ""
        self._runs: TaskID | None = None
        self._task: TaskID | None = None
        self._started, self._steps, self._last_note = 0.0, 0, ""

    def __enter__(self) -> "ProgressBars":
        self._bars.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for task in list(self._bars.task_ids):
            self._bars.remove_task(task)
        self._bars.stop()

    def about(self, run: str, done: int, total: int) -> None:
        """Name the run whose stages come next, such as "seed 0 · dann", and how many of the runs are done."""
        self._run = run
        if self._runs is None:
            self._runs = self._bars.add_task(run, total=total, note="runs")
        self._bars.update(self._runs, description=run, completed=done, total=total)

    def reading(self, what: str) -> Callable[[int, int], None]:
        """A callback (done, total) for finding, examining or decoding images; total is 0 while it is not known."""
        return self.counting(f"reading {what}", "files")

    def counting(self, doing: str, unit: str) -> Callable[[int, int], None]:
        """A callback (done, total) for anything that is counted; total is 0 while it is not known."""
        task = self._bars.add_task(doing, total=None, note=unit, visible=False)
        started, before = time.perf_counter(), (0, 0)  # of the stage that runs; (done, total)

        def show(done: int, total: int) -> None:
            nonlocal started, before
            if total != before[1] or done < before[0]:  # another stage
                started = time.perf_counter()
                self._bars.reset(task)
            before, seconds = (done, total), time.perf_counter() - started
            rate = f"{_rounded(done / seconds)} {unit}/s" if total and seconds > 0.5 else unit
            self._bars.update(task, completed=done, total=total or None, visible=done < total or not total, note=rate)

        return show

    def tell(self, sentence: str) -> None:
        """A line that stays."""
        self._bars.console.print(sentence, highlight=False)

    def begin(self, stage: str, steps: int, start: int) -> None:
        """A stage of training starts at step `start`."""
        self._stage, self._steps, self._started, self._last_note = stage, steps, time.perf_counter(), ""
        self._task = self._bars.add_task(stage, total=steps, completed=start, note="")

    def advance(self, step: int, record: Mapping[str, float] | None) -> None:
        """`step` steps are done; `record` is the log line that came with the last one, if one was due."""
        if self._task is None:
            return
        if record is not None:
            self._last_note = _note(record)
        self._bars.update(self._task, completed=step, note=self._last_note)

    def end(self) -> None:
        """The stage is over, finished or not."""
        if self._task is None:
            return
        done = int(self._bars.tasks[self._bars.task_ids.index(self._task)].completed)
        seconds = time.perf_counter() - self._started
        name = f"{self._run} · {self._stage}" if self._run else self._stage
        self._bars.console.print(
            f"{name}: {done} of {self._steps} steps, {seconds:.0f} s. {self._last_note}", highlight=False
        )
        self._bars.remove_task(self._task)
        self._task = None


def _rounded(rate: float) -> str:
    return f"{rate:,.0f}" if rate >= 10 else f"{rate:.1f}"


def _note(record: Mapping[str, float]) -> str:
    parts = [f"{name} {record[key]:.2f}" for key, name in _SHOWN if key in record]
    return " ".join([*parts, f"{record['images_per_second']:.0f} img/s"])
