"""Labelled target images: one more term in the loss of any method, and nothing else."""

import dataclasses

import pytest
import torch
from torch.nn import functional

from methods.test_catalogue import EVERY, built, gradients, learner, pair
from weighbridge.methods.taught import Taught
from weighbridge.types import LabelledBatch


def with_labels(batch):
    torch.manual_seed(7)
    rows = torch.arange(4)
    return dataclasses.replace(batch, taught=LabelledBatch(torch.randn(4, 1, 16, 16), rows % 3, rows, 0 * rows))


@EVERY
def test_the_gradient_is_that_of_the_method_plus_the_weight_times_that_of_the_labels(name):
    batch = with_labels(pair())
    alone = gradients(built(name), batch)
    method = built(name)
    network = learner(method)
    functional.cross_entropy(network(batch.taught.images), batch.taught.labels).backward()
    of_labels = {part: [p.grad for p in module.parameters()] for part, module in network.named_children()}
    frozen = {part for part, grads in of_labels.items() if part not in ("features", "label_head") or not grads}
    both = built(name)
    taught = Taught(both, weight=0.5)
    assert taught.learner is learner(both)
    for part, gradient in _gradients(taught, batch).items():
        expected = alone[part]
        if part not in frozen:
            expected = expected + 0.5 * torch.cat([g.flatten() for g in of_labels[part]])
        assert torch.allclose(gradient, expected, atol=1e-5), part


def _gradients(taught, batch):
    taught.step(batch, 0.5, lambda loss, optimizer: loss.backward())
    return {
        part: torch.cat([(torch.zeros_like(p) if p.grad is None else p.grad).flatten() for p in module.parameters()])
        for part, module in taught.learner.named_children()
    }


def test_the_term_is_told_and_a_pair_without_labels_is_refused():
    taught = Taught(built("dann"))
    log = taught.step(with_labels(pair()), 0.5, lambda loss, optimizer: None)
    assert float(log.scalars["target_label_loss"]) == pytest.approx(1.1, abs=0.4)  # ln 3 before training
    with pytest.raises(ValueError, match="expected labelled target images"):
        taught.step(pair(), 0.5, lambda loss, optimizer: None)
