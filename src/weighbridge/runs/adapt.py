"""One run from start to finish: pre-classifier, P_a, adaptation, and what came out. Behind `weighbridge adapt`."""

__all__ = [
    "adapt",
    "adapt_in",
    "read_file",
    "resume",
    "source_only_of",
    "train_pre_classifier",
    "train_run",
    "train_shared",
]

import copy
import dataclasses
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from weighbridge.data.columns import Column
from weighbridge.data.domains import LabelledDomain
from weighbridge.data.order import walked
from weighbridge.data.threads import cpu_count
from weighbridge.engine.checkpoint import load_network, save_network
from weighbridge.engine.evaluate import evaluate, predict, prepared_batches, stored_likelihood
from weighbridge.engine.history import WeightHistory
from weighbridge.engine.loop import fit
from weighbridge.errors import ConfigError, RunFolderError
from weighbridge.parts.likelihoods import SourceLikelihood, per_step, stored
from weighbridge.parts.networks import Network
from weighbridge.run_folder import RunFolder
from weighbridge.runs.tables import write_predictions, write_weights
from weighbridge.runs.workplace import (
    Workplace,
    begin_run,
    featured,
    found_again,
    fresh_network,
    open_workplace,
    refuse_other_images,
    refuse_other_weights,
)
from weighbridge.settings import build_data, build_method
from weighbridge.settings.config import Config, read_run
from weighbridge.settings.described import unread_sentence
from weighbridge.watch import Watch


def adapt_in(workplace: Workplace, config: Config, out: Path) -> RunFolder:
    """Train in a new run folder."""
    _advise(workplace, config)
    config = config.lasting(len(workplace.data.source))
    workplace = featured(workplace, config)
    folder = begin_run(workplace, config, out)
    train_run(workplace, config, folder)
    return folder


def adapt(
    source: Sequence[Path],
    target: Path,
    config: Config,
    out: Path,
    watch: Watch | None = None,
    proposed: Mapping[str, Any] | None = None,
) -> RunFolder:
    """Read both domains, train, and leave a run folder.

    Args:
        proposed: which of the settings were chosen by the images, and why, for run.json.
    """
    RunFolder.refuse_existing(out)  # before minutes of decoding
    build_method.check_weights(config)
    workplace = open_workplace(source, target, config, watch)
    return adapt_in(dataclasses.replace(workplace, proposed=proposed), config, out)


def resume(path: Path, watch: Watch | None = None) -> RunFolder:
    """Go on with a run where its last checkpoint left it; a finished run is left alone.

    It goes on in the precision and with the threads that it started with, as its numbers depend on both. Where its
    processes have fewer CPUs now, they take one thread for each, which is said.

    Raises:
        RunFolderError: if there is no run, or its images or its initial weights are not those it started with.
    """
    folder = RunFolder.open(path)
    if folder.complete:
        return folder
    config = read_run(folder.config)
    facts = folder.facts()
    if "given" in (noted := facts.get("weights") or {}):
        config = config.replace(weights=str(found_again(noted)))
    refuse_other_weights(config, folder)
    if not folder.backbone.is_file():  # else it goes on with its own
        build_method.check_weights(config)
    sources = [found_again(entry) for entry in facts["paths"]["source"]]
    target, machine = found_again(facts["paths"]["target"]), facts["machine"]
    before, possible = machine["threads"], max(1, cpu_count() // config.processes)
    threads = min(before, possible)
    workplace = open_workplace(sources, target, config, watch, precision=machine["precision"], threads=threads)
    if workplace.machine.threads < before:
        workplace.watch.tell(
            f"the run started with {before} threads and goes on with {threads}, as there are fewer CPUs now. "
            "Sums over another number of threads may differ in the last digits"
        )
    folder = RunFolder.open(path, writes=workplace.fabric.is_global_zero)
    refuse_other_images(workplace, folder)
    _advise(workplace, config)
    train_run(featured(workplace, config, folder), config, folder)
    return folder


def _advise(workplace: Workplace, config: Config) -> None:
    if sentence := build_data.caution(config):
        workplace.watch.tell(f"{config.method}: {sentence}")
    if unread := config.unread():
        workplace.watch.tell(unread_sentence(config.method, unread))
    if sentence := build_method.random_start(config):
        workplace.watch.tell(sentence)


def train_pre_classifier(workplace: Workplace, config: Config, folder: RunFolder) -> Network:
    """The source-only network of section 3.1, in a run folder of its own; taken from there if it is finished."""
    source_only = config.upto("pre-classifier").replace(method="source-only", steps=0)
    if folder.started:
        refuse_other_images(workplace, folder)
        refuse_other_weights(source_only, folder)
    if not folder.complete:
        if not folder.started:
            folder = begin_run(workplace, source_only, folder.path, part=True)
        _train(workplace, source_only, folder, stage="pre-classifier")
    network = fresh_network(workplace, source_only)
    workplace.fabric.barrier()
    load_network(folder.model, network)
    return network


def train_shared(workplace: Workplace, config: Config, home: RunFolder) -> None:
    """What several runs of a seed start from, ahead of them: the pre-classifier, and its folds if P_a needs them.

    For a control that is another reading of a source-only run it is that run.
    """
    if config.entry.start == "source-only":
        _train_source_only(workplace, config, home)
        return
    network = train_pre_classifier(workplace, config, home)
    if config.weighting_name is not None and config.p_a == "cross-fitted":
        _p_a(workplace, config, network, home)


def train_run(workplace: Workplace, config: Config, folder: RunFolder, pre_classifier: RunFolder | None = None) -> None:
    """Train whatever the settings name, from wherever the folder's checkpoint is.

    Args:
        pre_classifier: where the pre-classifier of this seed lives, or the source-only run that a control reads;
            inside the run folder if not given.
    """
    if config.entry.start == "source-only":
        _read_anew(workplace, config, folder, pre_classifier)
        return
    needs_p_a = config.weighting_name is not None
    if config.from_scratch and not needs_p_a:
        _train(workplace, config, folder, stage="train" if config.method == "source-only" else "adapt")
        return
    home = pre_classifier or RunFolder(folder.path / "pre-classifier", writes=folder.writes)
    network = train_pre_classifier(workplace, config, home)
    p_a = _p_a(workplace, config, network, home) if needs_p_a else None
    _train(workplace, config, folder, stage="adapt", start=network, p_a=p_a)


def source_only_of(config: Config) -> Config:
    """The source-only run that a control with these settings reads."""
    return config.replace(method="source-only")


def _train_source_only(workplace: Workplace, config: Config, home: RunFolder) -> RunFolder:
    source_only = source_only_of(config)
    if home.started:
        refuse_other_images(workplace, home)
        refuse_other_weights(source_only, home)
    else:
        home = begin_run(workplace, source_only, home.path, part=RunFolder(home.path.parent).started)
    if not home.complete:
        train_run(workplace, source_only, home)
    return home


def _read_anew(workplace: Workplace, config: Config, folder: RunFolder, home: RunFolder | None) -> None:
    """A control that trains nothing of its own."""
    home = home or RunFolder(folder.path / "pre-classifier", writes=folder.writes)
    home = _train_source_only(workplace, config, home)
    started = time.perf_counter()
    network = fresh_network(workplace, config)
    load_network(read_file(config, home), network)
    images = workplace.data.target.images
    shuffled = torch.from_numpy(walked(np.arange(len(images)), len(images), config.seed))  # files may lie by class
    batches = prepared_batches(network, images, build_data.preparation_of(config), order=shuffled)
    network = build_method.READINGS[config.method](network, (images for _, images in batches))
    if folder.writes:
        save_network(folder.model, network)
        seconds = float(home.metrics()["seconds"]) + time.perf_counter() - started
        _write_metrics(workplace, config, folder, network, seconds)
    workplace.fabric.barrier()


def read_file(config: Config, home: RunFolder) -> Path:
    """The file of a finished source-only run whose network a control reads.

    Raises:
        RunFolderError: if there is none.
    """
    path = home.model if config.entry.reads == "model" else home.by_product(config.entry.reads)
    if not path.is_file():
        raise RunFolderError(
            f"the source-only run in '{home.path}' keeps no running mean of its weights ({path.name}). "
            "An earlier build made it, or it has steps = 0. Delete it or choose another --out"
        )
    return path


def _train(
    workplace: Workplace,
    config: Config,
    folder: RunFolder,
    *,
    stage: str,
    start: Network | None = None,
    p_a: SourceLikelihood | None = None,
) -> None:
    """One stage: fit, and write what came out."""
    data, fabric, machine = workplace.data, workplace.fabric, workplace.machine
    network = (
        fresh_network(workplace, config)
        if start is None or config.from_scratch
        else build_method.start_from(start, config)
    )
    method = build_method.build_method(config, network, len(data.classes), p_a)
    history = WeightHistory(len(data.source)) if config.weighs_images else None
    seconds = fit(
        method,
        build_data.build_pairs(config, data, method, machine, fabric.device, rank=fabric.global_rank),
        fabric=fabric,
        stage=stage,
        steps=config.total_steps,
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
    if folder.writes:
        for name, by_product in method.by_products().items():
            save_network(folder.by_product(name), by_product)
        save_network(folder.model, method.network)
        if history is not None:
            write_weights(folder, history, data.source, by_class="class ratios" in config.entry.has)
        _write_metrics(workplace, config, folder, method.network, seconds)
    fabric.barrier()  # whoever goes on may read what the first process wrote


def _write_metrics(workplace: Workplace, config: Config, folder: RunFolder, network: Network, seconds: float) -> None:
    data, preparation = workplace.data, build_data.preparation_of(config)
    held_out = evaluate(network, data.held_out, preparation) if len(data.held_out) else None
    target = predict(network, data.target.images, data.classes, preparation)
    rows, probabilities = target.row.whole(), target.probability.whole()
    write_predictions(folder.path / "predictions.csv", data.target.files, rows, probabilities, data.classes)
    folder.write_metrics(
        {
            "method": config.method,
            "weighting": config.weighting_name,
            "seed": config.seed,
            "steps": config.total_steps,
            "seconds": round(seconds, 2),
            "source_held_out": held_out and {"images": held_out.images, "accuracy": held_out.accuracy},
            "target": dataclasses.asdict(target.summary),
            "evaluation": None,
        }
    )


def _p_a(workplace: Workplace, config: Config, network: Network, home: RunFolder) -> SourceLikelihood:
    if config.p_a == "per-step":
        return per_step(copy.deepcopy(network))
    if config.p_a == "cross-fitted":
        likelihood = _cross_fitted(workplace, config, home)
    else:
        likelihood = _likelihood(workplace, config, network, workplace.data.source)
    return stored(likelihood)


def _cross_fitted(workplace: Workplace, config: Config, home: RunFolder) -> Column:
    """P_a of every source image from a pre-classifier that has not seen it, (N,)."""
    source = workplace.data.source
    fold = Column([_folds(source.groups.whole(), config)], np.int16)  # (N,); nothing of that size is held meanwhile
    unseen_likelihoods = []
    for k in range(config.folds):
        seen, unseen = (
            source.subset(torch.from_numpy(np.flatnonzero(chosen))) for chosen in (fold.whole() != k, fold.whole() == k)
        )
        part = dataclasses.replace(workplace, data=dataclasses.replace(workplace.data, source=seen))
        folder = RunFolder(home.path / f"fold-{k}-of-{config.folds}", writes=home.writes)
        network = train_pre_classifier(part, config, folder)
        unseen_likelihoods.append(_likelihood(workplace, config, network, unseen))
    likelihood = np.empty(len(source), dtype=np.float32)
    for k, column in enumerate(unseen_likelihoods):
        likelihood[fold.whole() == k] = column.whole()
    return Column([likelihood], np.float32)


def _folds(groups: NDArray[np.int32], config: Config) -> NDArray[np.int16]:
    """The fold of every source image, (N,): a group, such as the patches of one picture, is in one alone.

    Raises:
        ConfigError: if there are fewer groups than folds.
    """
    names, group = np.unique(groups, return_inverse=True)  # (G,), (N,)
    if len(names) < config.folds:
        raise ConfigError(
            f"cross-fitting needs a group of source images for each of {config.folds} folds, got {len(names)}. "
            "Set folds lower, or p_a = 'stored'"
        )
    shuffled = torch.randperm(len(names), generator=torch.Generator().manual_seed(config.seed)).numpy()
    folds: NDArray[np.int16] = (shuffled % config.folds).astype(np.int16)[group]
    return folds


def _likelihood(workplace: Workplace, config: Config, network: Network, source: LabelledDomain) -> Column:
    """P_a in the precision in which P_t will be read: bf16 against fp32 would move w on the same pixels."""
    with workplace.fabric.autocast():
        return stored_likelihood(network, source, build_data.preparation_of(config))
