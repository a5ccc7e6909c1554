"""Where a run happens: its data and machine; how a run folder begins."""

__all__ = ["Workplace", "begin_run", "found_again", "fresh_network", "open_workplace", "refuse_other_images"]

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from lightning_fabric import Fabric

from weighbridge.data.domains import LabelledDomain, UnlabelledDomain
from weighbridge.data.index import Rejected
from weighbridge.data.pairs import BATCHES
from weighbridge.data.reading import left_out_sentence
from weighbridge.engine.machine import Machine
from weighbridge.errors import RunFolderError
from weighbridge.parts.networks import Network, parameter_count
from weighbridge.run_folder import RunFolder, command_line
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
    proposed: Mapping[str, Any] | None = None  # which settings were chosen by the images, and why, for run.json


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
    watch, config = watch or Quiet(), config.replace(precision=precision or config.precision).upto("workplace")
    build_method.check_backbone(config)
    build_machine.check_processes(config)
    machine = build_machine.build_machine(config)
    fabric = build_machine.build_fabric(machine)
    fabric.launch()
    with fabric.rank_zero_first():  # the others find the scan and the cache done
        training, held_out = build_data.open_source(source, config, watch.reading("source"))
        data = build_data.Data(training, held_out, build_data.open_target(target, config, watch.reading("target")))
    for name, domain in (("source", training), ("target", data.target)):
        if left_out := left_out_sentence(domain.rejected, len(domain)):
            watch.tell(f"{name}: {left_out}. quarantine.csv in the run folder lists them all")
    paths = {"source": [_noted(path) for path in source], "target": _noted(target)}
    return Workplace(data, machine, fabric, paths, watch)


def refuse_other_images(workplace: Workplace, folder: RunFolder) -> None:
    """Raise RunFolderError if a run that is there already was started on other images than those of the workplace."""
    if folder.facts()["data"] != _data_facts(workplace):
        raise RunFolderError(
            f"the images of the run in '{folder.path}' have changed since it started, so it cannot be continued. "
            f"Restore them, or start a new run with another --out"
        )


def fresh_network(workplace: Workplace, config: Config) -> Network:
    machine, device = workplace.machine, workplace.fabric.device
    return build_method.new_network(config, len(workplace.data.classes), device, machine.memory_format)


def begin_run(workplace: Workplace, config: Config, path: Path) -> RunFolder:
    """Make a run folder with the settings and the facts that hold from the start; only once all of them are known."""
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
