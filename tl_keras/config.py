"""The experiment file: its keys, their types, ranges and defaults.

The models are strict (no silent conversion), frozen, and refuse unknown keys. Nothing here
imports TensorFlow, so a bad file is refused at once. `tl_keras.config_file` reads files and
overrides and words the errors.
"""

import re
from pathlib import PurePath
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from tl_keras.backbone_table import BACKBONES

Strategy = Literal[
    "majority_class", "from_scratch", "feature_extraction", "fine_tuning", "searched"
]
Depth = Annotated[int, Field(ge=1)] | Literal["all"]
SearchDepth = Annotated[int, Field(ge=0)] | Literal["all"]
Augmentation = Literal["none", "light", "strong"]
PositiveInt = Annotated[int, Field(ge=1)]
Rate = Annotated[float, Field(gt=0, le=1)]

# The one backbone that the package ships weights for.
BUNDLED_BACKBONE, BUNDLED_ALPHA = "MobileNetV2", 1.0


class _Section(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False)


class DataConfig(_Section):
    """Where the images come from and how they are divided. Exactly one source."""

    folder: str | None = Field(
        None,
        description="Folder with one sub-folder per class, or with train/, validation/ and test/ "
        "that hold the classes.",
    )
    table: str | None = Field(
        None, description="CSV or Parquet file with columns path, label and optional group, split."
    )
    tfds: str | None = Field(
        None, description="Name of a TensorFlow Datasets data set, such as surface_defects."
    )
    data_dir: str | None = Field(
        None, description="Where TensorFlow Datasets keeps its files (default: its own folder)."
    )
    root: str | None = Field(
        None,
        description="Folder that relative paths in the table start from (default: the working "
        "directory).",
    )
    group_pattern: str | None = Field(
        None,
        description="Regular expression searched in each image's path; images with the same match "
        "(its first group, where it has one) stay in the same split.",
    )
    resize: Literal["stretch", "pad", "crop"] = Field(
        "stretch", description="How pictures that are not square reach the input size."
    )
    split_seed: int = Field(0, ge=0, description="Seed of the test split.")
    test_fraction: float = Field(
        0.3, gt=0, lt=1, description="Share of each class's images in the test split."
    )
    max_test_per_class: int | None = Field(
        None, ge=2, description="At most this many test images per class."
    )
    train_per_class: PositiveInt | tuple[PositiveInt, ...] | None = Field(
        None,
        description="Training images per class: a number, a list (a sweep), or null for all that "
        "are left.",
    )
    validation_per_class: int | None = Field(
        None,
        ge=1,
        description="Validation images per class, on top of the training images (default: the "
        "smaller of 10 and train_per_class).",
    )
    skip_unreadable: bool = Field(
        False, description="Leave unreadable files out instead of stopping."
    )

    @field_validator("group_pattern")
    @classmethod
    def _compiles(cls, pattern: str | None) -> str | None:
        if pattern is not None:
            try:
                re.compile(pattern)
            except re.error as error:
                raise ValueError(f"must be a regular expression ({error})") from error
        return pattern

    @field_validator("train_per_class")
    @classmethod
    def _rising(cls, sizes: int | tuple[int, ...] | None) -> int | tuple[int, ...] | None:
        if isinstance(sizes, tuple) and (not sizes or list(sizes) != sorted(set(sizes))):
            raise ValueError("must be a list of rising numbers without repeats, such as [5, 10]")
        return sizes

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        given = [key for key in ("folder", "table", "tfds") if getattr(self, key) is not None]
        if len(given) != 1:
            raise ValueError(
                "must have exactly one of folder, table, tfds; got " + (", ".join(given) or "none")
            )
        if self.data_dir is not None and self.tfds is None:
            raise ValueError("data_dir goes with tfds only; remove it or set tfds")
        if self.root is not None and self.table is None:
            raise ValueError("root goes with table only; remove it or set table")
        return self

    @property
    def training_sizes(self) -> tuple[int | None, ...]:
        """Training images per class of each size asked for; None stands for all."""
        if isinstance(self.train_per_class, tuple):
            return self.train_per_class
        return (self.train_per_class,)


class BackboneConfig(_Section):
    """The pretrained network."""

    name: str = Field("MobileNetV2", description="A Keras Applications backbone.")
    alpha: float | None = Field(
        None, description="Width multiplier of MobileNet, MobileNetV2 and MobileNetV3."
    )
    weights: str | None = Field(
        "imagenet",
        description='"imagenet" (downloaded by Keras), "bundled" (ships with the package), a '
        "weights file, a source model's folder, or null for random initialisation.",
    )
    image_size: int = Field(
        160, ge=32, le=1024, description="Height and width of the input, pixels."
    )

    @field_validator("name")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in BACKBONES:
            raise ValueError("must be one of " + ", ".join(BACKBONES))
        return name

    @model_validator(mode="after")
    def _possible(self) -> Self:
        spec = BACKBONES[self.name]
        if self.image_size < spec.minimum_image_size:
            raise ValueError(
                f"image_size must be at least {spec.minimum_image_size} for {self.name}; "
                f"got {self.image_size}"
            )
        if self.alpha is not None and self.alpha not in spec.alphas:
            allowed = ", ".join(map(str, spec.alphas)) or "null (it has no width multiplier)"
            raise ValueError(f"alpha of {self.name} must be one of {allowed}; got {self.alpha}")
        if self.weights == "bundled" and (self.name, self.alpha or 1.0) != (
            BUNDLED_BACKBONE,
            BUNDLED_ALPHA,
        ):
            raise ValueError(
                f'weights "bundled" exist for {BUNDLED_BACKBONE} with alpha {BUNDLED_ALPHA} only; '
                f"got {self.name} with alpha {self.alpha}"
            )
        return self


class HeadConfig(_Section):
    """The new layers on top of the backbone: global average pooling, then Dense layers."""

    hidden_units: tuple[PositiveInt, ...] = Field(
        (), description="Units of each hidden Dense layer; [] is one Dense layer only."
    )
    dropout: float = Field(
        0.2, ge=0, lt=1, description="Share of features dropped before each Dense layer."
    )


class PhaseConfig(_Section):
    """How long and how fast one phase trains."""

    epochs: int = Field(ge=1, description="At most this many epochs.")
    learning_rate: Rate
    patience: int = Field(
        ge=1, description="Stop after this many epochs without a better validation cross-entropy."
    )


class TrainingConfig(_Section):
    """Training, the same for every strategy unless a phase says otherwise."""

    batch_size: int = Field(32, ge=1, le=4096)
    optimizer: Literal["adam", "adamw", "sgd", "rmsprop"] = "adam"
    weight_decay: float = Field(
        0.0, ge=0, le=1, description="Decoupled weight decay, as a multiple of the learning rate."
    )
    label_smoothing: float = Field(0.0, ge=0, lt=1)
    class_weights: Literal["balanced", "none"] = Field(
        "balanced", description="Whether rarer classes weigh more in the training loss."
    )
    augmentation: Literal["none", "light", "strong", "search"] = Field(
        "none",
        description="Random changes of the training images, drawn anew each epoch. search: each "
        "run is trained with none, light and strong, and validation chooses.",
    )
    phase_1: PhaseConfig = Field(
        PhaseConfig(epochs=200, learning_rate=1e-3, patience=20),
        description="The head, on the frozen backbone.",
    )
    phase_2: PhaseConfig = Field(
        PhaseConfig(epochs=40, learning_rate=1e-4, patience=8),
        description="The head and the unfrozen blocks, from the head of phase 1.",
    )
    from_scratch: PhaseConfig = Field(
        PhaseConfig(epochs=100, learning_rate=1e-3, patience=15),
        description="The whole network from random initialisation.",
    )


class FineTuningConfig(_Section):
    """The depths that the strategy fine_tuning trains."""

    unfrozen_blocks: tuple[Depth, ...] = Field(
        (2, "all"), min_length=1, description="Blocks to unfreeze, counted from the head."
    )


class SearchConfig(_Section):
    """The KerasTuner search behind the strategy searched."""

    oracle: Literal["random", "bayesian", "hyperband", "grid"] = "random"
    max_trials: int = Field(8, ge=1, description="Trials (hyperband decides by itself).")
    unfrozen_blocks: tuple[SearchDepth, ...] = Field((0, 1, 2, 4, "all"), min_length=1)
    learning_rates: tuple[Rate, ...] = Field(
        (3e-5, 1e-4, 3e-4), min_length=1, description="Learning rates of phase 2."
    )
    hidden_units: tuple[Annotated[int, Field(ge=0)], ...] = Field(
        (0,), min_length=1, description="Units of a hidden layer in the head; 0 is none."
    )
    augmentations: tuple[Augmentation, ...] = Field(("none",), min_length=1)
    seed: int = Field(0, ge=0)


class ExperimentConfig(_Section):
    """One experiment: only `name` and `data` are required."""

    name: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$",
        description="Name of the folder for the results.",
    )
    description: str = Field("", description="For people; not read by the package.")
    data: DataConfig
    backbone: BackboneConfig = BackboneConfig()
    head: HeadConfig = HeadConfig()
    training: TrainingConfig = TrainingConfig()
    strategies: tuple[Strategy, ...] = Field(
        ("majority_class", "from_scratch", "feature_extraction", "fine_tuning"), min_length=1
    )
    fine_tuning: FineTuningConfig = FineTuningConfig()
    search: SearchConfig = SearchConfig()
    seeds: int = Field(
        3, ge=1, le=100, description="Runs of each strategy, each with its own draw of images."
    )
    results_dir: str = Field("results", description="Folder that holds the experiments' folders.")
    export: bool = Field(True, description="Whether to export the best strategy as a SavedModel.")
    deterministic: bool = Field(
        True, description="Same file, seed and machine give the same numbers, bit for bit."
    )

    @field_validator("strategies")
    @classmethod
    def _once(cls, strategies: tuple[Strategy, ...]) -> tuple[Strategy, ...]:
        if len(set(strategies)) != len(strategies):
            raise ValueError("must name each strategy once")
        return strategies

    @model_validator(mode="after")
    def _depths_exist(self) -> Self:
        blocks = len(BACKBONES[self.backbone.name].blocks)
        for key, depths in (
            ("fine_tuning.unfrozen_blocks", self.fine_tuning.unfrozen_blocks),
            ("search.unfrozen_blocks", self.search.unfrozen_blocks),
        ):
            for depth in depths:
                if depth != "all" and depth > blocks:
                    raise ValueError(
                        f'{key} must be at most {blocks} or "all" for {self.backbone.name}; '
                        f"got {depth}"
                    )
            if len(set(depths)) != len(depths):
                raise ValueError(f"{key} must name each depth once")
        return self

    @property
    def results_folder(self) -> PurePath:
        return PurePath(self.results_dir) / self.name

    def as_dict(self) -> dict[str, Any]:
        """The whole configuration, defaults included, as JSON types."""
        return self.model_dump(mode="json")
