"""An inspection as a picture."""

__all__ = ["contact_sheet"]

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageOps

from weighbridge.data.decode import Unusable
from weighbridge.files import printable, whole_file
from weighbridge.inspection.records import Inspection

_SIDE, _GAP, _LEFT, _HEADER = 64, 4, 112, 20  # pixels
_ROWS = 24
_PAPER, _INK, _FAINT = (228, 228, 228), (20, 20, 20), (100, 100, 100)


def contact_sheet(inspection: Inspection, out: Path, *, per_class: int = 8, seed: int = 0) -> int:
    """Draw a PNG with a row per class and a block per domain; of a domain without classes images at random.

    Args:
        out: the file to write, whole or not at all.
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
    with whole_file(out) as part:
        sheet.save(part, format="PNG", optimize=True)
    return shown


def _write(pen: ImageDraw.ImageDraw, font: Any, at: tuple[int, int], words: str, wide: int) -> None:
    """As much of a line as fits."""
    words = printable(words)
    while pen.textlength(words, font=font) > wide:
        words = words.removesuffix("…")[:-1] + "…"
    pen.text(at, words, fill=_INK, font=font)
