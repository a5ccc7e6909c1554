"""From results over seeds to tables."""

__all__ = [
    "BEST_CONTROL",
    "Contrast",
    "PrimaryContrast",
    "Scores",
    "Sizes",
    "Table",
    "TableRow",
    "contrast_to",
    "sizes_of",
    "summarise",
    "tables_of",
]

import dataclasses
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from weighbridge.files import printable
from weighbridge.report.results import accuracies_by_seed
from weighbridge.report.statistics import Interval, sampling_error
from weighbridge.report.uncertainty import Estimate, accuracy_interval, estimate, holm, variance_of_difference

BEST_CONTROL = "best control"
"""What a contrast is to that is not to one row, but to the highest of the controls."""


@dataclass(frozen=True)
class Contrast:
    """A row less another one, in points, paired by seed and by photo.

    Attributes:
        row: the name of the row.
        to: "best control", "dann", or "uniform", the same method with all weights at 1.
        name: of the other row.
        p: two-sided p-value, corrected by Holm over all contrasts of the table that were not named beforehand; None
            with one seed, which says nothing of others.
        below_all: to the best control alone: whether the row is clearly below every control. The best of several is
            above the mean of all by luck, so that to be below it alone is no harm.
    """

    row: str
    to: str
    name: str
    estimate: Estimate
    p: float | None
    below_all: bool = False

    @property
    def clear(self) -> bool:
        """Whether the difference is more than luck explains at 5 %, among all that were looked at."""
        return self.p is not None and self.p < 0.05


@dataclass(frozen=True)
class PrimaryContrast:
    """The one contrast that was named before anything was trained. It is not corrected.

    Attributes:
        diverged: seeds of either row that diverged.
        below_all: see `Contrast`; to a single control, whether it is below that.
        margin: the largest loss in points that would not count as harm.
    """

    method: str
    control: str
    estimate: Estimate
    margin: float
    diverged: int
    below_all: bool


@dataclass(frozen=True)
class TableRow:
    """One method.

    Attributes:
        control: whether it adapts nothing.
        accuracy: mean over seeds with its spread `sd`, in percent; None without evaluation labels.
        class_mean: mean over classes of the share told right (balanced accuracy), in percent.
        contrasts: to other rows of the table; a control has none, as the others are held against it.
        diverged: how many of the seeds ended in a divergence.
        counts_as: the controls whose models stand for the seeds that diverged; None where they are left out.
        domain_accuracy: share of the domain labels that the domain classifier told right at the end, in [0, 1].
        disagreement: share of the target images that two seeds take for different classes, in percent.
        seconds: mean training time of a run, without the pre-classifier that methods share.
        caution: what to know of its settings before its numbers are believed.
    """

    name: str
    method: str
    weighting: str | None
    control: bool
    n: int
    accuracy: float | None
    sd: float | None
    class_mean: float | None
    source_accuracy: float | None
    prediction_entropy: float | None
    domain_accuracy: float | None
    disagreement: float | None
    contrasts: tuple[Contrast, ...]
    diverged: int
    counts_as: str | None
    seconds: float | None
    caution: str | None = None


@dataclass(frozen=True)
class Sizes:
    """Images that were trained with.

    Attributes:
        source: (name, images) of each, without those held out.
        held_out: source images that were kept out of training; None where results do not say.
    """

    source: tuple[tuple[str, int], ...]
    held_out: int | None
    target: int


@dataclass(frozen=True)
class Table:
    """One task, tested on one evaluation.

    Attributes:
        task: its name, as it can be printed.
        evaluation: as in results.json: name, images, seen, trained_on, and perhaps groups, grouped_by, covariance and
            freedom; None where there is none.
        best_control: the name of the control with the highest mean accuracy; None where no control was tested.
        photo_margin: half the 95 % interval of one accuracy that comes from the choice of photos alone, in points.
        primary: the contrast named beforehand, where both of its rows are here.
        chance: accuracy of guessing, in percent.
    """

    task: str
    source_name: str
    target_name: str
    evaluation: Mapping[str, Any] | None
    rows: tuple[TableRow, ...]
    seeds: int
    best_control: str | None
    photo_margin: float | None
    primary: PrimaryContrast | None
    chance: float
    sizes: Sizes

    @property
    def evaluation_images(self) -> int | None:
        return None if self.evaluation is None else int(self.evaluation["images"])

    @property
    def groups(self) -> int | None:
        """Groups of evaluation photos; None where results do not say."""
        return (self.evaluation or {}).get("groups")

    def named(self, contrast: Contrast) -> bool:
        """Whether this is the contrast that was named beforehand."""
        primary = self.primary
        return primary is not None and (contrast.row, contrast.name) == (primary.method, primary.control)

    @property
    def over_photos(self) -> bool:
        """Whether intervals hold the choice of photos: one group, or results of before, tell nothing of it."""
        return bool((self.evaluation or {}).get("covariance"))

    @property
    def grouped_by(self) -> str | None:
        """How groups of photos are known: "group", "near-duplicates" or "nothing"; None where results do not say."""
        return (self.evaluation or {}).get("grouped_by")


def tables_of(results: Mapping[str, Any]) -> list[Table]:
    """Every task with every evaluation, in the order of the file."""
    return [
        summarise(results, task, evaluation)
        for task in results["tasks"]
        for evaluation in task["evaluations"] or [None]
    ]


def summarise(results: Mapping[str, Any], task: Mapping[str, Any], evaluation: Mapping[str, Any] | None) -> Table:
    """The table of a task of results.json and one of its evaluations, or None where it has none."""
    scores = Scores(task["rows"], evaluation)
    best = scores.best_control()
    primary = _primary(results, scores, best)
    contrasts = _corrected([_contrasts(scores, k, best) for k in range(len(task["rows"]))], primary)
    rows = tuple(_row(row, scores, k, contrasts[k]) for k, row in enumerate(task["rows"]))
    return Table(
        task=printable(task["name"]),
        source_name=task["source_name"],
        target_name=task["target_name"],
        evaluation=evaluation,
        rows=rows,
        seeds=len(results["seeds"]),
        best_control=None if best is None else scores.rows[best]["name"],
        photo_margin=scores.photo_margin(),
        primary=primary,
        chance=100 / len(task["classes"]),
        sizes=sizes_of(task),
    )


def sizes_of(task: Mapping[str, Any]) -> Sizes:
    source = tuple((entry["name"], entry["images"]) for entry in task["source"])
    return Sizes(source, task.get("held_out"), task["target"]["images"])


def contrast_to(row: TableRow, to: str) -> Contrast | None:
    return next((contrast for contrast in row.contrasts if contrast.to == to), None)


class Scores:
    """The accuracies of the rows of a task on one evaluation, and what their errors are made of.

    Attributes:
        accuracies: of each row, seed -> percent.
    """

    def __init__(self, rows: Sequence[Mapping[str, Any]], evaluation: Mapping[str, Any] | None) -> None:
        self.rows, self.evaluation = rows, evaluation or {}
        name = self.evaluation.get("name")
        self.accuracies = [accuracies_by_seed(row, name) for row in rows]
        self.class_means = [
            [run["class_means"][name] for run in row["runs"] if name in run.get("class_means", {})] for row in rows
        ]

    def best_control(self) -> int | None:
        """Of the controls the one with the highest mean: the choice reads the labels, against every other method."""
        tested = [k for k, row in enumerate(self.rows) if row["control"] and self.accuracies[k]]
        return max(tested, key=lambda k: statistics.fmean(self.accuracies[k].values()), default=None)

    def accuracy(self, k: int) -> Interval | None:
        """Of a row, over seeds and photos; None if it was not tested."""
        values = list(self.accuracies[k].values())
        covariance, freedom = self._matrix("covariance"), self._matrix("freedom")
        if not values:
            return None
        if covariance is None or freedom is None:
            return accuracy_interval(values)
        return accuracy_interval(values, covariance[k][k], freedom[k][k])

    def less(self, k: int, other: int) -> Estimate | None:
        """Row k less another one, over the seeds that both have; None if they share none."""
        ours, theirs = self.accuracies[k], self.accuracies[other]
        differences = [ours[seed] - theirs[seed] for seed in ours if seed in theirs]
        covariance, freedom = self._matrix("covariance"), self._matrix("freedom")
        if not differences:
            return None
        if covariance is None or freedom is None:
            return estimate(differences)
        return estimate(differences, variance_of_difference(covariance, k, other), freedom[k][other])

    def below_every_control(self, k: int) -> bool:
        """Whether a row is below each control by more than its 95 % interval."""
        found = [self.less(k, other) for other, row in enumerate(self.rows) if row["control"] and other != k]
        edges = [less.interval().high for less in found if less]
        return bool(edges) and all(edge is not None and edge < 0 for edge in edges)

    def photo_margin(self) -> float | None:
        """Half the 95 % interval of one accuracy that photos alone explain, mean over rows, in points."""
        tested = [k for k, values in enumerate(self.accuracies) if values]
        images, covariance, freedom = self.evaluation.get("images"), self._matrix("covariance"), self._matrix("freedom")
        if not tested or not images:
            return None
        if "covariance" in self.evaluation and covariance is None:  # one group, which tells nothing of others
            return None
        if covariance is None or freedom is None:  # results of before: photos one by one
            mean = statistics.fmean(statistics.fmean(self.accuracies[k].values()) for k in tested)
            return 1.96 * sampling_error(mean, images)
        errors = [Estimate(0.0, math.sqrt(covariance[k][k]), freedom[k][k], 1) for k in tested]
        return statistics.fmean(error.margin() or 0.0 for error in errors)

    def _matrix(self, name: str) -> list[list[float]] | None:
        return self.evaluation.get(name)


def _primary(results: Mapping[str, Any], scores: Scores, best: int | None) -> PrimaryContrast | None:
    asked = results.get("primary")
    if asked is None or scores.evaluation.get("seen") != "target":
        return None
    place = {row["name"]: k for k, row in enumerate(scores.rows)}
    method, control = (
        place.get(asked["method"]),
        best if asked["control"] == BEST_CONTROL else place.get(asked["control"]),
    )
    if method is None or control is None or (found := scores.less(method, control)) is None:
        return None
    runs = [*scores.rows[method]["runs"], *scores.rows[control]["runs"]]
    lost = sum(run["diverged_at"] is not None for run in runs)
    alone = asked["control"] != BEST_CONTROL
    below = scores.below_every_control(method) if not alone else (found.interval().high or 0.0) < 0
    return PrimaryContrast(asked["method"], scores.rows[control]["name"], found, asked["margin"], lost, below)


def _contrasts(scores: Scores, k: int, best: int | None) -> list[Contrast]:
    """Of row k to what it is held against, uncorrected, where that is in the table and shares a seed with it."""
    rows = scores.rows
    # A variant has settings of its own: it is compared with the plain methods, and none with it.
    place = {(row["method"], row["weighting"]): n for n, row in enumerate(rows) if not row.get("variant")}
    if rows[k]["control"]:
        return []
    others = {BEST_CONTROL: best, "dann": place.get(("dann", None))}
    others["uniform"] = place.get((rows[k]["method"], "uniform"))
    found = []
    for to, other in others.items():
        if other is not None and other != k and (less := scores.less(k, other)):
            p = less.p_value() if less.n > 1 else None
            below = to == BEST_CONTROL and scores.below_every_control(k)
            found.append(Contrast(rows[k]["name"], to, rows[other]["name"], less, p, below))
    return found


def _corrected(contrasts: Sequence[Sequence[Contrast]], primary: PrimaryContrast | None) -> list[tuple[Contrast, ...]]:
    """The same with Holm's p-values over all of them; what was named beforehand is not one of several."""
    found = [entry for of_row in contrasts for entry in of_row if entry.p is not None]
    named = primary and (primary.method, primary.control)
    tried = [entry for entry in found if (entry.row, entry.name) != named]
    corrected = dict(zip(map(id, tried), holm([entry.p or 0.0 for entry in tried]), strict=True))
    return [
        tuple(dataclasses.replace(entry, p=corrected.get(id(entry), entry.p)) for entry in of_row)
        for of_row in contrasts
    ]


def _row(row: Mapping[str, Any], scores: Scores, k: int, contrasts: tuple[Contrast, ...]) -> TableRow:
    finished = [run for run in row["runs"] if run["diverged_at"] is None]
    accuracies, class_means = list(scores.accuracies[k].values()), scores.class_means[k]
    return TableRow(
        name=row["name"],
        method=row["method"],
        weighting=row["weighting"],
        control=row["control"],
        n=len(accuracies) if accuracies else len(finished),
        accuracy=statistics.fmean(accuracies) if accuracies else None,
        sd=statistics.stdev(accuracies) if len(accuracies) > 1 else None,
        class_mean=100.0 * statistics.fmean(class_means) if class_means else None,
        source_accuracy=_mean(finished, "source_accuracy", 100.0),
        prediction_entropy=_mean(finished, "prediction_entropy"),
        domain_accuracy=_mean(finished, "domain_accuracy"),
        disagreement=None if row.get("disagreement") is None else 100.0 * row["disagreement"],
        contrasts=contrasts,
        diverged=len(row["runs"]) - len(finished),
        counts_as=" or ".join(dict.fromkeys(run["counts_as"] for run in row["runs"] if run.get("counts_as"))) or None,
        seconds=_mean(finished, "seconds"),
        caution=row.get("caution"),
    )


def _mean(runs: Sequence[Mapping[str, Any]], key: str, factor: float = 1.0) -> float | None:
    values = [factor * run[key] for run in runs if run[key] is not None]
    return statistics.fmean(values) if values else None
