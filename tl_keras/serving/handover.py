"""What an export takes over from the experiment, beside the model."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tl_keras.data.picture_reading import PictureReading
from tl_keras.evaluation.decision_rule import DecisionRule
from tl_keras.serving.wheels import HERE, Destination


@dataclass(frozen=True)
class Handover:
    """For a target that takes files.

    Attributes:
        reading: how they become pixels.
        rule: how it decides; None where nothing is decided.
        files: test photos, which it is tried on.
        probabilities: (files, classes), what the trained model says of them.
        destination: where it shall run.
        former: a version of the same run, whose libraries serve again, and their destination.
    """

    reading: PictureReading
    rule: DecisionRule | None
    files: Sequence[Path]
    probabilities: np.ndarray
    destination: Destination = HERE
    former: Path | None = None
