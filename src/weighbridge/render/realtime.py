"""The real-time quality: what a cheap game engine shows.

Textures of few texels, a hemisphere of ambient light, one sun with a hard shadow from a depth map, a Blinn-Phong
highlight. No light that has met a surface lights another.

Legend: K parts, S side of the image, S' = S * supersample, N samples that hit something, M side of the shadow map.
"""

__all__ = ["MATT", "Guides", "backdrop", "guides", "render", "sky_radiance"]

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from weighbridge.render.raster import GBuffer, ShadowMap, geometry, rasterize, shadow_map, view
from weighbridge.render.scene import Array, Light, Material, Scene

MATT = 0.9  # from this roughness on a surface that is not of metal has no highlight, in both renderers
_HORIZON = 0.2  # the sky passes into the ground within this sine of the angle above and below the horizon
_DIELECTRIC = 0.04  # share of light that plastic, paint or glass mirrors


@dataclass(frozen=True, eq=False)
class Guides:
    """What is known of an image without any light.

    Attributes:
        albedo: (S, S, 3), 0 where nothing is.
        normal: (S, S, 3), in the world and towards the camera, 0 where nothing is.
        coverage: (S, S), share of a pixel in which any part is.
        mask: (S, S), share of a pixel in which the subject is seen.
        box: left, top, right, bottom of the subject in pixels, the last two exclusive; four zeros where it is not seen.
    """

    albedo: Array
    normal: Array
    coverage: Array
    mask: Array
    box: tuple[int, int, int, int]


def render(scene: Scene, size: int, *, supersample: int = 2, texture_size: int = 64, shadow_size: int = 256) -> Array:
    """The scene's radiance.

    Args:
        size: S, side of the image in pixels.
        supersample: samples along a pixel's side.
        texture_size: textures are halved until they have at most this side.
        shadow_size: M, side of the shadow map in texels.

    Returns:
        (S, S, 3) float32, linear.
    """
    solid, seen, side = geometry(scene.parts), view(scene.camera), size * supersample
    buffer = rasterize(solid, seen, side)
    planes = np.zeros((3, side * side), np.float32)
    hit = np.flatnonzero(buffer.part >= 0)  # (N,)
    if len(hit):
        materials = [part.material for part in scene.parts]
        shadow = shadow_map(solid, scene.light.towards_sun, shadow_size)
        planes[:, hit] = _shade(buffer, hit, materials, scene.light, seen.eye, shadow, texture_size)
    image = _shrunk(planes, size)
    if len(hit) < side * side:
        coverage = _shrunk((buffer.part >= 0).astype(np.float32).reshape(1, -1), size)
        image += (1 - coverage)[..., None] * backdrop(scene.backdrop, size)
    return image


def guides(scene: Scene, size: int, *, supersample: int = 2, texture_size: int = 128) -> Guides:
    """Albedo, normals, mask and box of the image that either renderer makes of the scene."""
    seen, side = view(scene.camera), size * supersample
    buffer = rasterize(geometry(scene.parts), seen, side)
    hit = np.flatnonzero(buffer.part >= 0)
    albedo, normal = np.zeros((2, 3, side * side), np.float32)
    mask = np.zeros((1, side * side), np.float32)
    if len(hit):
        part = buffer.part.reshape(-1)[hit]
        albedo[:, hit] = _albedo(buffer, hit, part, [each.material for each in scene.parts], texture_size)
        normal[:, hit] = _facing(buffer, hit, _towards_eye(buffer, hit, seen.eye))
        mask[0, hit] = np.asarray([each.subject for each in scene.parts], np.float32)[part]
    mask = _shrunk(mask, size)
    coverage = _shrunk((buffer.part >= 0).astype(np.float32).reshape(1, -1), size)
    return Guides(_shrunk(albedo, size), _shrunk(normal, size), coverage, mask, _box(mask))


def backdrop(image: Array, size: int) -> Array:
    """(H, W, 3) stretched to (S, S, 3)."""
    shrinks = image.shape[0] > size or image.shape[1] > size
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, (size, size), interpolation=method), np.float32).reshape(size, size, 3)


def sky_radiance(light: Light, height: Array) -> Array:
    """Radiance of the surroundings without the sun.

    Above the horizon sky, below it ground: the one distribution that lights a surface by the hemisphere rule, ground +
    (sky - ground) * (1 + normal z) / 2, whichever way it faces.

    Args:
        height: any shape, z of a direction of length 1.

    Returns:
        (3, ...), one more axis in front.
    """
    sky, ground = np.asarray(light.sky, np.float32), np.asarray(light.ground, np.float32)
    # the soft horizon takes a little light away, which the division gives back: 2 * integral of g(z) z over 0 to 1 is 1
    upwards = np.clip(height / np.float32(_HORIZON), -1, 1) / np.float32(1 - _HORIZON**2 / 3)
    radiance = np.multiply.outer((sky - ground) / 2, upwards)
    radiance += ((sky + ground) / 2).reshape(3, *(1,) * np.ndim(height))
    return np.maximum(radiance, 0, out=radiance)


def _shade(
    buffer: GBuffer,
    hit: NDArray[np.intp],
    materials: Sequence[Material],
    light: Light,
    eye: Array,
    shadow: ShadowMap,
    texture_size: int,
) -> Array:
    """(3, N), the radiance of the samples that hit something."""
    part = buffer.part.reshape(-1)[hit]
    albedo = _albedo(buffer, hit, part, materials, texture_size)  # (3, N)
    towards_eye = _towards_eye(buffer, hit, eye)  # (3, N)
    normal = _facing(buffer, hit, towards_eye)  # (3, N)
    sun_colour = np.asarray(light.sun, np.float32)[:, None]
    ground = np.asarray(light.ground, np.float32)[:, None]
    half_difference = (np.asarray(light.sky, np.float32)[:, None] - ground) / 2

    received = half_difference * normal[2] + (ground + half_difference)  # hemisphere
    sunny = shadow.towards_sun @ normal
    lit = np.flatnonzero(sunny > 0)
    lit = lit[_in_sun(buffer.position.reshape(-1, 3)[hit[lit]], normal[:, lit], shadow)]
    sun = np.zeros_like(sunny)
    sun[lit] = sunny[lit]
    received += sun_colour * sun

    metallic = np.asarray([material.metallic for material in materials], np.float32)
    emission = np.asarray([material.emission for material in materials], np.float32)
    radiance = albedo * received
    if metallic.any():
        mirrors = np.flatnonzero(metallic[part] > 0)
        seen, straight = towards_eye[:, mirrors], normal[:, mirrors]
        height = 2 * np.einsum("in,in->n", seen, straight) * straight[2] - seen[2]
        mirrored = albedo[:, mirrors] * sky_radiance(light, height)
        radiance[:, mirrors] += metallic[part[mirrors]] * (mirrored - radiance[:, mirrors])
    radiance[:, lit] += (
        sun_colour
        * _highlight(albedo[:, lit], normal[:, lit], towards_eye[:, lit], part[lit], materials, shadow)
        * sun[lit]
    )
    if emission.any():
        radiance += albedo * emission[part]
    return radiance


def _highlight(
    albedo: Array,
    normal: Array,
    towards_eye: Array,
    part: NDArray[np.int32],
    materials: Sequence[Material],
    shadow: ShadowMap,
) -> Array:
    """(3, N), what a surface mirrors of a sun that reflects 1 from a white one: Blinn-Phong, its power kept."""
    halfway = towards_eye + shadow.towards_sun[:, None]
    cosine = np.einsum("in,in->n", halfway, normal)
    cosine /= np.sqrt(np.einsum("in,in->n", halfway, halfway)) + np.float32(1e-6)
    np.clip(cosine, 1e-4, 1, out=cosine)
    roughness = np.asarray([max(material.roughness, 0.12) for material in materials], np.float32)
    metallic = np.asarray([material.metallic for material in materials], np.float32)
    exponent = 2 / roughness**4 - 2
    shines = np.where((roughness < MATT) | (metallic > 0), np.float32(1 / 8), np.float32(0))
    strength = (exponent + 2) * shines
    lobe = np.exp(np.log(cosine) * exponent[part]) * strength[part]
    metal = metallic[part]
    mirrored = albedo * metal + _DIELECTRIC * (1 - metal)
    return np.asarray(mirrored * lobe, np.float32)


def _in_sun(position: Array, normal: Array, shadow: ShadowMap) -> NDArray[np.bool_]:
    """(N,) whether nothing lies between the positions (N, 3) and the sun; so outside the map."""
    side = len(shadow.nearness)
    lifted = position + normal.T * np.float32(1.5 * shadow.texel)  # off its own surface
    column, row, nearness = (lifted @ shadow.to_map[:3] + shadow.to_map[3]).T
    inside = (column >= 0) & (column < side) & (row >= 0) & (row < side)
    column, row = np.where(inside, column, 0).astype(np.intp), np.where(inside, row, 0).astype(np.intp)
    first = shadow.nearness.reshape(-1)[row * side + column]
    return np.asarray(~inside | (first <= nearness + np.float32(shadow.bias)), np.bool_)


def _towards_eye(buffer: GBuffer, hit: NDArray[np.intp], eye: Array) -> Array:
    """(3, N), of length 1."""
    direction = (eye - buffer.position.reshape(-1, 3)[hit]).T.copy()
    direction /= np.sqrt(np.einsum("in,in->n", direction, direction))
    return direction


def _facing(buffer: GBuffer, hit: NDArray[np.intp], towards_eye: Array) -> Array:
    """(3, N), the normals, of length 1 and turned to the eye."""
    normal = buffer.normal.reshape(-1, 3)[hit].T.copy()
    length = np.sqrt(np.einsum("in,in->n", normal, normal)) + np.float32(1e-12)
    normal /= np.copysign(length, np.einsum("in,in->n", normal, towards_eye))
    return normal


def _albedo(
    buffer: GBuffer, hit: NDArray[np.intp], part: NDArray[np.int32], materials: Sequence[Material], texture_size: int
) -> Array:
    """(3, N), from the textures, between texels in straight lines."""
    small = [_halved(material.texture, texture_size) for material in materials]
    sides = np.asarray([len(texture) for texture in small], np.float32)
    tops = np.cumsum([0, *(len(texture) + 2 for texture in small)])
    # one sheet with all textures below each other, each with a rim of its opposite texels
    sheet = np.zeros((int(tops[-1]), int(sides.max()) + 2, 3), np.float32)
    for texture, top in zip(small, tops, strict=False):
        side = len(texture)
        sheet[top : top + side + 2, : side + 2] = cv2.copyMakeBorder(texture, 1, 1, 1, 1, cv2.BORDER_WRAP)
    uv = buffer.uv.reshape(-1, 2)[hit].T
    uv = (uv - np.floor(uv)) * sides[part] + np.float32(0.5)
    uv[1] += tops[part].astype(np.float32)
    width = 256  # OpenCV takes no more than 32,767 in a row
    padded = np.zeros((2, -(-len(hit) // width) * width), np.float32)
    padded[:, : len(hit)] = uv
    columns, rows = padded.reshape(2, -1, width)
    colours = cv2.remap(sheet, columns, rows, cv2.INTER_LINEAR)
    return np.ascontiguousarray(colours.reshape(-1, 3)[: len(hit)].T)


def _halved(texture: Array, side: int) -> Array:
    """The texture, halved until it has at most this side."""
    own = len(texture)
    while own > side:
        own = (own + 1) // 2
    if own == len(texture):
        return texture
    return np.asarray(cv2.resize(texture, (own, own), interpolation=cv2.INTER_AREA), np.float32)


def _shrunk(planes: Array, size: int) -> Array:
    """(C, S' * S') -> (S, S, C), or (S, S) where C is 1: the mean of each pixel's samples."""
    side = round(planes.shape[1] ** 0.5)
    small = [cv2.resize(plane.reshape(side, side), (size, size), interpolation=cv2.INTER_AREA) for plane in planes]
    return np.asarray(small[0] if len(small) == 1 else cv2.merge(small), np.float32)


def _box(mask: Array) -> tuple[int, int, int, int]:
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return (0, 0, 0, 0)
    return (int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)
