"""A table in plain sentences, also where the paper's method did not win."""

__all__ = ["findings", "heading"]

from weighbridge.files import printable
from weighbridge.report.statistics import sampling_error, seeds_in_words, signed
from weighbridge.report.summary import Table, TableRow, difference_to

_SEEN = {"source": "source domain", "target": "target domain", "unseen": "a domain never seen in training"}
_FEW_SEEDS = 5
_NOT_ALIGNED = 0.9  # share of the domain labels still told right at the end; 0.5 is chance
_FORGOTTEN = 3.0  # points on held-out source images below training on the source alone
_SURE = 3.0  # sampling errors above chance: an accuracy below this is nothing learned


def heading(table: Table) -> str:
    """Such as "tested on photos: target domain, 240 images"."""
    entry = table.evaluation
    if entry is None:
        return "not tested: there are no labelled images"
    same = ", the very images that were trained on" if entry["trained_on"] else ""
    return f"tested on {printable(entry['name'])}: {_SEEN[entry['seen']]}, {entry['images']:,} images{same}"


def findings(table: Table) -> list[str]:
    """What the table says, in words; on the source domain there is nothing to adapt to, and nothing is said."""
    if table.evaluation is not None and table.evaluation["seen"] == "source":
        return []
    said = [
        f"{row.name}: {row.diverged} of {table.seeds} seeds diverged and are left out."
        for row in table.rows
        if row.diverged
    ]
    said += [f"{row.name}: {row.caution}." for row in table.rows if row.caution]
    if table.evaluation_images is None:
        said.append(
            "No labelled photos were given, so accuracy on photos is not known. "
            "Label a hundred or so, and name their folder with --evaluation."
        )
        return said + _without_labels(table)
    scored = [row for row in table.rows if row.accuracy is not None]
    if not scored:
        return said
    best = max(scored, key=lambda row: row.accuracy or 0.0)
    fewer = f" over {seeds_in_words(best.n)} of {table.seeds}" if best.n < table.seeds else ""
    said.insert(0, f"Highest mean accuracy: {best.name} with {best.accuracy:.1f} %{fewer}.")
    nothing_learned = table.chance + _SURE * sampling_error(table.chance, table.evaluation_images)
    for row in scored:
        if row.method == "weighted-dann" and row.weighting == "paper":
            said += _verdict(row, "dann", "DANN")
            said += _share_of_weights(row)
        if row.method != "source-only":
            said += _against_source(row)
            said += _on_its_own_source(row, table)
        if row.domain_accuracy is not None and row.domain_accuracy > _NOT_ALIGNED:
            said.append(
                f"{row.name} did not align the domains: at the end its domain classifier is right about "
                f"{100 * row.domain_accuracy:.0f} % of the images (50 % is chance)."
            )
        if row.accuracy is not None and row.accuracy < nothing_learned:
            said.append(f"{row.name} is at chance ({table.chance:.1f} %): its training collapsed.")
    if any((row.domain_accuracy or 0.0) > _NOT_ALIGNED for row in scored):
        said.append("Run weighbridge inspect: it lists what gives the domains away without a look at content.")
    if table.seeds < _FEW_SEEDS:
        few = "One seed is" if table.seeds == 1 else f"{table.seeds} seeds are"
        said.append(f"{few} few: intervals are wide, and a small difference may be luck.")
    return said


def _without_labels(table: Table) -> list[str]:
    shares = [f"{row.name} {row.disagreement:.1f} %" for row in table.rows if row.disagreement is not None]
    if not shares:
        return []
    return [
        f"Two seeds take this share of the photos for different classes: {', '.join(shares)}. "
        "Where two models disagree, at least one is wrong, so the mean error is at least half of it. "
        "Low disagreement does not prove low error."
    ]


def _verdict(row: TableRow, to: str, other: str) -> list[str]:
    interval = difference_to(row, to)
    if interval is None:
        return []
    size = f"{signed(interval)} points over {seeds_in_words(interval.n)}"
    if interval.low is None or interval.high is None:
        return [f"{row.name} against {other}: {size}. One seed shows no spread, so this proves nothing."]
    if interval.low > 0:
        return [f"{row.name} beat {other}: {size}."]
    if interval.high < 0:
        return [f"{row.name} lost to {other}: {size}."]
    return [f"{row.name} against {other}: {size}, which may be luck."]


def _share_of_weights(row: TableRow) -> list[str]:
    interval = difference_to(row, "uniform")
    if interval is None:
        return []
    unsure = interval.low is None or interval.high is None or interval.low <= 0 <= interval.high
    verdict = ", which may be luck" if unsure else ""
    return [
        f"The weights of {row.name}: {signed(interval)} points over {seeds_in_words(interval.n)} "
        f"against all weights at 1{verdict}."
    ]


def _against_source(row: TableRow) -> list[str]:
    interval = difference_to(row, "source-only")
    if interval is None or interval.low is None or interval.high is None:
        return []
    if interval.high < 0:
        return [f"Negative transfer: {row.name} is worse than not adapting at all, {signed(interval)} points."]
    if interval.low > 0:
        return [f"{row.name} helped: {signed(interval)} points over source only."]
    return [f"{row.name} against source only: {signed(interval)} points, which may be luck."]


def _on_its_own_source(row: TableRow, table: Table) -> list[str]:
    """What may lie behind a low accuracy and has nothing to do with the target."""
    alone = next((other.source_accuracy for other in table.rows if other.method == "source-only"), None)
    if alone is None or row.source_accuracy is None or row.source_accuracy > alone - _FORGOTTEN:
        return []
    return [
        f"{row.name} knows the renders less well than source only: {row.source_accuracy:.1f} against {alone:.1f} % of "
        "those held out. It was trained on them too little, or forgot them while adapting."
    ]
