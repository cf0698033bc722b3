"""The versions of an exported model: numbered folders that a server polls.

<directory>/
    1/
    2/
    latest      the number of the newest version
"""

import tempfile
from pathlib import Path

from tl_keras.errors import ExportError

LATEST = "latest"


def find_version(path: Path) -> Path:
    """The version that `path` is, or the highest of those that it holds.

    Raises:
        ExportError: it is neither.
    """
    return path if (path / "saved_model.pb").is_file() else latest_version(path)


def latest_version(directory: Path) -> Path:
    """Return the folder of the highest version in `directory`.

    Raises:
        ExportError: if there is none.
    """
    versions = _versions(directory)
    if not versions:
        raise ExportError(
            f"No exported model in {directory}: it must hold a folder named by a version number, "
            "such as 1. Export a model first."
        )
    return versions[max(versions)]


def publish(unfinished: Path, directory: Path) -> Path:
    """Move a complete model to the next free number, which another process may take meanwhile."""
    while True:
        target = directory / str(max(_versions(directory), default=0) + 1)
        try:
            unfinished.replace(target)
        except OSError:
            if not target.exists():
                raise
        else:
            _record_latest(directory)
            return target


def _versions(directory: Path) -> dict[int, Path]:
    if not directory.is_dir():
        return {}
    return {int(path.name): path for path in directory.iterdir() if path.name.isdecimal()}


def _record_latest(directory: Path) -> None:
    """Name the highest version, also where another process has published a higher one meanwhile."""
    with tempfile.NamedTemporaryFile("w", prefix=".latest_", dir=directory, delete=False) as file:
        file.write(f"{latest_version(directory).name}\n")
    temporary = Path(file.name)
    temporary.chmod(0o644)  # readable by all, as the models are
    temporary.replace(directory / LATEST)
