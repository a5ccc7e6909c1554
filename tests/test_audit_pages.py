"""The pages for people who check us are written in short sentences."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = ("docs/results.md", "docs/defaults.md", "docs/decisions.md", "docs/benchmarks.md")
MOST_WORDS = 35


def sentences(text):
    """Of prose: without code, tables and headings. A list item starts a sentence, and so does an empty line."""
    text = re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S)
    text = re.sub(r"^(\||#).*$", "", text, flags=re.M)
    text = re.sub(r"`[^`]*`", "code", text)
    for block in re.split(r"\n\s*\n|^\s*(?:[-*>]|\d+\.) ", text, flags=re.M):
        for sentence in re.split(r"(?<=[.!?:])\s+", " ".join(block.split())):
            if sentence:
                yield sentence


def long_ones(text):
    return [sentence for sentence in sentences(text) if len(sentence.split()) > MOST_WORDS]


def test_a_long_sentence_is_found_in_prose_alone():
    long = " ".join(["word"] * (MOST_WORDS + 1))
    assert long_ones(f"Short.\nThis is\n{long}.")
    assert long_ones(f"- Short.\n- {long}")
    assert not long_ones(f"# {long}\n\n| {long} |\n\n```\n{long}\n```\n")
    assert not long_ones("- half of it\n" + "- " + " ".join(["word"] * MOST_WORDS))


@pytest.mark.parametrize("page", PAGES)
def test_no_sentence_is_too_long(page):
    assert long_ones((ROOT / page).read_text(encoding="utf-8")) == []
