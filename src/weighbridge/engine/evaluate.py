"""Reading a trained network: predictions, stored likelihoods, and the only place where target labels are met."""

__all__ = [
    "Evaluation",
    "Predictions",
    "TargetSummary",
    "evaluate",
    "evaluation_of",
    "label_logits",
    "layout_of",
    "predictions_of",
    "prepared_batches",
    "stored_likelihood",
]

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix
from torch import Tensor

from weighbridge.data.columns import Column
from weighbridge.data.domains import LabelledDomain
from weighbridge.data.images import Images
from weighbridge.data.transforms import Preparation
from weighbridge.data.vectors import AsTheyAre
from weighbridge.parts.networks import Network, evaluating
from weighbridge.parts.weights import class_likelihood
from weighbridge.watch import Progress

_AT_ONCE = 256  # images


@dataclass(frozen=True)
class Evaluation:
    """Counts first, divided once.

    Attributes:
        confusion: K rows of true classes by K columns of predicted ones, in images.
        right: (N,) whether each image was told right, in the order of the domain.
        predicted: (N,) the most probable class, and its `probability`; None where only counts were kept.
    """

    classes: tuple[str, ...]
    confusion: tuple[tuple[int, ...], ...]
    right: NDArray[np.bool_] = field(compare=False, repr=False)
    predicted: NDArray[np.int32] | None = field(default=None, compare=False, repr=False)
    probability: NDArray[np.float32] | None = field(default=None, compare=False, repr=False)

    @classmethod
    def of(cls, facts: Mapping[str, Any], right: NDArray[np.bool_]) -> Self:
        """What `facts` was made of."""
        return cls(tuple(facts["per_class"]), tuple(map(tuple, facts["confusion"])), right)

    @property
    def images(self) -> int:
        return sum(map(sum, self.confusion))

    @property
    def accuracy(self) -> float:
        """Share of images told right, in [0, 1]."""
        return sum(self.confusion[k][k] for k in range(len(self.classes))) / self.images

    @property
    def class_mean(self) -> float:
        """Mean over classes of the share told right, in [0, 1]: balanced accuracy, of the classes that have images."""
        shares = [row[k] / sum(row) for k, row in enumerate(self.confusion) if sum(row)]
        return sum(shares) / len(shares)

    def facts(self) -> dict[str, Any]:
        """For metrics.json. Classes without images have no accuracy."""
        per_class = {
            name: {"images": sum(row), "accuracy": row[k] / sum(row) if sum(row) else None}
            for k, (name, row) in enumerate(zip(self.classes, self.confusion, strict=True))
        }
        confusion = [list(row) for row in self.confusion]
        shares = {"accuracy": self.accuracy, "class_mean": self.class_mean}
        return {"images": self.images, **shares, "per_class": per_class, "confusion": confusion}


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


@dataclass(frozen=True)
class Predictions:
    """What images are taken for: two numbers of each, on disk since there may be millions, and what is said of all.

    Attributes:
        row: (N,) int32, the most probable class.
        probability: (N,) float32, of that class.
    """

    row: Column
    probability: Column
    summary: TargetSummary


def predictions_of(batches: Iterable[tuple[Tensor, Tensor]], count: int, classes: Sequence[str]) -> Predictions:
    """What images are taken for, from rows (batch,) and label logits (batch, K) of `count` images in order."""
    predicted, confidence = Column.filled(count, 0, np.int32), Column.filled(count, 0, np.float32)
    probability_sum, confidence_sum, entropy_sum = torch.zeros(len(classes), dtype=torch.float64), 0.0, 0.0
    counts = np.zeros(len(classes), dtype=np.int64)
    for rows, logits in batches:
        probabilities = logits.softmax(dim=1)  # (batch, K)
        probability, row = probabilities.max(dim=1)
        span = slice(int(rows[0]), int(rows[-1]) + 1)
        predicted[span], confidence[span] = row, probability
        counts += np.bincount(row.numpy(), minlength=len(classes))
        confidence_sum += float(probability.sum())
        probability_sum += probabilities.sum(dim=0)
        entropy_sum += float(torch.special.entr(probabilities).sum())
    entropy = entropy_sum / count
    summary = TargetSummary(
        images=count,
        mean_confidence=confidence_sum / count,
        prediction_entropy=entropy,
        mutual_information=float(torch.special.entr(probability_sum / count).sum()) - entropy,
        class_shares={name: float(number) / count for name, number in zip(classes, counts, strict=True)},
    )
    return Predictions(predicted, confidence, summary)


def stored_likelihood(network: Network, source: LabelledDomain, preparation: Preparation | AsTheyAre) -> Column:
    """P_a of every source image, (N,) float32: the pre-classifier's probability of the image's own class."""
    batches = label_logits(network, source.images, preparation)
    likelihoods = (class_likelihood(logits, source.labels[rows].long()).numpy() for rows, logits in batches)
    return Column(likelihoods, np.float32)


def evaluate(
    network: Network,
    labelled: LabelledDomain,
    preparation: Preparation | AsTheyAre,
    progress: Progress | None = None,
    *,
    temperature: float = 1.0,
) -> Evaluation:
    """Compare predictions with labels. Nothing is chosen by what comes out.

    Args:
        temperature: that logits are divided by, see `trust.calibration`.
    """
    return evaluation_of(label_logits(network, labelled.images, preparation, progress), labelled, temperature)


def evaluation_of(
    batches: Iterable[tuple[Tensor, Tensor]], labelled: LabelledDomain, temperature: float = 1.0
) -> Evaluation:
    """The same from rows (batch,) and label logits (batch, K) that are known."""
    kinds = range(len(labelled.classes))
    counts = np.zeros((len(kinds), len(kinds)), dtype=np.int64)
    right = np.zeros(len(labelled), dtype=np.bool_)
    predicted, probability = np.zeros(len(labelled), dtype=np.int32), np.zeros(len(labelled), dtype=np.float32)
    for rows, logits in batches:
        labels, place = labelled.labels[rows].numpy(), rows.numpy()
        sure, told = (best.numpy() for best in (logits / temperature).softmax(dim=1).max(dim=1))
        counts += confusion_matrix(labels, told, labels=kinds)
        right[place], predicted[place], probability[place] = labels == told, told, sure
    confusion = tuple(tuple(int(cell) for cell in row) for row in counts)
    return Evaluation(labelled.classes, confusion, right, predicted, probability)


def label_logits(
    network: Network, images: Images, preparation: Preparation | AsTheyAre, progress: Progress | None = None
) -> Iterator[tuple[Tensor, Tensor]]:
    """Rows (batch,) and their label logits (batch, K) float32 on the CPU, in evaluation mode, without augmentation.

    The network's own mode is put back at the end.

    Args:
        progress: called with (images done, images in all).
    """
    with evaluating(network):
        for rows, prepared in prepared_batches(network, images, preparation):
            with torch.no_grad():
                logits = network(prepared).float().cpu()
            yield rows, logits
            if progress:
                progress(int(rows[-1]) + 1, len(images))


def prepared_batches(
    network: Network, images: Images, preparation: Preparation | AsTheyAre, *, order: Tensor | None = None
) -> Iterator[tuple[Tensor, Tensor]]:
    """Rows (batch,) and their images (batch, C, H, W) as the network sees them, without augmentation.

    Args:
        order: (N,) rows in the order in which they come; that of the images if not given.
    """
    weights = next(network.parameters())
    device, layout = weights.device, layout_of(weights)
    for start in range(0, len(images), _AT_ONCE):
        rows = torch.arange(start, min(start + _AT_ONCE, len(images)))
        rows = rows if order is None else order[rows]
        yield rows, preparation.plain(images.fetch(rows).to(device)).contiguous(memory_format=layout)


def layout_of(convolution: Tensor) -> torch.memory_format:
    """Images lie in memory as the convolution weights do, here as in training."""
    last = convolution.dim() == 4 and convolution.is_contiguous(memory_format=torch.channels_last)
    return torch.channels_last if last else torch.contiguous_format
