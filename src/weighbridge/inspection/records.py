"""What an inspection finds, in records that a JSON file can hold."""

__all__ = ["Domain", "Inspection", "Pair"]

import json
from dataclasses import asdict, dataclass, field
from typing import Any

from weighbridge.inspection.looks import Look


@dataclass(frozen=True)
class Domain:
    """What is in one domain.

    Attributes:
        role: source, target or evaluation.
        tally: files used, quarantined and ignored.
        rejected: of every file not used its path, status and reason.
        remarks: how many images were put right in which way.
        labelled: whether its classes are meant; folders of a target that match no class are nesting.
        classes: images of each class; of each folder where folders are nesting; empty for a flat folder.
        without_class: images that no class claims, in a domain that has classes.
        near_empty: classes with fewer than max(2, a tenth of the median) images.
        empty_classes: class folders without any file.
        splits: images of train, val and test, if it has them.
        groups: how many groups of images that belong together.
        quantiles: minimum, quartiles and maximum of width, height and aspect ratio.
        sizes: the most frequent (width, height, images).
        colour: (mean, standard deviation) of red, green, blue and brightness over all thumbnails.
        structureless: images too flat to tell their near duplicates.
        sampled: images decoded at full size for the cues.
        cues: shares of images with grey, square, one_size (the most frequent one), alpha, jpeg, bordered, exif; medians
            of quality (JPEG quantisation sum), grid (steps at every 8th pixel over steps elsewhere) and noise (levels).
            What cannot be measured is not there.
        notes: what was not looked at, or was taken to mean something else.
    """

    name: str
    path: str
    kind: str
    role: str
    tally: dict[str, int]
    rejected: list[tuple[str, str, str]]
    remarks: dict[str, int]
    formats: dict[str, int]
    modes: dict[str, int]
    labelled: bool
    classes: dict[str, int]
    without_class: int
    near_empty: dict[str, int]
    empty_classes: list[str]
    splits: dict[str, int]
    groups: int
    quantiles: dict[str, list[float]]
    sizes: list[tuple[int, int, int]]
    colour: dict[str, tuple[float, float]]
    structureless: int
    sampled: int
    cues: dict[str, float]
    notes: list[str]


@dataclass(frozen=True)
class Pair:
    """What two domains have in common; the same domain twice: what it has more than once.

    Attributes:
        exact_files: images of (first, second) with the very bytes of another.
        exact_groups: how many different ones.
        exact, near: the first pairs of files.
        near_files: images of (first, second) that look like another, but have other bytes.
        near_pairs: how many pairs of contents look alike.
        shared: images of the second that are exact or near duplicates.
        conflicts: contents with the very same bytes and two different classes.
        conflicting: the first of them: file, class, file, class.
        across_splits: duplicates, exact or near, of which one is in one split and one in another.
        only_first, only_second: class names that the other lacks, each with the nearest there, or "".
    """

    first: str
    second: str
    exact_files: tuple[int, int]
    exact_groups: int
    exact: list[tuple[str, str]]
    near_files: tuple[int, int]
    near_pairs: int
    near: list[tuple[str, str]]
    shared: int
    conflicts: int
    conflicting: list[tuple[str, str, str, str]]
    across_splits: int
    only_first: dict[str, str]
    only_second: dict[str, str]


@dataclass(frozen=True)
class Inspection:
    """Everything found; `facts` is what a JSON file can hold.

    Attributes:
        pairs: each domain with itself and with those after it.
        warnings: sentences, the most serious first.
        cut: how many sets of candidates for near duplicates were too large to be compared in full.
    """

    domains: list[Domain]
    pairs: list[Pair]
    warnings: list[str]
    cut: int
    looks: list[Look] = field(repr=False, compare=False)

    def facts(self) -> dict[str, Any]:
        """Dictionaries, lists, strings, numbers: no NaN, no tuple."""
        found = {
            "domains": [asdict(domain) for domain in self.domains],
            "pairs": [asdict(pair) for pair in self.pairs],
            "warnings": self.warnings,
            "cut": self.cut,
        }
        plain: dict[str, Any] = json.loads(json.dumps(found, allow_nan=False))
        return plain
