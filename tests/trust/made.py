"""Renders and photos as vectors around class centres, and models that are right, wrong, or swallow classes."""

import dataclasses
from dataclasses import dataclass

import numpy as np

KINDS = 8


@dataclass(frozen=True)
class World:
    """Photos lie off the renders by a gap, so a model of the renders alone errs on them.

    Attributes:
        before: logits of that model on held-out renders (M, K) and photos (N, K).
    """

    labels: np.ndarray  # (M,) of the renders
    truth: np.ndarray  # (N,) of the photos
    features: np.ndarray  # (N, F) of the photos, by no model
    before: tuple[np.ndarray, np.ndarray]

    @property
    def centred(self):
        """Logits of a model that has learned where the photos of each class lie."""
        centres = np.stack([self.features[self.truth == k].mean(axis=0) for k in range(KINDS)])
        return self.before[0], logits_of(self.features, centres)

    def sunk(self, share, *, into=0, seed=1):
        """Logits of an adapted model that takes further photos, this share of them, for one class, and is sure."""
        renders, photos = self.centred
        rows = np.random.default_rng(seed).random(len(photos)) < share
        photos = photos.copy()
        photos[rows, into] = photos[rows].max(axis=1) + 15.0
        return renders, photos

    def right(self, model):
        return (model[1].argmax(axis=1) == self.truth).mean()

    def with_photos(self, rows):
        return dataclasses.replace(
            self, truth=self.truth[rows], features=self.features[rows], before=(self.before[0], self.before[1][rows])
        )


def logits_of(features, centres):
    return -((features[:, None] - centres) ** 2).sum(axis=2) / 2


def world(*, gap=4.5, renders=400, photos=800, shares=None, seed=0):
    random = np.random.default_rng(seed)
    centres = 2.0 * random.normal(size=(KINDS, 6))
    shift = random.normal(size=6)
    shift *= gap / np.linalg.norm(shift)
    labels, truth = random.integers(KINDS, size=renders), random.choice(KINDS, size=photos, p=shares)
    held_out = centres[labels] + random.normal(size=(renders, 6))
    features = centres[truth] + random.normal(size=(photos, 6)) + shift
    return World(labels, truth, features, (logits_of(held_out, centres), logits_of(features, centres)))
