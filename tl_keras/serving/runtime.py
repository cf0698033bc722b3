"""A classifier as a runtime sees it: bytes of pixels in, probabilities out."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Runtime:
    """A loaded model, whatever its format.

    Attributes:
        classify: RGB pixels, uint8 (k, size, size, 3), to probabilities, float32 (k, classes).
        batch: the only k that `classify` takes; None is any.
    """

    classify: Callable[[NDArray[np.uint8]], NDArray[np.float32]]
    batch: int | None

    def probabilities(
        self, pixels: NDArray[np.uint8], images_at_once: int = 32
    ) -> NDArray[np.float32]:
        """Of uint8 (n, size, size, 3), float32 (n, classes), in batches that the model takes."""
        step = self.batch or images_at_once
        return np.concatenate(
            [self.classify(pixels[start : start + step]) for start in range(0, len(pixels), step)]
        )
