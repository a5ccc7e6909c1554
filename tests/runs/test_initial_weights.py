"""The weights that a run starts from: noted with it, checked when it goes on, and not needed once it is finished."""

import os
import signal
from pathlib import Path

import pytest
import torch
import torchvision

from conftest import small_config
from weighbridge.engine.signals import Interrupted
from weighbridge.errors import ConfigError, RunFolderError
from weighbridge.grids.compare import compare
from weighbridge.parts.published import sha256_of
from weighbridge.runs.adapt import adapt, resume
from weighbridge.runs.finished import Run
from weighbridge.settings.config import Config
from weighbridge.watch import Quiet

NETWORK = "shufflenet_v2_x0_5"


class Stop(Quiet):
    """Ctrl-C at the first step of a stage, and what was told until then."""

    def __init__(self, wanted):
        self.wanted, self.stage, self.told = wanted, "", []

    def tell(self, sentence):
        self.told.append(sentence)

    def begin(self, stage, steps, start):
        self.stage = stage

    def advance(self, step, record):
        if self.stage == self.wanted:
            os.kill(os.getpid(), signal.SIGINT)


def config(**changes):
    short = {"pre_steps": 2, "steps": 2, "strong_augmentation": 0.0}
    return small_config(**(short | {"backbone": NETWORK, "channels": 3, "image_size": 32} | changes))


@pytest.fixture
def file(tmp_path):
    torch.save(torchvision.models.get_model(NETWORK).state_dict(), tmp_path / "weights.pth")
    return tmp_path / "weights.pth"


@pytest.mark.parametrize("stage", ["pre-classifier", "adapt"])
def test_a_run_goes_on_with_the_weights_it_started_from_and_no_others(
    stage, file, renders, photos, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    started_from, out = file.read_bytes(), tmp_path / "run"
    with pytest.raises(Interrupted):
        adapt([renders], photos, config(weights="weights.pth", training="full"), out, Stop(stage))  # no copy of its own
    monkeypatch.chdir("/")  # from where the path as it was given leads nowhere
    file.write_bytes(started_from + b"0")
    with pytest.raises(RunFolderError) as caught:
        resume(out)
    assert str(caught.value) == (
        f"the weights of the run in '{out}' have changed since it started ('{file}'), so it cannot be continued. "
        "Restore the file, or start a new run with another --out"
    )
    file.unlink()
    with pytest.raises(RunFolderError, match=r"still needs the weights it started from: .*weights.pth', which is no"):
        resume(out)
    file.write_bytes(started_from)
    folder = resume(out)
    assert folder.facts()["weights"] == {"given": "weights.pth", "absolute": str(file), "sha256": sha256_of(file)}
    assert folder.facts()["pixels"] == {
        "mean": [0.485, 0.456, 0.406],
        "deviation": [0.229, 0.224, 0.225],
        "size": 224,
        "interpolation": "bilinear",
    }
    file.unlink()
    assert resume(out).complete
    assert len(Run(out).predict(photos)) == 30


def test_weights_that_do_not_fit_are_met_before_any_image(renders, tmp_path):
    torch.save({"conv1.weight": torch.ones(1)}, tmp_path / "weights.pth")
    with pytest.raises(ConfigError, match="are not those of backbone 'shufflenet_v2_x0_5'"):
        adapt([renders], Path("nowhere"), config(weights=str(tmp_path / "weights.pth")), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_comparison_that_is_finished_needs_no_weights(file, renders, photos, tmp_path):
    same = config(weights=str(file), method=Config().method)
    rows = {"methods": ["source-only"], "seeds": range(1)}
    assert compare([renders], photos, same, tmp_path / "out", **rows)
    file.rename(tmp_path / "moved.pth")
    assert compare([renders], photos, same, tmp_path / "out", **rows)
    with pytest.raises(ConfigError, match="which is no file"):
        compare([renders], photos, same, tmp_path / "out", methods=["source-only"], seeds=range(2))


def test_a_start_from_random_numbers_is_told_for_photos(renders, photos, tmp_path):
    watch = Stop("train")
    with pytest.raises(Interrupted):
        adapt([renders], photos, config(image_size=65, method="source-only"), tmp_path / "run", watch)
    assert watch.told[-1].startswith(f"{NETWORK} starts from random numbers, a weak start for photos.")
