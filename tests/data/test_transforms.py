"""Pixels on their way to the network."""

import pytest
import torch
from torchvision.transforms import RandomResizedCrop
from torchvision.transforms.v2 import functional as tv

from weighbridge.data import colour, transforms
from weighbridge.data.strong import StrongAugmentation
from weighbridge.data.transforms import Augmentation, PixelScale, Preparation, resized_crop


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
        {"resized_crop": 0.5},
        {"jitter": 0.4},
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


def test_grey_takes_the_colour_from_a_share_of_the_images_as_torchvision_does():
    pixels = torch.rand(400, 3, 4, 4)
    made = Augmentation(grey=0.3)(pixels, seeded())
    grey = (made.amax(1) - made.amin(1)).amax(dim=(1, 2)) < 1e-6
    assert 0.22 < grey.float().mean() < 0.38
    torch.testing.assert_close(made[grey], tv.rgb_to_grayscale(pixels[grey], 3))
    assert torch.equal(made[~grey], pixels[~grey])


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


# ---- crops and jitter, beside torchvision's own ----


@pytest.mark.parametrize("channels", [1, 3])
def test_a_resized_crop_is_torchvision_s(channels):
    pixels = torch.rand(4, channels, 12, 12, generator=seeded())
    boxes = torch.tensor([[0, 0, 12, 12], [2, 3, 9, 8], [5, 0, 7, 10], [1, 4, 1, 8]])
    ours = resized_crop(pixels, boxes.float())
    theirs = torch.stack(
        [tv.resized_crop(one, *box.tolist(), [12, 12]) for one, box in zip(pixels, boxes, strict=True)]
    )
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-5)


def test_crops_keep_the_share_the_aspect_and_the_image_that_they_should():
    tops, lefts, heights, widths = transforms._boxes(torch.zeros(4000, 1, 200, 200), 0.7, seeded()).unbind(1)
    shares, aspects = heights * widths / 200**2, widths / heights
    assert 0.69 < shares.min() < 0.72
    assert shares.max() > 0.97
    assert 0.745 < aspects.min() < 0.77
    assert 1.30 < aspects.max() < 1.345
    assert tops.min() == lefts.min() == 0
    assert (tops + heights).max() == (lefts + widths).max() == 200
    theirs = [RandomResizedCrop.get_params(torch.zeros(1, 200, 200), (0.7, 1.0), (3 / 4, 4 / 3)) for _ in range(2000)]
    mean = sum(height * width for _, _, height, width in theirs) / 2000 / 200**2
    assert shares.mean().item() == pytest.approx(mean, abs=0.01)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    ("ours", "theirs", "amounts"),
    [
        (colour.adjust_brightness, tv.adjust_brightness, [0.0, 0.6, 1.0, 1.7]),
        (colour.adjust_contrast, tv.adjust_contrast, [0.0, 0.6, 1.0, 1.7]),
        (colour.adjust_saturation, tv.adjust_saturation, [0.0, 0.6, 1.0, 1.7]),
        (colour.adjust_hue, tv.adjust_hue, [-0.5, -0.1, 0.0, 0.25]),
    ],
)
def test_colours_change_as_torchvision_s_do_by_an_amount_for_each_image(ours, theirs, amounts, channels):
    pixels = (torch.rand(4, channels, 12, 12, generator=seeded()) * 4).round() / 4  # equal channels and greys too
    wanted = torch.stack([theirs(one, amount) for one, amount in zip(pixels, amounts, strict=True)])
    torch.testing.assert_close(ours(pixels, torch.tensor(amounts).view(4, 1, 1, 1)), wanted, rtol=0, atol=1e-5)


def test_jitter_is_torchvision_s_with_a_quarter_of_it_for_hue(monkeypatch):
    seen = {}
    for name in ("adjust_brightness", "adjust_contrast", "adjust_saturation", "adjust_hue"):
        monkeypatch.setattr(
            transforms, name, lambda pixels, amount, name=name: (seen.update({name: amount}), pixels)[1]
        )
    Augmentation(jitter=0.4)(torch.rand(500, 3, 4, 4), seeded())
    for name, (low, high) in {
        "brightness": (0.6, 1.4),
        "contrast": (0.6, 1.4),
        "saturation": (0.6, 1.4),
        "hue": (-0.1, 0.1),
    }.items():
        amounts = seen[f"adjust_{name}"]
        assert amounts.shape == (500, 1, 1, 1)
        assert [amounts.min().item(), amounts.max().item()] == pytest.approx([low, high], abs=0.01)


# ---- what is off draws nothing ----

EVERY = {"rotate": 20.0, "shift": 0.1, "zoom": 0.3, "shear": 0.2, "flip": True}
STILL = {"flip": True, "brightness": 0.2, "contrast": 0.4, "noise": 0.1, "invert": 0.5}


@pytest.mark.parametrize(
    ("preparation", "values"),
    [
        (Preparation(Augmentation(flip=True)), [-0.83529, -0.33333, 0.64706, 0.41176]),
        (Preparation(Augmentation(**(EVERY | STILL))), [-0.53225, 0.21081, 0.52072, 0.84116]),
        (Preparation(Augmentation(**STILL), "per-image"), [1.31458, 0.3936, -1.23653, -0.74258]),
        (
            Preparation(Augmentation(**(EVERY | STILL)), "per-image", StrongAugmentation(0.5)),
            [-0.94738, -0.01317, 0.55945, 0.91936],
        ),
        (Preparation(strong=StrongAugmentation(0.5)), [-0.63886, -0.13176, -0.19071, 0.16825]),
    ],
)
def test_pixels_are_those_of_the_same_seed_before_there_were_crops_jitter_and_augmix(preparation, values):
    prepared = preparation.training(images(), seeded(), seeded(1))
    if preparation.strong is None:
        assert torch.equal(prepared, preparation.training(images(), seeded()))
    seen = prepared[[0, 2, 4, 5], [0, 1, 2, 0], [0, 3, 6, 11], [1, 5, 9, 11]]
    torch.testing.assert_close(seen, torch.tensor(values), rtol=0, atol=2e-4)
