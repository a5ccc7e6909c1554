"""Objects on a floor: 25 everyday classes made of parameters, or the user's own meshes.

The subject stands on the floor at the origin, its longest diagonal 1; the camera looks at it from the south (-y).
"""

__all__ = ["Objects"]

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.random import Generator

from weighbridge.render import shapes, solids
from weighbridge.render.family import FACING, LIGHT, light_of
from weighbridge.render.meshes import load_mesh, mesh_classes, orientation_of
from weighbridge.render.orientation import Axis, Orientation, read_orientations
from weighbridge.render.recipe import Choice, Factors, Knob, Range
from weighbridge.render.scene import Array, Camera, Material, Mesh, Part, Scene
from weighbridge.render.sensor import CAMERA, SENSOR, SHARPENING
from weighbridge.render.textures import PATTERNS, Backdrops, Grain, colour, pattern, plain, texels

_OWN_LOOK = {  # what meshes of the user's bring themselves
    *("shape", "hue", "saturation", "value", "pattern", "roughness", "metallic", "wood_value"),
    *("accent_hue", "accent_saturation", "accent_value", "accent_pattern", "metal_value", "metal_roughness"),
}

# Clean renders: what an engine puts out, with hardly any camera in it.
_STUDIO: Mapping[str, Knob] = {
    **SENSOR,
    "exposure": Range(-0.4, 0.4, 0.0, "stops brighter than the light would make it"),
    "contrast": Range(0.0, 0.3, 0.0, "S-curve around the middle, above 0 harder", least=-1.0, most=1.0),
    "warmth": Range(-0.05, 0.05, 0.0, "white balance, above 0 redder: log of red over green"),
    "tint": Range(-0.02, 0.02, 0.0, "white balance, above 0 greener: log of green"),
    "haze": Range(0.0, 0.15, 0.0, "share of light that was scattered on its way", chance=0.2),
    "blur": Range(0.2, 0.5, 0.0, "lens out of focus: deviation in % of the side", chance=0.3),
    "motion": Range(1.0, 4.0, 0.0, "camera moved: length in % of the side", chance=0.05),
    "resolution": Range(
        0.6, 1.0, 1.0, "pixels that the sensor had, as a share of the side", chance=0.0, least=0.05, most=1.0
    ),
    "noise": Range(0.0, 0.01, 0.0, "deviation of sensor noise at white, in [0, 1]", chance=0.3),
    "black": Range(0.0, 0.05, 0.0, "what black is shown as, in [0, 1]", chance=0.0, most=0.9),
    "jpeg": Range(70.0, 98.0, 100.0, "JPEG quality; 100 is none", chance=0.2, whole=True, least=1.0, most=100.0),
    **LIGHT,
    "sun_azimuth": Range(-100.0, 100.0, 35.0, "degrees to the left of the camera; beyond 90 from behind the subject"),
    "sun": Range(0.3, 1.1, 0.7, "what a white surface that faces the sun reflects of it"),
    "sky": Range(0.2, 0.6, 0.4, "what a white surface that faces up reflects of the sky"),
    "turn": Range(-180.0, 180.0, 30.0, "subject turned about the vertical, degrees"),
    "elevation": Range(14.0, 62.0, 35.0, "camera above the horizon, degrees"),
    "roll": Range(-6.0, 6.0, 0.0, "camera turned about its own axis, degrees"),
    "distance": Range(1.3, 2.2, 1.6, "of the camera, in sizes of the subject; the lens follows", least=0.8),
    "fill": Range(0.65, 0.92, 0.8, "longer side of the subject as it is seen, as a share of the side", least=0.05),
    "offset_x": Range(-0.05, 0.05, 0.0, "subject to the right of the middle, share of the side"),
    "offset_y": Range(-0.05, 0.05, 0.0, "subject above the middle, share of the side"),
    "shape": Range(1.0, 1.0, 0.0, "how far proportions leave those of the nominal object; 1 is all of their range"),
    "hue": Range(0.0, 1.0, 0.6, "of the body, in turns from red"),
    "saturation": Range(0.05, 0.85, 0.5, "of the body"),
    "value": Range(0.3, 0.95, 0.6, "of the body, as screens show it"),
    "pattern": Choice(tuple(PATTERNS[0]), "plain", "what the body wears"),
    "accent_hue": Range(0.0, 1.0, 0.05, "of parts of another colour, in turns from red"),
    "accent_saturation": Range(0.05, 0.85, 0.5, "of parts of another colour"),
    "accent_value": Range(0.2, 0.95, 0.5, "of parts of another colour, as screens show it"),
    "accent_pattern": Choice(tuple(PATTERNS[0]), "plain", "what parts of another colour wear"),
    "wood_value": Range(0.4, 0.8, 0.6, "of wooden parts, as screens show it"),
    "metal_value": Range(0.5, 0.85, 0.7, "of metal parts, as screens show it"),
    "metal_roughness": Range(0.15, 0.4, 0.3, "of metal parts"),
    "texture_scale": Range(0.8, 2.5, 1.5, "repeats of a texture along the subject"),
    "roughness": Range(0.2, 0.8, 0.5, "0.05 mirrors, 1 is matt"),
    "metallic": Range(1.0, 1.0, 0.0, "1: the body is of metal", chance=0.15, whole=True),
    "floor_reach": Range(0.6, 2.5, 2.5, "from the subject to the floor's edges, in sizes of the subject", least=0.1),
    "floor_hue": Range(0.0, 1.0, 0.1, "of the floor, in turns from red"),
    "floor_saturation": Range(0.05, 0.7, 0.25, "of the floor"),
    "floor_value": Range(0.35, 0.9, 0.6, "of the floor, as screens show it"),
    "floor_pattern": Choice(tuple(PATTERNS[0]), "plain", "what the floor wears"),
    "background_hue": Range(0.0, 1.0, 0.6, "of a plain background, in turns from red"),
    "background_saturation": Range(0.0, 0.6, 0.15, "of a plain background"),
    "background_value": Range(0.2, 1.0, 0.75, "of a plain background, as screens show it"),
    "dirt": Range(0.2, 0.8, 0.0, "share of light that stains take", chance=0.15, most=1.0),
    "clutter": Range(1.0, 3.0, 0.0, "blocks, balls and cylinders around the subject", chance=0.2, whole=True),
    "occlusion": Range(0.1, 0.3, 0.0, "width of a block in front, in sizes of the subject", chance=0.1),
}

# What stands in for photos: other textures, lights and clutter, seen through a camera.
_SIMULATED: Mapping[str, Knob] = {
    **_STUDIO,
    **CAMERA,
    "haze": Range(0.0, 0.2, 0.0, "share of light that was scattered on its way", chance=0.2),
    "motion": Range(1.0, 6.0, 0.0, "camera moved: length in % of the side", chance=0.2),
    "resolution": Range(
        0.6, 1.0, 1.0, "pixels that the sensor had, as a share of the side", chance=0.3, least=0.05, most=1.0
    ),
    "sun": Range(0.0, 1.3, 0.7, "what a white surface that faces the sun reflects of it"),
    "sun_warmth": Range(-0.15, 0.4, 0.08, "how much redder than blue the sun is: log of red over green"),
    "sky": Range(0.15, 0.7, 0.4, "what a white surface that faces up reflects of the sky"),
    "sky_warmth": Range(-0.3, 0.3, -0.08, "log of red over green of the sky"),
    "elevation": Range(8.0, 68.0, 35.0, "camera above the horizon, degrees"),
    "roll": Range(-12.0, 12.0, 0.0, "camera turned about its own axis, degrees"),
    "distance": Range(1.0, 2.6, 1.6, "of the camera, in sizes of the subject; the lens follows", least=0.8),
    "fill": Range(0.55, 0.92, 0.75, "longer side of the subject as it is seen, as a share of the side", least=0.05),
    "offset_x": Range(-0.1, 0.1, 0.0, "subject to the right of the middle, share of the side"),
    "offset_y": Range(-0.1, 0.1, 0.0, "subject above the middle, share of the side"),
    "pattern": Choice(tuple(PATTERNS[1]), "plain", "what the body wears"),
    "accent_pattern": Choice(tuple(PATTERNS[1]), "plain", "what parts of another colour wear"),
    "floor_pattern": Choice(tuple(PATTERNS[1]), "plain", "what the floor wears"),
    "dirt": Range(0.2, 0.8, 0.0, "share of light that stains take", chance=0.4, most=1.0),
    "clutter": Range(1.0, 4.0, 0.0, "blocks, balls and cylinders around the subject", chance=0.85, whole=True),
    "occlusion": Range(0.1, 0.35, 0.0, "width of a block in front, in sizes of the subject", chance=0.2),
}


class Objects:
    """The objects family.

    Args:
        assets: a folder with a folder of glTF, OBJ, PLY or STL meshes per class; None for the 25 classes of our own.
        backdrops: what stands behind the floor.
        size: side of the images in pixels.
        up: which way is up in the meshes, `y` or `z`; None is what their formats say, or their shapes against that.
            What orientation.csv in `assets` says of a file goes before either.
        camera: whether it is what a simulated camera sees: other textures, lights and clutter, and its sensor.

    Raises:
        DataError: if there are no meshes in `assets`, or orientation.csv there is wrong.
    """

    def __init__(
        self,
        assets: Path | None,
        backdrops: Backdrops,
        *,
        size: int,
        up: Literal["y", "z"] | None = None,
        camera: bool = False,
    ) -> None:
        self._files = mesh_classes(assets) if assets is not None else None
        self._up = up
        self._axes: dict[Path, Axis] = {}
        self._names: dict[Path, str] = {}  # below the class folder
        if assets is not None and self._files is not None:
            for label, files in self._files.items():
                self._names |= {file: file.relative_to(assets / label).as_posix() for file in files}
            self._axes = read_orientations(assets, list(self._names))
        self._load = lru_cache(maxsize=64)(load_mesh)
        self._told = lru_cache(maxsize=None)(orientation_of)
        self._backdrops = backdrops
        self._size = size
        self._patterns = PATTERNS[camera]
        self._grain = Grain(texels(size))
        background = Choice(backdrops.options, "plain", "what stands behind the floor")
        look = _SIMULATED if camera else _STUDIO
        if self._files is not None:
            look = {name: knob for name, knob in look.items() if name not in _OWN_LOOK}
        self.knobs: Mapping[str, Knob] = {**look, "background": background, **SHARPENING}
        self.notes = ("photo", "mesh", "up", "up_by") if self._files is not None else ("photo",)

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the shapes, or of the folders of meshes."""
        return tuple(self._files if self._files is not None else shapes.SHAPES)

    def scene(self, label: str, factors: Factors, random: Generator) -> Scene:
        """See `Family.scene`."""
        subject, mesh_notes = self._subject(label, factors, random)
        seen = np.concatenate([part.mesh.vertices for part in subject])
        around = self._around(factors, random)
        floor = Part(_floor(factors["floor_reach"], factors["texture_scale"]), self._material("floor", factors, random))
        backdrop, photo = self._backdrop(factors, random)
        return Scene(
            parts=(*subject, *around, floor),
            camera=_camera(factors, seen),
            light=light_of(factors, FACING),
            backdrop=backdrop,
            notes={"photo": photo, **mesh_notes},
        )

    def _subject(self, label: str, factors: Factors, random: Generator) -> tuple[list[Part], dict[str, str]]:
        """Its parts, and what is to be noted of the mesh where the user brought one."""
        turn = _turned(factors["turn"])
        if self._files is not None:
            file = self._files[label][int(random.integers(len(self._files[label])))]
            orientation = self._orientation(file)
            worn = [
                (mesh, replace(own, texture=self._stained(own.texture, factors, random)))
                for mesh, own in self._load(file, up=orientation.axis)
            ]
            notes = {"mesh": self._names[file], "up": orientation.axis, "up_by": orientation.by}
            return [Part(mesh.moved(turn), material, subject=True) for mesh, material in worn], notes
        pieces = shapes.build(label, random, factors["shape"])
        materials = {slot: self._material(slot, factors, random) for slot in dict.fromkeys(slot for _, slot in pieces)}
        scale = np.float32(factors["texture_scale"])
        return [
            Part(replace(mesh, uv=mesh.uv * scale).moved(turn), materials[slot], subject=True) for mesh, slot in pieces
        ], {}

    def _orientation(self, file: Path) -> Orientation:
        if file in self._axes:
            return Orientation(self._axes[file], "orientation.csv")
        return Orientation(self._up, "option") if self._up is not None else self._told(file)

    def _material(self, slot: str, factors: Factors, random: Generator) -> Material:
        """What a slot, or the floor, is made of."""
        name, roughness, metallic = "plain", factors.get("roughness", 0.9), 0.0
        if slot == "metal" or (slot == "body" and factors["metallic"]):
            first, name = colour(0.12, 0.06, factors["metal_value"]), "brushed"
            roughness, metallic = factors["metal_roughness"], 1.0
        elif slot == "wood":
            first, name = colour(0.08, 0.55, factors["wood_value"]), "wood"
        elif slot == "paper":
            first, roughness = colour(factors["accent_hue"], 0.08, 0.9), 0.9
        elif slot == "floor":
            first = colour(factors["floor_hue"], factors["floor_saturation"], factors["floor_value"])
            name, roughness = factors["floor_pattern"], 0.9
        elif slot == "body":
            first, name = colour(factors["hue"], factors["saturation"], factors["value"]), factors["pattern"]
        else:
            first = colour(factors["accent_hue"], factors["accent_saturation"], factors["accent_value"])
            name = factors["accent_pattern"]
        texture = pattern(name, random, first, _second(first, random), self._grain.draw(random))
        return Material(self._stained(texture, factors, random), roughness, metallic)

    def _backdrop(self, factors: Factors, random: Generator) -> tuple[Array, str]:
        if factors["background"] == "plain":
            shade = (factors[f"background_{part}"] for part in ("hue", "saturation", "value"))
            return plain(colour(*shade)), ""
        return self._backdrops.draw(factors["background"], random, self._size)

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
    """At its distance, with the lens that lets the subject fill its share, and never below the floor. seen: (V, 3)."""
    elevation, roll = np.deg2rad(factors["elevation"]), np.deg2rad(factors["roll"])
    forward = np.array([0.0, np.cos(elevation), -np.sin(elevation)])
    axes = np.array([[1.0, 0.0, 0.0], [0.0, np.sin(elevation), np.cos(elevation)]])  # right and up of the image
    across, depth = seen @ axes.T, seen @ forward  # (V, 2), (V,)
    middle = np.array([*(across.min(0) + across.max(0)) / 2, (depth.min() + depth.max()) / 2])
    distance = factors["distance"]
    away = (distance + depth - middle[2])[:, None]
    for _ in range(3):  # what is near looks larger: the middle of the image is not that of the subject
        shown = (across - middle[:2]) / away
        middle[:2] += (shown.min(0) + shown.max(0)) / 2 * distance
    slope = float(np.ptp((across - middle[:2]) / away, axis=0).max()) / factors["fill"] / 2  # half a side at distance 1
    shift = 2 * slope * distance * np.array([factors["offset_x"], factors["offset_y"]]) @ axes
    target = middle[:2] @ axes + middle[2] * forward - shift
    eye = target - distance * forward
    eye[2] = max(eye[2], 0.08)
    up = np.cos(roll) * axes[1] + np.sin(roll) * axes[0]
    field_of_view = float(np.clip(2 * np.rad2deg(np.arctan(slope)), 5, 120))
    return Camera(tuple(eye.tolist()), tuple(target.tolist()), tuple(up.tolist()), field_of_view)


def _floor(reach: float, repeats: float) -> Mesh:
    corners = np.array([[-1, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]], np.float32) * np.float32(reach)
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
