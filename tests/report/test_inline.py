"""Figures inside a page: their colours follow it, their names stay text."""

import re

from matplotlib.figure import Figure

from weighbridge.report.inline import ON_COLOUR, dark_colours, inline_svg


def figure(label="a < b & c"):
    drawn = Figure(figsize=(2, 2))
    axes = drawn.subplots()
    axes.plot([0, 1], [0, 1], color="#332288", label=label)
    axes.fill_between([0, 1], [0, 1], color="#E69F00")
    axes.text(0.5, 0.5, "on it", color=ON_COLOUR)
    axes.text(0.2, 0.5, "beside it", color="#222222")
    axes.legend()
    return drawn


def light(colour):
    return sum(int(colour[k : k + 2], 16) for k in (0, 2, 4)) / 3


def test_every_colour_of_a_figure_has_a_dark_twin():
    drawn = inline_svg(figure())
    assert drawn.startswith("<svg")
    assert not re.search(r"[:\"] ?#[0-9a-f]{6}", drawn)
    twins = dict(re.findall(r"--c([0-9a-f]{6}):#([0-9a-f]{6});", dark_colours([drawn])))
    assert {"332288", "e69f00", "222222"} <= set(twins)
    assert light(twins["332288"]) > 120 > light("332288")
    assert light(twins["222222"]) > 200
    assert ON_COLOUR[1:] not in twins


def test_names_stay_text_and_two_figures_share_no_id():
    first, second = inline_svg(figure()), inline_svg(figure())
    assert "a &lt; b &amp; c" in first
    ids = [set(re.findall(r'\bid="([^"]+)"', drawn)) for drawn in (first, second)]
    assert ids[0]
    assert not ids[0] & ids[1]
    for drawn, known in zip((first, second), ids, strict=True):
        assert set(re.findall(r'url\(#([^)]+)\)|href="#([^"]+)"', drawn)) <= {
            pair for name in known for pair in ((name, ""), ("", name))
        }
