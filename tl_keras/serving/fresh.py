"""What an exported model answers in a process that knows nothing of its training.

    python -m tl_keras.serving.fresh VERSION ANSWERS < FILES

is that process, but for Keras, which it is started without: it loads the model with plain
TensorFlow, classifies the files that standard input names as a JSON list, and writes their answers
and its times to ANSWERS, a .npz file.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tl_keras.errors import ExportError
from tl_keras.serving.exported_classifier import BATCH, Answers, ExportedClassifier, content

# TensorFlow does without Keras where there is none, and importing it would take as long again.
_WITHOUT_KERAS = (
    "import sys; sys.modules['keras'] = None; "
    "from tl_keras.serving import fresh; sys.exit(fresh.main(sys.argv[1:]))"
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
    """

    answers: Answers
    milliseconds_batch_1: float
    milliseconds_batch_32: float


def answers_of_fresh_process(version: Path, files: Sequence[Path]) -> Fresh:
    """Load an export in a new Python process and classify files there.

    Args:
        version: folder of one version.
        files: at least one; their bytes are all that the process gets.

    Raises:
        ExportError: the process failed.
    """
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "answers.npz"
        done = subprocess.run(
            [sys.executable, "-c", _WITHOUT_KERAS, str(version), str(output)],
            input=json.dumps([str(file.resolve()) for file in files]),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode or not output.exists():
            raise ExportError(
                f"The exported model {version} could not be used in a new process (exit code "
                f"{done.returncode}):\n{done.stderr.strip()[-2000:]}"
            )
        with np.load(output) as stored:
            answers = Answers(stored["labels"].tolist(), stored["probabilities"], stored["decoded"])
            return Fresh(answers, *stored["milliseconds"].tolist())


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
    times = (
        classifier.milliseconds(batch[:size], repeats) / size for size, repeats in _REPEATS.items()
    )
    return Fresh(answers, *times)


def main(arguments: Sequence[str]) -> int:
    """Answer the files of standard input; the exit code is 1 where the model cannot be loaded."""
    version, output = map(Path, arguments)
    try:
        found = classify_and_time(version, [Path(name) for name in json.load(sys.stdin)])
    except ExportError as error:
        print(error, file=sys.stderr)
        return 1
    np.savez(
        output,
        labels=np.array(found.answers.labels),
        probabilities=found.answers.probabilities,
        decoded=found.answers.decoded,
        milliseconds=np.array([found.milliseconds_batch_1, found.milliseconds_batch_32]),
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
