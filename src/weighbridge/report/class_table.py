"""Every class in one line: how many photos it got, how sure the model is, and how many it told right."""

__all__ = ["class_table"]

from collections.abc import Mapping, Sequence
from typing import Any

from weighbridge.report.html import Heading, Line, SortedTable, cell
from weighbridge.report.photos import Photos
from weighbridge.report.uncertainty import wilson_interval


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
    low, high = (100 * edge for edge in facts.get("interval") or wilson_interval(accuracy, images))
    return [cell(images, "{:,}"), cell(100 * accuracy, "{:.1f}", share=True), cell(low, f"{low:.0f} to {high:.0f}")]
