"""Photos that are named one by one or by their folders, outside of any experiment."""

import os
from collections.abc import Sequence
from pathlib import Path

from tl_keras.data.image_formats import endings_in_words
from tl_keras.data.listing import IgnoredFile
from tl_keras.data.picture_walk import FolderContents, left_out_in_words, look_into
from tl_keras.errors import DataError
from tl_keras.path_kinds import A_FILE, NOTHING, kind_of
from tl_keras.safe_text import brief, readable_name


def find_photos(paths: Sequence[Path]) -> tuple[list[Path], list[IgnoredFile]]:
    """The files among `paths`, whatever their names, and the pictures in folders, in their order.

    Returns:
        These, and what the folders hold beside them, as `look_into` tells them apart.

    Raises:
        DataError: a path is neither a file nor a folder, or there is nothing to classify.
    """
    files: list[Path] = []
    ignored: list[IgnoredFile] = []
    for path in paths:
        if os.path.isdir(path):  # noqa: PTH112 (also of names that are too long)
            contents = _contents(path)
            files += [path.joinpath(*parts) for parts in contents.pictures]
            ignored += contents.ignored()
        else:
            _check_is_file(path)
            files.append(path)
    if not files:
        there = left_out_in_words(ignored)
        raise DataError(
            f"Nothing to classify in {', '.join(map(_shown, paths))}: a folder must hold files "
            f"named {endings_in_words()}." + (f" Left out: {there}." if there else "")
        )
    return files, ignored


def _contents(folder: Path) -> FolderContents:
    try:
        return look_into(folder)
    except OSError as error:
        raise DataError(
            f"The folder {_shown(folder)} cannot be read: {error.strerror}. Give yourself the "
            "right to read it, or name another one."
        ) from error


def _check_is_file(path: Path) -> None:
    """Open nothing that is no file: a pipe would be waited for, a device has no end."""
    there = kind_of(path)
    if there == NOTHING:
        raise DataError(f"{_shown(path)} must be a file or a folder; there is no such path.")
    if there != A_FILE:
        raise DataError(
            f"{_shown(path)} must be a file or a folder; got {there}. Save the photo as a file."
        )


def _shown(path: Path) -> str:
    return brief(readable_name(path), 300)
