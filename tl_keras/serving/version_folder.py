"""Which version of an exported model a path means. Needs no TensorFlow."""

from dataclasses import dataclass
from pathlib import Path

from tl_keras.errors import ExportError

_EXPORT_FOLDER = "export"


@dataclass(frozen=True)
class VersionFolder:
    """One version of a model.

    Attributes:
        path: Absolute; holds `saved_model.pb`.
        number: The version, which is the folder's name.
    """

    path: Path
    number: int

    def model_name(self) -> str:
        """Return the experiment that the model is from, or the name of the folder of versions."""
        versions = self.path.parent
        return versions.parent.name if versions.name == _EXPORT_FOLDER else versions.name


def find_version(export: Path) -> VersionFolder:
    """Find the highest version in a folder of versions, or take the version that it is itself.

    Raises:
        ExportError: if it is neither.
    """
    export = export.resolve()
    if (export / "saved_model.pb").is_file():
        return VersionFolder(export, _number(export))
    folders = [path for path in _entries(export) if (path / "saved_model.pb").is_file()]
    numbered = [VersionFolder(path, int(path.name)) for path in folders if path.name.isdecimal()]
    if not numbered:
        raise ExportError(
            f"No exported model in {export}: it must hold a folder named by a version number, such "
            "as 1, with a saved_model.pb in it. Export a model first: an experiment writes it to "
            "results/<name>/export."
        )
    return max(numbered, key=lambda version: version.number)


def _entries(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.is_dir() else []


def _number(folder: Path) -> int:
    if not folder.name.isdecimal():
        raise ExportError(
            f"{folder} must be named by a version number, such as 1, for TensorFlow Serving too, "
            f"got {folder.name!r}. Move it into a folder of that name."
        )
    return int(folder.name)
