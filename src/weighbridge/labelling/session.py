"""A sitting at the labels: what was answered, what comes next, and the CSV that has it all."""

__all__ = ["Session"]

from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import Any

from weighbridge.errors import DataError
from weighbridge.labelling.answers import NONE_OF_THESE, Answer, read_answers, write_answers
from weighbridge.labelling.question import Question, Standing, standing


class Session:
    """Answers to one question, kept in a file that is written whole after each of them.

    Several threads may ask.

    Args:
        question: what is asked.
        path: the CSV; labels that are in it already count, whatever they were asked for.

    Raises:
        DataError: if the file is no file of labels.
    """

    def __init__(self, question: Question, path: Path) -> None:
        self.question, self.path = question, path
        self._answers = read_answers(path) if path.is_file() else []
        self._lock = Lock()

    @property
    def answers(self) -> Sequence[Answer]:
        """All of the file, in the order in which they were given."""
        return tuple(self._answers)

    def standing(self) -> Standing:
        """What the labels so far say."""
        return standing(self.question, {answer.file: answer.label for answer in self._answers})

    def place(self) -> int:
        """Which photo of the question comes next; their number if all are labelled."""
        labelled = {answer.file for answer in self._answers}
        return next((k for k, file in enumerate(self.question.files) if file not in labelled), len(self.question.files))

    def state(self) -> dict[str, Any]:
        """For the page: nothing in it says what a model takes the next photo for."""
        return {"place": self.place(), "photos": len(self.question.files), **self.standing().facts()}

    def answer(self, place: int, label: str, seconds: float) -> dict[str, Any]:
        """Label the photo at a place, and say what is known then.

        Raises:
            DataError: if it is not the photo that comes next, or there is no such label.
        """
        if label not in (*self.question.classes, NONE_OF_THESE, ""):
            raise DataError(f"there is no class '{label}'")
        with self._lock:
            if place != self.place() or place >= len(self.question.files):
                raise DataError(f"photo {place} is not the one that comes next. Reload the page")
            self._answers.append(Answer(self.question.files[place], label, round(seconds, 1), self.question.asked))
            write_answers(self.path, self._answers)
            return self.state()

    def undo(self) -> dict[str, Any]:
        """Take the last answer to this question back, and say what is known then."""
        with self._lock:
            mine, asked = set(self.question.files), self.question.asked
            last = next((a for a in reversed(self._answers) if a.file in mine and a.asked == asked), None)
            if last is not None:
                self._answers.remove(last)
                write_answers(self.path, self._answers)
            return self.state()
