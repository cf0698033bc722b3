"""What the files of a folder must be: the SHA-256 of each, so that half a file is noticed.

<folder>/digests.json    files: file -> digests of what was written last, and of what it replaced
                         sha256: of `files`, for the list may be damaged too

A folder that has none is listed by the folder of the experiment that it is or lies in, whose list
is `state/digests.json` and names files by their path from there, such as "tables/runs.csv".

A digest is written before its file appears, beside that of the file in whose place it comes. So
whenever a process is killed, or another one reads, one of the two is that of the file. A file that
is not listed is older than the list, and is read as it is.
"""

import hashlib
import json
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tl_keras.atomic_files import replacing, write_json
from tl_keras.errors import DamagedError
from tl_keras.results_layout import STATE

DIGESTS = "digests.json"


@contextmanager
def keeping(path: Path) -> Iterator[Path]:
    """As `replacing`, of a file that is listed.

    Raises:
        OSError: it cannot be written; what was there stays.
        DamagedError: the list of its folder.
    """
    with replacing(path) as unfinished:
        yield unfinished
        _list(path, _digest(unfinished.read_bytes()))


def keep_json(path: Path, content: Any) -> None:
    """Write JSON types, indented, and list the file.

    Raises:
        OSError: it cannot be written; what was there stays.
        DamagedError: the list of its folder.
    """
    with keeping(path) as unfinished:
        write_json(unfinished, content)


def seal(folder: Path) -> None:
    """List all files of a folder that is complete, but not yet in its place."""
    files = sorted(path for path in folder.iterdir() if path.is_file())
    write_list(folder / DIGESTS, {path.name: [_digest(path.read_bytes())] for path in files})


def forget(path: Path) -> None:
    """Remove a file that is no longer needed, so that it is not missed."""
    place, name = _list_of(path)
    known = _listed(place)
    if known.pop(name, None):
        write_list(place, known)
    path.unlink(missing_ok=True)


def list_in(folder: Path) -> Path:
    """Where the list of a folder is, or would be."""
    own, state = folder / DIGESTS, folder / STATE
    return state / DIGESTS if state.is_dir() and not own.exists() else own


def listed(folder: Path) -> dict[str, list[str]]:
    """Files and the digests of what each may be; empty where a folder has no list.

    Raises:
        DamagedError: the list.
    """
    return _listed(list_in(folder))


def is_listed(path: Path) -> bool:
    """Whether a file is expected where it is, or is not any more.

    Raises:
        DamagedError: the list of its folder.
    """
    return _digests_of(path) is not None


def _digests_of(path: Path) -> list[str] | None:
    place, name = _list_of(path)
    return _listed(place).get(name)


def _list_of(path: Path) -> tuple[Path, str]:
    """The list that tells what a file must be, and its name there."""
    own = path.parent / DIGESTS
    for home in path.parents[:2]:
        state = home / STATE
        if state.is_dir() and (state == path.parent or not own.exists()):
            return state / DIGESTS, path.relative_to(home).as_posix()
    return own, path.name


def _listed(path: Path) -> dict[str, list[str]]:
    if not path.exists():
        return {}
    stored = _parsed(path, _read(path))
    known = stored.get("files")
    if not isinstance(known, dict) or stored.get("sha256") != _digest_of(known):
        raise DamagedError(path, "its content is not what was written")
    return known


def expects(path: Path, content: bytes) -> bool:
    """Whether a file is listed with this content, whatever is there now."""
    return _digest(content) in (_digests_of(path) or ())


def whole_bytes(path: Path) -> bytes:
    """The content of a file.

    Raises:
        DamagedError: it cannot be read, or is not what its folder lists.
    """
    content = _read(path)
    if not _is_as_listed(path, content):
        # another process may have replaced it between the two looks
        content = _read(path)
        if not _is_as_listed(path, content):
            raise DamagedError(path, "its content is not what was written")
    return content


def whole_json(path: Path, keys: tuple[str, ...] = ()) -> dict[str, Any]:
    """The content of a file that holds a JSON object.

    Args:
        path: of the file.
        keys: that it must have.

    Raises:
        DamagedError: it cannot be read, or holds something else.
    """
    content = _parsed(path, whole_bytes(path))
    if absent := [key for key in keys if key not in content]:
        raise DamagedError(path, f"it lacks {absent[0]}")
    return content


def any_json(path: Path) -> dict[str, Any]:
    """The content of a file that holds a JSON object, whether or not it is as it was written.

    Raises:
        DamagedError: it cannot be read, or holds something else.
    """
    return _parsed(path, _read(path))


def known_json(path: Path) -> dict[str, Any]:
    """As `any_json`; an empty object where the file is missing or damaged."""
    try:
        return any_json(path)
    except DamagedError:
        return {}


def _parsed(path: Path, content: bytes) -> dict[str, Any]:
    try:
        found = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise DamagedError(path, f"it is no JSON ({error})") from error
    if not isinstance(found, dict):
        raise DamagedError(path, f"it must hold an object, got {type(found).__name__}")
    return found


def _read(path: Path) -> bytes:
    try:
        # whoever opens a pipe waits at it
        if not stat.S_ISREG(path.stat().st_mode):
            raise DamagedError(path, "it is no file")
        return path.read_bytes()
    except OSError as error:
        raise DamagedError(path, error.strerror or str(error)) from error


def _is_as_listed(path: Path, content: bytes) -> bool:
    digests = _digests_of(path)
    return digests is None or _digest(content) in digests


def _list(path: Path, digest: str) -> None:
    """Expect a file, or still the one that is there."""
    place, name = _list_of(path)
    known = _listed(place)
    allowed = known.get(name, [])
    present = [_digest(path.read_bytes())] if path.is_file() else []
    kept = [each for each in present if each in allowed and each != digest]
    if allowed != (wanted := [digest, *kept]):
        write_list(place, {**known, name: wanted})


def write_list(path: Path, known: Mapping[str, list[str]]) -> None:
    """Write a list of files and the digests of what each may be.

    Raises:
        OSError: it cannot be written; what was there stays.
    """
    write_json(path, {"files": known, "sha256": _digest_of(known)})


def _digest_of(known: Mapping[str, list[str]]) -> str:
    return _digest(json.dumps(known, sort_keys=True).encode())


def file_digest(path: Path) -> str:
    """SHA-256 of a file of any length, in hexadecimal digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
