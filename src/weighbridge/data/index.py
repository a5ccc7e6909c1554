"""The index of a domain: one SQLite file that knows every image, so that nothing has to be looked at twice.

It lies in the cache folder, never beside the user's images. A scan lists what is there, examines what is new or has
changed, forgets what is gone, and puts the usable images in order. It does so in a copy, which takes the place of the
index when all is done: an interrupted scan goes on there, and whoever reads keeps the images that it started with.
"""

__all__ = ["STATUSES", "Index", "Rejected", "Stored", "scan"]

import contextlib
import hashlib
import os
import re
import shutil
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from weighbridge.data.decode import IMAGE_SUFFIXES, Unusable, examine
from weighbridge.data.layouts import UNREADABLE, Entry, Reader, entries
from weighbridge.data.threads import thread_count, working
from weighbridge.errors import DataError
from weighbridge.files import cache_home, whole_file
from weighbridge.watch import Progress

STATUSES = ("used", "quarantined", "ignored")
"""used: an image; quarantined: should be one and cannot be used; ignored: nobody would take it for one."""

_FORMAT = 2  # of the SQLite file; another number is another file name
_AT_ONCE = 512  # files examined between two commits
_TOLD_EVERY = 20_000  # files found, about a fifth of a second
_A_TASK = 16  # files a thread takes at a time: handing over costs as much as a small image
_SMALL_FILE = 8_000  # bytes: below, Python's own work outweighs decoding, and threads would only wait for each other
_MANY_PAGES, _FEW_PAGES = (f"PRAGMA cache_size = -{kib}" for kib in (2000, 250))  # the system keeps pages anyway
_TABLES = """
CREATE TABLE IF NOT EXISTS kept.image (
    id INTEGER PRIMARY KEY, name BLOB UNIQUE NOT NULL, file BLOB, size INTEGER, mtime_ns INTEGER, at INTEGER,
    label BLOB, source TEXT, split TEXT, part_of TEXT, status TEXT, reason TEXT,
    hash BLOB, format TEXT, width INTEGER, height INTEGER, mode TEXT, orientation INTEGER, quality INTEGER,
    remarks TEXT);
CREATE TABLE IF NOT EXISTS kept.look (id INTEGER PRIMARY KEY, difference_hash INTEGER, thumbnail BLOB);
CREATE TABLE IF NOT EXISTS kept.place (place INTEGER PRIMARY KEY, id INTEGER, rank INTEGER);
CREATE TABLE IF NOT EXISTS kept.fact (key TEXT PRIMARY KEY, value TEXT);
CREATE TEMP TABLE seen (
    name BLOB PRIMARY KEY, file BLOB, size INTEGER, mtime_ns INTEGER, at INTEGER,
    label BLOB, source TEXT, split TEXT, part_of TEXT, ignored TEXT) WITHOUT ROWID;
"""
_CHANGED = """
    CREATE TEMP TABLE changed AS SELECT seen.* FROM seen LEFT JOIN image USING (name)
    WHERE image.id IS NULL OR image.size != seen.size OR image.mtime_ns IS NOT seen.mtime_ns OR image.at != seen.at
"""
_READ = """
    SELECT name, file, at, size, format, mode, orientation, width, height
    FROM place JOIN image USING (id) WHERE place = ?
"""
_NEXT = "SELECT * FROM changed WHERE rowid > ? AND rowid <= ? ORDER BY rowid"
_GONE = "SELECT id FROM image WHERE name NOT IN (SELECT name FROM seen)"
_RELABELLED = """
    SELECT image.id FROM image JOIN seen USING (name)
    WHERE image.label != seen.label OR image.source != seen.source
        OR image.split != seen.split OR image.part_of != seen.part_of
"""
_RELABEL = f"""
    UPDATE image SET (label, source, split, part_of) =
        (SELECT label, source, split, part_of FROM seen WHERE seen.name = image.name)
    WHERE id IN ({_RELABELLED})
"""


@dataclass(frozen=True, slots=True)
class Stored:
    """An image as it is stored.

    Attributes:
        content: the path of a file, or the bytes of a record in an archive.
        width, height: in pixels, upright.
        format, mode, orientation: see `decode.Facts`.
    """

    name: str
    content: Path | bytes
    format: str
    mode: str
    orientation: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Rejected:
    """A file that is not used. `status` is quarantined or ignored."""

    file: str
    status: str
    reason: str


_Columns = tuple[object, ...]
_Result = tuple[_Columns, _Columns | None, bool]  # of image, of look, and whether the file must change to become better


class Index:
    """A finished index, open for reading; any number of threads may ask.

    The usable images are numbered by their paths, 2 before 10: their `place`, from 0.

    Attributes:
        root: what names are relative to.
        fingerprint: changes when any usable image, its name or its class does.
        pixels: changes when the content of a usable image or their order does.
        tally: how many files have which of `STATUSES`.
    """

    def __init__(self, path: Path, root: Path) -> None:
        self.path, self.root = path, root
        self._reader = Reader(root)
        self._database = _connect(path, threads=True)
        self._database.execute(_FEW_PAGES)
        facts: dict[str, str] = dict(self._database.execute("SELECT key, value FROM fact"))
        self.fingerprint, self.pixels = facts["fingerprint"], facts["pixels"]
        counted = dict(self._database.execute("SELECT status, count(*) FROM image GROUP BY status"))
        self.tally: dict[str, int] = {status: counted.get(status, 0) for status in STATUSES}

    def __len__(self) -> int:
        return self.tally["used"]

    def name(self, place: int) -> str:
        """The path of an image, as a user can open it."""
        (name,) = self._one("SELECT name FROM place JOIN image USING (id) WHERE place = ?", place)
        return f"{self.root}{os.sep}{os.fsdecode(name)}"

    def read(self, place: int) -> Stored:
        """An image, with what is known of it."""
        name, file, at, size, *facts = self._one(_READ, place)
        content = self._reader.read(os.fsdecode(file), at, size)
        return Stored(f"{self.root}{os.sep}{os.fsdecode(name)}", content, *facts)

    def column(self, name: Literal["label", "source", "split", "part_of"]) -> tuple[NDArray[np.int32], list[str]]:
        """A column of words in place order, as numbers (N,) into the list of the words that occur, sorted."""
        met: dict[Any, int] = {}  # words in the order in which they occur
        with self._passing(f"SELECT {name} FROM place JOIN image USING (id) ORDER BY place") as rows:
            numbers = np.fromiter((met.setdefault(row[0], len(met)) for row in rows), dtype=np.int32, count=len(self))
        words = sorted(met, key=_natural if name == "label" else None)
        sorted_at = np.empty(len(words), dtype=np.int32)
        sorted_at[[met[word] for word in words]] = np.arange(len(words), dtype=np.int32)
        return sorted_at[numbers], [os.fsdecode(word) if isinstance(word, bytes) else word for word in words]

    def label_free_order(self) -> NDArray[np.int32]:
        """Places (N,) by file name, then content: an order that class folders and manifests have no part in."""
        with self._passing("SELECT place FROM place ORDER BY rank") as rows:
            return np.fromiter((row[0] for row in rows), dtype=np.int32, count=len(self))

    def rejected(self, *statuses: str) -> Iterator[Rejected]:
        """Files that are not used, by name."""
        marks = ", ".join("?" * len(statuses))
        query = f"SELECT name, status, reason FROM image WHERE status IN ({marks}) ORDER BY name"
        for name, status, reason in self._database.execute(query, statuses):
            yield Rejected(f"{self.root}{os.sep}{os.fsdecode(name)}", status, reason)

    def table(self, *columns: str) -> Iterator[tuple[Any, ...]]:
        """Columns of the tables `image` and `look`, a row per usable image, in place order."""
        query = f"SELECT {', '.join(columns)} FROM place JOIN image USING (id) JOIN look USING (id) ORDER BY place"
        return iter(self._database.execute(query))

    def rows(self, places: Iterable[int], *columns: str) -> Iterator[tuple[Any, ...]]:
        """The same of these places alone, in their order."""
        query = f"SELECT {', '.join(columns)} FROM place JOIN image USING (id) JOIN look USING (id) WHERE place = ?"
        return (self._one(query, place) for place in places)

    def __del__(self) -> None:
        if hasattr(self, "_database"):
            self._database.close()

    @contextlib.contextmanager
    def _passing(self, query: str) -> Iterator[sqlite3.Cursor]:
        """The answer to a query that passes through all images, with more pages for the time."""
        self._database.execute(_MANY_PAGES)
        try:
            yield self._database.execute(query)
        finally:
            self._database.execute(_FEW_PAGES)

    def _one(self, query: str, place: int) -> tuple[Any, ...]:
        row: tuple[Any, ...] | None = self._database.execute(query, (place,)).fetchone()
        if row is None:
            raise IndexError(place)
        return row


def scan(
    path: Path, *, home: Path | None = None, progress: Progress | None = None, threads: int | None = None
) -> Index:
    """Bring the index of a domain up to date and open it.

    Args:
        path: a folder, manifest, list or archive, see `layouts`.
        home: where indexes are kept; `cache_home()` if not given.
        progress: called with (files examined, files to examine), and with (files found, 0) while they are searched.
        threads: how many examine files; `thread_count()` if not given.

    Raises:
        DataError: if nothing lies there, or a list or archive cannot be read; never for a single bad image.
    """
    root, found = entries(path)
    place = _index_path(path, home or cache_home())
    try:
        _bring_up_to_date(place, root, found, progress, threads or thread_count())
    except sqlite3.DatabaseError as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF not in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            raise DataError(
                f"the index '{place}' cannot be written ({error}). Set WEIGHBRIDGE_CACHE to another folder"
            ) from error
        for damaged in (place, _unfinished(place), _unfinished(place, "-journal")):  # after a machine stopped hard
            damaged.unlink(missing_ok=True)  # the index can always be made again
        _bring_up_to_date(place, root, entries(path)[1], progress, threads or thread_count())
    return Index(place, root)


def _index_path(path: Path, home: Path) -> Path:
    """Where the index of a domain lies."""
    absolute = os.fsencode(path.resolve())
    return home / "index" / f"{hashlib.sha256(absolute).hexdigest()[:20]}-{_FORMAT}.sqlite"


# ---- scanning ------------------------------------------------------------------------------------------------------


def _bring_up_to_date(place: Path, root: Path, found: Iterator[Entry], progress: Progress | None, threads: int) -> None:
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        why = f"the index '{place}' cannot be written ({error.strerror})"
        raise DataError(f"{why}. Set WEIGHBRIDGE_CACHE to another folder") from error
    part = _unfinished(place)
    with FileLock(f"{place}.lock"):
        with contextlib.closing(_connect(":memory:")) as database:
            finished = place.is_file() and not part.is_file()
            _attach(database, place if finished else part)
            database.executescript(_TABLES)
            rows = map(_seen_row, _counted(found, progress))
            database.executemany("INSERT OR IGNORE INTO seen VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
            database.execute(_CHANGED)
            database.commit()
            (new,) = database.execute("SELECT count(*) FROM changed").fetchone()
            differs = new or any(database.execute(f"{query} LIMIT 1").fetchone() for query in (_GONE, _RELABELLED))
            if finished and not differs:
                return
            if finished:
                database.execute("DETACH kept")
                with whole_file(part) as copy:
                    shutil.copyfile(place, copy)
                _attach(database, part)
            with database:
                database.execute(f"DELETE FROM look WHERE id IN ({_GONE})")
                database.execute(f"DELETE FROM image WHERE id IN ({_GONE})")
            _examine_all(database, Reader(root), new, progress, threads)
            with database:
                database.execute(_RELABEL)
                _put_in_order(database)
        os.replace(part, place)  # not by whole_file: what a scan that was stopped has examined is kept


def _unfinished(place: Path, more: str = "") -> Path:
    """Where a scan works; SQLite keeps a journal beside it."""
    return place.with_name(f"{place.name}.part{more}")


def _attach(database: sqlite3.Connection, path: Path) -> None:
    database.execute("ATTACH ? AS kept", (os.fspath(path),))
    database.execute("PRAGMA kept.synchronous = NORMAL")


def _counted(found: Iterator[Entry], progress: Progress | None) -> Iterator[Entry]:
    """The same, told to `progress` where searching takes seconds."""
    count = 0
    for count, entry in enumerate(found, start=1):
        yield entry
        if progress and count % _TOLD_EVERY == 0:
            progress(count, 0)
    if progress and count >= _TOLD_EVERY:
        progress(count, count)


def _seen_row(entry: Entry) -> tuple[object, ...]:
    name, file, label = os.fsencode(entry.name), os.fsencode(entry.file), os.fsencode(entry.label)
    facts = (entry.size, entry.mtime_ns, entry.offset)
    return name, file, *facts, label, entry.source, entry.split, entry.group, entry.ignored


def _examine_all(
    database: sqlite3.Connection, reader: Reader, new: int, progress: Progress | None, threads: int
) -> None:
    """Examine what is new, a batch at a time; each batch is kept, whatever happens to the next."""
    (mean_size,) = database.execute("SELECT avg(size) FROM changed").fetchone()
    if new and mean_size < _SMALL_FILE:
        threads = 1
    done = 0
    with working(threads, "scan") as pool:
        while batch := database.execute(_NEXT, (done, done + _AT_ONCE)).fetchall():
            parts = [batch[start : start + _A_TASK] for start in range(0, len(batch), _A_TASK)]
            results: list[_Result] = []
            for part in pool.map(lambda rows: [_examine(reader, row) for row in rows], parts):
                results += part
                if progress:
                    progress(done + len(results), new)
            with database:
                _store(database, batch, results)
            done += len(batch)


def _examine(reader: Reader, row: tuple[Any, ...]) -> _Result:
    """Of one file: (status, reason, hash, format, width, height, mode, orientation, quality, remarks), and its look."""
    name, file, size, _, at, *_, ignored = row
    nothing = (None,) * 8
    if ignored:
        status = "quarantined" if ignored.startswith(UNREADABLE) else "ignored"
        return (status, ignored, *nothing), None, True
    path = os.fsdecode(name)
    try:
        content = reader.read(os.fsdecode(file), at, size)
        facts = examine(content, name=path)
        digest = _digest(content)
    except (Unusable, OSError) as error:
        reason = error.reason if isinstance(error, Unusable) else (error.strerror or str(error)).lower()
        called_image = Path(path).suffix.lower() in IMAGE_SUFFIXES or file.endswith(b".parquet")
        if reason in ("not an image", "the file is empty") and not called_image:
            return ("ignored", "not an image", *nothing), None, True
        lasting = isinstance(error, Unusable) and error.lasting
        return ("quarantined", reason, *nothing), None, lasting
    kind, width, height, mode, orientation, quality, remarks, bits, thumbnail = astuple(facts)
    described = (kind, width, height, mode, orientation, quality, ", ".join(remarks))
    return ("used", "", digest, *described), (bits, thumbnail), True


def _digest(content: Path | bytes) -> bytes:
    if isinstance(content, bytes):
        return hashlib.sha256(content).digest()
    with content.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def _store(
    database: sqlite3.Connection,
    batch: Iterable[tuple[Any, ...]],
    results: Iterable[_Result],
) -> None:
    for (name, file, size, mtime_ns, *placed, _), (facts, look, lasting) in zip(batch, results, strict=True):
        database.execute("DELETE FROM look WHERE id = (SELECT id FROM image WHERE name = ?)", (name,))
        cursor = database.execute(
            "INSERT OR REPLACE INTO image (name, file, size, mtime_ns, at, label, source, split, part_of, status,"
            " reason, hash, format, width, height, mode, orientation, quality, remarks)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (name, file, size, mtime_ns if lasting else None, *placed, *facts),  # without a time it is tried again
        )
        if look:
            database.execute("INSERT INTO look VALUES (?, ?, ?)", (cursor.lastrowid, *look))


def _put_in_order(database: sqlite3.Connection) -> None:
    """Number the usable images, and sum up what they are."""
    database.execute("DELETE FROM place")
    database.execute(
        "INSERT INTO place SELECT row_number() OVER (ORDER BY sort_key(name)) - 1, id,"
        " row_number() OVER (ORDER BY sort_key(base_name(name)), hash, size) - 1 FROM image WHERE status = 'used'"
    )
    fingerprint, pixels = hashlib.sha256(), hashlib.sha256()
    query = "SELECT name, hash, label, source, split, part_of FROM place JOIN image USING (id) ORDER BY place"
    for name, digest, *words in database.execute(query):
        pixels.update(digest)
        fingerprint.update(repr((name, digest, words)).encode())
    facts = {"fingerprint": fingerprint.hexdigest(), "pixels": pixels.hexdigest()}
    database.executemany("INSERT OR REPLACE INTO fact VALUES (?, ?)", facts.items())


def _connect(path: Path | str, *, threads: bool = False) -> sqlite3.Connection:
    try:
        database = sqlite3.connect(path, timeout=600.0, check_same_thread=not threads)
    except sqlite3.OperationalError as error:
        raise DataError(
            f"the index '{path}' cannot be opened ({error}). Set WEIGHBRIDGE_CACHE to another folder"
        ) from error
    database.execute("PRAGMA synchronous = NORMAL")
    database.create_function("sort_key", 1, _natural, deterministic=True)
    database.create_function("base_name", 1, lambda name: name.rsplit(b"/", 1)[-1], deterministic=True)
    return database


def _natural(name: bytes) -> bytes:
    """A sorting key that puts 2 before 10, and a folder's own files before those of its folders."""
    *folders, base = re.sub(rb"[0-9]+", lambda digits: digits[0].rjust(20, b"0"), name).split(b"/")
    return b"\1".join([*(b"\2" + folder for folder in folders), b"\1" + base])
