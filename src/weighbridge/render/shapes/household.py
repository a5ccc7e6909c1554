"""What lies about a house: book, bucket, cone, dumbbell, umbrella."""

__all__ = ["book", "bucket", "cone", "dumbbell", "umbrella"]

import numpy as np
from manifold3d import Manifold

from weighbridge.render import solids
from weighbridge.render.shapes.draw import Draw, Solids


def book(random: np.random.Generator, variation: float) -> Solids:
    """Hard cover or soft, thin or thick, with a title on it; lying, standing, or lying open."""
    draw = Draw(random, variation)
    width, tall, thick = draw.between(0.42, 0.62), draw.between(0.6, 0.85), draw.between(0.06, 0.2)
    cover, edge = draw.pick(0.016, 0.024, 0.008), draw.pick(0.022, 0.004)
    pose = draw.pick("closed", "closed", "open", "standing")
    if pose == "open":
        return _open_book(draw, width, tall, thick, cover, edge)
    title, lines = draw.pick("label", "accent"), draw.count(1, 3)
    parts = _closed_book(width, tall, thick, cover, edge)
    at = draw.between(0.1, 0.28)
    for line in range(lines):
        y = (at - 0.16 * line) * tall
        plate = solids.box(width * (0.62 - 0.12 * line), 0.09 * tall, 0.006)
        parts.append((plate.translate((0.02, y, thick - 0.003)), title))
    if draw.chance(0.4):
        parts.append(
            (
                solids.box(0.012, tall * 0.18, thick * 0.7).translate(
                    (-width / 2 - cover + 0.003, 0.2 * tall, thick * 0.15)
                ),
                title,
            )
        )
    if draw.chance(0.25):
        tail = solids.box(0.03, 0.14, 0.006).translate((-width * 0.2, -tall / 2 - edge - 0.05, thick * 0.5))
        parts.append((tail, "accent"))
    if pose == "standing":
        parts = [(solid.rotate((90.0, 0.0, 0.0)).rotate((0.0, 0.0, 20.0)), slot) for solid, slot in parts]
    return parts


def _closed_book(width: float, tall: float, thick: float, cover: float, edge: float) -> Solids:
    """Boards below and above, a rounded spine at -x, and the block of pages between them."""
    board = solids.box(width + edge, tall + 2 * edge, cover).translate((edge / 2, 0, 0))
    turn = np.linspace(-np.pi / 2, np.pi / 2, 7)
    bulge = min(0.35 * thick, 0.05)
    outer = np.stack([-width / 2 - bulge * np.cos(turn), thick / 2 + thick / 2 * np.sin(turn)], 1)
    spine = np.concatenate([outer, [[-width / 2 + 0.03, thick], [-width / 2 + 0.03, 0]]])
    back = solids.extrude(spine, tall + 2 * edge).rotate((90, 0, 0)).translate((0, tall / 2 + edge, 0))
    pages = solids.box(width, tall, thick - 1.5 * cover).translate((0, 0, 0.75 * cover))
    return [(board, "body"), (board.translate((0, 0, thick - cover)), "body"), (back, "body"), (pages, "paper")]


def _open_book(draw: Draw, width: float, tall: float, thick: float, cover: float, edge: float) -> Solids:
    """Two blocks of pages that curve down into the fold, on a flat cover."""
    block = max(thick * 0.6, 0.06)
    share = np.linspace(0, 1, 10)
    left_share, printed = draw.between(0.4, 1.0), draw.chance(0.7)
    lines = draw.count(5, 8)
    parts: Solids = [(solids.box(2 * (width + edge), tall + 2 * edge, cover), "body")]
    for side, height in ((-1, block * left_share), (1, block * (1.4 - left_share))):
        bow = 0.35 + 0.65 * np.sin(np.pi * np.clip(share * 1.15, 0, 1) ** 0.55)
        top = np.stack([side * width * share, cover + height * bow + 0.03 * (1 - share)], 1)
        outline = np.concatenate([top, [[side * width, cover * 0.9], [0, cover * 0.9]]])
        pages = solids.extrude(outline, tall).rotate((90, 0, 0)).translate((0, tall / 2, 0))
        parts.append((pages, "paper"))
        if printed:
            line = np.stack([top[2:8, 0], 0 * share[2:8], top[2:8, 1] + 0.002], 1)
            for y in np.linspace(-0.38, 0.38, lines) * tall:
                parts.append((solids.ribbon(line, 0.035 * tall, 0.008).translate((0, y, 0)), "accent"))
    return parts


def bucket(random: np.random.Generator, variation: float) -> Solids:
    """Tapered, its bail up, down or half way, with or without a grip; hoops, a bead at the rim, sometimes a spout."""
    draw = Draw(random, variation)
    foot, flare, height = draw.between(0.26, 0.36), draw.between(1.08, 1.4), draw.between(0.5, 0.72)
    rim, wire = foot * flare, draw.between(0.012, 0.018)
    profile = np.array([[foot, 0], [rim, height], [rim + 0.025, height], [rim + 0.03, height + 0.035]])
    slot = draw.pick("body", "metal", "body", "wood")
    spout = draw.between(0.12, 0.2) if draw.chance(0.25) else 0.0

    def poured(points: solids.Points) -> solids.Points:
        near = np.exp(-((np.arctan2(points[:, 0], -points[:, 1]) / 0.35) ** 2)) * (points[:, 2] / height).clip(0) ** 4
        points[:, :2] *= 1 + spout * near[:, None]
        return points

    parts: Solids = [(solids.warped(solids.vessel(profile, 0.022, segments=36), poured), slot)]
    hoops = draw.pick((0.75,), (), (0.25, 0.7), (0.85, 0.92))
    for place in hoops:
        z = place * height
        parts.append((solids.band(profile[:2], z, z + 0.03, 0.012, segments=36), draw.pick("metal", "accent")))
    tilt = draw.pick(0.0, draw.between(30, 70), -draw.between(30, 70), 92.0)
    turn = np.linspace(0, np.pi, 21)
    reach = rim + 0.035
    bail = np.stack([reach * np.cos(turn), 0 * turn, reach * draw.between(0.85, 1.1) * np.sin(turn)], 1)
    handle: Solids = [(solids.tube(bail, wire, sides=8), "metal")]
    if draw.chance(0.5):
        middle = bail[8:13]
        handle.append((solids.tube(middle, wire * 2.3, sides=10), draw.pick("wood", "accent")))
    parts += [(solid.rotate((tilt, 0, 0)).translate((0, 0, height - 0.02)), name) for solid, name in handle]
    for side in (-1, 1):
        ear = solids.sphere(0.04, segments=10).scale((0.6, 1.0, 1.0))
        parts.append((ear.translate((side * (rim + 0.02), 0, height - 0.02)), "metal"))
    return parts


def cone(random: np.random.Generator, variation: float) -> Solids:
    """For traffic: a cone on a square, round or eight-sided foot, with none to three bright stripes."""
    draw = Draw(random, variation)
    height, radius, tip = draw.between(0.65, 1.1), draw.between(0.19, 0.27), draw.between(0.03, 0.055)
    profile = np.array([[radius, 0.0], [tip, height]])
    if draw.chance(0.3):
        profile = np.array([[radius * 1.12, 0.0], [radius * 0.92, 0.05], [tip, height]])
    body = np.concatenate(
        [[[0, 0]], profile, [[tip * 0.7, height + 0.012], [tip * 0.6, height - 0.1], [0, height - 0.1]]]
    )
    side, thick = radius * draw.between(2.5, 3.1), draw.between(0.035, 0.06)
    foot = draw.pick(
        solids.rectangle(side, side, draw.between(0.02, 0.12)),
        solids.disc(side * 0.53, 36),
        solids.disc(side * 0.56, 8).rotate(22.5),
    )
    parts: Solids = [
        (solids.revolve(body), "body"),
        (solids.extrude(foot, thick).translate((0, 0, -thick * 0.6)), draw.pick("body", "accent")),
    ]
    for low, high in draw.pick(
        ((0.42, 0.58), (0.7, 0.82)), ((0.45, 0.7),), ((0.25, 0.38), (0.5, 0.62), (0.74, 0.85)), ()
    ):
        wide = draw.between(0.7, 1.2) * (high - low)
        parts.append((solids.band(profile, low * height, (low + wide) * height, 0.006), "label"))
    return parts


def dumbbell(random: np.random.Generator, variation: float) -> Solids:
    """Two heads on a bar: hexagonal, round, balls, or stacks of plates that grow smaller outwards."""
    draw = Draw(random, variation)
    gap, bar = draw.between(0.36, 0.56), draw.between(0.032, 0.048)
    radius, length = draw.between(0.16, 0.26), draw.between(0.14, 0.26)
    kind = draw.pick("hexagon", "round", "plates", "ball", "octagon")
    plates, shrink = draw.count(2, 4), draw.between(0.75, 0.95)
    swell = 1 + draw.between(0.0, 0.35) * np.sin(np.linspace(0, np.pi, 9))
    tip = draw.between(0.04, 0.12)
    grip = solids.tube(np.linspace([-gap / 2, 0, 0], [gap / 2, 0, 0], 9), bar * swell, sides=12)
    parts: Solids = [(grip, draw.pick("metal", "metal", "accent"))]
    slot = draw.pick("body", "metal", "accent")
    for side in (-1, 1):
        head: Solids = []
        if kind == "plates":
            thick = (length + 0.06) / plates
            for number in range(plates):
                size = radius * 1.1 * shrink**number
                plate = solids.cylinder(thick * 0.86, size, segments=30).translate((0, 0, number * thick))
                head.append((plate, slot))
            head.append((solids.cylinder(length + 0.06 + tip, bar * 0.9, segments=12), "metal"))
            head.append((solids.cylinder(0.04, bar * 1.9, segments=6).translate((0, 0, length + 0.06)), "accent"))
        elif kind == "ball":
            head.append((solids.sphere(radius * 0.95, segments=24).translate((0, 0, radius * 0.85)), slot))
        else:
            sides = {"hexagon": 6, "round": 32, "octagon": 8}[kind]
            chamfer = 0.2 * length
            shape = [
                [0.0, 0],
                [radius - chamfer, 0],
                [radius, chamfer],
                [radius, length - chamfer],
                [radius - chamfer, length],
                [0.0, length],
            ]
            head.append((solids.revolve(shape, segments=sides).rotate((0, 0, 180 / sides)), slot))
            if draw.chance(0.4):
                head.append(
                    (solids.cylinder(0.012, radius * 0.6, segments=20).translate((0, 0, length - 0.004)), "label")
                )
        parts += [(solid.translate((0, 0, gap / 2)).rotate((0, 90.0 * side, 0)), name) for solid, name in head]
    return parts


def umbrella(random: np.random.Generator, variation: float) -> Solids:
    """Open, resting on its rim and its handle: flat or deep, six to twelve panels, hook, knob or straight grip."""
    draw = Draw(random, variation)
    radius, deep, panels = draw.between(0.5, 0.65), draw.between(0.2, 0.42), draw.count(6, 10)
    shaft = draw.between(0.75, 1.0)  # from the rim's plane down to the handle
    sag = draw.between(0.03, 0.1)
    canopies = [_canopy(radius, deep, panels, sag)]
    slots = ["fabric"]
    if draw.chance(0.4):
        band = _canopy(radius, deep, panels, sag, start=0.75, lift=0.008)
        canopies.append(band)
        slots.append("accent")
    parts: Solids = list(zip(canopies, slots, strict=True))
    parts.append((solids.tube([[0, 0, deep + 0.09], [0, 0, deep * 0.5], [0, 0, -shaft]], 0.016, sides=8), "metal"))
    parts.append((solids.cylinder(0.05, 0.03, 0.012, segments=10).translate((0, 0, deep - 0.005)), "metal"))
    for turn in np.arange(panels) * 2 * np.pi / panels:
        inner = [0, 0, deep * 0.35]
        outer = [0.55 * radius * np.cos(turn), 0.55 * radius * np.sin(turn), deep * 0.78]
        parts.append((solids.tube([inner, outer], 0.007, sides=4), "metal"))
    kind, hook = draw.pick("hook", "hook", "straight", "knob"), draw.between(0.07, 0.1)
    grip = draw.pick("wood", "accent")
    if kind == "hook":
        turn = np.linspace(0, 1.1 * np.pi, 12)
        bend = np.stack([hook * (1 - np.cos(turn)), 0 * turn, -shaft - hook * np.sin(turn)], 1)
        parts.append((solids.tube(np.concatenate([[[0, 0, -shaft + 0.12]], bend]), 0.027, sides=8), grip))
        touch = np.array([2 * hook * 0.3, -shaft - hook])
    elif kind == "straight":
        parts.append((solids.cylinder(0.24, 0.032, 0.024, segments=12).translate((0, 0, -shaft - 0.06)), grip))
        touch = np.array([0.03, -shaft - 0.06])
    else:
        parts.append((solids.sphere(0.05, segments=12).translate((0, 0, -shaft)), grip))
        touch = np.array([0.05, -shaft])
    # The line from the handle to the rim, both at the +x side, becomes the ground.
    fall = float(np.degrees(np.arctan2(-touch[1], radius - touch[0])))
    return [(solid.rotate((0.0, fall, 0.0)), slot) for solid, slot in parts]


def _canopy(radius: float, deep: float, panels: int, sag: float, *, start: float = 0.0, lift: float = 0.0) -> Manifold:
    """A thin dome of flat panels between ribs, its rim drawn in between them."""
    turn = np.linspace(start * np.pi / 2, np.pi / 2, 8 if start == 0 else 4)
    outer = np.stack([(radius + lift) * np.sin(turn), (deep + lift) * np.cos(turn)], 1)
    inner = outer[::-1] * [0.985, 1.0] - [0.0, 0.012 + lift]
    dome = solids.revolve(np.concatenate([outer, inner]), segments=3 * panels)

    def move(points: solids.Points) -> solids.Points:
        angle = np.arctan2(points[:, 1], points[:, 0])
        out = np.hypot(points[:, 0], points[:, 1]) / radius
        between = (1 - np.cos(panels * angle)) / 2  # 0 at a rib
        points[:, :2] *= (1 - sag * between * out)[:, None]
        points[:, 2] -= 0.3 * sag * between * out
        return points

    return solids.warped(dome, move)
