"""Runs on features that are fine-tuned as a whole network afterwards."""

import csv
import json
import os
import signal

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from conftest import small_config
from weighbridge.data.columns import Column
from weighbridge.engine.checkpoint import load_network
from weighbridge.engine.evaluate import Evaluation, Predictions, TargetSummary, prepared_batches, stored_likelihood
from weighbridge.engine.outputs import Outputs
from weighbridge.engine.signals import Interrupted
from weighbridge.errors import ConfigError
from weighbridge.grids.compare import compare
from weighbridge.grids.grid import grid_of
from weighbridge.grids.jobs import check_settings
from weighbridge.parts.networks import stages
from weighbridge.parts.weights import WEIGHTINGS
from weighbridge.run_folder import RunFolder
from weighbridge.runs.adapt import adapt, resume
from weighbridge.runs.finished import Run
from weighbridge.runs.frozen import whole_network
from weighbridge.runs.stage import Outcome
from weighbridge.runs.tuned import Check
from weighbridge.settings import build_data, build_method
from weighbridge.settings.catalogue import CATALOGUE, DEFAULT_METHOD, METHODS
from weighbridge.settings.config import Config, read_run
from weighbridge.settings.tuning import tuning_of
from weighbridge.watch import Quiet

LITE0 = {"backbone": "efficientnet-lite0", "channels": 3, "image_size": 32, "views": 1}
SHORT = {"training": "fine-tune", "pre_steps": 4, "steps": 4, "tune_steps": 3, "checkpoint_every": 100}


def config_of(**changes):
    return small_config(**(LITE0 | SHORT | changes))


class Looks(Quiet):
    """What was told, and Ctrl-C at one step of a stage in one of the folders."""

    def __init__(self, stage="", step=0):
        self.wanted, self.told, self.stage = (stage, step), [], ""

    def tell(self, sentence):
        self.told.append(sentence)

    def begin(self, stage, steps, start):
        self.stage = stage

    def advance(self, step, record):
        if (self.stage, step) == self.wanted:
            os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_is_fine_tuned(renders, photos, labelled_photos, tmp_path, method):
    folder = adapt([renders], photos, config_of(method=method), tmp_path / "run")
    facts, metrics = folder.facts(), folder.metrics()
    assert facts["training"] == "fine-tune"
    reads = CATALOGUE[method].reads
    tuned = RunFolder(folder.path / "pre-classifier") if reads else folder
    assert {record["stage"] for record in tuned.records()} == {"fine-tune"}
    first_stage = RunFolder(tuned.path / "features")
    assert first_stage.facts()["training"] == "features"
    assert first_stage.complete
    assert ("fine_tuning" in metrics) == (not reads)
    assert not folder.backbone.exists()
    kept, published = load_file(folder.model), load_file(first_stage.backbone)
    moments = {name for name in published if name.endswith(("running_mean", "running_var"))}
    assert moments
    assert all(torch.equal(kept[f"features.0.{name}"], published[name]) for name in moments)
    run = Run(folder.path)
    assert run.evaluate(labelled_photos).images == 24
    with (folder.path / "predictions.csv").open() as rows:
        told = {row["file"]: float(row["probability"]) for row in csv.DictReader(rows)}
    for prediction in run.predict(photos):  # from pixels
        assert prediction.probability == pytest.approx(told[prediction.file], abs=5e-3)


def test_all_layers_learn_behind_what_the_run_on_features_found(renders, photos, tmp_path):
    folder = adapt([renders], photos, config_of(method="dann", tune_rate=1e-3), tmp_path / "run")
    trained = load_file(folder.checkpoint)  # whether or not it was kept
    tuned = {name.removeprefix("module/network/"): value for name, value in trained.items()}
    first_stage = RunFolder(folder.path / "features")
    backbone, head = load_file(first_stage.backbone), load_file(first_stage.model)
    trunk = {name for name in backbone if name.endswith("weight")}
    assert all(not torch.equal(tuned[f"features.0.{name}"], backbone[name]) for name in trunk)
    for name, before in head.items():
        now = tuned[name.replace("features.", "features.1.")]
        assert torch.allclose(now, before, atol=0.01), name  # it started there
        assert torch.equal(now, before) == name.startswith("features.0."), name  # mean and deviation are no weights


@pytest.mark.parametrize("where", [("adapt", 2), ("fine-tune", 2)])
def test_an_interrupted_run_goes_on_to_the_same_model_and_tables(renders, photos, tmp_path, where):
    config = config_of(tune_rate=1e-3)
    whole = adapt([renders], photos, config, tmp_path / "whole")
    with pytest.raises(Interrupted):
        adapt([renders], photos, config, tmp_path / "parts", Looks(*where))
    assert (tmp_path / "parts" / "features" / "metrics.json").exists() == (where[0] == "fine-tune")
    resumed = resume(tmp_path / "parts")
    assert whole.model.read_bytes() == resumed.model.read_bytes()
    for name in ("predictions.csv", "weights.csv"):
        assert (whole.path / name).read_text() == (resumed.path / name).read_text()


@pytest.mark.parametrize(("rate", "told"), [(0.05, "fine-tuning did not gain"), (1e20, "fine-tuning diverged")])
def test_what_harms_is_not_kept(renders, photos, tmp_path, rate, told):
    looks = Looks()
    config = config_of(method="source-only", pre_steps=0, steps=60, tune_rate=rate)
    folder = adapt([renders], photos, config, tmp_path / "run", looks)
    assert any(sentence.startswith(told) for sentence in looks.told)
    first_stage, metrics = RunFolder(folder.path / "features"), folder.metrics()
    assert metrics["fine_tuning"]["gained"] is False
    assert metrics["fine_tuning"]["sentence"] == looks.told[-1]
    assert metrics["target"] == first_stage.metrics()["target"]
    assert (folder.path / "predictions.csv").read_text() == (first_stage.path / "predictions.csv").read_text()
    mean = "running-mean"
    files = (folder.model, first_stage.model), (folder.by_product(mean), first_stage.by_product(mean))
    for file, of in files:
        kept, head, backbone = load_file(file), load_file(of), load_file(first_stage.backbone)
        whole = {f"features.0.{name}": value for name, value in backbone.items()}
        whole |= {name.replace("features.", "features.1."): value for name, value in head.items()}
        assert kept.keys() == whole.keys()
        assert all(torch.equal(kept[name], whole[name]) for name in whole)


def outcome(mutual_information, right):
    summary = TargetSummary(10, 0.9, 0.1, mutual_information, {"a": 0.5, "b": 0.5})
    columns = Column.filled(10, 0, np.int32), Column.filled(10, 0, np.float32)
    rights = np.arange(100) < right
    held_out = Evaluation(("a", "b"), ((right, 100 - right), (0, 0)), rights) if right is not None else None
    outputs = Outputs(Column.filled(20, 0, np.float32), Column.filled(10, 0, np.float32), (2, 1))
    return Outcome(held_out, Predictions(*columns, summary), (None, outputs), (np.arange(0), np.arange(0)))


@pytest.mark.parametrize(
    ("before", "after", "gained"),
    [
        ((0.5, 90), (0.6, 90), True),
        ((0.5, 90), (0.6, 88), True),
        ((0.5, 90), (0.6, 87), False),
        ((0.5, 90), (0.5, 99), False),
        ((0.5, 90), (0.4, 99), False),
    ],
)
def test_the_label_free_check(before, after, gained):
    check = Check(outcome(*before), outcome(*after))
    assert check.gained == check.facts()["gained"] == gained
    assert check.facts()["before"] == {"mutual_information": 0.5, "source_held_out": 0.9}
    assert f"held-out renders 90.0 to {after[1]:.1f} % right" in check.sentence


def test_adabn_reads_the_fine_tuned_run_with_moments_of_the_photos(renders, photos, tmp_path):
    folder = adapt([renders], photos, config_of(method="adabn"), tmp_path / "run")
    read, source_only = load_file(folder.model), load_file(folder.path / "pre-classifier" / "model.safetensors")
    moments = {"features.1.0.mean", "features.1.0.deviation"}
    assert {name for name in read if not torch.equal(read[name], source_only[name])} == moments
    config, network = read_run(folder.config), Run(folder.path).network()
    images = build_data.open_target(photos, config).images
    batches = prepared_batches(network, images, build_data.build_preparation(config))
    with torch.no_grad():
        features = torch.cat([network.features[0](images) for _, images in batches])
    assert torch.allclose(features.mean(0), read["features.1.0.mean"], atol=1e-4)


def likelihoods(network, config, renders):
    """File -> the network's probability of the image's own class."""
    source, _ = build_data.open_source([renders], config)
    column = stored_likelihood(network, source, build_data.build_preparation(config))
    return dict(zip(source.files, column.whole().tolist(), strict=True))


@pytest.mark.parametrize("p_a", ["stored", "per-step"])
def test_weights_of_images_are_by_the_pre_classifier_on_features(renders, photos, tmp_path, p_a):
    config = config_of(p_a=p_a, tune_rate=0.0, strong_augmentation=0.0)
    folder = adapt([renders], photos, config, tmp_path / "run")
    assert folder.facts()["p_t"] == "shared-features"  # frozen statistics: the training pass is exact
    network = Run(folder.path).network()  # at a rate of 0 it is the network of every step
    p_t = likelihoods(network, config, renders)
    pre_classifier = build_method.new_head(config.replace(method="source-only"), 3, 1280, torch.device("cpu"))
    load_network(folder.path / "features" / "pre-classifier" / "model.safetensors", pre_classifier)
    p_a = likelihoods(whole_network(network.features[0], pre_classifier), config, renders)
    with (folder.path / "weights.csv").open() as rows:
        seen = {row["file"]: float(row["last_weight"]) for row in csv.DictReader(rows) if row["last_weight"] != "nan"}
    assert len(seen) > 8
    for file, weight in seen.items():
        expected = WEIGHTINGS["paper"](torch.tensor([p_a[file]]), torch.tensor([p_t[file]]))
        assert weight == pytest.approx(float(expected), abs=0.02)


def test_folds_are_trained_on_features(renders, photos, tmp_path):
    folder = adapt([renders], photos, config_of(p_a="cross-fitted", folds=2), tmp_path / "run")
    folds = sorted((folder.path / "features" / "pre-classifier").glob("fold-*"))
    assert [RunFolder(fold).facts()["training"] for fold in folds] == ["features", "features"]


def test_a_comparison_shares_the_pre_classifier_on_features(renders, photos, labelled_photos, tmp_path):
    out, config = tmp_path / "compared", config_of(method=DEFAULT_METHOD)
    methods = ["source-only", "adabn", "weighted-dann", "mcc"]
    compare([renders], photos, config, out, methods=methods, seeds=[0], evaluation=labelled_photos)
    results = json.loads((out / "results.json").read_text())
    assert [row["method"] for row in results["tasks"][0]["rows"]] == methods
    assert len(list(out.rglob("pre-classifier/run.json"))) == 1
    assert len(list(out.rglob("features/metrics.json"))) == 3  # adabn reads the run of source-only
    grid = grid_of([renders], photos, config, methods=methods, seeds=[0], evaluation=None, title="")
    check_settings(grid, out, grid.tasks[0])  # it can go on


def test_the_pre_classifier_is_that_of_training_on_features():
    tuned, features = config_of(), config_of(training="features")
    assert tuned.upto("pre-classifier") == features.upto("pre-classifier")
    assert tuned.upto("adaptation") != features.upto("adaptation")


@pytest.mark.parametrize("method", METHODS)
def test_settings_of_the_second_stage(method):
    config = Config(method=method, training="fine-tune")
    tuning = tuning_of(config)
    assert (tuning.optimizer, tuning.weight_decay) == ("adamw", 0.01)
    assert (tuning.rate_schedule, tuning.warmup) == ("cosine", 0.1)
    assert (tuning.training_name, tuning.batch_norm, tuning.layer_decay) == ("full", "frozen", 0.7)
    assert tuning.of_method("fine_tune_rate") == tuning.learning_rate == 1e-5
    assert tuning.lasting(640).steps == 30  # three passes in batches of 64
    assert tuning_of(config.replace(tune_steps=7)).lasting(640).steps == 7


def test_layers_near_the_pixels_learn_more_slowly():
    config = config_of(method="dann")
    network = build_method.new_network(config.replace(training="full"), 3, torch.device("cpu"), torch.contiguous_format)
    head = build_method.new_head(config, 3, 1280, torch.device("cpu"))
    tuning = tuning_of(config)
    whole = build_method.for_tuning(whole_network(network.features, head), tuning)
    (optimizer,) = build_method.build_method(tuning, whole, 3).optimizers.values()
    rates = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    assert {rates[id(p)] for p in head.parameters()} == {1e-5}
    by_stage = [{rates[id(p)] for p in stage} for stage in stages(network.features)]
    expected = [1e-5 * 0.7**k for k in reversed(range(len(by_stage)))]
    assert [next(iter(rates)) for rates in by_stage] == pytest.approx(expected)
    assert all(len(rates) == 1 for rates in by_stage)


def test_fine_tuning_needs_published_weights():
    with pytest.raises(ConfigError, match="training = 'fine-tune' needs published weights"):
        Config(backbone="small", training="fine-tune")


def test_settings_from_before_fine_tuning_are_as_they_were(renders, photos, tmp_path):
    folder = adapt([renders], photos, config_of(training="features", steps=1, pre_steps=1), tmp_path / "run")
    assert not (folder.path / "features").exists()
    assert "fine_tuning" not in folder.metrics()
    lines = folder.config.read_text().splitlines()
    folder.config.write_text("\n".join(line for line in lines if not line.startswith("tune_")))
    assert read_run(folder.config).training_name == "features"
    assert len(Run(folder.path).predict(photos)) == 30


def test_whoever_asks_for_it_gets_published_weights_at_any_size():
    for training in ("features", "fine-tune"):
        assert Config(training=training, image_size=32).network_name == "efficientnet-lite0"
    assert Config(image_size=32).network_name == "small-batchnorm"
