"""Images from a folder: one sub-folder per class, or split folders that hold the classes."""

from pathlib import Path

from tl_keras.data.folder_layout import Layout, layout_of, may_hold_classes
from tl_keras.data.image_formats import endings_in_words
from tl_keras.data.listing import IgnoredFile, ListedImage, Listing, some_of, where_paths_start
from tl_keras.data.picture_walk import (
    UNREADABLE,
    FolderContents,
    Parts,
    left_out_in_words,
    look_into,
    readable,
)
from tl_keras.errors import DataError
from tl_keras.path_kinds import A_FILE, A_FOLDER, NOTHING, kind_of
from tl_keras.safe_text import brief


def list_folder(
    folder: str, *, class_level: int | None = None, skip_empty: bool = False
) -> Listing:
    """List the images of a folder.

    Either layout will do; names of splits are those that `splits_of` knows, in any case, and files
    in deeper sub-folders belong to the class above them::

        photos/                     photos/
            crack/                      train/
                1.png                       crack/1.png
                left/2.png                  dent/2.png
            dent/                       test/
                3.jpg                       crack/3.jpg

    Pictures of a split without class folders have no labels: they are left out.

    Args:
        folder: with one sub-folder per class.
        class_level: How many folders deep the classes lie, 1 for the folders in `folder` itself;
            None finds it out.
        skip_empty: Ignore class folders without images, and sub-folders that cannot be read,
            instead of stopping.

    Raises:
        DataError: if the folder is missing, holds no class folders, mixes the layouts, can be read
            in two ways, or has a class folder without images that is not to be skipped.
    """
    root = Path(folder).absolute()
    _check_is_folder(folder, root)
    try:
        contents = look_into(root, lambda parts: may_hold_classes(parts, class_level))
    except OSError as error:
        raise DataError(f'data.folder "{folder}" cannot be read: {error.strerror}.') from error
    if not skip_empty:
        _refuse_unreadable(root, contents)
    layout = layout_of(root, contents, class_level)
    used = [parts for parts in contents.pictures if parts[0] not in layout.aside]
    images = tuple(
        ListedImage(
            "/".join(parts),
            str(root.joinpath(*parts)),
            parts[layout.level_of(parts) - 1],
            split=layout.splits.get(parts[0]),
        )
        for parts in used
        if len(parts) > layout.level_of(parts)
    )
    empty = _empty_classes(contents, layout)
    if not skip_empty:
        _refuse_empty(root, contents, layout, empty, {image.label for image in images})
    if not images:
        raise _no_images(root, contents, layout)
    loose = [parts for parts in used if len(parts) <= layout.level_of(parts)]
    return Listing(
        images,
        (
            *contents.ignored(),
            *(IgnoredFile(readable((top,)), reason) for top, reason in layout.aside.items()),
            *(IgnoredFile(readable(parts), "not in a class folder") for parts in loose),
            *(IgnoredFile(readable(parts), "class folder without images") for parts in empty),
        ),
    )


def _check_is_folder(folder: str, root: Path) -> None:
    there = kind_of(root)
    if there == A_FOLDER:
        return
    is_what = "missing" if there == NOTHING else there
    if there == A_FILE:
        is_what += ", not a folder"
    raise DataError(
        f'data.folder "{brief(folder, 300)}" is {is_what}. It must be a folder with one sub-folder '
        f"per class; {where_paths_start(folder)}."
    )


def _refuse_unreadable(root: Path, contents: FolderContents) -> None:
    closed = [file for file in contents.ignored() if file.reason.startswith(UNREADABLE)]
    if closed:
        raise DataError(
            f'data.folder "{root}" holds folders that cannot be read: '
            f"{some_of(f'{file.path} ({file.reason})' for file in closed)}. Give yourself the "
            "right to read them, give them names in UTF-8, or move them away."
        )


def _empty_classes(contents: FolderContents, layout: Layout) -> list[Parts]:
    return [
        parts
        for parts in contents.folders
        if len(parts) == layout.level_of(parts)
        and parts not in contents.inside
        and parts[0] not in layout.aside
    ]


def _refuse_empty(
    root: Path, contents: FolderContents, layout: Layout, empty: list[Parts], labels: set[str]
) -> None:
    """Refuse class folders without images, unless the class has images in another folder."""
    for parts in empty:
        if layout.splits or parts[-1] not in labels:
            there = left_out_in_words(contents.ignored(parts))
            raise DataError(
                f'class folder "{readable(parts)}" of {root} has no images '
                f"({endings_in_words()}). Add images or remove the folder."
                + (f" Left out there: {there}." if there else "")
            )


def _no_images(root: Path, contents: FolderContents, layout: Layout) -> DataError:
    there = left_out_in_words(contents.ignored())
    deep = f", {layout.level} folders deep (data.class_level)" if layout.level > 1 else ""
    return DataError(
        f'data.folder "{root}" has no images ({endings_in_words()}) in class folders{deep}. Add '
        "images, or name another folder." + (f" Left out: {there}." if there else "")
    )
