"""Classify photos: python classify.py PHOTO_OR_FOLDER ...; READ_ME.txt says more.

It begins here, and lies one folder above the other modules where it runs.
"""

import importlib
import sys
from pathlib import Path

_OLDEST = (3, 11)


def main(folder: Path) -> int:
    """See to the libraries and run the command line; returns its exit code.

    Args:
        folder: What was exported.
    """
    # an older Python reads this file, and no other of them
    if sys.version_info < _OLDEST:
        print("This Python is too old: READ_ME.txt says which one is needed.", file=sys.stderr)
        return 2
    # some Pythons look there of themselves
    sys.path.insert(0, str(folder))
    try:
        importlib.import_module("portable.libraries").prepare(folder)
        command = importlib.import_module("portable.command")
    except ImportError as error:
        own = (error.name or "").startswith("portable")
        advice = ". Copy this folder anew, whole" if own else ""
        print(f"Something is missing: {error}{advice}.", file=sys.stderr)
        return 2
    code: int = command.main(folder, sys.argv[1:])
    return code


if __name__ == "__main__":
    sys.exit(main(Path(__file__).resolve().parent))
