"""How the house is built: floors, names in and out, and what must not lie about."""

import ast
import graphlib
import importlib
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "weighbridge"

FLOORS = {  # from the ground up; what stands on a floor imports from floors below it, or from its own folder
    "words": "errors types version files watch stopping progress",
    "parts": "run_folder parts data",
    "crafts": "methods patches inspection trust report labelling render influence",
    "engine": "engine",
    "settings": "settings",
    "runs": "runs",
    "grids": "grids",
    "demo": "demo",
    "doors": "cli __init__",
}
FLOOR_OF = {room: floor for floor, rooms in enumerate(FLOORS.values()) for room in rooms.split()}
MATHEMATICS = {"parts." + name for name in ("class_ratios", "reversal", "schedules", "weights", "losses")}


def modules():
    """Dotted name below the package -> file; a folder's own file is called like the folder, the package's __init__."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)] = path
    return found


MODULES = modules()


def imports(path):
    """Every import in a file, inside functions too: a module of weighbridge, or @ and another package."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports by dots"
            package, _, inner = node.module.partition(".")
            if package != "weighbridge":
                yield "@" + package
                continue
            for name in node.names:
                joined = f"{inner}.{name.name}".lstrip(".")
                yield joined if joined in MODULES else inner or "__init__"
        elif isinstance(node, ast.Import):
            for name in node.names:
                package, _, inner = name.name.partition(".")
                yield (inner or "__init__") if package == "weighbridge" else "@" + package


INNER = {name: {other for other in imports(path) if not other.startswith("@")} for name, path in MODULES.items()}


def room(name):
    return "cli" if name == "__main__" else name.split(".")[0]  # `python -m weighbridge` is the command line's door


def test_every_room_has_its_floor():
    assert {room(name) for name in MODULES} == set(FLOOR_OF)


def test_no_import_runs_upwards():
    up = [
        f"{name} imports {other}"
        for name, others in INNER.items()
        for other in others
        if room(other) != room(name) and FLOOR_OF[room(other)] >= max(FLOOR_OF[room(name)], 1)  # words know words
    ]
    assert not up


def test_no_import_runs_in_a_circle():
    """A module that is imported runs the __init__ of its folders first, which counts."""
    needs = {}
    for name, others in INNER.items():
        folders = {".".join(other.split(".")[:k]) for other in others for k in range(1, other.count(".") + 1)}
        needs[name] = (others | folders) - {name, ".".join(name.split(".")[:-1])}
    graphlib.TopologicalSorter(needs).prepare()  # raises CycleError, which names the circle


def test_the_architecture_page_prints_these_floors():
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\w+) \| ((?:`\w+` ?)+)\|", page, flags=re.M)
    assert {floor: rooms.replace("`", "").strip() for floor, rooms in rows} == FLOORS


def test_a_class_name_stands_for_one_thing():
    names = [node.name for path in MODULES.values() for node in ast.walk(ast.parse(path.read_text())) if is_class(node)]
    assert len(names) == len(set(names)), {name for name in names if names.count(name) > 1}


def is_class(node):
    return isinstance(node, ast.ClassDef)


def test_tests_mirror_the_folders():
    folders = {path.name for path in PACKAGE.iterdir() if path.is_dir() and path.name != "__pycache__"}
    tested = {path.name for path in (ROOT / "tests").iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert tested - {"reference"} == folders


def test_settings_are_known_only_at_the_top():
    knowing = {room(name) for name in MODULES if any(room(other) == "settings" for other in INNER[name])}
    assert knowing == {"settings", "runs", "grids", "demo", "cli", "__init__"}


def test_methods_are_known_by_name_in_settings_alone():
    for name, others in INNER.items():
        named = {other for other in others if other.startswith("methods.") and other != "methods.base"}
        assert not named or room(name) == "settings", name


def test_mathematics_needs_torch_and_nothing_else():
    for name in MATHEMATICS:
        packages = {other for other in imports(MODULES[name]) if other.startswith("@")}
        assert packages <= {"@torch", "@math", "@typing", "@collections"}, name


def test_the_studio_and_the_words_it_uses_need_no_torch():
    for name in MODULES:
        if room(name) == "render" or name in ("watch", "files", "stopping"):
            assert "@torch" not in set(imports(MODULES[name])), name


def test_methods_know_no_files_no_engine_and_no_settings():
    for name in MODULES:
        if name.startswith("methods."):
            packages = {other for other in imports(MODULES[name]) if other.startswith("@")}
            assert packages <= {"@torch", "@typing", "@collections", "@abc", "@dataclasses", "@copy"}, name


@pytest.mark.parametrize("name", sorted(set(MODULES) - {"__main__", "__init__"}))
def test_what_a_file_exports_exists_is_sorted_and_is_explained(name):
    module = importlib.import_module(f"weighbridge.{name}")
    assert module.__doc__
    public = {
        node.name
        for node in ast.parse(MODULES[name].read_text()).body
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_")
    }
    commands = {
        "adapt",
        "compare",
        "demo",
        "earned",
        "evaluate",
        "figure",
        "inspect",
        "label",
        "patches",
        "predict",
        "render",
        "report",
    }
    said_only = len(ast.parse(MODULES[name].read_text()).body) == 1  # a folder's docstring
    exported = [] if said_only else module.__all__
    assert public - (commands if name == "cli.commands" else set()) <= set(exported)
    assert len(set(exported)) == len(exported)
    for word in exported:
        assert hasattr(module, word), word
        thing = getattr(module, word)
        if getattr(thing, "__module__", None) == module.__name__ and isinstance(thing, type):
            assert thing.__doc__, word


def committed():
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode and not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    assert listed.returncode == 0, listed.stderr  # a checkout that cannot be listed is not passed over
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def test_nothing_committed_names_an_index_or_a_place_of_one_machine():
    forbidden = re.compile(
        r"--(extra-)?index-url|find-links|files\.pythonhosted|pypi\.org/simple|/(?:home|root|work|opt)/\w"
    )
    for path in committed():
        if path.suffix in (".png", ".jpg", ".npz") or path == Path(__file__):
            continue
        hit = forbidden.search(path.read_text(encoding="utf-8"))
        assert hit is None, f"{path.relative_to(ROOT)}: {hit}"


def test_nothing_large_is_committed():
    for path in committed():
        assert path.stat().st_size < 300_000, path


def test_requirements_are_pinned_hashed_and_enough():
    tomllib = importlib.import_module("tomllib")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    text = (ROOT / "requirements.txt").read_text()
    pinned = set(re.findall(r"^([a-z0-9._-]+)==\S+ ", text, flags=re.M))
    extras = project["project"]["optional-dependencies"]
    wanted = [*project["project"]["dependencies"], *extras["parquet"], *extras["render"]]
    wanted += project["dependency-groups"]["dev"]
    names = {re.match(r"[A-Za-z0-9._-]+", entry)[0].lower().replace("_", "-") for entry in wanted}
    assert names <= pinned
    blocks = re.split(r"^(?=[a-z0-9])", text, flags=re.M)[1:]
    assert all("--hash=sha256:" in block for block in blocks)


def test_the_method_of_the_paper_fits_on_one_screen():
    lines = (PACKAGE / "methods" / "weighted_dann.py").read_text().splitlines()
    assert len(lines) <= 90
