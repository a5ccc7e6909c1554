"""Files written whole or not at all, names of any bytes, and the folder of the cache."""

__all__ = ["cache_home", "printable", "replace_rows", "replace_text", "whole_file", "write_json"]

import csv
import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Write a JSON file whole or not at all. Names may be any bytes: what is not UTF-8 becomes a JSON escape."""
    text = json.dumps(values, indent=2, ensure_ascii=False) + "\n"
    replace_text(path, text.encode("utf-8", "backslashreplace").decode("utf-8"))


def replace_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all."""
    with whole_file(path) as part:
        part.write_text(text, encoding="utf-8", errors="surrogateescape")  # file names may be any bytes


def replace_rows(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a CSV file whole or not at all, a row at a time."""
    with whole_file(path) as part, part.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A file beside the path that takes its place at the end, or goes if something fails, such as a full disk."""
    part = path.with_name(path.name + ".part")
    try:
        yield part
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def cache_home() -> Path:
    """Where indexes and decoded pixels are kept: WEIGHBRIDGE_CACHE, or the system's place for such files."""
    named = os.environ.get("WEIGHBRIDGE_CACHE")
    if named:
        return Path(named)
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "weighbridge"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home())) / "weighbridge" / "cache"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "weighbridge"


def printable(value: str) -> str:
    """File names may be any bytes; a terminal must not obey them."""
    return "".join(c if c.isprintable() else f"\\x{ord(c) & 0xFF:02x}" for c in value)
