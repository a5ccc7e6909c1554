"""What domains are called where people read of them."""

__all__ = ["distinct_names", "domain_name"]

from collections.abc import Sequence
from pathlib import Path


def domain_name(path: Path) -> str:
    """A domain is called like its folder, or like its file without the suffix."""
    return path.resolve().name if path.is_dir() else path.stem


def distinct_names(names: Sequence[str], paths: Sequence[Path]) -> tuple[str, ...]:
    """Names of domains told apart: where two are the same with the folders above, and else with their numbers.

    Args:
        names: what each would be called by itself.
        paths: where each lies.
    """
    longer = [f"{path.resolve().parent.name}/{name}" for name, path in zip(names, paths, strict=True)]
    names = [long if names.count(name) > 1 else name for name, long in zip(names, longer, strict=True)]
    return tuple(f"{name} ({k + 1})" if names.count(name) > 1 else name for k, name in enumerate(names))
