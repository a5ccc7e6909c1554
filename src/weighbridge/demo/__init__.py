"""`weighbridge demo`: printed digits against scanned handwriting, nothing to download."""

__all__ = ["demo", "demo_config"]

from collections.abc import Sequence
from pathlib import Path

from weighbridge.demo.digits import write_demo_data
from weighbridge.grids.compare import compare
from weighbridge.settings.catalogue import DEFAULT_METHODS
from weighbridge.settings.config import Config
from weighbridge.watch import Watch

_TITLE = "Printed digits to handwriting"
PER_CLASS = 200  # renders of each digit in each quality


def demo_config() -> Config:
    """The recipe of the demo; docs/defaults.md says how it was found without target labels."""
    return Config(
        backbone="lenet",
        image_size=16,
        channels=1,
        normalisation="per-image",
        pre_steps=400,
        steps=400,
        learning_rate=0.05,
        fine_tune_rate=0.01,
        new_layer_multiplier=10.0,  # for all that start from the pre-classifier, as it was found
        strong_augmentation=0.25,  # sixteen pixels bear less of it
    )


def demo(out: Path, *, seeds: Sequence[int] = (0, 1, 2), watch: Watch | None = None) -> Path | None:
    """Write the demo's images below `out`, train and compare the methods on them, and write the report."""
    data = write_demo_data(out / "data", per_class=PER_CLASS, size=16, seed=0)
    return compare(
        [data.realtime, data.prerendered],
        data.handwritten,
        demo_config(),
        out / "comparison",
        methods=DEFAULT_METHODS,
        seeds=seeds,
        evaluation=data.handwritten_labelled,
        title=_TITLE,
        watch=watch,
    )
