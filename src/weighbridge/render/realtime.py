"""The real-time quality: what a cheap game engine shows.

Textures of few texels, a hemisphere of ambient light, one sun with a hard shadow from a depth map, a Blinn-Phong
highlight. No light that has met a surface lights another.

Legend: S side of the image, S' = S * supersample, N samples that hit something, M side of the shadow map.
"""

__all__ = ["MATT", "ROUGHNESS_FLOOR", "Guides", "backdrop", "guides", "render", "sky_radiance"]

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from weighbridge.render.raster import GBuffer, ShadowMap, frame_of, geometry, planes, rasterize, remapped, shadow_map
from weighbridge.render.scene import Array, Light, Material, Scene

MATT = 0.9  # from this roughness on a surface that is not of metal has no highlight, in both renderers
_HORIZON = 0.2  # the sky passes into the ground within this sine of the angle above and below the horizon
ROUGHNESS_FLOOR = 0.12  # smoother metal would sparkle with the path tracer's few samples
_DIELECTRIC = 0.04  # share of light that plastic, paint or glass mirrors


@dataclass(frozen=True, eq=False)
class Guides:
    """What is known of an image without any light.

    Attributes:
        albedo: (S, S, 3), 0 where nothing is.
        normal: (S, S, 3), in the world and towards the camera, 0 where nothing is.
        coverage: (S, S), share of a pixel in which any part is.
        mask: (S, S), share of a pixel in which the subject is seen.
        emission: (S, S, 3), the radiance of the lamps that are seen, per share of a pixel in which they are.
        lamps: (S, S), that share.
        box: left, top, right, bottom of the subject in pixels, the last two exclusive; four zeros where it is not seen.
    """

    albedo: Array
    normal: Array
    coverage: Array
    mask: Array
    emission: Array
    lamps: Array
    box: tuple[int, int, int, int]


def render(
    scene: Scene, size: int, *, supersample: int = 2, texture_size: int = 64, shadow_size: int | None = None
) -> Array:
    """The scene's radiance.

    Args:
        size: S, side of the image in pixels.
        supersample: samples along a pixel's side.
        texture_size: textures are halved until they have at most this side.
        shadow_size: M, side of the shadow map in texels; None for twice the image's, 64 to 256.

    Returns:
        (S, S, 3) float32, linear.
    """
    solid = geometry(scene.parts)
    buffer = rasterize(solid, frame_of(scene.camera), size * supersample)
    if not len(buffer.hit):
        return backdrop(scene.backdrop, size)
    shadow = shadow_map(solid, scene.light.towards_sun, shadow_size or min(max(2 * size, 64), 256))
    radiance = _shade(buffer, [part.material for part in scene.parts], scene.light, shadow, texture_size)
    image = _shrunk(buffer.image(radiance), size)
    if len(buffer.hit) < buffer.side**2:
        image += (1 - _coverage(buffer, size))[..., None] * backdrop(scene.backdrop, size)
    return image


def guides(scene: Scene, size: int, *, supersample: int = 2, texture_size: int = 128) -> Guides:
    """Albedo, normals, mask and box of the image that either renderer makes of the scene."""
    buffer = rasterize(geometry(scene.parts), frame_of(scene.camera), size * supersample)
    if not len(buffer.hit):
        colour, grey = np.zeros((size, size, 3), np.float32), np.zeros((size, size), np.float32)
        return Guides(colour, colour, grey, grey, colour, grey, _box(grey))
    albedo = _albedo(buffer, [part.material for part in scene.parts], texture_size)
    subject = np.asarray([part.subject for part in scene.parts], np.float32)
    mask = _shrunk(buffer.image(np.take(subject, buffer.part)[None]), size)
    strength = np.take(np.asarray([part.material.emission for part in scene.parts], np.float32), buffer.part)
    lamps, emission = np.zeros((size, size), np.float32), np.zeros((size, size, 3), np.float32)
    if strength.any():
        lamps = _shrunk(buffer.image((strength > 0).astype(np.float32)[None]), size)
        emission = _shrunk(buffer.image(albedo * strength), size)
        emission /= np.maximum(lamps, np.float32(1e-6))[..., None]
    return Guides(
        _shrunk(buffer.image(albedo), size),
        _shrunk(buffer.image(buffer.normal), size),
        _coverage(buffer, size),
        mask,
        emission,
        lamps,
        _box(mask),
    )


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
    return np.asarray(np.maximum(radiance, 0), np.float32)


def _shade(buffer: GBuffer, materials: Sequence[Material], light: Light, shadow: ShadowMap, texture_size: int) -> Array:
    """(3, N), the radiance of the samples that hit something."""
    normal = buffer.normal
    sun_colour = np.asarray(light.sun, np.float32)[:, None]
    ground = np.asarray(light.ground, np.float32)[:, None]
    half_difference = (np.asarray(light.sky, np.float32)[:, None] - ground) / 2

    received = half_difference * normal[2]  # hemisphere
    received += ground + half_difference
    sun = np.einsum("i,in->n", shadow.towards_sun, normal)
    np.maximum(sun, 0, out=sun)
    sun *= shadow.in_sun(buffer.position, normal)
    received += sun_colour * sun
    albedo = _albedo(buffer, materials, texture_size)
    radiance = np.multiply(albedo, received, out=received)

    metallic = np.asarray([material.metallic for material in materials], np.float32)
    mirrors = np.flatnonzero(np.take(metallic > 0, buffer.part)) if metallic.any() else np.zeros(0, np.intp)
    metal, own = np.take(metallic, np.take(buffer.part, mirrors)), np.take(albedo, mirrors, axis=1)
    if len(mirrors):
        towards_eye, straight = buffer.towards_eye(mirrors), np.take(normal, mirrors, axis=1)
        height = 2 * np.einsum("in,in->n", towards_eye, straight) * straight[2] - towards_eye[2]
        matt = np.take(radiance, mirrors, axis=1)
        radiance[:, mirrors] = matt + metal * (own * sky_radiance(light, height) - matt)
    if any(material.metallic > 0 or material.roughness < MATT for material in materials) and sun.any():
        highlight = _highlight(buffer, materials, shadow.towards_sun)
        highlight *= sun
        radiance += sun_colour * np.float32(_DIELECTRIC) * highlight
        radiance[:, mirrors] += sun_colour * (own - np.float32(_DIELECTRIC)) * (metal * np.take(highlight, mirrors))
    emission = np.asarray([material.emission for material in materials], np.float32)
    if emission.any():
        radiance += albedo * np.take(emission, buffer.part)
    return np.asarray(radiance, np.float32)


def _highlight(buffer: GBuffer, materials: Sequence[Material], towards_sun: Array) -> Array:
    """(N,), what the samples would mirror, if they mirrored all light, of a sun that reflects 1 from a white surface.

    Blinn-Phong, its power kept; 0 for what has no highlight.
    """
    halfway = buffer.towards_eye()
    halfway += towards_sun[:, None]
    cosine = np.einsum("in,in->n", halfway, buffer.normal)
    cosine /= np.sqrt(np.einsum("in,in->n", halfway, halfway)) + np.float32(1e-6)
    roughness = np.asarray([max(material.roughness, ROUGHNESS_FLOOR) for material in materials], np.float32)
    shiny = np.asarray([material.metallic > 0 or material.roughness < MATT for material in materials], np.float32)
    exponent = 2 / roughness**4 - 2
    lobe = np.log(np.maximum(cosine, np.float32(1e-4)))
    lobe *= np.take(exponent, buffer.part)
    np.exp(lobe, out=lobe)
    lobe *= np.take(shiny * (exponent + 2) / 8, buffer.part)
    return np.asarray(lobe, np.float32)


def _albedo(buffer: GBuffer, materials: Sequence[Material], texture_size: int) -> Array:
    """(3, N), from the textures, between texels in straight lines."""
    small = [_halved(material.texture, texture_size) for material in materials]
    sides = np.asarray([len(texture) for texture in small])
    tops = np.cumsum(sides + 2) - sides - 2
    # one sheet with all textures below each other, each with a rim of its opposite texels
    sheet = np.empty((int(sides.sum()) + 2 * len(small), int(sides.max()) + 2, 3), np.float32)
    for texture, top in zip(small, tops, strict=True):
        side = len(texture)
        sheet[top : top + side + 2, : side + 2] = cv2.copyMakeBorder(texture, 1, 1, 1, 1, cv2.BORDER_WRAP)
    places = buffer.uv - np.floor(buffer.uv)
    places *= np.take(sides.astype(np.float32), buffer.part)
    places += np.float32(0.5)
    places[1] += np.take(tops.astype(np.float32), buffer.part)
    return planes(remapped(sheet, places, cv2.INTER_LINEAR))


def _halved(texture: Array, side: int) -> Array:
    """The texture, halved until it has at most this side."""
    own = len(texture)
    while own > side:
        own = (own + 1) // 2
    if own == len(texture):
        return texture
    return np.asarray(cv2.resize(texture, (own, own), interpolation=cv2.INTER_AREA), np.float32)


def _coverage(buffer: GBuffer, size: int) -> Array:
    """(S, S), share of a pixel's samples that hit something."""
    return _shrunk(buffer.image(np.ones((1, len(buffer.hit)), np.float32)), size)


def _shrunk(planes: Array, size: int) -> Array:
    """(C, S', S') -> (S, S, C), or (S, S) where C is 1: the mean of each pixel's samples."""
    small = [cv2.resize(plane, (size, size), interpolation=cv2.INTER_AREA) for plane in planes]
    return np.asarray(small[0] if len(small) == 1 else cv2.merge(small), np.float32)


def _box(mask: Array) -> tuple[int, int, int, int]:
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return (0, 0, 0, 0)
    return (int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)
