"""Photos and folders are classified, line by line, whatever some of the files are."""

import csv
import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import keras
import pytest
from PIL import Image

from tests.hostile.folders import of_classes, with_odd_entries, with_system_files
from tests.hostile.pictures import BROKEN, PICTURES, SOUND
from tests.hostile.small_disk import small_disk
from tl_keras.commands import predict
from tl_keras.commands.predict import main
from tl_keras.config.schema import DataConfig
from tl_keras.data.photo_paths import find_photos
from tl_keras.data.picture_reading import DEFAULTS
from tl_keras.data.sources import load_images
from tl_keras.evaluation.decision_rule import DecisionRule
from tl_keras.reporting import moving_line
from tl_keras.serving import exported_classifier
from tl_keras.serving.saved_model import export_classifier

SIZE = 6
LABELS = ["blue", "green", "red"]


@pytest.fixture(autouse=True)
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that is busy with something else has no further lines of waiting."""
    monkeypatch.setattr(moving_line, "FIRST_SECONDS", 3600.0)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Answers with the shares of blue, green and red: known without training."""
    images = keras.Input((SIZE, SIZE, 3))
    means = keras.layers.GlobalAveragePooling2D()(images)
    shares = keras.layers.UnitNormalization(axis=-1)(means)
    order = keras.layers.Dense(3, use_bias=False, activation="softmax")
    model = keras.Model(images, order(shares))
    order.set_weights([keras.ops.convert_to_numpy(keras.ops.flip(keras.ops.eye(3), axis=1)) * 5])
    directory = tmp_path_factory.mktemp("export")
    export_classifier(model, labels=LABELS, image_size=SIZE, reading=DEFAULTS, directory=directory)
    return directory


def knowing_strangers() -> keras.Model:
    """The same shares, and as how familiar a picture is how bright, 0..1."""
    images = keras.Input((SIZE, SIZE, 3))
    means = keras.layers.GlobalAveragePooling2D()(keras.layers.Rescaling(1 / 255)(images))
    shares = keras.layers.Rescaling(5.0)(keras.layers.UnitNormalization(axis=-1)(means))
    flipped = keras.ops.flip(shares, axis=-1)
    outputs = {
        "probabilities": keras.layers.Softmax()(flipped),
        "familiar": keras.ops.mean(means, axis=-1),
    }
    return keras.Model(images, outputs)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    (folder / "more").mkdir(parents=True)
    for name, colour in {"b.png": "blue", "more/g.jpg": "lime", "r.gif": "red"}.items():
        Image.new("RGB", (9, 5), colour).save(folder / name)
    (folder / "a.png").write_bytes(b"garbage")
    (folder / "notes.txt").write_text("not a picture")
    return folder


def lines(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("batch", [2, 32])
def test_folder_is_classified_and_what_is_unreadable_is_listed(
    exported: Path,
    photos: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    batch: int,
) -> None:
    monkeypatch.setattr(exported_classifier, "BATCH", batch)
    assert main([str(exported), str(photos), "--format", "csv"]) == 0
    said = capsys.readouterr()
    found = {Path(line["file"]).name: line for line in lines(said.out)}
    assert {name: line["label"] for name, line in found.items()} == {
        "a.png": "",
        "b.png": "blue",
        "g.jpg": "green",
        "r.gif": "red",
    }
    assert "no JPEG, PNG" in found["a.png"]["problem"]
    assert float(found["r.gif"]["probability"]) > 0.9
    loading, first, second = said.err.splitlines()
    assert "TensorFlow" in loading
    assert first.startswith("left out: 1 not a ") and first.endswith("(notes.txt)")
    assert second == "1 of 4 files could not be read"


def test_json_lines_and_csv_say_the_same(exported: Path, photos: Path, tmp_path: Path) -> None:
    outputs = {form: tmp_path / f"answers.{form}" for form in ("csv", "jsonl")}
    for form, path in outputs.items():
        main([str(exported / "1"), str(photos), "--format", form, "--output", str(path)])
    rows = [json.loads(line) for line in outputs["jsonl"].read_text().splitlines()]
    assert [{key: str(value) for key, value in row.items()} for row in rows] == lines(
        outputs["csv"].read_text()
    )


def test_table_is_for_people(
    exported: Path, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main([str(exported), str(photos / "b.png"), str(photos / "a.png")])
    head, blue, broken = capsys.readouterr().out.splitlines()
    assert head.split() == ["file", "probability", "label"]
    assert blue.split()[0].endswith("b.png") and blue.split()[2] == "blue"
    assert broken.endswith("(no JPEG, PNG, BMP, GIF, TIFF or WEBP content)")


def test_a_long_name_does_not_move_the_others(
    exported: Path, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(photos / "b.png", photos / f"{'long' * 60}.png")
    main([str(exported), *map(str, sorted(photos.glob("*.png")))])
    shown = capsys.readouterr().out.splitlines()
    assert len(shown) == 4
    assert sorted(map(len, shown))[-2] < 250 < max(map(len, shown))


def test_an_export_that_says_how_to_decide_adds_confidence_and_decision(
    exported: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    version = tmp_path / "export" / "1"
    shutil.copytree(exported / "1", version)
    rule = DecisionRule(tuple(LABELS), 5.0, (1.0, 1.0, 1.0), ("red",), 0.4, 0.28)
    record = {"rule": vars(rule)}
    (version / "assets.extra" / "decision.json").write_text(json.dumps(record))
    assert main([str(version), str(photos), "--format", "csv"]) == 0
    found = {Path(line["file"]).name: line for line in lines(capsys.readouterr().out)}
    # logits of 5 become 1: the score of red is e / (e + 2), that of the others 1 / (e + 2)
    assert {name: line["decision"] for name, line in found.items()} == {
        "a.png": "",
        "b.png": "not red",
        "g.jpg": "not red",
        "r.gif": "red",
    }
    assert float(found["b.png"]["confidence"]) == pytest.approx(0.576, abs=1e-3)
    assert float(found["b.png"]["probability"]) > 0.9
    assert (found["a.png"]["confidence"], found["a.png"]["label"]) == ("0.0", "")
    main([str(version), str(photos / "r.gif"), str(photos / "a.png")])
    head, red, broken = capsys.readouterr().out.splitlines()
    assert head.split() == ["file", "probability", "confidence", "label", "(decision)"]
    assert red.split()[2:] == ["0.5761", "red", "(red)"]
    assert broken.endswith("(no JPEG, PNG, BMP, GIF, TIFF or WEBP content)")


@pytest.fixture(scope="module")
def explaining(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An export that decides, knows strangers and can draw heat maps."""
    directory = tmp_path_factory.mktemp("explaining")
    export_classifier(
        knowing_strangers(),
        labels=LABELS,
        image_size=SIZE,
        reading=DEFAULTS,
        directory=directory,
        rule=DecisionRule(tuple(LABELS), 5.0, (1.0, 1.0, 1.0), ("red",), 0.4, 0.28, 0.2),
    )
    return directory


def test_an_export_that_decides_says_so_itself(
    explaining: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(explaining, tmp_path / "own")
    Image.new("RGB", (9, 5), (90, 0, 0)).save(photos / "dark.png")
    # what lies beside it is not asked
    (tmp_path / "own" / "1" / "assets.extra" / "decision.json").write_text("{}")
    words = [str(tmp_path / "own"), str(photos), "--format", "jsonl"]
    assert main(words) == 0
    found = {
        Path(line["file"]).name: line
        for line in map(json.loads, capsys.readouterr().out.splitlines())
    }
    assert {name: line["decision"] for name, line in found.items()} == {
        "a.png": "",
        "b.png": "not red",
        "g.jpg": "not red",
        "r.gif": "red",
        "dark.png": "unknown",
    }
    assert list(found["dark.png"]) == [
        *("file", "label", "probability", "confidence", "decision", "familiar", "problem")
    ]
    assert found["dark.png"]["familiar"] == pytest.approx(90 / 255 / 3, rel=1e-3)
    assert (found["a.png"]["confidence"], found["a.png"]["familiar"]) == (0, 0)
    assert main([*words[:2], "--format", "csv"]) == 0
    assert {line["decision"] for line in lines(capsys.readouterr().out)} == {
        *("", "not red", "red", "unknown")
    }
    assert main(words[:2]) == 0
    head, *rows = capsys.readouterr().out.splitlines()
    assert head.split() == ["file", "probability", "confidence", "familiar", "label", "(decision)"]
    assert any(row.endswith("red  (unknown)") for row in rows)


@pytest.mark.slow
def test_heat_maps_are_named_beside_the_answers(
    explaining: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.new("RGB", (9, 5), "blue").save(photos / "more" / "b.png")
    maps = tmp_path / "new" / "maps"
    words = [str(explaining), str(photos), "--format", "csv"]
    assert main(words) == 0
    without = lines(capsys.readouterr().out)
    assert main([*words, "--heat-maps", str(maps)]) == 0
    said = capsys.readouterr()
    found = lines(said.out)
    named = [line.pop("heat_map") for line in found]
    assert [{**line, "familiar": 0} for line in found] == [
        {**line, "familiar": 0} for line in without
    ]
    pictures = [name for name in named if name]
    assert [bool(line["problem"]) for line in found] == [not name for name in named]
    assert names_in(maps) == sorted(pictures)
    assert len(set(pictures)) == 4
    assert f"4 heat maps in {maps}" in said.err
    # as often as one likes
    assert main([*words[:2], "--heat-maps", str(maps)]) == 0
    assert names_in(maps) == sorted(pictures)
    head = capsys.readouterr().out.splitlines()[0]
    assert "heat" not in head


def test_an_export_that_cannot_explain_says_so_before_it_answers(
    exported: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """This network looks at shares of its averages, and has a softmax within its last layer."""
    assert main([str(exported), str(photos), "--heat-maps", str(tmp_path / "maps")]) == 1
    said = capsys.readouterr()
    assert "to draw heat maps" in said.err and not said.out
    assert not (tmp_path / "maps").exists()


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("photos/b.png", "b.png is a file"),
        ("photos/b.png/maps", "b.png is a file"),
        ("photos/maps", "must lie outside of"),
        ("photos", "must lie outside of"),
    ],
)
def test_places_for_heat_maps_that_are_none_are_said_before_anything_is_loaded(
    photos: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    place: str,
    message: str,
) -> None:
    version = tmp_path / "export" / "1"
    version.mkdir(parents=True)
    (version / "saved_model.pb").touch()
    before = sorted(photos.rglob("*"))
    assert main([str(version), str(photos), "--heat-maps", str(tmp_path / place)]) == 2
    assert message in capsys.readouterr().err
    assert sorted(photos.rglob("*")) == before


def test_a_disk_that_is_full_of_heat_maps_is_told_by_the_option(
    explaining: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        with small_disk(tmp_path / "disk", 8) as disk:
            words = [str(explaining), str(photos), "--heat-maps", str(disk / "maps")]
            assert main(words) == 2
            told = capsys.readouterr().err
            # none is half there
            for name in names_in(disk / "maps"):
                with Image.open(disk / "maps" / name) as picture:
                    picture.load()
    except OSError as error:
        pytest.skip(f"no small disk can be made here: {error}")
    assert "cannot be written: No space left" in told
    assert "--heat-maps" in told


def test_where_nothing_can_be_read_the_exit_code_says_so(
    exported: Path, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (photos / "empty.png").touch()
    (photos / "cut.png").write_bytes((photos / "b.png").read_bytes()[:40])
    broken = [str(photos / name) for name in ("a.png", "empty.png", "cut.png")]
    assert main([str(exported), *broken, "--format", "csv"]) == 1
    problems = [line["problem"] for line in lines(capsys.readouterr().out)]
    assert problems == [
        "no JPEG, PNG, BMP, GIF, TIFF or WEBP content",
        "empty file",
        "damaged or cut short PNG",
    ]


def test_other_files_of_a_folder_and_another_decision_are_said(
    exported: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(exported, tmp_path / "parts" / "export")
    (tmp_path / "parts" / "decision.json").write_text('{"rule": {}}')
    assert main([str(tmp_path / "parts"), str(photos)]) == 0
    told = capsys.readouterr().err
    assert "left out: 1 not a " in told and "(notes.txt)" in told
    assert "has another decision than its experiment" in told


def test_hostile_files_are_classified_or_listed_with_a_reason(
    exported: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, content in PICTURES.items():
        (tmp_path / name).write_bytes(content)
    assert main([str(exported), str(tmp_path), "--format", "csv"]) == 0
    found = {Path(line["file"]).name: line for line in lines(capsys.readouterr().out)}
    assert set(found) == set(PICTURES)
    refused = {name for name, line in found.items() if line["problem"]}
    # what is only too large is for the export to refuse
    large = {"196_megapixels_of_zeros.png", "claims_much.gif"}
    assert set(BROKEN) - large <= refused <= set(BROKEN)
    assert all(found[name]["label"] in LABELS for name in SOUND)


def test_large_files_are_answered_in_smaller_batches(
    exported: Path,
    photos: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    main([str(exported), str(photos), "--format", "csv"])
    together = capsys.readouterr().out
    monkeypatch.setattr(exported_classifier, "_BATCH_BYTES", 1)
    main([str(exported), str(photos), "--format", "csv"])
    assert lines(capsys.readouterr().out) == lines(together)


@pytest.mark.parametrize(
    ("export", "photo", "message"),
    [
        ("nothing", "photos", "No exported model in"),
        ("export", "nowhere", "there is no such path"),
        ("export", "empty", "Nothing to classify in"),
    ],
)
def test_mistakes_are_said_before_anything_is_loaded(
    exported: Path,
    photos: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    export: str,
    photo: str,
    message: str,
) -> None:
    (tmp_path / "empty").mkdir()
    place = exported if export == "export" else tmp_path / export
    assert main([str(place), str(tmp_path / photo)]) != 0
    assert message in capsys.readouterr().err


def test_output_that_cannot_be_written_is_said(
    exported: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "none" / "answers.csv"
    assert main([str(exported), str(photos), "--output", str(output)]) == 2
    assert f"there is no folder {output.parent}" in capsys.readouterr().err


@pytest.mark.parametrize("name", [".", "none/a.csv", "answers.xlsx"])
def test_a_wrong_output_is_refused_before_the_model_is_loaded(
    photos: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
) -> None:
    monkeypatch.setattr("tl_keras.commands.predict.find_version", lambda _: pytest.fail())
    assert main(["export", str(photos), "--output", str(tmp_path / name)]) == 2
    assert "--output" in capsys.readouterr().err
    assert not list(tmp_path.glob("*.xlsx"))


@pytest.mark.parametrize(("name", "first"), [("a.csv", "file,"), ("b.jsonl", "{"), ("c", "file ")])
def test_the_ending_of_the_output_is_its_format(
    exported: Path, photos: Path, tmp_path: Path, name: str, first: str
) -> None:
    assert main([str(exported), str(photos), "--output", str(tmp_path / name)]) == 0
    assert (tmp_path / name).read_text().startswith(first)


def test_a_failure_while_classifying_is_not_blamed_on_the_output(
    exported: Path,
    photos: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def broken(self: object, files: object) -> None:
        raise OSError("the disk with the photos is gone")

    monkeypatch.setattr(exported_classifier.ExportedClassifier, "classify_paths", broken)
    assert main([str(exported), str(photos), "--output", str(tmp_path / "answers.csv")]) == 2
    told = capsys.readouterr().err
    assert "the disk with the photos is gone" in told
    assert "--output" not in told


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_behind_the_output_is_told_by_its_name(
    exported: Path, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(exported), str(photos), "--output", "/dev/full"]) == 2
    assert "/dev/full cannot be written" in capsys.readouterr().err


def test_file_that_vanishes_or_has_an_odd_name_is_listed(
    exported: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    odd = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.png"))
    Image.new("RGB", (9, 5), "red").save(odd, "PNG")
    gone = tmp_path / "gone.png"
    Image.new("RGB", (9, 5), "red").save(gone)
    files = find_photos([odd, gone])[0]
    gone.unlink()
    monkeypatch.setattr(predict, "find_photos", lambda paths: (files, []))
    assert main([str(exported), str(tmp_path), "--format", "csv"]) == 0
    red, lost = lines(capsys.readouterr().out)
    assert lost["problem"] == "cannot be opened: No such file or directory"
    assert red["label"] == "red"


def test_a_folder_is_listed_as_run_lists_it(
    exported: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for label, colour in {"a": "red", "b": "blue"}.items():
        (tmp_path / "photos" / label).mkdir(parents=True)
        Image.new("RGB", (9, 5), colour).save(tmp_path / "photos" / label / "1.png")
    of_classes(tmp_path / "elsewhere", "x")
    count = with_system_files(tmp_path / "photos", "", "a")
    odd = with_odd_entries(tmp_path / "photos" / "b", tmp_path / "elsewhere")
    assert main([str(exported), str(tmp_path / "photos"), "--format", "csv"]) == 0
    said = capsys.readouterr()
    listed = load_images(DataConfig(folder=str(tmp_path / "photos")))
    found = lines(said.out)
    # but for the link to a device, which the listing leaves out as well
    assert [line["file"] for line in found] == listed.paths
    assert [line["label"] for line in found] == ["red", "blue"]
    _, note = said.err.splitlines()
    numbers = [int(part.split()[0]) for part in note.removeprefix("left out: ").split("; ")]
    assert sum(numbers) == count + len(odd) == len(listed.ignored)


def test_home_is_found(exported: Path, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(photos.parent))
    assert main([str(exported), "~/photos", "--output", "~/answers.txt"]) == 0
    assert (photos.parent / "answers.txt").exists()


def test_a_reader_that_has_enough_is_no_error(exported: Path, photos: Path) -> None:
    words = [sys.executable, "-m", "tl_keras", "predict", str(exported), str(photos)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()
        said = process.stderr.read().decode()
    assert process.returncode == 0
    assert "Traceback" not in said and "BrokenPipe" not in said
