"""Digits and capitals of any font, painted on walls and boards or standing out from them.

A letter lies around the origin in the plane y = 0, x to the right and z up, and is looked at along y. Its longer side
is 1.

Legend: N corners of an outline, S side of the image, T side of a texture in texels.
"""

__all__ = ["CLASSES", "Characters"]

import string
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TypeAlias

import cv2
import manifold3d
import matplotlib
import numpy as np
from matplotlib import font_manager
from matplotlib.ft2font import FT2Font
from matplotlib.path import Path as Curves
from numpy.random import Generator
from numpy.typing import NDArray

from weighbridge.errors import DataError
from weighbridge.render.family import FACING, LIGHT, light_of
from weighbridge.render.plates import (
    BACKGROUND,
    POSE,
    Surroundings,
    edge,
    face,
    framed,
    in_the_way,
    mesh,
    rings,
)
from weighbridge.render.recipe import Choice, Factors, Knob, Range
from weighbridge.render.scene import Array, Material, Mesh, Part, Scene, joined, linear
from weighbridge.render.sensor import SENSOR, SHARPENING
from weighbridge.render.textures import Backdrops, Grain, colour, pattern, plain, texels

CLASSES = tuple(string.digits + string.ascii_uppercase)
Outlines: TypeAlias = list[NDArray[np.float64]]  # each (N, 2)

_SUFFIXES = (".ttf", ".otf", ".ttc")
_PLAIN_FONT = "DejaVuSans"  # comes with matplotlib
_SEEN = 16  # side of the pictures by which fonts are told from collections of symbols
_SCREEN = np.float32(1 / 2.2)

# What characters vary on top of light and sensor. The photos of Chars74K are crops around a letter in the street, with
# bits of the letters beside it.
_CHARACTER: Mapping[str, Knob] = {
    **POSE,
    "yaw": Range(-40.0, 40.0, 0.0, POSE["yaw"].about),
    "pitch": Range(-30.0, 30.0, 0.0, POSE["pitch"].about),
    "roll": Range(-15.0, 15.0, 0.0, POSE["roll"].about),
    "distance": Range(2.0, 7.0, 5.0, POSE["distance"].about),
    "fill": Range(0.7, 0.98, 0.8, POSE["fill"].about),
    "squeeze": Range(0.0, 1.0, 0.0, POSE["squeeze"].about),
    "stretch": Range(-0.25, 0.25, 0.0, POSE["stretch"].about),
    "weight": Range(-0.015, 0.07, 0.0, "what strokes gain on each side, in heights of the letter"),
    "slant": Range(-10.0, 25.0, 0.0, "degrees that the letter leans to the right", chance=0.3),
    "relief": Choice(("flat", "flat", "flat", "raised"), "flat", "whether the letter stands out from the board"),
    "depth": Range(0.03, 0.25, 0.1, "how far a raised letter stands out"),
    "ink_hue": Range(0.0, 1.0, 0.6, "of the letter, in turns of the colour circle"),
    "ink_saturation": Range(0.0, 1.0, 0.0, "of the letter", chance=0.7),
    "ink_value": Range(0.05, 1.0, 0.1, "how light the letter is"),
    "ink_slope": Range(0.1, 0.7, 0.0, "how far the letter's colour changes from top to bottom", chance=0.15),
    "ink_contrast": Range(
        0.3, 0.9, 0.5, "least difference from what is behind it, on the screen; black or white is mixed in"
    ),
    "wear": Range(0.1, 0.7, 0.0, "share of the letter where the board shows through", chance=0.15),
    "roughness": Range(0.25, 1.0, 0.8, "of letter and board: 0.05 mirrors, 1 is matt"),
    "metal": Range(1.0, 1.0, 0.0, "1: the letter is of metal", chance=0.05, whole=True),
    "glow": Range(0.3, 2.0, 0.0, "light of the letter's own, as in neon", chance=0.04),
    "outline": Range(0.02, 0.07, 0.0, "width of an outline in another colour", chance=0.15),
    "drop": Range(0.03, 0.1, 0.0, "how far a painted shadow lies from the letter", chance=0.12),
    "board": Choice(("wall", "wall", "wall", "wall", "plate", "none"), "wall", "what the letter is on"),
    "board_pattern": Choice(
        ("even", "even", "even", "plain", "plain", "noise", "brushed", "wood", "fabric", "brick"),
        "even",
        "what is on the board besides",
    ),
    "board_hue": Range(0.0, 1.0, 0.1, "of the board, in turns of the colour circle"),
    "board_saturation": Range(0.0, 1.0, 0.0, "of the board", chance=0.7),
    "board_value": Range(0.1, 1.0, 0.85, "how light the board is"),
    "board_relief": Range(0.1, 0.5, 0.25, "how much lighter or darker its pattern is"),
    "neighbours": Choice(("none", "left", "right", "both", "both"), "none", "where other letters stand"),
    "spacing": Range(0.02, 0.3, 0.12, "between letters, in heights"),
    "shadow": Range(0.08, 0.6, 0.0, "width of what stands between sun and letter", chance=0.15),
    "leaves": Range(0.05, 0.25, 0.0, "share of the letter behind leaves", chance=0.04),
    **BACKGROUND,
}
_LIGHT: Mapping[str, Knob] = {
    "sun_azimuth": Range(-80.0, 80.0, 35.0, "degrees to the left of the camera"),
    "sun": Range(0.0, 1.0, 0.7, LIGHT["sun"].about),
    "sky": Range(0.3, 0.8, 0.4, LIGHT["sky"].about),
}
_SENSOR: Mapping[str, Knob] = {
    "haze": Range(0.0, 0.15, 0.0, SENSOR["haze"].about, chance=0.2),
    "exposure": Range(-0.7, 1.5, 0.0, SENSOR["exposure"].about),
    "contrast": Range(-0.2, 0.9, 0.0, SENSOR["contrast"].about),
    "blur": Range(0.3, 3.5, 0.0, SENSOR["blur"].about, chance=0.6),
    "resolution": Range(0.25, 1.0, 1.0, SENSOR["resolution"].about, chance=0.5),
    "noise": Range(0.0, 0.03, 0.0, SENSOR["noise"].about, chance=0.5),
}


class Characters:
    """Thirty-six classes, 0-9 and A-Z.

    Args:
        fonts: a folder of TrueType or OpenType fonts, searched to the bottom, instead of those on the machine.
        backdrops: what is seen where the letter is on no wall.
        size: S, which decides how fine outlines and textures are.

    Attributes:
        left_out: fonts that cannot be used, by name, and why.

    Raises:
        DataError: if no font has all the characters.
    """

    def __init__(self, fonts: Path | None, backdrops: Backdrops, *, size: int = 64) -> None:
        fineness = 0.25 / max(size, 64)  # in heights of a letter: a quarter of a pixel, at most
        self._fonts: dict[str, dict[str, Outlines]] = {}
        self.left_out: dict[str, str] = {}
        for path in _in_folder(fonts) if fonts is not None else _on_machine():
            try:
                self._fonts.setdefault(path.stem, _letters(path, fineness))
            except _Unfit as reason:
                self.left_out[path.name] = str(reason)
        if not self._fonts:
            place = f"in '{fonts}'" if fonts is not None else "on this machine"
            found = "; ".join(f"'{name}' {reason}" for name, reason in list(self.left_out.items())[:3])
            raise DataError(
                f"expected a font with 0-9 and A-Z {place}, found {found or 'no font at all'}. "
                "Name a folder of fonts with --assets"
            )
        self._grain = Grain(texels(size))
        self._around = Surroundings(backdrops, self._grain, size)

    @property
    def classes(self) -> tuple[str, ...]:
        """The characters."""
        return CLASSES

    @property
    def notes(self) -> tuple[str, ...]:
        """What is told beside the knobs: the photo behind the letter."""
        return ("photo",)

    @property
    def knobs(self) -> Mapping[str, Knob]:
        """Everything that varies."""
        names = tuple(sorted(self._fonts))
        font = Choice(names, _PLAIN_FONT if _PLAIN_FONT in names else names[0], "file that the letter is taken from")
        background = Choice(self._around.kinds, "plain", "what is seen past the board")
        seen = {**LIGHT, **_LIGHT, **SENSOR, **_SENSOR, **SHARPENING}
        return {"font": font, **_CHARACTER, "background": background, **seen}

    def scene(self, label: str, factors: Factors, random: Generator) -> Scene:
        """A letter on its board; see `Family.scene`."""
        section = self._section(factors, label)
        left, low, right, high = section.bounds()
        scale = 1 / max(right - left, high - low)
        middle = np.asarray([(left + right) / 2, (low + high) / 2])
        letter = [(ring - middle) * scale for ring in rings(section)]
        light = light_of(factors, FACING)
        pose, camera = framed(np.concatenate(letter), factors)

        board = colour(factors["board_hue"], factors["board_saturation"], factors["board_value"])
        backdrop, photo = plain(board), ""
        if factors["board"] != "wall":  # nothing is seen past a wall
            backdrop, photo = self._around.backdrop(factors, light, random)
        behind = board
        if factors["board"] == "none":
            around = np.asarray(light.sky, np.float32) + np.asarray(light.sun, np.float32) / 2
            behind = np.clip(backdrop.mean(axis=(0, 1)) / around, 0, 1)
        ink = _ink(factors, behind)
        paint = Material(
            self._paint(ink, board, factors, random), factors["roughness"], factors["metal"], factors["glow"]
        )
        beside = [
            [(ring + shift - middle) * scale for ring in outline]
            for outline, shift in self._neighbours(factors, (left, right), random)
        ]
        solids: list[tuple[Mesh, Material, bool]] = [(_letter(letter, factors), paint, True)]
        if beside:
            solids.append((joined([_letter(other, factors) for other in beside]), paint, False))
        if factors["outline"]:
            rim = Material(plain(colour(random.random(), random.uniform(0, 0.9), random.uniform(0.1, 1))), 0.8)
            wider = [face(_widened(outline, factors["outline"]), -0.004) for outline in (letter, *beside)]
            solids.append((wider[0], rim, True))
            if beside:
                solids.append((joined(wider[1:]), rim, False))
        if factors["drop"]:
            aside = factors["drop"] * np.asarray([random.choice([-1, 1]), -1]) * random.uniform(0.4, 1, 2)
            dark = Material(plain(board * np.float32(random.uniform(0.05, 0.6))), 1.0)
            solids.append(
                (joined([face([ring + aside for ring in each], -0.002) for each in (letter, *beside)]), dark, False)
            )
        if factors["board"] != "none":
            texture = Material(self._board(board, factors, random), factors["roughness"])
            solids.append((_quad(letter, factors["board"], random), texture, False))
        parts = [Part(pose.of(shape), material, subject) for shape, material, subject in solids]
        parts += in_the_way(factors, light, camera, random)
        return Scene(tuple(parts), camera, light, backdrop, {"photo": photo})

    def _section(self, factors: Factors, letter: str) -> manifold3d.CrossSection:
        """A letter as it is written here, its baseline at z = 0; capitals are about 1 high."""
        outlines = self._fonts[factors["font"]][letter]
        lean = np.tan(np.deg2rad(factors["slant"]))
        if lean:
            outlines = [outline @ np.asarray([[1.0, 0.0], [lean, 1.0]]) for outline in outlines]
        section = _filled(outlines)
        weight = float(factors["weight"])
        for share in (1.0, 0.5, 0.25) if weight < 0 else (1.0,):  # thin strokes stay
            changed = section.offset(weight * share, manifold3d.JoinType.Miter, 2.0, 0)
            if changed.area() > 0.5 * section.area():
                section = changed
                break
        return section

    def _neighbours(
        self, factors: Factors, ends: tuple[float, float], random: Generator
    ) -> list[tuple[Outlines, NDArray[np.float64]]]:
        """Outlines of other letters, any of the classes, and how far each is shifted."""
        beside = []
        for side in ("left", "right"):
            if factors["neighbours"] in (side, "both"):
                section = self._section(factors, CLASSES[random.integers(len(CLASSES))])
                left, _, right, _ = section.bounds()
                gap = factors["spacing"]
                shift = ends[0] - gap - right if side == "left" else ends[1] + gap - left
                beside.append((rings(section), np.asarray([shift, 0.0])))
        return beside

    def _paint(self, ink: Array, board: Array, factors: Factors, random: Generator) -> Array:
        """(T, T, 3) of the letter."""
        texture = plain(ink)
        if factors["ink_slope"]:
            other = colour(random.random(), random.uniform(0, 1), random.uniform(0.1, 1))
            share = np.linspace(0, factors["ink_slope"], 16, dtype=np.float32)[:, None, None]
            texture = np.repeat(ink + share * (other - ink), 16, axis=1)
        if factors["wear"]:
            bare = np.clip((self._grain.draw(random) - np.float32(1 - factors["wear"])) * 8, 0, 1)[..., None]
            even = cv2.resize(texture, bare.shape[:2], interpolation=cv2.INTER_LINEAR).reshape(*bare.shape[:2], 3)
            texture = even + bare * (board - even)
        return np.asarray(texture, np.float32)

    def _board(self, shade: Array, factors: Factors, random: Generator) -> Array:
        """(T, T, 3) of the board."""
        if factors["board_pattern"] == "even":
            return plain(shade)
        relief = np.float32(factors["board_relief"])
        other = shade + (np.float32(1) - shade) * relief if shade.max() < 0.2 else shade * (1 - relief)
        return pattern(factors["board_pattern"], random, shade, np.asarray(other, np.float32), self._grain.draw(random))


# ---- fonts ---------------------------------------------------------------------------------------------------------


def _in_folder(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise DataError(f"expected a folder of fonts at '{folder}', and there is none")
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in _SUFFIXES and path.is_file())


def _on_machine() -> list[Path]:
    unique = {Path(entry.fname).name: Path(entry.fname) for entry in font_manager.fontManager.ttflist}
    return [unique[name] for name in sorted(unique)]


class _Unfit(Exception):  # noqa: N818 (it says what the font is)
    """Why a font cannot be used."""


def _letters(path: Path, fineness: float) -> dict[str, Outlines]:
    """The outlines of all classes.

    Args:
        fineness: how far an outline may lie beside the font's.

    Raises:
        _Unfit: if the file is no font, or not one of letters.
    """
    found = _outlines(path)
    likeness = np.einsum("ap,kbp->kab", _pictures(found), _known())  # (K, 36, 36)
    right = (likeness.argmax(2) == np.arange(len(CLASSES))).any(0)
    if min(right[:10].mean(), right[10:].mean()) < 0.4:
        raise _Unfit("holds symbols in place of letters")
    return {letter: rings(_filled(outlines).simplify(fineness)) for letter, outlines in found.items()}


def _filled(outlines: Outlines) -> manifold3d.CrossSection:
    return manifold3d.CrossSection(outlines, manifold3d.FillRule.NonZero)


def _outlines(path: Path) -> dict[str, Outlines]:
    """The outlines of each class as the font has them, the baseline at 0, in heights of its H."""
    try:
        font = FT2Font(str(path))
        known = font.get_charmap()
        font.set_size(100.0, 72.0)
    except Exception as error:  # FreeType raises whatever a file provokes
        raise _Unfit(f"cannot be read ({error})") from error
    found: dict[str, Outlines] = {}
    for letter in CLASSES:
        if ord(letter) not in known:
            raise _Unfit(f"has no '{letter}'")
        font.load_char(ord(letter))
        vertices, codes = font.get_path()
        curves = Curves(np.asarray(vertices).reshape(-1, 2), codes)
        polygons = [np.asarray(polygon, np.float64)[:-1] for polygon in curves.to_polygons(closed_only=True)]
        outlines = [polygon for polygon in polygons if len(polygon) > 2]
        if not outlines:
            raise _Unfit(f"has an empty '{letter}'")
        found[letter] = outlines
    height = max(float(outline[:, 1].max()) for outline in found["H"])
    return {letter: [outline / max(height, 1.0) for outline in outlines] for letter, outlines in found.items()}


@cache
def _known() -> NDArray[np.float32]:
    """(K, 36, pixels), the characters of fonts that come with matplotlib."""
    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    names = (_PLAIN_FONT, "DejaVuSerif-Italic", "DejaVuSans-BoldOblique")
    return np.stack([_pictures(_outlines(folder / f"{name}.ttf")) for name in names])


def _pictures(letters: Mapping[str, Outlines]) -> NDArray[np.float32]:
    """(36, pixels) of mean 0 and length 1, the box around each letter stretched to a square."""
    drawn = np.zeros((len(letters), _SEEN, _SEEN), np.float32)
    for picture, outlines in zip(drawn, letters.values(), strict=True):
        everything = np.concatenate(outlines)
        low, high = everything.min(0), everything.max(0)
        side = (_SEEN - 1) * 16 / np.maximum(high - low, 1e-6)
        cv2.fillPoly(picture, [np.rint((outline - low) * side).astype(np.int32) for outline in outlines], 1.0, 8, 4)
    flat = drawn.reshape(len(letters), -1)
    flat -= flat.mean(1, keepdims=True)
    return np.asarray(flat / (np.linalg.norm(flat, axis=1, keepdims=True) + 1e-6), np.float32)


# ---- meshes --------------------------------------------------------------------------------------------------------


def _letter(outlines: Outlines, factors: Factors) -> Mesh:
    if factors["relief"] == "flat":
        return face(outlines, -0.006)
    front = -0.006 - float(factors["depth"])
    return joined([face(outlines, front), edge(outlines, front, 0.0)])


def _widened(outlines: Outlines, width: float) -> Outlines:
    return rings(_filled(outlines).offset(float(width), manifold3d.JoinType.Round, 2.0, 16))


def _quad(letter: Outlines, kind: str, random: Generator) -> Mesh:
    """A wall without end, or a plate a little larger than the letter."""
    half = np.full(2, 6.0)
    if kind == "plate":
        half = np.abs(np.concatenate(letter)).max(0) + random.uniform(0.03, 0.35, 2)
    corners = half * np.asarray([[-1, -1], [1, -1], [1, 1], [-1, 1]])
    vertices = np.stack([corners[:, 0], np.zeros(4), corners[:, 1]], 1)
    normals = np.broadcast_to((0.0, -1.0, 0.0), (4, 3))
    return mesh(vertices, normals, corners / 1.5 + 0.5, [[0, 1, 2], [0, 2, 3]])


# ---- colours -------------------------------------------------------------------------------------------------------


def _ink(factors: Factors, behind: Array) -> Array:
    """(3,) linear, mixed with black or white where it would be too much like what is behind it."""
    ink = colour(factors["ink_hue"], factors["ink_saturation"], factors["ink_value"])
    shown, other = ink**_SCREEN, behind**_SCREEN
    end = np.float32(0.05 if float(other.mean()) > 0.45 else 0.95)
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        mixed = shown + np.float32(share) * (end - shown)
        if float(np.abs(mixed - other).max()) >= factors["ink_contrast"]:
            break
    return linear(mixed)
