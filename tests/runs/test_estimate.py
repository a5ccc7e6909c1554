"""How long a run will take, said before it starts."""

import pytest
import torch

from conftest import small_config
from weighbridge.runs.estimate import minutes
from weighbridge.settings.catalogue import CATALOGUE

LITE0 = {"backbone": "efficientnet-lite0", "channels": 3, "image_size": 32}


@pytest.mark.parametrize("method", [name for name, entry in CATALOGUE.items() if entry.start != "source-only"])
def test_minutes_of_every_method_on_features(method):
    told = minutes(small_config(method=method, **LITE0), 100, 50, 3)
    assert told is not None
    assert told > 0


def test_more_looks_and_more_steps_take_longer():
    few = minutes(small_config(views=0, **LITE0), 1_000, 1_000, 3)
    assert minutes(small_config(views=9, **LITE0), 1_000, 1_000, 3) > few
    assert minutes(small_config(steps=100_000), 100, 50, 3) > 10 * minutes(small_config(), 100, 50, 3)


def test_nothing_of_the_process_is_changed():
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    minutes(small_config(), 100, 50, 3)
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.get_rng_state(), state)


def test_where_nothing_can_be_known_nothing_is_said(tmp_path):
    assert minutes(small_config(method="adabn"), 100, 50, 3) is None
    assert minutes(small_config(processes=2), 100, 50, 3) is None
    assert minutes(small_config(**LITE0, weights=str(tmp_path / "missing.pth")), 100, 50, 3) is None
