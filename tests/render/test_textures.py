import numpy as np
import pytest
from PIL import Image

from weighbridge.errors import DataError
from weighbridge.render.textures import PATTERNS, Backdrops, Grain, blotches, colour, pattern

EVERY = sorted({name for names in PATTERNS for name in names})


@pytest.mark.parametrize("name", EVERY)
def test_a_pattern_lies_between_its_colours_and_is_the_same_for_the_same_numbers(name):
    first, second = colour(0.0, 0.0, 0.8), colour(0.0, 0.0, 0.3)
    texture = pattern(name, np.random.default_rng(1), first, second, blotches(np.random.default_rng(0), 32))
    assert texture.shape == (32, 32, 3)
    assert texture.dtype == np.float32
    assert texture.min() >= second[0] - 1e-6
    assert texture.max() <= first[0] + 1e-6
    np.testing.assert_array_equal(
        texture, pattern(name, np.random.default_rng(1), first, second, blotches(np.random.default_rng(0), 32))
    )
    assert texture.std() > 0.005


@pytest.mark.parametrize("name", ["noise", "stripes", "checker", "dots", "brick"])
def test_patterns_tile(name):
    texture = pattern(
        name, np.random.default_rng(2), colour(0, 0, 0.9), colour(0, 0, 0.1), Grain(64).draw(np.random.default_rng(3))
    )[..., 0]
    for axis in (0, 1):
        steps = np.abs(np.diff(texture, axis=axis)).mean(axis=1 - axis)
        seam = np.abs(texture.take(0, axis) - texture.take(-1, axis)).mean()
        assert seam <= steps.max() + 1e-6  # no step at the seam that is not inside as well


def test_blotches_fill_their_range():
    field = blotches(np.random.default_rng(0), 48)
    assert (float(field.min()), float(field.max())) == (0.0, 1.0)


def test_colours_are_linear():
    np.testing.assert_allclose(colour(0.0, 1.0, 0.5), [0.5**2.2, 0, 0], atol=1e-6)


def test_a_photo_behind_comes_from_the_folder(tmp_path):
    Image.new("RGB", (90, 60), (255, 0, 0)).save(tmp_path / "red.png")
    (tmp_path / "broken.jpg").write_bytes(b"no image")
    backdrops = Backdrops(tmp_path)
    assert backdrops.options.count("photo") == 2
    for seed in range(8):
        piece, name = backdrops.draw("photo", np.random.default_rng(seed), 16)
        assert name == "red.png"
        np.testing.assert_allclose(piece, np.broadcast_to(np.float32([1, 0, 0]), (16, 16, 3)), atol=1e-5)


def test_without_photos_there_is_no_photo_to_choose():
    assert "photo" not in Backdrops(None).options
    for kind in Backdrops(None).options:
        made, name = Backdrops(None).draw(kind, np.random.default_rng(0), 24)
        assert name == ""
        assert made.shape == (24, 24, 3)
        assert 0 <= made.min() <= made.max() <= 1


def test_a_folder_without_photos_is_refused(tmp_path):
    with pytest.raises(DataError, match="found no image in it"):
        Backdrops(tmp_path)
    with pytest.raises(DataError, match="there is none"):
        Backdrops(tmp_path / "nowhere")
    (tmp_path / "broken.jpg").write_bytes(b"no image")
    with pytest.raises(DataError, match="20 backgrounds in a row could not be read"):
        Backdrops(tmp_path).draw("photo", np.random.default_rng(0), 16)
