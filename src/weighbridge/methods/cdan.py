"""Conditional domain-adversarial network (CDAN), with entropy conditioning (CDAN+E).

Long, Cao, Wang, Jordan, "Conditional Adversarial Domain Adaptation", NeurIPS 2018. Departures are listed in
docs/guides/methods/cdan.md.
"""

__all__ = ["Cdan", "ConditionalDiscriminator", "conditioned", "entropy_weights"]

from collections.abc import Callable
from typing import final

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Optimizer

from weighbridge.methods.base import Method, StepLog, Update
from weighbridge.parts.likelihoods import InstanceWeighting
from weighbridge.parts.losses import discriminator_accuracy, label_loss, per_image_domain_loss
from weighbridge.parts.networks import Network
from weighbridge.parts.reversal import reverse_gradient
from weighbridge.parts.schedules import reversal_strength
from weighbridge.types import SOURCE, TARGET, DomainPair

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


@final
class Cdan(Method):
    """Features that look alike in both domains class by class: D sees what an image is taken for beside its features.

    Args:
        network: G_f, G_y and a `ConditionalDiscriminator` for G_d.
        optimizer: over all parameters of the network.
        entropy: whether images count by the certainty of their predictions (CDAN+E).
        strength: progress in [0, 1] -> lambda; that of DANN, as in the paper's experiments.
        domain_loss_weight: of the domain loss beside the label loss, >= 0; 1 in the paper.
        weighting: instance weights on the source's domain loss; None, as in the paper, for none.
    """

    def __init__(
        self,
        network: Network,
        optimizer: Optimizer,
        *,
        entropy: bool = False,
        strength: Callable[[float], float] = reversal_strength,
        domain_loss_weight: float = 1.0,
        weighting: InstanceWeighting | None = None,
    ) -> None:
        self.network = network
        self.optimizers = {"network": optimizer}
        self.entropy = entropy
        self.strength = strength
        self.domain_loss_weight = domain_loss_weight
        self.weighting = weighting

    def step(self, pair: DomainPair, progress: float, update: Update) -> StepLog:
        source, target = pair.source, pair.target
        count = len(source.images)  # B
        read_p_t = self.weighting.reader(self.network, source) if self.weighting else None

        features = self.network.features(torch.cat([source.images, target.images]))  # (M, F)  f
        label_logits = self.network.label_head(features)  # (M, K)

        # D minimises its error and all of G maximises it: f and g both meet the reversal on their way to D.
        strength = self.strength(progress)
        f = reverse_gradient(features, strength)  # (M, F)
        log_g = functional.log_softmax(reverse_gradient(label_logits, strength).float(), dim=1)  # (M, K)
        domain_logits = self.network.domain_head(f, log_g.exp()).squeeze(1)  # (M,)
        source_logits, target_logits = domain_logits[:count], domain_logits[count:]
        source_losses = per_image_domain_loss(source_logits, SOURCE)  # (B,)
        target_losses = per_image_domain_loss(target_logits, TARGET)  # (B',)
        weights = None
        if self.weighting is not None and read_p_t is not None:
            p_t = read_p_t(features[:count], label_logits[:count])  # (B,)
            weights = self.weighting.rule(self.weighting.p_a(source), p_t)  # (B,)
            source_losses = weights * source_losses
        error = loss_d = source_losses.mean() + target_losses.mean()
        if self.entropy:
            certain = entropy_weights(log_g)  # (M,); reversed too: w is a part of the error that G maximises
            loss_d = (certain[:count] * source_losses).mean() + (certain[count:] * target_losses).mean()

        loss_y = label_loss(label_logits[:count], source.labels)
        update(loss_y + self.domain_loss_weight * loss_d, self.optimizers["network"])

        scalars: dict[str, Tensor | float] = {
            "label_loss": loss_y.detach(),
            "domain_loss": error.detach() / 2,  # per image and without w(H), as DANN logs it; ln 2 is chance
            "domain_accuracy": discriminator_accuracy(source_logits, target_logits),
            "strength": strength,
        }
        return StepLog(scalars, weights)
