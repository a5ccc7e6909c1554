"""The tables of a run: files not used, the split, what each target image is, and what each source image counted."""

__all__ = ["write_predictions", "write_quarantine", "write_split", "write_weights"]

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from torch import Tensor

from weighbridge.data.domains import LabelledDomain, UnlabelledDomain
from weighbridge.engine import WeightHistory
from weighbridge.runs import RunFolder, replace_text


def write_predictions(path: Path, files: Sequence[str], logits: Tensor, classes: Sequence[str]) -> None:
    """CSV with one row per image: file, label, probability of that label. logits: (N, K)."""
    probability, row = logits.softmax(dim=1).max(dim=1)
    table = zip(files, (classes[k] for k in row.tolist()), (f"{p:.4f}" for p in probability.tolist()), strict=True)
    replace_text(path, _csv([("file", "label", "probability"), *table]))


def write_quarantine(folder: Path, domains: Iterable[tuple[str, LabelledDomain | UnlabelledDomain]]) -> None:
    """quarantine.csv: every file below the domains that is not used, and why; only a header if all are."""
    rows = [(file.file, name, file.status, file.reason) for name, domain in domains for file in domain.rejected]
    replace_text(folder / "quarantine.csv", _csv([("file", "domain", "status", "reason"), *rows]))


def write_split(folder: Path, training: LabelledDomain, held_out: LabelledDomain) -> None:
    """split.csv: which source images train and which are held out."""
    rows = [(name, split) for split, domain in (("train", training), ("val", held_out)) for name in domain.files]
    replace_text(folder / "split.csv", _csv([("file", "split"), *rows]))


def write_weights(folder: RunFolder, history: WeightHistory, source: LabelledDomain) -> None:
    """weights.npz: the weights over time, (T, N). weights.csv: a row per source image, the highest mean first."""
    if not folder.writes:
        return
    weights = history.state()["snapshots"].numpy()
    np.savez_compressed(folder.path / "weights.npz", step=np.array(history.steps, dtype=np.int64), weights=weights)
    mean, last = history.mean().tolist(), history.last.tolist()
    labels = [source.classes[k] for k in source.labels.tolist()]
    sources = [source.source_names[k] for k in source.source.tolist()]
    rows = [
        (source.files[i], labels[i], sources[i], f"{mean[i]:.6f}", f"{last[i]:.6f}")
        for i in sorted(range(len(mean)), key=lambda i: (mean[i] != mean[i], -mean[i]))  # never seen (NaN) comes last
    ]
    replace_text(folder.path / "weights.csv", _csv([("file", "label", "source", "mean_weight", "last_weight"), *rows]))


def _csv(rows: Sequence[Sequence[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()
