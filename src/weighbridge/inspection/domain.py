"""One domain described."""

__all__ = ["describe"]

from collections.abc import Sequence
from difflib import get_close_matches

import numpy as np

from weighbridge.data.layouts import empty_classes, kind_of
from weighbridge.inspection.cues import pixel_cues
from weighbridge.inspection.looks import Look
from weighbridge.inspection.names import letters
from weighbridge.inspection.records import Domain
from weighbridge.watch import Progress

_FEW = 0.1  # of the median class
_ALPHA = {"RGBA", "RGBa", "LA", "La", "PA"}


def describe(k: int, looks: Sequence[Look], sample: int, seed: int, progress: Progress | None) -> Domain:
    look, role = looks[k], ("source", "target")[k] if k < 2 else "evaluation"
    counted = np.bincount(look.labels, minlength=len(look.words)).tolist()
    classes = dict(zip(look.words, counted, strict=True)) if len(look) else {}
    without = classes.pop("", 0)
    known = {letters(word) for word in looks[0].words if word}
    labelled = bool(classes) and (k == 0 or any(get_close_matches(letters(word), known, 1, 0.75) for word in classes))
    median = float(np.median(list(classes.values()))) if classes else 0.0
    notes = []
    if classes and not labelled:
        notes.append(
            f"no folder of '{look.name}' has the name of a class of '{looks[0].name}'. Folders are taken as nesting"
        )
    widths, heights = look.sizes.T
    measured = {"width": widths, "height": heights, "aspect": widths / heights} if len(look) else {}
    quantiles = {key: np.quantile(v, (0, 0.25, 0.5, 0.75, 1)).round(3).tolist() for key, v in measured.items()}
    shapes, often = np.unique(look.sizes, axis=0, return_counts=True)
    top = np.argsort(-often, kind="stable")[:5]
    sampled, cues = pixel_cues(look, sample, seed, progress)
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
        tally=dict(look.content.tally),
        rejected=[(r.file, r.status, r.reason) for r in look.content.rejected("quarantined", "ignored")],
        remarks=dict(look.counts["remarks"]),
        formats=dict(look.counts["format"].most_common()),
        modes=dict(look.counts["mode"].most_common()),
        labelled=labelled,
        classes=classes,
        without_class=without if classes else 0,
        near_empty={name: n for name, n in classes.items() if n < max(2.0, _FEW * median)} if labelled else {},
        empty_classes=empty_classes(look.path) if labelled else [],
        splits={word: int((look.splits == n).sum()) for n, word in enumerate(look.split_words) if word},
        groups=look.groups,
        quantiles=quantiles,
        sizes=[(*shapes[n].tolist(), int(often[n])) for n in top],
        colour=look.colour,
        structureless=int((~look.marks.structured).sum()),
        sampled=sampled,
        cues=cues,
        notes=notes,
    )
