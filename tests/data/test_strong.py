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

    def choose(name, magnitude=1.0):
        for other in ("_BLUR", "_NOISE", "_LIGHT", "_HOLE"):
            if other != name:
                monkeypatch.setattr(strong, other, 0.0)
        return StrongAugmentation(magnitude)

    return choose


def unequal():
    """Images whose colours have means of their own."""
    return images() * torch.tensor([1.0, 0.7, 0.4]).view(3, 1, 1)


@pytest.mark.parametrize("reach", [4, 9])
def test_a_blur_is_a_gaussian_of_the_deviation_given(reach):
    picture = images(3)
    deviations = torch.tensor([0.0, 0.8, 2.0]).view(3, 1, 1, 1)
    blurred = strong._blurred(picture, deviations, reach=reach)
    torch.testing.assert_close(blurred[0], picture[0])
    for row in (1, 2):
        one = np.ascontiguousarray(picture[row].permute(1, 2, 0).numpy())
        side = 2 * reach + 1
        wanted = cv2.GaussianBlur(one, (side, side), float(deviations[row]), borderType=cv2.BORDER_REPLICATE)
        torch.testing.assert_close(blurred[row].permute(1, 2, 0), torch.from_numpy(wanted), rtol=0, atol=1e-5)


@pytest.mark.parametrize("magnitude", [0.5, 1.0])
def test_blur_is_drawn_up_to_five_percent_of_the_side(only, magnitude):
    dot = torch.zeros(200, 1, 121, 121)
    dot[:, :, 60, 60] = 1.0
    shown = only("_BLUR", magnitude)(dot, seeded())[:, 0]
    across = shown.sum(dim=1)  # (B, W), the Gaussian in one direction
    deviations = (across * (torch.arange(121) - 60) ** 2).sum(dim=1).sqrt()
    assert deviations.max().item() == pytest.approx(0.05 * 121 * magnitude, rel=0.05)
    assert deviations.median().item() == pytest.approx(0.025 * 121 * magnitude, rel=0.15)


@pytest.mark.parametrize("magnitude", [0.5, 1.0])
def test_light_is_a_slope_in_any_direction(only, magnitude):
    grey = torch.full((300, 1, 24, 24), 0.2)
    slopes = torch.log(only("_LIGHT", magnitude)(grey, seeded()) / 0.2)[:, 0]  # (B, H, W)
    for axis in (1, 2):
        bend = slopes.diff(dim=axis).diff(dim=axis)
        torch.testing.assert_close(bend, torch.zeros_like(bend), rtol=0, atol=1e-5)
        steepest = slopes.diff(dim=axis).abs().amax() * 11.5  # from the middle to an edge
        assert steepest.item() == pytest.approx(np.log(2) * magnitude, rel=0.05)
    torch.testing.assert_close(slopes.mean(dim=(1, 2)), torch.zeros(300), rtol=0, atol=1e-5)
    down, right = (slopes.diff(dim=axis).mean(dim=(1, 2)) for axis in (1, 2))
    assert abs(np.corrcoef(down, right)[0, 1]) < 0.2


@pytest.mark.parametrize("magnitude", [0.5, 1.0])
def test_noise_is_up_to_half_the_deviation_of_the_image(only, magnitude):
    picture = unequal()
    added = only("_NOISE", magnitude)(picture, seeded()) - picture
    shares = added.std(dim=(1, 2, 3)) / picture.std(dim=(1, 2, 3))
    assert 0.45 * magnitude < shares.max() < 0.52 * magnitude
    assert shares.median().item() == pytest.approx(0.25 * magnitude, rel=0.25)
    dark = only("_NOISE", magnitude)(picture / 50, seeded()) - picture / 50
    torch.testing.assert_close(dark.std(dim=(1, 2, 3)) / (picture / 50).std(dim=(1, 2, 3)), shares, rtol=0, atol=1e-2)
    for one, other in ((added[0, 0], added[0, 1]), (added[0, 0], added[1, 0])):
        assert abs(np.corrcoef(one.flatten(), other.flatten())[0, 1]) < 0.2


@pytest.mark.parametrize("magnitude", [0.5, 1.0])
def test_a_hole_is_a_square_of_the_mean_colour_anywhere(only, magnitude):
    picture = unequal().repeat(4, 1, 1, 1)
    shown = only("_HOLE", magnitude)(picture, seeded())
    covered = (shown != picture).all(dim=1)  # (B, H, W)
    rows, columns = covered.any(dim=2), covered.any(dim=1)  # (B, H), (B, W)
    heights, widths = rows.sum(1), columns.sum(1)
    assert torch.equal(covered.sum(dim=(1, 2)), heights * widths), "a rectangle"
    whole = ~(rows[:, 0] | rows[:, -1] | columns[:, 0] | columns[:, -1])  # not cut off by the border
    assert ((heights - widths).abs() <= 1)[whole].all()
    assert 11 * magnitude <= heights.max() <= 12 * magnitude
    assert 11 * magnitude <= widths.max() <= 12 * magnitude
    some = heights * widths > 0
    middles = [(line * torch.arange(24)).sum(1)[some] / line.sum(1)[some] for line in (rows, columns)]
    assert all(middle.min() < 4 and middle.max() > 19 for middle in middles)
    assert abs(np.corrcoef(middles[0], middles[1])[0, 1]) < 0.2
    row = int((heights * widths).argmax())
    colour = shown[row][:, covered[row]]
    torch.testing.assert_close(colour, picture[row].mean(dim=(1, 2))[:, None].expand_as(colour), rtol=0, atol=1e-5)


def test_what_an_image_becomes_does_not_depend_on_its_neighbours():
    first, calm, wild = images(1), torch.zeros(1, 1, 1, 1), torch.full((1, 1, 1, 1), 3.0)
    alone = strong._blurred(first, calm + 0.8, reach=4)
    beside = strong._blurred(torch.cat([first, first]), torch.cat([calm + 0.8, wild]), reach=4)
    torch.testing.assert_close(beside[:1], alone)


def test_a_magnitude_of_next_to_nothing_changes_next_to_nothing():
    torch.testing.assert_close(StrongAugmentation(1e-6)(images(), seeded()), images(), rtol=0, atol=1e-4)


def test_a_seed_fixes_the_draws_and_every_image_has_its_own():
    same_image = images(1).expand(8, -1, -1, -1)
    once, again = (StrongAugmentation(1.0)(same_image, seeded()) for _ in range(2))
    assert torch.equal(once, again)
    assert all(not torch.equal(once[0], once[row]) for row in range(1, 8))
    assert once.min() >= 0.0
    assert once.max() <= 1.0
