"""What hangs over a workbench: hammer, scissors, screwdriver, wrench. All lie on the ground, their length along x."""

__all__ = ["hammer", "scissors", "screwdriver", "wrench"]

import numpy as np
from manifold3d import Manifold

from weighbridge.render import solids
from weighbridge.render.shapes.draw import Draw, Solids
from weighbridge.render.solids import Points


def _laid(parts: Solids, degrees: float) -> Solids:
    """The near end, at x = 0, lowered until it too touches the ground."""
    return [(solid.rotate((0.0, float(degrees), 0.0)), slot) for solid, slot in parts]


def hammer(random: np.random.Generator, variation: float) -> Solids:
    """Claw, ball-peen, cross-peen, sledge or mallet, on a waisted or straight handle."""
    draw = Draw(random, variation)
    kind = draw.pick("claw", "ball", "sledge", "mallet", "peen")
    length, grip = draw.between(0.75, 1.1), draw.between(0.032, 0.048)
    share = np.linspace(0, 1, 14)
    swell = 1 + draw.between(0.1, 0.4) * np.sin(share * draw.between(4.0, 8.0) + 1.2)
    handle = solids.tube(np.linspace([0, 0, 0], [length, 0, 0], 14), grip * swell, sides=10).scale((1.0, 1.3, 1.0))
    parts: Solids = [(handle, draw.pick("wood", "wood", "metal"))]
    if draw.chance(0.35):
        sleeve = solids.tube(np.linspace([-0.01, 0, 0], [length * 0.4, 0, 0], 6), grip * 1.35, sides=10)
        parts.append((sleeve.scale((1.0, 1.3, 1.0)), "accent"))
    thick = draw.between(0.065, 0.09)  # half the height of the head
    reach = draw.between(0.17, 0.25)  # from the handle to the striking face, which looks along -y
    if kind == "mallet":
        thick *= 1.5
        head = solids.cylinder(2 * reach, thick, segments=draw.pick(24, 8)).translate((0, 0, -reach)).rotate((90, 0, 0))
        parts.append((head.translate((length, 0, 0)), draw.pick("wood", "accent", "body")))
    elif kind == "sledge":
        block = solids.box(2 * thick, 2 * reach, 2 * thick, 0.35 * thick)
        parts.append((block.translate((length, 0, -thick)), "metal"))
    else:
        eye = solids.box(2.1 * thick, 2.2 * thick, 2 * thick, 0.3 * thick).translate((length, 0, -thick))
        neck = _along_y(0, -reach, 0.65 * thick).translate((length, 0, 0))
        face = _along_y(-reach * 0.75, -reach - 0.03, thick).translate((length, 0, 0))
        parts += [(eye, "metal"), (neck, "metal"), (face, "metal")]
        back = draw.between(0.2, 0.3)
        if kind == "ball":
            parts.append((_along_y(0, back * 0.6, 0.6 * thick).translate((length, 0, 0)), "metal"))
            parts.append((solids.sphere(thick * 0.9, segments=16).translate((length, back * 0.6, 0)), "metal"))
        elif kind == "peen":
            wedge = [
                [thick, 0],
                [thick, thick],
                [0.15 * thick, back],
                [-0.15 * thick, back],
                [-thick, thick],
                [-thick, 0],
            ]
            peen = solids.extrude(wedge, 1.7 * thick).translate((length, 0, -0.85 * thick))
            parts.append((peen, "metal"))
        else:
            droop = draw.between(0.06, 0.14)
            for side in (-1, 1):
                path = solids.smooth(
                    [[0.0, 0, 0], [0.01, back * 0.45, side * 0.2 * thick], [-droop, back * 1.05, side * 0.7 * thick]], 8
                )
                parts.append((_prong(path, thick).translate((length, 0, 0)), "metal"))
    return _laid(parts, np.degrees(np.arcsin((thick - grip) / length)))


def _along_y(start: float, end: float, radius: float) -> Manifold:
    return solids.tube([[0, start, 0], [0, end, 0]], radius, sides=16)


def _prong(path: Points, thick: float) -> Manifold:
    """One half of a claw, thick where it leaves the head and thin at its tip."""
    share = np.linspace(0, 1, len(path))
    tall, wide = thick * (0.75 - 0.35 * share), thick * (1.7 - 1.1 * share)
    corners = np.array([[1, 0, 1], [-1, 0, 1], [-1, 0, -1], [1, 0, -1]])
    section = np.stack([wide / 2, 0 * wide, tall / 2], 1)  # (N, 3)
    return solids.loft(path[:, None] + section[:, None] * corners)


def screwdriver(random: np.random.Generator, variation: float) -> Solids:
    """Long or stubby, with a flat or a cross tip; the handle fluted, hexagonal or bulbous."""
    draw = Draw(random, variation)
    grip, thick = draw.between(0.34, 0.5), draw.between(0.065, 0.1)
    shaft, rod = draw.between(0.3, 0.75), draw.between(0.02, 0.03)
    waist, bulge = draw.between(0.6, 0.9), draw.between(0.9, 1.1)
    outline = solids.smooth(
        np.array([[0.55, 0.0], [0.95, 0.06], [bulge, 0.35], [0.9, 0.65], [waist * 0.75, 0.85], [waist * 0.8, 1.0]])
        * [thick, grip],
        16,
    )
    handle = solids.revolve(np.concatenate([[[0, 0]], outline, [[0, grip]]]), segments=36)
    waves, depth = draw.pick(6, 3, 9), draw.pick(0.16, 0.1, 0.25, 0.0)

    def move(points: Points) -> Points:
        angle = np.arctan2(points[:, 1], points[:, 0])
        middle = np.clip(1 - np.abs(points[:, 2] / grip - 0.45) / 0.45, 0, 1) ** 0.5
        points[:, :2] *= (1 + depth * middle * (np.cos(waves * angle) - 1) / 2)[:, None]
        return points

    parts: Solids = [(solids.warped(handle, move), draw.pick("body", "body", "wood"))]
    if draw.chance(0.5):
        ring = solids.cylinder(0.05 * grip, thick * 1.02, segments=24).translate((0, 0, grip * draw.between(0.05, 0.2)))
        parts.append((ring, "accent"))
    collar = solids.cylinder(0.05, rod * 1.9, rod * 1.4, segments=16).translate((0, 0, grip - 0.01))
    blade = solids.cylinder(shaft, rod, segments=12).translate((0, 0, grip))
    parts += [(collar, "metal"), (blade, "metal")]
    end = grip + shaft
    flat, width = draw.chance(0.5), rod * draw.between(1.2, 1.9)
    if flat:
        sections = [(rod * 0.8, rod * 0.8, -0.01), (width, rod * 0.5, 0.06), (width * 0.9, rod * 0.2, 0.13)]
        parts.append((_tapered(sections).translate((0, 0, end)), "metal"))
    else:
        fin = _tapered([(rod, rod * 0.3, -0.01), (rod, rod * 0.3, 0.03), (rod * 0.2, rod * 0.2, 0.12)])
        parts += [(solid.translate((0, 0, end)), "metal") for solid in (fin, fin.rotate((0, 0, 90)))]
        parts.append((solids.cylinder(0.08, rod * 0.9, rod * 0.3, segments=8).translate((0, 0, end - 0.01)), "metal"))
    down = np.degrees(np.arctan2(thick - rod, grip * 0.6 + shaft))
    return [(solid.rotate((0.0, 90.0 + float(down), 0.0)), slot) for solid, slot in parts]


def _tapered(sections: list[tuple[float, float, float]]) -> Manifold:
    """Rectangles of half widths x and y, one above another at height z."""
    return solids.loft([[[x, y, z], [-x, y, z], [-x, -y, z], [x, -y, z]] for x, y, z in sections])


def wrench(random: np.random.Generator, variation: float) -> Solids:
    """Open at both ends, combination, ring at both ends, or adjustable; bare metal or with a grip."""
    draw = Draw(random, variation)
    length, half = draw.between(0.65, 1.0), draw.between(0.04, 0.062)
    big, small = draw.between(0.13, 0.17), draw.between(0.1, 0.15)
    tilt, thick = draw.between(5, 28), draw.between(0.07, 0.1)
    kind = draw.pick("combination", "open", "ring", "adjustable")
    bar = solids.box(length, 2 * half, thick * 0.65, 0.012).translate((length / 2, 0, thick * 0.175))
    parts: Solids = [(bar, "metal")]
    if draw.chance(0.3):
        grip = solids.box(length * 0.62, 2.5 * half, thick * 0.95, 0.025).translate((length * 0.45, 0, thick * 0.03))
        parts.append((grip, "accent"))
    right: Manifold = {"ring": _ring, "adjustable": _adjustable}.get(kind, _open)(big, thick)
    left: Manifold = _open(small, thick) if kind == "open" else _ring(small, thick)
    if kind == "adjustable":
        left = solids.extrude(solids.disc(half * 1.25, 24) - solids.disc(half * 0.6, 16), thick * 0.65)
        left = left.translate((0, 0, thick * 0.175))
    parts.append((right.rotate((0, 0, tilt if kind != "ring" else 0.0)).translate((length + big * 0.6, 0, 0)), "metal"))
    parts.append((left.rotate((0, 0, 180 + tilt)).translate((-small * 0.6, 0, 0)), "metal"))
    return parts


def _open(radius: float, thick: float) -> Manifold:
    """Two jaws that open along x."""
    mouth = solids.rectangle(2 * radius, 1.02 * radius).translate((radius * 0.95, 0)) + solids.disc(0.56 * radius, 6)
    outline = (solids.disc(radius, 28) - mouth).scale((1.15, 1.0))
    return solids.extrude(outline, thick)


def _ring(radius: float, thick: float) -> Manifold:
    return solids.extrude(solids.disc(radius, 28) - solids.disc(0.62 * radius, 12), thick)


def _adjustable(radius: float, thick: float) -> Manifold:
    """A fixed jaw, a sliding jaw and the gap between them, which opens along x."""
    fixed = np.array(
        [
            [-0.9, -0.45],
            [-0.1, -0.75],
            [0.1, -0.35],
            [0.15, 0.25],
            [1.3, 0.25],
            [1.25, 0.6],
            [0.3, 1.0],
            [-0.5, 0.8],
            [-0.9, 0.45],
        ]
    )
    sliding = np.array([[-0.35, -0.75], [0.3, -0.85], [1.2, -0.6], [1.25, -0.3], [0.1, -0.3], [-0.3, -0.4]])
    wheel = solids.cylinder(0.45 * radius, 0.2 * radius, segments=12).rotate((0, 90, 0))
    return solids.union(
        [
            solids.extrude(fixed * radius, thick),
            solids.extrude(sliding * radius, thick * 0.9).translate((0, 0, thick * 0.05)),
            wheel.translate((-0.45 * radius, -0.4 * radius, thick * 0.5)),
        ]
    )


def scissors(random: np.random.Generator, variation: float) -> Solids:
    """Two blades crossed at a screw, more or less open, with round or oval loops, alike or one larger."""
    draw = Draw(random, variation)
    blade, width = draw.between(0.42, 0.72), draw.between(0.075, 0.11)
    shank, opening = draw.between(0.14, 0.3), draw.between(8, 44)
    loop, oval, rim = draw.between(0.1, 0.14), draw.between(1.0, 1.6), draw.between(0.022, 0.034)
    larger, blunt = draw.pick(1.0, 1.0, draw.between(1.2, 1.5)), draw.between(0.05, 0.5)
    slot = draw.pick("accent", "accent", "metal", "body")
    low = -0.45 * width
    tip = [[blade * 0.8, low], [blade, low * blunt], [blade * 0.9, 0.2 * width]]
    outline = np.array([[-0.06, low], *tip, [0.05, 0.55 * width], [-0.06, 0.45 * width]])
    angle = np.linspace(0, 2 * np.pi, 20, endpoint=False)
    parts: Solids = []
    for side, size in ((1, loop), (-1, loop * larger)):
        centre = np.array([-shank - size * oval, -side * (size + rim * 1.3), 0.04])
        ring = centre + np.stack([size * oval * np.cos(angle), size * np.sin(angle), 0 * angle], 1)
        joint = centre + np.array([0.8 * size * oval, 0.6 * side * size, 0])
        arm = solids.smooth([[0, 0, 0.04], [-0.6 * shank, -0.01 * side, 0.04], joint], 7)
        half: Solids = [
            (solids.extrude(outline * [1, side], 0.022).translate((0, 0, 0.018 if side > 0 else 0.042)), "metal"),
            (solids.ribbon(arm, np.linspace(0.85 * width, rim * 1.8, 7), 0.04), slot),
            (solids.tube(ring, rim, sides=8, closed=True), slot),
        ]
        parts += [(solid.rotate((0.0, 0.0, side * opening / 2)), name) for solid, name in half]
    parts.append((solids.cylinder(0.075, width * 0.28, segments=12).translate((0, 0, 0.01)), "metal"))
    return parts
