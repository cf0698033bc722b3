"""What lies in a folder: its pictures, and what is left out and why. One rule for all commands."""

import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from tl_keras.data.image_formats import format_by_name, formats_in_words
from tl_keras.data.listing import IgnoredFile, some_of
from tl_keras.path_kinds import is_inside
from tl_keras.safe_text import readable_name

# The names from a folder down to something in it.
Parts = tuple[str, ...]

# What file systems, file managers and storage boxes put into folders, in any case.
_MADE_BY_SYSTEMS = frozenset(
    {
        "@eadir",
        "#recycle",
        "#snapshot",
        "@recycle",
        "@recently-snapshot",
        "@sharebin",
        "__macosx",
        "thumbs.db",
        "ehthumbs.db",
        "ehthumbs_vista.db",
        "desktop.ini",
        "icon\r",
        "lost+found",
        "$recycle.bin",
        "recycler",
        "system volume information",
        "found.000",
        "__pycache__",
    }
)
_LINK = "link to a folder"
_NO_UTF_8 = "name is not valid UTF-8"
UNREADABLE = "cannot be read"


@dataclass(frozen=True)
class FolderContents:
    """All that lies in a folder and below, in the order of the names.

    Attributes:
        pictures: files that are named like pictures.
        folders: that were looked into.
        left_out: everything else, and why; what lies in a folder that is left out is not listed.
    """

    pictures: tuple[Parts, ...]
    folders: tuple[Parts, ...]
    left_out: tuple[tuple[Parts, str], ...]

    @cached_property
    def inside(self) -> Counter[Parts]:
        """Number of pictures in each folder and below; folders without any are missing."""
        return Counter(p[:depth] for p in self.pictures for depth in range(1, len(p)))

    @cached_property
    def loose(self) -> Counter[Parts]:
        """Number of pictures directly in each folder."""
        return Counter(p[:-1] for p in self.pictures)

    @cached_property
    def folders_in(self) -> Mapping[Parts, list[Parts]]:
        """The folders directly in each folder."""
        found: dict[Parts, list[Parts]] = defaultdict(list)
        for parts in self.folders:
            found[parts[:-1]].append(parts)
        return found

    def holding_in(self, folder: Parts) -> list[Parts]:
        """The folders directly in a folder that have pictures in them or below."""
        return [parts for parts in self.folders_in.get(folder, []) if parts in self.inside]

    def ignored(self, below: Parts = ()) -> list[IgnoredFile]:
        """What is left out below a folder, as it can be printed and stored."""
        size = len(below)
        return [IgnoredFile(readable(p), why) for p, why in self.left_out if p[:size] == below]


def look_into(
    root: Path, follows_link: Callable[[Parts], bool] = lambda parts: False
) -> FolderContents:
    """List a folder without opening a file.

    Hidden files, what systems put there, broken links, whatever is no regular file, and links to
    folders are left out, and folders that cannot be read.

    Args:
        root: the folder.
        follows_link: whether a link to a folder at this place is looked into all the same, unless
            it leads to where its pictures would be found twice.

    Raises:
        OSError: the folder itself cannot be read.
    """
    pictures: list[Parts] = []
    folders: list[Parts] = []
    left_out: list[tuple[Parts, str]] = []
    # Not by recursion: folders may lie deeper than Python's stack.
    waiting = _entries(root, ())
    while waiting:
        parts, entry = waiting.pop()
        reason = _reason_to_leave_out(entry)
        if reason == _LINK and follows_link(parts) and _leads_elsewhere(entry.path, root):
            reason = None
        if reason is None and entry.is_dir():
            try:
                waiting += _entries(entry.path, parts)
                folders.append(parts)
            except OSError as error:
                reason = f"{UNREADABLE}: {error.strerror}"
        elif reason is None:
            pictures.append(parts)
        if reason is not None:
            left_out.append((parts, reason))
    found = FolderContents(tuple(pictures), tuple(folders), tuple(left_out))
    empty = {p for p in folders if format_by_name(p[-1]) is not None and p not in found.inside}
    return replace(
        found,
        folders=tuple(parts for parts in folders if parts not in empty),
        left_out=(*left_out, *((parts, "a folder without pictures") for parts in sorted(empty))),
    )


def left_out_in_words(ignored: Iterable[IgnoredFile], limit: int = 3) -> str:
    """What is left out, for a sentence: counts and the first names for each reason.

    >>> left_out_in_words([IgnoredFile("a/.b.png", "hidden"), IgnoredFile(".c", "hidden")])
    '2 hidden (a/.b.png, .c)'
    """
    of_reason: dict[str, list[str]] = defaultdict(list)
    for file in ignored:
        of_reason[file.reason].append(file.path)
    return "; ".join(
        f"{len(paths)} {reason} ({some_of(paths, limit)})" for reason, paths in of_reason.items()
    )


def readable(parts: Parts) -> str:
    """A place in a folder as text."""
    return readable_name("/".join(parts))


def _entries(folder: str | Path, above: Parts) -> list[tuple[Parts, "os.DirEntry[str]"]]:
    """What lies in a folder, the last name first."""
    with os.scandir(folder) as found:
        entries = [((*above, entry.name), entry) for entry in found]
    return sorted(entries, key=lambda pair: pair[0], reverse=True)


def _reason_to_leave_out(entry: "os.DirEntry[str]") -> str | None:
    if entry.name.startswith("."):
        return "hidden"
    if entry.name.lower() in _MADE_BY_SYSTEMS:
        return "made by the system"
    try:
        if any("\udc80" <= character <= "\udcff" for character in entry.name):
            # of a file little is lost; a folder may be a class
            return f"{UNREADABLE}: {_NO_UTF_8}" if entry.is_dir() else _NO_UTF_8
        if entry.is_dir():
            return _LINK if entry.is_symlink() else None
        if entry.is_file():
            wrong = format_by_name(entry.name) is None
            return f"not a {formats_in_words()} file" if wrong else None
        return "broken link" if entry.is_symlink() else "not a regular file"
    except OSError:
        # a link to itself, or to where nobody may look
        return "broken link"


def _leads_elsewhere(link: str, root: Path) -> bool:
    return not (is_inside(link, root) or is_inside(root, link))
