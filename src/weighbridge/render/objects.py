"""Objects on a floor: 25 everyday classes made of parameters, or the user's own meshes.

The subject stands on the floor at the origin, its longest diagonal 1; the camera looks at it from the south (-y).
"""

__all__ = ["Objects"]

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.random import Generator

from weighbridge.render import shapes, solids
from weighbridge.render.family import LIGHT, light_of
from weighbridge.render.meshes import load_mesh, mesh_classes
from weighbridge.render.recipe import Choice, Factors, Knob, Range
from weighbridge.render.scene import Array, Camera, Material, Mesh, Part, Scene
from weighbridge.render.sensor import CAMERA, SENSOR
from weighbridge.render.textures import PATTERNS, Backdrops, Grain, colour, pattern

_FLOOR = 6.0  # half its side
_SOUTH = -90.0  # where the camera stands, in degrees from the x axis towards y

# Clean renders: what an engine puts out, with hardly any camera in it.
_STUDIO: Mapping[str, Knob] = {
    **SENSOR,
    "exposure": Range(-0.4, 0.4, 0.0, "stops brighter than the light would make it"),
    "contrast": Range(0.0, 0.3, 0.0, "S-curve around the middle, above 0 harder"),
    "warmth": Range(-0.05, 0.05, 0.0, "white balance, above 0 redder: log of red over green"),
    "tint": Range(-0.02, 0.02, 0.0, "white balance, above 0 greener: log of green"),
    "haze": Range(0.0, 0.15, 0.0, "share of light that was scattered on its way", chance=0.2),
    "blur": Range(0.2, 0.5, 0.0, "lens out of focus: deviation in % of the side", chance=0.3),
    "motion": Range(1.0, 4.0, 0.0, "camera moved: length in % of the side", chance=0.0),
    "resolution": Range(0.6, 1.0, 1.0, "pixels that the sensor had, as a share of the side", chance=0.0),
    "noise": Range(0.0, 0.01, 0.0, "deviation of sensor noise at white, in [0, 1]", chance=0.3),
    "black": Range(0.0, 0.05, 0.0, "what black is shown as, in [0, 1]", chance=0.0),
    "jpeg": Range(70.0, 98.0, 100.0, "JPEG quality; 100 is none", chance=0.2, whole=True),
    **LIGHT,
    "sun_azimuth": Range(-100.0, 100.0, 35.0, "degrees to the left of the camera; beyond 90 from behind the subject"),
    "sun": Range(0.3, 1.1, 0.7, "what a white surface that faces the sun reflects of it"),
    "sky": Range(0.2, 0.6, 0.4, "what a white surface that faces up reflects of the sky"),
    "turn": Range(-180.0, 180.0, 30.0, "subject turned about the vertical, degrees"),
    "elevation": Range(14.0, 62.0, 35.0, "camera above the horizon, degrees"),
    "roll": Range(-6.0, 6.0, 0.0, "camera turned about its own axis, degrees"),
    "field_of_view": Range(28.0, 42.0, 35.0, "of the camera, degrees"),
    "fill": Range(0.65, 0.92, 0.8, "longer side of the subject as it is seen, as a share of the image's side"),
    "offset_x": Range(-0.05, 0.05, 0.0, "subject to the right of the middle, share of the side"),
    "offset_y": Range(-0.05, 0.05, 0.0, "subject above the middle, share of the side"),
    "shape": Range(1.0, 1.0, 0.0, "how far proportions leave those of the nominal object; 1 is all of their range"),
    "hue": Range(0.0, 1.0, 0.6, "of the body, in turns from red"),
    "saturation": Range(0.05, 0.85, 0.5, "of the body"),
    "value": Range(0.3, 0.95, 0.6, "of the body, as screens show it"),
    "pattern": Choice(tuple(PATTERNS[0]), "plain", "what the body wears"),
    "texture_scale": Range(0.8, 2.5, 1.5, "repeats of a texture along the subject"),
    "roughness": Range(0.2, 0.8, 0.5, "0.05 mirrors, 1 is matt"),
    "metallic": Range(1.0, 1.0, 0.0, "1: the body is of metal", chance=0.15, whole=True),
    "floor_hue": Range(0.0, 1.0, 0.1, "of the floor, in turns from red"),
    "floor_saturation": Range(0.05, 0.7, 0.25, "of the floor"),
    "floor_value": Range(0.35, 0.9, 0.6, "of the floor, as screens show it"),
    "floor_pattern": Choice(tuple(PATTERNS[0]), "plain", "what the floor wears"),
    "dirt": Range(0.2, 0.8, 0.0, "share of light that stains take", chance=0.15),
    "clutter": Range(1.0, 3.0, 0.0, "blocks, balls and cylinders around the subject", chance=0.2, whole=True),
    "occlusion": Range(0.1, 0.3, 0.0, "width of a block in front, in sizes of the subject", chance=0.1),
}

# What stands in for photos: other textures, lights and clutter, seen through a camera.
_SIMULATED: Mapping[str, Knob] = {
    **_STUDIO,
    **CAMERA,
    "haze": Range(0.0, 0.2, 0.0, "share of light that was scattered on its way", chance=0.2),
    "motion": Range(1.0, 6.0, 0.0, "camera moved: length in % of the side", chance=0.2),
    "resolution": Range(0.6, 1.0, 1.0, "pixels that the sensor had, as a share of the side", chance=0.3),
    "sun": Range(0.0, 1.3, 0.7, "what a white surface that faces the sun reflects of it"),
    "sun_warmth": Range(-0.15, 0.4, 0.08, "how much redder than blue the sun is: log of red over green"),
    "sky": Range(0.15, 0.7, 0.4, "what a white surface that faces up reflects of the sky"),
    "sky_warmth": Range(-0.3, 0.3, -0.08, "log of red over green of the sky"),
    "elevation": Range(8.0, 68.0, 35.0, "camera above the horizon, degrees"),
    "roll": Range(-12.0, 12.0, 0.0, "camera turned about its own axis, degrees"),
    "field_of_view": Range(25.0, 55.0, 35.0, "of the camera, degrees"),
    "fill": Range(0.55, 0.92, 0.75, "longer side of the subject as it is seen, as a share of the image's side"),
    "offset_x": Range(-0.1, 0.1, 0.0, "subject to the right of the middle, share of the side"),
    "offset_y": Range(-0.1, 0.1, 0.0, "subject above the middle, share of the side"),
    "pattern": Choice(tuple(PATTERNS[1]), "plain", "what the body wears"),
    "floor_pattern": Choice(tuple(PATTERNS[1]), "plain", "what the floor wears"),
    "dirt": Range(0.2, 0.8, 0.0, "share of light that stains take", chance=0.4),
    "clutter": Range(1.0, 4.0, 0.0, "blocks, balls and cylinders around the subject", chance=0.85, whole=True),
    "occlusion": Range(0.1, 0.35, 0.0, "width of a block in front, in sizes of the subject", chance=0.2),
}


class Objects:
    """The objects family.

    Args:
        assets: a folder with a folder of glTF, OBJ, PLY or STL meshes per class; None for the 25 classes of our own.
        backdrops: what stands behind the floor.
        size: side of the images in pixels.
        camera: whether it is what a simulated camera sees: other textures, lights and clutter, and its sensor.

    Raises:
        DataError: if there are no meshes in `assets`.
    """

    def __init__(self, assets: Path | None, backdrops: Backdrops, *, size: int, camera: bool = False) -> None:
        self._files = mesh_classes(assets) if assets is not None else None
        self._load = lru_cache(maxsize=64)(load_mesh)
        self._backdrops = backdrops
        self._size = size
        self._patterns = PATTERNS[camera]
        self._grain = Grain(min(max(1 << (size - 1).bit_length(), 64), 256))
        background = Choice(backdrops.options, "plain", "what stands behind the floor")
        self.knobs: Mapping[str, Knob] = {**(_SIMULATED if camera else _STUDIO), "background": background}

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the shapes, or of the folders of meshes."""
        return tuple(self._files if self._files is not None else shapes.SHAPES)

    def scene(self, label: str, factors: Factors, random: Generator) -> Scene:
        """See `Family.scene`."""
        subject = self._subject(label, factors, random)
        seen = np.concatenate([part.mesh.vertices for part in subject])
        around = self._around(factors, random)
        floor = Part(_floor(factors["texture_scale"]), self._floor_material(factors, random))
        return Scene(
            parts=(*subject, *around, floor),
            camera=_camera(factors, seen),
            light=light_of(factors, _SOUTH),
            backdrop=self._backdrops.draw(factors["background"], random, self._size),
        )

    def _subject(self, label: str, factors: Factors, random: Generator) -> list[Part]:
        turn = _turned(factors["turn"])
        if self._files is not None:
            files = self._files[label]
            loaded = self._load(files[int(random.integers(len(files)))])
            return [Part(mesh.moved(turn), material, subject=True) for mesh, material in loaded]
        pieces = shapes.build(label, random, factors["shape"])
        materials = {slot: self._material(slot, factors, random) for slot in dict.fromkeys(slot for _, slot in pieces)}
        scale = np.float32(factors["texture_scale"])
        return [
            Part(
                Mesh(mesh.vertices, mesh.normals, mesh.uv * scale, mesh.faces).moved(turn),
                materials[slot],
                subject=True,
            )
            for mesh, slot in pieces
        ]

    def _material(self, slot: str, factors: Factors, random: Generator) -> Material:
        """What a slot is made of: the body as the knobs say, everything else by what it is."""
        hue, other = factors["hue"], random.random()
        roughness = factors["roughness"]
        if slot == "metal" or (slot == "body" and factors["metallic"]):
            shade = colour(random.uniform(0.05, 0.65), random.uniform(0, 0.15), random.uniform(0.55, 0.85))
            texture = pattern("brushed", random, shade, shade * np.float32(0.7), self._grain.draw(random))
            return Material(self._stained(texture, factors, random), roughness=random.uniform(0.15, 0.4), metallic=1.0)
        if slot == "wood":
            first = colour(random.uniform(0.04, 0.11), random.uniform(0.4, 0.7), random.uniform(0.4, 0.8))
            return Material(
                self._stained(
                    pattern("wood", random, first, first * np.float32(0.4), self._grain.draw(random)), factors, random
                )
            )
        if slot in ("paper", "label"):
            first = colour(other, random.uniform(0, 0.15), random.uniform(0.8, 0.95))
            name = "plain" if slot == "paper" else str(random.choice(self._patterns))
            return Material(
                pattern(name, random, first, colour(other, 0.6, 0.5), self._grain.draw(random)), roughness=0.9
            )
        if slot == "body":
            first, name = colour(hue, factors["saturation"], factors["value"]), factors["pattern"]
        else:
            first = colour(hue + 0.2 + 0.6 * other, random.uniform(0.05, 0.85), random.uniform(0.2, 0.9))
            name = str(random.choice(self._patterns))
        texture = pattern(name, random, first, _second(first, random), self._grain.draw(random))
        return Material(self._stained(texture, factors, random), roughness=roughness)

    def _floor_material(self, factors: Factors, random: Generator) -> Material:
        first = colour(factors["floor_hue"], factors["floor_saturation"], factors["floor_value"])
        texture = pattern(factors["floor_pattern"], random, first, _second(first, random), self._grain.draw(random))
        return Material(self._stained(texture, factors, random), roughness=0.9)

    def _stained(self, texture: Array, factors: Factors, random: Generator) -> Array:
        if not factors["dirt"]:
            return texture
        stains = np.clip(4 * self._grain.draw(random) - 2, 0, 1)[..., None]
        return np.asarray(texture * (1 - np.float32(factors["dirt"]) * stains), np.float32)

    def _around(self, factors: Factors, random: Generator) -> list[Part]:
        """Things that are no class: beside and behind the subject, and in front of it."""
        places = []
        for _ in range(int(factors["clutter"])):
            angle, reach = np.deg2rad(random.uniform(-20, 200)), random.uniform(0.75, 1.3)  # not between us and it
            places.append((reach * np.cos(angle), reach * np.sin(angle), random.uniform(0.25, 0.6)))
        if factors["occlusion"]:
            places.append((random.uniform(-0.25, 0.25), -random.uniform(0.6, 0.8), factors["occlusion"]))
        parts = []
        for x, y, size in places:
            hue, name = random.random(), str(random.choice(self._patterns))
            first = colour(hue, random.uniform(0.05, 0.85), random.uniform(0.2, 0.9))
            material = Material(
                pattern(name, random, first, _second(first, random), self._grain.draw(random)),
                roughness=random.uniform(0.2, 0.9),
            )
            shift = _turned(random.uniform(0, 360), size)
            shift[:2, 3] = x, y
            parts.append(Part(_clutter(random).moved(shift), material))
        return parts


def _clutter(random: Generator) -> Mesh:
    kind = int(random.integers(3))
    if kind == 0:
        return solids.to_mesh(solids.box(1.0, random.uniform(0.3, 1.0), random.uniform(0.2, 1.0)))
    if kind == 1:
        return solids.to_mesh(solids.sphere(0.5).translate((0.0, 0.0, 0.5)))
    return solids.to_mesh(solids.cylinder(random.uniform(0.3, 1.0), 0.3))


def _camera(factors: Factors, seen: Array) -> Camera:
    """Just so far away that the subject fills its share, and never below the floor. seen: (V, 3)."""
    elevation, roll = np.deg2rad(factors["elevation"]), np.deg2rad(factors["roll"])
    forward = np.array([0.0, np.cos(elevation), -np.sin(elevation)])
    axes = np.array([[1.0, 0.0, 0.0], [0.0, np.sin(elevation), np.cos(elevation)]])  # right and up of the image
    slope = np.tan(np.deg2rad(factors["field_of_view"]) / 2)  # half the image's side at a distance of 1
    across, depth = seen @ axes.T, seen @ forward  # (V, 2), (V,)
    middle = np.array([*(across.min(0) + across.max(0)) / 2, (depth.min() + depth.max()) / 2])
    for _ in range(3):  # what is near looks larger: the middle of the image is not that of the subject
        # |x| / (distance + depth) <= fill * slope for every vertex, and for y
        away = depth - middle[2]
        distance = float((np.abs(across - middle[:2]).max(1) / (factors["fill"] * slope) - away).max())
        shown = (across - middle[:2]) / (distance + away)[:, None]
        middle[:2] += (shown.min(0) + shown.max(0)) / 2 * distance
    shift = 2 * slope * distance * np.array([factors["offset_x"], factors["offset_y"]]) @ axes
    target = middle[:2] @ axes + middle[2] * forward - shift
    eye = target - distance * forward
    eye[2] = max(eye[2], 0.08)
    up = np.cos(roll) * axes[1] + np.sin(roll) * axes[0]
    return Camera(tuple(eye.tolist()), tuple(target.tolist()), tuple(up.tolist()), factors["field_of_view"])


def _floor(repeats: float) -> Mesh:
    corners = np.array([[-1, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]], np.float32) * np.float32(_FLOOR)
    uv = corners[:, :2] * np.float32(0.6 * repeats)
    normals = np.tile(np.array([0, 0, 1], np.float32), (4, 1))
    return Mesh(corners, normals, uv, np.array([[0, 1, 2], [0, 2, 3]], np.int32))


def _turned(degrees: float, scale: float = 1.0) -> np.ndarray:
    cos, sin = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    matrix = np.eye(4)
    matrix[:3, :3] = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]]) * scale
    return matrix


def _second(first: Array, random: Generator) -> Array:
    """A colour that goes with another in a pattern: darker or lighter, and a little off."""
    shade = first * np.float32(random.uniform(0.25, 0.6)) + np.float32(random.uniform(0, 0.08))
    return np.asarray(shade if first.mean() > 0.1 else 1 - 0.5 * (1 - shade), np.float32)
