"""`tl-keras cache`: what the cache of features holds, and making room in it."""

import argparse
import os
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

from tl_keras.commands.command_line import Parser, carry_out, read_options, say
from tl_keras.data.cache_entries import CacheEntry, default_folder, entries
from tl_keras.errors import CacheError, ConfigError

DESCRIPTION = """\
What a pretrained network says of your photos (features) is computed once and kept for later runs.
Show what is kept, or remove it to make room; what is missing is computed again."""
_DAY = 86_400  # seconds


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code: 0, 1 for a failure, 2 for a mistake."""
    options = read_options(_parser(), arguments)
    command = _list if options.command == "list" else _remove
    return carry_out(lambda: command(options), words=options.words)


def _parser() -> argparse.ArgumentParser:
    parser = Parser("tl-keras cache", description=DESCRIPTION)
    commands = parser.add_subparsers(dest="command", required=True)
    listing = commands.add_parser("list", help="show what is kept, the one used last at the end")
    removal = commands.add_parser(
        "remove", help="remove what is kept; not while an experiment is running"
    )
    which = removal.add_mutually_exclusive_group(required=True)
    which.add_argument(
        "entries",
        nargs="*",
        default=[],
        metavar="ENTRY",
        help="names of entries, as `tl-keras cache list` shows them",
    )
    which.add_argument("--all", action="store_true", help="remove every entry")
    which.add_argument(
        "--older-than",
        type=float,
        metavar="DAYS",
        help="remove entries that were not used for so many days",
    )
    for command in (listing, removal):
        command.add_argument(
            "--folder",
            type=Path,
            default=default_folder(),
            help="where it is kept, cache.folder of the experiment (default: %(default)s)",
        )
    return parser


def _list(options: argparse.Namespace) -> int:
    from rich.table import Table

    from tl_keras.reporting.safe_console import SafeConsole

    folder = options.folder
    table = Table()
    # whole, or `remove` could not take it
    table.add_column("entry", no_wrap=True, min_width=16)
    for name in ("made by", "activations of", "images", "MB", "last used"):
        table.add_column(name)
    for entry in (found := _entries(folder)):
        facts = entry.facts()
        when = datetime.fromtimestamp(entry.last_used()).strftime("%Y-%m-%d %H:%M")
        images = entry.images()
        numbers = "?" if images is None else f"{images:,}", f"{entry.megabytes():,.1f}"
        words = str(facts.get("made_by", "?")), _what(facts)
        table.add_row(entry.key, *words, *numbers, when)
    console = SafeConsole()
    if found:
        console.print(table)
    console.print(
        f"{len(found)} entries, {sum(entry.megabytes() for entry in found):,.1f} MB in {folder}",
        soft_wrap=True,
    )
    return 0


def _entries(folder: Path | None) -> list[CacheEntry]:
    """Those of a folder.

    Raises:
        ConfigError: there is no folder to look into.
    """
    if folder is None:
        raise ConfigError(
            "There is no home folder, in which the feature cache would lie. Say where it is: "
            "--folder FOLDER"
        )
    if os.path.lexists(folder) and not os.path.isdir(folder):  # noqa: PTH112
        raise ConfigError(f"--folder must be a folder; got {folder}, which is none.")
    try:
        return entries(folder)
    except OSError as error:
        raise ConfigError(
            f"{folder} cannot be read ({error.strerror or error}). Ask for another --folder."
        ) from error


def _what(facts: Mapping[str, object]) -> str:
    if not facts:
        return "? (what it is was not written, or is damaged)"
    if "row_shape" not in facts:
        return "of another version of tl_keras: no longer read"
    backbone, block, size = (facts.get(name, "?") for name in ("backbone", "block", "image_size"))
    return f"{backbone} up to {block}, {size} px, {facts.get('gives', 'output')}"


def _remove(options: argparse.Namespace) -> int:
    found = _entries(options.folder)
    chosen = _chosen(found, options)
    sizes = {entry.key: entry.megabytes() for entry in chosen}
    removed = [entry for entry in chosen if entry.remove()]
    megabytes = sum(sizes[entry.key] for entry in removed)
    say(f"removed {len(removed)} of {len(found)} entries, {megabytes:,.1f} MB")
    if left := [str(entry.path) for entry in chosen if entry not in removed]:
        raise CacheError(
            f"{len(left)} entries could not be removed, such as {left[0]}: nothing may be deleted "
            "there. Ask its owner, or change the permissions."
        )
    return 0


def _chosen(found: Sequence[CacheEntry], options: argparse.Namespace) -> list[CacheEntry]:
    if options.all:
        return list(found)
    if options.older_than is not None:
        if not options.older_than >= 0:
            raise ConfigError(f"--older-than must be 0 days or more; got {options.older_than:g}")
        oldest = time.time() - options.older_than * _DAY
        return [entry for entry in found if entry.last_used() < oldest]
    known = {entry.key: entry for entry in found}
    unknown = [key for key in options.entries if key not in known]
    if unknown:
        raise ConfigError(
            f"{options.folder} has no entry {', '.join(unknown)}; "
            f"`tl-keras cache list --folder {options.folder}` shows them"
        )
    return [known[key] for key in options.entries]
