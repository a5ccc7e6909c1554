"""A contact sheet: a row of images per class, a group of columns per quality."""

__all__ = ["sheet"]

from collections.abc import Callable, Sequence
from pathlib import Path

from PIL import Image, ImageDraw

from weighbridge.errors import ConfigError
from weighbridge.files import whole_file
from weighbridge.render.painter import Painter, chosen_classes
from weighbridge.render.probe import variant_for
from weighbridge.render.recipe import Recipe

_LINE, _GAP = 14, 8  # height of a line of text and space between groups, in pixels
_LETTER = 6.2  # mean width of one, in pixels
_FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}


def sheet(
    recipe: Recipe,
    qualities: Sequence[str],
    path: Path,
    *,
    columns: int = 4,
    classes: Sequence[str] | None = None,
    variant: str = "auto",
    progress: Callable[[int, int], None] | None = None,
) -> list[dict[str, str]]:
    """Draw a sheet, whole or not at all. Real-time and pre-rendered columns show the same scenes.

    Args:
        recipe: what to render.
        qualities: one group of columns each.
        path: .png, .jpg or .webp.
        columns: images of a class in each group.
        classes: which ones; None is all of the family's.
        variant: of Mitsuba.
        progress: called with (images done, images to do).

    Returns:
        For each image its class as `label` and the notes of its scene, as in metadata.csv.
    """
    if path.suffix.lower() not in _FORMATS:
        raise ConfigError(f"a contact sheet is a .png, .jpg or .webp, got '{path}'")
    if columns < 1:
        raise ConfigError(f"a contact sheet needs at least one image per class, got {columns}")
    painters = [Painter(recipe, quality, variant=variant_for(quality, variant)) for quality in qualities]
    names = chosen_classes(painters[0].family, classes)
    size, total, done = recipe.size, len(names) * len(painters) * columns, 0
    left = int(max(map(len, names)) * _LETTER) + _GAP
    width = left + len(painters) * (columns * size + _GAP)
    page = Image.new("RGB", (width, _LINE + len(names) * size), "white")
    pen = ImageDraw.Draw(page)
    rows = []
    for group, painter in enumerate(painters):
        start = left + group * (columns * size + _GAP)
        pen.text((start, 1), painter.quality, fill="black")
        for row, name in enumerate(names):
            top = _LINE + row * size
            pen.text((2, top + size // 2 - 6), name, fill="black")
            for column in range(columns):
                picture = painter.paint(name, column)
                page.paste(Image.fromarray(picture.pixels), (start + column * size, top))
                rows.append({"label": name, **dict(zip(painter.family.notes, picture.notes, strict=True))})
                done += 1
                if progress is not None:
                    progress(done, total)
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as part:
        page.save(part, format=_FORMATS[path.suffix.lower()], quality=82)  # a .png has none and takes no notice
    return rows
