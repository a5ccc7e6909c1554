"""From values to one HTML file that asks for nothing, and the tables that sort in it."""

__all__ = ["Cell", "Heading", "Line", "SortedTable", "cell", "render"]

import base64
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from weighbridge.files import printable
from weighbridge.report.inline import dark_colours

_POLICY = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{}'; base-uri 'none'; "
    "form-action 'none'"
)


@dataclass(frozen=True)
class Heading:
    """Of a column; `text` columns sort by the alphabet, others by number."""

    name: str
    text: bool = False


@dataclass(frozen=True)
class Cell:
    """What stands in a table.

    Attributes:
        value: what it is sorted by; empty where nothing is known.
        share: percent that a meter shows beside it, if one does.
    """

    shown: str
    value: str = ""
    share: float | None = None


@dataclass(frozen=True)
class Line:
    """A row; `control` marks what adapts nothing."""

    cells: tuple[Cell, ...]
    control: bool = False


@dataclass(frozen=True)
class SortedTable:
    """A table whose columns sort by click and by keyboard."""

    columns: tuple[Heading, ...]
    rows: tuple[Line, ...]
    caption: str = ""


def cell(value: str | float | None, form: str = "{}", *, share: bool = False) -> Cell:
    """A word, or a number as `form` writes it; a dash where nothing is known."""
    if value is None:
        return Cell("–")
    if isinstance(value, str):
        return Cell(printable(value), printable(value))
    return Cell(form.format(value), f"{value:.6g}", min(100.0, max(0.0, round(value, 1))) if share else None)


def render(template: str, drawn: Iterable[str] = (), **values: Any) -> str:
    """The page.

    Only this script may run, by its hash, and nothing may be fetched: the page may be sent to anybody.

    Args:
        drawn: SVG of `inline_svg` in it, for whose colours a dark page has its own.
    """
    loader = PackageLoader("weighbridge.report", "templates")
    environment = Environment(
        loader=loader,
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    script, styles = (loader.get_source(environment, name)[0] for name in ("page.js", "page.css"))
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    dark = f"@media screen and (prefers-color-scheme: dark) {{ :root {{ {dark_colours(drawn)} }} }}"
    page = environment.get_template(template).render(
        policy=_POLICY.format(digest),
        script=Markup(script),
        styles=Markup(f"{styles}\n{dark}"),
        **values,
    )
    return page.encode("utf-8", "replace").decode("utf-8")  # settings may hold names of any bytes
