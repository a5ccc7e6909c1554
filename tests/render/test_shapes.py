"""The parametric objects: solid, standing, recognisably of their own size, and different inside each class."""

import manifold3d
import numpy as np
import pytest

from render.solidity import facing, volume
from weighbridge.render import solids
from weighbridge.render.shapes import SHAPES, SLOTS, build
from weighbridge.render.shapes.draw import Draw

CLASSES = 25


def corners(parts):
    return np.concatenate([mesh.vertices for mesh, _ in parts])


def check(name, seed):
    parts = build(name, np.random.default_rng(seed))
    assert [slot for _, slot in parts] == sorted({slot for _, slot in parts})
    for mesh, slot in parts:
        where = f"{name}, seed {seed}, {slot}"
        assert slot in SLOTS, where
        assert len(mesh.faces) > 0, where
        assert mesh.faces.min() == 0, where
        assert mesh.faces.max() == len(mesh.vertices) - 1, where
        assert (mesh.vertices.dtype, mesh.normals.dtype, mesh.uv.dtype) == (np.float32,) * 3, where
        assert mesh.faces.dtype == np.int32, where
        assert np.isfinite(mesh.vertices).all(), where
        assert np.isfinite(mesh.uv).all(), where
        assert volume(mesh) > 0, where
        np.testing.assert_allclose(np.linalg.norm(mesh.normals, axis=1), 1, atol=1e-3, err_msg=where)
        across = facing(mesh)
        area = np.linalg.norm(across, axis=1)
        agree = (mesh.normals[mesh.faces].astype(np.float64) * (across / area.clip(1e-30)[:, None])[:, None]).sum(-1)
        assert (agree[area > 1e-7] > 0).all(), where
        # Slivers that booleans leave have no clear direction; what can be seen has.
        assert area[(agree < 0.5).any(1)].sum() < 0.01 * area.sum(), where
    low, high = corners(parts).min(0), corners(parts).max(0)
    np.testing.assert_allclose(np.linalg.norm(high - low), 1, atol=1e-4, err_msg=f"{name}, seed {seed}")
    np.testing.assert_allclose([low[2], *(low + high)[:2]], 0, atol=1e-5, err_msg=f"{name}, seed {seed}")
    assert 60 <= sum(len(mesh.faces) for mesh, _ in parts) <= 4500, f"{name}, seed {seed}"


def test_there_are_twenty_five_classes_in_order():
    assert len(SHAPES) == CLASSES
    assert list(SHAPES) == sorted(SHAPES)
    assert all(function.__name__ == name for name, function in SHAPES.items())


@pytest.mark.parametrize("name", SHAPES)
def test_objects_are_sound(name):
    for seed in range(4):
        check(name, seed)


@pytest.mark.slow
@pytest.mark.parametrize("name", SHAPES)
def test_a_hundred_objects_of_each_class_are_sound(name):
    for seed in range(100):
        check(name, seed)


@pytest.mark.parametrize("name", SHAPES)
def test_a_seed_is_an_object(name):
    once, again = (build(name, np.random.default_rng(7)) for _ in range(2))
    assert [slot for _, slot in once] == [slot for _, slot in again]
    for (mesh, _), (other, _) in zip(once, again, strict=True):
        np.testing.assert_array_equal(mesh.vertices, other.vertices)
        np.testing.assert_array_equal(mesh.faces, other.faces)


@pytest.mark.parametrize("name", SHAPES)
def test_seeds_differ(name):
    sizes = {tuple(np.ptp(corners(build(name, np.random.default_rng(seed))), axis=0).round(3)) for seed in range(4)}
    assert len(sizes) == 4


@pytest.mark.parametrize("name", SHAPES)
def test_without_variation_every_seed_gives_the_nominal_object(name):
    first, second = (build(name, np.random.default_rng(seed), 0.0) for seed in (1, 2))
    assert [slot for _, slot in first] == [slot for _, slot in second]
    np.testing.assert_array_equal(corners(first), corners(second))


def test_a_little_variation_stays_near_the_nominal_object():
    nominal = np.ptp(corners(build("bowl", np.random.default_rng(0), 0.0)), axis=0)
    for seed in range(10):
        spread = {
            variation: np.abs(np.ptp(corners(build("bowl", np.random.default_rng(seed), variation)), axis=0) - nominal)
            for variation in (0.02, 1.0)
        }
        assert spread[0.02].max() < 0.02
    assert spread[1.0].max() > 0.01


def test_draws_shrink_to_the_nominal_value():
    draw = Draw(np.random.default_rng(3), 0.0)
    assert draw.between(2.0, 4.0) == 3.0
    assert draw.count(3, 5) == 4
    assert draw.pick("first", "second") == "first"
    assert [draw.chance(share) for share in (0.3, 0.5, 0.8)] == [False, True, True]


def test_draws_cover_their_range():
    draw = Draw(np.random.default_rng(3), 1.0)
    assert {draw.count(3, 5) for _ in range(100)} == {3, 4, 5}
    assert {draw.pick("first", "second") for _ in range(50)} == {"first", "second"}
    values = [draw.between(2.0, 4.0) for _ in range(200)]
    assert 2 <= min(values) < 2.1
    assert 3.9 < max(values) <= 4


def test_draws_read_as_many_numbers_whatever_the_variation():
    left, right = Draw(np.random.default_rng(3), 0.0), Draw(np.random.default_rng(3), 1.0)
    for draw in (left, right):
        draw.between(0, 1), draw.count(1, 9), draw.chance(0.4), draw.pick("a", "b", "c")
    assert left.random.random() == right.random.random()


# Solids


def test_a_cube_has_its_faces_outwards_and_sharp():
    mesh = solids.to_mesh(solids.box(2, 2, 2), uv_scale=0.5)
    assert volume(mesh) == pytest.approx(8)
    assert len(mesh.vertices) == 24  # eight corners, three normals each
    np.testing.assert_allclose(np.abs(mesh.normals).max(1), 1, atol=1e-6)
    top = mesh.normals[:, 2] > 0.9
    np.testing.assert_allclose(mesh.uv[top], mesh.vertices[top, :2] * 0.5)  # seen from above: x and y
    side = np.abs(mesh.normals[:, 0]) > 0.9
    np.testing.assert_allclose(mesh.uv[side], mesh.vertices[side, 1:] * 0.5)  # seen along x: y and z


def test_the_crease_decides_what_is_round():
    prism = solids.cylinder(1.0, 1.0, segments=12)  # its side turns by 30 degrees at a time
    round_side = solids.to_mesh(prism, crease=35)
    sharp_side = solids.to_mesh(prism, crease=25)
    assert len(round_side.vertices) < len(sharp_side.vertices)


def test_textures_are_not_smeared():
    mesh = solids.to_mesh(solids.sphere(1.0, segments=32))
    in_space = np.linalg.norm(facing(mesh), axis=1)
    u, v = np.moveaxis(mesh.uv[mesh.faces].astype(np.float64), -1, 0)
    on_texture = np.abs((u[:, 1] - u[:, 0]) * (v[:, 2] - v[:, 0]) - (u[:, 2] - u[:, 0]) * (v[:, 1] - v[:, 0]))
    assert (on_texture / in_space).min() > 0.55  # the worst direction, (1, 1, 1), leaves 1 / sqrt(3)


@pytest.mark.parametrize("way", [1, -1])
def test_outlines_may_run_either_way(way):
    square = np.array([[0, 0], [1, 0], [1, 1], [0, 1]])[::way]
    assert solids.extrude(square, 2).volume() == pytest.approx(2)
    rings = np.array([[[0, 0, z], [1, 0, z], [1, 1, z], [0, 1, z]] for z in (0, 3)])[:, ::way]
    assert solids.loft(rings).volume() == pytest.approx(3)


def test_a_vessel_has_a_wall_of_the_thickness_asked_for():
    cup = solids.vessel([[1.0, 0.0], [1.0, 2.0]], 0.25, segments=200)
    assert cup.volume() == pytest.approx(np.pi * (2 - 0.75**2 * 1.75), rel=1e-2)


def test_a_closed_tube_is_a_ring():
    angle = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    path = np.stack([np.cos(angle), np.sin(angle), 0 * angle], 1)
    ring = solids.tube(path, 0.1, sides=24, closed=True)
    assert ring.genus() == 1
    assert ring.volume() == pytest.approx(2 * np.pi * np.pi * 0.01, rel=0.03)


def test_smooth_goes_through_its_points():
    knots = np.array([[0.0, 0.0], [1.0, 2.0], [3.0, 1.0]])
    np.testing.assert_allclose(solids.smooth(knots, 5)[::2], knots, atol=1e-12)


def test_an_empty_solid_is_refused():
    with pytest.raises(ValueError, match="expected a solid with triangles, got 0 and manifold3d's status NoError"):
        solids.to_mesh(manifold3d.Manifold())


def test_points_that_would_end_the_process_are_refused():
    with pytest.raises(ValueError, match="expected at least 3 finite points of 2 numbers"):
        solids.polygon([[0.0, 0.0], [1.0, np.nan], [1.0, 1.0]])
    with pytest.raises(ValueError, match="expected at least 2 finite points of 3 numbers"):
        solids.tube([[0.0, 0.0], [1.0, 1.0]], 0.1)


def test_a_mistake_in_a_warp_is_raised():
    with pytest.raises(ZeroDivisionError):
        solids.warped(solids.box(1, 1, 1), lambda points: points / (1 // 0))
    with pytest.raises(ValueError, match="expected at least 8 finite points of 3 numbers"):
        solids.warped(solids.box(1, 1, 1), lambda points: points[:2])
