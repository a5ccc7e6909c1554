"""weighbridge: labelled renders in, unlabelled photos in, a classifier for the photos out.

import weighbridge

run = weighbridge.adapt(source="renders/", target="photos/", out="runs/first", steps=2000)
for prediction in run.predict("photos/"):
    print(prediction.file, prediction.label, prediction.probability)
"""

__all__ = ["Run", "__version__", "adapt", "reverse_gradient"]

from pathlib import Path
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from weighbridge.reversal import reverse_gradient
    from weighbridge.trained import Run


def adapt(
    *,
    source: str | Path | list[str | Path],
    target: str | Path,
    out: str | Path,
    progress: bool = True,
    **settings: Any,
) -> "Run":
    """Train a classifier for the target from labelled source images and unlabelled target images.

    Args:
        source: a folder with one folder per class, a CSV manifest or an .npz; or a list of them.
        target: a flat or nested folder of images, a CSV manifest or an .npz; labels in it are never read.
        out: the run folder to make.
        progress: draw progress bars on standard error.
        settings: any field of `weighbridge.config.Config`, such as method="dann" or image_size=64; without a method,
            iwdan-self-training.

    Returns:
        The finished run: predict, evaluate, metrics, path.

    Raises:
        WeighbridgeError: for anything in the folders or settings that has to be put right.
    """
    from weighbridge.config import from_mapping
    from weighbridge.engine import Quiet
    from weighbridge.progress import ProgressBars
    from weighbridge.trained import Run
    from weighbridge.training import adapt as run_adapt

    sources = [Path(path) for path in (source if isinstance(source, list) else [source])]
    config = from_mapping(settings)
    if progress:
        with ProgressBars() as bars:
            folder = run_adapt(sources, Path(target), config, Path(out), bars)
    else:
        folder = run_adapt(sources, Path(target), config, Path(out), Quiet())
    return Run(folder.path)


def __getattr__(name: str) -> Any:
    # PyTorch takes seconds to import; `weighbridge --help` must not wait for it.
    if name == "Run":
        from weighbridge.trained import Run

        return Run
    if name == "reverse_gradient":
        from weighbridge.reversal import reverse_gradient

        return reverse_gradient
    raise AttributeError(f"module 'weighbridge' has no attribute '{name}'")
