"""Labels given by hand, as a CSV keeps them: file, label, seconds, asked."""

__all__ = ["COLUMNS", "NONE_OF_THESE", "Answer", "Purpose", "read_answers", "teaching", "write_answers"]

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from weighbridge.errors import DataError
from weighbridge.files import replace_rows

Purpose = Literal["better", "accuracy", "teach"]
"""Why a photo was labelled: to tell which of two models is better, how good one is, or to be learned."""

NONE_OF_THESE = "none of these"
"""The label of a photo that shows no class of the renders. An empty label is one that nobody can tell."""

COLUMNS = ("file", "label", "seconds", "asked")


@dataclass(frozen=True)
class Answer:
    """One label.

    Attributes:
        file: the photo, as predictions.csv calls it.
        label: a class, `NONE_OF_THESE`, or "" for "cannot tell".
        seconds: from the picture to the key; 0 where nobody measured.
        asked: see `Purpose`; "" in files that do not say.
    """

    file: str
    label: str
    seconds: float = 0.0
    asked: Purpose | Literal[""] = ""

    @property
    def named(self) -> bool:
        """Whether it names a class."""
        return self.label not in ("", NONE_OF_THESE)


def read_answers(path: Path) -> list[Answer]:
    """The labels of a CSV with the columns file and label, in the order in which they were given.

    Raises:
        DataError: if it cannot be read, has other columns, or labels a photo twice.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig", errors="surrogateescape") as lines:
            reader = csv.DictReader(lines)
            columns = reader.fieldnames or []
            if not {"file", "label"} <= set(columns):
                found = ", ".join(columns) or "nothing"
                raise DataError(f"expected columns 'file' and 'label' in '{path}', found {found}")
            answers = [_answer(path, reader.line_num, row) for row in reader]
    except (OSError, csv.Error) as error:
        raise DataError(f"'{path}' cannot be read as CSV: {error}") from error
    seen: dict[str, Answer] = {}
    for answer in answers:
        if answer.file in seen:
            both = "to teach and to judge, and would do both" if _differ(seen[answer.file], answer) else "twice"
            raise DataError(f"'{path}' labels '{answer.file}' {both}. Remove one of its rows")
        seen[answer.file] = answer
    return answers


def _answer(path: Path, line: int, row: dict[str, str | None]) -> Answer:
    asked, seconds = (row.get("asked") or "").strip(), (row.get("seconds") or "0").strip()
    if asked not in ("", *get_args(Purpose)):
        known = ", ".join(get_args(Purpose))
        raise DataError(f"line {line} of '{path}': asked must be empty or one of {known}, got '{asked}'")
    try:
        return Answer(row["file"] or "", (row["label"] or "").strip(), float(seconds), asked)  # type: ignore[arg-type]
    except ValueError as error:
        raise DataError(f"line {line} of '{path}': seconds must be a number, got '{seconds}'") from error


def _differ(one: Answer, other: Answer) -> bool:
    return (one.asked == "teach") != (other.asked == "teach")


def write_answers(path: Path, answers: Sequence[Answer]) -> None:
    """Write them whole or not at all."""
    rows = ((a.file, a.label, f"{a.seconds:.1f}", a.asked) for a in answers)
    replace_rows(path, COLUMNS, rows)


def teaching(answers: Sequence[Answer]) -> tuple[list[Answer], list[Answer]]:
    """(those that teach, those that judge). Rows that were asked to teach do; in a file that never says, all do."""
    if not any(answer.asked for answer in answers):
        return list(answers), []
    return [a for a in answers if a.asked == "teach"], [a for a in answers if a.asked != "teach"]
