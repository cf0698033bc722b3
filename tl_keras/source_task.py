"""The source task's configuration and its stored images. Imports no TensorFlow."""

import difflib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tl_keras.data.procedural_textures import generate
from tl_keras.errors import ConfigError


class SourceConfig(BaseModel):
    """How the bundled source model is made: its generated images and its training."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False)

    name: str = Field(pattern=r"^[a-z0-9_]+$")
    description: str
    classes: int = Field(ge=2, le=5000)
    images_per_class: int = Field(ge=1, description="Training images of each class.")
    held_out_per_class: int = Field(ge=1, description="Images kept aside to measure accuracy.")
    image_size: int = Field(96, ge=32, le=512, description="Side in pixels.")
    small_image_size: int = Field(
        64, ge=32, le=512, description="Side that images are shrunk to before that part."
    )
    full_size_part: float = Field(
        1.0, gt=0, le=1, description="Last part of the training, seen at `image_size`."
    )
    epochs: int = Field(ge=1, description="Passes over the training images.")
    rounds_per_epoch: int = Field(
        1, ge=1, description="Rounds that an epoch is split into; a checkpoint follows each."
    )
    batch_size: int = Field(64, ge=2)
    learning_rate: float = Field(0.002, gt=0, le=1, description="Highest rate of AdamW.")
    warm_up: float = Field(0.05, ge=0, lt=1, description="Fraction of the training it rises for.")
    weight_decay: float = Field(0.05, ge=0, le=1)
    label_smoothing: float = Field(0.1, ge=0, lt=1)
    dropout: float = Field(0.1, ge=0, lt=1)
    shift: int = Field(8, ge=0, le=31, description="Largest random shift, pixels.")
    flip: bool = Field(True, description="Mirror half of the images left to right.")
    brightness: float = Field(0.15, ge=0, le=1, description="Random change, part of the range.")
    contrast: float = Field(0.2, ge=0, le=1, description="Random change, as a factor.")
    batch_norm_momentum: float = Field(0.99, gt=0, lt=1)
    batch_norm_images: int = Field(
        6400, ge=2, description="Images that the BatchNorm statistics are averaged over at the end."
    )
    seed: int = Field(0, ge=0)
    output: str = Field(description="Folder of the finished weights and card.")
    work: str = Field(description="Folder of the generated images and checkpoints (large).")


@dataclass(frozen=True, eq=False)
class SourceImages:
    """Generated images on disk, class after class.

    Attributes:
        pixels: (classes * per_class, size, size, 3) uint8, not loaded into memory.
        training: Rows to train on, (images,).
        held_out: The last rows of every class, (images,).
        labels: The class of every row, (rows,).
    """

    pixels: NDArray[np.uint8]
    training: NDArray[np.int64]
    held_out: NDArray[np.int64]
    labels: NDArray[np.int64]


def read_source_config(path: Path) -> SourceConfig:
    """Read and check the JSON file.

    Raises:
        ConfigError: If it cannot be read or a key is unknown, missing or out of range.
    """
    try:
        return SourceConfig.model_validate_json(path.read_bytes())
    except OSError as error:
        raise ConfigError(
            f"{path}: cannot be read ({error.strerror}). Give the path of a JSON file."
        ) from error
    except ValidationError as error:
        lines = [_explained(dict(part)) for part in error.errors(include_url=False)]
        raise ConfigError("\n".join(f"{path}: {line}" for line in lines)) from error


def stored_images(
    config: SourceConfig, report: Callable[[int, int], None], processes: int = 2
) -> SourceImages:
    """Open the images in the working folder, generating them first where they are missing.

    Args:
        config: Says how many, how large, and where.
        report: Called with images written and images in all.
        processes: Working processes of the generator.

    Raises:
        ConfigError: If the folder holds images of another configuration.
    """
    folder = Path(config.work)
    folder.mkdir(parents=True, exist_ok=True)
    store, facts = folder / "images.npy", folder / "images.json"
    per_class = config.images_per_class + config.held_out_per_class
    wanted = {
        "classes": config.classes,
        "per_class": per_class,
        "size": config.image_size,
        "seed": config.seed,
    }
    if facts.exists():
        found = json.loads(facts.read_text())
        if found != wanted:
            raise ConfigError(
                f"{folder}: holds images of another configuration ({found}), this one asks for "
                f"{wanted}. Delete the folder or set another `work`."
            )
    else:
        for done in generate(store, **wanted, processes=processes):
            report(done, config.classes * per_class)
        replace_text(facts, json.dumps(wanted))
    rows = np.arange(config.classes * per_class)
    held_out = rows % per_class >= config.images_per_class
    pixels = np.load(store, mmap_mode="r")
    return SourceImages(pixels, rows[~held_out], rows[held_out], rows // per_class)


def replace_text(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    temporary = path.with_name(path.name + ".part")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


def _explained(part: dict[str, object]) -> str:
    place = ".".join(str(p) for p in part["loc"]) if isinstance(part["loc"], tuple) else ""
    if part["type"] != "extra_forbidden":
        received = "" if part["type"] in ("missing", "json_invalid") else f", got {part['input']!r}"
        return f"{place or 'file'}: {part['msg']}{received}."
    near = difflib.get_close_matches(place, SourceConfig.model_fields, 1)
    return f"{place}: unknown key." + (f" Did you mean {near[0]}?" if near else "")
