"""Names of classes."""

__all__ = ["lacking", "letters"]

from difflib import get_close_matches


def lacking(names: dict[str, int], there: dict[str, int]) -> dict[str, str]:
    """Names that are not there, in their order, each with the nearest one that is, or ""."""
    by_letters = {letters(name): name for name in there}
    nearest = {}
    for name in names.keys() - there.keys():
        close = get_close_matches(letters(name), by_letters, n=1, cutoff=0.6)
        nearest[name] = by_letters[close[0]] if close else ""
    return {name: nearest[name] for name in names if name in nearest}


def letters(name: str) -> str:
    """What is left of a name when case, spaces, dashes and underscores do not count."""
    return name.lower().translate(dict.fromkeys(map(ord, " -_")))
