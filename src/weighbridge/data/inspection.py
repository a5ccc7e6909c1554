"""The truth about two folders before any training: what is in them, what is in both, what gives the domain away.

The first domain is the labelled source, the second the target, all further ones are for evaluation. Everything comes
from the indexes, but for a sample of images that is decoded at full size, and for arrays, which have no index.
"""

__all__ = ["Domain", "Inspection", "Pair", "contact_sheet", "inspect", "text"]

import hashlib
import json
import textwrap
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from difflib import get_close_matches
from itertools import combinations_with_replacement, compress, islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont, ImageOps

from weighbridge.data.decode import THUMBNAIL, Unusable, decode_upright
from weighbridge.data.index import Index, scan
from weighbridge.data.layouts import empty_classes, kind_of
from weighbridge.errors import DataError

Progress = Callable[[int, int], None]
Numbers = NDArray[np.int64]
Flags = NDArray[np.bool_]

_CHUNK = 8192  # rows of an index in memory at a time
_LISTED = 20  # pairs of files named for each finding; all are counted
_WINDOW = 1024  # pixels: borders apart, a large image is measured in its middle
_HEAD = 65_536  # bytes in which EXIF is looked for

# What counts as the same picture, stored twice.
_HASH_DISTANCE = 3  # of 64 bits, so that at least one of four bands of 16 is equal
_LEVELS_APART = 4.0  # mean absolute difference of two thumbnails
_FEWEST_BITS = 6  # a difference hash with fewer set or unset says nothing
_LEAST_STRUCTURE = 4.0  # levels of standard deviation in a thumbnail
_BUCKET = 1000  # images compared with each other because a band of theirs is equal
_CANDIDATES = 1_000_000  # pairs kept for a band before thumbnails are looked at

# From where on a number is worth a sentence.
_FEW = 0.1  # of the median class
_SHARES_APART = 0.5  # between the shares of images that have a cue
_ONE_SIZE = 0.9  # of the images: they are "all" of one size
_SIDES_APART = 1.5  # factor between median sides
_NOISE_APART = 3.0  # factor, with half a level added to both
_GRID_APART = 0.15  # JPEG of quality 50 is 0.25 above a PNG of the same pixels, of quality 75 0.12
_QUALITY_APART = 2.0  # factor between quantisation sums
_BRIGHTNESS_APART = 50.0  # levels
_CONTRAST_APART = 2.0  # factor
_MANY_COPIES = 0.01  # of the images of a domain

_SHARES = (  # cue, what the images that have it do, what to do
    ("bordered", "have a uniform border", "draw backgrounds behind the objects, or crop both domains alike"),
    ("alpha", "have an alpha channel", "transparency becomes white: draw backgrounds behind the objects"),
    ("grey", "are grey", "set channels = 1"),
    ("square", "are square", "fit = crop keeps the others from being squeezed or padded"),
    ("jpeg", "are JPEG files", "save both domains in the same format and quality"),
)
_ALPHA = {"RGBA", "RGBa", "LA", "La", "PA"}


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
    looks: "list[_Looks]" = field(repr=False, compare=False)

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
    looks = [_look(path, name, home, progress) for path, name in zip(paths, _distinct_names(paths), strict=True)]
    domains = [_domain(k, looks, sample, seed, progress) for k in range(len(looks))]
    pairs, cut = _pairs(domains, looks)
    return Inspection(domains, pairs, _warnings(domains, pairs), cut, looks)


# ---- one domain ----------------------------------------------------------------------------------------------------


@dataclass
class _Looks:
    """A domain opened, and the columns of all its images that fit in memory."""

    path: Path
    name: str
    content: "Index | _Array"
    labels: Numbers  # (N,) into words
    words: list[str]
    digests: NDArray[np.bytes_]  # (N,) sha256
    hashes: NDArray[np.uint64]  # (N,)
    structured: Flags  # (N,)
    splits: Numbers  # (N,) into split_words
    split_words: list[str]
    sizes: NDArray[np.int64]  # (N, 2) width, height
    counts: dict[str, Counter[str]]  # format, mode, remarks
    colour: dict[str, tuple[float, float]]
    grey: int
    qualities: Numbers  # of the JPEG files

    def __len__(self) -> int:
        return len(self.labels)

    def file(self, place: int) -> str:
        return self.content.name(place)

    def file_and_class(self, place: int) -> tuple[str, str]:
        return self.file(place), self.words[self.labels[place]]

    def pixels(self, place: int, least: int | None = None) -> NDArray[np.uint8]:
        """(H, W, 3) of an image, upright; whole, or smaller with both sides at least so long."""
        if isinstance(self.content, _Array):
            return np.asarray(self.content.image(place).convert("RGB"))
        stored = self.content.read(place)
        return decode_upright(stored.content, channels=3, least=least, name=stored.name)

    def has_exif(self, place: int) -> bool:
        if isinstance(self.content, _Array):
            return False
        content = self.content.read(place).content
        if isinstance(content, Path):
            with content.open("rb") as file:
                content = file.read(_HEAD)
        return any(mark in content[:_HEAD] for mark in (b"Exif\0\0", b"eXIf", b"EXIF"))


class _Array:
    """An .npz, with the rows an index would have of it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
                self.pixels = archive["x"]
                numbers = archive["y"].astype(np.int64) if "y" in archive else np.zeros(0, dtype=np.int64)
                named = [str(name) for name in archive["classes"]] if "classes" in archive else []
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise DataError(f"'{path}' cannot be read as .npz: {error}") from error
        shape_fits = self.pixels.ndim == 3 or (self.pixels.ndim == 4 and self.pixels.shape[3] in (1, 3))
        if not shape_fits or self.pixels.dtype != np.uint8 or numbers.shape not in ((0,), self.pixels.shape[:1]):
            raise DataError(
                f"expected x of shape (N, H, W) or (N, H, W, 1 or 3) in uint8 and y of shape (N,) in '{path}', "
                f"got {self.pixels.shape}, {self.pixels.dtype} and {numbers.shape}"
            )
        shown, rows = np.unique(numbers, return_inverse=True)
        self.words = [named[k] if 0 <= k < len(named) else str(k) for k in shown.tolist()] or [""]
        self.labels = rows if len(numbers) else np.zeros(len(self.pixels), dtype=np.int64)

    def name(self, place: int) -> str:
        return f"{self._path}#{place}"

    def image(self, place: int) -> Image.Image:
        pixels = self.pixels[place]
        return Image.fromarray(pixels[..., 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels)

    def rows(self) -> Iterator[tuple[Any, ...]]:
        shape = str(self.pixels.shape[1:]).encode()
        for place in range(len(self.pixels)):
            image = self.image(place)
            digest = hashlib.sha256(shape + self.pixels[place].tobytes()).digest()
            thumbnail = image.convert("RGB").resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BOX).tobytes()
            yield digest, image.width, image.height, image.mode, "array", 0, "", 0, thumbnail


_COLUMNS = ("hash", "width", "height", "mode", "format", "quality", "remarks", "difference_hash", "thumbnail")
_LUMA = np.array([[0.299], [0.587], [0.114]])


def _look(path: Path, name: str, home: Path | None, progress: Progress | None) -> _Looks:
    """One pass over all images, a chunk at a time."""
    content = _Array(path) if kind_of(path) == "npz" else scan(path, home=home, progress=progress)
    if isinstance(content, _Array):
        rows, labels, words = content.rows(), content.labels.astype(np.int32), content.words
        splits, split_words = np.zeros(len(labels), dtype=np.int32), [""]
    else:
        rows = content.table(*_COLUMNS)
        (labels, words), (splits, split_words) = content.column("label"), content.column("split")
    digests, hashes, structured, sizes, qualities = [], [], [], [], []
    counts: dict[str, Counter[str]] = {"format": Counter(), "mode": Counter(), "remarks": Counter()}
    total, squares, cells, grey = np.zeros(4), np.zeros(4), 0, 0
    while chunk := list(islice(rows, _CHUNK)):
        digest, width, height, mode, kind, quality, remarks, bits, thumbnail = zip(*chunk, strict=True)
        thumbnails = np.frombuffer(b"".join(thumbnail), dtype=np.uint8).reshape(len(chunk), -1, 3)  # (n, 64, 3)
        values = np.concatenate([thumbnails, thumbnails @ _LUMA], axis=2)  # (n, 64, 4)
        total, squares = total + values.sum(axis=(0, 1)), squares + (values**2).sum(axis=(0, 1))
        cells += values.shape[0] * values.shape[1]
        grey += int((np.ptp(thumbnails, axis=2).max(axis=1) <= 2).sum())
        unsigned = np.array(bits, dtype=np.int64).view(np.uint64)
        rising = np.bitwise_count(unsigned)
        uneven = thumbnails.std(axis=1).max(axis=1) >= _LEAST_STRUCTURE
        structured.append(uneven & (rising >= _FEWEST_BITS) & (rising <= 64 - _FEWEST_BITS))
        digests.append(np.array(digest, dtype="S32"))
        hashes.append(unsigned)
        sizes.append(np.array([width, height], dtype=np.int64).T)
        qualities.append(np.array([q for q in quality if q], dtype=np.int64))
        counts["format"].update(kind)
        counts["mode"].update(mode)
        counts["remarks"].update(word for words_of in remarks if words_of for word in words_of.split(", "))
    mean = total / max(cells, 1)
    deviation = np.sqrt((squares / max(cells, 1) - mean**2).clip(0))
    moments = zip(mean.round(2).tolist(), deviation.round(2).tolist(), strict=True)
    colour = dict(zip(("red", "green", "blue", "brightness"), moments, strict=True)) if cells else {}
    return _Looks(
        path=path,
        name=name,
        content=content,
        labels=labels.astype(np.int64),
        words=words,
        digests=_joined(digests, "S32"),
        hashes=_joined(hashes, np.uint64),
        structured=_joined(structured, np.bool_),
        splits=splits.astype(np.int64),
        split_words=split_words,
        sizes=_joined(sizes, np.int64).reshape(-1, 2),
        counts=counts,
        colour=colour,
        grey=grey,
        qualities=_joined(qualities, np.int64),
    )


def _joined(parts: Sequence[NDArray[Any]], dtype: Any) -> NDArray[Any]:
    return np.concatenate(parts) if parts else np.zeros(0, dtype=dtype)


def _domain(k: int, looks: Sequence[_Looks], sample: int, seed: int, progress: Progress | None) -> Domain:
    look, role = looks[k], ("source", "target")[k] if k < 2 else "evaluation"
    counted = np.bincount(look.labels, minlength=len(look.words)).tolist()
    classes = dict(zip(look.words, counted, strict=True)) if len(look) else {}
    without = classes.pop("", 0)
    known = {_letters(word) for word in looks[0].words if word}
    labelled = bool(classes) and (k == 0 or any(get_close_matches(_letters(word), known, 1, 0.75) for word in classes))
    median = float(np.median(list(classes.values()))) if classes else 0.0
    notes = []
    if classes and not labelled:
        notes.append(f"no folder of '{look.name}' is called like a class of '{looks[0].name}': taken as nesting")
    if isinstance(look.content, _Array):
        notes.append(f"'{look.name}' is an array: near duplicates are not looked for in it")
        tally, rejected, groups = {"used": len(look), "quarantined": 0, "ignored": 0}, [], 0
    else:
        tally = dict(look.content.tally)
        rejected = [(r.file, r.status, r.reason) for r in look.content.rejected("quarantined", "ignored")]
        groups = sum(word != "" for word in look.content.column("part_of")[1])
    widths, heights = look.sizes.T
    measured = {"width": widths, "height": heights, "aspect": widths / heights} if len(look) else {}
    quantiles = {key: np.quantile(v, (0, 0.25, 0.5, 0.75, 1)).round(3).tolist() for key, v in measured.items()}
    shapes, often = np.unique(look.sizes, axis=0, return_counts=True)
    top = np.argsort(-often, kind="stable")[:5]
    sampled, cues = _pixel_cues(look, sample, seed, progress)
    shares = {
        "grey": look.grey,
        "square": int((widths == heights).sum()),
        "one_size": int(often.max(initial=0)),
        "alpha": sum(count for mode, count in look.counts["mode"].items() if mode in _ALPHA),
        "jpeg": sum(look.counts["format"][kind] for kind in ("JPEG", "MPO")),
    }
    cues |= {key: round(count / len(look), 4) for key, count in shares.items() if len(look)}
    if len(look.qualities):
        cues["quality"] = float(np.median(look.qualities))
    return Domain(
        name=look.name,
        path=str(look.path),
        kind=kind_of(look.path),
        role=role,
        tally=tally,
        rejected=rejected,
        remarks=dict(look.counts["remarks"]),
        formats=dict(look.counts["format"].most_common()),
        modes=dict(look.counts["mode"].most_common()),
        labelled=labelled,
        classes=classes,
        without_class=without if classes else 0,
        near_empty={name: n for name, n in classes.items() if n < max(2.0, _FEW * median)} if labelled else {},
        empty_classes=empty_classes(look.path) if labelled else [],
        splits={word: int((look.splits == n).sum()) for n, word in enumerate(look.split_words) if word},
        groups=groups,
        quantiles=quantiles,
        sizes=[(*shapes[n].tolist(), int(often[n])) for n in top],
        colour=look.colour,
        structureless=0 if isinstance(look.content, _Array) else int((~look.structured).sum()),
        sampled=sampled,
        cues=cues,
        notes=notes,
    )


def _pixel_cues(look: _Looks, sample: int, seed: int, progress: Progress | None) -> tuple[int, dict[str, float]]:
    """How many images could be decoded, and what their pixels tell."""
    places = np.random.default_rng(seed).choice(len(look), min(sample, len(look)), replace=False)
    measures: dict[str, list[float]] = {"bordered": [], "exif": [], "grid": [], "noise": []}
    for done, place in enumerate(np.sort(places).tolist(), start=1):
        try:
            pixels = look.pixels(place)  # (H, W, 3)
        except (Unusable, OSError):  # gone since the scan
            continue
        measures["exif"].append(look.has_exif(place))
        sides = (pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1])
        measures["bordered"].append(sum(side.std(axis=0).max() < 2.0 for side in sides) >= 2)
        top, left = (max(0, (side - _WINDOW) // 16 * 8) for side in pixels.shape[:2])  # a multiple of 8 keeps the grid
        grey = (pixels[top : top + _WINDOW, left : left + _WINDOW] @ _LUMA)[..., 0]  # (h, w)
        for key, value in (("grid", _grid(grey)), ("noise", _noise(grey))):
            if value is not None:
                measures[key].append(value)
        if progress:
            progress(done, len(places))
    means = {key: float(np.mean(measures[key])) for key in ("bordered", "exif") if measures[key]}
    medians = {key: float(np.median(measures[key])) for key in ("grid", "noise") if measures[key]}
    return len(measures["exif"]), {key: round(value, 4) for key, value in (means | medians).items()}


def _grid(grey: NDArray[np.float64]) -> float | None:
    """Steps across the edges of 8 x 8 blocks over steps elsewhere; None for an image too small or too flat."""
    at: list[float] = []
    elsewhere: list[float] = []
    for turned in (grey, grey.T):
        steps = np.abs(np.diff(turned, axis=1)).mean(axis=0)  # a step per column
        edge = np.arange(len(steps)) % 8 == 7
        at, elsewhere = [*at, *steps[edge].tolist()], [*elsewhere, *steps[~edge].tolist()]
    base = float(np.mean(elsewhere)) if elsewhere else 0.0
    return float(np.mean(at)) / base if len(at) >= 8 and base > 0.1 else None


def _noise(grey: NDArray[np.float64]) -> float | None:
    """Standard deviation of white noise that would explain the median absolute Laplacian."""
    if min(grey.shape) < 3:
        return None
    around = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:]
    return float(np.median(np.abs(4.0 * grey[1:-1, 1:-1] - around)) / (0.6745 * np.sqrt(20.0)))


# ---- each with each ------------------------------------------------------------------------------------------------


def _pairs(domains: Sequence[Domain], looks: Sequence[_Looks]) -> tuple[list[Pair], int]:
    """Contents are numbered once over all domains; `leaders` are the first places at which a domain has them."""
    everything = _joined([look.digests for look in looks], "S32")
    distinct, start, numbers = np.unique(everything, return_index=True, return_inverse=True)
    ends = np.cumsum([len(look) for look in looks])
    contents = np.split(numbers, ends[:-1])
    leaders = [_leaders(of, len(distinct)) for of in contents]
    near, cut = _near(looks, start, ends)
    found = []
    for a, b in combinations_with_replacement(range(len(looks)), 2):
        exact = _exact(contents, leaders, a, b)
        both = [(near[0], near[1])] if a == b else [(near[0], near[1]), (near[1], near[0])]
        there = [(leaders[a][g] >= 0) & (leaders[b][h] >= 0) for g, h in both]
        first = np.concatenate([g[rows] for (g, _), rows in zip(both, there, strict=True)])  # contents
        second = np.concatenate([h[rows] for (_, h), rows in zip(both, there, strict=True)])
        alike = np.stack([leaders[a][first], leaders[b][second]])  # places
        alike = np.sort(alike, axis=0) if a == b else alike
        alike = alike[:, np.lexsort(alike[::-1])]
        near_a = np.isin(contents[a], np.concatenate([first, second]) if a == b else first)
        near_b = near_a if a == b else np.isin(contents[b], second)
        same_b = np.isin(contents[b], contents[b][exact[1]])
        same_a = same_b if a == b else np.isin(contents[a], contents[b])
        every = np.concatenate([exact, alike], axis=1)
        unlike = _differ(looks[a], looks[b], exact) if domains[a].labelled and domains[b].labelled else exact[0] < 0
        conflicts = exact[:, unlike][:, :_LISTED].T.tolist()
        only_first, only_second = _unmatched(domains[a], domains[b])
        found.append(
            Pair(
                first=domains[a].name,
                second=domains[b].name,
                exact_files=(int(same_a.sum()), int(same_b.sum())),
                exact_groups=len(np.unique(contents[b][exact[1]])),
                exact=[(looks[a].file(p), looks[b].file(q)) for p, q in exact[:, :_LISTED].T.tolist()],
                near_files=(int(near_a.sum()), int(near_b.sum())),
                near_pairs=alike.shape[1],
                near=[(looks[a].file(p), looks[b].file(q)) for p, q in alike[:, :_LISTED].T.tolist()],
                shared=int((near_b | same_b).sum()),
                conflicts=len(np.unique(contents[b][exact[1][unlike]])),
                conflicting=[(*looks[a].file_and_class(p), *looks[b].file_and_class(q)) for p, q in conflicts],
                across_splits=_across_splits(looks[a], every) if a == b else 0,
                only_first=only_first,
                only_second=only_second,
            )
        )
    return found, cut


def _leaders(contents: Numbers, kinds: int) -> Numbers:
    """Of every content the first place that has it; -1 where none does."""
    first = np.full(kinds, -1, dtype=np.int64)
    shown, places = np.unique(contents, return_index=True)
    first[shown] = places
    return first


def _exact(contents: Sequence[Numbers], leaders: Sequence[Numbers], a: int, b: int) -> Numbers:
    """Places (2, n): the first image of a with a content, and each further one in b with the same."""
    second = np.arange(len(contents[b]))
    first = leaders[a][contents[b]] if len(second) else second
    rows = (first >= 0) & ((first != second) if a == b else True)
    found = np.stack([first[rows], second[rows]])
    return found[:, np.lexsort(found[::-1])]


def _near(looks: Sequence[_Looks], start: Numbers, ends: Numbers) -> tuple[Numbers, int]:
    """Contents (2, n) that look alike, and how many buckets were cut. `start` is an image that has the content."""
    hashes = _joined([look.hashes for look in looks], np.uint64)[start]
    able = np.flatnonzero(_joined([look.structured for look in looks], np.bool_)[start])
    candidates, cut = _candidates(hashes[able])
    candidates = able[candidates]
    wanted = np.zeros(int(ends[-1]), dtype=np.bool_)
    wanted[start[candidates.ravel()]] = True
    row_of = np.cumsum(wanted) - 1  # in the block of thumbnails that follows
    blocks = []
    for look, mine in zip(looks, np.split(wanted, ends[:-1]), strict=True):
        if isinstance(look.content, Index) and mine.any():
            rows = compress(look.content.table("thumbnail"), mine.tolist())
            blocks.append(np.frombuffer(b"".join(row[0] for row in rows), dtype=np.uint8).reshape(-1, 3 * THUMBNAIL**2))
    thumbnails = _joined(blocks, np.uint8)
    kept = []
    for chunk in np.array_split(candidates, max(1, candidates.shape[1] // _CHUNK), axis=1):
        one, other = (thumbnails[row_of[start[numbers]]].astype(np.int16) for numbers in chunk)
        kept.append(chunk[:, np.abs(one - other).mean(axis=1) < _LEVELS_APART] if chunk.size else chunk)
    return np.concatenate(kept, axis=1), cut


def _candidates(hashes: NDArray[np.uint64]) -> tuple[Numbers, int]:
    """Rows (2, n) of hashes at most `_HASH_DISTANCE` bits apart, and how many buckets were too large.

    Sorted with one band in front, hashes with that band equal stand together, and likely ones next to each other. Each
    is compared with the `_BUCKET` that follow: with all of its bucket, unless that is larger.
    """
    found, cut = [np.zeros((2, 0), dtype=np.int64)], 0
    for shift in (0, 16, 32, 48):
        turned = hashes << np.uint64(shift) | hashes >> np.uint64(64 - shift) if shift else hashes
        order = np.argsort(turned)
        turned = turned[order]
        band = turned >> np.uint64(48)
        cut += int((np.unique(band, return_counts=True)[1] > _BUCKET).sum())
        row, hits = np.arange(len(turned)), 0
        for step in range(1, _BUCKET + 1):
            row = row[row + step < len(turned)]
            row = row[band[row] == band[row + step]]
            near = row[np.bitwise_count(turned[row] ^ turned[row + step]) <= _HASH_DISTANCE]
            found.append(np.sort(np.stack([order[near], order[near + step]]), axis=0))
            hits += len(near)
            if not len(row) or hits > _CANDIDATES:
                cut += int(hits > _CANDIDATES)
                break
    one, other = np.concatenate(found, axis=1)
    pairs = np.unique(one * max(len(hashes), 1) + other)
    return np.stack(np.divmod(pairs, max(len(hashes), 1))), cut


def _differ(one: _Looks, other: _Looks, pairs: Numbers) -> Flags:
    """Which pairs of places have two different classes."""
    words = sorted({*one.words, *other.words})
    numbers = [np.array([words.index(word) for word in look.words], dtype=np.int64) for look in (one, other)]
    a, b = (n[look.labels[p]] for n, look, p in zip(numbers, (one, other), pairs, strict=True))
    nameless = words.index("") if "" in words else -1
    differ: Flags = (a != b) & (a != nameless) & (b != nameless)
    return differ


def _across_splits(look: _Looks, pairs: Numbers) -> int:
    one, other = look.splits[pairs]
    named = np.array([word != "" for word in look.split_words] or [False])
    return int((named[one] & named[other] & (one != other)).sum()) if pairs.size else 0


def _unmatched(one: Domain, other: Domain) -> tuple[dict[str, str], dict[str, str]]:
    """Class names that only one of two has, each with the nearest name of the other."""
    if not (one.labelled and other.labelled) or one is other:
        return {}, {}
    return _lacking(one.classes, other.classes), _lacking(other.classes, one.classes)


def _lacking(names: dict[str, int], there: dict[str, int]) -> dict[str, str]:
    by_letters = {_letters(name): name for name in there}
    nearest = {}
    for name in names.keys() - there.keys():
        close = get_close_matches(_letters(name), by_letters, n=1, cutoff=0.6)
        nearest[name] = by_letters[close[0]] if close else ""
    return {name: nearest[name] for name in names if name in nearest}


def _letters(name: str) -> str:
    """What is left of a name when case, spaces, dashes and underscores do not count."""
    return name.lower().translate(dict.fromkeys(map(ord, " -_")))


def _distinct_names(paths: Sequence[Path]) -> list[str]:
    names = [path.resolve().name if path.is_dir() else path.stem for path in paths]
    longer = [f"{path.resolve().parent.name}/{name}" for path, name in zip(paths, names, strict=True)]
    names = [long if names.count(name) > 1 else name for name, long in zip(names, longer, strict=True)]
    return [f"{name} ({k + 1})" if names.count(name) > 1 else name for k, name in enumerate(names)]


# ---- in words ------------------------------------------------------------------------------------------------------


def _warnings(domains: Sequence[Domain], pairs: Sequence[Pair]) -> list[str]:
    """The most serious first: what makes numbers meaningless, then training wrong, then the domains easy to tell."""
    by_name = {domain.name: domain for domain in domains}
    crossing = [(by_name[pair.first], by_name[pair.second], pair) for pair in pairs if pair.first != pair.second]
    said = [f"No image in '{d.path}' can be used. Give a folder with images" for d in domains if not d.tally["used"]]
    if not domains[0].labelled:
        said.append(
            f"'{domains[0].name}' is the source and has no classes: sort its images into a folder per class, "
            "or give a CSV manifest with columns file,label"
        )
    leaks = [(_evaluates(one, other), _leak(one, other, pair)) for one, other, pair in crossing if pair.shared]
    said += [sentence for _, sentence in sorted(leaks, key=lambda leak: not leak[0])]
    said += [
        f"No folder of '{d.name}' is called like a class of '{domains[0].name}': nothing in it can be evaluated. "
        "Rename its folders"
        for d in domains[2:]
        if d.classes and not d.labelled
    ]
    for one, other, pair in crossing:
        said += _class_gap(one, other, pair)
    for pair in pairs:
        said += _contradictions(pair, by_name[pair.first])
    for domain in domains:
        said += _of_one(domain)
    seen = [domain for domain in domains[1:] if domain.tally["used"]]
    if seen and seen[0] is domains[1]:
        if domains[0].tally["used"]:
            said += _giveaways(domains[0], domains[1]).values()
        unlike = [(domain, _giveaways(domains[1], domain)) for domain in seen[1:]]
        said += [
            f"'{domain.name}' does not look like '{domains[1].name}' ({', '.join(differences)}): "
            f"accuracy on it is not accuracy on '{domains[1].name}'. Evaluate on images of the same kind"
            for domain, differences in unlike
            if differences
        ]
    return said


def _leak(one: Domain, other: Domain, pair: Pair) -> str:
    exact, near = pair.exact_files[1], pair.shared - pair.exact_files[1]
    how = " and ".join(
        [*([f"{exact:,} byte for byte"] if exact else []), *([f"{near:,} nearly so"] if near else [])],
    )
    start = f"{_count(pair.shared, 'image')} of '{other.name}' {_are(pair.shared)} also in '{one.name}' ({how})"
    if _evaluates(one, other):
        return f"{start}: an evaluation on them is no evaluation. Take them out of one of the two"
    return f"{start}: what is in both cannot tell how the two differ. Take them out of one of the two"


def _evaluates(one: Domain, other: Domain) -> bool:
    return one.role != other.role and "evaluation" in (one.role, other.role)


def _class_gap(one: Domain, other: Domain, pair: Pair) -> list[str]:
    said = []
    for here, there, names in ((one, other, pair.only_first), (other, one, pair.only_second)):
        if here.role != "source" and there.role != "source":
            continue
        near = {name: close for name, close in names.items() if close}
        same = {name: close for name, close in near.items() if _letters(name) == _letters(close)}
        if names:
            hints = [f"'{name}' is nearest to '{close}'" for name, close in [*same.items(), *near.items()][:3]]
            hint = f" ({'; '.join(dict.fromkeys(hints))})" if hints else ""
            few = ", ".join(f"'{name}'" for name in list(names)[:5]) + (" ..." if len(names) > 5 else "")
            classes = "1 class" if len(names) == 1 else f"{len(names):,} classes"
            do = "Rename or merge them" if near else f"Add images of them to '{there.name}', or leave them out"
            said.append(f"'{here.name}' has {classes} that '{there.name}' has not: {few}{hint}. {do}")
    return said


def _contradictions(pair: Pair, domain: Domain) -> list[str]:
    said = []
    if pair.conflicts:
        one, its, other, another = pair.conflicting[0]
        where = f"in '{pair.first}'" + (f" and '{pair.second}'" if pair.first != pair.second else "")
        said.append(
            f"{_count(pair.conflicts, 'image')} {where} {_are(pair.conflicts)} there under two classes, such as "
            f"{one} ({its}) and {other} ({another}). Keep the right one"
        )
    if pair.first == pair.second:
        if pair.across_splits:
            said.append(
                f"Duplicates in '{pair.first}' lie in two splits ({_count(pair.across_splits, 'pair')}): "
                "what is tested there was trained on. Take one of each out"
            )
        if pair.shared > _MANY_COPIES * domain.tally["used"] and domain.labelled and not domain.groups:
            said.append(
                f"{_count(pair.shared, 'image')} of '{pair.first}' {_are(pair.shared)} exact or near duplicates "
                "of others in it: held-out images will have been trained on. Give duplicates a common group, "
                "or take them out"
            )
    return said


def _of_one(domain: Domain) -> list[str]:
    said = []
    quarantined = domain.tally["quarantined"]
    if quarantined:
        file, _, reason = next(row for row in domain.rejected if row[1] == "quarantined")
        every = _count(quarantined + domain.tally["used"], "image")
        said.append(
            f"{quarantined:,} of {every} of '{domain.name}' cannot be used, "
            f"the first being {file}: {reason}. Replace or remove them"
        )
    if domain.without_class and domain.labelled:
        said.append(
            f"{_count(domain.without_class, 'image')} of '{domain.name}' {_are(domain.without_class)} in no class "
            "folder. Give them a class, or take them out"
        )
    if domain.empty_classes:
        names = ", ".join(f"'{name}'" for name in domain.empty_classes[:5])
        said.append(f"Class folders of '{domain.name}' without any file: {names}. Fill or remove them")
    if domain.near_empty:
        names = ", ".join(f"'{name}' ({count})" for name, count in list(domain.near_empty.items())[:5])
        said.append(f"Classes of '{domain.name}' with very few images: {names}. Add images, or leave the classes out")
    return said


def _giveaways(one: Domain, other: Domain) -> dict[str, str]:
    """Differences that a domain classifier finds without looking at any object, and a sentence for each."""
    said: dict[str, str] = {}
    tail = "tells the domains apart"
    names = f"'{one.name}'", f"'{other.name}'"
    sides = [np.sqrt(d.quantiles["width"][2] * d.quantiles["height"][2]) for d in (one, other)]
    uniform = [d.cues["one_size"] >= _ONE_SIZE for d in (one, other)]
    if max(sides) > _SIDES_APART * min(sides) or (any(uniform) and one.sizes[0][:2] != other.sizes[0][:2]):
        said["resolution"] = (
            f"{_size_of(one)}, {_size_of(other)}: resolution {tail}. Make both of about one size, "
            "or set image_size to the smaller"
        )
    for key, words, do in _SHARES:
        shares = one.cues.get(key), other.cues.get(key)
        if shares[0] is not None and shares[1] is not None and abs(shares[0] - shares[1]) > _SHARES_APART:
            first, second = map(_percent, shares)
            said[_SHARES_SHOWN[key]] = f"{first} of {names[0]} {words}, {second} of {names[1]}: that {tail}; {do}"
    numbers = one.cues, other.cues
    for key, words, do in (
        ("noise", "noise of {} levels", "set noise, or make renders as noisy or smooth as the photos"),
        ("grid", "8 x 8 compression blocks of strength {}", "save both with the same compression"),
        ("quality", "a JPEG quantisation of {}", "save both with the same JPEG quality"),
    ):
        if key in numbers[0] and key in numbers[1]:
            low, high = sorted((numbers[0][key], numbers[1][key]))
            far = {
                "noise": high + 0.5 > _NOISE_APART * (low + 0.5),
                "grid": high - low > _GRID_APART,
                "quality": high > _QUALITY_APART * low,
            }
            if far[key]:
                first, second = (words.format(_number(number[key])) for number in numbers)
                second = second.split(" of ")[-1]
                said[_NUMBERS_SHOWN[key]] = f"{names[0]} has {first}, {names[1]} {second}: that {tail}; {do}"
    (mean_a, contrast_a), (mean_b, contrast_b) = one.colour["brightness"], other.colour["brightness"]
    if abs(mean_a - mean_b) > _BRIGHTNESS_APART:
        said["brightness"] = (
            f"Mean brightness is {mean_a:.0f} in {names[0]} and {mean_b:.0f} in {names[1]}: that {tail}; "
            "set brightness, or normalisation = per-image"
        )
    if max(contrast_a, contrast_b) > _CONTRAST_APART * min(contrast_a, contrast_b):
        said["contrast"] = (
            f"Brightness varies by {contrast_a:.0f} levels in {names[0]} and {contrast_b:.0f} in {names[1]}: that "
            f"{tail}; set contrast, or normalisation = per-image"
        )
    return said


def _size_of(domain: Domain) -> str:
    width, height, _ = domain.sizes[0]
    if domain.cues["one_size"] >= _ONE_SIZE:
        share = "all" if domain.cues["one_size"] == 1.0 else _percent(domain.cues["one_size"])
        return f"'{domain.name}' is {width} x {height} ({share})"
    middle = (domain.quantiles[key][2] for key in ("width", "height"))
    return f"'{domain.name}' is {' x '.join(map(_number, middle))} in the median"


def _count(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _are(count: int) -> str:
    return "is" if count == 1 else "are"


def _percent(share: float | None) -> str:
    if share is None:
        return "-"
    return f"{100 * share:.0f} %" if share in (0.0, 1.0) or 0.01 <= share <= 0.99 else f"{100 * share:.1f} %"


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 100 or value == int(value) else f"{value:.2f}"


# ---- a report ------------------------------------------------------------------------------------------------------

_COLUMNS_WIDE = 80
_FIRST = 20  # characters of the column that says what a row is
_ABREAST = 3  # domains in one table
_CLASSES_SHOWN = 24
_NO_COLOUR = dict.fromkeys(("red", "green", "blue", "brightness"), (0.0, 0.0))
_SHARES_SHOWN = {
    "one_size": "the top size",
    "square": "square",
    "grey": "grey",
    "jpeg": "JPEG",
    "alpha": "alpha channel",
    "bordered": "uniform border",
    "exif": "EXIF",
}
_NUMBERS_SHOWN = {"quality": "JPEG quantisation", "grid": "8 x 8 grid", "noise": "noise"}


def text(inspection: Inspection) -> str:
    """What a terminal of 80 columns shows: the domains side by side, then what they share, then what to do."""
    lines: list[str] = []
    for start in range(0, len(inspection.domains), _ABREAST):
        lines += [*_table(inspection.domains[start : start + _ABREAST]), ""]
    cut = f"near duplicates: {inspection.cut:,} sets of look-alikes were too large to be compared in full"
    notes = [note for domain in inspection.domains for note in domain.notes]
    lines += _listed("Good to know", [*notes, *([cut] if inspection.cut else [])])
    lines += _listed("Files that cannot be used", [row for domain in inspection.domains for row in _broken(domain)])
    lines += _listed("Duplicates", [row for pair in inspection.pairs for row in _duplicates(pair)])
    if inspection.warnings:
        lines.append("What to look at, the most serious first")
        for number, sentence in enumerate(inspection.warnings, start=1):
            lines += _wrapped(f"{number:>3}. ", sentence)
    else:
        lines.append("Nothing stands out.")
    return "\n".join(lines) + "\n"


def _table(domains: Sequence[Domain]) -> list[str]:
    counts = [domain.classes if domain.labelled else {} for domain in domains]
    names = list(dict.fromkeys(name for classes in counts for name in classes))
    names.sort(key=lambda name: -max(classes.get(name, 0) for classes in counts))
    columns = [_column(domain, names[:_CLASSES_SHOWN]) for domain in domains]
    rows = [[key, *(column[key] for column in columns)] for key in columns[0]]
    if len(names) > _CLASSES_SHOWN:
        rows.append([f"  and {len(names) - _CLASSES_SHOWN:,} more"])
    wide = (_COLUMNS_WIDE - _FIRST) // len(domains) - 2
    return [
        "  ".join([_cut(name, _FIRST).ljust(_FIRST), *(_cut(value, wide).ljust(wide) for value in values)]).rstrip()
        for name, *values in rows
        if not values or set(values) != {"-"}
    ]


def _column(d: Domain, classes: Sequence[str]) -> dict[str, str]:
    """What a table says of one domain; rows of which no domain has anything to say are left out."""
    return {
        "": d.name,
        "role": d.role,
        "images": f"{d.tally['used']:,}",
        "cannot be used": f"{d.tally['quarantined']:,}",
        "ignored files": f"{d.tally['ignored']:,}",
        "put right": _counts(d.remarks),
        "formats": _counts(d.formats),
        "modes": _counts(d.modes),
        "splits": _counts(d.splits),
        "groups": f"{d.groups:,}" if d.groups else "-",
        **{key: _spread(d.quantiles.get(key)) for key in ("width", "height", "aspect")},
        "frequent sizes": ", ".join(f"{w} x {h}" for w, h, _ in d.sizes[:2]) or "-",
        **{key: f"{mean:.0f} ± {deviation:.0f}" for key, (mean, deviation) in (d.colour or _NO_COLOUR).items()},
        **{words: _percent(d.cues.get(key)) for key, words in _SHARES_SHOWN.items()},
        **{words: _number(d.cues[key]) if key in d.cues else "-" for key, words in _NUMBERS_SHOWN.items()},
        "too flat to compare": f"{d.structureless:,}" if d.structureless else "-",
        "classes": f"{len(d.classes):,}" if d.labelled else "-",
        **{f"  {name}": f"{d.classes.get(name, 0):,}" if d.labelled else "-" for name in classes},
    }


def _broken(domain: Domain) -> list[str]:
    files = [f"{file}: {reason}" for file, status, reason in domain.rejected if status == "quarantined"]
    return [*files[:5], *([f"and {len(files) - 5:,} more of '{domain.name}'"] if len(files) > 5 else [])]


def _duplicates(pair: Pair) -> list[str]:
    where = f"in '{pair.first}'" if pair.first == pair.second else f"in '{pair.first}' and '{pair.second}'"
    said = []
    for how, files, groups, pairs in (
        ("exact", pair.exact_files, f"{pair.exact_groups:,} contents", pair.exact),
        ("near", pair.near_files, f"{pair.near_pairs:,} pairs", pair.near),
    ):
        if pairs:
            counted = f"{files[0]:,}" if pair.first == pair.second else f"{files[0]:,} and {files[1]:,}"
            said.append(f"{how}, {where}: {counted} images ({groups}), such as {pairs[0][0]} and {pairs[0][1]}")
    return said


def _listed(title: str, sentences: Sequence[str]) -> list[str]:
    lines = [line for sentence in sentences for line in _wrapped("  - ", sentence)]
    return [title, *lines, ""] if lines else []


def _wrapped(mark: str, sentence: str) -> list[str]:
    around = {"initial_indent": mark, "subsequent_indent": " " * len(mark)}
    return textwrap.wrap(_printable(sentence), _COLUMNS_WIDE, break_on_hyphens=False, **around)  # type: ignore[arg-type]


def _cut(value: str, wide: int) -> str:
    value = _printable(value)
    return value if len(value) <= wide else value[: wide - 1] + "…"


def _printable(value: str) -> str:
    """File names may be any bytes; a terminal must not obey them."""
    return "".join(c if c.isprintable() else f"\\x{ord(c) & 0xFF:02x}" for c in value)


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items()) or "-"


def _spread(quantiles: list[float] | None) -> str:
    return f"{_number(quantiles[2])} ({_number(quantiles[0])} to {_number(quantiles[4])})" if quantiles else "-"


# ---- a picture -----------------------------------------------------------------------------------------------------

_SIDE, _GAP, _LEFT, _HEADER = 64, 4, 112, 20  # pixels
_ROWS = 24
_SHEET_BYTES = 300_000
_PAPER, _INK, _FAINT = (228, 228, 228), (20, 20, 20), (100, 100, 100)


def contact_sheet(inspection: Inspection, out: Path, *, per_class: int = 8, seed: int = 0) -> int:
    """Draw a PNG with a row per class and a block per domain; of a domain without classes images at random.

    Args:
        out: the file to write.
        per_class: images of each class and domain, and the width of every block.
        seed: fixes which images.

    Returns:
        How many images it shows.
    """
    domains, looks = inspection.domains, inspection.looks
    totals: Counter[str] = Counter()
    for domain in domains:
        totals.update(domain.classes if domain.labelled else {})
    classes = sorted(totals, key=lambda name: -totals[name])
    rows, left_out = classes[:_ROWS], len(classes) - _ROWS
    height = max(len(rows), 1 if rows else per_class)
    block, step = per_class * (_SIDE + _GAP) + 2 * _GAP, _SIDE + _GAP
    footer = _HEADER if left_out > 0 else 0
    sheet = Image.new("RGB", (_LEFT + len(looks) * block, _HEADER + height * step + footer), _PAPER)
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(11)
    for row, name in enumerate(rows):
        _write(pen, font, (_GAP, _HEADER + row * step + _SIDE // 2 - 6), name, _LEFT - 2 * _GAP)
    if left_out > 0:
        line = f"{left_out:,} less frequent {'class is' if left_out == 1 else 'classes are'} not shown"
        pen.text((_GAP, _HEADER + height * step + 2), line, fill=_FAINT, font=font)
    shown = 0
    for column, (domain, look) in enumerate(zip(domains, looks, strict=True)):
        left = _LEFT + column * block
        title = f"{domain.name} ({domain.role}{'' if domain.labelled else ', at random'})"
        _write(pen, font, (left, 3), title, block - 3 * _GAP)
        order = np.random.default_rng((seed, column)).permutation(len(look))
        for row in range(height):
            if domain.labelled:
                number = look.words.index(rows[row]) if rows[row] in look.words else -1
                chosen = order[look.labels[order] == number][:per_class]
            else:
                chosen = order[row * per_class : (row + 1) * per_class]
            for k, place in enumerate(chosen.tolist()):
                try:
                    picture = Image.fromarray(look.pixels(place, least=2 * _SIDE))
                except (Unusable, OSError):  # gone since the scan
                    continue
                picture = ImageOps.contain(picture, (_SIDE, _SIDE), Image.Resampling.BICUBIC)
                middle = (_SIDE - picture.width) // 2, (_SIDE - picture.height) // 2
                sheet.paste(picture, (left + k * step + middle[0], _HEADER + row * step + middle[1]))
                shown += 1
    _save_small(sheet, out)
    return shown


def _write(pen: ImageDraw.ImageDraw, font: Any, at: tuple[int, int], words: str, wide: int) -> None:
    """As much of a line as fits."""
    words = _printable(words)
    while pen.textlength(words, font=font) > wide:
        words = words.removesuffix("…")[:-1] + "…"
    pen.text(at, words, fill=_INK, font=font)


def _save_small(sheet: Image.Image, out: Path) -> None:
    """With as many colours as the limit allows, at least 32."""
    sheet.save(out, format="PNG")
    for colours in (256, 128, 64, 32):
        if out.stat().st_size > _SHEET_BYTES:
            sheet.quantize(colours, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).save(out, format="PNG")
