"""Classifying files with an exported model: plain TensorFlow, without Keras."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tl_keras.data.listing import some_of
from tl_keras.data.picture_bytes import PictureFile, UnreadableError, readable_bytes
from tl_keras.errors import ExportError
from tl_keras.evaluation.decision_rule import DecisionRule
from tl_keras.models.heat import overlay, relative
from tl_keras.quiet import no_standard_error
from tl_keras.serving.checksums import damaged_files
from tl_keras.serving.reading_record import stored_reading
from tl_keras.serving.signature_names import (
    BYTES,
    CONFIDENCE,
    DECISION,
    DECODED,
    EVIDENCE,
    FAMILIAR,
    HEAT_MAPS,
    PIXELS,
    PLACES,
    PROBABILITIES,
)
from tl_keras.serving.versions import EXTRA

# The network's activations of a batch and its decoded files fit in any memory.
BATCH = 32
# For a map, the outputs of all blocks that the head reads are in memory at once.
MAPS_BATCH = 16
# Files that were made PNG are large.
_BATCH_BYTES = 2**28


@dataclass(frozen=True)
class Answers:
    """What an exported model says of some files, in their order.

    Where a file could not be decoded, texts are empty and numbers 0. What an export leaves out is
    None: one that decides nothing, as those of earlier versions, `decision` and `confidence`; one
    that knows no strangers `familiar`.

    Attributes:
        labels: most probable classes.
        probabilities: float32 (files, classes), in the order of the export's labels.
        decoded: bool (files,).
        decision: words, of `DecisionRule.names`.
        confidence: float32 (files,), calibrated probabilities of the labels.
        familiar: float32 (files,), 0..1, low for photos unlike the labelled ones.
    """

    labels: list[str]
    probabilities: np.ndarray
    decoded: np.ndarray
    decision: list[str] | None = None
    confidence: np.ndarray | None = None
    familiar: np.ndarray | None = None

    @property
    def probability(self) -> np.ndarray:
        """Of the labels, float32 (files,)."""
        return np.asarray(self.probabilities.max(axis=1))

    @property
    def verdicts(self) -> list[tuple[str, float]]:
        """Decision and confidence of each file; none of an export that decides nothing."""
        if self.decision is None or self.confidence is None:
            return []
        return list(zip(self.decision, self.confidence.tolist(), strict=True))

    @classmethod
    def of_batches(cls, batches: Sequence["Answers"]) -> "Answers":
        """Those of several batches, at least one, in their order."""
        columns = {
            field.name: [getattr(batch, field.name) for batch in batches] for field in fields(cls)
        }
        return cls(**{name: _joined(parts) for name, parts in columns.items()})

    def decided(self, rule: DecisionRule) -> "Answers":
        """The same with the decisions of a rule, for a model that leaves them out."""
        decision, known = rule.decisions(self.probabilities, self.familiar), self.decoded
        return replace(
            self,
            decision=[word if there else "" for word, there in zip(decision, known, strict=True)],
            confidence=(rule.confidence(self.probabilities) * known).astype(np.float32),
        )

    def rows(self) -> list[dict[str, Any]]:
        """A dict of JSON types per file, as TensorFlow Serving answers."""
        columns: dict[str, Any] = {
            "label": self.labels,
            "probability": map(_decimal, self.probability),
            "probabilities": [list(map(_decimal, row)) for row in self.probabilities],
            "decoded": self.decoded.tolist(),
            DECISION: self.decision,
        }
        for name, numbers in ((CONFIDENCE, self.confidence), (FAMILIAR, self.familiar)):
            columns[name] = None if numbers is None else map(_decimal, numbers)
        there = {name: values for name, values in columns.items() if values is not None}
        return [dict(zip(there, row, strict=True)) for row in zip(*there.values(), strict=True)]


@dataclass(frozen=True)
class HeatMaps:
    """What an exported model says of some files, and where it sees it.

    Attributes:
        answers: to the files, in their order.
        photos: uint8 (files, size, size, 3), RGB, as the network saw them; black where a file could
            not be decoded.
        evidence: float32 (files, size, size), what each pixel adds to the score of the file's
            label; negative where it speaks against it. The mean is the score, the logit of the
            label less the mean of all logits.
        places: int32 (files,), rows of the finest feature map that it comes from.
    """

    answers: Answers
    photos: np.ndarray
    evidence: np.ndarray
    places: np.ndarray

    @property
    def decoded(self) -> np.ndarray:
        """Which files could be, bool (files,)."""
        return self.answers.decoded

    @property
    def pictures(self) -> np.ndarray:
        """The photos with their maps on them, uint8 (files, size, size, 3), RGB."""
        pairs = zip(self.photos, map(relative, self.evidence), strict=True)
        return np.array([overlay(*pair) for pair in pairs], np.uint8).reshape(self.photos.shape)


def _joined(parts: Sequence[Any]) -> Any:
    if any(part is None for part in parts):
        return None
    if isinstance(parts[0], list):
        return [each for part in parts for each in part]
    return np.concatenate(parts)


def _decimal(number: np.float32) -> float:
    # the shortest decimal that is this number in its own precision: 0.1, not 0.10000000149
    return float(str(number))


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
            self._classify.structured_outputs[DECODED]
        except (OSError, IndexError, KeyError, ValueError, tf.errors.OpError) as error:
            raise ExportError(
                f"{version} must be a SavedModel that tl_keras exported, with the signature "
                f"{BYTES!r}, got: {error} Export the model again."
            ) from error

    def classify(self, files: Sequence[bytes]) -> Answers:
        """Answer the contents of some files in one batch."""
        return _answers(_asked(self._classify, files))

    def heat_maps(self, files: Sequence[bytes]) -> HeatMaps:
        """Answer the contents of some files in one batch, and show what speaks for the answers.

        Raises:
            ExportError: as `check_explains`.
        """
        self.check_explains()
        found = _asked(self._model.signatures[HEAT_MAPS], files)
        return HeatMaps(_answers(found), found[PIXELS], found[EVIDENCE], found[PLACES])

    def check_explains(self) -> None:
        """Nothing, if it can draw heat maps.

        Raises:
            ExportError: it cannot.
        """
        if not self.explains:
            raise ExportError(
                f"{self.version} must have the signature {HEAT_MAPS!r} to draw heat maps, as "
                "exports of this version of tl_keras have whose network ends in averages of "
                f"feature maps and a softmax; got {', '.join(sorted(self._model.signatures))}. "
                "Export the model again."
            )

    @property
    def explains(self) -> bool:
        """Whether it can draw heat maps; an export of an earlier version cannot."""
        return HEAT_MAPS in self._model.signatures

    @property
    def decides(self) -> bool:
        """Whether it answers decisions; an export of an earlier version does not."""
        return DECISION in self._classify.structured_outputs

    @property
    def knows_strangers(self) -> bool:
        """Whether it answers how familiar photos are."""
        return FAMILIAR in self._classify.structured_outputs

    def classify_paths(self, paths: Sequence[PictureFile]) -> Iterator[Answers]:
        """Answer files, up to `BATCH` at a time; one that cannot be read counts as empty."""
        return map(self.classify, self._batches(paths, BATCH))

    def heat_maps_of_paths(self, paths: Sequence[PictureFile]) -> Iterator[HeatMaps]:
        """As `classify_paths`, with what speaks for the answers, up to `MAPS_BATCH` at a time."""
        return map(self.heat_maps, self._batches(paths, MAPS_BATCH))

    def _batches(self, paths: Sequence[PictureFile], most: int) -> Iterator[list[bytes]]:
        files: list[bytes] = []
        for path in paths:
            files.append(content(path, self.reading.max_megapixels))
            if len(files) == most or sum(map(len, files)) > _BATCH_BYTES:
                yield files
                files = []
        if files:
            yield files

    def milliseconds(self, files: Sequence[bytes], repeats: int) -> float:
        """Median time for one batch of files, warm; per batch, not per image."""
        self.classify(files)
        times = []
        for _ in range(repeats):
            started = time.perf_counter()
            self.classify(files)
            times.append(time.perf_counter() - started)
        return 1000 * float(np.median(times))


def _asked(signature: Any, files: Sequence[bytes]) -> dict[str, np.ndarray]:
    """What a signature that takes files answers, by name."""
    # what libraries of formats say of damaged ones, without their names
    with no_standard_error():
        answer = signature(image_bytes=tf.constant(list(files), tf.string))
        return {name: values.numpy() for name, values in answer.items()}


def _answers(found: Mapping[str, np.ndarray]) -> Answers:
    decision = found.get(DECISION)
    return Answers(
        labels=[label.decode() for label in found["label"]],
        probabilities=found[PROBABILITIES],
        decoded=found[DECODED],
        decision=None if decision is None else [word.decode() for word in decision],
        confidence=found.get(CONFIDENCE),
        familiar=found.get(FAMILIAR),
    )


def content(file: PictureFile, max_megapixels: float) -> bytes:
    """The bytes of a file as the model takes them; none where it cannot be read."""
    try:
        return readable_bytes(file, max_megapixels)
    except (OSError, UnreadableError):
        return b""
