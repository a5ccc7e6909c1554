"""How much more often each class occurs among the target images than among the source images, without target labels."""

__all__ = ["ClassRatios", "better_shares", "shrunk"]

import torch
from torch import Tensor, nn
from torch.nn import functional

_SMALLEST_SHARE = 1e-3  # times 1/K. EM multiplies: a share of 0 would be 0 for good
_CAP = 20.0  # of w: with equal shares in the source, up to 20 classes cannot reach it


class ClassRatios(nn.Module):
    """w_y = p_T(y) / p_S(y), followed step by step from the batches that training sees anyway.

    C and mu are moving averages of soft predictions over the batches, and every batch adds one round of EM, so w moves
    slowly from 1, where it starts. The source's shares p_S are those of its batches too.

    The averages look back over 1 / (1 - momentum) batches. Where these hold fewer than `images_per_class` images of a
    class, K of them with equal shares, the window grows batch by batch until they do. What is left of the noise is
    taken out by `shrunk`.

    Args:
        classes: K.
        momentum: of the moving averages, in [0, 1]; 0.99 looks back over some 100 batches.
        images_per_class: that the window holds at least, in the smaller of the two batches, >= 0. With 100 of them the
            window is longer than 100 batches where there are more classes than images in a batch.
        shrinkage: times the noise that `shrunk` takes out, >= 0; 0 leaves the ratios as EM has them.
    """

    joint: Tensor
    predicted: Tensor
    ratios: Tensor
    batches: Tensor
    spread: Tensor

    def __init__(
        self, classes: int, momentum: float = 0.99, *, images_per_class: float = 100.0, shrinkage: float = 1.0
    ) -> None:
        super().__init__()
        self.momentum = momentum
        self.images_per_class = images_per_class
        self.shrinkage = shrinkage
        even = torch.full((classes,), 1.0 / classes)
        self.register_buffer("joint", torch.diag(even))  # (K, K) p_S(prediction i, class j)
        self.register_buffer("predicted", even.clone())  # (K,) p_T(prediction i)
        self.register_buffer("ratios", torch.ones(classes))  # (K,) w as EM has it
        self.register_buffer("batches", torch.zeros((), dtype=torch.int64))  # seen
        self.register_buffer("spread", torch.zeros(2))  # 1 / images that the averages of source and target stand for

    @torch.no_grad()
    def update(self, source_logits: Tensor, labels: Tensor, target_logits: Tensor) -> Tensor:
        """Take a batch into account: (B, K), (B,), (B', K) -> w of every class, (K,) float32."""
        source = functional.softmax(source_logits.float(), dim=1)  # (B, K)
        target = functional.softmax(target_logits.float(), dim=1)  # (B', K)
        given = functional.one_hot(labels, len(self.ratios)).float()  # (B, K)
        rate = self._rate(min(len(source), len(target)))
        sizes = torch.tensor([len(source), len(target)], device=self.spread.device)
        with torch.autocast(labels.device.type, enabled=False):  # bf16 cannot add up shares
            self.joint.lerp_(source.T @ given / len(labels), rate)
            self.predicted.lerp_(target.mean(dim=0), rate)
            self.spread.mul_((1.0 - rate) ** 2).add_(rate**2 / sizes)  # an average's squared weights, added up
            source_shares = self.joint.sum(dim=0).clamp_min(1e-6)  # (K,) p_S; a class may be missing for long
            shares = (self.ratios * source_shares).clamp_min(_SMALLEST_SHARE / len(self.ratios))  # (K,) q
            shares = better_shares(shares / shares.sum(), self.joint / source_shares, self.predicted)
            self.ratios.copy_(shares / source_shares)
            return shrunk(self.ratios, source_shares, self.shrinkage * self.spread).clamp_max(_CAP)

    def _rate(self, batch: int) -> Tensor:
        """What a batch of this size counts in the averages, () in [0, 1]."""
        usual = 1.0 - self.momentum
        wanted = batch / max(self.images_per_class * len(self.ratios), 1.0)  # 1 / batches of a window that holds enough
        grown = usual / (1.0 + usual * self.batches)  # the mean over all batches so far, and 1 / usual before them
        self.batches += 1
        return grown.clamp_min(min(usual, wanted))


def shrunk(ratios: Tensor, source_shares: Tensor, spread: Tensor) -> Tensor:
    """Ratios drawn towards 1 by the share of their variance over the classes that noise alone explains.

    w = 1 + gamma (w - 1), as "Regularized Learning under Label Shifts" has it (Azizzadenesheli et al., ICLR 2019), with
    gamma = max(0, 1 - V / S) after James and Stein (Efron and Morris, JASA 68, 1973). S = sum_y p_y (w_y - 1)^2 is what
    was found. V = sum_y w_y / N_T + sum_y w_y^2 / N_S is what counting images would give: a class has N_T p_y w_y
    images of N_T and N_S p_y of N_S, whose numbers vary by as much. Classes move by no more than sqrt(V) in the mean.

    Args:
        ratios: (K,) w.
        source_shares: (K,) p of the source.
        spread: (2,) 1 / N_S and 1 / N_T.

    Returns:
        (K,).
    """
    found = (source_shares * (ratios - 1.0).square()).sum()
    noise = ratios.sum() * spread[1] + ratios.square().sum() * spread[0]
    gamma = (1.0 - noise / found.clamp_min(torch.finfo(found.dtype).tiny)).clamp_min(0.0)
    return 1.0 + gamma * (ratios - 1.0)


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
