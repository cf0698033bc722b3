"""Pictures in memory written as files, once and without loss, with the table that lists them."""

import csv
import hashlib
import io
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image

from tl_keras.atomic_files import scratch_folder, write_text
from tl_keras.config.files import slug
from tl_keras.data.given_pictures import GivenPicture
from tl_keras.data.picture_rows import row_name
from tl_keras.errors import DataError

_DIGEST_BYTES = 10


def write_pictures(pictures: Iterable[GivenPicture], folder: Path) -> Path:
    """Write PNG files into class folders, and a table with columns path, label and group.

    Files and table are named by what they hold, so that the same pictures are the same files and
    nothing is written twice; and by their rows where they have some, so that whatever names a file
    leads back to the picture. Those of a dataset are the same in any order::

        folder/
            crack/row0_0f2a....png
            dent/row1_93bc....png
            5d11....csv

    Returns:
        The table; its paths start from `folder`.

    Raises:
        DataError: there are no pictures, or the folder cannot be written.
    """
    seen: Counter[str] = Counter()
    rows: list[Sequence[str]] = []
    with _made(folder), scratch_folder(folder) as scratch:
        for picture in pictures:
            name = _name(picture)
            # a copy is a file of its own, for the audit to find
            path = f"{name}-{seen[name]}.png" if seen[name] else f"{name}.png"
            seen[name] += 1
            if not (folder / path).exists():
                unfinished = _png(picture.pixels, scratch)
                (folder / path).parent.mkdir(exist_ok=True)
                unfinished.replace(folder / path)
            rows.append((path, str(picture.label), picture.group or ""))
    return write_table(("path", "label", "group"), rows, folder)


def write_table(columns: Sequence[str], rows: Sequence[Sequence[str]], folder: Path) -> Path:
    """Write a CSV file that is named by its rows, whatever their order.

    Raises:
        DataError: there are no rows, or the folder cannot be written.
    """
    if not rows:
        raise DataError("The images must be two at least, of two classes; got none.")
    text = io.StringIO(newline="")
    csv.writer(text).writerows([columns, *rows])
    path = folder / f"{_digest(*(repr(row) for row in sorted(map(tuple, rows))))}.csv"
    with _made(folder):
        write_text(path, text.getvalue())
    return path


@contextmanager
def _made(folder: Path) -> Iterator[None]:
    """A folder to write images or their table into; what stands in the way is a sentence."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise DataError(
            f"The images cannot be written to {folder} ({error.strerror or error}). Make room "
            "there, or set results_dir to another folder."
        ) from error


def _name(picture: GivenPicture) -> str:
    """The path without its ending."""
    pixels, label = np.ascontiguousarray(picture.pixels), str(picture.label)
    digest = _digest(str(pixels.shape), pixels.tobytes(), repr((label, picture.group)))
    name = digest if picture.row is None else row_name(picture.row, digest)
    return f"{slug(label)}/{name}"


def _digest(*parts: str | bytes) -> str:
    digest = hashlib.blake2b(digest_size=_DIGEST_BYTES)
    for part in parts:
        digest.update(part.encode() if isinstance(part, str) else part)
    return digest.hexdigest()


def _png(pixels: np.ndarray, folder: Path) -> Path:
    path = folder / "picture.png"
    picture = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    picture.save(path, compress_level=1)
    return path
