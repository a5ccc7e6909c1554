"""Scores of predictions without labels."""

import numpy as np
import pytest

from weighbridge.trust.scores import (
    average_confidence,
    mean_entropy,
    mutual_information,
    mutual_information_gain,
    soft_neighbourhood_density,
)

SURE = np.array([[1.0, 0.0], [0.0, 1.0]])
EVEN = np.full((2, 2), 0.5)
SUNK = np.array([[1.0, 0.0], [1.0, 0.0]])


def test_mutual_information_is_highest_for_sure_and_varied_predictions():
    assert mutual_information(SURE) == pytest.approx(np.log(2))
    assert mutual_information(EVEN) == pytest.approx(0.0)
    assert mutual_information(SUNK) == pytest.approx(0.0)


def test_entropy_and_confidence():
    assert mean_entropy(EVEN) == pytest.approx(np.log(2))
    assert mean_entropy(SUNK) == 0.0
    assert average_confidence(np.array([[0.7, 0.3], [0.1, 0.9]])) == pytest.approx(0.8)


def test_the_error_of_a_gain_is_what_other_photos_would_give():
    random = np.random.default_rng(0)

    def drawn():
        after = random.dirichlet([0.3, 0.5, 0.8], size=200)
        before = 0.5 * after + 0.5 * random.dirichlet([1.0, 1.0, 1.0], size=200)
        return mutual_information_gain(after, before)

    gains, errors = np.array([drawn() for _ in range(400)]).T
    assert errors.mean() == pytest.approx(gains.std(), rel=0.1)


def test_the_same_predictions_gain_nothing():
    predictions = np.random.default_rng(1).dirichlet([1.0, 1.0], size=20)
    assert mutual_information_gain(predictions, predictions) == (0.0, 0.0)


def test_density_is_the_entropy_of_similarities():
    # Each photo has one equal and two orthogonal others: similarities 20, 0, 0.
    predictions = np.repeat(SURE, 2, axis=0)
    p = np.array([np.exp(20.0), 1.0, 1.0]) / (np.exp(20.0) + 2.0)
    assert soft_neighbourhood_density(predictions) == pytest.approx(-(p * np.log(p)).sum(), rel=1e-6)
    assert soft_neighbourhood_density(np.repeat(SURE, 3, axis=0)) == pytest.approx(np.log(2), abs=1e-6)  # two equals


def test_blocks_of_similarities_are_one_computation():
    predictions = np.random.default_rng(2).dirichlet([1.0, 1.0, 1.0], size=1100)
    rows = predictions / np.linalg.norm(predictions, axis=1, keepdims=True)
    similar = np.exp(rows @ rows.T / 0.05)
    np.fill_diagonal(similar, 0.0)
    shares = similar / similar.sum(axis=1, keepdims=True)
    by_hand = -np.where(shares > 0, shares * np.log(np.maximum(shares, 1e-300)), 0.0).sum(axis=1).mean()
    assert soft_neighbourhood_density(predictions) == pytest.approx(by_hand)
