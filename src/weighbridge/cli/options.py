"""The settings as options: a group for each section, in the order of config.py."""

__all__ = ["Options", "given_of"]

import dataclasses
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Group, Parameter

from weighbridge.settings.config import Config
from weighbridge.settings.described import Described, Section, sections

_FIRST_GROUP = 10  # after those of the commands themselves
_ABOUT = (
    "Every setting is also a key of the TOML file given with --config. Some are chosen by the images if you do not "
    "give them; the defaults below hold with --plain."
)


def _option(setting: Described, group: Group) -> tuple[str, Any, Any]:
    shown = None if not setting.otherwise else False  # else the text says it
    parameter = Parameter(group=group, help=setting.help, show_default=shown)
    return setting.name, Annotated[setting.hint, parameter], setting.default


def _group(place: int, section: Section) -> Group:
    return Group(section.title, help=_ABOUT if place == 0 else "", sort_key=_FIRST_GROUP + place)


def _remembering(cls: Any, **given: Any) -> Any:
    """Options that know which of them were given: one at its default counts too."""
    options = object.__new__(cls)
    object.__setattr__(options, "given", given)  # frozen
    return options


if TYPE_CHECKING:
    Options = Config
else:
    Options = dataclasses.make_dataclass(
        "Options",
        [
            _option(setting, group)
            for group, section in ((_group(place, section), section) for place, section in enumerate(sections()))
            for setting in section.settings
        ],
        frozen=True,
        kw_only=True,
        namespace={"__new__": _remembering},
    )
    Options.__module__ = __name__  # cyclopts looks into no class of the standard library


def given_of(options: Any) -> dict[str, Any]:
    """The settings that were given as options, or in the file given with --config."""
    return dict(options.given)
