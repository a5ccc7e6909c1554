"""The truth about folders before any training: what is in them, what is in both, what gives the domain away.

The first domain is the labelled source, the second the target, all further ones are for evaluation. Everything comes
from the indexes, but for a sample of images that is decoded at full size, and for arrays, which have no index.
"""

__all__ = ["Inspection", "contact_sheet", "inspect", "text"]

from collections.abc import Sequence
from pathlib import Path

from weighbridge.data.names import distinct_names, domain_name
from weighbridge.inspection.advice import advice
from weighbridge.inspection.domain import describe
from weighbridge.inspection.duplicates import pairs_of
from weighbridge.inspection.looks import look
from weighbridge.inspection.records import Inspection
from weighbridge.inspection.sheet import contact_sheet
from weighbridge.inspection.terminal import text
from weighbridge.watch import Progress


def inspect(
    paths: Sequence[Path],
    *,
    home: Path | None = None,
    sample: int = 300,
    seed: int = 0,
    progress: Progress | None = None,
) -> Inspection:
    """Look at domains one by one, then at each with each other.

    Args:
        paths: the labelled source, the target, and domains for evaluation.
        home: where indexes are kept, see `index.scan`.
        sample: how many images of each domain to decode at full size.
        seed: fixes which.
        progress: called with (images done, images in all), while they are scanned and again while they are decoded.

    Raises:
        DataError: if nothing lies at a path, or what lies there cannot be read at all.
    """
    names = distinct_names([domain_name(path) for path in paths], paths)
    looks = [look(path, name, home, progress) for path, name in zip(paths, names, strict=True)]
    domains = [describe(k, looks, sample, seed, progress) for k in range(len(looks))]
    pairs, cut = pairs_of(domains, looks)
    return Inspection(domains, pairs, advice(domains, pairs), cut, looks)
