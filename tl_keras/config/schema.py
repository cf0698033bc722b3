"""The experiment file: its keys, their types, ranges and defaults.

The models are strict (no silent conversion), frozen, and refuse unknown keys. Nothing here
imports TensorFlow, so a bad file is refused at once. `tl_keras.config.files` reads files and
overrides and words the errors.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    field_validator,
    model_validator,
)
from pydantic_core import core_schema

from tl_keras.augmentation_table import AUGMENTATIONS
from tl_keras.backbone_table import (
    BACKBONES,
    FILE,
    HUB,
    PRESET,
    BackboneSpec,
    MeanAndStd,
    NamedScaling,
    Scaling,
    preset_label,
)
from tl_keras.config.network_entries import NetworkEntry, entry_labels, read_entry
from tl_keras.config.text_kinds import Label, Pattern, Place, Prose, Text
from tl_keras.invocation import literal
from tl_keras.oracle_table import ORACLES
from tl_keras.strategy_table import STRATEGIES, borrowing, names_where
from tl_keras.target_table import TARGETS


class NameOf:
    """Marks a string as the name of a row of a table, also of rows that are added later."""

    def __init__(self, table: Mapping[str, Any], *others: str) -> None:
        """Take over the table, by name, and what else the string may be."""
        self._table, self._others = table, others

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> Any:
        return core_schema.no_info_after_validator_function(self._known, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: Any, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {"type": "string", "enum": [*self._table, *self._others]}

    def _known(self, name: str) -> str:
        known = [*self._table, *self._others]
        if name not in known:
            raise ValueError(f"must be one of {', '.join(known)}; got {name}")
        return name


Strategy = Annotated[str, NameOf(STRATEGIES)]
RANGE_PATTERN = r"^[^:]+:[^:]+$"
BlockRange = Annotated[str, Field(pattern=RANGE_PATTERN, max_length=200)]
MOST_DEPTH = 1000
Depth = Annotated[int, Field(ge=1, le=MOST_DEPTH)] | Literal["all"] | BlockRange
SearchDepth = Annotated[int, Field(ge=0, le=MOST_DEPTH)] | Literal["all"] | BlockRange
ExportTarget = Annotated[str, NameOf(TARGETS)]
Oracle = Annotated[str, NameOf(ORACLES)]
Augmentation = Annotated[str, NameOf(AUGMENTATIONS)]
AugmentationOrSearch = Annotated[str, NameOf(AUGMENTATIONS, "search")]
# Upper bounds lie far above what anybody needs, and below what memory, time and numbers can bear.
MOST_IMAGES = 1_000_000
ImageCount = Annotated[int, Field(ge=1, le=MOST_IMAGES)]
MOST_UNITS = 16_384
MOST_CHOICES = 100
MOST_WORKERS = 1024
MOST_THREADS = 256
Units = Annotated[int, Field(ge=1, le=MOST_UNITS)]
# below it float32 steps change nothing
Rate = Annotated[float, Field(ge=1e-9, le=1)]
# NumPy takes seeds below 2**32; the runs derive larger ones from these
Seed = Annotated[int, Field(ge=0, le=2**31 - 1)]

ResizeMode = Literal["stretch", "pad", "crop"]
ExifRotation = Literal["apply", "ignore"]
NamedRange = Literal["full", "12_bit", "per_file"]
Level16 = Annotated[int, Field(ge=0, le=65535)]
# As many as Pillow opens; of more, TensorFlow cannot be sure to decode a file.
MAX_MEGAPIXELS, MOST_MEGAPIXELS = 179.0, 500.0

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"

# The one backbone that the package ships weights for.
BUNDLED_BACKBONE, BUNDLED_ALPHA, BUNDLED_SIZE = "MobileNetV2", 1.0, 96
DEFAULT_SIZE = 160


class _Section(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False)


def _refuse(problems: Sequence[str]) -> None:
    """Raise one ValueError with one problem per line, each starting with the key it is about."""
    if problems:
        raise ValueError("\n".join(problems))


class TableColumns(_Section):
    """What the columns of `data.table` are called; those of group and split may be absent."""

    path: Text = Field(default="path", description="The column with the pictures' files.")
    label: Text = Field(default="label", description="The column with the names of the classes.")
    group: Text = Field(
        default="group",
        description="The column that says what a picture shows or comes from: rows of one group "
        "stay in the same split.",
    )
    split: Text = Field(
        default="split", description="The column that says train, validation or test."
    )

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        names = list(vars(self).values())
        _refuse(
            [f'must name four columns; got "{n}" twice' for n in names if names.count(n) > 1][:1]
        )
        return self


class DataConfig(_Section):
    """Where the images come from and how they are divided. Exactly one source."""

    folder: Place | None = Field(
        default=None,
        description="Folder with one sub-folder per class, or with train/, validation/ and test/ "
        "that hold the classes.",
    )
    class_level: int | None = Field(
        default=None,
        ge=1,
        le=9,
        description="How many folders deep the classes lie in data.folder: 1 is crack/1.jpg, 2 is "
        "monday/crack/1.jpg (default: told from the names of the folders, and asked for where they "
        "can be read in two ways).",
    )
    table: Place | None = Field(
        default=None,
        description="CSV, TSV or Parquet file with columns path, label and optional group, split.",
    )
    columns: TableColumns = Field(
        default=TableColumns(), description="What the columns of the table are called."
    )
    tfds: Text | None = Field(
        default=None, description="Name of a TensorFlow Datasets data set, such as surface_defects."
    )
    data_dir: Place | None = Field(
        default=None,
        description="Where TensorFlow Datasets keeps its files (default: its own folder).",
    )
    root: Place | None = Field(
        default=None,
        description="Folder that relative paths in the table start from (default: the working "
        "directory).",
    )
    group_pattern: Pattern | None = Field(
        default=None,
        description="Regular expression searched in each image's path; images with the same match "
        "(its first group, where it has one) stay in the same split.",
    )
    merge_labels: bool | None = Field(
        default=None,
        description="Whether labels that differ only in case, in blanks, - and _, or in what does "
        "not show are joined under the most frequent spelling (default: they are asked for).",
    )
    corrections: Place | None = Field(
        default=None,
        description="CSV file with columns image_id, was and label, as the pages of audits and "
        "reports save it: label is the right class of a picture whose label was the other, the "
        "same where it was found right, or empty to leave the picture out.",
    )
    keep_duplicates_together: bool = Field(
        default=True,
        description="Whether copies of a picture, exact ones and those that were encoded, resized, "
        "turned or cropped a little, stay in the same split. Splits that the source gives are left "
        "as they are.",
    )
    resize: ResizeMode = Field(
        default="stretch", description="How pictures that are not square reach the input size."
    )
    exif_rotation: ExifRotation = Field(
        default="apply",
        description='What is done with the EXIF orientation of JPEG and PNG files: "apply" turns a '
        'picture as viewers show it, "ignore" takes it as it is stored.',
    )
    range_16_bit: NamedRange | tuple[Level16, Level16] = Field(
        default="full",
        description='Which values of a 16-bit picture become black and white: "full" (0 and '
        '65535), "12_bit" (0 and 4095), "per_file" (its darkest and its brightest), or the two, '
        "such as [0, 4095]; what lies beyond is cut off.",
    )
    max_megapixels: float = Field(
        default=MAX_MEGAPIXELS,
        gt=0,
        le=MOST_MEGAPIXELS,
        description="Pictures with more million pixels are unreadable, told by their header, in "
        "training and in the exported model. Decoding one takes up to 11 bytes per pixel, of 16 "
        "bits 18: at 179, 2 and 3.2 GB.",
    )
    split_seed: Seed = Field(default=0, description="Seed of the test split.")
    test_fraction: float = Field(
        default=0.3, gt=0, lt=1, description="Share of each class's images in the test split."
    )
    max_test_per_class: int | None = Field(
        default=None, ge=2, le=MOST_IMAGES, description="At most this many test images per class."
    )
    train_per_class: (
        ImageCount | Annotated[tuple[ImageCount, ...], Field(max_length=MOST_CHOICES)] | None
    ) = Field(
        default=None,
        description="Training images per class: a number, a list (a sweep), or null for all that "
        "are left.",
    )
    validation_per_class: ImageCount | None = Field(
        default=None,
        description="Validation images per class, on top of the training images (default: the "
        "smaller of 10 and train_per_class).",
    )
    skip_unreadable: bool = Field(
        default=False, description="Leave unreadable files out instead of stopping."
    )

    @field_validator("range_16_bit")
    @classmethod
    def _rising_range(cls, ends: NamedRange | tuple[int, int]) -> NamedRange | tuple[int, int]:
        if isinstance(ends, tuple) and ends[0] >= ends[1]:
            raise ValueError("must have two rising numbers, such as [0, 4095]")
        return ends

    @field_validator("train_per_class")
    @classmethod
    def _rising(cls, sizes: int | tuple[int, ...] | None) -> int | tuple[int, ...] | None:
        if isinstance(sizes, tuple) and (not sizes or list(sizes) != sorted(set(sizes))):
            raise ValueError("must be a list of rising numbers without repeats, such as [5, 10]")
        return sizes

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        given = [key for key in ("folder", "table", "tfds") if getattr(self, key) is not None]
        problems = []
        if len(given) != 1:
            problems.append(
                "must have exactly one of folder, table, tfds; got "
                + (" and ".join(given) or "none")
            )
        if self.data_dir is not None and self.tfds is None:
            problems.append(f'data_dir goes with tfds only; got "{self.data_dir}"; remove it')
        if self.class_level is not None and self.folder is None:
            problems.append(f"class_level goes with folder only; got {self.class_level}; remove it")
        if self.columns != TableColumns() and self.table is None:
            named = literal(self.columns.model_dump(exclude_defaults=True))
            problems.append(f"columns goes with table only; got {named}; remove it")
        if self.root is not None and self.table is None:
            problems.append(f'root goes with table only; got "{self.root}"; remove it')
        _refuse(problems)
        return self

    @property
    def training_sizes(self) -> tuple[int | None, ...]:
        """Training images per class of each size asked for; None stands for all."""
        if isinstance(self.train_per_class, tuple):
            return self.train_per_class
        return (self.train_per_class,)


Pooling = Literal["mean", "mean_std"]
Views = Literal["none", "flip", "turns"]
Penalty = Annotated[float, Field(gt=0, le=1e6)]
_SEVERAL = Field(min_length=1, max_length=MOST_CHOICES)
# Sizes among which "search" chooses, pixels.
SEARCHED_SIZES = (96, 160, 224)
_SIZES = f"{', '.join(map(str, SEARCHED_SIZES[:-1]))} and {SEARCHED_SIZES[-1]}"
ImageSize = Annotated[int, Field(ge=32, le=1024)]
ImageSizes = Annotated[tuple[ImageSize, ...], Field(min_length=1, max_length=10)]


Level = Annotated[float, Field(ge=-1e6, le=1e6)]
Factor = Annotated[float, Field(gt=0, le=1e6)]
Levels = Level | tuple[Level, Level, Level]
Factors = Factor | tuple[Factor, Factor, Factor]


class ScalingConfig(_Section):
    """How a network wants RGB pixels: (pixel - mean) / std, or (pixel - mean) * scale."""

    mean: Levels = Field(
        default=0.0, description="Of pixels 0..255: a number, or one of red, green and blue each."
    )
    std: Factors | None = Field(default=None, description="What is divided by, likewise.")
    scale: Factors | None = Field(
        default=None, description="What is multiplied by, in place of std."
    )

    def as_scaling(self) -> MeanAndStd:
        """With a standard deviation, of three colours."""
        if self.scale is not None:
            red, green, blue = _three(self.scale)
            return MeanAndStd(_three(self.mean), (1 / red, 1 / green, 1 / blue))
        return MeanAndStd(_three(self.mean), _three(self.std or 1.0))


def _three(values: float | tuple[float, float, float]) -> tuple[float, float, float]:
    return values if isinstance(values, tuple) else (values, values, values)


class BackboneConfig(_Section):
    """The pretrained network."""

    name: NetworkEntry | Annotated[tuple[NetworkEntry, ...], Field(min_length=1, max_length=10)] = (
        Field(
            default="MobileNetV2",
            description=f'A Keras Applications backbone, or "{FILE}": the network that weights '
            "names. The path of a .keras or .h5 file is short for both; MobileNet-0.25 is one with "
            f"its alpha, MobileNetV2=FILE one with weights of its own, {HUB}resnet_18_imagenet a "
            f"preset of KerasHub, {HUB}FOLDER one in a folder. A list has linear probes choose "
            "among its networks, at every size, on training and validation images of the first "
            "seed.",
        )
    )
    alpha: float | None = Field(
        default=None,
        description="Width multiplier of MobileNet, MobileNetV2 and MobileNetV3 (null: 1.0).",
    )
    weights: Place | None = Field(
        default_factory=lambda given: (
            PRESET if str(given.get("name")).startswith(HUB) else "imagenet"
        ),
        json_schema_extra={"default": "imagenet"},
        description='"imagenet" (downloaded by Keras), "bundled" (ships with the package), a '
        "weights file, a source model's folder, the results folder of a finished experiment, or "
        f'null for random initialisation. With name "{FILE}": the .keras or .h5 file of a '
        "network, with or without its classifier. With a preset of KerasHub: "
        f'"{PRESET}", its own, or null.',
    )
    scaling: NamedScaling | ScalingConfig | None = Field(
        default=None,
        description=f'How a network with the name "{FILE}", or a preset, wants its pixels: "tf" '
        '(-1 to 1), "torch" (less the mean of ImageNet, by its standard deviation), "caffe" (blue '
        'first, less the mean), "none" (0 to 255), or such as {"mean": 127, "std": 128}; null '
        "finds out.",
    )
    trust_code: bool = Field(
        default=False,
        description="Whether Python code in the file of a network, as Lambda layers have it, may "
        "be run.",
    )
    image_size: ImageSize | Literal["search"] | ImageSizes = Field(
        default_factory=lambda given: (
            BUNDLED_SIZE if given.get("weights") == "bundled" else DEFAULT_SIZE
        ),
        json_schema_extra={"default": DEFAULT_SIZE},
        description="Height and width of the input, pixels (default with the bundled weights: "
        f"{BUNDLED_SIZE}, at which they were made). A list has linear probes choose among "
        f'its sizes on training and validation images of the first seed, "search" among {_SIZES}.',
    )
    cut: Text = Field(
        default="top",
        description='The block whose output feeds the head: "top" is the last one, "search" lets '
        "linear probes choose it on the training images of the first seed and smallest size. What "
        "lies above is left out, and the model is smaller and faster. from_scratch trains the "
        "whole network all the same.",
    )

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if isinstance(self.name, str) or len(self.name) == 1:
            self._become(self.name if isinstance(self.name, str) else self.name[0])
            _refuse(self._problems())
        else:
            problems = (p for network in self.networks.values() for p in network._problems())
            _refuse([*self._list_problems(), *dict.fromkeys(problems)])
        return self

    def _become(self, entry: str) -> None:
        """Take over the network that one entry names, whichever of its forms was given."""
        named = read_entry(entry)
        if self.alpha is not None and named.get("alpha", self.alpha) is None:
            del named["alpha"]  # one that was given is refused, not forgotten
        if self.name != named["name"]:
            for key, value in named.items():
                object.__setattr__(self, key, value)
            self.model_fields_set.update(named)
            if "image_size" not in self.model_fields_set and self.weights == "bundled":
                object.__setattr__(self, "image_size", BUNDLED_SIZE)

    def _list_problems(self) -> Iterator[str]:
        networks = self.networks
        if FILE in networks:
            yield f'name must have the path of a .keras or .h5 file in place of "{FILE}" in a list'
        seen = [(each.name, each.weights, each.alpha) for each in networks.values()]
        if len(networks) < len(self.name) or len({*seen}) < len(seen):
            yield f"name must name each network once; got {literal(self.name)}"
        key = "trust_code" if self.scaling is None else "scaling"
        if getattr(self, key) and not any(each.name == FILE for each in networks.values()):
            got = literal(self.name)
            yield f"{key} goes with networks from files only; got {got}; remove it"

    def _problems(self) -> list[str]:
        """What is wrong with the one network that this names."""
        spec = self._row
        if spec is None:
            return self._problems_without_row()
        problems = []
        small = [size for size in self.asked_sizes if size < spec.minimum_image_size]
        if small:
            problems.append(
                f"image_size must be at least {spec.minimum_image_size} for {self.name}; "
                f"got {small[0]}"
            )
        problems += self._repeated_sizes()
        if self.scaling is not None or self.trust_code:
            key, where = (
                ("trust_code", f'name "{FILE}"')
                if self.scaling is None
                else ("scaling", f'name "{FILE}" or a preset')
            )
            problems.append(f"{key} goes with {where} only; got {self.name}; remove it")
        if self.alpha is not None and self.alpha not in spec.alphas:
            allowed = f"one of {', '.join(map(str, spec.alphas))}" if spec.alphas else literal(None)
            problems.append(f"alpha must be {allowed} for {self.name}; got {self.alpha}")
        problems += self.cut_problems(spec.blocks)
        if self.weights == "bundled" and (self.name, self.alpha or 1.0) != (
            BUNDLED_BACKBONE,
            BUNDLED_ALPHA,
        ):
            problems.append(
                f'weights "bundled" are for {BUNDLED_BACKBONE} with alpha {BUNDLED_ALPHA} only; '
                f'got {self.name} with alpha {self.alpha or 1.0}; use "imagenet", a weights file '
                f"or {literal(None)}"
            )
        return problems

    def _problems_without_row(self) -> list[str]:
        """Of a network that is known when its file or preset is read."""
        problems, scaling = self._repeated_sizes(), self.scaling
        if isinstance(scaling, ScalingConfig) and (scaling.std is None) == (scaling.scale is None):
            both = "both" if scaling.std else "neither"
            problems.append(f"scaling must have one of std and scale beside mean; got {both}")
        if self.alpha is not None:
            null = literal(None)
            problems.append(f'alpha must be {null} for name "{self.network}"; got {self.alpha}')
        if self.is_preset and self.trust_code:
            problems.append(
                f'trust_code goes with name "{FILE}" only; got {self.network}; remove it'
            )
        if self.is_preset and self.weights not in (None, PRESET):
            problems.append(
                f'weights must be "{PRESET}" or {literal(None)} for a preset of KerasHub; got '
                f'{literal(self.weights)}; for a network in a file set name to "{FILE}"'
            )
        if not self.is_preset and self.weights in (None, PRESET, "imagenet", "bundled"):
            problems.append(
                f'weights must be the .keras or .h5 file of the network for name "{FILE}"; got '
                f"{literal(self.weights)}"
            )
        return problems

    def _repeated_sizes(self) -> list[str]:
        if len({*self.asked_sizes}) == len(self.asked_sizes):
            return []
        return [f"image_size must name each size once; got {[*self.asked_sizes]}"]

    @property
    def networks(self) -> "dict[str, BackboneConfig]":
        """The networks to choose among, each by its entry, as it was given."""
        if isinstance(self.name, str):
            return {self.name: self}
        return {entry: self._with_network(entry) for entry in self.name}

    @property
    def candidates(self) -> "dict[tuple[str, int], BackboneConfig]":
        """Each network at each size, by its entry and size, network by network and ascending."""
        return {
            (entry, size): network.model_copy(update={"image_size": size})
            for entry, network in self.networks.items()
            for size in network.asked_sizes
        }

    @property
    def only(self) -> "BackboneConfig | None":
        """Its network at its size; None where there is a choice."""
        candidates = [*self.candidates.values()]
        return candidates[0] if len(candidates) == 1 else None

    @property
    def at_largest(self) -> "BackboneConfig":
        """The same with the largest of its sizes alone."""
        return self.model_copy(update={"image_size": self.side})

    def _with_network(self, entry: str) -> "BackboneConfig":
        named = read_entry(entry)
        # for the files among them
        others = {"scaling": None, "trust_code": False} if named["name"] in BACKBONES else {}
        return self.model_copy(update=others | named)

    @property
    def network(self) -> str:
        """The name of its one network, a key of the table, `FILE` or a preset's."""
        return str(self.name)

    @property
    def is_preset(self) -> bool:
        """Whether its one network is of KerasHub."""
        return self.network.startswith(HUB)

    @property
    def _row(self) -> BackboneSpec | None:
        """Of the table; None for a network from a file or preset."""
        return BACKBONES.get(self.network)

    @property
    def known_scaling(self) -> Scaling | None:
        """How the network wants its pixels, where that is said."""
        scaling = self.scaling
        return scaling.as_scaling() if isinstance(scaling, ScalingConfig) else scaling

    @property
    def asked_sizes(self) -> tuple[int, ...]:
        """Sizes to choose among, ascending; one where there is no choice."""
        if self.image_size == "search":
            smallest = self._row.minimum_image_size if self._row else 0
            return tuple(size for size in SEARCHED_SIZES if size >= smallest)
        sizes = (self.image_size,) if isinstance(self.image_size, int) else self.image_size
        return tuple(sorted(sizes))

    @property
    def side(self) -> int:
        """Height and width of the input, pixels; the largest as long as none is chosen."""
        return self.asked_sizes[-1]

    @property
    def table_blocks(self) -> tuple[str, ...] | None:
        """Names of all blocks from input to output; None of a network from a file or preset."""
        return self._row.blocks if self._row else None

    def cut_problems(self, blocks: Sequence[str]) -> list[str]:
        """What is wrong with the cut of a network with these blocks."""
        if self.cut in ("top", "search", *blocks):
            return []
        allowed = f"top, search or one of {', '.join(blocks)}"
        return [f"cut must be {allowed} for {self.label}; got {self.cut}"]

    @property
    def label(self) -> str:
        """The network for people: its name, or that of its file or preset; of several all."""
        if not isinstance(self.name, str):
            return " or ".join(entry_labels(self.name).values())
        if self.is_preset:
            return preset_label(self.name)
        return self.name if self.name != FILE else PurePath(self.weights or "").stem

    def __str__(self) -> str:
        return self.label if self.cut in ("top", "search") else f"{self.label} up to {self.cut}"


class ProbeConfig(_Section):
    """Linear probes: what they read of every block, and what they are fitted on."""

    pooling: Pooling | Literal["search"] | Annotated[tuple[Pooling, ...], _SEVERAL] = Field(
        default="search",
        description="What is read of a feature map: its means over all positions, or the standard "
        "deviations beside them; search, or a list: what has the lower loss on held-out images.",
    )
    views: Views | Literal["search"] | Annotated[tuple[Views, ...], _SEVERAL] = Field(
        default="search",
        description="flip averages each image with its mirror image, which takes twice the time, "
        "in the exported model too; turns averages all eight ways to turn and mirror it, which "
        "takes eight times as long. search chooses among none and flip, a list among its own: "
        "what takes longer has to lower the loss on held-out images.",
    )
    penalty: Penalty | Literal["search"] | Annotated[tuple[Penalty, ...], _SEVERAL] = Field(
        default="search",
        description="On the squared length of the coefficients of standardised features, the "
        "inverse of scikit-learn's C; search, or a list: that of 0.1 and 1, or of the list, with "
        "the lower loss on held-out images.",
    )
    train_on: Literal["all", "training"] = Field(
        default="all",
        description="all: training and validation images, for a probe has no epochs to choose; "
        "its own folds take the place of validation. Others learn from the training images and "
        "choose by the validation images: all have the same labels.",
    )

    @field_validator("pooling", "views", "penalty")
    @classmethod
    def _once(cls, asked: Any) -> Any:
        if isinstance(asked, tuple) and len(set(asked)) != len(asked):
            raise ValueError("must name each choice once")
        return asked


class HeadConfig(_Section):
    """The new layers on top of the backbone: global pooling, then Dense layers."""

    pooling: Pooling | Literal["search"] = Field(
        default="mean",
        description="What is read of the last feature map: its means over all positions, or the "
        "standard deviations beside them; search: what linear probes of the blocks up to it take "
        "on the same labelled images (from_scratch: the means).",
    )
    hidden_units: tuple[Units, ...] = Field(
        default=(),
        max_length=10,
        description="Units of each hidden Dense layer; [] is one Dense layer only.",
    )
    dropout: float = Field(
        default=0.2, ge=0, lt=1, description="Share of features dropped before each Dense layer."
    )


Keep = Annotated[
    Literal["best", "last"],
    Field(
        description="Weights that the phase ends with: best is those of the epoch with the least "
        "validation cross-entropy; last is the last ones, unless the best are better by more than "
        "a standard error."
    ),
]
MOST_EPOCHS = 100_000
Epochs = Annotated[int, Field(ge=1, le=MOST_EPOCHS, description="At most this many epochs.")]
LearningRate = Annotated[Rate, Field(description="Learning rate of the optimizer.")]
Patience = Annotated[
    int,
    Field(
        ge=1,
        le=MOST_EPOCHS,
        description="Stop after this many epochs without a better validation cross-entropy.",
    ),
]


class PhaseConfig(_Section):
    """How long and how fast one phase trains."""

    epochs: Epochs
    learning_rate: LearningRate
    patience: Patience
    keep: Keep = "best"


class HeadPhaseConfig(PhaseConfig):
    """Phase 1: the head, on the frozen backbone."""

    epochs: Epochs = 200
    learning_rate: LearningRate = 1e-3
    patience: Patience = 20


class FineTuningPhaseConfig(PhaseConfig):
    """Phase 2: the head and the unfrozen blocks, from the head of phase 1."""

    epochs: Epochs = 40
    learning_rate: LearningRate = 1e-4
    patience: Patience = 20
    keep: Keep = "last"


class FromScratchPhaseConfig(PhaseConfig):
    """The whole network from random initialisation."""

    epochs: Epochs = 100
    learning_rate: LearningRate = 1e-3
    patience: Patience = 15


class TrainingConfig(_Section):
    """Training, the same for every strategy unless a phase says otherwise."""

    batch_size: int = Field(default=32, ge=1, le=4096, description="Images per training step.")
    optimizer: Literal["adam", "adamw", "sgd", "rmsprop"] = Field(
        default="adam", description="A Keras optimizer; each phase starts a new one."
    )
    weight_decay: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="Decoupled weight decay, as a multiple of the learning rate.",
    )
    label_smoothing: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="Share of the probability that the training targets spread over all classes.",
    )
    class_weights: Literal["balanced", "none"] = Field(
        default="balanced", description="Whether rarer classes weigh more in the training loss."
    )
    augmentation: AugmentationOrSearch = Field(
        default="none",
        description="Random changes of the training images, new in every batch. search: each run "
        "is trained with each level, and validation chooses.",
    )
    layer_decay: Rate = Field(
        default=1.0,
        description="Factor of the learning rate in phase 2 from the head to the block below it, "
        "and so on downwards; 1 is the same rate everywhere.",
    )
    threads: Annotated[int, Field(ge=1, le=MOST_THREADS)] | Literal["auto"] | None = Field(
        default="auto",
        description="Threads of a training, which change its last digits: so they are the same "
        "on every machine. auto is 1 where the experiment has four trainings or more, which are "
        "made side by side, else 2; null is one for each processor.",
    )
    phase_1: HeadPhaseConfig = HeadPhaseConfig()
    phase_2: FineTuningPhaseConfig = FineTuningPhaseConfig()
    from_scratch: FromScratchPhaseConfig = FromScratchPhaseConfig()

    @model_validator(mode="before")
    @classmethod
    def _without_gone_keys(cls, section: Any) -> Any:
        """A stored file of an earlier version names every key, also one that did nothing at 0."""
        if isinstance(section, dict) and section.get("augmented_views") == 0:
            return {key: value for key, value in section.items() if key != "augmented_views"}
        return section


class FineTuningConfig(_Section):
    """The depths that the strategy fine_tuning trains."""

    unfrozen_blocks: tuple[Depth, ...] = Field(
        default=(2, "all"),
        min_length=1,
        max_length=MOST_CHOICES,
        description='Blocks to unfreeze: how many, counted from the head; "all"; or a range '
        '"first:last" of neighbouring blocks, by name, with those above it frozen.',
    )


class SearchConfig(_Section):
    """The KerasTuner search behind the strategy searched."""

    oracle: Oracle = Field(default="random", description="How KerasTuner chooses the next trial.")
    max_trials: int = Field(
        default=8, ge=1, le=10_000, description="Trials (hyperband decides by itself)."
    )
    unfrozen_blocks: tuple[SearchDepth, ...] = Field(
        default=(0, 1, 2, 4, "all"),
        min_length=1,
        max_length=MOST_CHOICES,
        description='Depths to choose from: blocks to unfreeze, counted from the cut; "all"; or a '
        'range "first:last". A cut has those depths that lie within it.',
    )
    cuts: tuple[Text, ...] = Field(
        default=("own", "probed"),
        min_length=1,
        max_length=MOST_CHOICES,
        description='Cuts to choose from: "own" is backbone.cut, "top" the last block, "probed" '
        "the block that linear probes choose on the training images of the first seed (of each "
        "with estimate.method k_fold), or a block's name.",
    )
    learning_rates: tuple[Rate, ...] = Field(
        default=(3e-5, 1e-4, 3e-4),
        min_length=1,
        max_length=MOST_CHOICES,
        description="Learning rates of phase 2.",
    )
    layer_decays: tuple[Rate, ...] | None = Field(
        default=None,
        min_length=1,
        max_length=MOST_CHOICES,
        description="Values of training.layer_decay to choose from; null keeps its value.",
    )
    hidden_units: tuple[Annotated[int, Field(ge=0, le=MOST_UNITS)], ...] = Field(
        default=(0,),
        min_length=1,
        max_length=MOST_CHOICES,
        description="Units of a hidden layer in the head; 0 is none.",
    )
    augmentations: tuple[Augmentation, ...] = Field(
        default=("none",),
        min_length=1,
        max_length=MOST_CHOICES,
        description="Random changes of the training images.",
    )
    folds: int = Field(
        default=3,
        ge=1,
        le=20,
        description="Train each trial on so many folds of the training and validation images of "
        "the first seed, or of each with estimate.method k_fold (fewer where a class has fewer "
        "groups); 1 is one training, scored on the validation images.",
    )
    choice: Literal["one_standard_error", "best"] = Field(
        default="one_standard_error",
        description="one_standard_error: of the trials within one standard error of the least "
        "validation loss, the one that is cheapest to run, then to train. best: the least loss.",
    )
    seed: Seed = Field(default=0, description="Seed of the trials' order, folds and training.")

    @field_validator("cuts", "learning_rates", "layer_decays", "hidden_units", "augmentations")
    @classmethod
    def _once(cls, choices: tuple[Any, ...] | None) -> tuple[Any, ...] | None:
        if choices is not None and len(set(choices)) != len(choices):
            raise ValueError("must name each choice once")
        return choices


class EstimateConfig(_Section):
    """On which images strategies are compared, and so what their intervals are about."""

    method: Literal["seeds", "k_fold"] = Field(
        default="seeds",
        description="seeds: one test split, and for each seed its own training images from the "
        "rest. k_fold: the images are divided into folds, each is the test split of one run and "
        "the others are trained on; every image is tested, and every fold searches for itself.",
    )
    folds: int | None = Field(
        default=None, ge=2, le=20, description="Folds of a division, with k_fold (default: 5)."
    )
    repeats: int | None = Field(
        default=None, ge=1, le=20, description="New divisions, with k_fold (default: 2)."
    )

    @model_validator(mode="after")
    def _complete(self) -> Self:
        defaults = {"folds": 5, "repeats": 2}
        if self.method == "k_fold":
            for key, default in defaults.items():
                if getattr(self, key) is None:
                    object.__setattr__(self, key, default)
            return self
        _refuse(
            [
                f"{key} goes with method k_fold only; got {getattr(self, key)}; remove it, or set "
                "method"
                for key in defaults
                if getattr(self, key) is not None
            ]
        )
        return self

    @property
    def runs(self) -> int | None:
        """Runs of each strategy that the folds make; None without folds."""
        if self.folds is None or self.repeats is None:
            return None
        return self.folds * self.repeats


class CacheConfig(_Section):
    """The frozen activations, which are computed once. Nothing here changes a number."""

    memory_megabytes: int = Field(
        default=1024,
        ge=0,
        le=10_000_000,
        description="At most this much of them is held in memory, all together; the rest is read "
        "from the folder.",
    )
    folder: Place | None = Field(
        default=None,
        description="Folder that keeps them for later runs (default: the user's cache folder; "
        "tl-keras cache shows and clears it).",
    )


# That Ray counts.
LEAST_RESERVED = 0.0001


class EngineConfig(_Section):
    """Where runs are made. Nothing here changes a number."""

    workers: Literal["auto"] | Annotated[int, Field(ge=1, le=MOST_WORKERS)] = Field(
        default="auto",
        description="Runs and trials that are trained at a time, each in a process of its own; 1 "
        "is one after the other in one process. auto is as many as processors (GPUs, where there "
        "are any), free memory and the experiment have work for.",
    )
    backend: Literal["processes", "ray"] | None = Field(
        default=None,
        description="processes: on this machine. ray: tasks of Ray, which needs the extra ray; on "
        "this machine too unless there is an address. null: ray where there is one, else "
        "processes.",
    )
    address: Text | None = Field(
        default=None,
        description="Of a Ray cluster that exists, such as auto or ray://head:10001: its machines "
        "make the runs.",
    )
    processors: Annotated[float, Field(ge=LEAST_RESERVED, le=MOST_THREADS)] = Field(
        default=1.0, description="Processors that a worker reserves at Ray."
    )
    accelerators: Annotated[float, Field(ge=0, le=64)] = Field(
        default=0.0,
        description="GPUs that a worker reserves at Ray: a whole number, or a share of one.",
    )

    @field_validator("accelerators")
    @classmethod
    def _countable(cls, gpus: float) -> float:
        if 0 < gpus < LEAST_RESERVED or (gpus > 1 and not gpus.is_integer()):
            raise ValueError(f"must be a whole number, or a share from {LEAST_RESERVED} to 1")
        return gpus

    @model_validator(mode="after")
    def _of_ray(self) -> Self:
        """Keys of Ray beside others; compared by value, for a stored file names them all."""
        problems = []
        if self.backend == "processes" and self.address is not None:
            problems.append(
                "address must be left out beside engine.backend processes, which is this machine "
                f'alone; got "{self.address}"; remove one of the two'
            )
        elif not self.on_ray:
            keys = ("processors", "accelerators")
            problems = [
                f"{key} goes with engine.backend ray or engine.address only; got "
                f"{getattr(self, key):g}; remove it"
                for key in keys
                if getattr(self, key) != type(self).model_fields[key].default
            ]
        _refuse(problems)
        return self

    @property
    def on_ray(self) -> bool:
        """Whether runs are made by Ray."""
        return self.backend == "ray" or self.address is not None


def _export_section(value: Any) -> Any:
    """True is short for a section of defaults."""
    return {} if value is True else value


Cost = Annotated[float, Field(ge=1e-9, le=1e9)]
Share = Annotated[float, Field(ge=1e-9, lt=1)]


class ExportConfig(_Section):
    """The model that is handed over. Nothing here changes what is measured."""

    train_on: Literal["all", "training"] = Field(
        default="all",
        description="all: what was chosen is fitted anew on all labelled photos that the "
        "experiment uses, those of validation and test too, once it is measured; training: the "
        "measured run itself.",
    )


class DecisionConfig(_Section):
    """From probabilities to decisions. Nothing here changes what is trained."""

    positive: tuple[Label, ...] | None = Field(
        default=None,
        min_length=1,
        max_length=1000,
        description="Classes to be found, such as the defects. null: all but the one called good, "
        "ok, normal or the like; of two other classes the rarer; else none, and no threshold.",
    )
    miss_cost: Cost = Field(
        default=1.0, description="What it costs to take a positive photo for another one."
    )
    false_alarm_cost: Cost = Field(
        default=1.0, description="What it costs to take another photo for a positive one."
    )
    target_recall: Share | None = Field(
        default=None,
        description="Share of positive photos that must be found: the threshold by costs is "
        "lowered as far as that needs.",
    )
    positive_share: Share | None = Field(
        default=None,
        description="Share of positive photos where the model will be used (null: as among the "
        "images). The rarer they are, the higher the threshold by costs.",
    )
    review_share: float = Field(
        default=0.1,
        ge=0,
        lt=1,
        description="Share of photos, those nearest to the decision, that a person looks at.",
    )
    stranger_share: float = Field(
        default=0.05,
        ge=0,
        lt=1,
        description="Share of photos like the labelled ones that may be taken for strangers and "
        "are then answered with unknown, so that others are; 0: no photo is.",
    )

    @field_validator("positive")
    @classmethod
    def _once(cls, positive: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if positive is not None and len(set(positive)) != len(positive):
            raise ValueError("must name each class once")
        return positive


class ExperimentConfig(_Section):
    """One experiment: only `name` and `data` are required."""

    name: str = Field(
        pattern=NAME_PATTERN,
        description="Name of the folder for the results.",
    )
    description: Prose = Field(default="", description="For people; not read by the package.")
    data: DataConfig
    backbone: BackboneConfig = BackboneConfig()
    probe: ProbeConfig = ProbeConfig()
    head: HeadConfig = HeadConfig()
    training: TrainingConfig = TrainingConfig()
    strategies: tuple[Strategy, ...] = Field(
        default=names_where(lambda spec: spec.by_default),
        min_length=1,
        max_length=MOST_CHOICES,
        description="What to compare, by what is trained. "
        + "; ".join(f"{spec.name}: {spec.trains}" for spec in STRATEGIES.values())
        + ".",
    )
    fine_tuning: FineTuningConfig = FineTuningConfig()
    search: SearchConfig = SearchConfig()
    estimate: EstimateConfig = EstimateConfig()
    cache: CacheConfig = CacheConfig()
    engine: EngineConfig = EngineConfig()
    decision: DecisionConfig = DecisionConfig()
    seeds: int = Field(
        default=3,
        ge=1,
        le=100,
        description="Runs of each strategy, each with its own draw of images; with "
        "estimate.method k_fold the folds take their place.",
    )
    learning_curve: bool = Field(
        default=True,
        description="Where data.train_per_class is one size: whether to train "
        + " and ".join(names_where(lambda spec: spec.quick))
        + " on parts of the training images too, which takes seconds. A list of sizes gives the "
        "learning curve of every strategy.",
    )
    results_dir: Place = Field(
        default="results", description="Folder that holds the experiments' folders."
    )
    export: Annotated[ExportConfig | bool, BeforeValidator(_export_section)] = Field(
        default=ExportConfig(),
        description="The SavedModel of the chosen strategy; false makes none, true one by default.",
    )
    export_targets: tuple[ExportTarget, ...] = Field(
        default=(),
        max_length=MOST_CHOICES,
        description="Formats to write beside the SavedModel: "
        + ", ".join(f"{name} ({spec.about})" for name, spec in TARGETS.items())
        + ". Each needs an extra of the package.",
    )
    deterministic: bool = Field(
        default=True, description="Same file, seed and machine give the same numbers, bit for bit."
    )

    @field_validator("strategies")
    @classmethod
    def _once(cls, strategies: tuple[Strategy, ...]) -> tuple[Strategy, ...]:
        if len(set(strategies)) != len(strategies):
            raise ValueError("must name each strategy once")
        return strategies

    @model_validator(mode="after")
    def _blocks_exist(self) -> Self:
        networks = [*self.backbone.networks.values()]
        configs = [self] if len(networks) == 1 else map(self._beside, networks)
        named = [problem for config in configs for problem in config.own_problems()]
        _refuse(
            [
                *dict.fromkeys(named),
                *self._repeated_depths(),
                *self._choice_problems(),
                *self._fold_problems(),
            ]
        )
        return self

    def with_network(self, network: BackboneConfig) -> Self:
        """The same experiment with one of the networks, or candidates, of its backbone."""
        config = self._beside(network)
        # which fits defaults to the network
        _refuse(list(config.own_problems()))
        return config

    def _beside(self, network: BackboneConfig) -> Self:
        return self.model_copy(update={"backbone": network})

    def own_problems(self) -> Iterator[str]:
        """What is wrong with the blocks of a network of the table."""
        blocks = self.backbone.table_blocks
        if blocks is not None:
            yield from self._named_problems(blocks)

    def block_problems(self, blocks: Sequence[str]) -> list[str]:
        """What is wrong with the blocks that are named or counted, each with its key.

        Args:
            blocks: names of those of a network from a file, from input to output.
        """
        cut = (f"backbone.{problem}" for problem in self.backbone.cut_problems(blocks))
        return [*cut, *self._named_problems(blocks)]

    def _named_problems(self, blocks: Sequence[str]) -> Iterator[str]:
        yield from self._cut_problems(blocks)
        yield from self._depth_problems(blocks)

    def _fold_problems(self) -> Iterator[str]:
        """Keys that folds leave no meaning; compared by value, for a stored file names them all."""
        if self.estimate.method != "k_fold":
            return
        beside = "beside estimate.method k_fold"
        given = (("seeds", self), ("test_fraction", self.data), ("max_test_per_class", self.data))
        for key, section in given:
            value, default = getattr(section, key), type(section).model_fields[key].default
            if value != default:
                name = key if section is self else f"data.{key}"
                yield (
                    f"{name} must be left out {beside}, which tests every image, in "
                    f"estimate.folds times estimate.repeats runs; got {value}"
                )
        if self.backbone.cut == "search":
            choosing = names_where(lambda spec: spec.chooses_blocks or spec.searches)
            yield (
                f"backbone.cut must be top or a block {beside}: search would choose it for all "
                "folds on images that some of them test; got search; use one of the strategies "
                f"{', '.join(choosing)} (with search.cuts), which choose for each fold"
            )

    def _choice_problems(self) -> Iterator[str]:
        backbone = self.backbone
        if backbone.only is not None:
            return
        key, got = "image_size must be one number", f"got {[*backbone.asked_sizes]}"
        if len(backbone.networks) > 1:
            key, got = "name must be one network", f"got {literal(backbone.name)}"
        if self.estimate.method == "k_fold":
            yield (
                f"backbone.{key} beside estimate.method k_fold: it would be chosen for all folds "
                f"on images that some of them test; {got}"
            )
        if not borrowing(self.strategies):
            yield (
                f"backbone.{key} where nothing is borrowed, for probes on the source's weights "
                f"choose it; {got}"
            )

    def _cut_problems(self, blocks: Sequence[str]) -> Iterator[str]:
        for cut in self.search.cuts:
            if cut not in ("own", "top", "probed", *blocks):
                yield (
                    f"search.cuts must each be own, top, probed or one of {', '.join(blocks)} for "
                    f"{self.backbone.label}; got {cut}"
                )

    def _depth_problems(self, blocks: Sequence[str]) -> Iterator[str]:
        own = _up_to(self.backbone.cut, blocks)
        yield from self._section_problems("fine_tuning", own, str(self.backbone))
        cuts = [own if cut == "own" else _up_to(cut, blocks) for cut in self.search.cuts]
        deepest, network = max(cuts, key=len), self.backbone.label
        where = network if len(deepest) == len(blocks) else f"{network} up to {deepest[-1]}"
        yield from self._section_problems("search", deepest, where)

    def _repeated_depths(self) -> Iterator[str]:
        for section in ("fine_tuning", "search"):
            depths = getattr(self, section).unfrozen_blocks
            if len(set(depths)) != len(depths):
                yield f"{section}.unfrozen_blocks must name each depth once"

    def _section_problems(self, section: str, blocks: Sequence[str], where: str) -> Iterator[str]:
        key, settings = f"{section}.unfrozen_blocks", getattr(self, section)
        depths = settings.unfrozen_blocks
        deepest = max((depth for depth in depths if isinstance(depth, int)), default=0)
        in_table = self.backbone.table_blocks is not None
        is_given = "unfrozen_blocks" in settings.model_fields_set
        default = type(settings).model_fields["unfrozen_blocks"].default
        if deepest > len(blocks) and in_table and not is_given:
            # a default must suit every backbone, also one of few blocks
            fitting = tuple(depth for depth in depths if depth == "all" or depth <= len(blocks))
            fitted = settings.model_copy()
            # `update` would mark it as given
            object.__setattr__(fitted, "unfrozen_blocks", fitting)
            object.__setattr__(self, section, fitted)
        elif deepest > len(blocks) and (in_table or depths != default):
            yield f'{key} must be at most {len(blocks)} or "all" for {where}; got {deepest}'
        for depth in depths:
            if isinstance(depth, str) and depth != "all":
                yield from _range_problems(key, depth, blocks, where)

    @property
    def draws(self) -> int:
        """Runs of each strategy and size, each with a draw of images of its own."""
        return self.estimate.runs or self.seeds

    @property
    def results_folder(self) -> PurePath:
        return PurePath(self.results_dir) / self.name

    def as_dict(self) -> dict[str, Any]:
        """The whole configuration, defaults included, as JSON types."""
        return self.model_dump(mode="json")


def _up_to(cut: str, blocks: Sequence[str]) -> Sequence[str]:
    """Blocks from the input to a cut; all where it is not known yet."""
    return blocks[: blocks.index(cut) + 1] if cut in blocks else blocks


def _range_problems(key: str, given: str, blocks: Sequence[str], where: str) -> Iterator[str]:
    first, _, last = given.partition(":")
    unknown = [name for name in (first, last) if name not in blocks]
    if unknown:
        yield (
            f'{key} must name blocks in a range "first:last": {", ".join(blocks)} for {where}; '
            f"got {given}"
        )
    elif blocks.index(first) > blocks.index(last):
        yield (
            f"{key} must name the block nearer the input first in a range; got {given}; write "
            f"{last}:{first}"
        )
