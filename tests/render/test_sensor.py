import io

import numpy as np
import pytest
from PIL import Image

from weighbridge.render.recipe import Recipe
from weighbridge.render.sensor import CAMERA, SENSOR, SHARPENING, develop


def nominal(**changes):
    return {**{name: knob.nominal for name, knob in {**CAMERA, **SHARPENING}.items()}, **changes}


def seen(radiance, **changes):
    return develop(np.asarray(radiance, np.float32), nominal(**changes), np.random.default_rng(0))


def grey(level, size=32):
    return np.full((size, size, 3), level, np.float32)


def edge(size=64):
    image = grey(0.1, size)
    image[:, size // 2 :] = 0.8
    return image


def test_at_nominal_values_an_image_only_gets_its_curve():
    # 0.5 ** (1 / 2.2) * 255 = 186.1
    assert np.unique(seen(grey(0.5))).tolist() == [186]
    assert np.unique(seen(grey(3.0))).tolist() == [255]


def test_a_stop_doubles_the_light():
    np.testing.assert_array_equal(seen(grey(0.2), exposure=1.0), seen(grey(0.4)))


def test_warm_is_red_and_tint_is_green():
    red, green, blue = seen(grey(0.3), warmth=0.1)[0, 0].tolist()
    assert red > green > blue
    red, green, blue = seen(grey(0.3), tint=0.1)[0, 0].tolist()
    assert green > red == blue


def test_blur_is_measured_in_the_side():
    def width(image):  # pixels between 25 % and 75 % of the step, in linear light
        row = (image[20, :, 1] / 255.0) ** 2.2
        return ((row > 0.275) & (row < 0.625)).sum() / len(row)

    assert width(seen(edge(), blur=0.0)) == 0
    small, large = width(seen(edge(128), blur=3.0)), width(seen(edge(256), blur=3.0))
    assert small == pytest.approx(large, abs=0.01)  # 2 * 0.67 deviations = 4 % of the side
    assert 0.025 < small < 0.055


def test_motion_smears_along_its_direction():
    along = seen(edge(), motion=15.0, motion_angle=0.0)
    across = seen(edge(), motion=15.0, motion_angle=90.0)
    assert len(np.unique(along[32, :, 0])) > 5
    np.testing.assert_array_equal(across, seen(edge()))


def test_a_coarse_sensor_loses_detail():
    checker = np.indices((32, 32)).sum(0)[..., None] % 2 * np.ones(3, np.float32)
    assert seen(checker).std() > 120
    assert seen(checker, resolution=0.5).std() < 2


def test_noise_has_the_deviation_that_was_asked_for():
    image = seen(grey(0.96, 200), noise=0.02)  # at 0.96 + 0.04 the spread is the whole of it, in linear light
    assert ((image / 255.0) ** 2.2).std() == pytest.approx(0.02, rel=0.15)
    dark = seen(grey(0.0, 200), noise=0.02)
    assert dark.max() > 0


def test_a_mosaic_keeps_grey_and_colours_edges():
    flat = seen(grey(0.4), mosaic=1.0, noise=1e-6)
    assert np.ptp(flat.reshape(-1, 3), axis=0).max() <= 1
    stripes = grey(0.1)
    stripes[:, ::3] = 0.8
    plain, through = seen(stripes, noise=1e-6), seen(stripes, mosaic=1.0, noise=1e-6)
    saturation = [np.ptp(image.astype(int), axis=2).mean() for image in (plain, through)]
    assert saturation[0] < 2
    assert saturation[1] > 10


def test_a_mosaic_needs_no_noise():
    stripes = grey(0.1)
    stripes[:, ::3] = 0.8
    assert (seen(stripes, mosaic=1.0) != seen(stripes)).any()


def test_colours_come_out_of_the_mosaic_in_their_places():
    red = np.broadcast_to(np.float32([0.7, 0.2, 0.1]), (32, 32, 3))
    np.testing.assert_allclose(seen(red, mosaic=1.0, noise=1e-6)[8:-8, 8:-8].mean((0, 1)), seen(red)[0, 0], atol=2)


def test_vignette_darkens_the_corners_alone():
    image = seen(grey(0.5, 33), vignette=0.5)
    assert image[16, 16, 0] == 186
    assert image[0, 0, 0] == pytest.approx((0.25 ** (1 / 2.2)) * 255, abs=1)


def test_haze_and_negative_contrast_flatten_and_positive_contrast_sharpens():
    spread = {name: seen(edge(), **change).std() for name, change in {
        "plain": {}, "haze": {"haze": 0.5}, "flat": {"contrast": -0.5}, "hard": {"contrast": 0.5},
    }.items()}  # fmt: skip
    assert spread["haze"] < spread["plain"] < spread["hard"]
    assert spread["flat"] == pytest.approx(spread["plain"] / 2, rel=0.02)


def test_sharpening_steepens_an_edge_and_leaves_the_rest():
    plain, sharp = (
        seen(edge(), blur=2.0).astype(int)[32, :, 0],
        seen(edge(), blur=2.0, sharpening=1.0).astype(int)[32, :, 0],
    )
    assert np.diff(sharp).max() > 1.3 * np.diff(plain).max()
    assert sharp.min() < plain.min() - 10, "dark beside bright is darker"
    assert sharp.max() > plain.max() + 10
    np.testing.assert_array_equal(sharp[:16], plain[:16])
    np.testing.assert_array_equal(sharp[-16:], plain[-16:])


def test_black_is_lifted_and_white_stays():
    assert np.unique(seen(grey(0.0), black=0.04)).tolist() == [10]  # 0.04 * 255 = 10.2
    assert np.unique(seen(grey(1.0), black=0.04)).tolist() == [255]


def test_jpeg_leaves_its_blocks():
    noise = np.random.default_rng(1).random((64, 64, 3), np.float32)
    plain, packed = seen(noise).astype(int), seen(noise, jpeg=30.0).astype(int)
    assert 10 < np.abs(plain - packed).mean() < 100


def test_jpeg_takes_colours_for_what_they_are():
    """Red and blue weigh differently in JPEG's luma: the same damage as from Pillow's encoder, which has red first."""
    red = np.zeros((32, 32, 3), np.float32)
    red[8:24, 8:24] = (0.8, 0.0, 0.0)
    expected = seen(red)
    buffer = io.BytesIO()
    Image.fromarray(expected).save(buffer, "JPEG", quality=40)
    np.testing.assert_allclose(seen(red, jpeg=40.0).astype(int), np.asarray(Image.open(buffer), int), atol=6)


def test_every_draw_of_the_camera_gives_an_image():
    recipe = Recipe("objects")
    for index in range(200):
        for knobs in (SENSOR, CAMERA):
            factors = recipe.factors({**knobs, **SHARPENING}, "mug", index, "camera")
            image = develop(edge(24), factors, np.random.default_rng(index))
            assert image.shape == (24, 24, 3)
            assert image.dtype == np.uint8
            assert image.std() > 5
