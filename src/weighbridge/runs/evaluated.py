"""What a run keeps of an evaluation: a line per image, and how sure its accuracy is."""

__all__ = ["noted_evaluation", "write_evaluation"]

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from weighbridge.data.domains import LabelledDomain
from weighbridge.engine.evaluate import Evaluation
from weighbridge.files import replace_rows
from weighbridge.report.uncertainty import (
    accuracy_interval,
    design_effect,
    photo_covariance,
    photo_freedom,
    wilson_interval,
)

_FILE = "evaluation.csv"


def write_evaluation(folder: Path, evaluation: Evaluation, labelled: LabelledDomain) -> None:
    """evaluation.csv: file, label, true label, probability of the label, and right, which is 1 or 0.

    Where only counts were kept, a file of before goes if it is of other images: it belongs to another evaluation.
    """
    path = folder / _FILE
    if evaluation.predicted is None or evaluation.probability is None:
        if path.is_file() and not _is_of(path, labelled):
            path.unlink()
        return
    told = zip(evaluation.predicted.tolist(), evaluation.probability.tolist(), evaluation.right.tolist(), strict=True)
    classes, labels = labelled.classes, labelled.labels.whole().tolist()
    rows = (
        (file, classes[k], classes[label], f"{p:.4f}", int(right))
        for file, label, (k, p, right) in zip(labelled.files, labels, told, strict=True)
    )
    replace_rows(path, ("file", "label", "true label", "probability", "right"), rows)


def _is_of(path: Path, labelled: LabelledDomain) -> bool:
    """Whether a table has these images, by the first of them."""
    with path.open(encoding="utf-8", errors="surrogateescape") as lines:
        next(lines, "")
        return next(lines, "").lstrip('"').startswith(labelled.files[0])


def noted_evaluation(evaluation: Evaluation, name: str, labelled: LabelledDomain) -> dict[str, Any]:
    """For metrics.json: counts, and 95 % intervals by groups of images; shares in [0, 1].

    Args:
        name: of the images; their path, if that is where they lie.
    """
    group = np.unique(labelled.groups.whole(), return_inverse=True)[1]  # (N,)
    sizes = np.bincount(group)  # (G,)
    counts = np.bincount(group, weights=evaluation.right).astype(np.int64)[None]  # (1, G)
    effect, labels, facts = design_effect(counts, sizes), labelled.labels.whole(), evaluation.facts()
    per_class = {
        known: {**told, "interval": _of_class(told["accuracy"], group[labels == k], effect)}
        for k, (known, told) in enumerate(facts["per_class"].items())
    }
    place = {"given": name, "absolute": str(Path(name).resolve())} if Path(name).exists() else None
    return {
        "data": name,
        **({"path": place} if place else {}),
        **facts,
        "interval": _of_all(evaluation.accuracy, counts, sizes),
        "groups": len(sizes),
        "grouped_by": labelled.grouped_by,
        "per_class": per_class,
    }


def _of_all(accuracy: float, counts: NDArray[np.int64], sizes: NDArray[np.int64]) -> list[float] | None:
    """95 % interval of the accuracy, in [0, 1]; None with fewer than two groups."""
    covariance, freedom = photo_covariance([counts], sizes), photo_freedom([counts], sizes)
    if covariance is None or freedom is None:
        return None
    interval = accuracy_interval([100 * accuracy], float(covariance[0, 0]), float(freedom[0, 0]))
    if interval.low is None or interval.high is None:
        return None
    return [round(interval.low / 100, 6), round(interval.high / 100, 6)]


def _of_class(accuracy: float | None, group: NDArray[np.integer[Any]], effect: float | None) -> list[float] | None:
    """95 % interval of the accuracy of one class, in [0, 1]; None without images.

    Args:
        group: (n,) of its images. A class has too few errors to tell how alike the images of a group are, so
        effect: is the design effect over all classes. Where nothing is wrong at all, each group counts as one image.
    """
    if accuracy is None:
        return None
    images = len(np.unique(group)) if effect is None else len(group) / max(effect, 1.0)
    return [round(edge, 6) for edge in wilson_interval(accuracy, images)]
