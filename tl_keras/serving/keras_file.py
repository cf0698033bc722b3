"""The chosen classifier as a file of Keras, for those who go on with it in Python.

<experiment>/model/
    model.keras           for `keras.models.load_model`; this package is not needed
    model.labels.json     the class names, in the order of its answers
"""

from collections.abc import Sequence
from pathlib import Path

import keras

from tl_keras.digests import keep_json, keeping, whole_bytes
from tl_keras.errors import DamagedError, ExportError, NoExportError
from tl_keras.invocation import settings
from tl_keras.results_layout import inner, place

MODEL_FILE = "model.keras"
LABELS_FILE = "model.labels.json"


def write_model(folder: Path, model: keras.Model, labels: Sequence[str]) -> Path:
    """Write a classifier and its class names, in place of earlier ones.

    The model is there completely or not at all; the names are there before it.

    Args:
        folder: of the experiment.
        model: as of `plain_classifier`, so that it can be loaded with Keras alone.
        labels: one class name per answer.

    Returns:
        The file of the model.

    Raises:
        ExportError: there are more or fewer names than answers.
    """
    if len(labels) != model.output.shape[-1]:
        raise ExportError(
            f"labels must name the {model.output.shape[-1]} classes of the model; got "
            f"{len(labels)}: {', '.join(labels)}."
        )
    file = place(folder, MODEL_FILE)
    file.parent.mkdir(exist_ok=True)
    with keeping(file) as unfinished:
        model.save(unfinished)
        keep_json(place(folder, LABELS_FILE), list(labels))
    return file


def read_model(folder: Path, *, trust_code: bool = False) -> keras.Model:
    """The classifier of an experiment's folder, with weights that it shares with no other model.

    Args:
        folder: of the experiment.
        trust_code: whether code in the file may be run, which only Lambda layers bring.

    Raises:
        ExportError: there is none.
        DamagedError: it is not as it was written.
    """
    file = place(folder, MODEL_FILE)
    if not file.is_file():
        raise NoExportError(
            f"{folder} must hold {inner(MODEL_FILE)}, which the export of a trained run writes; "
            f"got a folder without. Run the experiment again with {settings({'export': True})}: "
            "what is trained is kept."
        )
    whole_bytes(file)
    try:
        return keras.models.load_model(file, safe_mode=not trust_code)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DamagedError(file, f"Keras cannot read it ({error})") from error
