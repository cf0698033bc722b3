"""The README and the pages of docs/: their blocks of code, and the commands in these."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
NAMES = [page.name for page in PAGES]
# With those that the site shows from elsewhere.
_SHOWN = ("CONTRIBUTING.md", "results/README.md", "results/reference/README.md")
EVERY = (*PAGES, *(ROOT / name for name in _SHOWN))
EVERY_NAME = [str(page.relative_to(ROOT)) for page in EVERY]
SHELLS = ("sh", "powershell")

# A block may have a line before it that says why no test runs it.
_BLOCK = re.compile(
    r"(?:^<!-- not run: (?P<mark>[^\n]+) -->\n)?^```(?P<language>\w+)\n(?P<text>.*?)^```",
    re.S | re.M,
)
# What stands between two commands of a line, or around them.
_BETWEEN = {"&&", "|", ";", "(", ")", ");"}


@dataclass(frozen=True)
class Block:
    """A block of code.

    Attributes:
        language: as the page says it.
        text: of the block.
        mark: why no test runs it; None where one does.
    """

    language: str
    text: str
    mark: str | None


def blocks(page: Path, *languages: str) -> list[Block]:
    """Those of a page in these languages, in their order."""
    found = _BLOCK.finditer(page.read_text(encoding="utf-8"))
    every = [Block(match["language"], match["text"], match["mark"]) for match in found]
    return [block for block in every if block.language in languages]


def commands(text: str) -> list[list[str]]:
    """The words of each command of a block.

    >>> commands("a 'b c' && d  # e")
    [['a', 'b c'], ['d']]
    """
    lines = re.sub(r"(?<=\|)\n\s*|[\\`]\n\s*", "", text).splitlines()
    return [words for line in lines for words in _commands(line)]


def _commands(line: str) -> Iterator[list[str]]:
    lexer = shlex.shlex(line, posix=True, punctuation_chars="();|&")
    lexer.whitespace_split = True
    for between, words in groupby(lexer, key=_BETWEEN.__contains__):
        if not between:
            yield list(words)


def own_arguments(words: list[str]) -> list[str] | None:
    """What follows `tl-keras`; None of another program."""
    if words[0] == "tl-keras":
        return words[1:]
    if words[1:3] == ["-m", "tl_keras.run"]:
        return ["run", *words[3:]]
    return None
