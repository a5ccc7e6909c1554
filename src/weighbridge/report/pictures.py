"""Thumbnails of the images that a run was made of, and of no others.

A report is passed on, so only images below the run's own paths are put into it. A name in a table that leads elsewhere,
by "..", an absolute path or a link, gets no picture.
"""

__all__ = ["OwnPictures", "data_url"]

import base64
import io
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from PIL import Image

from weighbridge.data.array_rows import ArrayRows
from weighbridge.data.decode import Unusable, decode_upright
from weighbridge.data.layouts import Kind, Reader, entries, kind_of
from weighbridge.data.threads import thread_count, working
from weighbridge.errors import DataError

_QUALITY = 80  # of JPEG


@dataclass(frozen=True)
class _Home:
    """A path of the run, where it lies now.

    Attributes:
        path: absolute, without links.
        root: what names below it are relative to.
        spelled: how these names may begin.
    """

    path: Path
    kind: Kind
    root: Path
    spelled: tuple[str, ...]

    @cached_property
    def rows(self) -> ArrayRows:
        """The images of an .npz."""
        return ArrayRows(self.path)

    @cached_property
    def records(self) -> Mapping[str, tuple[str, int, int]]:
        """Of an archive: name -> file, first byte or row, size."""
        return {entry.name: (entry.file, entry.offset, entry.size) for entry in entries(self.path)[1]}

    @cached_property
    def reader(self) -> Reader:
        return Reader(self.root)

    def prepare(self) -> None:
        """Read what threads must not read side by side."""
        if self.kind == "npz":
            assert self.rows is not None
        elif self.kind in ("tar", "parquet"):
            assert self.records is not None


@dataclass
class OwnPictures:
    """The images below some paths.

    Args:
        noted: paths as run.json has them, each {"given": ..., "absolute": ...}. What is gone by now is passed over.

    Attributes:
        outside: how many names led elsewhere.
        gone: how many names led to nothing that can be shown.
    """

    noted: Sequence[Mapping[str, str]]
    outside: int = 0
    gone: int = 0
    _homes: list[_Home] = field(init=False)

    def __post_init__(self) -> None:
        self._homes = [home for noted in self.noted if (home := _home(noted))]

    def thumbnails(self, names: Iterable[str], side: int) -> list[bytes | None]:
        """JPEG files whose longer side has at most `side` pixels; None for a name without a picture."""
        for home in self._homes:
            home.prepare()
        with working(thread_count(), "thumbnails") as pool:
            found = list(pool.map(lambda name: self._thumbnail(name, side), names))
        self.outside += sum(picture is _OUTSIDE for picture in found)
        self.gone += sum(picture is _GONE for picture in found)
        return [picture if isinstance(picture, bytes) else None for picture in found]

    def relative(self, name: str) -> tuple[Path, str] | None:
        """The root of a name that lies below one of the paths, and the rest of the name."""
        for home in self._homes:
            if (rest := _below(name, home)) is not None:
                return home.root, rest
        return None

    def _thumbnail(self, name: str, side: int) -> "bytes | _NoPicture":
        source = self._source(name)
        if isinstance(source, _NoPicture):
            return source
        try:
            image = source if isinstance(source, Image.Image) else _decoded(source, side)
        except (Unusable, OSError):
            return _GONE
        image = image.convert("RGB")
        image.thumbnail((side, side), Image.Resampling.LANCZOS)
        file = io.BytesIO()
        image.save(file, "JPEG", quality=_QUALITY, optimize=True)
        return file.getvalue()

    def _source(self, name: str) -> "Path | bytes | Image.Image | _NoPicture":
        for home in self._homes:
            if (rest := _below(name, home)) is not None:
                return _content(home, rest)
        starts = [f"{noted[key]}{mark}" for noted in self.noted for key in noted for mark in (os.sep, "#")]
        return _GONE if any(map(name.startswith, starts)) else _OUTSIDE  # below a path that is gone by now, or nowhere


@dataclass(frozen=True)
class _NoPicture:
    """Why there is none."""

    reason: str


_OUTSIDE, _GONE = _NoPicture("outside"), _NoPicture("gone")


def data_url(picture: bytes) -> str:
    """A JPEG file as the address of an image."""
    return f"data:image/jpeg;base64,{base64.b64encode(picture).decode('ascii')}"


def _home(noted: Mapping[str, str]) -> _Home | None:
    path, given = Path(noted["absolute"]).resolve(), Path(noted["given"])
    try:
        kind = kind_of(path)
        root = path if kind == "npz" else entries(path)[0].resolve()
    except DataError:
        return None
    spelled = {path: (str(given), str(path)), path.parent: (str(given.parent), str(path.parent))}
    return _Home(path, kind, root, spelled.get(root, (str(root),)))


def _below(name: str, home: _Home) -> str | None:
    """What comes after the root in a name; None if the name does not begin with it."""
    mark = "#" if home.kind == "npz" else os.sep
    starts = (spelled + mark for spelled in home.spelled)
    return next((name[len(start) :] for start in starts if name.startswith(start)), None)


def _content(home: _Home, rest: str) -> Path | bytes | Image.Image | _NoPicture:
    if home.kind == "npz":
        return home.rows.image(int(rest)) if rest.isdigit() and int(rest) < len(home.rows) else _GONE
    try:
        if home.kind in ("tar", "parquet"):
            return home.reader.read(*home.records[rest])
        file = (home.root / rest).resolve()
    except (KeyError, OSError, ValueError, RuntimeError, DataError):  # no such name, or a link to itself
        return _GONE
    if not file.is_relative_to(home.root):
        return _OUTSIDE
    return file if file.is_file() else _GONE


def _decoded(source: Path | bytes, side: int) -> Image.Image:
    return Image.fromarray(decode_upright(source, channels=3, least=side))
