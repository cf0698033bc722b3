"""What an exported model answers in a process that knows nothing of its training.

Nor of Keras. Standard input names, as a JSON list, the folder of a version, a .npz file and
pictures: the process loads the model with plain TensorFlow, classifies the pictures, and writes the
answers and its times to that file.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tl_keras.errors import ExportError
from tl_keras.serving.exported_classifier import (
    BATCH,
    MAPS_BATCH,
    Answers,
    ExportedClassifier,
    content,
)

# TensorFlow does without Keras where there is none, and importing it would take as long again.
# Nothing that is imported is garbage.
_WITHOUT_KERAS = (
    "import gc, sys; gc.disable(); sys.modules['keras'] = None; "
    "from tl_keras.serving import fresh; gc.enable(); gc.freeze(); sys.exit(fresh.main())"
)
# Calls that a time is the median of.
_REPEATS = {1: 20, BATCH: 3}


@dataclass(frozen=True)
class Fresh:
    """Answers of a fresh process.

    Attributes:
        answers: of the files, in their order.
        milliseconds_batch_1: median per image, one image a call, warm, decoding included.
        milliseconds_batch_32: the same, 32 images a call.
        map_scores: float64 (k,), of the first files, whose heat maps were asked for, their mean;
            not finite where any pixel of a map is not. None of an export without heat maps.
    """

    answers: Answers
    milliseconds_batch_1: float
    milliseconds_batch_32: float
    map_scores: np.ndarray | None = None


Ask = Callable[[Path, Sequence[Path]], Fresh]


@contextmanager
def fresh_process() -> Iterator[Ask]:
    """A new Python process, to be asked once; it loads TensorFlow until then.

    Yields:
        A function that has it load the export in a folder of one version and classify files, at
        least one. It raises ExportError where the process failed.
    """
    process = subprocess.Popen(
        [sys.executable, "-c", _WITHOUT_KERAS],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield lambda version, files: _ask(process, version, files)
    finally:
        process.kill()
        process.communicate()


def answers_of_fresh_process(version: Path, files: Sequence[Path]) -> Fresh:
    """What a new process answers, which begins to load TensorFlow now.

    Raises:
        ExportError: the process failed.
    """
    with fresh_process() as ask:
        return ask(version, files)


def _ask(process: "subprocess.Popen[str]", version: Path, files: Sequence[Path]) -> Fresh:
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "answers.npz"
        question = [str(version), str(output), *(str(file.resolve()) for file in files)]
        _, said = process.communicate(json.dumps(question))
        if process.returncode or not output.exists():
            raise ExportError(
                f"The exported model {version} could not be used in a new process (exit code "
                f"{process.returncode}):\n{said.strip()[-2000:]}"
            )
        with np.load(output) as stored:
            columns = {name: stored[name] for name in stored.files}
        times, scores = columns.pop("milliseconds").tolist(), columns.pop("map_scores", None)
        texts = {name: columns[name].tolist() for name in ("labels", "decision") if name in columns}
        alone, together = times
        return Fresh(Answers(**{**columns, **texts}), alone, together, scores)


def classify_and_time(version: Path, files: Sequence[Path]) -> Fresh:
    """Load an export and classify files, in this process.

    Args:
        version: as of `answers_of_fresh_process`.
        files: likewise.

    Raises:
        ExportError: the model cannot be loaded.
    """
    classifier = ExportedClassifier(version)
    answers = Answers.of_batches(list(classifier.classify_paths(files)))
    batch = [
        content(files[number % len(files)], classifier.reading.max_megapixels)
        for number in range(BATCH)
    ]
    alone, together = (
        classifier.milliseconds(batch[:size], repeats) / size for size, repeats in _REPEATS.items()
    )
    return Fresh(
        answers, alone, together, _map_scores(classifier, batch[: min(len(files), MAPS_BATCH)])
    )


def _map_scores(classifier: ExportedClassifier, files: Sequence[bytes]) -> np.ndarray | None:
    if not classifier.explains:
        return None
    return classifier.heat_maps(files).evidence.mean(axis=(1, 2), dtype=np.float64)


def main() -> int:
    """Answer what standard input asks; the exit code is 1 where the model cannot be loaded."""
    asked = sys.stdin.read()
    # whoever would have asked has no need to
    if not asked:
        return 0
    version, output, *files = map(Path, json.loads(asked))
    try:
        found = classify_and_time(version, files)
    except ExportError as error:
        print(error, file=sys.stderr)
        return 1
    given = vars(found.answers).items()
    columns: dict[str, Any] = {name: values for name, values in given if values is not None}
    if found.map_scores is not None:
        columns["map_scores"] = found.map_scores
    times = np.array([found.milliseconds_batch_1, found.milliseconds_batch_32])
    np.savez(output, **columns, milliseconds=times)
    return 0
