"""The command line of the folder: photos, folders, or a folder that is watched."""

import argparse
import os
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path

from .answers import Answered, Table, answered, as_json, as_text, page, plain
from .model import FolderError, PlainClassifier
from .photos import NoPhotosError, find_photos, in_words, new_photos

_ON_A_PAGE = 500
PHOTOS, ANSWERS = "photos", "answers.csv"
DESCRIPTION = f"""\
Classify photos: a line for each. Without any, the folder "{PHOTOS}" beside this program is watched,
and what comes into it is answered in "{ANSWERS}" there."""


def main(folder: Path, arguments: Sequence[str]) -> int:
    """Run the command line; returns the exit code: 0, 1 where no photo can be read, 2 for mistakes.

    Args:
        folder: What was exported.
        arguments: Of the command line.
    """
    options = _parser(folder).parse_args(arguments)
    for stream in (sys.stdout, sys.stderr):
        # consoles of Windows do not know every letter
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        return _classify(PlainClassifier.of(folder), options)
    except (FolderError, NoPhotosError) as error:
        print(f"error: {plain(str(error))}", file=sys.stderr)
    except BrokenPipeError:
        # whoever read the answers has enough; Python would still try to write the rest
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        print(f"error: A file cannot be used: {plain(str(error))}", file=sys.stderr)
    except KeyboardInterrupt:
        return 0
    return 2


def _parser(folder: Path) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("classify", description=DESCRIPTION)
    parser.add_argument(
        "photos", type=Path, nargs="*", metavar="PHOTO_OR_FOLDER", help="folders with all below"
    )
    parser.add_argument(
        "--watch", type=Path, metavar="FOLDER", help="answer what comes into it, until Ctrl+C"
    )
    parser.add_argument("--csv", type=Path, metavar="FILE", help="add the answers to this table")
    parser.add_argument("--page", type=Path, metavar="FILE", help="write a page with the photos")
    parser.add_argument("--json", action="store_true", help="a line of JSON for each photo")
    parser.set_defaults(folder=folder)
    return parser


def _classify(classifier: PlainClassifier, options: argparse.Namespace) -> int:
    watched, table = options.watch, options.csv
    if not options.photos and watched is None:
        watched, table = options.folder / PHOTOS, table or options.folder / ANSWERS
        watched.mkdir(exist_ok=True)
    show = as_json if options.json else as_text
    latest: deque[Answered] = deque(maxlen=_ON_A_PAGE)
    unread = asked = 0
    with Table(table, classifier.columns) as rows:
        try:
            for path in _paths(options.photos, watched, rows):
                found = answered(path, classifier)
                print(show(found), flush=True)
                rows.add(found)
                latest.append(found)
                asked += 1
                unread += bool(found.answer["problem"])
        finally:
            if options.page is not None:
                options.page.write_text(page(latest, classifier.columns), encoding="utf-8")
    if unread:
        print(f"{unread} of {asked} files could not be read", file=sys.stderr)
    return 1 if unread == asked else 0


def _paths(photos: Sequence[Path], watched: Path | None, rows: Table) -> Iterator[Path]:
    if photos:
        files, left_out = find_photos(photos)
        if left_out:
            print(f"left out: {plain(in_words(left_out))}", file=sys.stderr)
        yield from files
    if watched is not None:
        print(f"Watching {watched}; Ctrl+C ends it.", file=sys.stderr)
        yield from new_photos(watched, rows.knows)
