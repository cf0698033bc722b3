"""The folder of an experiment as earlier versions left it: everything at its top."""

from contextlib import suppress
from pathlib import Path

from tl_keras.digests import DIGESTS, list_in, listed, write_list
from tl_keras.results_layout import LAYOUT, MOVED, STATE, inner


def put_back(folder: Path) -> Path:
    """Move all to where an earlier version had it; the folder."""
    names = {inner(name): name for name in MOVED}
    if list_in(folder).exists():
        known = {names.get(place, place): each for place, each in listed(folder).items()}
        write_list(folder / DIGESTS, known)
        (folder / STATE / DIGESTS).unlink()
    (folder / STATE / LAYOUT).unlink()
    for place, name in names.items():
        if (folder / place).exists():
            (folder / place).rename(folder / name)
    for name in {place.partition("/")[0] for place in names}:
        # of plots others may be there
        with suppress(OSError):
            (folder / name).rmdir()
    return folder
