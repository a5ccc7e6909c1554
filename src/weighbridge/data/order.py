"""In which order images come: shuffled anew for every epoch, computed position by position, so that nothing is kept."""

__all__ = ["walked"]

from typing import Any

import numpy as np
from numpy.typing import NDArray

_ROUNDS = 16  # of five and more things, 10 rounds give some orders measurably more often than others
_STEP = np.uint64(0x9E3779B97F4A7C15)


def walked(position: NDArray[np.integer[Any]], count: Any, key: Any) -> NDArray[np.int64]:
    """What comes at each position of an endless walk through `count` things, every one once before any comes again.

    Each epoch is a permutation of its own: a Feistel network over a x b >= count numbers with additions modulo a and b,
    repeated for what falls beyond `count` (Black and Rogaway, "Ciphers with arbitrary finite domains", CT-RSA 2002,
    sections 4 and 5); its round function is that of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014).

    Args:
        position: (n,), from 0.
        count: of things, >= 1; one number or, for walks of several lengths, (n,).
        key: chooses the walk, 64 bits; one number or (n,).

    Returns:
        (n,) in [0, count).
    """
    places, counts, keys = (numbers.astype(np.uint64) for numbers in np.broadcast_arrays(position, count, key))
    epoch, value = np.divmod(places, counts)
    salt = _mixed(epoch + _mixed(keys + _STEP))
    rows = np.ceil(np.sqrt(counts)).astype(np.uint64)  # a
    columns = (counts + rows - np.uint64(1)) // rows  # b
    value = _permuted(value, rows, columns, salt)
    while (outside := value >= counts).any():
        value[outside] = _permuted(value[outside], rows[outside], columns[outside], salt[outside])
    return value.astype(np.int64)


def _permuted(
    value: NDArray[np.uint64], rows: NDArray[np.uint64], columns: NDArray[np.uint64], salt: NDArray[np.uint64]
) -> NDArray[np.uint64]:
    """Each of a x b numbers becomes another one."""
    row, column = np.divmod(value, columns)
    for number in range(_ROUNDS):
        salt = salt + _STEP
        if number % 2 == 0:
            row = (row + _mixed(salt ^ column) % rows) % rows
        else:
            column = (column + _mixed(salt ^ row) % columns) % columns
    return row * columns + column


def _mixed(bits: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """64 other bits, each depending on all of these."""
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))
