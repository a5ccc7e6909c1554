"""The CSV of labels: what it holds, and what is refused."""

import pytest

from weighbridge.errors import DataError
from weighbridge.labelling.answers import Answer, read_answers, teaching, write_answers


def test_answers_come_back_in_their_order(tmp_path):
    answers = [
        Answer('photos/a "b",c.jpg', "cup", 1.5, "better"),
        Answer("photos/\udcff.jpg", "", 0.0, "accuracy"),  # any bytes
        Answer("photos/2.jpg", "none of these", 12.0, "teach"),
    ]
    write_answers(tmp_path / "labels.csv", answers)
    assert read_answers(tmp_path / "labels.csv") == answers
    assert [answer.named for answer in answers] == [True, False, False]


def test_a_file_by_hand_needs_two_columns(tmp_path):
    path = tmp_path / "labels.csv"
    path.write_text("file,label,who\na.jpg,cup,me\n")
    assert read_answers(path) == [Answer("a.jpg", "cup")]
    assert teaching(read_answers(path)) == ([Answer("a.jpg", "cup")], [])


def test_what_was_asked_to_judge_does_not_teach():
    teach, judge = Answer("a", "cup", asked="teach"), Answer("b", "cup", asked="better")
    assert teaching([teach, judge]) == ([teach], [judge])
    assert teaching([judge]) == ([], [judge])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name,label\na,b\n", "expected columns 'file' and 'label' in '.*', found name, label"),
        ("", "found nothing"),
        ("file,label\na,cup\na,cup\n", "labels 'a' twice. Remove one of its rows"),
        ("file,label,asked\na,cup,teach\na,cup,better\n", "labels 'a' to teach and to judge"),
        ("file,label,asked\na,cup,why\n", "line 2 of '.*': asked must be empty or one of better, accuracy, teach"),
        ("file,label,seconds\na,cup,long\n", "line 2 of '.*': seconds must be a number, got 'long'"),
    ],
)
def test_what_is_refused(tmp_path, text, message):
    (tmp_path / "labels.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        read_answers(tmp_path / "labels.csv")
