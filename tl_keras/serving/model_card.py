"""The card of an exported classifier: what it is, how good, what it cannot, how to call it.

After Mitchell et al. (2019), "Model Cards for Model Reporting".
"""

import functools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import pandas as pd

from tl_keras.atomic_files import write_json, write_text
from tl_keras.data.corrections import in_words as corrections_in_words
from tl_keras.data.image_formats import served_in_words
from tl_keras.evaluation.intervals import LEVEL, Interval, accuracy_interval
from tl_keras.evaluation.metrics import confusion, evaluate, per_class
from tl_keras.reporting.stranger_words import in_words, refused_photos
from tl_keras.safe_text import json_line, one_line
from tl_keras.serving.signature_names import EVIDENCE, HEAT_MAPS, PIXELS, PLACES
from tl_keras.serving.targets import caution, roughness
from tl_keras.serving.verify import Verification

JSON_NAME, MARKDOWN_NAME = "model_card.json", "MODEL_CARD.md"

# Code, emphasis, tables, entities of HTML, formulas, strokes and links; an underscore between
# letters is none.
_MARKUP = re.compile(r"[\\`*|$]|&(?=#?\w+;)|~(?=~)|\](?=[(\[:])|(?<![^\W_])_|_(?![^\W_])")
# Headings, lists, quotations and lines.
_START = re.compile(r"^(\d*)([-+=#>.)])(?!\w)")

# Of every export.
_OUTPUTS = ("label", "probability", "probabilities", "decoded")
_MAPS = (
    f"`{EVIDENCE}`, float32 (batch, size, size), what each pixel adds to the score of the label, "
    f"negative where it speaks against it; `{PIXELS}`, uint8 (batch, size, size, 3), the photo as "
    f"the network saw it; and `{PLACES}`, int32 (batch,), how many rows the evidence really has"
)
WEAK_RECALL = 0.8
FEW_TEST_IMAGES = 100
_EXIF_ROTATION = {
    "apply": "Photos are turned upright as their EXIF orientation says, as they were in training: "
    "pixels that are handed over without their file must be upright.",
    "ignore": "The EXIF orientation of a photo is ignored, as it was in training: rotated photos "
    "are classified as they are stored.",
}


@dataclass(frozen=True)
class Evidence:
    """What the export's test photos showed.

    Attributes:
        classes: names in the order of the probabilities.
        labels: int (n,), true class indices of the test images.
        probabilities: (n, classes), the trained model's.
        groups: int (n,), numbers of the groups of images that are alike; None where there are none.
    """

    classes: tuple[str, ...]
    labels: np.ndarray
    probabilities: np.ndarray
    groups: np.ndarray | None = None

    @property
    def predicted(self) -> np.ndarray:
        """Class indices, int (n,)."""
        return np.asarray(self.probabilities.argmax(axis=1))

    @property
    def accuracy(self) -> Interval:
        """Of this one model on new images of the same kind."""
        return accuracy_interval((self.predicted == self.labels)[np.newaxis], groups=self.groups)

    @property
    def n_groups(self) -> int:
        """Different groups of the test images."""
        return len(self.labels) if self.groups is None else len(np.unique(self.groups))

    @property
    def photos(self) -> str:
        """How many there are, such as "60 photos in 6 groups"."""
        count, groups = f"{len(self.labels)} photos", self.n_groups
        if groups == len(self.labels):
            return count
        return f"{count} in {groups} group{'' if groups == 1 else 's'}"

    @property
    def per_class(self) -> pd.DataFrame:
        return per_class(self.labels, self.predicted, self.classes)

    @property
    def confusion(self) -> pd.DataFrame:
        """Counts; a row per true class, a column per predicted one."""
        pairs = confusion(self.labels, self.predicted, self.classes)
        counts = pairs["count"].to_numpy().reshape(len(self.classes), -1)
        return pd.DataFrame(counts, list(self.classes), list(self.classes))

    def metrics(self) -> dict[str, Any]:
        """For JSON; fractions, and nats."""
        scores, accuracy = evaluate(self.labels, self.probabilities), self.accuracy
        return {
            "test_images": scores.n,
            "test_groups": self.n_groups,
            "accuracy": scores.metrics["accuracy"],
            "accuracy_interval": {
                "low": accuracy.low,
                "high": accuracy.high,
                "level": LEVEL,
                "method": accuracy.method,
                "about": "this one model on new images of the same kind, where with several seeds "
                "or folds tables/summary.csv is about the method",
            },
            "macro_f1": scores.metrics["macro_f1"],
            "balanced_accuracy": scores.metrics["balanced_accuracy"],
            "cross_entropy": scores.cross_entropy,
            "per_class": [_without_nan(row) for row in self.per_class.to_dict("records")],
            "confusion": {"classes": list(self.classes), "counts": self.confusion.values.tolist()},
        }


def model_card(
    facts: Mapping[str, Any],
    evidence: Evidence,
    verification: Verification,
    targets: Sequence[Mapping[str, Any]],
    megabytes: float,
) -> dict[str, Any]:
    """Everything of the card, as JSON types.

    Args:
        facts: name, description, run, trained_on, source, configuration, model, versions and so
            on; see `tl_keras.experiment.export`.
        evidence: on the test split.
        verification: of the export itself.
        targets: rows of `exports.csv`, other formats beside the SavedModel.
        megabytes: of the SavedModel on the disk, in 2^20 bytes.
    """
    checked = verification.as_dict()
    times = {name: checked.pop(f"milliseconds_{name}") for name in ("batch_1", "batch_32")}
    example = checked.pop("example")
    return {
        **facts,
        "classes": list(evidence.classes),
        "metrics": evidence.metrics(),
        "known_limits": [*_limits(facts, evidence), *filter(None, map(caution, targets))],
        "verification": {
            **checked,
            "how": "every test image, from its bytes, in a new process with plain TensorFlow, "
            "against the trained model",
        },
        "saved_model_megabytes": megabytes,
        "targets": [_without_nan(row) for row in targets],
        "milliseconds_per_image": times,
        "how_to_call": {
            "signature": "serving_default",
            "input": f"image_bytes: string (batch,), {served_in_words()} files of any size",
            "output": ", ".join(_OUTPUTS if example is None else example["answer"]),
            "heat_maps": {"signature": HEAT_MAPS, "output": _MAPS},
            "example": example,
        },
    }


def write_card(extra: Path, card: Mapping[str, Any]) -> None:
    """Write the card as JSON and as Markdown into a version's folder of extra files."""
    write_json(extra / JSON_NAME, dict(card))
    write_text(extra / MARKDOWN_NAME, markdown(card))


def _limits(facts: Mapping[str, Any], evidence: Evidence) -> Iterator[str]:
    accuracy, names = evidence.accuracy, evidence.classes
    told = (
        f"It answers one of {len(names)} classes, whatever the picture shows: a photo of something "
        "else gets one of them too, often with a high probability"
    )
    yield f"{told}." if facts["strangers"] is None else f'{told}, unless its decision is "unknown".'
    yield _about_probabilities(facts["decision"])
    yield _EXIF_ROTATION[facts["configuration"]["data"]["exif_rotation"]]
    if facts["other_formats"]:
        yield served_formats_only(facts["other_formats"])
    if min(accuracy.n_images, evidence.n_groups) < FEW_TEST_IMAGES:
        yield (
            f"Measured on {evidence.photos}: the accuracy on new ones lies between "
            f"{accuracy.low:.1%} and {accuracy.high:.1%} with 95% confidence."
        )
    scores = evidence.per_class
    weak = scores[scores["recall"] < WEAK_RECALL].sort_values("recall")
    for row in weak.itertuples():
        yield f"Of {row.support} test photos of {row[1]!r} it recognised {row.recall:.0%}."
    doubtful = facts["doubtful_labels"]
    if any(doubtful.values()):
        counts = ", ".join(f"{count} of {part} photos" for part, count in doubtful.items() if count)
        yield (
            f"Labels that look wrong: {counts}. It learned them and was measured with them as they "
            "are; tables/label_errors.csv of the experiment names them."
        )
    if facts["notice"]:
        yield f"{facts['notice']} The figures say nothing about photographs."


def served_formats_only(others: Sequence[str]) -> str:
    """What to know of an export where photos it learned from have formats that it does not take."""
    return (
        f"The exported model takes {served_in_words()}; some of the photos are "
        f"{' and '.join(others)}. tl-keras predict reads these too; to call the model in any other "
        "way, save them as PNG first."
    )


def _about_probabilities(decision: Mapping[str, Any] | None) -> str:
    if decision is None:
        return "Its probabilities are those of the network; they were not calibrated."
    before, after = decision["calibration"]["before"], decision["calibration"]["after"]
    return (
        "The probabilities that it serves are those of the network, with a calibration error of "
        f"{before['ece']:.3f} on the test photos; its confidence is calibrated, with one of "
        f"{after['ece']:.3f}. Both hold for photos like these, in shares like these."
    )


def markdown(card: Mapping[str, Any]) -> str:
    """The card for people."""
    strangers = card["strangers"]
    return _template().render(
        card,
        strangers_in_words=[] if strangers is None else in_words(strangers),
        refused_photos=[] if strangers is None else refused_photos(strangers),
        corrections_in_words=corrections_in_words(card["trained_on"]["corrections"]),
    )


@functools.cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("tl_keras.serving"),
        # names of classes and descriptions are anybody's text
        finalize=literal,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"percent": _share, "decimal": _number, "json": json_line}
    environment.filters["roughness"] = roughness
    return environment.get_template(MARKDOWN_NAME)


def literal(text: object) -> object:
    """Text as one line that Markdown shows as it stands; what a template marks as safe stays."""
    if hasattr(text, "__html__"):
        return text
    line = _MARKUP.sub(r"\\\g<0>", one_line(" ".join(str(text).split())))
    # as an entity, which no reader takes for HTML, whatever it makes of strokes
    return _START.sub(r"\1\\\2", line).replace("<", "&lt;")


def _without_nan(row: Mapping[Any, Any]) -> dict[str, Any]:
    """For JSON, which knows no NaN."""
    return {name: None if value != value else value for name, value in row.items()}


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.1%}"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"
