"""The array `group` of an .npz, and what is refused of it."""

import re

import numpy as np
import pytest

from weighbridge.data.arrays import read_groups
from weighbridge.errors import DataError


@pytest.fixture
def npz(tmp_path):
    def written(**arrays):
        np.savez(tmp_path / "a.npz", **arrays)
        return tmp_path / "a.npz"

    return written


def test_groups_are_integers_or_words(npz):
    numbers, words = read_groups(npz(group=np.array([7, -1, 7])), 3)
    assert (numbers.tolist(), numbers.dtype, words) == ([1, 0, 1], np.int32, ["-1", "7"])
    numbers, words = read_groups(npz(group=np.array(["track 9", "", " track 9"])), 3)
    assert (numbers.tolist(), words) == ([1, 0, 1], ["", "track 9"])


def test_no_array_is_one_empty_word(npz):
    numbers, words = read_groups(npz(x=np.zeros(3)), 3)
    assert (numbers.tolist(), words) == ([0, 0, 0], [""])


@pytest.mark.parametrize(
    ("group", "came"),
    [
        (np.zeros(2, dtype=np.int64), "int64 of shape (2,)"),
        (np.zeros((3, 1), dtype=np.int8), "int8 of shape (3, 1)"),
        (np.zeros(3), "float64 of shape (3,)"),
    ],
)
def test_groups_that_do_not_fit(npz, group, came):
    path = npz(group=group)
    expected = f"expected group in '{path}' as integers or words of shape (3,), got {came}"
    with pytest.raises(DataError, match=f"^{re.escape(expected)}$"):
        read_groups(path, 3)


def test_groups_that_are_pickles_are_not_opened(npz):
    with pytest.raises(DataError, match=r"cannot be read as \.npz"):
        read_groups(npz(group=np.array([{}, {}, {}], dtype=object)), 3)
