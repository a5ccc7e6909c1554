"""What users read when something is wrong, or when they ask for help: short sentences, and every default is named."""

import ast
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

from weighbridge.cli.commands import app
from weighbridge.settings.described import sections

PACKAGE = Path(__file__).parents[2] / "src" / "weighbridge"
COMMANDS = (
    *("adapt", "compare", "demo", "earned", "evaluate", "figure", "inspect", "label", "patches", "predict", "render"),
    "report",
)
MOST_WORDS = 35  # in a sentence
HARD = (" that of ", ", of which")
NOTHING = {  # options that do nothing where they are left out, so that they have no default to name
    *("--source", "--target", "--out", "--evaluation", "--config", "--resume", "--grid", "FOLDERS", "PATHS"),
    *("--masks", "--mask-classes", "--coco", "--recipe", "--sheet"),
    "--offline",
}


def is_message(call):
    """Whether a call is given words for users: an error, a warning, or a line beside the progress bars."""
    function = ast.unparse(call.func).split(".")[-1]
    return bool(re.fullmatch(r"\w+(Error|Interrupt)|Unusable|Skipped|Rejected|warn|tell|_stop", function))


def said(node):
    """The words of a string in code, with a stand-in for each value that is put in; "" for anything else."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(part.value if isinstance(part, ast.Constant) else "VALUE" for part in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return said(node.left) + said(node.right)
    if isinstance(node, ast.IfExp):
        return max(said(node.body), said(node.orelse), key=len)
    return ""


def messages(tree):
    """(line, words) of every message and every help text in a module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            given = [*node.args] if is_message(node) else []
            given += [keyword.value for keyword in node.keywords if keyword.arg == "help"]
            yield from ((node.lineno, words) for words in map(said, given) if " " in words)


def sentences(words):
    return re.split(r"[.?!](?= |\n|$)", words)


def faults(words):
    """What makes a message hard to read."""
    found = [f"has '{hard}'" for hard in HARD if hard in words]
    return found + [
        f"{len(sentence.split())} words: {sentence.strip()}"
        for sentence in sentences(words)
        if len(sentence.split()) > MOST_WORDS
    ]


def test_messages_are_found_and_hard_ones_are_told():
    code = "\n".join(
        (
            "raise DataError(f'{x} holds ' + 'nothing')",
            "watch.tell('a share' if x else 'the mean, of which nobody knows')",
            "Parameter(help='the default is that of the paper')",
            "print('that of no concern')",
        )
    )
    found = [words for _, words in messages(ast.parse(code))]
    assert found == ["VALUE holds nothing", "the mean, of which nobody knows", "the default is that of the paper"]
    assert [bool(faults(words)) for words in found] == [False, True, True]
    assert not faults("word " * 35)
    assert faults("word " * 36)
    assert not faults("word " * 20 + "stop. " + "word " * 20)


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_messages_are_short_and_plain(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert not [f"line {line}: {fault}" for line, words in messages(tree) for fault in faults(words)]


def test_there_are_messages_to_look_at():
    found = [words for path in PACKAGE.rglob("*.py") for _, words in messages(ast.parse(path.read_text()))]
    assert len(found) > 200


@pytest.mark.parametrize("setting", [setting for section in sections() for setting in section.settings], ids=str)
def test_settings_are_explained_in_short_and_plain_words(setting):
    assert not faults(setting.help)


# ---- help ----


def arguments(command):
    """Every argument of a command, as cyclopts has it."""
    return app[command].assemble_argument_collection()


def shown_rows(command):
    """Name of an argument -> its row of --help, of one line each."""
    environment = {"COLUMNS": "2000", "PATH": "", "PYTHONPATH": str(PACKAGE.parent), "PYTHONIOENCODING": "utf-8"}
    words = [sys.executable, "-m", "weighbridge", command, "--help"]
    text = subprocess.run(words, env=environment, capture_output=True, encoding="utf-8", check=True).stdout
    rows = re.findall(r"^│ (?:\* )? *((?:[A-Z]+ )?(?:--[\w-]+|[A-Z]+))\b(.*)│$", text, flags=re.M)
    return {name.split()[-1]: row for name, row in rows}


@pytest.mark.parametrize("command", COMMANDS)
def test_help_explains_every_option_and_names_its_default(command):
    rows = shown_rows(command)
    for argument in arguments(command):
        if not argument.parse or not argument.show:
            continue
        name = argument.name if argument.name in rows else argument.name.lstrip("-").upper()
        row = rows[name]
        assert argument.parameter.help, name
        if argument.required or name in NOTHING:
            continue
        assert "default" in row.lower(), f"{command} {name} does not say its default: {row.strip()}"


def test_every_command_is_looked_at_and_described_in_one_sentence():
    named = {name for name in app if not name.startswith("-")}
    assert named == set(COMMANDS)
    for name in COMMANDS:
        (line,) = inspect.getdoc(app[name].default_command).splitlines()
        assert line.count(".") == 1, line
        assert ";" not in line, line
        assert line.endswith("."), line
        assert not faults(line)
