"""One run from start to finish: pre-classifier, P_a, adaptation, and what came out. Behind `weighbridge adapt`."""

__all__ = [
    "Workplace",
    "adapt",
    "adapt_in",
    "begin_run",
    "open_workplace",
    "refuse_other_images",
    "resume",
    "train_pre_classifier",
    "train_run",
    "train_shared",
]

import copy
import dataclasses
import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric

import weighbridge
from weighbridge import build
from weighbridge.checkpoint import load_network, save_network
from weighbridge.config import OWN_WEIGHTS, Config, read_run, write_toml
from weighbridge.data.columns import Column
from weighbridge.data.domains import LabelledDomain, UnlabelledDomain, left_out_sentence
from weighbridge.data.index import Rejected
from weighbridge.engine import Quiet, Watch, WeightHistory, fit
from weighbridge.errors import RunFolderError
from weighbridge.evaluate import evaluate, predict, stored_likelihood
from weighbridge.likelihoods import SourceLikelihood, per_step, stored
from weighbridge.machine import Machine
from weighbridge.networks import Network, parameter_count
from weighbridge.runs import RunFolder, command_line
from weighbridge.tables import write_predictions, write_quarantine, write_split, write_weights


@dataclass(frozen=True)
class Workplace:
    """What runs on the same data and machine share."""

    data: build.Data
    machine: Machine
    fabric: Fabric
    paths: dict[str, Any]  # {"source": [noted path, ...], "target": noted path}, for run.json
    watch: Watch = field(default_factory=Quiet)


def open_workplace(
    source: Sequence[Path],
    target: Path,
    config: Config,
    watch: Watch | None = None,
    *,
    precision: str | None = None,
) -> Workplace:
    """Settle the machine, start the processes and read both domains; nothing is written yet.

    Args:
        precision: what a run that goes on was started in; `auto` is not measured again.
    """
    watch = watch or Quiet()
    build.check_backbone(config)
    build.check_processes(config)
    machine = build.build_machine(config.replace(precision=precision or config.precision))
    fabric = build.build_fabric(machine)
    fabric.launch()
    with fabric.rank_zero_first():  # the others find the scan and the cache done
        training, held_out = build.open_source(source, config, watch.reading("source"))
        data = build.Data(training, held_out, build.open_target(target, config, watch.reading("target")))
    for name, domain in (("source", training), ("target", data.target)):
        if left_out := left_out_sentence(domain.rejected, len(domain)):
            watch.tell(f"{name}: {left_out}; quarantine.csv in the run folder names them")
    paths = {"source": [_noted(path) for path in source], "target": _noted(target)}
    return Workplace(data, machine, fabric, paths, watch)


def adapt_in(workplace: Workplace, config: Config, out: Path) -> RunFolder:
    """Train in a new run folder."""
    folder = begin_run(workplace, config, out)
    _caution(workplace, config)
    train_run(workplace, config, folder)
    return folder


def adapt(source: Sequence[Path], target: Path, config: Config, out: Path, watch: Watch | None = None) -> RunFolder:
    """Read both domains, train, and leave a run folder."""
    RunFolder.refuse_existing(out)  # before minutes of decoding
    return adapt_in(open_workplace(source, target, config, watch), config, out)


def resume(path: Path, watch: Watch | None = None) -> RunFolder:
    """Go on with a run where its last checkpoint left it; a finished run is left alone.

    Raises:
        RunFolderError: if there is no run, or its images are not those it started with.
    """
    folder = RunFolder.open(path)
    if folder.complete:
        return folder
    config = read_run(folder.config)
    facts = folder.facts()
    sources = [_found_again(entry) for entry in facts["paths"]["source"]]
    target, precision = _found_again(facts["paths"]["target"]), facts["machine"]["precision"]
    workplace = open_workplace(sources, target, config, watch, precision=precision)
    folder = RunFolder.open(path, writes=workplace.fabric.is_global_zero)
    refuse_other_images(workplace, folder)
    _caution(workplace, config)
    train_run(workplace, config, folder)
    return folder


def _caution(workplace: Workplace, config: Config) -> None:
    if sentence := build.caution(config):
        workplace.watch.tell(f"{config.method}: {sentence}")


def refuse_other_images(workplace: Workplace, folder: RunFolder) -> None:
    """Raise RunFolderError if a run that is there already was started on other images than those of the workplace."""
    if folder.facts()["data"] != _data_facts(workplace):
        raise RunFolderError(
            f"the images of the run in '{folder.path}' have changed since it started, so it cannot go on as it was. "
            f"Put them back, or start anew with another --out"
        )


def train_pre_classifier(workplace: Workplace, config: Config, folder: RunFolder) -> Network:
    """The source-only network of section 3.1, in a run folder of its own; taken from there if it is finished."""
    source_only = config.replace(method="source-only", weighting="default", steps=0)
    if folder.started:
        refuse_other_images(workplace, folder)
    if not folder.complete:
        if not folder.started:
            folder = begin_run(workplace, source_only, folder.path)
        _train(workplace, source_only, folder, stage="pre-classifier")
    network = _new_network(workplace, source_only)
    workplace.fabric.barrier()
    load_network(folder.model, network)
    return network


def train_shared(workplace: Workplace, config: Config, home: RunFolder) -> None:
    """What several runs of a seed start from, ahead of them: the pre-classifier, and its folds if P_a needs them."""
    network = train_pre_classifier(workplace, config, home)
    if build.weighting_name(config) is not None and config.p_a == "cross-fitted":
        _p_a(workplace, config, network, home)


def train_run(workplace: Workplace, config: Config, folder: RunFolder, pre_classifier: RunFolder | None = None) -> None:
    """Train whatever the settings name, from wherever the folder's checkpoint is.

    Args:
        pre_classifier: where the pre-classifier of this seed lives; inside the run folder if not given.
    """
    needs_p_a = build.weighting_name(config) is not None
    if config.from_scratch and not needs_p_a:
        _train(workplace, config, folder, stage="train" if config.method == "source-only" else "adapt")
        return
    home = pre_classifier or RunFolder(folder.path / "pre-classifier", writes=folder.writes)
    network = train_pre_classifier(workplace, config, home)
    p_a = _p_a(workplace, config, network, home) if needs_p_a else None
    _train(workplace, config, folder, stage="adapt", start=network, p_a=p_a)


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
        _new_network(workplace, config) if start is None or config.from_scratch else build.start_from(start, config)
    )
    method = build.build_method(config, network, len(data.classes), p_a)
    history = WeightHistory(len(data.source)) if build.weighs_images(config) else None
    seconds = fit(
        method,
        build.build_pairs(config, data, method, machine, fabric.device, rank=fabric.global_rank),
        fabric=fabric,
        stage=stage,
        steps=config.total_steps,
        classes=len(data.classes),
        folder=folder,
        history=history,
        clip_norm=config.clip_norm or None,
        log_every=config.log_every,
        checkpoint_every=config.checkpoint_every,
        resume=True,
        watch=workplace.watch,
    )
    if folder.writes:
        save_network(folder.model, method.network)
        if history is not None:
            write_weights(folder, history, data.source, by_class=config.method in OWN_WEIGHTS)
        _write_metrics(workplace, config, folder, method.network, seconds)
    fabric.barrier()  # whoever goes on may read what the first process wrote


def _write_metrics(workplace: Workplace, config: Config, folder: RunFolder, network: Network, seconds: float) -> None:
    data, preparation = workplace.data, build.build_preparation(config)
    held_out = evaluate(network, data.held_out, preparation) if len(data.held_out) else None
    target = predict(network, data.target.images, data.classes, preparation)
    rows, probabilities = target.row.whole(), target.probability.whole()
    write_predictions(folder.path / "predictions.csv", data.target.files, rows, probabilities, data.classes)
    folder.write_metrics(
        {
            "method": config.method,
            "weighting": build.weighting_name(config),
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
    shuffled = torch.randperm(len(source), generator=torch.Generator().manual_seed(config.seed)).numpy()
    fold = Column([shuffled % config.folds], np.int16)  # (N,)
    del shuffled  # nothing of the size of N is held while networks are trained
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


def _likelihood(workplace: Workplace, config: Config, network: Network, source: LabelledDomain) -> Column:
    """P_a in the precision in which P_t will be read: bf16 against fp32 would move w from 1."""
    with workplace.fabric.autocast():
        return stored_likelihood(network, source, build.build_preparation(config))


def _new_network(workplace: Workplace, config: Config) -> Network:
    machine, device = workplace.machine, workplace.fabric.device
    return build.new_network(config, len(workplace.data.classes), device, machine.memory_format)


def begin_run(workplace: Workplace, config: Config, path: Path) -> RunFolder:
    """Make a run folder with the settings and the facts that hold from the start; only once all of them are known."""
    network, weighting = _new_network(workplace, config), build.weighting_name(config)
    facts = {
        "weighbridge": weighbridge.__version__,
        "command": command_line(),
        "method": config.method,
        "weighting": weighting,
        "p_t": build.p_t_mode(config, network) if weighting else None,
        "seed": config.seed,
        "steps": config.total_steps,
        "classes": list(workplace.data.classes),
        "paths": workplace.paths,
        "data": _data_facts(workplace),
        "parameters": parameter_count(network),
        "machine": workplace.machine.facts(),
    }
    writes = workplace.fabric.is_global_zero
    RunFolder.refuse_existing(path)
    workplace.fabric.barrier()  # all have looked before one of them makes it
    if writes:
        with RunFolder.create(path) as folder:
            write_toml(folder.config, config.settled())
            folder.write_facts(facts)
            if not path.name.startswith(("pre-classifier", "fold-")):  # parts of a run, on the same images
                write_quarantine(folder.path, _domains(workplace))
                write_split(folder.path, workplace.data.source, workplace.data.held_out)
    workplace.fabric.barrier()
    return RunFolder(path, writes=writes)


def _data_facts(workplace: Workplace) -> dict[str, Any]:
    data = workplace.data
    sizes = zip(data.source.source_names, data.source.images_of_sources(), strict=True)
    return {
        "source": [{"name": name, "images": images} for name, images in sizes],
        "held_out": len(data.held_out),
        "target": {"images": len(data.target)},
        "rejected": {name: _tally(domain.rejected) for name, domain in _domains(workplace)},
        "fingerprint": _fingerprint(data),
    }


def _noted(path: Path) -> dict[str, str]:
    return {"given": str(path), "absolute": str(path.resolve())}


def _found_again(noted: dict[str, str]) -> Path:
    """The path as it was given, so that files keep their names, if from here it still leads to the same place."""
    given = Path(noted["given"])
    return given if str(given.resolve()) == noted["absolute"] else Path(noted["absolute"])


def _fingerprint(data: build.Data) -> str:
    """A hash over contents, names and source labels, so that a resumed run notices another set of images."""
    columns = [data.source.labels, data.source.groups, data.held_out.labels]
    digest = hashlib.sha256(f"{data.source.fingerprint} {data.target.fingerprint} {len(data.target)}".encode())
    for column in columns:
        digest.update(column.whole().astype(np.int64).tobytes())
    return digest.hexdigest()[:16]


def _domains(workplace: Workplace) -> list[tuple[str, LabelledDomain | UnlabelledDomain]]:
    return [("source", workplace.data.source), ("target", workplace.data.target)]


def _tally(rejected: Sequence[Rejected]) -> dict[str, int]:
    return dict(sorted(Counter(file.status for file in rejected).items()))
