"""Which way the triangles of a mesh face, and what they enclose."""

import numpy as np


def facing(mesh):
    """Twice the area of each triangle times its outward direction, (F, 3)."""
    a, b, c = (mesh.vertices[mesh.faces[:, corner]].astype(np.float64) for corner in range(3))
    return np.cross(b - a, c - a)


def volume(mesh):
    """Positive when the triangles run counter-clockwise from outside; overlaps count twice."""
    a, b, c = (mesh.vertices[mesh.faces[:, corner]].astype(np.float64) for corner in range(3))
    return (a * np.cross(b, c)).sum() / 6
