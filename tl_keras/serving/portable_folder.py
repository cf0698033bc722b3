"""A classifier as a folder for a computer without TensorFlow and without this package.

portable/
    READ_ME.txt                    in plain words
    classify.sh, classify.bat      for Linux and for Windows
    classify.py                    what they start
    portable/                      the modules of `tl_keras.serving.portable`, as they are
    classifier.tflite              the model; LiteRT is smaller and quicker than ONNX Runtime
    classifier.json                labels, input size, how pictures are read
    wheels/                        LiteRT, NumPy and Pillow for the computers that were asked for
"""

import hashlib
import importlib.resources
import json
import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import jinja2
import keras
import numpy as np
from numpy.typing import NDArray

from tl_keras.atomic_files import write_bytes, write_json
from tl_keras.data.picture_reading import DEFAULTS
from tl_keras.errors import ExportError
from tl_keras.evaluation.decision_rule import REVIEW, UNKNOWN, DecisionRule
from tl_keras.safe_text import one_line
from tl_keras.serving.handover import Handover
from tl_keras.serving.litert import convert_float
from tl_keras.serving.portable.model import (
    FACTS,
    VISUAL_C,
    FolderError,
    PlainClassifier,
    read_facts,
)
from tl_keras.serving.runtime import Runtime
from tl_keras.serving.verify import TOLERANCE
from tl_keras.serving.versions import EXTRA
from tl_keras.serving.wheels import Destination, fetch_wheels

MODEL, START, MODULES = "classifier.tflite", "classify.py", "portable"
WHEELS = "wheels"
_TEXTS = ("READ_ME.txt", "classify.sh", "classify.bat")


def convert_portable(
    model: keras.Model,
    labels: Sequence[str],
    calibration: NDArray[np.uint8] | None = None,
    rule: DecisionRule | None = None,
) -> dict[str, bytes]:
    """The files of the folder by their names, without wheels, reading pictures as by default.

    Args:
        model: as in `write_target`.
        labels: in the order of the outputs.
        calibration: not looked at.
        rule: as in `write_target`.
    """
    content = convert_float(model, labels, calibration, rule)
    facts = {
        "model": MODEL,
        "sha256": hashlib.sha256(content).hexdigest(),
        "labels": list(labels),
        "image_size": model.input_shape[1],
        "reading": DEFAULTS.as_dict(),
        "decisions": None if rule is None else rule.names,
    }
    return {MODEL: content, FACTS: json.dumps(facts, indent=2).encode(), **_modules()}


def load_portable(path: Path) -> Runtime:
    """The model of the folder, as `classify.py` calls it."""
    network = PlainClassifier.of(path).network
    return Runtime(lambda pixels: network.call(pixels.astype(np.float32)), batch=1)


def furnish_portable(path: Path, handover: Handover) -> list[str]:
    """Say in the folder how pictures are read, add libraries and texts, and try it on photos.

    Args:
        path: Of the folder.
        handover: What it shall do as training did.

    Returns:
        What is to be known of it: libraries that could not be fetched.

    Raises:
        ExportError: it answers other than the trained model.
    """
    destination, remarks = _bring_libraries(path / WHEELS, handover)
    whole = () if remarks else destination.named_computers
    facts = read_facts(path) | {
        "reading": handover.reading.as_dict(),
        "computers": whole,
        "pythons": destination.named_pythons,
    }
    write_json(path / FACTS, facts)
    try:
        classifier = PlainClassifier.of(path)
    except FolderError as error:
        raise ExportError(str(error)) from error
    _write_texts(path, classifier, handover.rule)
    _check(classifier, handover)
    return remarks


def _bring_libraries(wheels: Path, handover: Handover) -> tuple[Destination, list[str]]:
    """Fetch them, or take those of a former version; whom they are for, and what is missing."""
    if handover.former is not None:
        folder = handover.former / EXTRA / wheels.parent.name
        # damaged, or of an earlier version of this package
        with suppress(FolderError, KeyError, TypeError, OSError):
            facts = read_facts(folder)
            if facts["computers"]:
                shutil.copytree(folder / WHEELS, wheels)
                return Destination(tuple(facts["computers"]), tuple(facts["pythons"])), []
    return handover.destination, fetch_wheels(wheels, handover.destination)


def _modules() -> dict[str, bytes]:
    found = importlib.resources.files("tl_keras.serving") / MODULES
    contents = {one.name: one.read_bytes() for one in found.iterdir() if one.name.endswith(".py")}
    start = contents.pop(START)
    return {START: start} | {f"{MODULES}/{name}": text for name, text in sorted(contents.items())}


def _write_texts(path: Path, classifier: PlainClassifier, rule: DecisionRule | None) -> None:
    facts = classifier.facts
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("tl_keras.serving", "templates/portable"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    known = {
        "labels": [one_line(label) for label in facts["labels"]],
        "decisions": _decisions(rule),
        "unknown": rule is not None and rule.stranger_share > 0,
        "familiar": "familiar" in classifier.columns,
        "runtime": VISUAL_C,
        "megapixels": f"{facts['reading']['max_megapixels']:g}",
        "computers": " and ".join(facts["computers"]),
        "version": " or ".join(facts["pythons"]) if facts["computers"] else "3.11 or newer",
        "versions": " ".join(facts["pythons"]),
        "commands": " ".join(f"python{version}" for version in facts["pythons"]),
    }
    for name in _TEXTS:
        text = environment.get_template(name).render(known)
        ends = "\n" if name.endswith(".sh") else "\r\n"
        write_bytes(path / name, text.replace("\n", ends).encode())
    (path / "classify.sh").chmod(0o755)


def _decisions(rule: DecisionRule | None) -> str:
    if rule is None:
        return ""
    words = [one_line(word) for word in dict.fromkeys(rule.words())]
    if rule.review_limit is not None:
        words.append(f"{REVIEW} (a person should look at it)")
    if rule.stranger_share:
        words.append(f"{UNKNOWN} (a photo of something else)")
    return ", or ".join(words)


def _check(classifier: PlainClassifier, handover: Handover) -> None:
    """Ask it for every test photo, from its file."""
    for file, expected in zip(handover.files, handover.probabilities, strict=True):
        found = classifier.answer(file.read_bytes())
        if found["problem"]:
            raise ExportError(f"It cannot read {file} ({found['problem']}).")
        label = classifier.facts["labels"].index(found["label"])
        away = abs(found["probability"] - float(expected.max()))
        # within the tolerance, both may have moved towards each other
        behind = float(expected.max() - expected[label])
        if not away <= TOLERANCE or behind > 2 * TOLERANCE:
            raise ExportError(
                f"It must answer as the trained model does, within {TOLERANCE:g}, got "
                f"{found['label']!r} with a difference of {max(away, behind):.3g} on {file}."
            )
