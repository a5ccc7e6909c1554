"""Real images from folder to prediction; skipped where WEIGHBRIDGE_DATA does not say where they are."""

import io
import zipfile

import numpy as np
import pytest
import torch

from weighbridge.data.images import View
from weighbridge.data.reading import Reading, read_labelled, read_unlabelled
from weighbridge.runs.adapt import adapt
from weighbridge.runs.finished import Run
from weighbridge.settings.config import Config


def test_a_few_steps_on_mnist_learn_digits_and_usps_is_read(real_data, tmp_path):
    with np.load(real_data / "mnist" / "mnist_t10k.npz") as mnist, np.load(real_data / "usps" / "usps.npz") as usps:
        np.savez(tmp_path / "source.npz", x=mnist["x"][:3000], y=mnist["y"][:3000])
        np.savez(tmp_path / "target.npz", x=usps["x_train"][:1000])
        np.savez(tmp_path / "labelled.npz", x=usps["x_test"], y=usps["y_test"])
    config = Config(
        method="source-only",
        backbone="lenet",
        image_size=28,
        channels=1,
        normalisation="per-image",
        pre_steps=0,
        steps=150,
    )
    folder = adapt([tmp_path / "source.npz"], tmp_path / "target.npz", config, tmp_path / "run")
    assert folder.metrics()["source_held_out"]["accuracy"] > 0.85
    assert (
        Run(folder.path).evaluate(tmp_path / "labelled.npz").accuracy > 0.3
    )  # digits of another hand, far above chance


@pytest.mark.parametrize("channels", [1, 3])
def test_street_photos_are_decoded_whole(real_data, tmp_path, channels):
    with zipfile.ZipFile(real_data / "chars74k" / "chars74k_real.zip") as archive:
        names = [name for name in archive.namelist() if name.endswith(".jpg")][::200]
        for name in names:
            path = tmp_path / "street" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(io.BytesIO(archive.read(name)).read())
    domain = read_unlabelled(tmp_path / "street", Reading(View(32, channels)))
    assert len(domain) == len(names)
    pixels = domain.images.fetch(torch.arange(len(domain)))
    assert pixels.shape == (len(names), channels, 32, 32)
    assert pixels.float().std() > 20


def test_font_renders_keep_the_names_of_their_classes(real_data):
    fonts = real_data / "chars74k" / "chars74k_font28.npz"
    with np.load(fonts) as archive:
        names = set(archive["classes"].astype(str)[np.unique(archive["y"])])
    domain = read_labelled([fonts], Reading(View(28, 1)))
    assert set(domain.classes) == names
    assert len(domain) == 34_544
