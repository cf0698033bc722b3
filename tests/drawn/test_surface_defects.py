"""The builder of the generated surface-defect set prepares offline and gives its pictures back."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow_datasets as tfds

from tl_keras.drawn.surface_defect_drawing import CLASS_NAMES, draw
from tl_keras.drawn.surface_defects import GENERATED_NOTICE, SurfaceDefects, SurfaceDefectsConfig
from tl_keras.errors import DataError


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A prepared builder with two pictures of each class."""
    folder: Path = tmp_path_factory.mktemp("tfds")
    config = SurfaceDefectsConfig(name="tiny", images_per_class=2, seed=4)
    builder = tfds.builder("surface_defects", config=config, data_dir=folder)
    builder.download_and_prepare()
    return builder


def test_prepared_pictures_are_the_drawn_ones(tiny: Any) -> None:
    prepared = sorted(
        (int(example["label"]), example["image"].tobytes())
        for example in tfds.as_numpy(tiny.as_dataset(split="train"))
    )
    drawn = sorted(
        (label, draw(label, index, seed=4).tobytes())
        for label in range(len(CLASS_NAMES))
        for index in range(2)
    )
    assert prepared == drawn


def test_features_and_class_names(tiny: Any) -> None:
    assert tiny.info.features["image"].shape == (128, 128, 1)
    assert tiny.info.features["image"].np_dtype == np.uint8
    assert tuple(tiny.info.features["label"].names) == CLASS_NAMES
    assert tiny.info.splits["train"].num_examples == 12


def test_description_says_that_the_images_are_generated(tiny: Any) -> None:
    assert GENERATED_NOTICE in tiny.info.description


def test_the_name_alone_gives_150_pictures_per_class(tmp_path: Path) -> None:
    builder = tfds.builder("surface_defects", data_dir=tmp_path)
    assert isinstance(builder, SurfaceDefects)
    assert (builder.builder_config.images_per_class, builder.builder_config.seed) == (150, 0)
    assert str(builder.version) == "1.0.0"


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"images_per_class": 0}, "images_per_class must be 1 or more, got 0"),
        ({"seed": -1}, "seed must be 0 or more, got -1"),
    ],
)
def test_settings_out_of_range_are_refused(setting: dict[str, int], message: str) -> None:
    with pytest.raises(DataError, match=message):
        SurfaceDefectsConfig(name="wrong", **setting)
