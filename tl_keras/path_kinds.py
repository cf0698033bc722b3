"""What is at a path, in words for messages."""

import errno
import os
import stat
from pathlib import Path

A_FILE, A_FOLDER, NOTHING = "a file", "a folder", "nothing"


def kind_of(path: str | os.PathLike[str]) -> str:
    """What is there: `A_FILE`, `A_FOLDER`, `NOTHING`, or what a message can say in their place.

    Nothing is opened: whoever opens a pipe waits at it.
    """
    try:
        mode = os.stat(path).st_mode  # noqa: PTH116 (also of what can be no path)
    except (FileNotFoundError, NotADirectoryError):
        return "a link to nothing" if os.path.islink(path) else NOTHING  # noqa: PTH114
    except OSError as error:
        if error.errno == errno.ELOOP:
            return "a link in a circle"
        return f"out of reach ({error.strerror})"
    except ValueError as error:
        return f"no possible path ({error})"
    if stat.S_ISREG(mode):
        return A_FILE
    return A_FOLDER if stat.S_ISDIR(mode) else "a pipe, socket or device"


def is_inside(path: str | os.PathLike[str], folder: str | os.PathLike[str]) -> bool:
    """Whether a path is a folder or lies in it, links followed; neither need be there."""
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))


def in_the_way(folder: Path) -> Path | None:
    """The topmost part of a path that is there and no folder, so that it cannot be made."""
    parts = (*reversed(folder.parents), folder)
    there = (part for part in parts if os.path.lexists(part))
    return next((part for part in there if kind_of(part) != A_FOLDER), None)
