"""AugMix: its operations beside torchvision's own, and how chains are mixed."""

import math

import pytest
import torch
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as tv

from weighbridge.data import augmix
from weighbridge.data.augmix import AugMix


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def images(count=4, channels=3, side=16):
    return torch.rand(count, channels, side, side, generator=seeded(3))


def applied(kind, name, pixels, amounts, sign=1.0):
    operation = torch.full((len(pixels),), augmix._OPERATIONS.index(name))
    return augmix._KINDS[kind](pixels, operation, torch.tensor(amounts), torch.full((len(pixels),), sign))


AMOUNTS = [0.0, 0.3, 0.6, 0.9]
MOVE = {"translate": [0, 0], "scale": 1.0, "shear": [0.0, 0.0], "angle": 0.0}


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    ("kind", "name", "theirs"),
    [
        ("autocontrast", "autocontrast", lambda one, amount: tv.autocontrast(one)),
        ("equalize", "equalize", lambda one, amount: tv.equalize(one)),
        ("posterize", "posterize", lambda one, amount: tv.posterize(one, 4 - math.floor(4 * amount))),
        ("solarize", "solarize", lambda one, amount: tv.solarize(one, 1.0 - amount)),
        ("move", "rotate", lambda one, amount: tv.rotate(one, 30 * amount, interpolation=InterpolationMode.BILINEAR)),
    ],
)
def test_an_operation_is_torchvision_s(kind, name, theirs, channels):
    pixels = images(channels=channels)
    wanted = torch.stack([theirs(one, amount) for one, amount in zip(pixels, AMOUNTS, strict=True)])
    ours = applied(kind, name, pixels, AMOUNTS)
    inside = slice(2, -2) if kind == "move" else slice(None)  # torchvision tells black from the edge by a mask
    torch.testing.assert_close(ours[..., inside, inside], wanted[..., inside, inside], rtol=0, atol=1e-4)


@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_a_shift_is_of_a_third_of_the_side_and_leaves_black(sign):
    pixels = images(1, side=15) + 0.1
    for name, dim in (("shift-x", 3), ("shift-y", 2)):
        moved = applied("move", name, pixels, [1.0], sign)
        wanted = pixels.roll(-5 * int(sign), dims=dim)
        wanted.narrow(dim, 10 if sign > 0 else 0, 5).zero_()
        torch.testing.assert_close(moved, wanted, rtol=0, atol=1e-4)


def test_a_shear_moves_rows_by_their_distance_from_the_middle():
    upright = torch.zeros(1, 1, 21, 21)
    upright[..., 10] = 1.0
    for name, lines in (("shear-x", upright), ("shear-y", upright.transpose(2, 3))):
        moved = applied("move", name, lines, [1.0])
        rows = (moved if name == "shear-x" else moved.transpose(2, 3))[0, 0]  # (21, 21)
        places = (rows * torch.arange(21)).sum(1) / rows.sum(1)
        torch.testing.assert_close(places, 10 - 0.3 * (torch.arange(21) - 10), rtol=0, atol=1e-3)


def test_chains_that_change_nothing_are_the_image(monkeypatch):
    for kind in augmix._KINDS:
        monkeypatch.setitem(augmix._KINDS, kind, lambda pixels, *drawn: pixels)
    torch.testing.assert_close(AugMix(0.3)(images(), seeded()), images(), rtol=0, atol=1e-5)  # shares add up to 1


def test_own_share_and_shares_of_chains_are_drawn_as_in_the_paper(monkeypatch):
    for kind in augmix._KINDS:
        monkeypatch.setitem(augmix._KINDS, kind, lambda pixels, *drawn: torch.ones_like(pixels))
    mixed = AugMix(0.3)(torch.zeros(4000, 1, 1, 1), seeded()).flatten()  # 1 - m
    assert [mixed.mean().item(), mixed.var().item()] == pytest.approx([1 / 2, 1 / 12], abs=0.02)


def test_chains_are_of_one_to_three_of_all_nine_operations(monkeypatch):
    seen = []
    for kind in augmix._KINDS:
        monkeypatch.setitem(augmix._KINDS, kind, lambda pixels, *drawn: (seen.append(drawn), pixels)[1])
    AugMix(0.5)(torch.zeros(3000, 1, 1, 1), seeded())
    operation, amount, sign = (torch.cat(parts) for parts in zip(*seen, strict=True))
    assert len(operation) == pytest.approx(3000 * 3 * 2, rel=0.02)
    assert (operation.bincount() / len(operation)).tolist() == pytest.approx([1 / 9] * 9, abs=0.01)
    assert 0.0 <= amount.min() < 0.01
    assert 0.49 < amount.max() < 0.5
    assert sign.mean().abs() < 0.03


@pytest.mark.parametrize("channels", [1, 3])
def test_a_seed_fixes_the_draws_every_image_has_its_own_and_the_batch_is_left_alone(channels):
    pixels = images(1, channels).repeat(8, 1, 1, 1)
    before = pixels.clone()
    once, again = (AugMix(0.5)(pixels, seeded()) for _ in range(2))
    assert torch.equal(once, again)
    assert torch.equal(pixels, before)
    assert all(not torch.equal(once[0], once[row]) for row in range(1, 8))
    assert once.min() >= 0.0
    assert once.max() <= 1.0
