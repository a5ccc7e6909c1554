"""Several runs from other random numbers, of which the label-free score keeps one."""

__all__ = ["best_of", "restarted", "seed_of"]

import shutil
from collections.abc import Callable
from typing import Any

from weighbridge.engine.checkpoint import load_network
from weighbridge.errors import DivergenceError
from weighbridge.files import whole_file
from weighbridge.run_folder import RunFolder
from weighbridge.runs.stage import renders_only, write_outcome
from weighbridge.runs.tables import read_predicted
from weighbridge.runs.workplace import Workplace, begin_run, fresh_network, refuse_other_images
from weighbridge.settings.config import Config
from weighbridge.trust.evidence import FORGOTTEN
from weighbridge.watch import Nth

_APART = 1000  # from the seed of a restart to that of the next


def seed_of(config: Config, restart: int) -> Config:
    """The settings of one restart, counted from 0. The first has the seed of the run."""
    return config.replace(seed=config.seed + _APART * restart, restarts=1)


def restarted(
    workplace: Workplace,
    config: Config,
    folder: RunFolder,
    train: Callable[[Workplace, Config, RunFolder, int], None],
    pre_classifier: Callable[[int], RunFolder],
) -> None:
    """Train each restart in a folder of its own, and leave in the run's folder what the best of them made.

    A restart that diverges is passed over. How much the others differ from the best tells whether to trust it.

    Args:
        train: given a workplace, the settings of a restart, its folder and its number.
        pre_classifier: where that of a restart lives, given its number; empty if it has none.

    Raises:
        DivergenceError: that of the first, if all diverge.
    """
    diverged = dict[int, DivergenceError]()
    parts = [RunFolder(folder.path / f"restart-{k}", writes=folder.writes) for k in range(config.restarts)]
    for k, part in enumerate(parts):
        once = seed_of(config, k)
        if part.started:
            refuse_other_images(workplace, part)
        else:
            part = begin_run(workplace, once, part.path, part=True)
        if not part.complete:
            try:
                train(workplace.seen_by(Nth(workplace.watch, k, config.restarts)), once, part, k)
            except DivergenceError as error:
                diverged[k] = error
                workplace.watch.tell(f"start {k + 1} of {config.restarts}: {error}")
    workplace.fabric.barrier()
    if len(diverged) == len(parts):
        raise diverged[0]
    if folder.writes:
        metrics = {k: part.metrics() for k, part in enumerate(parts) if k not in diverged}
        chosen = best_of(metrics)
        _take_over(parts[chosen], folder)
        tried = [_tried(once, metrics.get(k)) for k, once in enumerate(seed_of(config, k) for k in range(len(parts)))]
        told = {"chosen": chosen, "tried": tried}
        seconds = round(sum(float(of["seconds"]) for of in metrics.values()), 2)
        once, classes = seed_of(config, chosen), workplace.data.classes
        network = fresh_network(workplace, once)
        load_network(folder.model, network)
        write_outcome(
            workplace,
            config,
            folder,
            network,
            seconds,
            before=renders_only(workplace, once, pre_classifier(chosen)),
            others=[read_predicted(parts[k].path / "predictions.csv", classes) for k in metrics if k != chosen],
            restarts=told,
        )
    workplace.fabric.barrier()


def best_of(metrics: dict[int, dict[str, Any]]) -> int:
    """The restart whose predictions on the target have the highest mutual information.

    Only those count whose accuracy on held-out source images is within 2 points of the best.

    Args:
        metrics: what came of each, by its number; not empty.
    """
    held_out = {k: _held_out(of) or 0.0 for k, of in metrics.items()}
    sound = [k for k, accuracy in held_out.items() if accuracy >= max(held_out.values()) - FORGOTTEN]
    return max(sound, key=lambda k: (_score(metrics[k]), -k))


def _score(metrics: dict[str, Any]) -> float:
    return float(metrics["target"]["mutual_information"])


def _held_out(metrics: dict[str, Any]) -> float | None:
    told = metrics["source_held_out"]
    return None if told is None else float(told["accuracy"])


def _tried(once: Config, metrics: dict[str, Any] | None) -> dict[str, Any]:
    """A line about one restart, for metrics.json."""
    if metrics is None:
        return {"seed": once.seed, "diverged": True}
    return {"seed": once.seed, "mutual_information": _score(metrics), "source_held_out": _held_out(metrics)}


def _take_over(part: RunFolder, folder: RunFolder) -> None:
    """Copy what a restart wrote in training; settings and facts are the run's own."""
    own = {folder.config.name, "run.json", "metrics.json"}
    for file in sorted(part.path.iterdir()):
        if file.is_file() and file.name not in own:
            with whole_file(folder.path / file.name) as copy:
                shutil.copyfile(file, copy)
