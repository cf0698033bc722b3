"""The terms of a page, explained on it."""

import functools
import re
from html import unescape
from importlib.resources import files

_TERM = re.compile(r"^### (.+)\n\n((?:[^#\n].*\n)+)", re.M)
_TAG = re.compile(r"<[^>]*>")


@functools.cache
def glossary() -> tuple[tuple[tuple[str, ...], str], ...]:
    """Every term by all its names, and what it means, in the order of the glossary."""
    text = files("tl_keras.reporting").joinpath("templates/glossary.md").read_text("utf-8")
    return tuple(
        (tuple(heading.split(" / ")), " ".join(meaning.replace("`", "").split()))
        for heading, meaning in _TERM.findall(text)
    )


def terms(page: str) -> list[tuple[str, str]]:
    """Those that a page uses, names and meaning.

    Args:
        page: HTML; what stands in its tags does not count.
    """
    text = unescape(_TAG.sub(" ", page)).lower()
    return [
        (" / ".join(names), meaning)
        for names, meaning in glossary()
        if any(re.search(rf"\b{re.escape(name.lower())}s?\b", text) for name in names)
    ]
