"""The images of a source task, brought to one size and kept in the working folder."""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from tl_keras.atomic_files import reserve, write_json
from tl_keras.config.schema import DataConfig
from tl_keras.data.picture_reading import EARLIER, PictureReading
from tl_keras.digests import any_json
from tl_keras.drawn.procedural_textures import generate
from tl_keras.errors import ConfigError, DamagedError
from tl_keras.pretraining.source_config import GeneratedImages, SourceConfig
from tl_keras.safe_text import visible

Report = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class SourceImages:
    """The images on disk, and which of them are for what.

    Attributes:
        pixels: (rows, size, size, 3) uint8, RGB, not loaded into memory.
        labels: The class of every row, 0..classes-1, (rows,).
        classes: Names of the classes; of generated images their numbers.
        training: Rows to train on, (images,).
        held_out: Rows that measure the accuracy, (images,).
    """

    pixels: NDArray[np.uint8]
    labels: NDArray[np.int64]
    classes: tuple[str, ...]
    training: NDArray[np.int64]
    held_out: NDArray[np.int64]


def stored_images(config: SourceConfig, report: Report, processes: int = 2) -> SourceImages:
    """Open the images in the working folder, making or decoding them first where they are missing.

    Args:
        config: Says which images, how large, and where.
        report: Called with images written and images in all.
        processes: Working processes of the generator.

    Raises:
        ConfigError: If the folder holds images of another configuration.
        DataError: If the images of `data` cannot be used.
    """
    folder = Path(config.work)
    folder.mkdir(parents=True, exist_ok=True)
    if config.generated is not None:
        return _generated(config.generated, config.image_size, folder, report, processes)
    assert config.data is not None  # for the type checker: the configuration has one of the two
    return _decoded(config.data, config.image_size, folder, report)


def _generated(
    task: GeneratedImages, size: int, folder: Path, report: Report, processes: int
) -> SourceImages:
    per_class = task.images_per_class + task.held_out_per_class
    wanted = {
        "classes": task.classes,
        "per_class": per_class,
        "size": size,
        "seed": task.seed,
    }

    def write(store: Path) -> None:
        for done in generate(store, **wanted, processes=processes):
            report(done, task.classes * per_class)

    pixels = _stored(folder, wanted, write)
    rows = np.arange(task.classes * per_class)
    held_out = rows % per_class >= task.images_per_class
    classes = tuple(map(str, range(task.classes)))
    return SourceImages(pixels, rows // per_class, classes, rows[~held_out], rows[held_out])


def _decoded(data: DataConfig, size: int, folder: Path, report: Report) -> SourceImages:
    # Seconds of import, not needed for generated images.
    from tl_keras.data.file_audit import audit
    from tl_keras.data.pixels import decoded_pictures
    from tl_keras.data.sources import load_images
    from tl_keras.data.test_split import make_pools

    reading = PictureReading.of(data)
    checked = audit(
        load_images(data),
        image_size=size,
        skip_unreadable=data.skip_unreadable,
        reading=reading,
    )
    for finding in checked.findings:
        print(f"warning {visible(finding.message)}", flush=True)
    table = checked.table
    pools = make_pools(table, data)
    given = pools.validation if pools.validation is not None else pools.train[:0]
    training = np.sort(np.concatenate([pools.train, given]))
    contents = checked.images.set_index("image_id")["sha256"][table.frame["image_id"]]
    wanted = {
        "images": len(table),
        "size": size,
        **reading.as_dict(),
        "contents": _digest(contents),
        "labels_and_parts": _digest([*table.labels, "training", *training, "test", *pools.test]),
    }

    def write(store: Path) -> None:
        pixels = open_memmap(store, "w+", np.uint8, (len(table), size, size, 3))
        reserve(store)
        pictures = decoded_pictures(table.paths, image_size=size, reading=reading)
        for row, picture in enumerate(pictures):
            pixels[row] = picture
            report(row + 1, len(table))
        pixels.flush()

    pixels = _stored(folder, wanted, write)
    return SourceImages(pixels, table.labels, table.classes, training, pools.test)


def _facts_before(wanted: dict[str, Any]) -> dict[str, Any]:
    """What was done before there were keys for it, where files were read."""
    return EARLIER.as_dict() if "resize" in wanted else {}


def _digest(values: Iterable[object]) -> str:
    return hashlib.sha256("\n".join(map(str, values)).encode()).hexdigest()


def _stored(
    folder: Path, wanted: dict[str, Any], write: Callable[[Path], None]
) -> NDArray[np.uint8]:
    """The array in the folder, written first where it is missing; `wanted` tells what it holds."""
    store, facts = folder / "images.npy", folder / "images.json"
    found = _facts(facts, store) if facts.exists() else wanted
    if found is None:
        print(f"warning {folder}: the images are damaged and are made again", flush=True)
        facts.unlink()
    elif {**_facts_before(wanted), **found} != wanted:
        raise ConfigError(
            f"{folder}: holds images of another configuration ({found}), this one asks for "
            f"{wanted}. Delete the folder or set another `work`."
        )
    if not (facts.exists() and store.exists()):
        write(store)
        write_json(facts, wanted)
    pixels: NDArray[np.uint8] = np.load(store, mmap_mode="r")
    return pixels


def _facts(facts: Path, store: Path) -> dict[str, Any] | None:
    """What the array was made of; None where either file is damaged."""
    try:
        if store.exists():
            np.load(store, mmap_mode="r")
        return any_json(facts)
    # of an array that is cut off, or is none
    except (DamagedError, OSError, ValueError):
        return None
