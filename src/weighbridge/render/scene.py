"""A scene as every renderer reads it: numbers and arrays, nothing else.

Right-handed, z up, lengths in units of the subject's size. Colours are linear: a radiance of 1 is what a white, matt
surface reflects under a light of 1, in both renderers.

Legend: V vertices, F triangles, T side of a texture, S side of the image.
"""

__all__ = ["Array", "Camera", "Light", "Material", "Mesh", "Part", "Scene", "joined", "linear", "unit"]

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Mesh:
    """Triangles with shared vertices.

    Attributes:
        vertices: (V, 3) float32.
        normals: (V, 3) float32, of length 1, outwards. A sharp edge has its vertices twice, with both normals.
        uv: (V, 2) float32; the texture repeats outside [0, 1].
        faces: (F, 3) int32, counter-clockwise from outside.
    """

    vertices: Array
    normals: Array
    uv: Array
    faces: NDArray[np.int32]

    def moved(self, matrix: NDArray[np.floating[Any]]) -> "Mesh":
        """Turned, scaled and shifted by a (4, 4) matrix without shear or mirror."""
        turn = matrix[:3, :3]
        scale = np.cbrt(np.linalg.det(turn))
        return Mesh(
            (self.vertices @ turn.T + matrix[:3, 3]).astype(np.float32),
            (self.normals @ (turn / scale).T).astype(np.float32),
            self.uv,
            self.faces,
        )


@dataclass(frozen=True, eq=False)
class Material:
    """How a surface looks.

    Attributes:
        texture: (T, T, 3) float32, linear albedo in [0, 1]; row 0 lies at v = 0. The real-time
            renderer halves it until T is at most 64.
        roughness: 0.05 (mirror) to 1 (matt).
        metallic: 0 or 1.
        emission: radiance of its own, per unit of albedo; 0 but for lamps.
    """

    texture: Array
    roughness: float = 0.6
    metallic: float = 0.0
    emission: float = 0.0


@dataclass(frozen=True, eq=False)
class Part:
    """A mesh of one material.

    Attributes:
        subject: whether it belongs to what the image is labelled with, and so to its mask and box.
        closed: whether it, or it and the parts around it, are a body that only shows the outsides of its triangles.
    """

    mesh: Mesh
    material: Material
    subject: bool = False
    closed: bool = False


@dataclass(frozen=True)
class Camera:
    """A pinhole that looks from `eye` to `target`.

    Attributes:
        eye, target, up: (x, y, z).
        field_of_view: of the square image's side, in degrees, 5 to 120.
    """

    eye: tuple[float, float, float]
    target: tuple[float, float, float]
    up: tuple[float, float, float] = (0.0, 0.0, 1.0)
    field_of_view: float = 35.0


@dataclass(frozen=True)
class Light:
    """A sun and a sky.

    Attributes:
        towards_sun: (x, y, z), any length.
        sun: (r, g, b), what a white surface that faces the sun reflects of it.
        sky, ground: (r, g, b), what it reflects of the surroundings, facing up and facing down.
        softness: half the angle of the sun's disc in degrees, for the path tracer; the real-time sun is a point.
    """

    towards_sun: tuple[float, float, float] = (0.4, -0.6, 0.7)
    sun: tuple[float, float, float] = (0.7, 0.7, 0.65)
    sky: tuple[float, float, float] = (0.35, 0.4, 0.45)
    ground: tuple[float, float, float] = (0.2, 0.18, 0.16)
    softness: float = 6.0


@dataclass(frozen=True, eq=False)
class Scene:
    """All that an image shows.

    Attributes:
        parts: of the subject and around it.
        backdrop: (H, W, 3) float32, linear, seen where no part is; stretched to the image.
        notes: what was drawn and is no knob, in words: the photo behind, the mesh, the neighbour.
    """

    parts: tuple[Part, ...]
    camera: Camera
    light: Light = field(default_factory=Light)
    backdrop: Array = field(default_factory=lambda: np.full((1, 1, 3), 0.2, np.float32))
    notes: Mapping[str, str] = field(default_factory=dict)


def joined(meshes: Sequence[Mesh]) -> Mesh:
    """Several meshes of one material in one."""
    starts = np.cumsum([0, *(len(mesh.vertices) for mesh in meshes[:-1])])
    return Mesh(
        np.concatenate([mesh.vertices for mesh in meshes]),
        np.concatenate([mesh.normals for mesh in meshes]),
        np.concatenate([mesh.uv for mesh in meshes]),
        np.concatenate([mesh.faces + np.int32(start) for mesh, start in zip(meshes, starts, strict=True)]),
    )


def linear(colour: NDArray[Any] | tuple[float, float, float]) -> Array:
    """A colour as screens show it, in [0, 1] -> linear. The curve is x ** 2.2 everywhere here."""
    return np.asarray(np.power(np.asarray(colour, np.float32), np.float32(2.2)), np.float32)


def unit(vector: NDArray[Any] | tuple[float, float, float]) -> NDArray[np.float64]:
    """(3,) of length 1."""
    direction = np.asarray(vector, np.float64)
    return np.asarray(direction / np.linalg.norm(direction), np.float64)
