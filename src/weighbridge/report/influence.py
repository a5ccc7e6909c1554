"""influence.json as tables: what classes, sources and factors of the renders are worth."""

__all__ = ["influence_tables"]

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from weighbridge.files import printable
from weighbridge.report.html import Cell, Heading, Line, SortedTable, cell

_TABLES = {"by_factor": "factors", "by_source": "sources", "by_class": "classes"}
_TITLES = {  # key -> heading; others are called as they are
    "share_lowest_fifth": "in the lowest fifth",
    "effect": "earned, in score",
    "accuracy_effect": "earned, in points",
    "value": "mean value",
    "weight": "mean weight",
}
_BESIDE = ("share_between", "chance")  # edges of the share, which stand in its cell, and a p-value


def influence_tables(folder: Path) -> dict[str, Any] | None:
    """Tables, and what to render next; None where the run has no influence.json."""
    path = folder / "influence.json"
    if not path.is_file():
        return None
    found = json.loads(path.read_text(encoding="utf-8"))
    tables = [_table(found[key], f"By {name}.") for key, name in _TABLES.items() if found.get(key)]
    said = "Brackets are 95 % intervals. In the lowest fifth, a fifth of any renders is expected."
    if found.get("score"):
        said = f"The score is {printable(found['score'])}. {said}"
    return {"said": said, "next": [printable(line) for line in found.get("next", [])], "tables": tables}


def _table(rows: Sequence[Mapping[str, Any]], caption: str) -> SortedTable:
    known = {key: None for row in rows for key, value in row.items() if value is not None and key not in _BESIDE}
    texts = {key: all(isinstance(row.get(key), str | None) for row in rows) for key in known}
    columns = tuple(Heading(_TITLES.get(key, key.replace("_", " ")), text=texts[key]) for key in known)
    return SortedTable(columns, tuple(Line(tuple(_shown(key, row) for key in known)) for row in rows), caption)


def _shown(key: str, row: Mapping[str, Any]) -> Cell:
    value = row.get(key)
    if key == "share_lowest_fifth" and value is not None:
        edges = row.get("share_between")
        between = f" [{100 * edges[0]:.0f}, {100 * edges[1]:.0f}]" if edges else ""
        return Cell(f"{100 * value:.0f} %{between}", f"{value:.6g}")
    if isinstance(value, Mapping) and value.get("estimate") is not None:
        low, high = value.get("low"), value.get("high")
        between = "" if low is None or high is None else f" [{low:+.2g}, {high:+.2g}]"
        return Cell(f"{value['estimate']:+.2g}{between}", f"{value['estimate']:.6g}")
    if isinstance(value, int | float):
        return cell(value, "{:,}" if isinstance(value, int) else "{:.3g}")
    return cell(value if value is None else str(value))
