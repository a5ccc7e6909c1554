"""Meshes of the user's: a folder per class of glTF, OBJ, PLY or STL files, read through trimesh.

Which way is up is not written in OBJ, PLY or STL; the defaults here are those of Blender's importers: y for OBJ, as for
glTF, and z for PLY and STL. Files whose shape speaks against that are turned; see `orientation`.

Legend: V vertices, F triangles, C corners, three for each triangle.
"""

__all__ = ["DEFAULT_UP", "MAX_TRIANGLES", "load_mesh", "mesh_classes", "orientation_of"]

from pathlib import Path
from typing import Any, Literal

import numpy as np
import trimesh
from numpy.typing import NDArray
from PIL import Image

from weighbridge.errors import DataError
from weighbridge.render.orientation import Axis, Orientation, to_z_up, upright
from weighbridge.render.scene import Array, Material, Mesh, joined, linear
from weighbridge.render.solids import box_projected, standing

DEFAULT_UP: dict[str, Literal["y", "z"]] = {".glb": "y", ".gltf": "y", ".obj": "y", ".ply": "z", ".stl": "z"}
MAX_TRIANGLES = 200_000
TEXTURE_SIDE = 256
CREASE = 35.0  # degrees; an edge that turns by more is sharp, where a file brings no normals
GREY = 0.5  # linear, of what brings no colour


def mesh_classes(folder: Path) -> dict[str, list[Path]]:
    """The mesh files of each class: its folder's, at any depth, sorted; hidden files and folders are passed over.

    Raises:
        DataError: there is no such folder, no class in it, or no mesh in a class.
    """
    kinds = ", ".join(DEFAULT_UP)
    if not folder.is_dir():
        raise DataError(f"expected a folder with one folder of meshes per class, but there is no folder {folder}.")
    classes = {path.name: path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")}
    if not classes:
        raise DataError(
            f"expected one folder of meshes ({kinds}) per class in {folder}, but it holds no folders. "
            f"Move the meshes into folders named after their classes, such as {folder / 'mug' / 'first.glb'}."
        )
    found = {}
    for name in sorted(classes):
        files = (path for path in classes[name].rglob("*") if path.suffix.lower() in DEFAULT_UP and path.is_file())
        found[name] = sorted(path for path in files if not _is_hidden(path.relative_to(folder)))
    empty = [name for name, files in found.items() if not files]
    if empty:
        raise DataError(
            f"expected meshes ({kinds}) in every class folder of {folder}, but there are none in: {', '.join(empty)}. "
            "Add some, converting other formats in Blender for example, or take the folder away."
        )
    return found


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def load_mesh(path: Path, *, up: Axis | None = None) -> list[tuple[Mesh, Material]]:
    """One file as meshes with their materials: one pair for each look that occurs in it.

    Base colour, its texture (at most 256 pixels wide), roughness and metal are taken over; transparency, bump and glow
    are not. Vertex colours become their mean. Without texture coordinates the texture is projected along the axes.

    Args:
        up: the axis that points up in the file; by default what `orientation_of` says.

    Returns:
        Pairs centred over the origin, standing on z = 0, the diagonal of their common box 1.

    Raises:
        DataError: the file cannot be read, holds no triangles, or too many.
    """
    pieces = _read(path)
    axis = up or _upright(pieces, path).axis
    if axis != "z":
        for piece in pieces:
            piece.apply_transform(to_z_up(axis))
    bounds = np.array([piece.bounds for piece in pieces])
    diagonal = float(np.linalg.norm(bounds[:, 1].max(0) - bounds[:, 0].min(0)))
    if diagonal == 0:
        raise DataError(f"expected a mesh with a size in {path}, but all its vertices lie in one place.")
    looks: dict[tuple[bytes, float, float], tuple[Material, list[Mesh]]] = {}
    screen_colours = path.suffix.lower() not in (".glb", ".gltf")
    for piece in pieces:
        material = _material(piece, screen_colours=screen_colours)
        key = (material.texture.tobytes(), material.roughness, material.metallic)
        looks.setdefault(key, (material, []))[1].append(_mesh(piece, uv_scale=1 / diagonal))
    meshes = standing([joined(parts) for _, parts in looks.values()])
    return list(zip(meshes, [material for material, _ in looks.values()], strict=True))


def orientation_of(path: Path) -> Orientation:
    """Which axis of a file points up: that of its format in `DEFAULT_UP`, unless the shape speaks against it.

    Raises:
        DataError: as `load_mesh`.
    """
    return _upright(_read(path), path)


def _upright(pieces: list[trimesh.Trimesh], path: Path) -> Orientation:
    return upright(np.concatenate([piece.triangles for piece in pieces]), DEFAULT_UP[path.suffix.lower()])


def _read(path: Path) -> list[trimesh.Trimesh]:
    """Every instance in the file's scene, in its place."""
    if path.suffix.lower() not in DEFAULT_UP:
        raise DataError(
            f"expected a mesh ({', '.join(DEFAULT_UP)}), got {path}. Convert it to glTF, in Blender for example."
        )
    try:
        scene = trimesh.load_scene(path, process=False)
        pieces = []
        for node in sorted(scene.graph.nodes_geometry):
            transform, name = scene.graph[node]
            piece = scene.geometry[name]
            if isinstance(piece, trimesh.Trimesh) and len(piece.faces):
                # A copy without the cache would lose the normals of the file.
                pieces.append(piece.copy(include_cache=True).apply_transform(transform))
    except Exception as reason:  # whatever a parser may stumble over in a broken file
        raise DataError(
            f"expected a mesh in {path}, but it cannot be read ({type(reason).__name__}: {reason}). "
            "Export it again, with the files it refers to, or move it away."
        ) from reason
    if not pieces:
        raise DataError(f"expected triangles in {path}, but there are none. Export it as a mesh, or move it away.")
    triangles = sum(len(piece.faces) for piece in pieces)
    if triangles > MAX_TRIANGLES:
        raise DataError(
            f"expected at most {MAX_TRIANGLES:,} triangles in {path}, got {triangles:,}. "
            "Simplify it, with Blender's Decimate modifier for example: images of 64 to 224 pixels show no more."
        )
    if not all(np.isfinite(piece.vertices).all() for piece in pieces):
        raise DataError(f"expected finite coordinates in {path}, but some are not numbers. Export it again.")
    return pieces


# Geometry


def _mesh(piece: trimesh.Trimesh, *, uv_scale: float) -> Mesh:
    brings_normals = "vertex_normals" in piece._cache  # trimesh keeps what the file said there, before any is computed
    closed = trimesh.Trimesh(piece.vertices, piece.faces)  # corners in one place merged
    if closed.is_watertight and closed.volume < 0:
        piece.invert()
        brings_normals = False
    faces = np.asarray(piece.faces, np.int64)
    places = np.asarray(piece.vertices, np.float32)[faces].reshape(-1, 3)  # (C, 3)
    normals = np.asarray(piece.vertex_normals, np.float64)[faces].reshape(-1, 3) if brings_normals else None
    if normals is None or not (np.linalg.norm(normals, axis=1) > 0.5).all():
        normals = _creased_normals(places)
    normals = (normals / np.linalg.norm(normals, axis=1, keepdims=True)).astype(np.float32)
    uv = getattr(piece.visual, "uv", None)
    if uv is None or len(uv) != len(piece.vertices) or not np.isfinite(uv).all():
        corners, faces = _shared(places, normals)
        return box_projected(places[corners], normals[corners], faces, uv_scale=uv_scale)
    flat = np.asarray(uv, np.float32)[faces].reshape(-1, 2)
    corners, faces = _shared(places, normals, flat)
    return Mesh(places[corners], normals[corners], flat[corners], faces.astype(np.int32))


def _creased_normals(places: Array) -> NDArray[np.float64]:
    """At each corner (C, 3), the mean over the triangles that meet there and turn by less than the crease angle."""
    triangles = places.reshape(-1, 3, 3).astype(np.float64)
    across = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])  # (F, 3), as long as wide
    size = np.linalg.norm(across, axis=1, keepdims=True)
    facing = np.where(size > 0, across / np.maximum(size, 1e-300), [0.0, 0.0, 1.0])
    _, vertex = np.unique(places, axis=0, return_inverse=True)
    vertex = vertex.reshape(-1)
    order = np.argsort(vertex, kind="stable")  # corners, those of one vertex together
    counts = np.bincount(vertex)
    first = np.cumsum(counts) - counts
    corner = np.repeat(np.arange(len(places)), counts[vertex])  # every pair of corners at one vertex
    step = np.arange(len(corner)) - np.repeat(np.cumsum(counts[vertex]) - counts[vertex], counts[vertex])
    other = order[first[vertex[corner]] + step]
    alike = (facing[corner // 3] * facing[other // 3]).sum(1) > np.cos(np.radians(CREASE))
    corner, other = corner[alike], other[alike]
    sums = np.stack([np.bincount(corner, across[other // 3, axis], len(places)) for axis in range(3)], 1)
    own = np.repeat(facing, 3, axis=0)
    length = np.linalg.norm(sums, axis=1, keepdims=True)
    return np.where(length > 0, sums / np.maximum(length, 1e-300), own)


def _shared(*columns: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Corners that agree in every column become one vertex: one corner of each (V,), and the faces (F, 3)."""
    table = np.concatenate(columns, axis=1)
    _, corners, number = np.unique(table, axis=0, return_index=True, return_inverse=True)
    return corners, number.reshape(-1, 3)


# Looks


def _material(piece: trimesh.Trimesh, *, screen_colours: bool) -> Material:
    """Colours in glTF are linear, but for textures; other formats give them as screens show them."""
    visual: Any = piece.visual
    if visual.kind in ("vertex", "face"):
        colours = visual.vertex_colors if visual.kind == "vertex" else visual.face_colors
        return Material(_plain(np.asarray(colours)[:, :3].mean(0) / 255, screen_colours))
    source = getattr(visual, "material", None)
    if source is None:
        return Material(np.full((1, 1, 3), GREY, np.float32))
    if not isinstance(source, trimesh.visual.material.PBRMaterial):
        image = getattr(source, "image", None)
        diffuse = np.asarray(getattr(source, "diffuse", [255, 255, 255]))[:3] / 255
        return Material(_plain(diffuse, screen_colours) if image is None else _texture(image))
    factor = np.ones(3) if source.baseColorFactor is None else np.asarray(source.baseColorFactor)[:3] / 255
    texture = _plain(factor, False)
    if source.baseColorTexture is not None:
        texture = texture * _texture(source.baseColorTexture)
    roughness = 1.0 if source.roughnessFactor is None else float(source.roughnessFactor)
    metallic = 1.0 if source.metallicFactor is None else float(source.metallicFactor)  # as glTF says
    if source.metallicRoughnessTexture is not None:
        maps = np.asarray(source.metallicRoughnessTexture.convert("RGB"), np.float32).reshape(-1, 3).mean(0) / 255
        roughness, metallic = roughness * float(maps[1]), metallic * float(maps[2])
    return Material(texture, float(np.clip(roughness, 0.05, 1.0)), float(metallic >= 0.5))


def _plain(colour: NDArray[Any], screen_colours: bool) -> Array:
    values = linear(colour) if screen_colours else np.asarray(colour, np.float32)
    return values.reshape(1, 1, 3)


def _texture(image: Image.Image) -> Array:
    """(T, T, 3), linear. Files have their first row at the top, where v is 1."""
    side = min(TEXTURE_SIDE, max(image.size))
    small = image.convert("RGB").resize((side, side), Image.Resampling.BOX if side < min(image.size) else None)
    return np.ascontiguousarray(linear(np.asarray(small, np.float32)[::-1] / 255))
