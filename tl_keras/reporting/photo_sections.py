"""Sections of the report that show photos."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from tl_keras.digests import whole_bytes
from tl_keras.reporting.label_marks import Mark, label_mark
from tl_keras.reporting.pages import Cell, Cells, Photo, jpeg_uri
from tl_keras.reporting.photo_names import short_names
from tl_keras.results.finished_experiment import FinishedExperiment

# The folder of the pictures of errors.
ERRORS = "errors"
# Maps of a network and of the same one with shuffled weights agree less than this.
INDEPENDENT = 0.5
# Of wrong answers, in a table that a browser sorts at once.
MOST_LISTED = 500
# Where that table is.
LIST = "wrong_answers"
_PAIR = ("true class", "answered", "photos", "how sure")
_ANSWER = ("photo", "true class", "answered", "how sure")


def errors(results: FinishedExperiment) -> dict[str, Any] | None:
    """The wrong answers of the chosen run by true class and answer, the most frequent first.

    Of the surest, and of the right answers that were least sure, there are pictures with maps.
    """
    table, facts = results.table("errors"), results.facts("errors")
    if table is None or facts is None:
        return None
    suspects, wrong = results.table("label_errors"), _wrong_answers(results, table)
    doubtful = set() if suspects is None else set(suspects["image_id"])
    names = known_names(results, [*table["image_id"], *wrong["image_id"]])
    photos = {
        row["image_id"]: _photo(results, row, names, doubtful) for row in table.to_dict("records")
    }
    pairs = [_pair(number, own, photos) for number, own in enumerate(_most_confused(wrong), 1)]
    # with folds the confusion matrix counts other photos too
    linked = () if results.folds else pairs
    return {
        **facts,
        "doubtful": int((table["image_id"].isin(doubtful) & ~table["right"]).sum()),
        "table": _pairs_table(pairs) if pairs else None,
        "pairs": [pair for pair in pairs if pair["count"] > 1 and pair["photos"]],
        "single_photos": [
            replace(photo, place=pair["place"], lines=[photo.lines[0], photo.alt, *photo.lines[1:]])
            for pair in pairs
            if pair["count"] == 1
            for photo in pair["photos"]
        ],
        "places": {(pair["label"], pair["predicted"]): pair["place"] for pair in linked},
        "list": _list(wrong, names) if pairs else None,
        "unsure_photos": [photos[image_id] for image_id in table.loc[table["right"], "image_id"]],
        "weights_matter": facts["randomisation_correlation"] < INDEPENDENT,
    }


def _pair(number: int, wrong: pd.DataFrame, photos: Mapping[str, Photo]) -> dict[str, Any]:
    """The photos of one true class that got one answer, and where the page has them."""
    pictured = [photos[image_id] for image_id in wrong["image_id"] if image_id in photos]
    return {
        "place": f"pair_{number}" if pictured else LIST,
        "label": wrong["label"].iloc[0],
        "predicted": wrong["predicted"].iloc[0],
        "count": len(wrong),
        "sure": wrong["probability"].mean(),
        "photos": pictured,
    }


def known_names(results: FinishedExperiment, image_ids: Iterable[str]) -> dict[str, str]:
    """Short names of these photos and of all others of the experiment, which they differ from."""
    images = results.table("images")
    return short_names([*image_ids, *([] if images is None else images["image_id"])])


def _wrong_answers(results: FinishedExperiment, pictured: pd.DataFrame) -> pd.DataFrame:
    """image_id, label, predicted and probability, the surest first."""
    answers = results.chosen_answers()
    if answers is None:
        wrong = pictured[~pictured["right"]]
    else:
        classes = results.confusion.index
        wrong = answers[answers["answered"] != answers["class_index"]]
        wrong = wrong.assign(
            label=classes[wrong["class_index"]], predicted=classes[wrong["answered"]]
        )
    return wrong.sort_values("probability", ascending=False, kind="stable")


def _most_confused(wrong: pd.DataFrame) -> list[pd.DataFrame]:
    """The rows of each true class and answer, the most first."""
    pairs = [own for _, own in wrong.groupby(["label", "predicted"], sort=False)]
    return sorted(pairs, key=len, reverse=True)


def _pairs_table(pairs: Sequence[Mapping[str, Any]]) -> Cells:
    rows = [
        [
            Cell(pair["label"], pair["place"]),
            pair["predicted"],
            pair["count"],
            f"{pair['sure']:.3f}",
        ]
        for pair in pairs
    ]
    return Cells(_PAIR, rows, _PAIR[2:])


def _list(wrong: pd.DataFrame, names: Mapping[str, str]) -> Cells:
    rows = [
        [
            Cell(names[row["image_id"]], title=row["image_id"]),
            row["label"],
            row["predicted"],
            f"{row['probability']:.3f}",
        ]
        for row in wrong.head(MOST_LISTED).to_dict("records")
    ]
    return Cells(_ANSWER, rows, _ANSWER[3:])


def _photo(
    results: FinishedExperiment,
    row: Mapping[Any, Any],
    names: Mapping[str, str],
    doubtful: Collection[str],
) -> Photo:
    image_id, label, predicted = row["image_id"], row["label"], row["predicted"]
    sure = f"{predicted} {row['probability']:.0%}"
    mark: Mark | None = None
    if not row["right"]:
        sure += f", {label} {row['probability_of_label']:.0%}"
        mark = label_mark(image_id, label, predicted, results.corrections)
    lines = [names[image_id], sure]
    if image_id in doubtful:
        lines.append("this label looks wrong")
    pictures = (f"{row['photo']:02d}{end}.jpg" for end in ("", "_map"))
    images = [jpeg_uri(whole_bytes(results.folder / ERRORS / name)) for name in pictures]
    return Photo(images, lines, f"{label}, answered {predicted}", mark, image_id)
