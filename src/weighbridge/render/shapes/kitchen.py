"""What stands in a kitchen: bottle, bowl, fork, goblet, mug, plate, spoon, vase.

Profiles are (radius, height) from the foot up; about one unit is the size of the object.
"""

__all__ = ["bottle", "bowl", "fork", "goblet", "mug", "plate", "spoon", "vase"]

from collections.abc import Callable

import numpy as np

from weighbridge.render import solids
from weighbridge.render.shapes.draw import Draw, Solids
from weighbridge.render.solids import Points


def _squared(roundness: float) -> Callable[[Points], Points]:
    """Circles around the z axis become circles (roundness 1) to almost squares (0.1)."""
    power = 2 / roundness

    def move(points: Points) -> Points:
        angle = np.arctan2(points[:, 1], points[:, 0])
        reach = (np.abs(np.cos(angle)) ** power + np.abs(np.sin(angle)) ** power) ** (-1 / power)
        points[:, :2] *= reach[:, None]
        return points

    return move


def _fluted(waves: int, depth: float) -> Callable[[Points], Points]:
    """Circles around the z axis become waves, deeper by `depth` of their radius."""

    def move(points: Points) -> Points:
        angle = np.arctan2(points[:, 1], points[:, 0])
        points[:, :2] *= (1 + depth * (np.cos(waves * angle) - 1) / 2)[:, None]
        return points

    return move


def mug(random: np.random.Generator, variation: float) -> Solids:
    """Straight, tapered, barrel or flared, with a handle at one side; sometimes a printed band."""
    draw = Draw(random, variation)
    radius, height, wall = draw.between(0.26, 0.44), draw.between(0.55, 0.95), draw.between(0.035, 0.05)
    foot, belly, rim = draw.pick(
        (1.0, 1.0, 1.0), (0.72, 0.87, 1.0), (0.8, 1.08, 0.92), (0.85, 0.8, 1.02), (1.05, 0.95, 0.9)
    )
    profile = np.concatenate(
        [
            [[radius * foot * 0.9, 0.0]],
            solids.smooth(radius * np.array([foot, belly, rim])[:, None] * [1, 0] + [[0, 0.03], [0, 0.5], [0, 1]], 9),
        ]
    )
    profile[:, 1] *= height
    low, high = draw.between(0.12, 0.28) * height, draw.between(0.72, 0.88) * height
    reach, squareness, thickness = draw.between(0.16, 0.28), draw.between(0.55, 1.0), draw.between(0.03, 0.05)
    sag = draw.between(-0.06, 0.06)
    turn = np.linspace(0, np.pi, 17)
    start, end = (solids.radius_at(profile, at) - wall * 0.6 for at in (low, high))
    share = (1 - np.cos(turn)) / 2
    bow = np.sin(turn) ** squareness
    path = np.stack([start + (end - start) * share + reach * bow, 0 * turn, low + (high - low) * share - sag * bow], 1)
    handle = solids.tube(path, thickness).scale((1.0, draw.between(0.9, 1.7), 1.0))
    parts: Solids = [(solids.vessel(profile, wall), "body"), (handle, draw.pick("body", "body", "accent"))]
    if draw.chance(0.35):
        bottom = draw.between(0.1, 0.4) * height
        parts.append((solids.band(profile, bottom, bottom + draw.between(0.2, 0.5) * height, 0.006), "label"))
    return parts


def bottle(random: np.random.Generator, variation: float) -> Solids:
    """Wine, beer, flask, jug-shouldered or square, closed by a screw cap, a cork or a crown."""
    draw = Draw(random, variation)
    shoulder_height, shoulder_length, neck_length = draw.pick(
        (0.55, 0.16, 0.24), (0.6, 0.06, 0.28), (0.42, 0.34, 0.16), (0.62, 0.14, 0.08), (0.5, 0.3, 0.06)
    )
    radius, neck = draw.between(0.14, 0.26), draw.between(0.045, 0.085)
    body = shoulder_height * draw.between(0.8, 1.15)
    shoulder = body + shoulder_length * draw.between(0.8, 1.3)
    top = shoulder + neck_length * draw.between(0.7, 1.3)
    waist = draw.between(0.88, 1.06)
    ease = np.linspace(0, np.pi, 8)
    profile = np.concatenate(
        [
            [[radius * 0.85, 0.0], [radius, 0.03]],
            [[radius * waist, body / 2]] if abs(waist - 1) > 0.03 else np.empty((0, 2)),
            np.stack([neck + (radius - neck) * (1 + np.cos(ease)) / 2, body + (shoulder - body) * ease / np.pi], 1),
            [[neck, top - 0.05], [neck * 1.2, top - 0.045], [neck * 1.2, top]],
        ]
    )
    glass = solids.revolve(np.concatenate([[[0, 0]], profile, [[0, top]]]))
    closure = draw.pick("cap", "cork", "crown")
    if closure == "cork":
        lid = (solids.cylinder(0.06, neck * 0.8, neck * 0.95, segments=16).translate((0, 0, top - 0.01)), "wood")
    elif closure == "crown":
        lid = (solids.cylinder(0.025, neck * 1.6, neck * 1.3, segments=16).translate((0, 0, top - 0.012)), "metal")
    else:
        length = draw.between(0.05, 0.11)
        lid = (solids.cylinder(length, neck * 1.35, segments=20).translate((0, 0, top - length + 0.01)), "accent")
    parts: Solids = [(glass, "body"), lid]
    if draw.chance(0.7):
        bottom = draw.between(0.12, 0.25) * body
        parts.append((solids.band(profile, bottom, draw.between(0.6, 0.9) * body, 0.008), "label"))
    flat = draw.pick(1.0, 1.0, draw.between(0.55, 0.8))
    if draw.chance(0.25):
        parts = [(solid if slot == lid[1] else solids.warped(solid, _squared(0.4)), slot) for solid, slot in parts]
    return [(solid.scale((1.0, flat, 1.0)), slot) for solid, slot in parts]


def bowl(random: np.random.Generator, variation: float) -> Solids:
    """Shallow to deep, round or squarish, on a foot; its rim sometimes turned out."""
    draw = Draw(random, variation)
    radius, height, wall = draw.between(0.45, 0.6), draw.between(0.2, 0.42), draw.between(0.025, 0.04)
    foot, swell, lip = draw.between(0.3, 0.5), draw.between(0.35, 0.7), draw.pick(0.0, 0.0, draw.between(0.05, 0.16))
    rise = np.linspace(0.05, 1, 12)
    profile = np.concatenate(
        [
            [[radius * foot, 0.0], [radius * foot * 1.02, 0.045]],
            np.stack([radius * (foot * 1.04 + (1 - foot * 1.04) * rise**swell), 0.045 + height * rise], 1),
        ]
    )
    if lip:
        profile = np.concatenate([profile, [[radius * (1 + lip), height + 0.06]]])
    solid = solids.vessel(profile, wall, segments=36)
    look = draw.pick("round", "round", "square", "fluted")
    if look == "square":
        solid = solids.warped(solid, _squared(draw.between(0.35, 0.6)))
    elif look == "fluted":
        solid = solids.warped(solid, _fluted(12, draw.between(0.04, 0.08)))
    parts: Solids = [(solid, "body")]
    if look == "round" and draw.chance(0.3):
        low = draw.between(0.4, 0.7) * height
        parts.append((solids.band(profile, low, low + draw.between(0.06, 0.14), 0.007, segments=36), "accent"))
    return parts


def plate(random: np.random.Generator, variation: float) -> Solids:
    """Flat with a raised rim, round, oval, square or scalloped; sometimes a ring on the rim."""
    draw = Draw(random, variation)
    radius, rim, height = draw.between(0.5, 0.6), draw.between(0.14, 0.26), draw.between(0.05, 0.12)
    flat = radius - rim
    profile = np.array(
        [[flat * 0.8, 0.0], [flat * 0.95, 0.008], [flat + 0.05, height * draw.between(0.4, 0.7)], [radius, height]]
    )
    parts: Solids = [(solids.vessel(profile, 0.022, segments=40), "body")]
    ring = draw.pick("none", "rim", "centre", "rim")
    if ring == "rim":
        edge = np.array(
            [[radius * 1.006, height * 0.9], [radius * 1.006, height + 0.024], [radius * 0.92, height + 0.022]]
        )
        parts.append((solids.revolve(edge, segments=40), "accent"))
    elif ring == "centre":
        spot = np.array([[0, 0.022], [flat * 0.9, 0.022], [flat * 0.9, 0.028], [0, 0.028]])
        parts.append((solids.revolve(spot, segments=40), "label"))
    look = draw.pick("round", "oval", "square", "scalloped")
    squash, corner, waves = draw.between(0.62, 0.85), draw.between(0.25, 0.5), draw.count(8, 16)
    if look == "oval":
        return [(solid.scale((1.0, squash, 1.0)), slot) for solid, slot in parts]
    if look == "square":
        return [(solids.warped(solid, _squared(corner)), slot) for solid, slot in parts]
    if look == "scalloped":
        return [(solids.warped(solid, _fluted(waves, 0.06)), slot) for solid, slot in parts]
    return parts


def goblet(random: np.random.Generator, variation: float) -> Solids:
    """A cup on a stem: tulip, balloon, flute, cone or chalice, the stem plain or with a knop."""
    draw = Draw(random, variation)
    widest, waist, mouth, tall = draw.pick(
        (0.3, 0.95, 0.8, 0.45),
        (0.34, 1.0, 0.68, 0.42),
        (0.2, 0.95, 0.85, 0.6),
        (0.4, 0.5, 1.0, 0.34),
        (0.3, 0.92, 1.08, 0.36),
    )
    widest, tall = widest * draw.between(0.85, 1.15), tall * draw.between(0.85, 1.2)
    stem, thickness = draw.between(0.22, 0.55), draw.between(0.018, 0.035)
    if waist == 0.5:  # the cone
        curve = np.linspace([thickness, 0], [widest, 1], 5)
    else:  # rounder below: a cup and no funnel
        low = np.linspace(0, np.pi / 2, 6)[:-1]
        below = np.stack([thickness + (widest * waist - thickness) * np.sin(low), 0.4 * (1 - np.cos(low))], 1)
        above = solids.smooth(
            [[widest * waist, 0.4], [widest * (waist + mouth) / 2 + 0.01, 0.7], [widest * mouth, 1]], 6
        )
        curve = np.concatenate([below, above])
    cup = solids.vessel(curve * [1, tall] + [0, stem], 0.018)
    base = draw.between(0.6, 0.95) * max(widest, 0.26)
    knop = draw.pick(1.0, 1.0, draw.between(2.0, 3.2))
    profile = np.concatenate(
        [
            [[0, 0], [base, 0], [base, 0.02]],
            [[base * 0.4, 0.05], [thickness * 1.6, 0.1]],
            solids.smooth(
                [[thickness, 0.14], [thickness, stem * 0.45], [thickness * knop, stem * 0.58], [thickness, stem * 0.7]],
                10,
            ),
            [[thickness * 1.5, stem + 0.004], [0, stem + 0.01]],
        ]
    )
    return [(cup, "body"), (solids.revolve(profile, segments=24), draw.pick("body", "body", "accent"))]


def vase(random: np.random.Generator, variation: float) -> Solids:
    """A free curve from foot over belly and neck to the mouth; plain, fluted, squarish or with two ears."""
    draw = Draw(random, variation)
    height = draw.between(0.75, 1.2)
    foot, belly, at = draw.between(0.13, 0.22), draw.between(0.22, 0.4), draw.between(0.3, 0.6)
    neck, mouth = draw.between(0.08, 0.16), draw.between(0.13, 0.26)
    if draw.chance(0.2):  # a trumpet
        belly, neck, mouth = foot * 0.8, foot * 0.95, belly
    knots = [[foot, 0], [(foot + belly) / 2, at * 0.4], [belly, at], [neck, at + (1 - at) * 0.65], [mouth, 1]]
    profile = solids.smooth(knots, 20) * [1, height]
    vase_wall = 0.025
    solid = solids.vessel(profile, vase_wall)
    look = draw.pick("round", "fluted", "round", "squarish", "ears")
    waves, depth, corner = draw.count(6, 16), draw.between(0.06, 0.14), draw.between(0.4, 0.6)
    if look == "fluted":
        return [(solids.warped(solid, _fluted(waves, depth)), "body")]
    if look == "squarish":
        return [(solids.warped(solid, _squared(corner)), "body")]
    parts: Solids = [(solid, "body")]
    if look == "ears":
        low, high = (at + 0.05) * height, (at + (1 - at) * 0.8) * height
        start, end = (solids.radius_at(profile, z) - vase_wall * 0.6 for z in (low, high))
        path = solids.smooth(
            [
                [start, 0, low],
                [max(start, end) + 0.13, 0, low + 0.6 * (high - low)],
                [end + 0.08, 0, high + 0.03],
                [end, 0, high],
            ],
            14,
        )
        ear = solids.tube(path, 0.025, sides=8)
        parts += [(ear, "body"), (ear.rotate((0, 0, 180)), "body")]
    elif draw.chance(0.4):
        low = draw.between(0.15, 0.5) * height
        parts.append((solids.band(profile, low, low + draw.between(0.1, 0.3) * height, 0.006), "accent"))
    return parts


def _cutlery_handle(draw: Draw, start: float, height: float) -> Solids:
    """From (start, 0, height) along x, up and down to the ground: flat metal, flat with a grip, or a round stick."""
    length, neck, end = draw.between(0.6, 0.85), draw.between(0.03, 0.045), draw.between(0.08, 0.14)
    lift = draw.between(0.02, 0.07)
    path = solids.smooth(
        [
            [start, 0, height],
            [start + 0.2 * length, 0, height + lift],
            [start + 0.6 * length, 0, height + lift * 0.8],
            [start + length, 0, 0.014],
        ],
        16,
    )
    share = np.linspace(0, 1, 16)
    tip = np.sqrt(np.clip(1 - ((share - 0.8).clip(0) / 0.2) ** 2, 0.05, 1))
    kind = draw.pick("flat", "flat", "grip", "stick")
    if kind == "stick":
        return [(solids.tube(path, 0.028 + 0.012 * share, sides=8), "wood")]
    widths = (neck + (end - neck) * share ** draw.between(1.5, 3)) * tip
    parts: Solids = [(solids.ribbon(path, widths, 0.026), "metal")]
    if kind == "grip":
        parts.append((solids.ribbon(path[6:], widths[6:] * 1.12 + 0.012, 0.05), "accent"))
    return parts


def spoon(random: np.random.Generator, variation: float) -> Solids:
    """Round, oval or egg-shaped bowl, its hollow upwards; flat, gripped or wooden handle."""
    draw = Draw(random, variation)
    long, wide, deep = draw.between(0.16, 0.24), draw.between(0.7, 0.95), draw.between(0.06, 0.12)
    egg = draw.between(0.0, 0.25)
    angle = np.linspace(0.1, np.pi / 2, 8)
    hollow = solids.vessel(np.stack([np.sin(angle), 1 - np.cos(angle)], 1), 0.1, segments=24)

    def move(points: Points) -> Points:
        points[:, 1] *= 1 - egg * points[:, 0]
        return points * [long, long * wide, deep]

    handle = _cutlery_handle(draw, long * 0.93, deep * 0.93)
    slot = "wood" if handle[0][1] == "wood" else "metal"
    return [(solids.warped(hollow, move), slot), *handle]


def fork(random: np.random.Generator, variation: float) -> Solids:
    """Two to four tines on a shoulder, curved or straight; flat, gripped or wooden handle."""
    draw = Draw(random, variation)
    tines, width = draw.pick(4, 3, 4, 2), draw.between(0.17, 0.26)
    length, palm, arch = draw.between(0.2, 0.34), draw.between(0.1, 0.16), draw.between(0.02, 0.07)
    knots = [[-length - palm, 0, arch + 0.02], [-palm, 0, 0.014], [0, 0, 0.02 + arch * 0.8], [0.05, 0, 0.03 + arch]]
    path = solids.smooth(knots, 19)
    share = np.linspace(0, 1, 9)
    shoulder = 0.035 + (width - 0.035) * np.sqrt(1 - share**2)
    shoulder[:3] = width
    parts: Solids = [
        (solids.ribbon(path[6 : 6 + 13], np.interp(np.linspace(0, 1, 13), share, shoulder), 0.026), "metal")
    ]
    tine = width / (1.75 * tines - 0.75)
    for offset in np.linspace(-(width - tine) / 2, (width - tine) / 2, tines):
        taper = np.interp(np.arange(8), [0, 1.5, 7], [0.3, 0.9, 1.0])
        parts.append((solids.ribbon(path[:8], tine * taper, 0.026).translate((0, offset, 0)), "metal"))
    handle = _cutlery_handle(draw, 0.045, 0.03 + arch)
    if handle[0][1] == "wood":
        parts = [(solid, "wood") for solid, _ in parts]
    return [*parts, *handle]
