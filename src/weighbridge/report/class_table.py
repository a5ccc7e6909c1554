"""Every class in one line: how many photos it got, how sure the model is, and how many it told right."""

__all__ = ["class_table", "right_interval"]

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from weighbridge.report.html import Heading, Line, SortedTable, cell
from weighbridge.report.photos import Photos
from weighbridge.report.uncertainty import accuracy_interval, photo_covariance, photo_freedom


def right_interval(right: int, images: int) -> tuple[float, float] | None:
    """95 % interval of a share told right, in percent, where images count as independent; None for fewer than two."""
    told = np.repeat(np.array([1, 0]), [right, images - right])[None]  # (1, N)
    sizes = np.ones(images, dtype=np.int64)
    covariance, freedom = photo_covariance([told], sizes), photo_freedom([told], sizes)
    if covariance is None or freedom is None:
        return None
    interval = accuracy_interval([100 * right / images], float(covariance[0, 0]), float(freedom[0, 0]))
    return None if interval.low is None or interval.high is None else (interval.low, interval.high)


def class_table(photos: Photos, evaluation: Mapping[str, Any] | None) -> SortedTable:
    """What the target's photos are taken for and, where there is an evaluation, how many of each class are told right.

    Args:
        evaluation: as metrics.json has it.
    """
    target = slice(0, photos.target)
    label, probability, doubtful = photos.label[target], photos.probability[target], photos.doubtful[target]
    before = photos.before[target]
    columns = [Heading("class", text=True)]
    columns += [Heading("labelled images"), Heading("right %"), Heading("95 % interval")] if evaluation else []
    columns += [Heading("photos"), Heading("share %"), Heading("mean probability"), Heading("doubtful %")]
    columns += [Heading("share before adapting %")] if (before >= 0).any() else []
    lines = []
    for k, name in enumerate(photos.classes):
        own = label == k
        count = int(own.sum())
        cells = [cell(name), *(_labelled(evaluation["per_class"].get(name, {})) if evaluation else [])]
        cells += [
            cell(count, "{:,}"),
            cell(100 * count / max(photos.target, 1), "{:.1f}", share=True),
            cell(float(probability[own].mean()) if count else None, "{:.2f}"),
            cell(100 * float(doubtful[own].mean()) if count else None, "{:.0f}"),
        ]
        cells += [cell(100 * float((before == k).mean()), "{:.1f}")] if (before >= 0).any() else []
        lines.append(Line(tuple(cells)))
    return SortedTable(tuple(columns), tuple(lines))


def _labelled(facts: Mapping[str, Any]) -> Sequence[Any]:
    """Images, share told right and its interval; older runs note no interval."""
    images, accuracy = facts.get("images", 0), facts.get("accuracy")
    if not images or accuracy is None:
        return [cell(images, "{:,}"), cell(None), cell(None)]
    noted = facts.get("interval")
    interval = tuple(100 * edge for edge in noted) if noted else right_interval(round(accuracy * images), images)
    spread = cell(None) if interval is None else cell(interval[0], f"{interval[0]:.0f} to {interval[1]:.0f}")
    return [cell(images, "{:,}"), cell(100 * accuracy, "{:.1f}", share=True), spread]
