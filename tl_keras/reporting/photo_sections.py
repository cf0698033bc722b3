"""Sections of the report that show photos."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from tl_keras.data.corrections import Correction
from tl_keras.digests import whole_bytes
from tl_keras.reporting.label_marks import Mark, label_mark
from tl_keras.reporting.pages import Photo, jpeg_uri
from tl_keras.results.finished_experiment import FinishedExperiment

# The folder of the pictures of errors.
ERRORS = "errors"
# Maps of a network and of the same one with shuffled weights agree less than this.
INDEPENDENT = 0.5


def errors(results: FinishedExperiment) -> dict[str, Any] | None:
    """The worst errors of the chosen run and its least sure right answers, with their maps."""
    table, facts = results.table("errors"), results.facts("errors")
    if table is None or facts is None:
        return None
    suspects, corrections = results.table("label_errors"), results.corrections
    doubtful = set() if suspects is None else set(suspects["image_id"])
    photos = [
        {
            "right": row["right"],
            "photo": _error(results.folder / ERRORS, row, doubtful, corrections),
        }
        for row in table.to_dict("records")
    ]
    return {
        **facts,
        "doubtful": int((table["image_id"].isin(doubtful) & ~table["right"]).sum()),
        "wrong_photos": [each["photo"] for each in photos if not each["right"]],
        "unsure_photos": [each["photo"] for each in photos if each["right"]],
        "weights_matter": facts["randomisation_correlation"] < INDEPENDENT,
    }


def _error(
    folder: Path,
    row: Mapping[Any, Any],
    doubtful: Collection[str],
    corrections: Sequence[Correction],
) -> Photo:
    name, label, predicted = f"{row['photo']:02d}", row["label"], row["predicted"]
    lines = [row["image_id"], f"{label}, answered {predicted} ({row['probability']:.0%})"]
    if not row["right"]:
        lines.append(f"probability of {label}: {row['probability_of_label']:.0%}")
    if row["image_id"] in doubtful:
        lines.append("this label looks wrong")
    images = [jpeg_uri(whole_bytes(folder / f"{name}{end}.jpg")) for end in ("", "_map")]
    mark: Mark | None = None
    if not row["right"]:
        mark = label_mark(row["image_id"], label, predicted, corrections)
    return Photo(images, lines, f"{label}, answered {predicted}", mark)
