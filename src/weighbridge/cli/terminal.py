"""What the command line shows: progress, how to go on, tables."""

__all__ = [
    "called_as",
    "counting",
    "progress_bars",
    "reading",
    "resume_command",
    "same_command",
    "scan_first",
    "scan_path",
    "show_comparison",
    "show_grid",
]

import os
import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from weighbridge.report.summary import Summary
    from weighbridge.watch import Watch


@contextmanager
def reading(what: str, if_stopped: str) -> Iterator[Callable[[int, int], None]]:
    """A progress bar over files, and what to say if Ctrl-C stops it."""
    with counting(f"reading {what}", "files", f"{if_stopped}.") as progress:
        yield progress


@contextmanager
def counting(doing: str, unit: str, if_stopped: str) -> Iterator[Callable[[int, int], None]]:
    """A progress bar with rate and time left, and what to say if Ctrl-C stops it."""
    from weighbridge.progress import ProgressBars

    try:
        with ProgressBars() as bars:
            yield bars.counting(doing, unit)
    except KeyboardInterrupt:
        print(f"weighbridge: stopped. {if_stopped}", file=sys.stderr)
        raise


@contextmanager
def progress_bars(how_to_go_on: Callable[[], str | None]) -> Iterator["Watch"]:
    """Progress bars; whoever stops what they show is told where it stands and how to go on."""
    from weighbridge.progress import ProgressBars

    if not _speaks():
        from weighbridge.watch import Quiet

        yield Quiet()
        return
    try:
        with ProgressBars() as bars:
            yield bars
    except KeyboardInterrupt as interruption:
        command = how_to_go_on()
        where = str(interruption) or "stopped"
        rest = f"Nothing done so far is lost; go on with: {command}" if command else "Nothing was written yet."
        print(f"weighbridge: {where}. {rest}", file=sys.stderr)
        raise


def scan_first(bars: "Watch", domains: dict[str, list[Path]]) -> None:
    """Scan before PyTorch is loaded: what is wrong with a path is told at once, and large images need the memory."""
    if _speaks():
        for name, paths in domains.items():
            for path in paths:
                scan_path(path, bars.reading(name))


def scan_path(path: Path, progress: Callable[[int, int], None]) -> None:
    from weighbridge.data.index import scan
    from weighbridge.data.layouts import kind_of

    if kind_of(path) != "npz":
        scan(path, progress=progress)


def _speaks() -> bool:
    """Whether this is the first of several processes, or the only one."""
    return int(os.environ.get("RANK", os.environ.get("LOCAL_RANK", "0"))) == 0


def called_as() -> str:
    return os.environ.get("WEIGHBRIDGE_CALLED_AS", "weighbridge")  # the script `run` says that it was the door


def resume_command(run: Path) -> str | None:
    return shlex.join([called_as(), "adapt", "--resume", str(run)]) if (run / "run.json").is_file() else None


def same_command(out: Path) -> str | None:
    return shlex.join([called_as(), *sys.argv[1:]]) if out.is_dir() else None


def show_comparison(folder: Path | None) -> None:
    if folder is None:  # another process speaks
        return
    import json

    from rich.console import Console

    from weighbridge.report.sentences import findings
    from weighbridge.report.summary import summarise
    from weighbridge.report.tables import table_note

    summary = summarise(json.loads((folder / "results.json").read_text(encoding="utf-8")))
    console = Console(highlight=False)
    _print_table(console, summary)
    console.print(f"\n{table_note(summary)}\n", *(f"• {sentence}" for sentence in findings(summary)), sep="\n")
    print(f"\nreport {folder / 'report.html'}")


def _print_table(console: "Console", summary: "Summary") -> None:
    from rich.table import Table

    from weighbridge.report.tables import table_cells

    header, *rows = table_cells(summary)
    shown = [place for place, name in enumerate(header) if console.width >= 100 or name != "source %"]
    table = Table(box=None, pad_edge=False, header_style="bold")
    for place in shown:
        table.add_column(header[place], justify="right" if place else "left", no_wrap=place > 0)
    for row in rows:
        table.add_row(*(row[place] for place in shown))
    console.print(table)


def show_grid(folder: Path) -> None:
    from rich.console import Console

    from weighbridge.report.results import read_results, views

    console, before = Console(highlight=False), None
    for view in views(read_results(folder)):
        if view.task is not before:
            console.print(f"\n[bold]{view.task['name']}[/bold]")
            before = view.task
        console.print(f"\n{view.heading}")
        _print_table(console, view.summary)
        if view.evaluation is None or view.evaluation["seen"] == "target":  # the others are in table.md and the report
            console.print(*(f"• {sentence}" for sentence in view.findings), sep="\n")
    print(f"\ntables {folder / 'table.md'}\nreport {folder / 'report.html'}")
