"""How much more often each class occurs among the target images than among the source images, without target labels."""

__all__ = ["ClassRatios", "better_shares"]

import torch
from torch import Tensor, nn
from torch.nn import functional

_SMALLEST_SHARE = 1e-3  # times 1/K. EM multiplies: a share of 0 would be 0 for good


class ClassRatios(nn.Module):
    """w_y = p_T(y) / p_S(y), followed step by step from the batches that training sees anyway.

    C and mu are moving averages of soft predictions over the batches, and every batch adds one round of EM, so w moves
    slowly from 1, where it starts. The source's shares p_S are those of its batches too.

    Args:
        classes: K.
        momentum: of the moving averages, in [0, 1]; 0.99 looks back over some 100 batches.
    """

    joint: Tensor
    predicted: Tensor
    ratios: Tensor

    def __init__(self, classes: int, momentum: float = 0.99) -> None:
        super().__init__()
        self.momentum = momentum
        even = torch.full((classes,), 1.0 / classes)
        self.register_buffer("joint", torch.diag(even))  # (K, K) p_S(prediction i, class j)
        self.register_buffer("predicted", even.clone())  # (K,) p_T(prediction i)
        self.register_buffer("ratios", torch.ones(classes))  # (K,) w

    @torch.no_grad()
    def update(self, source_logits: Tensor, labels: Tensor, target_logits: Tensor) -> Tensor:
        """Take a batch into account: (B, K), (B,), (B', K) -> w of every class, (K,) float32."""
        source = functional.softmax(source_logits.float(), dim=1)  # (B, K)
        target = functional.softmax(target_logits.float(), dim=1)  # (B', K)
        given = functional.one_hot(labels, len(self.ratios)).float()  # (B, K)
        with torch.autocast(labels.device.type, enabled=False):  # bf16 cannot add up shares
            self.joint.lerp_(source.T @ given / len(labels), 1.0 - self.momentum)
            self.predicted.lerp_(target.mean(dim=0), 1.0 - self.momentum)
            source_shares = self.joint.sum(dim=0).clamp_min(1e-6)  # (K,) p_S; a class may be missing for long
            shares = (self.ratios * source_shares).clamp_min(_SMALLEST_SHARE / len(self.ratios))  # (K,) q
            shares = better_shares(shares / shares.sum(), self.joint / source_shares, self.predicted)
        ratios = shares / source_shares  # (K,)
        self.ratios.copy_(ratios)
        return ratios


def better_shares(shares: Tensor, confusion: Tensor, predicted: Tensor) -> Tensor:
    """One round of expectation maximisation for the class shares q of the target.

    Label shift: p(x | y) is the same in both domains, so that predictions occur on the target with frequency
    mu_i = sum_j C_ij q_j, where C_ij = p(prediction i | class j) is known from the source (Lipton, Wang, Smola, ICML
    2018). EM climbs the likelihood sum_i mu_i log sum_j C_ij q_j and, unlike the inverse of C, keeps q a distribution
    (after Saerens, Latinne, Decaestecker, Neural Computation 14, 2002, whose rounds run over single images).

    Args:
        shares: (K,) q so far, summing to one.
        confusion: (K, K) C, each column summing to one.
        predicted: (K,) mu, summing to one.

    Returns:
        (K,) at least as likely, summing to one.
    """
    expected = (confusion @ shares).clamp_min(torch.finfo(shares.dtype).tiny)  # (K,) mu that q would give
    better = shares * (confusion.T @ (predicted / expected))  # (K,)
    return better / better.sum()
