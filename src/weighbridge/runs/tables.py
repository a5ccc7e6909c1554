"""The tables of a run: files not used, the split, what each target image is, and what each source image counted."""

__all__ = ["read_predicted", "write_predictions", "write_quarantine", "write_split", "write_weights"]

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from weighbridge.data.domains import LabelledDomain, UnlabelledDomain
from weighbridge.engine.history import WeightHistory
from weighbridge.files import replace_rows
from weighbridge.run_folder import RunFolder


def write_predictions(
    path: Path,
    files: Sequence[str],
    row: NDArray[Any],
    probability: NDArray[Any],
    classes: Sequence[str],
    unlike: NDArray[Any] | None = None,
) -> None:
    """CSV with one row per image: file, label, probability of that label, and how unlike all renders if known.

    Args:
        row, probability, unlike: (N,) each.
    """
    columns = [probability] if unlike is None else [probability, unlike]
    header = ("file", "label", "probability", "unlike")[: 2 + len(columns)]
    numbers = zip(*columns, strict=True)
    table = (
        (file, classes[int(k)], *(f"{float(value):.4f}" for value in values))
        for file, k, values in zip(files, row, numbers, strict=True)
    )
    replace_rows(path, header, table)


def read_predicted(path: Path, classes: Sequence[str]) -> NDArray[np.int32]:
    """(N,) what each image is taken for, as a place in `classes`, from the table that `write_predictions` wrote."""
    place = {name: k for k, name in enumerate(classes)}
    with path.open(newline="", encoding="utf-8", errors="surrogateescape") as lines:
        return np.fromiter((place[row["label"]] for row in csv.DictReader(lines)), np.int32)


def write_quarantine(folder: Path, domains: Iterable[tuple[str, LabelledDomain | UnlabelledDomain]]) -> None:
    """quarantine.csv: every file below the domains that is not used, and why; only a header if all are."""
    rows = ((file.file, name, file.status, file.reason) for name, domain in domains for file in domain.rejected)
    replace_rows(folder / "quarantine.csv", ("file", "domain", "status", "reason"), rows)


def write_split(folder: Path, training: LabelledDomain, held_out: LabelledDomain) -> None:
    """split.csv: which source images train and which are held out."""
    rows = ((name, split) for split, domain in (("train", training), ("val", held_out)) for name in domain.files)
    replace_rows(folder / "split.csv", ("file", "split"), rows)


def write_weights(folder: RunFolder, history: WeightHistory, source: LabelledDomain, *, by_class: bool = False) -> None:
    """weights.npz: the weights of some source images over time. weights.csv: a row per source image, best mean first.

    The arrays of weights.npz: `step` (T,), `row` (S,), which images, `label` (S,), their classes in the order of
    run.json, and `weights` (T, S), NaN before the first visit.

    Args:
        by_class: whether the method weighs classes, so that images of one differ only in when they were drawn: each is
            then given the mean of its class.
    """
    if not folder.writes:
        return
    weights = history.state()["snapshots"].numpy()
    steps, followed = np.array(history.steps, dtype=np.int64), history.rows.numpy()
    label, origin = source.labels.whole(), source.source.whole()  # (N,)
    np.savez_compressed(folder.path / "weights.npz", step=steps, row=followed, label=label[followed], weights=weights)
    mean, last = history.mean().numpy(), history.last().numpy()  # (N,), NaN where never seen: these come last
    if by_class:
        mean, last = _class_means(mean, label), _class_means(last, label)
    rows = (
        (source.files[i], source.classes[label[i]], source.source_names[origin[i]], f"{mean[i]:.6f}", f"{last[i]:.6f}")
        for i in np.argsort(-mean, kind="stable").tolist()
    )
    replace_rows(folder.path / "weights.csv", ("file", "label", "source", "mean_weight", "last_weight"), rows)


def _class_means(values: NDArray[Any], label: NDArray[Any]) -> NDArray[Any]:
    """The mean of its class for each image, over images that were seen; NaN where none was. All (N,)."""
    seen = np.isfinite(values)
    counts = np.bincount(label[seen], minlength=int(label.max()) + 1)  # (K,)
    sums = np.bincount(label[seen], weights=values[seen], minlength=len(counts))  # (K,)
    with np.errstate(invalid="ignore"):
        means: NDArray[Any] = (sums / counts)[label]
    return means
