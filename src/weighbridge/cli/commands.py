"""The command line. Each command is a few lines over the library; heavy imports wait until one runs."""

__all__ = ["adapt", "app", "report"]

import contextlib
import csv
import shlex
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import App, Group, Parameter

from weighbridge.cli.options import Options, given_of
from weighbridge.cli.terminal import (
    counting,
    progress_bars,
    reading,
    resume_command,
    same_command,
    scan_first,
    scan_path,
    show_command,
    show_proposal,
    show_rows,
    show_tables,
    show_verdict,
)
from weighbridge.errors import ConfigError
from weighbridge.run_folder import RunFolder, called_as
from weighbridge.settings.catalogue import DEFAULT_METHODS
from weighbridge.settings.config import Config, at_some_size
from weighbridge.version import __version__

_DATA = Group("Data", sort_key=0)
_GRID = Group("Grid", sort_key=1)

Source = Annotated[
    list[Path] | None,
    Parameter(
        group=_DATA,
        consume_multiple=True,
        negative=(),
        help="Labelled renders: a folder of class folders, or a .csv, .txt, .npz, .tar or .parquet. One or several.",
    ),
]
Target = Annotated[
    Path | None,
    Parameter(group=_DATA, help="Unlabelled photos: a folder, or a .csv, .txt, .npz, .tar or .parquet."),
]
Settings = Annotated[Options, Parameter(name="*")]
FinishedRun = Annotated[Path, Parameter(help="Folder of a finished run.")]
ConfigFile = Annotated[
    Path | None,
    Parameter(name="--config", group=_DATA, help="TOML file with settings. Options on the command line override it."),
]

Plain = Annotated[
    bool,
    Parameter(
        name="--plain",
        negative=(),
        group=_DATA,
        help="Leave what is not given at its default, instead of choosing it by the images.",
    ),
]

app = App(
    name="weighbridge",
    version=__version__,
    help="Labelled renders in, unlabelled photos in, a classifier for the photos out.",
    help_epilogue="First steps: weighbridge demo",
    help_format="plaintext",  # the default, Markdown, costs a third of the time that --help takes
)


@app.command
def demo(
    *,
    out: Annotated[Path, Parameter(help="Folder for the images, the runs and the report.")] = Path("runs/demo"),
    seeds: Annotated[int, Parameter(help="Number of paired seeds.")] = 3,
) -> None:
    """Compare eight methods on printed and handwritten digits, without any download."""
    from weighbridge.demo import demo as run_demo

    with progress_bars(lambda: same_command(out)) as bars:
        folder = run_demo(out, seeds=range(seeds), watch=bars)
    show_tables(folder)


@app.command
def adapt(
    *,
    source: Source = None,
    target: Target = None,
    out: Annotated[Path | None, Parameter(group=_DATA, help="Run folder to create.")] = None,
    target_labels: Annotated[
        Path | None,
        Parameter(
            group=_DATA,
            help="CSV of labelled photos of the target to learn from, as label --teach writes. Default: none.",
        ),
    ] = None,
    config: ConfigFile = None,
    resume: Annotated[
        Path | None, Parameter(group=_DATA, help="Run folder to continue, with the settings and paths stored in it.")
    ] = None,
    plain: Plain = False,
    settings: Settings = Options(),  # noqa: B008 (frozen)
) -> None:
    """Train a classifier for unlabelled target images from labelled source images."""
    path = resume or _required(out, "--out")
    with progress_bars(lambda: resume_command(path)) as bars:
        if resume is None:
            renders, photos, given = _required(source, "--source"), _required(target, "--target"), given_of(settings)
            chosen, proposed = Config(**given) if plain else at_some_size(given), None
            RunFolder.refuse_existing(path)  # before minutes of reading
            scan_first(bars, {"source": renders, "target": [photos]})
            if not plain:
                from weighbridge.runs.estimate import minutes
                from weighbridge.settings.proposed import propose_for

                proposal = propose_for(renders, photos, given, estimate=minutes)
                show_proposal(proposal)
                chosen, proposed = proposal.config, proposal.facts()
            from weighbridge.runs.adapt import adapt as run_adapt

            folder = run_adapt(renders, photos, chosen, path, bars, proposed, target_labels)
        else:
            from weighbridge.runs.adapt import resume as run_resume

            folder = run_resume(resume, bars)
    if folder.writes:
        from weighbridge.runs.embedding import write_report_of

        report = write_report_of(folder.path)
        show_verdict(folder.metrics().get("trust"))
        print(f"run         {folder.path}\nreport      {report}\npredictions {folder.path / 'predictions.csv'}")


@app.command
def compare(
    *,
    source: Source = None,
    target: Target = None,
    evaluation: Annotated[
        Path | None, Parameter(group=_DATA, help="Labelled photos to measure accuracy on, after all training.")
    ] = None,
    out: Annotated[
        Path | None, Parameter(group=_DATA, help="Folder to create, or of a comparison to continue.")
    ] = None,
    config: ConfigFile = None,
    methods: Annotated[
        list[str] | None,
        Parameter(
            group=_DATA,
            consume_multiple=True,
            negative=(),
            help="Each a METHOD, METHOD:WEIGHTING or METHOD@RECIPE, such as weighted-dann:permuted or dann@caffe. "
            f"Default: {' '.join(DEFAULT_METHODS)}.",
        ),
    ] = None,
    seeds: Annotated[int | None, Parameter(group=_DATA, help="Number of paired seeds (default 5).")] = None,
    title: Annotated[str | None, Parameter(group=_DATA, help="Heading of the report. Default: Comparison.")] = None,
    plain: Plain = False,
    grid: Annotated[
        Path | None,
        Parameter(
            group=_GRID,
            help="TOML file with sources, targets, methods, seeds and settings. See docs/guides/comparing.md.",
        ),
    ] = None,
    jobs: Annotated[int, Parameter(group=_GRID, help="Number of runs trained at once, each in its own process.")] = 1,
    backend: Annotated[
        Literal["loky", "ray"],
        Parameter(
            group=_GRID, help="Where runs are trained. loky: on this machine. ray: on a Ray cluster, extra 'ray'."
        ),
    ] = "loky",
    settings: Settings = Options(),  # noqa: B008 (frozen)
) -> None:
    """Train several methods on the same seeds and report which helped, and by how much."""
    path = _required(out, "--out")
    if jobs < 1:
        raise ConfigError(f"--jobs must be at least 1, got {jobs}")
    if grid is not None:
        given: dict[str, Any] = {
            "source": source,
            "target": target,
            "evaluation": evaluation,
            "config": config,
            "methods": methods,
        }
        given |= {"seeds": seeds, "title": title, "plain": plain or None, "settings": given_of(settings) or None}
        _compare_grid(grid, path, jobs, backend, [name for name, value in given.items() if value is not None])
        return
    renders, photos = _required(source, "--source"), _required(target, "--target")
    names = methods or DEFAULT_METHODS
    at_some_size(given_of(settings))  # what is wrong with a setting is told before minutes of reading
    with progress_bars(lambda: same_command(path)) as bars:
        scan_first(bars, {"source": renders, "target": [photos], "evaluation": [evaluation] if evaluation else []})
        chosen, proposed = _chosen_for_comparison(renders, photos, given_of(settings), path, plain, names)
        from weighbridge.grids.compare import compare as run_compare

        folder = run_compare(
            renders,
            photos,
            chosen,
            path,
            methods=names,
            seeds=range(5 if seeds is None else seeds),
            evaluation=evaluation,
            title=title or "Comparison",
            watch=bars,
            at_once=jobs,
            backend=backend,
            proposed=proposed,
        )
    show_tables(folder)


def _chosen_for_comparison(
    source: list[Path], target: Path, given: dict[str, Any], out: Path, plain: bool, methods: Sequence[str]
) -> tuple[Config, dict[str, Any] | None]:
    """The settings, and what was proposed. A comparison that goes on keeps what it began with."""
    if plain:
        return Config(**given), None
    from weighbridge.grids.compare import begun, proposed_for

    if begun(out):
        before = proposed_for(out)
        return Config(**((before["changes"] if before else {}) | given)), before
    from weighbridge.settings.proposed import propose_for

    proposal = propose_for(source, target, given, methods=methods)
    show_proposal(proposal)
    return proposal.config, proposal.facts()


def _compare_grid(file: Path, out: Path, jobs: int, backend: str, beside: list[str]) -> None:
    from weighbridge.grids.grid import read_grid

    if beside:
        listed = " or ".join("settings" if name == "settings" else f"--{name}" for name in beside)
        them = "them" if len(beside) > 1 or "settings" in beside else "it"
        raise ConfigError(f"--grid cannot be combined with {listed}; set {them} in '{file}'")
    plan = read_grid(file)
    with progress_bars(lambda: same_command(out)) as bars:
        targets = {task.target_name: [task.target] for task in plan.tasks}
        evaluations = {name: [path] for name, path in plan.evaluations.items()}
        for domains in ({task.source_name: list(task.source) for task in plan.tasks}, targets, evaluations):
            scan_first(bars, domains)
        from weighbridge.grids.compare import compare_grid as run_grid

        run_grid(file, out, at_once=jobs, backend=backend, watch=bars)
    show_tables(out)


@app.command
def figure(
    kind: Annotated[
        Literal["methods", "weights", "sources"],
        Parameter(
            help="methods: accuracy of every method. weights: instance weights over training. "
            "sources: one source against another."
        ),
    ],
    *folders: Annotated[
        Path, Parameter(help="Folder of a comparison or a grid. For weights: run folders too, also several.")
    ],
    out: Annotated[
        Path | None, Parameter(help="PNG file to write. For sources, a Markdown table is written beside it.")
    ] = None,
    target: Annotated[str | None, Parameter(help="For sources: name of the target. Default: the only one.")] = None,
    evaluation: Annotated[
        str | None, Parameter(help="For sources: name of the evaluation. Default: the one of the target.")
    ] = None,
) -> None:
    """Draw one figure from finished folders, without any training."""
    path = _required(out, "--out")
    if not folders or (len(folders) > 1 and kind != "weights"):
        needed = "at least one folder" if kind == "weights" else "exactly one folder"
        raise ConfigError(f"figure {kind} needs {needed}, got {len(folders)}")
    from weighbridge.report import comparison_figures
    from weighbridge.report.style import save

    if kind == "weights":
        print(save(comparison_figures.transition_figure(folders), path))
    elif kind == "methods":
        print(save(comparison_figures.methods_figure(folders[0]), path))
    else:
        from weighbridge.files import replace_text
        from weighbridge.report.results import read_results
        from weighbridge.report.sources import sources_markdown, sources_table

        table = sources_table(read_results(folders[0]), target, evaluation)
        replace_text(path.with_suffix(".md"), sources_markdown(table))
        print(save(comparison_figures.sources_figure(table), path), path.with_suffix(".md"), sep="\n")


NoneOfThese = Annotated[
    bool,
    Parameter(
        name="--none-of-these",
        negative=(),
        help="Label images that are unlike all renders 'none of these'. Default: every image gets a class.",
    ),
]


@app.command
def evaluate(
    run: FinishedRun,
    data: Annotated[
        Path,
        Parameter(
            help="Labelled photos: a folder of class folders, or a .csv, .txt, .npz, .tar or .parquet; "
            "or labels.csv as label writes it."
        ),
    ],
    *,
    none_of_these: NoneOfThese = False,
) -> None:
    """Measure the accuracy of a finished run on labelled images, and add it to the run's report."""
    with reading("images", "The images examined so far are remembered. Nothing else was written") as progress:
        RunFolder.open(run).metrics()  # refuses what is no finished run, before minutes of reading
        from weighbridge.labelling.told import judging_labels, run_photos

        judging = judging_labels(run, data)
        scan_path(run_photos(run) if judging else data, progress)
        from weighbridge.runs.finished import Run

        finished = Run(run)
        result = finished.evaluate(data, progress, none_of_these=none_of_these)
    from weighbridge.report.verdict import interval_words
    from weighbridge.runs.embedding import write_report_of

    width = max(len("class mean"), *map(len, result.classes))
    for name, facts in result.facts()["per_class"].items():
        share = "     -" if facts["accuracy"] is None else f"{100 * facts['accuracy']:6.1f}"
        print(f"{name:<{width}} {share} %  of {facts['images']}")
    print(f"{'all':<{width}} {100 * result.accuracy:6.1f} %  of {result.images}")
    print(f"{'class mean':<{width}} {100 * result.class_mean:6.1f} %")
    print(interval_words(finished.metrics["evaluation"]))
    if judging and judging.sentence:
        print(judging.sentence)
    print(f"\nphoto by photo {run / 'evaluation.csv'}\nreport {write_report_of(run)}")


@app.command
def label(
    run: FinishedRun,
    other: Annotated[
        Path | None,
        Parameter(help="Another run on the same photos. Default: the run's renders-only model, if it has one."),
    ] = None,
    *,
    out: Annotated[
        Path | None, Parameter(help="CSV file of the labels. Default: labels.csv in the run folder.")
    ] = None,
    accuracy: Annotated[
        bool, Parameter(negative=(), help="Ask how good the run is, even if there is a model to compare with.")
    ] = False,
    within: Annotated[
        float, Parameter(help="Points between the ends of the interval that settle how good the run is.")
    ] = 10.0,
    teach: Annotated[
        bool, Parameter(negative=(), help="Ask for labels that adapt --target-labels learns. They judge nothing.")
    ] = False,
    per_class: Annotated[int, Parameter(help="Labels of each class that --teach asks for.")] = 3,
    port: Annotated[int, Parameter(help="Port of the page on this machine. 0: any that is free.")] = 0,
    offline: Annotated[
        Path | None, Parameter(help="Write one HTML file that holds the photos and saves a CSV, and serve nothing.")
    ] = None,
    photos: Annotated[int, Parameter(help="Most photos that --offline holds.")] = 300,
) -> None:
    """Label photos by keyboard, in the order that settles which model is better or how good one is."""
    from weighbridge.labelling.answers import read_answers
    from weighbridge.labelling.photos import TargetPhotos
    from weighbridge.labelling.told import ask, run_photos

    if accuracy and (teach or other is not None):
        raise ConfigError(f"--accuracy cannot be combined with {'--teach' if teach else 'another run'}; leave one out")
    path = out or run / "labels.csv"
    answers = read_answers(path) if path.is_file() else []
    question = ask(run, other, answers=answers, accuracy=accuracy, teach=teach, within=within, per_class=per_class)
    with reading("photos", "The photos examined so far are remembered. Nothing else was written") as progress:
        pictures = TargetPhotos(run_photos(run), progress)
    if offline is not None:
        from weighbridge.labelling.page import write_offline

        count, size = write_offline(question, pictures, offline, most=photos)
        print(f"{offline}: {count} of {len(question.files)} photos, {size / 1e6:.1f} MB. Save its labels to {path}")
        return
    from weighbridge.labelling.serve import Server
    from weighbridge.labelling.session import Session

    session = Session(question, path)
    print(f"{session.standing().sentence}\n\nOpen this address in a browser of this machine. Ctrl-C ends.")
    with Server(session, pictures, port) as server:
        print(server.address, flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            server.serve_forever()
    print(f"\n{session.standing().sentence}\nlabels {path}")


@app.command
def predict(
    run: FinishedRun,
    images: Annotated[Path, Parameter(help="Images to label: a folder, or a .csv, .txt, .npz, .tar or .parquet.")],
    *,
    out: Annotated[Path, Parameter(help="CSV file to write.")] = Path("predictions.csv"),
    patch_size: Annotated[
        int | None,
        Parameter(help="Side in pixels of patches that vote on the label of their image. Default: no patches."),
    ] = None,
    stride: Annotated[int | None, Parameter(help="Pixels from one patch to the next. Default: the patch size.")] = None,
    none_of_these: NoneOfThese = False,
) -> None:
    """Label images with a finished run, and write a CSV with the columns file, label, probability and unlike."""
    with reading("images", "The images examined so far are remembered. Nothing else was written") as progress:
        RunFolder.open(run).metrics()
        scan_path(images, progress)
        from weighbridge.runs.finished import Run

        count = Run(run).write_predictions(
            images, out, patch_size=patch_size, stride=stride, none_of_these=none_of_these, progress=progress
        )
    print(f"{count} images labelled in {out}")


@app.command
def patches(
    images: Annotated[Path, Parameter(help="Folder of large images, with or without class folders.")],
    *,
    size: Annotated[int, Parameter(help="Side of the patches in pixels.")],
    out: Annotated[Path, Parameter(help="Folder to create.")],
    stride: Annotated[
        int | None, Parameter(help="Pixels from one patch of the grid to the next. Default: the size.")
    ] = None,
    random: Annotated[
        int | None, Parameter(help="Number of patches per image, at random places. Default: a grid of patches.")
    ] = None,
    seed: Annotated[int, Parameter(help="Random seed of --random.")] = 0,
    masks: Annotated[
        Path | None,
        Parameter(help="Folder with a mask per image. Pixel values are class numbers. Needs --mask-classes."),
    ] = None,
    mask_classes: Annotated[
        Path | None, Parameter(help="CSV, TOML or JSON file with the number and the name of each class in --masks.")
    ] = None,
    coco: Annotated[Path | None, Parameter(help="COCO JSON file. Its boxes give the labels.")] = None,
    coverage: Annotated[
        float, Parameter(help="Least share of a patch that its class covers, or of a box that the patch shows.")
    ] = 0.5,
) -> None:
    """Cut large images into patches, labelled by class folders, masks or boxes."""
    from weighbridge.patches.cut import cut

    with reading("images", "Nothing was written yet") as progress:
        summary = cut(
            images,
            out,
            size=size,
            stride=stride,
            random_count=random,
            seed=seed,
            masks=masks,
            mask_classes=mask_classes,
            coco=coco,
            coverage=coverage,
            progress=progress,
        )
    for name, count in summary.per_class.items():
        print(f"{count:8} {name}")
    print(f"{summary.patches} patches of {summary.images} images in {out}")
    if summary.dropped:
        print(f"{summary.dropped} patches dropped: below the coverage of {100 * coverage:.0f} %")
    if summary.skipped:
        print(f"{len(summary.skipped)} images skipped: {out / 'skipped.csv'}")


@app.command
def inspect(
    *paths: Annotated[Path, Parameter(help="Domains: first the source, then the target, then evaluation images.")],
    out: Annotated[
        Path | None, Parameter(help="Folder for inspection.json and contact-sheet.png. Default: they are not written.")
    ] = None,
    sample: Annotated[int, Parameter(help="Number of images per domain that are examined in full size.")] = 300,
) -> None:
    """Report what the folders contain, what is broken or duplicated, and what gives the domains away."""
    from weighbridge.inspection import contact_sheet, inspect, text

    if not paths:
        raise ConfigError("inspect needs at least one folder, such as: weighbridge inspect renders/ photos/")
    with reading("images", "The images examined so far are remembered. Run the same command to continue") as progress:
        found = inspect(paths, sample=sample, progress=progress)
    print(text(found))
    from weighbridge.settings.proposed import propose_for

    proposal = propose_for([paths[0]], paths[1], {}) if len(paths) > 1 else None
    if out is not None:
        from weighbridge.files import write_json

        out.mkdir(parents=True, exist_ok=True)
        write_json(out / "inspection.json", found.facts() | {"proposed": proposal and proposal.facts()})
        contact_sheet(found, out / "contact-sheet.png")
        print(f"facts   {out / 'inspection.json'}\npicture {out / 'contact-sheet.png'}\n")
    if proposal is not None:
        show_command(proposal, paths[0], paths[1])


@app.command
def render(
    family: Annotated[Literal["signs", "characters", "objects"], Parameter(help="What the images show.")],
    *,
    out: Annotated[Path | None, Parameter(help="Folder to create, or to continue.")] = None,
    quality: Annotated[
        list[Literal["realtime", "prerendered", "camera"]] | None,
        Parameter(
            consume_multiple=True,
            negative=(),
            help="Render quality. camera: for objects only. Several are allowed with --sheet. Default: realtime.",
        ),
    ] = None,
    count: Annotated[int | None, Parameter(help="Images per class. Default: 100, or 4 with --sheet.")] = None,
    test: Annotated[
        int, Parameter(help="Additional images per class for evaluation. --out then has train/ and test/.")
    ] = 0,
    classes: Annotated[
        list[str] | None, Parameter(consume_multiple=True, negative=(), help="Classes to render. Default: all.")
    ] = None,
    assets: Annotated[
        Path | None,
        Parameter(
            help="Folder of SVG or PNG icons (signs, required), of fonts (characters), or of mesh folders (objects). "
            "Default: fonts of this machine, or built-in objects."
        ),
    ] = None,
    backgrounds: Annotated[
        Path | None, Parameter(help="Folder of photos to use as backgrounds. Default: no photos.")
    ] = None,
    up: Annotated[
        Literal["y", "z"] | None,
        Parameter(
            help="Axis that points up in meshes. Default: z in .ply and .stl, else y, unless the shape contradicts. "
            "orientation.csv in the folder of meshes overrides it for single files."
        ),
    ] = None,
    size: Annotated[int | None, Parameter(help="Side of the images in pixels. Default: 64.")] = None,
    seed: Annotated[int | None, Parameter(help="Random seed. Default: 0.")] = None,
    strength: Annotated[
        float | None, Parameter(help="Domain randomisation, from 0 (none) to 1 (full). Default: 1.")
    ] = None,
    samples: Annotated[
        int | None, Parameter(help="Light paths per pixel, except in realtime quality. Default: 12.")
    ] = None,
    recipe: Annotated[
        Path | None, Parameter(help="TOML file with values of these options, and [knobs]. --knobs prints one.")
    ] = None,
    masks: Annotated[
        Path | None, Parameter(help="Folder for a mask per image, outside --out. Default: no masks.")
    ] = None,
    boxes: Annotated[
        bool, Parameter(negative=(), help="Write boxes into metadata.csv and, as COCO, into boxes.json.")
    ] = False,
    workers: Annotated[
        int | None, Parameter(help="Number of processes. Default: one per core, or 1 with CUDA.")
    ] = None,
    variant: Annotated[
        str, Parameter(help="Variant of Mitsuba: auto, scalar_rgb, llvm_ad_rgb or cuda_ad_rgb.")
    ] = "auto",
    sheet: Annotated[
        Path | None, Parameter(help="Draw a contact sheet into this .png, .jpg or .webp file, and nothing else.")
    ] = None,
    knobs: Annotated[
        bool, Parameter(negative=(), help="Print the recipe with every knob and its range, and exit.")
    ] = False,
) -> None:
    """Render labelled images of signs, characters or objects."""

    from weighbridge.render.recipe import Recipe, read_recipe, recipe_toml, with_overrides

    given: dict[str, Any] = {"seed": seed, "size": size, "strength": strength, "samples": samples}
    given |= {"assets": assets, "backgrounds": backgrounds, "up": up}
    values = read_recipe(recipe) if recipe is not None else {}
    plan = Recipe(**{**values, **{name: value for name, value in given.items() if value is not None}, "family": family})
    looks = list(quality or ["realtime"])
    if knobs:
        from weighbridge.render.painter import family_of

        print(recipe_toml(plan, with_overrides(family_of(plan, looks[0]).knobs, plan.knobs)), end="")
        return
    if sheet is not None:
        from weighbridge.render.sheet import sheet as draw_sheet

        with counting("rendering", "images", "Nothing was written") as progress:
            columns = 4 if count is None else count
            rows = draw_sheet(plan, looks, sheet, columns=columns, classes=classes, variant=variant, progress=progress)
        _say_orientations(rows, plan.assets)
        print(sheet)
        return
    folder = _required(out, "--out")
    if len(looks) > 1:
        raise ConfigError(
            f"expected one --quality for a folder, got {' and '.join(looks)}. "
            "Run the command once for each, with another --out"
        )
    from weighbridge.render.studio import render as run_render

    again = f"Nothing done so far is lost; go on with: {shlex.join([called_as(), *sys.argv[1:]])}"
    with counting("rendering", "images", again) as progress:
        done = run_render(
            plan,
            looks[0],
            folder,
            count=100 if count is None else count,
            test=test,
            classes=classes,
            masks=masks,
            boxes=boxes,
            variant=variant,
            workers=workers,
            progress=progress,
        )
    with (folder / "metadata.csv").open(encoding="utf-8", errors="surrogateescape", newline="") as table:
        _say_orientations(csv.DictReader(table), plan.assets)
    print(f"{done.rendered} images rendered in {done.seconds:.1f} s, {done.images} in {folder}")


def _say_orientations(rows: Iterable[Mapping[str, str]], assets: Path | None) -> None:
    """Tell of meshes that were turned, or may have to be."""
    from weighbridge.render.orientation import orientation_sentences

    if assets is not None:
        for sentence in orientation_sentences((row for row in rows if "up_by" in row), assets):
            print(f"weighbridge: {sentence}", file=sys.stderr)


@app.command
def earned(
    run: FinishedRun,
    *,
    seeds: Annotated[int, Parameter(help="Number of paired seeds for each retraining.")] = 3,
    retrainings: Annotated[int, Parameter(help="Trainings at most, each with some renders left out.")] = 60,
    evaluation: Annotated[
        Path | None,
        Parameter(help="Labelled photos to judge by as well. Default: those that the run was evaluated on, if any."),
    ] = None,
) -> None:
    """Say which renders a finished run owes its result to, and what to render next."""
    with progress_bars(lambda: same_command(run)) as bars:
        RunFolder.open(run).metrics()  # before PyTorch is loaded
        from weighbridge.runs.earned import earned as find_earned

        found = find_earned(run, seeds=seeds, retrainings=retrainings, evaluation=evaluation, watch=bars)
    show_rows(found.rows)
    print("What to render next", *(f"  - {sentence}" for sentence in found.next), sep="\n")
    print("\nfacts  {}\nvalues {}".format(*found.paths))


@app.command
def report(folder: Annotated[Path, Parameter(help="Folder of a run, a comparison or a grid.")]) -> None:
    """Write the HTML report of a run, finished or not, of a comparison or of a grid again."""
    from weighbridge.runs.embedding import write_report_of

    print(write_report_of(folder))


def _required(value: Any, option: str) -> Any:
    if value is None:
        raise ConfigError(f"{option} is missing. See: weighbridge {sys.argv[1]} --help")
    return value
