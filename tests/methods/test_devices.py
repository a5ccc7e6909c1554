"""That a step is made of tensors of one device and never waits for it, shown without that device.

PyTorch's fake tensors have shapes and devices but no numbers. Mixing devices raises as on a GPU, and so does whatever
needs a number on the host: `.item()`, `if loss > 1`, a mask that picks rows.
"""

import copy

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode

from weighbridge.parts.likelihoods import per_step, stored
from weighbridge.parts.optim import Updater
from weighbridge.parts.weights import WEIGHTINGS
from weighbridge.settings import build_data, build_method
from weighbridge.settings.config import Config
from weighbridge.types import DomainPair, LabelledBatch, UnlabelledBatch

# deepcopy does, in PyTorch itself
pytestmark = pytest.mark.filterwarnings("ignore:Accessing the data pointer of FakeTensor")

CUDA = torch.device("cuda")
CLASSES = 5
EVERYTHING = dict.fromkeys(("shift", "zoom", "shear", "brightness", "contrast", "noise"), 0.1)
EVERYTHING |= {"rotate": 8.0, "flip": True, "invert": 0.5, "strong_augmentation": 0.5}


@pytest.fixture
def gpu(monkeypatch):
    """Fake tensors only, on a GPU that need not be there."""

    def moved(module, function):
        for part in module.modules():
            for name, parameter in part._parameters.items():
                if parameter is not None:
                    part._parameters[name] = nn.Parameter(function(parameter.data), parameter.requires_grad)
            for name, buffer in part._buffers.items():
                if buffer is not None:
                    part._buffers[name] = function(buffer)
        return module

    monkeypatch.setattr(nn.Module, "_apply", moved)  # PyTorch's cannot move modules made of fake tensors
    monkeypatch.setattr(FakeTensorMode, "__deepcopy__", lambda mode, memo: mode, raising=False)
    with FakeTensorMode() as mode:
        yield mode


def step_on_a_gpu(method, likelihood=None, **settings):
    """Two steps from uint8 images on, all but the arithmetic of the backward pass; returns the last log."""
    small = {"backbone": "slim-batchnorm", "image_size": 32}
    config = Config(method=method, fused=False, **EVERYTHING, **{**small, **settings})
    network = build_method.new_network(config, CLASSES, CUDA, torch.channels_last)
    p_a = likelihood(copy.deepcopy(network)) if likelihood else stored(torch.rand(40))
    trained = build_method.build_method(config, network, CLASSES, p_a)
    preparation = build_data.build_preparation(config)

    def backward(loss):  # autograd asks for the GPU itself
        assert loss.device.type == "cuda"
        for optimizer in trained.optimizers.values():
            for parameter in (p for group in optimizer.param_groups for p in group["params"]):
                assert parameter.device.type == "cuda"
                parameter.grad = torch.zeros_like(parameter)

    def images():
        pixels = torch.zeros(8, 3, config.image_size, config.image_size, dtype=torch.uint8).to(CUDA, non_blocking=True)
        return preparation.training(pixels, torch.Generator(), torch.Generator())

    index = torch.arange(8)
    labels, source = (torch.zeros(8, dtype=torch.int64, device=CUDA) for _ in range(2))
    for progress in (0.0, 0.5):
        pair = DomainPair(LabelledBatch(images(), labels, index, source), UnlabelledBatch(images(), index, images()))
        log = trained.step(pair, progress, Updater(backward))
    return log


@pytest.mark.parametrize("method", build_method.BUILDERS)
def test_a_step_of_every_method_stays_on_the_gpu(gpu, method):
    log = step_on_a_gpu(method)
    assert log.scalars
    for name, value in log.scalars.items():
        assert not isinstance(value, torch.Tensor) or value.device.type == "cuda", name
    assert log.weights is None or log.weights.device.type == "cuda"


@pytest.mark.parametrize("method", ["source-only", "dann", "adda", "weighted-dann"])
def test_so_does_the_network_of_the_paper(gpu, method):
    assert step_on_a_gpu(method, backbone="vgg16", image_size=224).scalars


@pytest.mark.parametrize("weighting", WEIGHTINGS)
@pytest.mark.parametrize("likelihood", [None, per_step], ids=["stored", "per step"])
def test_weights_are_made_on_the_gpu(gpu, weighting, likelihood):
    log = step_on_a_gpu("dann", likelihood, weighting=weighting)
    assert log.weights is not None
    assert log.weights.device.type == "cuda"


def test_these_tests_can_fail(gpu):
    on_gpu = torch.ones(3, device=CUDA)
    with pytest.raises(RuntimeError, match="Expected all tensors to be on the same device"):
        on_gpu + torch.ones(3)
    with pytest.raises(DataDependentOutputException):
        on_gpu.sum().item()
