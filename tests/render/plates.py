"""Square plates before a camera that looks straight down on them: scenes whose pixels can be worked out by hand.

The image shows x and y from -1 to 1 at the height 0, x to the right and y upwards.
"""

import numpy as np

from weighbridge.render.scene import Camera, Light, Material, Mesh, Part, Scene

ABOVE = Camera((0, 0, 4), (0, 0, 0), up=(0, 1, 0), field_of_view=float(np.degrees(2 * np.arctan(1 / 4))))
BELOW = Camera((0, 0, -4), (0, 0, 0), up=(0, 1, 0), field_of_view=ABOVE.field_of_view)
OVERHEAD = Light((0, 0, 1), sun=(0.6, 0.5, 0.4), sky=(0.2, 0.3, 0.4), ground=(0.1, 0.08, 0.06))
WHITE = (1.0, 1.0, 1.0)


def plain(colour):
    return np.full((1, 1, 3), colour, np.float32)


def matt(colour, **also):
    return Material(plain(colour), **{"roughness": 1.0, **also})


def plate(x=(-1, 1), y=(-1, 1), z=0.0, *, repeats=1):
    """Faces up; u grows with x and v with y, from 0 to `repeats`."""
    corners = [(x[0], y[0], z), (x[1], y[0], z), (x[1], y[1], z), (x[0], y[1], z)]
    return Mesh(
        np.asarray(corners, np.float32),
        np.tile(np.asarray([0, 0, 1], np.float32), (4, 1)),
        np.asarray([(0, 0), (1, 0), (1, 1), (0, 1)], np.float32) * repeats,
        np.asarray([(0, 1, 2), (0, 2, 3)], np.int32),
    )


def turned(mesh, axes):
    """The mesh with its x, y and z along these axes."""
    matrix = np.eye(4)
    matrix[:3, :3] = np.stack([np.asarray(axis, float) for axis in axes], axis=1)
    return mesh.moved(matrix)


def seen(*parts, camera=ABOVE, light=OVERHEAD, **also):
    return Scene(tuple(parts), camera, light, **also)


def four_colours(side=8):
    """Red at low u and low v, green at high u, blue at high v, white at both."""
    quarters = np.asarray([[(1, 0, 0), (0, 1, 0)], [(0, 0, 1), (1, 1, 1)]], np.float32)
    return np.kron(quarters, np.ones((side // 2, side // 2, 1), np.float32))


def subject(mesh, material):
    return Part(mesh, material, subject=True)
