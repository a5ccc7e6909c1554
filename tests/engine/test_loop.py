"""The loop: logs, checkpoints, resumption bit for bit, and what stops it."""

import errno
import json
import math
import os
import signal

import pytest
import torch
from lightning_fabric import Fabric
from safetensors.torch import load_file, save_file

from conftest import small_config
from weighbridge.engine import checkpoint
from weighbridge.engine.checkpoint import load_checkpoint, load_network, save_network
from weighbridge.engine.history import WeightHistory
from weighbridge.engine.loop import fit
from weighbridge.engine.machine import probe
from weighbridge.engine.runaway import Runaway
from weighbridge.engine.signals import Interrupted
from weighbridge.errors import DivergenceError, RunFolderError
from weighbridge.parts.likelihoods import stored
from weighbridge.run_folder import RunFolder
from weighbridge.settings import build_data, build_method
from weighbridge.settings.config import Config
from weighbridge.watch import Quiet

STEPS = 12


class Setting:
    """One method on the small domains, ready to be trained any number of times."""

    def __init__(self, renders, photos, **changes):
        self.config = small_config(**{"steps": STEPS, "pre_steps": 1} | changes)
        source, held_out = build_data.open_source([renders], self.config)
        self.data = build_data.Data(source, held_out, build_data.open_target(photos, self.config))
        self.fabric = Fabric(accelerator="cpu", devices=1)
        self.machine = probe(device="cpu", precision="fp32")

    def method(self):
        network = build_method.new_network(self.config, 3, self.fabric.device, self.machine.memory_format)
        likelihood = stored(torch.linspace(0.2, 0.9, len(self.data.source)))
        return build_method.build_method(self.config, network, len(self.data.classes), likelihood)

    def fit(self, method, folder, *, steps=STEPS, stop_at=None, **options):
        pairs = build_data.build_pairs(self.config, self.data, method, self.machine, self.fabric.device)
        watch = options.pop("watch", None) or (Stop(stop_at) if stop_at else Quiet())
        history = options.pop("history", None) or WeightHistory(len(self.data.source))
        settings = {"fabric": self.fabric, "stage": "adapt", "classes": 3, "folder": folder, "log_every": 2}
        torch.manual_seed(0)
        fit(method, pairs, steps=steps, history=history, watch=watch, **(settings | options))
        return history


class Stop(Quiet):
    """Presses Ctrl-C, for real, once a step is done."""

    def __init__(self, step):
        self.step = step

    def advance(self, step, record):
        if step == self.step:
            os.kill(os.getpid(), signal.SIGINT)


@pytest.fixture
def setting(renders, photos):
    return lambda **changes: Setting(renders, photos, **changes)


def folder(tmp_path, name="run"):
    (tmp_path / name / "checkpoints").mkdir(parents=True)
    return RunFolder(tmp_path / name)


def log(run):
    return [json.loads(line) for line in (run.path / "log.jsonl").read_text().splitlines()]


def parameters(method):
    return {(part, name): value for part, m in method.modules().items() for name, value in m.state_dict().items()}


RESUMED = [
    *({"method": method, "rotate": 10.0, "confidence_threshold": 0.4} for method in build_method.BUILDERS),
    {"method": "weighted-dann", "fine_tune_rate": 0.02, "rotate": 10.0, "noise": 0.1},
    {"method": "weighted-dann", "weighting": "permuted"},
    {"method": "cdan", "optimizer": "adamw", "rate_schedule": "cosine", "warmup": 0.3, "layer_decay": 0.7},
    {"method": "self-training", "strong_kind": "augmix", "resized_crop": 0.6, "jitter": 0.3},
    {"method": "dann", "backbone": "small-batchnorm"},
    {"method": "mcc", "backbone": "small-batchnorm"},
    {"method": "dann-mcc", "weighting": "paper"},
    {"method": "iwdan-mcc", "backbone": "slim-batchnorm"},
    {"method": "iwdan-self-training", "selection": "class-balanced", "rotate": 10.0},
    {"method": "self-training", "selection": "class-balanced", "rotate": 10.0},
    {"method": "mean-teacher", "backbone": "small-batchnorm", "rotate": 10.0, "confidence_threshold": 0.4},
]


@pytest.mark.parametrize("changes", RESUMED, ids=lambda c: "-".join(map(str, c.values())))
def test_resumed_equals_uninterrupted_bit_for_bit(setting, tmp_path, changes):
    one = setting(**changes)
    straight = one.method()
    history = one.fit(straight, folder(tmp_path, "straight"))

    broken = folder(tmp_path, "broken")
    with pytest.raises(Interrupted, match=f"stopped after step 5 of {STEPS}"):
        one.fit(one.method(), broken, stop_at=5)
    resumed = one.method()
    torch.rand(7)  # whatever happened in between must not matter
    resumed_history = one.fit(resumed, broken, resume=True)

    before, after = parameters(straight), parameters(resumed)
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert [r["label_loss"] for r in log(broken) if "label_loss" in r][-1:] == [
        r["label_loss"] for r in log(RunFolder(tmp_path / "straight")) if "label_loss" in r
    ][-1:]
    one, other = history.state(), resumed_history.state()
    assert all(torch.equal(one[name], other[name]) for name in ("count", "total", "steps"))
    assert torch.equal(one["last"].nan_to_num(-1.0), other["last"].nan_to_num(-1.0))


def test_the_log_holds_what_people_watch(setting, tmp_path):
    run = folder(tmp_path)
    one = setting(method="weighted-dann")
    one.fit(one.method(), run)
    records = log(run)
    assert [record["step"] for record in records] == [2, 4, 6, 8, 10, 12]
    assert {"label_loss", "domain_loss", "domain_accuracy", "strength", "weight_mean", "learning_rate"} <= set(
        records[0]
    )
    assert records[0]["learning_rate"] > records[-1]["learning_rate"]
    assert all(record["images_per_second"] > 0 for record in records)


def test_a_log_line_cut_short_by_a_kill_is_dropped(setting, tmp_path):
    run, one = folder(tmp_path), setting(method="source-only")
    with pytest.raises(Interrupted):
        one.fit(one.method(), run, stop_at=6)
    with (run.path / "log.jsonl").open("a") as lines:
        lines.write('{"stage": "adapt", "step": 8, "label_loss": 1.0}\n{"stage": "ad')
    one.fit(one.method(), run, resume=True)
    assert [record["step"] for record in log(run)] == [2, 4, 6, 8, 10, 12]


def test_a_checkpoint_is_plain_data(setting, tmp_path):
    run, one = folder(tmp_path), setting(method="adda")
    one.fit(one.method(), run)
    assert run.checkpoint.read_bytes()[8:9] == b"{"  # safetensors: a length and a JSON header, no pickle
    assert [path.name for path in run.checkpoint.parent.iterdir()] == ["last.safetensors"]


def test_a_checkpoint_of_another_network_is_refused(setting, tmp_path):
    run = folder(tmp_path)
    one, other = setting(method="dann"), setting(method="dann", backbone="lenet")
    one.fit(one.method(), run)
    with pytest.raises(RunFolderError, match="cannot continue from the checkpoint"):
        load_checkpoint(run.checkpoint, other.method())


def test_a_checkpoint_of_a_version_with_another_order_of_images_is_refused(setting, tmp_path):
    run, one = folder(tmp_path), setting(method="dann")
    one.fit(one.method(), run)
    save_file(load_file(run.checkpoint), run.checkpoint, {"step": "12", "groups": "{}"})  # as the first version did
    with pytest.raises(RunFolderError, match=r"an earlier version of weighbridge made it\. Start a new run"):
        load_checkpoint(run.checkpoint, one.method())


def test_a_damaged_checkpoint_is_refused(setting, tmp_path):
    run, one = folder(tmp_path), setting(method="dann")
    one.fit(one.method(), run)
    run.checkpoint.write_bytes(run.checkpoint.read_bytes()[:1000])
    with pytest.raises(RunFolderError, match="cannot continue from the checkpoint"):
        load_checkpoint(run.checkpoint, one.method())


def test_a_network_comes_back_as_it_was_saved(setting, tmp_path):
    one = setting(method="dann")
    network, other = one.method().network, setting(method="dann", seed=4).method().network
    save_network(tmp_path / "model.safetensors", network)
    load_network(tmp_path / "model.safetensors", other)
    assert all(torch.equal(a, b) for a, b in zip(network.parameters(), other.parameters(), strict=True))
    with pytest.raises(RunFolderError, match="cannot read the weights of this run's network"):
        load_network(tmp_path / "gone.safetensors", other)


def test_a_full_disk_leaves_the_weights_that_were_saved_before(setting, tmp_path, monkeypatch):
    network, path = setting(method="dann").method().network, tmp_path / "model.safetensors"
    save_network(path, network)
    before = path.read_bytes()

    def half(tensors, part, metadata):
        part.write_bytes(before[:100])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(checkpoint, "save_file", half)
    with pytest.raises(OSError, match="No space left"):
        save_network(path, network)
    assert path.read_bytes() == before
    assert [left.name for left in tmp_path.glob("model.*")] == ["model.safetensors"]


class Poisoned:
    """A method whose label loss is not a number from one step on."""

    def __init__(self, method, at, value=math.nan):
        self.method, self.at, self.value, self.step_number = method, at, value, 0

    def __getattr__(self, name):
        return getattr(self.method, name)

    def step(self, pair, progress, update):
        self.step_number += 1
        done = self.method.step(pair, progress, update)
        if self.step_number > self.at:
            done = type(done)({**done.scalars, "label_loss": torch.tensor(self.value)}, done.weights)
        return done


def test_a_loss_that_is_not_a_number_stops_says_the_step_and_keeps_the_last_good_checkpoint(setting, tmp_path):
    run, one = folder(tmp_path), setting(method="dann")
    with pytest.raises(DivergenceError) as caught:
        one.fit(Poisoned(one.method(), at=6), run, checkpoint_every=4)
    assert caught.value.step == 6
    assert str(caught.value) == (
        f"adapt: label_loss became nan at step 7. The last good checkpoint is {run.checkpoint}. "
        "Try a lower learning rate, --clip-norm 1, or a smaller --strength."
    )
    step, _ = load_checkpoint(run.checkpoint, one.method())
    assert step == 4


def test_a_learning_rate_far_too_high_is_caught_for_real(setting, tmp_path):
    run, one = folder(tmp_path), setting(method="dann", learning_rate=1e6, backbone="lenet")
    with pytest.raises(DivergenceError, match="Try a lower learning rate"):
        one.fit(one.method(), run)
    step, _ = load_checkpoint(run.checkpoint, one.method())
    assert step <= 2  # the last whose losses and weights were numbers


def test_weights_that_are_not_numbers_never_replace_a_checkpoint(setting, tmp_path):
    run, one = folder(tmp_path), setting(method="dann")
    method = one.method()

    class Break(Quiet):
        def advance(self, step, record):
            if step == 6:
                with torch.no_grad():
                    next(method.network.label_head.parameters()).fill_(math.inf)

    with pytest.raises(DivergenceError):
        one.fit(method, run, checkpoint_every=3, log_every=100, watch=Break())
    step, _ = load_checkpoint(run.checkpoint, one.method())
    assert step == 3


def test_features_that_forget_the_classes_are_noticed(setting, tmp_path):
    run, one = folder(tmp_path), setting(method="dann", steps=100)

    class Forgets(Poisoned):
        def step(self, pair, progress, update):
            self.value = 0.1 if self.step_number < 10 else math.log(3)
            return super().step(pair, progress, update)

    with pytest.raises(DivergenceError, match="which is chance: the features lost the classes"):
        one.fit(Forgets(one.method(), at=0), run, steps=100)


def test_a_loss_that_is_leaving_is_judged_alike_however_often_it_is_logged_and_across_a_resumption(tmp_path):
    run = folder(tmp_path)
    losses = [1.0] * 12 + [9.0] * 20  # ln 3 is chance; the window's mean passes 3 times that at the fourth 9

    def stops_at(watch, start=0):
        for step, loss in enumerate(losses[start:], start):
            try:
                watch.see(step, {"label_loss": loss})
            except DivergenceError as error:
                return error.step
        return None

    assert stops_at(Runaway("adapt", 100, 3, run, batch=64)) == 14
    before, after = Runaway("adapt", 100, 3, run, batch=64), Runaway("adapt", 100, 3, run, batch=64)
    for step in range(13):
        before.see(step, {"label_loss": losses[step]})
    after.restore(before.state())
    assert stops_at(after, start=13) == 14
    spike = Runaway("adapt", 100, 3, run, batch=64)
    for step, loss in enumerate([1.0] * 20 + [9.0] + [1.0] * 20):
        spike.see(step, {"label_loss": loss})


def test_a_log_without_a_checkpoint_is_begun_anew(setting, tmp_path):
    run, one = folder(tmp_path), setting(method="source-only")
    (run.path / "log.jsonl").write_text('{"stage": "adapt", "step": 2, "label_loss": 1.0}\n{"stage": "ad')
    one.fit(one.method(), run, resume=True)
    assert [record["step"] for record in log(run)] == [2, 4, 6, 8, 10, 12]


def test_dropout_is_resumed_bit_for_bit_too(setting, tmp_path):
    one = setting(method="dann")

    def method():
        made = one.method()
        made.network.label_head.insert(1, torch.nn.Dropout(0.5))
        return made

    straight, resumed = method(), method()
    one.fit(straight, folder(tmp_path, "straight"))
    with pytest.raises(Interrupted):
        one.fit(method(), folder(tmp_path, "broken"), stop_at=5)
    torch.rand(3)
    one.fit(resumed, RunFolder(tmp_path / "broken"), resume=True)
    before, after = parameters(straight), parameters(resumed)
    assert all(torch.equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize(("method", "advice"), [("source-only", ""), ("dann", "a smaller --strength, ")])
def test_a_network_that_never_learns_is_noticed_after_a_while(setting, tmp_path, method, advice):
    run, one = folder(tmp_path), setting(method=method, backbone="lenet", learning_rate=0.0, steps=300)
    with pytest.raises(
        DivergenceError, match=r"the label loss is still 1\.\d+, which is chance: nothing is learned"
    ) as e:
        one.fit(one.method(), run, steps=300, log_every=10)
    assert e.value.step == 299
    advice += "more --steps, another learning rate, or a --backbone with batch norm if this has none"
    assert str(e.value).endswith(f"Try {advice}.")


@pytest.mark.parametrize(
    ("steps", "stops_at"), [(200, None), (201, 200), (600, 599), (1500, 1000), (4000, 2000), (40, None)]
)
def test_half_of_a_long_run_and_all_of_a_short_one_may_be_at_chance(tmp_path, steps, stops_at):
    watch = Runaway("pre-classifier", steps, 3, folder(tmp_path), batch=64)
    stopped = None
    for step in range(steps):
        try:
            watch.see(step, {"label_loss": math.log(3)})
        except DivergenceError as error:
            stopped = error.step
            break
    assert stopped == stops_at


def test_what_leaves_chance_late_goes_on(tmp_path):
    watch = Runaway("pre-classifier", 600, 3, folder(tmp_path), batch=64)
    for step in range(600):
        watch.see(step, {"label_loss": math.log(3) if step < 550 else 0.9})


def stopped_at(watch, losses):
    for step, loss in enumerate(losses):
        try:
            watch.see(step, {"label_loss": loss})
        except DivergenceError as error:
            return error.step
    return None


def losses_of_a_slow_learner(steps, begins, chance):
    """At chance with the noise of few images, and from a step on 0.1 nats lower every 400 steps."""
    noise = torch.randn(steps, generator=torch.Generator().manual_seed(0)) * 0.1
    return [chance - max(0, step - begins) / 4000 + float(noise[step]) for step in range(steps)]


def test_a_slow_learner_of_a_thousand_classes_goes_on(tmp_path):
    chance = math.log(1000)
    watch = Runaway("adapt", 2000, 1000, folder(tmp_path), batch=32)
    assert stopped_at(watch, losses_of_a_slow_learner(2000, 800, chance)) is None  # within 0.95 ln K to the end
    few = Runaway("adapt", 1000, 1000, folder(tmp_path, "few"), batch=32)
    assert stopped_at(few, [chance] * 1000) is None  # 32 images of a class: nobody can tell
    begun = Runaway("adapt", 20_000, 1000, folder(tmp_path, "begun"), batch=32)
    assert stopped_at(begun, [chance - 0.25] * 20_000) is None  # some of them are told apart, late as it is


def test_a_thousand_classes_that_are_lost_or_never_learned_are_told(tmp_path):
    chance = math.log(1000)
    losses = [chance - 2.5 * min(1, step / 500) for step in range(600)] + [chance] * 100
    assert stopped_at(Runaway("adapt", 700, 1000, folder(tmp_path), batch=32), losses) < 670
    never = Runaway("adapt", 20_000, 1000, folder(tmp_path, "never"), batch=32)
    assert stopped_at(never, [chance] * 20_000) == 10_000


@pytest.mark.parametrize("classes", [2, 7, 43])
def test_few_classes_are_judged_as_a_share_of_chance(tmp_path, classes):
    chance = math.log(classes)
    for share, stops in ((0.94, None), (0.96, 1000)):
        watch = Runaway("adapt", 1500, classes, folder(tmp_path, f"{classes}-{share}"), batch=64)
        assert stopped_at(watch, [share * chance] * 1500) == stops


def test_sigterm_leaves_a_checkpoint_too(setting, tmp_path):
    run, one = folder(tmp_path), setting(method="dann")

    class Terminate(Stop):
        def advance(self, step, record):
            if step == self.step:
                os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(Interrupted):
        one.fit(one.method(), run, watch=Terminate(3))
    assert load_checkpoint(run.checkpoint, one.method())[0] == 3
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL  # put back


def test_a_second_ctrl_c_stops_at_once(setting, tmp_path):
    one = setting(method="dann")

    class Impatient(Stop):
        def advance(self, step, record):
            if step == self.step:
                os.kill(os.getpid(), signal.SIGINT)
                os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt) as caught:
        one.fit(one.method(), folder(tmp_path), watch=Impatient(3))
    assert not isinstance(caught.value, Interrupted)


def test_the_history_knows_what_every_image_weighed():
    history = WeightHistory(4)
    history.add(torch.tensor([0, 2]), torch.tensor([1.0, 2.0]))
    history.snapshot(1)
    history.add(torch.tensor([2, 3]), torch.tensor([4.0, 0.5]))
    history.snapshot(2)
    assert history.mean().tolist()[2:] == [3.0, 0.5]
    assert math.isnan(history.mean()[1])
    other = WeightHistory(4)
    other.restore(history.state())
    assert other.steps == [1, 2]
    assert torch.equal(other.snapshots[1][2:], torch.tensor([4.0, 0.5]))


def test_the_config_is_what_the_engine_does_not_know():
    assert Config not in vars(__import__("weighbridge.engine", fromlist=["engine"])).values()


def test_the_snapshots_of_many_images_show_a_fixed_sample():
    one, again = (WeightHistory(1000, followed=10) for _ in range(2))
    assert torch.equal(one.rows, again.rows)
    assert len(one.rows) == 10
    assert torch.equal(one.rows, one.rows.unique())
    one.add(torch.arange(1000), torch.arange(1000) / 100)
    one.snapshot(1)
    assert torch.equal(one.snapshots[0], one.rows / 100)
    assert len(WeightHistory(5).rows) == 5
