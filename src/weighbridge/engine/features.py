"""Features of a frozen backbone, computed once for every image and kept in the cache.

One plain look and V augmented ones. What is drawn for an image is a function of its row and of the look, so a build
that was killed goes on to the same numbers.
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
        progress: called with (images done, images in all).

    Raises:
        DataError: if the disk is full, or a feature is not finite as float16.
    """
    text = f"{_FORMAT} {images.digest} {_spelled(preparation)} {views} {named}"
    digest = hashlib.sha256(text.encode()).hexdigest()[:20]
    if home is None:
        return Vectors(_in_memory(backbone(), images, preparation, views, autocast, progress), digest)
    folder = home / "features" / digest
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{folder}.lock"):  # the system lets go of it when its owner dies
        if not folder.is_dir():
            _build(backbone(), images, preparation, views, autocast, folder, progress)
    features = np.memmap(folder / "features", dtype=np.float16, mode="r")
    return Vectors(features.reshape(len(images), 1 + views, -1), digest)


def _build(
    backbone: nn.Module,
    images: Images,
    preparation: Preparation,
    views: int,
    autocast: Autocast,
    folder: Path,
    progress: Progress | None,
) -> None:
    """Compute into a folder beside the final one, which takes its name when all is there."""
    part = folder.with_name(f"{folder.name}.part")
    part.mkdir(exist_ok=True)
    shape = (len(images), 1 + views, _width(backbone, images, preparation, autocast))
    try:
        features = room(part / "features", np.float16, shape)
        done = room(part / "done", np.uint8, (len(images),))
    except OSError as error:
        shutil.rmtree(part, ignore_errors=True)
        raise DataError(
            f"features need {2 * math.prod(shape) / 2**30:.1f} GiB in '{folder.parent}': {error.strerror}. "
            f"Set WEIGHBRIDGE_CACHE to a larger disk, or use --cache off"
        ) from error
    for rows, vectors in _looks(backbone, images, preparation, views, autocast, done == 0, progress):
        features[rows] = vectors
        done[rows] = 1  # last, so that a kill at any moment leaves no row that only seems to be there
    del features, done
    (part / "done").unlink()
    os.replace(part, folder)  # not by whole_folder: what a build that was killed has computed is kept


def _in_memory(
    backbone: nn.Module,
    images: Images,
    preparation: Preparation,
    views: int,
    autocast: Autocast,
    progress: Progress | None,
) -> NDArray[np.float16]:
    features = np.empty((len(images), 1 + views, _width(backbone, images, preparation, autocast)), dtype=np.float16)
    wanted = np.ones(len(images), dtype=np.bool_)
    for rows, vectors in _looks(backbone, images, preparation, views, autocast, wanted, progress):
        features[rows] = vectors
    return features


def _width(backbone: nn.Module, images: Images, preparation: Preparation, autocast: Autocast) -> int:
    """F: published feature counts are not to be trusted, so the backbone is asked."""
    device = next(backbone.parameters()).device
    one = preparation.plain(images.fetch(torch.tensor([0])).to(device))
    with evaluating(backbone), torch.inference_mode(), autocast():
        return int(backbone(one).shape[1])


def _looks(
    backbone: nn.Module,
    images: Images,
    preparation: Preparation,
    views: int,
    autocast: Autocast,
    wanted: NDArray[np.bool_],
    progress: Progress | None,
) -> Iterator[tuple[slice, NDArray[np.float16]]]:
    """Rows that follow each other, and their features (b, 1 + V, F). The next images are made ready meanwhile."""
    weights = next(backbone.parameters())
    starts = [start for start in range(0, len(images), _AT_ONCE) if wanted[start : start + _AT_ONCE].any()]
    looks = [(start, look) for start in starts for look in range(1 + views)]

    def ready(start: int, look: int) -> Tensor:
        rows = torch.arange(start, min(start + _AT_ONCE, len(images)))
        if look == 0:
            prepared = preparation.plain(images.fetch(rows).to(weights.device))
        else:
            mild, strong = (_generator(start, look, stream) for stream in (0, 1))
            drawn = images.draw(len(rows), mild, strong=True)
            prepared = preparation.training(images.fetch(rows, drawn).to(weights.device), mild, strong)
        return prepared.contiguous(memory_format=layout_of(weights))

    vectors = list[NDArray[np.float16]]()
    with evaluating(backbone), ThreadPoolExecutor(max_workers=1, thread_name_prefix="looks") as worker:
        upcoming = worker.submit(ready, *looks[0]) if looks else None
        for place, (start, look) in enumerate(looks):
            assert upcoming is not None
            prepared = upcoming.result()
            upcoming = worker.submit(ready, *looks[place + 1]) if place + 1 < len(looks) else None
            with torch.inference_mode(), autocast():
                vectors.append(_as_float16(backbone(prepared)))
            if look == views:
                yield slice(start, start + len(prepared)), np.stack(vectors, axis=1)
                vectors = []
                if progress:
                    progress(min(start + _AT_ONCE, len(images)), len(images))


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
