"""How a picture file becomes pixels: one value for training, caches, audits and exports.

Imports no TensorFlow; `tl_keras.data.decoding` does what it says.
"""

from dataclasses import asdict, dataclass
from typing import Any, Self, get_args

from tl_keras.config.schema import (
    MAX_MEGAPIXELS,
    DataConfig,
    ExifRotation,
    NamedRange,
    ResizeMode,
)

_RANGES = {"full": (0, 65535), "12_bit": (0, 4095)}


@dataclass(frozen=True)
class PictureReading:
    """What is done to every file, the same wherever it is read.

    Attributes:
        resize: "stretch" ignores the aspect ratio, "pad" keeps it and centres the picture between
            black borders, "crop" takes the central square.
        exif_rotation: "apply" turns a picture upright as its EXIF orientation says, "ignore" takes
            it as it is stored.
        range_16_bit: Which values of a 16-bit PNG become 0 and 255: "full" (0 and 65535), "12_bit"
            (0 and 4095), "per_file" (its own darkest and brightest), or the two.
        max_megapixels: Larger pictures are refused by their header, 10^6 pixels.
    """

    resize: ResizeMode = "stretch"
    exif_rotation: ExifRotation = "apply"
    range_16_bit: NamedRange | tuple[int, int] = "full"
    max_megapixels: float = MAX_MEGAPIXELS

    def __post_init__(self) -> None:
        for name, kinds in (("resize", ResizeMode), ("exif_rotation", ExifRotation)):
            if getattr(self, name) not in get_args(kinds):
                allowed = ", ".join(map(repr, get_args(kinds)))
                raise ValueError(f"{name} must be one of {allowed}, got {getattr(self, name)!r}.")
        if not self.max_megapixels > 0:
            raise ValueError(f"max_megapixels must be above 0, got {self.max_megapixels!r}.")

    @classmethod
    def of(cls, data: DataConfig) -> Self:
        """That of an experiment."""
        return cls(**{key: getattr(data, key) for key in cls.__dataclass_fields__})

    @classmethod
    def from_dict(cls, facts: dict[str, Any]) -> Self:
        """What `as_dict` gave.

        Raises:
            TypeError: a key is not known, or it is no dict.
            ValueError: a value is not allowed.
        """
        ends = facts.get("range_16_bit", "full")
        return cls(**{**facts, "range_16_bit": tuple(ends) if isinstance(ends, list) else ends})

    @property
    def turns(self) -> bool:
        """Whether pictures are turned upright."""
        return self.exif_rotation == "apply"

    @property
    def max_pixels(self) -> int:
        """The most pixels that a picture may have."""
        return int(self.max_megapixels * 1e6)

    @property
    def black_and_white(self) -> tuple[int, int] | None:
        """The values of 16 bits that become 0 and 255; None is those of each file."""
        named = self.range_16_bit
        return _RANGES.get(named) if isinstance(named, str) else named

    def as_dict(self) -> dict[str, Any]:
        """JSON types."""
        facts = asdict(self)
        ends = facts["range_16_bit"]
        return {**facts, "range_16_bit": list(ends) if isinstance(ends, tuple) else ends}


DEFAULTS = PictureReading()
# Of what was stored or exported before there was anything but `resize` to say.
EARLIER = PictureReading(exif_rotation="ignore")
