"""Locks on files and folders that end with the process that holds them, however it ends."""

import errno
import os
from contextlib import suppress
from pathlib import Path

with suppress(ImportError):  # on Windows
    import fcntl

# What file systems say that know no locks.
_UNKNOWN = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EBADF, errno.EINVAL)


def hold(path: Path, *, create: bool = False) -> int | None:
    """Lock a file or folder, at once or not at all.

    Args:
        path: of what is there.
        create: make an empty file where there is none.

    Returns:
        What `release` takes; None where the system or the file system has no such locks.

    Raises:
        BlockingIOError: another holder has it.
        OSError: it cannot be opened.
    """
    if "fcntl" not in globals():
        return None
    holder = os.open(path, os.O_RDWR | os.O_CREAT if create else os.O_RDONLY, 0o666)
    try:
        fcntl.flock(holder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(holder)
        if error.errno in _UNKNOWN:
            return None
        raise
    return holder


def release(holder: int | None) -> None:
    """End a lock.

    Args:
        holder: as of `hold`.
    """
    if holder is not None:
        os.close(holder)
