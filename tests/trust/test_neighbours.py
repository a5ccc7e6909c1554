"""Photos that look alike, and photos unlike all renders."""

import numpy as np
import pytest

from weighbridge.trust.neighbours import (
    Likeness,
    bulk,
    gradient_histograms,
    nearest,
    neighbour_information,
    neighbour_information_gain,
    render_distance,
    robust_position,
)


def test_the_nearest_are_found_by_direction_and_nobody_is_his_own_neighbour():
    features = np.array([[1.0, 0.0], [5.0, 0.5], [0.0, 1.0]])
    distances, rows = nearest(features, 1)
    assert rows[:, 0].tolist() == [1, 0, 1]
    assert distances[2, 0] == pytest.approx(np.sqrt(2 - 2 * 0.5 / np.sqrt(25.25)))
    _, rows = nearest(np.array([[0.0, 3.0]]), 2, features)
    assert rows.tolist() == [[2, 1]]


RING = np.array([[1], [0], [3], [2]])  # photos 0 and 1 look alike, and so do 2 and 3


def test_neighbours_that_share_a_class_tell_which_it_is():
    assert neighbour_information(np.array([0, 0, 1, 1]), RING, 2) == pytest.approx(np.log(2))
    assert neighbour_information(np.array([0, 1, 0, 1]), RING, 2) == pytest.approx(np.log(2))  # always the other one
    assert neighbour_information(np.array([0, 0, 0, 0]), RING, 2) == 0.0
    # Pairs 00, 00, 01, 10: joint 1/2, 1/4, 1/4 and 0 with shares 3/4 and 1/4.
    by_hand = 0.5 * np.log(0.5 / 0.5625) + 0.5 * np.log(0.25 / 0.1875)
    assert neighbour_information(np.array([0, 0, 0, 1]), RING, 2) == pytest.approx(by_hand)


def test_the_error_of_a_gain_is_what_other_photos_would_give():
    random = np.random.default_rng(0)
    centres = random.normal(size=(4, 8))

    def drawn(seed):
        labels = random.integers(4, size=300)
        features = centres[labels] + 0.5 * random.normal(size=(300, 8))
        before = np.where(random.random(300) < 0.7, labels, random.integers(4, size=300))
        after = np.where(random.random(300) < 0.8, labels, random.integers(4, size=300))
        return neighbour_information_gain(after, before, nearest(features, 5)[1], 4, seed)

    gains, errors = np.array([drawn(seed) for seed in range(100)]).T
    assert errors.mean() == pytest.approx(gains.std(), rel=0.35)
    assert gains.mean() > 0


def test_noise_among_many_classes_tells_nothing():
    random, found = np.random.default_rng(3), []
    features = random.normal(size=(600, 5))
    _, rows = nearest(features, 5)
    for seed in range(20):
        noise, one = random.integers(12, size=600), np.zeros(600, dtype=int)
        found.append(neighbour_information_gain(noise, one, rows, 12, seed)[0])
    naive = neighbour_information(noise, rows, 12)  # (12 - 1)^2 / (2 x 3,000) = 0.02 at least, without dependence
    assert naive > 0.015
    assert abs(np.mean(found)) < naive / 3


def test_edges_are_counted_by_direction_and_a_negative_is_alike():
    upright = np.zeros((1, 1, 32, 32), dtype=np.uint8)
    upright[..., 16:] = 200
    level = upright.transpose(0, 1, 3, 2)
    found = gradient_histograms(np.concatenate([upright, 200 - upright, level]))
    assert found.shape == (3, 128)
    assert np.linalg.norm(found, axis=1) == pytest.approx(1.0)
    assert found[0] == pytest.approx(found[1])
    cells = found[0].reshape(4, 4, 8)
    assert cells[:, 1:3, 0] == pytest.approx(np.sqrt(1 / 8))  # 8 cells on both sides of the edge share it
    assert found[0] @ found[2] == pytest.approx(0.0)


@pytest.mark.parametrize("shape", [(16, 16), (40, 50), (64, 33)])
def test_pictures_of_any_size_are_shrunk_by_area(shape):
    flat = np.full((1, 3, *shape), 7, dtype=np.uint8)
    assert not gradient_histograms(flat).any()
    across = np.broadcast_to(np.linspace(0, 255, shape[1]).astype(np.uint8), (1, 3, *shape))
    assert gradient_histograms(across).reshape(16, 8)[:, 0] == pytest.approx(0.25, abs=0.05)


def test_positions_are_those_in_the_bulk():
    middle, deviation = bulk(np.array([1.0, 2.0, 3.0, 4.0, 100.0]))
    assert (middle, deviation) == (3.0, pytest.approx(1.4826))
    assert robust_position(np.array([3.0, 3.0 + 2 * 1.4826]), (middle, deviation)) == pytest.approx([0.0, 2.0])


def test_the_distance_is_that_to_the_fifth_render():
    angles = np.deg2rad([0, 1, 2, 3, 4, 90])
    renders = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    assert render_distance(renders[:1], renders) == pytest.approx(2 * np.sin(np.deg2rad(2)), rel=1e-6)  # 4 degrees
    assert render_distance(renders)[0] == pytest.approx(np.sqrt(2))  # apart from itself the fifth is the last


def strange(random, classes, count, kinds, gap):
    """Vectors around their classes, moved by a gap, and logits of a classifier of the first `kinds` classes."""
    labels = random.integers(*classes, size=count)
    centres = 5.0 * np.eye(12)
    features = centres[labels] + 0.5 * random.normal(size=(count, 12)) + gap
    return features, features @ centres[:kinds].T


def test_photos_of_classes_without_renders_are_flagged_and_a_gap_flags_nobody():
    random, gap = np.random.default_rng(0), np.r_[np.zeros(10), 2.0, 0.0]
    renders, told = strange(random, (0, 8), 400, 8, 0.0)
    photos, said = strange(random, (0, 8), 400, 8, gap)
    others, guessed = strange(random, (8, 10), 60, 8, gap)
    mixed, logits = np.concatenate([photos, others]), np.concatenate([said, guessed])
    likeness = Likeness.of(renders, told, mixed, logits)
    flagged = likeness.score(mixed, logits) > likeness.threshold
    assert flagged[400:].mean() > 0.95
    assert flagged[:400].mean() < 0.1
    own = Likeness.of(renders, told, renders, told)
    assert 0.9 < own.threshold < 1.0
