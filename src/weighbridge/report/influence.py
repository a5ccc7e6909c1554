"""influence.json as tables: what classes, sources and factors of the renders are worth."""

__all__ = ["influence_tables"]

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from weighbridge.files import printable
from weighbridge.report.html import Cell, Heading, Line, SortedTable, cell

_TABLES = {"by_factor": "factors", "by_source": "sources", "by_class": "classes"}


def influence_tables(folder: Path) -> dict[str, Any] | None:
    """Tables, and what to render next; None where the run has no influence.json."""
    path = folder / "influence.json"
    if not path.is_file():
        return None
    found = json.loads(path.read_text(encoding="utf-8"))
    tables = [_table(found[key], f"By {name}.") for key, name in _TABLES.items() if found.get(key)]
    return {"next": [printable(line) for line in found.get("next", [])], "tables": tables}


def _table(rows: Sequence[Mapping[str, Any]], caption: str) -> SortedTable:
    keys = list(dict.fromkeys(key for row in rows for key in row))
    texts = {key: all(isinstance(row.get(key), str) for row in rows) for key in keys}
    columns = tuple(Heading(key.replace("_", " "), text=texts[key]) for key in keys)
    return SortedTable(columns, tuple(Line(tuple(_shown(row.get(key)) for key in keys)) for row in rows), caption)


def _shown(value: Any) -> Cell:
    if isinstance(value, Mapping) and value.get("estimate") is not None:
        low, high = value.get("low"), value.get("high")
        between = "" if low is None or high is None else f" [{low:+.2g}, {high:+.2g}]"
        return Cell(f"{value['estimate']:+.2g}{between}", f"{value['estimate']:.6g}")
    if isinstance(value, bool) or value is None:
        return cell(None if value is None else "yes" if value else "no")
    if isinstance(value, int | float):
        return cell(value, "{:,}" if isinstance(value, int) else "{:.3g}")
    return cell(", ".join(map(str, value)) if isinstance(value, list) else str(value))
