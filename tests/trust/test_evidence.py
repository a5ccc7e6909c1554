"""Every alarm can be provoked, and is silent where nothing is wrong."""

import numpy as np
import pytest

from trust.made import world
from weighbridge.trust.calibration import probabilities_of
from weighbridge.trust.evidence import (
    Answers,
    changed_photos,
    confidence_gap,
    distance_between_domains,
    domain_classifier,
    forgotten_renders,
    information,
    neighbourhood,
    neighbourhood_density,
    seeds_differ,
    sink_classes,
    unlike_photos,
    vanished_classes,
    views_differ,
)
from weighbridge.trust.neighbours import nearest
from weighbridge.trust.shares import Expected

CLASSES = ["cup", "lamp", "vase", "saw"]
EVEN = Expected(np.full(4, 0.25), np.full(4, 0.02))


def told(rows, *, sure=0.97, held_out=None):
    """Answers of a model that tells photos, and the held-out renders, as these classes."""
    off = (1.0 - sure) / 3
    of = [np.where(np.eye(4)[np.asarray(each)] > 0, sure, off) for each in (held_out or [0, 1, 2, 3], rows)]
    return Answers(*of)


ALL = np.arange(200) % 4


def test_a_sink_class_is_an_alarm_against_the_adapted_model():
    sunk = np.where(np.arange(200) % 8 < 4, 1, ALL)
    found = sink_classes(told(sunk), EVEN, CLASSES)
    assert (found.alarm, found.favours, found.value) == (True, "renders-only", 0.625)
    assert found.sentence == "62 % of the photos are taken for 'lamp', where 25 % are expected."
    quiet = sink_classes(told(ALL), EVEN, CLASSES)
    assert (quiet.alarm, quiet.favours) == (False, None)
    assert quiet.value <= quiet.expected[1]


def test_vanished_classes_are_named_and_grave_above_a_tenth_of_the_photos():
    found = vanished_classes(told(np.where(ALL == 2, 3, ALL)), EVEN, CLASSES)
    assert (found.alarm, found.favours, found.value) == (True, "renders-only", 0.25)
    assert found.sentence == "Next to no photo is taken for 'vase', where 25 % of the photos are expected."
    rare = Expected(np.array([0.4, 0.3, 0.05, 0.25]), np.full(4, 0.005))
    small = vanished_classes(told(np.where(ALL == 2, 3, ALL)), rare, CLASSES)
    assert (small.alarm, small.value) == (False, 0.05)
    assert "'vase'" in small.sentence
    assert not vanished_classes(told(ALL), EVEN, CLASSES).value


def test_more_changed_photos_than_can_have_been_wrong_are_an_alarm():
    after = np.where(np.arange(200) < 80, (ALL + 1) % 4, ALL)
    found = changed_photos(told(ALL), told(after), 0.1, CLASSES)
    assert (found.alarm, found.value) == (True, 0.4)
    assert found.sentence == "Adapting changed the class of 40 % of the photos, 20 of them from 'cup' to 'lamp'."
    assert not changed_photos(told(ALL), told(after), 0.38, CLASSES).alarm
    assert changed_photos(told(ALL), told(ALL), 0.1, CLASSES).sentence.endswith("0 % of the photos.")


def test_being_surer_of_photos_than_of_renders_is_an_alarm():
    held_out, photos = np.array([[0.7, 0.3], [0.6, 0.4]] * 50), np.array([[0.99, 0.01], [0.95, 0.05]] * 50)
    found = confidence_gap(Answers(held_out, photos))
    assert (found.alarm, found.value) == (True, pytest.approx(0.32))
    assert found.sentence == "The model is surer of photos than of renders it has not seen (+32 points)."
    assert not confidence_gap(Answers(photos, held_out)).alarm


def test_forgetting_renders_is_an_alarm_if_it_is_clear_and_more_than_two_points():
    labels = list(ALL)
    good = told(ALL, held_out=labels)

    def forgot(count):
        return forgotten_renders(good, told(ALL, held_out=[(k + 1) % 4 for k in labels[:count]] + labels[count:]), ALL)

    assert (forgot(20).alarm, forgot(20).favours, forgot(20).value) == (True, "renders-only", pytest.approx(-0.1))
    assert not forgot(3).alarm  # 1.5 points
    few = [0] * 20
    unclear = forgotten_renders(told([0], held_out=few), told([0], held_out=[1, *few[1:]]), np.zeros(20, int))
    assert not unclear.alarm  # 5 points, and no more than two standard errors
    assert forgot(20).sentence == "Adapting cost 10.0 points on held-out renders."


def test_information_speaks_for_the_model_that_is_surer_and_more_varied():
    wavering, sure = told(ALL, sure=0.5), told(ALL)
    assert information(wavering, sure).favours == "adapted"
    worse = information(sure, wavering)
    assert (worse.favours, worse.alarm) == ("renders-only", True)
    assert information(sure, sure).favours is None


def test_neighbours_speak_for_the_model_that_tells_them_alike():
    made = world()
    _, rows = nearest(made.features, 10)
    before, after = (Answers(*map(probabilities_of, model)) for model in (made.before, made.sunk(0.4)))
    good = Answers(*map(probabilities_of, made.centred))
    assert neighbourhood(before, good, rows).favours == "adapted"
    worse = neighbourhood(good, after, rows)
    assert (worse.favours, worse.alarm) == ("renders-only", True)
    assert neighbourhood(good, good, rows).favours is None


def test_density_is_shown_and_favours_nobody_as_a_collapse_is_dense():
    wavering, sunk = told(ALL, sure=0.4), told(np.zeros(200, int))
    found = neighbourhood_density(wavering, sunk, np.arange(200))
    assert found.value > 0
    assert (found.favours, found.alarm) == (None, False)


def test_seeds_that_differ_more_than_confidence_allows_are_an_alarm():
    other = np.where(np.arange(200) < 60, (ALL + 1) % 4, ALL)
    found = seeds_differ([ALL, other], accuracy=0.9)
    assert (found.alarm, found.value) == (True, 0.3)
    assert not seeds_differ([ALL, other], accuracy=0.7).alarm
    assert seeds_differ([ALL], accuracy=0.7) is None


def test_views_that_differ_more_than_confidence_allows_are_an_alarm():
    augmented = np.where(np.arange(200) < 60, (ALL + 1) % 4, ALL)
    found = views_differ(ALL, augmented, accuracy=0.9)
    assert (found.alarm, found.value, found.favours) == (True, 0.3, None)
    assert found.sentence == "30 % of the photos are taken for another class once they are augmented as in training."
    assert not views_differ(ALL, ALL, accuracy=1.0).alarm


def test_domains_that_are_told_apart_nine_times_in_ten_are_an_alarm():
    found = distance_between_domains("trivial cues", 1.8, "brightness alone")
    assert found.alarm
    assert found.sentence == "Renders and photos are told apart 95 % of the time by brightness alone (50 % is chance)."
    assert not distance_between_domains("trivial cues", 1.5, "brightness alone").alarm


@pytest.mark.parametrize(
    ("accuracies", "alarm", "word"),
    [
        ([0.5] * 20, True, "never learned"),
        ([0.6, *[0.97] * 10], True, "won, so domains are not aligned"),
        ([0.9, *[0.7] * 10], False, "was held in balance"),
    ],
)
def test_a_dead_or_winning_domain_classifier_is_an_alarm(accuracies, alarm, word):
    found = domain_classifier(accuracies)
    assert (found.alarm, found.favours) == (alarm, None)
    assert word in found.sentence


def test_methods_without_a_domain_classifier_have_no_such_evidence():
    assert domain_classifier([]) is None


def test_more_strange_photos_than_renders_are_an_alarm():
    # Of 200 renders at 5 %, more than 18 are met less than once in 100 times.
    scores = np.where(np.arange(200) < 30, 0.99, 0.5)
    found = unlike_photos(scores, 0.95)
    assert (found.alarm, found.value) == (True, 0.15)
    assert found.expected[1] == pytest.approx(18 / 200)
    assert not unlike_photos(np.where(np.arange(200) < 17, 0.99, 0.5), 0.95).alarm


def test_facts_are_numbers_words_and_lists():
    facts = sink_classes(told(ALL), EVEN, CLASSES).facts()
    assert set(facts) == {"name", "value", "expected", "alarm", "favours", "sentence", "source"}
    assert isinstance(facts["expected"], list)
    assert isinstance(facts["alarm"], bool)
