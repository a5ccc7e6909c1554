"""A finished run, ready to predict. What `weighbridge.adapt` returns."""

__all__ = ["Prediction", "Run"]

import dataclasses
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from weighbridge.data.domains import LabelledDomain, UnlabelledDomain
from weighbridge.data.index import Rejected, scan
from weighbridge.data.reading import left_out_sentence, rejected_files
from weighbridge.engine.checkpoint import load_network
from weighbridge.engine.evaluate import Evaluation, Predictions, evaluate, predict
from weighbridge.engine.machine import Machine, Precision
from weighbridge.engine.voting import voted
from weighbridge.errors import LeftOutWarning
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
from weighbridge.settings import build_data, build_machine, build_method
from weighbridge.settings.config import Config, read_run
from weighbridge.watch import Progress


@dataclass(frozen=True)
class Prediction:
    """What an image is taken for.

    Attributes:
        probability: of that label, in [0, 1].
    """

    file: str
    label: str
    probability: float


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

    def predict(self, images: Path | str) -> list[Prediction]:
        """What each image of a folder, manifest or .npz is taken for, in the order of their names."""
        domain, found = self._predictions(Path(images))
        return [
            Prediction(file, self.classes[k], p)
            for file, k, p in zip(domain.files, found.row[:].tolist(), found.probability[:].tolist(), strict=True)
        ]

    def write_predictions(
        self,
        images: Path | str,
        out: Path | str,
        *,
        patch_size: int | None = None,
        stride: int | None = None,
        progress: Progress | None = None,
    ) -> int:
        """The same as a CSV file: file, label, probability. Returns the number of images.

        Args:
            patch_size: cut each image into squares of this side, in pixels, and let them vote, as for large images in
                which training patches are only a part; an image smaller than a patch votes as a whole.
            stride: pixels from one patch to the next; the patch size if not given.
            progress: called with (images done, images in all), in every stage anew.
        """
        if patch_size is None:
            domain, found = self._predictions(Path(images), progress)
            files: Sequence[str] = domain.files
            row, probability = found.row.whole(), found.probability.whole()
        else:
            files, votes = self._voted(Path(images), patch_size, stride or patch_size, progress)
            probability, row = (best.numpy() for best in votes.max(dim=1))
        write_predictions(Path(out), files, row, probability, self.classes)
        return len(files)

    def evaluate(self, labelled: Path | str, progress: Progress | None = None) -> Evaluation:
        """Accuracy on labelled images, which training never saw; also noted in the run's metrics.json."""
        domain = build_data.open_labelled(Path(labelled), self.config, self.classes, progress)
        _tell_left_out(domain.rejected, len(domain))
        return self.evaluate_on(domain, str(labelled), progress)

    def evaluate_on(self, labelled: LabelledDomain, name: str, progress: Progress | None = None) -> Evaluation:
        """`evaluate` on images that are read already."""
        evaluation = self.test({name: labelled}, progress)[name]
        self.note(evaluation, name, labelled)
        return evaluation

    def test(self, domains: Mapping[str, LabelledDomain], progress: Progress | None = None) -> dict[str, Evaluation]:
        """What the network says about several domains; nothing is noted."""
        if self.config.on_features:
            return {name: self._test_on_features(labelled, progress) for name, labelled in domains.items()}
        network, preparation = self.network(), build_data.build_preparation(self.config)
        return {name: evaluate(network, labelled, preparation, progress) for name, labelled in domains.items()}

    def _test_on_features(self, labelled: LabelledDomain, progress: Progress | None) -> Evaluation:
        """Features of these images are computed once for all runs that have the backbone."""
        precision = self.folder.facts()["machine"]["precision"]
        machine, device = self._machine(precision)
        features = features_of(
            labelled.images,
            lambda: self._backbone(machine, device),
            self.config,
            digest=self._features_facts()["backbone"],
            precision=precision,
            autocast=lambda: torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"),
            views=0,
            progress=progress,
        )
        exchanged = dataclasses.replace(labelled, images=features)
        return evaluate(self._head(device), exchanged, build_data.preparation_of(self.config))

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
            votes.append(voted(network, stored.content, stored.name, reading.view, preparation, **size))
            files.append(stored.name)
            if progress:
                progress(len(files), len(index))
        return files, torch.stack(votes)

    def _predictions(self, images: Path, progress: Progress | None = None) -> tuple[UnlabelledDomain, Predictions]:
        domain = build_data.open_target(images, self.config, progress, whole=True)
        _tell_left_out(domain.rejected, len(domain))
        preparation = build_data.build_preparation(self.config)
        return domain, predict(self.network(), domain.images, self.classes, preparation, progress)


def _tell_left_out(rejected: Sequence[Rejected], used: int) -> None:
    """Warn where images are left out."""
    if left_out := left_out_sentence(rejected, used):
        warnings.warn(f"{left_out}. weighbridge inspect lists them", LeftOutWarning, stacklevel=4)
