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
from weighbridge.render.family import LIGHT, light_of
from weighbridge.render.recipe import Choice, Factors, Knob, Range
from weighbridge.render.scene import Array, Camera, Light, Material, Mesh, Part, Scene, linear
from weighbridge.render.sensor import SENSOR
from weighbridge.render.textures import Backdrops, blotches, colour, plain

SUFFIXES = (".svg", ".png")  # of two icons with one name, the first of these counts
_PIXELS = 256  # side that icons are drawn and their outlines traced at
_RIM = 1.04  # side of a print over the longer side of its sign
_THICKNESS = 0.02
_FACING = -90.0  # degrees: the camera stands where y is negative
_METAL = linear((0.55, 0.56, 0.57))
_BROWN = linear((0.35, 0.3, 0.22))
_LUMINANCE = np.asarray([[0.2126, 0.7152, 0.0722]], np.float32)

# What signs vary on top of light and sensor. GTSRB's photos are crops around the sign, squeezed to squares, from nearly
# black to blown out; ranges were compared with the pixels of its training photos, without their labels.
SIGN: Mapping[str, Knob] = {
    "yaw": Range(-45.0, 45.0, 0.0, "degrees that the sign's face turns to the viewer's right"),
    "pitch": Range(-15.0, 15.0, 0.0, "degrees that it turns up"),
    "roll": Range(-12.0, 12.0, 0.0, "degrees clockwise"),
    "distance": Range(3.0, 9.0, 6.0, "of the camera, in sizes of the sign"),
    "fill": Range(0.56, 0.9, 0.75, "share of the frame's side that the sign's longer side takes"),
    "offset_x": Range(-0.06, 0.06, 0.0, "of the sign's middle to the right, in shares of the side"),
    "offset_y": Range(-0.06, 0.06, 0.0, "and up"),
    "squeeze": Range(0.0, 1.0, 0.0, "how far the crop was squeezed until the sign is as wide as high"),
    "stretch": Range(-0.12, 0.12, 0.0, "log of how much wider the crop was made beyond that"),
    "fade": Range(0.0, 0.35, 0.0, "share of grey that sun and years mixed into the print", chance=0.4),
    "ink": Range(0.45, 1.0, 0.9, "what the print reflects of what it would reflect new"),
    "hue": Range(-0.04, 0.04, 0.0, "turn of the print's colours, in turns of the colour circle"),
    "saturation": Range(0.7, 1.3, 1.0, "of the print's colours"),
    "stroke": Range(-1.0, 1.0, 0.0, "dark lines thinner (below 0) or thicker, in texels"),
    "bulge": Range(-0.12, 0.12, 0.0, "how much larger the middle of the print is, the edge staying where it is"),
    "warp": Range(0.0, 0.02, 0.0, "how far parts of the print lie from their place, in sizes of the sign"),
    "white_rim": Range(0.01, 0.05, 0.0, "width of a white edge", chance=0.3),
    "dirt": Range(0.1, 0.8, 0.0, "how dense blotches of dirt are", chance=0.3),
    "grain": Range(0.0, 0.12, 0.0, "unevenness of the print", chance=0.5),
    "roughness": Range(0.3, 1.0, 0.7, "of the print: 0.05 mirrors, 1 is matt"),
    "sticker": Range(0.06, 0.2, 0.0, "width of a sticker", chance=0.05),
    "shadow": Range(0.08, 0.6, 0.0, "width of what stands between sun and sign", chance=0.25),
    "leaves": Range(0.05, 0.3, 0.0, "share of the sign behind leaves", chance=0.1),
    "pole": Range(0.0, 0.1, 0.05, "width of the pole; below 0.02 there is none"),
    "neighbour": Choice(
        ("none", "none", "none", "board below", "board above", "sign below", "sign above"), "none", "a second plate"
    ),
    "background_light": Range(-2.5, 2.0, 0.0, "stops brighter than the light makes it"),
    "background_hue": Range(0.0, 1.0, 0.3, "of a plain background, in turns"),
    "background_saturation": Range(0.0, 0.4, 0.15, "of any background"),
    "background_blur": Range(0.5, 4.0, 0.0, "deviation in % of the side", chance=0.3),
}


class Signs:
    """One class for each icon.

    Args:
        icons: a folder of SVG or PNG files, or one whose only folders `svg` and `png*` hold the same icons twice.
        backdrops: what stands behind.
        size: S, which decides how fine the prints are.

    Raises:
        DataError: if there is no icon, or one that cannot be read or shows nothing.
    """

    def __init__(self, icons: Path, backdrops: Backdrops, *, size: int = 64) -> None:
        self._signs = {path.stem: _sign(_read(path), path, _texels(size)) for path in _icons(icons)}
        self._backdrops = backdrops
        self._size = size
        fixed = np.random.default_rng(0)
        self._grains = [blotches(fixed, _texels(size), coarse=coarse) for coarse in (2, 3, 4, 6, 8) for _ in range(3)]

    @property
    def classes(self) -> tuple[str, ...]:
        """The icons' names without their endings, sorted."""
        return tuple(self._signs)

    @property
    def knobs(self) -> Mapping[str, Knob]:
        """Everything that varies."""
        own = ("sky", "foliage", "foliage", "skyline", "skyline")
        kinds = (*own, *self._backdrops.options)
        background = Choice(kinds, "plain", "what stands behind the sign")
        return {**SIGN, "background": background, **LIGHT, **_LIGHT, **SENSOR, **_SENSOR}

    def scene(self, label: str, factors: Factors, random: Generator) -> Scene:
        """A sign on its pole; see `Family.scene`."""
        sign = self._signs[label]
        turn = _turn(factors)
        light = light_of(factors, _FACING)
        stretch, camera = _framed(sign.corners @ turn[:, [0, 2]].T, factors)
        pose = stretch[:, None] * turn
        front = Material(self._print(sign, factors, random), factors["roughness"])
        metal = Material(plain(_METAL), 0.5, 1.0)
        parts = [Part(_posed(sign.front, pose), front, True), Part(_posed(sign.body, pose), metal, True)]
        raised = factors["neighbour"].endswith("above")
        if factors["neighbour"] != "none":
            parts += self._neighbour(sign, factors, random, pose)
        if factors["pole"] >= 0.02:
            pole = _pole(factors["pole"], sign.top + 1.2 if raised else sign.top * 0.9)
            parts.append(Part(_posed(pole, pose), Material(plain(_METAL), 0.6)))
        if factors["leaves"]:
            parts.append(_leaves(factors["leaves"], random))
        if factors["shadow"]:
            parts += _shadow(factors["shadow"], light, camera, random)
        return Scene(tuple(parts), camera, light, self._backdrop(factors, light, random))

    def _print(self, sign: "_Sign", factors: Factors, random: Generator) -> Array:
        """(T, T, 3), the icon as it came out of the press and as the years left it."""
        stroke = factors["stroke"]
        image = sign.print
        if stroke:
            other = sign.thick if stroke > 0 else sign.thin
            image = image + np.float32(abs(stroke)) * (other - image)
        if factors["bulge"] or factors["warp"]:
            image = _warped(image, factors["bulge"], factors["warp"], random)
        if factors["white_rim"]:
            share = np.clip((factors["white_rim"] - sign.depth) * len(image), 0, 1)[..., None]
            image = image + share * (np.float32(0.8) - image)
        image = cv2.transform(image, _drift(factors))
        if factors["sticker"]:
            image = _with_sticker(image, factors["sticker"], random)
        if factors["grain"]:
            image = image * (1 + np.float32(factors["grain"]) * (self._grain(random) - np.float32(0.5)))[..., None]
        if factors["dirt"]:
            share = np.clip(self._grain(random) * 2 - np.float32(1.3 - factors["dirt"]), 0, 0.85)[..., None]
            image = image + share * (_BROWN - image)
        return np.asarray(np.clip(image, 0, 1), np.float32)

    def _grain(self, random: Generator) -> Array:
        grain = self._grains[random.integers(len(self._grains))]
        return np.roll(grain, tuple(random.integers(0, len(grain), 2).tolist()), (0, 1))

    def _neighbour(self, sign: "_Sign", factors: Factors, random: Generator, pose: NDArray[np.float64]) -> list[Part]:
        """A plate above or below: a board with scribbles, or any of the signs."""
        kind, side = factors["neighbour"].split()
        texture: Array
        gap = random.uniform(0.02, 0.15)
        if kind == "sign":
            names = self.classes
            other = self._signs[names[random.integers(len(names))]]
            texture = np.asarray(np.clip(cv2.transform(other.print, _drift(factors)), 0, 1), np.float32)
        else:
            other = _board(random.uniform(0.25, 0.5))
            texture = _scribbles(random)
        height = sign.top + gap - other.bottom if side == "above" else sign.bottom - gap - other.top
        moved = pose @ np.asarray([0.0, 0.0, height])
        material = Material(texture, factors["roughness"])
        metal = Material(plain(_METAL), 0.5, 1.0)
        return [Part(_posed(other.front, pose, moved), material), Part(_posed(other.body, pose, moved), metal)]

    def _backdrop(self, factors: Factors, light: Light, random: Generator) -> Array:
        kind = factors["background"]
        side = min(self._size, 64)
        saturation = float(factors["background_saturation"])
        if kind == "plain":
            image = np.broadcast_to(colour(factors["background_hue"], saturation, 0.5), (8, 8, 3))
        elif kind == "sky":
            image = _sky(side, saturation)
        elif kind == "foliage":
            image = self._foliage(side, saturation, random)
        elif kind == "skyline":
            rows = np.linspace(-1, 1, side, dtype=np.float32)[:, None]
            slope = np.linspace(-1, 1, side, dtype=np.float32)[None] * np.float32(random.normal(0, 0.5))
            ragged = cv2.resize(self._grain(random), (side, side)) * np.float32(random.uniform(0.2, 2.5))
            height = rows + slope + ragged
            share = np.clip(
                (height - np.float32(np.quantile(height[::4, ::4], random.uniform(0.1, 0.9)))) * side / 4, 0, 1
            )
            sky = _sky(side, saturation)
            image = sky + share[..., None] * (self._foliage(side, saturation, random) - sky)
        else:
            image = self._backdrops.draw(kind, random, side)
            grey = cv2.transform(image, _LUMINANCE)[..., None]
            image = grey + (image - grey) * np.float32(saturation + 0.2)
        around = np.asarray(light.sky, np.float32) + np.float32(0.4) * np.asarray(light.sun, np.float32)
        image = np.asarray(image * around * 2 ** factors["background_light"], np.float32)
        if factors["background_blur"]:
            deviation = factors["background_blur"] * len(image) / 100
            image = cv2.GaussianBlur(image, (0, 0), deviation, borderType=cv2.BORDER_REPLICATE)
        return np.asarray(np.maximum(image, 0), np.float32)

    def _foliage(self, side: int, saturation: float, random: Generator) -> Array:
        """Leaves, twigs and grass: dark, with spots of light."""
        fine, coarse = (cv2.resize(self._grain(random), (side, side)) for _ in range(2))
        light = fine * np.float32(random.uniform(1, 5)) + coarse * np.float32(random.uniform(0, 3))
        light += random.standard_normal((side, side), np.float32) * np.float32(random.uniform(0, 0.8))
        np.exp(light - np.float32(light.max() * 0.7), out=light)
        shade = colour(random.uniform(0.05, 0.35), saturation, random.uniform(0.3, 0.8))
        return np.asarray(light[..., None] * shade, np.float32)


def _sky(side: int, saturation: float) -> Array:
    top, bottom = colour(0.6, saturation, 1.0), colour(0.1, 0.05, 1.0)
    down = np.linspace(0, 1, side, dtype=np.float32)[:, None, None]
    return np.asarray(np.broadcast_to(np.float32(1.5) * (top + down * (bottom - top)), (side, side, 3)), np.float32)


_LIGHT: Mapping[str, Knob] = {
    "sky": Range(0.12, 0.7, 0.4, LIGHT["sky"].about),
}
_SENSOR: Mapping[str, Knob] = {
    "exposure": Range(-4.2, 1.7, 0.0, SENSOR["exposure"].about),
    "contrast": Range(-0.1, 0.7, 0.0, SENSOR["contrast"].about),
    "haze": Range(0.0, 0.4, 0.0, SENSOR["haze"].about, chance=0.25),
    "blur": Range(0.3, 2.6, 0.0, SENSOR["blur"].about, chance=0.55),
    "motion": Range(1.0, 8.0, 0.0, SENSOR["motion"].about, chance=0.12),
    "resolution": Range(0.45, 1.0, 1.0, SENSOR["resolution"].about, chance=0.3),
    "noise": Range(0.0, 0.012, 0.0, SENSOR["noise"].about, chance=0.6),
}


@dataclass(frozen=True, eq=False)
class _Sign:
    """A plate and what is printed on it.

    Attributes:
        corners: (N, 2), x and z; the longer side of the box around them is 1, its middle the origin.
        front, body: the face with the print, and edge and back.
        print: (T, T, 3) linear, row 0 at the bottom.
        thick, thin: the print with its dark lines a texel thicker and thinner.
        depth: (T, T), how far a texel lies inside the outline, in sizes of the sign.
    """

    corners: NDArray[np.float64]
    front: Mesh
    body: Mesh
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
                f"expected icons in '{folder}', found different ones in its folders {', '.join(inside)}: name one"
            )
        for icons in inside.values():
            found = {name: _preferred(path, found.get(name, path)) for name, path in icons.items()}
    if not found:
        raise DataError(f"expected SVG or PNG icons in '{folder}', found none")
    return [found[name] for name in sorted(found)]


def _by_name(files: Iterable[Path]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in sorted(files):
        if path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file():
            found[path.stem] = _preferred(path, found.get(path.stem, path))
    return found


def _preferred(first: Path, second: Path) -> Path:
    return min((second, first), key=lambda path: SUFFIXES.index(path.suffix.lower()))


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
        raise DataError(f"icon '{path}' cannot be read ({error})") from error
    scale = _PIXELS / max(image.size)
    return np.asarray(image.resize([max(round(side * scale), 1) for side in image.size], Image.Resampling.BICUBIC))


def _sign(icon: NDArray[np.uint8], path: Path, texels: int) -> _Sign:
    solid = (icon[..., 3] >= 128).astype(np.uint8)
    found = cv2.findContours(np.pad(solid, 1), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0]
    largest = max((cv2.contourArea(contour) for contour in found), default=0)
    if largest < 16:
        raise DataError(f"icon '{path}' shows nothing: it is transparent all over")
    pieces = [piece for piece in found if cv2.contourArea(piece) > 0.01 * largest]
    outlines = [
        cv2.approxPolyDP(piece, 0.6, True)[:, 0].astype(np.float64) - 0.5 for piece in pieces
    ]  # pad and centres
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
        return np.asarray(cv2.resize(image, (texels, texels), interpolation=cv2.INTER_AREA), np.float32)

    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))
    front, body = _plate(outlines)
    return _Sign(
        np.concatenate(outlines),
        front,
        body,
        small(print_),
        small(cv2.erode(print_, kernel)),
        small(cv2.dilate(print_, kernel)),
        small(depth),
    )


def _texels(size: int) -> int:
    """T for an image of a side."""
    return 64 if size <= 64 else 128 if size <= 128 else 256


# ---- meshes --------------------------------------------------------------------------------------------------------


def _plate(outlines: list[NDArray[np.float64]]) -> tuple[Mesh, Mesh]:
    """The front at y = 0 with the print across it; edge and back behind it."""
    section = manifold3d.CrossSection(outlines, manifold3d.FillRule.NonZero)
    rings = [np.asarray(ring, np.float64) for ring in section.to_polygons()]
    flat = np.concatenate(rings)
    faces = np.asarray(manifold3d.triangulate(rings), np.int32)
    front = _flat(flat, faces, 0.0)
    back = _flat(flat, faces[:, ::-1], _THICKNESS)
    edges = [_edge(ring) for ring in rings]
    return front, _joined([back, *edges])


def _flat(points: NDArray[np.float64], faces: NDArray[np.int32], y: float) -> Mesh:
    """A plane figure of points (N, 2) in x and z; its side is that of the triangles."""
    vertices = np.stack([points[:, 0], np.full(len(points), y), points[:, 1]], 1)
    first = points[faces[0]]
    (a, b), (c, d) = first[1] - first[0], first[2] - first[0]
    normal = (0.0, -1.0 if a * d - b * c > 0 else 1.0, 0.0)
    return _mesh(vertices, np.broadcast_to(normal, vertices.shape), points / _RIM + 0.5, faces)


def _edge(ring: NDArray[np.float64]) -> Mesh:
    following = np.roll(ring, -1, axis=0)
    along = following - ring
    outwards = np.stack([along[:, 1], np.zeros(len(ring)), -along[:, 0]], 1)
    outwards /= np.linalg.norm(outwards, axis=1, keepdims=True) + 1e-12
    corners = [(ring, 0.0), (ring, _THICKNESS), (following, _THICKNESS), (following, 0.0)]
    vertices = np.stack([np.stack([at[:, 0], np.full(len(at), y), at[:, 1]], 1) for at, y in corners], 1)
    faces = (np.arange(len(ring))[:, None, None] * 4 + np.asarray([[0, 2, 1], [0, 3, 2]])).reshape(-1, 3)
    normals = np.repeat(outwards[:, None], 4, 1)
    return _mesh(vertices.reshape(-1, 3), normals.reshape(-1, 3), np.full((4 * len(ring), 2), 0.5), faces)


def _mesh(vertices: object, normals: object, uv: object, faces: object) -> Mesh:
    return Mesh(
        np.ascontiguousarray(vertices, np.float32),
        np.ascontiguousarray(normals, np.float32),
        np.ascontiguousarray(uv, np.float32),
        np.ascontiguousarray(faces, np.int32),
    )


def _joined(meshes: list[Mesh]) -> Mesh:
    starts = np.cumsum([0, *(len(mesh.vertices) for mesh in meshes)])
    return _mesh(
        np.concatenate([mesh.vertices for mesh in meshes]),
        np.concatenate([mesh.normals for mesh in meshes]),
        np.concatenate([mesh.uv for mesh in meshes]),
        np.concatenate([mesh.faces + start for mesh, start in zip(meshes, starts, strict=False)]),
    )


def _posed(mesh: Mesh, pose: NDArray[np.float64], shift: NDArray[np.float64] | float = 0.0) -> Mesh:
    """The mesh under a (3, 3) that may stretch."""
    normals = mesh.normals @ np.linalg.inv(pose)  # the inverse, transposed twice
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    return _mesh(mesh.vertices @ pose.T + shift, normals, mesh.uv, mesh.faces)


def _pole(width: float, top: float) -> Mesh:
    """Eight-sided, behind the plate, down to where no camera sees its foot."""
    around = np.arange(9) * (np.pi / 4)
    circle = np.stack([np.cos(around), np.sin(around)], 1)
    low = np.column_stack([circle * width / 2 + (0, _THICKNESS + 0.02 + width / 2), np.full(9, -4.0)])
    high = low + np.asarray([0.0, 0.0, top + 4.0])
    normals = np.column_stack([circle, np.zeros(9)])
    ring = np.arange(8)
    faces = np.concatenate([np.stack([ring, ring + 1, ring + 10], 1), np.stack([ring, ring + 10, ring + 9], 1)])
    return _mesh(np.concatenate([low, high]), np.concatenate([normals, normals]), np.full((18, 2), 0.5), faces)


def _board(height: float) -> _Sign:
    half = np.asarray([0.45, height / 2])
    corners = half * [[-1, -1], [1, -1], [1, 1], [-1, 1]]
    front, body = _plate([corners])
    nothing = np.ones((1, 1, 3), np.float32)
    return _Sign(corners, front, body, nothing, nothing, nothing, nothing[..., 0])


# ---- pose and camera -----------------------------------------------------------------------------------------------


def _turn(factors: Factors) -> NDArray[np.float64]:
    """(3, 3), roll in the plane of the sign first, then pitch, then yaw."""
    yaw, pitch, roll = np.deg2rad([factors["yaw"], -factors["pitch"], factors["roll"]])
    about_z = [[np.cos(yaw), -np.sin(yaw), 0], [np.sin(yaw), np.cos(yaw), 0], [0, 0, 1]]
    about_x = [[1, 0, 0], [0, np.cos(pitch), -np.sin(pitch)], [0, np.sin(pitch), np.cos(pitch)]]
    about_y = [[np.cos(roll), 0, np.sin(roll)], [0, 1, 0], [-np.sin(roll), 0, np.cos(roll)]]
    return np.asarray(np.asarray(about_z) @ about_x @ about_y, np.float64)


def _framed(corners: NDArray[np.float64], factors: Factors) -> tuple[NDArray[np.float64], Camera]:
    """How the world is stretched in x, y and z, and a camera that shows the sign where and as large as it should be.

    Args:
        corners: (N, 3), the sign's outline, turned.
    """
    distance = factors["distance"]
    seen = corners[:, [0, 2]] / (distance + corners[:, 1:2])  # (N, 2)
    size = np.ptp(seen, axis=0)
    wider = factors["stretch"] - factors["squeeze"] * np.log(size[0] / size[1])
    stretch = np.exp(np.asarray([wider / 2, -wider / 2]))
    tangent = float((size * stretch).max()) / factors["fill"] / 2
    middle = (seen.min(0) + seen.max(0)) / 2 * stretch
    aim = (middle - 2 * tangent * np.asarray([factors["offset_x"], factors["offset_y"]])) * distance
    across, up = float(aim[0]), float(aim[1])
    camera = Camera(
        (across, -distance, up),
        (across, 0.0, up),
        field_of_view=float(np.clip(2 * np.rad2deg(np.arctan(tangent)), 5, 120)),
    )
    return np.asarray([stretch[0], 1.0, stretch[1]]), camera


# ---- what happens to a sign ----------------------------------------------------------------------------------------


def _drift(factors: Factors) -> NDArray[np.float32]:
    """(3, 4), what fading, ink, hue and saturation do to a colour."""
    angle = 2 * np.pi * factors["hue"]
    grey = np.full((3, 3), 1 / 3)
    cross = np.asarray([[0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / np.sqrt(3)
    turn = np.cos(angle) * (np.eye(3) - grey) + np.sin(angle) * cross
    weights = np.broadcast_to(_LUMINANCE, (3, 3))
    turned = turn + grey
    matrix = weights @ turned + factors["saturation"] * (turned - weights @ turned)
    matrix = factors["ink"] * (1 - factors["fade"]) * matrix
    offset = np.full((3, 1), factors["ink"] * factors["fade"] * 0.4)
    return np.hstack([matrix, offset]).astype(np.float32)


def _warped(image: Array, bulge: float, warp: float, random: Generator) -> Array:
    """The print with its middle larger, and its parts shifted by a few slow waves."""
    side = len(image)
    axis = (np.arange(side, dtype=np.float32) + np.float32(0.5)) / side - np.float32(0.5)
    left, down = axis[None], axis[:, None]
    inner = np.clip(1 - 4 * (left**2 + down**2), 0, 1)
    scale = 1 - np.float32(bulge) * inner
    columns, rows = left * scale, down * scale
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


def _leaves(share: float, random: Generator) -> Part:
    """Ragged leaves in front of one side of the sign."""
    count = int(random.integers(4, 14))
    side = random.uniform(0, 2 * np.pi)
    middle = np.asarray([np.cos(side), np.sin(side)]) * (0.75 - share)
    middles = middle + random.normal(0, 0.16, (count, 2))
    length, width = random.uniform(0.04, 0.16, (2, count, 1))
    turn = random.uniform(0, 2 * np.pi, count)
    along = np.stack([np.cos(turn), np.sin(turn)], 1)
    across = along[:, ::-1] * (-1, 1)
    corners = np.stack([middles - length * along, middles - width * across / 2, middles + length * along], 1)
    corners = np.concatenate([corners, (middles + width * across / 2)[:, None]], 1)  # (count, 4, 2)
    depth = np.repeat(-random.uniform(0.1, 0.5, count), 4)
    flat = corners.reshape(-1, 2)
    vertices = np.stack([flat[:, 0], depth, flat[:, 1]], 1)
    faces = (np.arange(count)[:, None, None] * 4 + np.asarray([[0, 1, 2], [0, 2, 3]])).reshape(-1, 3)
    normals = np.broadcast_to((0.0, -1.0, 0.0), vertices.shape)
    shade = colour(random.uniform(0.08, 0.35), random.uniform(0.3, 0.7), random.uniform(0.15, 0.5))
    return Part(_mesh(vertices, normals, flat, faces), Material(plain(shade), 1.0))


def _shadow(width: float, light: Light, camera: Camera, random: Generator) -> list[Part]:
    """A strip between sun and sign, out of the camera's sight; none where that cannot be, or where no sun falls."""
    sun = np.asarray(light.towards_sun) / np.linalg.norm(light.towards_sun)
    aside = float(np.hypot(sun[0], sun[2]))
    if -sun[1] < 0.15 or aside < 0.5 or max(light.sun) == 0:
        return []
    half_frame = -camera.eye[1] * float(np.tan(np.deg2rad(camera.field_of_view / 2)))
    away = sun * ((1.5 * half_frame + 1.0) / aside)
    right = np.cross(sun, (0.0, 0.0, 1.0))
    right /= np.linalg.norm(right)
    up = np.cross(right, sun)
    turn, shift = random.uniform(0, np.pi), random.uniform(-0.45, 0.45)
    along = np.cos(turn) * right + np.sin(turn) * up
    across = np.cross(sun, along)
    signs = np.asarray([[-1, -1], [1, -1], [1, 1], [-1, 1]], np.float64)
    vertices = away + signs[:, :1] * 0.8 * along + (signs[:, 1:] * width / 2 + shift) * across
    mesh = _mesh(vertices, np.broadcast_to(sun, (4, 3)), np.full((4, 2), 0.5), [[0, 1, 2], [0, 2, 3]])
    return [Part(mesh, Material(plain(_BROWN), 1.0))]
