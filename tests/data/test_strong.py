"""A view that is hard to read, and no harder than it says."""

import cv2
import numpy as np
import pytest
import torch

from weighbridge.data import strong
from weighbridge.data.strong import StrongAugmentation


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def images(count=64, side=24):
    return torch.rand(count, 3, side, side, generator=seeded(3)) * 0.5 + 0.25


@pytest.fixture
def only(monkeypatch):
    """Switches off all operations but one."""

    def choose(name):
        for other in ("_BLUR", "_NOISE", "_LIGHT", "_HOLE"):
            if other != name:
                monkeypatch.setattr(strong, other, 0.0)
        return StrongAugmentation(1.0)

    return choose


def test_a_blur_is_a_gaussian_of_the_deviation_drawn():
    picture = images(3)
    deviations = torch.tensor([0.0, 0.8, 2.0]).view(3, 1, 1, 1)
    blurred = strong._blurred(picture, deviations)
    torch.testing.assert_close(blurred[0], picture[0])
    for row in (1, 2):
        one = np.ascontiguousarray(picture[row].permute(1, 2, 0).numpy())
        wanted = cv2.GaussianBlur(one, (9, 9), float(deviations[row]), borderType=cv2.BORDER_REPLICATE)
        torch.testing.assert_close(blurred[row].permute(1, 2, 0), torch.from_numpy(wanted), rtol=0, atol=1e-5)


def test_light_is_a_slope_between_half_and_twice(only):
    grey = torch.full((64, 1, 24, 24), 0.2)
    slopes = torch.log(only("_LIGHT")(grey, seeded()) / 0.2)[:, 0]  # (B, H, W)
    torch.testing.assert_close(slopes.diff(dim=1).diff(dim=1), torch.zeros(64, 22, 24), rtol=0, atol=1e-5)
    torch.testing.assert_close(slopes.mean(dim=(1, 2)), torch.zeros(64), rtol=0, atol=1e-5)
    along_an_axis = slopes[:, 12, :].abs().amax()
    assert np.log(2) * 0.9 < along_an_axis <= np.log(2) * 1.01


def test_noise_is_up_to_half_the_deviation_of_the_image(only):
    picture = images()
    added = only("_NOISE")(picture, seeded()) - picture
    shares = added.std(dim=(1, 2, 3)) / picture.std(dim=(1, 2, 3))
    assert 0.45 < shares.max() < 0.52
    assert shares.min() < 0.05
    dark = only("_NOISE")(picture / 50, seeded()) - picture / 50
    torch.testing.assert_close(dark.std(dim=(1, 2, 3)) / (picture / 50).std(dim=(1, 2, 3)), shares, rtol=0, atol=1e-2)


def test_a_hole_is_a_square_of_the_mean_colour_up_to_half_the_side(only):
    picture = images()
    shown = only("_HOLE")(picture, seeded())
    covered = (shown != picture).all(dim=1)  # (B, H, W)
    heights, widths = covered.any(2).sum(1), covered.any(1).sum(1)
    assert torch.equal(covered.sum(dim=(1, 2)), heights * widths), "a rectangle"
    assert 10 <= max(heights.max(), widths.max()) <= 12
    row = int(covered.sum(dim=(1, 2)).argmax())
    colour = shown[row][:, covered[row]]
    torch.testing.assert_close(colour, picture[row].mean(dim=(1, 2))[:, None].expand_as(colour), rtol=0, atol=1e-5)


def test_a_magnitude_of_next_to_nothing_changes_next_to_nothing():
    torch.testing.assert_close(StrongAugmentation(1e-6)(images(), seeded()), images(), rtol=0, atol=1e-4)


def test_a_seed_fixes_the_draws_and_every_image_has_its_own():
    same_image = images(1).expand(8, -1, -1, -1)
    once, again = (StrongAugmentation(1.0)(same_image, seeded()) for _ in range(2))
    assert torch.equal(once, again)
    assert all(not torch.equal(once[0], once[row]) for row in range(1, 8))
    assert once.min() >= 0.0
    assert once.max() <= 1.0
