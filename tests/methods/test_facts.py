"""What must hold of every method, stated one fact at a time."""

import copy
import math

import pytest
import torch
from torch import nn
from torchvision.ops import StochasticDepth

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
from weighbridge.parts.losses import minimum_class_confusion
from weighbridge.parts.networks import Network, build_network, with_dropout
from weighbridge.parts.optim import Updater, adam, sgd
from weighbridge.parts.schedules import constant_strength
from weighbridge.parts.weights import class_likelihood, paper_weights
from weighbridge.types import DomainPair, LabelledBatch, UnlabelledBatch

B, B_TARGET, SIZE = 12, 6, 16


def network(**parts):
    torch.manual_seed(0)
    return build_network(parts.get("backbone", "small"), classes=3, channels=1, size=SIZE)


def pair(seed=1):
    torch.manual_seed(seed)
    source = torch.randn(B, 1, SIZE, SIZE)
    target = torch.randn(B_TARGET, 1, SIZE, SIZE) + 1.0
    labels = torch.arange(B) % 3
    return DomainPair(
        LabelledBatch(source, labels, torch.arange(B), torch.zeros(B, dtype=torch.int64)),
        UnlabelledBatch(target, torch.arange(B_TARGET)),
    )


def update(loss, optimizer):
    Updater(lambda value: value.backward())(loss, optimizer)


def weighting(net, batch, **options):
    net.eval()
    with torch.no_grad():
        p_a = class_likelihood(net(batch.images), batch.labels)
    net.train()
    return InstanceWeighting(stored(p_a), paper_weights, **options)


def weighted(net, batch, *, strength=1.0, **options):
    optimizer = sgd(net.parameters(), learning_rate=0.05)
    return WeightedDann(net, optimizer, weighting(net, batch, **options), strength=constant_strength(strength))


def snapshot(module):
    return [parameter.detach().clone() for parameter in module.parameters()]


def unchanged(module, before):
    return all(torch.equal(a, b) for a, b in zip(module.parameters(), before, strict=True))


def test_every_weight_is_exactly_one_at_the_first_step():
    batch = pair()
    log = weighted(network(), batch.source).step(batch, 0.0, update)
    assert log.weights.tolist() == [1.0] * B


def test_weights_leave_one_once_training_goes_on_and_stay_within_their_bounds():
    batch, method = pair(), weighted(network(), pair().source)
    seen = torch.stack([method.step(batch, k / 20, update).weights for k in range(20)])
    assert (seen[-1] - 1).abs().max() > 0.01
    assert seen.min() >= 1 / math.e
    assert seen.max() <= math.e


def test_weights_are_detached():
    batch = pair()
    assert not weighted(network(), batch.source).step(batch, 0.0, update).weights.requires_grad


def test_weights_follow_their_images_when_a_batch_is_shuffled():
    order = torch.randperm(B, generator=torch.Generator().manual_seed(3))
    batch, net = pair(), network()
    p_a = torch.linspace(0.0, 1.0, B)  # a pre-classifier that differs from the network
    weigh = InstanceWeighting(stored(p_a), paper_weights)
    straight = WeightedDann(copy.deepcopy(net), sgd([nn.Parameter(torch.zeros(1))], learning_rate=0.1), weigh)
    shuffled = WeightedDann(copy.deepcopy(net), sgd([nn.Parameter(torch.zeros(1))], learning_rate=0.1), weigh)
    s = batch.source
    moved = DomainPair(LabelledBatch(s.images[order], s.labels[order], s.index[order], s.source[order]), batch.target)
    a = straight.step(batch, 0.0, lambda loss, optimizer: None).weights
    b = shuffled.step(moved, 0.0, lambda loss, optimizer: None).weights
    torch.testing.assert_close(b, a[order], rtol=0, atol=1e-6)


def test_dropout_in_the_label_head_does_not_move_the_first_weights():
    net = network()
    net.label_head.insert(1, nn.Dropout(0.5))
    batch = pair()
    log = weighted(net, batch.source).step(batch, 0.0, update)
    torch.testing.assert_close(log.weights, torch.ones(B), rtol=0, atol=1e-6)
    assert net.label_head[1].training  # put back


def test_training_pass_lets_dropout_into_the_weights():
    net = network()
    net.label_head.insert(1, nn.Dropout(0.5))
    batch = pair()
    log = weighted(net, batch.source, p_t_mode="training-pass").step(batch, 0.0, update)
    assert (log.weights - 1).abs().max() > 1e-4


def test_batch_norm_moves_the_first_weights_unless_p_t_has_a_pass_of_its_own():
    batch = pair()
    shared = weighted(network(backbone="small-batchnorm"), batch.source).step(batch, 0.0, update)
    own = weighted(network(backbone="small-batchnorm"), batch.source, p_t_mode="evaluation-pass").step(
        batch, 0.0, update
    )
    assert (shared.weights - 1).abs().max() > 1e-4
    assert own.weights.tolist() == [1.0] * B


def test_stored_and_per_step_likelihoods_agree_without_augmentation():
    batch, net = pair(), network()
    assert torch.equal(weighting(net, batch.source).p_a(batch.source), per_step(copy.deepcopy(net))(batch.source))


@pytest.mark.parametrize("kind", ["dann", "weighted-dann"])
def test_the_domain_loss_sends_the_features_a_reversed_gradient_that_is_not_zero(kind):
    gradients = {}
    for strength in (0.0, 1.0, 2.0):
        net, batch = network(), pair()
        if kind == "dann":
            method = Dann(net, sgd(net.parameters(), learning_rate=0.0), strength=constant_strength(strength))
        else:
            method = weighted(net, batch.source, strength=strength)

        def keep(loss, optimizer):
            loss.backward()

        method.step(batch, 0.0, keep)
        gradients[strength] = torch.cat([p.grad.flatten() for p in net.features.parameters()])
        head = torch.cat([p.grad.flatten() for p in net.domain_head.parameters()])
        assert head.abs().max() > 1e-4  # the domain classifier always learns, at full size
    domain = gradients[1.0] - gradients[0.0]
    assert domain.abs().max() > 1e-4
    torch.testing.assert_close(gradients[2.0] - gradients[0.0], 2 * domain, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("kind", ["dann", "weighted-dann"])
def test_the_features_climb_the_domain_loss_that_the_domain_classifier_descends(kind):
    net, batch = network(), pair()
    images = torch.cat([batch.source.images, batch.target.images])
    domains = torch.cat([torch.zeros(B), torch.ones(B_TARGET)])

    def domain_loss():
        logits = net.domain_logits(net.features(images))
        return nn.functional.binary_cross_entropy_with_logits(logits, domains)

    plain = torch.autograd.grad(domain_loss(), list(net.features.parameters()))
    gradients = {}
    for strength in (0.0, 1.0):
        twin = copy.deepcopy(net)
        method = (
            Dann(twin, sgd(twin.parameters(), learning_rate=0.0), strength=constant_strength(strength))
            if kind == "dann"
            else weighted(twin, batch.source, strength=strength)
        )
        method.step(batch, 0.0, lambda loss, optimizer: loss.backward())
        gradients[strength] = [p.grad for p in twin.features.parameters()]
    product = sum(float(((a - b) * g).sum()) for a, b, g in zip(gradients[1.0], gradients[0.0], plain, strict=True))
    assert product < 0


@pytest.mark.parametrize("kind", ["dann", "weighted-dann"])
def test_strength_zero_gives_the_parameters_of_source_only(kind):
    batches = [pair(seed) for seed in range(4)]
    alone, adapted = network(), network()
    trained = [*alone.features.parameters(), *alone.label_head.parameters()]
    source_only = SourceOnly(alone, sgd(trained, learning_rate=0.05))
    if kind == "dann":
        method = Dann(adapted, sgd(adapted.parameters(), learning_rate=0.05), strength=constant_strength(0.0))
    else:
        method = weighted(adapted, batches[0].source, strength=0.0)
    before = snapshot(network().features)
    for k, batch in enumerate(batches):
        source_only.step(batch, k / 4, update)
        method.step(batch, k / 4, update)
    assert not unchanged(alone.features, before)
    for part in ("features", "label_head"):
        for a, b in zip(getattr(adapted, part).parameters(), getattr(alone, part).parameters(), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-7)


def test_the_domain_classifier_learns_to_tell_the_domains_apart():
    net, batch = network(), pair()
    method = Dann(net, sgd(net.parameters(), learning_rate=0.05), strength=constant_strength(0.0))
    for k in range(30):
        log = method.step(batch, k / 30, update)
    assert log.scalars["domain_accuracy"] > 0.9


def adda(net, **options):
    encoder = adam(net.features.parameters(), learning_rate=1e-3)
    return Adda(net, encoder, adam(net.domain_head.parameters(), learning_rate=1e-3), **options)


def test_adda_never_moves_the_source_encoder_nor_the_classifier():
    net = network(backbone="small-batchnorm")
    method = adda(net)
    method.train()
    source, label = snapshot(method.source_encoder), snapshot(net.label_head)
    buffers = [b.clone() for b in method.source_encoder.buffers()]
    target = snapshot(net.features)
    for seed in range(5):
        method.step(pair(seed), seed / 5, update)
    assert unchanged(method.source_encoder, source)
    assert all(torch.equal(a, b) for a, b in zip(method.source_encoder.buffers(), buffers, strict=True))
    assert unchanged(net.label_head, label)
    assert not unchanged(net.features, target)


class DropPath(nn.Module):
    """Stochastic depth as timm calls it, in training mode."""

    def forward(self, features):
        return features * (torch.rand(len(features), 1) < 0.5) if self.training else features


@pytest.mark.parametrize("layer", [nn.Dropout(0.5), DropPath(), StochasticDepth(0.5, "row")])
def test_adda_s_encoders_leave_nothing_out_and_its_discriminator_does(layer):
    net = network()
    net.features = nn.Sequential(net.features, layer)
    net.domain_head = with_dropout(net.domain_head, 0.5)
    method, images = adda(net), pair().target.images
    method.train()
    assert torch.equal(net.features(images), method.source_encoder(images))  # the same weights, nothing drawn
    assert not torch.equal(net.domain_logits(net.features(images)), net.domain_logits(net.features(images)))
    assert net.features[0].training  # batch norm, were there any, learns


def test_adda_s_two_sides_are_not_tied():
    net = network()
    method = adda(net)
    assert not {id(p) for p in method.source_encoder.parameters()} & {id(p) for p in net.features.parameters()}
    assert all(not p.requires_grad for p in method.source_encoder.parameters())


def test_adda_teaches_the_target_encoder_by_inverted_labels():
    net, batch = network(), pair()
    method = adda(net)

    def target_called_source():
        with torch.no_grad():
            return float(torch.sigmoid(-net.domain_logits(net.features(batch.target.images))).mean())

    before = target_called_source()
    for k in range(10):  # the discriminator held still: only the encoder learns
        method.step(batch, k / 10, lambda loss, o: update(loss, o) if o is method.optimizers["encoder"] else None)
    assert target_called_source() > before + 0.05


def test_adda_takes_instance_weights_like_any_adversarial_method():
    net, batch = network(), pair()
    log = adda(net, weighting=weighting(net, batch.source)).step(batch, 0.0, update)
    torch.testing.assert_close(log.weights, torch.ones(B), rtol=0, atol=1e-6)


def test_in_bf16_the_target_encoder_is_taught_by_the_discriminator_just_updated():
    # Autocast keeps bf16 copies of weights until it is left; the second pass of D in a step must not see the old one.
    net, batch = network(), pair()
    method = adda(net)
    method.optimizers["discriminator"].param_groups[0]["lr"] = 0.05
    encoder_losses = []

    def only_the_discriminator(loss, optimizer):
        if optimizer is method.optimizers["discriminator"]:
            update(loss, optimizer)
        else:
            encoder_losses.append(loss.item())

    with torch.autocast("cpu", torch.bfloat16):
        before = nn.functional.softplus(net.domain_logits(net.features(batch.target.images)).float()).mean().item()
        torch.clear_autocast_cache()
        method.step(batch, 0.0, only_the_discriminator)
        torch.clear_autocast_cache()
        after = nn.functional.softplus(net.domain_logits(net.features(batch.target.images)).float()).mean().item()
    assert abs(after - before) > 0.05
    assert encoder_losses == [pytest.approx(after, abs=1e-3)]


def test_source_only_does_not_touch_the_domain_classifier():
    net = network()
    before = snapshot(net.domain_head)
    trained = [*net.features.parameters(), *net.label_head.parameters()]
    SourceOnly(net, sgd(trained, learning_rate=0.1)).step(pair(), 0.0, update)
    assert unchanged(net.domain_head, before)


def test_mcc_does_not_touch_the_domain_classifier():
    net = network()
    before = snapshot(net.domain_head)
    Mcc(net, sgd([*net.features.parameters(), *net.label_head.parameters()], learning_rate=0.1)).step(pair(), 0, update)
    assert unchanged(net.domain_head, before)


def ratios(momentum):
    """As EM has them: batches here are far too small to tell shares from noise."""
    return ClassRatios(3, momentum, images_per_class=0, shrinkage=0)


def iwdan_mcc(net, optimizer, *, momentum=0.99, **options):
    return IwdanMcc(net, optimizer, ratios(momentum), **options)


def unmoved_iwdan_mcc(net, optimizer, **options):
    return iwdan_mcc(net, optimizer, momentum=1.0, **options)  # the ratios stay 1


@pytest.mark.parametrize("kind", [Mcc, DannMcc, iwdan_mcc])
def test_class_confusion_sends_the_features_a_gradient_that_descends_it(kind):
    net, batch = network(), pair()
    confusion = minimum_class_confusion(net(batch.target.images))
    plain = torch.autograd.grad(confusion, list(net.features.parameters()))
    gradients = {}
    for mu in (0.0, 2.0):
        twin = copy.deepcopy(net)
        kind(twin, sgd(twin.parameters(), learning_rate=0.0), mcc_weight=mu).step(
            batch, 0.5, lambda loss, optimizer: loss.backward()
        )
        gradients[mu] = [p.grad for p in twin.features.parameters()]
    assert max(float(g.abs().max()) for g in plain) > 1e-4
    for more, none, g in zip(gradients[2.0], gradients[0.0], plain, strict=True):
        torch.testing.assert_close(more - none, 2 * g, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(("kind", "without"), [(Mcc, SourceOnly), (DannMcc, Dann), (unmoved_iwdan_mcc, Dann)])
def test_weight_zero_gives_the_parameters_of_the_method_without_class_confusion(kind, without):
    plain, regularised, free = network(), network(), network()
    for net, method in (
        (plain, without(plain, sgd(plain.parameters(), learning_rate=0.05))),
        (regularised, kind(regularised, sgd(regularised.parameters(), learning_rate=0.05), mcc_weight=0.0)),
        (free, kind(free, sgd(free.parameters(), learning_rate=0.05))),
    ):
        for k in range(4):
            method.step(pair(k), k / 4, update)
        assert not unchanged(net.features, snapshot(network().features))
    for a, b in zip(regularised.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-7)
    assert not unchanged(free.features, snapshot(plain.features))


def test_dann_mcc_takes_instance_weights_like_any_adversarial_method():
    net, batch = network(), pair()
    log = DannMcc(net, sgd(net.parameters(), learning_rate=0.05), weighting=weighting(net, batch.source)).step(
        batch, 0.0, update
    )
    torch.testing.assert_close(log.weights, torch.ones(B), rtol=0, atol=1e-6)  # heads run on M rows here, on B there


def test_iwdan_weighs_the_source_by_how_often_the_target_shows_its_class():
    net, batch = network(), pair()
    trained = sgd(net.parameters(), learning_rate=0.05)
    for _ in range(40):  # until the source's classes are told apart
        update(nn.functional.cross_entropy(net(batch.source.images), batch.source.labels), trained)
    rows = batch.source.labels == 2
    only_last = UnlabelledBatch(batch.source.images[rows], batch.source.index[rows])
    method = iwdan_mcc(net, sgd(net.parameters(), learning_rate=0.0), momentum=0.5)
    for _ in range(4):
        weights = method.step(DomainPair(batch.source, only_last), 0.5, update).weights
    assert (weights[rows] > 2.0).all()
    assert (weights[~rows] < 0.5).all()


def two_views(seed=1):
    batch = pair(seed)
    target = batch.target
    return DomainPair(batch.source, UnlabelledBatch(target.images, target.index, second_view=target.images.flip(3)))


def mean_teacher(net, *, learning_rate=0.05, **options):
    trained = [*net.features.parameters(), *net.label_head.parameters()]
    return MeanTeacher(net, sgd(trained, learning_rate=learning_rate), **{"threshold": 0.0, **options})


def self_training(net, *, learning_rate=0.05, **options):
    trained = [*net.features.parameters(), *net.label_head.parameters()]
    options = {"threshold": 0.0, "mcc_weight": 0.0, **options}
    return SelfTraining(net, sgd(trained, learning_rate=learning_rate), **options)


def iwdan_self_training(net, *, learning_rate=0.05, momentum=0.99, **options):
    options = {"threshold": 0.0, "mcc_weight": 0.0, **options}
    return IwdanSelfTraining(net, sgd(net.parameters(), learning_rate=learning_rate), ratios(momentum), **options)


TEACHERS = pytest.mark.parametrize("taught", [mean_teacher, self_training, iwdan_self_training])


@TEACHERS
def test_the_teacher_starts_as_the_student_and_follows_it_slowly(taught):
    net = network()
    method = taught(net, alpha=0.9)
    assert unchanged(method.network, snapshot(net))
    start = snapshot(net)
    method.step(two_views(), 0.0, update)
    for teacher, student, first in zip(method.network.parameters(), net.parameters(), start, strict=True):
        torch.testing.assert_close(teacher, 0.9 * first + 0.1 * student, rtol=0, atol=1e-6)
    assert not unchanged(net, start)


@TEACHERS
def test_no_gradient_reaches_the_teacher(taught):
    method = taught(network())
    method.step(two_views(), 0.0, lambda loss, optimizer: loss.backward())
    assert all(p.grad is None for p in method.network.parameters())
    assert not {id(p) for p in method.network.parameters()} & {id(p) for p in method.student.parameters()}


@pytest.mark.parametrize("weights", [{"balance_weight": 0.0}, {"balance_weight": 1.0}])
def test_the_target_sends_the_student_s_features_a_gradient(weights):
    gradients = {}
    for weight in (0.0, 3.0):
        net = network()
        mean_teacher(net, consistency_weight=weight, **weights).step(two_views(), 0.0, lambda loss, o: loss.backward())
        gradients[weight] = torch.cat([p.grad.flatten() for p in net.features.parameters()])
    assert (gradients[3.0] - gradients[0.0]).abs().max() > 1e-5


def unmoved_iwdan_self_training(net, **options):
    return iwdan_self_training(net, momentum=1.0, **options)  # the ratios stay 1


@pytest.mark.parametrize(
    ("taught", "without", "off"),
    [
        (mean_teacher, SourceOnly, 0.0),
        (self_training, SourceOnly, 0.0),
        (unmoved_iwdan_self_training, Dann, 1e-6),  # Dann adds up both domains in one mini-batch
    ],
)
def test_a_teacher_that_is_not_sure_teaches_nothing(taught, without, off):
    unsure, alone = network(), network()
    method = taught(unsure, threshold=1.0)
    untaught = without(alone, sgd(alone.parameters(), learning_rate=0.05))
    for k in range(3):
        method.step(two_views(k), k / 3, update)
        untaught.step(pair(k), k / 3, update)
    for a, b in zip(unsure.parameters(), alone.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=off)
    assert not unchanged(unsure.features, snapshot(network().features))


@TEACHERS
def test_batch_norm_of_the_teacher_sees_the_target_alone(taught):
    net, batch = network(backbone="small-batchnorm"), two_views()
    method = taught(net)
    method.network.eval()  # as evaluation leaves it
    method.train()
    alone = copy.deepcopy(method.network)
    start = [buffer.clone() for buffer in alone.buffers()]
    method.step(batch, 0.0, update)
    alone(batch.target.second_view)
    assert all(not torch.equal(ours, first) for ours, first in zip(method.network.buffers(), start, strict=True))
    for ours, expected in zip(method.network.buffers(), alone.buffers(), strict=True):
        assert torch.equal(ours, expected)


@TEACHERS
def test_batch_norm_of_the_student_sees_one_domain_at_a_time(taught):
    net, batch = network(backbone="small-batchnorm"), two_views()
    alone = copy.deepcopy(net)
    taught(net).step(batch, 0.0, update)
    for images in (batch.source.images, batch.target.images):
        alone.features(images)
    for ours, expected in zip(net.features.buffers(), alone.features.buffers(), strict=True):
        torch.testing.assert_close(ours, expected)


@pytest.mark.parametrize(
    ("taught", "name"),
    [(mean_teacher, "mean teacher"), (self_training, "self-training"), (iwdan_self_training, "self-training")],
)
def test_teachers_say_that_they_need_two_views(taught, name):
    with pytest.raises(ValueError, match=f"{name} needs two views of the target images; make pairs with target_vi"):
        taught(network()).step(pair(), 0.0, update)


@pytest.mark.parametrize("taught", [self_training, iwdan_self_training])
@pytest.mark.parametrize("part", ["pseudo_label_weight", "mcc_weight"])
def test_both_parts_of_self_training_send_the_student_s_features_a_gradient(part, taught):
    gradients = {}
    for weight in (0.0, 3.0):
        net = network()
        parts = {"pseudo_label_weight": 0.0, "mcc_weight": 0.0, part: weight}
        taught(net, **parts).step(two_views(), 0.0, lambda loss, o: loss.backward())
        gradients[weight] = torch.cat([p.grad.flatten() for p in net.features.parameters()])
    assert (gradients[3.0] - gradients[0.0]).abs().max() > 1e-5


def still_iwdan_mcc(net, **options):
    return unmoved_iwdan_mcc(net, sgd(net.parameters(), learning_rate=0.0), mcc_weight=0.0, **options)


def still_iwdan_self_training(net, **options):
    return unmoved_iwdan_self_training(net, learning_rate=0.0, pseudo_label_weight=0.0, **options)


@pytest.mark.parametrize("still", [still_iwdan_mcc, still_iwdan_self_training])
@pytest.mark.parametrize("weigh_labels", [False, True])
def test_iwdan_weights_go_into_the_losses_of_the_source_alone(still, weigh_labels):
    net, batch = network(), two_views()
    method = still(net, weigh_labels=weigh_labels)
    shares = torch.tensor([0.6, 0.3, 0.1])
    method.ratios.ratios.copy_(3 * shares)
    method.ratios.predicted.copy_(shares)  # so that a round of EM leaves them
    domain = net.domain_logits(net.features(torch.cat([batch.source.images, batch.target.images])))
    losses = nn.functional.softplus(torch.cat([domain[:B], -domain[B:]]))
    log = method.step(batch, 0.5, update)
    expected = (3 * shares[batch.source.labels] * losses[:B]).mean() + losses[B:].mean()
    torch.testing.assert_close(log.weights, 3 * shares[batch.source.labels])
    torch.testing.assert_close(log.scalars["domain_loss"], expected.detach() / 2)
    per_image = nn.functional.cross_entropy(net(batch.source.images), batch.source.labels, reduction="none")
    of_labels = 3 * shares[batch.source.labels] if weigh_labels else torch.ones(B)
    torch.testing.assert_close(log.scalars["label_loss"], (of_labels * per_image).mean().detach())


def linear_network():
    """One feature of two inputs, w1 x1 + w2 x2, from w = (1, 1)."""
    features = nn.Linear(2, 1, bias=False)
    nn.init.constant_(features.weight, 1.0)
    torch.manual_seed(0)
    domain_head = nn.Sequential(nn.Linear(1, 16), nn.ReLU(), nn.Linear(16, 1))
    label_head = nn.Linear(1, 2)
    return Network(features, label_head, domain_head)


@pytest.mark.parametrize("kind", ["dann", "weighted-dann"])
def test_alignment_suppresses_the_input_that_gives_the_domain_away(kind):
    # Input 2 is 0 in the source and 1 in the target; the label hangs on input 1 alone. In the source nothing
    # teaches w2, so without adaptation it stays exactly where it was; with it, it must go.
    ratio = {}
    for strength in (0.0, 1.0):
        torch.manual_seed(1)
        net, n = linear_network(), 64
        source = torch.stack([torch.linspace(-1, 1, n), torch.zeros(n)], dim=1)
        target = torch.stack([torch.linspace(-1, 1, n), torch.ones(n)], dim=1)
        labels = (source[:, 0] > 0).long()
        batch = DomainPair(
            LabelledBatch(source, labels, torch.arange(n), torch.zeros(n, dtype=torch.int64)),
            UnlabelledBatch(target, torch.arange(n)),
        )
        optimizer = sgd(net.parameters(), learning_rate=0.05, momentum=0.0)
        if kind == "dann":
            method = Dann(net, optimizer, strength=constant_strength(strength))
        else:
            with torch.no_grad():
                p_a = class_likelihood(net(source), labels)
            weigh = InstanceWeighting(stored(p_a), paper_weights)
            method = WeightedDann(net, optimizer, weigh, strength=constant_strength(strength))
        for k in range(1500):
            method.step(batch, k / 1500, update)
        w1, w2 = net.features.weight[0].tolist()
        ratio[strength] = abs(w2 / w1)
        if strength == 0.0:
            assert w2 == 1.0
    assert ratio[1.0] < 0.15
    assert ratio[1.0] < 0.5 * ratio[0.0]
