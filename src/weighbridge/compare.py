"""Several methods over several seeds on the same data, and an honest table. Behind `weighbridge compare` and `demo`."""

__all__ = ["compare", "method_config"]

import dataclasses
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from weighbridge import build
from weighbridge.comparison import csv_table, markdown_table, summarise
from weighbridge.config import METHODS, Config, from_mapping, read_toml, write_toml
from weighbridge.data.domains import LabelledDomain
from weighbridge.engine import Quiet, Watch
from weighbridge.errors import ConfigError, DivergenceError, RunFolderError, did_you_mean
from weighbridge.report import write_report
from weighbridge.runs import RunFolder, command_line, replace_text, write_json
from weighbridge.trained import Run
from weighbridge.training import Workplace, begin_run, open_workplace, refuse_other_images, train_run

_NAMES = {"source-only": "source only", "dann": "DANN", "adda": "ADDA", "weighted-dann": "weighted DANN"}


def method_config(name: str, config: Config) -> Config:
    """Settings for `METHOD` or `METHOD:WEIGHTING`, such as `weighted-dann:permuted` or `adda:paper`.

    Raises:
        ConfigError: if there is no such method or weighting.
    """
    method, _, weighting = name.partition(":")
    if method not in METHODS:
        raise ConfigError(f"there is no method '{method}'. {did_you_mean(method, METHODS)}")
    return config.replace(method=method, weighting=weighting or "default")


def compare(
    source: Sequence[Path],
    target: Path,
    config: Config,
    out: Path,
    *,
    methods: Sequence[str],
    seeds: Sequence[int],
    evaluation: Path | None = None,
    title: str = "Comparison",
    watch: Watch | None = None,
) -> Path | None:
    """Train every method on every seed and write tables and a report; finished runs in the folder are kept.

    Methods of one seed share its pre-classifier, the order of the images and the first weights of the network, so that
    their differences are paired.

    Args:
        methods: `METHOD` or `METHOD:WEIGHTING`, each once.
        evaluation: labelled images of the target domain. They are read after all training, for the table alone.

    Returns:
        The folder; None in all training processes but the first.
    """
    watch = watch or Quiet()
    configs = {name: method_config(name, config) for name in methods}
    _refuse_single_run_settings(config)
    if not seeds:
        raise ConfigError("a comparison needs at least one seed, got none; three are few, five are better")
    if (out / "config.toml").is_file():
        _refuse_other_settings(out, config)
    elif out.exists() and any(out.iterdir()):
        raise RunFolderError(f"'{out}' exists already and is not a comparison. Choose another --out.")
    started = time.perf_counter()
    workplace = open_workplace(source, target, config, watch, precision=_precision_of(out))
    fabric = workplace.fabric
    if evaluation:
        build.check_labels(evaluation, config, workplace.data.classes)
    fabric.barrier()  # all have looked before one of them writes
    if fabric.is_global_zero:
        out.mkdir(parents=True, exist_ok=True)
        write_toml(out / "config.toml", dataclasses.asdict(config))

    diverged: dict[Path, int] = {}
    for number, seed in enumerate(seeds):
        shared = RunFolder(out / f"seed-{seed}" / "pre-classifier", writes=fabric.is_global_zero)
        for place, (name, settings) in enumerate(configs.items()):
            path = shared.path.with_name(_folder_name(name))
            watch.about(f"seed {seed} · {name}", number * len(configs) + place, len(seeds) * len(configs))
            try:
                _train_one(workplace, settings.replace(seed=seed), path, shared)
            except DivergenceError as error:
                diverged[path] = error.step + 1

    if fabric.is_global_zero:
        # Only now are the labels of the target looked at.
        labelled = build.open_labelled(evaluation, config, workplace.data.classes) if evaluation else None
        rows = []
        for name, settings in configs.items():
            paths = [(seed, out / f"seed-{seed}" / _folder_name(name)) for seed in seeds]
            runs = [_result(path, out, seed, labelled, str(evaluation), diverged.get(path)) for seed, path in paths]
            row = {"method": settings.method, "weighting": build.weighting_name(settings), "name": _display_name(name)}
            rows.append({**row, "runs": runs})
        _write_tables(
            out,
            {
                "title": title,
                "command": command_line(),
                "task": _task(workplace, labelled, target, evaluation, config),
                "seeds": list(seeds),
                "machine": workplace.machine.facts(),
                "labels": _labels_used(evaluation),
                "rows": rows,
                "seconds": round(time.perf_counter() - started, 1),
            },
        )
    fabric.barrier()
    return out if fabric.is_global_zero else None


def _write_tables(out: Path, results: dict[str, Any]) -> None:
    write_json(out / "results.json", results)
    summary = summarise(results)
    write_json(out / "summary.json", dataclasses.asdict(summary))
    replace_text(out / "table.md", markdown_table(summary))
    replace_text(out / "table.csv", csv_table(summary))
    write_report(out)


def _precision_of(out: Path) -> str | None:
    """The precision of the runs that are there already: one comparison has one, however often it is measured."""
    facts = next(iter(sorted(out.glob("seed-*/*/run.json"))), None)
    return str(RunFolder(facts.parent).facts()["machine"]["precision"]) if facts else None


def _folder_name(name: str) -> str:
    return name.replace(":", "-")


def _train_one(workplace: Workplace, config: Config, path: Path, shared: RunFolder) -> None:
    folder = RunFolder(path, writes=workplace.fabric.is_global_zero)
    if folder.started:
        refuse_other_images(workplace, folder)
    if folder.complete:
        return
    if not folder.started:
        folder = begin_run(workplace, config, path)
    train_run(workplace, config, folder, pre_classifier=shared)


def _result(
    path: Path, out: Path, seed: int, labelled: LabelledDomain | None, evaluation: str, diverged_at: int | None
) -> dict[str, Any]:
    folder = str(path.relative_to(out))
    if diverged_at is not None:
        empty = dict.fromkeys(("accuracy", "source_accuracy", "prediction_entropy", "domain_accuracy", "seconds"))
        return {"seed": seed, "folder": folder, **empty, "diverged_at": diverged_at}
    run = Run(path)
    accuracy = run.evaluate_on(labelled, evaluation).accuracy if labelled else None
    held_out = run.metrics["source_held_out"]
    return {
        "seed": seed,
        "folder": folder,
        "accuracy": accuracy,
        "source_accuracy": held_out and held_out["accuracy"],
        "prediction_entropy": run.metrics["target"]["prediction_entropy"],
        "domain_accuracy": _last_domain_accuracy(run),
        "seconds": run.metrics["seconds"],
        "diverged_at": None,
    }


def _last_domain_accuracy(run: Run) -> float | None:
    """How well the domain classifier still told the domains apart over the last tenth of the log; None without one."""
    values = [record["domain_accuracy"] for record in run.folder.records() if "domain_accuracy" in record]
    return statistics.fmean(values[-max(1, len(values) // 10) :]) if values else None


def _display_name(name: str) -> str:
    method, _, weighting = name.partition(":")
    return f"{_NAMES[method]}, {weighting}" if weighting else _NAMES[method]


def _task(
    workplace: Workplace, labelled: LabelledDomain | None, target: Path, evaluation: Path | None, config: Config
) -> dict[str, Any]:
    data = workplace.data
    sizes = zip(data.source.source_names, data.source.images_of_sources(), strict=True)
    return {
        "source": [{"name": name, "images": images} for name, images in sizes],
        "target": {"name": target.name, "images": len(data.target)},
        "evaluation": {"name": evaluation.name, "images": len(labelled)} if labelled and evaluation else None,
        "classes": list(data.classes),
        "image_size": config.image_size,
    }


def _labels_used(evaluation: Path | None) -> str:
    if evaluation is None:
        return "No target labels were given and none were used."
    return (
        "No target label was used for training, for stopping or for any choice of settings in this command: every "
        "run is taken at its last step. The labels of the evaluation images were read after all training, for this "
        "table alone."
    )


def _refuse_single_run_settings(config: Config) -> None:
    for key, instead in (("method", "--methods"), ("weighting", "--methods METHOD:WEIGHTING"), ("seed", "--seeds")):
        value = getattr(config, key)
        if value != getattr(Config(), key):
            raise ConfigError(f"a comparison takes {instead}; the setting {key} = {value!r} belongs to a single run")


def _refuse_other_settings(out: Path, config: Config) -> None:
    before = dataclasses.asdict(from_mapping(read_toml(out / "config.toml"), where=str(out / "config.toml")))
    now = dataclasses.asdict(config)
    changed = [key for key in now if now[key] != before[key]]
    if changed:
        listed = ", ".join(f"{key} ({before[key]} there, {now[key]} now)" for key in changed)
        raise RunFolderError(f"'{out}' holds a comparison with other settings: {listed}. Choose another --out.")
