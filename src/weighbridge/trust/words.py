"""A verdict in words: its headline, and what to do next."""

__all__ = ["headline", "next_steps", "without_comparison"]

from collections.abc import Sequence

from weighbridge.trust.accuracy import AccuracyEstimate
from weighbridge.trust.evidence import Evidence


def headline(
    verdict: str, evidence: Sequence[Evidence], changed: float, after: AccuracyEstimate, before: AccuracyEstimate
) -> str:
    """One sentence.

    Args:
        evidence: the strongest first.
        changed: share of photos that the two models take for different classes.
    """
    about = f"about {100 * after.estimate:.0f} % right by estimate, {100 * before.estimate:.0f} % before"
    if verdict == "adapted":
        return f"Keep the adapted model ({about})."
    reason = evidence[0].sentence if evidence and evidence[0].favours == "renders-only" else ""
    if verdict == "renders-only":
        return (
            f"Keep the renders-only model: {reason[:1].lower()}{reason[1:]}"
            if reason
            else "Keep the renders-only model."
        )
    if changed <= 0.01:
        return f"It makes no difference: adapting changed {100 * changed:.1f} % of the photos."
    return "It is not clear which model is better: the signs contradict each other, or are too weak."


def without_comparison(adapts: bool, accuracy: AccuracyEstimate) -> str:
    """One sentence where there are no two models."""
    about = f"About {100 * accuracy.estimate:.0f} % of the photos are right by estimate"
    if adapts:
        return f"{about}. Whether adapting helped is not known, as no renders-only model was trained beside it."
    return f"{about}. Nothing was adapted: this is the renders-only model."


def next_steps(verdict: str, evidence: Sequence[Evidence], run: str, doubtful: int) -> list[str]:
    """What to do, the most useful first.

    Args:
        run: its folder, for commands.
        doubtful: photos below the threshold.
    """
    alarms = {piece.name for piece in evidence if piece.alarm}
    steps = []
    if verdict == "inconclusive":
        steps.append(f"label 8 photos to settle it: weighbridge label {run}")
    if verdict == "renders-only":
        steps.append(f"use renders-only-predictions.csv, or label 8 photos to be sure: weighbridge label {run}")
    if verdict == "adapted":
        steps.append(f"look at {doubtful:,} doubtful photos, or label 8 to be sure: weighbridge label {run}")
    if alarms & {"sink class", "vanished classes"}:
        steps.append("try --confidence-threshold 0.95, --method mcc, or renders that vary more")
    if "unlike all renders" in alarms:
        steps.append("look at photos with a high 'unlike' in predictions.csv: renders may lack their classes")
    if "trivial cues" in alarms or "domain classifier" in alarms:
        steps.append("run weighbridge inspect on both folders: what gives the domains away should be removed")
    return steps
