"""What gives a domain away without a look at what its images show: borders, compression, noise."""

__all__ = ["pixel_cues"]

import numpy as np
from numpy.typing import NDArray

from weighbridge.data.decode import Unusable
from weighbridge.inspection.looks import LUMA, Look
from weighbridge.watch import Progress

_WINDOW = 1024  # pixels: borders apart, a large image is measured in its middle


def pixel_cues(look: Look, sample: int, seed: int, progress: Progress | None) -> tuple[int, dict[str, float]]:
    """How many images could be decoded, and what their pixels tell."""
    places = np.random.default_rng(seed).choice(len(look), min(sample, len(look)), replace=False)
    measures: dict[str, list[float]] = {"bordered": [], "exif": [], "grid": [], "noise": []}
    for done, place in enumerate(np.sort(places).tolist(), start=1):
        try:
            pixels = look.pixels(place)  # (H, W, 3)
        except (Unusable, OSError):  # gone since the scan
            continue
        measures["exif"].append(look.has_exif(place))
        sides = (pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1])
        measures["bordered"].append(sum(side.std(axis=0).max() < 2.0 for side in sides) >= 2)
        top, left = (max(0, (side - _WINDOW) // 16 * 8) for side in pixels.shape[:2])  # a multiple of 8 keeps the grid
        grey = (pixels[top : top + _WINDOW, left : left + _WINDOW] @ LUMA)[..., 0]  # (h, w)
        for key, value in (("grid", _grid(grey)), ("noise", _noise(grey))):
            if value is not None:
                measures[key].append(value)
        if progress:
            progress(done, len(places))
    means = {key: float(np.mean(measures[key])) for key in ("bordered", "exif") if measures[key]}
    medians = {key: float(np.median(measures[key])) for key in ("grid", "noise") if measures[key]}
    return len(measures["exif"]), {key: round(value, 4) for key, value in (means | medians).items()}


def _grid(grey: NDArray[np.float64]) -> float | None:
    """Steps across the edges of 8 x 8 blocks over steps elsewhere; None for an image too small or too flat."""
    at: list[float] = []
    elsewhere: list[float] = []
    for turned in (grey, grey.T):
        steps = np.abs(np.diff(turned, axis=1)).mean(axis=0)  # a step per column
        edge = np.arange(len(steps)) % 8 == 7
        at, elsewhere = [*at, *steps[edge].tolist()], [*elsewhere, *steps[~edge].tolist()]
    base = float(np.mean(elsewhere)) if elsewhere else 0.0
    return float(np.mean(at)) / base if len(at) >= 8 and base > 0.1 else None


def _noise(grey: NDArray[np.float64]) -> float | None:
    """Standard deviation of white noise that would explain the median absolute Laplacian."""
    if min(grey.shape) < 3:
        return None
    around = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:]
    return float(np.median(np.abs(4.0 * grey[1:-1, 1:-1] - around)) / (0.6745 * np.sqrt(20.0)))
