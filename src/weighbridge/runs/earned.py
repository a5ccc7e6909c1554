"""Which renders earned it: weights, values and retrainings of a finished run. Behind `weighbridge earned`."""

__all__ = ["earned", "valued"]

import csv
import dataclasses
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from weighbridge.data.domains import LabelledDomain
from weighbridge.data.images import Images
from weighbridge.engine.checkpoint import load_network
from weighbridge.engine.evaluate import label_logits
from weighbridge.errors import ConfigError, RunFolderError
from weighbridge.influence.factors import read_factors
from weighbridge.influence.renders import Left, Renders, group_name
from weighbridge.influence.shapley import aligned, render_values
from weighbridge.parts.networks import Network
from weighbridge.run_folder import RunFolder, found_again
from weighbridge.runs.earned_tables import Earned, conclude
from weighbridge.runs.frozen import features_of
from weighbridge.runs.retrain import Judged, Retraining, Retrainings
from weighbridge.runs.workplace import (
    Workplace,
    featured,
    fresh_network,
    open_workplace,
    refuse_other_images,
)
from weighbridge.settings import build_data
from weighbridge.settings.config import Config, read_run
from weighbridge.watch import Quiet, Watch

_ALWAYS = 3  # trained in any case: with all renders, without the lowest fifth, without a random fifth


def earned(
    path: Path, *, seeds: int = 3, retrainings: int = 60, evaluation: Path | None = None, watch: Watch | None = None
) -> Earned:
    """Value each render, train without some, and write influence.json and influence.csv into the run folder.

    What is trained is kept in retrainings.jsonl, so that a call that was stopped goes on.

    Args:
        path: a finished run. Without features only the weights that it gave its renders are looked at.
        seeds: S >= 2 paired seeds, from the run's own upwards.
        retrainings: at most this many trainings, at least 3 for each seed.
        evaluation: labelled photos; those that the run was evaluated on if not given. They judge and choose nothing.

    Raises:
        ConfigError: for too few seeds or retrainings.
        RunFolderError: if there is no finished run, its images have changed, or nothing can be told of its renders.
    """
    watch = watch or Quiet()
    if seeds < 2:
        raise ConfigError(f"seeds must be at least 2, as one tells nothing of spread, got {seeds}")
    if retrainings < _ALWAYS * seeds:
        raise ConfigError(
            f"retrainings must be at least {_ALWAYS} for each of {seeds} seeds: with all renders, without the lowest "
            f"fifth and without a random fifth. Got {retrainings}"
        )
    folder = RunFolder.open(path)
    metrics = folder.metrics()
    config = read_run(folder.config).replace(processes=1)
    if not config.on_features:
        watch.tell("this run did not train on features, so nothing is trained again: only its weights are looked at")
        return conclude(folder, _weighed(folder), [], [])
    workplace = _workplace(folder, config, watch)
    noted = metrics.get("evaluation")
    labelled = _labelled(evaluation or (Path(noted["data"]) if noted else None), workplace, config, watch)
    network = fresh_network(workplace, config)
    load_network(folder.model, network)
    renders = valued(workplace, config, network, labelled, _weights(folder))
    plan = _plan(renders, retrainings // seeds)
    trained = Retrainings(dataclasses.replace(workplace, watch=Quiet()), config, folder, labelled)
    judged = _train(trained, plan, range(config.seed, config.seed + seeds), watch)
    return conclude(folder, renders, plan, judged, workplace.data.held_out)


def _workplace(folder: RunFolder, config: Config, watch: Watch) -> Workplace:
    """Where the run was trained, with its own features."""
    facts = folder.facts()
    sources = [found_again(entry) for entry in facts["paths"]["source"]]
    target, machine = found_again(facts["paths"]["target"]), facts["machine"]
    workplace = open_workplace(
        sources, target, config, watch, precision=machine["precision"], threads=machine["threads"]
    )
    refuse_other_images(workplace, folder)
    return featured(workplace, config, folder)


def _labelled(path: Path | None, workplace: Workplace, config: Config, watch: Watch) -> LabelledDomain | None:
    """Labelled photos as features; None without."""
    frozen, fabric = workplace.frozen, workplace.fabric
    if path is None or frozen is None:
        return None
    if not path.exists():
        watch.tell(f"the labelled photos of the run are not at '{path}' any more, so the label-free score judges alone")
        return None
    domain = build_data.open_labelled(path, config, workplace.data.classes, watch.reading("evaluation"))
    images = features_of(
        domain.images,
        lambda: frozen.module,
        config,
        digest=frozen.digest,
        precision=workplace.machine.precision,
        autocast=fabric.autocast,
        views=0,
        progress=watch.reading("evaluation, features"),
    )
    return dataclasses.replace(domain, images=images)


def valued(
    workplace: Workplace,
    config: Config,
    network: Network,
    labelled: LabelledDomain | None = None,
    weights: Mapping[str, float] | None = None,
) -> Renders:
    """Every render with its value.

    Args:
        workplace: with features in the place of images.
        network: trained there; what it says about the photos stands for their labels.
        labelled: photos with labels, as features.
        weights: mean weight in training by file.
    """
    source, target = workplace.data.source, workplace.data.target.images
    logits = [part for _, part in label_logits(network, target, build_data.preparation_of(config))]
    labels = source.labels.whole().astype(np.int64)
    renders, photos = _aligned(source.images), _aligned(target)
    values = render_values(renders, torch.from_numpy(labels), photos, torch.cat(logits).softmax(dim=1)).numpy()
    by_labels = None
    if labelled is not None:
        known = torch.from_numpy(labelled.labels.whole().astype(np.int64))
        shares = torch.nn.functional.one_hot(known, len(source.classes)).float()
        mean = target.fetch(torch.arange(len(target))).mean(dim=0)
        by_labels = render_values(renders, torch.from_numpy(labels), _aligned(labelled.images, mean), shares).numpy()
    return Renders(
        files=tuple(source.files),
        classes=source.classes,
        labels=labels,
        source_names=source.source_names,
        sources=source.source.whole().astype(np.int64),
        families=source.groups.whole().astype(np.int64),
        values=values,
        by_labels=by_labels,
        weights=np.array([weights.get(file, np.nan) for file in source.files]) if weights else None,
        factors=read_factors(source.files),
    )


def _aligned(images: Images, mean: Tensor | None = None) -> Tensor:
    """All plain features, as distances are taken between them.

    Args:
        mean: (F,) of their domain; their own if not given.
    """
    features = images.fetch(torch.arange(len(images)))  # (N, F)
    return aligned(features, features.mean(dim=0) if mean is None else mean)


def _weights(folder: RunFolder) -> dict[str, float]:
    return {row["file"]: float(row["mean_weight"]) for row in _weight_rows(folder)}


def _weight_rows(folder: RunFolder) -> Iterator[dict[str, str]]:
    path = folder.path / "weights.csv"
    if path.is_file():
        with path.open(newline="", encoding="utf-8", errors="surrogateescape") as lines:
            yield from csv.DictReader(lines)


def _weighed(folder: RunFolder) -> Renders:
    """Every render with the weight that the run gave it, where nothing else is known."""
    rows = list(_weight_rows(folder))
    if not rows:
        raise RunFolderError(
            f"expected a run on features or a run with weights in '{folder.path}', got one with neither. "
            "Train with training = 'features', or with a method that weighs its renders, such as weighted-dann"
        )
    classes, source_names = tuple(folder.facts()["classes"]), tuple(dict.fromkeys(row["source"] for row in rows))
    weights = np.array([float(row["mean_weight"]) for row in rows])
    files = tuple(row["file"] for row in rows)
    return Renders(
        files=files,
        classes=classes,
        labels=np.array([classes.index(row["label"]) for row in rows]),
        source_names=source_names,
        sources=np.array([source_names.index(row["source"]) for row in rows]),
        families=np.arange(len(rows)),
        values=weights,
        by_labels=None,
        weights=weights,
        factors=read_factors(files),
    )


def _plan(renders: Renders, parts: int) -> list[Left]:
    """What to train without, the most telling first: nothing, fifths, sources, then factors by how sure their share is.

    Args:
        parts: at most this many.
    """
    count = len(renders.labels)
    always = [Left("nothing", np.zeros(count, dtype=np.bool_), count), Left("the lowest fifth", renders.lowest, count)]
    groups = [Left(group_name(group), group.rows, count, group) for group in renders.to_leave_out()]
    return [*always, Left("a random fifth", None, count), *groups][:parts]


def _train(trained: Retrainings, plan: Sequence[Left], seeds: range, watch: Watch) -> list[list[Judged]]:
    """What came out for each part of the plan, seed by seed. What is missing is trained."""
    tasks = [(part, Retraining(part.out(seed), seed)) for part in plan for seed in seeds]
    missing = [task for task in tasks if trained.missing(task[1])]
    for done, (part, retraining) in enumerate(missing):
        watch.about(f"without {part.name}, seed {retraining.seed}", done, len(missing))
        started = time.perf_counter()
        trained.judged(retraining)
        if done == 0 and len(missing) > 1:
            minutes = (time.perf_counter() - started) * (len(missing) - 1) / 60
            watch.tell(f"{len(missing)} retrainings, about {max(1, round(minutes))} minutes. Ctrl-C keeps what is done")
    return [[trained.judged(Retraining(part.out(seed), seed)) for seed in seeds] for part in plan]
