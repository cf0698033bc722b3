"""A console of rich that shows text as it stands, whoever wrote it."""

import time
from typing import Any

from rich.console import Console
from rich.text import Text

from tl_keras.safe_text import visible


class SafeConsole(Console):
    """Obeys neither rich's own markup in text nor anything that a terminal would.

    Where words are to be coloured, print a `marked` line.

    Attributes:
        said: when something was printed last, seconds of `time.monotonic`.
    """

    def __init__(self, **options: Any) -> None:
        """Take the options of rich's console, except that text is never markup.

        In a notebook lines are plain text, as in a file.
        """
        super().__init__(**options, markup=False, emoji=False, highlight=False, force_jupyter=False)
        self.said = time.monotonic()

    def print(self, *what: Any, **options: Any) -> None:
        super().print(*what, **options)
        self.said = time.monotonic()

    def render_str(self, text: str, **options: Any) -> Text:
        return super().render_str(visible(text, keep="\n"), **options)


def marked(mark: str, style: str, text: str) -> Text:
    """A line that begins with a coloured word."""
    return Text.assemble((mark, style), " ", visible(text, keep="\n"))
