"""A figure of matplotlib as SVG inside a page, in the colours of the page: light, dark or on paper."""

__all__ = ["ON_COLOUR", "dark_colours", "inline_svg"]

import colorsys
import io
import itertools
import re
from collections.abc import Iterable

import matplotlib
from markupsafe import Markup
from matplotlib.figure import Figure

_HEX = re.compile(r"#[0-9a-fA-F]{6}\b(?=[;\"])")
_KNOWN = re.compile(r"var\(--c([0-9a-f]{6}),")
_GREY = 0.12  # saturation below which a colour is a shade of grey
ON_COLOUR = "#111111"
"""Of letters on a coloured ground, which stays light in the dark: it does not turn round."""
_NUMBERS = itertools.count()


def inline_svg(figure: Figure) -> Markup:
    """An <svg> element. Colours become variables that `dark_colours` defines anew; text stays text."""
    file, salt = io.StringIO(), f"f{next(_NUMBERS)}"
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": salt, "font.family": "sans-serif"}):
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = file.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(
        r'(<svg[^>]*?) width="[^"]*"', r"\1", re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", text, count=1), count=1
    )
    text = re.sub(r'\b(id="|url\(#|href="#)', rf"\1{salt}-", text)
    text = _HEX.sub(lambda found: f"var(--c{found[0][1:].lower()},{found[0].lower()})", text)
    return Markup(text.strip())


def dark_colours(pictures: Iterable[str]) -> str:
    """Definitions for the dark page, of every colour that the pictures use."""
    used = sorted({found for picture in pictures for found in _KNOWN.findall(picture)} - {ON_COLOUR[1:]})
    return "".join(f"--c{colour}:{_dark(colour)};" for colour in used)


def _dark(colour: str) -> str:
    """The same hue on a dark ground: greys turn round, colours become light enough to be seen."""
    red, green, blue = (int(colour[k : k + 2], 16) / 255 for k in (0, 2, 4))
    hue, light, saturation = colorsys.rgb_to_hls(red, green, blue)
    turned = 0.98 - 0.85 * light if saturation < _GREY else min(0.66, max(0.5, 1 - 0.75 * light))
    return "#" + "".join(f"{round(255 * part):02x}" for part in colorsys.hls_to_rgb(hue, turned, min(saturation, 0.85)))
