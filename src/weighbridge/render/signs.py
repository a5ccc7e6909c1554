"""Traffic signs, or whatever a folder of icons shows: thin metal plates on poles, seen as a driver's camera crops them.

The plate has the outline of the icon and the icon printed on its front. It stands in the origin, x to the right and z
up, and is looked at along y.

Legend: N corners of an outline, T side of a print in texels, S side of the image.
"""

__all__ = ["Signs"]

import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
import manifold3d
import numpy as np
import resvg_py
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image

from weighbridge.errors import DataError
from weighbridge.render.family import FACING, LIGHT, light_of
from weighbridge.render.plates import (
    BACKGROUND,
    LUMINANCE,
    POSE,
    Pose,
    Surroundings,
    edge,
    face,
    framed,
    in_the_way,
    mesh,
    rings,
)
from weighbridge.render.recipe import Choice, Factors, Knob, Range
from weighbridge.render.scene import Array, Material, Mesh, Part, Scene, joined, linear
from weighbridge.render.sensor import SENSOR, SHARPENING
from weighbridge.render.textures import Backdrops, Grain, colour, plain, texels

_SUFFIXES = (".svg", ".png")  # of two icons with one name, the first of these counts
_PIXELS = 256  # side that icons are drawn and their outlines traced at
_RIM = 1.04  # side of a print over the longer side of its sign
_RIM_DEPTH = 0.06  # in sizes of the sign: further inside lies what is printed on it
_THICKNESS = 0.02
_METAL = linear((0.55, 0.56, 0.57))
_BROWN = linear((0.35, 0.3, 0.22))

# What signs vary on top of light and sensor. GTSRB's photos are crops around the sign, squeezed to squares, from nearly
# black to blown out; ranges were compared with the pixels of its training photos, without their labels.
_SIGN: Mapping[str, Knob] = {
    **POSE,
    "fade": Range(0.0, 0.35, 0.0, "share of grey that sun and years mixed into the print", chance=0.3),
    "ink": Range(0.6, 1.0, 0.9, "what the print reflects of what it would reflect new"),
    "hue": Range(-0.04, 0.04, 0.0, "turn of the print's colours, in turns of the colour circle"),
    "saturation": Range(0.7, 1.3, 1.0, "of the print's colours"),
    "stroke": Range(
        -1.0, 1.0, 0.0, "dark lines thinner (below 0) or thicker; 1 is 5 % of the sign", least=-1.0, most=1.0
    ),
    "symbol": Range(0.85, 1.4, 1.0, "size of what is printed inside the rim", chance=0.8, least=0.5, most=2.0),
    "symbol_aspect": Range(-0.2, 0.2, 0.0, "log of how much wider that is made", chance=0.8, least=-0.7, most=0.7),
    "bulge": Range(-0.12, 0.12, 0.0, "how much larger the middle of the print is, the edge staying where it is"),
    "warp": Range(0.0, 0.02, 0.0, "how far parts of the print lie from their place, in sizes of the sign"),
    "white_rim": Range(0.01, 0.05, 0.0, "width of a white edge", chance=0.3),
    "dirt": Range(0.1, 0.65, 0.0, "how dense blotches of dirt are", chance=0.25),
    "grain": Range(0.0, 0.12, 0.0, "unevenness of the print", chance=0.5),
    "roughness": Range(0.3, 1.0, 0.7, "of the print: 0.05 mirrors, 1 is matt"),
    "sticker": Range(0.06, 0.2, 0.0, "width of a sticker", chance=0.05),
    "shadow": Range(0.08, 0.6, 0.0, "width of what stands between sun and sign", chance=0.25),
    "leaves": Range(0.05, 0.3, 0.0, "share of the sign behind leaves", chance=0.1),
    "pole": Range(0.0, 0.1, 0.05, "width of the pole; below 0.02 there is none"),
    "neighbour": Choice(
        ("none", "none", "none", "board below", "board above", "sign below", "sign above"), "none", "a second plate"
    ),
    **BACKGROUND,
    "background_light": Range(-3.0, 1.6, 0.0, BACKGROUND["background_light"].about),
    "background_saturation": Range(0.05, 0.35, 0.15, BACKGROUND["background_saturation"].about),
}


class Signs:
    """One class for each icon.

    Args:
        icons: a folder of SVG or PNG files, or one whose only folders `svg` and `png*` hold the same icons twice.
            `stop@old.svg` is another drawing of the class of `stop.svg`; all drawings come equally often.
        backdrops: what stands behind.
        size: S, which decides how fine the prints are.

    Raises:
        DataError: if there is no icon, or one that cannot be read or shows nothing.
    """

    def __init__(self, icons: Path, backdrops: Backdrops, *, size: int = 64) -> None:
        self._signs: dict[str, list[_Sign]] = {}
        for path in _icons(icons):
            drawings = self._signs.setdefault(path.stem.partition("@")[0], [])
            drawings.append(_sign(_read(path), path, texels(size)))
        self._grain = Grain(texels(size))
        self._around = Surroundings(backdrops, self._grain, size)

    @property
    def classes(self) -> tuple[str, ...]:
        """The icons' names without what follows an @ and their endings, sorted."""
        return tuple(self._signs)

    @property
    def notes(self) -> tuple[str, ...]:
        """What is told beside the knobs: the drawing, the photo behind the sign and the sign beside it."""
        return ("icon", "photo", "neighbour_sign")

    @property
    def knobs(self) -> Mapping[str, Knob]:
        """Everything that varies."""
        background = Choice(self._around.kinds, "plain", "what stands behind the sign")
        return {**_SIGN, "background": background, **LIGHT, **_LIGHT, **SENSOR, **_SENSOR, **SHARPENING}

    def scene(self, label: str, factors: Factors, random: Generator) -> Scene:
        """A sign on its pole; see `Family.scene`."""
        sign = self._drawing(label, random)
        light = light_of(factors, FACING)
        pose, camera = framed(sign.corners, factors)
        front = Material(self._print(sign, factors, random), factors["roughness"])
        metal = Material(plain(_METAL), 0.5, 1.0)
        parts = [
            Part(pose.of(sign.front), front, subject=True, closed=True),
            Part(pose.of(sign.body), metal, subject=True, closed=True),
        ]
        raised = factors["neighbour"].endswith("above")
        beside = ""
        if factors["neighbour"] != "none":
            plates, beside = self._neighbour(sign, factors, random, pose)
            parts += plates
        if factors["pole"] >= 0.02:
            pole = _pole(factors["pole"], sign.top + 1.2 if raised else sign.top * 0.9)
            parts.append(Part(pose.of(pole), Material(plain(_METAL), 0.6)))
        parts += in_the_way(factors, light, camera, random)
        backdrop, photo = self._around.backdrop(factors, light, random)
        return Scene(
            tuple(parts), camera, light, backdrop, {"icon": sign.name, "photo": photo, "neighbour_sign": beside}
        )

    def _drawing(self, label: str, random: Generator) -> "_Sign":
        drawings = self._signs[label]
        return drawings[int(random.integers(len(drawings)))]

    def _print(self, sign: "_Sign", factors: Factors, random: Generator) -> Array:
        """(T, T, 3), the icon as it came out of the press and as the years left it."""
        stroke = factors["stroke"]
        image = sign.print
        if stroke:
            other = sign.thick if stroke > 0 else sign.thin
            image = image + np.float32(abs(stroke)) * (other - image)
        if factors["symbol"] != 1 or factors["symbol_aspect"] or factors["bulge"] or factors["warp"]:
            image = _warped(image, sign.depth, factors, random)
        if factors["white_rim"]:
            share = np.clip((factors["white_rim"] - sign.depth) * len(image), 0, 1)[..., None]
            image = image + share * (np.float32(0.8) - image)
        image = cv2.transform(image, _drift(factors))
        if factors["sticker"]:
            image = _with_sticker(image, factors["sticker"], random)
        if factors["grain"]:
            image = image * (1 + np.float32(factors["grain"]) * (self._grain.draw(random) - np.float32(0.5)))[..., None]
        if factors["dirt"]:
            share = np.clip(self._grain.draw(random) * 2 - np.float32(1.3 - factors["dirt"]), 0, 0.85)[..., None]
            image = image + share * (_BROWN - image)
        return np.asarray(np.clip(image, 0, 1), np.float32)

    def _neighbour(self, sign: "_Sign", factors: Factors, random: Generator, pose: Pose) -> tuple[list[Part], str]:
        """A plate above or below: a board with scribbles, or any of the signs, and its name."""
        kind, side = factors["neighbour"].split()
        texture: Array
        name = ""
        gap = random.uniform(0.02, 0.15)
        if kind == "sign":
            name = self.classes[random.integers(len(self.classes))]
            other = self._drawing(name, random)
            texture = np.asarray(np.clip(cv2.transform(other.print, _drift(factors)), 0, 1), np.float32)
        else:
            other = _board(random.uniform(0.25, 0.5))
            texture = _scribbles(random)
        height = sign.top + gap - other.bottom if side == "above" else sign.bottom - gap - other.top
        material = Material(texture, factors["roughness"])
        metal = Material(plain(_METAL), 0.5, 1.0)
        plate = [
            Part(pose.of(other.front, height), material, closed=True),
            Part(pose.of(other.body, height), metal, closed=True),
        ]
        return plate, name


_LIGHT: Mapping[str, Knob] = {
    "sky": Range(0.12, 0.7, 0.4, LIGHT["sky"].about),
}
_SENSOR: Mapping[str, Knob] = {
    "exposure": Range(-4.0, 2.0, 0.0, SENSOR["exposure"].about),
    "contrast": Range(-0.1, 0.9, 0.0, SENSOR["contrast"].about),
    "tint": Range(-0.1, 0.03, 0.0, SENSOR["tint"].about),
    "haze": Range(0.0, 0.2, 0.0, SENSOR["haze"].about, chance=0.3),
    "blur": Range(0.3, 2.4, 0.0, SENSOR["blur"].about, chance=0.4),
    "motion": Range(1.0, 8.0, 0.0, SENSOR["motion"].about, chance=0.1),
    "resolution": Range(0.45, 1.0, 1.0, SENSOR["resolution"].about, chance=0.2),
    "noise": Range(0.0, 0.012, 0.0, SENSOR["noise"].about, chance=0.6),
    "black": Range(0.02, 0.06, 0.0, SENSOR["black"].about, chance=0.8),
}


@dataclass(frozen=True, eq=False)
class _Sign:
    """A plate and what is printed on it.

    Attributes:
        corners: (N, 2), x and z; the longer side of the box around them is 1, its middle the origin.
        front, body: the face with the print, and edge and back.
        name: of its icon's file; "" where there is none.
        print: (T, T, 3) linear, row 0 at the bottom.
        thick, thin: the print with its dark lines thicker by 5 % of the sign, and thinner by 3 %.
        depth: (T, T), how far a texel lies inside the outline, in sizes of the sign.
    """

    corners: NDArray[np.float64]
    front: Mesh
    body: Mesh
    name: str
    print: Array
    thick: Array
    thin: Array
    depth: Array

    @property
    def top(self) -> float:
        return float(self.corners[:, 1].max())

    @property
    def bottom(self) -> float:
        return float(self.corners[:, 1].min())


# ---- icons ---------------------------------------------------------------------------------------------------------


def _icons(folder: Path) -> list[Path]:
    if not folder.is_dir():
        hint = " Unpack it first." if folder.suffix.lower() == ".zip" else ""
        raise DataError(f"expected a folder of SVG or PNG icons at '{folder}', and there is none.{hint}")
    found = _by_name(folder.iterdir())
    if not found:
        inside = {each.name: _by_name(each.iterdir()) for each in sorted(folder.iterdir()) if each.is_dir()}
        inside = {name: icons for name, icons in inside.items() if icons}
        if len({frozenset(icons) for icons in inside.values()}) > 1:
            raise DataError(
                f"expected icons in '{folder}', found different ones in its folders {', '.join(inside)}. "
                "Name one of these"
            )
        for icons in inside.values():
            found = {name: _preferred(path, found.get(name, path)) for name, path in icons.items()}
    if not found:
        raise DataError(f"expected SVG or PNG icons in '{folder}', found none")
    return [found[name] for name in sorted(found)]


def _by_name(files: Iterable[Path]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in sorted(files):
        if path.suffix.lower() in _SUFFIXES and not path.name.startswith(".") and path.is_file():
            found[path.stem] = _preferred(path, found.get(path.stem, path))
    return found


def _preferred(first: Path, second: Path) -> Path:
    return min((second, first), key=lambda path: _SUFFIXES.index(path.suffix.lower()))


def _read(path: Path) -> NDArray[np.uint8]:
    """(H, W, 4) red, green, blue, alpha; the longer side is _PIXELS."""
    try:
        if path.suffix.lower() == ".svg":
            drawn = resvg_py.svg_to_bytes(svg_string=path.read_text("utf-8"), width=_PIXELS, height=_PIXELS)
            image = Image.open(io.BytesIO(drawn)).convert("RGBA")
        else:
            with Image.open(path) as opened:
                image = opened.convert("RGBA")
    except Exception as error:  # Pillow and resvg raise whatever a file provokes
        raise DataError(f"icon '{path}' cannot be read ({error}). Replace or remove it") from error
    scale = _PIXELS / max(image.size)
    return np.asarray(image.resize([max(round(side * scale), 1) for side in image.size], Image.Resampling.BICUBIC))


def _sign(icon: NDArray[np.uint8], path: Path, side_of_print: int) -> _Sign:
    solid = (icon[..., 3] >= 128).astype(np.uint8)
    found = cv2.findContours(np.pad(solid, 1), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0]
    largest = max((cv2.contourArea(contour) for contour in found), default=0)
    if largest < 16:
        raise DataError(f"icon '{path}' shows nothing: it is transparent all over. Replace or remove it")
    pieces = [piece for piece in found if cv2.contourArea(piece) > 0.01 * largest]
    corners = [cv2.approxPolyDP(piece, 0.6, True)[:, 0].astype(np.float64) for piece in pieces]
    outlines = [
        outline - 0.5 for outline in corners
    ]  # less the pad, plus half a pixel: where pixels have their centres
    everything = np.concatenate(outlines)
    low, high = everything.min(0), everything.max(0)
    middle, side = (low + high) / 2, float((high - low).max())
    outlines = [(outline - middle) * (1, -1) / side for outline in outlines]  # z points up

    square = round(side * _RIM)
    corner = np.rint(middle - square / 2).astype(int)
    mapped = np.asarray([[1, 0, corner[0]], [0, 1, corner[1]]], np.float32)
    options = {"flags": cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP, "borderMode": cv2.BORDER_CONSTANT}
    cut = cv2.warpAffine(icon, mapped, (square, square), **options)
    inside = (cut[..., 3] >= 128).astype(np.uint8)
    _, nearest = cv2.distanceTransformWithLabels(1 - inside, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    shades = np.zeros((int(nearest.max()) + 1, 3), np.uint8)
    shades[nearest[inside > 0]] = cut[..., :3][inside > 0]
    print_ = linear(shades[nearest] / np.float32(255))[::-1]  # what is transparent takes the nearest colour
    depth = cv2.distanceTransform(inside, cv2.DIST_L2, 5)[::-1] / np.float32(side)

    def small(image: Array) -> Array:
        return np.asarray(cv2.resize(image, (side_of_print, side_of_print), interpolation=cv2.INTER_AREA), np.float32)

    thicker, thinner = (cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1,) * 2) for reach in (6, 4))
    front, body = _plate(outlines)
    return _Sign(
        np.concatenate(outlines),
        front,
        body,
        path.name,
        small(print_),
        small(cv2.erode(print_, thicker)),
        small(cv2.dilate(print_, thinner)),
        small(depth),
    )


# ---- meshes --------------------------------------------------------------------------------------------------------


def _plate(outlines: list[NDArray[np.float64]]) -> tuple[Mesh, Mesh]:
    """The front at y = 0 with the print across it; edge and back behind it."""
    sides = rings(manifold3d.CrossSection(outlines, manifold3d.FillRule.NonZero))
    back = face(sides, _THICKNESS, behind=True, kept=True)
    return face(sides, 0.0, margin=_RIM, kept=True), joined([back, edge(sides, 0.0, _THICKNESS)])


def _pole(width: float, top: float) -> Mesh:
    """Eight-sided, behind the plate, down to where no camera sees its foot."""
    around = np.arange(9) * (np.pi / 4)
    circle = np.stack([np.cos(around), np.sin(around), np.zeros(9)], 1)
    low = circle * width / 2 + np.asarray([0.0, _THICKNESS + 0.02 + width / 2, -4.0])
    high = low + np.asarray([0.0, 0.0, top + 4.0])
    here = np.arange(8)
    faces = np.concatenate([np.stack([here, here + 1, here + 10], 1), np.stack([here, here + 10, here + 9], 1)])
    return mesh(np.concatenate([low, high]), np.concatenate([circle, circle]), np.full((18, 2), 0.5), faces)


def _board(height: float) -> _Sign:
    corners = np.asarray([0.45, height / 2]) * np.asarray([[-1, -1], [1, -1], [1, 1], [-1, 1]])
    front, body = _plate([corners])
    nothing = np.ones((1, 1, 3), np.float32)
    return _Sign(corners, front, body, "", nothing, nothing, nothing, nothing[..., 0])


# ---- what happens to a sign ----------------------------------------------------------------------------------------


def _drift(factors: Factors) -> NDArray[np.float32]:
    """(3, 4), what fading, ink, hue and saturation do to a colour."""
    angle = 2 * np.pi * factors["hue"]
    grey = np.full((3, 3), 1 / 3)
    cross = np.asarray([[0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / np.sqrt(3)
    turned = grey + np.cos(angle) * (np.eye(3) - grey) + np.sin(angle) * cross  # about the axis of greys
    lightness = np.broadcast_to(LUMINANCE, (3, 3)) @ turned
    matrix = factors["ink"] * (1 - factors["fade"]) * (lightness + factors["saturation"] * (turned - lightness))
    offset = np.full((3, 1), factors["ink"] * factors["fade"] * 0.4)
    return np.hstack([matrix, offset]).astype(np.float32)


def _warped(image: Array, depth: Array, factors: Factors, random: Generator) -> Array:
    """The print with what is inside its rim, and its middle, larger or smaller, and parts shifted by a few slow waves.

    Real signs differ from their icons in how large and wide letters and pictures are; nothing of that tells the class.
    """
    side, bulge, warp = len(image), factors["bulge"], factors["warp"]
    axis = (np.arange(side, dtype=np.float32) + np.float32(0.5)) / side - np.float32(0.5)
    left, down = axis[None], axis[:, None]
    inner = np.clip(1 - 4 * (left**2 + down**2), 0, 1)
    inside = np.clip((depth - np.float32(_RIM_DEPTH)) / np.float32(0.06), 0, 1)
    wider = np.exp(np.asarray([0.5, -0.5]) * factors["symbol_aspect"]) * factors["symbol"]
    across, up = (1 + inside * np.float32(1 / size - 1) - np.float32(bulge) * inner for size in wider)
    columns, rows = left * across, down * up
    if warp:
        phase = random.uniform(0, 2 * np.pi, 4).astype(np.float32)
        speed = random.uniform(4, 12, 2).astype(np.float32)
        columns = columns + np.float32(warp) * inner * np.sin(speed[0] * (down + phase[2]) + phase[0])
        rows = rows + np.float32(warp) * inner * np.sin(speed[1] * (left + phase[3]) + phase[1])
    to_texels = (np.float32(0.5) + columns) * side - np.float32(0.5), (np.float32(0.5) + rows) * side - np.float32(0.5)
    return np.asarray(cv2.remap(image, *to_texels, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.float32)


def _with_sticker(image: Array, width: float, random: Generator) -> Array:
    side = len(image)
    shade = colour(random.random(), random.uniform(0, 0.8), random.uniform(0.2, 1)).tolist()
    middle = (side * random.uniform(0.2, 0.8, 2)).tolist()
    size = (side * width * random.uniform(0.6, 1.4, 2)).tolist()
    corners = cv2.boxPoints((middle, size, random.uniform(0, 90)))
    stuck = np.ascontiguousarray(image)
    cv2.fillConvexPoly(stuck, np.rint(corners * 16).astype(np.int32), shade, cv2.LINE_AA, 4)
    return stuck


def _scribbles(random: Generator) -> Array:
    """A white or yellow board with dark marks that could be words or arrows."""
    board = np.full((64, 64, 3), 0.7, np.float32) * (linear((1.0, 0.85, 0.3)) if random.random() < 0.2 else 1)
    board = board.astype(np.float32)
    middle, height = 32, int(random.integers(4, 9))
    left, end = int(random.integers(6, 14)), int(random.integers(50, 58))
    while left < end:
        width = int(random.integers(2, 7))
        tilt = int(random.integers(-2, 3))
        cv2.line(board, (left, middle - height), (left + tilt, middle + height), (0.03, 0.03, 0.03), max(width // 2, 1))
        left += width + int(random.integers(1, 4))
    return board
