"""One rule that says which model to keep: the adapted one, the one trained on renders alone, or that it is not clear.

docs/guides/trust.md says the rule in words. N photos, M held-out renders, K classes.
"""

__all__ = ["HARM", "Trust", "Verdict", "decide", "judge", "ordered"]

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from weighbridge.trust import words
from weighbridge.trust.accuracy import (
    AccuracyEstimate,
    average_thresholded_confidence,
    combined,
    difference_of_confidences,
)
from weighbridge.trust.calibration import (
    doubt_threshold,
    fit_temperature,
    probabilities_of,
    temperature_of_confidence,
)
from weighbridge.trust.evidence import (
    Answers,
    Evidence,
    changed_photos,
    confidence_gap,
    forgotten_renders,
    information,
    neighbourhood,
    neighbourhood_density,
    seeds_differ,
    sink_classes,
    vanished_classes,
    views_differ,
)
from weighbridge.trust.neighbours import nearest
from weighbridge.trust.shares import expected_shares

Verdict = Literal["adapted", "renders-only", "inconclusive"]
Floats = NDArray[np.floating[Any]]
Labels = NDArray[np.integer[Any]]

HARM = ("sink class", "vanished classes", "held-out renders")  # alarms that adapting went wrong
_ITSELF, _ALONE, _ADAPTED = "its own confidence", "the renders-only model", "the adapted model"  # witnesses
_NEIGHBOURS = 10
_DRAWS, _MANY = 100, 100  # of the bootstrap; fewer for more classes than these
_COMPARED = 2000  # photos that are compared with each other
_FEWEST = 40  # photos, of which neighbours tell something


@dataclass(frozen=True)
class Trust:
    """What is known of a run without labels of its photos.

    Attributes:
        temperature: by which the adapted model's logits are divided on photos.
        renders_only_temperature: the same of the renders-only model.
        threshold: calibrated probability below which a person should look.
    """

    verdict: Verdict
    headline: str
    evidence: list[Evidence]
    accuracy: AccuracyEstimate | None = None
    renders_only_accuracy: AccuracyEstimate | None = None
    temperature: float = 1.0
    renders_only_temperature: float = 1.0
    threshold: float = 0.9
    next: list[str] = field(default_factory=list)
    unlike: dict[str, float] | None = None

    @property
    def reasons(self) -> list[str]:
        """Two or three sentences, the strongest first."""
        return [piece.sentence for piece in ordered(self.evidence, self.verdict)[:3]]

    def facts(self) -> dict[str, Any]:
        """For metrics.json."""
        accuracy, alone = self.accuracy, self.renders_only_accuracy
        return {
            "verdict": self.verdict,
            "headline": self.headline,
            "reasons": self.reasons,
            "next": self.next,
            "evidence": [piece.facts() for piece in ordered(self.evidence, self.verdict)],
            "accuracy": accuracy and accuracy.facts(),
            "renders_only_accuracy": alone and alone.facts(),
            "temperature": self.temperature,
            "threshold": self.threshold,
            "unlike": self.unlike,
        }


def ordered(evidence: Sequence[Evidence], verdict: Verdict) -> list[Evidence]:
    """What speaks for the verdict first, then other alarms, then the rest."""
    return sorted(evidence, key=lambda piece: (piece.favours != verdict, piece.favours is None, not piece.alarm))


def decide(evidence: Sequence[Evidence], changed: float) -> Verdict:
    """The rule.

    1. Up to 1 % of the photos changed class: inconclusive, as the models are as good as one.
    2. An alarm of harm (a sink class, vanished classes, forgotten renders): renders-only. Such an alarm rests on the
       renders-only model, so two witnesses may overrule it: neighbours and mutual information. If both speak for the
       adapted model it is kept; if neighbours alone do, it is inconclusive.
    3. Neighbours decide. For the adapted model they do so only if mutual information does not speak against it.
    4. Mutual information alone may speak against the adapted model, and not for it: methods raise it themselves.
    """
    sides = {piece.name: piece.favours for piece in evidence}
    neighbours, information = sides.get("neighbours"), sides.get("mutual information")
    if changed <= words.SAME:
        return "inconclusive"
    if any(sides.get(name) for name in HARM) and not neighbours == information == "adapted":
        return "inconclusive" if neighbours == "adapted" else "renders-only"
    if neighbours == "adapted":
        return "inconclusive" if information == "renders-only" else "adapted"
    return "renders-only" if "renders-only" in (neighbours, information) else "inconclusive"


def judge(
    *,
    classes: Sequence[str],
    labels: Labels,
    held_out: Floats,
    photos: Floats,
    before: tuple[Floats, Floats] | None,
    alike: tuple[Labels, Floats] | None = None,
    more: Sequence[Evidence] = (),
    others: Sequence[Labels] = (),
    again: tuple[Labels, Labels] | None = None,
    adapts: bool = True,
) -> Trust:
    """Weigh all evidence.

    Args:
        classes: K names.
        labels: (M,) of the held-out renders, M >= 1.
        held_out, photos: logits of the adapted model, (M, K) and (N, K), N >= 2.
        before: the same of the renders-only model; None where there is none.
        alike: rows (n,) of some photos, and features (n, F) of these that neither model has made, by which neighbours
            are found.
        more: further evidence, which the rule only shows.
        others: (N,) each, what models of other seeds take the photos for.
        again: what the adapted model takes some photos for as they are, and once they are augmented, (n,) each.
        adapts: whether the model was adapted at all.
    """
    after = _Calibrated.on_renders(held_out, photos, labels)
    evidence, witnesses = [confidence_gap(after.answers), *more], {_ITSELF: after.own_estimate}
    models = [after.answers.told, *others]
    if piece := seeds_differ(models, after.own_estimate):
        evidence.append(piece)
        witnesses["other seeds"] = 1.0 - piece.value
    if again is not None:
        evidence.append(views_differ(*again, after.own_estimate))
    if before is None:
        accuracy = combined(witnesses, len(photos))
        temperature = temperature_of_confidence(photos, accuracy.estimate)
        verdict: Verdict = "inconclusive" if adapts else "renders-only"
        headline = words.without_comparison(adapts, accuracy)
        return Trust(verdict, headline, evidence, accuracy, None if adapts else accuracy, temperature)
    alone = _Calibrated.on_renders(*before, labels)
    evidence += _comparison(classes, labels, alone, after, alike)
    changed = float(np.mean(alone.answers.told != after.answers.told))
    verdict = decide(evidence, changed)
    kept_itself, kept_other = {"adapted": (_ITSELF, _ADAPTED), "renders-only": (_ALONE, _ITSELF)}.get(
        verdict, (None, None)
    )
    witnesses[_ALONE] = alone.mean_probability(after.answers.told)
    accuracy = combined(witnesses, len(photos), trusted=kept_itself)
    of_alone = {_ITSELF: alone.own_estimate, _ADAPTED: after.mean_probability(alone.answers.told)}
    accuracy_alone = combined(of_alone, len(photos), trusted=kept_other)
    temperature = temperature_of_confidence(photos, accuracy.estimate)
    temperature_alone = temperature_of_confidence(before[1], accuracy_alone.estimate)
    probability, other = probabilities_of(photos, temperature), probabilities_of(before[1], temperature_alone)
    rows, told = np.arange(len(photos)), after.answers.told
    belief = (probability[rows, told] + other[rows, told]) / 2.0
    found = ordered(evidence, verdict)
    return Trust(
        verdict,
        words.headline(verdict, found, changed, accuracy, accuracy_alone),
        found,
        accuracy,
        accuracy_alone,
        temperature,
        temperature_alone,
        doubt_threshold(probability[rows, told], belief),
    )


@dataclass(frozen=True)
class _Calibrated:
    """A model with the temperature of held-out renders."""

    answers: Answers
    own_estimate: float  # of accuracy on photos by its own confidence: the mean of two published ones

    @classmethod
    def on_renders(cls, held_out: Floats, photos: Floats, labels: Labels) -> "_Calibrated":
        temperature = fit_temperature(held_out, labels)
        answers = Answers(probabilities_of(held_out, temperature), probabilities_of(photos, temperature))
        told = (answers.held_out, labels, answers.photos)
        return cls(answers, (average_thresholded_confidence(*told) + difference_of_confidences(*told)) / 2)

    def mean_probability(self, labels: Labels) -> float:
        """Of these classes of the photos, (N,): how right this model finds them."""
        return float(self.answers.photos[np.arange(len(labels)), labels].mean())


def _comparison(
    classes: Sequence[str], labels: Labels, before: _Calibrated, after: _Calibrated, alike: tuple[Labels, Floats] | None
) -> list[Evidence]:
    """All that compares the adapted model with the renders-only one."""
    count, doubt = len(after.answers.photos), 1.0 - before.own_estimate
    draws = _DRAWS if len(classes) <= _MANY else _DRAWS // 5
    expected = expected_shares(
        before.answers.held_out, labels, before.answers.photos, after.answers.held_out, draws=draws
    )
    spread = np.unique(np.linspace(0, count - 1, min(count, _COMPARED)).astype(int))  # (n,)
    evidence = [
        sink_classes(after.answers, expected, classes),
        vanished_classes(after.answers, expected, classes),
        forgotten_renders(before.answers, after.answers, labels),
        information(before.answers, after.answers),
        changed_photos(before.answers, after.answers, doubt, classes),
        neighbourhood_density(before.answers, after.answers, spread),
    ]
    if alike is not None and len(alike[0]) >= _FEWEST:
        compared, neutral = alike
        _, rows = nearest(neutral, _NEIGHBOURS)
        evidence.append(neighbourhood(before.answers.of(compared), after.answers.of(compared), rows))
    return evidence
