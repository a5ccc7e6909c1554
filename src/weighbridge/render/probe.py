"""What can render here."""

__all__ = ["mitsuba"]

from functools import cache
from typing import Any


@cache
def mitsuba(variant: str) -> Any:
    """Mitsuba in a variant, with one thread."""
    import drjit
    import mitsuba as mi

    mi.set_variant(variant)
    drjit.set_thread_count(1)
    return mi
