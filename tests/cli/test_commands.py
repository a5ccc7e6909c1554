"""The command line: what it answers, what it refuses, and that nothing is lost or half-written."""

import csv
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import pytest
import torch
from PIL import Image

from conftest import stripes, write_classes
from weighbridge.errors import LeftOutWarning
from weighbridge.runs.finished import Run
from weighbridge.settings.config import read_toml, write_toml

ROOT = Path(__file__).parents[2]
COMMANDS = ["demo", "adapt", "compare", "figure", "evaluate", "label", "predict", "patches", "inspect", "report"]
QUICK = [
    *("--backbone", "small", "--image-size", "16", "--channels", "1", "--batch-source", "8", "--batch-target", "6"),
    *("--pre-steps", "6", "--steps", "6", "--device", "cpu", "--precision", "fp32"),
]


def environment():
    return {**os.environ, "PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"}


def start(*words, **options):
    return subprocess.Popen(
        [sys.executable, "-m", "weighbridge", *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
        **options,
    )


# ---- help ----


@pytest.mark.parametrize("command", [None, *COMMANDS])
def test_every_help_answers(call, command):
    status, out, _ = call(*([command] if command else []), "--help")
    assert status == 0
    assert f"Usage: weighbridge {command or 'COMMAND'}" in out


def test_help_does_not_wait_for_pytorch():
    listing = "import sys; from weighbridge.cli.commands import app; app(['adapt', '--help']);"
    heavy = "print([m for m in ('torch', 'matplotlib', 'sklearn', 'scipy') if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", f"try:\n {listing}\nexcept SystemExit: pass\nimport sys; {heavy}"],
        capture_output=True,
        text=True,
        env=environment(),
    )
    assert done.stdout.endswith("[]\n"), done.stdout[-300:] + done.stderr


def test_every_setting_is_an_option_with_an_explanation(call):
    from dataclasses import fields

    from weighbridge.settings.config import Config

    _, out, _ = call("adapt", "--help")
    for field in fields(Config):
        option = "--" + field.name.replace("_", "-")
        assert re.search(rf"{option}\b", out), option


def test_the_version(call):
    import weighbridge

    assert call("--version")[1].strip() == weighbridge.__version__


# ---- the whole way ----


def test_only_weighbridge_speaks(renders, photos, tmp_path):
    said = {}
    for precision in ("fp32", "bf16"):  # in which Fabric has something to say of its own
        words = [*QUICK[:-1], precision]
        running = start("adapt", "--source", renders, "--target", photos, "--out", precision, *words, cwd=tmp_path)
        _, err = running.communicate(timeout=240)
        assert running.returncode == 0, err
        said[precision] = [re.sub(r"[\d.]+", "", line) for line in err.splitlines()]
    assert said["bf16"] == said["fp32"]


def test_adapt_predict_evaluate_report(call, renders, photos, labelled_photos, tmp_path):
    status, out, _ = call("adapt", "--source", renders, "--target", photos, "--out", "runs/first", *QUICK)
    assert status == 0
    assert "runs/first/report.html" in out
    run = Run(tmp_path / "runs/first")
    assert run.config.method == "iwdan-self-training"  # where none is asked for
    assert (run.config.strength, run.config.strong_augmentation) == (0.1, 0.5)

    status, out, _ = call("predict", "runs/first", photos, "--out", "labels.csv")
    assert (status, out) == (0, "30 images labelled in labels.csv\n")
    with (tmp_path / "labels.csv").open() as rows:
        assert len(list(csv.DictReader(rows))) == 30

    status, out, _ = call("evaluate", "runs/first", "--data", labelled_photos)
    assert status == 0
    assert re.fullmatch(
        r"(\w+ +[\d.]+ %  of \d+\n){4}class mean +[\d.]+ %\n95 % interval of the accuracy: [\d.]+ to [\d.]+ %; .+\n"
        r"\nphoto by photo runs/first/evaluation.csv\nreport runs/first/report.html\n",
        out,
    )
    assert "24 labelled images" in (tmp_path / "runs/first/report.html").read_text()

    status, out, _ = call("report", "runs/first")
    assert status == 0
    assert "Confusions" in (tmp_path / "runs/first/report.html").read_text()


def test_compare_writes_one_table_and_goes_on_where_it_was(call, renders, photos, labelled_photos, tmp_path):
    words = ["compare", "--source", renders, "--target", photos, "--evaluation", labelled_photos, "--out", "c", *QUICK]
    words += ["--methods", "source-only", "dann", "adda", "weighted-dann", "weighted-dann:permuted", "dann:paper"]
    status, out, _ = call(*words, "--seeds", "2")
    assert status == 0
    assert "weighted DANN, permuted" in out
    assert "tested on labelled-photos: target domain, 24 images" in out
    assert "tables c/table.md" in out
    assert "report c/report.html" in out
    results = json.loads((tmp_path / "c/results.json").read_text())
    (task,) = results["tasks"]
    assert [len(row["runs"]) for row in task["rows"]] == [2] * 6
    assert len((tmp_path / "c/table.csv").read_text().splitlines()) == 7
    table = (tmp_path / "c/table.md").read_text()
    heading = "## renders to photos\n\n### Tested on labelled-photos: target domain, 24 images"
    assert table.startswith(f"# Comparison\n\n{heading}\n\n| method |")
    assert "32 source images, 4 more held out; 30 target images. 24 evaluation images: their choice" in table
    command = shlex.join(map(str, ["weighbridge", *words, "--seeds", "2"]))
    assert table.endswith(f"Seeds 0, 1; settings {results['settings']}; made by\n\n```\n{command}\n```\n")
    assert len((tmp_path / "c/differences.csv").read_text().splitlines()) == 1 + 6 * 5
    assert json.loads((tmp_path / "c/summary.json").read_text())["command"] == command
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "c").rglob("model.safetensors")}
    assert len(before) == 14
    config = read_toml(tmp_path / "c/config.toml")  # as it was written when weighted-dann was the default
    old = {"fine_tune_rate": 0.001, "new_layer_multiplier": 10.0}
    write_toml(tmp_path / "c/config.toml", config | old | {"method": "weighted-dann", "strength": 1.0})
    for written in (tmp_path / "c").glob("seed-*/*/config.toml"):  # these rates stood there for all methods
        write_toml(written, read_toml(written) | old)

    (tmp_path / "c/results.json").write_text('{"task": {}, "rows": []}')  # the shape that comparisons once had
    (tmp_path / "c/.lock").unlink()

    status, _, _ = call(*words, "--seeds", "3")
    assert status == 0
    (task,) = json.loads((tmp_path / "c/results.json").read_text())["tasks"]
    assert [len(row["runs"]) for row in task["rows"]] == [3] * 6
    after = {path: path.stat().st_mtime_ns for path in (tmp_path / "c").rglob("model.safetensors")}
    assert len(after) == 21
    assert all(after[path] == before[path] for path in before)  # finished runs were kept

    status, _, err = call(*words, "--learning-rate", "0.5")
    assert status == 2
    assert "holds a comparison with other settings: learning_rate (0.01 there, 0.5 now)" in err


def test_a_teacher_without_augmentation_is_said_at_the_start_and_under_the_table(call, renders, photos):
    words = ["compare", "--source", renders, "--target", photos, "--methods", "mean-teacher", "--seeds", "2", *QUICK]
    words += ["--strong-augmentation", "0", "--plain"]
    said = "mean teacher: no augmentation is set, so student and teacher see the same image"
    status, out, err = call(*words, "--out", "plain")
    assert status == 0
    assert " ".join(err.split()).count(said) == 1  # not once per seed
    assert " ".join(out.split()).count(said) == 1
    status, out, err = call(*words, "--out", "moved", "--rotate", "10")
    assert (status, "see the same image" in " ".join((out + err).split())) == (0, False)


def test_a_comparison_at_rates_that_were_the_default_goes_on_with_them_written_down(call, renders, photos, tmp_path):
    words = ["compare", "--source", renders, "--target", photos, "--out", "c", "--methods", "iwdan-mcc", *QUICK]
    assert call(*words, "--seeds", "1")[0] == 0
    written = tmp_path / "c/seed-0/iwdan-mcc/config.toml"
    write_toml(written, read_toml(written) | {"fine_tune_rate": 0.001, "new_layer_multiplier": 10.0})
    status, _, err = call(*words, "--seeds", "2")
    assert status == 2
    assert "fine_tune_rate (0.001 there, 0.01 now), new_layer_multiplier (10.0 there, 1.0 now)" in " ".join(err.split())
    assert call(*words, "--seeds", "2", "--fine-tune-rate", "0.001", "--new-layer-multiplier", "10")[0] == 0


def test_a_comparison_does_not_go_on_with_other_images(call, renders, photos, tmp_path):
    words = ["compare", "--source", renders, "--target", photos, "--out", "c", "--methods", "dann", *QUICK]
    assert call(*words, "--seeds", "1")[0] == 0
    next(photos.glob("*.png")).unlink()
    status, _, err = call(*words, "--seeds", "2")
    assert status == 2
    assert "have changed since it started" in err
    assert not (tmp_path / "c/seed-1").exists()


def test_source_only_of_a_comparison_starts_as_the_pre_classifier_does(call, renders, photos, tmp_path):
    call("compare", "--source", renders, "--target", photos, "--out", "c", "--seeds", "1", *QUICK, "--log-every", "1")
    first = [
        json.loads((tmp_path / f"c/seed-0/{name}/log.jsonl").read_text().splitlines()[0])["label_loss"]
        for name in ("pre-classifier", "source-only")
    ]
    assert first[0] == first[1]  # the same weights saw the same images


def test_settings_from_a_file_and_the_command_line_on_top(call, renders, photos, tmp_path):
    (tmp_path / "my.toml").write_text(
        'method = "dann"\nsteps = 5\npre_steps = 2\nbackbone = "small"\nimage_size = 16\n'
    )
    status, _, _ = call(
        "adapt", "--config", "my.toml", "--source", renders, "--target", photos, "--out", "run", "--steps", "3"
    )
    assert status == 0
    facts = json.loads((tmp_path / "run/run.json").read_text())
    assert (facts["method"], facts["steps"]) == ("dann", 5)


# ---- what is refused ----

BASE = ["adapt", "--source", "renders", "--target", "photos", "--out", "run"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["adapt", "--source", "rendes", "--target", "photos", "--out", "run"], "Did you mean 'renders'?"),
        (["adapt", "--source", "renders", "--target", "empty", "--out", "run"], "expected images in 'empty'"),
        (["adapt", "--source", "photos", "--target", "photos", "--out", "run"], "expected one folder per class"),
        (["adapt", "--target", "photos", "--out", "run"], "--source is missing. See: weighbridge adapt --help"),
        ([*BASE, "--config", "gone.toml"], "expected a configuration file at 'gone.toml'"),
        ([*BASE, "--config", "bad.toml"], "'bad.toml' is not valid TOML"),
        ([*BASE, "--config", "typo.toml"], "batch_sorce"),
        ([*BASE, "--steps", "0", "--method", "adda"], "adda needs at least 1 step"),
        ([*BASE, "--held-out", "1.5"], "held_out must be in [0, 1), got 1.5"),
        ([*BASE, "--backbone", "resnet81"], "Did you mean 'resnet18'?"),
        ([*BASE, "--weighting", "uniform"], "Leave it out, or take method = 'weighted-dann'"),
        (["compare", *BASE[1:], "--weighting", "inverse"], "in a comparison: --methods weighted-dann:inverse"),
        (
            [*BASE, "--method", "weighted-dann", "--weighting", "none"],
            "Set weighting = 'uniform' to give all images the weight 1",
        ),
        ([*BASE, "--image-size", "15"], "backbone 'small-batchnorm' takes images of 8 to 64 pixels"),
        (["compare", *BASE[1:], "--methods", "dan"], "there is no method 'dan'. Did you mean 'dann'?"),
        (
            ["compare", *BASE[1:], "--method", "dann"],
            "a comparison cannot set method = 'dann', which is for single runs. Use --methods",
        ),
        (["compare", *BASE[1:], "--seeds", "0"], "a comparison needs at least one seed, got none"),
        (["adapt", "--source", "renders", "--target", "photos", "--out", "/proc/nowhere/run"], "/proc/nowhere"),
        (["predict", "nothing", "photos"], "expected a run folder with run.json in it at 'nothing'"),
        (["evaluate", "renders", "--data", "photos"], "expected a run folder with run.json in it at 'renders'"),
        (["report", "photos"], "found neither"),
        (["adapt", "--resume", "nowhere"], "expected a run folder"),
    ],
)
def test_bad_input_gets_one_sentence_and_status_2_and_leaves_nothing(call, renders, photos, tmp_path, words, sentence):
    (tmp_path / "empty").mkdir()
    (tmp_path / "bad.toml").write_text("steps = \n")
    (tmp_path / "typo.toml").write_text("batch_sorce = 3\n")
    status, _, err = call(*words)
    assert status == 2, err
    assert sentence in " ".join(err.split())
    assert "Traceback" not in err
    assert not (tmp_path / "run").exists()
    if "╭" not in err:
        assert len(err.strip().splitlines()) == 1
        assert err.startswith("weighbridge: ")


@pytest.mark.parametrize(
    ("words", "suggestion"),
    [
        (["adpat"], "adapt"),
        ([*BASE, "--stpes", "3"], "--steps"),
        ([*BASE, "--method", "dan"], "dann"),
        ([*BASE, "--steps", "many"], "many"),
    ],
)
def test_a_mistyped_word_gets_a_suggestion(call, renders, photos, tmp_path, words, suggestion):
    status, out, err = call(*words)
    assert status == 2
    assert suggestion in out + err
    assert not (tmp_path / "run").exists()


def test_a_comparison_does_not_start_in_somebody_s_folder(call, renders, photos):
    status, _, err = call("compare", "--source", renders, "--target", photos, "--out", photos, *QUICK)
    assert status == 2
    assert "exists already and is not a comparison" in err


def test_evaluation_labels_are_checked_before_hours_of_training(call, renders, photos, tmp_path):
    words = ["compare", "--source", renders, "--target", photos, "--out", "c", "--evaluation", "gone", *QUICK]
    status, _, err = call(*words)
    assert status == 2
    assert "there is nothing at 'gone'" in err
    assert not (tmp_path / "c").exists()


# ---- interruption, for real ----


def wait_for(path, pattern, process, seconds=120):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if path.is_file() and re.search(pattern, path.read_text()):
            return
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.02)
    pytest.fail(f"{path} never showed {pattern}")


def test_ctrl_c_leaves_a_checkpoint_and_says_how_to_go_on(renders, photos, tmp_path, call):
    long = [*QUICK, "--log-every", "10"]
    long[long.index("--steps") + 1] = "100000"
    run = tmp_path / "run"
    process = start("adapt", "--source", renders, "--target", photos, "--out", run, *long)
    wait_for(run / "log.jsonl", '"stage": "adapt", "step": 20', process)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert re.search(r"stopped after step \d+ of 100000", err)
    assert f"weighbridge adapt --resume {run}" in err
    assert "Traceback" not in err
    assert (run / "checkpoints/last.safetensors").is_file()
    assert not list(run.rglob("*.part"))

    text = (run / "config.toml").read_text()
    (run / "config.toml").write_text(text.replace("steps = 100000", "steps = 4000"))  # or this would take an hour
    process = start("adapt", "--resume", run)
    wait_for(run / "log.jsonl", '"stage": "adapt", "step": \\d{3}', process)
    process.kill()  # no chance to say goodbye
    process.communicate()
    steps = [json.loads(line)["step"] for line in (run / "log.jsonl").read_text().splitlines()]
    assert steps == sorted(steps)
    (run / "config.toml").write_text(text.replace("steps = 100000", f"steps = {steps[-1] + 20}"))
    assert call("adapt", "--resume", run)[0] == 0
    assert (run / "metrics.json").is_file()


def test_ctrl_c_while_images_are_read_writes_nothing(renders, photos, tmp_path):
    for number in range(3000):
        Image.fromarray(stripes(0, 1, size=200)[0]).save(photos / f"more-{number}.png") if number < 1 else os.link(
            photos / "more-0.png", photos / f"more-{number}.png"
        )
    process = start("adapt", "--source", renders, "--target", photos, "--out", tmp_path / "run", *QUICK)
    time.sleep(1.0)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode in (130, -signal.SIGINT)
    assert "Traceback" not in err
    assert not (tmp_path / "run").exists()


def test_a_closed_pipe_is_no_error(renders):
    process = start("adapt", "--help")
    process.stdout.close()
    _, err = process.communicate(timeout=60)
    assert "Traceback" not in err


# ---- data ----


def test_patches_train_a_model_whose_patches_vote_on_large_images(call, tmp_path):
    write_classes(tmp_path / "large", count=4, size=50)
    status, out, _ = call("patches", tmp_path / "large", "--size", 20, "--out", tmp_path / "patches")
    assert status == 0
    assert "108 patches of 12 images" in out
    words = ["--source", tmp_path / "patches", "--target", tmp_path / "large", "--out", tmp_path / "run", *QUICK]
    assert call("adapt", *words, "--held-out", 0.25)[0] == 0
    with (tmp_path / "run" / "split.csv").open() as file:
        split = list(csv.DictReader(file))
    pictures = {
        name: {row["file"].split("__")[0] for row in split if row["split"] == name} for name in ("train", "val")
    }
    assert len(split) == 108
    assert pictures["val"]
    assert not pictures["train"] & pictures["val"]  # patches of one picture stay together
    assert call("predict", tmp_path / "run", tmp_path / "large", "--patch-size", 20)[0] == 0
    with (tmp_path / "predictions.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 12
    assert all(0.3 < float(row["probability"]) <= 1.0 for row in rows)


def test_the_vote_is_the_mean_of_the_patches(call, renders, photos, tmp_path, monkeypatch):
    assert call("adapt", "--source", renders, "--target", photos, "--out", tmp_path / "run", *QUICK)[0] == 0
    call("predict", tmp_path / "run", photos, "--out", tmp_path / "whole.csv")
    call("predict", tmp_path / "run", photos, "--out", tmp_path / "voted.csv", "--patch-size", 16)  # one patch each
    assert (tmp_path / "whole.csv").read_text() == (tmp_path / "voted.csv").read_text()
    write_classes(tmp_path / "wide", count=1, size=16)
    (path,) = (tmp_path / "wide" / "spot").iterdir()
    left, right = Image.open(path), Image.open(photos / "000.png")
    for name, pictures in {"left": [left], "right": [right], "both": [left, right]}.items():
        (tmp_path / name).mkdir()
        both = Image.new("L", (16 * len(pictures), 16))
        for place, picture in enumerate(pictures):
            both.paste(picture, (16 * place, 0))
        both.save(tmp_path / name / "a.png")
    run = Run(tmp_path / "run")
    for at_once in (256, 1):  # patches made ready together
        monkeypatch.setattr("weighbridge.engine.voting._CUTS_AT_ONCE", at_once)
        (_, one), (_, other), (_, mean) = (run._voted(tmp_path / name, 16, 16) for name in ("left", "right", "both"))
        assert torch.allclose(mean, (one + other) / 2, atol=1e-6)


def test_strict_stops_at_a_broken_image_and_leaves_nothing(call, renders, photos, tmp_path):
    (photos / "broken.jpg").write_bytes(b"no image")
    words = ["adapt", "--source", renders, "--target", photos, "--out", tmp_path / "run", *QUICK]
    status, _, err = call(*words, "--strict")
    assert status == 2
    assert err == (
        f"weighbridge: 1 of 31 images cannot be used, the first being '{photos / 'broken.jpg'}': not an image. "
        "Replace or remove what is broken, or go on without --strict\n"
    )
    assert not (tmp_path / "run").exists()
    status, _, err = call(*words)
    assert status == 0
    assert "target: 1 of 31 images cannot be used" in err
    with pytest.warns(LeftOutWarning) as caught:
        assert call("predict", tmp_path / "run", photos, "--out", tmp_path / "p.csv")[0] == 0
    shown = warnings.formatwarning(caught[0].message, LeftOutWarning, "cli.py", 1, "return command()")
    assert shown.startswith("weighbridge: 1 of 31 images cannot be used")
    assert shown.count("\n") == 1


def test_inspect_tells_and_writes(call, renders, photos, tmp_path):
    status, out, _ = call("inspect", renders, photos, "--out", tmp_path / "seen")
    assert status == 0
    assert "renders" in out
    assert "photos" in out
    facts = json.loads((tmp_path / "seen" / "inspection.json").read_text())
    assert facts
    with Image.open(tmp_path / "seen" / "contact-sheet.png") as sheet:
        assert min(sheet.size) > 60
    status, _, err = call("inspect")
    assert (status, "inspect needs at least one folder" in err) == (2, True)


# ---- grids ----


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--source", "renders"], "--grid cannot be combined with --source; set it in 'grid.toml'"),
        (
            ["--seeds", "2", "--steps", "3"],
            "--grid cannot be combined with --seeds or settings; set them in 'grid.toml'",
        ),
        (["--jobs", "0"], "--jobs must be at least 1, got 0"),
        ([], "there is nothing at 'photo'"),
    ],
)
def test_what_a_grid_is_refused_for(call, renders, photos, tmp_path, words, sentence):
    (tmp_path / "grid.toml").write_text('[sources]\na = "renders"\n[targets]\nb = "photo"\n')
    status, _, err = call("compare", "--grid", "grid.toml", "--out", "run", *words)
    assert status == 2
    assert sentence in err
    assert not (tmp_path / "run").exists()


def test_a_grid_and_its_figures_by_command(call, renders, photos, labelled_photos, tmp_path):
    settings = "".join(f"{key} = {value}\n" for key, value in (("image_size", 16), ("pre_steps", 4), ("steps", 8)))
    (tmp_path / "grid.toml").write_text(
        'seeds = 1\nmethods = ["source-only", "weighted-dann"]\n[sources]\na = "renders"\n[targets]\nb = "photos"\n'
        f'[evaluations]\nb = "labelled-photos"\n[settings]\nbackbone = "small"\n{settings}'
    )
    status, out, _ = call("compare", "--grid", "grid.toml", "--out", "g")
    assert status == 0
    assert "tested on b: target domain, 24 images" in out
    assert "tables g/table.md" in out
    for kind in ("methods", "weights", "sources"):
        status, out, _ = call("figure", kind, "g", "--out", f"{kind}.png")
        assert (status, out.splitlines()[0]) == (0, f"{kind}.png")
        with Image.open(tmp_path / f"{kind}.png") as picture:
            assert picture.width > 500
    assert "| a |" in (tmp_path / "sources.md").read_text()
    status, _, err = call("figure", "methods", "g", "g", "--out", "x.png")
    assert (status, err) == (2, "weighbridge: figure methods needs exactly one folder, got 2\n")
