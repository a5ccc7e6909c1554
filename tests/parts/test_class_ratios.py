"""Class shares of the target from predictions alone."""

import pytest
import torch

from weighbridge.parts.class_ratios import ClassRatios, better_shares

SHARES = torch.tensor([0.7, 0.2, 0.1])
CONFUSION = torch.tensor([[0.8, 0.3, 0.0], [0.1, 0.6, 0.3], [0.1, 0.1, 0.7]])  # columns: the true class


def rounds(shares, count):
    for _ in range(count):
        shares = better_shares(shares, CONFUSION, CONFUSION @ SHARES)
    return shares


def test_expectation_maximisation_finds_the_shares_behind_wrong_predictions():
    predicted = CONFUSION @ SHARES
    assert (predicted - SHARES).abs().max() > 0.05  # counting predictions is not enough
    torch.testing.assert_close(rounds(torch.full((3,), 1 / 3), 500), SHARES, rtol=0, atol=1e-3)


def test_every_round_is_at_least_as_likely_and_sums_to_one():
    predicted, shares = CONFUSION @ SHARES, torch.tensor([0.05, 0.05, 0.9])
    likelihoods = []
    for _ in range(20):
        likelihoods.append(float((predicted * torch.log(CONFUSION @ shares)).sum()))
        shares = better_shares(shares, CONFUSION, predicted)
        assert float(shares.sum()) == pytest.approx(1.0)
    assert likelihoods == sorted(likelihoods)
    assert likelihoods[-1] > likelihoods[0] + 0.1


def test_the_truth_stays_where_it_is():
    torch.testing.assert_close(rounds(SHARES, 10), SHARES)


def test_a_prediction_that_no_class_explains_does_not_break_the_numbers():
    confusion = torch.tensor([[1.0, 1.0], [0.0, 0.0]])
    shares = better_shares(torch.tensor([0.5, 0.5]), confusion, torch.tensor([0.5, 0.5]))
    assert torch.isfinite(shares).all()


def test_ratios_start_at_one_and_follow_the_batches():
    torch.manual_seed(0)
    ratios = ClassRatios(3, momentum=0.9)
    labels = torch.arange(300) % 3
    for step in range(200):
        true = torch.multinomial(SHARES, 300, replacement=True)
        source, target = (torch.multinomial(CONFUSION.T[y], 1).squeeze(1) for y in (labels, true))
        logits = [20.0 * torch.nn.functional.one_hot(told, 3).float() for told in (source, target)]
        w = ratios.update(logits[0], labels, logits[1])
        if step == 0:
            assert (w - 1).abs().max() < 0.2
    torch.testing.assert_close(w, 3 * SHARES, rtol=0, atol=0.15)


def test_equal_domains_keep_ratios_of_one_whatever_the_classes():
    torch.manual_seed(0)
    ratios = ClassRatios(3)
    for _ in range(300):
        labels = torch.multinomial(SHARES, 300, replacement=True)
        logits = 2.0 * torch.nn.functional.one_hot(labels, 3).float() + torch.randn(300, 3)
        w = ratios.update(logits, labels, logits)
    torch.testing.assert_close(w, torch.ones(3), rtol=0, atol=0.05)


def test_a_class_that_was_not_seen_for_long_can_come_back():
    ratios, labels = ClassRatios(3), torch.arange(300) % 3
    told = 20.0 * torch.nn.functional.one_hot(labels, 3).float()
    for _ in range(3000):
        gone = ratios.update(told, labels, told[labels > 0])
    assert gone[0] < 0.01
    assert gone[1] == pytest.approx(1.5, abs=0.01)
    for _ in range(1000):
        back = ratios.update(told, labels, told)
    torch.testing.assert_close(back, torch.ones(3), rtol=0, atol=0.02)


def test_half_precision_around_it_changes_nothing():
    torch.manual_seed(0)
    labels = torch.arange(300) % 3
    batch = torch.randn(300, 3), labels, torch.randn(300, 3) + torch.tensor([1.0, 0.0, 0.0])
    plain, half = ClassRatios(3), ClassRatios(3)
    for _ in range(5):
        expected = plain.update(*batch)
        with torch.autocast("cpu", torch.bfloat16):
            w = half.update(*batch)
    assert w.dtype == torch.float32
    assert torch.equal(w, expected)
