"""A classifier as a runtime sees it: bytes of pixels in, its outputs by their names."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

# By the names of `tl_keras.serving.signature_names`, a row per picture.
Outputs = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Runtime:
    """A loaded model, whatever its format.

    Attributes:
        classify: RGB pixels, uint8 (k, size, size, 3), to `probabilities`, float32 (k, classes),
            and what else the model answers: `confidence` and `familiar`, float32 (k,), and
            `decision`, int32 (k,), a place in `DecisionRule.names`.
        batch: the only k that `classify` takes; None is any.
    """

    classify: Callable[[NDArray[np.uint8]], Outputs]
    batch: int | None

    def outputs(self, pixels: NDArray[np.uint8], images_at_once: int = 32) -> Outputs:
        """Of uint8 (n, size, size, 3), n rows each, in batches that the model takes."""
        step = self.batch or images_at_once
        parts = [
            self.classify(pixels[start : start + step]) for start in range(0, len(pixels), step)
        ]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
