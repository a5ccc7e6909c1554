"""The losses, from logits. Every domain classifier ends in one logit; positive means target."""

__all__ = [
    "class_balance_loss",
    "confident",
    "consistency_loss",
    "discriminator_accuracy",
    "domain_loss",
    "label_loss",
    "minimum_class_confusion",
    "per_image_domain_loss",
    "pseudo_label_loss",
    "summed_domain_means",
]

import torch
from torch import Tensor
from torch.nn import functional

from weighbridge.types import SOURCE, TARGET


def label_loss(label_logits: Tensor, labels: Tensor, weights: Tensor | None = None) -> Tensor:
    """L_y: mean cross-entropy over the source images, the first sum of eq. 4.

    Args:
        label_logits: (B, K). labels: (B,) int64 in [0, K).
        weights: (B,), detached, for (1/B) sum_i w_i l_i; None for w = 1.
    """
    if weights is None:
        return functional.cross_entropy(label_logits.float(), labels)
    return (weights * functional.cross_entropy(label_logits.float(), labels, reduction="none")).mean()


def per_image_domain_loss(domain_logits: Tensor, domain: int) -> Tensor:
    """L_d of each image: binary cross-entropy against the domain label, (B,) -> (B,)."""
    targets = torch.full_like(domain_logits, float(domain), dtype=torch.float32)
    return functional.binary_cross_entropy_with_logits(domain_logits.float(), targets, reduction="none")


def domain_loss(source_logits: Tensor, target_logits: Tensor, source_weights: Tensor | None = None) -> Tensor:
    """L_d = (1/M) (sum_i w_i l_i + sum_j l_j), a sum over all M = B + B' images (Osumi et al. 2019, eq. 6-8).

    It is not a mean of two means: the two differ when B != B', and when weights do not average to one.

    Args:
        source_logits: (B,) domain logits of the source images.
        target_logits: (B',) domain logits of the target images.
        source_weights: (B,) w of eq. 5, detached; None for w = 1.

    Raises:
        ValueError: if weights and logits differ in shape, such as (B,) and (B, 1), which would pair all with all.
    """
    source = _weighted(per_image_domain_loss(source_logits, SOURCE), source_weights)  # (B,)  eq. 6
    target = per_image_domain_loss(target_logits, TARGET)  # (B',)  eq. 7
    return (source.sum() + target.sum()) / (len(source) + len(target))  # eq. 8


def summed_domain_means(source_logits: Tensor, target_logits: Tensor, source_weights: Tensor | None = None) -> Tensor:
    """mean_i w_i l_i + mean_j l_j: each domain its own mean, added up (Ganin et al., JMLR 2016, eq. 9; ADDA, eq. 6).

    Twice `domain_loss` when B = B'. Arguments as there.
    """
    source = _weighted(per_image_domain_loss(source_logits, SOURCE), source_weights)  # (B,)
    target = per_image_domain_loss(target_logits, TARGET)  # (B',)
    return source.mean() + target.mean()


def _weighted(losses: Tensor, weights: Tensor | None) -> Tensor:
    if weights is None:
        return losses
    if weights.shape != losses.shape:
        raise ValueError(f"expected a weight for each logit, got {tuple(weights.shape)} for {tuple(losses.shape)}")
    return weights * losses


def discriminator_accuracy(source_logits: Tensor, target_logits: Tensor) -> Tensor:
    """Share of the domain labels told right, both domains counting alike: 0.5 is chance. (B,), (B',) -> scalar."""
    return 0.5 * ((source_logits < 0).float().mean() + (target_logits >= 0).float().mean())


def minimum_class_confusion(target_logits: Tensor, temperature: float = 2.5) -> Tensor:
    """L_MCC: how much the predictions of a batch confuse each class with the others (Jin et al., ECCV 2020), in
    [0, 1 - 1/K]; 0 where every image is told for certain, 1 - 1/K where nothing is told.

    The paper's paragraphs are "Probability Rescaling", Y = softmax(logits / T); "Class Correlation" and "Uncertainty
    Reweighting", C = Y^T W Y with w_i proportional to 1 + exp(-H(Y_i)); "Category Normalization", each row of C divided
    by its sum; and "Minimum Class Confusion", the mean over the rows of what lies off the diagonal, 1 - C_jj. A row of
    Y^T W Y sums to sum_i w_i Y_ij, since a row of Y sums to one, so C_jj = sum_i (w_i Y_ij / sum_i w_i Y_ij) Y_ij. The
    bracket is a softmax over the images, which a class that no image resembles cannot turn into 0 / 0.

    Args:
        target_logits: (B', K).
        temperature: T > 0 of the probability rescaling Y = softmax(logits / T).
    """
    log_y = functional.log_softmax(target_logits.float() / temperature, dim=1)  # (B', K)  Probability Rescaling
    y = log_y.exp()
    entropy = -(y * log_y).sum(dim=1).detach()  # (B',); the weights grade the images, they teach nothing
    # Uncertainty Reweighting. B' / sum_i w_i is left out: Category Normalization divides the rows by their sums.
    log_w = torch.log1p(torch.exp(-entropy))  # (B',)
    share = functional.softmax(log_y + log_w.unsqueeze(1), dim=0)  # (B', K)
    return 1.0 - (share * y).sum(dim=0).mean()


def confident(teacher_logits: Tensor, threshold: float) -> Tensor:
    """1 where the largest class probability exceeds the threshold, else 0 (French et al., ICLR 2018, "Confidence
    thresholding").

    Args:
        teacher_logits: (B', K). threshold: in [0, 1].

    Returns:
        (B',) float, without gradient.
    """
    return (functional.softmax(teacher_logits.float(), dim=1).amax(dim=1) > threshold).float()


def consistency_loss(student_logits: Tensor, teacher_logits: Tensor, sure: Tensor) -> Tensor:
    """Squared difference of the class probabilities of two networks, mean over classes and images, in [0, 2/K]; images
    of which the teacher is not sure add nothing (French et al., ICLR 2018, the self-ensembling loss, as "Confidence
    thresholding" masks it).

    Args:
        student_logits: (B', K).
        teacher_logits: (B', K), without gradient.
        sure: (B',) 0 or 1, of `confident`.
    """
    student = functional.softmax(student_logits.float(), dim=1)  # (B', K)
    teacher = functional.softmax(teacher_logits.float(), dim=1)
    return (sure * (student - teacher).square().mean(dim=1)).mean()


def pseudo_label_loss(student_logits: Tensor, teacher_logits: Tensor, sure: Tensor) -> Tensor:
    """Mean over the batch of the cross-entropy against the teacher's class; images of which the teacher is not sure add
    nothing (Sohn et al., NeurIPS 2020, "FixMatch", the loss on unlabelled images).

    Args:
        student_logits: (B', K).
        teacher_logits: (B', K), without gradient, of another view.
        sure: (B',) 0 or 1, of `confident`.
    """
    losses = functional.cross_entropy(student_logits.float(), teacher_logits.argmax(dim=1), reduction="none")  # (B',)
    return (sure * losses).mean()


def class_balance_loss(student_logits: Tensor) -> Tensor:
    """Binary cross-entropy of the batch's mean class probabilities against 1/K, summed over the classes (French et al.,
    ICLR 2018, "Class balance loss"); smallest where all classes are predicted equally often.

    Args:
        student_logits: (B', K).
    """
    mean = functional.softmax(student_logits.float(), dim=1).mean(dim=0)  # (K,)
    share = 1.0 / len(mean)
    tiny = 1e-6  # as in the authors' code: a class that is never predicted costs a finite amount
    return -(share * torch.log(mean + tiny) + (1.0 - share) * torch.log(1.0 - mean + tiny)).sum()
