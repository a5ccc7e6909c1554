"""Tables over a grid: every task and evaluation in Markdown, CSV and JSON, and one source against another."""

__all__ = [
    "SEEN",
    "Sources",
    "View",
    "accuracies_by_seed",
    "as_grid",
    "differences_csv",
    "read_results",
    "sources_markdown",
    "sources_table",
    "views",
    "write_grid_tables",
]

import csv
import dataclasses
import io
import itertools
import json
import statistics
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from weighbridge.comparison import (
    CSV_SIZES,
    Sizes,
    Summary,
    csv_rows,
    csv_sizes,
    findings,
    how_it_was_made,
    markdown_table,
    mean_and_deviation,
    one_task,
    paired_by_seed,
    sampling_error,
    signed,
    sizes_in_words,
    sizes_of,
    summarise,
)
from weighbridge.errors import RunFolderError, did_you_mean
from weighbridge.runs import replace_text, write_json

SEEN = {"source": "source domain", "target": "target domain", "unseen": "a domain never seen in training"}


@dataclass(frozen=True)
class View:
    """One task, tested on one evaluation.

    Attributes:
        evaluation: as in results.json: name, images, seen, trained_on; None where there is none.
    """

    task: Mapping[str, Any]
    evaluation: Mapping[str, Any] | None
    summary: Summary

    @property
    def findings(self) -> list[str]:
        """The table in words; on the source domain there is nothing to adapt to, and nothing is said."""
        if self.evaluation is not None and self.evaluation["seen"] == "source":
            return []
        return findings(self.summary)

    @property
    def heading(self) -> str:
        """Such as "tested on photos: target domain, 240 images"."""
        if self.evaluation is None:
            return "not tested: there are no labelled images"
        same = ", the very images that were trained on" if self.evaluation["trained_on"] else ""
        entry = self.evaluation
        return f"tested on {entry['name']}: {SEEN[entry['seen']]}, {entry['images']:,} images{same}"


@dataclass(frozen=True)
class Sources:
    """Which source does best on one target.

    Attributes:
        columns: what the rows are called.
        methods: of each of them.
        accuracies: source -> method -> seed -> accuracy in percent.
        sizes: source -> images that were trained with.
        made: which labels were read, seeds and command, in Markdown.
    """

    target: str
    evaluation: str
    images: int
    columns: tuple[str, ...]
    methods: tuple[str, ...]
    accuracies: dict[str, dict[str, dict[int, float]]]
    sizes: dict[str, Sizes]
    made: str


def read_results(folder: Path) -> dict[str, Any]:
    """results.json of a grid, or that of a comparison as a grid of one task.

    Args:
        folder: of a comparison or grid, or a copy of its results.json under any name.

    Raises:
        RunFolderError: if there is none.
    """
    file = folder if folder.is_file() else folder / "results.json"
    try:
        return as_grid(json.loads(file.read_text(encoding="utf-8")))
    except OSError as error:
        raise RunFolderError(f"expected a finished comparison or grid (results.json) in '{folder}'") from error
    except (ValueError, KeyError, TypeError) as error:
        raise RunFolderError(f"'{file}' holds no results of a comparison or grid") from error


def as_grid(results: Mapping[str, Any]) -> dict[str, Any]:
    """Results of a comparison as those of a grid with one task and at most one evaluation."""
    if "tasks" in results:
        return dict(results)
    task, tested = results["task"], results["task"]["evaluation"]
    evaluations = [{**tested, "seen": "target", "trained_on": False}] if tested else []
    rows = []
    for row in results["rows"]:
        runs = [
            {**run, "accuracies": {tested["name"]: run["accuracy"]} if tested and run["accuracy"] is not None else {}}
            for run in row["runs"]
        ]
        rows.append({**row, "runs": runs})
    source = " + ".join(entry["name"] for entry in task["source"])
    names = {
        "source_name": source,
        "target_name": task["target"]["name"],
        "name": f"{source} to {task['target']['name']}",
    }
    return {**results, "tasks": [{**task, **names, "evaluations": evaluations, "rows": rows}]}


def views(results: Mapping[str, Any]) -> Iterator[View]:
    """Every task with every evaluation, in the order of the file."""
    for task in results["tasks"]:
        for evaluation in task["evaluations"] or [None]:
            name = evaluation and evaluation["name"]
            yield View(task, evaluation, summarise(one_task(results, task, name)))


def write_grid_tables(folder: Path) -> None:
    """table.md, table.csv, differences.csv and summary.json from results.json."""
    results = read_results(folder)
    replace_text(folder / "differences.csv", differences_csv(results))
    seen = list(views(results))
    replace_text(folder / "table.md", _markdown(results, seen))
    replace_text(folder / "table.csv", _csv(seen))
    entries = [
        {
            "task": view.task["name"],
            "evaluation": view.evaluation,
            "findings": view.findings,
            **dataclasses.asdict(view.summary),
        }
        for view in seen
    ]
    about = {key: results[key] for key in ("title", "command", "labels")}
    write_json(folder / "summary.json", {**about, "tables": entries})


def _markdown(results: Mapping[str, Any], seen: list[View]) -> str:
    lines, before = [f"# {results['title']}\n"], None
    for view in seen:
        if view.task is not before:
            before = view.task
            lines.append(f"## {view.task['name']}\n")
        lines.append(f"### {view.heading[0].upper()}{view.heading[1:]}\n\n{markdown_table(view.summary)}")
    return "\n".join([*lines, how_it_was_made(results)])


def _csv(seen: list[View]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    for number, view in enumerate(seen):
        header, *rows = csv_rows(view.summary)
        entry = view.evaluation or {"name": "", "seen": "", "images": "", "trained_on": ""}
        error = view.summary.sampling_error
        about = [view.task["source_name"], view.task["target_name"]]
        about += [entry["name"], entry["seen"], entry["images"], "" if error is None else f"{error:.4f}"]
        about += csv_sizes(view.summary)
        if number == 0:
            where = ["source", "target", "evaluation", "seen", "images", "sampling_error", *CSV_SIZES]
            writer.writerow([*where, *header])
        writer.writerows([*about, *row] for row in rows)
    return text.getvalue()


def differences_csv(results: Mapping[str, Any]) -> str:
    """Every row less every other of its task, paired seed by seed, on every evaluation: points, 95 % t intervals."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["source", "target", "evaluation", "row", "less", "seeds", "difference", "low", "high"])
    for task in results["tasks"]:
        for name in [entry["name"] for entry in task["evaluations"]]:
            accuracies = {row["name"]: accuracies_by_seed(row, name) for row in task["rows"]}
            for (row, ours), (other, theirs) in itertools.permutations(accuracies.items(), 2):
                interval = paired_by_seed(ours, theirs)
                if interval is None:
                    continue
                edges = ["" if v is None else f"{v:.4f}" for v in (interval.mean, interval.low, interval.high)]
                writer.writerow([task["source_name"], task["target_name"], name, row, other, interval.n, *edges])
    return text.getvalue()


def accuracies_by_seed(row: Mapping[str, Any], evaluation: str) -> dict[int, float]:
    """seed -> accuracy in percent, without the seeds that diverged."""
    finished = [run for run in row["runs"] if run["diverged_at"] is None]
    return {run["seed"]: 100 * run["accuracies"][evaluation] for run in finished}


def sources_table(results: Mapping[str, Any], target: str | None = None, evaluation: str | None = None) -> Sources:
    """Sources against each other on one target (Osumi et al. 2019, table 1).

    Args:
        target: name of a target; may be left out where there is one.
        evaluation: name of an evaluation; that of the target's name, or the only one, if not given.

    Raises:
        RunFolderError: if there are no such tasks or evaluations.
    """
    targets = list(dict.fromkeys(task["target_name"] for task in results["tasks"]))
    target = _chosen(target, targets, "target")
    tasks = [task for task in results["tasks"] if task["target_name"] == target]
    tested = {entry["name"]: entry for entry in tasks[0]["evaluations"]}
    seen = [name for name, entry in tested.items() if entry["seen"] == "target"]
    evaluation = _chosen(evaluation or (seen[0] if seen else None), list(tested), "evaluation")
    accuracies = {
        task["source_name"]: {row["name"]: accuracies_by_seed(row, evaluation) for row in task["rows"]}
        for task in tasks
    }
    columns, methods = (tuple(row[key] for row in tasks[0]["rows"]) for key in ("name", "method"))
    return Sources(
        target=target,
        evaluation=evaluation,
        images=tested[evaluation]["images"],
        columns=columns,
        methods=methods,
        accuracies=accuracies,
        sizes={task["source_name"]: sizes_of(task) for task in tasks},
        made=how_it_was_made(results),
    )


def sources_markdown(table: Sources) -> str:
    """Accuracies, a row per source, and what each source is worth against the first, seed by seed."""
    first, *others = table.accuracies
    lines = [["source", *table.columns], ["---", *["---:"] * len(table.columns)]]
    for source, methods in table.accuracies.items():
        lines.append([source, *(_cell(methods[name].values()) for name in table.columns)])
    text = _lines(lines)
    seeds = max((len(values) for methods in table.accuracies.values() for values in methods.values()), default=0)
    known = [value for methods in table.accuracies.values() for values in methods.values() for value in values.values()]
    error = f", sampling error ±{sampling_error(statistics.fmean(known), table.images):.1f} points" if known else ""
    note = (
        f"Accuracy in percent on {table.evaluation} ({table.images:,} images{error}), target {table.target}: mean ± "
        f"standard deviation over {seeds} seeds."
    )
    note += "".join(f"\n- {source}: {sizes_in_words(sizes)}" for source, sizes in table.sizes.items())
    if not others:
        return f"{text}\n{note}\n\n{table.made}"
    differences = [[f"against {first}", *table.columns], ["---", *["---:"] * len(table.columns)]]
    for source in others:
        differences.append([source, *(_against(table, source, first, name) for name in table.columns)])
    return f"{text}\n{note}\n\n{_lines(differences)}\nPaired differences in points, 95 % t intervals.\n\n{table.made}"


def _against(table: Sources, source: str, first: str, method: str) -> str:
    interval = paired_by_seed(table.accuracies[source][method], table.accuracies[first][method])
    return "-" if interval is None else signed(interval)


def _cell(values: Collection[float]) -> str:
    if not values:
        return "-"
    return mean_and_deviation(statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else None)


def _lines(rows: Sequence[Sequence[str]]) -> str:
    return "".join("| " + " | ".join(cells) + " |\n" for cells in rows)


def _chosen(name: str | None, known: Sequence[str], what: str) -> str:
    if name is None and len(known) == 1:
        return known[0]
    if name is None:
        raise RunFolderError(
            f"there are {len(known)} {what}s; name one with --{what}: {', '.join(known) or 'none is there'}"
        )
    if name not in known:
        raise RunFolderError(f"there is no {what} '{name}'. {did_you_mean(name, known)}")
    return name
