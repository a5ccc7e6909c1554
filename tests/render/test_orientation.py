"""Which way is up: told from shapes, said in a table, and told to the user."""

import numpy as np
import pytest
import trimesh

from weighbridge.errors import DataError
from weighbridge.render import shapes
from weighbridge.render.meshes import load_mesh, mesh_classes, orientation_of
from weighbridge.render.objects import Objects
from weighbridge.render.orientation import AXES, Orientation, orientation_sentences, read_orientations, to_z_up, upright
from weighbridge.render.textures import Backdrops

ON_THE_GROUND, CENTRED, ELSEWHERE = "on the ground", "centred", "elsewhere"


def block(low, high):
    return trimesh.creation.box(bounds=[low, high])


def car(up="y"):
    """Four units long, on wheels, its long axis that which is not up."""
    wheels = [block((x, 0, y), (x + 0.2, 0.6, y + 0.6)) for x in (-0.8, 0.6) for y in (-1.6, 1.0)]
    cabin = block((-0.7, 1.0, -0.9), (0.7, 1.5, 0.8))
    return turned(trimesh.util.concatenate([block((-0.8, 0.3, -2), (0.8, 1.0, 2)), cabin, *wheels]), up)


def bookshelf(up="y"):
    """Tall, its back closed, its front open."""
    boards = [block((-0.5, height, -0.2), (0.5, height + 0.05, 0.2)) for height in (0.0, 0.65, 1.3, 1.95)]
    return turned(trimesh.util.concatenate([block((-0.5, 0, -0.2), (0.5, 2, -0.15)), *boards]), up)


def turned(y_up, up):
    if up == "z":
        y_up.apply_transform(to_z_up("y"))
    return y_up


def placed(mesh, place, up):
    """Its origin as a modeller may leave it."""
    low, high = mesh.bounds
    shift = -(low + high) / 2
    if place == ON_THE_GROUND:
        shift["xyz".index(up)] = -low["xyz".index(up)]
    mesh.apply_translation(shift + (7.0 if place == ELSEWHERE else 0.0))
    return mesh


@pytest.mark.parametrize("usual", ["y", "z"])
@pytest.mark.parametrize("up", ["y", "z"])
@pytest.mark.parametrize("place", [ON_THE_GROUND, CENTRED, ELSEWHERE])
def test_cars_stand_on_their_wheels(place, up, usual):
    told = upright(placed(car(up), place, up).triangles, usual)
    assert told == Orientation(up, "format" if up == usual else "shape")


@pytest.mark.parametrize("usual", ["y", "z"])
@pytest.mark.parametrize("place", [ON_THE_GROUND, CENTRED, ELSEWHERE])
def test_what_stands_as_its_format_says_is_left_standing(place, usual):
    assert upright(placed(bookshelf(usual), place, usual).triangles, usual) == Orientation(usual, "format")


@pytest.mark.parametrize("name", shapes.SHAPES)
def test_none_of_our_own_shapes_is_turned(name):
    pieces = [trimesh.Trimesh(m.vertices, m.faces) for m, _ in shapes.build(name, np.random.default_rng(0), 1.0)]
    for place in (ON_THE_GROUND, CENTRED, ELSEWHERE):
        mesh = placed(trimesh.util.concatenate(pieces), place, "z")
        assert upright(mesh.triangles, "z").axis == "z"


def test_the_origin_alone_is_enough():
    tower = trimesh.creation.box(extents=(1, 2, 3))  # as wide above as below
    assert upright(placed(tower, ON_THE_GROUND, "z").triangles, "y") == Orientation("z", "shape")


def test_where_the_signs_disagree_the_format_is_believed():
    told = upright(placed(car("z"), ON_THE_GROUND, "y").triangles, "y")  # the shape says z, its origin y
    assert told == Orientation("y", "unsure")


@pytest.mark.parametrize("mesh", [np.zeros((2, 3, 3)), [[[0, 0, 0], [1, 0, 0], [1, 0, 1]]]])
def test_what_has_no_height_is_left_to_its_format(mesh):
    assert upright(np.array(mesh), "y") == Orientation("y", "format")


@pytest.mark.parametrize("axis", AXES)
def test_every_axis_is_turned_upwards_without_a_mirror(axis):
    turn = to_z_up(axis)[:3, :3]
    direction = np.zeros(3)
    direction["xyz".index(axis[-1])] = -1.0 if axis[0] == "-" else 1.0
    np.testing.assert_array_equal(turn @ direction, [0, 0, 1])
    assert np.linalg.det(turn) == pytest.approx(1)


# Files


def write(mesh, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    mesh.export(path)
    return path


def height(pairs):
    return np.ptp(np.concatenate([mesh.vertices for mesh, _ in pairs])[:, 2])


def test_a_file_that_breaks_the_rule_of_its_format_is_turned(tmp_path):
    right, wrong = write(car("y"), tmp_path / "right.glb"), write(car("z"), tmp_path / "wrong.glb")
    assert height(load_mesh(wrong)) == pytest.approx(height(load_mesh(right)), rel=1e-5)
    assert orientation_of(wrong) == Orientation("z", "shape")
    assert height(load_mesh(wrong, up="y")) > 2 * height(load_mesh(wrong))  # what the user says goes


def folder_of_cars(folder):
    for name, up in (("a", "y"), ("b", "z"), ("old/c", "z")):
        write(car(up), folder / "car" / f"{name}.glb")
    return [file for files in mesh_classes(folder).values() for file in files]


def test_a_table_says_it_for_files_and_patterns(tmp_path):
    files = folder_of_cars(tmp_path)
    assert read_orientations(tmp_path, files) == {}
    (tmp_path / "orientation.csv").write_text("file,up\ncar/*,z\ncar/a.glb, -y\n")
    axes = {file.stem: axis for file, axis in read_orientations(tmp_path, files).items()}
    assert axes == {"a": "-y", "b": "z", "c": "z"}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("file,up\ncar/a.glb,up\n", r"up one of x, y, z, -x, -y, -z, in line 2 of .*got file 'car/a.glb' and up 'up'"),
        ("name,axis\ncar/a.glb,y\n", r"expected the columns file and up"),
        ("file,up\ncar/a.glb,y\ncar/taxi.glb,z\n", r"in line 3 of .*, but 'car/taxi.glb' fits none"),
    ],
)
def test_a_wrong_table_is_refused(text, complaint, tmp_path):
    files = folder_of_cars(tmp_path)
    (tmp_path / "orientation.csv").write_text(text)
    with pytest.raises(DataError, match=complaint):
        read_orientations(tmp_path, files)


def drawn(assets, **options):
    family = Objects(assets, Backdrops(None), size=16, **options)
    factors = {name: knob.draw(0.0, 0.0, 0.0) for name, knob in family.knobs.items()}
    scenes = [family.scene("car", factors, np.random.default_rng(seed)) for seed in range(12)]
    return {scene.notes["mesh"]: (scene.notes["up"], scene.notes["up_by"]) for scene in scenes}


def test_the_table_goes_before_the_option_and_the_option_before_the_shape(tmp_path):
    folder_of_cars(tmp_path)
    assert drawn(tmp_path) == {"a.glb": ("y", "format"), "b.glb": ("z", "shape"), "old/c.glb": ("z", "shape")}
    (tmp_path / "orientation.csv").write_text("file,up\ncar/b.glb,z\n")
    said = drawn(tmp_path, up="y")
    assert said == {"a.glb": ("y", "option"), "b.glb": ("z", "orientation.csv"), "old/c.glb": ("y", "option")}


# Words


def test_the_user_is_told_what_was_turned_and_what_may_lie(tmp_path):
    rows = [{"label": "car", "mesh": f"{n}.glb", "up": "z", "up_by": "shape"} for n in (1, 2, 3, 4, 5, 6, 1)]
    rows += [{"label": "ship", "mesh": "boat.stl", "up": "z", "up_by": "unsure"}]
    rows += [{"label": "ship", "mesh": "raft.stl", "up": "z", "up_by": "format"}]
    turned_ones, unsure = orientation_sentences(rows, tmp_path)
    assert turned_ones.startswith("6 meshes were turned")
    assert "car/5.glb (z up) and 1 more. Look at them" in turned_ones
    assert f"'car/1.glb,y' below 'file,up' into {tmp_path / 'orientation.csv'}" in turned_ones
    assert unsure.startswith("1 mesh may lie on a side")
    assert "raft" not in turned_ones + unsure
    assert orientation_sentences(rows[-1:], tmp_path) == []


def test_render_says_which_meshes_it_turned(call, tmp_path):
    write(car("z"), tmp_path / "meshes" / "car" / "taxi.glb")
    words = ("render", "objects", "--assets", tmp_path / "meshes", "--size", 16, "--count", 1, "--workers", 1)
    for where in (("--out", tmp_path / "out"), ("--sheet", tmp_path / "sheet.png")):
        status, _, complaints = call(*words, *where)
        assert status == 0
        assert "1 mesh was turned, as the shape speaks against the format: car/taxi.glb (z up)." in complaints


def test_another_axis_in_the_table_is_another_recipe(call, tmp_path):
    write(car("z"), tmp_path / "meshes" / "car" / "taxi.glb")
    words = ("render", "objects", "--assets", tmp_path / "meshes", "--size", 16, "--workers", 1)
    for axis, status in (("z", 0), ("y", 2)):
        (tmp_path / "meshes" / "orientation.csv").write_text(f"file,up\ncar/taxi.glb,{axis}\n")
        assert call(*words, "--count", 1, "--out", tmp_path / "out")[0] == status
