"""What each render is worth to a k-nearest-neighbour classifier of the photos: exact Shapley values.

Jia, Dao, Wang, Hubis, Gurel, Li, Zhang, Spanos and Song, "Efficient task-specific data valuation for nearest neighbor
algorithms", VLDB 2019. The value of a render is what it adds to the share of photos told right, averaged over all
orders in which renders may come. For nearest neighbours that is a sum over ranks, so nothing is trained and nothing is
drawn. Photos may have soft labels: the game is linear in them, so its values are as well.

Shapes: N renders, M photos, F features, K classes.
"""

__all__ = ["aligned", "neighbour_values", "render_values"]

import torch
from torch import Tensor

NEIGHBOURS = 5  # as in the experiments of the paper
_AT_ONCE = 2**24  # numbers of a block of photos by renders


def aligned(features: Tensor, mean: Tensor) -> Tensor:
    """Features less the mean of their own domain, at unit length, so that a dot product is the cosine.

    What all renders have in common and what all photos have in common is then no part of a distance, as in AdaBN (Li
    et al., 2018).

    Args:
        features: (N, F).
        mean: (F,) of the domain.
    """
    return torch.nn.functional.normalize(features - mean, dim=1)  # (N, F)


def neighbour_values(matches: Tensor, neighbours: int = NEIGHBOURS) -> Tensor:
    """Shapley values of the renders for one photo each row (theorem 1 of the paper), (M, N).

    Args:
        matches: (M, N) float, the photo's share of the class of its nearest render, of its second nearest, and so on:
            0 or 1 where its label is known, a probability in [0, 1] where it is not.
        neighbours: k, in [1, N].

    Returns:
        (M, N) in the same order. A row sums to the mean match of the k nearest.

    Raises:
        ValueError: k is outside [1, N].
    """
    count = matches.shape[1]
    if not 1 <= neighbours <= count:
        raise ValueError(f"expected from 1 to {count} neighbours, as there are {count} renders, got {neighbours}")
    rank = torch.arange(1, count, dtype=matches.dtype, device=matches.device)  # of the nearer of two in a row
    steps = (matches[:, :-1] - matches[:, 1:]) / neighbours * rank.clamp(max=neighbours) / rank  # (M, N - 1)
    last = matches[:, -1:] / count  # (M, 1)
    return torch.cat([steps, last], dim=1).flip(1).cumsum(1).flip(1)  # (M, N)


def render_values(
    renders: Tensor, labels: Tensor, photos: Tensor, shares: Tensor, *, neighbours: int = NEIGHBOURS
) -> Tensor:
    """Mean Shapley value of each render over the photos, (N,) float64.

    Args:
        renders: (N, F), see `aligned`.
        labels: (N,) int64 in [0, K).
        photos: (M, F), see `aligned`.
        shares: (M, K), the class probabilities of each photo, or its label as 0 and 1.
        neighbours: k >= 1; at most N is used.

    Returns:
        Their sum is the expected share of right votes among the k nearest renders of a photo, in [0, 1].
    """
    count = len(renders)
    values = torch.zeros(count, dtype=torch.float64)
    at_once = max(1, _AT_ONCE // count)
    for start in range(0, len(photos), at_once):
        rows = slice(start, start + at_once)
        order = (photos[rows] @ renders.T).argsort(dim=1, descending=True, stable=True)  # (m, N), nearest first
        matches = shares[rows].double().gather(1, labels[order])  # (m, N)
        worth = neighbour_values(matches, min(neighbours, count))
        values.index_add_(0, order.flatten(), worth.flatten())
    return values / len(photos)
