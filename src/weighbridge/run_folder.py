"""The run folder: where training writes and everything after training reads."""

__all__ = ["RunFolder", "called_as", "command_line", "found_again"]

import json
import os
import shlex
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from weighbridge.errors import RunFolderError, did_you_mean
from weighbridge.files import occupied, replace_text, whole_folder, write_json

_FACTS, _METRICS, _LOG = "run.json", "metrics.json", "log.jsonl"


class RunFolder:
    """One folder per run.

        config.toml              every setting
        run.json                 facts at the start: method, classes, data, machine, command
        log.jsonl                losses and rates while it trains
        checkpoints/last.safetensors
        model.safetensors        the network that predicts; the layers behind a frozen backbone
        backbone.safetensors     the frozen backbone, where there is one
        restart-0/, restart-1/ … of a run that is the best of several, each of these
        features/                of a run that is fine-tuned, its first stage: a run behind a frozen backbone
        running-mean.safetensors of source-only, the running mean of its weights, which a control reads
        predictions.csv          file, label, calibrated probability, and how unlike all renders
        renders-only-predictions.csv  the same of the model that has seen renders alone, where a run starts from one
        likeness.npz             what tells images unlike all renders
        metrics.json             what came out; present when the run is complete
        evaluation.csv           what each labelled image is taken for, after `evaluate`
        embedding.npz            some images of both domains in one plane, for the report
        target-labels.csv        labelled photos that it learned from, where there are some
        quarantine.csv, split.csv, weights.npz, weights.csv, report.html
        influence.json, influence.csv, retrainings.jsonl, without-lowest-fifth.csv    what `earned` adds

    Args:
        path: the folder.
        writes: False in all training processes but the first, whose folder stays untouched.
    """

    def __init__(self, path: Path, *, writes: bool = True) -> None:
        self.path = path
        self.writes = writes

    @classmethod
    @contextmanager
    def create(cls, path: Path) -> Iterator["RunFolder"]:
        """A new run folder to be filled; it appears at the path whole, when the block ends, or not at all.

        Raises:
            RunFolderError: if something is there already; nothing is ever overwritten.
        """
        cls.refuse_existing(path)
        with whole_folder(path) as part:
            (part / "checkpoints").mkdir()
            yield cls(part)

    @staticmethod
    def refuse_existing(path: Path) -> None:
        """Raise RunFolderError if something is at this path."""
        if occupied(path):
            go_on = f", or go on with it: {called_as()} adapt --resume {path}" if (path / _FACTS).is_file() else ""
            raise RunFolderError(
                f"'{path}' exists already and nothing in it is overwritten. Choose another --out{go_on}"
            )

    @classmethod
    def open(cls, path: Path, *, writes: bool = True) -> "RunFolder":
        """Open an existing run folder.

        Raises:
            RunFolderError: if there is none.
        """
        if not (path / _FACTS).is_file():
            siblings = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
            hint = f" {did_you_mean(path.name, siblings)}" if siblings and not path.exists() else ""
            raise RunFolderError(f"expected a run folder with {_FACTS} in it at '{path}'.{hint}")
        return cls(path, writes=writes)

    @property
    def checkpoint(self) -> Path:
        return self.path / "checkpoints" / "last.safetensors"

    @property
    def model(self) -> Path:
        return self.path / "model.safetensors"

    @property
    def backbone(self) -> Path:
        """Where the weights of a frozen backbone lie."""
        return self.path / "backbone.safetensors"

    def by_product(self, name: str) -> Path:
        """Where a network beside the model lies, such as the running mean of its weights."""
        return self.path / f"{name}.safetensors"

    @property
    def likeness(self) -> Path:
        """Where what tells images unlike all renders lies."""
        return self.path / "likeness.npz"

    @property
    def renders_only(self) -> Path:
        """Where the predictions of the renders-only model lie, in runs that start from one."""
        return self.path / "renders-only-predictions.csv"

    @property
    def config(self) -> Path:
        return self.path / "config.toml"

    @property
    def started(self) -> bool:
        return (self.path / _FACTS).is_file()

    @property
    def complete(self) -> bool:
        return (self.path / _METRICS).is_file()

    def facts(self) -> dict[str, Any]:
        return _read_json(self.path / _FACTS)

    def metrics(self) -> dict[str, Any]:
        if not self.complete:
            raise RunFolderError(
                f"the run in '{self.path}' is not finished. Finish it with: {called_as()} adapt --resume {self.path}"
            )
        return _read_json(self.path / _METRICS)

    def write_facts(self, facts: Mapping[str, Any]) -> None:
        if self.writes:
            write_json(self.path / _FACTS, facts)

    def write_metrics(self, metrics: Mapping[str, Any]) -> None:
        if self.writes:
            write_json(self.path / _METRICS, metrics)

    def log(self, record: Mapping[str, Any]) -> None:
        """Append one line to log.jsonl."""
        if self.writes:
            with (self.path / _LOG).open("a", encoding="utf-8") as lines:
                lines.write(json.dumps(record) + "\n")

    def records(self) -> list[dict[str, Any]]:
        """The lines of log.jsonl, without one that a kill cut short, or that is being written."""
        log = self.path / _LOG
        return list(_whole_records(log)) if log.is_file() else []

    def trim_log(self, steps: int) -> None:
        """Drop what was logged after the checkpoint a run goes on from, and a line cut short by a kill."""
        log = self.path / _LOG
        if not self.writes or not log.is_file():
            return
        kept = [record for record in _whole_records(log) if record["step"] <= steps]
        replace_text(log, "".join(json.dumps(record) + "\n" for record in kept))


def called_as() -> str:
    """What starts weighbridge here: the script `run` says that it was the door."""
    return os.environ.get("WEIGHBRIDGE_CALLED_AS", "weighbridge")


def command_line() -> str:
    """The command that is running, as it can be typed again."""
    name = Path(sys.argv[0]).name
    return shlex.join(["weighbridge" if name == "__main__.py" else name, *sys.argv[1:]])


def found_again(noted: Mapping[str, str]) -> Path:
    """The path as it was given, so that files keep their names, if from here it still leads to the same place."""
    given = Path(noted["given"])
    return given if str(given.resolve()) == noted["absolute"] else Path(noted["absolute"])


def _whole_records(log: Path) -> Iterator[dict[str, Any]]:
    """The lines of a log, up to one that is cut short."""
    for line in log.read_text(encoding="utf-8").splitlines():
        try:
            record: dict[str, Any] = json.loads(line)
        except json.JSONDecodeError:
            return
        yield record


def _read_json(path: Path) -> dict[str, Any]:
    try:
        values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError) as error:
        raise RunFolderError(f"'{path}' cannot be read: {error}") from error
    return values
