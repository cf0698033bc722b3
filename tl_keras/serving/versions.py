"""The versions of an exported model: numbered folders that a server polls. Needs no TensorFlow.

<directory>/
    1/
    2/
    latest      the number of the newest version
"""

import os
from dataclasses import dataclass
from pathlib import Path

from tl_keras.atomic_files import write_text
from tl_keras.errors import NoExportError
from tl_keras.results.folder_lock import at_work

EXPORT_FOLDER, LATEST = "export", "latest"
# What a version holds beside the model; TensorFlow Serving looks there for warm-up requests.
EXTRA = "assets.extra"
# In it: a class name per line, in the order of probabilities.
LABELS_FILE = "labels.txt"


@dataclass(frozen=True)
class Version:
    """One version of a model.

    Attributes:
        path: absolute; holds `saved_model.pb`.
        number: the version, which is the folder's name.
    """

    path: Path
    number: int

    @property
    def model_name(self) -> str:
        """The experiment that the model is from, or the name of the folder of versions."""
        versions = self.path.parent
        return versions.parent.name if versions.name == EXPORT_FOLDER else versions.name


def find_version(export: Path) -> Version:
    """The version that a path is, or the highest complete one of those that it holds.

    Args:
        export: a version, a folder of versions, or the folder of an experiment that exported some.

    Raises:
        ExportError: it is neither.
    """
    export = Path(os.path.realpath(export))
    if _is_complete(export):
        return Version(export, _number(export))
    if (export / EXPORT_FOLDER).is_dir():
        export = export / EXPORT_FOLDER
    if export.is_file():
        raise NoExportError(
            f"{export} must be a folder of exported models, such as results/<name>/export; got a "
            "file."
        )
    complete = version_folders(export)
    if not complete:
        raise NoExportError(f"No exported model in {export}{_why_none(export)}")
    return Version(complete[0], int(complete[0].name))


def _why_none(export: Path) -> str:
    """Why a folder holds no complete version, and what to do."""
    # of the experiment, or of its versions
    workers = filter(None, map(at_work, (export, export.parent)))
    if who := next(workers, None):
        return f" yet: {who} is at work there. Wait until it has ended."
    if not os.path.lexists(export):
        # a seventh of a second, which no answer shall wait for
        from tl_keras.config.problems import nearest

        near = nearest(export.name, _beside(export))
        mend = f"did you mean {export.with_name(near)}?" if near else "give that of an experiment."
        return f": there is no such path; {mend}"
    return (
        ": it must hold a folder named by a version number, such as 1, with a saved_model.pb in "
        "it. Export a model first: an experiment writes it to results/<name>/export."
    )


def _beside(path: Path) -> list[str]:
    """Names of the folders in that which a path would lie in."""
    if not path.parent.is_dir():
        return []
    return [each.name for each in path.parent.iterdir() if each.is_dir()]


def version_folders(directory: Path) -> list[Path]:
    """The complete versions in a folder of them, the newest first."""
    numbered = sorted(_versions(directory).items(), reverse=True)
    return [path for _, path in numbered if _is_complete(path)]


def publish(unfinished: Path, directory: Path) -> Path:
    """Move a complete model to the next free number, which another process may take meanwhile."""
    while True:
        target = directory / str(next_number(directory))
        try:
            unfinished.replace(target)
        except OSError:
            if not target.exists():
                raise
        else:
            record_latest(directory)
            return target


def next_number(directory: Path) -> int:
    """Of the version that is published next in a folder of versions."""
    return max(_versions(directory), default=0) + 1


def _versions(directory: Path) -> dict[int, Path]:
    if not directory.is_dir():
        return {}
    return {int(path.name): path for path in directory.iterdir() if path.name.isdecimal()}


def _is_complete(folder: Path) -> bool:
    return (folder / "saved_model.pb").is_file()


def _number(folder: Path) -> int:
    if not folder.name.isdecimal():
        raise NoExportError(
            f"{folder} must be named by a version number, such as 1, for TensorFlow Serving too, "
            f"got {folder.name!r}. Move it into a folder of that name."
        )
    return int(folder.name)


def record_latest(directory: Path) -> None:
    """Name the highest version, also where another process has published a higher one meanwhile."""
    write_text(directory / LATEST, f"{find_version(directory).number}\n")
