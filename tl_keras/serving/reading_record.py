"""The record beside an exported model of how it reads pictures; the model itself does so."""

from pathlib import Path

from tl_keras.atomic_files import write_json
from tl_keras.data.picture_reading import EARLIER, PictureReading
from tl_keras.digests import any_json
from tl_keras.errors import DamagedError

READING_FILE = "picture_reading.json"


def write_reading(folder: Path, reading: PictureReading) -> None:
    """Write it, for those who decode pictures themselves.

    Args:
        folder: `assets.extra` of an exported version.
        reading: of the experiment.
    """
    write_json(folder / READING_FILE, reading.as_dict())


def stored_reading(folder: Path) -> PictureReading:
    """What `write_reading` wrote; where there is none, what was done before there was a record.

    A damaged record is none: it is for sentences only, and the model needs it for nothing.
    """
    try:
        return PictureReading.from_dict(any_json(folder / READING_FILE))
    except (DamagedError, ValueError, TypeError):
        return EARLIER
