"""Both domains in one plane: the points of embedding.npz, with a small picture of each."""

__all__ = ["Plane", "read_plane"]

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from weighbridge.files import printable
from weighbridge.report.pictures import OwnPictures, data_url

_WIDTH, _HEIGHT, _EDGE = 640.0, 440.0, 10.0  # of the picture
_SIDE = 48  # pixels of a small picture
_ACROSS = 25  # small pictures in a row of a sheet


@dataclass(frozen=True)
class Plane:
    """What the page draws.

    Attributes:
        points: (x, y, domain, class) of each image; domain 0 is the renders, 1 the photos.
        sheets: per domain a JPEG with a small picture of each of its points in their order, "" without any.
        about: JSON for the hover text: [domain, place on its sheet, file, class] of each point.
        counts: renders and photos.
        how: how the points came about.
    """

    points: tuple[tuple[float, float, int, int], ...]
    sheets: tuple[str, str]
    about: str
    counts: tuple[int, int]
    classes: tuple[str, ...]
    how: str
    side: int = _SIDE
    across: int = _ACROSS


def read_plane(folder: Path, classes: Sequence[str], pictures: OwnPictures) -> Plane | None:
    """Read embedding.npz; None if there is none."""
    path = folder / "embedding.npz"
    if not path.is_file():
        return None
    with np.load(path, allow_pickle=False) as archive:
        places, domain, label, how = archive["xy"], archive["domain"], archive["label"], str(archive["how"])
        files = [str(name) for name in archive["name"]]
    sheets, about = ["", ""], list[list[object]]()
    order = [np.flatnonzero(domain == which).tolist() for which in (0, 1)]
    spot = {row: k for rows in order for k, row in enumerate(rows)}
    for which, rows in enumerate(order):
        sheets[which] = _sheet(pictures.thumbnails((files[row] for row in rows), _SIDE))
    names = tuple(printable(name) for name in classes)
    for row, file in enumerate(files):
        about.append([int(domain[row]), spot[row], printable(file), names[int(label[row])]])
    across, down = _spread(places[:, 0], _WIDTH), _spread(places[:, 1], _HEIGHT)
    points = zip(across.tolist(), down.tolist(), domain.tolist(), label.tolist(), strict=True)
    return Plane(
        points=tuple((round(x, 1), round(y, 1), which, kind) for x, y, which, kind in points),
        sheets=(sheets[0], sheets[1]),
        about=json.dumps(about),
        counts=(len(order[0]), len(order[1])),
        classes=names,
        how=how,
    )


def _spread(values: NDArray[np.floating], length: float) -> NDArray[np.float64]:
    """Values over the length of an axis."""
    low, high = float(values.min()), float(values.max())
    scaled: NDArray[np.float64] = (values.astype(np.float64) - low) / max(high - low, 1e-9)
    return _EDGE + (length - 2 * _EDGE) * scaled


def _sheet(pictures: Sequence[bytes | None]) -> str:
    """All small pictures as one image."""
    if not any(pictures):
        return ""
    rows = -(-len(pictures) // _ACROSS)
    sheet = Image.new("RGB", (_ACROSS * _SIDE, rows * _SIDE), (128, 128, 128))
    for place, picture in enumerate(pictures):
        if picture:
            image = ImageOps.contain(Image.open(io.BytesIO(picture)), (_SIDE, _SIDE))  # small ones grow
            left, top = place % _ACROSS * _SIDE, place // _ACROSS * _SIDE
            sheet.paste(image, (left + (_SIDE - image.width) // 2, top + (_SIDE - image.height) // 2))
    file = io.BytesIO()
    sheet.save(file, "JPEG", quality=70, optimize=True)
    return data_url(file.getvalue())
