"""What is faster is told from times taken in turn, once that is sure."""

import itertools
import math
import random

import pytest

from weighbridge.engine.measure import above, in_turn, threads_of

CLEAR, REVERSED = [(2.0, 1.0)] * 30, [(1.0, 2.0)] * 30


def test_a_clear_ratio_is_sure_after_eleven_pairs():
    # All n votes alike are 2^n / (n + 1) times likelier than of a coin: 93 for n = 10, 171 for n = 11.
    assert above(CLEAR[:10], 1.3) is None
    assert above(CLEAR[:11], 1.3) is True
    assert above(REVERSED[:10], 1.3) is None
    assert above(REVERSED[:11], 1.3) is False
    assert above([], 1.3) is None
    assert above([(1.0, 1.0)] * 11, 1.3) is False


def test_the_ratio_is_what_is_asked_about():
    pairs = [(1.5, 1.0)] * 11
    assert above(pairs, 1.4) is True
    assert above(pairs, 1.6) is False


def test_a_few_disturbed_pairs_do_not_turn_it():
    disturbed = [(2.0, 90.0), (70.0, 1.0), (2.0, 300.0)]
    assert above(CLEAR[:18] + disturbed, 1.3) is True
    assert above(REVERSED[:18] + disturbed[1:2] * 2, 1.3) is False


def test_where_the_ratio_is_met_it_is_hardly_ever_sure():
    draws = random.Random(0)
    sure = 0
    for _ in range(200):
        pairs = []
        while len(pairs) < 100 and above(pairs, 1.3) is None:  # a look after every pair
            pairs.append((1.3 * draws.lognormvariate(0, 1), draws.lognormvariate(0, 1)))
        sure += above(pairs, 1.3) is not None
    assert sure <= 4  # one in a hundred at most, and as many again for chance


def test_thousands_of_pairs_are_no_number_too_large():
    assert above(CLEAR * 100, 1.3) is True
    assert above((CLEAR + REVERSED) * 50, 1.3) is None


@pytest.mark.parametrize(
    ("pairs", "chosen"),
    [
        (CLEAR, 8),
        (REVERSED, 1),
        ([(1.0, 40.0)], 1),  # time was up after one pair
        ([(40.0, 1.0)], 8),
        ([(1.0, 1.0), (1.1, 1.0), (1.0, 1.1)], 8),  # a tie
        ([(0.95, 1.0), (1.1, 1.1)], 8),  # not a tenth less
        ([(1.0, 2.0), (1.1, 0.9), (1.0, 1.5)], 1),
        ([(1.2, 1.0)] * 4 + [(1.2, 30.0)], 1),  # mostly slower alone, but not in all
    ],
)
def test_the_faster_number_of_threads_is_taken_and_of_equal_ones_the_larger(pairs, chosen):
    assert threads_of(pairs, 8) == chosen


def test_two_ways_are_timed_in_turn_until_there_is_enough():
    done, time = [], itertools.accumulate(itertools.count(1))  # 1 3 6 10 15 ...
    pairs = in_turn(
        lambda: done.append("a"),
        lambda: done.append("b"),
        enough=lambda pairs: len(pairs) == 3,
        seconds=math.inf,
        clock=lambda: next(time),
    )
    assert "".join(done) == "abbaabba"
    # 1 sets the end, 3 6 10 15 time the first pair, which pays for set-up and is left out, and 21 looks at the time.
    assert pairs == [(55 - 45, 36 - 28), (91 - 78, 120 - 105), (210 - 190, 171 - 153)]


def test_when_time_is_up_one_pair_has_been_timed():
    done = []
    pairs = in_turn(lambda: done.append("a"), lambda: done.append("b"), enough=lambda pairs: False, seconds=0.0)
    assert done == ["a", "b"]
    assert len(pairs) == 1
