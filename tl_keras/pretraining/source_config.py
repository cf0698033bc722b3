"""The file of a source task: the images that a source model learns from, and how it learns.

Imports no TensorFlow, so a bad file is refused at once.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from tl_keras.backbone_table import BACKBONES
from tl_keras.config.reading import Kind, read_file
from tl_keras.config.schema import MOST_CHOICES, MOST_EPOCHS, DataConfig, Seed
from tl_keras.config.stored import hash_of
from tl_keras.config.text_kinds import Place, Prose, Text

Share = Annotated[float, Field(gt=0, le=1)]
# Of each class.
MOST_DRAWN = 1_000_000
PLACES = {"output", "work"}
# What is learned does not depend on these.
_WITHOUT_EFFECT = {"name", "description", "licence", *PLACES}


class _Section(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False)


class GeneratedImages(_Section):
    """Images that `tl_keras.drawn.procedural_textures` draws."""

    classes: int = Field(ge=2, le=20_000)
    images_per_class: int = Field(ge=1, le=MOST_DRAWN, description="Training images of each class.")
    held_out_per_class: int = Field(
        ge=1, le=MOST_DRAWN, description="Images kept aside to measure accuracy."
    )
    seed: Seed = 0


class SourceConfig(_Section):
    """How a source model is made. Exactly one of `generated` and `data` gives its images."""

    name: str = Field(pattern=r"^[a-z0-9_]{1,100}$")
    description: Prose = Field(description="For the card: what the images show.")
    licence: Prose = Field("unknown", description="For the card: of the weights.")
    generated: GeneratedImages | None = None
    data: DataConfig | None = Field(
        None,
        description="A folder, a table or a TFDS name, as in an experiment. Its test split "
        "measures accuracy; all other images are trained on.",
    )
    backbone: str = Field("MobileNetV2", description="A Keras Applications backbone.")
    alpha: float | None = Field(None, description="Width multiplier, where the backbone has one.")
    image_size: int = Field(96, ge=32, le=512, description="Side in pixels.")
    small_image_size: int = Field(
        64, ge=32, le=512, description="Side of the crops before the part at `image_size`."
    )
    full_size_part: float = Field(
        1.0, gt=0, le=1, description="Last part of the training, seen at `image_size`."
    )
    epochs: int = Field(ge=1, le=MOST_EPOCHS, description="Passes over the training images.")
    rounds_per_epoch: int = Field(
        1,
        ge=1,
        le=MOST_EPOCHS,
        description="Rounds that an epoch is split into; a checkpoint follows each.",
    )
    batch_size: int = Field(64, ge=2, le=65_536)
    replicas: int = Field(
        1,
        ge=1,
        le=64,
        description="Copies of the network that share each batch, a thread each. On CPUs two "
        "copies are nearly twice as fast as one with two threads. Changes the numbers: each copy "
        "normalises its own part of the batch.",
    )
    learning_rate: float = Field(0.002, ge=1e-9, le=1, description="Highest rate of AdamW.")
    warm_up: float = Field(0.05, ge=0, lt=1, description="Part of the training it rises for.")
    weight_decay: float = Field(0.05, ge=0, le=1)
    label_smoothing: float = Field(0.0, ge=0, lt=1)
    dropout: float = Field(0.0, ge=0, lt=1)
    auxiliary_blocks: tuple[Text, ...] = Field(
        (),
        max_length=MOST_CHOICES,
        description="Blocks whose pooled output gets a classifier of its own in training, so that "
        "the class can be read linearly there, too (Lee et al. 2015, Deeply-Supervised Nets).",
    )
    auxiliary_weight: float = Field(
        0.3, ge=0, le=10, description="Weight of the loss of each auxiliary classifier."
    )
    picture_weight: float = Field(
        0.0,
        ge=0,
        le=100,
        description="Weight of describing the picture itself (an 8 by 8 thumbnail, mean colour, "
        "energy by frequency and direction) from the pooled features: what no class asks for, "
        "such as brightness and place, is then kept.",
    )
    crop_area: tuple[Share, Share] = Field(
        (0.6, 1.0), description="Smallest and largest part of the picture in a random crop."
    )
    flip: bool = Field(True, description="Mirror half of the images left to right.")
    brightness: float = Field(0.15, ge=0, le=1, description="Random change, part of the range.")
    contrast: float = Field(0.2, ge=0, le=1, description="Random change, as a factor.")
    batch_norm_momentum: float = Field(0.99, gt=0, lt=1)
    batch_norm_images: int = Field(
        6400,
        ge=2,
        le=100_000_000,
        description="Images that the BatchNorm statistics are averaged over at the end.",
    )
    seed: Seed = 0
    output: Place = Field(description="Folder of the finished weights and card.")
    work: Place = Field(description="Folder of the images and checkpoints (large).")

    @model_validator(mode="after")
    def _possible(self) -> Self:
        problems = []
        if (self.generated is None) == (self.data is None):
            got = "neither" if self.data is None else "both"
            problems.append(f"generated or data must be given, and not both; got {got}")
        if self.backbone not in BACKBONES:
            problems.append(f"backbone must be one of {', '.join(BACKBONES)}; got {self.backbone}")
        else:
            problems += self._backbone_problems()
        if self.data is not None:
            problems += [
                f"data.{key} has no meaning here: what is not in the test split is trained on"
                for key in ("train_per_class", "validation_per_class")
                if getattr(self.data, key) is not None
            ]
        if self.crop_area[0] > self.crop_area[1]:
            problems.append(f"crop_area must rise; got {list(self.crop_area)}")
        if self.batch_size % self.replicas or self.batch_size < 2 * self.replicas:
            problems.append(
                f"batch_size must be a multiple of replicas ({self.replicas}), of two images each "
                f"at least; got {self.batch_size}"
            )
        if problems:
            raise ValueError("\n".join(problems))
        return self

    def _backbone_problems(self) -> list[str]:
        spec = BACKBONES[self.backbone]
        problems = []
        sides = {"image_size": self.image_size}
        if self.full_size_part < 1:
            sides["small_image_size"] = self.small_image_size
        problems += [
            f"{key} must be at least {spec.minimum_image_size} for {spec.name}; got {side}"
            for key, side in sides.items()
            if side < spec.minimum_image_size
        ]
        if self.alpha is not None and self.alpha not in spec.alphas:
            allowed = f"one of {', '.join(map(str, spec.alphas))}" if spec.alphas else "null"
            problems.append(f"alpha must be {allowed} for {spec.name}; got {self.alpha}")
        if unknown := [name for name in self.auxiliary_blocks if name not in spec.blocks]:
            problems.append(
                f"auxiliary_blocks must be of {', '.join(spec.blocks)}; got {', '.join(unknown)}"
            )
        if len(set(self.auxiliary_blocks)) < len(self.auxiliary_blocks):
            problems.append("auxiliary_blocks must name each block once")
        return problems

    def as_learned(self) -> dict[str, Any]:
        """The keys that what is learned depends on, as JSON types."""
        return self.model_dump(mode="json", exclude=_WITHOUT_EFFECT)

    def fingerprint(self) -> str:
        """First 12 hexadecimal digits of the SHA-256 of `as_learned`; see `hash_of`."""
        return hash_of(self.as_learned())


_SOURCE_TASK = Kind(
    SourceConfig,
    "the file of a source task (JSON)",
    '{"name": "parts", "description": "...", "data": {"folder": "photos"}, "epochs": 30, '
    '"output": "models/parts", "work": "work/parts"}',
)


def read_source_config(path: Path, overrides: Sequence[str] = ()) -> SourceConfig:
    """Read and check the JSON file.

    Args:
        path: The file.
        overrides: Texts `key.sub=value`, as after `--set`; a value is JSON where it can be.

    Raises:
        ConfigError: If it cannot be read or a key is unknown, missing or out of range.
    """
    return read_file(_SOURCE_TASK, path, overrides)
