"""`run`, the one script that a fresh machine needs."""

import ast
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_it_needs_the_standard_library_alone():
    tree = ast.parse((ROOT / "run").read_text())
    names = {alias.name.split(".")[0] for n in ast.walk(tree) if isinstance(n, ast.Import) for alias in n.names}
    names |= {n.module.split(".")[0] for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
    assert names <= sys.stdlib_module_names


def test_its_help_sets_nothing_up(tmp_path):
    (tmp_path / "run").write_bytes((ROOT / "run").read_bytes())
    done = subprocess.run([sys.executable, tmp_path / "run", "--help"], capture_output=True, text=True)
    assert done.returncode == 0
    assert "./run demo" in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_ci_calls_the_command_of_the_readme():
    assert (ROOT / ".ci" / "run").read_text().splitlines()[-1] == "./run test"
