"""Held-out images are chosen class by class, in whole groups, by the seed alone."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from weighbridge.data.splits import held_out_rows


def alone(labels):
    return np.arange(len(labels))


def test_a_quarter_of_every_class_is_held_out():
    labels = np.repeat([0, 1, 2], [8, 12, 20])
    held = held_out_rows(labels, alone(labels), 0.25, seed=0)
    assert np.bincount(labels[held]).tolist() == [2, 3, 5]


def test_the_seed_decides():
    labels = np.repeat([0, 1], 50)
    first, again, other = (held_out_rows(labels, alone(labels), 0.2, seed) for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_groups_are_never_torn_apart():
    random = np.random.default_rng(0)
    labels = np.repeat(np.arange(4), 50)
    groups = labels * 100 + random.integers(0, 12, 200)
    held = held_out_rows(labels, groups, 0.2, seed=0)
    assert not set(groups[held]) & set(groups[~held])
    assert 0.1 < held.mean() < 0.3
    assert set(labels[held]) == {0, 1, 2, 3}


def test_a_class_of_one_group_stays_in_training():
    labels = np.array([0] * 10 + [1] * 10)
    groups = np.array([0] * 10 + list(range(1, 11)))
    held = held_out_rows(labels, groups, 0.3, seed=0)
    assert not held[:10].any()
    assert held[10:].any()


@pytest.mark.parametrize(("labels", "groups"), [([], []), ([0, 1, 2], [0, 1, 2]), ([0, 0, 0], [5, 5, 5])])
def test_nothing_is_held_out_where_nothing_can_be_spared(labels, groups):
    held = held_out_rows(np.array(labels, dtype=np.int64), np.array(groups, dtype=np.int64), 0.3, seed=0)
    assert not held.any()


@settings(max_examples=150, deadline=None)
@given(
    pairs=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 9)), min_size=1, max_size=60),
    share=st.floats(0.0, 0.9),
    seed=st.integers(0, 5),
)
def test_no_group_is_on_both_sides_and_no_class_leaves_training(pairs, share, seed):
    labels, groups = np.array(pairs).T
    held = held_out_rows(labels, groups, share, seed)
    assert not set(groups[held]) & set(groups[~held])
    assert set(labels[~held]) == set(labels)
