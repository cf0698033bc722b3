"""Images from a folder: one sub-folder per class, or split folders that hold the classes."""

from collections.abc import Iterator
from pathlib import Path

from tl_keras.data.image_formats import endings_in_words, format_by_name, formats_in_words
from tl_keras.data.listing import (
    SPLIT_OF_NAME,
    IgnoredFile,
    ListedImage,
    Listing,
    some_of,
)
from tl_keras.errors import DataError


def list_folder(folder: str, *, skip_empty: bool = False) -> Listing:
    """List the images of a folder.

    Either layout will do; `val` and `valid` stand for `validation`, case does not matter, and
    files in deeper sub-folders belong to the class above them::

        photos/                     photos/
            crack/                      train/
                1.png                       crack/1.png
                left/2.png                  dent/2.png
            dent/                       test/
                3.jpg                       crack/3.jpg

    Args:
        folder: with one sub-folder per class.
        skip_empty: Ignore class folders without images instead of stopping.

    Raises:
        DataError: if the folder is missing, holds no class folders, mixes the layouts, or has a
            class folder without images that is not to be skipped.
    """
    root = Path(folder).absolute()
    if not root.is_dir():
        kind = "a file, not a folder" if root.exists() else "missing"
        raise DataError(
            f'data.folder "{folder}" is {kind}. It must be a folder with one sub-folder per '
            "class; relative paths start from the working directory."
        )
    try:
        return _Reader(root, skip_empty).read()
    except OSError as error:
        raise DataError(
            f'data.folder "{folder}" cannot be read: {error.strerror} ({error.filename}).'
        ) from error


class _Reader:
    """Collects the images of one folder and what else lies in it."""

    def __init__(self, root: Path, skip_empty: bool) -> None:
        self.root, self.skip_empty = root, skip_empty
        self.images: list[ListedImage] = []
        self.ignored: list[IgnoredFile] = []

    def read(self) -> Listing:
        folders = self._folders(self.root, f'data.folder "{self.root}"')
        if _is_divided(self.root, folders):
            for folder in folders:
                for class_folder in self._folders(folder, f'"{folder}"'):
                    self._read_class(class_folder, SPLIT_OF_NAME[folder.name.lower()])
        else:
            for folder in folders:
                self._read_class(folder, None)
        return Listing(tuple(self.images), tuple(self.ignored))

    def _folders(self, parent: Path, name: str) -> list[Path]:
        folders = []
        for entry in sorted(parent.iterdir()):
            if not _is_visible_folder(entry):
                self._ignore(entry, _reason_to_ignore(entry) or "not in a class folder")
            else:
                folders.append(entry)
        if not folders:
            raise DataError(
                f"{name} has no sub-folders. It must hold one sub-folder per class, named like "
                "the class, with that class's images in it."
            )
        return folders

    def _read_class(self, folder: Path, split: str | None) -> None:
        before = len(self.images)
        for path in self._pictures(folder):
            self.images.append(
                ListedImage(self._relative(path), str(path), folder.name, split=split)
            )
        if len(self.images) == before and self.skip_empty:
            self._ignore(folder, "class folder without images")
        elif len(self.images) == before:
            raise DataError(
                f'class folder "{self._relative(folder)}" of {self.root} has no images '
                f"({endings_in_words()}). Add images or remove the folder."
            )

    def _pictures(self, folder: Path) -> Iterator[Path]:
        for entry in sorted(folder.iterdir()):
            reason = _reason_to_ignore(entry)
            if reason is not None:
                self._ignore(entry, reason)
            elif entry.is_dir():
                yield from self._pictures(entry)
            else:
                yield entry

    def _ignore(self, path: Path, reason: str) -> None:
        # A name that is no valid UTF-8 would break every table that it is written to.
        readable = (
            self._relative(path).encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        )
        self.ignored.append(IgnoredFile(readable, reason))

    def _relative(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix()


def _is_divided(root: Path, folders: list[Path]) -> bool:
    named = [folder for folder in folders if folder.name.lower() in SPLIT_OF_NAME]
    if len(named) == len(folders):
        if not any(folder.name.lower() == "train" for folder in named):
            raise DataError(
                f'data.folder "{root}" has {some_of(f.name for f in named)} but no train folder. '
                "Add train/ with the classes inside, or put the class folders side by side."
            )
        return True
    # A class may well be called train or valid; then its images lie directly in it.
    doubtful = [f.name for f in named if any(_is_visible_folder(entry) for entry in f.iterdir())]
    if doubtful:
        others = [folder.name for folder in folders if folder not in named]
        raise DataError(
            f'data.folder "{root}" must hold either class folders or train, validation and test, '
            f"not both; got {some_of(doubtful)} beside {some_of(others)}. Move one kind away."
        )
    return False


def _is_visible_folder(entry: Path) -> bool:
    return entry.is_dir() and not entry.name.startswith(".")


def _reason_to_ignore(entry: Path) -> str | None:
    if entry.name.startswith("."):
        return "hidden"
    if any("\udc80" <= character <= "\udcff" for character in entry.name):
        return "name is not valid UTF-8"
    if entry.is_dir():
        return "link to a folder" if entry.is_symlink() else None
    if format_by_name(entry) is None:
        return f"not a {formats_in_words()} file"
    return None if entry.is_file() else "broken link or special file"
