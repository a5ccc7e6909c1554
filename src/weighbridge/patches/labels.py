"""Which class a patch of an image shows, by the image's folder, by a mask, or by boxes."""

__all__ = ["Box", "LabelOf", "Labelling", "by_box", "by_folder", "by_mask", "without_label"]

import csv
import io
import json
import tomllib
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from weighbridge.data.decode import Unusable
from weighbridge.errors import DataError

Box = tuple[int, int]
"""(left, top) of a square patch, in pixels of the upright image."""

LabelOf = Callable[[Box], str | None]
"""The class that a patch shows; None: too little of any."""

Labelling = Callable[[str, int, int], LabelOf]
"""What tells the classes of one image's patches, from its name, width and height; Unusable if nothing does."""

_MASK_FORMATS = ["PNG", "TIFF", "BMP", "GIF", "PPM"]  # a JPEG would blur one class id into another
_MASK_MODES = {"1", "L", "P", "I", "I;16", "I;16B"}


def without_label(name: str, width: int, height: int) -> LabelOf:
    """A Labelling that gives every patch the empty name."""
    return lambda box: ""


def by_folder(name: str, width: int, height: int) -> LabelOf:
    """A Labelling that gives every patch the name of the folder at the top."""
    label, deeper, _ = name.partition("/")
    if not deeper:
        raise Unusable(name, "it lies in no class folder")
    return lambda box: label


def by_mask(masks: Path, files: Sequence[str], mask_classes: Path, size: int, coverage: float) -> Labelling:
    """The class that covers most of the patch, of equal ones that of the smallest id.

    Args:
        masks: a folder.
        files: the masks in it, of the same paths as the images but for the suffix.
        mask_classes: TOML, JSON or CSV that names the ids in the masks.
        size: side of the patches in pixels.
        coverage: in (0, 1], least share of the patch that the class covers.

    Raises:
        DataError: if the names cannot be read.
    """
    names = _mask_names(mask_classes)
    found: dict[str, list[str]] = {}
    for file in files:
        found.setdefault(_without_suffix(file), []).append(file)

    def labelling(name: str, width: int, height: int) -> LabelOf:
        stem = _without_suffix(name)
        files = found.get(stem, [])
        if len(files) != 1:
            raise Unusable(name, f"expected one mask '{stem}.*' in '{masks}', found {len(files) or 'none'}")
        ids = _read_mask(masks / files[0], name, width, height)  # (height, width)

        def label_of(box: Box) -> str | None:
            left, top = box
            covered: Counter[str] = Counter()  # pixels
            patch = ids[top : top + size, left : left + size]
            for number, count in zip(*np.unique(patch, return_counts=True), strict=True):
                if int(number) in names:
                    covered[names[int(number)]] += int(count)
            best = max(covered, key=covered.__getitem__, default=None)  # the first of equal ones
            return best if best and covered[best] / size**2 >= coverage else None

        return label_of

    return labelling


def _read_mask(path: Path, name: str, width: int, height: int) -> NDArray[Any]:
    try:
        with Image.open(path, formats=_MASK_FORMATS) as file:
            mask = ImageOps.exif_transpose(file)
    except UnidentifiedImageError as error:
        raise Unusable(
            name, f"the mask '{path}' is none of {', '.join(_MASK_FORMATS)}, which keep class ids"
        ) from error
    except Exception as error:  # Pillow's decoders raise whatever their formats provoke
        raise Unusable(name, f"the mask '{path}' cannot be read: {error}") from error
    if mask.size != (width, height):
        sizes = f"{mask.width} x {mask.height} pixels, but the upright image has {width} x {height}"
        raise Unusable(name, f"the mask '{path}' has {sizes}")
    if mask.mode not in _MASK_MODES:
        raise Unusable(name, f"the mask '{path}' has mode {mask.mode}, expected class ids in grey or palette")
    return np.asarray(mask)


def _mask_names(path: Path) -> dict[int, str]:
    try:
        text = path.read_text(encoding="utf-8-sig")
        pairs: list[Sequence[Any]]
        match path.suffix.lower():
            case ".toml":
                pairs = list(tomllib.loads(text).items())
            case ".json":
                pairs = list(json.loads(text).items())
            case ".csv":
                pairs = [row for row in csv.reader(io.StringIO(text), skipinitialspace=True) if row]
                if pairs and not pairs[0][0].strip().isdigit():
                    del pairs[0]  # a header
            case suffix:
                raise ValueError(f"its suffix is '{suffix}', not .toml, .json or .csv")
        names = {int(number): _class_name(name, path) for number, name in pairs}
        if not names or len(names) < len(pairs):
            raise ValueError("an id is listed twice" if names else "it lists none")
    except (OSError, ValueError, AttributeError, csv.Error) as error:
        raise DataError(f"expected class ids and their names in '{path}', such as 1,bolt in a CSV: {error}") from error
    return names


def by_box(coco: Path, size: int, coverage: float) -> Labelling:
    """The category of the box of which the patch shows the largest area, among those it shows enough of.

    Args:
        coco: a COCO JSON file; its `file_name` are the images' names, its boxes in pixels of the upright images.
        size: side of the patches in pixels.
        coverage: in (0, 1], least share of the box that the patch shows.

    Raises:
        DataError: if the file cannot be read as COCO.
    """
    boxes: dict[str, list[tuple[str, float, float, float, float]]] = defaultdict(list)
    sides: dict[str, tuple[Any, Any]] = {}
    try:
        facts = json.loads(coco.read_text(encoding="utf-8-sig"))
        names = {category["id"]: _class_name(category["name"], coco) for category in facts["categories"]}
        files = {image["id"]: str(PurePosixPath(image["file_name"])) for image in facts["images"]}
        for image in facts["images"]:
            sides[files[image["id"]]] = image.get("width"), image.get("height")
        for annotation in facts["annotations"]:
            x, y, w, h = (float(value) for value in annotation["bbox"])
            boxes[files[annotation["image_id"]]].append((names[annotation["category_id"]], x, y, w, h))
    except (OSError, ValueError, TypeError, AttributeError, KeyError) as error:
        reason = f"{error} is missing" if isinstance(error, KeyError) else error
        expected = "expected COCO with images, categories and annotations with bbox [x, y, width, height]"
        raise DataError(f"{expected} in '{coco}': {reason}") from error

    def labelling(name: str, width: int, height: int) -> LabelOf:
        if name not in sides:
            raise Unusable(name, f"no image in '{coco}' has this path as its file_name")
        if any(said not in (None, side) for said, side in zip(sides[name], (width, height), strict=True)):
            said = " x ".join(str(side) for side in sides[name])
            raise Unusable(name, f"'{coco}' says {said} pixels, but the upright image has {width} x {height}")

        def label_of(box: Box) -> str | None:
            left, top = box
            best, largest = None, 0.0
            for category, x, y, w, h in boxes.get(name, []):
                across, down = min(x + w, left + size) - max(x, left), min(y + h, top + size) - max(y, top)
                visible = across * down if across > 0 and down > 0 else 0.0
                if visible > largest and visible / (w * h) >= coverage:
                    best, largest = category, visible
            return best

        return label_of

    return labelling


def _class_name(name: object, where: Path) -> str:
    if not isinstance(name, str) or not name or name != name.strip() or name[0] == "." or set(name) & set("/\\\0"):
        raise DataError(f"expected class names that can be folder names in '{where}', got {name!r}. Rename it there")
    return name


def _without_suffix(name: str) -> str:
    return str(PurePosixPath(name).with_suffix(""))
