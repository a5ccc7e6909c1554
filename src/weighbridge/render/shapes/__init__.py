"""Twenty-five everyday things that need no files: parametric, and varied inside each class.

A shape is a function of a random generator and a variation, 0 (one nominal object) to 1, that returns solids, each with
the slot it takes its material from.
"""

__all__ = ["SHAPES", "SLOTS", "build"]

from collections.abc import Callable

import numpy as np

from weighbridge.render import solids
from weighbridge.render.scene import Mesh
from weighbridge.render.shapes.draw import Solids
from weighbridge.render.shapes.furniture import chair, ladder, lamp, table
from weighbridge.render.shapes.hardware import bolt, gear, key, nut
from weighbridge.render.shapes.household import book, bucket, cone, dumbbell, umbrella
from weighbridge.render.shapes.kitchen import bottle, bowl, fork, goblet, mug, plate, spoon, vase
from weighbridge.render.shapes.tools import hammer, scissors, screwdriver, wrench

SLOTS = ("accent", "body", "fabric", "label", "metal", "paper", "wood")

SHAPES: dict[str, Callable[[np.random.Generator, float], Solids]] = {
    "bolt": bolt,
    "book": book,
    "bottle": bottle,
    "bowl": bowl,
    "bucket": bucket,
    "chair": chair,
    "cone": cone,
    "dumbbell": dumbbell,
    "fork": fork,
    "gear": gear,
    "goblet": goblet,
    "hammer": hammer,
    "key": key,
    "ladder": ladder,
    "lamp": lamp,
    "mug": mug,
    "nut": nut,
    "plate": plate,
    "scissors": scissors,
    "screwdriver": screwdriver,
    "spoon": spoon,
    "table": table,
    "umbrella": umbrella,
    "vase": vase,
    "wrench": wrench,
}


def build(
    name: str, random: np.random.Generator, variation: float = 1.0, *, crease: float = 35.0, uv_scale: float = 1.0
) -> list[tuple[Mesh, str]]:
    """One object as meshes, one for each of its slots, sorted by slot.

    Args:
        name: a key of `SHAPES`.
        variation: 0 to 1; 0 gives the same object whatever the generator says.
        crease: an edge that turns by more degrees than this is sharp.
        uv_scale: repeats of the texture along the object's diagonal.

    Returns:
        (mesh, slot) pairs, centred over the origin, standing on z = 0, the diagonal of their common box 1.
    """
    parts = SHAPES[name](random, variation)
    boxes = np.array([solid.bounding_box() for solid, _ in parts])
    diagonal = np.linalg.norm(boxes[:, 3:].max(0) - boxes[:, :3].min(0))
    slots = sorted({slot for _, slot in parts})
    scale = uv_scale / float(diagonal)
    meshes = [
        solids.to_mesh([solid for solid, own in parts if own == slot], crease=crease, uv_scale=scale) for slot in slots
    ]
    return list(zip(solids.standing(meshes), slots, strict=True))
