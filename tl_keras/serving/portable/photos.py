"""The photos of a folder, and those that come into it."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

ENDINGS = frozenset(
    (".bmp", ".gif", ".jfif", ".jpe", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
)
_SECONDS = 0.5


class NoPhotosError(Exception):
    """There is nothing to classify; the message says what to name."""


def find_photos(paths: Sequence[Path]) -> list[Path]:
    """The files among paths, whatever their names, and the photos in folders and below.

    Args:
        paths: Files, folders, and patterns of their names such as `*.jpg`.

    Raises:
        NoPhotosError: A path is neither file nor folder, or a folder has no photos.
    """
    found: list[Path] = []
    for path in paths:
        if path.is_file():
            found.append(path)
        # who starts it on Windows leaves patterns as they are
        elif not path.exists() and (named := sorted(path.parent.glob(path.name))):
            found += find_photos(named)
        elif not path.is_dir():
            raise NoPhotosError(f"A photo or a folder must be named, got {path}, which is neither.")
        elif not (inside := photos_in(path)):
            raise NoPhotosError(
                f"{path} must hold photos, files named {', '.join(sorted(ENDINGS))}; got none."
            )
        else:
            found += inside
    return found


def photos_in(folder: Path) -> list[Path]:
    """The photos in a folder and below, by their endings; hidden ones are left out."""
    found: list[Path] = []
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [
            Path(place, name)
            for name in sorted(files)
            if not name.startswith(".") and Path(name).suffix.lower() in ENDINGS
        ]
    return found


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
        now = {path: state for path in photos_in(folder) if (state := _state(path))}
        for path, state in now.items():
            if done.get(path) != state and before.get(path) == state:
                done[path] = state
                if not knows(path):
                    yield path
        before = now
        time.sleep(_SECONDS)


def _state(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns
