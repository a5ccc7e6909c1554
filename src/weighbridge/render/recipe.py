"""What is drawn, and how far each factor may go: knobs with ranges, and the factors of one image drawn from them.

An image is a function of (recipe, class, index, quality): its random numbers come from those alone, so that any shard
can be rendered anywhere and rendered again.
"""

__all__ = [
    "QUALITIES",
    "Choice",
    "Factors",
    "Knob",
    "Range",
    "Recipe",
    "generator",
    "read_recipe",
    "recipe_toml",
    "with_overrides",
]

import math
import tomllib
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import tomli_w

from weighbridge.errors import ConfigError, did_you_mean

QUALITIES = ("realtime", "prerendered", "camera")


@dataclass(frozen=True)
class Range:
    """A number, drawn uniformly.

    Attributes:
        low, high: edges at strength 1; low <= high.
        nominal: the value at strength 0, which the range shrinks to, and the value where the factor is absent.
        about: what it is, with its unit.
        chance: share of images that have the factor at all, in [0, 1].
        whole: whether it is a count.
        least, most: what a recipe may ask for.
    """

    low: float
    high: float
    nominal: float
    about: str
    chance: float = 1.0
    whole: bool = False
    least: float = -math.inf
    most: float = math.inf

    def draw(self, strength: float, present: float, place: float) -> float:
        """A value for two uniform numbers in [0, 1): whether the factor is there, and where in its range."""
        if present >= self.chance:
            return self.nominal
        low = self.nominal + strength * (self.low - self.nominal)
        high = self.nominal + strength * (self.high - self.nominal)
        if self.whole:
            return float(math.floor(low + place * (high - low + 1 - 1e-9)))
        return low + place * (high - low)


@dataclass(frozen=True)
class Choice:
    """One of several words, all equally often at strength 1; repeat a word to see it more often.

    Attributes:
        options: the words.
        nominal: the word at strength 0.
        about: what they mean.
    """

    options: tuple[str, ...]
    nominal: str
    about: str

    def draw(self, strength: float, present: float, place: float) -> str:
        """A word for two uniform numbers in [0, 1): whether it varies, and which."""
        return self.options[int(place * len(self.options))] if present < strength else self.nominal


Knob: TypeAlias = Range | Choice
Factors: TypeAlias = dict[str, Any]  # the value of every knob in one image: a float or a word


@dataclass(frozen=True)
class Recipe:
    """All that an image depends on, but for its class, index and quality.

    Attributes:
        family: `signs`, `characters` or `objects`.
        seed: draws other images of the same kind, at least 0.
        size: side of the square images in pixels, 16 to 1024.
        strength: domain randomisation, from 0 (every knob at its nominal value) to 1 (all of its range).
        samples: light paths a pixel, in pre-rendered quality.
        assets: icons of `signs`, fonts of `characters`, meshes of `objects`; None where the family needs none.
        backgrounds: a folder of photos to stand behind, or None.
        up: `y` or `z`, which way is up in the meshes of `objects`; None is what their formats say.
        knobs: what replaces the family's own ranges: a number, [low, high], a word, a list of words, or a table with
            low, high, nominal and chance.
    """

    family: str
    seed: int = 0
    size: int = 64
    strength: float = 1.0
    samples: int = 12
    assets: Path | None = None
    backgrounds: Path | None = None
    up: Literal["y", "z"] | None = None
    knobs: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, low, high in (("seed", 0, 2**63), ("size", 16, 1024), ("strength", 0, 1), ("samples", 1, 4096)):
            value = getattr(self, name)
            if not low <= value <= high:
                raise ConfigError(f"{name} must lie in [{low}, {high}], got {value}")

        if self.up not in (None, "y", "z"):
            raise ConfigError(f"up must be y or z, got {self.up!r}")

    def factors(self, knobs: Mapping[str, Knob], label: str, index: int, quality: str) -> Factors:
        """The factors of one image.

        Args:
            knobs: of the family, with the recipe's own ranges in them; see `with_overrides`.
            label: class.
            index: number of the image in its class, from 0.
            quality: real-time and pre-rendered images of the same index show the same scene; camera images another.
        """
        draws = generator(self, label, index, quality, "factors").random((len(knobs), 2)).tolist()
        return {name: knob.draw(self.strength, *pair) for (name, knob), pair in zip(knobs.items(), draws, strict=True)}


def generator(recipe: Recipe, label: str, index: int, quality: str, purpose: str) -> np.random.Generator:
    """Random numbers of one image for one purpose."""
    scene = "camera" if quality == "camera" else "paired"
    words = (zlib.crc32(word.encode(errors="surrogateescape")) for word in (recipe.family, label, scene, purpose))
    return np.random.default_rng([recipe.seed, index, *words])


def with_overrides(knobs: Mapping[str, Knob], overrides: Mapping[str, Any]) -> dict[str, Knob]:
    """Knobs with a recipe's own ranges in place of the family's.

    Raises:
        ConfigError: for an unknown knob or a value that does not fit it.
    """
    merged = dict(knobs)
    for name, value in overrides.items():
        if name not in merged:
            raise ConfigError(f"there is no knob '{name}' here. {did_you_mean(name, merged)}")
        merged[name] = _overridden(name, merged[name], value)
    return merged


def read_recipe(path: Path) -> dict[str, Any]:
    """The values of a recipe in TOML, for `Recipe(**values)`; paths in it are relative to the file.

    Raises:
        ConfigError: if it cannot be read, or has a key that no recipe has.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"'{path}' cannot be read as a recipe: {error}") from error
    known = {entry.name: entry for entry in fields(Recipe)}
    for name, value in values.items():
        if name not in known:
            raise ConfigError(f"'{path}' has a key '{name}' that no recipe has. {did_you_mean(name, known)}")
        if name in ("assets", "backgrounds"):
            values[name] = path.parent / str(value)
        elif name == "knobs" and not isinstance(value, dict):
            raise ConfigError(f"'knobs' in '{path}' must be a table, got {value!r}")
        elif name in ("seed", "size", "samples") and (not isinstance(value, int) or isinstance(value, bool)):
            raise ConfigError(f"'{name}' in '{path}' must be a whole number, got {value!r}")
        elif name == "strength" and not isinstance(value, int | float):
            raise ConfigError(f"'strength' in '{path}' must be a number, got {value!r}")
    return values


def recipe_toml(recipe: Recipe, knobs: Mapping[str, Knob]) -> str:
    """A recipe as TOML, every knob with what it means; `read_recipe` reads it back as it was."""
    values = {entry.name: getattr(recipe, entry.name) for entry in fields(recipe) if entry.name != "knobs"}
    paths = {name: str(value.resolve()) for name, value in values.items() if isinstance(value, Path)}
    known = {name: value for name, value in {**values, **paths}.items() if value is not None}
    lines = [tomli_w.dumps(known), "[knobs]"]
    for name, knob in knobs.items():
        lines += [f"# {knob.about}", f"{name} = {_as_toml(knob)}"]
    return "\n".join(lines) + "\n"


def _as_toml(knob: Knob) -> str:
    if isinstance(knob, Choice):
        words = ", ".join(f'"{word}"' for word in knob.options)
        return f"[{words}]"
    entries = {"low": knob.low, "high": knob.high, "nominal": knob.nominal, "chance": knob.chance}
    if knob.chance == 1.0:
        del entries["chance"]
    return "{ " + ", ".join(f"{key} = {value!r}" for key, value in entries.items()) + " }"


def _overridden(name: str, knob: Knob, value: Any) -> Knob:
    if isinstance(knob, Choice):
        words = [value] if isinstance(value, str) else value
        if not isinstance(words, list) or not words or not all(isinstance(word, str) for word in words):
            raise ConfigError(f"knob '{name}' takes a word or a list of words, got {value!r}")
        unknown = [word for word in words if word not in knob.options]
        if unknown:
            asks_for_photos = unknown[0] == "photo"
            advice = (
                "Name a folder of them with --backgrounds."
                if asks_for_photos
                else did_you_mean(unknown[0], knob.options)
            )
            raise ConfigError(f"knob '{name}' has no option '{unknown[0]}'. {advice}")
        return replace(knob, options=tuple(words), nominal=knob.nominal if knob.nominal in words else words[0])
    if isinstance(value, Mapping):
        keys = ("low", "high", "nominal", "chance")
        for key in value:
            if key not in keys:
                raise ConfigError(f"knob '{name}' has no '{key}'. {did_you_mean(key, keys)}")
        changed = replace(knob, **value)
    elif isinstance(value, list) and len(value) == 2:
        changed = replace(knob, low=value[0], high=value[1], chance=1.0)
    else:
        changed = replace(knob, low=value, high=value, nominal=value)
    numbers = (changed.low, changed.high, changed.nominal, changed.chance)
    if not all(type(number) in (int, float) and math.isfinite(number) for number in numbers):
        raise ConfigError(f"knob '{name}' takes a number, [low, high] or a table of numbers, got {value!r}")
    if changed.low > changed.high or not 0 <= changed.chance <= 1:
        raise ConfigError(f"knob '{name}' needs low <= high and a chance in [0, 1], got {value!r}")
    least = knob.least if min(knob.low, knob.nominal) < 0 else max(knob.least, 0.0)  # what is never negative stays so
    if min(numbers[:3]) < least or max(numbers[:3]) > knob.most:
        raise ConfigError(f"knob '{name}' must lie in [{least:g}, {knob.most:g}], got {value!r}")
    if isinstance(value, list):
        changed = replace(changed, nominal=min(max(changed.nominal, changed.low), changed.high))
    return changed
