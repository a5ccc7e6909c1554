"""An order that is computed shows every image once, and looks like one that was shuffled."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from weighbridge.data.order import walked


@given(st.integers(1, 300), st.integers(0, 10**12), st.integers(0, 2**64 - 1))
def test_an_epoch_shows_everything_once(count, epoch, key):
    order = walked(np.arange(count) + epoch * count, count, np.uint64(key))
    assert sorted(order.tolist()) == list(range(count))


@pytest.mark.parametrize("count", [9, 100])
def test_a_sum_that_leaves_64_bits_does_not_show_one_thing_twice(count):
    key = np.uint64(0xB0EAB113049B14E2)  # makes the first round add 2^64 - 1 to some rows
    assert sorted(walked(np.arange(count), count, key).tolist()) == list(range(count))


def test_a_million_come_once_each():
    assert np.array_equal(np.sort(walked(np.arange(10**6), 10**6, 1)), np.arange(10**6))


def test_a_position_does_not_know_its_neighbours():
    together = walked(np.arange(1000), 300, 7)
    assert [int(walked(np.array([k]), 300, 7)[0]) for k in range(1000)] == together.tolist()


def test_walks_of_several_lengths_may_be_asked_for_at_once():
    position, count, key = np.arange(40), np.tile([3, 1, 10, 700], 10), np.tile([1, 2, 3, 4], 10)
    alone = [int(walked(position[k : k + 1], count[k], key[k])[0]) for k in range(40)]
    assert walked(position, count, key).tolist() == alone


def test_epochs_and_keys_have_orders_of_their_own():
    first, second = walked(np.arange(200), 100, 0).reshape(2, 100)
    other = walked(np.arange(100), 100, 1)
    for a, b in ((first, second), (first, other), (second, other)):
        assert (a == b).sum() < 10  # one is expected


def chi_square(counts):
    """How far counts are from even, in standard deviations of what chance would do; counts of one sum, (..., n)."""
    expected = counts.mean(axis=-1, keepdims=True)
    free = counts.size - counts.size // counts.shape[-1]
    return (((counts - expected) ** 2 / expected).sum() - free) / np.sqrt(2 * free)


@pytest.mark.parametrize("count", [2, 3, 4, 5])
def test_every_order_of_a_few_things_is_as_frequent_as_any_other(count):
    orders = walked(np.arange(count * 20_000), count, 5).reshape(-1, count)
    number = {order: k for k, order in enumerate(permutations(range(count)))}
    assert chi_square(np.bincount([number[tuple(order)] for order in orders.tolist()], minlength=len(number))) < 4


@pytest.mark.parametrize("count", [7, 16, 100])
def test_neighbours_and_places_are_by_chance(count):
    orders = walked(np.arange(count * 5000), count, 5).reshape(-1, count)
    places = np.stack([np.bincount(orders[:, k], minlength=count) for k in range(count)])
    steps = np.bincount(((orders[:, 1:] - orders[:, :-1]) % count).ravel(), minlength=count)[1:]
    assert abs(chi_square(places)) < 4
    assert abs(chi_square(steps)) < 4
