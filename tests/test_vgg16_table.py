"""The VGG-16 table of experiments/: what it plans for a machine of made-up speeds, and once the whole of it."""

import dataclasses
import importlib.util
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

from weighbridge.errors import ConfigError

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "experiments" / "vgg16" / "table.py"


def load():
    spec = importlib.util.spec_from_file_location("vgg16_table", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules["vgg16_table"] = module  # its dataclasses look for themselves there
    spec.loader.exec_module(module)
    return module


table = load()
SIZES = (224, 160, 128, 96, 64)
BIG = table.Speeds(  # a fast GPU beside sixteen cores
    gpu=True,
    realtime={224: 60, 160: 110, 128: 190, 96: 330, 64: 580},
    traced={224: 5, 160: 10, 128: 16, 96: 28, 64: 53},
    step={224: 0.045, 160: 0.025, 128: 0.018, 96: 0.014, 64: 0.012},
    save=1.0,
    free=60e9,
)
GIVEN = table.Images(39_000, 39_000, 12_630)


def slower(speeds, factor):
    """The same machine, training slower by a factor."""
    return dataclasses.replace(speeds, step={size: factor * seconds for size, seconds in speeds.step.items()})


def small_machine(**changes):
    speeds = {"realtime": {32: 100.0}, "traced": {32: 10.0}, "step": {32: 1.0}, "save": 1.0, "free": 60e9}
    return table.Speeds(gpu=False, **(speeds | changes))


@pytest.mark.parametrize("minutes", [2, 5, 10, 20, 60])
@pytest.mark.parametrize("factor", [0.1, 1, 5])
@pytest.mark.parametrize("weights", ["none", "vgg16.pth"])
def test_a_plan_that_is_enough_fits_into_the_budget(minutes, factor, weights):
    plan = table.make_plan(slower(BIG, factor), table.Wishes(minutes=minutes, weights=weights))
    spent = plan.rendering + plan.seeds * plan.a_seed
    assert plan.rendering <= table.RENDERING * 60 * minutes * 1.01
    if plan.enough:
        assert spent <= 60 * minutes
        assert plan.seeds >= 3
        assert plan.steps >= (600 if weights == "none" else 300)


def test_more_time_buys_larger_images_and_an_hour_those_of_the_paper():
    sizes = [table.make_plan(BIG, table.Wishes(minutes=minutes)).size for minutes in (10, 20, 40, 90)]
    assert sizes == sorted(sizes)
    assert sizes[0] in (96, 128)
    assert sizes[-1] == 224


def test_images_at_hand_leave_the_time_of_rendering_to_training():
    rendered = table.make_plan(BIG, table.Wishes())
    given = table.make_plan(BIG, table.Wishes(given=GIVEN, weights="vgg16.pth"))
    assert given.size > rendered.size
    assert (given.source, given.target, given.evaluation, given.rendering) == (0, 0, 0, 0)


def test_never_more_images_than_the_paper():
    fast = dataclasses.replace(BIG, realtime=dict.fromkeys(SIZES, 1e6), traced=dict.fromkeys(SIZES, 1e6))
    plan = table.make_plan(fast, table.Wishes(minutes=60))
    assert (plan.source, plan.target, plan.evaluation) == (1000, 500, 100)
    assert table.shortfalls(plan, table.Wishes(), gpu=True) == []


def test_a_cpu_is_told_to_be_reduced():
    plan = table.make_plan(small_machine(), table.Wishes())
    assert plan.few
    assert not plan.enough
    assert plan.size == 32
    short = table.shortfalls(plan, table.Wishes(), gpu=False)
    assert short[:3] == ["a CPU instead of a GPU", "images of 32 px instead of 224", "5 classes instead of 25"]
    assert "**REDUCED**" in table.told(plan, short, "none")


def test_a_cpu_plan_fits_into_the_budget():
    plan = table.make_plan(small_machine(), table.Wishes())
    assert plan.seeds == 1
    assert plan.rendering + plan.a_seed <= 600
    assert plan.pre_steps == 2 * plan.steps


def test_steps_of_one_seed_worked_by_hand():
    # step 1 s; 20 steps ahead and 10 of adaptation: 0.6 * 20 + (0.6 + 1.0) * 30 + (0.9 + 1.1) * 10 = 12 + 48 + 20
    assert table.seconds_of_steps(32, small_machine(), 20, 10) == pytest.approx(80)


def test_what_a_seed_takes_beside_its_steps_worked_by_hand():
    # an image forward: 1 s / 32 / 2; looked at: 5 * (100 + 200 / 10) + 200 + 8 * 50 = 1200 -> 18.75 s; 20 s of files
    seconds = table.seconds_around(32, small_machine(), table.Images(200, 100, 50), 16)
    assert seconds == pytest.approx(38.75)


def test_a_wish_is_kept():
    plan = table.make_plan(BIG, table.Wishes(size=224, seeds=1, steps=7, count=20))
    assert (plan.size, plan.seeds, plan.steps, plan.pre_steps) == (224, 1, 7, 14)
    assert (plan.source, plan.target, plan.evaluation) == (20, 10, 2)


def test_a_size_that_was_not_measured_is_refused():
    with pytest.raises(ConfigError, match="no step of training was measured at 200 px, but at: 64, 96, 128, 160, 224"):
        table.make_plan(BIG, table.Wishes(size=200))


def test_a_full_disk_is_refused():
    with pytest.raises(ConfigError, match=r"need 11 GB of disk, and 4\.0 GB are free"):
        table.make_plan(dataclasses.replace(BIG, free=4e9), table.Wishes())


def test_the_true_time_of_the_first_seed_decides_how_many_follow():
    plan = table.make_plan(BIG, table.Wishes())
    seeds = [table.seeds_in_all(plan, table.Wishes(), 100.0, left, 1e12) for left in (-5, 114, 116, 240, 9999)]
    assert seeds == [1, 1, 2, 3, 5]
    assert table.seeds_in_all(plan, table.Wishes(), 100.0, 9999, 12e9) == 2  # the disk has room for one more
    assert table.seeds_in_all(plan, table.Wishes(seeds=4), 100.0, 0, 1e12) == 4


def test_between_two_sizes_lies_a_power_law():
    assert table.power_law({32: 1.0, 128: 16.0}, 64) == pytest.approx(4.0)
    assert table.power_law({32: 3.0}, 32) == 3.0


def results_with(*accuracies):
    """results.json of five classes: source-only with these accuracies on held-out source images, beside a good DANN."""
    rows = [
        {"method": "source-only", "runs": [{"source_accuracy": accuracy} for accuracy in accuracies]},
        {"method": "dann", "runs": [{"source_accuracy": 0.9}]},
    ]
    return {"tasks": [{"classes": list("abcde"), "rows": rows}]}


def test_a_table_in_which_nothing_was_learned_says_so():
    assert "right in 25 % of the source's held-out images, chance is 20 %" in table.nothing_learned(results_with(0.25))
    assert "NOTHING" in table.nothing_learned(results_with(0.2, 0.58))
    assert table.nothing_learned(results_with(0.2, 0.62)) is None
    assert table.nothing_learned(results_with(None)) is None


def test_rendering_stops_after_its_time_but_not_before_every_class_has_images(tmp_path):
    plan = dataclasses.replace(table.make_plan(small_machine(), table.Wishes()), few=True)
    watch = table.until(0.0, lambda done, total: None, tmp_path, plan)
    for label in table.FEW_CLASSES:
        watch(1, 100)
        (tmp_path / label).mkdir()
    with pytest.raises(table.OutOfTimeError):
        watch(5, 100)
    watch(100, 100)


def test_training_stops_when_its_time_is_over():
    with table.Clock(math.inf) as clock:
        clock.begin("adapt", 10, 0)
        clock.advance(1, None)
        clock.end_of_time = 0
        clock.end()
    with table.Clock(0.0) as clock:
        clock.begin("adapt", 10, 0)
        with pytest.raises(table.OutOfTimeError):
            clock.advance(1, None)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_smallest_table_on_a_cpu(tmp_path):
    out = tmp_path / "vgg16"
    words = ["--out", str(out), "--minutes", "25", "--count", "8", "--steps", "1", "--seeds", "1", "--image-size", "32"]
    surroundings = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(
        [sys.executable, SCRIPT, *words], env=surroundings, capture_output=True, text=True, timeout=1700
    )
    assert done.returncode == 0, done.stderr
    written = (out / "table.md").read_text()
    for method in ("source only", "DANN", "ADDA", "weighted DANN"):
        assert f"| {method} |" in written
    assert "**REDUCED** against the paper" in written
    assert "a CPU instead of a GPU" in written
    assert "reduced" in (out / "grid" / "table.md").read_text().splitlines()[0]
    assert "REDUCED" in done.stdout
    results = json.loads((out / "grid" / "results.json").read_text())
    assert [e["seen"] for e in results["tasks"][0]["evaluations"]] == ["source", "target", "unseen"]
    assert "NOTHING WAS LEARNED" in written  # three steps cannot teach VGG-16 anything
    assert not list(out.rglob("last.safetensors"))
