"""Which of several models is taken."""

import numpy as np
import pytest

from trust.made import world
from weighbridge.trust.calibration import probabilities_of
from weighbridge.trust.neighbours import nearest
from weighbridge.trust.selection import Candidate, chosen, score_of


def test_the_score_adds_up_two_informations():
    photos, ring = np.repeat(np.eye(2), 2, axis=0), np.array([[1], [0], [3], [2]])
    assert score_of(photos, ring) == pytest.approx(2 * np.log(2))
    assert score_of(photos, None) == pytest.approx(np.log(2))


def test_the_better_model_has_the_higher_score():
    made = world()
    _, rows = nearest(made.features, 10)
    models = {"before": made.before, "good": made.centred, "sunk": made.sunk(0.5)}
    scores = {name: score_of(probabilities_of(model[1]), rows) for name, model in models.items()}
    assert max(scores, key=scores.get) == "good"
    assert scores["sunk"] < scores["good"] - 1.0


def test_a_harmed_model_is_taken_only_if_all_are():
    one, other = Candidate("one", 1.0), Candidate("other", 2.0, harmed=True)
    assert chosen([one, other]).name == "one"
    assert chosen([other, Candidate("third", 3.0, harmed=True)]).name == "third"
    assert chosen([one, Candidate("equal", 1.0)]).name == "one"
