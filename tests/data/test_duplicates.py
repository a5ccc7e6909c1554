"""Images that are the same, or nearly the same picture, whether they lie in files or in an array."""

import numpy as np
import pytest
from PIL import Image

from weighbridge.data.array_rows import ArrayRows
from weighbridge.data.duplicates import _candidates, near_duplicate_groups
from weighbridge.data.index import scan


def scene(seed, noise=0.0):
    """A picture of its own; noise that is too weak to see makes another of the same scene."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    pixels = np.asarray(Image.fromarray(coarse).resize((64, 64), Image.Resampling.BICUBIC), dtype=np.float64)
    return (pixels + np.random.default_rng(99).normal(0.0, noise, pixels.shape)).clip(0, 255).astype(np.uint8)


def brighter(levels):
    return (scene(1).astype(np.int64) // 2 + levels).astype(np.uint8)


def groups_in(kind, path, pictures):
    """The groups of pictures that lie in files, or in an array."""
    if kind == "npz":
        np.savez(path / "a.npz", x=np.stack(pictures))
        return near_duplicate_groups(ArrayRows(path / "a.npz"))
    for k, picture in enumerate(pictures):
        Image.fromarray(picture).save(path / f"{k:02}.png")
    return near_duplicate_groups(scan(path))


@pytest.fixture(params=["folder", "npz"])
def grouped(request, tmp_path):
    return lambda pictures: groups_in(request.param, tmp_path, pictures)


def partition(groups):
    return sorted(np.flatnonzero(groups == group).tolist() for group in np.unique(groups))


def test_exact_and_near_duplicates_are_one_group_each_in_place_order(grouped):
    groups = grouped([scene(1), scene(2), scene(1, noise=1.0), scene(3), scene(2)])
    assert groups.dtype == np.int32
    assert partition(groups) == [[0, 2], [1, 4], [3]]


def test_what_others_connect_is_one_group(grouped):
    ends = [brighter(0), brighter(6)]  # further apart than near duplicates may be
    assert partition(grouped(ends)) == [[0], [1]]
    assert partition(grouped([brighter(0), brighter(3), brighter(6)])) == [[0, 1, 2]]


def test_flat_pictures_are_grouped_by_their_bytes_alone(grouped):
    flat = [np.full((64, 64, 3), value, dtype=np.uint8) for value in (120, 121, 120)]
    assert partition(grouped(flat)) == [[0, 2], [1]]


def test_faint_pictures_are_grouped_by_their_bytes_alone(grouped):
    faint = scene(1) // 24 + 100
    assert partition(grouped([faint, faint + 1, faint])) == [[0, 2], [1]]


def test_nothing_has_no_groups(tmp_path):
    assert near_duplicate_groups(scan(tmp_path)).tolist() == []


def test_hashes_a_few_bits_apart_are_candidates_whichever_bits_they_are():
    base = 0x0123456789ABCDEF
    changed = [base ^ bits for bits in (1, 1 << 20, 1 << 40, 1 << 63, 1 | 1 << 20 | 1 << 40, 0b1111)]
    found, cut = _candidates(np.array([base, *changed], dtype=np.uint64))
    assert [other for one, other in found.T.tolist() if one == 0] == [1, 2, 3, 4, 5]
    assert cut == 0
