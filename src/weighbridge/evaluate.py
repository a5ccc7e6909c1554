"""Reading a trained network: predictions, stored likelihoods, and the only place where target labels are met."""

__all__ = ["Evaluation", "TargetSummary", "evaluate", "label_logits", "stored_likelihood", "summarise_target"]

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from sklearn.metrics import confusion_matrix
from torch import Tensor

from weighbridge.data.domains import LabelledDomain
from weighbridge.data.images import Images
from weighbridge.data.index import Progress
from weighbridge.data.transforms import Preparation
from weighbridge.networks import Network
from weighbridge.weights import class_likelihood


@dataclass(frozen=True)
class Evaluation:
    """Counts first, divided once.

    Attributes:
        confusion: K rows of true classes by K columns of predicted ones, in images.
    """

    classes: tuple[str, ...]
    confusion: tuple[tuple[int, ...], ...]

    @property
    def images(self) -> int:
        return sum(map(sum, self.confusion))

    @property
    def accuracy(self) -> float:
        """Share of images told right, in [0, 1]."""
        return sum(self.confusion[k][k] for k in range(len(self.classes))) / self.images

    def facts(self) -> dict[str, Any]:
        """For metrics.json. Classes without images have no accuracy."""
        per_class = {
            name: {"images": sum(row), "accuracy": row[k] / sum(row) if sum(row) else None}
            for k, (name, row) in enumerate(zip(self.classes, self.confusion, strict=True))
        }
        confusion = [list(row) for row in self.confusion]
        return {"images": self.images, "accuracy": self.accuracy, "per_class": per_class, "confusion": confusion}


@dataclass(frozen=True)
class TargetSummary:
    """What can be said about the target without labels.

    Attributes:
        mean_confidence: mean probability of the predicted class, in [0, 1].
        prediction_entropy: mean entropy of the class probabilities, in nats, in [0, ln K].
        mutual_information: entropy of the mean prediction less the mean entropy, in nats, in [0, ln K]; high when
            single predictions are sure and all classes occur (Shi and Sha, ICML 2012). The label-free score by which
            recipes are chosen here; 0 for a collapsed network.
        class_shares: share of the target images predicted as each class; one near 1 says that training collapsed.
    """

    images: int
    mean_confidence: float
    prediction_entropy: float
    mutual_information: float
    class_shares: dict[str, float]


def label_logits(
    network: Network,
    images: Images,
    preparation: Preparation,
    *,
    batch: int = 256,
    progress: Progress | None = None,
) -> Tensor:
    """Label logits of every image in order, in evaluation mode and without augmentation: (N, K) float32 on the CPU.

    The network's own mode is put back afterwards.

    Args:
        progress: called with (images done, images in all).
    """
    weights = next(network.parameters())
    device, layout = weights.device, _layout(weights)
    modes = [(part, part.training) for part in network.modules()]
    network.eval()
    parts = []
    with torch.no_grad():
        for rows in torch.split(torch.arange(len(images)), batch):
            prepared = preparation.plain(images.fetch(rows).to(device)).contiguous(memory_format=layout)
            parts.append(network(prepared).float().cpu())  # (batch, K)
            if progress:
                progress(int(rows[-1]) + 1, len(images))
    for part, training in modes:
        part.training = training
    return torch.cat(parts)


def stored_likelihood(network: Network, source: LabelledDomain, preparation: Preparation) -> Tensor:
    """P_a of every source image, (N,) float32 on the CPU: the pre-classifier's probability of the image's own class."""
    return class_likelihood(label_logits(network, source.images, preparation), source.labels)


def evaluate(
    network: Network, labelled: LabelledDomain, preparation: Preparation, progress: Progress | None = None
) -> Evaluation:
    """Compare predictions with labels. Nothing is chosen by what comes out."""
    predicted = label_logits(network, labelled.images, preparation, progress=progress).argmax(dim=1)
    counts = confusion_matrix(labelled.labels.numpy(), predicted.numpy(), labels=range(len(labelled.classes)))
    return Evaluation(labelled.classes, tuple(tuple(int(cell) for cell in row) for row in counts))


def _layout(convolution: Tensor) -> torch.memory_format:
    """Images lie in memory as the convolution weights do, here as in training."""
    last = convolution.dim() == 4 and convolution.is_contiguous(memory_format=torch.channels_last)
    return torch.channels_last if last else torch.contiguous_format


def summarise_target(logits: Tensor, classes: tuple[str, ...]) -> TargetSummary:
    """Label-free facts about the predictions. logits: (N', K)."""
    probabilities = logits.softmax(dim=1)
    entropy = torch.special.entr(probabilities).sum(dim=1).mean()
    entropy_of_mean = torch.special.entr(probabilities.mean(dim=0)).sum()
    counts = np.bincount(logits.argmax(dim=1).numpy(), minlength=len(classes))
    return TargetSummary(
        images=len(logits),
        mean_confidence=float(probabilities.amax(dim=1).mean()),
        prediction_entropy=float(entropy),
        mutual_information=float(entropy_of_mean - entropy),
        class_shares={name: float(count) / len(logits) for name, count in zip(classes, counts, strict=True)},
    )
