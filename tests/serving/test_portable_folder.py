"""The folder is complete, decides as training did, and needs nothing but Python."""

import json
import shutil
import subprocess
import sys
import zipfile
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from sysconfig import get_platform

import keras
import numpy as np
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.hostile.pictures import PICTURES
from tests.serving.conftest import LABELS, RULE, SIZE, make_folder
from tl_keras.data.picture_reading import DEFAULTS
from tl_keras.errors import ExportError
from tl_keras.serving import portable_folder as making
from tl_keras.serving.handover import Handover
from tl_keras.serving.portable.libraries import NEEDED
from tl_keras.serving.portable.model import PlainClassifier, read_facts
from tl_keras.serving.targets import furnish_target, write_target
from tl_keras.serving.versions import EXTRA
from tl_keras.serving.wheels import Destination

pytest.importorskip("ai_edge_litert")


def test_it_holds_all_that_is_needed(portable_folder: Path) -> None:
    found = {path.name for path in portable_folder.iterdir()}
    assert found == {
        "READ_ME.txt",
        "classifier.json",
        "classifier.tflite",
        "classify.bat",
        "classify.py",
        "classify.sh",
        "portable",
    }
    facts = read_facts(portable_folder)
    assert facts["labels"] == list(LABELS)
    assert facts["image_size"] == SIZE
    assert facts["decisions"] == list(RULE.names)
    assert facts["reading"] == DEFAULTS.as_dict()


def test_the_texts_fit_their_systems(portable_folder: Path) -> None:
    script = (portable_folder / "classify.sh").read_bytes()
    assert b"\r" not in script
    assert subprocess.run(["sh", "-n", portable_folder / "classify.sh"]).returncode == 0
    assert (portable_folder / "classify.sh").stat().st_mode & 0o111
    for name in ("classify.bat", "READ_ME.txt"):
        text = (portable_folder / name).read_bytes()
        assert text.count(b"\n") == text.count(b"\r\n") > 10
        assert b"{" not in text
    told = (portable_folder / "READ_ME.txt").read_text(encoding="utf-8")
    assert all(label in told for label in LABELS)
    assert "crack, or not crack, or review" in told.replace("\n", " ")
    assert "vc_redist.x64.exe" in told


def test_the_script_for_windows_takes_any_names(portable_folder: Path) -> None:
    script = (portable_folder / "classify.bat").read_text(encoding="ascii")
    before, _, behind = script.partition("EnableDelayedExpansion")
    # names of files, whatever is in them, stand in variables that are read late
    assert "%program%" not in behind.partition(":typed")[0]
    assert "%*" not in before + behind.partition(":typed")[0]
    # nothing that stands behind an ampersand is run
    assert "\nexit %code%\n" in behind.replace("\r", "")


@pytest.mark.parametrize("share", [0.0, 0.05])
def test_strangers_are_told_of_where_they_are_known(
    share: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs = keras.Input((SIZE, SIZE, 3))
    bright = keras.layers.GlobalAveragePooling2D()(keras.layers.Rescaling(1 / 255)(inputs))
    answers = {"probabilities": keras.layers.Softmax()(bright), "familiar": bright[:, 0]}
    model = keras.Model(inputs, answers if share else answers["probabilities"])
    rule = replace(RULE, stranger_share=share)
    pixels = np.zeros((1, SIZE, SIZE, 3), np.uint8)
    path = write_target("portable", model, tmp_path, pixels, LABELS, rule)
    monkeypatch.setattr(making, "fetch_wheels", lambda *_: [])
    furnish_target("portable", path, Handover(DEFAULTS, rule, [], np.zeros((0, 3))))
    told = (path / "READ_ME.txt").read_text(encoding="utf-8")
    assert ("\nfamiliar  " in told) is bool(share)
    assert ("unknown (a photo of something else)" in told) is bool(share)
    assert ("something else gets one of the names" in told) is not bool(share)


def test_without_a_decision_none_is_told(
    portable_model: keras.Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_target(
        "portable", portable_model, tmp_path, np.zeros((1, 12, 12, 3), np.uint8), LABELS
    )
    monkeypatch.setattr(making, "fetch_wheels", lambda *_: ["no network"])
    handover = Handover(replace(DEFAULTS, resize="crop"), None, [], np.zeros((0, 3)))
    assert furnish_target("portable", path, handover) == ["no network"]
    assert "decision" not in (path / "READ_ME.txt").read_text(encoding="utf-8")
    assert "Where they are\nmissing" in (path / "READ_ME.txt").read_text(encoding="utf-8")
    assert PlainClassifier.of(path).columns == ["label", "probability", "problem"]
    assert read_facts(path)["reading"]["resize"] == "crop"


def test_one_that_answers_otherwise_is_refused(
    portable_folder: Path,
    portable_model: keras.Model,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(making, "fetch_wheels", lambda *_: [])
    folder = shutil.copytree(portable_folder, tmp_path / "portable")
    photo = tmp_path / "plain.jpg"
    photo.write_bytes(PICTURES["plain.jpg"])
    pixels = PlainClassifier.of(folder).pixels(photo.read_bytes())
    right = portable_model.predict(pixels[None].astype("float32"), verbose=0)
    furnish_target("portable", folder, Handover(DEFAULTS, None, [photo], right))
    wrong = right[:, ::-1] * 0.5 + 0.25
    with pytest.raises(ExportError, match="must answer as the trained model does"):
        furnish_target("portable", folder, Handover(DEFAULTS, None, [photo], wrong))
    photo.write_bytes(b"garbage")
    with pytest.raises(ExportError, match="cannot read"):
        furnish_target("portable", folder, Handover(DEFAULTS, None, [photo], right))


def test_libraries_of_a_former_version_serve_again(
    portable_model: keras.Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched: list[Destination] = []

    def fetch(wheels: Path, destination: Destination) -> list[str]:
        fetched.append(destination)
        wheels.mkdir()
        (wheels / "numpy.whl").touch()
        return []

    monkeypatch.setattr(making, "fetch_wheels", fetch)
    pixels, none = np.zeros((1, SIZE, SIZE, 3), np.uint8), np.zeros((0, len(LABELS)))
    asked = Destination(("windows_x86_64",), ("3.13",))
    for number, former in (("1", None), ("2", tmp_path / "1"), ("3", tmp_path / "absent")):
        path = write_target("portable", portable_model, tmp_path / number / EXTRA, pixels, LABELS)
        destination = asked if former is None else Destination()
        handover = Handover(DEFAULTS, None, [], none, destination, former)
        assert furnish_target("portable", path, handover) == []
        assert [wheel.name for wheel in (path / "wheels").iterdir()] == ["numpy.whl"]
    assert fetched == [asked, Destination()]
    told = (tmp_path / "2" / EXTRA / "portable" / "READ_ME.txt").read_text(encoding="utf-8")
    assert "Python 3.13" in told
    assert "windows_x86_64" in told


def installed_as_wheels(folder: Path, name: str, done: set[str]) -> None:
    """Write a library of this Python, and what it needs, as wheels for this computer."""
    if name in done:
        return
    done.add(name)
    found = metadata.distribution(name)
    for requirement in map(Requirement, found.requires or []):
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            installed_as_wheels(folder, canonicalize_name(requirement.name), done)
    own, place = "cp{}{}".format(*sys.version_info), get_platform().replace("-", "_")
    wheel = f"{name.replace('-', '_')}-{found.version}-{own}-{own}-{place}.whl"
    with zipfile.ZipFile(folder / wheel, "w") as archive:
        for file in found.files or []:
            if ".." not in file.parts and "__pycache__" not in file.parts:
                archive.write(file.locate(), file)


def test_from_nothing_to_an_answer_without_network(
    portable_model: keras.Model, tmp_path: Path
) -> None:
    alone = ["unshare", "--map-root-user", "--net"]
    try:
        subprocess.run([*alone, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this system allows no namespace without a network")
    folder = make_folder(portable_model, tmp_path / "export")
    (folder / "wheels").mkdir()
    done: set[str] = set()
    for name in NEEDED:
        installed_as_wheels(folder / "wheels", name, done)
    assert "tensorflow" not in done
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(PICTURES["cmyk.jpg"])
    # Python as it comes, without anything that was installed for it
    commands, home = tmp_path / "commands", tmp_path / "home"
    commands.mkdir()
    home.mkdir()
    starter = commands / f"python{sys.version_info[0]}.{sys.version_info[1]}"
    starter.write_text(f'#!/bin/sh\nexec "{sys.executable}" -I -S "$@"\n')
    starter.chmod(0o755)
    environment = {"PATH": f"{commands}:/usr/bin:/bin", "HOME": str(home)}
    command = [*alone, "sh", str(folder / "classify.sh"), str(photo), "--json"]
    expected = PlainClassifier.of(folder).answer(photo.read_bytes())
    for _ in ("unpacks", "has unpacked"):
        asked = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=home)
        assert (asked.returncode, asked.stderr) == (0, "")
        assert json.loads(asked.stdout) == {"file": str(photo), **expected}
    assert list(home.iterdir()) == []
