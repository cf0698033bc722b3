"""`tl-keras audit`: everything that is wrong with a folder of images, in one go."""

import hashlib
import json
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

import tl_keras.experiment.audit
from tests.hostile.pictures import BROKEN, SOUND
from tl_keras.commands.audit import main
from tl_keras.config.schema import ExperimentConfig
from tl_keras.errors import WeightsError
from tl_keras.experiment.prepare import load_backbone
from tl_keras.results_layout import TABLES

TINY = ("backbone.name=Tiny", "backbone.weights=null", "backbone.image_size=32")
Audit = Callable[..., Path]


@pytest.fixture
def faulty(photos: Path, tmp_path: Path) -> Path:
    """The photos with a copy in another class, a mirrored copy, a cut file and a wrong ending."""
    folder = tmp_path / "parts"
    shutil.copytree(photos, folder)
    shutil.copy(folder / "blue/3.png", folder / "amber/copy.png")
    mirrored = Image.open(folder / "green/5.png").transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    mirrored.save(folder / "green/mirrored<b>.png")
    (folder / "blue/cut.png").write_bytes((folder / "blue/3.png").read_bytes()[:300])
    Image.open(folder / "blue/4.png").save(folder / "blue/4.jpg", "BMP")
    (folder / "blue/4.png").unlink()
    return folder


@pytest.fixture
def audit(tiny_backbone: None, tmp_path: Path) -> Audit:
    def run(source: Path, *arguments: str) -> Path:
        output = tmp_path / "out"
        sets = [word for text in TINY for word in ("--set", text)]
        assert main([str(source), *sets, "--output", str(output), *arguments]) == 0
        return output

    return run


def digests(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def found(output: Path) -> dict[str, list[str]]:
    table = pd.read_csv(output / TABLES / "findings.csv")
    return {str(kind): part["image_id"].tolist() for kind, part in table.groupby("kind")}


def test_planted_faults_are_found_and_nothing_else(
    audit: Audit, faulty: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = digests(faulty)
    output = audit(faulty)
    assert found(output) == {
        "unreadable": ["blue/cut.png"],
        "duplicates_across_classes": ["amber/copy.png", "blue/3.png"],
        "near_duplicates_within_class": ["green/5.png", "green/mirrored<b>.png"],
        "wrong_extension": ["blue/4.jpg"],
    }
    assert digests(faulty) == before
    shown = " ".join(capsys.readouterr().out.split())
    assert "blue/3.png" in shown
    assert "labels checked" in shown or "Labels were not checked" in shown
    details = pd.read_csv(output / TABLES / "findings.csv").set_index("image_id")["detail"]
    assert details["green/5.png"].startswith("like green/mirrored<b>.png, mirrored, correlation ")
    assert details["blue/cut.png"] == "damaged or cut short PNG"


def test_hostile_files_are_findings_in_every_table_and_on_the_page(
    audit: Audit, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for label, files in (("sound", SOUND), ("broken", BROKEN)):
        (tmp_path / "odd" / label).mkdir(parents=True)
        for name, content in files.items():
            (tmp_path / "odd" / label / name).write_bytes(content)
    output = audit(tmp_path / "odd")
    assert set(found(output)["unreadable"]) == {f"broken/{name}" for name in BROKEN}
    images = pd.read_csv(output / TABLES / "images.csv")
    assert len(images) == len(SOUND) + len(BROKEN)
    assert "Warning" not in capsys.readouterr().err
    assert "Nearly empty" in (output / "audit.html").read_text(encoding="utf-8")


def test_the_page_has_pictures_and_no_foreign_markup(audit: Audit, faulty: Path) -> None:
    page = (audit(faulty, "--no-network") / "audit.html").read_text(encoding="utf-8")
    assert page.count("data:image/jpeg;base64,") == 5
    assert "green/mirrored&lt;b&gt;.png" in page
    assert "mirrored<b>" not in page
    assert 'name="viewport"' in page
    assert "no picture" in page
    assert 'src="http' not in page


def test_files_and_their_columns_are_those_described(audit: Audit, faulty: Path) -> None:
    text = (Path(__file__).parents[2] / "results" / "README.md").read_text(encoding="utf-8")
    described = text.partition("## `audit_<name>/`")[2].partition("### exports.csv")[0]
    output = audit(faulty)
    for path in output.rglob("*.*"):
        assert f"`{path.relative_to(output).as_posix()}`" in described
    for name in ("findings", "label_errors", "embedding_matches"):
        for column in pd.read_csv(output / TABLES / f"{name}.csv").columns:
            assert f"`{column}`" in described
    for kind in found(output):
        assert f"`{kind}`" in described


def test_one_class_of_unreadable_files_does_not_stop_it(audit: Audit, tmp_path: Path) -> None:
    (tmp_path / "one" / "a").mkdir(parents=True)
    for name in ("1.png", "2.jpg"):
        (tmp_path / "one" / "a" / name).write_bytes(b"no picture")
    output = audit(tmp_path / "one")
    assert found(output) == {"unreadable": ["a/1.png", "a/2.jpg"]}


def test_a_leak_between_given_splits_is_named(
    audit: Audit, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "divided"
    for part in ("train", "test"):
        for label in ("blue", "green"):
            (folder / part / label).mkdir(parents=True)
            for number in range(6) if part == "train" else range(6, 10):
                shutil.copy(photos / label / f"{number}.png", folder / part / label)
    shutil.copy(photos / "blue/0.png", folder / "test/blue/leak.png")
    output = audit(folder, "--no-network")
    assert found(output)["duplicates_across_splits"] == [
        "test/blue/leak.png",
        "train/blue/0.png",
    ]


def test_without_imagenet_weights_the_bundled_ones_say_so(
    photos: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def offline(config: ExperimentConfig) -> object:
        if config.backbone.weights == "imagenet":
            raise WeightsError("no network here.")
        return load_backbone(config)

    monkeypatch.setattr(tl_keras.experiment.audit, "load_backbone", offline)
    source = tmp_path / "parts.json"
    source.write_text(
        json.dumps(
            {
                "name": "parts",
                "data": {"folder": str(photos)},
                "backbone": {"image_size": 32},
                "results_dir": str(tmp_path),
            }
        )
    )
    assert main([str(source)]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    # before the work, with what was found, and at the end
    assert "warning The ImageNet weights" in shown
    assert "to MobileNetV2 with the bundled weights" in shown
    assert "--set backbone.weights=FILE" in shown
    assert (tmp_path / "audit_parts" / "audit.html").is_file()


def test_other_images_of_one_name_do_not_replace_an_audit(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, table = shutil.copytree(photos, tmp_path / "parts"), tmp_path / "parts.csv"
    rows = [f"{path},{path.parent.name}" for path in sorted(folder.rglob("*.png"))]
    table.write_text("\n".join(["path,label", *rows]))
    there = ["--no-network", "--set", f"results_dir={tmp_path / 'results'}"]
    for _ in range(2):
        assert main([str(folder), *there]) == 0
    before = digests(tmp_path / "results")
    assert main([str(table), *there]) == 2
    assert digests(tmp_path / "results") == before
    words = shlex.split(capsys.readouterr().err.splitlines()[-1].partition("name: ")[2])
    assert words[:3] == ["tl-keras", "audit", str(table)]
    assert main(words[2:]) == 0
    assert main([str(table), *there, "--output", str(tmp_path / "results/audit_parts")]) == 0
    # the project was moved: the paths lead there as before
    (tmp_path / "moved").mkdir()
    shutil.move(tmp_path / "results", tmp_path / "moved/results")
    shutil.move(folder, tmp_path / "moved/parts")
    moved = ["--no-network", "--set", f"results_dir={tmp_path / 'moved/results'}"]
    assert main([str(tmp_path / "moved/parts"), *moved]) == 2


def test_a_place_that_cannot_be_written_is_said_before_the_work(
    photos: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        tl_keras.experiment.audit, "audit_images", lambda *given, **keys: pytest.fail()
    )
    (tmp_path / "file").touch()
    assert main([str(photos), "--output", str(tmp_path / "file" / "out")]) == 2
    said = capsys.readouterr().err
    assert str(tmp_path / "file" / "out") in said and "--output" in said
    assert main([str(photos), "--set", f"results_dir={tmp_path / 'file'}"]) == 2
    assert str(tmp_path / "file" / "audit_photos") in capsys.readouterr().err


def test_a_page_that_cannot_be_written_is_a_sentence(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "out" / "audit.html"
    page.mkdir(parents=True)
    assert main([str(photos), "--no-network", "--output", str(page.parent)]) == 2
    assert str(page) in capsys.readouterr().err


def test_a_disk_that_fills_up_is_a_sentence(
    photos: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(*given: object, **options: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pd.DataFrame, "to_csv", full)
    assert main([str(photos), "--no-network", "--output", str(tmp_path / "out")]) != 0
    assert "No space left" in capsys.readouterr().err


def test_no_images_are_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path), "--no-network"]) == 2
    assert "no sub-folders" in capsys.readouterr().err


def test_an_experiments_folder_is_no_place_for_an_audit(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "config.json").write_text("{}")
    assert main([str(photos), "--no-network", "--output", str(tmp_path)]) == 2
    assert "--output" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["config.json"]
