"""Every line of the README runs, on small domains and few steps; and it, like the guides, is easy to read."""

import importlib
import json
import re
import shlex
import shutil
import sys
from pathlib import Path

import pytest

from conftest import write_classes
from weighbridge import demo
from weighbridge.cli import commands as command_line
from weighbridge.cli import main
from weighbridge.settings.config import Config

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
GUIDES = sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("docs/guides/**/*.md"))
QUICK = shlex.split("--backbone small --image-size 16 --pre-steps 2 --steps 2 --batch-source 8 --batch-target 8")


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.S)


def commands():
    return [line[2:] for block in blocks("console") for line in block.splitlines() if line.startswith("$ ")]


def test_there_is_something_to_run():
    assert len(commands()) >= 8


def test_every_command_of_the_readme_runs(renders, photos, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(renders, "realtime")
    shutil.copytree(renders, "prerendered")
    write_classes(tmp_path / "labelled_photos", count=3, shade=120, seed=5)
    write_classes(tmp_path / "large_renders", count=2, size=100)
    (tmp_path / "experiment.toml").write_text('method = "dann"\n')
    monkeypatch.setattr(demo, "demo_config", lambda: Config(backbone="lenet", image_size=16, channels=1, **SHORT))
    monkeypatch.setattr(demo, "PER_CLASS", 3)
    for command in commands():
        if command in ("./run test", "./run test-all"):
            continue
        name, *words = shlex.split(command)
        assert name in ("weighbridge", "./run")
        if words[0] in ("adapt", "compare") and "--resume" not in words:
            words += QUICK
        if words[0] == "render":
            words = ["1" if word == "1000" else word for word in words]
        monkeypatch.setattr(sys, "argv", ["weighbridge", *words])
        monkeypatch.setattr(command_line.app, "config", ())
        status = 0
        try:
            main.main()
        except SystemExit as stop:
            status = stop.code
        assert not status, (command, capsys.readouterr().err)
    both = json.loads((tmp_path / "runs/both/run.json").read_text())["data"]["source"]
    assert [source["name"] for source in both] == ["realtime", "prerendered"]
    for path in ("runs/first/report.html", "runs/compared/table.md", "runs/demo/comparison/report.html", "labels.csv"):
        assert (tmp_path / path).is_file()
    promised = set(re.findall(r"^(\w+) +(runs/first\S*)$", README, flags=re.M))
    assert promised == {
        ("run", "runs/first"),
        ("report", "runs/first/report.html"),
        ("predictions", "runs/first/predictions.csv"),
    }


SHORT = {"pre_steps": 2, "steps": 2, "batch_source": 8, "batch_target": 8}


def test_the_python_of_the_readme_runs(renders, photos, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (code,) = blocks("python")
    quick = "steps=2, pre_steps=2, backbone='small', image_size=16, progress=False"
    assert "steps=1000" in code
    exec(compile(code.replace("steps=1000", quick), "README.md", "exec"), {})
    assert len(capsys.readouterr().out.splitlines()) == 30


def test_guides_are_found():
    assert {"docs/guides/start.md", "docs/guides/methods/README.md"} <= set(GUIDES)


@pytest.mark.parametrize(
    "path",
    [
        *("README.md", "CONTRIBUTING.md", "CHANGELOG.md"),
        *sorted(str(p.relative_to(ROOT)) for folder in ("docs", "experiments") for p in ROOT.glob(f"{folder}/**/*.md")),
    ],
)
def test_links_lead_somewhere(path):
    file = ROOT / path
    for target, heading in re.findall(r"\]\((?!https?://)([^)#]*)(#[^)]+)?\)", file.read_text(encoding="utf-8")):
        there = file.parent / target if target else file
        assert there.exists(), target
        assert not heading or heading[1:] in anchors(there), target + heading


def anchors(file):
    """What can stand behind # in a link to a page: its headings, as code hosts write them."""
    headings = re.findall(r"^#+ (.+)$", without_code(file.read_text(encoding="utf-8")), flags=re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def without_code(text):
    return re.sub(r"^ *```.*?^ *```$", "", text, flags=re.M | re.S)


def test_the_parts_that_the_readme_names_exist():
    import weighbridge

    for module, name in re.findall(r"`weighbridge\.(\w+)\.(\w+)`", README):
        assert hasattr(importlib.import_module(f"weighbridge.{module}"), name)
    (names,) = re.findall(r"`from weighbridge import ([\w, ]+)`", README)
    for name in names.split(", "):
        assert hasattr(weighbridge, name), name


def test_the_readme_is_short():
    assert len(README.splitlines()) <= 120


def test_no_table_of_the_readme_is_wider_than_four_columns():
    rows = [line for line in without_code(README).splitlines() if line.startswith("|")]
    assert rows
    for row in rows:
        assert len(row.strip().strip("|").split("|")) <= 4, row


@pytest.mark.parametrize("path", ["README.md", *GUIDES])
def test_sentences_are_short(path):
    for sentence in sentences((ROOT / path).read_text(encoding="utf-8")):
        assert len(sentence.split()) <= 35, sentence


def sentences(text):
    """Those of the paragraphs, list entries and captions; code counts as one word, and a link as its text."""
    kept = [
        # what is in no paragraph ends one, and so does the start of a list entry
        "\n" if re.match(r"\||#|\s*$", line) else re.sub(r"^ *(?:[-*]|\d+\.) ", "\n", line)
        for line in without_code(text).splitlines()
    ]
    text = re.sub(r"`[^`]+`", "code", "\n".join(kept))
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", text)
    text = re.sub(r"\b(eq|sec|fig|al|vs)\.", r"\1", text)  # no ends of sentences
    paragraphs = re.split(r"\n\s*\n", text)
    return [part for paragraph in paragraphs for part in re.split(r"(?<=[.!?])[*_)\"]*\s+", paragraph) if part.strip()]


def test_sentences_are_told_apart():
    text = """# A heading

One, of `some code`, (eq. 5) and
[a link](docs/guides/data.md). **Two.** Three

- four
- five
| six |
"""
    assert list(map(str.split, sentences(text))) == [
        ["One,", "of", "code,", "(eq", "5)", "and", "a", "link."],
        ["**Two."],
        ["Three"],
        ["four"],
        ["five"],
    ]


@pytest.mark.parametrize("path", GUIDES)
def test_guides_send_nobody_into_tests(path):
    for target in re.findall(r"\]\(([^)]+)\)", (ROOT / path).read_text(encoding="utf-8")):
        assert "tests/" not in target, target
