"""Which photos are asked in which order, and what the labels say in words."""

import pytest

from labelling.made import CLASSES, write_photos, write_run
from weighbridge.errors import DataError, RunFolderError
from weighbridge.labelling.answers import Answer
from weighbridge.labelling.question import accuracy_question, better_question, standing, teach_question
from weighbridge.labelling.told import ask, judging_labels

FILES = [f"photos/{k:03}.jpg" for k in range(100)]
OURS = {file: CLASSES[k % 3] for k, file in enumerate(FILES)}
THEIRS = {file: (CLASSES[(k + 1) % 3] if k < 10 else CLASSES[k % 3]) for k, file in enumerate(FILES)}


def better():
    return better_question(OURS, THEIRS, ("adapted", "renders-only"), CLASSES)


def test_only_photos_that_differ_are_asked_in_an_order_without_predictions():
    question = better()
    assert set(question.files) == set(FILES[:10])
    assert question.files != tuple(FILES[:10])
    swapped = better_question(THEIRS, OURS, ("a", "b"), CLASSES)
    assert swapped.files == question.files  # whichever model says what
    assert question.photos == 100


def test_four_right_of_four_settle_ten_photos():
    # Q = 2 * 4! / 5! * 31/32 = 0.3875. The likeliest urn in which the other is better has 9 informative photos, 4 of
    # them for this model: L = 4! 5! / 9! = 1/126. So the evidence is 48.8; with three labels it was 9.8.
    question = better()
    labels = {file: OURS[file] for file in question.files[:3]}
    three = standing(question, labels)
    assert (three.counts, three.keep, three.settled) == ((3, 0, 0, 0), -1, False)
    assert three.evidence[0] == pytest.approx(9.84375)
    four = standing(question, labels | {question.files[3]: OURS[question.files[3]]})
    assert four.evidence[0] == pytest.approx(48.825)
    assert (four.keep, four.settled) == (0, True)
    assert four.sentence == (
        "4 of 10 photos that the two tell differently are labelled. adapted alone is right on 4, renders-only alone on "
        "0, neither on 0. Settled: keep adapted. It is at least as good as renders-only, wrong at most 5 times in 100. "
        f"On all 100 photos adapted is {four.low:+.1f} to +10.0 points better than renders-only."
    )


def test_what_settled_once_stays_settled_until_the_contrary_is_certain():
    question = better()
    labels = {file: OURS[file] for file in question.files[:4]}
    labels |= {file: THEIRS[file] for file in question.files[4:7]}
    seven = standing(question, labels)  # 4 : 3, three are left
    assert seven.evidence[0] < 20
    assert seven.keep == 0
    labels |= {file: THEIRS[file] for file in question.files[7:]}
    ten = standing(question, labels)
    assert (ten.keep, ten.low, ten.high) == (1, -2.0, -2.0)
    assert "keep renders-only" in ten.sentence
    assert "whatever the other labels are" in ten.sentence


def test_equal_models_are_told_so():
    question = better()
    labels = {file: (OURS if k % 2 else THEIRS)[file] for k, file in enumerate(question.files)}
    assert "Settled: neither is better than the other." in standing(question, labels).sentence
    same = better_question(OURS, OURS, ("a", "b"), CLASSES)
    assert standing(same, {}).sentence == "The two models tell all photos alike, so there is nothing to ask."


def test_neither_and_cannot_tell_move_no_evidence_but_leave_fewer_photos():
    question = better()
    labels = {file: OURS[file] for file in question.files[:3]}
    more = dict(zip(question.files[3:6], ("", "none of these", ""), strict=True))
    found = standing(question, labels | more)
    assert found.counts == (3, 0, 1, 2)
    assert ", and 2 cannot be told." in found.sentence
    assert found.evidence[0] > 9.84375  # of four photos at most that may still be for the other, all must be


def test_labels_count_from_the_start_of_the_order_alone():
    question = better()
    labels = {file: OURS[file] for file in question.files[1:]}
    assert standing(question, labels).labelled == 0
    assert standing(question, labels | {question.files[0]: OURS[question.files[0]]}).labelled == 10


def test_accuracy_settles_at_the_width_that_was_asked_for():
    question = accuracy_question(OURS, "adapted", CLASSES, within=20.0)
    assert len(question.files) == 100
    labels, widths = {}, []
    for k, file in enumerate(question.files):
        labels[file] = OURS[file] if k % 5 else "none of these"
        found = standing(question, labels)
        widths.append(found.high - found.low)
        if found.settled:
            break
    assert widths[-1] <= 20.0 < widths[-2]
    assert (found.counts[1], found.high) == (0, 100.0)
    assert f"{found.counts[2]} more show none of these classes." in found.sentence


def test_photos_to_learn_from_take_turns_over_the_predicted_classes():
    told = {file: ("bowl" if k < 90 else "cup" if k < 97 else "spoon") for k, file in enumerate(FILES)}
    question = teach_question(told, "adapted", CLASSES, per_class=2)
    assert sorted(told[file] for file in question.files[:3]) == ["bowl", "cup", "spoon"]
    assert sorted(told[file] for file in question.files[:9]) == ["bowl"] * 3 + ["cup"] * 3 + ["spoon"] * 3
    labels = {file: told[file] for file in question.files[:5]}
    assert "Not settled: " in standing(question, labels).sentence
    labels = {file: told[file] for file in question.files[:6]}
    assert standing(question, labels).sentence == (
        "6 photos are labelled to teach. Settled: every class has at least 2."
    )


# ---- of run folders ----


@pytest.fixture
def photos(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    from pathlib import Path

    write_photos(Path("photos"), 12)
    return Path("photos")


def told_of(photos, change=0):
    return {str(file): CLASSES[(k + (k < change)) % 3] for k, file in enumerate(sorted(photos.iterdir()))}


def test_a_run_is_compared_with_the_run_named_else_with_its_renders_only_model_else_with_nothing(photos, tmp_path):
    run = write_run(tmp_path / "run", photos, told_of(photos), renders_only=told_of(photos, 3))
    other = write_run(
        tmp_path / "other", photos.resolve(), {f"{tmp_path}/{f}": v for f, v in told_of(photos, 5).items()}
    )
    assert ask(run, None).models == ("adapted", "renders-only")
    assert len(ask(run, None).files) == 3
    question = ask(run, other)
    assert question.models == ("run", "other")
    assert len(question.files) == 5  # the same photos by another path
    assert ask(run, None, accuracy=True).asked == "accuracy"
    assert ask(other, None).asked == "accuracy"


def test_photos_that_teach_do_not_judge_and_the_other_way_round(photos, tmp_path):
    run = write_run(tmp_path / "run", photos, told_of(photos))
    files = list(told_of(photos))
    answers = [Answer(files[0], "bowl", asked="teach"), Answer(files[1], "cup", asked="accuracy")]
    assert files[0] not in ask(run, None, answers=answers).files
    assert files[1] in ask(run, None, answers=answers).files
    assert files[1] not in ask(run, None, answers=answers, teach=True).files
    (run / "target-labels.csv").write_text(f"file,label,hash\n{files[2]},cup,00\n")  # it learned from this one
    assert len(ask(run, None, answers=answers).files) == 10


def test_runs_that_cannot_be_compared_are_refused(photos, tmp_path):
    run = write_run(tmp_path / "run", photos, told_of(photos))
    elsewhere = write_run(tmp_path / "elsewhere", photos, {"x/1.jpg": "cup"})
    with pytest.raises(DataError, match="share none"):
        ask(run, elsewhere)
    others = write_run(tmp_path / "others", photos, told_of(photos), classes=("bowl", "cup"))
    with pytest.raises(DataError, match="the same classes"):
        ask(run, others)
    (run / "predictions.csv").unlink()
    with pytest.raises(RunFolderError, match="predictions"):
        ask(run, None)


def test_judging_labels_leave_out_what_cannot_judge_and_say_so(photos, tmp_path):
    run = write_run(tmp_path / "run", photos, told_of(photos))
    files = list(told_of(photos))
    labels = tmp_path / "labels.csv"
    rows = [(files[0], "bowl", "accuracy"), (files[1], "", "accuracy"), (files[2], "none of these", "accuracy")]
    rows += [(files[3], "cup", "teach")]
    labels.write_text("file,label,asked\n" + "".join(",".join(row) + "\n" for row in rows))
    judging = judging_labels(run, labels)
    assert judging.labels == {files[0]: "bowl"}
    assert judging.left_out == (
        "3 of 4 labelled photos are left out: 1 taught or shall teach, 1 cannot be told, 1 show none of these classes"
    )
    assert judging.sentence.startswith("On all 11 photos ")
    labels.write_text("file,label\nelse/where.jpg,cup\n")
    assert judging_labels(run, labels) is None  # a manifest of other photos
    labels.write_text(f"file,label\n{files[0]},\n")
    with pytest.raises(DataError, match="found none of 1: 1 cannot be told"):
        judging_labels(run, labels)
