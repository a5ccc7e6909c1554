"""From linear radiance to the bytes of a photo: lens, exposure, sensor, development, sharpening, JPEG.

Every step reads one factor and does nothing at its nominal value, so that at strength 0 an image is only exposed and
given its screen curve.
"""

__all__ = ["CAMERA", "SENSOR", "SHARPENING", "develop"]

from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np
from numpy.random import Generator

from weighbridge.render.recipe import Factors, Knob, Range
from weighbridge.render.scene import Array

# What signs, characters and objects vary; a family narrows or widens it.
SENSOR: Mapping[str, Knob] = {
    "exposure": Range(-1.0, 0.6, 0.0, "stops brighter than the light would make it"),
    "contrast": Range(-0.3, 0.5, 0.0, "S-curve around the middle, above 0 harder, -1 grey", least=-1.0, most=1.0),
    "warmth": Range(-0.15, 0.15, 0.0, "white balance, above 0 redder: log of red over green"),
    "tint": Range(-0.06, 0.06, 0.0, "white balance, above 0 greener: log of green"),
    "haze": Range(0.0, 0.25, 0.0, "share of light that was scattered on its way", chance=0.3, most=1.0),
    "blur": Range(0.3, 2.5, 0.0, "lens out of focus: deviation in % of the side", chance=0.7),
    "motion": Range(1.0, 8.0, 0.0, "camera moved: length in % of the side", chance=0.25),
    "motion_angle": Range(0.0, 180.0, 0.0, "direction of the motion in degrees"),
    "resolution": Range(
        0.35, 1.0, 1.0, "pixels that the sensor had, as a share of the side", chance=0.5, least=0.05, most=1.0
    ),
    "noise": Range(0.0, 0.05, 0.0, "deviation of sensor noise at white, in [0, 1]", chance=0.7),
    "black": Range(0.0, 0.05, 0.0, "what black is shown as, in [0, 1]", chance=0.5, most=0.9),
    "jpeg": Range(35.0, 95.0, 100.0, "JPEG quality; 100 is none", chance=0.4, whole=True, least=1.0, most=100.0),
}

# What a simulated camera has on top.
CAMERA: Mapping[str, Knob] = {
    **SENSOR,
    "vignette": Range(0.0, 0.5, 0.0, "light lost in the corners", most=1.0),
    "mosaic": Range(1.0, 1.0, 0.0, "1: colours are measured through a Bayer mosaic and interpolated", whole=True),
    "blur": Range(0.4, 1.6, 0.0, "lens out of focus: deviation in % of the side"),
    "exposure": Range(-0.9, 0.9, 0.0, "stops brighter than the light would make it"),
    "noise": Range(0.01, 0.06, 0.0, "deviation of sensor noise at white, in [0, 1]"),
    "jpeg": Range(35.0, 88.0, 100.0, "JPEG quality; 100 is none", whole=True, least=1.0, most=100.0),
}


# Off unless a recipe asks for it. Families put it last: the place of a knob decides what is drawn for it.
SHARPENING: Mapping[str, Knob] = {
    "sharpening": Range(0.0, 0.0, 0.0, "what cameras and image scaling add at edges: strength of an unsharp mask"),
}


def develop(radiance: Array, factors: Factors, random: Generator) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """The photo of a scene.

    Args:
        radiance: (S, S, 3) float32, linear; 1 is white.
        factors: of SENSOR or CAMERA, and of SHARPENING.
        random: its noise.

    Returns:
        (S, S, 3) uint8, RGB.
    """
    size = len(radiance)
    image = radiance * np.float32(2.0 ** factors["exposure"])
    if factors["haze"]:
        image += np.float32(factors["haze"]) * (image.mean(axis=(0, 1)) - image)
    balance = np.exp([factors["warmth"], factors["tint"], -factors["warmth"]])
    image *= balance.astype(np.float32)
    if factors.get("vignette"):
        image *= _vignette(size, factors["vignette"])
    image = _lens(image, factors)
    seen = max(round(size * factors["resolution"]), 4)
    if seen < size:
        image = cv2.resize(image, (seen, seen), interpolation=cv2.INTER_AREA)
    image = np.clip(image, 0, 1, out=image)
    if factors["noise"] or factors.get("mosaic"):
        image = _noisy(image, factors["noise"], random, mosaic=bool(factors.get("mosaic")))
    if seen < size:
        image = cv2.resize(image, (size, size), interpolation=cv2.INTER_LINEAR)
    shown = np.power(image, np.float32(1 / 2.2))
    if factors["contrast"]:
        shown = _contrast(shown, factors["contrast"])
    if factors["black"]:
        shown = np.float32(factors["black"]) + np.float32(1 - factors["black"]) * shown
    if factors["sharpening"]:
        shown = _sharpened(shown, factors["sharpening"])
    pixels = (shown * 255 + 0.5).astype(np.uint8)
    if factors["jpeg"] < 100:
        options = [cv2.IMWRITE_JPEG_QUALITY, int(factors["jpeg"])]
        packed = cv2.imencode(".jpg", pixels[..., ::-1], options)[1]  # OpenCV has blue first
        pixels = np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR))[..., ::-1]
    return np.asarray(pixels)


def _lens(image: Array, factors: Factors) -> Array:
    size = len(image)
    deviation = factors["blur"] * size / 100
    if deviation > 0.1:
        image = cv2.GaussianBlur(image, (0, 0), deviation, borderType=cv2.BORDER_REPLICATE)
    length = factors["motion"] * size / 100
    if length > 1:
        side = int(np.ceil(length)) | 1
        middle, direction = side // 2, np.deg2rad(factors["motion_angle"])
        reach = np.array([np.cos(direction), np.sin(direction)]) * length / 2
        kernel = np.zeros((side, side), np.float32)
        ends = [tuple(round((middle + sign * part) * 256) for part in reach) for sign in (-1, 1)]
        cv2.line(kernel, ends[0], ends[1], 1.0, 1, cv2.LINE_AA, 8)
        image = cv2.filter2D(image, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REPLICATE)
    return image


def _vignette(size: int, loss: float) -> Array:
    axis = np.linspace(-1, 1, size, dtype=np.float32)
    return np.asarray(1 - np.float32(loss) * (axis[:, None] ** 2 + axis[None] ** 2)[..., None] / 2, np.float32)


def _noisy(image: Array, deviation: float, random: Generator, *, mosaic: bool) -> Array:
    """Shot noise, which grows with the root of the light, and a floor of a fifth of it at white."""
    if not mosaic:
        return _with_noise(image, deviation, random)
    red, green, blue = (image[..., channel] for channel in range(3))
    raw = green.copy()  # RGGB: red and blue share the other two places of each square of four
    raw[::2, ::2], raw[1::2, 1::2] = red[::2, ::2], blue[1::2, 1::2]
    counts = (_with_noise(raw, deviation, random) * 65535).astype(np.uint16)
    return np.asarray(cv2.demosaicing(counts, cv2.COLOR_BayerRGGB2RGB) / np.float32(65535), np.float32)


def _with_noise(light: Array, deviation: float, random: Generator) -> Array:
    spread = np.float32(deviation) * np.sqrt(light + np.float32(0.04))
    return np.asarray(np.clip(light + random.standard_normal(light.shape, np.float32) * spread, 0, 1), np.float32)


def _sharpened(shown: Array, amount: float) -> Array:
    """The image and `amount` times what a blur of 3 % of the side takes from it."""
    soft = cv2.GaussianBlur(shown, (0, 0), 0.03 * len(shown), borderType=cv2.BORDER_REPLICATE)
    return np.asarray(np.clip(shown + np.float32(amount) * (shown - soft), 0, 1), np.float32)


def _contrast(shown: Array, amount: float) -> Array:
    """Between the image and its S-curve for amount in [0, 1], between it and grey below 0."""
    if amount < 0:
        return np.asarray(0.5 + (shown - 0.5) * np.float32(1 + amount), np.float32)
    return np.asarray(shown + np.float32(amount) * (shown * shown * (3 - 2 * shown) - shown), np.float32)
