"""What is asked, of which photos and in which order, and what the labels so far say.

The order is random and fixed by the names of the photos alone. A question takes the labels at the start of its order,
up to the first photo without one. So labels that were given to another question count here as soon as their turn comes,
and each question sees its photos in random order, whatever was asked before.
"""

__all__ = ["Question", "Standing", "accuracy_question", "better_question", "standing", "teach_question"]

import hashlib
import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from weighbridge.labelling.answers import NONE_OF_THESE, Purpose
from weighbridge.labelling.sequential import LEVEL, certain, difference_bounds, log_evidence, settles, share_bounds

_TINY = 1e-9  # added before rounding, so that JavaScript and Python round halves alike
_IN_100 = f"wrong at most {round(100 * LEVEL)} times in 100"
_ENOUGH = round(1 / LEVEL)


@dataclass(frozen=True)
class Question:
    """One question.

    Attributes:
        asked: its kind.
        files: photos, in the order in which they are asked.
        told: what each model says of each photo, in the order of `models`.
        models: what they are called.
        photos: number of photos that the answer is about; some of them are not asked, since the models agree on them.
        classes: K names.
        goal: width of the interval in points that settles `accuracy`; labels of each class that settle `teach`.
    """

    asked: Purpose
    files: tuple[str, ...]
    told: tuple[tuple[str, ...], ...]
    models: tuple[str, ...]
    photos: int
    classes: tuple[str, ...]
    goal: float = 0.0


@dataclass(frozen=True)
class Standing:
    """What the labels so far say.

    Attributes:
        labelled: photos with an answer, "cannot tell" included.
        counts: `better`: ahead, behind, neither, cannot tell. `accuracy`: right, wrong, none of these, cannot tell.
            `teach`: named, none of these, cannot tell, labels of the class that has fewest.
        evidence: `better`: e-values for the first model and for the second; capped at 1e9.
        low, high: of the difference in points, or of the accuracy in percent; 0 for `teach`.
        settled: whether the question is answered.
        keep: `better`: 0 or 1 for the model to keep, 2 for either; -1 while that is open, and for other questions.
        sentence: all of it in words.
    """

    labelled: int
    counts: tuple[int, int, int, int]
    evidence: tuple[float, float]
    low: float
    high: float
    settled: bool
    keep: int
    sentence: str

    def facts(self) -> dict[str, Any]:
        """As the page gets it."""
        return asdict(self)


def better_question(
    ours: Mapping[str, str],
    theirs: Mapping[str, str],
    models: tuple[str, str],
    classes: Sequence[str],
    *,
    apart: Collection[str] = (),
) -> Question:
    """Which of two models is better: only photos that they tell differently are asked.

    Args:
        ours, theirs: file -> label, of the same photos.
        apart: photos that one of them has learned from, or that teach.
    """
    photos = [file for file in ours if file in theirs and file not in apart]
    differing = _shuffled(file for file in photos if ours[file] != theirs[file])
    told = tuple((ours[file], theirs[file]) for file in differing)
    return Question("better", differing, told, models, len(photos), tuple(classes))


def accuracy_question(
    ours: Mapping[str, str],
    model: str,
    classes: Sequence[str],
    *,
    within: float,
    apart: Collection[str] = (),
) -> Question:
    """How good one model is: all photos are asked.

    Args:
        within: width of the interval in points that is narrow enough.
        apart: photos that it has learned from, or that teach.
    """
    files = _shuffled(file for file in ours if file not in apart)
    return Question(
        "accuracy", files, tuple((ours[file],) for file in files), (model,), len(files), tuple(classes), within
    )


def teach_question(
    ours: Mapping[str, str],
    model: str,
    classes: Sequence[str],
    *,
    per_class: int,
    apart: Collection[str] = (),
) -> Question:
    """Labels to learn from: photos by turns of each class that the model tells, so that no class waits long.

    Args:
        per_class: how many of each class are enough.
        apart: photos that judge.
    """
    order, turn = _shuffled(file for file in ours if file not in apart), Counter[str]()
    turns = {}
    for file in order:
        turns[file] = turn[ours[file]]
        turn[ours[file]] += 1
    files = tuple(sorted(order, key=lambda file: turns[file]))  # stable
    told = tuple((ours[file],) for file in files)
    return Question("teach", files, told, (model,), len(files), tuple(classes), per_class)


def _shuffled(files: Any) -> tuple[str, ...]:
    """An order in which neither predictions nor folders have a part, and the same on every machine."""
    return tuple(sorted(files, key=lambda file: hashlib.sha256(file.encode("utf-8", "surrogateescape")).digest()))


def standing(question: Question, labels: Mapping[str, str]) -> Standing:
    """What the labels, file -> label, say to a question."""
    answered = []
    for file, told in zip(question.files, question.told, strict=True):
        if file not in labels:
            break
        answered.append((labels[file], told))
    say = {"better": _better, "accuracy": _accuracy, "teach": _teach}
    return say[question.asked](question, answered)


_KEEP = {(True, True): 2, (True, False): 0, (False, True): 1, (False, False): -1}
_Answered = Sequence[tuple[str, tuple[str, ...]]]


def _better(question: Question, answered: _Answered) -> Standing:
    total, left = len(question.files), len(question.files) - len(answered)
    ahead = behind = neither = unknown = 0
    settled, evidence = [False, False], [0.0, 0.0]
    for place in range(len(answered) + 1):  # evidence that once sufficed suffices for ever
        evidence = [log_evidence(ahead, behind, total - place), log_evidence(behind, ahead, total - place)]
        settled = [before or settles(e) for before, e in zip(settled, evidence, strict=True)]
        if place < len(answered):
            label, (ours, theirs) = answered[place]
            ahead, behind = ahead + (label == ours), behind + (label == theirs)
            unknown += label == ""
            neither += label not in ("", ours, theirs)
    sure = (certain(ahead, behind, left), certain(behind, ahead, left))
    keep = _KEEP[sure] if any(sure) else _KEEP[settled[0], settled[1]]  # what is certain overrules what was likely
    one, other = (min(math.exp(min(e, 30.0)), 1e9) for e in evidence)
    low, high = (100 * d / max(question.photos, 1) for d in difference_bounds(ahead, behind, neither + unknown, left))
    counts = (ahead, behind, neither, unknown)
    words = _better_words(question, len(answered), counts, (one, other), keep, (low, high))
    return Standing(len(answered), counts, (one, other), low, high, keep >= 0, keep, words)


def _better_words(
    question: Question,
    labelled: int,
    counts: tuple[int, int, int, int],
    evidence: tuple[float, float],
    keep: int,
    points: tuple[float, float],
) -> str:
    total, (one, other), (ahead, behind, neither, unknown) = len(question.files), question.models, counts
    if not total:
        return "The two models tell all photos alike, so there is nothing to ask."
    said = f"{labelled} of {total} photos that the two tell differently are labelled. "
    said += f"{one} alone is right on {ahead}, {other} alone on {behind}, neither on {neither}"
    said += f", and {unknown} cannot be told. " if unknown else ". "
    if keep == 2:
        said += "Settled: neither is better than the other."
    elif keep >= 0:
        best, rest = (one, other) if keep == 0 else (other, one)
        sure = certain(*((ahead, behind) if keep == 0 else (behind, ahead)), total - labelled)
        said += f"Settled: keep {best}. It is at least as good as {rest}, "
        said += "whatever the other labels are." if sure else f"{_IN_100}."
    else:
        leader = one if evidence[0] >= evidence[1] else other
        said += f"Not settled: the evidence for {leader} is {_number(max(evidence))}, and {_ENOUGH} is enough."
    low, high = points
    return (
        f"{said} On all {question.photos} photos {one} is {_signed(low)} to {_signed(high)} points better than {other}."
    )


def _accuracy(question: Question, answered: _Answered) -> Standing:
    total, right, wrong, none, unknown = len(question.files), 0, 0, 0, 0
    for label, (ours,) in answered:
        right, none, unknown = right + (label == ours), none + (label == NONE_OF_THESE), unknown + (label == "")
        wrong += label not in (ours, NONE_OF_THESE, "")
    left = total - len(answered)
    share = share_bounds(right, wrong, left) if total - none - unknown else (0.0, 1.0)
    low, high = 100 * share[0], 100 * share[1]
    settled = bool(total) and high - low <= question.goal + _TINY
    model, goal = question.models[0], question.goal
    said = f"{len(answered)} of {total} photos are labelled, and {model} is right on {right} of {right + wrong}. "
    if none:
        said += f"{none} more show none of these classes. "
    if unknown:
        said += f"{unknown} more cannot be told. "
    said += f"Of all photos of these classes {_number(low)} to {_number(high)} % are right, {_IN_100}. "
    if settled:
        said += f"Settled: the interval is at most {goal:g} points wide."
    else:
        said += f"Not settled: the interval is {_number(high - low)} points wide, and {goal:g} is the aim."
    return Standing(len(answered), (right, wrong, none, unknown), (0.0, 0.0), low, high, settled, -1, said)


def _teach(question: Question, answered: _Answered) -> Standing:
    given = Counter(label for label, _ in answered)
    none, unknown = given.pop(NONE_OF_THESE, 0), given.pop("", 0)
    fewest = min(question.classes, key=lambda name: given[name])
    least, goal = given[fewest], int(question.goal)
    settled = least >= goal
    said = f"{given.total()} photos are labelled to teach. "
    said += (
        f"Settled: every class has at least {goal}."
        if settled
        else f"Not settled: {fewest} has {least}, and {goal} of each class is the aim."
    )
    return Standing(len(answered), (given.total(), none, unknown, least), (0.0, 0.0), 0.0, 0.0, settled, -1, said)


def _number(value: float) -> str:
    return f"{value + _TINY:.1f}"


def _signed(points: float) -> str:
    return f"{'-' if points < 0 else '+'}{_number(abs(points))}"
