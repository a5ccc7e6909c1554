"""What furnishes a room: chair, ladder, lamp, table. The front looks along -y."""

__all__ = ["chair", "ladder", "lamp", "table"]

from itertools import pairwise, product

import numpy as np
from manifold3d import Manifold

from weighbridge.render import solids
from weighbridge.render.shapes.draw import Draw, Solids


def _beam(
    start: tuple[float, float, float], end: tuple[float, float, float], thick: float, foot: float, sides: int
) -> Manifold:
    """A round or, with four sides, a square bar from `start`, `thick` there and `foot` at its end."""
    grow = 1.4 if sides == 4 else 1.0  # from the half diagonal to the half side
    return solids.tube([start, end], [thick * grow, foot * grow], sides=sides)


def _legs(draw: Draw, width: float, depth: float, height: float, thick: float, splay: float) -> list[Manifold]:
    """Four legs under the corners of a board, leaning outwards by `splay` at the ground."""
    sides, taper = draw.pick(4, 10), draw.pick(1.0, 1.0, 0.6)
    legs = []
    for x, y in product((-1, 1), (-1, 1)):
        top = (x * (width / 2 - 1.3 * thick), y * (depth / 2 - 1.3 * thick), height)
        legs.append(_beam(top, (top[0] + x * splay, top[1] + y * splay, 0), thick, thick * taper, sides))
    return legs


def chair(random: np.random.Generator, variation: float) -> Solids:
    """On four legs, a sledge or a star on castors; the back slatted, runged, solid, a hoop or padded; arms or none."""
    draw = Draw(random, variation)
    width, depth, height = draw.between(0.4, 0.54), draw.between(0.4, 0.5), draw.between(0.38, 0.5)
    rise, lean = draw.between(0.4, 0.62), draw.between(0.0, 0.12)
    thick, board = draw.between(0.018, 0.03), draw.between(0.03, 0.06)
    frame = draw.pick("wood", "metal", "wood", "accent")
    round_seat = draw.chance(0.2)
    seat_outline = (
        solids.disc(width / 2, 28) if round_seat else solids.rectangle(width, depth, draw.between(0.01, 0.15))
    )
    seat = solids.extrude(seat_outline, board).translate((0, 0, height))
    parts: Solids = [(seat, draw.pick("body", frame, "fabric"))]
    if draw.chance(0.3):
        cushion = solids.extrude(seat_outline.scale((0.92, 0.92)), 0.045).translate((0, 0, height + board - 0.005))
        parts.append((cushion, "fabric"))
    base = draw.pick("legs", "legs", "legs", "star", "sledge")
    splay, inset = draw.between(0.0, 0.07), 0.72 if round_seat else 0.9
    if base == "star":
        parts.append((solids.cylinder(height - 0.05, 0.025, segments=12).translate((0, 0, 0.06)), "metal"))
        for turn in np.arange(5) * 2 * np.pi / 5:
            x, y = 0.27 * np.cos(turn), 0.27 * np.sin(turn)
            parts.append((solids.tube([[0, 0, 0.11], [x, y, 0.06]], [0.03, 0.018], sides=6), "metal"))
            parts.append((solids.sphere(0.032, segments=8).translate((x, y, 0.032)), "accent"))
    elif base == "sledge":
        w, d = inset * width / 2 - 0.03, inset * depth / 2 - 0.02
        for side in (-1, 1):
            path = [[side * w, -d, height], [side * w, -d, thick], [side * w, d, thick], [side * w, d, height]]
            for start, end in pairwise(path):
                parts.append((solids.tube([start, end], thick * 0.8, sides=8), "metal"))
            parts += [
                (solids.sphere(thick * 0.8, segments=8).translate(tuple(corner)), "metal") for corner in path[1:3]
            ]
    else:
        parts += [(leg, frame) for leg in _legs(draw, width * inset, depth * inset, height + 0.01, thick, splay)]
        if draw.chance(0.3):
            low, reach = height * 0.4, (width * inset / 2 - 1.3 * thick) + splay * 0.6
            away = depth * inset / 2 - 1.3 * thick + splay * 0.6
            parts += [
                (solids.tube([[-reach, y, low], [reach, y, low]], thick * 0.6, sides=6), frame) for y in (-away, away)
            ]
    # The back, drawn upright behind the seat and then leant.
    post, behind = draw.between(0.016, 0.024), depth / 2 - 0.03
    back_width = width * (0.75 if round_seat else draw.between(0.85, 1.0))
    left, right = -back_width / 2 + post, back_width / 2 - post
    bars = draw.count(3, 6)
    kind = draw.pick("slats", "rungs", "panel", "hoop", "padded")
    back: Solids = []
    if kind == "hoop":
        turn = np.linspace(0, np.pi, 15)
        hoop = np.stack([right * np.cos(turn), 0 * turn, rise * np.sin(turn) ** 0.7], 1)
        back.append((solids.tube(hoop, post, sides=8), frame))
        for x in np.linspace(left, right, bars + 2)[1:-1]:
            top = rise * np.sin(np.arccos(x / right)) ** 0.7
            back.append((solids.tube([[x, 0, 0], [x, 0, top]], post * 0.55, sides=6), frame))
    else:
        posts = [solids.box(2 * post, 2 * post, rise).translate((x, 0, 0)) for x in (left, right)]
        back += [(solid, frame) for solid in posts]
        if kind == "slats":
            back.append((solids.box(back_width, 2.2 * post, 0.08, 0.01).translate((0, 0, rise - 0.06)), frame))
            for x in np.linspace(left, right, bars + 2)[1:-1]:
                back.append((solids.box(post * 1.5, post, rise).translate((x, 0, 0)), frame))
        elif kind == "rungs":
            tall = rise * 0.45 / bars
            for z in np.linspace(0.3 * rise, rise - tall * 0.8, bars):
                back.append((solids.box(back_width - post, 1.4 * post, tall).translate((0, 0, z)), frame))
        else:
            low = draw.between(0.1, 0.45) * rise
            outline = solids.rectangle(back_width, rise + 0.05 - low, draw.between(0.02, 0.12))
            panel = solids.extrude(outline, 0.03 if kind == "panel" else 0.07).rotate((90, 0, 0))
            panel = panel.translate((0, 0.015 if kind == "panel" else 0.0, (rise + 0.05 + low) / 2))
            back.append((panel, "body" if kind == "panel" else "fabric"))
    tilt = -float(np.degrees(np.arctan2(lean, rise)))
    parts += [(solid.rotate((tilt, 0, 0)).translate((0, behind, height + 0.01)), slot) for solid, slot in back]
    if draw.chance(0.25) and not round_seat:
        up = draw.between(0.16, 0.22)
        for x in (-width / 2 + 0.015, width / 2 - 0.015):
            arm = solids.box(0.04, depth * 0.95, 0.025).translate((x, 0.01, height + up))
            stay = solids.box(0.03, 0.03, up).translate((x, -depth / 2 + 0.06, height + 0.01))
            parts += [(arm, frame), (stay, frame)]
    return parts


def table(random: np.random.Generator, variation: float) -> Solids:
    """Rectangular, round or oval; on four legs, a pedestal, trestles or panels; low or high, with a shelf or drawer."""
    draw = Draw(random, variation)
    width, depth, height = draw.between(0.8, 1.3), draw.between(0.5, 0.75), draw.between(0.38, 0.75)
    board, thick = draw.between(0.03, 0.06), draw.between(0.022, 0.045)
    frame = draw.pick("wood", "metal", "accent")
    top_slot = draw.pick("body", frame, "wood")
    shape = draw.pick("rectangle", "rectangle", "round", "oval")
    if shape == "rectangle":
        outline = solids.rectangle(width, depth, draw.between(0.0, 0.1))
    else:
        depth = width if shape == "round" else depth
        outline = solids.disc(0.5, 36).scale((width, depth))
    parts: Solids = [(solids.extrude(outline, board).translate((0, 0, height)), top_slot)]
    inner = 0.95 if shape == "rectangle" else 0.72
    w, d = width * inner, depth * inner
    base = draw.pick("legs", "legs", "pedestal", "trestle", "panels")
    splay = draw.between(0.0, 0.06)
    if base == "pedestal":
        foot, column = draw.between(0.3, 0.42) * depth, draw.between(0.03, 0.07)
        outline_of_column = solids.smooth(
            [[column * 1.6, 0.03], [column * 0.9, height * 0.3], [column, height * 0.7], [column * 1.8, height]], 10
        )
        parts.append(
            (solids.revolve(np.concatenate([[[0, 0.03]], outline_of_column, [[0, height]]]), segments=20), frame)
        )
        if draw.chance(0.5):
            parts.append((solids.cylinder(0.05, foot * 1.1, foot * 0.95), frame))
        else:
            for turn in np.arange(4) * np.pi / 2 + np.pi / 4:
                toe = (1.25 * foot * np.cos(turn), 1.25 * foot * np.sin(turn), 0.02)
                parts.append((_beam((0, 0, 0.14), toe, 0.03, 0.02, 4), frame))
    elif base == "trestle":
        for x in (-0.38 * w, 0.38 * w):
            parts += [
                (_beam((x, -y * 0.42 * d, height + 0.01), (x, y * 0.48 * d, 0), thick, thick, 4), frame)
                for y in (-1, 1)
            ]
        parts.append(
            (_beam((-0.38 * w, 0, height * 0.5), (0.38 * w, 0, height * 0.5), thick * 0.7, thick * 0.7, 4), frame)
        )
    elif base == "panels":
        parts += [
            (solids.box(0.05, d * 0.95, height + 0.01).translate((x, 0, 0)), frame) for x in (-0.45 * w, 0.45 * w)
        ]
        parts.append((solids.box(0.9 * w, 0.03, 0.16).translate((0, 0.2 * d, height - 0.17)), frame))
    else:
        parts += [(leg, frame) for leg in _legs(draw, w, d, height + 0.01, thick, splay)]
        if draw.chance(0.5):
            for y in (-1, 1):
                parts.append(
                    (
                        solids.box(w - 3 * thick, 0.02, 0.09).translate((0, y * (d / 2 - 1.3 * thick), height - 0.085)),
                        frame,
                    )
                )
            for x in (-1, 1):
                parts.append(
                    (
                        solids.box(0.02, d - 3 * thick, 0.09).translate((x * (w / 2 - 1.3 * thick), 0, height - 0.085)),
                        frame,
                    )
                )
        if draw.chance(0.25):
            shelf = solids.box(w - 2 * thick, d - 2 * thick, 0.025).translate((0, 0, height * 0.3))
            parts.append((shelf, top_slot))
    return parts


def lamp(random: np.random.Generator, variation: float) -> Solids:
    """A shade over a turned, plain or round base, on a table or tall on the floor; or a desk lamp with a bent arm."""
    draw = Draw(random, variation)
    kind = draw.pick("table", "table", "table", "floor", "desk")
    base_slot = draw.pick("metal", "body", "wood")
    if kind == "desk":
        return _desk_lamp(draw, base_slot)
    wide, narrow, tall = draw.between(0.2, 0.32), draw.pick(0.6, 0.95, 0.35), draw.between(0.22, 0.36)
    stem, foot = draw.between(0.36, 0.62), draw.between(0.12, 0.2)
    if kind == "floor":
        stem *= 2.4
        foot *= 1.2
    outline = np.linspace([wide, 0], [wide * narrow, tall], 6)
    if draw.chance(0.3):  # a bell
        outline[:, 0] -= 0.18 * wide * np.sin(np.linspace(0, np.pi, 6))
    bottom = stem - 0.08
    segments = draw.pick(32, 32, 6, 16)
    cloth = [solids.revolve(np.concatenate([outline, outline[::-1] - [0.012, 0]]), segments=segments)]
    ring = np.array(
        [
            [wide * narrow - 0.006, tall - 0.01],
            [0.0, tall - 0.01],
            [0.0, tall - 0.02],
            [wide * narrow - 0.006, tall - 0.02],
        ]
    )
    if draw.chance(0.5):  # closed above, as most are seen from there
        cloth.append(solids.revolve(ring, segments=segments))
    parts: Solids = [(solid.translate((0, 0, bottom)), "fabric") for solid in cloth]
    if draw.chance(0.4):
        edge = outline[0] + np.outer([0, 0.05], outline[-1] - outline[0])
        trim = np.concatenate([edge + np.array([0.006, 0]), edge[::-1] - np.array([0.015, 0])])
        parts.append((solids.revolve(trim, segments=segments).translate((0, 0, bottom)), "accent"))
    parts.append((solids.sphere(0.06, segments=12).translate((0, 0, bottom + 0.08)), "paper"))
    form = draw.pick("turned", "ball", "plain", "column")
    if kind == "floor" or form == "plain":
        knots = [[foot, 0.03], [0.022, 0.05], [0.018, 0.08], [0.018, stem + 0.03]]
        curve = np.array(knots)
    elif form == "ball":
        ball = draw.between(0.1, 0.17)
        turn = np.linspace(0.35, np.pi - 0.15, 10)
        curve = np.stack([ball * np.sin(turn), 0.03 + stem * 0.4 * (1 - np.cos(turn))], 1)
        curve = np.concatenate([[[foot * 0.8, 0.02]], curve, [[0.02, stem + 0.03]]])
    elif form == "column":
        side = draw.between(0.05, 0.1)
        curve = np.array(
            [
                [foot, 0.03],
                [foot, 0.05],
                [side, 0.06],
                [side * draw.between(0.7, 1.2), stem * 0.85],
                [0.02, stem * 0.9],
                [0.02, stem + 0.03],
            ]
        )
    else:
        waist, belly = draw.between(0.025, 0.05), draw.between(0.06, 0.12)
        curve = solids.smooth(
            [
                [foot, 0.03],
                [waist, 0.07],
                [belly, stem * 0.4],
                [waist, stem * 0.62],
                [waist * 1.4, stem * 0.75],
                [0.02, stem + 0.03],
            ],
            18,
        )
    body = np.concatenate([[[0, 0], [foot if form != "ball" else foot * 0.8, 0]], curve, [[0, stem + 0.03]]])
    parts.append((solids.revolve(body, segments=24), base_slot))
    return parts


def _desk_lamp(draw: Draw, base_slot: str) -> Solids:
    """Foot, two arms in one plane, and a cone that looks down."""
    lower, upper = draw.between(0.4, 0.55), draw.between(0.35, 0.5)
    back, forth = np.radians(draw.between(5, 35)), np.radians(draw.between(30, 65))
    elbow = np.array([-lower * np.sin(back), 0, 0.04 + lower * np.cos(back)])
    neck = elbow + upper * np.array([np.sin(forth), 0, np.cos(forth)])
    thick = draw.between(0.014, 0.022)
    wide, tall = draw.between(0.13, 0.18), draw.between(0.18, 0.26)
    outside = [[0.03, 0], [0.045, 0.05], [wide * 0.55, 0.09], [wide, tall]]
    hood = solids.vessel(outside, 0.012, segments=24).rotate((0, draw.between(125, 165), 0))
    parts: Solids = [
        (solids.cylinder(0.04, draw.between(0.15, 0.21), segments=28), base_slot),
        (solids.tube(np.stack([[0, 0, 0.02], elbow]), thick, sides=8), "metal"),
        (solids.tube([elbow, neck], thick, sides=8), "metal"),
        (solids.sphere(thick * 2, segments=10).translate(tuple(elbow.tolist())), base_slot),
        (solids.sphere(thick * 2.2, segments=10).translate(tuple(neck.tolist())), base_slot),
        (hood.translate(tuple(neck.tolist())), draw.pick("body", base_slot)),
    ]
    return parts


def ladder(random: np.random.Generator, variation: float) -> Solids:
    """A straight one leaning, or a step ladder with rungs or treads, its back legs with or without rungs."""
    draw = Draw(random, variation)
    height, width, rungs = draw.between(1.0, 1.5), draw.between(0.32, 0.46), draw.count(4, 8)
    rail, flat = draw.between(0.035, 0.055), draw.between(1.0, 1.8)
    taper, lean = draw.pick(1.0, 0.8), draw.between(9, 18)
    slot = draw.pick("metal", "wood", "body")
    treads = draw.chance(0.5)
    rung_slot = draw.pick(slot, slot, "accent")

    def side(with_rungs: bool) -> Solids:
        rails = []
        for x in (-1, 1):
            path = [[x * width / 2, 0, 0], [x * width / 2 * taper, 0, height]]
            rails.append((solids.ribbon(path, rail * flat, rail), slot))
        steps = []
        for z in (np.arange(rungs) + 0.6) / rungs * height if with_rungs else [0.3 * height]:
            reach = width * (1 + (taper - 1) * z / height)
            if treads and with_rungs:
                step = solids.box(reach, rail * 2.2, rail * 0.7).rotate((lean, 0, 0)).translate((0, 0, z))
            else:
                step = solids.tube([[-reach / 2, 0, z], [reach / 2, 0, z]], rail * 0.42, sides=8)
            steps.append((step, rung_slot))
        return [*rails, *steps]

    front = [(solid.rotate((-lean, 0, 0)), name) for solid, name in side(True)]
    if draw.chance(0.4):
        return front
    away = 2 * height * np.sin(np.radians(lean))
    back = side(draw.chance(0.4))
    parts = front + [(solid.rotate((lean, 0, 0)).translate((0, away, 0)), name) for solid, name in back]
    top = height * np.cos(np.radians(lean))
    if draw.chance(0.6):
        cap = solids.box(width * taper * 1.1, rail * 4, rail).translate((0, away / 2, top - rail * 0.5))
        parts.append((cap, draw.pick("accent", slot)))
    for x in (-1, 1):  # what keeps it from sliding apart
        low, reach = 0.42 * top, away * (0.5 - 0.42 / 2)
        bar = [[x * width * 0.46, reach, low], [x * width * 0.46, away - reach, low]]
        parts.append((solids.tube(bar, rail * 0.25, sides=6), "metal"))
    return parts
