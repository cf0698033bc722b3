"""The generated surface-defect data set as a TFDS builder, `surface_defects`.

Importing this module registers the builder:

    import tensorflow_datasets as tfds
    import tl_keras.drawn.surface_defects
    builder = tfds.builder("surface_defects", data_dir=folder)
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import tensorflow_datasets as tfds

from tl_keras.drawn.surface_defect_drawing import CLASS_NAMES, GENERATED_NOTICE, draw
from tl_keras.drawn.surface_defect_plate import REFERENCE_SIZE
from tl_keras.errors import DataError

__all__ = ["GENERATED_NOTICE", "SurfaceDefects", "SurfaceDefectsConfig"]

_CITATION = """\
@article{song2013noise,
  title={A noise robust method based on completed local binary patterns for hot-rolled steel
         strip surface defects},
  author={Song, Kechen and Yan, Yunhui},
  journal={Applied Surface Science},
  volume={285},
  pages={858--864},
  year={2013}
}
"""


@dataclass(eq=False, kw_only=True)
class SurfaceDefectsConfig(tfds.core.BuilderConfig):
    """How many pictures, and which draw of them.

    `images_per_class` is 1 or more. `seed` is 0 or more; every seed is another data set. The
    `name` is the folder that TFDS keeps the pictures in: give each choice its own.

    Raises:
        DataError: A number is out of range.
    """

    images_per_class: int = 150
    seed: int = 0

    def __post_init__(self) -> None:
        if self.images_per_class < 1:
            raise DataError(
                f"images_per_class must be 1 or more, got {self.images_per_class}. "
                "Choose how many pictures of each class to draw."
            )
        if self.seed < 0:
            raise DataError(f"seed must be 0 or more, got {self.seed}. Choose another seed.")


class SurfaceDefects(tfds.core.GeneratorBasedBuilder):
    """Six kinds of steel surface defect, drawn; one split, `train`.

    Features: `image` (128, 128, 1), gray 0..255, and `label` 0..5 with the names of `CLASS_NAMES`.
    """

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First release."}  # noqa: RUF012
    BUILDER_CONFIGS = [  # noqa: RUF012
        SurfaceDefectsConfig(name="standard", description="150 pictures of each class, seed 0.")
    ]

    def _info(self) -> Any:
        features = tfds.features.FeaturesDict(
            {
                "image": tfds.features.Image(
                    shape=(REFERENCE_SIZE, REFERENCE_SIZE, 1), encoding_format="png"
                ),
                "label": tfds.features.ClassLabel(names=CLASS_NAMES),
            }
        )
        return tfds.core.DatasetInfo(
            builder=self,
            description=f"Drawn pictures of six kinds of steel surface defect. {GENERATED_NOTICE}",
            features=features,
            supervised_keys=("image", "label"),
            citation=_CITATION,
        )

    def _split_generators(self, dl_manager: Any) -> dict[str, Any]:
        del dl_manager  # nothing is downloaded
        return {"train": self._generate_examples()}

    def _generate_examples(self) -> Iterator[tuple[str, dict[str, Any]]]:
        config = self.builder_config
        for label, class_name in enumerate(CLASS_NAMES):
            for index in range(config.images_per_class):
                image = draw(label, index, size=REFERENCE_SIZE, seed=config.seed)
                example = {"image": image[..., None], "label": label}
                yield f"{class_name}_{index:05d}", example
