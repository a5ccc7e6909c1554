"""What to render next, in words: classes, sources, factors and ranges, each with its figures."""

__all__ = ["KEPT", "bounds_in_words", "dropping_sentence", "next_sentences"]

from collections.abc import Mapping, Sequence

from weighbridge.influence.estimates import Bounds, GroupValue

KEPT = "without-lowest-fifth.csv"
_MOST = 6  # sentences about groups
_RANGES = 5  # listed in a sentence
_CLEARLY = 2.0  # times a share that a class has to have of the lowest fifth to be named as a whole


def next_sentences(
    named: Sequence[GroupValue], classes: Sequence[GroupValue], effects: Mapping[tuple[str, str, str | None], Bounds]
) -> list[str]:
    """What to change, the surest first.

    Args:
        named: groups that are higher or lower in value than chance explains, the surest first.
        classes: all classes.
        effects: (factor, range, class) -> what a group earned, in nats, where it was trained without.
    """
    said = [_class_sentence(entry) for entry in classes if entry.share.estimate >= _CLEARLY * 0.2]
    factors = [entry for entry in named if entry.group.kind == "factor"]
    factors.sort(key=lambda entry: entry.worse, reverse=True)  # what hurts comes first
    told: set[tuple[str, str | None, bool]] = set()
    for entry in factors:
        key = (entry.group.name, entry.group.label, entry.worse)
        if key in told or len(told) == _MOST:
            continue
        told.add(key)
        alike = [e for e in factors if (e.group.name, e.group.label, e.worse) == key]
        said.append(_factor_sentence(alike, effects))
    return said or ["No class, source or factor stands out. Look at the renders of the lowest value, one by one."]


def _class_sentence(entry: GroupValue) -> str:
    return (
        f"Look at the renders of class {entry.group.name}: {_percent(entry.share.estimate)} of them are among the "
        f"lowest fifth, against {_percent(entry.others)} of the other classes."
    )


def _factor_sentence(alike: Sequence[GroupValue], effects: Mapping[tuple[str, str, str | None], Bounds]) -> str:
    """Of the ranges of one factor that are all worse, or all better."""
    first, group = alike[0], alike[0].group
    images, peers = sum(entry.group.images for entry in alike), int(group.peers.sum())
    lowest = sum(entry.share.estimate * entry.group.images for entry in alike)
    of_peers = first.share.estimate * group.images + first.others * (peers - group.images)
    ranges = [entry.group.range for entry in alike]
    listed = ", ".join(ranges[:_RANGES]) + (f" and {len(ranges) - _RANGES} more" if len(ranges) > _RANGES else "")
    whose = f"of class {group.label} " if group.label is not None else ""
    effect = effects.get((group.name, group.range, group.label))
    advice = _advice(first.worse, effect)
    text = f"{advice} {whose}with {group.name} {listed}: {_percent(lowest / images)} of them are among the lowest fifth"
    if peers > images:
        others = _percent((of_peers - lowest) / (peers - images))
        text += f", against {others} of the others{' of the class' if group.label is not None else ''}"
    text += "."
    return text + (f" Those with {group.range} earned {bounds_in_words(effect)} nats." if effect else "")


def _advice(worse: bool, effect: Bounds | None) -> str:
    """Only as much as the training without a group bears out: a value proposes, a training tests."""
    if worse:
        return "Mend or render fewer" if effect is not None and effect.high < 0 else "Look at the renders"
    return "Render more" if effect is not None and effect.low > 0 else "Perhaps render more"


def dropping_sentence(lowest: Bounds, random: Bounds, accuracy: Bounds | None) -> str:
    """What came of training without the lowest fifth, each as what the renders earned.

    Args:
        lowest, random: what the lowest fifth and a random fifth earned, in nats.
        accuracy: what the lowest fifth earned in points of accuracy, where labels are known.
    """
    said = f"The lowest fifth earned {bounds_in_words(lowest)} nats, and a random fifth {bounds_in_words(random)}."
    if accuracy is not None:
        said += f" In accuracy the lowest fifth earned {bounds_in_words(accuracy, 1)} points."
    if lowest.high < 0:
        return said + f" Train without it: --source {KEPT} in the run folder."
    return said + (" Keep it." if lowest.low > 0 else " Whether to keep it is not decided by this.")


def bounds_in_words(bounds: Bounds, digits: int = 3) -> str:
    """Such as "+0.012 [-0.003, +0.027]"."""
    return f"{bounds.estimate:+.{digits}f} [{bounds.low:+.{digits}f}, {bounds.high:+.{digits}f}]"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
