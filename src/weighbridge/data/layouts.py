"""What lies at a path: every file or record of a domain, with the class, source, split and group its place gives it.

Folders, manifests and the well-known data sets are read as they are downloaded; docs/guides/data.md lists them.
Nothing is opened here but lists and the headers of archives.
"""

__all__ = [
    "SPLITS",
    "UNREADABLE",
    "Entry",
    "Kind",
    "Reader",
    "csv_columns",
    "empty_classes",
    "entries",
    "hidden",
    "kind_of",
    "walk",
]

import csv
import json
import os
import stat
import tarfile
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any, Literal, TextIO

from weighbridge.data.decode import IMAGE_SUFFIXES
from weighbridge.errors import DataError, did_you_mean

Kind = Literal["folder", "csv", "list", "tar", "parquet", "npz"]

SPLITS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
}
"""Folder names that are splits, not classes, where all folders at the top have one of them."""

UNREADABLE = "cannot be read"
"""How the reason starts of a folder, or of what is called an image, that is there and does not open."""

_WRAPPERS = ("images", "image", "img")  # Office-31 puts the class folders of amazon into amazon/images
_SUFFIXES: dict[str, Kind] = {".csv": "csv", ".txt": "list", ".tar": "tar", ".parquet": "parquet", ".npz": "npz"}
_ARCHIVES: tuple[Kind, ...] = ("tar", "parquet")
_PATCHES = "patches.csv"  # what `weighbridge patches` leaves beside its images
_EXPECTED = "expected a folder, a .csv, .txt, .npz, .tar or .parquet"
_WHOLE = -1


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing found, not yet opened.

    Attributes:
        name: what users read: the path below the root, or "shard.tar#0001.jpg", or "table.parquet#17".
        file: where its bytes are, below the root.
        offset: -1 for a whole file; in a .tar the first byte; in a .parquet the row.
        size: bytes; of the whole table for a .parquet.
        mtime_ns: of the file, nanoseconds.
        label, source, split, group: "" where nothing says so; split is train, val or test.
        ignored: why it is not even looked into; "" for all others.
    """

    name: str
    file: str
    size: int
    mtime_ns: int
    offset: int = _WHOLE
    label: str = ""
    source: str = ""
    split: str = ""
    group: str = ""
    ignored: str = ""


def kind_of(path: Path) -> Kind:
    """What lies at a path.

    Raises:
        DataError: if nothing does, or nothing that can be a domain; with the nearest name.
    """
    if path.is_dir():
        inside = {Path(entry.name).suffix.lower() if entry.is_file() else "/" for entry in _visible(path)}
        for kind in _ARCHIVES:
            if inside - {".txt", ".json"} == {f".{kind}"}:
                return kind
        return "csv" if (path / _PATCHES).is_file() else "folder"
    if path.is_file():
        kind_by_name = _SUFFIXES.get(path.suffix.lower())
        if kind_by_name is None:
            raise DataError(f"{_EXPECTED} file, got '{path}'")
        return kind_by_name
    siblings = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
    hint = f" {did_you_mean(path.name, siblings)}" if 0 < len(siblings) <= 50 else ""
    raise DataError(f"there is nothing at '{path}'; {_EXPECTED} file.{hint}")


def entries(path: Path) -> tuple[Path, Iterator[Entry]]:
    """The root that names and files are relative to, and everything below it, in no particular order.

    Raises:
        DataError: as `kind_of`, and for lists and archives that cannot be read.
    """
    kind = kind_of(path)
    if kind == "folder":
        return path, walk(path)
    if kind == "csv":
        manifest = path / _PATCHES if path.is_dir() else path
        return manifest.parent, _manifest(manifest)
    if kind == "list":
        root = _root_of_list(path)
        return root, _list(path, root)
    if kind == "npz":
        raise DataError(f"'{path}' holds arrays, not image files. Give a folder, a .csv, .txt, .tar or .parquet")
    files = sorted(path.glob(f"*.{kind}")) if path.is_dir() else [path]
    root = path if path.is_dir() else path.parent
    return root, (_shards if kind == "tar" else _tables)(root, files)


def csv_columns(path: Path) -> Sequence[str]:
    """The columns of a manifest, or of the one that `weighbridge patches` left in a folder."""
    with _read_as("CSV", path), _text(path / _PATCHES if path.is_dir() else path) as lines:
        return next(csv.reader(lines), [])


def empty_classes(path: Path) -> list[str]:
    """Class folders without a single file in them."""
    if not path.is_dir() or kind_of(path) != "folder":
        return []
    prefix, split = _folder_shape(path)
    tops = [path.joinpath(*prefix)] if not split else [Path(e.path) for e in _visible(path) if e.is_dir()]
    folders = {e.name: Path(e.path) for top in tops for e in _visible(top) if e.is_dir()}
    return sorted(name for name, folder in folders.items() if not any(names for _, _, names in os.walk(folder)))


def hidden(name: str) -> bool:
    """Whether a file or folder is there for a program, not for people."""
    return name.startswith(".") or name in ("Thumbs.db", "desktop.ini", "__MACOSX")


# ---- folders -------------------------------------------------------------------------------------------------------


def walk(root: Path, apart: Path | None = None) -> Iterator[Entry]:
    """Everything below a folder but not below `apart`, sorted by name within each folder.

    A folder that can be reached in several ways is read once, by its own name rather than by that of a link.
    """
    prefix, has_splits = _folder_shape(root)
    class_at = len(prefix) + (1 if has_splits else 0)
    seen = {_identity(apart)} if apart and apart.exists() else set()
    waiting, links = deque[tuple[str, ...]]([()]), deque[tuple[str, ...]]()
    while waiting or links:
        parts = waiting.popleft() if waiting else links.popleft()
        folder = root.joinpath(*parts)
        try:
            identity = _identity(folder)
            if parts and identity in seen:
                yield Entry("/".join(parts), "/".join(parts), 0, 0, ignored="a link to a folder that was read already")
                continue
            seen.add(identity)
            found = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError as error:
            yield Entry("/".join(parts), "/".join(parts), 0, 0, ignored=f"{UNREADABLE}: {_why(error)}")
            continue
        label = parts[class_at] if len(parts) > class_at else ""
        split = SPLITS[parts[0].lower()] if has_splits and parts else ""
        for entry in found:
            name = "/".join((*parts, entry.name))
            if hidden(entry.name):
                yield Entry(name, name, 0, 0, ignored="hidden")
            elif _is_dir(entry):
                (links if entry.is_symlink() else waiting).append((*parts, entry.name))
            else:
                yield _file(entry, name, label, split)


def _why(error: OSError) -> str:
    return (error.strerror or str(error)).lower()


def _identity(folder: Path) -> tuple[int, int]:
    facts = folder.stat()
    return facts.st_dev, facts.st_ino


def _file(entry: os.DirEntry[str], name: str, label: str, split: str) -> Entry:
    try:
        facts = entry.stat()
    except OSError as error:  # a link that leads nowhere
        called_image = Path(entry.name).suffix.lower() in IMAGE_SUFFIXES
        reason = f"{UNREADABLE}: {_why(error)}" if called_image else _why(error)
        return Entry(name, name, 0, 0, label=label, split=split, ignored=reason)
    ignored = "" if stat.S_ISREG(facts.st_mode) else "not a regular file"
    return Entry(name, name, facts.st_size, facts.st_mtime_ns, label=label, split=split, ignored=ignored)


def _folder_shape(root: Path) -> tuple[tuple[str, ...], bool]:
    """How many folders to pass before class folders come, and whether the first ones are splits."""
    inside = [entry for entry in _visible(root) if _is_dir(entry)]
    names = [entry.name for entry in inside]
    if len({SPLITS.get(name.lower()) for name in names}) >= 2 and all(name.lower() in SPLITS for name in names):
        return (), True
    loose = any(Path(entry.name).suffix.lower() in IMAGE_SUFFIXES for entry in _visible(root))
    if len(names) == 1 and names[0].lower() in _WRAPPERS and not loose:
        deeper, _ = _folder_shape(root / names[0])
        return (names[0], *deeper), False
    return (), False


def _is_dir(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def _visible(folder: Path) -> list[os.DirEntry[str]]:
    try:
        return [entry for entry in os.scandir(folder) if not hidden(entry.name)]
    except OSError as error:
        raise DataError(f"the folder '{folder}' cannot be read: {error.strerror}") from error


# ---- lists ---------------------------------------------------------------------------------------------------------


class _read_as:  # noqa: N801 (reads as a phrase)
    """Turns what goes wrong in reading a list or archive into one sentence."""

    def __init__(self, kind: str, path: Path) -> None:
        self._kind, self._path = kind, path

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: object) -> None:
        if isinstance(error, OSError | UnicodeDecodeError | csv.Error | tarfile.TarError | json.JSONDecodeError):
            raise DataError(f"'{self._path}' cannot be read as {self._kind}: {error}") from error


def _manifest(path: Path) -> Iterator[Entry]:
    """CSV with a column `file`, and perhaps label, source, split and group."""
    found, seen = 0, set()
    with _read_as("CSV", path), _text(path) as lines:
        reader = csv.DictReader(lines)
        columns = reader.fieldnames or []
        if "file" not in columns:
            raise DataError(f"expected a column 'file' in '{path}', found {', '.join(columns) or 'nothing'}")
        for row in reader:
            file, found = row["file"] or "", found + 1
            split = (row.get("split") or "").strip()
            if split and split.lower() not in SPLITS:
                raise DataError(f"line {reader.line_num} of '{path}': split must be train, val or test, got '{split}'")
            name = file if hash(file) not in seen else f"{file} (line {reader.line_num})"
            seen.add(hash(file))
            facts = _named_file(path, reader.line_num, path.parent, file)
            label, source, group = ((row.get(column) or "").strip() for column in ("label", "source", "group"))
            split = SPLITS[split.lower()] if split else ""
            yield Entry(name, file, *facts, label=label, source=source, split=split, group=group)
    if not found:
        raise DataError(f"expected at least one row below the header of '{path}', found none")


def _list(path: Path, root: Path) -> Iterator[Entry]:
    """Lines "path number", as VisDA, DomainNet and PACS have them; the folder an image lies in names the number."""
    folders: dict[str, set[str]] = {}
    for _, file, number in _lines(path):
        if number:
            folders.setdefault(number, set()).add(PurePosixPath(file).parent.name)
    named = all(len(names) == 1 for names in folders.values()) and len(
        set().union(*folders.values()) if folders else ()
    ) == len(folders)
    for line, file, number in _lines(path):
        label = next(iter(folders[number])) if named and number else number
        yield Entry(file, file, *_named_file(path, line, root, file), label=label)


def _lines(path: Path) -> Iterator[tuple[int, str, str]]:
    """(line number, path, class number or "") of every line that is not empty."""
    with _read_as("a list of images", path), _text(path) as lines:
        for line, text in enumerate(lines, start=1):
            file, _, number = text.strip().rpartition(" ")
            if not number.isdigit():  # no class: the whole line is the path
                file, number = text.strip(), ""
            if file:
                yield line, file, number


def _root_of_list(path: Path) -> Path:
    """Where the paths of a list start: beside it, or, as in PACS, in a folder near by."""
    first = next(_lines(path), None)
    if first is None:
        raise DataError(f"expected lines 'path number' in '{path}', found none")
    up = path.resolve().parent
    near = [up, up.parent, *_folders(up), *_folders(up.parent), *(g for f in _folders(up.parent) for g in _folders(f))]
    for root in near:
        if (root / first[1]).is_file():
            return root
    raise DataError(f"line 1 of '{path}' names '{first[1]}', but there is no such file in '{up}' or near it")


def _text(path: Path) -> TextIO:
    """A list, opened as it is written by `runs.replace_rows`: file names may be any bytes."""
    return path.open(newline="", encoding="utf-8-sig", errors="surrogateescape")


def _folders(folder: Path) -> list[Path]:
    return sorted(Path(entry.path) for entry in _visible(folder) if _is_dir(entry))


def _named_file(path: Path, line: int, root: Path, file: str) -> tuple[int, int]:
    """Size and mtime of a file that a list names."""
    try:
        facts = os.stat(root / file)  # noqa: PTH116 (a million times)
    except (OSError, ValueError):
        facts = None
    if facts is None or not file or not stat.S_ISREG(facts.st_mode):
        raise DataError(f"line {line} of '{path}' names '{file}', but there is no such file in '{root}'")
    return facts.st_size, facts.st_mtime_ns


# ---- archives ------------------------------------------------------------------------------------------------------


def _shards(root: Path, files: Sequence[Path]) -> Iterator[Entry]:
    """WebDataset: members of one name belong together, `7.jpg` is the image and `7.cls` or `7.json` its class."""
    names = _class_names(root)
    for file in files:
        facts, shard = file.stat(), str(file.relative_to(root))
        labels: dict[str, str] = {}
        images: list[tuple[str, tarfile.TarInfo]] = []
        with _read_as("a .tar", file), tarfile.open(file, "r:") as archive:
            for member in archive:
                if not member.isfile():
                    continue
                key, _, suffix = PurePosixPath(member.name).name.partition(".")
                key = str(PurePosixPath(member.name).with_name(key or "_"))
                if suffix in ("cls", "json"):
                    content = archive.extractfile(member)
                    text = content.read(2**20).decode(errors="replace") if content else ""
                    labels[key] = labels.get(key) or _label(text, suffix, names)
                elif not hidden(PurePosixPath(member.name).name):
                    images.append((key, member))
        for key, member in images:
            label = labels.get(key) or PurePosixPath(member.name).parent.name
            name, start = f"{shard}#{member.name}", member.offset_data
            yield Entry(name, shard, member.size, facts.st_mtime_ns, offset=start, label=label)


def _label(text: str, suffix: str, names: Sequence[str]) -> str:
    if suffix == "json":
        facts = json.loads(text)
        text = str(next((facts[key] for key in ("label", "class", "cls") if key in facts), ""))
    return _class_name(text.strip(), names)


def _tables(root: Path, files: Sequence[Path]) -> Iterator[Entry]:
    """Parquet with a column `image`, of bytes or of {bytes, path}, and perhaps `label`, as the Hugging Face hub has."""
    for file in files:
        facts, shard = file.stat(), str(file.relative_to(root))
        table = _open_parquet(file)
        columns = table.schema_arrow.names
        if "image" not in columns:
            raise DataError(f"expected a column 'image' in '{file}', found {', '.join(columns)}")
        names = _parquet_names(table) or _class_names(root)
        row = 0
        for batch in table.iter_batches(columns=["label"] if "label" in columns else []):
            labels = batch.column(0).to_pylist() if "label" in columns else [""] * batch.num_rows
            for label in labels:
                text = "" if label is None else _class_name(str(label), names)
                yield Entry(f"{shard}#{row}", shard, facts.st_size, facts.st_mtime_ns, offset=row, label=text)
                row += 1


def _parquet_names(table: Any) -> Sequence[str]:
    """Class names that the Hugging Face hub notes in the schema."""
    noted = (table.schema_arrow.metadata or {}).get(b"huggingface")
    if not noted:
        return ()
    features = json.loads(noted).get("info", {}).get("features", {})
    return tuple(features.get("label", {}).get("names", ()))


def _open_parquet(file: Path) -> Any:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise DataError(f"reading '{file}' needs pyarrow: pip install 'weighbridge[parquet]'") from error
    try:
        return pyarrow.parquet.ParquetFile(file)
    except (OSError, pyarrow.ArrowException) as error:
        raise DataError(f"'{file}' cannot be read as .parquet: {error}") from error


def _class_names(root: Path) -> Sequence[str]:
    """classes.txt beside the archives: a name a line, in the order of the class numbers."""
    listed = root / "classes.txt"
    return listed.read_text(encoding="utf-8").split("\n") if listed.is_file() else ()


def _class_name(text: str, names: Sequence[str]) -> str:
    return names[int(text)].strip() if text.isdigit() and int(text) < len(names) else text


class Reader:
    """The bytes of entries; any number of threads may ask."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._lock = threading.Lock()
        self._table = lru_cache(maxsize=8)(lambda file: _open_parquet(root / file))
        self._group = lru_cache(maxsize=2)(self._read_group)

    def read(self, file: str, offset: int, size: int) -> Path | bytes:
        """The path of a whole file, or the bytes of a record.

        Raises:
            DataError: if the archive cannot be read.
        """
        if offset == _WHOLE:
            return self._root / file
        if file.endswith(".parquet"):
            return self._row(file, offset)
        with _read_as("a .tar", self._root / file), (self._root / file).open("rb") as shard:
            shard.seek(offset)
            return shard.read(size)

    def _row(self, file: str, row: int) -> bytes:
        with self._lock:  # a row group is read once, not by all threads at the same time
            metadata, group = self._table(file).metadata, 0
            while row >= metadata.row_group(group).num_rows:
                row -= metadata.row_group(group).num_rows
                group += 1
            value = self._group(file, group)[row].as_py()
        image = value.get("bytes") if isinstance(value, dict) else value
        return image if isinstance(image, bytes) else b""

    def _read_group(self, file: str, group: int) -> Any:
        return self._table(file).read_row_group(group, columns=["image"]).column(0)
