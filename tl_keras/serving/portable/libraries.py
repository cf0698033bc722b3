"""The libraries that the folder brings: wheels, unpacked once and put on Python's path."""

import hashlib
import platform
import re
import shutil
import sys
import tempfile
import zipfile
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

WHEELS, UNPACKED = "wheels", "libraries"
NEEDED = ("numpy", "pillow", "ai-edge-litert")
_IMPORTED = ("numpy", "PIL", "ai_edge_litert")
_SYSTEMS = {"linux": ("manylinux", "linux"), "win32": ("win",), "darwin": ("macosx",)}
# Names of machines and those in the names of wheels.
_MACHINES = {"amd64": ("amd64", "x86_64"), "arm64": ("arm64", "aarch64", "universal2")}
_MACHINE_OF = {"x86_64": "amd64", "aarch64": "arm64"}
# Of the wheels, what no answer needs: a third of all, which would take its time.
_IDLE = re.compile(r"(^|/)tests/|^ai_edge_litert/(vendors|tools)/|WebGpu|avif|\.(pyi|pxd|h|a|lib)$")
_NAMED_GLIBC = {"manylinux1": (2, 5), "manylinux2010": (2, 12), "manylinux2014": (2, 17)}


class MissingError(ImportError):
    """Python or a library is missing on this computer; the message says what to do."""


def prepare(folder: Path) -> None:
    """Make NumPy, Pillow and the runtime importable.

    Args:
        folder: Which holds the wheels, or none: what is installed is used then.

    Raises:
        MissingError: Neither wheels for this computer nor installed libraries are there, or they
            cannot be unpacked.
    """
    wheels = sorted((folder / WHEELS).glob("*.whl"))
    own = [wheel for wheel in wheels if fits(wheel.name)]
    held = {_name(wheel.name) for wheel in own}
    if set(NEEDED) <= held:
        sys.path.insert(0, str(_unpacked(folder, own)))
    elif not _installed():
        raise MissingError(_what_to_fetch(wheels, sorted(set(NEEDED) - held)))


def fits(wheel: str) -> bool:
    """Whether a wheel, by its name, can be used by this Python on this computer."""
    parts = wheel[: -len(".whl")].split("-")
    pythons, abi, places = parts[-3].split("."), parts[-2], parts[-1].split(".")
    return _is_for_python(pythons, abi) and any(map(_is_for_system, places))


def _is_for_python(pythons: list[str], abi: str) -> bool:
    own = "cp{}{}".format(*sys.version_info)
    if abi == "none":
        return "py3" in pythons or own in pythons
    if abi == "abi3":
        found = (re.match(r"cp3(\d+)$", name) for name in pythons)
        return any(int(match.group(1)) <= sys.version_info[1] for match in found if match)
    return own in pythons and abi == own


def _is_for_system(place: str) -> bool:
    if place == "any":
        return True
    machine = platform.machine().lower()
    machine = _MACHINE_OF.get(machine, machine)
    if not place.startswith(_SYSTEMS.get(sys.platform, ("none",))):
        return False
    return place.endswith(_MACHINES.get(machine, (machine,))) and _is_new_enough(place)


def _is_new_enough(place: str) -> bool:
    """Whether the C library of Linux has what a wheel needs."""
    if not place.startswith("manylinux"):
        return True
    found = re.match(r"manylinux_(\d+)_(\d+)", place)
    named = _NAMED_GLIBC.get(place.split("_")[0], (99, 0))
    needed = tuple(map(int, found.groups())) if found else named
    name, version = platform.libc_ver()
    own = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    return name == "glibc" and own >= needed


def _name(wheel: str) -> str:
    return wheel.split("-")[0].replace("_", "-").lower()


def _unpacked(folder: Path, wheels: list[Path]) -> Path:
    """The folder of the unpacked wheels, in this one or, where it is read-only, at home."""
    mark = "".join(f"{wheel.name} {wheel.stat().st_size}\n" for wheel in wheels)
    name = hashlib.sha256(mark.encode()).hexdigest()[:16]
    places = [folder / UNPACKED, Path.home() / ".cache" / "portable_classifier"]
    for place in places:
        if (place / name).is_dir():
            return place / name
    why = None
    for place in places:
        try:
            place.mkdir(parents=True, exist_ok=True)
            return _unpack(wheels, place, name)
        except OSError as error:
            why = error
        # damaged files raise anything
        except Exception as error:
            raise MissingError(
                f"The files in {wheels[0].parent} must be as they were exported, got a damaged one "
                f"({error}). Copy the folder anew"
            ) from error
    raise MissingError(
        f"There must be room to unpack {sum(map(_size, wheels)) >> 20} MB of libraries in "
        f"{places[0]} or {places[1]}, got: {why}"
    )


def _size(wheel: Path) -> int:
    try:
        with zipfile.ZipFile(wheel) as archive:
            return sum(entry.file_size for entry in archive.infolist())
    except zipfile.BadZipFile:
        return 0


def _unpack(wheels: list[Path], place: Path, name: str) -> Path:
    """Whole or not at all: another start may unpack at the same time."""
    unfinished = Path(tempfile.mkdtemp(dir=place))
    try:
        with ThreadPoolExecutor() as threads:
            list(threads.map(partial(_extract, folder=unfinished), wheels))
        for data in unfinished.glob("*.data/*lib"):
            shutil.copytree(data, unfinished, dirs_exist_ok=True)
        unfinished.chmod(0o755)
        try:
            unfinished.replace(place / name)
        except OSError:
            if not (place / name).is_dir():
                raise
        return place / name
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _extract(wheel: Path, folder: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder, [name for name in archive.namelist() if not _IDLE.search(name)])


def _installed() -> bool:
    from importlib.util import find_spec

    return all(find_spec(name) for name in _IMPORTED)


def _what_to_fetch(wheels: list[Path], absent: list[str]) -> str:
    version = ".".join(map(str, sys.version_info[:2]))
    tags = ("-".join(wheel.stem.split("-")[-3:]) for wheel in wheels)
    held = sorted({tag for tag in tags if not tag.endswith("any")})
    names = " ".join(NEEDED)
    return (
        f"Libraries are needed for Python {version} on {sys.platform} {platform.machine()} "
        f"({', '.join(absent)}), got a folder with those for {', '.join(held) or 'none'}."
        f"{_other_python(held, version)} On a computer with internet and the same Python and "
        "system run: python -m pip download "
        f"--only-binary :all: --dest {WHEELS} {names}; and bring its folder {WHEELS} here, into "
        f"this one. Or install them where there is internet: python -m pip install {names}"
    )


def _other_python(held: list[str], version: str) -> str:
    """The Python that the folder is for, where it is another than this one."""
    tags = {re.match(r"cp3(\d+)-", tag) for tag in held}
    others = sorted({int(tag[1]) for tag in tags if tag} - {int(version.partition(".")[2])})
    if not others:
        return ""
    one = f"3.{others[-1]}"
    return (
        f" Where this computer has Python {one}, start it with that: python{one} classify.py (on "
        f"Windows: py -{one} classify.py). If not:"
    )
