"""What a grid is: methods x sources x targets x seeds, from one TOML file or from a single comparison's options."""

__all__ = [
    "Grid",
    "Primary",
    "Row",
    "Task",
    "grid_of",
    "method_row",
    "pre_classifier_settings",
    "read_grid",
]

import dataclasses
import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from weighbridge.errors import ConfigError, did_you_mean
from weighbridge.report.summary import BEST_CONTROL
from weighbridge.settings.catalogue import DEFAULT_METHODS, entry_of
from weighbridge.settings.config import Config, from_mapping, read_toml
from weighbridge.settings.recipes import recipe_of

_KEYS = ("title", "seeds", "methods", "sources", "targets", "evaluations", "settings", "variants", "skip", "primary")
_OF_A_SINGLE_RUN = {  # setting -> what says it in a comparison and in a grid
    "method": ("--methods", "methods"),
    "weighting": ("--methods METHOD:WEIGHTING", "methods with METHOD:WEIGHTING"),
    "seed": ("--seeds", "seeds"),
}


@dataclass(frozen=True)
class Task:
    """One source with one target.

    Attributes:
        folder: of its runs, below that of the grid; "" if they are the same, in a comparison.
    """

    source_name: str
    target_name: str
    source: tuple[Path, ...]
    target: Path
    folder: str = ""

    @property
    def name(self) -> str:
        return f"{self.source_name} to {self.target_name}"


@dataclass(frozen=True)
class Row:
    """One line of the table: a method, or a variant, which is a method with settings of its own.

    Attributes:
        config: its settings; the seed in it means nothing.
        shown: what tables call it.
        home: folder of the pre-classifier that it shares with other rows of its task and seed, or of the source-only
            run that it reads.
    """

    name: str
    config: Config
    shown: str
    variant: bool = False
    home: str = "pre-classifier"

    @property
    def folder(self) -> str:
        return re.sub("[:@]", "-", self.name)


@dataclass(frozen=True)
class Primary:
    """The one contrast that is named before anything is trained. All others are exploratory.

    Attributes:
        method: name of a row.
        control: name of another row, or `BEST_CONTROL`.
        margin: the largest loss in points that would not count as harm.
    """

    method: str
    control: str
    margin: float


@dataclass(frozen=True)
class Grid:
    """Every row of every task over the same seeds.

    Attributes:
        evaluations: name -> labelled images on which every model is tested, after all training.
        sources: name -> paths; of a grid from a file, all of it, whether a task uses them or not.
    """

    title: str
    seeds: tuple[int, ...]
    rows: tuple[Row, ...]
    tasks: tuple[Task, ...]
    evaluations: dict[str, Path] = field(default_factory=dict)
    sources: dict[str, tuple[Path, ...]] = field(default_factory=dict)
    primary: Primary | None = None

    def seen(self, task: Task, evaluation: str) -> str:
        """What the models of a task saw of the domain of an evaluation: "source", "target" or "unseen".

        Names tell: an evaluation belongs to the source or target of its name. So do paths, where they are the same, and
        a source that is a part of the task's. In a comparison paths alone tell: what is not its source is its target.
        """
        path, source = self.evaluations[evaluation].resolve(), {path.resolve() for path in task.source}
        if not task.folder:
            return "source" if path in source else "target"
        parts = {name for name, paths in self.sources.items() if {path.resolve() for path in paths} <= source}
        if evaluation in {task.source_name, *parts} or path in source:
            return "source"
        return "target" if evaluation == task.target_name or path == task.target.resolve() else "unseen"

    def fingerprint(self) -> str:
        """A hash over all that decides which runs there are and what each of them does."""
        runs = {row.name: row.config.settled() for row in self.rows}
        tasks = [[task.name, *map(str, task.source), str(task.target)] for task in self.tasks]
        text = json.dumps([runs, tasks, self.seeds, sorted(self.evaluations)], sort_keys=True)
        return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:16]


def method_row(name: str, config: Config) -> Row:
    """The row of `METHOD`, `METHOD:WEIGHTING` or `METHOD@RECIPE`, such as `adda:paper` or `dann@caffe`.

    The settings of a recipe take the place of those of the config.

    Raises:
        ConfigError: if there is no such method, weighting or recipe.
    """
    if "@" in name:
        recipe = recipe_of(name)
        shown = f"{entry_of(recipe.method).shown}, {recipe.shown}"
        own = config.replace(**recipe.own_length, **recipe.settings, method=recipe.method, weighting="default")
        return Row(name, own, shown, variant=True)
    method, _, weighting = name.partition(":")
    entry = entry_of(method)
    shown = f"{entry.shown}, {weighting}" if weighting else entry.shown
    return Row(name, config.replace(method=method, weighting=weighting or "default"), shown)


def grid_of(
    source: Sequence[Path],
    target: Path,
    config: Config,
    *,
    methods: Sequence[str],
    seeds: Sequence[int],
    evaluation: Path | None,
    title: str,
) -> Grid:
    """The grid of a single task, whose runs lie in the grid's own folder.

    Raises:
        ConfigError: for methods, settings and seeds that cannot be compared.
    """
    rows = _with_homes([method_row(name, config) for name in dict.fromkeys(methods)], config)
    for key, (instead, _) in _OF_A_SINGLE_RUN.items():
        value = getattr(config, key)
        if value != getattr(Config(), key):
            raise ConfigError(f"a comparison cannot set {key} = {value!r}, which is for single runs. Use {instead}")
    if not seeds:
        raise ConfigError("a comparison needs at least one seed, got none. Take five or more")
    task = Task("source", target.name, tuple(source), target)
    evaluations = {evaluation.name: evaluation} if evaluation else {}
    return Grid(title, tuple(seeds), rows, (task,), evaluations)


def read_grid(path: Path) -> Grid:
    """The grid in a TOML file; docs/guides/comparing.md explains its keys.

    Relative paths start at the folder of the file.

    Raises:
        ConfigError: for a key that does not exist, for what is missing, and for a name that cannot name a folder.
    """
    values, where = read_toml(path), f"in '{path}'"
    for key in values:
        if key not in _KEYS:
            raise ConfigError(f"a grid has no key '{key}' ({where}). {did_you_mean(key, _KEYS)}")
    for key in ("sources", "targets"):
        if not values.get(key):
            raise ConfigError(f'expected a table [{key}] {where}, such as: [{key}] and below it photos = "photos"')
    sources, targets, evaluations = (
        {name: _paths(name, entry, path, key) for name, entry in _table(values, key, where).items()}
        for key in ("sources", "targets", "evaluations")
    )
    for key, entries in (("targets", targets), ("evaluations", evaluations)):
        for name, paths in entries.items():
            if len(paths) > 1:
                raise ConfigError(f"{key}.{name} must be one path, got {len(paths)} ({where})")
    seeds = _seeds(values.get("seeds", 5), where)
    rows = _rows(values, where)
    tasks = _tasks(sources, {name: paths[0] for name, paths in targets.items()}, values.get("skip", []), where)
    title = values.get("title", path.stem)
    if not isinstance(title, str):
        raise ConfigError(f"title must be text, got {title!r} ({where})")
    tests = {name: paths[0] for name, paths in evaluations.items()}
    grid = Grid(title, seeds, rows, tasks, tests, sources)
    return dataclasses.replace(grid, primary=_primary(values, grid, where))


def _table(values: Mapping[str, Any], key: str, where: str) -> Mapping[str, Any]:
    table = values.get(key, {})
    if not isinstance(table, dict):
        raise ConfigError(f"{key} must be a table, [{key}], got {table!r} ({where})")
    return table


def _paths(name: str, entry: Any, file: Path, key: str) -> tuple[Path, ...]:
    _refuse_no_folder_name(name, f"{key} in '{file}'")
    entries = entry if isinstance(entry, list) else [entry]
    if not entries or not all(isinstance(part, str) and part for part in entries):
        raise ConfigError(f"{key}.{name} must be a path or a list of paths, got {entry!r} (in '{file}')")
    return tuple(file.parent / part for part in entries)


def _seeds(entry: Any, where: str) -> tuple[int, ...]:
    """A count, or the seeds themselves."""
    seeds = list(range(entry)) if type(entry) is int else entry
    if not isinstance(seeds, list) or not all(type(seed) is int and seed >= 0 for seed in seeds):
        raise ConfigError(f"seeds must be a number of seeds or a list of seeds, got {entry!r} ({where})")
    if not seeds:
        raise ConfigError(f"a grid needs at least one seed, got none ({where}). Take five or more")
    return tuple(dict.fromkeys(seeds))


def _rows(values: Mapping[str, Any], where: str) -> tuple[Row, ...]:
    settings = _table(values, "settings", where)
    for key, (_, instead) in _OF_A_SINGLE_RUN.items():
        if key in settings:
            raise ConfigError(f"a grid cannot set {key}, which is for single runs ({where}). Use {instead}")
    # The method that asks least: what the others ask for besides is said in the name of their own rows.
    config = from_mapping({**settings, "method": "source-only"}, where=f"[settings] {where}")
    methods = values.get("methods", list(DEFAULT_METHODS))
    if not isinstance(methods, list) or not all(isinstance(name, str) for name in methods):
        raise ConfigError(f"methods must be a list such as ['source-only', 'dann'], got {methods!r} ({where})")
    rows = [method_row(name, config) for name in dict.fromkeys(methods)]
    for name, changes in _table(values, "variants", where).items():
        rows.append(_variant(name, changes, settings, where))
    if not rows:
        raise ConfigError(f"a grid needs at least one method, got none ({where})")
    _refuse_same_folders((row.folder for row in rows), where)
    if any(row.config.processes > 1 for row in rows):
        raise ConfigError(
            f"a grid cannot set processes, which is for single runs ({where}). Use --jobs to train runs at once"
        )
    kinds = sorted({row.config.precision for row in rows})
    if len(kinds) > 1:
        raise ConfigError(
            f"a table cannot mix precisions, got {' and '.join(kinds)} ({where}). Set precision below [settings] alone"
        )
    return _with_homes(rows, config)


def _variant(name: str, changes: Any, settings: Mapping[str, Any], where: str) -> Row:
    _refuse_no_folder_name(name, f"variants {where}")
    if not isinstance(changes, dict) or not isinstance(changes.get("method"), str):
        raise ConfigError(f"[variants.{name}] needs a method, and settings such as strength = 0.1 ({where})")
    if "seed" in changes:
        raise ConfigError(f"[variants.{name}] cannot set seed: all rows share the seeds of the grid ({where})")
    row = method_row(changes["method"], Config())
    recipe: dict[str, Any] = {}
    if "@" in changes["method"]:
        named = recipe_of(changes["method"])
        recipe = {**named.own_length, **named.settings}
    own = {**settings, "weighting": row.config.weighting, **recipe, **changes, "method": row.config.method}
    return Row(name, from_mapping(own, where=f"[variants.{name}] {where}"), name, variant=True)


def pre_classifier_settings(config: Config) -> dict[str, Any]:
    """All that a pre-classifier depends on: where it is the same, so is the pre-classifier."""
    settings = config.upto("pre-classifier").settled()
    return {name: value for name, value in settings.items() if name != "pre_steps" or config.pre_epochs is None}


def _primary(values: Mapping[str, Any], grid: Grid, where: str) -> Primary | None:
    """The contrast in [primary], of two rows by their names."""
    if "primary" not in values:
        return None
    entry = _table(values, "primary", where)
    if set(entry) != {"method", "control", "margin"}:
        raise ConfigError(
            f"[primary] needs method, control and margin, found {', '.join(entry) or 'nothing'} ({where}). "
            f"Write such as: method = 'iwdan-self-training', control = '{BEST_CONTROL}', margin = 1.0"
        )
    rows = grid.rows
    names = [row.name for row in rows]
    method, control, margin = entry["method"], entry["control"], entry["margin"]
    for name, known in ((method, names), (control, [*names, BEST_CONTROL])):
        if name not in known:
            raise ConfigError(f"[primary] names '{name}', which is no row ({where}). {did_you_mean(str(name), known)}")
    if method == control:
        raise ConfigError(f"[primary] compares '{method}' with itself ({where}). Name another control")
    if control == BEST_CONTROL and next(row for row in rows if row.name == method).config.entry.control:
        raise ConfigError(f"[primary] holds the control '{method}' against the best control ({where}). Name a method")
    tables = sum(grid.seen(task, name) == "target" for task in grid.tasks for name in grid.evaluations)
    if tables > 1:
        raise ConfigError(
            f"[primary] names one contrast, and this grid tests on a target {tables} times ({where}). "
            "Leave one task and one evaluation, or leave [primary] out"
        )
    if not any(row.config.entry.control for row in rows) and control == BEST_CONTROL:
        raise ConfigError(f"[primary] names the best control, and no row is a control ({where}). Add source-only")
    if type(margin) not in (int, float) or not 0 < margin < 100:
        raise ConfigError(
            f"[primary] margin must be a number of points above 0 and below 100, got {margin!r} ({where})"
        )
    return Primary(method, control, float(margin))


def _with_homes(rows: Iterable[Row], config: Config) -> tuple[Row, ...]:
    """Rows whose pre-classifiers would come out the same share one; those of other settings lie beside it.

    A control that reads a source-only run reads that of the row with its settings, where there is one.
    """
    rows = list(rows)
    homes = {tuple(pre_classifier_settings(config).items()): "pre-classifier"}
    source_only = {_run_settings(row.config): row.folder for row in rows if row.config.method == "source-only"}
    placed = []
    for row in rows:
        other = f"pre-classifier-{row.folder}"
        if row.config.entry.start == "source-only":
            home = source_only.setdefault(_run_settings(row.config.replace(method="source-only")), other)
        else:
            home = homes.setdefault(tuple(pre_classifier_settings(row.config).items()), other)
        placed.append(dataclasses.replace(row, home=home))
    return tuple(placed)


def _run_settings(config: Config) -> tuple[tuple[str, Any], ...]:
    return tuple(config.read_settings().items())


def _tasks(
    sources: Mapping[str, tuple[Path, ...]], targets: Mapping[str, Path], skip: Any, where: str
) -> tuple[Task, ...]:
    """Every source with every target but the one of its own name, and those left out."""
    if not isinstance(skip, list) or not all(isinstance(pair, list) and len(pair) == 2 for pair in skip):
        raise ConfigError(f"skip must be a list of pairs such as [['realtime', 'photos']], got {skip!r} ({where})")
    for source, target in skip:
        for name, known, key in ((source, sources, "sources"), (target, targets, "targets")):
            if name not in known:
                raise ConfigError(
                    f"skip names '{name}', which is not in [{key}] ({where}). {did_you_mean(str(name), known)}"
                )
    tasks = [
        Task(source, target, paths, path, f"{source}-to-{target}")
        for source, paths in sources.items()
        for target, path in targets.items()
        if source != target and [source, target] not in skip
    ]
    if not tasks:
        raise ConfigError(
            f"no pair of a source and a target of another name is left ({where}). Add one, or shorten skip"
        )
    _refuse_same_folders((task.folder for task in tasks), where)
    return tuple(tasks)


def _refuse_no_folder_name(name: str, where: str) -> None:
    fits = re.fullmatch(r"\w[\w.+-]*", name) and not name.endswith(".part") and not name.startswith("pre-classifier")
    if not fits:
        raise ConfigError(
            f"'{name}' cannot be the name of a folder ({where}). Use letters, digits and -_+. as in 'low-strength', "
            f"with no pre-classifier at the start and no .part at the end"
        )


def _refuse_same_folders(folders: Iterable[str], where: str) -> None:
    seen = set[str]()
    for folder in folders:
        if folder in seen:
            raise ConfigError(f"two entries would share the folder '{folder}' ({where}). Rename one of them")
        seen.add(folder)
