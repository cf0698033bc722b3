"""Pictures decoded once to the input size, held in memory or, beyond a budget, in a file."""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryFile, gettempdir

import numpy as np
import tensorflow as tf

from tl_keras.data.decoding_graphs import loading
from tl_keras.data.image_formats import FORMATS
from tl_keras.data.picture_bytes import readable_bytes, why_unreadable
from tl_keras.data.picture_reading import PictureReading
from tl_keras.data.rows import MappedRows
from tl_keras.errors import DataError

# Beside the feature bank's and what TensorFlow takes, it leaves a laptop of 4 GB some room.
MEMORY_BUDGET_BYTES = 2**29


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
        for row, picture in zip(rows, pictures, strict=True):
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

    # Looking for Python to convert in it would take longer than tracing it.
    @tf.autograph.experimental.do_not_convert
    def picture(path: tf.Tensor) -> tf.Tensor:
        return load(_readable(tf.io.read_file(path), most))

    names = tf.data.Dataset.from_tensor_slices([str(path) for path in paths])
    decoded = names.map(picture, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True).prefetch(
        tf.data.AUTOTUNE
    )
    done = 0
    try:
        for image in decoded.as_numpy_iterator():
            yield image
            done += 1
    except tf.errors.OpError as error:
        raise DataError(
            f"{paths[done]} cannot be decoded ({why_unreadable(paths[done], most)}). Replace it, "
            "or set data.skip_unreadable"
        ) from error


def _readable(encoded: tf.Tensor, max_megapixels: float) -> tf.Tensor:
    """What `readable_bytes` says of a file, without leaving the graph where it says nothing new."""
    served = [row.first_bytes for row in FORMATS.values() if row.served]
    starts = [tf.strings.substr(encoded, 0, len(first)) == first for first in served]
    read = partial(readable_bytes, max_megapixels=max_megapixels)
    return tf.cond(
        tf.reduce_any(starts),
        lambda: encoded,
        lambda: tf.ensure_shape(tf.numpy_function(read, [encoded], tf.string, stateful=False), ()),
    )
