"""Libraries for other computers, as the wheels that a package index has for them."""

import platform
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tl_keras.atomic_files import scratch_folder

# As `setup.cfg` has them.
NEEDED = ("ai-edge-litert>=2.0.3,<3", "numpy>=2.0,<3", "pillow>=10.4")
# The C library of Linux: that of 2018, or older.
_GLIBC = range(28, 16, -1)
# Names of computers and of their platforms, as wheels have them.
COMPUTERS = {
    "linux_x86_64": [f"manylinux_2_{minor}_x86_64" for minor in _GLIBC],
    "linux_arm64": [f"manylinux_2_{minor}_aarch64" for minor in _GLIBC],
    "windows_x86_64": ["win_amd64"],
    "macos_arm64": ["macosx_14_0_arm64"],
}
_SYSTEMS = {"linux": "linux", "win32": "windows", "darwin": "macos"}
_MACHINES = {"amd64": "x86_64", "aarch64": "arm64"}
_SECONDS = 600
# Python 3.N, from which on the folder runs.
OLDEST = 11


@dataclass(frozen=True)
class Destination:
    """Where an export shall run.

    Attributes:
        computers: of `COMPUTERS`; none is this one.
        pythons: their versions, such as "3.12"; none is that of this process.
    """

    computers: tuple[str, ...] = ()
    pythons: tuple[str, ...] = ()

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """Each computer with each version."""
        return [(one, python) for one in self.named_computers for python in self.named_pythons]

    @property
    def named_computers(self) -> tuple[str, ...]:
        return self.computers or (own_computer(),)

    @property
    def named_pythons(self) -> tuple[str, ...]:
        return self.pythons or (own_python(),)


HERE = Destination()


def own_computer() -> str:
    """The name of this one; it may be none of `COMPUTERS`."""
    machine = platform.machine().lower()
    return f"{_SYSTEMS.get(sys.platform, sys.platform)}_{_MACHINES.get(machine, machine)}"


def own_python() -> str:
    """The version of this process, such as "3.12"."""
    return ".".join(map(str, sys.version_info[:2]))


def fetch_wheels(folder: Path, destination: Destination) -> list[str]:
    """Fetch the libraries with pip, from the index that it is set up for.

    Args:
        folder: For the wheels; made where there are some.
        destination: Whom they are for.

    Returns:
        A sentence for each computer and version that they could not be fetched for.
    """
    found = (_fetch(folder, computer, python) for computer, python in destination.pairs)
    return [text for text in found if text is not None]


def _fetch(folder: Path, computer: str, python: str) -> str | None:
    if computer not in COMPUTERS:
        return _by_hand(folder, computer, python, "this kind of computer is not known", [])
    flags = ["--python-version", python, "--implementation", "cp"]
    flags += [part for name in COMPUTERS[computer] for part in ("--platform", name)]
    pip = [sys.executable, "-m", "pip", "download", "--only-binary", ":all:", *flags]
    quick = ["--retries", "1", "--timeout", "15", "--disable-pip-version-check", "--quiet"]
    with scratch_folder(folder.parent) as scratch:
        try:
            done = subprocess.run(
                [*pip, *quick, "--dest", str(scratch / "wheels"), *NEEDED],
                capture_output=True,
                text=True,
                errors="replace",
                timeout=_SECONDS,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return _by_hand(folder, computer, python, str(error), flags)
        if done.returncode:
            errors = [line for line in done.stderr.splitlines() if line.strip()]
            return _by_hand(folder, computer, python, errors[-1] if errors else "no word", flags)
        folder.mkdir(exist_ok=True)
        for wheel in (scratch / "wheels").glob("*.whl"):
            shutil.move(wheel, folder / wheel.name)
    return None


def _by_hand(folder: Path, computer: str, python: str, why: str, flags: Sequence[str]) -> str:
    needed = " ".join(f'"{name}"' for name in NEEDED)
    return (
        f"The folder {folder.parent.name} has no libraries for {computer} with Python {python} "
        f"(pip: {why.strip().rstrip('.')}). Where there is internet run: python -m pip download "
        f"--only-binary :all: {' '.join(flags)} --dest {folder.name} {needed}; and put the folder "
        f"{folder.name} into it. Or install them on that computer: python -m pip install {needed}"
    )
