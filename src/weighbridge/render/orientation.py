"""Which way is up in a mesh: said for a file, said for all, or told from its shape.

Formats have an axis that points up, and exporters do not always keep to it: among glTF files, which are y-up by their
standard, there are cars that stand on their noses. What gives a mesh away is how it was modelled. The signs below are
two of the properties by which Fu et al. (Upright Orientation of Man-Made Objects, SIGGRAPH 2008) tell it, symmetry
and a wide base, and where the origin lies. No label is read.

Legend: F triangles, P points.
"""

__all__ = ["AXES", "TABLE", "Axis", "Orientation", "orientation_sentences", "read_orientations", "to_z_up", "upright"]

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal, TypeAlias, cast, get_args

import numpy as np
from numpy.typing import NDArray

from weighbridge.errors import DataError

Axis: TypeAlias = Literal["x", "y", "z", "-x", "-y", "-z"]
AXES: tuple[str, ...] = get_args(Axis)
TABLE = "orientation.csv"  # beside the class folders

# All are shares of the mesh's extent along the axis in question, and were set on the 37 meshes of
# experiments/pretrained and the 25 shapes of our own.
_AT_ZERO = 0.05  # how far from 0 the lowest point of what stands on the origin may lie
_AROUND_ZERO = 0.1  # how far from 0 the middle of what is centred on the origin may lie
_MIRRORED = 0.03  # unlikeness to its own mirror image below which a mesh counts as symmetric; sampling alone gives 0.01
_ONE_SIDED = 0.06  # and above which it does not
_WIDER = 1.5  # times as wide must the base be
_LOWEST = 0.03  # share of the longest extent that counts as the base
_POINTS = 16_000
_FLAT = 1e-3  # share of the longest extent up to which a mesh counts as a sheet, which tells nothing

_NAMED = 5  # files in a sentence

_TURNS: Mapping[str, Sequence[Sequence[int]]] = {  # rows: what becomes x, y and z
    "x": ((0, 0, -1), (0, 1, 0), (1, 0, 0)),
    "y": ((1, 0, 0), (0, 0, -1), (0, 1, 0)),
    "z": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "-x": ((0, 0, 1), (0, 1, 0), (-1, 0, 0)),
    "-y": ((1, 0, 0), (0, 0, 1), (0, -1, 0)),
    "-z": ((1, 0, 0), (0, -1, 0), (0, 0, -1)),
}


@dataclass(frozen=True)
class Orientation:
    """Which axis of a file points up, and what says so.

    Attributes:
        axis: of the file.
        by: `orientation.csv`, `option`, `format`, `shape` where the shape speaks against the format, or `unsure` where
            the signs of the shape speak against each other and the format was believed.
    """

    axis: Axis
    by: Literal["orientation.csv", "option", "format", "shape", "unsure"]


def upright(triangles: NDArray[Any], usual: Literal["y", "z"]) -> Orientation:
    """The axis that points up, y or z: that of the format unless the shape says otherwise.

    Two signs are asked, and each may be silent. The origin: a mesh that starts at 0 along one of the axes and has its
    middle at 0 along the other stands on the former. Symmetry: a mesh that is its own mirror image along one of the
    axes, is not along the other and has the wider base there stands on the latter. The upside down is not told.

    Args:
        triangles: (F, 3, 3), in the file's axes.
        usual: the axis of the format.
    """
    places = np.asarray(triangles, np.float64).reshape(-1, 3)
    low, high = places.min(0), places.max(0)
    extent = high - low
    if extent.min() <= _FLAT * extent.max():
        return Orientation(usual, "format")
    signs = {_by_origin(low, extent), _by_symmetry(np.asarray(triangles, np.float64), low, extent)} - {None}
    if len(signs) > 1:
        return Orientation(usual, "unsure")
    if not signs or signs == {usual}:
        return Orientation(usual, "format")
    return Orientation("z" if usual == "y" else "y", "shape")


def _by_origin(low: NDArray[np.float64], extent: NDArray[np.float64]) -> str | None:
    start = low / extent
    at_zero, around_zero = np.abs(start) < _AT_ZERO, np.abs(start + 0.5) < _AROUND_ZERO
    for up, level in ((1, 2), (2, 1)):
        if at_zero[up] and around_zero[level]:
            return "xyz"[up]
    return None


def _by_symmetry(triangles: NDArray[np.float64], low: NDArray[np.float64], extent: NDArray[np.float64]) -> str | None:
    across = np.linalg.norm(
        np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0]), axis=1
    )  # (F,) twice the areas
    if across.sum() == 0:
        return None
    points = (_on_surface(triangles, across) - low) / extent  # (P, 3) in [0, 1]
    unlike = [float(np.abs(np.sort(along) - np.sort(1 - along)).mean()) for along in points.T]
    for up, level in ((1, 2), (2, 1)):
        wider = _base(triangles, up, low, extent) > _WIDER * _base(triangles, level, low, extent)
        if unlike[level] < _MIRRORED and unlike[up] > _ONE_SIDED and wider:
            return "xyz"[up]
    return None


def _on_surface(triangles: NDArray[np.float64], areas: NDArray[np.float64]) -> NDArray[np.float64]:
    """(P, 3) points, spread by area; the same ones every time."""
    random = np.random.default_rng(0)
    shares = (np.arange(_POINTS) + 0.5) / _POINTS
    chosen = triangles[np.searchsorted(np.cumsum(areas) / areas.sum(), shares).clip(0, len(areas) - 1)]
    root, place = np.sqrt(random.random((_POINTS, 1))), random.random((_POINTS, 1))
    points: NDArray[np.float64] = (1 - root) * chosen[:, 0] + root * ((1 - place) * chosen[:, 1] + place * chosen[:, 2])
    return points


def _base(triangles: NDArray[np.float64], up: int, low: NDArray[np.float64], extent: NDArray[np.float64]) -> float:
    """Share of the floor plan's box that the lowest corners span, in [0, 1]."""
    places = triangles.reshape(-1, 3)
    lowest = places[places[:, up] <= low[up] + _LOWEST * extent.max()]
    return float(np.prod([np.ptp(lowest[:, axis]) / extent[axis] for axis in range(3) if axis != up]))


def to_z_up(axis: Axis) -> NDArray[np.float64]:
    """(4, 4): the turn that takes an axis to z."""
    matrix = np.eye(4)
    matrix[:3, :3] = _TURNS[axis]
    return matrix


def read_orientations(folder: Path, files: Sequence[Path]) -> dict[Path, Axis]:
    """The axes that `orientation.csv` in the folder of meshes says, for the files it names; none without one.

    It has the columns `file` and `up`. A file is a path below the folder, such as car/taxi.glb, or a pattern, such as
    car/*; the last line that fits counts.

    Raises:
        DataError: it cannot be read, lacks a column, names no mesh that is there, or an axis that is none.
    """
    table = folder / TABLE
    if not table.is_file():
        return {}
    try:
        with table.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as opened:
            rows = list(csv.DictReader(opened))
    except (OSError, csv.Error) as error:
        raise DataError(f"expected a table of files and axes in {table}, but it cannot be read: {error}.") from error
    names = {file.relative_to(folder).as_posix(): file for file in files}
    axes: dict[Path, Axis] = {}
    for number, row in enumerate(rows, 2):
        name, axis = (row.get("file") or "").strip(), (row.get("up") or "").strip()
        if not name or axis not in AXES:
            raise DataError(
                f"expected the columns file and up, up one of {', '.join(AXES)}, in line {number} of {table}, "
                f"got file '{name}' and up '{axis}'. A line is such as: {next(iter(names), 'car/taxi.glb')},z"
            )
        named = [name] if name in names else [known for known in names if fnmatchcase(known, name)]
        if not named:
            raise DataError(
                f"expected a mesh below {folder} in line {number} of {table}, but '{name}' fits none. "
                f"Write it as a path such as {next(iter(names), 'car/taxi.glb')}, or take the line away."
            )
        axes |= {names[known]: cast("Axis", axis) for known in named}
    return axes


def orientation_sentences(rows: Iterable[Mapping[str, str]], folder: Path) -> list[str]:
    """What to say of meshes that were turned against their format, and of those that may lie on their sides.

    Args:
        rows: of metadata.csv: `label`, `mesh`, `up` and `up_by`.
        folder: of the meshes.
    """
    found: dict[str, dict[str, str]] = {"shape": {}, "unsure": {}}
    for row in rows:
        if row["up_by"] in found:
            found[row["up_by"]][f"{row['label']}/{row['mesh']}"] = row["up"]
    said = []
    if turned := found["shape"]:
        one = len(turned) == 1
        said.append(
            f"{len(turned)} mesh{' was' if one else 'es were'} turned, as the shape speaks against the format: "
            f"{_listed(turned)}. Look at {'it' if one else 'them'} with --sheet. "
            f"{_correction(turned, folder)}"
        )
    if unsure := found["unsure"]:
        one = len(unsure) == 1
        said.append(
            f"{len(unsure)} mesh{'' if one else 'es'} may lie on a side, as origin and symmetry disagree; the format "
            f"was believed: {_listed(unsure)}. Look at {'it' if one else 'them'} with --sheet. "
            f"{_correction(unsure, folder)}"
        )
    return said


def _listed(axes: Mapping[str, str]) -> str:
    shown = ", ".join(f"{file} ({axis} up)" for file, axis in sorted(axes.items())[:_NAMED])
    return shown + (f" and {len(axes) - _NAMED} more" if len(axes) > _NAMED else "")


def _correction(axes: Mapping[str, str], folder: Path) -> str:
    file, axis = min(axes.items())
    other = "z" if axis == "y" else "y"
    return f"To set an axis, write a line such as '{file},{other}' below 'file,up' into {folder / TABLE}."
