"""The folder of an experiment that an earlier version made, put in order when it goes on.

Each thing is moved by itself, and found by readers before and after. Whoever is killed on the way
goes on where he was.
"""

import os
from pathlib import Path

from tl_keras.atomic_files import write_json
from tl_keras.digests import DIGESTS, listed, write_list
from tl_keras.errors import DamagedError
from tl_keras.results_layout import LAYOUT, MOVED, STATE, inner, is_in_place

# The only plot that earlier versions kept as a file; the report draws it anew, among others.
_DRAWN_AGAIN = "probes.png"


def put_in_place(folder: Path) -> None:
    """Move what lies at the top of an experiment's folder to where `results_layout` has it.

    Args:
        folder: of the experiment, in which no other process writes; it may be empty.

    Raises:
        OSError: something cannot be moved; what was moved before is found there.
    """
    if is_in_place(folder):
        return
    (folder / STATE).mkdir(exist_ok=True)
    carried = _carry_list(folder)
    for name in MOVED:
        _move(folder / name, folder / inner(name))
    if (folder / _DRAWN_AGAIN).is_file():
        (folder / _DRAWN_AGAIN).unlink()
    # only now: until then it is that of what is not moved yet
    if carried:
        (folder / DIGESTS).unlink()
    else:
        _move(folder / DIGESTS, folder / STATE / DIGESTS)
    write_json(folder / STATE / LAYOUT, {"layout": 2})


def _carry_list(folder: Path) -> bool:
    """List everything at its new place as well; False where there is no list that can be read."""
    if not (folder / DIGESTS).exists():
        return False
    try:
        known = listed(folder)
    except DamagedError:
        return False
    write_list(folder / STATE / DIGESTS, {inner(name): each for name, each in known.items()})
    return True


def _move(old: Path, new: Path) -> None:
    if not os.path.lexists(old) or os.path.lexists(new):
        return
    new.parent.mkdir(exist_ok=True)
    if old.is_symlink() and not old.readlink().is_absolute():
        # from elsewhere it would lead elsewhere
        new.symlink_to(os.path.relpath(os.path.realpath(old), new.parent.resolve()))
        old.unlink()
    else:
        old.rename(new)
