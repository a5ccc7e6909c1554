"""Labelled photos that a run learns from: which they are, and that none of them judges it."""

__all__ = ["learned_facts", "open_taught", "without_learned", "write_learned"]

import csv
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from weighbridge.data.domains import LabelledDomain
from weighbridge.data.images import Names
from weighbridge.errors import DataError
from weighbridge.files import replace_rows
from weighbridge.labelling.answers import read_answers, teaching
from weighbridge.labelling.told import LEARNED
from weighbridge.run_folder import called_as
from weighbridge.settings import build_data
from weighbridge.settings.config import Config


def open_taught(path: Path, target: Path, config: Config, classes: Sequence[str]) -> LabelledDomain:
    """Photos of the target with the labels of a CSV: rows that were asked to teach, or all where no row says.

    Raises:
        DataError: if none teaches, one is not in the target or of no class, or one is there again to judge.
    """
    teach, judge = teaching(read_answers(path))
    labels = {answer.file: answer.label for answer in teach if answer.named}
    if not labels:
        how = f"Labels given to judge do not teach. Give some with: {called_as()} label RUN --teach"
        raise DataError(f"expected labels in '{path}' to learn from, found none. {how}")
    taught = build_data.open_chosen(target, labels, config, classes)
    if judge:
        judging = build_data.open_chosen(target, dict.fromkeys((a.file for a in judge), classes[0]), config, classes)
        again = dict(zip(_digests(judging), judging.files, strict=True))
        for file, digest in zip(taught.files, _digests(taught), strict=True):
            if digest in again:
                raise DataError(
                    f"'{file}' teaches in '{path}', and the same picture judges as '{again[digest]}'. Remove one row"
                )
    return taught


def learned_facts(taught: LabelledDomain) -> dict[str, Any]:
    """For run.json."""
    counts = Counter(taught.classes[k] for k in taught.labels.whole().tolist())
    return {"images": len(taught), "by_class": {name: counts[name] for name in taught.classes}}


def write_learned(folder: Path, taught: LabelledDomain) -> None:
    """target-labels.csv: file, label, and a hash by which a copy of the photo is known."""
    labels = (taught.classes[k] for k in taught.labels.whole().tolist())
    rows = zip(taught.files, labels, _digests(taught), strict=True)
    replace_rows(folder / LEARNED, ("file", "label", "hash"), rows)


def without_learned(folder: Path, labelled: LabelledDomain) -> tuple[LabelledDomain, int]:
    """Labelled images without those that a run has learned, and how many these were.

    Raises:
        DataError: if nothing is left.
    """
    path = folder / LEARNED
    if not path.is_file():
        return labelled, 0
    with path.open(newline="", encoding="utf-8", errors="surrogateescape") as lines:
        learned = {row["hash"] for row in csv.DictReader(lines)}
    new = [row for row, digest in enumerate(_digests(labelled)) if digest not in learned]
    if not new:
        raise DataError(f"the run in '{folder}' has learned all of these photos. Judge it by others")
    known = len(labelled) - len(new)
    return (labelled.subset(torch.tensor(new)) if known else labelled), known


def _digests(domain: LabelledDomain) -> list[str]:
    assert isinstance(domain.files, Names)
    return domain.files.digests()
