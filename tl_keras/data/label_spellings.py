"""Labels that are one label in several spellings, as folders and tables of many hands have them."""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

# So many sets of spellings are named in a message.
_SHOWN = 5
# Characters that show nothing and are not of the category Cf: fillers and variation selectors.
_INVISIBLE = re.compile("[\u034f\u115f\u1160\u3164\uffa0\ufe00-\ufe0f\x00-\x08\x0e-\x1f\x7f]")
# Cyrillic and Greek letters that look like Latin ones, in lower case, and curly apostrophes.
_LOOKALIKES = str.maketrans("аеорсухіјѕһԁԛԝκορναιυ\u2018\u2019", "aeopcyxijshdqwkopvaiu''")


def spellings(labels: Iterable[str]) -> list[tuple[str, ...]]:
    """Labels that differ only in what a person overlooks, those that belong together, sorted.

    That is upper and lower case; blanks, - and _; how a character is composed, or its width;
    letters of another script that look the same; and characters that show nothing.

    >>> spellings(["Crazing", "dent", "crazing", "good part", "good_part"])
    [('Crazing', 'crazing'), ('good part', 'good_part')]
    """
    alike: dict[str, set[str]] = defaultdict(set)
    for label in labels:
        alike[_overlooked(label)].add(label)
    return sorted(tuple(sorted(group)) for group in alike.values() if len(group) > 1)


def joined(labels: Sequence[str]) -> list[str]:
    """The labels in one spelling each: the most frequent, without what shows nothing."""
    counts = Counter(labels)
    chosen: dict[str, str] = {}
    for group in spellings(counts):
        # The first by name where two are as frequent.
        best = min(group, key=lambda label: (-counts[label], label))
        chosen |= dict.fromkeys(group, _clean(best) or best)
    return [chosen.get(label, label) for label in labels]


def in_words(groups: Iterable[Sequence[str]]) -> str:
    r"""Spellings for a message, with codes for what does not show.

    >>> in_words([("Crazing", "crazing"), ("a", "a\u200b")])
    '"Crazing" = "crazing"; "a" = "a\\u200b"'
    """
    listed = [" = ".join(_shown(label, group) for label in group) for group in groups]
    more = f" and {len(listed) - _SHOWN} more" if len(listed) > _SHOWN else ""
    return "; ".join(listed[:_SHOWN]) + more


def _overlooked(label: str) -> str:
    """What is left of a label once all is taken out that a person overlooks."""
    text = unicodedata.normalize("NFKC", _clean(label)).casefold().translate(_LOOKALIKES)
    # Only between words: -1 is not 1.
    spaced = re.sub(r"(?<=\w)[\s_\-\u2010-\u2015]+(?=\w)", " ", unicodedata.normalize("NFKC", text))
    return spaced.strip(" _")


def _clean(label: str) -> str:
    """Without characters that show nothing, and with its characters composed."""
    shown = "".join(c for c in label if unicodedata.category(c) != "Cf")
    return unicodedata.normalize("NFC", _INVISIBLE.sub("", shown)).strip()


def _shown(label: str, group: Sequence[str]) -> str:
    beside_latin = any(other.isascii() for other in group)
    text = (_code(c) if _misleads(c, beside_latin) else c for c in label)
    return f'"{"".join(text)}"'


def _misleads(character: str, beside_latin: bool) -> bool:
    return (
        not character.isprintable()
        or unicodedata.category(character) == "Mn"
        or unicodedata.normalize("NFKC", character) != character
        or (beside_latin and ord(character) in _LOOKALIKES)
    )


def _code(character: str) -> str:
    return character.encode("unicode_escape").decode()
