"""Eq. 5 by hand, and the weightings it is measured against."""

import math

import pytest
import torch

from weighbridge.parts.weights import WEIGHTINGS, class_likelihood, normalised_weights, paper_weights, permuted_weights

P_A = torch.tensor([0.9, 0.5, 0.1, 1.0, 0.0])
P_T = torch.tensor([0.9, 0.2, 0.7, 0.0, 1.0])


def test_class_likelihood_is_the_softmax_of_the_own_class():
    logits = torch.tensor([[math.log(1.0), math.log(3.0)], [math.log(2.0), math.log(2.0)]])
    assert class_likelihood(logits, torch.tensor([1, 0])).tolist() == pytest.approx([0.75, 0.5])


def test_class_likelihood_is_detached():
    assert not class_likelihood(torch.randn(2, 3, requires_grad=True), torch.tensor([0, 1])).requires_grad


def test_class_likelihood_of_bf16_logits_is_computed_in_float32():
    logits = torch.tensor([[6.0, 0.0]], dtype=torch.bfloat16)
    likelihood = class_likelihood(logits, torch.tensor([0]))
    assert likelihood.dtype == torch.float32
    assert likelihood.item() == pytest.approx(1 / (1 + math.exp(-6)), abs=1e-6)


def test_paper_weights_by_hand():
    # exp(0.9-0.9)=1, exp(0.5-0.2)=1.34986, exp(0.1-0.7)=0.54881, exp(1)=2.71828, exp(-1)=0.36788
    assert paper_weights(P_A, P_T).tolist() == pytest.approx([1.0, 1.34986, 0.54881, 2.71828, 0.36788], abs=5e-6)


def test_paper_weights_are_the_quotient_of_eq_5():
    assert torch.allclose(paper_weights(P_A, P_T), torch.exp(P_A) / torch.exp(P_T), atol=1e-6)


def test_paper_weights_lie_between_one_over_e_and_e():
    p_a, p_t = torch.rand(10_000), torch.rand(10_000)
    weights = paper_weights(p_a, p_t)
    assert weights.min() >= 1 / math.e
    assert weights.max() <= math.e


@pytest.mark.parametrize("name", WEIGHTINGS)
def test_every_weighting_is_one_where_the_networks_agree(name):
    assert torch.allclose(WEIGHTINGS[name](P_A, P_A), torch.ones(5))


@pytest.mark.parametrize("name", WEIGHTINGS)
def test_every_weighting_is_detached(name):
    assert not WEIGHTINGS[name](P_A, P_T.clone().requires_grad_()).requires_grad


@pytest.mark.parametrize("name", sorted(set(WEIGHTINGS) - {"permuted"}))
def test_weights_move_with_their_images(name):
    order = torch.tensor([3, 0, 4, 1, 2])
    rule = WEIGHTINGS[name]
    assert torch.allclose(rule(P_A[order], P_T[order]), rule(P_A, P_T)[order])


def test_permuted_weights_are_the_same_values_at_other_images():
    torch.manual_seed(0)
    permuted = permuted_weights(P_A, P_T)
    assert sorted(permuted.tolist()) == sorted(paper_weights(P_A, P_T).tolist())
    assert not torch.equal(permuted, paper_weights(P_A, P_T))


def test_normalised_weights_average_to_one():
    weights = normalised_weights(P_A, P_T)
    assert weights.mean().item() == pytest.approx(1.0)
    assert torch.allclose(weights / weights[0], paper_weights(P_A, P_T) / paper_weights(P_A, P_T)[0])


def test_inverse_weights_are_one_over_the_paper_s():
    assert torch.allclose(WEIGHTINGS["inverse"](P_A, P_T) * paper_weights(P_A, P_T), torch.ones(5))


def test_uniform_weights_are_one():
    assert WEIGHTINGS["uniform"](P_A, P_T).tolist() == [1.0] * 5
