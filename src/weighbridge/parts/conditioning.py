"""What CDAN's domain classifier reads: features and class probabilities joined, and how sure each image is.

Long, Cao, Wang, Jordan, "Conditional Adversarial Domain Adaptation", NeurIPS 2018, sections 3.2 and 3.3.
"""

__all__ = ["LARGEST_MAP", "RANDOM_WIDTH", "ConditionalDiscriminator", "conditioned", "entropy_weights"]

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from weighbridge.parts.networks import Network

LARGEST_MAP = 4096  # F K, above which the paper randomises the map
RANDOM_WIDTH = 1024  # d, as in the authors' code


class ConditionalDiscriminator(nn.Module):
    """D on T(f, g): the multilinear map f x g or, where F K > 4096, a randomised one of d dimensions.

    The randomised map is (R_f f) * (R_g g) / sqrt(d), element by element. In the mean over the random matrices, which
    are drawn once, it has the inner products of the multilinear map (section 3.2, "Multilinear Conditioning").

    Args:
        features: F. classes: K.
        layers: makes D itself, which ends in one logit, for as many inputs as T(f, g) has.
    """

    of_features: Tensor
    of_classes: Tensor

    def __init__(self, features: int, classes: int, layers: Callable[[int], nn.Module]) -> None:
        super().__init__()
        self.randomised = features * classes > LARGEST_MAP
        if self.randomised:
            self.register_buffer("of_features", torch.randn(RANDOM_WIDTH, features))  # R_f: mean 0, variance 1
            self.register_buffer("of_classes", torch.randn(RANDOM_WIDTH, classes))  # R_g
        self.layers = layers(RANDOM_WIDTH if self.randomised else features * classes)

    def joint(self, features: Tensor, predictions: Tensor) -> Tensor:
        """T(f, g), (M, F), (M, K) -> (M, F K) or (M, d)."""
        if not self.randomised:
            return (predictions.unsqueeze(2) * features.unsqueeze(1)).flatten(1)  # (M, K F)
        f, g = functional.linear(features, self.of_features), functional.linear(predictions, self.of_classes)  # (M, d)
        root: float = f.shape[1] ** 0.5
        return f * g / root

    def forward(self, features: Tensor, predictions: Tensor) -> Tensor:
        """(M, F), (M, K) -> (M, 1) domain logits; positive means target."""
        logits: Tensor = self.layers(self.joint(features, predictions))
        return logits


def conditioned(network: Network) -> Network:
    """The same network with a domain classifier on T(f, g), as wide as the one that it had on f alone."""
    first, *rest = network.domain_head.children()
    last = [part for part in network.label_head.modules() if isinstance(part, nn.Linear)][-1]
    if not isinstance(first, nn.Linear):
        raise TypeError(f"expected the domain head to begin with a linear layer, got {type(first).__name__}")
    hidden = first.out_features
    head = ConditionalDiscriminator(
        first.in_features, last.out_features, lambda width: nn.Sequential(nn.Linear(width, hidden), *rest)
    )
    return Network(network.features, network.label_head, head.to(first.weight.device))


def entropy_weights(log_predictions: Tensor) -> Tensor:
    """w(H(g)) = 1 + exp(-H(g)): images that are easy to tell count up to twice (section 3.3,
    "Entropy Conditioning").

    Args:
        log_predictions: (M, K), logarithms of g; of g itself a probability of 0 would have an infinite gradient.

    Returns:
        (M,) in [1 + 1/K, 2].
    """
    return 1.0 + torch.exp((log_predictions.exp() * log_predictions).sum(dim=1))
