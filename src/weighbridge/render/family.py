"""What a family of scenes is: its classes, its knobs, and the scene of one image."""

__all__ = ["FACING", "LIGHT", "Family", "light_of"]

from collections.abc import Mapping
from typing import Protocol

import numpy as np
from numpy.random import Generator

from weighbridge.render.recipe import Factors, Knob, Range
from weighbridge.render.scene import Light, Scene

FACING = -90.0  # degrees from the x axis towards y: where the camera stands, in every family

# The light that all families vary. At strength 0: a clear day with the sun behind the left shoulder.
LIGHT: Mapping[str, Knob] = {
    "sun_azimuth": Range(-110.0, 110.0, 35.0, "degrees to the left of the camera; beyond 90 from behind the subject"),
    "sun_elevation": Range(15.0, 75.0, 45.0, "degrees above the horizon"),
    "sun": Range(0.0, 1.2, 0.7, "what a white surface that faces the sun reflects of it"),
    "sun_warmth": Range(-0.05, 0.3, 0.08, "how much redder than blue the sun is: log of red over green"),
    "sun_softness": Range(3.0, 15.0, 6.0, "half the angle of the sun's disc in degrees; pre-rendered quality only"),
    "sky": Range(0.15, 0.7, 0.4, "what a white surface that faces up reflects of the sky"),
    "sky_warmth": Range(-0.2, 0.1, -0.08, "log of red over green of the sky"),
    "ground": Range(0.05, 0.35, 0.18, "what a white surface that faces down reflects of the surroundings"),
}


class Family(Protocol):
    """A kind of scene.

    Attributes:
        classes: names, sorted; the folders that images go to.
        knobs: everything that varies, in a fixed order.
        notes: names of what the scenes' notes tell beside the knobs.
    """

    @property
    def classes(self) -> tuple[str, ...]: ...

    @property
    def knobs(self) -> Mapping[str, Knob]: ...

    @property
    def notes(self) -> tuple[str, ...]: ...

    def scene(self, label: str, factors: Factors, random: Generator) -> Scene:
        """What the image shows.

        Args:
            label: one of the classes.
            factors: a value for each of the knobs.
            random: for what is no knob, such as the grain of a texture.
        """
        ...


def light_of(factors: Factors, view_azimuth: float) -> Light:
    """The light that LIGHT's factors describe.

    Args:
        view_azimuth: where the camera stands, seen from the subject, in degrees from the x axis towards y.
    """
    azimuth, elevation = np.deg2rad(view_azimuth - factors["sun_azimuth"]), np.deg2rad(factors["sun_elevation"])
    level = np.cos(elevation)

    def tinted(amount: str, warmth: str | None) -> tuple[float, float, float]:
        tilt = float(factors[warmth]) if warmth else 0.0
        return (factors[amount] * float(np.exp(tilt)), float(factors[amount]), factors[amount] * float(np.exp(-tilt)))

    return Light(
        towards_sun=(level * np.cos(azimuth), level * np.sin(azimuth), float(np.sin(elevation))),
        sun=tinted("sun", "sun_warmth"),
        sky=tinted("sky", "sky_warmth"),
        ground=tinted("ground", None),
        softness=factors["sun_softness"],
    )
