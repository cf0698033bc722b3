from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import tensorflow_datasets as tfds
from sklearn.datasets import load_digits

from tl_keras.data.handwritten_digits import HandwrittenDigits


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, np.ndarray]]:
    """Every digit, prepared without a network, in the order of scikit-learn's array."""
    folder: Path = tmp_path_factory.mktemp("tfds")
    builder = HandwrittenDigits(data_dir=folder)
    builder.download_and_prepare()
    dataset = builder.as_dataset(
        split="train", read_config=tfds.ReadConfig(add_tfds_id=True), shuffle_files=False
    )
    found = list(tfds.as_numpy(dataset))
    assert len(found) == 1797
    return found


def test_classes_hold_the_counts_of_the_source(examples: list[dict[str, np.ndarray]]) -> None:
    counts = Counter(int(example["label"]) for example in examples)
    assert [counts[digit] for digit in range(10)] == [
        178, 182, 177, 183, 181, 182, 181, 179, 174, 180,
    ]  # fmt: skip


def test_images_are_the_source_scaled_to_eight_bits(
    examples: list[dict[str, np.ndarray]],
) -> None:
    prepared = Counter(
        (int(example["label"]), example["image"].shape, example["image"].tobytes())
        for example in examples
    )
    digits = load_digits()
    source = Counter(
        (int(label), (8, 8, 1), np.rint(image / 16 * 255).astype(np.uint8).tobytes())
        for image, label in zip(digits.images, digits.target, strict=True)
    )
    assert prepared == source


def test_name_resolves_once_the_module_is_imported() -> None:
    assert "handwritten_digits" in tfds.list_builders(with_community_datasets=False)
    assert tfds.builder_cls("handwritten_digits") is HandwrittenDigits


def test_labels_are_the_digits(tmp_path: Path) -> None:
    names = HandwrittenDigits(data_dir=tmp_path).info.features["label"].names
    assert names == list("0123456789")
