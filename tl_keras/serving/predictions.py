"""What a finished experiment's model says of photos that Python hands over, as a table."""

import os
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import tensorflow as tf

from tl_keras.data.given_pictures import are_paths, as_pictures, as_pixels
from tl_keras.data.photo_paths import find_photos
from tl_keras.data.picture_bytes import PictureFile
from tl_keras.errors import PicturesError
from tl_keras.serving.decision_record import read_rule
from tl_keras.serving.exported_classifier import Answers, ExportedClassifier
from tl_keras.serving.prediction_lines import columns, lines_of
from tl_keras.serving.versions import EXTRA, find_version


def predict(experiment: str | os.PathLike[str], photos: Any) -> pd.DataFrame:
    """What the newest exported model of an experiment says of photos, as `tl-keras predict` does.

    Args:
        experiment: its folder, such as results/parts, or one version of its model.
        photos: (n, height, width, 3) RGB or (n, height, width) gray, 0..255; one such picture; a
            list of pictures, which may differ in size; or paths of files or folders, one or a list.

    Returns:
        A row per photo, in their order: the columns label, probability, confidence, decision,
        familiar (all 0 to 1 but label and decision) and problem, which says why a file cannot be
        read; before them file, where paths were given.

    Raises:
        NoExportError: there is no such model.
        DataError: there are no photos, or they are not as they must be.
    """
    version = find_version(Path(experiment)).path
    names, files = _files(photos)
    classifier = _loaded(version, (version / "saved_model.pb").stat().st_mtime_ns)
    answers = Answers.of_batches(list(classifier.classify_paths(files)))
    # an export of an earlier version leaves the decision to its readers
    rule = None if classifier.decides else read_rule(version / EXTRA)
    if rule is not None:
        answers = answers.decided(rule)
    told = columns(answers.decision is not None, classifier.knows_strangers)[1:]
    table = pd.DataFrame(lines_of(files, answers, classifier.reading.max_megapixels), columns=told)
    if names:
        table.insert(0, "file", names)
    return table


def _files(photos: Any) -> tuple[list[str], list[PictureFile]]:
    """Names of files, none of pictures in memory, and the files themselves or their bytes."""
    if isinstance(photos, str | os.PathLike):
        photos = [photos]
    if are_paths(photos):
        paths, _ = find_photos([Path(path) for path in photos])
        return list(map(str, paths)), [*paths]
    pictures = as_pictures(photos)
    if isinstance(pictures, np.ndarray) and pictures.ndim == 3 and pictures.shape[2] == 3:
        pictures = pictures[None]
    pixels = [as_pixels(each, f"photos[{row}]") for row, each in enumerate(pictures)]
    if not pixels:
        raise PicturesError("photos must hold pictures, or paths of some; got none.")
    return [], [bytes(tf.io.encode_png(each).numpy()) for each in pixels]


@lru_cache(maxsize=2)
def _loaded(version: Path, written: int) -> ExportedClassifier:
    """A model; `written` tells one from another that took its place."""
    return ExportedClassifier(version)
