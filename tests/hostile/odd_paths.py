"""What may be at a path in place of a file: a table of makers, by the words of `kind_of`."""

import os
from collections.abc import Callable
from pathlib import Path

from tl_keras.path_kinds import A_FOLDER

NO_FILES: dict[str, Callable[[Path], object]] = {
    A_FOLDER: lambda path: path.mkdir(),
    "a pipe, socket or device": os.mkfifo,
    "a link in a circle": lambda path: path.symlink_to(path.name),
    "a link to nothing": lambda path: path.symlink_to("nowhere"),
}
