"""The terms of docs/glossary.md: each is a heading, or stands in one between slashes."""

import re
from collections.abc import Iterable

from tests.documentation.pages import ROOT

_HEADING = re.compile(r"^### (.+)$", re.M)
# Headings of columns that are no terms.
PLAIN = {
    *("", "against", "estimate", "experiment", "figure", "images", "of", "photo", "photos"),
    *("readable", "value", "what", "why"),
}
TERMS = {
    term.lower()
    for heading in _HEADING.findall((ROOT / "docs/glossary.md").read_text(encoding="utf-8"))
    for term in heading.split(" / ")
}


def unknown(terms: Iterable[str]) -> set[str]:
    """Those that the glossary lacks."""
    return {term for term in map(str.lower, terms) if term not in TERMS | PLAIN}
