"""Every method against its plain-PyTorch twin: same start, same batches, three steps, same parameters."""

import copy
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from weighbridge.methods.adda import Adda
from weighbridge.methods.dann import Dann
from weighbridge.methods.dann_mcc import DannMcc
from weighbridge.methods.iwdan_mcc import IwdanMcc
from weighbridge.methods.iwdan_self_training import IwdanSelfTraining
from weighbridge.methods.mcc import Mcc
from weighbridge.methods.mean_teacher import MeanTeacher
from weighbridge.methods.self_training import SelfTraining
from weighbridge.methods.source_only import SourceOnly
from weighbridge.methods.weighted_dann import WeightedDann
from weighbridge.parts.class_ratios import ClassRatios
from weighbridge.parts.likelihoods import InstanceWeighting, per_step, stored
from weighbridge.parts.networks import Network
from weighbridge.parts.optim import Updater, adam, set_progress, sgd
from weighbridge.parts.weights import class_likelihood, paper_weights
from weighbridge.types import DomainPair, LabelledBatch, UnlabelledBatch

sys.path.insert(0, str(Path(__file__).parents[1]))
from reference import twins

STEPS, B, B_TARGET, N = 3, 5, 3, 40


def network(seed=0):
    torch.manual_seed(seed)
    features = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten())  # 8x8 -> 36
    return Network(features, nn.Sequential(nn.Linear(36, 8), nn.ReLU(), nn.Linear(8, 3)), nn.Linear(36, 1))


def batches():
    torch.manual_seed(1)
    images, labels, index = torch.randn(N, 1, 8, 8), torch.randint(0, 3, (N,)), torch.randperm(N)
    pairs = []
    for k in range(STEPS):
        rows = index[k * B : (k + 1) * B]
        source = LabelledBatch(images[rows], labels[rows], rows, torch.zeros(B, dtype=torch.int64))
        x_t = torch.randn(B_TARGET, 1, 8, 8) + 0.5
        target = UnlabelledBatch(x_t, torch.arange(B_TARGET), second_view=x_t.flip(3))
        pairs.append(DomainPair(source, target))
    return images, labels, pairs


def plain(pairs):
    return [(pair.source.images, pair.source.labels, pair.target.images) for pair in pairs]


def train(method, pairs):
    method.train()
    logs = []
    for k, pair in enumerate(pairs):
        set_progress(method.optimizers.values(), k / STEPS)
        logs.append(method.step(pair, k / STEPS, Updater(lambda loss: loss.backward())))
    return logs


def assert_same(ours, twin):
    for (name, a), b in zip(ours.named_parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-7, msg=name)


def moved(ours, start):
    return max(float((a - b).abs().max().detach()) for a, b in zip(ours.parameters(), start.parameters(), strict=True))


def sgd_of(*modules):
    return sgd([p for m in modules for p in m.parameters()], learning_rate=twins.LR, momentum=twins.MOMENTUM)


def test_source_only_agrees_with_its_twin():
    ours, (_, _, pairs) = network(), batches()
    twin = copy.deepcopy(ours)
    train(SourceOnly(ours, sgd_of(ours.features, ours.label_head)), pairs)
    twins.source_only(twin.features, twin.label_head, plain(pairs), STEPS)
    assert moved(ours.features, network().features) > 1e-3
    assert_same(ours, twin)


def test_dann_agrees_with_its_twin():
    ours, (_, _, pairs) = network(), batches()
    twin = copy.deepcopy(ours)
    train(Dann(ours, sgd_of(ours)), pairs)
    twins.dann(twin.features, twin.label_head, twin.domain_head, plain(pairs), STEPS)
    assert moved(ours.domain_head, network().domain_head) > 1e-3
    assert_same(ours, twin)


def test_mcc_agrees_with_its_twin():
    ours, (_, _, pairs) = network(), batches()
    twin = copy.deepcopy(ours)
    train(Mcc(ours, sgd_of(ours.features, ours.label_head), mcc_weight=3.0), pairs)
    twins.mcc(twin.features, twin.label_head, plain(pairs), STEPS, mu=3.0)
    assert moved(ours.features, network().features) > 1e-3
    assert_same(ours, twin)


def test_dann_mcc_agrees_with_its_twin():
    ours, (_, _, pairs) = network(), batches()
    twin = copy.deepcopy(ours)
    train(DannMcc(ours, sgd_of(ours), mcc_weight=3.0), pairs)
    twins.dann_mcc(twin.features, twin.label_head, twin.domain_head, plain(pairs), STEPS, mu=3.0)
    assert moved(ours.domain_head, network().domain_head) > 1e-3
    assert_same(ours, twin)


@pytest.mark.parametrize("weigh_labels", [False, True])
def test_iwdan_mcc_agrees_with_its_twin(weigh_labels):
    ours, (_, _, pairs) = network(), batches()
    twin = copy.deepcopy(ours)
    ratios = ClassRatios(3, momentum=0.5, images_per_class=0, shrinkage=0)
    logs = train(IwdanMcc(ours, sgd_of(ours), ratios, mcc_weight=3.0, weigh_labels=weigh_labels), pairs)
    seen = twins.iwdan_mcc(
        twin.features, twin.label_head, twin.domain_head, plain(pairs), STEPS, 0.5, weigh_labels, mu=3.0
    )
    for log, weights in zip(logs, seen, strict=True):
        torch.testing.assert_close(log.weights, weights, rtol=1e-4, atol=1e-5)
    assert (seen[-1] - 1).abs().max() > 0.03
    assert_same(ours, twin)


@pytest.mark.parametrize(("threshold", "weigh_labels"), [(0.0, False), (0.36, False), (0.36, True)])
def test_iwdan_self_training_agrees_with_its_twin(threshold, weigh_labels):
    ours, (_, _, pairs) = network(), batches()
    student, teacher = copy.deepcopy(ours), copy.deepcopy(ours)
    options = {"alpha": 0.8, "threshold": threshold, "pseudo_label_weight": 2.0, "mcc_weight": 3.0}
    ratios = ClassRatios(3, momentum=0.5, images_per_class=0, shrinkage=0)
    method = IwdanSelfTraining(ours, sgd_of(ours), ratios, weigh_labels=weigh_labels, **options)
    logs = train(method, pairs)
    views = [pair.target.second_view for pair in pairs]
    seen = twins.iwdan_self_training(student, teacher, plain(pairs), views, STEPS, 0.5, weigh_labels, *options.values())
    for log, weights in zip(logs, seen, strict=True):
        torch.testing.assert_close(log.weights, weights, rtol=1e-4, atol=1e-5)
    assert (seen[-1] - 1).abs().max() > 0.03
    shares = [float(log.scalars["confident_share"]) for log in logs]
    assert all(share == 1 for share in shares) if threshold == 0 else any(0 < share < 1 for share in shares)
    assert moved(ours.domain_head, network().domain_head) > 1e-3
    assert_same(ours, student)
    assert_same(method.network.features, teacher.features)
    assert_same(method.network.label_head, teacher.label_head)


@pytest.mark.parametrize("threshold", [0.0, 0.36])
def test_self_training_agrees_with_its_twin(threshold):
    ours, (_, _, pairs) = network(), batches()
    student, teacher = copy.deepcopy(ours), copy.deepcopy(ours)
    options = {"alpha": 0.8, "threshold": threshold, "pseudo_label_weight": 2.0, "mcc_weight": 3.0}
    method = SelfTraining(ours, sgd_of(ours.features, ours.label_head), **options)
    logs = train(method, pairs)
    views = [pair.target.second_view for pair in pairs]
    twins.self_training(student, teacher, plain(pairs), views, STEPS, *options.values())
    shares = [float(log.scalars["confident_share"]) for log in logs]
    assert all(share == 1 for share in shares) if threshold == 0 else any(0 < share < 1 for share in shares)
    assert moved(method.network.features, ours.features) > 1e-4  # the teacher lags behind
    assert_same(ours, student)
    assert_same(method.network, teacher)


@pytest.mark.parametrize("threshold", [0.0, 0.36])
def test_mean_teacher_agrees_with_its_twin(threshold):
    ours, (_, _, pairs) = network(), batches()
    student, teacher = copy.deepcopy(ours), copy.deepcopy(ours)
    options = {"alpha": 0.8, "threshold": threshold, "consistency_weight": 30.0, "balance_weight": 0.05}
    method = MeanTeacher(ours, sgd_of(ours.features, ours.label_head), **options)
    logs = train(method, pairs)
    views = [pair.target.second_view for pair in pairs]
    twins.mean_teacher(student, teacher, plain(pairs), views, STEPS, *options.values())
    shares = [float(log.scalars["confident_share"]) for log in logs]
    assert all(share == 1 for share in shares) if threshold == 0 else any(0 < share < 1 for share in shares)
    assert moved(ours.features, network().features) > 1e-3
    assert moved(method.network.features, ours.features) > 1e-4  # the teacher lags behind
    assert_same(ours, student)
    assert_same(method.network, teacher)


@pytest.mark.parametrize("p_a", ["stored", "per-step"])
def test_weighted_dann_agrees_with_its_twin(p_a):
    ours, (images, labels, pairs) = network(), batches()
    twin = copy.deepcopy(ours)
    likelihood = stored(class_likelihood(ours(images), labels)) if p_a == "stored" else per_step(copy.deepcopy(ours))
    logs = train(WeightedDann(ours, sgd_of(ours), InstanceWeighting(likelihood, paper_weights)), pairs)
    twins.weighted_dann(twin.features, twin.label_head, twin.domain_head, plain(pairs), STEPS)
    assert (logs[-1].weights - 1).abs().max() > 1e-4  # by then the weights do something
    assert_same(ours, twin)


def test_adda_agrees_with_its_twin():
    ours, (_, _, pairs) = network(), batches()
    twin = copy.deepcopy(ours)
    encoder, head = (
        adam(ours.features.parameters(), learning_rate=2e-4),
        adam(ours.domain_head.parameters(), learning_rate=2e-4),
    )
    train(Adda(ours, encoder, head), pairs)
    twins.adda(twin.features, twin.domain_head, plain(pairs), STEPS)
    assert moved(ours.features, network().features) > 1e-4
    assert_same(ours, twin)
