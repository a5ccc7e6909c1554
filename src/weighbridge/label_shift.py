"""Class shares of the target from predictions alone (label shift)."""

__all__ = ["better_shares"]

import torch
from torch import Tensor


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
