"""How figures look: colours, sizes, names."""

__all__ = ["INK", "WIDTH", "nth_of_its_method", "one_panel", "row_colours", "save", "shown", "tidy"]

import zlib
from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from weighbridge.files import printable, whole_file

_COLOURS = {  # after Okabe and Ito: told apart by colour-blind readers too
    "source-only": "#7f7f7f",
    "source-only-ema": "#a9a9a9",
    "adabn": "#5f5f5f",
    "source-only-continued": "#8c7b6b",
    "dann": "#0072B2",
    "adda": "#E69F00",
    "weighted-dann": "#009E73",
    "mcc": "#CC79A7",
    "dann-mcc": "#56B4E9",
    "iwdan-mcc": "#882255",
    "cdan-mcc": "#44AA99",
    "cdan-e-mcc": "#DDCC77",
    "mean-teacher": "#D55E00",
    "self-training": "#332288",
    "iwdan-self-training": "#661100",
}
# Of methods that nobody has chosen a colour for.
_OTHERS = ("#117733", "#999933", "#7A1F3D", "#9C755F", "#4E79A7", "#B07AA1", "#76B7B2", "#2F4B1F", "#AA4499")
_SHADES = (0.0, 0.5, -0.4, 0.75)  # further rows of a method: how far towards white, or towards black where negative
INK = "#222222"
WIDTH = 7.2  # inches


def save(figure: Figure, path: Path) -> Path:
    """Write a PNG, whole or not at all."""
    with whole_file(path) as part:
        figure.savefig(part, format="png", dpi=130)
    return path


def shown(name: str, longest: int = 1000) -> str:
    """A name as a figure can write it: folders may be called by any bytes, and a dollar would start a formula."""
    name = printable(name)
    return (name if len(name) <= longest else name[: longest - 1] + "…").replace("$", r"\$")


def one_panel(height: float, width: float = WIDTH) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots()
    tidy(axes)
    return figure, axes


def tidy(axes: Axes) -> None:
    """No frame but the two axes; numbers written out."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=9)
    axes.ticklabel_format(useOffset=False)  # 1.0004, and not 0.0004 under a "+1" in the corner


def row_colours(methods: Sequence[str]) -> list[str]:
    """A colour for every row of a table: that of its method, and shades of it for further rows of the same method.

    It depends on no other method, so that a method looks the same in every figure.
    """
    return [
        _shade(_colour(method), _SHADES[place % len(_SHADES)])
        for method, place in zip(methods, nth_of_its_method(methods), strict=True)
    ]


def nth_of_its_method(methods: Sequence[str]) -> list[int]:
    """How many rows before each one are of its method."""
    return [list(methods[:place]).count(method) for place, method in enumerate(methods)]


def _colour(method: str) -> str:
    return _COLOURS.get(method, _OTHERS[zlib.crc32(method.encode("utf-8", "replace")) % len(_OTHERS)])


def _shade(colour: str, share: float) -> str:
    """Mixed with white, or with black where the share is negative."""
    end = 255 if share > 0 else 0
    mixed = (round(int(colour[k : k + 2], 16) * (1 - abs(share)) + end * abs(share)) for k in (1, 3, 5))
    return "#" + "".join(f"{part:02x}" for part in mixed)
