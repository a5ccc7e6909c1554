"""weighbridge: labelled renders in, unlabelled photos in, a classifier for the photos out.

import weighbridge

run = weighbridge.adapt(source="renders/", target="photos/", out="runs/first", steps=2000)
for prediction in run.predict("photos/"):
    print(prediction.file, prediction.label, prediction.probability)
"""

__all__ = ["Run", "__version__", "adapt", "domain_loss", "paper_weights", "reverse_gradient"]

import importlib
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from weighbridge.version import __version__

if TYPE_CHECKING:
    from weighbridge.parts.losses import domain_loss
    from weighbridge.parts.reversal import reverse_gradient
    from weighbridge.parts.weights import paper_weights
    from weighbridge.runs.finished import Run

# PyTorch takes seconds to import; `weighbridge --help` must not wait for it.
_WHERE = {
    "Run": "weighbridge.runs.finished",
    "domain_loss": "weighbridge.parts.losses",
    "paper_weights": "weighbridge.parts.weights",
    "reverse_gradient": "weighbridge.parts.reversal",
}


def adapt(
    *,
    source: str | Path | list[str | Path],
    target: str | Path,
    out: str | Path,
    target_labels: str | Path | None = None,
    progress: bool = True,
    plain: bool = False,
    **settings: Any,
) -> "Run":
    """Train a classifier for the target from labelled source images and unlabelled target images.

    Args:
        source: a folder with one folder per class, a CSV manifest or an .npz; or a list of them.
        target: a flat or nested folder of images, a CSV manifest or an .npz; labels in it are never read.
        out: the run folder to make.
        target_labels: a CSV with columns file and label for some of the target images, to learn from; files are named
            as in predictions.csv. `weighbridge label RUN --teach` writes one.
        progress: draw progress bars on standard error; without them, what they would tell comes as warnings.
        plain: leave settings that are not given at their defaults; otherwise they are chosen by the images, see
            `weighbridge.settings.proposed`. Four lines say what was chosen, where progress is shown.
        settings: any of docs/guides/settings.md, such as method="dann" or image_size=64; fields of
            `weighbridge.settings.config.Config`.

    Returns:
        The finished run: predict, evaluate, metrics, path.

    Raises:
        WeighbridgeError: for anything in the folders or settings that has to be put right.
    """
    from weighbridge.progress import ProgressBars
    from weighbridge.run_folder import RunFolder
    from weighbridge.runs.adapt import adapt as run_adapt
    from weighbridge.runs.embedding import write_report_of
    from weighbridge.runs.finished import Run
    from weighbridge.settings.config import at_some_size, from_mapping
    from weighbridge.settings.proposed import propose_for
    from weighbridge.watch import Warns

    sources = [Path(path) for path in (source if isinstance(source, list) else [source])]
    config, proposed = from_mapping(settings) if plain else at_some_size(settings), None
    RunFolder.refuse_existing(Path(out))  # before minutes of reading
    with ProgressBars() if progress else nullcontext(Warns()) as watch:
        if not plain:
            proposal = propose_for(sources, Path(target), settings, progress=watch.reading("images"))
            config, proposed = proposal.config, proposal.facts()
            if progress:
                for line in proposal.lines:
                    watch.tell(line)
        labels = None if target_labels is None else Path(target_labels)
        folder = run_adapt(sources, Path(target), config, Path(out), watch, proposed, labels)
    if folder.writes:
        write_report_of(folder.path)
    return Run(folder.path)


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'weighbridge' has no attribute '{name}'")
    return getattr(importlib.import_module(_WHERE[name]), name)
