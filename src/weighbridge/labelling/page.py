"""The page on which labels are given, served or as one file that needs nothing else."""

__all__ = ["offline_page", "served_page", "title_of", "write_offline"]

import base64
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from weighbridge.errors import ConfigError
from weighbridge.files import replace_text
from weighbridge.labelling.answers import NONE_OF_THESE
from weighbridge.labelling.photos import TargetPhotos
from weighbridge.labelling.question import Question
from weighbridge.labelling.sequential import LEVEL

_SIDE = 640  # pixels of a picture in a file
_KEYS = 9  # classes that have a digit each; of more, letters search
_ALONE = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"


def title_of(question: Question) -> str:
    """The question in words."""
    if question.asked == "better":
        return f"Which is better: {question.models[0]} or {question.models[1]}?"
    if question.asked == "accuracy":
        return f"How good is {question.models[0]}?"
    return f"Photos that {question.models[0]} shall learn from"


def served_page(question: Question, base: str, state: dict[str, Any], nonce: str) -> str:
    """HTML that asks for pictures and gives answers below `base`.

    Args:
        base: the path of the page, with a slash at its end.
        state: of `Session.state`.
        nonce: that the policy of the answer allows scripts by.
    """
    setup = {"base": base, "classes": question.classes, "none": NONE_OF_THESE, "state": state}
    return _render(question, setup, nonce=nonce, offline=False, policy="")


def offline_page(question: Question, pictures: Sequence[tuple[bytes, str]]) -> str:
    """HTML that holds its pictures, counts by itself and saves a CSV.

    Args:
        pictures: bytes and media type of each photo of the question.
    """
    files = question.files
    place = {name: k for k, name in enumerate(question.classes)}
    setup = {
        "asked": question.asked,
        "files": files,
        "told": [[place.get(label, -1) for label in told] for told in question.told],
        "models": question.models,
        "photos": question.photos,
        "classes": question.classes,
        "none": NONE_OF_THESE,
        "goal": question.goal,
        "level": LEVEL,
        "key": hashlib.sha256(repr((question.asked, files, question.told)).encode()).hexdigest()[:16],
        "pictures": [f"data:{kind};base64,{base64.b64encode(data).decode()}" for data, kind in pictures],
    }
    return _render(question, setup, nonce="", offline=True, policy=_ALONE)


def write_offline(question: Question, photos: TargetPhotos, out: Path, *, most: int) -> tuple[int, int]:
    """Write the page with the first photos of the question, at most 640 pixels each; what cannot be read is an error.

    Args:
        most: photos to hold.

    Returns:
        How many photos it holds, and its size in bytes.
    """
    if most < 1:
        raise ConfigError(f"--photos must be at least 1, got {most}")
    pictures = [photos.picture(file, side=_SIDE) for file in question.files[:most]]
    replace_text(out, offline_page(question, pictures))
    return len(pictures), out.stat().st_size


def _render(question: Question, setup: dict[str, Any], **values: Any) -> str:
    environment = Environment(
        loader=PackageLoader("weighbridge.labelling", "templates"), autoescape=True, undefined=StrictUndefined
    )
    text = json.dumps(setup).replace("<", "\\u003c")  # so that no name can end the script
    search = len(question.classes) > _KEYS
    template = environment.get_template("label.html.j2")
    return template.render(title=title_of(question), setup=Markup(text), search=search, **values)
