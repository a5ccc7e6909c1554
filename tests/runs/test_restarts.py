"""Runs from several random starts: which is kept, and what goes on after a stop."""

import csv
import itertools

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from conftest import small_config
from weighbridge.engine import loop
from weighbridge.errors import DivergenceError
from weighbridge.grids.compare import compare
from weighbridge.run_folder import RunFolder
from weighbridge.runs import tuned
from weighbridge.runs.adapt import adapt, resume
from weighbridge.runs.finished import Run
from weighbridge.runs.restarts import best_of, seed_of
from weighbridge.settings.build_data import caution
from weighbridge.settings.catalogue import DEFAULT_METHOD
from weighbridge.watch import Quiet

LITE0 = {"backbone": "efficientnet-lite0", "channels": 3, "image_size": 32, "views": 1, "restarts": 3}


def config_of(**changes):
    return small_config(**(LITE0 | changes))


def outcome(score, held_out):
    return {"target": {"mutual_information": score}, "source_held_out": held_out and {"accuracy": held_out}}


def rows_of(path, column):
    with path.open(newline="") as lines:
        return [row[column] for row in csv.DictReader(lines)]


def same(a, b):
    first, second = load_file(a), load_file(b)
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize(
    ("outcomes", "best"),
    [
        ({0: outcome(1.0, 0.9), 1: outcome(1.2, 0.9)}, 1),
        ({0: outcome(1.0, 0.95), 1: outcome(1.2, 0.92)}, 0),  # 3 points of what it had learned are lost
        ({0: outcome(1.0, 0.93), 1: outcome(1.2, 0.92)}, 1),
        ({0: outcome(1.0, None), 1: outcome(1.0, None)}, 0),  # a tie: the first, which is the run's own seed
        ({2: outcome(0.1, None)}, 2),
    ],
)
def test_the_surest_on_photos_is_kept_if_it_still_knows_the_renders(outcomes, best):
    assert best_of(outcomes) == best


def test_a_run_is_the_best_of_its_restarts(renders, photos, labelled_photos, tmp_path):
    folder = adapt([renders], photos, config_of(), tmp_path / "run")
    parts = [RunFolder(folder.path / f"restart-{k}") for k in range(3)]
    told = folder.metrics()["restarts"]
    scores = [part.metrics()["target"]["mutual_information"] for part in parts]
    assert [tried["mutual_information"] for tried in told["tried"]] == scores
    assert [tried["seed"] for tried in told["tried"]] == [0, 1000, 2000]
    assert len(set(scores)) == 3
    best = parts[told["chosen"]]
    assert same(folder.model, best.model)
    assert (folder.path / "weights.csv").read_bytes() == (best.path / "weights.csv").read_bytes()
    labels, of_best = (rows_of(each.path / "predictions.csv", "label") for each in (folder, best))
    assert labels == of_best
    (differ,) = (piece for piece in folder.metrics()["trust"]["evidence"] if piece["name"] == "seeds differ")
    pairs = [rows_of(part.path / "predictions.csv", "label") for part in parts]
    shares = [np.mean(np.array(one) != np.array(other)) for one, other in itertools.combinations(pairs, 2)]
    assert differ["value"] == pytest.approx(np.mean(shares))
    assert folder.records() == best.records()
    assert folder.metrics()["seconds"] == pytest.approx(sum(part.metrics()["seconds"] for part in parts), abs=0.05)
    assert Run(folder.path).evaluate(labelled_photos).images == 24


def test_the_first_restart_is_the_run_without_restarts(renders, photos, tmp_path):
    several = adapt([renders], photos, config_of(restarts=2), tmp_path / "several")
    one = adapt([renders], photos, config_of(restarts=1), tmp_path / "one")
    assert same(several.path / "restart-0" / "model.safetensors", one.model)
    other = adapt([renders], photos, seed_of(config_of(), 1), tmp_path / "other")
    assert same(several.path / "restart-1" / "model.safetensors", other.model)


class StopsAt(Quiet):
    """Somebody who looks on and stops one of the trainings."""

    def __init__(self, stage, step):
        self.where, self.stage, self.step = "", stage, step

    def begin(self, stage, steps, start):
        self.where = stage

    def advance(self, step, record):
        if (self.where, step) == (self.stage, self.step):
            raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("method", "stage"),
    [("weighted-dann", "adapt 2 of 3"), ("weighted-dann", "pre-classifier 3 of 3"), ("dann", "adapt 3 of 3")],
)
def test_a_stopped_run_goes_on_to_the_same_model(renders, photos, tmp_path, method, stage):
    config = config_of(method=method, checkpoint_every=4)
    whole = adapt([renders], photos, config, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        adapt([renders], photos, config, tmp_path / "parts", watch=StopsAt(stage, 6))
    assert not RunFolder(tmp_path / "parts").complete
    resumed = resume(tmp_path / "parts")
    assert same(whole.model, resumed.model)
    assert whole.metrics()["restarts"] == resumed.metrics()["restarts"]


def diverging(monkeypatch, *seeds):
    """Training with these seeds diverges, as it does at too high a rate for their random numbers."""
    fit = loop.fit

    def fitted(method, pairs, **how):
        if how["stage"] == "adapt" and pairs._seed in seeds:
            with torch.no_grad():
                next(method.network.parameters()).fill_(float("nan"))
        return fit(method, pairs, **how)

    monkeypatch.setattr("weighbridge.runs.stage.fit", fitted)


def test_a_restart_that_diverges_is_passed_over(renders, photos, tmp_path, monkeypatch):
    diverging(monkeypatch, 0, 2000)
    folder = adapt([renders], photos, config_of(), tmp_path / "run")
    told = folder.metrics()["restarts"]
    assert told["chosen"] == 1
    assert told["tried"][0] == {"seed": 0, "diverged": True}


def test_if_all_diverge_so_does_the_run(renders, photos, tmp_path, monkeypatch):
    diverging(monkeypatch, 0, 1000, 2000)
    with pytest.raises(DivergenceError):
        adapt([renders], photos, config_of(), tmp_path / "run")


def test_methods_of_a_comparison_share_the_pre_classifiers_of_restarts(renders, photos, labelled_photos, tmp_path):
    out = tmp_path / "compared"
    methods = ["source-only", "weighted-dann", "adda"]
    config = config_of(method=DEFAULT_METHOD, restarts=2)
    compare([renders], photos, config, out, methods=methods, seeds=range(1), evaluation=labelled_photos)
    assert (out / "seed-0" / "pre-classifier" / "restart-1" / "model.safetensors").is_file()
    assert not list((out / "seed-0" / "weighted-dann").rglob("pre-classifier"))
    assert (out / "seed-0" / "adda" / "restart-1" / "model.safetensors").is_file()
    assert not (out / "seed-0" / "source-only" / "restart-0").exists()


def test_who_restarts():
    assert config_of().may_restart
    assert config_of(training="fine-tune").may_restart
    assert not config_of(method="source-only").may_restart  # no photo judges it
    assert not small_config(restarts=3).may_restart
    assert caution(config_of()) == caution(config_of(restarts=1))


def test_fine_tuning_goes_on_with_the_pre_classifier_of_the_restart_that_was_kept(
    renders, photos, tmp_path, monkeypatch
):
    homes = []
    monkeypatch.setattr("weighbridge.runs.restarts.best_of", lambda metrics: 1)
    real = tuned.renders_only
    monkeypatch.setattr(tuned, "renders_only", lambda *where: homes.append(where[-1].path.name) or real(*where))
    adapt([renders], photos, config_of(training="fine-tune", restarts=2, tune_steps=1), tmp_path / "run")
    assert homes == ["restart-1"]
