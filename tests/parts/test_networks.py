"""Which layer is the last convolution output, in every kind of network."""

import copy

import pytest
import torch
from torch import nn

from weighbridge.errors import ConfigError
from weighbridge.parts.networks import (
    FrozenStatistics,
    build_network,
    evaluating,
    freeze_statistics,
    parameter_count,
    split_before_classifier,
    stages,
)


def shapes(backbone, channels, size, classes=5, **options):
    network = build_network(backbone, classes=classes, channels=channels, size=size, **options).eval()
    with torch.no_grad():
        features = network.features(torch.zeros(2, channels, size, size))
        return features.shape, network.label_head(features).shape, network.domain_logits(features).shape


@pytest.mark.parametrize(
    ("backbone", "channels", "size", "width"),
    [
        ("lenet", 1, 28, 768),
        ("lenet", 3, 32, 1200),
        ("small", 3, 16, 1024),
        ("small", 1, 32, 2048),
        ("small-batchnorm", 3, 64, 2048),
        ("slim-batchnorm", 3, 32, 2048),
        ("slim-batchnorm", 1, 16, 512),
        ("resnet18", 3, 64, 512),
        ("mobilenet_v3_small", 3, 64, 1024),
        ("swin_t", 3, 64, 768),
    ],
)
def test_features_are_flat_and_both_heads_read_them(backbone, channels, size, width):
    features, labels, domains = shapes(backbone, channels, size)
    assert features == (2, width)
    assert labels == (2, 5)
    assert domains == (2,)


def test_vgg16_at_224_is_the_one_of_the_paper():
    with torch.device("meta"):
        network = build_network("vgg16", classes=25, channels=3, size=224)
        features = network.features(torch.zeros(1, 3, 224, 224))
    assert features.shape == (1, 25_088)  # 512 x 7 x 7
    convolutions = [m for m in network.features.modules() if isinstance(m, nn.Conv2d)]
    assert len(convolutions) == 13
    assert convolutions[-1].out_channels == 512
    assert [m.out_features for m in network.label_head if isinstance(m, nn.Linear)] == [4096, 4096, 25]
    assert [m.out_features for m in network.domain_head if isinstance(m, nn.Linear)] == [1024, 1024, 1]
    assert parameter_count(network) == 14_714_688 + 119_648_281 + (25_088 * 1024 + 1024) + (1024 * 1024 + 1024) + 1025


@pytest.mark.parametrize(
    ("backbone", "channels", "size", "sentence"),
    [
        ("lennet", 3, 32, "there is no backbone 'lennet'. Did you mean 'lenet'?"),
        ("vgg16", 1, 64, "backbone 'vgg16' takes colour images, got channels = 1. Set channels = 3"),
        (
            "vgg16",
            3,
            16,
            "backbone 'vgg16' needs images of at least 32 pixels, got image_size = 16. Set backbone = 'auto'",
        ),
        ("lenet", 1, 8, "backbone 'lenet' needs images of at least 16 pixels, got image_size = 8"),
        (
            "slim-batchnorm",
            3,
            30,
            "backbone 'slim-batchnorm' takes images of at least 16 pixels, in multiples of 8, got image_size = 30",
        ),
        (
            "small",
            1,
            30,
            "backbone 'small' takes images of 8 to 64 pixels that can be halved down to 3, 4 or 5, "
            "got image_size = 30. Set 16, 32, 48 or 64, for example",
        ),
        (
            "small-batchnorm",
            3,
            65,
            "backbone 'small-batchnorm' takes images of 8 to 64 pixels that can be halved down to 3, 4 or 5, "
            "got image_size = 65. Set 16, 32, 48 or 64, for example",
        ),
    ],
)
def test_a_network_that_cannot_be_gets_one_sentence(backbone, channels, size, sentence):
    with pytest.raises(ConfigError) as caught:
        build_network(backbone, classes=5, channels=channels, size=size)
    assert str(caught.value) == sentence


def test_weights_come_from_a_file_or_are_refused(tmp_path):
    from torchvision.models import resnet18

    torch.save(resnet18(weights=None).state_dict(), tmp_path / "r.pth")
    network = build_network("resnet18", classes=5, channels=3, size=64, weights=str(tmp_path / "r.pth"))
    saved = torch.load(tmp_path / "r.pth", weights_only=True)["conv1.weight"]
    assert torch.equal(next(network.features.parameters()), saved)
    with pytest.raises(
        ConfigError, match=r"backbone 'small' has no published weights, got weights = 'imagenet'\. Set weights = 'none'"
    ):
        build_network("small", classes=5, channels=3, size=32, weights="imagenet")


@pytest.mark.parametrize("backbone", ["lenet", "resnet18"])
def test_adda_s_division_computes_what_the_whole_computed(backbone):
    network = build_network(backbone, classes=5, channels=3, size=64).eval()
    divided = split_before_classifier(network, 500, 500).eval()
    images = torch.randn(3, 3, 64, 64)
    assert torch.equal(divided(images), network(images))
    assert isinstance(divided.label_head, nn.Linear)
    assert divided.features(images).shape == (3, divided.label_head.in_features)
    assert [m.out_features for m in divided.domain_head if isinstance(m, nn.Linear)] == [500, 500, 1]


def test_after_evaluation_every_part_has_its_own_mode_again():
    network = nn.Sequential(nn.Sequential(nn.BatchNorm2d(3), nn.Dropout()), nn.Dropout())
    network[0].eval()
    network[0][1].train()
    before = [part.training for part in network.modules()]
    with evaluating(network):
        assert not any(part.training for part in network.modules())
    assert [part.training for part in network.modules()] == before == [True, False, False, True, True]


def test_a_failed_evaluation_leaves_no_part_in_evaluation_mode():
    network = nn.Sequential(nn.Dropout())

    def fail():
        with evaluating(network):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert all(part.training for part in network.modules())


# ---- frozen statistics, and stages ----


def with_statistics(module):
    """Statistics as a training leaves them."""
    torch.manual_seed(5)
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.running_mean.normal_()
            layer.running_var.uniform_(0.5, 2.0)
    return module


def test_frozen_statistics_stay_in_every_mode_and_scales_and_shifts_learn():
    network = with_statistics(build_network("small-batchnorm", classes=3, channels=1, size=16))
    images, plain = torch.randn(4, 1, 16, 16), copy.deepcopy(network).eval()
    names = list(network.state_dict())
    freeze_statistics(network)
    freeze_statistics(network)  # again changes nothing
    assert list(network.state_dict()) == names
    before = {name: value.clone() for name, value in network.named_buffers()}
    for one in (network.train(), copy.deepcopy(network).train()):
        assert torch.equal(one(images), plain(images))
        one(images).sum().backward()
        layers = [layer for layer in one.modules() if isinstance(layer, FrozenStatistics)]
        assert len(layers) == 4
        assert all(layer.weight.grad.abs().sum() > 0 and layer.bias.grad.abs().sum() > 0 for layer in layers)
        assert all(torch.equal(value, before[name]) for name, value in one.named_buffers())
    with evaluating(network):
        pass
    assert torch.equal(network(images), plain(images))
    assert network.training


def test_a_batch_norm_that_keeps_no_statistics_is_left_alone():
    layers = nn.Sequential(nn.BatchNorm2d(2, track_running_stats=False))
    freeze_statistics(layers)
    assert type(layers[0]) is nn.BatchNorm2d


def test_timm_s_batch_norm_with_an_activation_is_frozen_too():
    pytest.importorskip("timm")
    network = build_network("timm:tf_efficientnet_lite0", classes=3, channels=3, size=32)
    with_statistics(network)
    images = torch.rand(2, 3, 32, 32)
    wanted = network.eval().features(images)
    freeze_statistics(network)
    torch.testing.assert_close(network.train().features(images), wanted)


@pytest.mark.parametrize(
    ("backbone", "firsts"),
    [
        ("resnet18", ["0.0.weight", *(f"0.{k}.0.conv1.weight" for k in (4, 5, 6, 7))]),
        ("small", [f"{k}.weight" for k in (0, 3, 7, 10, 14, 17)]),
        ("lenet", ["0.weight", "3.weight"]),
        ("mobilenet_v3_small", None),
        ("swin_t", None),
    ],
)
def test_stages_are_all_parameters_from_the_pixels_up(backbone, firsts):
    features = build_network(backbone, classes=3, channels=3, size=32).features
    found = stages(features)
    assert [id(p) for stage in found for p in stage] == [id(p) for p in features.parameters()]
    names = {id(parameter): name for name, parameter in features.named_parameters()}
    assert firsts is None or [names[id(stage[0])] for stage in found] == firsts
    assert len(found) == {"mobilenet_v3_small": 14, "swin_t": 8}.get(backbone, len(found))


def test_networks_of_timm_say_what_their_stages_are():
    pytest.importorskip("timm")
    features = build_network("timm:tf_efficientnet_lite0", classes=3, channels=3, size=32).features
    for module in (features, nn.Sequential(features, nn.Flatten())):  # however it is wrapped
        names = {id(parameter): name for name, parameter in module.named_parameters()}
        found = [names[id(stage[0])].removeprefix("0.") for stage in stages(module)]
        assert found[0] == "conv_stem.weight"
        assert [name.split(".")[:2] for name in found[1:]] == [["blocks", str(k)] for k in range(7)]
        assert sum(map(len, stages(module))) == len(names)


def test_what_has_no_parameters_has_one_stage_of_none():
    assert stages(nn.Sequential(nn.Flatten())) == [[]]
