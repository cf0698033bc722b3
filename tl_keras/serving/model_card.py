"""The card of an exported classifier: what it is, how good, what it cannot, how to call it.

After Mitchell et al. (2019), "Model Cards for Model Reporting".
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tl_keras.evaluation.intervals import Interval, accuracy_interval
from tl_keras.evaluation.metrics import confusion, evaluate, per_class
from tl_keras.results.store import write_json
from tl_keras.serving.verify import Verification

JSON_NAME, MARKDOWN_NAME = "model_card.json", "MODEL_CARD.md"

WEAK_RECALL = 0.8
FEW_TEST_IMAGES = 100


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
            "accuracy": scores.accuracy,
            "accuracy_interval": {
                "low": accuracy.low,
                "high": accuracy.high,
                "level": accuracy.level,
                "method": accuracy.method,
                "about": "this model on new images of the same kind",
            },
            "macro_f1": scores.macro_f1,
            "balanced_accuracy": scores.balanced_accuracy,
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
    return {
        **facts,
        "classes": list(evidence.classes),
        "metrics": evidence.metrics(),
        "known_limits": list(_limits(facts, evidence)),
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
            "input": "image_bytes: string (batch,), JPEG, PNG, BMP or GIF files of any size",
            "output": "label, probability, probabilities in the order of classes, decoded",
        },
    }


def write_card(extra: Path, card: Mapping[str, Any]) -> None:
    """Write the card as JSON and as Markdown into a version's folder of extra files."""
    write_json(extra / JSON_NAME, dict(card))
    (extra / MARKDOWN_NAME).write_text(markdown(card), encoding="utf-8")


def _limits(facts: Mapping[str, Any], evidence: Evidence) -> Iterator[str]:
    accuracy, names = evidence.accuracy, evidence.classes
    yield (
        f"It answers one of {len(names)} classes, whatever the picture shows: a photo of something "
        "else gets one of them too, often with a high probability."
    )
    yield _about_probabilities(facts.get("decision"))
    yield (
        "The EXIF orientation of a photo is ignored, as it was in training: rotated photos are "
        "classified as they are stored."
    )
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
            "are; label_errors.csv of the experiment names them."
        )
    if facts.get("notice"):
        yield f"{facts['notice']} The figures say nothing about photographs."


def _about_probabilities(decision: Mapping[str, Any] | None) -> str:
    if decision is None:
        return "Its probabilities are those of the network; they were not calibrated."
    before, after = decision["calibration"]["before"], decision["calibration"]["after"]
    return (
        "The probabilities that it serves are those of the network, with a calibration error of "
        f'{before["ece"]:.3f} on the test photos; calibrated as "How to decide" says, of '
        f"{after['ece']:.3f}. Both hold for photos like these, in shares like these."
    )


def markdown(card: Mapping[str, Any]) -> str:
    """The card for people."""
    parts = [
        [f"# {card['name']}", card["description"] or "An image classifier."],
        ["## What it tells apart", "\n".join(f"{k}. {c}" for k, c in enumerate(card["classes"]))],
        ["## How good it is", _metrics_text(card["metrics"])],
        *([["## How to decide", _decision_text(card["decision"])]] if card.get("decision") else []),
        ["## What it was trained on", _training_text(card)],
        ["## Known limits", "\n".join(f"- {limit}" for limit in card["known_limits"])],
        ["## The check of this export", _verification_text(card)],
        *([["## Other formats", _targets_text(card["targets"])]] if card["targets"] else []),
        ["## How to call it", _CALL.format(name=card["name"])],
        ["## Versions", _list(card["versions"])],
    ]
    return "\n\n".join(text for part in parts for text in part) + "\n"


def _metrics_text(metrics: Mapping[str, Any]) -> str:
    interval = metrics["accuracy_interval"]
    head = (
        f"Accuracy {metrics['accuracy']:.1%} on {metrics['test_images']} test photos "
        f"({interval['level']:.0%} interval {interval['low']:.1%} to {interval['high']:.1%}, "
        f"{interval['method']}: {interval['about']}). Macro F1 {metrics['macro_f1']:.3f}, balanced "
        f"accuracy {metrics['balanced_accuracy']:.1%}."
    )
    scores = _table(
        ["class", "test photos", "recall", "precision"],
        [
            [row["class"], row["support"], _share(row["recall"]), _share(row["precision"])]
            for row in metrics["per_class"]
        ],
    )
    classes, counts = metrics["confusion"]["classes"], metrics["confusion"]["counts"]
    pairs = _table(
        ["true class, answered:", *classes],
        [[name, *row] for name, row in zip(classes, counts, strict=True)],
    )
    return f"{head}\n\n{scores}\n\n{pairs}"


def _decision_text(decision: Mapping[str, Any]) -> str:
    steps = "\n".join(f"{k}. {step}" for k, step in enumerate(decision["how_to_apply"], start=1))
    return (
        f"{decision['text']}\n\nBy hand, with the figures of `decision.json` beside this card "
        f"(`tl-keras predict` does it):\n\n{steps}"
    )


def _training_text(card: Mapping[str, Any]) -> str:
    photos, source, model = card["trained_on"], card["source"], card["model"]
    counts = _table(
        ["class", "training", "validation", "test"],
        [
            [name, *(part[name] for part in photos["per_class"].values())]
            for name in card["classes"]
        ],
    )
    start = "random weights"
    if source:
        start = f"{source['name']}, licence: {source['licence']}. {source['description']}"
    return "\n\n".join(
        [
            f"{photos['training_images']} training and {photos['validation_images']} validation "
            f"photos (SHA-256 of their manifest {photos['manifest_sha256'][:16]}). "
            f"{photos['division']}",
            counts,
            f"Starting point: {start}",
            f"Strategy {card['run']['strategy']}, run {card['run']['run_id']}: "
            f"{model['backbone']} up to {model['cut']}, {model['parameters']:,} parameters, input "
            f"{model['image_size']} pixels. Configuration {card['configuration_hash']}, in full in "
            f"{JSON_NAME}.",
        ]
    )


def _verification_text(card: Mapping[str, Any]) -> str:
    checked, times = card["verification"], card["milliseconds_per_image"]
    labels = "all labels equal" if checked["labels_equal"] else "labels equal but for ties"
    return (
        f"{checked['images']} test photos: {checked['how']}; {labels}, largest difference of a "
        f"probability {checked['largest_difference']:.1g}. {card['saved_model_megabytes']:.1f} MB "
        f"on the disk. Milliseconds per photo, decoding included, warm, on the machine that "
        f"exported it: {times['batch_1']:.1f} alone, {times['batch_32']:.1f} in batches of 32."
    )


def _targets_text(rows: Sequence[Mapping[str, Any]]) -> str:
    return _table(
        [
            "format",
            "file",
            "MB",
            "test accuracy",
            "labels equal",
            "ms alone",
            "ms in batches of 32",
        ],
        [
            [
                row["target"],
                row["file"],
                f"{row['megabytes']:.1f}",
                _share(row["test_accuracy"]),
                _share(row["labels_equal"]),
                _number(row["milliseconds_batch_1"]),
                _number(row["milliseconds_batch_32"]),
            ]
            for row in rows
        ],
    )


_CALL = """With Python, or with `tl-keras predict EXPORT PHOTO...`:

```python
import tensorflow as tf

model = tf.saved_model.load("EXPORT/1")
answer = model.signatures["serving_default"](
    image_bytes=tf.constant([open("photo.jpg", "rb").read()])
)
print(answer["label"].numpy(), answer["probability"].numpy())
```

With TensorFlow Serving (container port 8501), or `tl-keras serve EXPORT`:

```sh
(printf '{{"instances": [{{"b64": "'; base64 < photo.jpg; printf '"}}]}}') |
  curl -d @- http://localhost:8501/v1/models/{name}:predict
```"""


def _table(head: list[Any], rows: list[list[Any]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(
        "| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines
    )


def _without_nan(row: Mapping[Any, Any]) -> dict[str, Any]:
    """For JSON, which knows no NaN."""
    return {name: None if value != value else value for name, value in row.items()}


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.1%}"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"


def _list(values: Mapping[str, Any]) -> str:
    return "\n".join(f"- {name} {value}" for name, value in values.items())
