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
from weighbridge.engine.evaluate import prepared_batches, stored_likelihood
from weighbridge.errors import ConfigError, RunFolderError
from weighbridge.labelling.told import LEARNED
from weighbridge.parts.likelihoods import SourceLikelihood, per_step, stored
from weighbridge.parts.networks import Network
from weighbridge.run_folder import RunFolder, found_again
from weighbridge.runs.restarts import restarted, seed_of
from weighbridge.runs.stage import look, train_stage, write_outcome
from weighbridge.runs.tuned import fine_tune, pre_classifier_on_images
from weighbridge.runs.workplace import (
    Workplace,
    begin_run,
    featured,
    fresh_network,
    on_images,
    open_workplace,
    refuse_other_images,
    refuse_other_weights,
)
from weighbridge.settings import build_data, build_method
from weighbridge.settings.config import Config, read_run
from weighbridge.settings.described import unread_sentence
from weighbridge.settings.tuning import features_stage
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
    target_labels: Path | None = None,
) -> RunFolder:
    """Read both domains, train, and leave a run folder.

    Args:
        target_labels: a CSV of labels of some target images, to learn from.
        proposed: which of the settings were chosen by the images, and why, for run.json.
    """
    RunFolder.refuse_existing(out)  # before minutes of decoding
    build_method.check_weights(config)
    workplace = open_workplace(source, target, config, watch, target_labels=target_labels)
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
    kept = path / LEARNED  # what it began to learn, whatever has become of the file it was given
    workplace = open_workplace(
        sources,
        target,
        config,
        watch,
        target_labels=kept if kept.is_file() else None,
        precision=machine["precision"],
        threads=threads,
    )
    if workplace.machine.threads < before:
        workplace.watch.tell(
            f"the run started with {before} threads and goes on with {threads}, as there are fewer CPUs now. "
            "Sums over another number of threads may differ in the last digits"
        )
    folder = RunFolder.open(path, writes=workplace.fabric.is_global_zero)
    refuse_other_images(workplace, folder)
    _advise(workplace, config)
    home = _features_folder(folder) if config.fine_tunes else folder
    train_run(featured(workplace, config, home if home.started else None), config, folder)
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
    workplace = workplace.untaught()  # it has seen renders alone, as its name in reports says
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
    config = features_stage(config) if config.fine_tunes else config
    for k in range(config.restarts if config.may_restart else 1):
        once, place = seed_of(config, k), _home_of(home, k)
        network = train_pre_classifier(workplace, once, place)
        if config.weighting_name is not None and config.p_a == "cross-fitted":
            _p_a(workplace, once, network, place)


def train_run(workplace: Workplace, config: Config, folder: RunFolder, pre_classifier: RunFolder | None = None) -> None:
    """Train whatever the settings name, from wherever the folder's checkpoint is.

    Args:
        workplace: with features where these settings train on features, alone or at first.
        pre_classifier: where the pre-classifier of this seed lives, or the source-only run that a control reads;
            inside the run folder if not given.
    """
    if config.entry.start == "source-only":
        _read_anew(workplace, config, folder, pre_classifier)
        return
    if config.fine_tunes:
        _fine_tune(workplace, config, folder, pre_classifier)
        return
    home = pre_classifier or RunFolder(folder.path / "pre-classifier", writes=folder.writes)
    if config.may_restart and config.restarts > 1:
        restarted(
            workplace,
            config,
            folder,
            lambda place, once, part, k: train_run(place, once, part, _home_of(home, k)),
            lambda k: _home_of(home, k),
        )
        return
    needs_p_a = config.weighting_name is not None
    if config.from_scratch and not needs_p_a:
        _train(workplace, config, folder, stage="train" if config.method == "source-only" else "adapt")
        return
    network = train_pre_classifier(workplace, config, home)
    p_a = _p_a(workplace, config, network, home) if needs_p_a else None
    _train(workplace, config, folder, stage="adapt", start=network, p_a=p_a)


def _home_of(pre_classifier: RunFolder, restart: int) -> RunFolder:
    """Where the pre-classifier of a restart lives: the first has the run's own."""
    if restart == 0:
        return pre_classifier
    return RunFolder(pre_classifier.path / f"restart-{restart}", writes=pre_classifier.writes)


def _features_folder(folder: RunFolder) -> RunFolder:
    """Where the first stage of a run that is fine-tuned lies."""
    return RunFolder(folder.path / "features", writes=folder.writes)


def _fine_tune(workplace: Workplace, config: Config, folder: RunFolder, pre_classifier: RunFolder | None) -> None:
    """A whole run on features in a folder of its own, then all layers on images."""
    first_stage, features = features_stage(config), _features_folder(folder)
    home = pre_classifier or RunFolder(features.path / "pre-classifier", writes=folder.writes)
    if features.started:
        refuse_other_images(workplace, features)
    else:
        features = begin_run(workplace, first_stage, features.path)
    if not features.complete:
        train_run(workplace, first_stage, features, home)
    workplace.fabric.barrier()
    chosen = features.metrics().get("restarts", {}).get("chosen", 0)
    once, home = seed_of(first_stage, chosen), _home_of(home, chosen)  # what the restart that was kept started from
    p_a = None
    if config.weighting_name is not None:  # the same P_a as on features: how sure was the network before adaptation?
        network = train_pre_classifier(workplace, once, home)
        if config.p_a == "per-step":
            p_a = per_step(pre_classifier_on_images(workplace, network))
        else:
            p_a = _p_a(workplace, once, network, home)
    fine_tune(workplace, config, folder, features, home, p_a)


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
    workplace = on_images(workplace, config)
    images = workplace.data.target.images
    before = look(workplace, config, network) if folder.writes and config.method == "adabn" else None
    shuffled = torch.from_numpy(walked(np.arange(len(images)), len(images), config.seed))  # files may lie by class
    batches = prepared_batches(network, images, build_data.preparation_of(config), order=shuffled)
    network = build_method.READINGS[config.method](network, (images for _, images in batches))
    if folder.writes:
        seconds = float(home.metrics()["seconds"]) + time.perf_counter() - started
        write_outcome(workplace, config, folder, network, seconds, before=before)
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
    network = (
        fresh_network(workplace, config)
        if start is None or config.from_scratch
        else build_method.start_from(start, config)
    )
    method = build_method.build_method(config, network, len(workplace.data.classes), p_a)
    seconds = train_stage(workplace, config, method, folder, stage=stage, steps=config.total_steps)
    if folder.writes:
        for name, by_product in method.by_products().items():
            save_network(folder.by_product(name), by_product)
        before = look(workplace, config, start) if start is not None and not config.entry.control else None
        write_outcome(workplace, config, folder, method.network, seconds, before=before)
    workplace.fabric.barrier()  # whoever goes on may read what the first process wrote


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
