import numpy as np
import pytest

from weighbridge.errors import ConfigError
from weighbridge.render.recipe import Choice, Range, Recipe, generator, read_recipe, recipe_toml, with_overrides

KNOBS = {
    "yaw": Range(-20.0, 40.0, 10.0, "degrees"),
    "blur": Range(1.0, 3.0, 0.0, "per cent", chance=0.25),
    "clutter": Range(1.0, 3.0, 0.0, "pieces", whole=True),
    "background": Choice(("plain", "photo", "photo"), "plain", "what stands behind"),
}


def many(recipe, count=2000):
    return [recipe.factors(KNOBS, "mug", index, "realtime") for index in range(count)]


def test_a_range_is_uniform_and_shrinks_to_its_nominal_value():
    knob = KNOBS["yaw"]
    assert [knob.draw(1.0, 0.0, place) for place in (0.0, 0.5, 1.0)] == [-20.0, 10.0, 40.0]
    assert [knob.draw(0.5, 0.0, place) for place in (0.0, 0.5, 1.0)] == [-5.0, 10.0, 25.0]  # half way to 10
    assert knob.draw(0.0, 0.0, 0.9) == 10.0


def test_a_factor_is_absent_as_often_as_its_chance_says():
    blurred = [factors["blur"] for factors in many(Recipe("objects"))]
    present = [value for value in blurred if value != 0.0]
    assert 0.2 < len(present) / len(blurred) < 0.3
    assert min(present) >= 1.0
    assert max(present) <= 3.0


def test_counts_are_whole_and_every_count_is_as_likely():
    counts = np.bincount([int(factors["clutter"]) for factors in many(Recipe("objects"))], minlength=4)
    assert counts[0] == 0
    assert counts[1:].min() > 580  # 667 expected, deviation 21


def test_a_word_that_is_repeated_comes_more_often():
    words = [factors["background"] for factors in many(Recipe("objects"))]
    assert 0.62 < words.count("photo") / len(words) < 0.72
    assert {factors["background"] for factors in many(Recipe("objects", strength=0.0), 50)} == {"plain"}


def test_an_image_depends_on_recipe_class_and_index_alone():
    recipe = Recipe("objects", seed=3)
    assert recipe.factors(KNOBS, "mug", 7, "realtime") == recipe.factors(KNOBS, "mug", 7, "realtime")
    others = [
        recipe.factors(KNOBS, "mug", 8, "realtime"),
        recipe.factors(KNOBS, "bowl", 7, "realtime"),
        recipe.factors(KNOBS, "mug", 7, "camera"),
        Recipe("objects", seed=4).factors(KNOBS, "mug", 7, "realtime"),
        Recipe("signs", seed=3).factors(KNOBS, "mug", 7, "realtime"),
    ]
    yaws = {factors["yaw"] for factors in [recipe.factors(KNOBS, "mug", 7, "realtime"), *others]}
    assert len(yaws) == 6


def test_real_time_and_pre_rendered_images_show_the_same_scene():
    recipe = Recipe("objects")
    assert recipe.factors(KNOBS, "mug", 7, "realtime") == recipe.factors(KNOBS, "mug", 7, "prerendered")
    draws = [generator(recipe, "mug", 7, quality, "scene").random() for quality in ("realtime", "prerendered")]
    assert draws[0] == draws[1]
    assert generator(recipe, "mug", 7, "realtime", "sensor").random() != draws[0]


def test_a_recipe_replaces_ranges():
    knobs = with_overrides(KNOBS, {"yaw": [20, 30], "blur": {"chance": 1.0}, "clutter": 2, "background": "photo"})
    assert knobs["yaw"] == Range(20, 30, 20, "degrees")  # nominal stays inside
    assert with_overrides(KNOBS, {"blur": [2, 3]})["blur"] == Range(2, 3, 2, "per cent")  # always there
    assert knobs["blur"] == Range(1.0, 3.0, 0.0, "per cent", chance=1.0)
    assert knobs["clutter"] == Range(2, 2, 2, "pieces", whole=True)
    assert knobs["background"] == Choice(("photo",), "photo", "what stands behind")


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"jaw": 1}, "there is no knob 'jaw' here. Did you mean 'yaw'?"),
        ({"yaw": [3, 1]}, "knob 'yaw' needs low <= high and a chance in [0, 1], got [3, 1]"),
        ({"yaw": "left"}, "knob 'yaw' takes a number, [low, high] or a table of numbers, got 'left'"),
        ({"yaw": {"hi": 3}}, "knob 'yaw' has no 'hi'. Did you mean 'high'?"),
        ({"background": "foto"}, "knob 'background' has no option 'foto'. Did you mean 'photo'?"),
        ({"blur": -1}, "knob 'blur' must lie in [0, inf], got -1"),
        ({"yaw": float("nan")}, "knob 'yaw' takes a number, [low, high] or a table of numbers, got nan"),
        ({"background": 3}, "knob 'background' takes a word or a list of words, got 3"),
    ],
)
def test_what_a_knob_cannot_be_is_said(overrides, message):
    with pytest.raises(ConfigError) as error:
        with_overrides(KNOBS, overrides)
    assert str(error.value) == message


@pytest.mark.parametrize("values", [{"size": 8}, {"strength": 1.5}, {"samples": 0}, {"seed": -1}])
def test_what_a_recipe_cannot_be_is_said(values):
    (name,) = values
    with pytest.raises(ConfigError, match=rf"{name} must lie in \[.*\], got"):
        Recipe("objects", **values)


def test_a_recipe_survives_its_file(tmp_path):
    recipe = Recipe("objects", seed=3, size=32, strength=0.5, backgrounds=tmp_path, knobs={"yaw": [0.123456789, 5]})
    path = tmp_path / "recipe.toml"
    path.write_text(recipe_toml(recipe, with_overrides(KNOBS, recipe.knobs)))
    again = Recipe(**read_recipe(path))
    assert with_overrides(KNOBS, again.knobs) == with_overrides(KNOBS, recipe.knobs)
    assert (again.seed, again.size, again.strength, again.backgrounds) == (3, 32, 0.5, tmp_path.resolve())
    assert "# degrees\nyaw = " in path.read_text()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sise = 3", "has a key 'sise' that no recipe has. Did you mean 'size'?"),
        ("size = 32.5", "'size' in '{path}' must be a whole number, got 32.5"),
        ("knobs = 3", "'knobs' in '{path}' must be a table, got 3"),
        ("size = ", "cannot be read as a recipe"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(tmp_path, text, message):
    path = tmp_path / "recipe.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as error:
        read_recipe(path)
    assert message.format(path=path) in str(error.value)
