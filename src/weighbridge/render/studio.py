"""A folder full of renders: the work in shards, on all cores, that can be killed, shared and gone on with.

    OUT/CLASS/000000.png     one image; its number is its index in the recipe; with test images below train/ and test/
    OUT/metadata.csv         a row per image: class, seed, quality and every factor
    OUT/recipe.toml          what made them

A shard is some images of one class. Whoever holds its lock renders it and then writes its rows to OUT/.shards; a shard
without rows is rendered again. The system drops the locks of a process that dies.
"""

__all__ = ["RenderedFolder", "render", "write_png"]

import csv
import hashlib
import multiprocessing
import os
import re
import shutil
import signal
import time
import uuid
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from weighbridge.errors import ConfigError, DataError, RunFolderError
from weighbridge.files import replace_rows, replace_text, whole_file, write_json
from weighbridge.render.orientation import TABLE
from weighbridge.render.painter import Painter, chosen_classes, family_of
from weighbridge.render.probe import variant_for
from weighbridge.render.recipe import Recipe, recipe_toml, with_overrides
from weighbridge.stopping import end_with
from weighbridge.version import __version__

_SHARD = {"realtime": 50, "prerendered": 10, "camera": 10}  # images; some seconds of work
_BUSY = -1
_PNG = (  # one filter for all lines is faster than a choice for each, and here files are smaller too
    *(cv2.IMWRITE_PNG_COMPRESSION, 1),
    *(cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_PAETH),
    *(cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE),
)
_TEST = 1_000_000  # index of the first test image of a class: training images can be added for ever
_BOX = ("left", "top", "right", "bottom")
_FIXED = ("file", "label", "index", "seed", "quality")  # columns before the factors
_FILE, _LABEL, _INDEX = range(3)


@dataclass(frozen=True)
class RenderedFolder:
    """What a call of `render` did.

    Attributes:
        images: in the folder now.
        rendered: of them by this call.
        seconds: that it took.
    """

    images: int
    rendered: int
    seconds: float


@dataclass(frozen=True)
class _RenderJob:
    recipe: Recipe
    quality: str
    variant: str
    out: Path
    masks: Path | None
    boxes: bool
    splits: bool
    columns: tuple[str, ...]  # of metadata.csv

    @property
    def notes(self) -> Path:
        """Rows of finished shards, and their locks."""
        return self.out / ".shards"

    @property
    def jobs(self) -> Path:
        """A lock for every job that lives."""
        return self.notes / "jobs"

    @property
    def header(self) -> str:
        """What an image depends on and the recipe does not say, for its first lines."""
        boxes, splits = ("yes" if chosen else "no" for chosen in (self.boxes, self.splits))
        variant = f" by {self.variant}" if self.quality != "realtime" else ""
        return (
            f"# weighbridge {__version__}: {self.quality} {self.recipe.family}{variant}\n"
            f"# masks: {self.masks or 'no'}, boxes: {boxes}, test images: {splits}\n"
            f"# assets: {_digest(self.recipe.assets)}, backgrounds: {_digest(self.recipe.backgrounds)}\n"
        )

    def name(self, label: str, index: int) -> str:
        """Of an image, below the folder."""
        folder = ("test/" if index >= _TEST else "train/") if self.splits else ""
        return f"{folder}{label}/{index:06}.png"


@dataclass(frozen=True)
class _Shard:
    label: str
    first: int
    end: int  # exclusive

    @property
    def name(self) -> str:
        """Of its files; a class may be called anything, at any length."""
        label = hashlib.sha256(self.label.encode(errors="surrogateescape")).hexdigest()[:16]
        return f"{label}-{self.first:06}-{self.end:06}"


def render(
    recipe: Recipe,
    quality: str,
    out: Path,
    *,
    count: int,
    test: int = 0,
    classes: Sequence[str] | None = None,
    masks: Path | None = None,
    boxes: bool = False,
    variant: str = "auto",
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> RenderedFolder:
    """Fill a folder with labelled images, or go on filling it.

    Images that are there are kept; a larger `count` adds to them. Several calls, on several machines that share the
    disk, may fill one folder at once. Scripts that call this with more than one worker need the usual
    `if __name__ == "__main__":`.

    Args:
        recipe: what the images show.
        quality: `realtime`, `prerendered` or, for objects, `camera`.
        out: the folder.
        count: images of each class, at least 1.
        test: images of each class on top, for evaluation; where there are any, `out` has the folders train and test,
            which training and evaluation find by themselves.
        classes: of the family; None is all of them.
        masks: a folder for a mask per image, outside `out`; white is the subject.
        boxes: whether metadata.csv has the subject's box, and boxes.json beside it all of them in COCO's form.
        variant: of Mitsuba; `auto` takes a GPU if there is one.
        workers: processes; None is one for every core.
        progress: called with (images done, images to do).

    Raises:
        ConfigError: for settings that cannot work.
        DataError: if icons, fonts, meshes or backgrounds cannot be read.
        RunFolderError: if `out` holds something else.
    """
    started = time.perf_counter()
    if not 1 <= count <= _TEST or not 0 <= test <= _TEST:
        raise ConfigError(f"count must lie in [1, {_TEST}] and test in [0, {_TEST}], got {count} and {test}")
    if workers is not None and workers < 1:
        raise ConfigError(f"workers must be at least 1, got {workers}")
    if masks is not None and masks.resolve().is_relative_to(out.resolve()):
        raise ConfigError(f"masks must lie outside '{out}', or they would be taken for images, got '{masks}'")
    family = family_of(recipe, quality)
    labels = chosen_classes(family, classes)
    knobs = with_overrides(family.knobs, recipe.knobs)
    columns = (*_FIXED, *(_BOX if boxes else ()), *knobs, *family.notes)
    variant, masks = variant_for(quality, variant), masks.resolve() if masks is not None else None
    job = _RenderJob(recipe, quality, variant, out, masks, boxes, test > 0, columns)
    done = 0
    with _claimed(job, recipe_toml(recipe, knobs)):
        shards = _missing(job, labels, count, test)
        to_do = sum(shard.end - shard.first for shard in shards)
        there = 0
        with closing(_work(job, shards, min(workers or _cores(variant), len(shards)))) as work:
            for images, rendered in work:
                there, done = there + images, done + rendered
                if progress is not None:
                    progress(there, to_do)
    return RenderedFolder(sum(1 for _ in _read(out / "metadata.csv")), done, time.perf_counter() - started)


def _cores(variant: str) -> int:
    """Processes that make sense: one for every core we may use, one for a GPU."""
    if variant.startswith("cuda"):
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def _claimed(job: _RenderJob, text: str) -> Iterator[None]:
    """Make the folder this recipe's, or refuse one that is another's; at the end, gather what all jobs did.

    Every job holds a lock of its own while it runs. The one that finds nobody else's held takes the notes away, and
    what killed processes left half written.
    """
    path, text = job.out / "recipe.toml", job.header + text
    if job.out.exists() and not job.out.is_dir():
        raise RunFolderError(f"'{job.out}' is a file. Choose another --out")
    if job.out.is_dir() and not path.is_file() and not _empty(job.out):
        raise RunFolderError(f"'{job.out}' holds files that weighbridge did not render. Choose another --out")
    if job.masks is not None and not path.is_file() and job.masks.exists() and not _empty(job.masks):
        raise RunFolderError(f"'{job.masks}' is not empty. Choose another --masks")
    job.out.mkdir(parents=True, exist_ok=True)
    door = FileLock(job.out / ".lock")
    with door:
        if path.is_file():
            _compare(path, text)
        else:
            replace_text(path, text)
        if _alone(job):
            _gather(job)  # what a killed job has done
            _sweep(job)
        job.jobs.mkdir(parents=True, exist_ok=True)
        mine = FileLock(job.jobs / uuid.uuid4().hex)
        mine.acquire()
    try:
        yield
    finally:
        with door:
            mine.release()
            _gather(job)
            if _alone(job):
                _sweep(job)


def _empty(folder: Path) -> bool:
    return all(entry.name.startswith(".") for entry in folder.iterdir())


def _digest(folder: Path | None) -> str:
    """A word for what lies in a folder: names and sizes of its files, and what its table of axes says."""
    if folder is None:
        return "none"
    files = sorted((str(path.relative_to(folder)), path.stat().st_size) for path in folder.rglob("*") if path.is_file())
    axes = (folder / TABLE).read_bytes() if (folder / TABLE).is_file() else b""  # y in place of z is no other size
    return hashlib.sha256(repr(files).encode(errors="surrogateescape") + axes).hexdigest()[:12]


def _compare(path: Path, text: str) -> None:
    there = path.read_text(encoding="utf-8").splitlines()
    for old, new in zip_longest(there, text.splitlines(), fillvalue="nothing"):
        if old != new:
            raise RunFolderError(
                f"'{path.parent}' was started with another recipe: '{old}' there, '{new}' here. Choose another --out"
            )


def _alone(job: _RenderJob) -> bool:
    """Whether no job that lives is at work in the folder."""
    for path in job.jobs.glob("*"):
        try:
            with FileLock(path, timeout=0):
                pass
        except Timeout:
            return False
    return True


def _sweep(job: _RenderJob) -> None:
    shutil.rmtree(job.notes, ignore_errors=True)
    for folder in filter(None, (job.out, job.masks)):
        for part in folder.glob("**/.*.png.*.part"):
            if re.fullmatch(r"\.\d+\.png\.[0-9a-f]{8}\.part", part.name):
                part.unlink(missing_ok=True)


def _missing(job: _RenderJob, labels: Sequence[str], count: int, test: int) -> list[_Shard]:
    """Shards of images that have no row yet, the first of every class before the second of any."""
    have: dict[str, set[int]] = {label: set() for label in labels}
    for row in _rows(job):
        if row[_LABEL] in have:
            have[row[_LABEL]].add(int(row[_INDEX]))
    step = _SHARD[job.quality]
    shards = []
    for begin, stop in ((0, count), (_TEST, _TEST + test)):
        for first in range(begin, stop, step):
            for label in labels:
                missing = [index for index in range(first, min(first + step, stop)) if index not in have[label]]
                if missing:
                    shards.append(_Shard(label, missing[0], missing[-1] + 1))
    return shards


def _work(job: _RenderJob, shards: list[_Shard], workers: int) -> Generator[tuple[int, int], None, None]:
    """Render shards until all have their rows; yields the images of each, and how many of them are by this job.

    A shard that another job is at is asked for again later: it is done then, or its owner has died.
    """
    if not shards:
        return
    with _painters(job, workers) as submit:
        waiting: dict[Future[int], _Shard] = {}
        while shards or waiting:
            while shards and len(waiting) < 2 * workers:
                shard = shards.pop(0)
                waiting[submit(shard)] = shard
            finished, _ = wait(waiting, return_when=FIRST_COMPLETED)
            for future in finished:
                shard = waiting.pop(future)
                images = future.result()
                if images == _BUSY:
                    shards.append(shard)
                    time.sleep(0.0 if len(shards) > workers else 0.2)
                else:
                    yield shard.end - shard.first, images


@contextmanager
def _painters(job: _RenderJob, workers: int) -> Iterator[Callable[[_Shard], "Future[int]"]]:
    """Fresh processes, one thread each: forking after OpenCV or Mitsuba have threads is not safe. One alone is us."""
    if workers == 1:
        _begin(job, None)
        yield _at_once
        return
    context = multiprocessing.get_context("spawn")
    stop = context.Event()
    try:
        with ProcessPoolExecutor(workers, mp_context=context, initializer=_begin, initargs=(job, stop)) as pool:
            try:
                yield lambda shard: pool.submit(_render_shard, shard)
            except BaseException:  # Ctrl-C above all: nobody waits for more than the image that each is at
                stop.set()
                pool.shutdown(cancel_futures=True)
                raise
    except BrokenProcessPool as error:
        raise DataError(
            "a render process died. Run the same command again to continue. If it dies again, add --workers 1, which "
            "says more, or --variant scalar_rgb"
        ) from error


def _at_once(shard: _Shard) -> "Future[int]":
    future: Future[int] = Future()
    future.set_result(_render_shard(shard))
    return future


_painter: Painter
_job: _RenderJob
_stop: Any = None


def _begin(job: _RenderJob, stop: Any) -> None:
    """The first thing a worker does."""
    global _painter, _job, _stop
    parent = multiprocessing.parent_process()
    if stop is not None and parent is not None and parent.pid is not None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to answer
        end_with(parent.pid)
        threadpool_limits(1)
    _painter, _job, _stop = Painter(job.recipe, job.quality, variant=job.variant), job, stop


def _render_shard(shard: _Shard) -> int:
    """Render a shard and note it; how many images, 0 if it was done already, or _BUSY if another process is at it."""
    notes = _job.notes / f"{shard.name}.csv"
    if notes.is_file():
        return 0
    try:
        with FileLock(_job.notes / f"{shard.name}.lock", timeout=0):
            if notes.is_file():
                return 0
            return _render_rows(shard)
    except Timeout:
        return _BUSY


def _render_rows(shard: _Shard) -> int:
    """Render a shard and write its rows; if it is stopped, those that there are, and no image without its row."""
    rows: list[list[object]] = []
    files = [_job.name(shard.label, index) for index in range(shard.first, shard.end)]
    there = [(_job.out / file).exists() for file in files]  # from a job that was killed, or with a row already
    try:
        for index in range(shard.first, shard.end):
            if _stop is not None and _stop.is_set():
                break
            rows.append(_render_one(shard.label, index))
    except BaseException:  # Ctrl-C may come between an image and its row
        if len(rows) < len(files) and not there[len(rows)]:
            for folder in filter(None, (_job.out, _job.masks)):
                (folder / files[len(rows)]).unlink(missing_ok=True)
        raise
    finally:
        if rows:
            done = replace(shard, end=shard.first + len(rows))
            replace_rows(_job.notes / f"{done.name}.csv", _job.columns, rows)
    return len(rows)


def _render_one(label: str, index: int) -> list[object]:
    picture = _painter.paint(label, index, masks=_job.masks is not None or _job.boxes)
    name = _job.name(label, index)
    write_png(_job.out / name, picture.pixels)
    if _job.masks is not None:
        write_png(_job.masks / name, picture.mask)
    factors = (f"{value:.5g}" if isinstance(value, float) else value for value in picture.factors.values())
    box = picture.box if _job.boxes else ()
    return [name, label, index, _job.recipe.seed, _job.quality, *box, *factors, *picture.notes]


def write_png(path: Path, pixels: NDArray[np.uint8]) -> None:
    """A PNG, whole or not at all. pixels: (S, S, 3) RGB or (S, S)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    ordered = pixels[..., ::-1] if pixels.ndim == 3 else pixels  # OpenCV has blue first
    # Hidden, as others may read the folder meanwhile; with a number, as two jobs may come to the same image.
    with whole_file(path, path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.part")) as part:
        part.write_bytes(cv2.imencode(".png", ordered, _PNG)[1].tobytes())


def _rows(job: _RenderJob) -> Iterator[list[str]]:
    """Rows of metadata.csv and of the shards that are not in it yet."""
    for path in [job.out / "metadata.csv", *sorted(job.notes.glob("*.csv"))]:
        if path.is_file():
            yield from _read(path)


def _read(path: Path) -> Iterator[list[str]]:
    with path.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
        rows = csv.reader(file)
        next(rows)  # the columns
        yield from rows


def _gather(job: _RenderJob) -> None:
    """Put the rows of all shards into metadata.csv, by class and index."""
    # each row as one string, since a million lists of sixty would fill the memory; no value has a NUL in it
    rows = {(row[_LABEL], int(row[_INDEX])): "\0".join(row) for row in _rows(job)}
    if not rows:
        return
    replace_rows(job.out / "metadata.csv", job.columns, (rows[key].split("\0") for key in sorted(rows)))
    if job.boxes:
        write_json(job.out / "boxes.json", _coco([rows[key].split("\0") for key in sorted(rows)], job.recipe.size))


def _coco(rows: list[list[str]], size: int) -> dict[str, Any]:
    labels = sorted({row[_LABEL] for row in rows})
    images = [{"id": i, "file_name": row[_FILE], "width": size, "height": size} for i, row in enumerate(rows)]
    annotations: list[dict[str, Any]] = []
    for number, row in enumerate(rows):
        left, top, right, bottom = map(int, row[len(_FIXED) : len(_FIXED) + len(_BOX)])
        if right > left:
            width, height = right - left, bottom - top
            annotations.append(
                {
                    "id": len(annotations),
                    "image_id": number,
                    "category_id": labels.index(row[_LABEL]),
                    "bbox": [left, top, width, height],
                    "area": width * height,
                    "iscrowd": 0,
                }
            )
    categories = [{"id": number, "name": label} for number, label in enumerate(labels)]
    return {"images": images, "annotations": annotations, "categories": categories}
