"""Names of classes and of domains."""

__all__ = ["distinct_names", "lacking", "letters"]

from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path


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


def distinct_names(paths: Sequence[Path]) -> list[str]:
    """What to call domains: their folders, with the folders above or a number where two would be called the same."""
    names = [path.resolve().name if path.is_dir() else path.stem for path in paths]
    longer = [f"{path.resolve().parent.name}/{name}" for path, name in zip(paths, names, strict=True)]
    names = [long if names.count(name) > 1 else name for name, long in zip(names, longer, strict=True)]
    return [f"{name} ({k + 1})" if names.count(name) > 1 else name for k, name in enumerate(names)]
