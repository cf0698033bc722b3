"""Classifying files with an exported model: plain TensorFlow, without Keras."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf

from tl_keras.data.listing import some_of
from tl_keras.data.picture_bytes import UnreadableError, readable_bytes
from tl_keras.errors import ExportError
from tl_keras.serving.checksums import damaged_files
from tl_keras.serving.reading_record import stored_reading
from tl_keras.serving.signature_names import BYTES
from tl_keras.serving.versions import EXTRA

# The network's activations of a batch and its decoded files fit in any memory.
BATCH = 32
# Files that were made PNG are large.
_BATCH_BYTES = 2**28


@dataclass(frozen=True)
class Answers:
    """What an exported model says of some files, in their order.

    Attributes:
        labels: most probable classes; empty where a file could not be decoded.
        probabilities: float32 (files, classes), in the order of the export's labels; 0 where a file
            could not be decoded.
        decoded: bool (files,).
    """

    labels: list[str]
    probabilities: np.ndarray
    decoded: np.ndarray

    @property
    def probability(self) -> np.ndarray:
        """Of the labels, float32 (files,)."""
        return np.asarray(self.probabilities.max(axis=1))

    @classmethod
    def of_batches(cls, batches: Sequence["Answers"]) -> "Answers":
        """Those of several batches, at least one, in their order."""
        return cls(
            [label for batch in batches for label in batch.labels],
            np.concatenate([batch.probabilities for batch in batches]),
            np.concatenate([batch.decoded for batch in batches]),
        )


class ExportedClassifier:
    """One version of an exported model."""

    def __init__(self, version: Path) -> None:
        """Load it.

        Args:
            version: its folder, as `export_classifier` returned it.

        Raises:
            ExportError: it is no such model.
        """
        if damaged := damaged_files(version):
            raise ExportError(
                f"{version} must be as it was exported; got {some_of(damaged)} with other content "
                "or none. Export the model again, or copy it anew."
            )
        self.version = version
        self.reading = stored_reading(version / EXTRA)
        try:
            self._model = tf.saved_model.load(str(version))
            self._classify = self._model.signatures[BYTES]
            self._classify.structured_outputs["decoded"]
        except (OSError, IndexError, KeyError, ValueError, tf.errors.OpError) as error:
            raise ExportError(
                f"{version} must be a SavedModel that tl_keras exported, with the signature "
                f"{BYTES!r}, got: {error} Export the model again."
            ) from error

    def classify(self, files: Sequence[bytes]) -> Answers:
        """Answer the contents of some files in one batch."""
        answer = self._classify(image_bytes=tf.constant(list(files), tf.string))
        return Answers(
            [label.decode() for label in answer["label"].numpy()],
            answer["probabilities"].numpy(),
            answer["decoded"].numpy(),
        )

    def classify_paths(self, paths: Sequence[Path]) -> Iterator[Answers]:
        """Answer files, up to `BATCH` at a time; one that cannot be read counts as empty."""
        files: list[bytes] = []
        for path in paths:
            files.append(content(path, self.reading.max_megapixels))
            if len(files) == BATCH or sum(map(len, files)) > _BATCH_BYTES:
                yield self.classify(files)
                files = []
        if files:
            yield self.classify(files)

    def milliseconds(self, files: Sequence[bytes], repeats: int) -> float:
        """Median time for one batch of files, warm; per batch, not per image."""
        self.classify(files)
        times = []
        for _ in range(repeats):
            started = time.perf_counter()
            self.classify(files)
            times.append(time.perf_counter() - started)
        return 1000 * float(np.median(times))


def content(path: Path, max_megapixels: float) -> bytes:
    """The bytes of a file as the model takes them; none where it cannot be read."""
    try:
        return readable_bytes(path, max_megapixels)
    except (OSError, UnreadableError):
        return b""
