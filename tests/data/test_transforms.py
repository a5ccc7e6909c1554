"""Pixels on their way to the network."""

import pytest
import torch

from weighbridge.data.transforms import Augmentation, PixelScale, Preparation


def images(count=6):
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, 3, 12, 12), generator=generator, dtype=torch.uint8)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def test_half_maps_black_to_minus_one_and_white_to_one():
    pixels = torch.tensor([0, 255], dtype=torch.uint8).view(2, 1, 1, 1)
    assert Preparation().plain(pixels).flatten().tolist() == [-1.0, 1.0]


def test_per_image_takes_brightness_and_contrast_away():
    pixels = images()
    darker = (pixels.float() * 0.5).byte()
    preparation = Preparation(normalisation="per-image")
    prepared = preparation.plain(pixels)
    torch.testing.assert_close(prepared.mean(dim=(1, 2, 3)), torch.zeros(6), rtol=0, atol=1e-5)
    torch.testing.assert_close(preparation.plain(darker), prepared, rtol=0, atol=0.02)


def test_per_image_is_each_image_by_its_own_mean_and_deviation():
    pixels = images().float()
    mean, deviation = pixels.mean(dim=(1, 2, 3), keepdim=True), pixels.std(dim=(1, 2, 3), correction=0, keepdim=True)
    prepared = Preparation(normalisation="per-image").plain(pixels.byte())
    torch.testing.assert_close(prepared, (pixels - mean) / deviation)
    assert Preparation(normalisation="per-image").plain(images(0)).shape == (0, 3, 12, 12)


def test_imagenet_scale_by_hand():
    pixels = torch.full((1, 3, 2, 2), 255, dtype=torch.uint8)
    prepared = Preparation(normalisation="imagenet").plain(pixels)[0, :, 0, 0]
    torch.testing.assert_close(prepared, torch.tensor([0.515 / 0.229, 0.544 / 0.224, 0.594 / 0.225]))


def test_any_scale_by_hand():
    pixels = torch.full((1, 3, 2, 2), 51, dtype=torch.uint8)
    prepared = Preparation(normalisation=PixelScale((0.1, 0.2, 0.3), (0.1, 0.2, 0.5))).plain(pixels)[0, :, 0, 0]
    torch.testing.assert_close(prepared, torch.tensor([1.0, 0.0, -0.2]))


def test_a_flat_image_does_not_divide_by_zero():
    flat = torch.full((1, 1, 4, 4), 7, dtype=torch.uint8)
    assert torch.isfinite(Preparation(normalisation="per-image").plain(flat)).all()


def test_no_augmentation_is_the_plain_preparation():
    preparation = Preparation()
    assert torch.equal(preparation.training(images(), seeded()), preparation.plain(images()))


@pytest.mark.parametrize(
    "option",
    [
        {"rotate": 20.0},
        {"shift": 0.2},
        {"zoom": 0.3},
        {"shear": 0.3},
        {"flip": True},
        {"brightness": 0.3},
        {"contrast": 0.5},
        {"noise": 0.2},
        {"invert": 0.5},
    ],
)
def test_every_augmentation_does_something_the_seed_decides_and_pixels_stay_in_range(option):
    augmentation, pixels = Augmentation(**option), images().float() / 255
    once, again, other = (augmentation(pixels.clone(), seeded(seed)) for seed in (0, 0, 1))
    assert torch.equal(once, again)
    assert not torch.equal(once, other)
    assert not torch.equal(once, pixels)
    assert once.min() >= 0
    assert once.max() <= 1


def test_inverting_always_gives_the_negative():
    pixels = images().float() / 255
    assert torch.equal(Augmentation(invert=1.0)(pixels, seeded()), 1 - pixels)


def test_a_flip_mirrors_left_and_right_exactly():
    pixels = images(32).float() / 255
    moved = Augmentation(flip=True)(pixels, seeded())
    mirrored = [torch.allclose(moved[k], pixels[k].flip(-1), atol=1e-5) for k in range(32)]
    straight = [torch.allclose(moved[k], pixels[k], atol=1e-5) for k in range(32)]
    assert all(a != b for a, b in zip(mirrored, straight, strict=True))
    assert 4 < sum(mirrored) < 28


def test_a_shift_moves_a_dot_by_at_most_its_share():
    dot = torch.zeros(64, 1, 20, 20)
    dot[:, :, 10, 10] = 1.0
    moved = Augmentation(shift=0.1)(dot, seeded())  # two pixels of twenty
    places = moved.flatten(1).argmax(dim=1)
    rows, columns = places // 20, places % 20
    assert (rows - 10).abs().max() <= 2
    assert (columns - 10).abs().max() <= 2
    assert rows.unique().numel() >= 3
