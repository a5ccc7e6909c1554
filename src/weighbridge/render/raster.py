"""Triangles to pixels with OpenCV's rasteriser: what a camera sees, and how far a sun reaches.

A pixel is sampled at its centre; row 0 is the top of the image. Triangles are drawn from both sides, but for those of
closed bodies, which show their outsides.

Legend: V vertices, F triangles, S' side of the image in samples, N samples that hit something.
"""

__all__ = [
    "CameraFrame",
    "GBuffer",
    "Geometry",
    "ShadowMap",
    "frame_of",
    "geometry",
    "planes",
    "rasterize",
    "remapped",
    "shadow_map",
]

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from weighbridge.errors import DataError
from weighbridge.render.scene import Array, Camera, Part, unit

cv2.setNumThreads(1)  # one thread a process: the jobs share the cores by processes

NEAR = 0.02  # nearer triangles are cut off
MOST_TRIANGLES = 1_000_000  # a float32 tells them apart, with the rasteriser's rounding
_NOTHING = 4.0  # farther from the sun than anything
_ROW = 256  # samples per row in OpenCV, which takes no more than 32,767
_WEIGHTS = np.asarray([[1, 0], [0, 1], [0, 0]], np.float32)
_EYE = np.eye(4, dtype=np.float32)
_RIGHT_ANGLE = float(np.pi / 2)  # points are brought to a field of view of 90 degrees before they are drawn
_BOTH_SIDES = cv2.TriangleRasterizeSettings()
_BOTH_SIDES.setShadingType(cv2.RASTERIZE_SHADING_SHADED)
_BOTH_SIDES.setCullingMode(cv2.RASTERIZE_CULLING_NONE)


@dataclass(frozen=True, eq=False)
class Geometry:
    """All parts in one.

    Attributes:
        positions: (V, 3).
        looks: (V, 5): u, v and the normal.
        faces: (F, 3) int32.
        part: (F,) int32, number of the part.
        subject: (V,) of bool, whether the vertex belongs to the subject.
        closed: (F,) of bool, whether only the triangle's outside can be seen.
    """

    positions: Array
    looks: Array
    faces: NDArray[np.int32]
    part: NDArray[np.int32]
    subject: NDArray[np.bool_]
    closed: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class CameraFrame:
    """The camera as a frame.

    Attributes:
        eye: (3,).
        axes: (3, 3), rows right, up, forward, of length 1.
        tangent: of half the field of view.
    """

    eye: Array
    axes: Array
    tangent: float


@dataclass(frozen=True, eq=False)
class GBuffer:
    """What the camera sees, for the samples that hit something: plane by plane, which is how NumPy is fast.

    Attributes:
        side: S'.
        hit: (N,) of int, row * S' + column of each sample, rising.
        part: (N,) int32, number of the part.
        uv: (2, N).
        normal: (3, N), of length 1, turned to the eye.
        position: (3, N), in the world.
        ray: (3, N), from the eye, one unit forward.
    """

    side: int
    hit: NDArray[np.intp]
    part: NDArray[np.int32]
    uv: Array
    normal: Array
    position: Array
    ray: Array

    def towards_eye(self, samples: NDArray[np.intp] | None = None) -> Array:
        """(3, N), of length 1, of some samples or all."""
        ray = self.ray if samples is None else np.take(self.ray, samples, axis=1)
        return np.asarray(ray / -_length(ray), np.float32)

    def image(self, planes: Array) -> Array:
        """(C, N) -> (C, S', S'), 0 where nothing is."""
        if len(self.hit) == self.side**2:
            return planes.reshape(-1, self.side, self.side)
        spread = np.zeros((len(planes), self.side**2), np.float32)
        for to, plane in zip(spread, planes, strict=True):
            to[self.hit] = plane
        return spread.reshape(-1, self.side, self.side)


@dataclass(frozen=True, eq=False)
class ShadowMap:
    """How far from the sun the first surface lies, seen from the sun without perspective.

    Attributes:
        distance: (M, M), 1 / nearness; nearness grows towards the sun, from 0.5 to 1. _NOTHING where nothing is.
        turn: (3, 3), and
        shift: (3, 1), from a place in the world to the map's column and row, in texels, and nearness.
        texel: side of a texel in the world.
        bias: the same in nearness.
        towards_sun: (3,), of length 1.
    """

    distance: Array
    turn: Array
    shift: Array
    texel: float
    bias: float
    towards_sun: Array

    def in_sun(self, position: Array, normal: Array) -> NDArray[np.bool_]:
        """(N,) whether nothing lies between a place and the sun; so wherever the map does not reach.

        Args:
            position, normal: (3, N).
        """
        lifted = normal * np.float32(1.5 * self.texel)  # off its own surface
        lifted += position
        places = _turned(self.turn, lifted)
        places += self.shift
        places[:2] -= np.float32(0.5)  # OpenCV rounds, to the texel that a place lies in
        distance = remapped(self.distance, places[:2], cv2.INTER_NEAREST, _NOTHING)
        nearness = places[2] + np.float32(self.bias)
        nearness *= distance
        return np.asarray(nearness >= 1, np.bool_)


def geometry(parts: Sequence[Part]) -> Geometry:
    """The parts' meshes, one after the other.

    Raises:
        DataError: if they have more triangles than 32-bit floats can number.
    """
    meshes = [part.mesh for part in parts]
    counts = [len(mesh.vertices) for mesh in meshes]
    ends, triangles = np.cumsum(counts, dtype=np.int32), [len(mesh.faces) for mesh in meshes]
    if sum(triangles) > MOST_TRIANGLES:
        raise DataError(
            f"a scene may have {MOST_TRIANGLES:,} triangles, this one has {sum(triangles):,}. Use simpler meshes"
        )
    positions, looks = np.empty((sum(counts), 3), np.float32), np.empty((sum(counts), 5), np.float32)
    faces = np.empty((sum(triangles), 3), np.int32)
    row = 0
    for mesh, end in zip(meshes, ends, strict=True):
        own = slice(end - len(mesh.vertices), end)
        positions[own], looks[own, :2], looks[own, 2:] = mesh.vertices, mesh.uv, mesh.normals
        np.add(mesh.faces, own.start, out=faces[row : row + len(mesh.faces)], casting="same_kind")
        row += len(mesh.faces)
    return Geometry(
        positions,
        looks,
        faces,
        part=np.repeat(np.arange(len(parts), dtype=np.int32), triangles),
        subject=np.repeat(np.asarray([part.subject for part in parts], np.bool_), counts),
        closed=np.repeat(np.asarray([part.closed for part in parts], np.bool_), triangles),
    )


def frame_of(camera: Camera) -> CameraFrame:
    """The camera's frame."""
    eye = np.asarray(camera.eye, np.float64)
    forward = unit(np.asarray(camera.target, np.float64) - eye)
    right = unit(_cross(forward, camera.up))
    axes = np.stack([right, _cross(right, forward), forward])
    tangent = float(np.tan(np.radians(camera.field_of_view) / 2))
    return CameraFrame(eye.astype(np.float32), axes.astype(np.float32), tangent)


def rasterize(solid: Geometry, seen: CameraFrame, side: int) -> GBuffer:
    """What the camera sees, `side` by `side` samples."""
    to_view = seen.axes * np.asarray([[1 / seen.tangent], [1 / seen.tangent], [-1]], np.float32)
    # (V, 3) right, up, towards the viewer; 90 degrees wide
    points = np.asarray((solid.positions - seen.eye) @ to_view.T, np.float32)
    far = max(1.0, -float(points[:, 2].min(initial=0.0)) * 1.01)
    # Each triangle has corners of its own, so that one pass tells all: two weights of its corners, and its number.
    corners = np.take(points, solid.faces, axis=0)  # (F, 3, 3)
    shown = np.flatnonzero(~solid.closed | _faces_origin(corners))
    corners = np.take(corners, shown, axis=0)
    marks = np.empty_like(corners)
    marks[..., :2] = _WEIGHTS
    marks[..., 2] = shown.astype(np.float32)[:, None]
    corners, marks = _clipped(corners, marks)
    mark = np.full((side, side, 3), -1, np.float32)
    depth = np.full((side, side), far, np.float32)
    if len(corners):
        cv2.triangleRasterize(
            corners.reshape(-1, 3),
            np.arange(corners.shape[0] * 3, dtype=np.int32).reshape(-1, 3),
            marks.reshape(-1, 3),
            mark,
            depth,
            _EYE,
            _RIGHT_ANGLE,
            NEAR / 2,
            far,
            _BOTH_SIDES,
        )
    hit = np.flatnonzero(cv2.extractChannel(mark, 2) > -0.5)  # (N,)
    if not len(hit):
        return GBuffer(side, hit, hit.astype(np.int32), *(np.empty((count, 0), np.float32) for count in (2, 3, 3, 3)))
    first, second, number = planes(np.take(mark.reshape(-1, 3), hit, axis=0))
    triangle = np.rint(number).astype(np.intp)
    looks = _between_corners(solid, triangle, first, second)  # (5, N)
    ray = np.take(_rays(seen, side), hit, axis=1)
    position = ray * np.take(depth, hit)
    position += seen.eye[:, None]
    normal = looks[2:]
    normal /= np.copysign(_length(normal) + np.float32(1e-12), -_dot(normal, ray))
    return GBuffer(side, hit, np.take(solid.part, triangle), looks[:2], normal, position, ray)


def _rays(seen: CameraFrame, side: int) -> Array:
    """(3, S' * S'), from the eye to one unit forward."""
    centre = (np.arange(side, dtype=np.float32) * 2 + 1 - side) * np.float32(seen.tangent / side)
    right, up, forward = seen.axes[..., None]  # (3, 1) each
    return np.asarray(((forward - up * centre)[..., None] + (right * centre)[:, None]).reshape(3, -1), np.float32)


def shadow_map(solid: Geometry, towards_sun: tuple[float, float, float], side: int) -> ShadowMap:
    """The scene from the sun, the map fitted to what lies near the subject; without a subject, to everything.

    A shadow has the same place on the map as what casts it, so that what is near the subject fits its shadow too.
    """
    sun = unit(towards_sun)
    right = unit(_cross((0.0, 0.0, 1.0) if abs(sun[2]) < 0.99 else (0.0, 1.0, 0.0), sun))
    axes = np.stack([right, _cross(right, sun), sun]).astype(np.float32)
    seen = solid.positions @ axes.T  # x, y across the light, z towards the sun: axes of a left hand
    fitted = seen[_near_subject(solid)]
    low, high = fitted[:, :2].min(0), fitted[:, :2].max(0)
    centre, half = (low + high) / 2, max(float((high - low).max()) / 2, 1e-3) * 1.02
    bottom, top = float(seen[:, 2].min()), float(seen[:, 2].max())
    # OpenCV only draws with perspective. Points are placed so that perspective undoes itself: x / w, y / w at distance
    # 1 / w, with w the nearness, which is then straight across a triangle as 1 / distance is.
    slope = 0.5 / max(top - bottom, half)
    nearness = (seen[:, 2] - np.float32(bottom)) * np.float32(slope) + np.float32(0.5)  # (V,) 0.5 to 1
    points = np.empty_like(seen)
    points[:, :2] = (seen[:, :2] - centre) / np.float32(half)
    points[:, 2] = -1
    points /= nearness[:, None]
    distance = np.full((side, side), _NOTHING, np.float32)
    shading = ~solid.closed | _clockwise(seen, solid.faces)  # a body's lit half shades as much as all of it
    if sun[2] > 0:
        shading &= _above_floor(solid)
    faces = solid.faces[shading]
    if len(faces):
        cv2.triangleRasterizeDepth(points, faces, distance, _EYE, _RIGHT_ANGLE, 0.25, 4.0, _BOTH_SIDES)
    texels = side / 2 / half
    return ShadowMap(
        distance,
        turn=axes * np.asarray([[texels], [-texels], [slope]], np.float32),
        shift=np.asarray(
            [[side / 2 - centre[0] * texels], [side / 2 + centre[1] * texels], [0.5 - bottom * slope]], np.float32
        ),
        texel=2 * half / side,
        bias=2 * half / side * slope,
        towards_sun=sun.astype(np.float32),
    )


def _faces_origin(corners: Array) -> NDArray[np.bool_]:
    """(F,) whether the origin lies on the outer side of a triangle. corners: (F, 3, 3)."""
    a, b, c = np.ascontiguousarray(corners.transpose(1, 2, 0))  # (3, F) each
    volume = a[0] * (b[1] * c[2] - b[2] * c[1])
    volume += a[1] * (b[2] * c[0] - b[0] * c[2])
    volume += a[2] * (b[0] * c[1] - b[1] * c[0])
    return np.asarray(volume < 0, np.bool_)


def _clockwise(points: Array, faces: NDArray[np.int32]) -> NDArray[np.bool_]:
    """(F,) whether a triangle runs clockwise in x and y. points: (V, 3)."""
    (ax, bx, cx), (ay, by, cy), _ = np.take(points, faces, axis=0).transpose(2, 1, 0)  # (F,) each
    return np.asarray((bx - ax) * (cy - ay) < (by - ay) * (cx - ax), np.bool_)


def _above_floor(solid: Geometry) -> NDArray[np.bool_]:
    """(F,) whether a triangle does not lie as low as anything: those that do shade nothing, and fill the map."""
    height = solid.positions[:, 2]
    raised = height > height.min() + np.float32(1e-5)
    return np.asarray(np.take(raised, solid.faces).any(1), np.bool_)


def _near_subject(solid: Geometry) -> NDArray[np.bool_]:
    """(V,) whether a vertex lies within two radii of the subject's centre."""
    if not solid.subject.any():
        return np.ones(len(solid.positions), np.bool_)
    own = solid.positions[solid.subject]
    low, high = own.min(0), own.max(0)
    away = solid.positions - (low + high) / 2
    near: NDArray[np.bool_] = np.einsum("vi,vi->v", away, away) <= np.square(high - low).sum()
    return near


def remapped(image: Array, places: Array, method: int, outside: float = 0.0) -> Array:
    """(N,) or (N, C), an image's values at places (2, N), columns first, that lie inside; `outside` for others."""
    count = places.shape[1]
    padded = np.zeros((2, -(-count // _ROW) * _ROW), np.float32)
    padded[:, :count] = places
    columns, rows = padded.reshape(2, -1, _ROW)
    found = cv2.remap(image, columns, rows, method, borderMode=cv2.BORDER_CONSTANT, borderValue=(outside,) * 4)
    return np.asarray(found.reshape(-1, *image.shape[2:])[:count], np.float32)


def _between_corners(solid: Geometry, triangle: NDArray[np.intp], first: Array, second: Array) -> Array:
    """(5, N), the looks at places given by a triangle and the weights of its first two corners."""
    corners = np.take(solid.looks, solid.faces, axis=0)  # (F, 3, 5)
    corners[:, :2] -= corners[:, 2:]
    looks, to_second, last = planes(np.take(corners.reshape(-1, 15), triangle, axis=0)).reshape(3, 5, -1)
    looks *= first
    to_second *= second
    looks += to_second
    looks += last
    return looks


def planes(rows: Array) -> Array:
    """(N, C) -> (C, N). NumPy would take ten times as long."""
    return np.asarray(cv2.transpose(rows), np.float32)


def _clipped(corners: Array, marks: Array) -> tuple[Array, Array]:
    """Triangles cut at the near plane: OpenCV does not draw those that cross it, or draws them wrongly.

    Args:
        corners: (F, 3, 3), the viewer in the origin, looking along -z.
        marks: (F, 3, 3), what is interpolated between the corners.
    """
    behind = corners[..., 2] > -NEAR  # (F, 3)
    if not behind.any():
        return corners, marks
    count = np.count_nonzero(behind, axis=1)
    added = []
    for number in (1, 2):
        chosen = np.flatnonzero(count == number)
        cut = np.concatenate([corners[chosen], marks[chosen]], axis=2)
        # turned until the corner that is alone on its side of the plane comes first
        alone = np.argmax(behind[chosen] == (number == 1), axis=1)
        order = (alone[:, None] + np.arange(3)) % 3
        a, b, c = np.moveaxis(np.take_along_axis(cut, order[..., None], axis=1), 1, 0)
        ab, ac = (a + (-NEAR - a[:, 2:3]) / (end[:, 2:3] - a[:, 2:3]) * (end - a) for end in (b, c))
        added += [np.stack([ab, b, c], 1), np.stack([ab, c, ac], 1)] if number == 1 else [np.stack([a, ab, ac], 1)]
    new, whole = np.concatenate(added), np.flatnonzero(count == 0)
    return (
        np.concatenate([np.take(corners, whole, axis=0), new[..., :3]]),
        np.concatenate([np.take(marks, whole, axis=0), new[..., 3:]]),
    )


def _cross(left: Sequence[float] | NDArray[Any], right: Sequence[float] | NDArray[Any]) -> NDArray[np.float64]:
    """(3,) without NumPy's preparations for arrays of vectors, which take longer than a pass over the image."""
    (a, b, c), (x, y, z) = left, right
    return np.asarray((b * z - c * y, c * x - a * z, a * y - b * x), np.float64)


def _turned(matrix: Array, vectors: Array) -> Array:
    """(3, N). A matrix product would call up the threads of a BLAS, which take longer than one alone."""
    return np.asarray(np.einsum("ij,jn->in", matrix, vectors), np.float32)


def _dot(left: Array, right: Array) -> Array:
    return np.asarray(np.einsum("in,in->n", left, right), np.float32)


def _length(vectors: Array) -> Array:
    return np.asarray(np.sqrt(_dot(vectors, vectors)), np.float32)
