"""Class shares of the target from predictions alone."""

import pytest
import torch

from weighbridge.parts.class_ratios import ClassRatios, better_shares, shrunk

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


def deviations(ratios, classes, *, steps, shares=None):
    """Root mean square of w minus the truth, batches of 64, four in five classified right, half of the others as one
    class that is alike."""
    torch.manual_seed(0)
    one = torch.eye(classes)
    confusion = 0.8 * one + 0.1 * one.roll(1, 0) + 0.1 * (1 - one) / (classes - 1)  # columns: the true class
    true = torch.full((classes,), 1 / classes) if shares is None else shares
    for _ in range(steps):
        labels, photos = torch.randint(classes, (64,)), torch.multinomial(true, 64, replacement=True)
        told = [torch.multinomial(confusion.T[y], 1).squeeze(1) for y in (labels, photos)]
        logits = [12.0 * one[guess] for guess in told]
        found = [each.update(logits[0], labels, logits[1]) for each in ratios]
    return [float((w - classes * true).square().mean().sqrt()) for w in found]


def as_before(classes):
    return ClassRatios(classes, images_per_class=0, shrinkage=0)


@pytest.mark.parametrize(
    ("classes", "steps", "noise"), [(2, 400, 0.0), (7, 400, 0.01), (43, 400, 0.05), (1000, 250, 0.3)]
)
def test_where_nothing_differs_ratios_stay_near_one_however_many_classes(classes, steps, noise):
    before, now = deviations([as_before(classes), ClassRatios(classes)], classes, steps=steps)
    assert before >= noise
    assert now < min(0.1, before + 1e-6)


@pytest.mark.parametrize(("classes", "off"), [(2, 0.04), (7, 0.1), (43, 0.25)])
def test_true_ratios_are_still_found(classes, off):
    shares = 1 / (torch.arange(classes) + 2.0)
    shares = shares / shares.sum()  # the most frequent class eight times its share among 43
    before, now = deviations([as_before(classes), ClassRatios(classes)], classes, steps=600, shares=shares)
    assert now < off
    assert now < before + 0.02


def test_up_to_as_many_classes_as_images_in_a_batch_the_averages_are_as_long_as_ever():
    torch.manual_seed(0)
    for classes, same in ((64, True), (65, False)):
        usual, now = ClassRatios(classes, images_per_class=0), ClassRatios(classes)
        for _ in range(3):
            labels = torch.randint(classes, (64,))
            logits = torch.randn(64, classes)
            usual.update(logits, labels, logits)
            now.update(logits, labels, logits)
        assert torch.equal(usual.joint, now.joint) == same


def test_the_window_grows_batch_by_batch_until_it_holds_enough_images_of_a_class():
    ratios = ClassRatios(1000)
    rates = [ratios._rate(64) for _ in range(3000)]
    assert rates[0] == pytest.approx(1 / 100)
    assert rates[100] == pytest.approx(1 / 200)
    assert rates[-1] == pytest.approx(64 / (100 * 1000))


def test_shrinkage_worked_by_hand():
    # p = 1/2 each, w = (1.5, 0.5): S = 0.25. V = 2 / 100 + (2.25 + 0.25) / 50 = 0.07, gamma = 1 - 0.07 / 0.25 = 0.72.
    w = shrunk(torch.tensor([1.5, 0.5]), torch.tensor([0.5, 0.5]), torch.tensor([1 / 50, 1 / 100]))
    torch.testing.assert_close(w, torch.tensor([1.36, 0.64]))
    alike = shrunk(torch.tensor([1.01, 0.99]), torch.tensor([0.5, 0.5]), torch.tensor([1 / 50, 1 / 100]))
    assert alike.tolist() == [1.0, 1.0]
    assert shrunk(torch.ones(2), torch.tensor([0.5, 0.5]), torch.zeros(2)).tolist() == [1.0, 1.0]


def test_no_ratio_is_above_the_cap():
    ratios, labels = ClassRatios(100, momentum=0.5, images_per_class=0), torch.arange(100)
    told = 20.0 * torch.nn.functional.one_hot(labels, 100).float()
    for _ in range(60):
        w = ratios.update(told, labels, told[:1].expand(100, -1))
    assert ratios.ratios[0] > 90
    assert w.max() == 20.0
