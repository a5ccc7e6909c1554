"""How the house is built: floors, names in and out, and what must not lie about."""

import ast
import importlib
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "weighbridge"

FLOORS = [
    {"errors", "types"},
    {"label_shift", "reversal", "schedules", "weights", "losses"},
    {"class_ratios", "networks", "optim", "machine", "runs"},
    {"data." + name for name in ("arrays", "decode", "digits", "strong", "splits", "walk")},
    {"data.transforms"},
    {"likelihoods", "data.layouts", "data.patch_labels"},
    {"data.index", "data.patches"},
    {"data.columns", "data.squares"},
    {"data.images"},
    {"data.cache"},
    {"data.domains"},
    {"data.pairs"},
    {"inspection.looks", "inspection.names", "inspection.wording"},
    {"inspection.cues", "inspection.records"},
    {"inspection.advice", "inspection.domain", "inspection.duplicates", "inspection.sheet", "inspection.terminal"},
    {"inspection"},
    {"render.scene", "render.recipe", "render.probe", "render.shapes.draw"},
    {"render.family", "render.raster", "render.sensor", "render.solids", "render.textures"},
    {"render.shapes." + name for name in ("furniture", "hardware", "household", "kitchen", "tools")},
    {"render.meshes", "render.plates", "render.realtime", "render.shapes"},
    {"render.characters", "render.objects", "render.pathtraced", "render.signs"},
    {"render.painter"},
    {"render.sheet", "render.studio"},
    {"methods.base"},
    {"methods." + name for name in ("source_only", "dann", "adda", "weighted_dann")},
    {
        "methods." + name
        for name in ("mcc", "dann_mcc", "iwdan_mcc", "mean_teacher", "self_training", "iwdan_self_training")
    },
    {"checkpoint", "evaluate"},
    {"engine"},
    {"tables", "progress", "comparison", "figures"},
    {"grid_tables"},
    {"grid_figures"},
    {"report"},
    {"config"},
    {"build", "grid", "spread"},
    {"trained", "training"},
    {"harness"},
    {"compare"},
    {"demo"},
    {"cli"},
    {"__main__"},
]
FLOOR_OF = {name: number for number, names in enumerate(FLOORS) for name in names}
NO_FLOOR = {"", "data", "methods", "render"}  # the packages themselves
MATHEMATICS = {"label_shift", "reversal", "schedules", "weights", "losses"}


def modules():
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        name = ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
        found[name.removesuffix("__init__").rstrip(".") if name != "__main__" else name] = path
    return found


def imports(path):
    """(module of weighbridge or other package, whether at the top) for every import in a file."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "weighbridge":
            inner = node.module.removeprefix("weighbridge").lstrip(".")
            for name in node.names:
                joined = f"{inner}.{name.name}".lstrip(".")
                yield joined if joined in modules() else inner
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield "@" + node.module.split(".")[0]
        elif isinstance(node, ast.Import):
            for name in node.names:
                yield "@" + name.name.split(".")[0]


def test_every_file_has_its_floor():
    assert set(modules()) - NO_FLOOR == set(FLOOR_OF)


@pytest.mark.parametrize("name", sorted(set(FLOOR_OF)))
def test_a_file_imports_only_from_floors_below(name):
    for other in imports(modules()[name]):
        if not other.startswith("@") and other not in NO_FLOOR:
            assert FLOOR_OF[other] < FLOOR_OF[name], f"{name} imports {other}"


def test_settings_are_known_only_at_the_top():
    knowing = {name for name, path in modules().items() if "config" in imports(path)}
    assert knowing == {"", "build", "grid", "trained", "training", "harness", "compare", "demo", "cli"}


def test_mathematics_needs_torch_and_nothing_else():
    for name in MATHEMATICS:
        packages = {other for other in imports(modules()[name]) if other.startswith("@")}
        assert packages <= {"@torch", "@math", "@typing", "@collections"}, name


def test_the_studio_needs_no_torch():
    for name in modules():
        if name.startswith("render."):
            assert "@torch" not in set(imports(modules()[name])), name


def test_methods_know_no_files_no_engine_and_no_settings():
    for name in modules():
        if name.startswith("methods."):
            packages = {other for other in imports(modules()[name]) if other.startswith("@")}
            assert packages <= {"@torch", "@typing", "@collections", "@abc", "@dataclasses", "@copy"}, name


@pytest.mark.parametrize("name", sorted(set(FLOOR_OF) - {"__main__"}))
def test_what_a_file_exports_exists_is_sorted_and_is_explained(name):
    module = importlib.import_module(f"weighbridge.{name}")
    exported = module.__all__
    assert module.__doc__
    assert len(set(exported)) == len(exported)
    for word in exported:
        assert hasattr(module, word), word
        thing = getattr(module, word)
        if getattr(thing, "__module__", None) == module.__name__ and isinstance(thing, type):
            assert thing.__doc__, word
    public = {
        node.name
        for node in ast.parse(modules()[name].read_text()).body
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_")
    }
    commands = {"adapt", "compare", "demo", "evaluate", "figure", "inspect", "patches", "predict", "render", "report"}
    assert public - (commands if name == "cli" else set()) <= set(exported)


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
