"""Handwritten digits as a TensorFlow Datasets data set that needs no network."""

import io
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from PIL import Image


class HandwrittenDigits(tfds.core.GeneratorBasedBuilder):
    """The 1,797 digits that ship with scikit-learn, as gray PNG of 8 x 8 pixels.

    Source: E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine
    Learning Repository, 1998 (its test set, 13 writers).
    """

    VERSION = tfds.core.Version("1.0.0")

    def _info(self) -> Any:
        return self.dataset_info_from_configs(
            description="Handwritten digits of 13 writers, 8 x 8 pixels in 17 shades of gray.",
            homepage="https://doi.org/10.24432/C50P49",
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(shape=(8, 8, 1), encoding_format="png"),
                    "label": tfds.features.ClassLabel(names=[str(digit) for digit in range(10)]),
                }
            ),
            supervised_keys=("image", "label"),
        )

    def _split_generators(self, dl_manager: Any) -> dict[str, Iterator[tuple[int, Any]]]:
        return {"train": self._generate_examples()}

    def _generate_examples(self) -> Iterator[tuple[int, Any]]:
        from sklearn.datasets import load_digits

        digits = load_digits()
        # 0..16 in the source, 0 is paper
        pixels = np.rint(digits.images * (255 / 16)).astype(np.uint8)
        for index, (image, label) in enumerate(zip(pixels, digits.target, strict=True)):
            # Pillow is quicker here than TensorFlow's encoder
            png = io.BytesIO()
            Image.fromarray(image).save(png, format="png")
            png.seek(0)
            yield index, {"image": png, "label": int(label)}
