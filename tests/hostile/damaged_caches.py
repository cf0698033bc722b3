"""What becomes of files of the feature cache: each function damages one, as disks and people do."""

import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

Damage = Callable[[Path], None]


def flipped_bytes(path: Path, count: int = 20, seed: int = 0) -> None:
    """Change bytes at random places, the length kept."""
    content = bytearray(path.read_bytes())
    generator = np.random.default_rng(seed)
    for place in generator.choice(len(content), min(count, len(content)), replace=False):
        content[place] ^= int(generator.integers(1, 256))
    path.write_bytes(content)


def truncated(path: Path) -> None:
    """Lose the last five bytes."""
    path.write_bytes(path.read_bytes()[:-5])


def halved(path: Path) -> None:
    """Lose the second half, which may be whole records."""
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def zeroed(path: Path) -> None:
    """Zeros throughout, as after a crash of the machine."""
    path.write_bytes(bytes(path.stat().st_size))


def longer(path: Path) -> None:
    """Three bytes too many."""
    path.write_bytes(path.read_bytes() + b"abc")


def empty(path: Path) -> None:
    """Nothing left."""
    path.write_bytes(b"")


def zip_signature(path: Path) -> None:
    """The two letters that begin a zip archive."""
    path.write_bytes(b"PK" + path.read_bytes()[2:])


def an_archive(path: Path) -> None:
    """A zip archive of arrays."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("row.npy", b"no array")


def a_pickle(path: Path) -> None:
    """Objects in place of numbers."""
    path.write_bytes(pickle.dumps({"image": b"", "row": [1.0]}))


def another_array(path: Path) -> None:
    """An array of another shape and type."""
    with path.open("wb") as file:
        np.save(file, np.ones((2, 5), np.int16))


def a_folder(path: Path) -> None:
    """A folder of the same name."""
    path.unlink()
    path.mkdir()


def a_pipe(path: Path) -> None:
    """A named pipe, which whoever opens it waits at."""
    path.unlink()
    os.mkfifo(path)


def a_link_to_nowhere(path: Path) -> None:
    """A symbolic link whose target is missing."""
    path.unlink()
    path.symlink_to(path.parent / "missing")


# Left out are `halved` and `a_link_to_nowhere`: whole records that are missing, and a file that is
# gone, are no damage.
DAMAGES: tuple[Damage, ...] = (
    flipped_bytes,
    truncated,
    zeroed,
    longer,
    empty,
    zip_signature,
    an_archive,
    a_pickle,
    another_array,
    a_folder,
    a_pipe,
)

# What `entry.json` may hold instead of facts.
NO_FACTS = (b"", b"{", b"null", b"3", b"[1]", b"\xff\xfe", b"[" * 100_000, b'{"block": 1}')
