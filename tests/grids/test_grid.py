"""The TOML file of a grid: which runs it means, and what it is refused for."""

import re

import pytest

from weighbridge.errors import ConfigError
from weighbridge.grids.grid import Primary, grid_of, method_row, read_grid
from weighbridge.settings.catalogue import METHODS, entry_of
from weighbridge.settings.config import Config
from weighbridge.settings.recipes import RECIPES

PLAIN = """
methods = ["source-only", "weighted-dann:permuted"]
[sources]
a = "one"
both = ["one", "two"]
[targets]
t = "photos"
"""


def read(tmp_path, text):
    (tmp_path / "grid.toml").write_text(text)
    return read_grid(tmp_path / "grid.toml")


def test_every_source_meets_every_target_and_paths_start_at_the_file(tmp_path):
    grid = read(tmp_path, PLAIN + 'u = "more"\n')
    assert [task.folder for task in grid.tasks] == ["a-to-t", "a-to-u", "both-to-t", "both-to-u"]
    assert grid.tasks[2].source == (tmp_path / "one", tmp_path / "two")
    assert grid.tasks[3].target == tmp_path / "more"
    assert [row.folder for row in grid.rows] == ["source-only", "weighted-dann-permuted"]
    assert grid.seeds == (0, 1, 2, 3, 4)
    assert grid.title == "grid"


def test_a_source_is_no_target_of_itself_and_pairs_may_be_left_out(tmp_path):
    grid = read(tmp_path, 'skip = [["both", "t"]]\n' + PLAIN + 'a = "one"\n')
    assert [task.folder for task in grid.tasks] == ["a-to-t", "both-to-a"]


def test_without_methods_there_are_the_controls_the_methods_of_osumi_et_al_and_what_adapt_takes(tmp_path):
    rows = read(tmp_path, PLAIN.split("\n", 2)[2]).rows
    controls = ["source-only", "source-only-ema", "adabn", "source-only-continued"]
    assert [row.name for row in rows] == [*controls, "dann", "adda", "weighted-dann", Config().method]


CONTROLS = PLAIN.replace('"source-only",', '"source-only", "source-only-ema", "adabn", "source-only-continued",')


def test_controls_read_the_run_of_the_row_with_their_settings(tmp_path):
    variants = '[variants.long]\nmethod = "adabn"\nsteps = 3\n[variants.mean]\nmethod = "source-only-ema"\nsteps = 3\n'
    homes = {row.name: row.home for row in read(tmp_path, CONTROLS + variants).rows}
    assert homes["source-only-ema"] == homes["adabn"] == "source-only"
    assert homes["source-only-continued"] == "pre-classifier"
    assert homes["long"] == homes["mean"] == "pre-classifier-long", "no row trains this one, so both share another"


# ---- the contrast named beforehand ----

NAMED = '[primary]\nmethod = "weighted-dann:permuted"\ncontrol = "best control"\nmargin = 1\n'


def test_a_grid_may_name_its_primary_contrast(tmp_path):
    assert read(tmp_path, PLAIN).primary is None
    assert read(tmp_path, PLAIN + NAMED).primary == Primary("weighted-dann:permuted", "best control", 1.0)
    by_name = NAMED.replace("best control", "source-only")
    assert read(tmp_path, PLAIN + by_name).primary.control == "source-only"


def test_naming_a_contrast_makes_no_other_runs(tmp_path):
    assert read(tmp_path, PLAIN).fingerprint() == read(tmp_path, PLAIN + NAMED).fingerprint()


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("dann:permuted", "dan", "[primary] names 'weighted-dan', which is no row (in"),
        ("best control", "best contol", "[primary] names 'best contol', which is no row"),
        ("best control", "weighted-dann:permuted", "[primary] compares 'weighted-dann:permuted' with itself"),
        ("margin = 1", "margin = 0", "[primary] margin must be a number of points above 0 and below 100, got 0"),
        ("margin = 1", "margin = true", "[primary] margin must be a number of points"),
        ("margin = 1\n", "", "[primary] needs method, control and margin, found method, control (in"),
        ("margin", "margn", "[primary] needs method, control and margin, found method, control, margn"),
    ],
)
def test_a_contrast_that_cannot_be_is_refused(tmp_path, old, new, sentence):
    with pytest.raises(ConfigError, match=re.escape(sentence)):
        read(tmp_path, PLAIN + NAMED.replace(old, new))


def test_a_primary_contrast_is_one_of_a_method_on_one_target(tmp_path):
    control = NAMED.replace("weighted-dann:permuted", "source-only")
    with pytest.raises(ConfigError, match="holds the control 'source-only' against the best control"):
        read(tmp_path, PLAIN + control)
    with pytest.raises(ConfigError, match=r"names one contrast, and this grid tests on a target 2 times"):
        read(tmp_path, PLAIN + '[evaluations]\nt = "labelled"\n' + NAMED)
    one = PLAIN.replace('both = ["one", "two"]\n', "")
    assert read(tmp_path, one + '[evaluations]\nt = "labelled"\n' + NAMED).primary


def test_the_best_control_needs_a_control(tmp_path):
    text = PLAIN.replace('"source-only", ', "") + NAMED
    with pytest.raises(ConfigError, match=r"names the best control, and no row is a control .* Add source-only"):
        read(tmp_path, text)


# ---- what would make a table unfair ----


def test_a_table_never_mixes_precisions(tmp_path):
    text = PLAIN + '[settings]\nprecision = "fp32"\n[variants.fast]\nmethod = "dann"\nprecision = "bf16"\n'
    with pytest.raises(ConfigError, match="a table cannot mix precisions, got bf16 and fp32"):
        read(tmp_path, text)


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_of_the_authors_is_a_row_of_its_own(tmp_path, name):
    recipe = RECIPES[name]
    grid = read(
        tmp_path, PLAIN.replace('"weighted-dann:permuted"', f'"{name}"') + "[settings]\nimage_size = 48\nepochs = 2.0\n"
    )
    row = grid.rows[1]
    assert (row.config.method, row.config.image_size, row.variant) == (recipe.method, 48, True)
    assert {key: getattr(row.config, key) for key in recipe.settings} == recipe.settings
    assert row.config.epochs == (None if "steps" in recipe.settings else 2.0)
    if "reversal" in row.config.entry.has:
        assert {"strength", "schedule", "gamma"} <= set(recipe.settings), "whatever the comparison says of lambda"
    assert row.shown == f"{entry_of(recipe.method).shown}, {recipe.shown}"
    unread = set(row.config.unread())
    assert unread <= {"new_layer_multiplier"}, "new layers are told from others where weights are published"
    assert not row.config.replace(weights="imagenet", training="full").unread()
    assert recipe.source


def test_a_variant_may_change_what_a_recipe_sets(tmp_path):
    row = read(tmp_path, PLAIN + '[variants.short]\nmethod = "dann@tll"\nsteps = 7\n').rows[-1]
    assert (row.config.steps, row.config.domain_loss_weight, row.shown) == (7, 0.5, "short")


def test_a_recipe_that_does_not_exist_is_refused_with_the_nearest(tmp_path):
    with pytest.raises(ConfigError, match=r"there is no recipe 'dann@cafe'. Did you mean 'dann@caffe'\?"):
        read(tmp_path, PLAIN.replace("weighted-dann:permuted", "dann@cafe"))


def test_a_variant_is_a_method_with_settings_of_its_own(tmp_path):
    variants = '[settings]\nsteps = 7\n[variants.gentle]\nmethod = "weighted-dann:inverse"\nstrength = 0.1\n'
    row = read(tmp_path, PLAIN + variants).rows[-1]
    assert (row.name, row.shown, row.variant) == ("gentle", "gentle", True)
    assert row.config == Config(method="weighted-dann", weighting="inverse", strength=0.1, steps=7)


def test_rows_share_a_pre_classifier_unless_it_would_come_out_otherwise(tmp_path):
    variants = """
    [variants.gentle]
    method = "weighted-dann"
    strength = 0.1
    [variants.confused]
    method = "mcc"
    mcc_weight = 0.1
    [variants.fast]
    method = "weighted-dann"
    learning_rate = 0.1
    [variants.fast-and-gentle]
    method = "adda"
    learning_rate = 0.1
    adda_rate = 0.1
    [variants.strong]
    method = "self-training"
    strong_augmentation = 0.5
    [variants.spelled-out]
    method = "weighted-dann"
    backbone = "small-batchnorm"
    [variants.smooth]
    method = "weighted-dann"
    backbone = "small"
    """
    homes = [row.home for row in read(tmp_path, PLAIN + variants).rows]
    shared, fast, smooth = "pre-classifier", "pre-classifier-fast", "pre-classifier-smooth"
    assert homes == [shared] * 4 + [fast] * 2 + [shared] * 2 + [smooth]


def test_settings_are_checked_for_the_methods_that_are_there(tmp_path):
    alone = (
        PLAIN.replace('"source-only", "weighted-dann:permuted"', '"source-only"')
        + "[settings]\nsteps = 0\npre_steps = 9\n"
    )
    assert [row.config.total_steps for row in read(tmp_path, alone).rows] == [9]
    with pytest.raises(ConfigError, match="weighted-dann needs at least 1 step, got pre_steps=9, steps=0"):
        read(tmp_path, PLAIN + "[settings]\nsteps = 0\npre_steps = 9\n")


def test_what_a_model_saw_of_the_domain_it_is_tested_on(tmp_path):
    evaluations = '[evaluations]\na = "x"\nt = "y"\nc = "two"\nd = "z"\n'
    grid = read(tmp_path, PLAIN + evaluations)
    single, both = grid.tasks
    assert [grid.seen(single, name) for name in "atcd"] == ["source", "target", "unseen", "unseen"]
    assert [grid.seen(both, name) for name in "atcd"] == ["source", "target", "source", "unseen"]


def test_the_fingerprint_is_of_the_runs_and_not_of_the_words(tmp_path):
    first = read(tmp_path, PLAIN).fingerprint()
    assert read(tmp_path, 'title = "Other"\n# a remark' + PLAIN).fingerprint() == first
    assert read(tmp_path, PLAIN + "[settings]\nsteps = 3\n").fingerprint() != first
    assert read(tmp_path, "seeds = 3\n" + PLAIN).fingerprint() != first


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("metods = []\n" + PLAIN, "a grid has no key 'metods' (in 'grid.toml'). Did you mean 'methods'?"),
        (PLAIN + "[variant.x]\n", "a grid has no key 'variant' (in 'grid.toml'). Did you mean 'variants'?"),
        (PLAIN.replace("dann:permuted", "dan"), "there is no method 'weighted-dan'. Did you mean 'weighted-dann'?"),
        (PLAIN.replace("permuted", "permutd"), "weighting cannot be 'permutd'. Did you mean 'permuted'?"),
        (PLAIN + "[settings]\nstesp = 3\n", "there is no setting 'stesp' ([settings] in 'grid.toml'). Did you mean"),
        (
            PLAIN + "[settings]\nseed = 3\n",
            "a grid cannot set seed, which is for single runs (in 'grid.toml'). Use seeds",
        ),
        (
            PLAIN + "[settings]\nprocesses = 2\n",
            "a grid cannot set processes, which is for single runs (in 'grid.toml'). Use --jobs",
        ),
        (PLAIN + '[variants.x]\nmethod = "dann"\nsteeps = 3\n', "there is no setting 'steeps' ([variants.x] in"),
        (PLAIN + "[variants.x]\nsteps = 3\n", "[variants.x] needs a method, and settings such as"),
        (PLAIN + '[variants.x]\nmethod = "dann"\nseed = 3\n', "[variants.x] cannot set seed"),
        (
            PLAIN + '[variants."a/b"]\nmethod = "dann"\n',
            "'a/b' cannot be the name of a folder (variants in 'grid.toml')",
        ),
        (PLAIN + '[variants."dann.part"]\nmethod = "dann"\n', "'dann.part' cannot be the name of a folder"),
        (PLAIN + '[variants."pre-classifier"]\nmethod = "dann"\n', "'pre-classifier' cannot be the name of a folder"),
        (PLAIN + '[variants."source-only"]\nmethod = "dann"\n', "would share the folder 'source-only'"),
        (PLAIN.replace("a = ", "'..' = "), "'..' cannot be the name of a folder (sources in 'grid.toml')"),
        (PLAIN.replace('"one"\n', "3\n"), "sources.a must be a path or a list of paths, got 3"),
        (PLAIN.replace('"photos"', '["x", "y"]'), "targets.t must be one path, got 2"),
        (PLAIN.replace("[targets]", "[evaluations]"), "expected a table [targets] in 'grid.toml'"),
        ("seeds = 0\n" + PLAIN, "a grid needs at least one seed, got none"),
        ("seeds = 'two'\n" + PLAIN, "seeds must be a number of seeds or a list of seeds, got 'two'"),
        ("seeds = [true]\n" + PLAIN, "seeds must be a number of seeds or a list of seeds, got [True]"),
        ("title = 3\n" + PLAIN, "title must be text, got 3"),
        (
            'skip = [["a", "tt"]]\n' + PLAIN,
            "skip names 'tt', which is not in [targets] (in 'grid.toml'). Did you mean 't'?",
        ),
        ('skip = [["a", "t"], ["both", "t"]]\n' + PLAIN, "no pair of a source and a target of another name is left"),
        ("methods = []\n" + PLAIN.split("\n", 2)[2], "a grid needs at least one method, got none"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_what_to_do(tmp_path, monkeypatch, text, sentence):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "grid.toml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_grid((tmp_path / "grid.toml").relative_to(tmp_path))
    assert sentence in str(caught.value)


def test_a_comparison_is_a_grid_of_one_task_in_its_own_folder(tmp_path):
    methods = ["dann", "adda", "dann"]
    grid = grid_of([tmp_path], tmp_path, Config(), methods=methods, seeds=range(2), evaluation=None, title="T")
    assert [row.name for row in grid.rows] == ["dann", "adda"]
    assert [(task.folder, row.home) for task in grid.tasks for row in grid.rows] == [("", "pre-classifier")] * 2


def test_what_a_comparison_is_tested_on_is_of_its_target_unless_it_is_its_source(tmp_path):
    renders, photos = tmp_path / "renders/all", tmp_path / "photos"
    for evaluation, seen in ((tmp_path / "photos/all", "target"), (tmp_path / "source", "target"), (renders, "source")):
        grid = grid_of([renders], photos, Config(), methods=["dann"], seeds=[0], evaluation=evaluation, title="T")
        assert grid.seen(grid.tasks[0], evaluation.name) == seen


def test_a_row_is_shown_by_its_method_and_weighting():
    assert method_row("adda:paper", Config()).shown == "ADDA, paper"
    assert method_row("weighted-dann", Config()).shown == "weighted DANN"
    assert len({method_row(method, Config()).shown for method in METHODS}) == len(METHODS)
