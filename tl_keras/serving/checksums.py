"""The digests of a version's files, as `sha256sum -c assets.extra/SHA256SUMS` reads them."""

from collections.abc import Iterator
from pathlib import Path

from tl_keras.atomic_files import write_text
from tl_keras.digests import file_digest
from tl_keras.serving.versions import EXTRA
from tl_keras.target_table import TARGETS

SUMS = "SHA256SUMS"
_REMOVABLE = {spec.file for spec in TARGETS.values()}


def write_checksums(version: Path) -> None:
    """List what the files of a complete version are.

    Args:
        version: its folder.
    """
    files = sorted(path for path in version.rglob("*") if path.is_file())
    lines = [
        f"{file_digest(path)}  {path.relative_to(version).as_posix()}\n"
        for path in files
        if path.name != SUMS
    ]
    write_text(version / EXTRA / SUMS, "".join(lines))


def damaged_files(version: Path) -> list[str]:
    """Files of a version that are not as they were exported, by their names in it.

    Other formats may be removed. An earlier version of this package listed nothing.

    Args:
        version: its folder.
    """
    return [name for name, digest in _listed(version) if not _is_whole(version / name, digest)]


def _listed(version: Path) -> Iterator[tuple[str, str]]:
    path = version / EXTRA / SUMS
    if not path.is_file():
        return
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        digest, _, name = line.partition("  ")
        if (version / name).exists() or not _REMOVABLE.intersection(Path(name).parts):
            yield name, digest


def _is_whole(path: Path, digest: str) -> bool:
    return path.is_file() and file_digest(path) == digest
