"""Wheels are chosen for this computer, unpacked once and whole, or it is said what is missing."""

import platform
import random
import sys
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tl_keras.serving.portable import libraries
from tl_keras.serving.portable.libraries import MissingError, fits, prepare

OWN = "cp{}{}".format(*sys.version_info)


@pytest.fixture(autouse=True)
def same_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """What is put on Python's path, and into a home, is gone afterwards."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(Path, "home", lambda: tmp_path / "home")
    yield


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """One with wheels of all that is needed."""
    (tmp_path / "copied" / "wheels").mkdir(parents=True)
    for name in libraries.NEEDED:
        write_wheel(tmp_path / "copied", name.replace("-", "_"))
    return tmp_path / "copied"


def write_wheel(folder: Path, name: str, tag: str = "py3-none-any") -> Path:
    wheel = folder / "wheels" / f"{name}-1.0-{tag}.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(f"{name}/__init__.py", "")
        archive.writestr(f"{name}-1.0.data/purelib/{name}/data.py", "number = 1")
    return wheel


@pytest.mark.parametrize(
    ("tag", "system", "machine", "fitting"),
    [
        ("py3-none-any", "win32", "AMD64", True),
        ("py2.py3-none-any", "linux", "x86_64", True),
        ("py2-none-any", "linux", "x86_64", False),
        (f"{OWN}-{OWN}-manylinux_2_17_x86_64.manylinux2014_x86_64", "linux", "x86_64", True),
        (f"{OWN}-{OWN}-manylinux2014_x86_64", "linux", "x86_64", True),
        (f"{OWN}-{OWN}-manylinux_2_28_x86_64", "linux", "aarch64", False),
        (f"{OWN}-{OWN}-manylinux_2_28_aarch64", "linux", "aarch64", True),
        (f"{OWN}-{OWN}-manylinux_2_99_x86_64", "linux", "x86_64", False),
        (f"{OWN}-{OWN}-musllinux_1_2_x86_64", "linux", "x86_64", False),
        (f"{OWN}-{OWN}-win_amd64", "win32", "AMD64", True),
        (f"{OWN}-{OWN}-win_arm64", "win32", "AMD64", False),
        (f"{OWN}-{OWN}-win_amd64", "linux", "x86_64", False),
        (f"{OWN}-{OWN}-macosx_14_0_arm64", "darwin", "arm64", True),
        (f"{OWN}-{OWN}-macosx_10_9_universal2", "darwin", "arm64", True),
        (f"{OWN}-{OWN}-macosx_10_9_x86_64", "darwin", "x86_64", True),
        ("cp39-abi3-win_amd64", "win32", "AMD64", True),
        ("cp399-abi3-win_amd64", "win32", "AMD64", False),
        ("cp39-cp39-win_amd64", "win32", "AMD64", False),
        (f"{OWN}-{OWN}t-win_amd64", "win32", "AMD64", False),
    ],
)
def test_a_wheel_fits_by_its_name(
    tag: str, system: str, machine: str, fitting: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(platform, "machine", lambda: machine)
    monkeypatch.setattr(platform, "libc_ver", lambda: ("glibc", "2.35"))
    assert fits(f"some_name-1.2-{tag}.whl") is fitting


def test_wheels_are_unpacked_once_and_come_first(folder: Path) -> None:
    prepare(folder)
    unpacked = Path(sys.path[0])
    assert unpacked.parent == folder / "libraries"
    assert (unpacked / "numpy" / "data.py").read_text() == "number = 1"
    (unpacked / "mark").touch()
    prepare(folder)
    assert Path(sys.path[0]) == unpacked
    assert (unpacked / "mark").exists()
    assert [path.name for path in unpacked.parent.iterdir()] == [unpacked.name]


def test_what_no_answer_needs_is_left_packed(folder: Path) -> None:
    needed = (
        "numpy/core.py",
        "numpy/testing/tests.py",
        "ai_edge_litert/interpreter.py",
        "contests/a",
    )
    idle = (
        "numpy/lib/tests/a.py",
        "tests/a.py",
        "numpy/a.pyi",
        "ai_edge_litert/vendors/x/a.so",
        "b/libWebGpu.so",
    )
    with zipfile.ZipFile(folder / "wheels" / "numpy-1.0-py3-none-any.whl", "w") as archive:
        for name in needed + idle:
            archive.writestr(name, "")
    prepare(folder)
    for name in needed + idle:
        assert (Path(sys.path[0]) / name).exists() is (name in needed), name


@pytest.mark.parametrize("seed", range(40))
def test_a_wheel_with_a_mistake_somewhere(folder: Path, seed: int) -> None:
    chance = random.Random(seed)
    wheel = folder / "wheels" / "numpy-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("numpy/__init__.py", chance.randbytes(50).hex() * 20)
    content = bytearray(wheel.read_bytes())
    content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    wheel.write_bytes(content)
    # no other error, and nothing half done
    with suppress(MissingError):
        prepare(folder)
        return
    assert not any((folder / "libraries").glob("*"))


def test_other_wheels_are_unpacked_anew(folder: Path) -> None:
    prepare(folder)
    first = sys.path[0]
    write_wheel(folder, "more")
    prepare(folder)
    assert sys.path[0] != first


def test_a_stick_that_cannot_be_written_to(folder: Path, tmp_path: Path) -> None:
    (folder / "libraries").touch()
    prepare(folder)
    assert Path(sys.path[0]).is_relative_to(tmp_path / "home")


def test_no_room_at_all(folder: Path, tmp_path: Path) -> None:
    (folder / "libraries").touch()
    (tmp_path / "home").touch()
    with pytest.raises(MissingError, match=r"room to unpack 0 MB .*libraries or .*home"):
        prepare(folder)


@pytest.mark.parametrize("damage", [b"", b"PK", None])
def test_a_damaged_wheel_leaves_nothing(folder: Path, damage: bytes | None) -> None:
    wheel = write_wheel(folder, "numpy")
    content = bytearray(wheel.read_bytes())
    content[content.index(b"number")] ^= 255
    wheel.write_bytes(bytes(content) if damage is None else damage)
    before = list(sys.path)
    with pytest.raises(MissingError, match="Copy the folder anew"):
        prepare(folder)
    assert list((folder / "libraries").iterdir()) == []
    assert sys.path == before


def test_what_is_installed_is_used_where_no_wheels_fit(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for wheel in (folder / "wheels").iterdir():
        wheel.unlink()
    write_wheel(folder, "numpy", "cp39-cp39-win32")
    before = list(sys.path)
    monkeypatch.setattr(libraries, "_installed", lambda: True)
    prepare(folder)
    assert sys.path == before
    monkeypatch.setattr(libraries, "_installed", lambda: False)
    with pytest.raises(MissingError) as caught:
        prepare(folder)
    text = str(caught.value)
    assert "cp39-cp39-win32" in text
    assert "python -m pip download --only-binary :all: --dest wheels numpy pillow" in text


def test_another_python_that_the_folder_is_for_is_named() -> None:
    held = ["cp312-cp312-manylinux_2_27_x86_64", "cp312-cp312-win_amd64"]
    assert "python3.12 classify.py" in libraries._other_python(held, "3.11")
    assert libraries._other_python(held, "3.12") == libraries._other_python([], "3.11") == ""
