"""Every example runs, on small folders; what it prints is checked, and its training loop against the plain twin."""

import ast
import copy
import importlib.util
import math
import re
import runpy
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from reference import twins
from weighbridge import domain_loss

EXAMPLES = Path(__file__).parents[1] / "examples"
SCRIPTS = sorted(EXAMPLES.glob("*.py"))
STEPS, B, B_TARGET = 3, 5, 3


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    """Run an example in this process, as `python examples/NAME WORDS` does; the lines that it prints."""
    monkeypatch.chdir(tmp_path)

    def call(name, *words):
        monkeypatch.setattr(sys, "argv", [name, *map(str, words)])
        runpy.run_path(str(EXAMPLES / name), run_name="__main__")
        return capsys.readouterr().out.splitlines()

    return call


def module(name):
    spec = importlib.util.spec_from_file_location(Path(name).stem, EXAMPLES / name)
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


# ---- what each prints ----------------------------------------------------------------------------------------------


def test_adapt_two_folders(run, renders, photos, labelled_photos, tmp_path):
    lines = run("adapt_two_folders.py", renders, photos, labelled_photos, "--steps", 2, "--out", "first")
    assert lines[0] == "the first of 30 predictions"
    assert all(re.search(r"\d{3}\.png: (level|spot|upright), probability [01]\.\d\d$", line) for line in lines[1:6])
    shares = [float(re.fullmatch(r"  (?:level|spot|upright): ([\d.]+) %", line)[1]) for line in lines[7:10]]
    assert sum(shares) == pytest.approx(100, abs=0.2)
    assert re.fullmatch(r"accuracy on 4 held-out renders: [\d.]+ %", lines[10])
    assert re.fullmatch(r"accuracy on 24 labelled photos: [\d.]+ %", lines[11])
    assert lines[12:] == ["all files: first; as one page: first/report.html"]
    assert (tmp_path / "first" / "predictions.csv").is_file()


def test_adapt_two_folders_needs_no_labelled_photos(run, renders, photos):
    assert not any("labelled" in line for line in run("adapt_two_folders.py", renders, photos, "--steps", 2))


def test_own_training_loop(run, renders, photos):
    first, last = run("own_training_loop.py", renders, photos, 2)
    number = r"(\d\.\d{3})"
    line = rf"label loss {number}, domain loss {number}, mean weight {number}"
    _, domain, weight = map(float, re.fullmatch(f"step 1: {line}", first).groups())
    assert weight == 1.0
    assert domain == pytest.approx(math.log(2), abs=0.3)  # a new domain classifier knows nothing
    assert 1 / math.e <= float(re.fullmatch(f"step 2: {line}", last)[3]) <= math.e


def test_own_backbone(run, renders, photos, labelled_photos, tmp_path):
    before, after = run("own_backbone.py", renders, photos, labelled_photos, "own", 10)
    assert re.fullmatch(r"source-only: accuracy [\d.]+ % on 24 labelled photos", before)
    accuracy = re.fullmatch(r"iwdan-self-training: accuracy ([\d.]+) % on 24 labelled photos", after)[1]
    assert float(accuracy) > 60  # chance is 33.3
    assert (tmp_path / "own" / "model.safetensors").is_file()


def test_comparison_with_verdict(run, renders, photos, labelled_photos, tmp_path):
    words = ["--steps", 2, "--seeds", 2, "--methods", "dann", "--out", "compared"]
    lines = run("comparison_with_verdict.py", renders, photos, labelled_photos, *words)
    assert any(re.match(r"\| DANN \| [\d.]+ ± ", line) for line in lines)
    assert re.match(r"DANN(:| helped| made it worse)", lines[-1])
    assert not any(re.match(r"source only(:| helped| made it worse)", line) for line in lines)
    assert (tmp_path / "compared" / "report.html").is_file()


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        (("2.04", "0.5", "3.58"), "DANN helped: +2.0 points [+0.5, +3.6]."),
        (("-2.04", "-3.58", "-0.5"), "DANN made it worse: -2.0 points [-3.6, -0.5]."),
        (("2.04", "-0.5", "4.58"), "DANN: cannot be told: +2.0 points [-0.5, +4.6], and 0 lies inside."),
        (("2.04", "", ""), "DANN: cannot be told: fewer than two seeds finished."),
        (("", "", ""), "DANN: cannot be told: fewer than two seeds finished."),
    ],
)
def test_the_verdict_follows_the_interval(numbers, words):
    script = module("comparison_with_verdict.py")
    assert script.verdict({"name": "DANN", **dict(zip(script.COLUMNS, numbers, strict=True))}) == words


# ---- the training loop of one's own --------------------------------------------------------------------------------


def parts(*norm):
    torch.manual_seed(0)
    G_f = nn.Sequential(nn.Conv2d(1, 4, 3), *norm, nn.ReLU(), nn.MaxPool2d(2), nn.Flatten())  # 8x8 -> 36
    return G_f, nn.Sequential(nn.Linear(36, 8), nn.ReLU(), nn.Linear(8, 3)), nn.Linear(36, 1)


def batches():
    torch.manual_seed(1)
    return [
        (torch.randn(B, 1, 8, 8), torch.randint(0, 3, (B,)), torch.randn(B_TARGET, 1, 8, 8) + 0.5) for _ in range(STEPS)
    ]


def train(G_f, G_y, G_d, strength=1.0):
    """Three steps of the example at the learning rates of the twin; what each step returned, and the pre-classifier."""
    step = module("own_training_loop.py").step
    classifier = nn.Sequential(G_f, G_y)
    frozen = copy.deepcopy(classifier).requires_grad_(False)
    parameters = [*classifier.parameters(), *G_d.parameters()]
    optimizer = torch.optim.SGD(parameters, twins.LR, twins.MOMENTUM)
    logs = []
    for k, batch in enumerate(batches()):
        for group in optimizer.param_groups:
            group["lr"] = twins.LR / (1 + 10 * k / STEPS) ** 0.75
        logs.append(step(frozen, classifier, G_d, optimizer, *batch, strength=strength))
    return logs, frozen


@pytest.mark.parametrize("strength", [1.0, 0.3])
def test_the_own_loop_agrees_with_the_twin(strength):
    ours, twin = parts(), parts()
    logs, _ = train(*ours, strength=strength)
    twins.weighted_dann(*twin, batches(), STEPS, lam=strength)
    assert (logs[-1][0] - 1).abs().max() > 1e-4  # by then the weights do something
    for module_of_ours, module_of_twin, start in zip(ours, twin, parts(), strict=True):
        for a, b, c in zip(*(m.parameters() for m in (module_of_ours, module_of_twin, start)), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-7)
            assert (a - c).abs().max() > 1e-4


def test_the_first_domain_loss_of_the_own_loop_by_hand():
    G_f, G_y, G_d = parts()
    x_s, _, x_t = batches()[0]
    with torch.no_grad():
        d_s, d_t = G_d(G_f(x_s))[:, 0], G_d(G_f(x_t))[:, 0]
    by_hand = -(torch.log(1 - d_s.sigmoid()).sum() + torch.log(d_t.sigmoid()).sum()) / (B + B_TARGET)
    loss = train(G_f, G_y, G_d)[0][0][2]
    torch.testing.assert_close(loss, by_hand)
    torch.testing.assert_close(loss, domain_loss(d_s, d_t))


@pytest.mark.parametrize("norm", [[], [nn.BatchNorm2d(4)], [nn.BatchNorm2d(4), nn.Dropout(0.5)]])
def test_the_first_weights_of_the_own_loop_are_one_whatever_the_network(norm):
    G_f, G_y, G_d = parts(*copy.deepcopy(norm))
    start = copy.deepcopy(nn.Sequential(G_f, G_y)).state_dict()
    logs, frozen = train(G_f, G_y, G_d)
    assert torch.equal(logs[0][0], torch.ones(B))
    assert not torch.equal(logs[1][0], torch.ones(B))
    assert not any(weights.requires_grad for weights, *_ in logs)
    for name, value in frozen.state_dict().items():  # batch-norm statistics included
        torch.testing.assert_close(value, start[name], rtol=0, atol=0)


# ---- how they are written ------------------------------------------------------------------------------------------


def test_there_are_four():
    assert len(SCRIPTS) == 4


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_an_example_fits_on_one_screen(script):
    lines = script.read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 60
    assert max(map(len, lines)) <= 120


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_an_example_says_how_to_call_it_and_what_it_imports(script):
    tree = ast.parse(script.read_text(encoding="utf-8"))
    text = ast.get_docstring(tree)
    assert f"\n    python examples/{script.name} SOURCE TARGET" in text
    imported = set()
    for node in tree.body:
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names = {alias.name for alias in node.names} if node.module == "weighbridge" else set()
            imported |= {node.module, *names}
    imported = {name for name in imported if name.split(".")[0] not in sys.stdlib_module_names}
    said = set(re.findall(r"[\w.]+", text.partition("\nImports: ")[2]))

    def below(name, of):  # `weighbridge` alone does not stand for its inside
        return name == of or (of != "weighbridge" and name.startswith(of + "."))

    assert {name for name in imported if not any(below(name, of) for of in said)} == set()
    assert {of for of in said if not any(below(name, of) for name in imported)} == set()


def test_the_own_loop_takes_three_functions_of_weighbridge():
    tree = ast.parse((EXAMPLES / "own_training_loop.py").read_text(encoding="utf-8"))
    froms = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and "weighbridge" in node.module]
    assert [(node.module, [alias.name for alias in node.names]) for node in froms] == [
        ("weighbridge", ["domain_loss", "paper_weights", "reverse_gradient"])
    ]


def test_the_table_of_the_examples_names_each():
    page = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| \[(\w+\.py)\]\(\1\) \|", page, flags=re.M)) == {path.name for path in SCRIPTS}
    for link in re.findall(r"\]\(([^)#]+)", page):
        assert (EXAMPLES / link).exists(), link
