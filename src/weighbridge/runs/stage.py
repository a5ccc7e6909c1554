"""One stage of a run: training, and what is written of it."""

__all__ = ["Outcome", "look", "train_stage", "write_outcome"]

import dataclasses
from dataclasses import dataclass
from typing import Any

from weighbridge.engine.checkpoint import save_network
from weighbridge.engine.evaluate import Evaluation, Predictions, evaluate, predict
from weighbridge.engine.history import WeightHistory
from weighbridge.engine.loop import fit
from weighbridge.methods.base import Method
from weighbridge.parts.networks import Network
from weighbridge.run_folder import RunFolder
from weighbridge.runs.tables import write_predictions, write_weights
from weighbridge.runs.workplace import Workplace
from weighbridge.settings import build_data, build_method
from weighbridge.settings.config import Config


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
    """

    held_out: Evaluation | None
    target: Predictions

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
    held_out = evaluate(network, data.held_out, preparation) if len(data.held_out) else None
    return Outcome(held_out, predict(network, data.target.images, data.classes, preparation))


def write_outcome(
    workplace: Workplace,
    config: Config,
    folder: RunFolder,
    network: Network,
    seconds: float,
    outcome: Outcome | None = None,
    **more: Any,
) -> None:
    """Write the network, its predictions and, last, metrics.json.

    Args:
        outcome: what the network says, if that is known.
        more: for metrics.json.
    """
    data, found = workplace.data, outcome or look(workplace, config, network)
    save_network(folder.model, network)
    rows, probabilities = found.target.row.whole(), found.target.probability.whole()
    write_predictions(folder.path / "predictions.csv", data.target.files, rows, probabilities, data.classes)
    folder.write_metrics(
        {
            "method": config.method,
            "weighting": config.weighting_name,
            "seed": config.seed,
            "steps": config.total_steps,
            "seconds": round(seconds, 2),
            **found.facts(),
            **more,
            "evaluation": None,
        }
    )
