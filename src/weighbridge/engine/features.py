"""Features of a frozen backbone, computed once for every image and kept in the cache.

One plain look and V augmented ones, in a file for each kind: with another augmentation the plain ones stay. What is
drawn for an image is a function of its row and of the look, so a build that was killed goes on to the same numbers.
"""

__all__ = ["computed"]

import dataclasses
import hashlib
import math
import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock
from numpy.typing import NDArray
from torch import Tensor, nn

from weighbridge.data.cache import room
from weighbridge.data.images import Images
from weighbridge.data.transforms import Preparation
from weighbridge.data.vectors import Vectors
from weighbridge.engine.evaluate import layout_of
from weighbridge.errors import DataError
from weighbridge.parts.networks import evaluating
from weighbridge.watch import Progress

Autocast = Callable[[], AbstractContextManager[Any]]
"""Enters the precision that a forward pass has."""

_FORMAT = 1  # of the files and of what is drawn; another number is another key
_AT_ONCE = 32  # images of a forward pass; what is drawn hangs on it


def computed(
    backbone: Callable[[], nn.Module],
    images: Images,
    preparation: Preparation,
    *,
    views: int,
    autocast: Autocast,
    named: str,
    home: Path | None,
    progress: Progress | None = None,
) -> Vectors:
    """The features of all images, from the cache where they are there.

    Args:
        backbone: makes (B, C, H, W) -> (B, F), on the device that computes; asked for only if something is missing.
        preparation: how a training look at an image is augmented, and the scale that the backbone wants.
        views: V >= 0.
        autocast: enters the precision of a forward pass.
        named: what else the features hang on: the backbone, its weights, the precision.
        home: the cache folder; None to keep nothing.
        progress: called with (images done, images in all), for the plain looks and then for the others.

    Raises:
        DataError: if the disk is full, or a feature is not finite as float16.
    """
    scale = Preparation(normalisation=preparation.normalisation)
    kept = {}
    for kind, looked, looks in (("plain", scale, range(1)), ("augmented", preparation, range(1, 1 + views))):
        text = f"{_FORMAT} {images.digest} {_spelled(looked)} {looks} {named}"
        name = hashlib.sha256(text.encode()).hexdigest()[:20]
        task = _Task(backbone, images, preparation, looks, autocast, progress)
        kept[kind] = name, _from_cache(task, home / "features" / name) if home else _in_memory(task)
    (plain, features), (augmented, others) = kept["plain"], kept["augmented"]
    return Vectors(features[:, 0], others, f"{plain} {augmented}")


@dataclass(frozen=True)
class _Task:
    """Some looks at some images, of which the features are wanted."""

    backbone: Callable[[], nn.Module]
    images: Images
    preparation: Preparation
    looks: range  # 0 is the plain one
    autocast: Autocast
    progress: Progress | None


def _from_cache(task: _Task, folder: Path) -> NDArray[np.float16]:
    """(N, looks, F), mapped; computed now if it is not there."""
    if not task.looks:
        return np.empty((len(task.images), 0, 0), dtype=np.float16)
    if not folder.is_dir():  # a cache that is complete may be one that can only be read
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{folder}.lock"):  # the system lets go of it when its owner dies
            if not folder.is_dir():
                _build(task, folder)
    features = np.memmap(folder / "features", dtype=np.float16, mode="r")
    return features.reshape(len(task.images), len(task.looks), -1)


def _build(task: _Task, folder: Path) -> None:
    """Compute into a folder beside the final one, which takes its name when all is there."""
    backbone, count = task.backbone(), len(task.images)
    part = folder.with_name(f"{folder.name}.part")
    part.mkdir(exist_ok=True)
    shape = (count, len(task.looks), _width(task, backbone))
    try:
        features = room(part / "features", np.float16, shape)
        done = room(part / "done", np.uint8, (count,))
    except OSError as error:
        shutil.rmtree(part, ignore_errors=True)
        raise DataError(
            f"features need {2 * math.prod(shape) / 2**30:.1f} GiB in '{folder.parent}': {error.strerror}. "
            f"Set WEIGHBRIDGE_CACHE to a larger disk, or use --cache off"
        ) from error
    for rows, vectors in _looked(task, backbone, done == 0):
        features[rows] = vectors
        done[rows] = 1  # last, so that a kill at any moment leaves no row that only seems to be there
    del features, done
    (part / "done").unlink()
    os.replace(part, folder)  # not by whole_folder: what a build that was killed has computed is kept


def _in_memory(task: _Task) -> NDArray[np.float16]:
    """(N, looks, F)."""
    count = len(task.images)
    if not task.looks:
        return np.empty((count, 0, 0), dtype=np.float16)
    backbone = task.backbone()
    features = np.empty((count, len(task.looks), _width(task, backbone)), dtype=np.float16)
    for rows, vectors in _looked(task, backbone, np.ones(count, dtype=np.bool_)):
        features[rows] = vectors
    return features


def _width(task: _Task, backbone: nn.Module) -> int:
    """F: published feature counts are not to be trusted, so the backbone is asked."""
    device = next(backbone.parameters()).device
    one = task.preparation.plain(task.images.fetch(torch.tensor([0])).to(device))
    with evaluating(backbone), torch.inference_mode(), task.autocast():
        return int(backbone(one).shape[1])


def _looked(task: _Task, backbone: nn.Module, wanted: NDArray[np.bool_]) -> Iterator[tuple[slice, NDArray[np.float16]]]:
    """Rows that follow each other, and their features (b, looks, F). The next images are made ready meanwhile."""
    weights, count = next(backbone.parameters()), len(task.images)
    starts = [start for start in range(0, count, _AT_ONCE) if wanted[start : start + _AT_ONCE].any()]
    batches = [(start, look) for start in starts for look in task.looks]

    def ready(start: int, look: int) -> Tensor:
        rows = torch.arange(start, min(start + _AT_ONCE, count))
        if look == 0:
            prepared = task.preparation.plain(task.images.fetch(rows).to(weights.device))
        else:
            mild, strong = (_generator(start, look, stream) for stream in (0, 1))
            drawn = task.images.draw(len(rows), mild, strong=True)
            prepared = task.preparation.training(task.images.fetch(rows, drawn).to(weights.device), mild, strong)
        return prepared.contiguous(memory_format=layout_of(weights))

    vectors = list[NDArray[np.float16]]()
    with evaluating(backbone), ThreadPoolExecutor(max_workers=1, thread_name_prefix="looks") as worker:
        upcoming = [worker.submit(ready, *batch) for batch in batches[:1]]
        for place, (start, look) in enumerate(batches):
            prepared = upcoming.pop().result()
            upcoming = [worker.submit(ready, *batch) for batch in batches[place + 1 : place + 2]]
            with torch.inference_mode(), task.autocast():
                vectors.append(_as_float16(backbone(prepared)))
            if look == task.looks[-1]:
                yield slice(start, start + len(prepared)), np.stack(vectors, axis=1)
                vectors = []
                if task.progress:
                    task.progress(min(start + _AT_ONCE, count), count)


def _spelled(preparation: object) -> str:
    """What differs from the defaults, field by field, so that a field that is added later changes no name."""
    if not dataclasses.is_dataclass(preparation):
        return repr(preparation)
    parts = [
        f"{field.name}={_spelled(value)}"
        for field in dataclasses.fields(preparation)
        if (value := getattr(preparation, field.name)) != field.default
    ]
    return f"{type(preparation).__name__}({', '.join(parts)})"


def _as_float16(features: Tensor) -> NDArray[np.float16]:
    short = features.half()
    if not bool(torch.isfinite(short).all()):
        largest = float(features.abs().max())
        raise DataError(
            f"expected features below 65,504, got {largest:g}. Do the weights fit the backbone and its pixel scale?"
        )
    array: NDArray[np.float16] = short.cpu().numpy()
    return array


def _generator(start: int, look: int, stream: int) -> torch.Generator:
    seed = np.random.SeedSequence((start, look, stream)).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(seed))
