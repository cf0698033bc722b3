"""The photos that a run got most wrong, and where its network looked."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import pandas as pd
from PIL import Image

from tl_keras.atomic_files import replacing
from tl_keras.data.rows import Rows
from tl_keras.digests import keep_json, seal
from tl_keras.experiment.prepare import Prepared
from tl_keras.experiment.strategies.making import making
from tl_keras.models.grad_cam import GradCam
from tl_keras.models.heat import overlay
from tl_keras.models.map_check import randomisation_check
from tl_keras.results.runs_table import run_of

# The folder of the pictures, and the columns of the table.
FOLDER = "errors"
MOST_WRONG, MOST_UNSURE = 24, 6
# Enough photos to tell a map that depends on the weights from one that does not.
CHECKED = 8
JPEG_QUALITY = 90


@dataclass(frozen=True)
class Explanation:
    """What a run got wrong.

    Attributes:
        table: a row per photo shown, as `errors.csv`.
        facts: as `errors.json`.
    """

    table: pd.DataFrame
    facts: dict[str, float | int | str]


def explain(prepared: Prepared, runs: pd.DataFrame, run_id: str) -> None:
    """Draw the worst errors of a run, once, while its weights are there.

    Args:
        prepared: the experiment.
        runs: as `runs.csv`.
        run_id: of the run.
    """
    store, chosen = prepared.store, run_of(runs, run_id)
    record = store.place("errors.json")
    if record.exists() or chosen.spec.trivial:
        return
    prepared.monitor.stage("Looking at the errors")
    explained = explain_errors(
        making(chosen.strategy).model(prepared, chosen, store.weights(run_id)),
        prepared.bench.images.pixels,
        prepared.images.table.frame.iloc[prepared.test_of(chosen)],
        store.test_probabilities(run_id),
        prepared.classes,
        store.folder,
    )
    store.write("errors", explained.table)
    keep_json(record, {"run_id": run_id, **explained.facts})


def explain_errors(
    model: keras.Model,
    pixels: Rows,
    test: pd.DataFrame,
    probabilities: np.ndarray,
    classes: tuple[str, ...],
    folder: Path,
) -> Explanation:
    """Draw the worst errors and the least sure right answers with their Grad-CAM maps.

    Args:
        model: images, 0..255 (batch, size, size, 3), to probabilities, in inference mode.
        pixels: uint8 (images of the experiment, size, size, 3), 0..255.
        test: a row per test image: image_id, class_index; its index is the row of `pixels`.
        probabilities: float32 (test images, classes), of the model.
        classes: names.
        folder: of the experiment; `errors/` in it is made anew.
    """
    shown = _shown(test["class_index"].to_numpy(np.int64), probabilities)
    chosen = test.iloc[shown]
    photos = np.asarray(pixels[chosen.index.to_numpy()])
    labels = chosen["class_index"].to_numpy(np.int64)
    predicted = probabilities[shown].argmax(axis=1)
    cam = GradCam(model)
    maps = cam.maps(photos, predicted)
    rows = np.arange(len(shown))
    table = pd.DataFrame(
        {
            "image_id": chosen["image_id"].to_numpy(),
            "label": [classes[index] for index in labels],
            "predicted": [classes[index] for index in predicted],
            "probability": probabilities[shown][rows, predicted],
            "probability_of_label": probabilities[shown][rows, labels],
            "right": labels == predicted,
            "photo": _draw(folder / FOLDER, photos, maps),
        }
    )
    checked = slice(CHECKED)
    wrong = int((probabilities.argmax(axis=1) != test["class_index"]).sum())
    return Explanation(
        table,
        {
            "test_images": len(test),
            "wrong": wrong,
            "randomisation_correlation": float(
                randomisation_check(cam, photos[checked], predicted[checked]).mean()
            ),
        },
    )


def _shown(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Positions of wrong answers, the surest first, then of right ones, the least sure first.

    Where there are more wrong ones than are shown, the surest of every pair of true and answered
    class comes first, then the second ones, and so on: every kind of error can be looked at.
    """
    surest, predicted = probabilities.max(axis=1), probabilities.argmax(axis=1)
    table = pd.DataFrame({"label": labels, "predicted": predicted, "surest": surest})
    wrong = table[labels != predicted].sort_values("surest", ascending=False, kind="stable")
    rank = wrong.groupby(["label", "predicted"]).cumcount()
    shown = wrong.loc[rank.sort_values(kind="stable").index[:MOST_WRONG]]
    worst = shown.sort_values("surest", ascending=False, kind="stable").index
    right = table[labels == predicted].sort_values("surest", kind="stable")
    return np.concatenate([worst, right.index[:MOST_UNSURE]]).astype(np.int64)


def _draw(folder: Path, photos: np.ndarray, maps: np.ndarray) -> list[str]:
    """Write each photo, and beside it the photo under its map; the names without an ending."""
    shutil.rmtree(folder, ignore_errors=True)
    names = [f"{number:02d}" for number in range(1, len(photos) + 1)]
    with replacing(folder) as unfinished:
        unfinished.mkdir()
        for name, photo, heat in zip(names, photos, maps, strict=True):
            for end, picture in (("", photo), ("_map", overlay(photo, heat))):
                path = unfinished / f"{name}{end}.jpg"
                Image.fromarray(picture).save(path, quality=JPEG_QUALITY)
        seal(unfinished)
    return names
