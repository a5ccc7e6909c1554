"""A table in plain sentences, also where the paper's method did not win."""

__all__ = ["findings", "heading"]

from weighbridge.files import printable
from weighbridge.report.statistics import sampling_error, seeds_in_words, signed
from weighbridge.report.summary import BEST_CONTROL, Contrast, PrimaryContrast, Table, TableRow, contrast_to

_SEEN = {"source": "source domain", "target": "target domain", "unseen": "a domain never seen in training"}
_FEW_SEEDS = 5
_NOT_ALIGNED = 0.9  # share of the domain labels still told right at the end; 0.5 is chance
_FORGOTTEN = 3.0  # points on held-out source images below training on the source alone
_SURE = 3.0  # sampling errors above chance: an accuracy below this is nothing learned
_CONTROLS_OF_A_FAIR_TABLE = 2  # with fewer, part of a gain may belong to no adaptation at all


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
    said = [_diverged(row, table) for row in table.rows if row.diverged]
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
    if table.primary is not None:
        said.insert(0, _named_beforehand(table.primary))
    said += _exploratory(table)
    nothing_learned = table.chance + _SURE * sampling_error(table.chance, table.evaluation_images)
    for row in scored:
        if row.method == "weighted-dann" and row.weighting == "paper":
            said += _verdict(row, "dann")
            said += _share_of_weights(row)
        said += _against_controls(row, table)
        if not row.control:
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
    said += _few_controls(table)
    if table.seeds < _FEW_SEEDS:
        few = "One seed is" if table.seeds == 1 else f"{table.seeds} seeds are"
        said.append(f"{few} few: intervals are wide, and a small difference may be luck.")
    return said


def _diverged(row: TableRow, table: Table) -> str:
    counted = f"count as {row.counts_as}, which their users would have had" if row.counts_as else "are left out"
    return f"{row.name}: {row.diverged} of {table.seeds} seeds diverged and {counted}."


def _named_beforehand(primary: PrimaryContrast) -> str:
    """The verdict on the primary contrast: a gain, a loss, no harm, or nothing that could be told."""
    interval = primary.estimate.interval()
    about = f"Named beforehand: {primary.method} less {primary.control} is {signed(interval)} points."
    if interval.low is None or interval.high is None or interval.n < 2:
        return f"{about} One seed shows no spread, so this proves nothing."
    if interval.low > 0:
        return f"{about} It is a gain."
    if interval.high < 0 and primary.below_all:
        return f"{about} It is a loss: negative transfer."
    if primary.diverged:
        return f"{about} {primary.diverged} of its seeds diverged, so no harm is not claimed."
    margin = f"{primary.margin:g} point{'' if primary.margin == 1 else 's'}"
    if primary.estimate.not_below(primary.margin):
        return f"{about} It is no harm of {margin} or more, and may be no gain."
    return f"{about} A harm of {margin} is not ruled out."


def _exploratory(table: Table) -> list[str]:
    """That what follows was not named beforehand, and how many looks its verdicts are corrected for."""
    looks = [contrast for row in table.rows for contrast in row.contrasts if not table.named(contrast)]
    count = sum(contrast.p is not None for contrast in looks)
    if not looks:
        return []
    if count < 2:
        return ["All comparisons below are exploratory: they were not named beforehand."]
    return [
        f"All comparisons below are exploratory. Their verdicts are corrected for {count} comparisons (Holm); "
        "their intervals are not."
    ]


def _without_labels(table: Table) -> list[str]:
    shares = [f"{row.name} {row.disagreement:.1f} %" for row in table.rows if row.disagreement is not None]
    if not shares:
        return []
    return [
        f"Two seeds take this share of the photos for different classes: {', '.join(shares)}. "
        "Where two models disagree, at least one is wrong, so the mean error is at least half of it. "
        "Low disagreement does not prove low error."
    ]


def _size(contrast: Contrast) -> str:
    return f"{signed(contrast.estimate.interval())} points over {seeds_in_words(contrast.estimate.n)}"


def _luck(contrast: Contrast) -> str:
    """Behind a difference that is not clear; some are clear by themselves, and not among all that were looked at."""
    interval = contrast.estimate.interval()
    alone = interval.low is not None and interval.high is not None and not interval.low <= 0 <= interval.high
    return ", which may be luck among so many comparisons" if alone else ", which may be luck"


def _verdict(row: TableRow, to: str) -> list[str]:
    contrast = contrast_to(row, to)
    if contrast is None:
        return []
    if contrast.p is None:
        shown = f"{row.name} against {contrast.name}: {_size(contrast)}."
        return [f"{shown} One seed shows no spread, so this proves nothing."]
    if contrast.clear:
        return [f"{row.name} {'beat' if contrast.estimate.mean > 0 else 'lost to'} {contrast.name}: {_size(contrast)}."]
    return [f"{row.name} against {contrast.name}: {_size(contrast)}{_luck(contrast)}."]


def _share_of_weights(row: TableRow) -> list[str]:
    contrast = contrast_to(row, "uniform")
    if contrast is None:
        return []
    verdict = "" if contrast.clear else _luck(contrast)
    return [f"The weights of {row.name}: {_size(contrast)} against all weights at 1{verdict}."]


def _against_controls(row: TableRow, table: Table) -> list[str]:
    """Whether adapting helped: against the best that was had without it. What was named beforehand is said already."""
    contrast = contrast_to(row, BEST_CONTROL)
    if contrast is None or contrast.p is None or table.named(contrast):
        return []
    size = f"{signed(contrast.estimate.interval())} points"
    if not contrast.clear:
        return [f"{row.name} against the best control, {contrast.name}: {size}{_luck(contrast)}."]
    if contrast.estimate.mean < 0 and not contrast.below_all:
        return [f"{row.name} is below the best control, {contrast.name}, and not clearly below every control: {size}."]
    if contrast.estimate.mean < 0:
        return [f"Negative transfer: {row.name} is worse than the best control, {contrast.name}, {size}."]
    return [f"{row.name} helped: {size} over the best control, {contrast.name}."]


def _few_controls(table: Table) -> list[str]:
    controls = [row.name for row in table.rows if row.control]
    if len(controls) >= _CONTROLS_OF_A_FAIR_TABLE or all(row.control for row in table.rows):
        return []
    there = f"{controls[0]} is the only control" if controls else "No control is in the table"
    return [
        f"{there}. Add source-only-ema, adabn and source-only-continued: a part of a gain may come without adapting."
    ]


def _on_its_own_source(row: TableRow, table: Table) -> list[str]:
    """What may lie behind a low accuracy and has nothing to do with the target."""
    alone = next((other.source_accuracy for other in table.rows if other.method == "source-only"), None)
    if alone is None or row.source_accuracy is None or row.source_accuracy > alone - _FORGOTTEN:
        return []
    return [
        f"{row.name} knows the renders less well than source only: {row.source_accuracy:.1f} against {alone:.1f} % of "
        "those held out. It was trained on them too little, or forgot them while adapting."
    ]
