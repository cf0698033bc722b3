"""The command line where nothing of the package is: photos in, answers out, and no network."""

import csv
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import pytest

from tests.hostile.pictures import PICTURES

# Python as on a plant's computer: without this package and what it trains with, and where a socket
# is asked for, that is a failure.
_BARE = """
import runpy, socket, sys
for name in ("tl_keras", "tensorflow", "keras", "pandas", "scipy", "pydantic", "jinja2"):
    sys.modules[name] = None
def refuse(*_, **__):
    raise AssertionError("the network")
socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse
sys.argv = sys.argv[1:]
sys.argv[0] += "/classify.py"
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.fixture
def folder(portable_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(portable_folder, tmp_path / "a stick" / "copied"))


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    place = tmp_path / "ü photos"
    place.mkdir()
    for name in ("plain.jpg", "cmyk.jpg", "alpha.png", "cut_at_25.png", "lossy.webp"):
        (place / name).write_bytes(PICTURES[name])
    return place


def bare(folder: Path, arguments: Sequence[str | Path]) -> list[str]:
    return [sys.executable, "-I", "-c", _BARE, str(folder), *map(str, arguments)]


def run(folder: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        bare(folder, arguments), capture_output=True, text=True, encoding="utf-8", cwd=folder.parent
    )


def test_answers_of_a_folder_in_every_form(folder: Path, photos: Path, tmp_path: Path) -> None:
    done = run(folder, photos, "--json", "--csv", "out.csv", "--page", "out.html")
    assert (done.returncode, done.stderr) == (0, "1 of 5 files could not be read\n")
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [Path(answer["file"]).name for answer in answers] == sorted(
        file.name for file in photos.iterdir()
    )
    assert [bool(answer["problem"]) for answer in answers].count(True) == 1
    with (folder.parent / "out.csv").open(encoding="utf-8-sig", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [(row["file"], row["decision"]) for row in rows] == [
        (answer["file"], answer["decision"]) for answer in answers
    ]
    page = (folder.parent / "out.html").read_text(encoding="utf-8")
    assert page.count("<img") == len(answers)
    # nothing is left in the folder but what Python compiles
    assert not any((folder / name).exists() for name in ("photos", "answers.csv", "libraries"))


def test_lines_for_people(folder: Path, photos: Path) -> None:
    done = run(folder, photos / "plain.jpg", photos / "cut_at_25.png")
    first, second = done.stdout.splitlines()
    assert done.returncode == 0
    assert first.startswith(str(photos / "plain.jpg"))
    assert first.endswith(")")
    assert "(damaged or cut short PNG" in second


def test_nothing_that_can_be_read_is_a_failure(folder: Path, photos: Path) -> None:
    assert run(folder, photos / "cut_at_25.png").returncode == 1


def test_what_is_left_out_of_a_folder_is_named(folder: Path, photos: Path) -> None:
    (photos / "notes.txt").touch()
    (photos / "Thumbs.db").touch()
    done = run(folder, photos)
    left_out, unread = done.stderr.splitlines()
    assert "(notes.txt)" in left_out and "(Thumbs.db)" in left_out
    assert unread.startswith("1 of 5 ")
    assert len(done.stdout.splitlines()) == 5


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere"], "nowhere must be a file or a folder; there is no such path"),
        (["--watch", "nowhere"], "--watch must name a folder"),
        (["a stick", "--csv", "."], "A file cannot be used"),
        (["--what"], "unrecognized arguments: --what"),
    ],
)
def test_mistakes_are_answered(folder: Path, arguments: list[str], said: str) -> None:
    (folder.parent / "a stick").mkdir()
    (folder.parent / "a stick" / "a.png").write_bytes(PICTURES["alpha.png"])
    done = run(folder, *arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("name", ["classifier.tflite", "classifier.json", "portable/decoders.py"])
def test_a_file_that_is_missing_is_answered(folder: Path, photos: Path, name: str) -> None:
    (folder / name).unlink()
    done = run(folder, photos)
    assert done.returncode == 2
    assert name.split("/")[-1].split(".")[0] in done.stderr
    assert "Traceback" not in done.stderr


def test_who_has_read_enough_is_not_told_of_it(folder: Path, photos: Path) -> None:
    for number in range(300):
        shutil.copy(photos / "plain.jpg", photos / f"{number}.jpg")
    command = bare(folder, [photos])
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 0


def test_a_watched_folder(folder: Path, photos: Path) -> None:
    table = folder / "answers.csv"
    command = bare(folder, [])
    for round_ in (1, 2):
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            wait_for(lambda: (folder / "photos").is_dir())
            shutil.copy(photos / "plain.jpg", folder / "photos" / f"{round_}.jpg")
            wait_for(partial(holds, table, round_))
            process.terminate()
            process.wait()
    # what was answered before the second start is not answered again
    assert [Path(row["file"]).name for row in rows_of(table)] == ["1.jpg", "2.jpg"]


def holds(table: Path, count: int) -> bool:
    return table.exists() and len(rows_of(table)) >= count


def rows_of(table: Path) -> list[dict[str, str]]:
    with table.open(encoding="utf-8-sig", newline="") as stream:
        return list(csv.DictReader(stream))


def wait_for(condition: Callable[[], bool]) -> None:
    for _ in range(300):
        if condition():
            return
        time.sleep(0.1)
    pytest.fail("nothing happened in 30 seconds")
