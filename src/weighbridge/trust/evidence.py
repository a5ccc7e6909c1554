"""Pieces of evidence for or against an adapted model, each in words and with its paper.

N photos, M held-out renders, K classes. Everywhere "before" is the renders-only model and "after" the adapted one.
"""

__all__ = [
    "FORGOTTEN",
    "Answers",
    "Evidence",
    "changed_photos",
    "confidence_gap",
    "distance_between_domains",
    "domain_classifier",
    "forgotten_renders",
    "information",
    "neighbourhood",
    "neighbourhood_density",
    "seeds_differ",
    "sink_classes",
    "unlike_photos",
    "vanished_classes",
    "views_differ",
]

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom

from weighbridge.trust.disagreement import disagreement, mean_disagreement
from weighbridge.trust.domains import adversary_state
from weighbridge.trust.neighbours import neighbour_information_gain
from weighbridge.trust.scores import average_confidence, mutual_information_gain, soft_neighbourhood_density
from weighbridge.trust.shares import Expected, flows, sinks, vanished

Floats = NDArray[np.floating[Any]]
Labels = NDArray[np.integer[Any]]
Side = Literal["adapted", "renders-only"]

_CLEAR = 2.0  # standard errors
FORGOTTEN = 0.02  # of held-out accuracy on the source, which adapting or fine-tuning may cost
_TOLD_APART = 1.6  # proxy A-distance: 9 of 10 images told right
_GRAVE = 0.1  # share of the photos that vanished classes should have


@dataclass(frozen=True)
class Answers:
    """What a model says of the held-out renders and of the photos: probabilities, (M, K) and (N, K)."""

    held_out: Floats
    photos: Floats

    @property
    def told(self) -> Labels:
        """The class of each photo, (N,)."""
        return np.asarray(self.photos.argmax(axis=1))

    def of(self, rows: Labels) -> "Answers":
        """The same of some photos."""
        return Answers(self.held_out, self.photos[rows])

    @property
    def shares(self) -> NDArray[np.float64]:
        """Share of the photos taken for each class, (K,)."""
        return np.bincount(self.told, minlength=self.photos.shape[1]) / len(self.photos)


@dataclass(frozen=True)
class Evidence:
    """One sign.

    Attributes:
        expected: range in which it is no cause for alarm; None where there is none.
        alarm: whether it is outside.
        favours: which model it speaks for; None for neither.
        source: paper and equation.
    """

    name: str
    value: float
    expected: tuple[float, float] | None
    alarm: bool
    favours: Side | None
    sentence: str
    source: str

    def facts(self) -> dict[str, Any]:
        """For metrics.json."""
        return asdict(self) | {"expected": self.expected and list(self.expected)}


def _side(gain: float, error: float) -> Side | None:
    """Which model a gain speaks for, if it is more than two standard errors."""
    if abs(gain) <= _CLEAR * error:
        return None
    return "adapted" if gain > 0 else "renders-only"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _named(classes: Sequence[str], rows: Sequence[int]) -> str:
    named = ", ".join(f"'{classes[k]}'" for k in rows[:3])
    return f"{named} and {len(rows) - 3} more" if len(rows) > 3 else named


def information(before: Answers, after: Answers) -> Evidence:
    """Mutual information of photo and prediction, after less before."""
    gain, error = mutual_information_gain(after.photos, before.photos)
    side = _side(gain, error)
    word = "surer or more varied" if gain > 0 else "less sure or less varied"
    return Evidence(
        "mutual information",
        gain,
        (-_CLEAR * error, _CLEAR * error),
        side == "renders-only",
        side,
        f"Predictions on photos became {word} by adapting ({gain:+.2f} nats of mutual information)."
        if side
        else "Adapting changed neither how sure nor how varied the predictions are.",
        "Shi and Sha, ICML 2012, eq. 5",
    )


def neighbourhood(before: Answers, after: Answers, neighbours: Labels) -> Evidence:
    """Whether photos that look alike are told alike, after less before.

    Args:
        neighbours: (N, k) by features that neither model has made.
    """
    gain, error = neighbour_information_gain(after.told, before.told, neighbours, before.photos.shape[1])
    side = _side(gain, error)
    word = {"adapted": "more", "renders-only": "less", None: "as"}[side]
    than = "as before" if side is None else "than before"
    return Evidence(
        "neighbours",
        gain,
        (-_CLEAR * error, _CLEAR * error),
        side == "renders-only",
        side,
        f"Photos that look alike are told alike {word} often {than} ({gain:+.2f} nats between neighbours).",
        "Ji et al., ICCV 2019, eq. 2 and 3; with neighbours as Saito et al., ICCV 2021",
    )


def sink_classes(after: Answers, expected: Expected, classes: Sequence[str]) -> Evidence:
    """The class that most exceeds its expected share."""
    found, (_, high) = sinks(after.shares, expected), expected.limits()
    k = found[0] if found else int(np.argmax(after.shares - expected.share))
    share = f"{_percent(after.shares[k])} of the photos are taken for '{classes[k]}'"
    return Evidence(
        "sink class",
        float(after.shares[k]),
        (0.0, float(max(high[k], 2.0 * expected.share[k], expected.share[k] + 0.1))),
        bool(found),
        "renders-only" if found else None,
        f"{share}, where {_percent(expected.share[k])} are expected.",
        "Lipton, Wang, Smola, ICML 2018; Saerens et al., Neural Computation 2002",
    )


def vanished_classes(after: Answers, expected: Expected, classes: Sequence[str]) -> Evidence:
    """The expected share of all classes that lost their photos. Grave, and so an alarm, above a tenth of the photos."""
    found = vanished(after.shares, expected)
    lost = float(expected.share[found].sum())
    return Evidence(
        "vanished classes",
        lost,
        (0.0, _GRAVE),
        lost > _GRAVE,
        "renders-only" if lost > _GRAVE else None,
        f"Next to no photo is taken for {_named(classes, found)}, where {_percent(lost)} of the photos are expected."
        if found
        else "Every class that is expected among the photos is found.",
        "Lipton, Wang, Smola, ICML 2018; Saerens et al., Neural Computation 2002",
    )


def changed_photos(before: Answers, after: Answers, doubt: float, classes: Sequence[str]) -> Evidence:
    """Share of photos that changed class, where they went, and whether more changed than can have been wrong.

    Args:
        doubt: the most that the renders-only model is estimated to have wrong, in [0, 1].
    """
    share, moved = disagreement(before.told, after.told), flows(before.told, after.told, len(classes))
    sentence = f"Adapting changed the class of {_percent(share)} of the photos"
    if moved:
        top = moved[0]
        sentence += f", {top.photos:,} of them from '{classes[top.before]}' to '{classes[top.after]}'"
    reach = _CLEAR * np.sqrt(share * (1.0 - share) / len(before.told))
    return Evidence(
        "changed photos",
        share,
        (0.0, doubt),
        bool(share - reach > doubt),
        None,
        sentence + ".",
        "Garg et al., ICLR 2022, for how many can have been wrong",
    )


def confidence_gap(after: Answers) -> Evidence:
    """Mean confidence on photos less that on held-out renders. Higher on photos is no good sign."""
    gap = average_confidence(after.photos) - average_confidence(after.held_out)
    spread = np.sqrt(
        after.photos.max(axis=1).var() / len(after.photos) + after.held_out.max(axis=1).var() / len(after.held_out)
    )
    alarm = bool(gap > _CLEAR * spread)
    return Evidence(
        "confidence",
        gap,
        (-1.0, float(_CLEAR * spread)),
        alarm,
        None,
        f"The model is surer of photos than of renders it has not seen ({100 * gap:+.0f} points)."
        if alarm
        else f"The model is {_percent(abs(gap))} less sure of photos than of held-out renders.",
        "Guillory et al., ICCV 2021, sec. 3",
    )


def forgotten_renders(before: Answers, after: Answers, labels: Labels) -> Evidence:
    """What adapting cost on held-out renders; an alarm above 2 points and two standard errors."""
    gains = (after.held_out.argmax(axis=1) == labels).astype(float) - (before.held_out.argmax(axis=1) == labels)
    gain, error = float(gains.mean()), float(gains.std() / np.sqrt(len(gains)))
    alarm = gain < -FORGOTTEN and _side(gain, error) == "renders-only"
    return Evidence(
        "held-out renders",
        gain,
        (-FORGOTTEN, 1.0),
        alarm,
        "renders-only" if alarm else None,
        f"Adapting {'cost' if gain < 0 else 'gained'} {100 * abs(gain):.1f} points on held-out renders.",
        "McNemar, Psychometrika 12, 1947, for paired answers",
    )


def neighbourhood_density(before: Answers, after: Answers, rows: Labels) -> Evidence:
    """Soft neighbourhood density, after less before. rows: (n,) of the photos that are compared with each other."""
    gain = soft_neighbourhood_density(after.photos[rows]) - soft_neighbourhood_density(before.photos[rows])
    word = "denser" if gain > 0 else "looser"
    sentence = f"Predictions of photos lie in {word} groups than before ({gain:+.2f} nats). A collapse does so too."
    source = "Saito et al., ICCV 2021, eq. 1 to 3"
    return Evidence("neighbourhood density", gain, None, False, None, sentence, source)


def seeds_differ(models: Sequence[Labels], accuracy: float) -> Evidence | None:
    """Mean disagreement of models that only the seed tells apart; None for fewer than two.

    Args:
        models: (N,) each.
        accuracy: that the confidence of the model claims, in [0, 1]; an alarm if more differ than it leaves wrong.
    """
    share = mean_disagreement(models)
    if share is None:
        return None
    wrong = f"so at least {_percent(share / 2)} are wrong on average"
    sentence = f"Two seeds differ on {_percent(share)} of the photos, {wrong}."
    return _differ("seeds differ", share, len(models[0]), accuracy, sentence)


def views_differ(plain: Labels, augmented: Labels, accuracy: float) -> Evidence:
    """Share of photos taken for another class once they are augmented; an alarm as in `seeds_differ`. (n,) each."""
    share = disagreement(plain, augmented)
    sentence = f"{_percent(share)} of the photos are taken for another class once they are augmented as in training."
    return _differ("views differ", share, len(plain), accuracy, sentence)


def _differ(name: str, share: float, count: int, accuracy: float, sentence: str) -> Evidence:
    alarm = share - _CLEAR * np.sqrt(share * (1.0 - share) / count) > 1.0 - accuracy
    source = "Jiang et al., ICLR 2022, theorem 4.1"
    return Evidence(name, share, (0.0, 1.0 - accuracy), bool(alarm), None, sentence, source)


def distance_between_domains(name: str, distance: float, what: str) -> Evidence:
    """A proxy A-distance in [0, 2], and an alarm where 9 of 10 images are told apart. what: by which it was told."""
    alarm = distance > _TOLD_APART
    share = _percent(0.5 + distance / 4)
    sentence = f"Renders and photos are told apart {share} of the time by {what} (50 % is chance)."
    source = "Ben-David et al., NIPS 2006, sec. 4"
    return Evidence(name, distance, (0.0, _TOLD_APART), alarm, None, sentence, source)


def domain_classifier(accuracies: Sequence[float]) -> Evidence | None:
    """What the domain classifier did in training. accuracies: see `adversary_state`."""
    state = adversary_state(accuracies)
    if state is None:
        return None
    end = float(np.mean(accuracies[-max(1, len(accuracies) // 10) :]))
    word = {"dead": "never learned", "winning": "won, so domains are not aligned", "balanced": "was held in balance"}
    sentence = f"The domain classifier {word[state]}: at the end it is right about {_percent(end)} of the images."
    source = "Ganin et al., JMLR 17, 2016, sec. 4"
    return Evidence("domain classifier", end, (0.55, 0.9), state != "balanced", None, sentence, source)


def unlike_photos(scores: Floats, threshold: float, share_of_renders: float = 0.05) -> Evidence:
    """Share of photos unlike all renders; an alarm where more are than held-out renders, by a binomial test at 1 %.

    Args:
        scores: (N,) of `Likeness`.
        threshold: that this share of held-out renders exceeds.
    """
    count = int((scores > threshold).sum())
    most = float(binom.isf(0.01, len(scores), share_of_renders)) / len(scores)
    share = count / len(scores)
    sentence = f"{_percent(share)} of the photos are unlike all renders; {_percent(share_of_renders)} are expected."
    source = "Sun et al., ICML 2022, sec. 3; Liu et al., NeurIPS 2020, eq. 4"
    return Evidence("unlike all renders", share, (0.0, most), share > most, None, sentence, source)
