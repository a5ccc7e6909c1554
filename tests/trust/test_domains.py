"""Distances between domains, trivial cues, and the domain classifier."""

import numpy as np
import pytest

from weighbridge.trust.disagreement import disagreement, mean_disagreement
from weighbridge.trust.domains import adversary_state, proxy_a_distance, trivial_cues


def test_domains_that_nobody_mistakes_are_at_two_and_equal_ones_near_none():
    random = np.random.default_rng(0)
    one, other = random.normal(size=(2, 400, 3))
    assert proxy_a_distance(one, other + 10.0) == 2.0
    assert proxy_a_distance(one, other) < 0.2
    assert proxy_a_distance(one[:4], other) is None


def test_the_distance_counts_both_domains_alike():
    # One feature, normal, one deviation apart: the best classifier errs Phi(-1/2) = 0.3085 of the time, so 0.766.
    random = np.random.default_rng(1)
    one, other = random.normal(size=(4000, 1)), random.normal(size=(500, 1)) + 1.0
    assert proxy_a_distance(one, other) == pytest.approx(0.766, abs=0.1)


def test_trivial_cues_know_no_content():
    flat = np.full((1, 3, 8, 8), 50, dtype=np.uint8)
    framed = flat.copy()
    framed[:, :, 1:-1, 1:-1] = 0  # 28 of 64 pixels are at 50
    assert trivial_cues(flat)[0] == pytest.approx([50.0, 0.0, 0.0, 0.0, 0.0, 0.0])
    brightness = 50 * 28 / 64
    deviation = np.sqrt(50**2 * 28 / 64 - brightness**2)
    # Of the middle 6 x 6 the Laplacian is 100 at 4 corners, 50 at 16 edges and 0 at 16 others, so the median is 50.
    assert trivial_cues(framed)[0] == pytest.approx([brightness, deviation, 0.0, 50.0, 0.0, 50 - brightness])
    red = flat.copy()
    red[:, 1:] = 0
    assert trivial_cues(red)[0, 2] == pytest.approx(np.std([50, 0, 0]))
    board = np.indices((1, 1, 8, 8)).sum(axis=0) % 2 * 10
    assert trivial_cues(board.astype(np.uint8))[0, 3] == pytest.approx(40.0)  # |4 x 10 - 4 x 0| and |0 - 4 x 10|


def test_the_domain_classifier_is_dead_winning_or_balanced():
    assert adversary_state([0.5, 0.52, 0.54]) == "dead"
    assert adversary_state([0.6] * 18 + [0.95, 0.93]) == "winning"
    assert adversary_state([0.95] * 18 + [0.7, 0.7]) == "balanced"
    assert adversary_state([]) is None


def test_models_disagree_on_a_share_of_the_photos():
    one, other, third = np.array([0, 1, 2, 2]), np.array([0, 1, 1, 2]), np.array([1, 1, 1, 2])
    assert disagreement(one, other) == 0.25
    assert mean_disagreement([one, other, third]) == pytest.approx((0.25 + 0.5 + 0.25) / 3)
    assert mean_disagreement([one]) is None
