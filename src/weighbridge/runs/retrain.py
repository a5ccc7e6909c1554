"""The same method trained again without some of the renders, which takes seconds on frozen features."""

__all__ = ["Judged", "Retraining", "Retrainings", "without"]

import dataclasses
import hashlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from weighbridge.data.domains import LabelledDomain
from weighbridge.data.vectors import Vectors
from weighbridge.engine.checkpoint import load_network
from weighbridge.engine.evaluate import evaluate
from weighbridge.errors import DivergenceError
from weighbridge.run_folder import RunFolder
from weighbridge.runs.adapt import train_run
from weighbridge.runs.workplace import Workplace, begin_run, fresh_network
from weighbridge.settings import build_data
from weighbridge.settings.config import Config


@dataclass(frozen=True)
class Judged:
    """What a network is worth.

    Attributes:
        score: mutual information of the photos in nats, see `engine.evaluate.TargetSummary`; None if it diverged.
        accuracy: on labelled photos, in [0, 1]; None without.
        class_mean: the same as a mean over classes.
    """

    score: float | None
    accuracy: float | None = None
    class_mean: float | None = None


@dataclass(frozen=True)
class Retraining:
    """One training to be done.

    Attributes:
        left_out: (N,) bool, renders that it does without.
        seed: of everything.
    """

    left_out: NDArray[np.bool_]
    seed: int


class Retrainings:
    """Trainings of one method on parts of the renders. What is done is kept, and a second call reads it.

    Args:
        workplace: with features in the place of images.
        config: of the run.
        folder: the run; `retrainings.jsonl` in it keeps the results.
        labelled: photos with labels, as features; they judge and choose nothing.
    """

    def __init__(
        self, workplace: Workplace, config: Config, folder: RunFolder, labelled: LabelledDomain | None = None
    ) -> None:
        self._workplace, self._config, self._labelled = workplace, config, labelled
        self._log, self._work = folder.path / "retrainings.jsonl", folder.path / "retraining"
        self._done = dict(_read(self._log))

    def missing(self, retraining: Retraining) -> bool:
        """Whether it is still to be done."""
        return self._key(retraining) not in self._done

    def judged(self, retraining: Retraining) -> Judged:
        """Train, or read what came out before."""
        key = self._key(retraining)
        if key not in self._done:
            judged = self._train(retraining)
            line = json.dumps({"key": key, "seed": retraining.seed, **dataclasses.asdict(judged)})
            with self._log.open("a", encoding="utf-8") as lines:
                lines.write(line + "\n")
            self._done[key] = judged
        return self._done[key]

    def _key(self, retraining: Retraining) -> str:
        labelled = self._labelled.fingerprint if self._labelled is not None else ""
        digest = hashlib.sha256(f"{retraining.seed} {labelled}".encode())
        digest.update(np.packbits(retraining.left_out).tobytes())
        return digest.hexdigest()[:20]

    def _train(self, retraining: Retraining) -> Judged:
        shutil.rmtree(self._work, ignore_errors=True)
        config = self._config.replace(seed=retraining.seed)
        place = without(self._workplace, retraining.left_out)
        try:
            folder = begin_run(place, config, self._work, part=True)
            train_run(place, config, folder)
            score = float(folder.metrics()["target"]["mutual_information"])
            if self._labelled is None:
                return Judged(score)
            network = fresh_network(place, config)
            load_network(folder.model, network)
            found = evaluate(network, self._labelled, build_data.preparation_of(config))
            return Judged(score, found.accuracy, found.class_mean)
        except DivergenceError:
            return Judged(None)
        finally:
            shutil.rmtree(self._work, ignore_errors=True)


def without(workplace: Workplace, left_out: NDArray[np.bool_]) -> Workplace:
    """The workplace as if some renders had never been there: the scale of the features is that of the others.

    Args:
        left_out: (N,) bool.
    """
    rows, frozen = np.flatnonzero(~left_out), workplace.frozen
    images = workplace.data.source.images
    assert frozen is not None
    assert isinstance(images, Vectors)
    source = workplace.data.source.subset(torch.from_numpy(rows))
    frozen = dataclasses.replace(frozen, moments=images.moments(rows))
    return dataclasses.replace(workplace, data=dataclasses.replace(workplace.data, source=source), frozen=frozen)


def _read(log: Path) -> list[tuple[str, Judged]]:
    """What is done already; a line that a kill cut short is not."""
    found = []
    for line in log.read_text(encoding="utf-8").splitlines() if log.is_file() else []:
        try:
            entry: dict[str, Any] = json.loads(line)
        except json.JSONDecodeError:
            continue
        found.append((entry["key"], Judged(entry["score"], entry["accuracy"], entry["class_mean"])))
    return found
