"""The command line: what it prints, what it writes, how it ends."""

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import pandas as pd
import pytest

import tl_keras.experiment.first_look
import tl_keras.experiment.stages
from tests.hostile.small_disk import grow, small_disk
from tl_keras.atomic_files import UNFINISHED
from tl_keras.commands.run import main
from tl_keras.data.sources import load_images
from tl_keras.errors import ExportError
from tl_keras.results_layout import place

# KerasTuner asks for the current thread by its old name.
pytestmark = pytest.mark.filterwarnings("ignore:(currentThread|getName):DeprecationWarning")

SMALL_BACKBONE = {"name": "MobileNet", "alpha": 0.25, "weights": None, "image_size": 32}
TABLES = ("runs", "summary", "per_class", "confusion", "history", "trials", "splits")

Write = Callable[..., Path]


@pytest.fixture
def experiment(photos: Path, tmp_path: Path) -> Write:
    """`experiment(**keys)` writes an experiment file: the majority class, unless said otherwise."""

    def write(**keys: Any) -> Path:
        config = {
            "name": "colours",
            "data": {"folder": str(photos), "train_per_class": 4, "validation_per_class": 3},
            "backbone": SMALL_BACKBONE,
            "strategies": ["majority_class"],
            "seeds": 2,
            "results_dir": str(tmp_path / "results"),
        }
        path = tmp_path / "colours.json"
        path.write_text(json.dumps(config | keys))
        return path

    return write


@pytest.fixture
def results(tmp_path: Path) -> Path:
    return tmp_path / "results"


def in_new_process(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "tl_keras.run", *map(str, arguments)]


@pytest.mark.parametrize("arguments", [["--help"], ["--schema"], ["absent.json"]])
def test_help_schema_and_mistakes_need_no_tensorflow(arguments: list[str]) -> None:
    ended = in_new_process(
        f"import sys, tl_keras.run\n"
        f"try: tl_keras.run.main({arguments})\n"
        f"except SystemExit: pass\n"
        f"print(sorted({{'tensorflow', 'pandas', 'keras'}} & set(sys.modules)))"
    )
    assert ended.stdout.splitlines()[-1] == "[]"


def test_help_names_every_option(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    for option in ("--set", "--fresh", "--dry-run", "--json", "--schema", "experiment"):
        assert option in text


def test_the_schema_is_json_and_has_every_section(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--schema"]) == 0
    schema = json.loads(capsys.readouterr().out)
    assert set(schema["required"]) == {"name", "data"}
    assert {"backbone", "training", "search", "strategies"} <= set(schema["properties"])


def test_without_an_experiment_the_usage_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([])
    assert ended.value.code == 2
    assert "a JSON file, a folder" in capsys.readouterr().err


def test_a_run_ends_with_the_figures_and_where_they_are(
    experiment: Write, results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(experiment())]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    assert "majority class, 4 per class, seed 1: validation 0.333, test 0.333" in said.out
    assert "Accuracy on the test split" in said.out
    assert f"Tables: {results / 'colours' / 'tables'}" in said.out
    assert len(pd.read_csv(place(results / "colours", "runs.csv"))) == 2


@pytest.mark.slow
def test_the_same_command_again_says_that_all_is_done(
    experiment: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(experiment())
    main([path])
    capsys.readouterr()
    assert main([path]) == 0
    assert "2 of 2 runs were finished before." in capsys.readouterr().out


def test_a_folder_is_run_and_its_configuration_written_down(photos: Path, results: Path) -> None:
    overrides = [f"backbone.{key}={json.dumps(value)}" for key, value in SMALL_BACKBONE.items()]
    overrides += ['strategies=["majority_class"]', f"results_dir={results}"]
    assert main([str(photos), *(part for text in overrides for part in ("--set", text))]) == 0
    stored = json.loads((results / "photos" / "config.json").read_text())
    assert stored["data"]["folder"] == str(photos)
    assert stored["seeds"] == 3, "defaults are written too"
    again = results / "photos" / "config.json"
    assert main([str(again)]) == 0, "what was written is an experiment file"


def test_generated_images_are_labelled_so(
    experiment: Write, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        tl_keras.experiment.first_look,
        "load_images",
        lambda data: replace(load_images(data), notice="The images are generated."),
    )
    main([str(experiment())])
    assert "note The images are generated." in capsys.readouterr().out
    main([str(experiment()), "--dry-run"])
    assert "The images are generated." in capsys.readouterr().out


def test_set_overrides_a_key(
    experiment: Write, results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(experiment()), "--set", "seeds=1", "--set", "data.test_fraction=0.5"]) == 0
    stored = json.loads((results / "colours" / "config.json").read_text())
    assert (stored["seeds"], stored["data"]["test_fraction"]) == (1, 0.5)


def test_a_dry_run_shows_the_plan_and_writes_nothing(
    experiment: Write, results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    strategies = ["feature_extraction", "searched"]
    asked = str(experiment(strategies=strategies))
    assert main([asked, "--dry-run"]) == 0
    screen = capsys.readouterr().out
    assert "feature extraction" in screen
    assert "{" not in screen
    assert main([asked, "--dry-run", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["configuration"]["training"]["optimizer"] == "adam"
    assert "feature_extraction-n4-s1" in facts["runs"]
    assert not results.exists()


def test_json_without_a_dry_run_is_refused(experiment: Write) -> None:
    with pytest.raises(SystemExit) as ended:
        main([str(experiment()), "--json"])
    assert ended.value.code == 2


@pytest.mark.parametrize("options", [[], ["--dry-run"]])
def test_images_and_weights_are_looked_for_once(
    experiment: Write, monkeypatch: pytest.MonkeyPatch, options: list[str]
) -> None:
    looked: list[str] = []

    def counted(place: str) -> None:
        module, _, name = place.rpartition(".")
        look = getattr(sys.modules[module], name)

        def counting(*arguments: Any, **settings: Any) -> Any:
            looked.append(name)
            return look(*arguments, **settings)

        monkeypatch.setattr(place, counting)

    counted("tl_keras.data.sources.list_folder")
    counted("tl_keras.experiment.first_look.check_source")
    assert main([str(experiment()), *options]) == 0
    assert sorted(looked) == ["check_source", "list_folder"]


@pytest.mark.slow
def test_fresh_moves_earlier_results_aside(experiment: Write, results: Path) -> None:
    main([str(experiment())])
    assert main([str(experiment(seeds=1)), "--fresh"]) == 0
    assert len(list(results.iterdir())) == 2


def assert_one_message(ended: int, said: Any, *words: str) -> None:
    """Exit code 2, and one message on standard error that is no traceback."""
    assert ended == 2
    assert said.err.count("error:") == 1
    assert said.err.startswith("error: ")
    assert "Traceback" not in said.err + said.out
    for word in words:
        assert word in said.err


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["sedes=3"], ["sedes", "seeds"]),
        (["seeds=none"], ["seeds", "whole number"]),
        (["seeds=0", "training.batch_size=0"], ["seeds", "training.batch_size"]),
        (["backbone.image_size=16"], ["image_size", "32", "16"]),
        (["backbone.weights=bundled"], ["bundled", "MobileNetV2"]),
        (["data.folder=nowhere"], ["nowhere", "missing"]),
        (["data.train_per_class=400"], ["amber", "14", "train_per_class"]),
        (["data.group_pattern=part_([0-9]+)"], ["group_pattern", "does not match"]),
        (["data.tfds=no_such_set"], ["no_such_set"]),
        (["backbone.weights=absent.weights.h5"], ["absent.weights.h5", "weights"]),
        (["backbone.weights=imagenett"], ["imagenett", "imagenet"]),
    ],
)
def test_mistakes_are_one_message_and_leave_nothing(
    experiment: Write,
    results: Path,
    capsys: pytest.CaptureFixture[str],
    overrides: list[str],
    words: list[str],
) -> None:
    settings = [part for text in overrides for part in ("--set", text)]
    ended = main([str(experiment()), *settings])
    assert_one_message(ended, capsys.readouterr(), *words)
    assert not results.exists()


def truncate(folder: Path) -> None:
    picture = folder / "blue" / "3.png"
    picture.write_bytes(picture.read_bytes()[:300])


def empty(folder: Path) -> None:
    for picture in (folder / "blue").iterdir():
        picture.unlink()


def leave_one_class(folder: Path) -> None:
    shutil.rmtree(folder / "blue")
    shutil.rmtree(folder / "green")


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (truncate, ["blue/3.png", "data.skip_unreadable"]),
        (empty, ["blue", "no images"]),
        (leave_one_class, ["at least two classes", "amber"]),
    ],
)
def test_unusable_images_are_one_message_and_leave_nothing(
    experiment: Write,
    photos: Path,
    tmp_path: Path,
    results: Path,
    capsys: pytest.CaptureFixture[str],
    damage: Callable[[Path], None],
    words: list[str],
) -> None:
    own = tmp_path / "own"
    shutil.copytree(photos, own)
    damage(own)
    ended = main([str(experiment()), "--set", f"data.folder={own}"])
    assert_one_message(ended, capsys.readouterr(), *words)
    assert not results.exists()


def test_weights_of_another_network_are_one_message(
    experiment: Write, tmp_path: Path, results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other.weights.h5"
    keras.Sequential([keras.Input((8,)), keras.layers.Dense(3)]).save_weights(other)
    ended = main([str(experiment()), "--set", f"backbone.weights={other}"])
    assert_one_message(ended, capsys.readouterr(), "other.weights.h5", "MobileNet with alpha 0.25")
    assert not results.exists()


def test_a_changed_configuration_is_one_message(
    experiment: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    main([str(experiment())])
    capsys.readouterr()
    ended = main([str(experiment()), "--set", "seeds=5"])
    assert_one_message(ended, capsys.readouterr(), "seeds: 2 -> 5", "--fresh")


def test_results_that_cannot_be_written_are_one_message(
    experiment: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    ended = main([str(experiment()), "--set", f"results_dir={tmp_path / 'file'}"])
    assert_one_message(ended, capsys.readouterr(), "must be a folder that can be written")


def raising(error: BaseException) -> Callable[..., None]:
    def run_stages(*arguments: Any, **settings: Any) -> None:
        raise error

    return run_stages


def test_a_failure_on_the_way_ends_with_1(
    experiment: Write, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tl_keras.experiment.stages, "run_stages", raising(ExportError("differs")))
    assert main([str(experiment())]) == 1
    assert capsys.readouterr().err == "error: differs\n"


def test_ctrl_c_says_how_to_go_on(
    experiment: Write, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tl_keras.experiment.stages, "run_stages", raising(KeyboardInterrupt()))
    assert main([str(experiment())]) == 130
    assert "the same command goes on" in capsys.readouterr().err


def test_a_second_process_is_told_who_is_there_and_loads_nothing(
    experiment: Write, results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    holder = (
        "import sys; from pathlib import Path; "
        "from tl_keras.results.folder_lock import alone_in\n"
        "with alone_in(Path(sys.argv[1]), print): print('in', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", holder, str(results / "colours")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert main([str(experiment())]) == 2
        process.communicate()
    told = capsys.readouterr()
    assert f"process {process.pid} of" in told.err
    assert "Loading TensorFlow" not in told.out


@pytest.mark.slow
def test_on_a_full_disk_it_stops_in_a_sentence_and_goes_on_with_room(
    experiment: Write, tmp_path: Path
) -> None:
    path, disk = experiment(), tmp_path / "disk"
    words = command(path, "--set", f"results_dir={disk}")
    with ExitStack() as stack:
        try:
            stack.enter_context(small_disk(disk, 48))
        except OSError as error:
            pytest.skip(f"no small disk can be mounted: {error}")
        ended = subprocess.run(words, capture_output=True, text=True, check=False)
        assert ended.returncode == 2
        (line,) = [text for text in ended.stderr.splitlines() if text.startswith("error")]
        assert str(disk) in line
        assert UNFINISHED not in line
        assert "No space left" in line
        assert "Traceback" not in ended.stderr
        grow(disk, 20_000)
        subprocess.run(words, capture_output=True, check=True)
        assert len(pd.read_csv(place(disk / "colours", "runs.csv"))) == 2


@pytest.mark.slow
def test_a_process_that_is_stopped_goes_on_afterwards(experiment: Write, results: Path) -> None:
    training = {"from_scratch": {"epochs": 3}}
    path = experiment(strategies=["majority_class", "from_scratch"], training=training)
    for sent, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
        with subprocess.Popen(
            command(path), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            for line in process.stdout:
                if "Decoding the images" in line:
                    process.send_signal(sent)
                    break
            _, message = process.communicate()
        assert process.returncode == code
        assert message.endswith("stopped; the same command goes on where it was\n")
        assert "Traceback" not in message
    ended = subprocess.run(command(path), capture_output=True, text=True, check=True)
    assert "2 of 4 runs were finished before." in ended.stdout
    assert len(pd.read_csv(place(results / "colours", "runs.csv"))) == 4


def save_weights_with_lively_features(path: Path) -> None:
    """Random weights, with the statistics of noise, without which deep features vanish."""
    keras.utils.set_random_seed(0)
    network = keras.applications.MobileNet(
        input_shape=(32, 32, 3), alpha=0.25, include_top=False, weights=None
    )
    for layer in network.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0
    network(keras.random.uniform((64, 32, 32, 3), -1, 1, seed=0), training=True)
    network.save_weights(path)


@pytest.mark.slow
def test_two_processes_give_the_same_rows_bit_for_bit(experiment: Write, tmp_path: Path) -> None:
    save_weights_with_lively_features(tmp_path / "source.weights.h5")
    short = {"epochs": 2, "learning_rate": 0.01}
    path = experiment(
        backbone=SMALL_BACKBONE | {"weights": str(tmp_path / "source.weights.h5")},
        strategies=[
            "majority_class",
            "from_scratch",
            "feature_extraction",
            "fine_tuning",
            "searched",
        ],
        fine_tuning={"unfrozen_blocks": [1]},
        search={"max_trials": 2, "unfrozen_blocks": [1, 2], "augmentations": ["none", "light"]},
        training={"augmentation": "light", "phase_1": short, "phase_2": short}
        | {"from_scratch": short},
    )
    folders = []
    for name in ("first", "second"):
        subprocess.run(
            [*command(path), "--set", f"results_dir={tmp_path / name}"],
            check=True,
            capture_output=True,
        )
        folders.append(tmp_path / name / "colours")
    for table in TABLES:
        first, second = (pd.read_csv(place(folder, f"{table}.csv")) for folder in folders)
        measured = list(first.filter(regex="seconds|memory"))
        pd.testing.assert_frame_equal(
            first.drop(columns=measured),
            second.drop(columns=measured),
            check_exact=True,
            obj=table,
        )
    runs = pd.read_csv(place(folders[0], "runs.csv"))
    trained = runs[runs["strategy"].isin(["from_scratch", "feature_extraction"])]
    assert trained["validation_loss"].is_unique, "the runs differ from each other"
