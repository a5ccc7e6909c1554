"""What stands at the head of a run's page: the verdict in words and colour, and the few numbers behind it."""

__all__ = ["interval_words", "tiles", "verdict_of"]

from collections.abc import Mapping
from typing import Any

from weighbridge.files import printable
from weighbridge.report.photos import Photos
from weighbridge.report.uncertainty import wilson_interval

_REASONS = 3  # that are told beside alarms; the rest is behind a click
_TONES = {"adapted": "good", "renders-only": "bad", "inconclusive": "warn"}
_GROUPS = {
    "group": "photos of a group count together",
    "near-duplicates": "near-duplicates count together",
    "nothing": "photos count as independent",
}


def verdict_of(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Tone, headline, reasons and next steps: of the run's own verdict, or a neutral summary where it has none.

    What speaks for the verdict comes first, then alarms, then all else as `others`.
    """
    trust = metrics.get("trust")
    if not trust:
        return {"tone": "neutral", "headline": _neutral_headline(metrics), **_summary(metrics)}
    pieces = trust.get("evidence", [])
    speaking = [piece for piece in pieces if piece.get("favours") == trust["verdict"]][:_REASONS]
    alarms = [piece for piece in pieces if piece.get("alarm") and piece not in speaking]
    first = speaking + alarms or pieces[:_REASONS]
    return {
        "tone": _TONES.get(trust["verdict"], "neutral"),
        "headline": printable(trust["headline"]),
        "reasons": [_reason(piece) for piece in first],
        "others": [_reason(piece) for piece in pieces if piece not in first],
        "next": [printable(step) for step in trust.get("next", [])],
    }


def _reason(piece: Mapping[str, Any]) -> dict[str, str]:
    return {
        "sentence": printable(piece["sentence"]),
        "mark": "alarm" if piece.get("alarm") else "calm",
        "source": printable(piece.get("source") or ""),
    }


def _neutral_headline(metrics: Mapping[str, Any]) -> str:
    evaluation = metrics.get("evaluation")
    if not evaluation:
        return "No verdict: accuracy on the photos is not known"
    return f"{100 * evaluation['accuracy']:.1f} % of the labelled photos are told right"


def _summary(metrics: Mapping[str, Any]) -> dict[str, Any]:
    target, evaluation = metrics["target"], metrics.get("evaluation")
    said = []
    if evaluation:
        said.append(f"These are {evaluation['images']:,} labelled images in {printable(str(evaluation['data']))}.")
    if held_out := metrics.get("source_held_out"):
        said.append(
            f"{100 * held_out['accuracy']:.1f} % of {held_out['images']:,} held-out renders are told right. "
            "That says nothing about photos."
        )
    if tuning := metrics.get("fine_tuning"):
        said.append(f"{tuning['sentence'][0].upper()}{tuning['sentence'][1:]}.")
    largest, share = max(target["class_shares"].items(), key=lambda entry: entry[1])
    said.append(
        f"The mean probability on the photos is {target['mean_confidence']:.2f}. Sure is not right. "
        f"The most frequent prediction, {printable(largest)}, takes {100 * share:.0f} % of the photos."
    )
    return {
        "reasons": [{"sentence": sentence, "mark": "", "source": ""} for sentence in said],
        "others": [],
        "next": []
        if evaluation
        else ["Look at the photos below, the least sure first.", "Label some, and run weighbridge evaluate."],
    }


def tiles(metrics: Mapping[str, Any], photos: Photos | None) -> list[dict[str, str]]:
    """Name, value and a small line of each number at the head of the page."""
    trust, evaluation = metrics.get("trust") or {}, metrics.get("evaluation")
    found = []
    if evaluation:
        found.append(_tile("accuracy on labelled photos", f"{100 * evaluation['accuracy']:.1f} %", _spread(evaluation)))
        if evaluation.get("class_mean") is not None:
            found.append(
                _tile("class-mean accuracy", f"{100 * evaluation['class_mean']:.1f} %", "every class counts alike")
            )
    for key, name in (("accuracy", "estimated accuracy"), ("renders_only_accuracy", "estimated, renders only")):
        if told := trust.get(key):
            edges = f"{100 * told['low']:.0f} to {100 * told['high']:.0f} %, {printable(told['how'])}"
            found.append(_tile(name, f"{100 * told['estimate']:.0f} %", edges))
    if photos is not None and photos.target:
        target = slice(0, photos.target)
        known = photos.before[target] >= 0
        if known.any():
            changed = float(photos.changed[target].mean())
            found.append(_tile("changed class by adapting", f"{100 * changed:.1f} %", f"of {photos.target:,} photos"))
        if photos.threshold is not None:
            doubtful = float(photos.doubtful[target].mean())
            found.append(
                _tile("to be looked at", f"{100 * doubtful:.1f} %", f"probability below {photos.threshold:.2f}")
            )
    if unlike := trust.get("unlike"):
        found.append(_tile("unlike all renders", f"{100 * unlike['share']:.1f} %", "may be none of the classes"))
    target_facts = metrics["target"]
    if not trust:  # else the calibrated estimate says it better
        found.append(_tile("mean probability", f"{target_facts['mean_confidence']:.2f}", "on the photos"))
    if held_out := metrics.get("source_held_out"):
        found.append(
            _tile("accuracy on held-out renders", f"{100 * held_out['accuracy']:.1f} %", f"of {held_out['images']:,}")
        )
    return found


def _tile(name: str, value: str, more: str = "") -> dict[str, str]:
    return {"name": name, "value": value, "more": more}


def _spread(evaluation: Mapping[str, Any]) -> str:
    interval = _interval(evaluation)
    if interval is None:
        return f"of {evaluation['images']:,}"
    how = _GROUPS[evaluation.get("grouped_by", "nothing")]
    return f"95 %: {interval[0]:.1f} to {interval[1]:.1f}, of {evaluation['images']:,}; {how}"


def interval_words(evaluation: Mapping[str, Any]) -> str:
    """The 95 % interval of the accuracy of an evaluation, as a sentence."""
    interval = _interval(evaluation)
    if interval is None:
        return "Too few images for an interval."
    how = _GROUPS[evaluation.get("grouped_by", "nothing")]
    return f"95 % interval of the accuracy: {interval[0]:.1f} to {interval[1]:.1f} %; {how}."


def _interval(evaluation: Mapping[str, Any]) -> tuple[float, float] | None:
    """In percent. Older runs note none, and then photos count as independent."""
    if "interval" in evaluation and evaluation["interval"] is None:  # a single group
        return None
    low, high = evaluation.get("interval") or wilson_interval(evaluation["accuracy"], evaluation["images"])
    return 100 * low, 100 * high
