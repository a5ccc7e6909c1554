"""One source against another on one target."""

__all__ = ["Sources", "sources_markdown", "sources_table"]

import statistics
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from weighbridge.errors import RunFolderError, did_you_mean
from weighbridge.report.results import accuracies_by_seed
from weighbridge.report.statistics import mean_and_deviation, paired_by_seed, sampling_error, signed
from weighbridge.report.summary import Sizes, sizes_of
from weighbridge.report.tables import how_it_was_made, markdown_lines, sizes_in_words


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
    rows = [
        [source, *(_cell(methods[name].values()) for name in table.columns)]
        for source, methods in table.accuracies.items()
    ]
    text = markdown_lines(["source", *table.columns], rows)
    seeds = max((len(values) for methods in table.accuracies.values() for values in methods.values()), default=0)
    known = [value for methods in table.accuracies.values() for values in methods.values() for value in values.values()]
    margin = 1.96 * sampling_error(statistics.fmean(known), table.images) if known else 0.0
    error = f", whose choice alone gives a 95 % interval of at least ±{margin:.1f} points" if known else ""
    note = (
        f"Accuracy in percent on {table.evaluation} ({table.images:,} images{error}), target {table.target}: mean ± "
        f"standard deviation over {seeds} seeds."
    )
    note += "".join(f"\n- {source}: {sizes_in_words(sizes)}" for source, sizes in table.sizes.items())
    if not others:
        return f"{text}\n{note}\n\n{table.made}"
    rows = [[source, *(_against(table, source, first, name) for name in table.columns)] for source in others]
    differences = markdown_lines([f"against {first}", *table.columns], rows)
    said = "Paired differences in points, 95 % t intervals over seeds alone."
    return f"{text}\n{note}\n\n{differences}\n{said}\n\n{table.made}"


def _against(table: Sources, source: str, first: str, method: str) -> str:
    interval = paired_by_seed(table.accuracies[source][method], table.accuracies[first][method])
    return "-" if interval is None else signed(interval)


def _cell(values: Collection[float]) -> str:
    if not values:
        return "-"
    return mean_and_deviation(statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else None)


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
