"""The pre-rendered quality: path tracing with Mitsuba 3, denoised with Open Image Denoise.

Full textures, physically based surfaces, light that has met other surfaces, and soft shadows: the sun and the sky are
one image of the surroundings.

Legend: S side of the image, W x H texels of the surroundings.
"""

__all__ = ["render", "surroundings"]

from functools import cache, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from weighbridge.errors import RenderError
from weighbridge.render.probe import mitsuba, oidn
from weighbridge.render.realtime import MATT, ROUGHNESS_FLOOR, Guides, backdrop, guides, sky_radiance
from weighbridge.render.scene import Array, Camera, Light, Material, Mesh, Scene, unit

DEPTH = 5  # light meets at most four surfaces between the sun and the camera
_WIDTH, _HEIGHT = 128, 65  # of the surroundings: texels of 2.8 degrees, the middle row on the horizon of the map


def render(
    scene: Scene, size: int, *, samples: int, seed: int, variant: str = "scalar_rgb", denoise: bool = True
) -> Array:
    """The scene's radiance.

    Args:
        size: S, side of the image in pixels.
        samples: paths a pixel; 4, 9, 12 and 16 spread best.
        seed: 0 to 2**32 - 1; the same seed gives the same bytes.
        variant: of Mitsuba; one for the life of a process.
        denoise: whether noise is taken out.

    Returns:
        (S, S, 3) float32, linear.
    """
    mi = mitsuba(variant)
    traced = np.array(mi.render(_built(mi, scene, size, samples), spp=samples, seed=seed), np.float32)  # (S, S, 4)
    behind = backdrop(scene.backdrop, size)
    known = guides(scene, size)
    image = traced[..., :3] + (1 - traced[..., 3:]) * behind
    if known.lamps.any():  # Mitsuba hides lamps with the sky
        image += known.lamps[..., None] * (known.emission - image)
    if denoise:
        image = _denoised(image, known, behind)
        image[known.coverage == 0] = behind[known.coverage == 0]
    return image


def surroundings(light: Light) -> tuple[Array, NDArray[np.float64]]:
    """Sun and sky as Mitsuba's environment map, the sun in the middle where texels are square.

    Returns:
        The map, (H, W, 3), and the turn from the map's axes to the world's, (3, 3).
    """
    sun = unit(light.towards_sun)
    right = unit(np.cross((0.0, 0.0, 1.0) if abs(sun[2]) < 0.99 else (0.0, 1.0, 0.0), sun))
    turn = np.stack([right, np.cross(sun, right), sun], axis=1)  # the map's z is the sun
    directions, solid_angle, texel = _texels()
    radiance = np.moveaxis(sky_radiance(light, directions @ turn[2].astype(np.float32)), 0, 2)
    cosine = directions[..., 2]
    angle = np.arccos(np.clip(cosine, -1, 1))
    radius = max(np.radians(light.softness), texel)
    disc = np.clip((radius - angle) / texel + 0.5, 0, 1)
    received = float((disc * cosine * solid_angle).sum())  # by a surface that faces a disc of radiance 1
    radiance += disc[..., None] * np.asarray(light.sun, np.float32) * np.float32(np.pi / received)
    return np.ascontiguousarray(radiance, np.float32), turn


@cache
def _texels() -> tuple[Array, Array, float]:
    """Directions (H, W, 3) of the map's texels, their solid angles (H, W), and the side of one in radians."""
    polar = np.linspace(0, np.pi, _HEIGHT)[:, None]  # rows reach from pole to pole
    azimuth = (np.arange(_WIDTH) + 0.5)[None] / _WIDTH * 2 * np.pi
    around = np.broadcast_to(np.cos(polar), (_HEIGHT, _WIDTH))
    directions = np.stack([np.sin(azimuth) * np.sin(polar), around, -np.cos(azimuth) * np.sin(polar)], axis=2)
    texel = np.pi / (_HEIGHT - 1)
    solid_angle = np.broadcast_to(np.sin(polar) * texel * (2 * np.pi / _WIDTH), (_HEIGHT, _WIDTH))
    return directions.astype(np.float32), solid_angle.astype(np.float32), texel


def _built(mi: Any, scene: Scene, size: int, samples: int) -> Any:
    radiance, turn = surroundings(scene.light)
    to_world = np.eye(4)
    to_world[:3, :3] = turn
    content = {
        "type": "scene",
        "integrator": {
            "type": "path",
            "max_depth": DEPTH,
            "rr_depth": DEPTH,
            "hide_emitters": True,
            "block_size": 64,
        },
        "sensor": _sensor(mi, scene.camera, size, samples),
        "surroundings": {
            "type": "envmap",
            "bitmap": mi.Bitmap(radiance),
            "to_world": mi.ScalarTransform4f(to_world),
        },
    }
    for number, part in enumerate(scene.parts):
        content[f"part{number}"] = _shape(mi, f"part{number}", part.mesh, part.material)
    return mi.load_dict(content)


def _sensor(mi: Any, camera: Camera, size: int, samples: int) -> dict[str, Any]:
    return {
        "type": "perspective",
        "fov": camera.field_of_view,
        "to_world": mi.ScalarTransform4f().look_at(origin=camera.eye, target=camera.target, up=camera.up),
        "near_clip": 0.02,
        "far_clip": 1e4,
        "film": {
            "type": "hdrfilm",
            "width": size,
            "height": size,
            "pixel_format": "rgba",
            "rfilter": {"type": "box"},
        },
        # 9 of these are as good as 27 independent ones, for a fifth more time
        "sampler": {"type": "multijitter", "sample_count": samples},
    }


def _shape(mi: Any, name: str, mesh: Mesh, material: Material) -> Any:
    properties = mi.Properties()
    properties["bsdf"] = mi.load_dict(_surface(mi, material))
    if material.emission > 0:
        texture = _texture(mi, material.texture * np.float32(material.emission))
        properties["emitter"] = mi.load_dict({"type": "area", "radiance": texture})
    shape = mi.Mesh(
        name, len(mesh.vertices), len(mesh.faces), has_vertex_normals=True, has_vertex_texcoords=True, props=properties
    )
    buffers = mi.traverse(shape)
    buffers["vertex_positions"] = np.ascontiguousarray(mesh.vertices, np.float32).reshape(-1)
    buffers["vertex_normals"] = np.ascontiguousarray(mesh.normals, np.float32).reshape(-1)
    buffers["vertex_texcoords"] = np.ascontiguousarray(mesh.uv, np.float32).reshape(-1)
    buffers["faces"] = np.ascontiguousarray(mesh.faces, np.uint32).reshape(-1)
    buffers.update()
    return shape


def _surface(mi: Any, material: Material) -> dict[str, Any]:
    texture = _texture(mi, material.texture)
    if material.roughness >= MATT and not material.metallic:
        return {"type": "twosided", "surface": {"type": "diffuse", "reflectance": texture}}
    return {
        "type": "twosided",
        "surface": {
            "type": "principled",
            "base_color": texture,
            "roughness": max(material.roughness, ROUGHNESS_FLOOR),
            "metallic": material.metallic,
            "specular": 0.5,
        },
    }


def _texture(mi: Any, texture: Array) -> dict[str, Any]:
    if texture.shape[:2] == (1, 1):
        return {"type": "rgb", "value": texture[0, 0].tolist()}
    return {"type": "bitmap", "bitmap": mi.Bitmap(np.ascontiguousarray(texture, np.float32)), "raw": True}


class _Denoiser:
    """Open Image Denoise for images of one size, on one thread. Its arrays stay bound; each image is copied in."""

    def __init__(self, size: int) -> None:
        pyoidn = oidn()
        self.device = _device()
        self.color, self.albedo, self.normal, self.output = np.zeros((4, size, size, 3), np.float32)
        self.filter = pyoidn.Filter(self.device, pyoidn.OIDN_FILTER_TYPE_RT)
        for name, array in (
            (pyoidn.OIDN_IMAGE_COLOR, self.color),
            (pyoidn.OIDN_IMAGE_ALBEDO, self.albedo),
            (pyoidn.OIDN_IMAGE_NORMAL, self.normal),
            (pyoidn.OIDN_IMAGE_OUTPUT, self.output),
        ):
            self.filter.set_image(name, array, pyoidn.OIDN_FORMAT_FLOAT3)
        self.filter.set_bool("hdr", True)
        # the larger networks, for clean guides and high quality, take two to three times as long and err no less
        self.filter.set_bool("cleanAux", False)
        self.filter.set_quality(pyoidn.OIDN_QUALITY_BALANCED)
        self.filter.commit()
        _check(self.device)

    def run(self, image: Array, albedo: Array, normal: Array) -> Array:
        self.color[:], self.albedo[:], self.normal[:] = image, albedo, normal
        self.filter.execute()
        _check(self.device)
        return self.output.copy()


@cache
def _device() -> Any:
    pyoidn = oidn()
    device = pyoidn.Device(pyoidn.OIDN_DEVICE_TYPE_CPU)
    device.set_int("numThreads", 1)
    device.set_bool("setAffinity", False)
    device.commit()
    _check(device)
    return device


def _check(device: Any) -> None:
    message = device.get_error()
    if message is not None:
        raise RenderError(f"Open Image Denoise failed: {message}")


@lru_cache(maxsize=4)
def _denoiser(size: int) -> _Denoiser:
    return _Denoiser(size)


def _denoised(image: Array, known: Guides, behind: Array) -> Array:
    albedo = known.albedo + (1 - known.coverage[..., None]) * behind
    return _denoiser(image.shape[0]).run(image, np.clip(albedo, 0, 1), known.normal)
