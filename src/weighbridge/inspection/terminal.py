"""An inspection as text for a terminal."""

__all__ = ["text"]

import textwrap
from collections.abc import Sequence

from weighbridge.files import printable
from weighbridge.inspection.records import Domain, Inspection, Pair
from weighbridge.inspection.wording import NUMBERS, SHARES, number, percent

_COLUMNS_WIDE = 80
_FIRST = 20  # characters of the column that says what a row is
_ABREAST = 3  # domains in one table
_CLASSES_SHOWN = 24
_NO_COLOUR = dict.fromkeys(("red", "green", "blue", "brightness"), (0.0, 0.0))


def text(inspection: Inspection) -> str:
    """What a terminal of 80 columns shows: the domains side by side, then what they share, then what to do."""
    lines: list[str] = []
    for start in range(0, len(inspection.domains), _ABREAST):
        lines += [*_table(inspection.domains[start : start + _ABREAST]), ""]
    cut = f"{inspection.cut:,} sets of look-alikes were too large to be searched for near duplicates in full"
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
        **{words: percent(d.cues.get(key)) for key, words in SHARES.items()},
        **{words: number(d.cues[key]) if key in d.cues else "-" for key, words in NUMBERS.items()},
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
    return textwrap.wrap(printable(sentence), _COLUMNS_WIDE, break_on_hyphens=False, **around)  # type: ignore[arg-type]


def _cut(value: str, wide: int) -> str:
    value = printable(value)
    return value if len(value) <= wide else value[: wide - 1] + "…"


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items()) or "-"


def _spread(quantiles: list[float] | None) -> str:
    return f"{number(quantiles[2])} ({number(quantiles[0])} to {number(quantiles[4])})" if quantiles else "-"
