"""Progress bars for people who look on."""

__all__ = ["ProgressBars"]

from collections.abc import Callable, Mapping
from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

_SHOWN = (  # log key, what the bar calls it
    ("label_loss", "label loss"),
    ("domain_loss", "domain loss"),
    ("domain_accuracy", "domain acc"),
    ("weight_mean", "w"),
    ("images_per_second", "img/s"),
)


class ProgressBars:
    """One bar per stage: share done, losses, domain-classifier accuracy, images per second, time left.

    Args:
        console: where to draw; standard error by default, so that standard output stays clean for results.
    """

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True)
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=18),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=self._console,
            refresh_per_second=4,
        )
        self._run = ""
        self._task: TaskID | None = None

    def __enter__(self) -> "ProgressBars":
        self._bars.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._bars.stop()

    def about(self, run: str) -> None:
        """Name the run whose stages come next, such as "seed 0 · dann"."""
        self._run = run

    def reading(self, what: str) -> Callable[[int, int], None]:
        """A callback (done, total) for decoding images."""
        task: TaskID | None = None

        def show(done: int, total: int) -> None:
            nonlocal task
            if task is None:
                task = self._bars.add_task(f"reading {what}", total=total, note="images")
            self._bars.update(task, completed=done)

        return show

    def begin(self, stage: str, steps: int, start: int) -> None:
        title = f"{self._run} · {stage}" if self._run else stage
        self._task = self._bars.add_task(title, total=steps, completed=start, note="")

    def advance(self, step: int, record: Mapping[str, float] | None) -> None:
        if self._task is None:
            return
        note = {"note": _note(record)} if record else {}
        self._bars.update(self._task, completed=step, **note)  # type: ignore[arg-type]

    def end(self) -> None:
        if self._task is not None:
            self._bars.stop_task(self._task)
        self._task = None


def _note(record: Mapping[str, float]) -> str:
    parts = []
    for key, name in _SHOWN:
        if key in record:
            value = f"{record[key]:,.0f}" if key == "images_per_second" else f"{record[key]:.2f}"
            parts.append(f"{name} {value}")
    return "  ".join(parts)
