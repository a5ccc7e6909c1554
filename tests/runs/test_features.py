"""Runs behind a frozen backbone: everything a run on images does, from two folders to a report."""

import csv
import json
import shutil

import numpy as np
import pytest
import torch
import torchvision
from safetensors.torch import load_file, save_file

from conftest import small_config
from weighbridge.errors import ConfigError, RunFolderError
from weighbridge.grids.compare import compare
from weighbridge.methods.adabn import with_statistics_of
from weighbridge.parts.networks import Standardised, feature_network
from weighbridge.run_folder import RunFolder
from weighbridge.runs.adapt import adapt, resume
from weighbridge.runs.finished import Run
from weighbridge.settings.build_data import caution
from weighbridge.settings.catalogue import DEFAULT_METHOD, METHODS
from weighbridge.settings.config import Config, read_run

LITE0 = {"backbone": "efficientnet-lite0", "channels": 3, "image_size": 32, "views": 1}


def config_of(**changes):
    return small_config(**(LITE0 | changes))


@pytest.mark.parametrize("method", METHODS)
def test_every_method_runs_on_features_as_it_is(renders, photos, labelled_photos, tmp_path, method):
    folder = adapt([renders], photos, config_of(method=method), tmp_path / "run")
    facts = folder.facts()
    assert facts["training"] == "features"
    assert facts["features"]["width"] == 1280
    run = Run(folder.path)
    assert run.evaluate(labelled_photos).images == 24
    with (folder.path / "predictions.csv").open() as rows:
        told = {row["file"]: float(row["probability"]) for row in csv.DictReader(rows)}
    for prediction in run.predict(photos):  # from pixels: backbone and trained layers as one network
        assert prediction.probability == pytest.approx(told[prediction.file], abs=5e-3)


def test_features_are_learned_from(renders, photos, labelled_photos, tmp_path):
    config = config_of(method="source-only", pre_steps=0, steps=100)
    folder = adapt([renders], photos, config, tmp_path / "run")
    assert folder.metrics()["source_held_out"]["accuracy"] == 1.0
    assert Run(folder.path).evaluate(labelled_photos).accuracy > 0.9


def test_the_backbone_is_left_alone_and_goes_with_the_run(renders, photos, tmp_path):
    first, second = (adapt([renders], photos, config_of(seed=k), tmp_path / f"run-{k}") for k in (0, 1))
    assert first.backbone.samefile(second.backbone)  # one file, however many runs
    kept = load_file(first.backbone)
    network = Run(first.path).network()
    trunk = network.features[0].state_dict()
    assert all(torch.equal(trunk[name], kept[name]) for name in kept)
    assert not set(load_file(first.model)) & set(kept)


def test_nothing_is_kept_where_nothing_shall_be(renders, photos, tmp_path, monkeypatch):
    monkeypatch.setenv("WEIGHBRIDGE_CACHE", str(tmp_path / "cache"))
    folder = adapt([renders], photos, config_of(cache="off"), tmp_path / "run")
    assert not (tmp_path / "cache" / "features").exists()
    assert not (tmp_path / "cache" / "backbones").exists()
    Run(folder.path).predict(photos)


def test_weights_of_images_are_exact_as_nothing_in_the_network_is_random(renders, photos, tmp_path):
    folder = adapt([renders], photos, config_of(method="weighted-dann"), tmp_path / "run")
    assert folder.facts()["p_t"] == "shared-features"


def test_an_interrupted_run_goes_on_to_the_same_model(renders, photos, tmp_path):
    whole = adapt([renders], photos, config_of(), tmp_path / "whole")
    parts = adapt([renders], photos, config_of(checkpoint_every=4), tmp_path / "parts")
    (parts.path / "metrics.json").unlink()
    parts.model.unlink()
    resumed = resume(parts.path)
    a, b = load_file(whole.model), load_file(resumed.model)
    assert all(torch.equal(a[name], b[name]) for name in a)


def test_a_comparison_on_features(renders, photos, labelled_photos, tmp_path):
    out = tmp_path / "compared"
    methods = ["source-only", "adabn", "weighted-dann"]
    config = config_of(method=DEFAULT_METHOD)
    compare([renders], photos, config, out, methods=methods, seeds=range(2), evaluation=labelled_photos)
    results = json.loads((out / "results.json").read_text())
    assert len(json.dumps(results)) > 1000
    folders = [RunFolder(path.parent) for path in out.rglob("metrics.json")]
    assert len({folder.backbone.stat().st_ino for folder in folders if folder.backbone.exists()}) == 1


def test_adabn_reads_the_moments_of_the_target_anew():
    torch.manual_seed(0)
    network = feature_network(5, 3)
    (layer,) = (module for module in network.modules() if isinstance(module, Standardised))
    layer.read(torch.ones(5), torch.full((5,), 2.0))
    target = torch.randn(40, 5) * 3.0 + 7.0
    adapted = with_statistics_of(network, target.split(16))
    standardised = adapted.features[0](target)
    assert torch.allclose(standardised.mean(0), torch.zeros(5), atol=1e-5)
    assert standardised.square().mean() == pytest.approx(1.0, abs=1e-5)
    assert torch.equal(layer.mean, torch.ones(5))  # the network that was given is as it was


def test_features_of_random_numbers_are_refused():
    with pytest.raises(ConfigError, match="training = 'features' needs published weights"):
        Config(backbone="small", training="features")


def test_a_run_from_before_features_learned_in_all_layers(renders, photos, tmp_path):
    folder = adapt([renders], photos, config_of(training="full", steps=1, pre_steps=1), tmp_path / "run")
    lines = folder.config.read_text().splitlines()
    folder.config.write_text("\n".join(line for line in lines if not line.startswith(("training", "views"))))
    assert read_run(folder.config).training_name == "full"


def test_a_folder_of_any_name_keeps_its_backbone(renders, photos, tmp_path):
    folder = adapt([renders], photos, config_of(method="source-only"), tmp_path / "fold-y")
    assert folder.backbone.is_file()
    assert (folder.path / "split.csv").is_file()


def test_a_run_goes_on_with_its_own_backbone_when_the_weights_are_gone(renders, photos, tmp_path):
    file = tmp_path / "resnet18.pth"
    torch.manual_seed(0)
    torch.save(torchvision.models.resnet18().state_dict(), file)
    config = config_of(backbone="resnet18", weights=str(file))
    whole = adapt([renders], photos, config, tmp_path / "whole")
    begun = adapt([renders], photos, config, tmp_path / "begun")
    (begun.path / "metrics.json").unlink()
    begun.checkpoint.unlink()
    shutil.rmtree(begun.path / "pre-classifier")
    file.unlink()
    a, b = load_file(whole.model), load_file(resume(begun.path).model)
    assert all(torch.equal(a[name], b[name]) for name in a)


def test_a_backbone_that_is_not_the_run_s_is_refused(renders, photos, tmp_path):
    folder = adapt([renders], photos, config_of(), tmp_path / "run")
    kept = load_file(folder.backbone)
    folder.backbone.unlink()
    save_file(
        {name: tensor + 1 if tensor.is_floating_point() else tensor for name, tensor in kept.items()}, folder.backbone
    )
    with pytest.raises(RunFolderError, match="is not the backbone that the run"):
        Run(folder.path).predict(photos)


def test_a_network_with_frozen_statistics_predicts_afterwards(renders, photos, tmp_path):
    config = config_of(method="source-only", training="full", batch_norm="frozen", pre_steps=1, steps=1)
    folder = adapt([renders], photos, config, tmp_path / "run")
    assert len(Run(folder.path).predict(photos)) == 30


def test_a_teacher_and_a_student_that_see_the_same_features_are_told(renders, photos, tmp_path):
    assert "same features" in (caution(config_of(method="self-training", views=0)) or "")
    assert caution(config_of(method="self-training")) is None


def test_another_backbone_in_the_folder_is_no_network_of_this_run(renders, photos, tmp_path):
    folder = adapt([renders], photos, config_of(), tmp_path / "run")
    folder.backbone.unlink()
    np.savetxt(folder.backbone, [0.0])
    with pytest.raises(RunFolderError, match="cannot read the weights"):
        Run(folder.path).predict(photos)
