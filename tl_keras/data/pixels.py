"""Pictures decoded once to the input size, held in memory or, beyond a budget, in a file."""

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryFile, gettempdir

import numpy as np
import tensorflow as tf

from tl_keras.data.decoding_graphs import loading
from tl_keras.data.picture_bytes import UnreadableError, readable_bytes, why_unreadable
from tl_keras.data.picture_reading import PictureReading
from tl_keras.data.rows import MappedRows
from tl_keras.errors import DataError
from tl_keras.progress import counted
from tl_keras.quiet import no_standard_error

# Beside the feature bank's and what TensorFlow takes, it leaves a laptop of 4 GB some room.
MEMORY_BUDGET_BYTES = 2**29
# Of them, and of pictures that wait for each thread.
_MOST_THREADS, _AHEAD = 8, 4


def allocate(
    shape: tuple[int, ...], dtype: type, budget: int = MEMORY_BUDGET_BYTES
) -> np.ndarray | MappedRows:
    """An array of this shape: in memory up to `budget` bytes, else mapped to an unnamed file.

    The file is on the disk of the system's temporary folder and goes with the array.
    """
    if int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize <= budget:
        return np.empty(shape, dtype)
    return MappedRows(TemporaryFile(), shape, dtype)


def load_pictures(
    paths: Sequence[str | Path],
    rows: np.ndarray,
    *,
    image_size: int,
    reading: PictureReading,
) -> np.ndarray | MappedRows:
    """Decode and resize the pictures that are used.

    Args:
        paths: n image files.
        rows: positions of those to decode, each once.
        image_size: height and width of the result, pixels.
        reading: How files become pixels.

    Returns:
        uint8 (n, image_size, image_size, 3), RGB 0..255, in the order of `paths`; what is not in
        `rows` is undefined and takes no memory.

    Raises:
        DataError: a file cannot be decoded, or the temporary folder has no room.
    """
    pixels = allocate((len(paths), image_size, image_size, 3), np.uint8)
    chosen = [paths[row] for row in rows]
    pictures = decoded_pictures(chosen, image_size=image_size, reading=reading)
    try:
        for row, picture in zip(rows, counted(pictures, len(rows), "photos"), strict=True):
            pixels[row] = picture
    except OSError as error:
        raise DataError(
            f"The {len(rows)} decoded pictures do not fit into the temporary folder "
            f"{gettempdir()} ({error}). Make room there, or set TMPDIR to a folder with room"
        ) from error
    return pixels


def decoded_pictures(
    paths: Sequence[str | Path], *, image_size: int, reading: PictureReading
) -> Iterator[np.ndarray]:
    """Decode and resize pictures, several at once, in the order of `paths`.

    Yields:
        uint8 (image_size, image_size, 3), RGB 0..255.

    Raises:
        DataError: a file cannot be decoded.
    """
    most, load = reading.max_megapixels, loading(image_size, reading)

    def picture(path: str | Path) -> np.ndarray:
        # what libraries of formats say of damaged ones, without their names
        with no_standard_error():
            pixels: np.ndarray = load(tf.constant(readable_bytes(path, most))).numpy()
        return pixels

    for path, decoded in _ahead(picture, paths):
        try:
            yield decoded.result()
        except (tf.errors.OpError, OSError, UnreadableError) as error:
            raise DataError(
                f"{path} cannot be decoded ({why_unreadable(path, most)}). Replace it, or set "
                "data.skip_unreadable"
            ) from error


def _ahead(
    function: Callable[[str | Path], np.ndarray], paths: Sequence[str | Path]
) -> Iterator[tuple[str | Path, "Future[np.ndarray]"]]:
    """Paths with what will become of them, in their order; some threads are a little ahead."""
    threads = min(_MOST_THREADS, os.cpu_count() or 1)
    # decoding releases Python's lock
    with ThreadPoolExecutor(threads) as pool:
        begun: deque[tuple[str | Path, Future[np.ndarray]]] = deque()
        for path in paths:
            begun.append((path, pool.submit(function, path)))
            if len(begun) > _AHEAD * threads:
                yield begun.popleft()
        yield from begun
