"""A verdict in words: its headline, and what to do next."""

__all__ = ["SAME", "headline", "next_steps", "without_comparison"]

from collections.abc import Sequence

from weighbridge.trust.accuracy import AccuracyEstimate
from weighbridge.trust.evidence import Evidence

SAME = 0.01  # share of changed photos up to which two models are as good as one


def headline(
    verdict: str, evidence: Sequence[Evidence], changed: float, after: AccuracyEstimate, before: AccuracyEstimate
) -> str:
    """One sentence.

    Args:
        evidence: the strongest first, which then speaks for the verdict.
        changed: share of photos that the two models take for different classes.
    """
    strongest = evidence[0].sentence[:1].lower() + evidence[0].sentence[1:]
    if verdict == "adapted" and after.estimate > before.estimate:
        right, alone = (f"{100 * each.estimate:.0f} %" for each in (after, before))
        return f"Keep the adapted model: about {right} of the photos are right by estimate, {alone} before adapting."
    if verdict != "inconclusive":
        return f"Keep the {verdict} model: {strongest}"
    if changed <= SAME:
        return f"It makes no difference: adapting changed {100 * changed:.1f} % of the photos."
    return "It is not clear which model is better: the signs contradict each other, or are too weak."


def without_comparison(adapts: bool, accuracy: AccuracyEstimate) -> str:
    """One sentence where there are no two models."""
    if adapts:
        return "Whether adapting helped is not known, as no renders-only model was trained beside it."
    return f"This is the renders-only model: about {100 * accuracy.estimate:.0f} % of the photos are right by estimate."


def next_steps(verdict: str, evidence: Sequence[Evidence], run: str, doubtful: int) -> list[str]:
    """What to do, the most useful first.

    Args:
        run: its folder, for commands.
        doubtful: photos below the threshold.
    """
    values = {piece.name: piece.value for piece in evidence}
    alarms = {piece.name for piece in evidence if piece.alarm}
    label = f"weighbridge label {run}"
    if "changed photos" not in values:
        steps = [f"label photos to know how good it is: {label}"]
        if verdict == "inconclusive":
            steps.append("train the same with --method source-only, and label photos on which the two differ")
    elif values["changed photos"] <= SAME:
        steps = [f"take either model, and label photos to know how good it is: {label}"]
    elif verdict == "renders-only":
        steps = [f"use renders-only-predictions.csv, or label 8 photos to be sure: {label}"]
    elif verdict == "adapted":
        steps = [f"look at the {doubtful:,} doubtful photos, or label 8 to be sure: {label}"]
    else:
        steps = [f"label 8 photos to settle it: {label}"]
    if alarms & {"sink class", "vanished classes"} and verdict != "adapted":
        steps.append("try --confidence-threshold 0.99, --method mcc, or renders that vary more")
    if values.get("vanished classes"):
        steps.append("see whether photos of the vanished classes are there at all")
    if "unlike all renders" in alarms:
        steps.append("look at photos with a high 'unlike' in predictions.csv: renders may lack their classes")
    if alarms & {"trivial cues", "domain classifier"}:
        steps.append("run weighbridge inspect on both folders, and remove what gives the domains away")
    return steps
