"""Every setting in words: for `--help`, for what a run tells, and for the page of all settings.

`python -m weighbridge.settings.described` prints docs/guides/settings.md.
"""

__all__ = ["Described", "Section", "sections", "settings_page", "unread_sentence"]

import ast
import functools
import inspect
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal, get_args, get_origin, get_type_hints

from weighbridge.settings import config as module
from weighbridge.settings.catalogue import CATALOGUE
from weighbridge.settings.config import SETTINGS, Config


@dataclass(frozen=True)
class Described:
    """One setting.

    Attributes:
        hint: its type.
        default: as the command line and TOML take it; None where it is left out.
        text: what it does, in a sentence or several.
    """

    name: str
    hint: Any
    default: Any
    text: str

    @property
    def otherwise(self) -> str:
        """What a setting that is left out comes to, such as "0.1 for iwdan-mcc, else 1"; "" where `default` says it."""
        usual = SETTINGS[self.name].otherwise
        if usual is None:
            return ""
        own = defaultdict[float | str, list[str]](list)
        for entry in CATALOGUE.values():
            if self.name in entry.defaults:
                own[entry.defaults[self.name]].append(entry.name)
        said = [f"{_number(value)} for {_listed(methods)}" for value, methods in own.items()]
        return ", ".join([*said, f"else {_number(usual)}"]) if said else _number(usual)

    @property
    def help(self) -> str:
        """The text, what it comes to where it is left out, and who reads it."""
        otherwise, readers = self.otherwise, SETTINGS[self.name].readers.words
        text = self.text + (f" Default: {otherwise}." if otherwise else "")
        return text + (f" Used by {readers}." if readers else "")


@dataclass(frozen=True)
class Section:
    """Settings that belong together, as config.py has them."""

    title: str
    settings: tuple[Described, ...]


@functools.cache
def sections() -> tuple[Section, ...]:
    """All settings, in the order of config.py."""
    hints = get_type_hints(Config)
    classes = {node.name: node for node in ast.parse(inspect.getsource(module)).body if isinstance(node, ast.ClassDef)}
    found = []
    for base in Config.__mro__[-2:0:-1]:  # as dataclasses collect fields
        body = classes[base.__name__].body
        described = []
        for node, text in pairwise(body):
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and isinstance(text, ast.Expr):
                name = node.target.id
                described.append(Described(name, hints[name], getattr(Config, name), ast.literal_eval(text.value)))
        found.append(Section(inspect.getdoc(base) or "", tuple(described)))
    return tuple(found)


def unread_sentence(who: str, names: Sequence[str]) -> str:
    """That settings were set in vain, and what reads them.

    Args:
        who: a method, or a comparison.
        names: settings, at least one.
    """
    said = [f"{name} (for {SETTINGS[name].readers.words})" for name in names]
    return f"{who} ignores {_listed(said)}"


def settings_page() -> str:
    """docs/guides/settings.md: every setting, section by section."""
    lines = [
        "# Every setting",
        "",
        "Each setting is an option (`--image-size 48`), a TOML key and a Python argument (`image_size=48`).",
        "[Choosing settings](choosing.md) says which to change, and when. This page is made from the code.",
    ]
    for section in sections():
        lines += ["", f"## {section.title}", "", "| setting | default | what it does |", "|---|---|---|"]
        lines += [f"| `{setting.name}` | {_default(setting)} | {_does(setting)} |" for setting in section.settings]
    return "\n".join(lines) + "\n"


def _default(setting: Described) -> str:
    if setting.otherwise:
        return setting.otherwise
    if setting.default is None:
        return "left out"
    return f"`{str(setting.default).lower() if isinstance(setting.default, bool) else _number(setting.default)}`"


def _does(setting: Described) -> str:
    parts = [setting.text]
    if setting.name == "method":
        parts.append("One of [these](methods/README.md), which says what each has.")
    elif get_origin(setting.hint) is Literal:
        parts.append("One of " + ", ".join(f"`{choice}`" for choice in get_args(setting.hint)) + ".")
    if SETTINGS[setting.name].range:
        parts.append(f"{SETTINGS[setting.name].range.capitalize()}.")
    if readers := SETTINGS[setting.name].readers.words:
        parts.append(f"Used by {readers}.")
    return " ".join(parts)


def _number(value: float | str) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _listed(words: Iterable[str]) -> str:
    """Such as "a, b and c"."""
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last


if __name__ == "__main__":
    print(settings_page(), end="")
