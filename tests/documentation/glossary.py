"""The terms of the glossary: each is a heading, or stands in one between slashes."""

from collections.abc import Iterable

from tl_keras.reporting.terms import glossary

# Headings of columns that are no terms.
PLAIN = {
    *("", "against", "estimate", "experiment", "figure", "images", "of", "photo", "photos"),
    *("readable", "value", "what", "why"),
}
TERMS = {name.lower() for names, _ in glossary() for name in names}


def unknown(terms: Iterable[str]) -> set[str]:
    """Those that the glossary lacks."""
    return {term for term in map(str.lower, terms) if term not in TERMS | PLAIN}
