"""Small metal parts: bolt, gear, key, nut."""

__all__ = ["bolt", "gear", "key", "nut"]

import numpy as np

from weighbridge.render import solids
from weighbridge.render.shapes.draw import Draw, Solids
from weighbridge.render.solids import Points


def _thread(radius: float, start: float, end: float, pitch: float, depth: float) -> Points:
    """A saw-tooth (radius, height): rings that look like a thread."""
    turns = max(int((end - start) / pitch), 1)
    crests = start + (np.arange(turns) + 0.5) * (end - start) / turns
    valleys = start + np.arange(turns + 1) * (end - start) / turns
    heights = np.sort(np.concatenate([crests, valleys]))
    radii = np.where(np.arange(len(heights)) % 2 == 1, radius, radius - depth)
    return np.stack([radii, heights], 1)


def bolt(random: np.random.Generator, variation: float) -> Solids:
    """Hexagonal, flanged, socket, domed or square head; threaded in full or in part; lying, or standing on its head."""
    draw = Draw(random, variation)
    radius, length, pitch = draw.between(0.09, 0.15), draw.between(0.5, 0.95), draw.between(0.04, 0.065)
    wide, tall = radius * draw.between(1.65, 2.1), radius * draw.between(0.9, 1.4)
    smooth_share = draw.pick(0.0, draw.between(0.25, 0.55))
    shank = np.concatenate(
        [
            [[0, -0.01], [radius * 0.95, -0.01]],
            [[radius * 0.95, smooth_share * length]] if smooth_share else np.empty((0, 2)),
            _thread(radius, max(smooth_share * length, 0.001), length, pitch, 0.16 * radius),
            [[radius * 0.7, length + 0.03], [0, length + 0.03]],
        ]
    )
    kind = draw.pick("hexagon", "flange", "socket", "dome", "square")
    parts: Solids = [(solids.revolve(shank, segments=20), "metal")]
    if kind == "socket":
        cap = solids.cylinder(tall * 1.2, wide * 0.85, segments=28) - solids.cylinder(tall, wide * 0.45, segments=6)
        parts.append((cap.translate((0, 0, -tall * 1.2)), "metal"))
    elif kind == "dome":
        dome = solids.sphere(1.0, segments=24).trim_by_plane((0, 0, -1), 0.0).scale((wide, wide, tall))
        parts += [(dome, "metal"), (solids.box(radius * 1.9, radius * 1.9, radius * 0.8), "metal")]
    else:
        sides = 4 if kind == "square" else 6
        bevel = solids.cylinder(tall, wide * 0.86, wide * 1.25, segments=28)
        head = solids.cylinder(tall, wide, segments=sides) ^ bevel
        parts.append((head.translate((0, 0, -tall)), "metal"))
        if kind == "flange":
            parts.append((solids.cylinder(0.3 * tall, wide * 1.3, segments=28).translate((0, 0, -0.3 * tall)), "metal"))
            wide *= 1.3
    if draw.chance(0.25):
        washer = solids.cylinder(0.03, wide * 1.25, segments=28).translate((0, 0, 0.002))
        parts.append((washer, "accent"))
        wide *= 1.25
    turn, upright = draw.between(0, 60), draw.chance(0.2)
    if upright:
        return parts
    down = float(np.degrees(np.arctan2(wide - radius, length)))
    return [(solid.rotate((0, 0, turn)).rotate((0.0, 90.0 + down, 0.0)), slot) for solid, slot in parts]


def nut(random: np.random.Generator, variation: float) -> Solids:
    """Hexagonal, square, flanged, castle, lock or wing nut; lying, or standing on one side."""
    draw = Draw(random, variation)
    kind = draw.pick("hexagon", "flange", "square", "castle", "lock", "wing")
    radius, height = 0.4, draw.between(0.22, 0.4) * (0.7 if kind == "square" else 1.0)
    hole = radius * draw.between(0.45, 0.6) * (0.85 if kind == "square" else 1.0)
    sides = 4 if kind == "square" else 6
    body = solids.cylinder(height, radius * (0.75 if kind == "wing" else 1.0), segments=24 if kind == "wing" else sides)
    if kind != "wing":
        round_off = radius * draw.between(0.9, 0.97)
        slope = 0.5 * height
        barrel = [
            [0.0, 0],
            [round_off, 0],
            [round_off + slope, slope],
            [round_off + slope, height - slope],
            [round_off, height],
            [0.0, height],
        ]
        body = body ^ solids.revolve(barrel, segments=36)
    thread = _thread(hole, -0.01, height + 0.01, 0.07, -0.05)
    bore = np.concatenate(
        [[[0, -0.02], [hole + 0.04, -0.02]], thread, [[hole + 0.04, height + 0.3], [0, height + 0.3]]]
    )
    if kind == "castle":
        crown = solids.cylinder(0.45 * height, radius * 0.78, segments=30).translate((0, 0, height * 0.98))
        slots = [solids.box(2.2 * radius, 0.26 * radius, height).rotate((0, 0, 30 + 60 * turn)) for turn in range(3)]
        body = body + (crown - solids.union(slots).translate((0, 0, height * 1.08)))
    if kind == "flange":
        body = body + solids.cylinder(0.16 * height, radius * 1.3, radius * 1.22, segments=36)
    parts: Solids = [(body - solids.revolve(bore, segments=24), "metal")]
    if kind == "lock":
        collar = solids.vessel([[radius * 0.7, 0], [radius * 0.7, 0.2 * height], [radius * 0.6, 0.32 * height]], 0.06)
        ring = collar - solids.cylinder(1.0, hole * 1.05).translate((0, 0, -0.5))
        parts.append((ring.translate((0, 0, height * 0.97)), "accent"))
    if kind == "wing":
        span, lift = draw.between(0.35, 0.5), draw.between(0.2, 0.4)
        path = solids.smooth(
            [
                [radius * 0.6, 0, height * 0.4],
                [radius + span * 0.5, 0, height * 0.7 + lift],
                [radius + span, 0, height + lift * 1.6],
            ],
            8,
        )
        wing = solids.ribbon(path, 0.12, np.array([0.24, 0.26, 0.28, 0.3, 0.3, 0.27, 0.2, 0.06]) * 1.1)
        parts += [(wing, "metal"), (wing.rotate((0, 0, 180)), "metal")]
    upright = draw.chance(0.2)
    if upright and kind in ("hexagon", "square", "lock"):
        half_turn = 45.0 if kind == "square" else 30.0
        return [(solid.rotate((0, 0, half_turn)).rotate((90.0, 0, 0)), slot) for solid, slot in parts]
    return parts


def gear(random: np.random.Generator, variation: float) -> Solids:
    """Spur or helical teeth; a solid, holed, spoked or dished web; with or without a hub; lying or upright."""
    draw = Draw(random, variation)
    teeth, radius, depth = draw.count(9, 22), 0.42, draw.between(0.06, 0.11)
    height, bore = draw.between(0.09, 0.24), draw.between(0.07, 0.13)
    root, crest = draw.between(0.27, 0.32), draw.between(0.1, 0.17)
    turns = 2 * np.pi / teeth * (np.arange(teeth)[:, None] + [-root, -crest, crest, root])
    reach = np.array([radius, radius + depth, radius + depth, radius])
    outline = solids.polygon(np.stack([reach * np.cos(turns), reach * np.sin(turns)], -1).reshape(-1, 2))
    hub = bore + draw.between(0.05, 0.09)
    web = draw.pick("holes", "solid", "spokes", "dished")
    openings, twist = draw.count(3, 7), draw.pick(0.0, 0.0, draw.between(6, 14))
    angles = np.arange(openings) * 2 * np.pi / openings
    middle, space = (hub + radius) / 2, radius - hub
    if web == "holes":
        size = min(0.33 * space, 0.7 * middle * np.pi / openings)
        for angle in angles:
            outline = outline - solids.disc(size, 16).translate((middle * np.cos(angle), middle * np.sin(angle)))
    elif web == "spokes":
        spokes = solids.rectangle(0.0725, 0.0725)
        for angle in np.degrees(angles):
            spokes = spokes + solids.rectangle(radius, 0.0725).translate((radius / 2, 0)).rotate(float(angle))
        outline = outline - (solids.disc(radius - 0.07, 32) - solids.disc(hub, 24) - spokes)
    outline = outline - solids.disc(bore, 24)
    if draw.chance(0.4):
        outline = outline - solids.rectangle(0.35 * bore, bore).translate((0, bore * 0.85))
    wheel = solids.extrude(outline, height, twist=twist, steps=4 if twist else 0)
    if web == "dished":
        dish = solids.cylinder(height, radius - 0.06) - solids.cylinder(height, hub, segments=24)
        wheel = wheel - dish.translate((0, 0, 0.6 * height))
    parts: Solids = [(wheel, "metal")]
    if draw.chance(0.5):
        boss = solids.extrude(solids.disc(hub, 24) - solids.disc(0.96 * bore, 24), height * draw.between(1.3, 2.2))
        parts.append((boss, draw.pick("metal", "accent")))
    if draw.chance(0.2):
        return [(solid.rotate((90.0, 0.0, 0.0)).rotate((0.0, 180.0 / teeth, 0.0)), slot) for solid, slot in parts]
    return parts


def key(random: np.random.Generator, variation: float) -> Solids:
    """A flat key with a round, squarish, hexagonal or trefoil head, bare or in plastic; or an old one with a bit."""
    draw = Draw(random, variation)
    head, length, half = draw.between(0.16, 0.23), draw.between(0.5, 0.75), draw.between(0.04, 0.06)
    shape = draw.pick("round", "square", "hexagon", "trefoil")
    hole, tall_hole, stretch = draw.between(0.22, 0.42), draw.between(0.9, 1.25), draw.between(0.8, 1.25)
    cuts = draw.random.random(12)
    if draw.chance(0.3):
        return _old_key(draw, head, length, shape)
    outline = {
        "round": solids.disc(head, 28),
        "square": solids.rectangle(1.9 * head, 2 * head, 0.5 * head),
        "hexagon": solids.disc(1.05 * head, 6),
        "trefoil": solids.disc(0.62 * head, 20).translate((0.2 * head, 0.55 * head))
        + solids.disc(0.62 * head, 20).translate((0.2 * head, -0.55 * head))
        + solids.disc(0.62 * head, 20).translate((-0.6 * head, 0))
        + solids.disc(0.5 * head, 12),
    }[shape].scale((stretch, 1.0))
    opening = solids.disc(hole * head, 16).translate((-0.4 * head, 0)).scale((stretch, tall_hole))
    teeth = max(int(length / 0.1), 4)
    start, end = head * 0.25, head * stretch + length
    x = np.linspace(end - 0.75 * length, end - 0.05, 2 * teeth)
    depths = np.where(
        np.arange(2 * teeth) % 2 == 1, 0.0, 0.35 + 0.75 * variation * (cuts[np.arange(2 * teeth) % 12] - 0.5)
    )
    cut_edge = np.stack([x, half * (1 - 2 * depths.clip(0, 0.6))], 1)
    blade = [[start, -half], [end - 0.03, -half], [end, 0], *cut_edge[::-1], [x[0], half], [start, half]]
    groove = solids.rectangle(length * 0.9, half * 0.35).translate((end - 0.5 * length, -0.35 * half))
    parts: Solids = [
        (solids.extrude(solids.polygon(blade), 0.035) - solids.extrude(groove, 0.1).translate((0, 0, 0.026)), "metal")
    ]
    grip = solids.extrude(outline - opening, 0.04)
    if draw.chance(0.35):
        cover = solids.extrude(outline.scale((1.08, 1.1)) - opening, 0.075).translate((0, 0, -0.02))
        return [*parts, (cover, "accent")]
    return [*parts, (grip, "metal")]


def _old_key(draw: Draw, head: float, length: float, shape: str) -> Solids:
    """A round shaft with a ring to hold and a bit to turn."""
    thick = draw.between(0.028, 0.042)
    angle = np.linspace(0, 2 * np.pi, 20, endpoint=False)
    oval = draw.between(0.8, 1.3)
    rings = [(0.0, 0.0, head * 0.85)]
    if shape == "trefoil":
        rings = [
            (0.1 * head, 0.55 * head, 0.5 * head),
            (0.1 * head, -0.55 * head, 0.5 * head),
            (-0.75 * head, 0, 0.5 * head),
        ]
    parts: Solids = []
    for x, y, radius in rings:
        ring = np.stack([x + oval * radius * np.cos(angle), y + radius * np.sin(angle), 0 * angle], 1)
        parts.append((solids.tube(ring, thick * 0.85, sides=8, closed=True), "metal"))
    start = 0.6 * head if shape == "trefoil" else oval * head * 0.85
    if shape == "trefoil":
        start = -0.3 * head
    end = oval * head + length
    parts.append((solids.tube([[start, 0, 0], [end, 0, 0]], thick, sides=12), "metal"))
    for place in (0.0, 0.12):
        at = oval * head * 0.85 + 0.06 + place * length
        collar = solids.tube([[at, 0, 0], [at + 0.035, 0, 0]], thick * 1.6, sides=12)
        parts.append((collar, "metal"))
    width, drop = draw.between(0.14, 0.2), draw.between(0.14, 0.22)
    bit = solids.rectangle(width, drop).translate((end - width * 0.5 - 0.05, drop / 2))
    for column in range(draw.count(1, 2)):
        notch = solids.rectangle(width * 0.16, drop * 0.6)
        bit = bit - notch.translate((end - 0.05 - width * (0.3 + 0.4 * column), drop * 0.85))
    if draw.chance(0.5):
        bit = bit - solids.rectangle(width * 0.5, drop * 0.16).translate((end - 0.05 - width, drop * 0.55))
    parts.append((solids.extrude(bit, thick * 1.1).translate((0, 0, -thick * 0.55)), "metal"))
    return parts
