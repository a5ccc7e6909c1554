"""One run from two folders to a run folder."""

import csv
import dataclasses
import json
import os
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import weighbridge
from conftest import small_config, write_classes
from weighbridge.engine.signals import Interrupted
from weighbridge.errors import ConfigError, DataError, RunFolderError, ToldWarning
from weighbridge.parts import likelihoods
from weighbridge.run_folder import RunFolder
from weighbridge.runs import adapt as adapting
from weighbridge.runs.adapt import _folds, adapt, resume
from weighbridge.runs.finished import Run
from weighbridge.runs.workplace import open_workplace
from weighbridge.settings import build_method
from weighbridge.settings.catalogue import CATALOGUE, METHODS
from weighbridge.settings.config import SETTINGS, Config, read_toml, write_toml
from weighbridge.watch import Quiet


def weights(run):
    return load_file(run.model)


def same(a, b):
    a, b = weights(a), weights(b)
    return all(torch.equal(a[name], b[name]) for name in a)


EITHER = [name for name, entry in CATALOGUE.items() if entry.start == "either"]


@pytest.mark.parametrize("method", METHODS)
def test_a_run_folder_holds_everything_that_comes_after(renders, photos, labelled_photos, tmp_path, method):
    folder = adapt([renders], photos, small_config(method=method), tmp_path / "run")
    there = {p.name for p in folder.path.iterdir()}
    assert there >= {
        *("config.toml", "run.json", "checkpoints", "model.safetensors", "metrics.json", "predictions.csv")
    }
    assert ("log.jsonl" in there) == (not CATALOGUE[method].reads)  # of these nothing is trained
    assert not list(folder.path.rglob("*.part"))
    facts = folder.facts()
    assert facts["classes"] == ["level", "spot", "upright"]
    assert facts["machine"]["precision"] == "fp32"
    assert facts["machine"]["threads"] == torch.get_num_threads() == 1  # OMP_NUM_THREADS
    assert facts["data"]["source"] == [{"name": "renders", "images": 32}]
    assert facts["data"]["held_out"] == 4
    assert facts["p_t"] == ("shared-features" if method == "weighted-dann" else None)
    assert read_toml(folder.config)["method"] == method
    assert folder.metrics()["evaluation"] is None
    assert (folder.path / "weights.csv").exists() == bool(
        "class ratios" in CATALOGUE[method].has or CATALOGUE[method].defaults.get("weighting")
    )
    with (folder.path / "predictions.csv").open() as rows:
        table = list(csv.DictReader(rows))
    assert len(table) == 30
    assert list(table[0]) == ["file", "label", "probability"]  # too few renders are held out to tell who is unlike them
    assert all(row["label"] in facts["classes"] and 1 / 3 - 1e-3 <= float(row["probability"]) <= 1 for row in table)

    run = Run(folder.path)
    evaluation = run.evaluate(labelled_photos)
    assert evaluation.images == 24
    assert json.loads((folder.path / "metrics.json").read_text())["evaluation"]["accuracy"] == evaluation.accuracy


@pytest.mark.parametrize("method", ["weighted-dann", "iwdan-mcc"])
def test_weights_rank_images_one_by_one_or_class_by_class(renders, photos, tmp_path, method):
    folder = adapt([renders], photos, small_config(method=method, steps=20, fine_tune_rate=0.01), tmp_path / "run")
    with (folder.path / "weights.csv").open() as rows:
        table = [(row["label"], row["mean_weight"]) for row in csv.DictReader(rows)]
    assert len(table) == 32
    assert len(set(table)) == 3 if method == "iwdan-mcc" else len(set(table)) > 20
    assert [float(weight) for _, weight in table] == sorted((float(weight) for _, weight in table), reverse=True)


def test_the_classes_are_learned(renders, labelled_photos, photos, tmp_path):
    config = small_config(method="source-only", pre_steps=0, steps=60, learning_rate=0.05)
    folder = adapt([renders], photos, config, tmp_path / "run")
    assert folder.metrics()["source_held_out"]["accuracy"] == 1.0
    assert Run(folder.path).evaluate(labelled_photos).accuracy > 0.8
    predictions = Run(folder.path).predict(labelled_photos / "spot")
    assert [p.label for p in predictions].count("spot") >= 6


def test_a_target_with_splits_is_trained_on_in_one_and_evaluated_on_in_another(renders, tmp_path):
    target = tmp_path / "photos"
    for seed, (split, count) in enumerate((("train", 6), ("val", 4), ("test", 3))):
        write_classes(target / split, count=count, shade=120, seed=seed)
    folder = adapt([renders], target, small_config(method="dann"), tmp_path / "run")
    assert folder.facts()["data"]["target"]["images"] == 3 * 6  # neither val nor test
    assert Run(folder.path).evaluate(target).images == 3 * 3  # test alone
    assert len(Run(folder.path).predict(target)) == 3 * (6 + 4 + 3)  # whoever asks for a folder means all of it


@pytest.mark.parametrize("method", METHODS)
def test_permuting_the_labels_of_the_target_changes_no_bit_of_the_model(renders, labelled_photos, tmp_path, method):
    swapped = tmp_path / "swapped"
    shutil.copytree(labelled_photos, swapped)
    (swapped / "level").rename(swapped / "x")
    (swapped / "spot").rename(swapped / "level")
    (swapped / "x").rename(swapped / "spot")
    config = small_config(method=method, rotate=10.0)
    straight = adapt([renders], labelled_photos, config, tmp_path / "straight")
    permuted = adapt([renders], swapped, config, tmp_path / "permuted")
    assert same(straight, permuted)


def test_permuting_the_labels_of_an_npz_target_changes_no_bit(renders, tmp_path):
    x = np.random.default_rng(0).integers(0, 256, (20, 16, 16), dtype=np.uint8)
    for name, y in (("a", np.arange(20) % 3), ("b", (np.arange(20) + 1) % 3)):
        np.savez(tmp_path / f"{name}.npz", x=x, y=y)
    runs = [adapt([renders], tmp_path / f"{n}.npz", small_config(), tmp_path / f"run-{n}") for n in "ab"]
    assert same(*runs)


def test_the_same_seed_gives_the_same_model_and_another_seed_another(renders, photos, tmp_path):
    a, b = (adapt([renders], photos, small_config(seed=1), tmp_path / name) for name in "ab")
    c = adapt([renders], photos, small_config(seed=2), tmp_path / "c")
    assert same(a, b)
    assert not same(a, c)


def test_several_sources_are_told_apart_in_the_weights(renders, photos, tmp_path):
    other = write_classes(tmp_path / "prerendered", count=6, seed=7)
    folder = adapt([renders, other], photos, small_config(), tmp_path / "run")
    with (folder.path / "weights.csv").open() as rows:
        table = list(csv.DictReader(rows))
    assert {row["source"] for row in table} == {"renders", "prerendered"}
    means = [float(row["mean_weight"]) for row in table if row["mean_weight"] != "nan"]
    assert means == sorted(means, reverse=True)
    assert all(1 / np.e <= w <= np.e for w in means)
    with np.load(folder.path / "weights.npz") as history:
        assert history["weights"].shape == (len(history["step"]), len(table))


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("backbone", ["small", "small-batchnorm", "lenet"])
def test_the_first_weights_of_a_run_are_one(renders, photos, tmp_path, precision, backbone):
    config = small_config(
        backbone=backbone, precision=precision, log_every=1, fine_tune_rate=0.02, strong_augmentation=0.0
    )  # P_a is stored from plain pixels
    folder = adapt([renders], photos, config, tmp_path / "run")
    log = [json.loads(line) for line in (folder.path / "log.jsonl").read_text().splitlines()]
    first, last = log[0], log[-1]
    tolerance = 1e-6 if precision == "fp32" else 5e-3  # bf16 rounds otherwise in batches of another size
    assert first["weight_min"] == pytest.approx(1.0, abs=tolerance)
    assert first["weight_max"] == pytest.approx(1.0, abs=tolerance)
    assert last["weight_max"] - last["weight_min"] > 2 * tolerance


@pytest.mark.parametrize("p_a", ["per-step", "cross-fitted"])
def test_p_a_by_other_means(renders, photos, tmp_path, p_a):
    folder = adapt([renders], photos, small_config(p_a=p_a, folds=2), tmp_path / "run")
    folds = [path.name for path in (folder.path / "pre-classifier").glob("fold-*")]
    assert len(folds) == (2 if p_a == "cross-fitted" else 0)


def test_cross_fitted_p_a_comes_from_networks_that_did_not_see_the_image(renders, photos, tmp_path):
    adapt([renders], photos, small_config(p_a="cross-fitted", folds=4), tmp_path / "run")
    home = tmp_path / "run" / "pre-classifier"
    images = [RunFolder(home / f"fold-{k}-of-4").facts()["data"]["source"][0]["images"] for k in range(4)]
    assert images == [24] * 4  # each of the 32 is left out exactly once


def test_batch_norm_networks_read_p_t_by_a_pass_of_their_own(renders, photos, tmp_path):
    folder = adapt([renders], photos, small_config(backbone="small-batchnorm"), tmp_path / "run")
    assert folder.facts()["p_t"] == "evaluation-pass"


class StopIn(Quiet):
    """Ctrl-C in one stage at one step."""

    def __init__(self, stage, step):
        self.wanted, self.step, self.stage = stage, step, ""

    def begin(self, stage, steps, start):
        self.stage = stage

    def advance(self, step, record):
        if (self.stage, step) == (self.wanted, self.step):
            os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize("where", [("pre-classifier", 4), ("adapt", 3)])
def test_a_run_resumed_from_its_folder_equals_one_that_was_left_alone(renders, photos, tmp_path, where):
    straight = adapt([renders], photos, small_config(), tmp_path / "straight")
    with pytest.raises(Interrupted):
        adapt([renders], photos, small_config(), tmp_path / "broken", StopIn(*where))
    with pytest.raises(RunFolderError, match=r"is not finished\. Finish it with: weighbridge adapt --resume .*broken"):
        Run(tmp_path / "broken")
    resumed = resume(tmp_path / "broken")
    assert same(straight, resumed)
    assert (resumed.path / "weights.csv").read_text() == (straight.path / "weights.csv").read_text()
    assert resume(tmp_path / "broken").complete  # a finished run is left alone


@pytest.mark.parametrize(("cpus", "threads"), [(2, 2), (1, 1)])
def test_a_run_goes_on_with_its_threads_or_with_those_that_there_are(
    renders, photos, tmp_path, monkeypatch, cpus, threads
):
    with pytest.raises(Interrupted):
        adapt(
            [renders], photos, small_config(method="dann", steps=0, pre_steps=3), tmp_path / "run", StopIn("adapt", 1)
        )
    facts = tmp_path / "run" / "run.json"
    facts.write_text(facts.read_text().replace('"threads": 1', '"threads": 2'))
    monkeypatch.setattr(adapting, "cpu_count", lambda: cpus)
    told = []

    class Listener(Quiet):
        def tell(self, sentence):
            told.append(sentence)

    try:
        resume(tmp_path / "run", Listener())
        assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(1)
    assert [sentence for sentence in told if "threads" in sentence] == (
        []
        if cpus == 2
        else [
            "the run started with 2 threads and goes on with 1, as there are fewer CPUs now. "
            "Sums over another number of threads may differ in the last digits"
        ]
    )


def test_a_run_from_when_its_network_was_not_written_down_predicts_and_goes_on(renders, photos, tmp_path):
    straight = adapt([renders], photos, small_config(backbone="small"), tmp_path / "straight")
    with pytest.raises(Interrupted):
        adapt([renders], photos, small_config(backbone="small"), tmp_path / "broken", StopIn("adapt", 5))
    for folder in ("straight", "broken"):
        written = tmp_path / folder / "config.toml"
        assert read_toml(written)["backbone"] == "small"
        write_toml(written, read_toml(written) | {"backbone": "auto"})
    assert same(straight, resume(tmp_path / "broken"))
    assert len(Run(straight.path).predict(photos)) == 30


def test_a_run_started_with_relative_paths_is_resumed_from_anywhere(renders, photos, tmp_path, monkeypatch):
    for place in (tmp_path, tmp_path / "elsewhere"):
        place.mkdir(exist_ok=True)
        monkeypatch.chdir(tmp_path)
        out = Path(f"run-{place.name}")
        with pytest.raises(Interrupted):
            adapt([Path("renders")], Path("photos"), small_config(), out, StopIn("adapt", 3))
        monkeypatch.chdir(place)
        assert resume(tmp_path / out).complete
    here, there = (tmp_path / f"run-{name}" / "predictions.csv" for name in (tmp_path.name, "elsewhere"))
    same_place, other_place = (path.read_text().splitlines()[1] for path in (here, there))
    assert same_place.startswith("photos/")
    assert other_place.startswith(str(tmp_path))


def test_a_run_whose_images_changed_is_not_resumed(renders, photos, tmp_path):
    with pytest.raises(Interrupted):
        adapt([renders], photos, small_config(), tmp_path / "run", StopIn("adapt", 3))
    next(photos.glob("*.png")).unlink()
    with pytest.raises(RunFolderError, match=r"the images of the run in .* have changed since it started"):
        resume(tmp_path / "run")


def test_an_existing_run_folder_is_not_touched(renders, photos, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "mine.txt").write_text("keep")
    with pytest.raises(RunFolderError) as caught:
        adapt([renders], photos, small_config(), tmp_path / "run")
    assert str(caught.value) == (
        f"'{tmp_path / 'run'}' exists already and nothing in it is overwritten. Choose another --out"
    )
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["mine.txt"]


def test_of_an_existing_run_the_command_that_goes_on_is_told(renders, photos, tmp_path, monkeypatch):
    adapt([renders], photos, small_config(method="source-only", pre_steps=1, steps=0), tmp_path / "run")
    monkeypatch.setenv("WEIGHBRIDGE_CALLED_AS", "./run")
    with pytest.raises(RunFolderError) as caught:
        adapt([renders], photos, small_config(), tmp_path / "run")
    assert str(caught.value).endswith(
        f"Choose another --out, or go on with it: ./run adapt --resume {tmp_path / 'run'}"
    )


def test_bad_data_leaves_nothing_behind(renders, photos, tmp_path):
    (photos / "a.png").write_bytes(b"no image")
    with pytest.raises(DataError):
        adapt([renders], photos, small_config(strict=True), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_run_lists_the_images_it_could_not_use_and_how_it_split_the_source(renders, photos, tmp_path):
    (photos / "a.png").write_bytes(b"no image")
    (photos / "notes.txt").write_text("mine")
    told = []

    class Listener(Quiet):
        def tell(self, sentence):
            told.append(sentence)

    folder = adapt([renders], photos, small_config(), tmp_path / "run", Listener())
    with (folder.path / "quarantine.csv").open() as file:
        assert list(csv.reader(file)) == [
            ["file", "domain", "status", "reason"],
            [str(photos / "a.png"), "target", "quarantined", "not an image"],
            [str(photos / "notes.txt"), "target", "ignored", "not an image"],
        ]
    assert told == [
        f"target: 1 of 31 images cannot be used, the first being '{photos / 'a.png'}': not an image. "
        "quarantine.csv in the run folder lists them all"
    ]
    with (folder.path / "split.csv").open() as file:
        split = dict(csv.reader(file))
    assert len(split) == 37  # with the header
    assert sorted(split.values()).count("val") == folder.facts()["data"]["held_out"]
    with pytest.warns(UserWarning, match="1 of 31 images cannot be used"):
        assert len(Run(folder.path).predict(photos)) == 30
    with pytest.warns(UserWarning, match="1 of 31 images cannot be used"):
        assert Run(folder.path).write_predictions(photos, tmp_path / "voted.csv", patch_size=8) == 30


def told_by(tmp_path, renders, photos, **changes):
    told = []

    class Listener(Quiet):
        def tell(self, sentence):
            told.append(sentence)

    config = small_config(pre_steps=1, steps=1, **changes)
    adapt([renders], photos, config, tmp_path / f"run-{len(list(tmp_path.iterdir()))}", Listener())
    return told


@pytest.mark.parametrize("method", [name for name, entry in CATALOGUE.items() if "teacher" in entry.has])
def test_a_teacher_that_sees_what_the_student_sees_is_told_once(renders, photos, tmp_path, method):
    def told(**changes):
        return told_by(tmp_path, renders, photos, method=method, **{"strong_augmentation": 0.0, **changes})

    (sentence,) = told()
    assert sentence.startswith(f"{method}: no augmentation is set, so student and teacher see the same image")
    assert "Set rotate, shift, zoom, noise or strong_augmentation, only as far as" in sentence
    assert told(noise=0.1) == []
    assert told(crop=0.2) == []
    assert told(strong_augmentation=0.1) == []
    assert told_by(tmp_path, renders, photos, method=method) == []  # augmented where nothing is said
    assert len(told(crop=0.01)) == 1  # less than a pixel


def test_a_setting_that_the_method_never_reads_is_told(renders, photos, tmp_path):
    (sentence,) = told_by(tmp_path, renders, photos, method="dann", mcc_weight=3.0)
    assert sentence == "dann ignores mcc_weight (for methods with class confusion)"
    assert told_by(tmp_path, renders, photos, method="dann-mcc", mcc_weight=3.0) == []


def test_without_bars_python_warns_of_what_they_would_tell(renders, photos, tmp_path):
    settings = {"backbone": "small", "image_size": 16, "pre_steps": 1, "steps": 1, "method": "dann", "mcc_weight": 3.0}
    with pytest.warns(ToldWarning, match="dann ignores mcc_weight"):
        weighbridge.adapt(source=renders, target=photos, out=tmp_path / "run", progress=False, **settings)


def test_a_setting_put_down_for_too_late_a_stage_is_without_effect_and_never_shared(renders, photos, monkeypatch):
    stretched = open_workplace([renders], photos, small_config(fit="stretch", image_size=8))
    assert stretched.data.source.images.fetch(torch.arange(1)).shape[-1] == 8
    late = dataclasses.replace(SETTINGS["image_size"], stage="adaptation")
    monkeypatch.setitem(SETTINGS, "image_size", late)
    unseen = open_workplace([renders], photos, small_config(image_size=8))
    assert unseen.data.source.images.fetch(torch.arange(1)).shape[-1] == Config().image_size


def test_the_python_face(renders, photos, tmp_path):
    run = weighbridge.adapt(
        source=renders,
        target=str(photos),
        out=tmp_path / "run",
        progress=False,
        backbone="small",
        image_size=16,
        channels=1,
        pre_steps=4,
        steps=4,
        batch_source=8,
    )
    assert isinstance(run, weighbridge.Run)
    assert (run.path / "report.html").is_file()
    assert len(run.predict(photos)) == 30
    with pytest.raises(weighbridge.errors.ConfigError, match=r"no setting 'step'.*Did you mean 'steps'\?"):
        weighbridge.adapt(source=renders, target=photos, out=tmp_path / "other", step=3)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = weighbridge.nothing


def test_prediction_does_not_depend_on_the_company_of_an_image(renders, photos, tmp_path):
    run = Run(adapt([renders], photos, small_config(backbone="small-batchnorm"), tmp_path / "run").path)
    alone = tmp_path / "alone"
    alone.mkdir()
    shutil.copy(photos / "003.png", alone)
    together = {p.file.rsplit("/", 1)[1]: p.probability for p in run.predict(photos)}
    assert run.predict(alone)[0].probability == pytest.approx(together["003.png"], abs=1e-5)


AUGMENTED = {"rotate": 5.0, "noise": 0.1, "shift": 0.05}


@pytest.mark.parametrize(
    ("method", "floor", "settings"),
    [
        ("mcc", "source-only", {}),
        ("dann-mcc", "dann", {}),
        ("iwdan-mcc", "dann", {"strength": 1.0}),
        (
            "self-training",
            "source-only",
            {"backbone": "small-batchnorm", "confidence_threshold": 0.8, "mcc_weight": 0.0, **AUGMENTED},
        ),
        (
            "iwdan-self-training",
            "source-only",
            {
                "backbone": "small-batchnorm",
                "confidence_threshold": 0.8,
                "mcc_weight": 0.0,
                "strength": 0.1,
                **AUGMENTED,
            },
        ),
        ("mean-teacher", "source-only", {"backbone": "small-batchnorm", **AUGMENTED}),
    ],
)
def test_methods_beyond_the_paper_bring_darker_photos_to_light(renders, tmp_path, method, floor, settings):
    photos = write_classes(tmp_path / "photos", shade=40, seed=5)
    common = {"pre_steps": 60, "steps": 100, "learning_rate": 0.03, "fine_tune_rate": 0.02, "normalisation": "half"}
    config = small_config(batch_source=12, batch_target=12, **common, **settings)
    runs = {name: adapt([renders], photos, config.replace(method=name), tmp_path / name) for name in (method, floor)}
    told = {name: run.metrics()["target"]["mutual_information"] for name, run in runs.items()}  # no label is needed
    right = {name: Run(run.path).evaluate(photos).accuracy for name, run in runs.items()}
    assert told[method] > told[floor] + 0.3
    assert right[method] > right[floor] + 0.1
    assert right[method] > 0.9


@pytest.mark.parametrize(
    ("method", "given", "first", "last"),
    [
        ("weighted-dann", None, 1.0, 1.0),
        ("dann-mcc", None, 0.0, 1.0),
        ("iwdan-mcc", None, 0.0, 0.1),
        ("iwdan-self-training", None, 0.0, 0.1),
        ("iwdan-mcc", 0.0, 0.0, 0.0),
    ],
)
def test_lambda_that_is_left_out_is_that_of_the_method(renders, photos, tmp_path, method, given, first, last):
    config = small_config(method=method, strength=given, pre_steps=1, steps=20, log_every=1)
    folder = adapt([renders], photos, config, tmp_path / "run")
    records = [record["strength"] for record in folder.records() if record["stage"] != "pre-classifier"]
    assert [records[0], records[-1]] == pytest.approx([first, last], abs=3e-4)  # eq. 3 is 0.9998 at 19 steps of 20
    assert read_toml(folder.config)["strength"] == (last if given is None else given)  # what was used is written down


@pytest.mark.parametrize(
    ("method", "given", "rate", "new"),
    [
        ("weighted-dann", {}, 0.001, 0.01),
        ("dann-mcc", {}, 0.01, 0.01),
        ("iwdan-mcc", {}, 0.01, 0.01),
        ("iwdan-self-training", {}, 0.01, 0.01),
        ("dann-mcc", {"fine_tune_rate": 0.003, "new_layer_multiplier": 5}, 0.003, 0.015),
        ("iwdan-mcc", {"start": "scratch", "learning_rate": 0.02, "new_layer_multiplier": 5}, 0.02, 0.02),
        ("adda", {"adda_rate": 0.003}, 0.003, 0.003),
        ("adda", {"adda_rate": 0.003, "adda_discriminator_rate": 0.1}, 0.003, 0.1),
    ],
)
def test_rates_that_are_left_out_are_those_of_the_method(method, given, rate, new):
    config = small_config(method=method, **given)
    network = build_method.new_network(config, 2, torch.device("cpu"), torch.contiguous_format)
    p_a = likelihoods.per_step(network) if method == "weighted-dann" else None
    optimizers = build_method.build_method(config, network, 2, p_a).optimizers.values()
    rates = {id(p): group["lr"] for one in optimizers for group in one.param_groups for p in group["params"]}
    for part, expected in ((network.features, rate), (network.domain_head, new)):
        assert all(rates[id(p)] == pytest.approx(expected) for p in part.parameters())


@pytest.mark.parametrize("method", EITHER)
def test_from_scratch_there_is_no_pre_classifier_and_as_many_steps(renders, photos, tmp_path, method):
    tuned, scratch = (
        adapt([renders], photos, small_config(method=method, start=start, fine_tune_rate=0.001), tmp_path / start)
        for start in ("pre-classifier", "scratch")
    )
    assert (tuned.path / "pre-classifier").is_dir()
    assert not (scratch.path / "pre-classifier").exists()
    assert [run.facts()["steps"] for run in (tuned, scratch)] == [10, 20]
    rates = [run.records()[0]["learning_rate"] for run in (tuned, scratch)]
    assert rates[1] == rates[0] if method == "mean-teacher" else rates[1] > 5 * rates[0]


def test_the_teacher_is_what_is_kept_and_predicts(renders, photos, tmp_path):
    config = small_config(method="mean-teacher", rotate=10.0)
    folder = adapt([renders], photos, config, tmp_path / "run")
    checkpoint, kept = load_file(folder.checkpoint), weights(folder)
    for name, value in kept.items():
        assert torch.equal(value, checkpoint[f"module/network/{name}"])
    assert any(not torch.equal(value, checkpoint[f"module/student/{name}"]) for name, value in kept.items())


@pytest.mark.slow
@pytest.mark.parametrize(("backbone", "image_size"), [("vgg16", 64), ("auto", 96)])
@pytest.mark.parametrize("method", METHODS)
def test_large_networks_go_the_whole_way(renders, photos, tmp_path, method, backbone, image_size):
    shape = {"backbone": backbone, "image_size": image_size, "channels": 3}
    config = small_config(method=method, **shape, pre_steps=1, steps=2)
    folder = adapt([renders], photos, config, tmp_path / "run")
    assert len(Run(folder.path).predict(photos)) == 30


# ---- controls, and what stage two sees ----


def seen_images(monkeypatch):
    """Stage -> the source images and dropout seeds of every step, as they are asked for."""
    from weighbridge.data.pairs import PairStream

    asked, at = [], PairStream.at

    def noted(self, step):
        pair = at(self, step)
        asked.append((self.noise_seed(step), pair.source.images.clone()))
        return pair

    monkeypatch.setattr(PairStream, "at", noted)
    return asked


@pytest.mark.parametrize("method", ["weighted-dann", "iwdan-self-training", "source-only-continued"])
def test_stage_two_sees_new_batches_and_with_stage_one_those_of_the_source_alone(
    renders, photos, tmp_path, monkeypatch, method
):
    asked = seen_images(monkeypatch)
    adapt([renders], photos, small_config(method=method, pre_steps=4, steps=5), tmp_path / "staged")
    staged, asked[:] = list(asked), []
    adapt([renders], photos, small_config(method="source-only", pre_steps=4, steps=5), tmp_path / "whole")
    assert [seed for seed, _ in staged] == [seed for seed, _ in asked]
    assert len({seed for seed, _ in staged}) == 9, "no dropout comes twice"
    assert all(torch.equal(a, b) for (_, a), (_, b) in zip(staged, asked, strict=True))
    assert not any(torch.equal(a, b) for _, a in staged[:4] for _, b in staged[4:])


@pytest.mark.parametrize("method", ["source-only", "source-only-continued", "dann", "weighted-dann"])
def test_strong_augmentation_acts_on_the_renders_of_every_method(renders, photos, tmp_path, method):
    runs = [
        adapt([renders], photos, small_config(method=method, strong_augmentation=strong), tmp_path / str(strong))
        for strong in (0.0, 1.0)
    ]
    assert not same(*runs), "it was ignored bit for bit"


def test_the_control_with_a_running_mean_predicts_with_it(renders, photos, tmp_path):
    config = small_config(method="source-only-ema", pre_steps=4, steps=6)
    folder = adapt([renders], photos, config, tmp_path / "ema")
    home = RunFolder(folder.path / "pre-classifier")
    assert home.facts()["method"] == "source-only"
    mean = load_file(home.by_product("running-mean"))
    assert all(torch.equal(mean[name], value) for name, value in weights(folder).items())
    assert not same(folder, home)
    alone = adapt([renders], photos, config.replace(method="source-only"), tmp_path / "alone")
    assert same(home, alone)


def test_the_control_with_the_target_s_statistics_has_the_source_s_weights(renders, photos, tmp_path):
    config = small_config(method="adabn", backbone="small-batchnorm")
    folder = adapt([renders], photos, config, tmp_path / "adabn")
    ours, theirs = weights(folder), weights(RunFolder(folder.path / "pre-classifier"))
    moved = {name for name in ours if not torch.equal(ours[name], theirs[name])}
    assert moved
    assert all("running" in name or "num_batches" in name for name in moved)
    assert folder.metrics()["seconds"] >= RunFolder(folder.path / "pre-classifier").metrics()["seconds"]


def test_a_source_only_run_without_a_running_mean_is_refused_by_its_control(renders, photos, tmp_path):
    config = small_config(method="source-only-ema", pre_steps=4, steps=2)
    folder = adapt([renders], photos, config, tmp_path / "run")
    (folder.path / "metrics.json").unlink()
    RunFolder(folder.path / "pre-classifier").by_product("running-mean").unlink()
    with pytest.raises(RunFolderError, match="keeps no running mean of its weights"):
        resume(folder.path)
    with pytest.raises(ConfigError, match="source-only-ema needs a running mean over the last steps"):
        config.replace(steps=0)


def test_length_in_epochs_is_that_many_passes_over_the_source(renders, photos, tmp_path):
    folder = adapt([renders], photos, small_config(pre_epochs=1, epochs=2.5), tmp_path / "run")
    assert folder.facts()["steps"] == 10  # 32 images in batches of 8
    assert RunFolder(folder.path / "pre-classifier").facts()["steps"] == 4
    assert read_toml(folder.config)["epochs"] == 2.5
    assert resume(folder.path).metrics()["steps"] == 10


def test_folds_of_cross_fitting_keep_groups_together(renders, photos, tmp_path):
    files = sorted(path.relative_to(renders) for path in renders.rglob("*.png"))
    rows = [f"{file},{file.parent.name},{file.parent.name}-{number // 3}" for number, file in enumerate(files)]
    manifest = renders / "manifest.csv"
    manifest.write_text("file,label,group\n" + "\n".join(rows) + "\n")
    config = small_config(p_a="cross-fitted", folds=3, held_out=0.0)
    workplace = open_workplace([manifest], photos, config)
    groups = workplace.data.source.groups.whole()
    assert len(np.unique(groups)) == 12
    fold = _folds(groups, config)
    assert all(len(np.unique(fold[groups == group])) == 1 for group in np.unique(groups))
    assert set(fold.tolist()) == {0, 1, 2}
    adapt([manifest], photos, config, tmp_path / "run")


def test_fewer_groups_than_folds_are_refused():
    with pytest.raises(ConfigError, match="needs a group of source images for each of 5 folds, got 2"):
        _folds(np.array([0, 0, 1, 1], dtype=np.int32), Config(p_a="cross-fitted", weighting="paper", method="dann"))
