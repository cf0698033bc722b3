"""A file system that is soon full, where this process may mount one."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def small_disk(place: Path, kilobytes: int) -> Iterator[Path]:
    """A folder with so much room, which `grow` enlarges.

    Raises:
        OSError: it cannot be mounted here.
    """
    place.mkdir(parents=True, exist_ok=True)
    _mount("-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(place))
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def grow(place: Path, kilobytes: int) -> None:
    """Give a small disk more room."""
    _mount("-o", f"remount,size={kilobytes}k", str(place))


def _mount(*words: str) -> None:
    try:
        done = subprocess.run(["mount", *words], check=False, capture_output=True, text=True)
    except FileNotFoundError as error:
        raise OSError("there is no mount") from error
    if done.returncode:
        raise OSError(done.stderr.strip())
