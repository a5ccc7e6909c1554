"""How the package is built, in numbers: rooms, floors, import arrows, long functions, words of the README.

    python benchmarks/structure.py [CHECKOUT]

A room is a file or folder at the top of the package. An arrow is an import of one room by another, counted once. A
floor is a step of the longest chain of arrows. Lines of a function are counted without its docstring.
"""

import ast
import graphlib
import statistics
import sys
from pathlib import Path

ROOT = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parents[1])
PACKAGE = ROOT / "src" / "weighbridge"


def room(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(tree):
    """Rooms that a file imports, inside functions too."""
    rooms = {p.stem if p.suffix == ".py" else p.name for p in PACKAGE.iterdir()}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "weighbridge":
            inner = node.module.split(".")[1:]
            names = [inner[0]] if inner else [alias.name for alias in node.names]
            yield from (name if name in rooms else "__init__" for name in names)
        elif isinstance(node, ast.Import):
            yield from ("__init__" for alias in node.names if alias.name == "weighbridge")


def floors(arrows):
    """Steps of the longest chain of arrows. The package's own `__init__`, which all may import, is left out."""
    below = {}
    for one, other in arrows:
        if "__init__" not in (one, other):
            below.setdefault(one, set()).add(other)
    return len(list(levels(graphlib.TopologicalSorter(below))))


def levels(sorter):
    sorter.prepare()
    while sorter.is_active():
        ready = sorter.get_ready()
        yield ready
        sorter.done(*ready)


def main():
    trees = {path: ast.parse(path.read_text(encoding="utf-8")) for path in sorted(PACKAGE.rglob("*.py"))}
    arrows = {(room(path), other) for path, tree in trees.items() for other in imported(tree) if other != room(path)}
    functions = []
    for path, tree in trees.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef):
                said = ast.get_docstring(node, clean=False)
                lines = node.end_lineno - node.body[0].lineno + 1
                lines -= 0 if said is None else node.body[0].end_lineno - node.body[0].lineno + 1
                functions.append((lines, f"{path.relative_to(PACKAGE)}:{node.name}"))
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    print(f"python files at the top of the package  {len(list(PACKAGE.glob('*.py')))}")
    print(f"rooms                                   {len({room(path) for path in trees})}")
    print(f"floors                                  {floors(arrows)}")
    print(f"import arrows between rooms             {len(arrows)}")
    print(
        f"files, lines of the package             {len(trees)}, {sum(len(p.read_text().splitlines()) for p in trees)}"
    )
    print(f"median lines of a function              {statistics.median(lines for lines, _ in functions):g}")
    print(f"words, lines of the README              {len(readme.split())}, {len(readme.splitlines())}")
    print("longest functions:")
    for lines, name in sorted(functions, reverse=True)[:8]:
        print(f"{lines:6}  {name}")


if __name__ == "__main__":
    main()
