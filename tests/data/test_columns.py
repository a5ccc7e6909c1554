"""Numbers of images on disk look like tensors."""

import gc
from pathlib import Path

import numpy as np
import pytest
import torch

from weighbridge.data import columns
from weighbridge.data.columns import Column
from weighbridge.errors import DataError


def test_a_column_is_read_as_a_tensor_is():
    column, numbers = Column([np.arange(5), np.arange(5, 12)], np.int16), torch.arange(12, dtype=torch.int16)
    assert len(column) == 12
    rows = torch.tensor([7, 0, 7, 11])
    assert torch.equal(column[rows], numbers[rows])
    assert column[rows].dtype == torch.int16
    assert int(column[3]) == 3
    assert torch.equal(column[:], numbers)
    assert torch.equal(column[2:9:3], numbers[2:9:3])
    assert [int(number) for number in column] == list(range(12))
    assert column.whole().tolist() == list(range(12))
    assert column.of(Column([np.array([4, 2])], np.int32))[:].tolist() == [4, 2]
    assert len(column[torch.empty(0, dtype=torch.int64)]) == 0


def test_a_column_is_written_as_a_tensor_is_and_a_view_of_the_whole_does_not_write_it():
    column = Column.filled(200_000, 1.5, np.float32)
    column[1:3] = torch.tensor([7.0, 8.0], dtype=torch.float64)
    column[199_999:300_000] = torch.tensor([9.0])
    assert len(column) == 200_000
    assert column[torch.tensor([0, 1, 2, 3, 199_999])].tolist() == [1.5, 7.0, 8.0, 1.5, 9.0]
    column.whole()[3] = 4.0
    assert float(column[3]) == 1.5
    with pytest.raises(ValueError, match="expected 3 numbers for rows 4 to 6, got 2"):
        column[4:7] = torch.zeros(2)


@pytest.mark.parametrize("row", [-1, 3])
def test_a_row_that_is_not_there_is_refused(row):
    column = Column([np.arange(3)], np.int32)
    with pytest.raises(IndexError) as caught:
        column[torch.tensor([0, row])]
    assert str(caught.value) == f"expected rows from 0 to 2, got {min(0, row)} to {max(0, row)}"


def test_a_mask_is_not_taken_for_row_numbers():
    with pytest.raises(IndexError, match="expected row numbers, got a mask"):
        Column([np.arange(3)], np.int32)[torch.tensor([True, False, True])]


def test_the_error_of_what_is_kept_is_not_told_of_the_cache_folder():
    def parts():
        yield np.arange(3)
        raise OSError("the photo cannot be read")

    with pytest.raises(OSError, match="the photo cannot be read"):
        Column(parts(), np.int32)


def test_an_empty_column():
    column = Column([np.empty(0)], np.int32)
    assert (len(column), column.whole().tolist(), column[:].tolist()) == (0, [], [])


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="counts open files")
def test_a_column_leaves_no_file_and_no_handle():
    before = set(columns.cache_home().iterdir())
    gc.collect()
    handles = len(list(Path("/proc/self/fd").iterdir()))
    column = Column([np.arange(10)], np.int32)
    assert set(columns.cache_home().iterdir()) == before
    del column
    assert len(list(Path("/proc/self/fd").iterdir())) == handles


def test_a_column_in_a_circle_closes_its_file_first():
    circle = [Column([np.arange(10)], np.int32)]
    circle.append(circle)
    file, later = circle[0]._file, [circle]
    del circle
    gc.collect()  # puts what only `later` reaches behind the file
    del file, later
    gc.collect()  # warns of a file that is left to the collector


def test_a_cache_folder_without_room_is_one_sentence(tmp_path, monkeypatch):
    (tmp_path / "a-file").write_text("")
    home = tmp_path / "a-file" / "cache"
    monkeypatch.setenv("WEIGHBRIDGE_CACHE", str(home))
    with pytest.raises(DataError) as caught:
        Column([np.arange(3)], np.int32)
    assert str(caught.value).startswith(f"cannot write temporary per-image data to '{home}'")
    assert str(caught.value).endswith("Set WEIGHBRIDGE_CACHE to another folder")
