"""What finished runs say of their photos, and the question that follows."""

__all__ = ["LEARNED", "Judging", "ask", "judging_labels", "learned_photos", "run_photos"]

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from weighbridge.data.names import distinct_names
from weighbridge.errors import DataError, RunFolderError
from weighbridge.files import absolute
from weighbridge.labelling.answers import NONE_OF_THESE, Answer, read_answers, teaching
from weighbridge.labelling.question import Question, accuracy_question, better_question, standing, teach_question
from weighbridge.run_folder import RunFolder, found_again

LEARNED = "target-labels.csv"
"""In the folder of a run that learned from labelled photos: which, with a hash of each."""

_PREDICTIONS, _RENDERS_ONLY = "predictions.csv", "renders-only-predictions.csv"


def ask(
    run: Path,
    other: Path | None,
    *,
    answers: Iterable[Answer] = (),
    accuracy: bool = False,
    teach: bool = False,
    within: float = 10.0,
    per_class: int = 3,
) -> Question:
    """The question that a run raises, alone or beside another.

    Args:
        run: a finished run.
        other: another one on the same photos. Without it the run is compared with its own renders-only model, where it
            has one that differs.
        answers: labels that are there already. Photos that teach are left out where labels judge, and the other way
            round.
        accuracy: ask how good the run is, even where there is another model to compare with.
        teach: ask for labels to learn from.
        within: width of the interval in points that settles how good it is.
        per_class: labels of each class that are enough to learn from.

    Raises:
        RunFolderError: if there is no finished run, or it has no predictions.
        DataError: if the two runs are not of the same photos or classes.
    """
    folder, given = RunFolder.open(run), list(answers)
    folder.metrics()  # refuses what is not finished
    classes, ours = tuple(folder.facts()["classes"]), _predictions(run / _PREDICTIONS)
    name = distinct_names(
        [run.resolve().name, *([other.resolve().name] if other else [])], [run, *([other] if other else [])]
    )
    learned = learned_photos(run)
    if teach:
        apart = {answer.file for answer in given if answer.asked != "teach"} | learned
        return teach_question(ours, name[0], classes, per_class=per_class, apart=apart)
    apart = {answer.file for answer in given if answer.asked == "teach"} | learned
    renders_only = run / _RENDERS_ONLY
    if accuracy or (other is None and not renders_only.is_file()):
        return accuracy_question(ours, name[0], classes, within=within, apart=apart)
    if other is None:
        return better_question(ours, _predictions(renders_only), ("adapted", "renders-only"), classes, apart=apart)
    beside = RunFolder.open(other)
    beside.metrics()
    if set(beside.facts()["classes"]) != set(classes):
        raise DataError(f"expected two runs with the same classes, but those of '{run}' and '{other}' differ")
    theirs = _by_our_names(_predictions(other / _PREDICTIONS), ours)
    if not theirs:
        raise DataError(f"expected two runs on the same photos, but '{run}' and '{other}' share none")
    return better_question(ours, theirs, (name[0], name[1]), classes, apart=apart | learned_photos(other))


@dataclass(frozen=True)
class Judging:
    """Labels of a run's own photos by which it is judged.

    Attributes:
        labels: file -> class.
        left_out: in words, which labels do not judge; "" if all do.
        sentence: what follows for all photos of the run; "" where that cannot be said.
    """

    labels: dict[str, str]
    left_out: str
    sentence: str


def judging_labels(run: Path, path: Path) -> Judging | None:
    """The labels in a file that `weighbridge label` wrote, or one like it; None if it is about other photos.

    Raises:
        DataError: if it is no file of labels, or none of them judges.
    """
    if path.suffix.lower() != ".csv" or not path.is_file() or not (run / _PREDICTIONS).is_file():
        return None
    ours = _predictions(run / _PREDICTIONS)
    places = {absolute(file) for file in ours}
    with path.open(newline="", encoding="utf-8-sig", errors="surrogateescape") as lines:
        rows = csv.DictReader(lines)
        if not {"file", "label"} <= set(rows.fieldnames or ()):
            return None
        if not any(absolute(row["file"] or "") in places for row in rows):
            return None
    answers = read_answers(path)
    learned = {absolute(file) for file in learned_photos(run)}
    taught = {a.file for a in (teaching(answers)[0] if any(a.asked for a in answers) else ())}
    taught |= {a.file for a in answers if absolute(a.file) in learned}
    others = [answer for answer in answers if answer.file not in taught]
    labels = {answer.file: answer.label for answer in others if answer.named}
    reasons = {
        "taught or shall teach": len(taught),
        "cannot be told": sum(answer.label == "" for answer in others),
        "show none of these classes": sum(answer.label == NONE_OF_THESE for answer in others),
    }
    words = ", ".join(f"{count} {reason}" for reason, count in reasons.items() if count)
    if not labels:
        raise DataError(
            f"expected labels in '{path}' that judge, found none of {len(answers)}: {words or 'it is empty'}"
        )
    left_out = f"{len(answers) - len(labels)} of {len(answers)} labelled photos are left out: {words}" if words else ""
    return Judging(labels, left_out, _for_all_photos(run, others, ours, taught))


def _for_all_photos(run: Path, answers: list[Answer], ours: dict[str, str], taught: set[str]) -> str:
    asked = {answer.asked for answer in answers}
    if "better" in asked:
        return "Some photos were asked because two models differ on them. On all photos accuracy is another one"
    if asked != {"accuracy"}:
        return ""
    classes, name = tuple(RunFolder.open(run).facts()["classes"]), run.resolve().name
    question = accuracy_question(ours, name, classes, within=0.0, apart=taught | learned_photos(run))
    found = standing(question, {answer.file: answer.label for answer in answers})
    return (
        f"On all {question.photos} photos {found.low:.1f} to {found.high:.1f} % are right, "
        f"wrong at most 5 times in 100, however often you look"
    )


def run_photos(run: Path) -> Path:
    """Where the target of a run lies."""
    return found_again(RunFolder.open(run).facts()["paths"]["target"])


def learned_photos(run: Path) -> set[str]:
    """Names of the photos whose labels a run has learned."""
    path = run / LEARNED
    if not path.is_file():
        return set()
    with path.open(newline="", encoding="utf-8", errors="surrogateescape") as lines:
        return {row["file"] for row in csv.DictReader(lines)}


def _predictions(path: Path) -> dict[str, str]:
    """file -> label."""
    if not path.is_file():
        raise RunFolderError(f"expected '{path}', which every finished run has. Was it removed?")
    with path.open(newline="", encoding="utf-8", errors="surrogateescape") as lines:
        return {row["file"]: row["label"] for row in csv.DictReader(lines)}


def _by_our_names(theirs: dict[str, str], ours: Iterable[str]) -> dict[str, str]:
    """Runs may have been given the same folder by different paths."""
    by_place = {absolute(file): label for file, label in theirs.items()}
    return {file: by_place[place] for file in ours if (place := absolute(file)) in by_place}
