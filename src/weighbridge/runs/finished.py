"""A finished run, ready to predict. What `weighbridge.adapt` returns."""

__all__ = ["NONE_OF_THESE", "Prediction", "Run"]

import dataclasses
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray
from torch import Tensor, nn

from weighbridge.data.domains import LabelledDomain
from weighbridge.data.images import Images
from weighbridge.data.index import Rejected, scan
from weighbridge.data.reading import left_out_sentence, rejected_files
from weighbridge.data.transforms import Preparation
from weighbridge.data.vectors import AsTheyAre
from weighbridge.engine.checkpoint import load_network
from weighbridge.engine.evaluate import Evaluation, evaluate, evaluation_of
from weighbridge.engine.machine import Machine, Precision
from weighbridge.engine.outputs import outputs_of
from weighbridge.engine.voting import voted
from weighbridge.errors import ConfigError, LeftOutWarning, RunFolderError
from weighbridge.labelling.told import judging_labels, run_photos
from weighbridge.parts.networks import Network
from weighbridge.run_folder import RunFolder
from weighbridge.runs.evaluated import noted_evaluation, write_evaluation
from weighbridge.runs.frozen import (
    digest_of,
    features_of,
    frozen_backbone,
    refuse_other_backbone,
    unfilled_backbone,
    whole_network,
)
from weighbridge.runs.tables import write_predictions
from weighbridge.runs.taught import without_learned
from weighbridge.runs.trusted import calibrated, read_likeness, unlikeness
from weighbridge.settings import build_data, build_machine, build_method
from weighbridge.settings.config import Config, read_run
from weighbridge.trust.neighbours import NEAR, Likeness
from weighbridge.watch import Progress

NONE_OF_THESE = "none of these"
_CERTAIN = 1e4  # above all other logits, and still a number


@dataclass(frozen=True)
class Prediction:
    """What an image is taken for.

    Attributes:
        label: a class, or "none of these" where that was asked for.
        probability: of the most probable class, calibrated for the photos of the run, in [0, 1].
        unlike: how unlike all renders the image is, in [0, 1]; None where too few renders were held out to tell.
    """

    file: str
    label: str
    probability: float
    unlike: float | None = None


class Run:
    """A finished run folder.

    Args:
        path: the folder.

    Raises:
        RunFolderError: if there is no run, or it is not finished.
    """

    def __init__(self, path: Path | str) -> None:
        self.folder = RunFolder.open(Path(path))
        self.metrics: dict[str, Any] = self.folder.metrics()
        self.config: Config = read_run(self.folder.config)
        self.classes: tuple[str, ...] = tuple(self.folder.facts()["classes"])

    @property
    def path(self) -> Path:
        return self.folder.path

    def network(self) -> Network:
        """The trained network of images, in evaluation mode on this machine's device."""
        machine, device = self._machine("fp32")
        if self.config.on_features:
            return whole_network(self._backbone(machine, device), self._head(device)).eval()
        if self.config.fine_tunes:
            backbone = unfilled_backbone(self.config, device, machine.memory_format)
            network = whole_network(backbone, self._new_head(device))
            load_network(self.folder.model, network)
            return network.eval()
        # The weights come from the run, not from the hub or file that training started with.
        network = build_method.new_network(
            self.config, len(self.classes), device, machine.memory_format, weights="none"
        )
        load_network(self.folder.model, network)
        return network.eval()

    def _machine(self, precision: Precision) -> tuple[Machine, torch.device]:
        settled = {"processes": 1, "device": "auto", "precision": precision, "threads": torch.get_num_threads()}
        machine = build_machine.build_machine(self.config.replace(**settled))
        return machine, Fabric(accelerator="cuda" if machine.device == "cuda" else "cpu", devices=1).device

    def _backbone(self, machine: Machine, device: torch.device) -> nn.Module:
        module = frozen_backbone(self.config, device, machine.memory_format, self.folder)
        refuse_other_backbone(self.folder, digest_of(module))
        return module

    def _head(self, device: torch.device) -> Network:
        """What was trained behind the frozen backbone."""
        head = self._new_head(device)
        load_network(self.folder.model, head)
        return head.eval()

    def _new_head(self, device: torch.device) -> Network:
        return build_method.new_head(self.config, len(self.classes), self._features_facts()["width"], device)

    def _features_facts(self) -> dict[str, Any]:
        facts: dict[str, Any] = self.folder.facts()["features"]
        return facts

    @property
    def temperature(self) -> float:
        """By which logits are divided, so that probabilities mean something on photos; 1 in runs of earlier builds."""
        return float((self.metrics.get("trust") or {}).get("temperature", 1.0))

    def predict(self, images: Path | str, *, none_of_these: bool = False) -> list[Prediction]:
        """What each image of a folder, manifest or .npz is taken for, in the order of their names.

        Args:
            none_of_these: give the label "none of these" to images unlike all renders.

        Raises:
            RunFolderError: if that is asked for and the run does not know how renders look.
        """
        files, row, probability, unlike = self._predictions(Path(images), none_of_these)
        names, scores = (*self.classes, NONE_OF_THESE), [None] * len(files) if unlike is None else unlike.tolist()
        rows = zip(files, row.tolist(), probability.tolist(), scores, strict=True)
        return [Prediction(file, names[k], p, score) for file, k, p, score in rows]

    def write_predictions(
        self,
        images: Path | str,
        out: Path | str,
        *,
        patch_size: int | None = None,
        stride: int | None = None,
        none_of_these: bool = False,
        progress: Progress | None = None,
    ) -> int:
        """The same as a CSV file: file, label, probability, unlike. Returns the number of images.

        Args:
            patch_size: cut each image into squares of this side, in pixels, and let them vote, as for large images in
                which training patches are only a part; an image smaller than a patch votes as a whole.
            stride: pixels from one patch to the next; the patch size if not given.
            none_of_these: as in `predict`; not for images that are cut into patches.
            progress: called with (images done, images in all), in every stage anew.
        """
        if patch_size is None:
            files, row, probability, unlike = self._predictions(Path(images), none_of_these, progress)
        else:
            if none_of_these:
                raise ConfigError(
                    "expected none_of_these or patch_size, got both. Patches are not compared with renders"
                )
            files, votes = self._voted(Path(images), patch_size, stride or patch_size, progress)
            (probability, row), unlike = (best.numpy() for best in votes.max(dim=1)), None
        write_predictions(Path(out), files, row, probability, (*self.classes, NONE_OF_THESE), unlike)
        return len(files)

    def evaluate(
        self, labelled: Path | str, progress: Progress | None = None, *, none_of_these: bool = False
    ) -> Evaluation:
        """Accuracy on labelled images, which training never saw; also noted in the run's metrics.json.

        Args:
            labelled: whatever holds labelled images, or a CSV that `weighbridge label` wrote.
            none_of_these: images unlike all renders are told as a class of this name, and images of classes that the
                renders lack are right if they are told so.

        Raises:
            RunFolderError: if that is asked for and the run does not know how renders look.
        """
        likeness = self._likeness() if none_of_these else None
        others = NONE_OF_THESE if none_of_these else None
        domain = self._labelled(Path(labelled), progress, others)
        _tell_left_out(domain.rejected, len(domain))
        if likeness is None:
            return self.evaluate_on(domain, str(labelled), progress)
        outputs = outputs_of(self.network(), domain.images, build_data.build_preparation(self.config), progress)
        strange = torch.from_numpy(unlikeness(outputs, likeness) > likeness.threshold)  # (N,)
        evaluation = evaluation_of(_with_none(outputs.batches(), strange), domain, self.temperature)
        self.note(evaluation, str(labelled), domain)
        return evaluation

    def _labelled(self, path: Path, progress: Progress | None, others: str | None = None) -> LabelledDomain:
        """Images to evaluate on: what lies at the path, or the run's own photos if it holds labels of these.

        Args:
            others: see `build_data.open_labelled`.
        """
        judging = judging_labels(self.path, path)
        if judging is None:
            labelled = build_data.open_labelled(path, self.config, self.classes, progress, others=others)
            unlearned, learned = without_learned(self.path, labelled)
            if learned:
                told = f"{learned} of {len(labelled)} images are left out, as the run has learned their labels"
                warnings.warn(told, LeftOutWarning, stacklevel=3)
            return unlearned
        if judging.left_out:
            warnings.warn(judging.left_out, LeftOutWarning, stacklevel=3)
        return build_data.open_chosen(run_photos(self.path), judging.labels, self.config, self.classes, progress)

    def evaluate_on(self, labelled: LabelledDomain, name: str, progress: Progress | None = None) -> Evaluation:
        """`evaluate` on images that are read already."""
        evaluation = self.test({name: labelled}, progress)[name]
        self.note(evaluation, name, labelled)
        return evaluation

    def test(self, domains: Mapping[str, LabelledDomain], progress: Progress | None = None) -> dict[str, Evaluation]:
        """What the network says about several domains; nothing is noted."""
        return {name: self._tested(labelled, progress) for name, labelled in domains.items()}

    def _tested(self, labelled: LabelledDomain, progress: Progress | None) -> Evaluation:
        network, images, preparation = self.as_trained(labelled.images, progress)
        exchanged = dataclasses.replace(labelled, images=images)
        return evaluate(network, exchanged, preparation, progress, temperature=self.temperature)

    def as_trained(
        self, images: Images, progress: Progress | None = None, *, cached: bool = False
    ) -> tuple[Network, Images, Preparation | AsTheyAre]:
        """The layers that were trained, what they see of these images, and how that is prepared.

        Where the backbone is frozen that is features, which are computed once for all runs that have the backbone.

        Args:
            cached: compute no features.

        Raises:
            RunFolderError: if features would have to be computed, and must not be.
        """
        if not self.config.on_features:
            return self.network(), images, build_data.build_preparation(self.config)
        precision = self.folder.facts()["machine"]["precision"]
        machine, device = self._machine(precision)
        features = features_of(
            images,
            _nothing_computed if cached else lambda: self._backbone(machine, device),
            self.config,
            digest=self._features_facts()["backbone"],
            precision=precision,
            autocast=lambda: torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"),
            views=0,
            progress=progress,
        )
        return self._head(device), features, build_data.preparation_of(self.config)

    def note(self, evaluation: Evaluation, name: str, labelled: LabelledDomain) -> None:
        """Make this evaluation the one that the run's metrics, its evaluation.csv and its report tell of."""
        write_evaluation(self.folder.path, evaluation, labelled)
        self.metrics = {**self.metrics, "evaluation": noted_evaluation(evaluation, name, labelled)}
        self.folder.write_metrics(self.metrics)

    def _voted(
        self, images: Path, patch_size: int, stride: int, progress: Progress | None = None
    ) -> tuple[list[str], Tensor]:
        """Names, and each image's mean class probabilities over its patches, (N, K)."""
        network, preparation = self.network(), build_data.build_preparation(self.config)
        reading = build_data.build_reading(self.config)
        index = scan(images, progress=progress)
        rejected = rejected_files(index, reading.strict, f"images in '{images}' or in folders below it")
        _tell_left_out(rejected, len(index))
        files, votes = list[str](), list[Tensor]()
        for place in index.label_free_order().tolist():
            stored = index.read(place)
            size = {"patch_size": patch_size, "stride": stride}
            vote = voted(
                network, stored.content, stored.name, reading.view, preparation, temperature=self.temperature, **size
            )
            votes.append(vote)
            files.append(stored.name)
            if progress:
                progress(len(files), len(index))
        return files, torch.stack(votes)

    def _predictions(
        self, images: Path, none_of_these: bool, progress: Progress | None = None
    ) -> tuple[Sequence[str], NDArray[Any], NDArray[Any], NDArray[Any] | None]:
        """Names, places in the classes and "none of these" behind them, probabilities, and unlikeness, (N,) each."""
        likeness = self._likeness() if none_of_these else read_likeness(self.folder.likeness)
        domain = build_data.open_target(images, self.config, progress, whole=True)
        _tell_left_out(domain.rejected, len(domain))
        outputs = outputs_of(self.network(), domain.images, build_data.build_preparation(self.config), progress)
        row = np.concatenate([logits.argmax(dim=1).numpy() for _, logits in outputs.batches()])  # (N,)
        probability, unlike = calibrated(outputs, self.temperature), None
        if likeness is not None:
            unlike = unlikeness(outputs, likeness)
            if none_of_these:
                row[unlike > likeness.threshold] = len(self.classes)
        return domain.files, row, probability, unlike

    def _likeness(self) -> Likeness:
        """What tells images unlike all renders.

        Raises:
            RunFolderError: if the run has none.
        """
        likeness = read_likeness(self.folder.likeness)
        if likeness is None:
            raise RunFolderError(
                f"the run in '{self.path}' does not know which images are unlike all renders. An earlier build made "
                f"it, or it held out {NEAR} renders or fewer. Train again, with a higher --held-out"
            )
        return likeness


def _nothing_computed() -> nn.Module:
    raise RunFolderError("expected the features of these images in the cache, and they are not there")


def _with_none(batches: Iterable[tuple[Tensor, Tensor]], strange: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Logits with one class more, "none of these", which the strange images are told as. strange: (N,) bool."""
    for rows, logits in batches:
        none = torch.where(strange[rows], logits.max(dim=1).values + _CERTAIN, -torch.inf)
        yield rows, torch.cat([logits, none[:, None]], dim=1)


def _tell_left_out(rejected: Sequence[Rejected], used: int) -> None:
    """Warn where images are left out."""
    if left_out := left_out_sentence(rejected, used):
        warnings.warn(f"{left_out}. weighbridge inspect lists them", LeftOutWarning, stacklevel=4)
