"""Whether a run may be trusted: what its networks say of renders held out and of photos, weighed without labels."""

__all__ = ["Trusted", "calibrated", "read_likeness", "spread", "unlikeness", "weighed", "write_likeness"]

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from weighbridge.data.images import Images
from weighbridge.data.vectors import Vectors
from weighbridge.engine.outputs import Outputs
from weighbridge.files import whole_file
from weighbridge.run_folder import RunFolder
from weighbridge.runs.workplace import Workplace
from weighbridge.settings.config import Config
from weighbridge.trust.calibration import probabilities_of
from weighbridge.trust.domains import proxy_a_distance, trivial_cues
from weighbridge.trust.evidence import Evidence, distance_between_domains, domain_classifier, unlike_photos
from weighbridge.trust.neighbours import NEAR, Likeness, gradient_histograms
from weighbridge.trust.verdict import Trust, judge
from weighbridge.trust.words import next_steps

_MOST, _MOST_LOGITS = 10_000, 4_000_000  # photos that are weighed, and numbers that this takes
_COMPARED = 2_000  # photos that are compared with each other
_LOOKED_AT = 200  # images of each domain whose trivial cues are measured
_TOLD_BY = 500  # images of each domain by whose features it is told
_AT_ONCE = 4096


@dataclass(frozen=True)
class Trusted:
    """What is known of a run without labels of its photos."""

    trust: Trust
    likeness: Likeness | None

    def facts(self, run: Path, doubtful: int) -> dict[str, Any]:
        """For metrics.json.

        Args:
            run: its folder.
            doubtful: photos below the threshold.
        """
        steps = next_steps(self.trust.verdict, self.trust.evidence, str(run), doubtful)
        return dataclasses.replace(self.trust, next=steps).facts()


def weighed(
    workplace: Workplace,
    config: Config,
    folder: RunFolder,
    held_out: Outputs,
    target: Outputs,
    before: tuple[Outputs, Outputs] | None,
    others: Sequence[NDArray[np.integer[Any]]] = (),
    again: tuple[NDArray[np.int64], NDArray[np.int64]] | None = None,
) -> Trusted:
    """Weigh all evidence, on at most 10,000 photos, evenly drawn.

    Args:
        held_out, target: what the run's network says.
        before: what the renders-only network says of the same.
        others: (N,) each, what models of other seeds take the photos for, as places in the classes.
        again: rows (n,) of some photos, and what the run's network takes these for once they are augmented, (n,).
    """
    data = workplace.data
    kinds = len(data.classes)
    most = max(500, min(_MOST, _MOST_LOGITS // kinds))
    renders, photos = spread(len(held_out), most), spread(len(target), most)
    labels = data.held_out.labels.whole()[renders]
    more, likeness, unlike = _distances(workplace, folder, held_out, target), None, None
    if len(renders) > NEAR:
        likeness = Likeness.of(
            held_out.features[renders], held_out.logits[renders], target.features[photos], target.logits[photos]
        )
        piece = unlike_photos(likeness.score(target.features[photos], target.logits[photos]), likeness.threshold)
        more, unlike = [*more, piece], {"share": piece.value, "threshold": likeness.threshold}
    trust = judge(
        classes=data.classes,
        labels=labels,
        held_out=held_out.logits[renders],
        photos=target.logits[photos],
        before=before and (before[0].logits[renders], before[1].logits[photos]),
        alike=_alike(data.target.images, photos),
        more=more,
        others=[rows[photos] for rows in others],
        again=again and (target.logits[again[0]].argmax(axis=1), again[1]),
        adapts=not config.entry.control or before is not None,
    )
    return Trusted(dataclasses.replace(trust, unlike=unlike), likeness)


def spread(count: int, most: int) -> NDArray[np.int64]:
    """At most so many rows, evenly spread."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).astype(np.int64))


def _fetched(images: Images, rows: NDArray[np.int64]) -> NDArray[Any]:
    found: NDArray[Any] = images.fetch(torch.from_numpy(rows)).numpy()
    return found


def _alike(images: Images, photos: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """Some places in `photos`, and features of these that no trained layer has made."""
    places = spread(len(photos), _COMPARED)
    fetched = _fetched(images, photos[places])
    return places, fetched if isinstance(images, Vectors) else gradient_histograms(fetched)


def _distances(workplace: Workplace, folder: RunFolder, held_out: Outputs, target: Outputs) -> list[Evidence]:
    """How far the domains lie apart, by features and by trivial cues, and what the domain classifier did."""
    found = []
    features: list[NDArray[Any]]
    features = [outputs.features[spread(len(outputs), _TOLD_BY)] for outputs in (held_out, target)]
    domains = [("distance on features", "features of the model", features)]
    if not isinstance(workplace.data.target.images, Vectors):  # on features no image is decoded
        parts = (workplace.data.held_out, workplace.data.target)
        looked = [(part.images, spread(len(part), _LOOKED_AT)) for part in parts]
        cues = [trivial_cues(_fetched(images, rows)) for images, rows in looked]
        domains.append(("trivial cues", "brightness, contrast, noise and borders alone", cues))
    for name, what, (renders, photos) in domains:
        if (distance := proxy_a_distance(renders, photos)) is not None:
            found.append(distance_between_domains(name, distance, what))
    records = [record["domain_accuracy"] for record in folder.records() if "domain_accuracy" in record]
    if piece := domain_classifier(records):
        found.append(piece)
    return found


def calibrated(outputs: Outputs, temperature: float) -> NDArray[np.float32]:
    """The calibrated probability of the predicted class, (N,)."""
    logits, found = outputs.logits, np.empty(len(outputs), dtype=np.float32)
    for start in range(0, len(found), _AT_ONCE):
        part = probabilities_of(logits[start : start + _AT_ONCE], temperature)
        found[start : start + len(part)] = part.max(axis=1)
    return found


def unlikeness(outputs: Outputs, likeness: Likeness) -> NDArray[np.float32]:
    """How unlike all renders each image is, (N,) in [0, 1]."""
    features, logits, found = outputs.features, outputs.logits, np.empty(len(outputs), dtype=np.float32)
    for start in range(0, len(found), _AT_ONCE):
        rows = slice(start, start + _AT_ONCE)
        found[rows] = likeness.score(features[rows], logits[rows])
    return found


def write_likeness(path: Path, likeness: Likeness) -> None:
    """An .npz with all of it."""
    with whole_file(path) as part, part.open("wb") as file:
        np.savez(file, **dataclasses.asdict(likeness) | {"renders": likeness.renders.astype(np.float16)})


def read_likeness(path: Path) -> Likeness | None:
    """What `write_likeness` wrote; None where nothing was."""
    if not path.is_file():
        return None
    with np.load(path) as stored:
        far, energy = (tuple(stored[name].tolist()) for name in ("far", "energy"))
        return Likeness(stored["renders"].astype(np.float32), far, energy, float(stored["threshold"]))
