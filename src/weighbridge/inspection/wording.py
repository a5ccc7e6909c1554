"""Numbers and names as a terminal and a picture show them."""

__all__ = ["NUMBERS", "SHARES", "are", "count_of", "number", "percent"]


SHARES = {
    "one_size": "the top size",
    "square": "square",
    "grey": "grey",
    "jpeg": "JPEG",
    "alpha": "alpha channel",
    "bordered": "uniform border",
    "exif": "EXIF",
}
NUMBERS = {"quality": "JPEG quantisation", "grid": "8 x 8 grid", "noise": "noise"}


def count_of(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def are(count: int) -> str:
    return "is" if count == 1 else "are"


def percent(share: float | None) -> str:
    if share is None:
        return "-"
    return f"{100 * share:.0f} %" if share in (0.0, 1.0) or 0.01 <= share <= 0.99 else f"{100 * share:.1f} %"


def number(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.2f}".rstrip("0").rstrip(".")
