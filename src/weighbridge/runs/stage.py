"""One stage of a run: training, and what is written of it."""

__all__ = ["Outcome", "look", "renders_only", "train_stage", "write_outcome"]

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from weighbridge.engine.checkpoint import load_network, save_network
from weighbridge.engine.evaluate import Evaluation, Predictions, evaluation_of, predictions_of
from weighbridge.engine.history import WeightHistory
from weighbridge.engine.loop import fit
from weighbridge.engine.outputs import Outputs, outputs_of, second_look
from weighbridge.methods.base import Method
from weighbridge.parts.networks import Network
from weighbridge.run_folder import RunFolder
from weighbridge.runs import trusted
from weighbridge.runs.tables import write_predictions, write_weights
from weighbridge.runs.workplace import Workplace, fresh_network
from weighbridge.settings import build_data, build_method
from weighbridge.settings.config import Config

_AGAIN = 1_000  # photos that are looked at once more, augmented


def train_stage(
    workplace: Workplace,
    config: Config,
    method: Method,
    folder: RunFolder,
    *,
    stage: str,
    steps: int,
    first: int | None = None,
) -> float:
    """Fit, from wherever the folder's checkpoint is, and write the weights that images had.

    Args:
        stage: what the log calls it.
        first: the batch that step 0 sees, see `build_data.build_pairs`.

    Returns:
        Seconds of training.
    """
    data, fabric, machine = workplace.data, workplace.fabric, workplace.machine
    history = WeightHistory(len(data.source)) if config.weighs_images else None
    seconds = fit(
        method if data.taught is None else build_method.taught(config, method),
        build_data.build_pairs(config, data, method, machine, fabric.device, first=first, rank=fabric.global_rank),
        fabric=fabric,
        stage=stage,
        steps=steps,
        classes=len(data.classes),
        folder=folder,
        history=history,
        rate_schedule=build_method.rate_schedule(config),
        clip_norm=config.clip_norm or None,
        log_every=config.log_every,
        checkpoint_every=config.checkpoint_every,
        resume=True,
        watch=workplace.watch,
    )
    if folder.writes and history is not None:
        write_weights(folder, history, data.source, by_class="class ratios" in config.entry.has)
    return seconds


@dataclass(frozen=True)
class Outcome:
    """What a trained network says about the images of its run.

    Attributes:
        held_out: of the source; None if none are.
        outputs: logits and features behind both, of the held-out images and of the target.
        again: rows (n,) of some target images, and what the network takes these for once they are augmented, (n,).
    """

    held_out: Evaluation | None
    target: Predictions
    outputs: tuple[Outputs | None, Outputs]
    again: tuple[NDArray[np.int64], NDArray[np.int64]]

    def facts(self) -> dict[str, Any]:
        """For metrics.json."""
        held_out = self.held_out
        return {
            "source_held_out": held_out and {"images": held_out.images, "accuracy": held_out.accuracy},
            "target": dataclasses.asdict(self.target.summary),
        }


def look(workplace: Workplace, config: Config, network: Network) -> Outcome:
    """Predict held-out source images and the target."""
    data, preparation = workplace.data, build_data.preparation_of(config)
    held_out = outputs_of(network, data.held_out.images, preparation) if len(data.held_out) else None
    target = outputs_of(network, data.target.images, preparation)
    rows = trusted.spread(len(target), _AGAIN)
    return Outcome(
        evaluation_of(held_out.batches(), data.held_out) if held_out is not None else None,
        predictions_of(target.batches(), len(target), data.classes),
        (held_out, target),
        (rows, second_look(network, data.target.images, preparation, rows)),
    )


def renders_only(workplace: Workplace, config: Config, home: RunFolder) -> Outcome | None:
    """What the pre-classifier says, if a run with these settings has one to be compared with.

    Args:
        workplace: on which the pre-classifier was trained.
        home: where it lives.
    """
    if config.entry.control or not home.complete:
        return None
    network = fresh_network(workplace, config.upto("pre-classifier"))
    load_network(home.model, network)
    return look(workplace, config, network)


def write_outcome(
    workplace: Workplace,
    config: Config,
    folder: RunFolder,
    network: Network,
    seconds: float,
    outcome: Outcome | None = None,
    *,
    before: Outcome | None = None,
    others: Sequence[NDArray[np.integer[Any]]] = (),
    **more: Any,
) -> None:
    """Write the network, its predictions and, last, metrics.json.

    Args:
        workplace: with features where they are there, whatever the network takes: nobody has trained these.
        outcome: what the network says, if that is known.
        before: what the renders-only network says of the same images.
        others: (N,) each, what models of other seeds take the target for, as places in the classes.
        more: for metrics.json.
    """
    found = outcome or look(workplace, config, network)
    save_network(folder.model, network)
    folder.write_metrics(
        {
            "method": config.method,
            "weighting": config.weighting_name,
            "seed": config.seed,
            "steps": config.total_steps,
            "seconds": round(seconds, 2),
            **found.facts(),
            **more,
            "trust": _write_trusted(workplace, config, folder, found, before, others),
            "evaluation": None,
        }
    )


def _write_trusted(
    workplace: Workplace,
    config: Config,
    folder: RunFolder,
    found: Outcome,
    before: Outcome | None,
    others: Sequence[NDArray[np.integer[Any]]],
) -> dict[str, Any] | None:
    """Write the predictions with calibrated probabilities, and those of the renders-only network.

    Returns:
        What is known of them, for metrics.json; None where no renders are held out, as probabilities then mean nothing.
    """
    files, classes = workplace.data.target.files, workplace.data.classes
    rows, (held_out, target) = found.target.row.whole(), found.outputs
    if held_out is None or len(target) < 2:
        write_predictions(folder.path / "predictions.csv", files, rows, found.target.probability.whole(), classes)
        return None
    both = (before.outputs[0], before.outputs[1]) if before is not None and before.outputs[0] is not None else None
    known = trusted.weighed(workplace, config, folder, held_out, target, both, others, found.again)
    probability = trusted.calibrated(target, known.trust.temperature)
    unlike = None
    if known.likeness is not None:
        trusted.write_likeness(folder.likeness, known.likeness)
        unlike = trusted.unlikeness(target, known.likeness)
    write_predictions(folder.path / "predictions.csv", files, rows, probability, classes, unlike)
    if before is not None:
        alone = trusted.calibrated(before.outputs[1], known.trust.renders_only_temperature)
        write_predictions(folder.renders_only, files, before.target.row.whole(), alone, classes)
    return known.facts(folder.path, int((probability < known.trust.threshold).sum()))
