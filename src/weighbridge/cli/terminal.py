"""What the command line shows: progress, how to go on, tables."""

__all__ = [
    "counting",
    "progress_bars",
    "reading",
    "resume_command",
    "same_command",
    "scan_first",
    "scan_path",
    "show_command",
    "show_proposal",
    "show_rows",
    "show_tables",
    "show_verdict",
]

import os
import shlex
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from weighbridge.files import printable
from weighbridge.run_folder import called_as

if TYPE_CHECKING:
    from rich.console import Console

    from weighbridge.report.summary import Table
    from weighbridge.settings.proposed import Proposal
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


def resume_command(run: Path) -> str | None:
    return shlex.join([called_as(), "adapt", "--resume", str(run)]) if (run / "run.json").is_file() else None


def same_command(out: Path) -> str | None:
    return shlex.join([called_as(), *sys.argv[1:]]) if out.is_dir() else None


def show_proposal(proposal: "Proposal") -> None:
    """What was seen and chosen, in four lines."""
    if _speaks():
        print(*proposal.lines, sep="\n", flush=True)


def show_command(proposal: "Proposal", source: Path, target: Path) -> None:
    """What the images ask for, each with its reason, and one command to paste."""
    if not proposal.lines:
        return
    print("What the images ask for")
    for name, value in proposal.changes.items():
        said = f"{name} = {value}: {proposal.reasons[name]}"
        print(*textwrap.wrap(printable(said), 80, initial_indent="  - ", subsequent_indent="    "), sep="\n")
    print("", *proposal.lines[:2], "", sep="\n")
    paths = ["--source", str(source), "--target", str(target), "--out", "runs/first"]
    print(shlex.join([called_as(), "adapt", *paths]), proposal.options())


_COLOURS = {"adapted": "green", "renders-only": "red", "inconclusive": "yellow"}


def show_verdict(trust: Mapping[str, Any] | None) -> None:
    """The verdict of a run in colour, its two strongest reasons, and what to do next: six lines at most.

    Args:
        trust: of metrics.json; None where no renders were held out.
    """
    if trust is None or not _speaks():
        return
    from rich.console import Console
    from rich.text import Text

    console, verdict = Console(highlight=False), trust["verdict"]
    console.print(Text.assemble((f"{verdict}: ", f"bold {_COLOURS[verdict]}"), trust["headline"]), soft_wrap=True)
    lines = [f"  because  {reason}" for reason in trust["reasons"][:2]]
    for line in [*lines, *(f"  next     {step}" for step in trust["next"][:2])]:
        console.print(Text(printable(line)), soft_wrap=True)
    console.print()


def show_tables(folder: Path | None) -> None:
    """The tables of a finished comparison or grid, and what they say."""
    if folder is None:  # another process speaks
        return
    from rich.console import Console
    from rich.markup import escape

    from weighbridge.report.results import read_results
    from weighbridge.report.sentences import findings, heading
    from weighbridge.report.summary import tables_of
    from weighbridge.report.tables import table_note

    console, before = Console(highlight=False), None
    tables = tables_of(read_results(folder))
    for table in tables:
        if table.task != before:
            console.print(f"\n[bold]{escape(table.task)}[/bold]")
            before = table.task
        console.print(f"\n{heading(table)}", markup=False)
        _print_table(console, table)
        if len(tables) == 1:
            console.print(f"\n{table_note(table)}\n", markup=False)
        if table.evaluation is None or table.evaluation["seen"] == "target":  # of the others the report says more
            console.print(*(f"• {sentence}" for sentence in findings(table)), sep="\n", markup=False)
    print(f"\ntables {folder / 'table.md'}\nreport {folder / 'report.html'}")


def show_rows(rows: Sequence[Sequence[str]]) -> None:
    """A small table, its header first."""
    from rich.console import Console

    _print_rows(Console(highlight=False), rows, wrapped=False)


_WIDE = 100  # columns of a terminal in which a table fits
_LEFT_OUT = ("class mean %", "to DANN", "source %")


def _print_table(console: "Console", table: "Table") -> None:
    from weighbridge.report.tables import table_cells

    header, *rows = table_cells(table)
    if console.width < _WIDE:  # what the verdict rests on; table.md has the rest
        kept = [place for place, name in enumerate(header) if name not in _LEFT_OUT]
        header, *rows = ([cells[place] for place in kept] for cells in (header, *rows))
    _print_rows(console, [header, *rows], wrapped=console.width < _WIDE)


def _print_rows(console: "Console", rows: Sequence[Sequence[str]], *, wrapped: bool) -> None:
    from rich.table import Table as Columns

    columns = Columns(box=None, pad_edge=False, header_style="bold")
    for place, name in enumerate(rows[0]):
        columns.add_column(name, justify="right" if place else "left", no_wrap=place > 0 and not wrapped)
    for row in rows[1:]:
        columns.add_row(*row)
    console.print(columns)
