"""Files and folders written whole or not at all, names of any bytes, and the folder of the cache."""

__all__ = [
    "absolute",
    "cache_home",
    "occupied",
    "printable",
    "replace_rows",
    "replace_text",
    "whole_file",
    "whole_folder",
    "write_json",
]

import csv
import json
import os
import shutil
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
def whole_file(path: Path, part: Path | None = None) -> Iterator[Path]:
    """A file beside the path that takes its place at the end, or goes if something fails, such as a full disk.

    Args:
        part: that file; the path with .part behind it if not given. Processes that may write the same path at the same
            time need one each.

    Raises:
        OSError: if it cannot be written or moved; it names the path, as nobody has heard of the file beside it.
    """
    part = part or path.with_name(path.name + ".part")
    try:
        yield part
        os.replace(part, path)
    except BaseException as error:
        part.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename == os.fspath(part):
            error.filename = os.fspath(path)
        raise


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """An empty folder beside the path, with .part behind its name, that takes the path's place at the end.

    If something fails it stays where it is, as it does when the process is killed, until the next attempt clears it
    away. An empty folder at the path makes way; whether more is there the caller has asked: see `occupied`.

    Raises:
        OSError: if it cannot be made or moved.
    """
    part = path.with_name(path.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    yield part
    if path.is_dir():
        path.rmdir()
    os.replace(part, path)


def occupied(path: Path) -> bool:
    """Whether something is at the path that a new folder would have to replace; an empty folder is nothing."""
    return path.exists() and (not path.is_dir() or any(path.iterdir()))


def absolute(name: str) -> str:
    """Where the name of an image leads from here; links are not followed. It may be of a record in an archive."""
    return os.path.abspath(name)  # noqa: PTH100 (a million times)


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
