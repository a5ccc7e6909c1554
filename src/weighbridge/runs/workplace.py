"""Where a run happens: its data and machine; how a run folder begins."""

__all__ = [
    "Workplace",
    "begin_run",
    "featured",
    "found_again",
    "fresh_network",
    "on_images",
    "open_workplace",
    "refuse_other_images",
    "refuse_other_weights",
]

import dataclasses
import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric

from weighbridge.data.domains import LabelledDomain, UnlabelledDomain
from weighbridge.data.images import Images
from weighbridge.data.index import Rejected
from weighbridge.data.pairs import BATCHES
from weighbridge.data.reading import left_out_sentence
from weighbridge.data.vectors import Vectors
from weighbridge.engine.machine import Machine
from weighbridge.errors import ConfigError, RunFolderError
from weighbridge.parts.networks import Network, Standardised, parameter_count
from weighbridge.parts.published import sha256_of, weights_file
from weighbridge.run_folder import RunFolder, command_line
from weighbridge.runs.frozen import (
    Frozen,
    digest_of,
    features_of,
    frozen_backbone,
    keep_backbone,
    refuse_other_backbone,
    tuned_network,
)
from weighbridge.runs.tables import write_quarantine, write_split
from weighbridge.settings import build_data, build_machine, build_method
from weighbridge.settings.config import Config, write_toml
from weighbridge.version import __version__
from weighbridge.watch import Quiet, Watch


@dataclass(frozen=True)
class Workplace:
    """What runs on the same data and machine share."""

    data: build_data.Data
    machine: Machine
    fabric: Fabric
    paths: dict[str, Any]  # {"source": [noted path, ...], "target": noted path}, for run.json
    watch: Watch = field(default_factory=Quiet)
    frozen: Frozen | None = None  # whose features stand in the place of images
    images: build_data.Data | None = None  # these images, where features stand in their place
    proposed: Mapping[str, Any] | None = None  # which settings were chosen by the images, and why, for run.json

    def seen_by(self, watch: Watch) -> "Workplace":
        """The same, with somebody else who looks on."""
        return dataclasses.replace(self, watch=watch)


def open_workplace(
    source: Sequence[Path],
    target: Path,
    config: Config,
    watch: Watch | None = None,
    *,
    precision: str | None = None,
    threads: int | None = None,
    at_once: int = 1,
) -> Workplace:
    """Settle the machine, start the processes and read both domains; nothing is written yet.

    Args:
        precision: what a run that goes on was started in; `auto` is not measured again.
        threads: those of a run that goes on, or of the runs beside it, if the settings name no number.
        at_once: how many such runs share this machine.
    """
    watch = watch or Quiet()
    whole = config.replace(precision=precision or config.precision, threads=config.threads or threads or 0)
    config = whole.upto("workplace")
    build_method.check_backbone(config)
    build_machine.check_processes(config)
    machine = build_machine.build_machine(
        whole, at_once=at_once
    )  # of later settings it reads the batch, to measure at its scale
    fabric = build_machine.build_fabric(machine)
    fabric.launch()
    torch.set_num_threads(machine.threads)  # here, as Fabric sets a number of its own where it starts processes
    with fabric.rank_zero_first():  # the others find the scan and the cache done
        training, held_out = build_data.open_source(source, config, watch.reading("source"))
        data = build_data.Data(training, held_out, build_data.open_target(target, config, watch.reading("target")))
    for name, domain in (("source", training), ("target", data.target)):
        if left_out := left_out_sentence(domain.rejected, len(domain)):
            watch.tell(f"{name}: {left_out}. quarantine.csv in the run folder lists them all")
    paths = {"source": [_noted(path) for path in source], "target": _noted(target)}
    return Workplace(data, machine, fabric, paths, watch)


def featured(workplace: Workplace, config: Config, home: RunFolder | None = None) -> Workplace:
    """The same workplace with features of a frozen backbone in the place of images, where training is on those.

    Whatever is done there is done as on images: methods, loop and tables do not know the difference.

    Args:
        home: a run that was begun with this backbone.
    """
    if not config.features_first or workplace.frozen is not None:
        return workplace
    data, fabric, machine, watch = workplace.data, workplace.fabric, workplace.machine, workplace.watch
    module = frozen_backbone(config, fabric.device, machine.memory_format, home)
    digest = digest_of(module)
    if home is not None:
        refuse_other_backbone(home, digest)

    def of(images: Images, views: int, what: str) -> Vectors:
        return features_of(
            images,
            lambda: module,
            config,
            digest=digest,
            precision=machine.precision,
            autocast=fabric.autocast,
            views=views,
            progress=watch.reading(f"{what}, features"),
        )

    with fabric.rank_zero_first():  # the others find them in the cache
        source = of(data.source.images, config.views, "source")
        held_out = of(data.held_out.images, 0, "held out") if len(data.held_out) else data.held_out.images
        target = of(data.target.images, config.views, "target")
    exchanged = build_data.Data(
        source=dataclasses.replace(data.source, images=source),
        held_out=dataclasses.replace(data.held_out, images=held_out),
        target=dataclasses.replace(data.target, images=target),
    )
    return dataclasses.replace(
        workplace, data=exchanged, frozen=Frozen(module, digest, source.moments()), images=workplace.data
    )


def on_images(workplace: Workplace, config: Config) -> Workplace:
    """Where all layers are fine-tuned, the workplace with the images that features stood for; else as it is."""
    if not config.fine_tunes or workplace.images is None:
        return workplace
    return dataclasses.replace(workplace, data=workplace.images, images=None)


def refuse_other_images(workplace: Workplace, folder: RunFolder) -> None:
    """Raise RunFolderError if a run that is there already was started on other images than those of the workplace."""
    if folder.facts()["data"] != _data_facts(workplace):
        raise RunFolderError(
            f"the images of the run in '{folder.path}' have changed since it started, so it cannot be continued. "
            f"Restore them, or start a new run with another --out"
        )


def refuse_other_weights(config: Config, folder: RunFolder) -> None:
    """Raise RunFolderError if the weights that a run started from are gone or others now, while it still needs them."""
    noted = folder.facts().get("weights")  # None for random numbers, and in runs of earlier builds
    if noted is None or folder.backbone.is_file():  # it goes on with its own
        return
    try:
        file = weights_file(config.network_name, config.weights_name)
    except ConfigError as error:
        raise RunFolderError(f"the run in '{folder.path}' still needs the weights it started from: {error}") from error
    if file is None or sha256_of(file) != noted["sha256"]:
        raise RunFolderError(
            f"the weights of the run in '{folder.path}' have changed since it started ('{file}'), so it cannot be "
            f"continued. Restore the file, or start a new run with another --out"
        )


def fresh_network(workplace: Workplace, config: Config) -> Network:
    """A network with the weights that its seed gives it; the layers behind a frozen backbone where there is one.

    Where all layers are to be fine-tuned later, these layers behind a backbone that can learn.
    """
    machine, device, classes = workplace.machine, workplace.fabric.device, len(workplace.data.classes)
    if workplace.frozen is None:
        return build_method.new_network(config, classes, device, machine.memory_format)
    head = build_method.new_head(config, classes, workplace.frozen.width, device)
    for layer in head.modules():
        if isinstance(layer, Standardised):
            layer.read(*workplace.frozen.moments)
    return tuned_network(workplace.frozen.module, head, config) if config.fine_tunes else head


def begin_run(workplace: Workplace, config: Config, path: Path, *, part: bool = False) -> RunFolder:
    """Make a run folder with the settings and the facts that hold from the start; only once all of them are known.

    Args:
        part: whether it is a part of another run on the same images, which has what both would have.
    """
    network, weighting = fresh_network(workplace, config), config.weighting_name
    facts = {
        "weighbridge": __version__,
        "command": command_line(),
        "method": config.method,
        "weighting": weighting,
        "p_t": build_method.p_t_mode(config, network) if weighting else None,
        "seed": config.seed,
        "steps": config.total_steps,
        "batches": BATCHES,
        "classes": list(workplace.data.classes),
        "paths": workplace.paths,
        "data": _data_facts(workplace),
        "training": config.training_name,
        "features": workplace.frozen.facts() if workplace.frozen else None,
        "weights": None if part and workplace.frozen else _weights_facts(config),
        "pixels": _pixel_facts(config),
        "parameters": parameter_count(network),
        "machine": workplace.machine.facts(),
        "proposed": workplace.proposed,
    }
    writes = workplace.fabric.is_global_zero
    RunFolder.refuse_existing(path)
    workplace.fabric.barrier()  # all have looked before one of them makes it
    if writes:
        with RunFolder.create(path) as folder:
            write_toml(folder.config, config.settled())
            folder.write_facts(facts)
            if not part:
                if workplace.frozen is not None and not config.fine_tunes:
                    keep_backbone(workplace.frozen, config, folder)
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


def _weights_facts(config: Config) -> dict[str, str] | None:
    """The file that a network starts from; None for random numbers."""
    file = weights_file(config.network_name, config.weights_name)
    if file is None:
        return None
    named = {"name": config.weights_name} if config.weights_name == "imagenet" else _noted(file)
    return {**named, "sha256": sha256_of(file)}


def _pixel_facts(config: Config) -> dict[str, Any]:
    """The scale that the network gets pixels in."""
    if pixels := build_data.published_pixels(config):
        return dataclasses.asdict(pixels)
    return {"normalisation": config.normalisation_name}


def _noted(path: Path) -> dict[str, str]:
    return {"given": str(path), "absolute": str(path.resolve())}


def found_again(noted: dict[str, str]) -> Path:
    """The path as it was given, so that files keep their names, if from here it still leads to the same place."""
    given = Path(noted["given"])
    return given if str(given.resolve()) == noted["absolute"] else Path(noted["absolute"])


def _fingerprint(data: build_data.Data) -> str:
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
