"""Triangles to pixels with OpenCV's rasteriser: what a camera sees, and how far a sun reaches.

A pixel is sampled at its centre; row 0 is the top of the image. Triangles are drawn from both sides.

Legend: V vertices, F triangles, S' side of the image in samples, N samples that hit something.
"""

__all__ = ["GBuffer", "Geometry", "ShadowMap", "View", "geometry", "rasterize", "shadow_map", "view"]

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from weighbridge.render.scene import Array, Camera, Part, unit

cv2.setNumThreads(1)  # one thread a process: the jobs share the cores by processes

NEAR = 0.02  # nearer triangles are cut off
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
        looks: (V, 3), u, v and the part's number.
        normals: (V, 3).
        faces: (F, 3) int32.
        subject: (V,) of bool, whether the vertex belongs to the subject.
    """

    positions: Array
    looks: Array
    normals: Array
    faces: NDArray[np.int32]
    subject: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class View:
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
    """What lies under each sample.

    Attributes:
        depth: (S', S'), along the camera's forward axis.
        part: (S', S') int32, number of the part; -1 where nothing is.
        uv: (S', S', 2).
        normal: (S', S', 3), of any length, outwards: not yet turned to the camera.
        position: (S', S', 3), in the world; of no meaning where nothing is.
    """

    depth: Array
    part: NDArray[np.int32]
    uv: Array
    normal: Array
    position: Array


@dataclass(frozen=True, eq=False)
class ShadowMap:
    """How near to the sun the first surface lies, seen from the sun without perspective.

    Attributes:
        nearness: (M, M), greater towards the sun; 0 where nothing is.
        to_map: (4, 3), world (x, y, z, 1) -> column and row of the map, in texels, and nearness.
        texel: side of a texel in the world.
        towards_sun: (3,), of length 1.
        bias: what a texel's side is in nearness.
    """

    nearness: Array
    to_map: Array
    texel: float
    towards_sun: Array
    bias: float


def geometry(parts: Sequence[Part]) -> Geometry:
    """The parts' meshes, one after the other."""
    meshes = [part.mesh for part in parts]
    counts = [len(mesh.vertices) for mesh in meshes]
    total = sum(counts)
    looks = np.empty((total, 3), np.float32)
    if not meshes:
        nothing = np.zeros((0, 3), np.float32)
        return Geometry(nothing, looks, nothing, np.zeros((0, 3), np.int32), np.zeros(0, np.bool_))
    np.concatenate([mesh.uv for mesh in meshes], out=looks[:, :2])
    looks[:, 2] = np.repeat(np.arange(len(parts), dtype=np.float32), counts)
    firsts = np.cumsum([0, *counts[:-1]])
    return Geometry(
        positions=np.concatenate([mesh.vertices for mesh in meshes], dtype=np.float32, casting="same_kind"),
        looks=looks,
        normals=np.concatenate([mesh.normals for mesh in meshes], dtype=np.float32, casting="same_kind"),
        faces=np.concatenate([mesh.faces + np.int32(first) for mesh, first in zip(meshes, firsts, strict=True)]),
        subject=np.repeat([part.subject for part in parts], counts),
    )


def view(camera: Camera) -> View:
    """The camera's frame."""
    eye = np.asarray(camera.eye, np.float64)
    forward = unit(np.asarray(camera.target, np.float64) - eye)
    right = unit(np.cross(forward, camera.up))
    axes = np.stack([right, np.cross(right, forward), forward])
    return View(eye.astype(np.float32), axes.astype(np.float32), float(np.tan(np.radians(camera.field_of_view) / 2)))


def rasterize(solid: Geometry, seen: View, side: int) -> GBuffer:
    """What the camera sees, `side` by `side` samples."""
    scaled = seen.axes * np.asarray([[1 / seen.tangent], [1 / seen.tangent], [-1]], np.float32)
    points = (solid.positions - seen.eye) @ scaled.T  # to the right, up, towards the viewer; 90 degrees wide
    points, looks, normals, faces = _clipped(points, solid.looks, solid.normals, solid.faces)
    far = max(1.0, -float(points[:, 2].min(initial=0.0)) * 1.01)
    drawn = np.full((side, side, 3), -1, np.float32)
    normal = np.zeros((side, side, 3), np.float32)
    depth = np.full((side, side), far, np.float32)
    if len(faces):
        again = depth.copy()
        cv2.triangleRasterize(points, faces, looks, drawn, depth, _EYE, _RIGHT_ANGLE, NEAR / 2, far, _BOTH_SIDES)
        cv2.triangleRasterize(points, faces, normals, normal, again, _EYE, _RIGHT_ANGLE, NEAR / 2, far, _BOTH_SIDES)
    part = np.rint(drawn[..., 2]).astype(np.int32)
    ray = (np.arange(side, dtype=np.float32) * 2 + 1 - side) * np.float32(seen.tangent / side)
    position = ray[None, :, None] * seen.axes[0] - ray[:, None, None] * seen.axes[1]
    position += seen.axes[2]
    position *= depth[..., None]
    position += seen.eye
    return GBuffer(depth, part, drawn[..., :2], normal, position)


def shadow_map(solid: Geometry, towards_sun: tuple[float, float, float], side: int) -> ShadowMap:
    """The scene from the sun, the map fitted to what lies near the subject; without a subject, to everything.

    A shadow has the same place on the map as what casts it, so that what is near the subject fits its shadow too.
    """
    sun = unit(towards_sun)
    right = unit(np.cross((0.0, 0.0, 1.0) if abs(sun[2]) < 0.99 else (0.0, 1.0, 0.0), sun))
    axes = np.stack([right, np.cross(right, sun), sun]).astype(np.float32)
    seen = solid.positions @ axes.T  # x, y across the light, z towards the sun
    fitted = seen[_near_subject(solid)]
    low, high = fitted[:, :2].min(0), fitted[:, :2].max(0)
    centre, half = (low + high) / 2, max(float((high - low).max()) / 2, 1e-3) * 1.02
    bottom, top = float(seen[:, 2].min()), float(seen[:, 2].max())
    # OpenCV only draws with perspective. Points are placed so that perspective undoes itself: x / w, y / w at distance
    # 1 / w, with w the nearness, which is then straight across a triangle as 1 / distance is.
    slope = 0.5 / max(top - bottom, half)
    nearness = (seen[:, 2] - bottom) * np.float32(slope) + np.float32(0.5)  # (V,) 0.5 to 1
    points = np.empty_like(seen)
    points[:, :2] = (seen[:, :2] - centre) / np.float32(half)
    points[:, 2] = -1
    points /= nearness[:, None]
    depth = np.full((side, side), 4, np.float32)
    cv2.triangleRasterizeDepth(points, solid.faces, depth, _EYE, _RIGHT_ANGLE, 0.25, 4.0, _BOTH_SIDES)
    to_map = np.empty((4, 3), np.float32)
    texels = side / 2 / half
    to_map[:3] = axes.T * np.asarray([texels, -texels, slope], np.float32)
    to_map[3] = (side / 2 - centre[0] * texels, side / 2 + centre[1] * texels, 0.5 - bottom * slope)
    empty = depth >= 3.9
    np.reciprocal(depth, out=depth)
    depth[empty] = 0
    texel = 2 * half / side
    return ShadowMap(depth, to_map, texel, sun.astype(np.float32), texel * slope)


def _near_subject(solid: Geometry) -> NDArray[np.bool_]:
    """(V,) whether a vertex lies within two radii of the subject's centre."""
    if not solid.subject.any():
        return np.ones(len(solid.positions), np.bool_)
    own = solid.positions[solid.subject]
    low, high = own.min(0), own.max(0)
    away = solid.positions - (low + high) / 2
    near: NDArray[np.bool_] = np.einsum("vi,vi->v", away, away) <= np.square(high - low).sum()
    return near


def _clipped(
    points: Array, looks: Array, normals: Array, faces: NDArray[np.int32]
) -> tuple[Array, Array, Array, NDArray[np.int32]]:
    """Triangles cut at the near plane: OpenCV leaves out those that cross it.

    Args:
        points: (V, 3), the viewer in the origin, looking along -z.
    """
    behind = points[:, 2] > -NEAR  # (V,)
    if not behind.any():
        return points, looks, normals, faces
    count = behind[faces].sum(1)
    kept = [faces[count == 0]]
    vertices = [np.hstack([points, looks, normals])]
    first = len(points)
    for number in (1, 2):
        cut = faces[count == number]
        # turned until the vertex that is alone on its side comes first
        alone = np.argmax(behind[cut] == (number == 1), axis=1)
        cut = np.take_along_axis(cut, (alone[:, None] + np.arange(3)) % 3, axis=1)
        a, b, c = (vertices[0][cut[:, corner]] for corner in range(3))
        on_ab, on_ac = _cut_edge(a, b), _cut_edge(a, c)
        vertices += [on_ab, on_ac]
        ab = first + np.arange(len(cut), dtype=np.int32)
        ac = ab + np.int32(len(cut))
        first += 2 * len(cut)
        if number == 1:
            kept += [np.stack([ab, cut[:, 1], cut[:, 2]], 1), np.stack([ab, cut[:, 2], ac], 1)]
        else:
            kept.append(np.stack([cut[:, 0], ab, ac], 1))
    everything = np.concatenate(vertices).astype(np.float32)
    columns = [np.ascontiguousarray(everything[:, first : first + 3]) for first in (0, 3, 6)]
    return columns[0], columns[1], columns[2], np.concatenate(kept).astype(np.int32)


def _cut_edge(start: Array, end: Array) -> Array:
    """Where edges from start to end meet the near plane, with all that is told of their vertices."""
    share = (-NEAR - start[:, 2:3]) / (end[:, 2:3] - start[:, 2:3])
    return np.asarray(start + share * (end - start), np.float32)
