"""The page of a run, finished or not: what each part of it says, read from the run folder."""

__all__ = ["confusion_values", "run_page"]

import csv
import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from weighbridge.files import printable
from weighbridge.report import run_figures
from weighbridge.report.class_table import class_table
from weighbridge.report.confusions import heat_map, worst_pairs
from weighbridge.report.flows import flows_between, flows_of
from weighbridge.report.html import Heading, Line, SortedTable, cell, render
from weighbridge.report.influence import influence_tables
from weighbridge.report.inline import inline_svg
from weighbridge.report.photos import Photos, read_photos, shown_photos
from weighbridge.report.pictures import OwnPictures
from weighbridge.report.plane import read_plane
from weighbridge.report.renders import weighed_renders
from weighbridge.report.verdict import tiles, verdict_of
from weighbridge.run_folder import RunFolder, called_as

_BANDS = "median, the middle 50, 80 and 98 % of the renders, some one by one"
_KINDS = (
    ("wrong", "known to be wrong"),
    ("right", "known to be right"),
    ("doubtful", "doubtful"),
    ("changed", "changed by adapting"),
    ("unlike", "unlike all renders"),
)
_CONTENTS = {
    "verdict": "Verdict",
    "gallery": "Photos",
    "flows": "Before and after",
    "classes": "Classes",
    "confusions": "Confusions",
    "plane": "Both domains",
    "renders": "Renders",
    "training": "Training",
    "left-out": "Left out",
    "made": "How it was made",
}


def run_page(folder: Path) -> str:
    """The HTML of a run. Whatever is not there yet, or no more, is left out."""
    run = RunFolder(folder)
    facts, metrics = run.facts(), run.metrics() if run.complete else None
    evaluation = (metrics or {}).get("evaluation")
    photos = read_photos(folder, facts["classes"], (metrics or {}).get("trust")) if metrics else None
    target = OwnPictures([facts["paths"]["target"], *_paths_of(evaluation)])
    source = OwnPictures(facts["paths"]["source"])
    both = OwnPictures([*facts["paths"]["source"], facts["paths"]["target"]])
    weights = run_figures.weights_figure(folder, width=4.4)
    caption = f"Instance weights over training: {_BANDS}."
    weights_plots = [{"svg": inline_svg(weights), "caption": caption, "wide": False}] if weights else []
    parts: dict[str, Any] = {
        "gallery": _gallery(photos, target) if photos else None,
        "flows": _flows(photos) if photos else None,
        "class_table": _classes(photos, evaluation) if photos else None,
        "confusion": confusion_values(evaluation, "confused") if evaluation else None,
        "plane": _plane(folder, facts, both),
        "renders": _renders(folder, source, weights_plots),
        "influence": influence_tables(folder),
        "curves": [inline_svg(figure) for figure in run_figures.curve_panels(_with_log(run))],
        "left_out": _left_out(folder),
    }
    shown = {"class_table": "classes", "confusion": "confusions", "curves": "training", "left_out": "left-out"}
    there = {shown.get(key, key) for key, value in parts.items() if value} | {"verdict", "made"}
    there |= {"renders"} if parts["influence"] else set()
    return render(
        "run.html.j2",
        drawn=[*parts["curves"], *(str(plot["svg"]) for plot in weights_plots)],
        title=f"{facts['method']} · {printable(folder.resolve().name)}",
        about=_about(facts),
        contents=[(key, name) for key, name in _CONTENTS.items() if key in there],
        verdict=verdict_of(metrics) if metrics else _unfinished(folder, facts, _with_log(run)),
        tiles=tiles(metrics, photos) if metrics else [],
        made=_made(facts, metrics, run),
        config=run.config.read_text(encoding="utf-8", errors="surrogateescape") if run.config.is_file() else "",
        **parts,
    )


def _paths_of(evaluation: Mapping[str, Any] | None) -> list[Mapping[str, str]]:
    return [evaluation["path"]] if evaluation and "path" in evaluation else []


def _with_log(run: RunFolder) -> Path:
    """Where the log lies: of a run that is not finished, that of the stage that trains now."""
    if run.complete:
        return run.path
    stages = (run.path, *(run.path / name for name in ("features", "features/pre-classifier", "pre-classifier")))
    return next((stage for stage in stages if (stage / "log.jsonl").is_file()), run.path)


def _about(facts: Mapping[str, Any]) -> str:
    data = facts["data"]
    sources = ", ".join(f"{printable(part['name'])} ({part['images']:,} labelled)" for part in data["source"])
    images = f"{data['target']['images']:,} unlabelled photos" if "target" in data else "unlabelled photos"
    return f"{sources} → {images}, {len(facts['classes'])} classes"


def _unfinished(folder: Path, facts: Mapping[str, Any], stage: Path) -> dict[str, Any]:
    records = RunFolder(stage).records()
    done = records[-1]["step"] if records else 0
    where = f"in its {stage.name} stage, " if stage != folder else ""
    steps = RunFolder(stage).facts().get("steps", facts["steps"]) if RunFolder(stage).started else facts["steps"]
    reasons = [
        f"The last line of its log is {where}step {done:,} of {steps:,}." if records else "No step is logged yet."
    ]
    return {
        "tone": "neutral",
        "headline": "This run is not finished",
        "reasons": [{"sentence": reason, "mark": "", "source": ""} for reason in reasons],
        "others": [],
        "next": [f"Go on where it stopped: {called_as()} adapt --resume {printable(str(folder))}"],
    }


# ---- parts ---------------------------------------------------------------------------------------------------------


def _gallery(photos: Photos, pictures: OwnPictures) -> dict[str, Any] | None:
    sections, count = shown_photos(photos, pictures)
    if not count:
        return None
    labelled = photos.right >= 0
    order = "Wrong ones come first, then the least sure." if labelled.any() else "The least sure come first."
    doubtful = "Doubtful is the least sure tenth of the photos."
    if photos.threshold is not None:
        doubtful = f"Doubtful is a probability below {photos.threshold:.2f}, the threshold of the verdict."
    whole = (
        f"{count:,} of {len(photos):,} photos are shown, a share of each class."
        if count < len(photos)
        else "All photos are shown."
    )
    flags = {flag for section in sections for card in section.cards for flag in card.flags.split()}
    return {
        "said": f"{whole} {order} {doubtful}{' A photo that is in both sets is shown once.' if photos.others else ''}",
        "missing": _missing(pictures),
        "sections": sections,
        "true": sorted({printable(name) for name in photos.true.values() if name}),
        "kinds": [(key, name) for key, name in _KINDS if key in flags],
    }


def _missing(pictures: OwnPictures) -> str:
    said = []
    if pictures.outside:
        said.append(
            f"Of {pictures.outside:,} the path leads out of the run's own folders; their pictures are left out."
        )
    if pictures.gone:
        said.append(f"Of {pictures.gone:,} the picture is not where it was, or cannot be read.")
    return " ".join(said)


def _flows(photos: Photos) -> dict[str, Any] | None:
    known = (photos.before >= 0) & (photos.label >= 0)
    drawn = flows_of(flows_between(photos.before[known], photos.label[known], len(photos.classes)), photos.classes)
    if drawn is None:
        return None
    share = 100 * drawn.changed / drawn.photos
    said = [
        f"{drawn.changed:,} of {drawn.photos:,} photos ({share:.1f} %) changed class by adapting; they are in colour."
    ]
    if drawn.rest:
        said.append(
            f"The classes of the largest changes stand by themselves; {drawn.rest} others are summed as one. "
            f"{drawn.undrawn:,} photos that come from these and stay among them are not drawn."
        )
    if drawn.pairs > len(drawn.biggest):
        said.append(f"Listed are the {len(drawn.biggest)} largest of {drawn.pairs} changes.")
    return {"drawn": drawn, "said": " ".join(said)}


def _classes(photos: Photos, evaluation: Mapping[str, Any] | None) -> dict[str, Any]:
    said = "Click a heading to sort. Shares and probabilities are of the unlabelled photos."
    if evaluation:
        mean = evaluation.get("class_mean")
        said += " Accuracy and intervals are of the labelled images."
        said += (
            f" Class-mean accuracy, where every class counts alike, is {100 * mean:.1f} %." if mean is not None else ""
        )
    else:
        said += " No labels are known, so nothing here says what is right."
    return {"said": said, "table": class_table(photos, evaluation)}


def confusion_values(evaluation: Mapping[str, Any], key: str) -> dict[str, Any]:
    """What the macro `confusions` draws; `key` is an id that nothing else on the page has."""
    counts, names = np.array(evaluation["confusion"], dtype=np.int64), list(evaluation["per_class"])
    pairs, of = worst_pairs(counts, names)
    wrong = int(counts.sum() - np.trace(counts))
    said = f"{wrong:,} of {int(counts.sum()):,} labelled images are told wrong. "
    said += f"The {len(pairs)} worst of {of} pairs come first." if of > len(pairs) else "The worst pairs come first."
    return {"pairs": pairs, "said": said, "map": heat_map(counts, names), "key": key}


def _plane(folder: Path, facts: Mapping[str, Any], pictures: OwnPictures) -> dict[str, Any] | None:
    drawn = read_plane(folder, facts["classes"], pictures)
    if drawn is None:
        return None
    kinds = sorted({kind for *_, kind in drawn.points})
    said = (
        f"{drawn.counts[0]:,} renders and {drawn.counts[1]:,} photos as the adapted network sees them; {drawn.how}. "
        "Near points look alike to it. Where the domains lie apart, adapting has not aligned them there. "
        "Distances between far groups mean nothing. Point at one for its picture."
    )
    return {"drawn": drawn, "said": said, "kinds": [(kind, drawn.classes[kind]) for kind in kinds]}


def _renders(folder: Path, pictures: OwnPictures, plots: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    found = weighed_renders(folder, pictures)
    if found is None and not plots:
        return None
    strips, factors, said = [], None, "A weight of 1 is the mean."
    if found is not None:
        strips = [("Highest weights", found.highest), ("Lowest weights", found.lowest)]
        missing = _missing(pictures)
        said = f"Mean weights of {found.renders:,} renders over training. {said} {missing}"
    if found is not None and found.factors:
        columns = (
            Heading("factor", text=True),
            Heading("highest fifth"),
            Heading("lowest fifth"),
            Heading("apart, in deviations"),
        )
        lines = [
            Line((cell(row.name), cell(row.highest), cell(row.lowest), cell(row.apart, "{:+.2f}")))
            for row in found.factors
        ]
        factors = SortedTable(columns, tuple(lines))
    return {"said": said, "strips": strips, "factors": factors, "plots": plots}


def _left_out(folder: Path) -> dict[str, Any] | None:
    path = folder / "quarantine.csv"
    if not path.is_file():
        return None
    with path.open(newline="", encoding="utf-8", errors="surrogateescape") as lines:
        rows = [(row["domain"], row["status"], row["reason"], row["file"]) for row in csv.DictReader(lines)]
    if not rows:
        return None
    counts, first = Counter(row[:3] for row in rows), {row[:3]: row[3] for row in reversed(rows)}
    columns = (
        Heading("reason", text=True),
        Heading("files"),
        Heading("status", text=True),
        Heading("domain", text=True),
        Heading("the first", text=True),
    )
    table = [
        Line((cell(kind[2]), cell(count, "{:,}"), cell(kind[1]), cell(kind[0]), cell(Path(first[kind]).name)))
        for kind, count in counts.most_common()
    ]
    said = f"{len(rows):,} files below the paths of the run are not used. quarantine.csv lists them all."
    return {"said": said, "table": SortedTable(columns, tuple(table))}


def _made(facts: Mapping[str, Any], metrics: Mapping[str, Any] | None, run: RunFolder) -> dict[str, Any]:
    config = tomllib.loads(run.config.read_text(encoding="utf-8", errors="replace")) if run.config.is_file() else {}
    machine, weights, features = facts.get("machine") or {}, facts.get("weights") or {}, facts.get("features") or {}
    weighting = f", {facts['weighting']} weights" if facts.get("weighting") else ""
    listed: dict[str, Any] = {
        "method": f"{facts['method']}{weighting}",
        "network": config.get("backbone"),
        "training": facts.get("training"),
        "seed": facts.get("seed"),
        "steps": facts.get("steps"),
        "seconds of training": metrics["seconds"] if metrics else None,
        "trained parameters": f"{facts['parameters']:,}" if "parameters" in facts else None,
        "weighbridge": facts.get("weighbridge"),
        "python": machine.get("python_version"),
        "torch": machine.get("torch_version"),
        **{
            key.replace("_", " "): machine.get(key)
            for key in ("processor", "device", "precision", "threads", "processes")
        },
        "fingerprint of the images": facts["data"].get("fingerprint"),
        "initial weights": " · ".join(
            map(str, filter(None, (weights.get("name") or weights.get("given"), weights.get("sha256"))))
        ),
        "fingerprint of the backbone": features.get("backbone"),
        "evaluated on": ((metrics or {}).get("evaluation") or {}).get("data"),
    }
    if taught := facts["data"].get("target_labels"):
        said = (
            f"{taught['images']:,} labelled photos were learned from, see target-labels.csv, and no other target label."
        )
    else:
        said = "No target label is used in training."
    if metrics:
        said += " The model is the one of the last step."
    shown = [(name, printable(str(value))) for name, value in listed.items() if value not in (None, "")]
    return {"said": said, "command": printable(str(facts.get("command", ""))), "facts": shown}
