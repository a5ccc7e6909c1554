"""The path tracer shows the same scene as the real-time renderer, and what that one leaves out."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("mitsuba")

from render.plates import ABOVE, BELOW, OVERHEAD, WHITE, four_colours, matt, plain, plate, seen, subject, turned
from weighbridge.render import realtime
from weighbridge.render.pathtraced import render, surroundings
from weighbridge.render.scene import Camera, Light, Material, Part

SKY, SUN, GROUND = (np.asarray(colour) for colour in (OVERHEAD.sky, OVERHEAD.sun, OVERHEAD.ground))
SOURCE = Path(__file__).parents[2] / "src"
WALL = [(0, 1, 0), (0, 0, 1), (1, 0, 0)]  # turns a plate upright, to face +x


def noisy(scene, size=16, samples=64, seed=0):
    return render(scene, size, samples=samples, seed=seed, denoise=False)


def sunlight(*towards_sun, softness=6.0):
    return Light(towards_sun, OVERHEAD.sun, OVERHEAD.sky, OVERHEAD.ground, softness)


@pytest.mark.parametrize("softness", [1.0, 6.0, 15.0])
@pytest.mark.parametrize("towards_sun", [(0, 0, 1), (0.5, 0.2, 1), (1, -0.3, 0.6)])
def test_a_white_plate_reflects_what_the_light_says_as_in_real_time(towards_sun, softness):
    scene = seen(Part(plate(), matt(WHITE)), light=sunlight(*towards_sun, softness=softness))
    expected = SKY + SUN * towards_sun[2] / np.linalg.norm(towards_sun)
    assert realtime.render(scene, 16)[8, 8] == pytest.approx(expected, rel=1e-5)
    assert noisy(scene, samples=144).mean((0, 1)) == pytest.approx(expected, rel=0.02)


def test_the_back_of_a_plate_sees_the_ground():
    image = noisy(seen(Part(plate(), matt(WHITE)), camera=BELOW))
    assert image.mean((0, 1)) == pytest.approx(GROUND, rel=0.02)


def test_an_upright_plate_sees_half_of_sky_and_ground():
    wall = Part(turned(plate(), WALL), matt(WHITE))
    image = noisy(seen(wall, light=sunlight(-1, 0, 0.1), camera=Camera((4, 0, 0), (0, 0, 0), field_of_view=20)))
    assert image.mean((0, 1)) == pytest.approx((SKY + GROUND) / 2, rel=0.02)


def test_the_surroundings_hold_the_light():
    radiance, turn = surroundings(sunlight(1, -0.3, 0.6))
    assert np.linalg.det(turn) == pytest.approx(1)
    assert turn[:, 2] == pytest.approx(np.asarray([1, -0.3, 0.6]) / np.linalg.norm([1, -0.3, 0.6]))
    assert radiance.min() >= 0
    rows, columns = (radiance[..., 0] > 10).nonzero()  # the sun's disc, in the middle of 65 rows and 128 columns
    assert rows.mean() == pytest.approx(32)
    assert columns.mean() == pytest.approx(63.5)


def test_both_renderers_show_a_texture_upright_and_unmirrored():
    scene = seen(Part(plate((-0.75, 0.75)), Material(four_colours(), roughness=1)))
    traced, fast = noisy(scene), realtime.render(scene, 16)
    assert traced == pytest.approx(fast, abs=0.15)
    assert traced[12, 4] == pytest.approx((SKY + SUN) * (1, 0, 0), rel=0.05, abs=0.01)  # u, v = 0.25: bottom left
    assert traced[4, 4] == pytest.approx((SKY + SUN) * (0, 0, 1), rel=0.05, abs=0.01)


def middle(image):
    """Row and column of the centre of what is bright."""
    weights = image[..., 0]
    return [float((weights * axis).sum() / weights.sum()) for axis in np.indices(weights.shape)]


def test_both_renderers_see_a_plate_in_the_same_place():
    off_centre = subject(plate((0.1, 0.6), (0.2, 0.5)), matt(WHITE))
    for camera in (ABOVE, Camera((2, -3, 2.5), (0.2, 0.1, 0), field_of_view=40)):
        scene = seen(off_centre, camera=camera, backdrop=plain((0, 0, 0)))
        assert middle(noisy(scene, 32)) == pytest.approx(middle(realtime.render(scene, 32, supersample=8)), abs=0.1)


def test_a_point_is_seen_where_the_projection_puts_it():
    # x from 0.5 to 0.625 is from 3/4 to 13/16 of 32 columns, y from 0.125 to 0.25 from 3/8 to 7/16 of the rows
    dot = subject(plate((0.5, 0.5 + 1 / 8), (0.25 - 1 / 8, 0.25)), matt(WHITE))
    bright = noisy(seen(dot, backdrop=plain((0, 0, 0))), 32)[..., 0] > 0.1
    assert np.argwhere(bright).tolist() == [[12, 24], [12, 25], [13, 24], [13, 25]]


def test_nearer_hides_farther():
    parts = [Part(plate((-0.5, 0.5), (-0.5, 0.5), 0.5), matt((0, 1, 0))), Part(plate(), matt((1, 0, 0)))]
    image = noisy(seen(*parts))
    assert image[8, 8, 1] > 0.7
    assert image[8, 8, 0] < 0.05
    assert image[1, 1, 0] > 0.7


def test_the_shadow_lies_on_the_side_away_from_the_sun():
    roof = subject(plate((-0.2, 0.2), (-0.2, 0.2), 0.5), matt((0, 0, 0)))
    image = noisy(seen(Part(plate(), matt(WHITE)), roof, light=sunlight(-1, 0, 1)), 32)
    lit = SKY + SUN / np.sqrt(2)
    assert image[16, 8] == pytest.approx(lit, rel=0.15)  # x = -0.5
    assert (image[15:18, 23:26].mean((0, 1)) < 0.6 * lit).all()  # x = 0.5


def test_a_larger_sun_has_a_softer_shadow():
    roof = subject(plate((-3, 0), (-3, 3), 0.4), matt((0, 0, 0)))

    def width(softness):
        ground = Part(plate((-3, 3), (-3, 3)), matt(WHITE))
        light = Light((-1, 0, 1), (1, 1, 1), (0, 0, 0), (0, 0, 0), softness)
        row = noisy(seen(ground, roof, light=light), 32, samples=256)[..., 0].mean(0)
        return ((row > 0.1 / np.sqrt(2)) & (row < 0.9 / np.sqrt(2))).sum()  # columns in the penumbra

    assert width(20.0) > 2 * width(3.0)


def test_light_that_has_met_a_surface_lights_another():
    # Floor and wall meet in x = -0.5; the wall is red. Close to it the floor sees less sky, but the wall's red.
    floor = Part(plate(), matt((0.8, 0.8, 0.8)))
    wall = Part(turned(plate((-1, 1), (0, 1), -0.5), WALL), matt((1, 0.05, 0.05)))
    scene = seen(floor, wall, light=sunlight(1, 0, 0.7))
    near = (slice(4, 12), 5)
    traced, fast = noisy(scene, samples=144)[near].mean(0), realtime.render(scene, 16)[near].mean(0)
    assert traced[0] > 1.03 * fast[0]
    assert traced[0] / traced[1] > 1.2 * fast[0] / fast[1]


def test_metal_mirrors_and_matt_does_not():
    # A red wall to the left, a camera that looks down to the left: a metal floor shows the wall, a matt one does not.
    wall = Part(turned(plate((-2, 2), (0, 3), -1), WALL), matt((1, 0, 0)))
    camera = Camera((2, 0, 1), (0, 0, 0), field_of_view=20)

    def redness(**surface):
        floor = Part(plate(), Material(plain((0.8, 0.8, 0.8)), **surface))
        image = noisy(seen(wall, floor, light=sunlight(1, 0, 1), camera=camera))
        red, green, _ = image[8:10, 6:10].mean((0, 1))
        return red / green

    assert redness(roughness=0.12, metallic=1.0) > 3 * redness(roughness=1.0)


def test_a_lamp_is_seen_and_lights_the_floor():
    dark = Light((0, 0, 1), (0, 0, 0), (0.01, 0.01, 0.01), (0.01, 0.01, 0.01))
    lamp = Part(plate((-0.2, 0.2), (-0.2, 0.2), 0.3), matt((1, 0.5, 0.25), emission=4.0))
    lamp_down = Part(turned(lamp.mesh, [(1, 0, 0), (0, -1, 0), (0, 0, -1)]).moved(np.diag([1.0] * 4)), lamp.material)
    up = np.eye(4)
    up[2, 3] = 0.6
    floor = Part(plate(), matt(WHITE))
    both = seen(floor, lamp, Part(lamp_down.mesh.moved(up), lamp.material), light=dark)
    image = render(both, 16, samples=64, seed=0)
    assert image[8, 8] == pytest.approx([4, 2, 1], rel=0.1)
    assert image[8, 4, 0] > 0.1  # beside it the floor is lit
    assert realtime.render(both, 16)[8, 4, 0] == pytest.approx(0.01)


def test_the_backdrop_is_seen_where_nothing_is():
    backdrop = np.random.default_rng(0).random((16, 16, 3), np.float32)
    scene = seen(Part(plate((0, 1)), matt(WHITE)), backdrop=backdrop)
    for image in (noisy(scene), render(scene, 16, samples=16, seed=0)):
        assert np.array_equal(image[:, :8], backdrop[:, :8])
        assert image[:, 8:].mean((0, 1)) == pytest.approx(SKY + SUN, rel=0.05)
    assert np.array_equal(render(seen(backdrop=backdrop), 16, samples=1, seed=0), backdrop)


def test_denoising_halves_the_error_and_keeps_the_level():
    ball = subject(plate((-0.5, 0.5), (-0.5, 0.5), 0.3), Material(four_colours(64), roughness=0.5))
    scene = seen(Part(plate((-3, 3), (-3, 3)), matt((0.5, 0.6, 0.4))), ball, light=sunlight(-0.5, 0.5, 1))
    truth = noisy(scene, 32, samples=1024, seed=1)
    rough, clean = noisy(scene, 32, samples=9), render(scene, 32, samples=9, seed=0)
    assert np.abs(clean - truth).mean() < 0.5 * np.abs(rough - truth).mean()
    assert clean.mean() == pytest.approx(truth.mean(), rel=0.02)


def digest(seed):
    floor, roof = Part(plate(), matt(WHITE)), subject(plate((-0.2, 0.2), (-0.2, 0.2), 0.5), matt((1, 0, 0)))
    image = render(seen(floor, roof), 24, samples=4, seed=seed)
    assert image.dtype == np.float32
    assert image.shape == (24, 24, 3)
    return hashlib.sha256(image.tobytes()).hexdigest()


def test_the_same_seed_gives_the_same_bytes_in_another_process_too():
    assert digest(7) == digest(7)
    assert digest(7) != digest(8)
    there = subprocess.run(
        [sys.executable, "-c", "from render.test_pathtraced import digest; print(digest(7))"],
        env=os.environ | {"PYTHONPATH": f"{SOURCE}:{SOURCE.parent / 'tests'}"},
        capture_output=True,
        text=True,
    )
    assert there.stdout.strip() == digest(7), there.stderr
