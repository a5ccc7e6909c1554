"""Which of a teacher's labels are learned, class by class."""

__all__ = ["AdaptiveThresholds"]

import torch
from torch import Tensor, nn
from torch.nn import functional


class AdaptiveThresholds(nn.Module):
    """A threshold for every class, lower where the teacher gives the class less often or is less sure of all.

    Self-adaptive thresholding of Wang et al., "FreeMatch: Self-adaptive Thresholding for Semi-supervised Learning",
    ICLR 2023. Of a batch of probabilities q_b(c) it takes the running means (eq. 5 and 6)

        tau = lambda tau + (1 - lambda) mean_b max_c q_b(c)         p(c) = lambda p(c) + (1 - lambda) mean_b q_b(c)

    both 1/K before the first batch, and learns labels where max_c q_b(c) exceeds the threshold of that class (eq. 7)

        tau(c) = tau p(c) / max_c p(c).

    Args:
        classes: K.
        momentum: lambda, in [0, 1]; 0.999 in the paper, whose running mean of the weights has the same.
    """

    overall: Tensor
    shares: Tensor

    def __init__(self, classes: int, momentum: float = 0.999) -> None:
        super().__init__()
        self.momentum = momentum
        self.register_buffer("overall", torch.tensor(1.0 / classes))  # () tau
        self.register_buffer("shares", torch.full((classes,), 1.0 / classes))  # (K,) p

    @torch.no_grad()
    def update(self, teacher_logits: Tensor) -> Tensor:
        """Take a batch into account: (B', K) -> (B',) float, 1 where the teacher's label is learned and 0 elsewhere."""
        probabilities = functional.softmax(teacher_logits.float(), dim=1)  # (B', K)  q
        sureness, label = probabilities.max(dim=1)  # (B',)
        self.overall.lerp_(sureness.mean(), 1.0 - self.momentum)
        self.shares.lerp_(probabilities.mean(dim=0), 1.0 - self.momentum)
        thresholds = self.overall * self.shares / self.shares.max()  # (K,)
        return (sureness > thresholds[label]).float()
