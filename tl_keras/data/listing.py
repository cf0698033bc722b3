"""What a source of images lists, before it becomes an `ImageTable`."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from tl_keras.safe_text import one_line


@dataclass(frozen=True)
class ListedImage:
    """One picture: its id, absolute path and label, and what the source says beyond that."""

    image_id: str
    path: str
    label: str
    group: str | None = None
    split: str | None = None


@dataclass(frozen=True)
class IgnoredFile:
    """A file or folder of the source that is not used, and why."""

    path: str
    reason: str


@dataclass(frozen=True)
class Listing:
    """All that a source holds. `notice` is to be shown wherever figures of it are."""

    images: tuple[ListedImage, ...]
    ignored: tuple[IgnoredFile, ...] = ()
    notice: str | None = None


def some_of(names: Iterable[str], limit: int = 10) -> str:
    """Join the first names for a message, each on one line, and say how many more there are."""
    listed = list(names)
    more = f" and {len(listed) - limit} more" if len(listed) > limit else ""
    return ", ".join(map(one_line, listed[:limit])) + more


def where_paths_start(path: str) -> str:
    """What to say of a path that leads to nothing."""
    if re.search(r"\$[\w{]|%\w+%", path):
        return "variables such as $HOME are not replaced in paths: write them out"
    return "relative paths start from the working directory"
