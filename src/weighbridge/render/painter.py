"""One image from a recipe: factors, scene, light, photo."""

__all__ = ["FAMILIES", "Painter", "Picture", "chosen_classes", "family_of"]

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from weighbridge.errors import ConfigError, did_you_mean
from weighbridge.render import pathtraced, realtime
from weighbridge.render.family import Family
from weighbridge.render.recipe import QUALITIES, Factors, Recipe, generator, with_overrides
from weighbridge.render.scene import Array, Scene
from weighbridge.render.sensor import develop
from weighbridge.render.textures import Backdrops

FAMILIES = ("characters", "objects", "signs")


@dataclass(frozen=True, eq=False)
class Picture:
    """One rendered image.

    Attributes:
        pixels: (S, S, 3) uint8, RGB.
        factors: the value of every knob.
        notes: what was drawn and is no knob, by the family's names; "" where there is none.
        mask: (S, S) uint8, 255 where the subject is, grey where it is in part.
        box: left, top, right, bottom of the subject in pixels, the last two exclusive; all 0 if it cannot be seen.
    """

    pixels: NDArray[np.uint8]
    factors: Factors
    notes: tuple[str, ...]
    mask: NDArray[np.uint8]
    box: tuple[int, int, int, int]


class Painter:
    """Renders any image of a recipe in one quality, on one thread.

    Args:
        recipe: what to render.
        quality: `realtime`, `prerendered` or, for objects, `camera`.
        variant: of Mitsuba, one that `probe.variant_for` has found to work; not used in real-time quality.

    Raises:
        ConfigError: if the family does not have this quality, or a knob does not exist.
        DataError: if icons, fonts, meshes or backgrounds cannot be found.
    """

    def __init__(self, recipe: Recipe, quality: str, *, variant: str = "scalar_rgb") -> None:
        cv2.setNumThreads(1)  # a process for every core is faster than threads that share an image
        self.recipe, self.quality = recipe, quality
        self.family = family_of(recipe, quality)
        self.knobs = with_overrides(self.family.knobs, recipe.knobs)
        self._trace = quality != "realtime"
        self._variant = variant

    def factors(self, label: str, index: int) -> Factors:
        """The factors of an image, without rendering it."""
        return self.recipe.factors(self.knobs, label, index, self.quality)

    def scene(self, label: str, index: int) -> tuple[Scene, Factors]:
        """The scene of an image, without rendering it, and its factors."""
        factors = self.factors(label, index)
        scene = index if self.recipe.strength else 0  # without variation every image of a class shows one scene
        return self.family.scene(label, factors, generator(self.recipe, label, scene, self.quality, "scene")), factors

    def paint(self, label: str, index: int, *, masks: bool = False) -> Picture:
        """Render an image.

        Args:
            label: its class.
            index: its number in the class, from 0.
            masks: whether mask and box are wanted; both are empty otherwise.
        """
        scene, factors = self.scene(label, index)
        radiance = self._radiance(scene, label, index)
        pixels = develop(radiance, factors, generator(self.recipe, label, index, self.quality, "sensor"))
        notes = tuple(scene.notes.get(name, "") for name in self.family.notes)
        if not masks:
            return Picture(pixels, factors, notes, np.zeros((0, 0), np.uint8), (0, 0, 0, 0))
        guides = realtime.guides(scene, self.recipe.size)
        return Picture(pixels, factors, notes, (guides.mask * 255 + 0.5).astype(np.uint8), guides.box)

    def _radiance(self, scene: Scene, label: str, index: int) -> Array:
        if not self._trace:
            coarse = self.recipe.family == "objects"  # what is printed on signs and walls has to be read
            texels = max(self.recipe.size // 2 if coarse else self.recipe.size, 32)
            return realtime.render(scene, self.recipe.size, texture_size=texels)
        seed = int(generator(self.recipe, label, index, self.quality, "light").integers(2**31))
        return pathtraced.render(scene, self.recipe.size, samples=self.recipe.samples, seed=seed, variant=self._variant)


def chosen_classes(family: Family, wanted: Sequence[str] | None) -> list[str]:
    """The classes asked for, each once; all of them for None.

    Raises:
        ConfigError: if one does not exist.
    """
    for label in wanted or ():
        if label not in family.classes:
            raise ConfigError(f"there is no class '{label}' here. {did_you_mean(label, family.classes)}")
    return list(family.classes if wanted is None else dict.fromkeys(wanted))


def family_of(recipe: Recipe, quality: str) -> Family:
    """The family of a recipe.

    Raises:
        ConfigError: if there is none of this name, or none in this quality.
        DataError: if icons, fonts, meshes or backgrounds cannot be found.
    """
    if recipe.family not in FAMILIES:
        raise ConfigError(f"there is no family '{recipe.family}'. {did_you_mean(recipe.family, FAMILIES)}")
    if quality not in QUALITIES:
        raise ConfigError(f"there is no quality '{quality}'. {did_you_mean(quality, QUALITIES)}")
    if quality == "camera" and recipe.family != "objects":
        raise ConfigError(f"quality 'camera' is for objects only, got {recipe.family}. Choose realtime or prerendered")
    backdrops = Backdrops(recipe.backgrounds)
    if recipe.family == "objects":  # each family is imported when it is asked for: one needs no fonts, one no meshes
        from weighbridge.render.objects import Objects

        return Objects(recipe.assets, backdrops, size=recipe.size, up=recipe.up, camera=quality == "camera")
    if recipe.family == "characters":
        from weighbridge.render.characters import Characters

        return Characters(recipe.assets, backdrops, size=recipe.size)
    from weighbridge.render.signs import Signs

    if recipe.assets is None:
        raise ConfigError("signs are made from icons. Name a folder of them with --assets, such as --assets icons/svg")
    return Signs(recipe.assets, backdrops, size=recipe.size)
