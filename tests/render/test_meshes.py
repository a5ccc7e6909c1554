"""Meshes of the user's, written here in every format and read back."""

import json
import shutil

import numpy as np
import pytest
import trimesh
from PIL import Image
from trimesh.transformations import rotation_matrix, translation_matrix
from trimesh.visual import TextureVisuals
from trimesh.visual.material import PBRMaterial

from render.solidity import facing, volume
from weighbridge.errors import DataError
from weighbridge.render import meshes
from weighbridge.render.meshes import load_mesh, mesh_classes

FORMATS = ["glb", "gltf", "obj", "ply", "stl"]


def tower():
    """1 wide, 2 deep, 3 tall, z up."""
    return trimesh.creation.box(extents=(1, 2, 3))


def write(mesh, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".gltf":
        for name, data in trimesh.Scene(mesh).export(file_type="gltf").items():
            (path if name.endswith(".gltf") else path.parent / name).write_bytes(data)
    else:
        mesh.export(path)
    return path


def size(pairs):
    return np.ptp(np.concatenate([mesh.vertices for mesh, _ in pairs]), axis=0)


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_gives_a_sound_mesh(kind, tmp_path):
    [(mesh, material)] = load_mesh(write(tower(), tmp_path / f"tower.{kind}"), up="z")
    np.testing.assert_allclose(size([(mesh, material)]), np.array([1, 2, 3]) / np.sqrt(14), atol=1e-5)
    low, high = mesh.vertices.min(0), mesh.vertices.max(0)
    np.testing.assert_allclose([low[2], *(low + high)[:2]], 0, atol=1e-6)
    assert (mesh.vertices.dtype, mesh.normals.dtype, mesh.uv.dtype) == (np.float32,) * 3
    assert mesh.faces.dtype == np.int32
    assert mesh.faces.shape == (12, 3)
    assert volume(mesh) == pytest.approx(6 / 14**1.5, rel=1e-4)
    np.testing.assert_allclose(np.linalg.norm(mesh.normals, axis=1), 1, atol=1e-5)
    across = facing(mesh)
    across /= np.linalg.norm(across, axis=1, keepdims=True)
    np.testing.assert_allclose((mesh.normals[mesh.faces] * across[:, None]).sum(-1), 1, atol=1e-4)  # a box is sharp
    assert np.isfinite(mesh.uv).all()
    assert material.texture.shape == (1, 1, 3)
    assert material.texture.dtype == np.float32


@pytest.mark.parametrize(("kind", "tall"), [("glb", 2), ("gltf", 2), ("obj", 2), ("ply", 3), ("stl", 3)])
def test_each_format_has_its_own_up(kind, tall, tmp_path):
    file = write(tower(), tmp_path / f"tower.{kind}")
    assert size(load_mesh(file))[2] == pytest.approx(tall / np.sqrt(14), rel=1e-4)
    assert size(load_mesh(file, up="y"))[2] == pytest.approx(2 / np.sqrt(14), rel=1e-4)


def test_what_points_up_in_gltf_points_up_here(tmp_path):
    cone = trimesh.creation.cone(radius=1, height=2).apply_transform(rotation_matrix(-np.pi / 2, [1, 0, 0]))
    assert cone.vertices[cone.vertices[:, 1].argmax()] == pytest.approx([0, 2, 0], abs=1e-6)  # its tip along y
    [(mesh, _)] = load_mesh(write(cone, tmp_path / "cone.glb"))
    tip = mesh.vertices[mesh.vertices[:, 2].argmax()]
    np.testing.assert_allclose(tip[:2], 0, atol=1e-6)
    assert volume(mesh) > 0


def test_transforms_of_a_scene_are_applied(tmp_path):
    scene = trimesh.Scene()
    cube = trimesh.creation.box()
    scene.add_geometry(cube, node_name="left")
    turned = translation_matrix([9, 0, 0]) @ rotation_matrix(np.pi / 2, [0, 0, 1]) @ np.diag([1.0, 1, 2, 1])
    scene.add_geometry(trimesh.creation.box(), node_name="right", transform=turned)
    mirrored = translation_matrix([4, 0, 0]) @ np.diag([-1.0, 1, 1, 1])
    scene.add_geometry(trimesh.creation.box(), node_name="mirrored", transform=mirrored)
    pairs = load_mesh(write(scene, tmp_path / "scene.glb"), up="z")
    assert len(pairs) == 1  # one look, so one mesh
    np.testing.assert_allclose(size(pairs), np.array([10, 1, 2]) / np.sqrt(105), atol=1e-5)
    assert volume(pairs[0][0]) == pytest.approx(4 / 105**1.5, rel=1e-4)  # 1 + 2 + 1: the mirrored one too


def test_missing_normals_are_round_below_the_crease(tmp_path):
    [(mesh, _)] = load_mesh(write(trimesh.creation.icosphere(subdivisions=3), tmp_path / "ball.stl"))
    centre = np.array([0, 0, mesh.vertices[:, 2].max() / 2])
    outwards = (mesh.vertices - centre) / np.linalg.norm(mesh.vertices - centre, axis=1, keepdims=True)
    assert (mesh.normals * outwards).sum(1).min() > 0.99
    assert len(mesh.vertices) < 2 * 642  # shared, though an STL file shares none


def test_normals_of_the_file_are_kept(tmp_path):
    text = "v 0 0 0\nv 1 0 0\nv 0 1 0\nvn 0 0.6 0.8\nf 1//1 2//1 3//1\n"
    (tmp_path / "leaf.obj").write_text(text)
    [(mesh, _)] = load_mesh(tmp_path / "leaf.obj", up="z")
    np.testing.assert_allclose(mesh.normals, [[0, 0.6, 0.8]] * 3, atol=1e-6)


def test_a_body_inside_out_is_turned(tmp_path):
    inside_out = tower()
    inside_out.invert()
    [(mesh, _)] = load_mesh(write(inside_out, tmp_path / "tower.stl"))
    assert volume(mesh) > 0


def test_gltf_colours_are_linear_and_metal_is_kept(tmp_path):
    box = tower()
    box.visual = TextureVisuals(
        material=PBRMaterial(baseColorFactor=[255, 51, 0, 255], roughnessFactor=0.25, metallicFactor=1.0)
    )
    [(_, material)] = load_mesh(write(box, tmp_path / "tower.glb"))
    np.testing.assert_allclose(material.texture[0, 0], [1, 0.2, 0], atol=1e-3)
    assert material.roughness == pytest.approx(0.25)
    assert material.metallic == 1.0


def test_vertex_colours_become_their_mean(tmp_path):
    box = tower()
    box.visual.vertex_colors = np.array([[255, 0, 0, 255]] * 4 + [[0, 0, 0, 255]] * 4, np.uint8)
    [(_, material)] = load_mesh(write(box, tmp_path / "tower.ply"))
    np.testing.assert_allclose(material.texture[0, 0], [0.5**2.2, 0, 0], atol=2e-3)  # screen colours, made linear


def test_a_texture_is_kept_with_its_first_row_at_v_0(tmp_path):
    pixels = np.zeros((512, 512, 3), np.uint8)
    pixels[:256, :, 0] = 255  # the upper half red, where v > 0.5
    quad = trimesh.Trimesh([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]], [[0, 1, 2], [0, 2, 3]], process=False)
    uv = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], float)
    quad.visual = TextureVisuals(uv=uv, material=PBRMaterial(baseColorTexture=Image.fromarray(pixels)))
    [(mesh, material)] = load_mesh(write(quad, tmp_path / "quad.glb"), up="z")
    assert material.texture.shape == (256, 256, 3)
    assert material.texture[0].max() == 0
    assert material.texture[-1, :, 0].min() == pytest.approx(1)
    order = np.lexsort(mesh.uv.T)
    np.testing.assert_allclose(mesh.uv[order], [[0, 0], [1, 0], [0, 1], [1, 1]], atol=1e-5)
    by_place = mesh.vertices[order, 1]  # v runs along y
    assert by_place[2] > by_place[0]


def test_looks_stay_apart(tmp_path):
    scene = trimesh.Scene()
    for number, colour in enumerate(([255, 0, 0, 255], [0, 0, 255, 255])):
        box = trimesh.creation.box()
        box.visual = TextureVisuals(material=PBRMaterial(baseColorFactor=colour, metallicFactor=0.0))
        scene.add_geometry(box, transform=translation_matrix([3.0 * number, 0, 0]))
    pairs = load_mesh(write(scene, tmp_path / "two.glb"))
    assert sorted(material.texture.argmax() for _, material in pairs) == [0, 2]
    assert size(pairs)[0] == pytest.approx(4 / np.sqrt(18), rel=1e-4)


@pytest.mark.parametrize("kind", FORMATS)
def test_a_broken_file_is_named(kind, tmp_path):
    file = tmp_path / f"broken.{kind}"
    file.write_bytes(b"not a mesh at all")
    with pytest.raises(DataError, match=f"expected .* in .*broken.{kind}"):
        load_mesh(file)


def test_a_file_that_lacks_its_buffer_says_so(tmp_path):
    file = write(tower(), tmp_path / "tower.gltf")
    for buffer in tmp_path.glob("*.bin"):
        buffer.unlink()
    with pytest.raises(DataError, match=r"tower.gltf, but it cannot be read .* with the files it refers to"):
        load_mesh(file)


def test_points_are_no_mesh(tmp_path):
    trimesh.PointCloud(np.eye(3)).export(tmp_path / "points.ply")
    with pytest.raises(DataError, match=r"expected triangles in .*points.ply, but there are none"):
        load_mesh(tmp_path / "points.ply")


def test_other_files_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"expected a mesh \(.glb, .gltf, .obj, .ply, .stl\), got .*mug.fbx. Convert"):
        load_mesh(tmp_path / "mug.fbx")


def test_huge_meshes_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(meshes, "MAX_TRIANGLES", 11)
    file = write(tower(), tmp_path / "tower.glb")
    with pytest.raises(DataError, match=r"at most 11 triangles in .*tower.glb, got 12. Simplify it"):
        load_mesh(file)


def test_a_mesh_without_size_is_refused(tmp_path):
    (tmp_path / "dot.obj").write_text("v 1 1 1\nv 1 1 1\nv 1 1 1\nf 1 2 3\n")
    with pytest.raises(DataError, match=r"with a size in .*dot.obj"):
        load_mesh(tmp_path / "dot.obj")


def test_coordinates_that_are_no_numbers_are_refused(tmp_path):
    (tmp_path / "odd.obj").write_text("v nan 1 1\nv 0 1 1\nv 1 0 1\nf 1 2 3\n")
    with pytest.raises(DataError, match=r"expected finite coordinates in .*odd.obj"):
        load_mesh(tmp_path / "odd.obj")


# Folders


def test_classes_and_files_are_sorted_and_hidden_ones_passed_over(tmp_path):
    file = write(tower(), tmp_path / "mug" / "b.glb")
    for place in ("mug/a.OBJ", "mug/deep/c.ply", "cup/x.stl", "mug/.hidden.glb", ".git/y.glb", "mug/.trash/z.glb"):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, tmp_path / place)
    (tmp_path / "mug" / "readme.txt").write_text("no mesh")
    (tmp_path / "notes.txt").write_text("no class")
    found = mesh_classes(tmp_path)
    assert list(found) == ["cup", "mug"]
    assert found["mug"] == [tmp_path / "mug" / name for name in ("a.OBJ", "b.glb", "deep/c.ply")]


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(DataError, match=r"but there is no folder .*nowhere\.$"):
        mesh_classes(tmp_path / "nowhere")


def test_an_empty_folder(tmp_path):
    with pytest.raises(
        DataError, match=r"expected one folder of meshes .* per class .* but it holds no folders\. Move"
    ):
        mesh_classes(tmp_path)


def test_a_class_without_meshes(tmp_path):
    write(tower(), tmp_path / "mug" / "a.glb")
    (tmp_path / "cup").mkdir()
    (tmp_path / "cup" / "scene.json").write_text(json.dumps({}))
    with pytest.raises(DataError, match=r"but there are none in: cup\. Add some"):
        mesh_classes(tmp_path)
