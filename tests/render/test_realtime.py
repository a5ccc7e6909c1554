"""Where things are seen, and how bright."""

import numpy as np
import pytest

from render.plates import (
    ABOVE,
    BELOW,
    OVERHEAD,
    WHITE,
    four_colours,
    matt,
    plain,
    plate,
    seen,
    subject,
    turned,
)
from weighbridge.render.raster import frame_of, geometry, rasterize
from weighbridge.render.realtime import guides, render, sky_radiance
from weighbridge.render.scene import Camera, Light, Material, Part

SKY, SUN, GROUND = (np.asarray(colour) for colour in (OVERHEAD.sky, OVERHEAD.sun, OVERHEAD.ground))


def pixel_plate(column, row, size):
    """Covers just this pixel."""
    left, top, side = -1 + 2 * column / size, 1 - 2 * row / size, 2 / size
    return plate((left, left + side), (top - side, top))


def test_a_point_is_seen_where_the_projection_puts_it():
    # x = 0.5 is 3/4 from the left, y = 0.25 is 3/8 from the top
    scene = seen(subject(plate((0.5, 0.5 + 1 / 32), (0.25 - 1 / 32, 0.25)), matt(WHITE)))
    known = guides(scene, 64)
    assert known.box == (48, 24, 49, 25)
    assert known.mask.sum() == 1


def test_perspective_halves_what_is_twice_as_far():
    near, far = (guides(seen(subject(plate((0, 0.5), (0, 0.5), z), matt(WHITE))), 64).box for z in (0, -4))
    assert near == (32, 16, 48, 32)
    assert far == (32, 24, 40, 32)


def test_attributes_are_interpolated_in_space_and_not_in_the_image():
    # A floor from y = 0 to y = 8, seen along y from the height 1: the ray of slope -s meets it at y = 1 / s.
    floor = plate((-4, 4), (1, 9))
    camera = Camera((0, 0, 1), (0, 1, 1), field_of_view=90)
    buffer = rasterize(geometry([Part(floor, matt(WHITE))]), frame_of(camera), 64)
    row = buffer.hit // 64
    y = 1 / ((row + 0.5) / 32 - 1)
    assert buffer.position[1] == pytest.approx(y, rel=1e-4)
    assert buffer.uv[1] == pytest.approx((y - 1) / 8, abs=1e-4)
    assert set(row) == set(range(36, 64))  # slopes 1 / 9 and more: (36 + 0.5) / 32 - 1 = 0.14


def test_a_floor_that_reaches_behind_the_camera_is_seen_up_to_the_horizon():
    camera = Camera((0, 0, 0.5), (0, 1, 0.5), field_of_view=60)
    coverage = guides(seen(Part(plate((-50, 50), (-50, 50)), matt(WHITE)), camera=camera), 64).coverage
    assert not coverage[:32].any()
    assert coverage[34:].all()


@pytest.mark.parametrize("heading", np.linspace(0, 2 * np.pi, 7))
def test_triangles_cut_at_the_near_plane_keep_their_texture(heading):
    camera = Camera((0.3, 0.2, 0.5), (0.3 + np.cos(heading), 0.2 + np.sin(heading), 0.1), field_of_view=90)
    buffer = rasterize(geometry([Part(plate((-9, 9), (-9, 9)), matt(WHITE))]), frame_of(camera), 32)
    assert len(buffer.hit) > 300
    assert buffer.uv * 18 - 9 == pytest.approx(buffer.position[:2], abs=2e-3)
    assert buffer.position[2] == pytest.approx(0, abs=1e-4)


def test_texture_lies_upright_and_is_not_mirrored():
    image = render(seen(Part(plate(), Material(four_colours(), roughness=1))), 32)
    lit = SKY + SUN
    assert image[24, 8] == pytest.approx(lit * (1, 0, 0))  # bottom left: u, v = 0.25
    assert image[24, 24] == pytest.approx(lit * (0, 1, 0))
    assert image[8, 8] == pytest.approx(lit * (0, 0, 1))
    assert image[8, 24] == pytest.approx(lit)


def test_texture_repeats_outside_the_unit_square():
    image = render(seen(Part(plate(repeats=2), Material(four_colours(), roughness=1))), 32)
    assert image[:16, :16] == pytest.approx(image[16:, 16:], abs=1e-5)
    assert image[12, 4] == pytest.approx((SKY + SUN) * (1, 0, 0), abs=1e-5)


def test_texture_is_straight_between_the_middles_of_texels():
    texture = np.zeros((2, 2, 3), np.float32)
    texture[:, 1] = 1
    image = render(seen(Part(plate(), Material(texture, roughness=1))), 32) / (SKY + SUN)
    # Texels lie at u = 1/4 and 3/4; pixel 16 spans u = 16/32 to 17/32, with samples at 16.25/32 and 16.75/32.
    assert image[5, 16] == pytest.approx((16.5 / 32 - 1 / 4) / (1 / 2), abs=0.02)
    assert image[5, 8] == pytest.approx(0.5 / 16, abs=0.02)


def test_texture_is_halved_to_what_the_engine_holds():
    checks = np.indices((128, 128)).sum(0) % 2
    scene = seen(Part(plate(), Material(np.repeat(checks[..., None], 3, 2).astype(np.float32), roughness=1)))
    grey = render(scene, 64) / (SKY + SUN)
    assert grey == pytest.approx(0.5, abs=1e-4)
    sharp = render(scene, 128, supersample=1, texture_size=128) / (SKY + SUN)
    assert sharp == pytest.approx(np.repeat(checks[::-1, :, None], 3, 2), abs=1e-4)


@pytest.mark.parametrize("order", [1, -1])
def test_nearer_hides_farther(order):
    parts = [Part(plate(), matt((1, 0, 0))), Part(plate((-0.5, 0.5), (-0.5, 0.5), 0.5), matt((0, 1, 0)))]
    image = render(seen(*parts[::order]), 32)
    assert image[16, 16].tolist() == pytest.approx([0, SKY[1] + SUN[1], 0])
    assert image[2, 2].tolist() == pytest.approx([SKY[0] + SUN[0], 0, 0])


def test_a_plate_that_faces_sun_and_sky_reflects_what_the_light_says():
    image = render(seen(Part(plate(), matt((0.5, 0.25, 1)))), 16)
    assert image == pytest.approx(np.broadcast_to((SKY + SUN) * (0.5, 0.25, 1), image.shape), rel=1e-5)


def test_a_sun_at_sixty_degrees_from_upright_gives_half():
    light = Light((np.sqrt(3), 0, 1), OVERHEAD.sun, OVERHEAD.sky, OVERHEAD.ground)
    image = render(seen(Part(plate(), matt(WHITE)), light=light), 16)
    assert image[8, 8] == pytest.approx(SKY + SUN / 2, rel=1e-5)


def test_the_back_of_a_plate_sees_the_ground_and_no_sun():
    image = render(seen(Part(plate(), matt(WHITE)), camera=BELOW), 16)
    assert image[8, 8] == pytest.approx(GROUND, rel=1e-5)


def test_an_upright_plate_sees_half_of_both():
    wall = turned(plate(), [(0, 1, 0), (0, 0, 1), (1, 0, 0)])  # faces +x
    light = Light((-1, 0, 0.1), OVERHEAD.sun, OVERHEAD.sky, OVERHEAD.ground)
    image = render(seen(Part(wall, matt(WHITE)), light=light, camera=Camera((4, 0, 0), (0, 0, 0))), 16)
    assert image[8, 8] == pytest.approx((SKY + GROUND) / 2, rel=1e-5)


def test_the_sky_that_is_mirrored_is_the_sky_that_lights():
    # irradiance / pi from above: 2 * integral of radiance(z) z dz over 0 to 1
    z = (np.arange(20_000, dtype=np.float32) + 0.5) / 20_000
    assert 2 * (sky_radiance(OVERHEAD, z) * z).mean(1) == pytest.approx(SKY, rel=1e-4)
    assert 2 * (sky_radiance(OVERHEAD, -z) * z).mean(1) == pytest.approx(GROUND, rel=1e-4)


def test_the_shadow_lies_on_the_side_away_from_the_sun():
    # The sun stands to the left at 45 degrees, so a plate at the height 0.5 has its shadow 0.5 further right.
    light = Light((-1, 0, 1), OVERHEAD.sun, OVERHEAD.sky, OVERHEAD.ground)
    scene = seen(
        Part(plate(), matt(WHITE)), subject(plate((-0.2, 0.2), (-0.2, 0.2), 0.5), matt((1, 0, 0))), light=light
    )
    image = render(scene, 64)
    lit = SKY + SUN / np.sqrt(2)
    assert image[32, 48] == pytest.approx(SKY, rel=1e-5)  # x = 0.5
    assert image[32, 16] == pytest.approx(lit, rel=1e-5)
    dark = np.isclose(image[..., 1], SKY[1], rtol=1e-4).sum()
    # 12.8 by 12.8 pixels, less what the plate hides of it: seen from above it reaches to 0.2 * 4 / 3.5 = 0.23
    assert dark == pytest.approx(12.8**2, rel=0.15)


def test_no_surface_shades_itself_though_the_sun_grazes_it():
    # normal (0.6, 0, 0.8) and sun (-1, 0.3, 1): 82 degrees apart
    light = Light((-1, 0.3, 1), OVERHEAD.sun, OVERHEAD.sky, OVERHEAD.ground)
    roof = turned(plate(), [(0.8, 0, -0.6), (0, 1, 0), (0.6, 0, 0.8)])
    image = render(seen(subject(roof, matt(WHITE)), light=light), 64)
    inside = guides(seen(subject(roof, matt(WHITE))), 64).coverage == 1
    assert inside.sum() > 1500
    expected = SKY * 0.9 + GROUND * 0.1 + SUN * 0.2 / np.sqrt(2.09)
    assert image[inside] == pytest.approx(np.broadcast_to(expected, (inside.sum(), 3)), rel=1e-4)


def test_a_closed_body_shows_and_shades_with_its_outsides():
    up = Part(plate((-0.2, 0.2), (-0.2, 0.2), 0.5), matt(WHITE), closed=True)
    assert guides(seen(up), 32).coverage.any()
    assert not guides(seen(up, camera=BELOW), 32).coverage.any()
    floor = Part(plate(), matt(WHITE))
    over, under = (Light((-1, 0, z), OVERHEAD.sun, OVERHEAD.sky, OVERHEAD.ground) for z in (1, -1))
    assert render(seen(floor, up, light=over), 64)[32, 48] == pytest.approx(SKY, rel=1e-5)
    ceiling = turned(plate((-2, 2), (-2, 2), -1.0), [(1, 0, 0), (0, -1, 0), (0, 0, -1)])  # faces down, at z = 1
    lit = render(seen(Part(ceiling, matt(WHITE)), up, light=under, camera=BELOW), 64)
    assert np.ptp(lit, axis=(0, 1)) == pytest.approx(0, abs=1e-5)


def test_the_mask_is_the_subject_where_it_is_seen():
    small = subject(plate((-0.5, 0.5), (-0.5, 0.5)), matt(WHITE))
    known = guides(seen(small, Part(plate(z=-1), matt(WHITE))), 64)
    assert known.mask.sum() == 32 * 32
    assert known.box == (16, 16, 48, 48)
    # the plate below is seen 4 / 5 as large: from 12.8 to 115.2 of 128 samples, so 102 by 102 of them, 4 to a pixel
    assert known.coverage.sum() == 102 * 102 / 4
    half_hidden = guides(seen(small, Part(plate((-1, 0), (-1, 1), 0.001), matt(WHITE))), 64)
    assert half_hidden.mask.sum() == pytest.approx(32 * 16)
    assert half_hidden.box == (32, 16, 48, 48)


def test_a_pixel_half_covered_counts_half():
    known = guides(seen(subject(plate((-1 / 32, 1 / 64), (0, 1 / 32)), matt(WHITE))), 64)
    assert known.mask[31, 31:34].tolist() == [1, 0.5, 0]


def test_guides_tell_albedo_and_normal_without_light():
    wall = turned(plate((-0.5, 0.5), (-0.5, 0.5)), [(0, 1, 0), (0, 0, 1), (1, 0, 0)])
    for x in (4, -4):  # normals are turned to the camera
        known = guides(seen(Part(wall, matt((0.1, 0.2, 0.3))), camera=Camera((x, 0, 0), (0, 0, 0))), 32)
        assert known.albedo[16, 16] == pytest.approx([0.1, 0.2, 0.3])
        assert known.normal[16, 16] == pytest.approx([np.sign(x), 0, 0], abs=1e-6)
        assert not known.albedo[0, 0].any()


def test_the_backdrop_is_seen_where_nothing_is():
    backdrop = np.random.default_rng(0).random((32, 32, 3), np.float32)
    image = render(seen(Part(plate((0, 1), (-1, 1)), matt(WHITE)), backdrop=backdrop), 32)
    assert np.array_equal(image[:, :16], backdrop[:, :16])
    assert image[:, 16:] == pytest.approx(np.broadcast_to(SKY + SUN, (32, 16, 3)))


def test_an_empty_scene_is_its_backdrop():
    backdrop = np.random.default_rng(0).random((8, 8, 3), np.float32)
    assert np.array_equal(render(seen(backdrop=backdrop), 8), backdrop)
    known = guides(seen(), 8)
    assert known.box == (0, 0, 0, 0)
    assert not known.mask.any()


def test_metal_mirrors_the_sky_and_scatters_no_sun():
    light = Light((1, 0, 1), OVERHEAD.sun, OVERHEAD.sky, OVERHEAD.ground)
    steel = Material(plain((0.5, 0.5, 0.5)), roughness=0.2, metallic=1)
    image = render(seen(Part(plate(), steel), light=light), 16)
    assert image[8, 8] == pytest.approx(0.5 * sky_radiance(light, np.float32(1)), rel=1e-3)
    matt_image = render(seen(Part(plate(), matt((0.5, 0.5, 0.5))), light=light), 16)
    assert matt_image[8, 8] == pytest.approx(0.5 * (SKY + SUN / np.sqrt(2)), rel=1e-5)


def test_a_smooth_surface_has_a_highlight_towards_the_mirrored_sun():
    # Camera at (0, 0, 4), sun straight above: the middle mirrors it. With exponent s the strength is 0.04 (s + 2) / 8.
    image = render(seen(Part(plate(), Material(plain((0, 0, 0)), roughness=0.5))), 33)
    s = 2 / 0.5**4 - 2
    assert image[16, 16] == pytest.approx(SUN * 0.04 * (s + 2) / 8, rel=1e-2)
    assert image[0, 0, 0] < 0.7 * image[16, 16, 0]
    assert not render(seen(Part(plate(), matt((0, 0, 0)))), 8).any()


def test_a_lamp_shines_by_itself():
    image = render(seen(Part(plate(), matt((0.5, 0.5, 0.5), emission=3.0))), 8)
    assert image[4, 4] == pytest.approx(0.5 * (SKY + SUN + 3))


def test_every_part_keeps_its_own_texture():
    halves = [Part(plate((-1, 0)), Material(four_colours(16), roughness=1)), Part(plate((0, 1)), matt((0.2, 0.4, 0.6)))]
    image = render(seen(*halves), 32) / (SKY + SUN)
    assert image[24, 4] == pytest.approx([1, 0, 0], abs=1e-5)
    assert image[8, 12] == pytest.approx([1, 1, 1], abs=1e-5)
    assert image[8, 24] == pytest.approx([0.2, 0.4, 0.6], abs=1e-5)


def test_the_image_is_float32_and_square_without_supersampling_too():
    for supersample in (1, 2, 3):
        image = render(seen(Part(plate((-0.5, 0.5), (-0.5, 0.5)), matt(WHITE))), 20, supersample=supersample)
        assert image.dtype == np.float32
        assert image.shape == (20, 20, 3)
        assert image[10, 10] == pytest.approx(SKY + SUN, rel=1e-5)


def test_the_camera_above_shows_minus_one_to_one():
    assert guides(seen(subject(plate(), matt(WHITE)), camera=ABOVE), 16).mask.all()
