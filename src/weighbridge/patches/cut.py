"""Large images cut into patches, each with the class that its folder, its mask or its boxes give it.

A patch remembers its image as its group, so that patches of one image can be kept on one side of a split.
"""

__all__ = ["CutFolder", "Skipped", "cut", "grid", "load_upright", "random_boxes"]

import hashlib
import os
import shutil
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import NamedTuple, TypeVar

import numpy as np
from PIL import Image

from weighbridge.data.decode import IMAGE_SUFFIXES, Unusable, looks_like_image, open_full
from weighbridge.data.layouts import SPLITS, UNREADABLE, walk
from weighbridge.errors import ConfigError, DataError
from weighbridge.files import occupied, replace_rows, whole_folder
from weighbridge.patches.labels import Box, by_box, by_folder, by_mask, without_label

_THREADS = min(4, os.cpu_count() or 1)  # each holds one full image
_Row = tuple[str, str, str, str, int, int]  # of patches.csv
_T = TypeVar("_T")


class Skipped(NamedTuple):
    """An image that was not cut: its path below the folder, and why."""

    file: str
    reason: str


@dataclass(frozen=True)
class CutFolder:
    """What came of cutting a folder.

    Attributes:
        images: how many were read and are at least as large as a patch.
        patches: how many were written.
        per_class: patches of each class, by name; empty without labels.
        dropped: patches not written because no class covers enough of them.
        skipped: images that were not cut.
    """

    images: int
    patches: int
    per_class: Mapping[str, int]
    dropped: int
    skipped: tuple[Skipped, ...]


def grid(width: int, height: int, size: int, stride: int) -> list[Box]:
    """Places of patches row by row; the last row and column are shifted inwards, so that no patch leaves the image.

    Args:
        width, height: of the image in pixels.
        size: side of a patch in pixels, at least 1.
        stride: pixels from one patch to the next, at least 1. Up to `size` every pixel is covered.

    Returns:
        Boxes; none if the image is smaller than a patch in one direction.

    Raises:
        ConfigError: for a size or stride below 1.
    """
    _at_least("size", size, 1)
    _at_least("stride", stride, 1)
    across, down = ([*range(0, room, stride), room] if room >= 0 else [] for room in (width - size, height - size))
    return [(left, top) for top in down for left in across]


def random_boxes(width: int, height: int, size: int, count: int, random: np.random.Generator) -> list[Box]:
    """Places of patches drawn uniformly, no two the same, in reading order.

    Args:
        width, height: of the image in pixels.
        size: side of a patch in pixels, at least 1.
        count: how many, at least 1; an image with fewer places gives all it has.

    Returns:
        Boxes; none if the image is smaller than a patch in one direction.

    Raises:
        ConfigError: for a size or count below 1.
    """
    _at_least("size", size, 1)
    _at_least("random_count", count, 1)
    across, down = width - size + 1, height - size + 1
    if across < 1 or down < 1:
        return []
    places = random.choice(across * down, min(count, across * down), replace=False, shuffle=False)
    return [(int(place) % across, int(place) // across) for place in np.sort(places)]


def load_upright(path: Path) -> Image.Image:
    """A whole image as a person sees it: RGB, turned as EXIF says, transparency over white, 8 bits a channel.

    Raises:
        Unusable: a DataError; if the file is damaged, is no image, or claims more than `decode.PIXEL_LIMIT` pixels.
    """
    image = open_full(path)
    image.info.clear()  # a colour profile, large beside a patch and wrong once CMYK is RGB, would go into every patch
    return image


def cut(
    images: Path,
    out: Path,
    *,
    size: int,
    stride: int | None = None,
    random_count: int | None = None,
    seed: int = 0,
    masks: Path | None = None,
    mask_classes: Path | None = None,
    coco: Path | None = None,
    coverage: float = 0.5,
    labelled: bool | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> CutFolder:
    """Cut every image of a folder into square patches.

    Writes out/CLASS/STEM__LEFT_TOP.png, without labels out/STEM__LEFT_TOP.png, and out/patches.csv with the columns
    file, label, group, image, left, top; out/skipped.csv lists images that could not be cut. Stems that would meet get
    a hash of their path. The folder appears whole, at the end, or not at all.

    Args:
        images: a folder of images, searched to the bottom.
        out: the folder to make; it may exist if it is empty.
        size: side of a patch in pixels, at least 1.
        stride: pixels from one patch of the grid to the next, at least 1; None is `size`, without overlap.
        random_count: this many patches an image, at least 1, at random places instead of a grid.
        seed: of the random places, at least 0; they depend on it and on the image's path below `images` alone.
        masks: a folder with a mask for every image, of the same path but for the suffix. Its pixels are class ids in
            grey or palette; a patch shows the class that covers most of it, of equal ones that of the smallest id.
        mask_classes: which ids are which classes, as TOML, JSON or CSV; an id without a name is background.
        coco: a COCO JSON file whose `file_name` are paths below `images`, with boxes in pixels of the upright image; a
            patch shows the category of that box among those it shows enough of of which it shows the largest area.
        coverage: in (0, 1]. With masks, the least share of the patch that its class covers; with boxes, the least share
            of the box that the patch shows. Patches below it are dropped and counted.
        labelled: without masks and boxes, whether the folders at the top of `images` are classes; None: they are,
            unless the images themselves lie at the top.
        progress: called with (images done, images in all).

    Raises:
        ConfigError: for settings out of range or against each other.
        DataError: if there is something at `out`; if the folders, `mask_classes` or `coco` cannot be read or do not say
            what the labels are; if not a single patch came of it.
    """
    _check_numbers(size, stride, random_count, seed, coverage)
    _refuse_existing(out, images)
    _refuse_two_ways(masks, mask_classes, coco, labelled)
    names, skipped = _find(images, apart=masks)
    if not names:
        raise DataError(f"expected images in '{images}' or in folders below it, found none")
    if masks and mask_classes:
        labelling = by_mask(masks, _find(masks)[0], mask_classes, size, coverage)
    elif coco:
        labelling = by_box(coco, size, coverage)
    else:
        labelling = by_folder if _has_class_folders(images, names, labelled) else without_label
    stems = _stems(names, apart=labelling is by_folder)

    def cut_one(name: str, part: Path) -> tuple[list[_Row], int] | Skipped:
        """Its rows of patches.csv, and how many places it had."""
        try:
            image = load_upright(images / name)
            if min(image.size) < size:
                return Skipped(name, f"{image.width} x {image.height} pixels, smaller than a patch of {size} x {size}")
            label_of = labelling(name, image.width, image.height)
        except Unusable as error:
            return Skipped(name, error.reason)
        if random_count is None:
            boxes = grid(*image.size, size, stride or size)
        else:
            boxes = random_boxes(*image.size, size, random_count, np.random.default_rng((seed, _digest(name))))
        rows: list[_Row] = []
        for left, top in boxes:
            label = label_of((left, top))
            if label is not None:
                file = PurePosixPath(label, f"{stems[name]}__{left}_{top}.png")
                (part / label).mkdir(exist_ok=True)
                image.crop((left, top, left + size, top + size)).save(part / file)
                rows.append((str(file), label, name, str(images / name), left, top))
        return rows, len(boxes)

    table: list[_Row] = []
    read = places = 0
    with whole_folder(out) as part:
        with ThreadPoolExecutor(_THREADS) as pool:
            for done, result in enumerate(_in_order(pool, partial(cut_one, part=part), names), start=1):
                if isinstance(result, Skipped):
                    skipped.append(result)
                else:
                    read, places = read + 1, places + result[1]
                    table += result[0]
                if progress:
                    progress(done, len(names))
        skipped.sort()
        dropped = places - len(table)
        if not table:
            shutil.rmtree(part)
            raise DataError(_nothing_cut(images, len(names), skipped, dropped, coverage))
        if skipped:
            replace_rows(part / "skipped.csv", Skipped._fields, skipped)
        replace_rows(part / "patches.csv", ("file", "label", "group", "image", "left", "top"), table)
    per_class = Counter(row[1] for row in table if row[1])
    return CutFolder(read, len(table), dict(sorted(per_class.items())), dropped, tuple(skipped))


# ---- files ---------------------------------------------------------------------------------------------------------


def _refuse_existing(out: Path, images: Path) -> None:
    if occupied(out):
        raise DataError(f"'{out}' exists already and nothing in it is overwritten. Choose another --out, or remove it")
    if out.resolve().is_relative_to(images.resolve()):
        raise DataError(f"'{out}' lies in '{images}', where patches would be taken for images. Choose another --out")


def _has_class_folders(images: Path, names: Sequence[str], labelled: bool | None) -> bool:
    top = [name for name in names if "/" not in name]
    deep = [name for name in names if "/" in name]
    if labelled is None and top and deep:
        raise DataError(
            f"expected images either at the top of '{images}' or in class folders, found '{top[0]}' and '{deep[0]}'. "
            "Move the loose images into class folders, or remove the folders"
        )
    labelled = not top if labelled is None else labelled
    folders = {name.split("/")[0] for name in deep}
    if labelled and len(folders) > 1 and {folder.lower() for folder in folders} <= set(SPLITS):
        found = ", ".join(sorted(folders))
        raise DataError(f"expected class folders in '{images}', found the splits {found}. Cut each of them by itself")
    return labelled


def _find(root: Path, apart: Path | None = None) -> tuple[list[str], list[Skipped]]:
    """Paths of all images below a folder but not below `apart`, sorted, and folders that cannot be read."""
    if not root.is_dir():
        raise DataError(f"expected a folder with images at '{root}', found {'a file' if root.exists() else 'nothing'}")
    names: list[str] = []
    unread: list[Skipped] = []
    for entry in walk(root, apart):
        if entry.ignored.startswith(UNREADABLE):
            unread.append(Skipped(entry.name, entry.ignored))
        elif not entry.ignored and _is_image(root / entry.name):
            names.append(entry.name)
    return sorted(names), unread


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES or looks_like_image(path)


def _stems(names: Iterable[str], *, apart: bool) -> dict[str, str]:
    """What the patches of each image are called; with a hash where two would meet, or where the name would be too long.

    Args:
        apart: the folders at the top stay apart in what is written.
    """
    stems = {name: PurePosixPath(name).stem for name in names}
    places = {name: (name.split("/")[0] if apart else "", stem.casefold()) for name, stem in stems.items()}
    taken = Counter(places.values())
    for name, stem in stems.items():
        if taken[places[name]] > 1 or len(os.fsencode(stem)) > 200:
            stems[name] = f"{stem[:40]}-{_digest(name) % 16**8:08x}"
    return stems


def _digest(name: str) -> int:
    return int.from_bytes(hashlib.sha256(os.fsencode(name)).digest())


def _in_order(pool: ThreadPoolExecutor, work: Callable[[str], _T], names: Iterable[str]) -> Iterator[_T]:
    """Results in the order of the names, with only a few begun before they are asked for."""
    waiting: deque[Future[_T]] = deque()
    for name in names:
        waiting.append(pool.submit(work, name))
        if len(waiting) > 2 * _THREADS:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


# ---- refusals ------------------------------------------------------------------------------------------------------


def _check_numbers(size: int, stride: int | None, random_count: int | None, seed: int, coverage: float) -> None:
    _at_least("size", size, 1)
    _at_least("stride", 1 if stride is None else stride, 1)
    _at_least("random_count", 1 if random_count is None else random_count, 1)
    _at_least("seed", seed, 0)
    if not 0 < coverage <= 1:
        raise ConfigError(f"coverage must be above 0 and at most 1, got {coverage}")
    if stride is not None and random_count is not None:
        raise ConfigError(
            "stride is for a grid of patches and cannot be combined with random places. Leave one of the two out"
        )


def _refuse_two_ways(masks: Path | None, mask_classes: Path | None, coco: Path | None, labelled: bool | None) -> None:
    if masks and coco:
        raise ConfigError("expected labels from masks or from coco, got both. Leave one of the two out")
    if (masks is None) != (mask_classes is None):
        missing = "mask_classes" if masks else "masks"
        raise ConfigError(f"masks and mask_classes need each other, but {missing} is missing. Give both")
    if labelled is not None and (masks or coco):
        raise ConfigError(
            "labelled is for class folders and cannot be combined with masks or coco. Leave one of the two out"
        )


def _at_least(name: str, value: int, least: int) -> None:
    if value < least:
        raise ConfigError(f"{name} must be at least {least}, got {value}")


def _nothing_cut(images: Path, count: int, skipped: Sequence[Skipped], dropped: int, coverage: float) -> str:
    reasons = []
    if skipped:
        reasons.append(f"{len(skipped)} skipped, the first being '{skipped[0].file}' ({skipped[0].reason})")
    if dropped:
        reasons.append(f"{dropped} patches dropped below the coverage of {coverage}")
    came = ", and ".join(reasons)
    advice = "Choose a smaller size or coverage, or repair what was skipped"
    return f"expected at least one patch from the {count} images in '{images}', got none: {came}. {advice}"
