"""Flat things before a camera, as signs and characters share them: outlines as meshes, pose, framing, surroundings.

What is shown lies around the origin in the plane y = 0, x to the right and z up, and is looked at along y.

Legend: N corners of an outline, V vertices, S side of the image.
"""

__all__ = [
    "BACKGROUND",
    "LUMINANCE",
    "POSE",
    "Pose",
    "Surroundings",
    "edge",
    "face",
    "framed",
    "in_the_way",
    "mesh",
    "rings",
]

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import manifold3d
import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike, NDArray

from weighbridge.render.recipe import Factors, Knob, Range
from weighbridge.render.scene import Array, Camera, Light, Material, Mesh, Part, unit
from weighbridge.render.textures import Backdrops, Grain, colour, plain

LUMINANCE = np.asarray([[0.2126, 0.7152, 0.0722]], np.float32)

# How the subject stands and where the frame cuts; a family narrows or widens it.
POSE: Mapping[str, Knob] = {
    "yaw": Range(-45.0, 45.0, 0.0, "degrees that the subject turns its face to the viewer's right"),
    "pitch": Range(-15.0, 15.0, 0.0, "degrees that it turns it up"),
    "roll": Range(-12.0, 12.0, 0.0, "degrees clockwise"),
    "distance": Range(3.0, 9.0, 6.0, "of the camera, in sizes of the subject"),
    "fill": Range(0.56, 0.9, 0.75, "share of the frame's side that the subject's longer side takes"),
    "offset_x": Range(-0.06, 0.06, 0.0, "of the subject's middle to the right, in shares of the side"),
    "offset_y": Range(-0.06, 0.06, 0.0, "and up"),
    "squeeze": Range(0.0, 1.0, 0.0, "how far the crop was squeezed until the subject is as wide as high"),
    "stretch": Range(-0.12, 0.12, 0.0, "log of how much wider the crop was made beyond that"),
}

# What is seen behind the subject, next to the word `background`.
BACKGROUND: Mapping[str, Knob] = {
    "background_light": Range(-2.5, 1.6, 0.0, "stops brighter than the light makes it"),
    "background_hue": Range(0.0, 1.0, 0.3, "of a plain background, in turns"),
    "background_saturation": Range(0.0, 0.4, 0.15, "of any background"),
    "background_blur": Range(0.5, 4.0, 0.0, "deviation in % of the side", chance=0.2),
}


# ---- meshes --------------------------------------------------------------------------------------------------------


def mesh(vertices: ArrayLike, normals: ArrayLike, uv: ArrayLike, faces: ArrayLike) -> Mesh:
    """A mesh of anything that numpy takes for its arrays."""
    return Mesh(
        np.ascontiguousarray(vertices, np.float32),
        np.ascontiguousarray(normals, np.float32),
        np.ascontiguousarray(uv, np.float32),
        np.ascontiguousarray(faces, np.int32),
    )


def rings(section: manifold3d.CrossSection) -> list[NDArray[np.float64]]:
    """The outlines (N, 2) of a section, holes clockwise."""
    return [np.asarray(ring, np.float64) for ring in section.to_polygons()]


def face(
    outlines: Sequence[NDArray[np.float64]], y: float, *, margin: float = 1.0, behind: bool = False, kept: bool = False
) -> Mesh:
    """The inside of outlines in x and z, at a depth.

    Args:
        outlines: from `rings`.
        y: where it lies.
        margin: side of the texture across it, whose middle is the origin.
        behind: whether it faces away from the camera.
        kept: whether it is for many images, so that milliseconds for better triangles pay.
    """
    flat = np.concatenate(outlines)
    triangles = np.asarray(manifold3d.triangulate(list(outlines)), np.int32).reshape(-1, 3)
    if kept:
        triangles = _less_long(flat, triangles)
    vertices = np.stack([flat[:, 0], np.full(len(flat), y), flat[:, 1]], 1)
    normals = np.broadcast_to((0.0, 1.0 if behind else -1.0, 0.0), vertices.shape)
    return mesh(vertices, normals, flat / margin + 0.5, triangles[:, ::-1] if behind else triangles)


def _less_long(points: NDArray[np.float64], triangles: NDArray[np.int32]) -> NDArray[np.int32]:
    """(F, 3), the same area: a side between two triangles gives way to the other diagonal where that is shorter.

    The rasteriser looks at every pixel of the box around a triangle. Those of the long, thin triangles that a disc is
    cut into have fifteen times its area together, those of these three times.

    Args:
        points: (N, 2).
        triangles: (F, 3), counter-clockwise.
    """
    places, corners = points.tolist(), triangles.tolist()
    owner = {side: number for number, triangle in enumerate(corners) for side in _sides(triangle)}
    waiting = list(owner)
    while waiting:
        a, b = waiting.pop()
        if (a, b) not in owner or (b, a) not in owner:
            continue  # at the rim, or gone
        left, right = owner[a, b], owner[b, a]
        c, d = (sum(corners[number]) - a - b for number in (left, right))
        shorter = math.dist(places[c], places[d]) < math.dist(places[a], places[b]) - 1e-9
        if shorter and _turns_left(places[d], places[b], places[c]) and _turns_left(places[c], places[a], places[d]):
            del owner[a, b], owner[b, a]
            for number, triangle in ((left, [d, b, c]), (right, [c, a, d])):
                corners[number] = triangle
                owner |= dict.fromkeys(_sides(triangle), number)
                waiting += _sides(triangle)
    return np.asarray(corners, np.int32).reshape(-1, 3)


def _sides(triangle: Sequence[int]) -> list[tuple[int, int]]:
    a, b, c = triangle
    return [(a, b), (b, c), (c, a)]


def _turns_left(a: Sequence[float], b: Sequence[float], c: Sequence[float]) -> bool:
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]) > 1e-12


def edge(outlines: Sequence[NDArray[np.float64]], front: float, back: float) -> Mesh:
    """The rim between two depths, one flat piece for each side of the outlines."""
    here = np.concatenate(outlines)
    following = np.concatenate([np.roll(outline, -1, axis=0) for outline in outlines])
    along = following - here
    outwards = np.stack([along[:, 1], np.zeros(len(here)), -along[:, 0]], 1)
    outwards /= np.linalg.norm(outwards, axis=1, keepdims=True) + 1e-12
    vertices = np.empty((len(here), 4, 3))
    vertices[:, 0, ::2] = vertices[:, 1, ::2] = here
    vertices[:, 2, ::2] = vertices[:, 3, ::2] = following
    vertices[..., 1] = (front, back, back, front)
    triangles = (np.arange(len(here))[:, None, None] * 4 + np.asarray([[0, 1, 2], [0, 2, 3]])).reshape(-1, 3)
    uv = vertices[..., ::2] + 0.5
    return mesh(vertices.reshape(-1, 3), np.repeat(outwards, 4, 0), uv.reshape(-1, 2), triangles)


# ---- pose and camera -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Pose:
    """How the subject and what hangs together with it is turned, and stretched along x and z.

    Attributes:
        places, normals: (3, 3), what a vertex and a normal are multiplied by.
    """

    places: Array
    normals: Array

    def of(self, shape: Mesh, up: float = 0.0) -> Mesh:
        """The mesh, moved up by so much before it is turned."""
        normals = shape.normals @ self.normals.T
        normals /= np.sqrt(np.einsum("vi,vi->v", normals, normals) + np.float32(1e-12))[:, None]
        return Mesh(shape.vertices @ self.places.T + self.places[:, 2] * np.float32(up), normals, shape.uv, shape.faces)


def framed(outline: NDArray[np.float64], factors: Factors) -> tuple[Pose, Camera]:
    """The pose, and a camera that shows the subject where and as large as POSE's factors ask for.

    Args:
        outline: (N, 2), x and z of the subject's corners.
    """
    turn = _turn(factors)
    corners = outline @ turn[:, [0, 2]].T  # (N, 3)
    distance = factors["distance"]
    width, height = np.ptp(corners[:, [0, 2]] / (distance + corners[:, 1:2]), axis=0)
    wider = factors["stretch"] - factors["squeeze"] * np.log(width / height)
    across, up = np.exp(wider / 2), np.exp(-wider / 2)
    kept = max(width, height) / max(width * across, height * up)  # the longer side stays as long as it was
    along = np.asarray([across * kept, kept, up * kept])
    corners = corners * along
    seen = corners[:, [0, 2]] / (distance + corners[:, 1:2])  # (N, 2)
    low, high = seen.min(0), seen.max(0)
    tangent = float((high - low).max()) / factors["fill"] / 2
    offset = 2 * tangent * np.asarray([factors["offset_x"], factors["offset_y"]])
    x, z = (((low + high) / 2 - offset) * distance).tolist()
    field_of_view = float(np.clip(2 * np.rad2deg(np.arctan(tangent)), 5, 120))
    camera = Camera((x, -distance, z), (x, 0.0, z), field_of_view=field_of_view)
    stretch = along[:, None]
    return Pose((stretch * turn).astype(np.float32), (turn / stretch).astype(np.float32)), camera


def _turn(factors: Factors) -> NDArray[np.float64]:
    """(3, 3), roll in the plane of the subject first, then pitch, then yaw."""
    yaw, pitch, roll = np.deg2rad([factors["yaw"], -factors["pitch"], factors["roll"]])
    about_z = np.asarray([[np.cos(yaw), -np.sin(yaw), 0], [np.sin(yaw), np.cos(yaw), 0], [0, 0, 1]])
    about_x = np.asarray([[1, 0, 0], [0, np.cos(pitch), -np.sin(pitch)], [0, np.sin(pitch), np.cos(pitch)]])
    about_y = np.asarray([[np.cos(roll), 0, np.sin(roll)], [0, 1, 0], [-np.sin(roll), 0, np.cos(roll)]])
    return np.asarray(about_z @ about_x @ about_y, np.float64)


# ---- what stands around --------------------------------------------------------------------------------------------


class Surroundings:
    """Backgrounds.

    Args:
        backdrops: some of the backgrounds.
        grain: what is irregular in the others.
        size: S.
    """

    def __init__(self, backdrops: Backdrops, grain: Grain, size: int) -> None:
        self._backdrops = backdrops
        self._grain = grain
        self._side = min(size, 64)  # backgrounds are out of focus

    @property
    def kinds(self) -> tuple[str, ...]:
        """Words for the knob `background`; photos half of the time, where there are any."""
        own = ("sky", "foliage", "foliage", "skyline", "skyline", "plain", "procedural")
        photos = self._backdrops.options.count("photo") > 0
        return (*own, *(("photo",) * len(own) if photos else ()))

    def backdrop(self, factors: Factors, light: Light, random: Generator) -> tuple[Array, str]:
        """(H, H, 3), what BACKGROUND and `background` say, and the name of the photo if it is one."""
        kind, saturation, side = factors["background"], float(factors["background_saturation"]), self._side
        image: NDArray[np.floating[Any]]
        photo = ""
        if kind == "plain":
            image = np.broadcast_to(colour(factors["background_hue"], saturation, 0.5), (8, 8, 3))
        elif kind == "sky":
            image = _sky(side, saturation)
        elif kind == "foliage":
            image = self._foliage(saturation, random)
        elif kind == "skyline":
            image = self._skyline(saturation, random)
        else:
            image, photo = self._backdrops.draw(kind, random, side)
            grey = cv2.transform(image, LUMINANCE)[..., None]
            image = grey + (image - grey) * np.float32(saturation + (0.6 if kind == "photo" else 0.2))
        around = np.asarray(light.sky, np.float32) + np.float32(0.4) * np.asarray(light.sun, np.float32)
        image = np.asarray(image * around * 2 ** factors["background_light"], np.float32)
        if factors["background_blur"]:
            deviation = factors["background_blur"] * len(image) / 100
            image = cv2.GaussianBlur(image, (0, 0), deviation, borderType=cv2.BORDER_REPLICATE)
        return np.asarray(np.maximum(image, 0), np.float32), photo

    def _foliage(self, saturation: float, random: Generator) -> Array:
        """Leaves, twigs and grass: dark, with spots of light."""
        side = self._side
        fine, coarse = (cv2.resize(self._grain.draw(random), (side, side)) for _ in range(2))
        light = fine * np.float32(random.uniform(1, 5)) + coarse * np.float32(random.uniform(0, 3))
        light += random.standard_normal((side, side), np.float32) * np.float32(random.uniform(0, 1.2))
        np.exp(light - np.float32(light.max() * 0.7), out=light)
        shade = colour(random.uniform(0.02, 0.3), saturation, random.uniform(0.3, 0.8))
        return np.asarray(light[..., None] * shade, np.float32)

    def _skyline(self, saturation: float, random: Generator) -> Array:
        """Sky above, foliage below, and a ragged line between them that may lean."""
        side = self._side
        axis = np.linspace(-1, 1, side, dtype=np.float32)
        height = axis[:, None] + axis[None] * np.float32(random.normal(0, 0.5))
        height += cv2.resize(self._grain.draw(random), (side, side)) * np.float32(random.uniform(0.2, 2.5))
        middle = np.float32(np.quantile(height[::4, ::4], random.uniform(0.1, 0.9)))
        share = np.clip((height - middle) * side / 4, 0, 1)[..., None]
        sky = _sky(side, saturation)
        return np.asarray(sky + share * (self._foliage(saturation, random) - sky), np.float32)


def _sky(side: int, saturation: float) -> Array:
    top, bottom = colour(0.6, saturation, 1.0), colour(0.1, 0.05, 1.0)
    down = np.linspace(0, 1, side, dtype=np.float32)[:, None, None]
    return np.asarray(np.broadcast_to(np.float32(1.3) * (top + down * (bottom - top)), (side, side, 3)), np.float32)


def in_the_way(factors: Factors, light: Light, camera: Camera, random: Generator) -> list[Part]:
    """What hides some of the subject, or some of its light."""
    parts = []
    if factors["leaves"]:
        parts.append(_leaves(factors["leaves"], random))
    if factors["shadow"]:
        parts += _shadow_caster(factors["shadow"], light, camera, random)
    return parts


def _leaves(share: float, random: Generator) -> Part:
    """Leaves in front of one side of the subject.

    Args:
        share: how far they reach into it.
    """
    count = int(random.integers(4, 14))
    side = random.uniform(0, 2 * np.pi)
    middles = np.asarray([np.cos(side), np.sin(side)]) * (0.75 - share) + random.normal(0, 0.16, (count, 2))
    length, width = random.uniform(0.04, 0.16, (2, count, 1))
    turn = random.uniform(0, 2 * np.pi, count)
    along = np.stack([np.cos(turn), np.sin(turn)], 1) * length
    across = np.stack([-np.sin(turn), np.cos(turn)], 1) * width / 2
    flat = np.stack([middles - along, middles - across, middles + along, middles + across], 1).reshape(-1, 2)
    depth = np.repeat(-random.uniform(0.1, 0.5, count), 4)
    vertices = np.stack([flat[:, 0], depth, flat[:, 1]], 1)
    triangles = (np.arange(count)[:, None, None] * 4 + np.asarray([[0, 1, 2], [0, 2, 3]])).reshape(-1, 3)
    normals = np.broadcast_to((0.0, -1.0, 0.0), vertices.shape)
    shade = colour(random.uniform(0.08, 0.35), random.uniform(0.3, 0.7), random.uniform(0.15, 0.5))
    return Part(mesh(vertices, normals, flat, triangles), Material(plain(shade), 1.0))


def _shadow_caster(width: float, light: Light, camera: Camera, random: Generator) -> list[Part]:
    """A strip between sun and subject, out of the camera's sight; none where that cannot be, or where no sun falls.

    Args:
        width: of the strip.
    """
    sun = unit(light.towards_sun)
    aside = float(np.hypot(sun[0], sun[2]))
    if -sun[1] < 0.15 or aside < 0.5 or max(light.sun) == 0:
        return []
    half_frame = -camera.eye[1] * float(np.tan(np.deg2rad(camera.field_of_view / 2)))
    away = sun * ((1.5 * half_frame + 1.0) / aside)
    right = unit(np.cross(sun, (0.0, 0.0, 1.0)))
    turn, shift = random.uniform(0, np.pi), random.uniform(-0.45, 0.45)
    along = np.cos(turn) * right + np.sin(turn) * np.cross(right, sun)
    across = np.cross(sun, along)
    signs = np.asarray([[-1, -1], [1, -1], [1, 1], [-1, 1]], np.float64)
    vertices = away + signs[:, :1] * 0.8 * along + (signs[:, 1:] * width / 2 + shift) * across
    strip = mesh(vertices, np.broadcast_to(sun, (4, 3)), np.full((4, 2), 0.5), [[0, 1, 2], [0, 2, 3]])
    return [Part(strip, Material(plain(colour(0.1, 0.2, 0.3)), 1.0))]
