"""Values of renders, against the sum over all orders and where the truth is known by construction."""

import itertools
import math

import pytest
import torch

from weighbridge.influence.shapley import aligned, neighbour_values, render_values


def over_all_orders(matches, neighbours):
    """Shapley values of one photo by their definition: what each render adds to the vote, mean over all orders."""
    count = len(matches)

    def vote(members):
        nearest = sorted(members)[:neighbours]
        return sum(matches[k] for k in nearest) / neighbours

    values = [0.0] * count
    for order in itertools.permutations(range(count)):
        for place, render in enumerate(order):
            values[render] += vote(order[: place + 1]) - vote(order[:place])
    return [value / math.factorial(count) for value in values]


@pytest.mark.parametrize("neighbours", [1, 2, 5])
def test_the_sum_over_ranks_is_the_mean_over_all_orders(neighbours):
    matches = [0.0, 1.0, 0.25, 1.0, 0.0]
    found = neighbour_values(torch.tensor([matches], dtype=torch.float64), neighbours)
    assert found[0].tolist() == pytest.approx(over_all_orders(matches, neighbours), abs=1e-12)


def test_values_by_hand():
    # one neighbour, the nearest of two is right: it alone decides, but in half of all orders the other came first
    assert neighbour_values(torch.tensor([[1.0, 0.0]]), 1).tolist() == [[1.0, 0.0]]
    assert neighbour_values(torch.tensor([[0.0, 1.0]]), 1).tolist() == [[-0.5, 0.5]]


def test_more_neighbours_than_renders_are_refused():
    with pytest.raises(ValueError, match="expected from 1 to 2 neighbours, as there are 2 renders, got 3"):
        neighbour_values(torch.zeros(1, 2), 3)


def clouds(count, *, seed, shift=0.0):
    """Three classes of Gaussians in 6 dimensions."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(3).repeat_interleave(count)
    centres = 4 * torch.eye(3, 6)
    return centres[labels] + torch.randn(3 * count, 6, generator=generator) + shift, labels


def test_the_values_sum_to_the_share_of_right_votes():
    renders, labels = clouds(20, seed=0)
    photos, truth = clouds(10, seed=1)
    renders, photos = aligned(renders, renders.mean(0)), aligned(photos, photos.mean(0))
    shares = torch.nn.functional.one_hot(truth, 3).float()
    nearest = (photos @ renders.T).topk(5).indices
    right = (labels[nearest] == truth[:, None]).double().mean()
    assert render_values(renders, labels, photos, shares).sum() == pytest.approx(float(right))


def test_mislabelled_renders_are_worth_least():
    renders, labels = clouds(40, seed=0)
    photos, truth = clouds(40, seed=1, shift=3.0)  # all photos lie elsewhere, as photos do
    wrong = torch.arange(len(labels)) % 5 == 0
    given = torch.where(wrong, (labels + 1) % 3, labels)
    renders, photos = aligned(renders, renders.mean(0)), aligned(photos, photos.mean(0))
    soft = torch.full((len(truth), 3), 0.1)
    soft[torch.arange(len(truth)), truth] = 0.8
    values = render_values(renders, given, photos, soft)
    lowest = values.argsort()[: int(wrong.sum())]
    assert wrong[lowest].float().mean() > 0.9
    assert values[wrong].max() < values[~wrong].median()


def test_blocks_of_photos_come_to_the_same(monkeypatch):
    renders, labels = clouds(20, seed=0)
    photos, truth = clouds(10, seed=1)
    shares = torch.nn.functional.one_hot(truth, 3).float()
    whole = render_values(renders, labels, photos, shares)
    monkeypatch.setattr("weighbridge.influence.shapley._AT_ONCE", 7 * len(renders))
    assert torch.allclose(render_values(renders, labels, photos, shares), whole, atol=1e-12)
