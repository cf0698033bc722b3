"""The photos of a folder, and those that come into it."""

import os
import stat
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

ENDINGS = frozenset(
    (".bmp", ".gif", ".jfif", ".jpe", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
)
FORMATS = "JPEG, PNG, BMP, GIF, TIFF or WEBP"
# What file systems, file managers and storage boxes put into folders, in any case.
MADE_BY_SYSTEMS = frozenset(
    (
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
    )
)
_SECONDS = 0.5
# Names that are told for each reason.
_TOLD = 3

# A place in a folder, and why it is left out.
LeftOut = tuple[str, str]


class NoPhotosError(Exception):
    """There is nothing to classify; the message says what to name."""


def find_photos(paths: Sequence[Path]) -> tuple[list[Path], list[LeftOut]]:
    """The files among paths, whatever their names, and the photos in folders and below.

    Args:
        paths: Files, folders, and patterns of their names such as `*.jpg`.

    Returns:
        These, and what the folders hold beside them.

    Raises:
        NoPhotosError: A path is neither file nor folder, or there is nothing to classify.
    """
    found: list[Path] = []
    left_out: list[LeftOut] = []
    for path in _named(paths):
        if path.is_dir():
            photos, others = look_into(path)
            found += photos
            left_out += others
        else:
            _check_is_file(path)
            found.append(path)
    if not found:
        there = f" Left out: {in_words(left_out)}." if left_out else ""
        raise NoPhotosError(
            f"Nothing to classify in {', '.join(map(str, paths))}: a folder must hold files named "
            f"{', '.join(sorted(ENDINGS))}.{there}"
        )
    return found, left_out


def look_into(folder: Path) -> tuple[list[Path], list[LeftOut]]:
    """The photos in a folder and below, in the order of their names, and what is left out.

    Raises:
        OSError: The folder itself cannot be read.
    """
    photos: list[Path] = []
    left_out: list[LeftOut] = []
    # folders that are named like photos; those with none below are told
    doubtful: list[Path] = []
    waiting = _entries(folder)
    while waiting:
        entry = waiting.pop()
        path, reason = Path(entry.path), _why_not(entry)
        if reason is None and entry.is_dir():
            try:
                waiting += _entries(path)
                if path.suffix.lower() in ENDINGS:
                    doubtful.append(path)
            except OSError as error:
                reason = f"cannot be read: {error.strerror}"
        elif reason is None:
            photos.append(path)
        if reason is not None:
            left_out.append((_place(path, folder), reason))
    above = {parent for path in photos for parent in path.parents}
    empty = [_place(path, folder) for path in doubtful if path not in above]
    return photos, left_out + [(place, "a folder without pictures") for place in sorted(empty)]


def in_words(left_out: Iterable[LeftOut]) -> str:
    """Counts and the first names for each reason."""
    of_reason: dict[str, list[str]] = defaultdict(list)
    for place, reason in left_out:
        of_reason[reason].append(place)
    return "; ".join(
        f"{len(places)} {reason} ({_some_of(places)})" for reason, places in of_reason.items()
    )


def _some_of(places: Sequence[str]) -> str:
    more = f" and {len(places) - _TOLD} more" if len(places) > _TOLD else ""
    return ", ".join(places[:_TOLD]) + more


def _named(paths: Sequence[Path]) -> Iterator[Path]:
    """The paths, with what patterns stand for: who starts it on Windows leaves them as they are."""
    for path in paths:
        matching = [] if path.exists() else sorted(path.parent.glob(path.name))
        yield from matching or [path]


def _check_is_file(path: Path) -> None:
    """Open nothing that is no file: a pipe would be waited for, a device has no end."""
    try:
        mode = path.stat().st_mode
    except OSError as error:
        why = error.strerror or str(error)
        if isinstance(error, (FileNotFoundError, NotADirectoryError)):
            why = "there is no such path"
        raise NoPhotosError(f"{path} must be a file or a folder; {why}.") from error
    if not stat.S_ISREG(mode):
        raise NoPhotosError(
            f"{path} must be a file or a folder; got a pipe, socket or device. Save the photo as a "
            "file."
        )


def _entries(folder: Path) -> list["os.DirEntry[str]"]:
    """What lies in a folder, the last name first."""
    with os.scandir(folder) as found:
        return sorted(found, key=lambda entry: entry.name, reverse=True)


def _place(path: Path, folder: Path) -> str:
    return os.fsencode(path.relative_to(folder).as_posix()).decode(errors="replace")


def _why_not(entry: "os.DirEntry[str]") -> str | None:
    """Why something in a folder is left out; None of a photo, and of a folder to look into."""
    if entry.name.startswith("."):
        return "hidden"
    if entry.name.lower() in MADE_BY_SYSTEMS:
        return "made by the system"
    try:
        if any("\udc80" <= character <= "\udcff" for character in entry.name):
            wrong = "name is not valid UTF-8"
            return f"cannot be read: {wrong}" if entry.is_dir() else wrong
        if entry.is_dir():
            return "link to a folder" if entry.is_symlink() else None
        if entry.is_file():
            known = Path(entry.name).suffix.lower() in ENDINGS
            return None if known else f"not a {FORMATS} file"
        return "broken link" if entry.is_symlink() else "not a regular file"
    except OSError:
        return "broken link"


def new_photos(folder: Path, knows: Callable[[Path], bool]) -> Iterator[Path]:
    """The photos that lie in a folder and that come into it, without end.

    One that is still being written, whose size or time changes, is waited for.

    Args:
        folder: That is watched.
        knows: Whether a photo was answered before; asked once it is whole.

    Raises:
        NoPhotosError: There is no such folder.
    """
    if not folder.is_dir():
        raise NoPhotosError(f"--watch must name a folder, got {folder}, which is none.")
    done: dict[Path, tuple[int, int]] = {}
    before: dict[Path, tuple[int, int]] = {}
    while True:
        now = {path: state for path in _photos_in(folder) if (state := _state(path))}
        for path, state in now.items():
            if done.get(path) != state and before.get(path) == state:
                done[path] = state
                if not knows(path):
                    yield path
        before = now
        time.sleep(_SECONDS)


def _photos_in(folder: Path) -> list[Path]:
    """Of a folder that may be out of reach for a while."""
    try:
        return look_into(folder)[0]
    except OSError:
        return []


def _state(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns
