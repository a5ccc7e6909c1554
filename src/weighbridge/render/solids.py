"""Solids, and the triangles they end as: profiles turned, outlines extruded, curves thickened.

A thin layer over manifold3d, which ends the whole process on an argument of the wrong type and returns nothing at all
for a contour it cannot fill. So arrays are checked on their way in, and a solid is asked whether it is empty on its way
out.

Legend: N points of a profile, outline or path, K corners of a ring, V vertices, F triangles.
"""

__all__ = [
    "band",
    "box",
    "box_projected",
    "cylinder",
    "disc",
    "extrude",
    "loft",
    "polygon",
    "radius_at",
    "rectangle",
    "revolve",
    "ribbon",
    "smooth",
    "sphere",
    "standing",
    "to_mesh",
    "tube",
    "union",
    "vessel",
    "warped",
]

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import manifold3d
import numpy as np
from manifold3d import CrossSection, Manifold
from numpy.typing import ArrayLike, NDArray

from weighbridge.render.scene import Mesh

Points: TypeAlias = NDArray[np.float64]

PLANE = np.array([[1, 2], [0, 2], [0, 1]])  # the two coordinates that remain when x, y or z is looked along


def _points(values: ArrayLike, dimensions: int, least: int) -> Points:
    """As float64 (..., dimensions), finite and at least so many of them."""
    points = np.ascontiguousarray(values, np.float64)
    if points.ndim < 2 or points.shape[-1] != dimensions or len(points) < least or not np.isfinite(points).all():
        raise ValueError(f"expected at least {least} finite points of {dimensions} numbers, got {values!r}")
    return points


def smooth(points: ArrayLike, count: int) -> Points:
    """A Catmull-Rom curve of `count` points through the given ones (N, 2 or 3)."""
    knots = np.asarray(points, np.float64)
    knots = _points(knots, knots.shape[-1], 2)
    padded = np.concatenate([2 * knots[:1] - knots[1:2], knots, 2 * knots[-1:] - knots[-2:-1]])
    place = np.linspace(0, len(knots) - 1, count)
    before = np.minimum(place.astype(int), len(knots) - 2)
    t = (place - before)[:, None]
    a, b, c, d = (padded[before + offset] for offset in range(4))
    curve = b + 0.5 * t * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a)))
    return np.asarray(curve, np.float64)


# Outlines in the plane


def polygon(points: ArrayLike) -> CrossSection:
    """The inside of an outline (N, 2), whichever way round it runs."""
    return CrossSection([_points(points, 2, 3)], manifold3d.FillRule.NonZero)


def disc(radius: float, segments: int = 32) -> CrossSection:
    """A circle, or with few segments a regular polygon with a corner on the x axis."""
    return CrossSection.circle(float(radius), int(segments))


def rectangle(width: float, depth: float, radius: float = 0.0, segments: int = 4) -> CrossSection:
    """Centred; its corners rounded by `radius`, with so many segments each."""
    radius = min(radius, 0.49 * width, 0.49 * depth)
    if radius <= 0:
        return CrossSection.square((float(width), float(depth)), True)
    angles = np.linspace(0, np.pi / 2, segments + 1)
    arc = radius * np.stack([np.cos(angles), np.sin(angles)], 1)
    corner = arc + np.array([width / 2 - radius, depth / 2 - radius])
    left = corner[::-1] * [-1, 1]
    return polygon(np.concatenate([corner, left, -corner, -left]))


# Solids


def extrude(outline: CrossSection | ArrayLike, height: float, *, twist: float = 0.0, steps: int = 0) -> Manifold:
    """An outline raised from z = 0 to `height`, turned by `twist` degrees on the way in so many steps."""
    section = outline if isinstance(outline, CrossSection) else polygon(outline)
    return Manifold.extrude(section, float(height), int(steps), float(twist))


def box(width: float, depth: float, height: float, bevel: float = 0.0) -> Manifold:
    """Centred over the origin, standing on z = 0; every edge cut by `bevel`."""
    if bevel <= 0:
        return Manifold.cube((float(width), float(depth), float(height)), True).translate((0, 0, float(height) / 2))
    half = np.array([width, depth, height]) / 2
    signs = np.array(np.meshgrid([-1, 1], [-1, 1], [-1, 1])).reshape(3, 8).T
    insets = np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]]) * min(bevel, 0.45 * half.min() * 2)
    corners = signs[:, None] * (half - insets)  # (8, 3, 3)
    return Manifold.hull_points(corners.reshape(-1, 3)).translate((0, 0, float(half[2])))


def cylinder(height: float, radius: float, top: float | None = None, *, segments: int = 32) -> Manifold:
    """Standing on z = 0; a truncated cone where `top` is the radius at its upper end."""
    above = radius if top is None else top
    return Manifold.cylinder(float(height), float(radius), float(above), int(segments))


def sphere(radius: float, *, segments: int = 24) -> Manifold:
    """Around the origin."""
    return Manifold.sphere(float(radius), int(segments))


def revolve(profile: ArrayLike, *, segments: int = 32) -> Manifold:
    """A closed profile (N, 2) of (radius, height) turned around the z axis."""
    return Manifold.revolve(polygon(profile), int(segments))


def vessel(outside: ArrayLike, wall: float, *, segments: int = 32) -> Manifold:
    """A hollow body, open at the top.

    Args:
        outside: (N, 2) of (radius, height), from the edge of the foot to the rim.
        wall: its thickness, everywhere.
    """
    outer = _points(outside, 2, 2)
    outer = np.concatenate([[[0.0, outer[0, 1]]], outer])
    along = np.diff(outer, axis=0)
    inwards = np.stack([-along[:, 1], along[:, 0]], 1) / np.linalg.norm(along, axis=1, keepdims=True).clip(1e-9)
    before, after = np.concatenate([inwards[:1], inwards]), np.concatenate([inwards, inwards[-1:]])
    mitre = (before + after) / (1 + (before * after).sum(1, keepdims=True)).clip(0.5)
    inner = np.maximum(outer + wall * mitre, [0.0, -np.inf])
    return revolve(np.concatenate([outer, inner[::-1]]), segments=segments)


def radius_at(profile: ArrayLike, height: float) -> float:
    """The radius of a profile (N, 2) whose heights never fall."""
    points = _points(profile, 2, 2)
    return float(np.interp(height, points[:, 1], points[:, 0]))


def band(profile: ArrayLike, low: float, high: float, thickness: float, *, segments: int = 32) -> Manifold:
    """A strip around a turned body, such as a label, from one height of its profile to another."""
    points = _points(profile, 2, 2)
    heights = np.concatenate([[low], points[(points[:, 1] > low) & (points[:, 1] < high), 1], [high]])
    radii = np.array([radius_at(points, height) for height in heights])
    outer = np.stack([radii + thickness, heights], 1)
    inner = np.stack([radii - thickness, heights], 1)
    return revolve(np.concatenate([outer, inner[::-1]]), segments=segments)


def loft(rings: ArrayLike, *, closed: bool = False) -> Manifold:
    """Rings of corners (N, K, 3) joined one after another; the ends are capped, or joined where `closed`."""
    corners = _points(rings, 3, 2)
    count, sides, _ = corners.shape
    number = np.arange(count * sides).reshape(count, sides)
    here = number if closed else number[:-1]
    ahead = np.roll(number, -1, axis=0)[: len(here)]
    here_next, ahead_next = np.roll(here, -1, axis=1), np.roll(ahead, -1, axis=1)
    faces = [np.stack([here, here_next, ahead_next], -1), np.stack([here, ahead_next, ahead], -1)]
    vertices = corners.reshape(-1, 3)
    if not closed:
        first, last = np.full(sides, len(vertices)), np.full(sides, len(vertices) + 1)
        faces.append(np.stack([first, np.roll(number[0], -1), number[0]], -1)[None])
        faces.append(np.stack([last, number[-1], np.roll(number[-1], -1)], -1)[None])
        vertices = np.concatenate([vertices, corners[[0, -1]].mean(1)])
    triangles = np.concatenate([part.reshape(-1, 3) for part in faces])
    a, b, c = (vertices[triangles[:, corner]] for corner in range(3))
    if (a * np.cross(b, c)).sum() < 0:  # the rings ran clockwise
        triangles = triangles[:, ::-1]
    return Manifold(
        manifold3d.Mesh(
            vert_properties=np.ascontiguousarray(vertices, np.float32),
            tri_verts=np.ascontiguousarray(triangles, np.uint32),
        )
    )


def _tangents(path: Points, closed: bool) -> Points:
    along = np.roll(path, -1, axis=0) - np.roll(path, 1, axis=0) if closed else np.gradient(path, axis=0)
    return np.asarray(along / np.linalg.norm(along, axis=1, keepdims=True).clip(1e-9), np.float64)


def tube(path: ArrayLike, radius: ArrayLike, *, sides: int = 10, closed: bool = False) -> Manifold:
    """A round bar along a path (N, 3), with one radius or one for each point."""
    points = _points(path, 3, 2)
    tangents = _tangents(points, closed)
    radii = np.broadcast_to(np.asarray(radius, np.float64), len(points))
    angles = (np.arange(sides) + 0.5) * 2 * np.pi / sides
    start = np.eye(3)[np.abs(tangents[0]).argmin()]
    rings = []
    for point, tangent, thickness in zip(points, tangents, radii, strict=True):
        start = start - tangent * (start @ tangent)  # carried along, so that the bar does not twist
        start = start / np.linalg.norm(start)
        across = np.cross(tangent, start)
        rings.append(point + thickness * (np.outer(np.cos(angles), start) + np.outer(np.sin(angles), across)))
    return loft(np.stack(rings), closed=closed)


def ribbon(path: ArrayLike, width: ArrayLike, thickness: ArrayLike, *, across: ArrayLike = (0, 1, 0)) -> Manifold:
    """A flat bar along a path (N, 3) in the plane that `across`, the direction of its width, stands on."""
    points = _points(path, 3, 2)
    side = np.asarray(across, np.float64)
    upwards = np.cross(_tangents(points, False), side)
    wide = np.broadcast_to(np.asarray(width, np.float64), len(points))[:, None] / 2 * side
    thick = np.broadcast_to(np.asarray(thickness, np.float64), len(points))[:, None] / 2 * upwards
    return loft(np.stack([points + s * wide + t * thick for s, t in ((1, 1), (-1, 1), (-1, -1), (1, -1))], axis=1))


def warped(solid: Manifold, move: Callable[[Points], Points]) -> Manifold:
    """Every corner (V, 3) moved by a function; a mistake in it is raised here and does not end the process."""
    failures: list[Exception] = []

    def careful(points: Points) -> Points:
        try:
            return np.ascontiguousarray(_points(move(points.copy()), 3, len(points)))
        except Exception as failure:
            failures.append(failure)
            return points

    moved = solid.warp_batch(careful)
    if failures:
        raise failures[0]
    return moved


def union(solids: Sequence[Manifold]) -> Manifold:
    """One solid from several that overlap. Not needed where the seam does not show."""
    return Manifold.batch_boolean(list(solids), manifold3d.OpType.Add)


# Triangles


def box_projected(vertices: ArrayLike, normals: ArrayLike, faces: ArrayLike, *, uv_scale: float = 1.0) -> Mesh:
    """A mesh whose texture is projected along x, y or z, whichever each triangle faces most.

    Vertices are doubled where that changes, so that the texture is never smeared, only cut.

    Args:
        vertices, normals: (V, 3).
        faces: (F, 3) integers.
        uv_scale: repeats of the texture per unit of length.
    """
    places, directions = np.asarray(vertices, np.float32), np.asarray(normals, np.float32)
    corners = np.asarray(faces, np.int64)
    a, b, c = (places[corners[:, corner]] for corner in range(3))
    axis = np.abs(np.cross(b - a, c - a)).argmax(1)  # (F,)
    wanted = 3 * corners + axis[:, None]  # (F, 3): one number for each pair of vertex and axis
    used = np.zeros(3 * len(places), bool)
    used[wanted] = True
    number = np.cumsum(used) - 1
    vertex, side = np.divmod(np.flatnonzero(used), 3)
    uv = np.take_along_axis(places[vertex], PLANE[side], axis=1) * np.float32(uv_scale)
    return Mesh(places[vertex], directions[vertex], uv, number[wanted].astype(np.int32))


def to_mesh(solid: Manifold | Sequence[Manifold], *, crease: float = 35.0, uv_scale: float = 1.0) -> Mesh:
    """The triangles of a solid, or of several that may overlap.

    Args:
        crease: an edge that turns by more degrees than this is sharp.
        uv_scale: repeats of the texture per unit of length; see `box_projected`.

    Raises:
        ValueError: a solid is empty or broken.
    """
    parts = [_triangles(part, crease) for part in ([solid] if isinstance(solid, Manifold) else solid)]
    offsets = np.cumsum([0, *(len(columns) for columns, _ in parts)])
    columns = np.concatenate([columns for columns, _ in parts])
    faces = np.concatenate([faces + offset for (_, faces), offset in zip(parts, offsets[:-1], strict=True)])
    return box_projected(columns[:, :3], columns[:, 3:6], faces, uv_scale=uv_scale)


def _triangles(solid: Manifold, crease: float) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Place and normal (V, 6), faces (F, 3)."""
    status = solid.status()
    if status != manifold3d.Error.NoError or solid.num_tri() == 0:
        raise ValueError(
            f"expected a solid with triangles, got {solid.num_tri()} and manifold3d's status {status.name}"
        )
    triangles = solid.calculate_normals(0, float(crease)).to_mesh()
    return np.asarray(triangles.vert_properties, np.float32), np.asarray(triangles.tri_verts, np.int64)


def standing(meshes: Sequence[Mesh]) -> list[Mesh]:
    """Moved and scaled together: centred over the origin, standing on z = 0, the diagonal of their box 1."""
    low = np.min([mesh.vertices.min(0) for mesh in meshes], axis=0).astype(np.float64)
    high = np.max([mesh.vertices.max(0) for mesh in meshes], axis=0).astype(np.float64)
    scale = 1 / np.linalg.norm(high - low)
    matrix: NDArray[Any] = np.diag([scale, scale, scale, 1.0])
    matrix[:3, 3] = -scale * np.array([(low[0] + high[0]) / 2, (low[1] + high[1]) / 2, low[2]])
    return [mesh.moved(matrix) for mesh in meshes]
