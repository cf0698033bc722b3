"""The command line that makes a source model."""

import hashlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tl_keras.commands.pretrain import main, pretrain
from tl_keras.pretraining.source_config import SourceConfig, read_source_config

ROOT = Path(__file__).parents[2]
BUNDLED = ROOT / "tl_keras" / "models" / "bundled" / "mobilenetv2_procedural"
CARD_KEYS = {
    *("name", "backbone", "alpha", "images", "classes", "image_size", "channels", "scaling"),
    *("licence", "generated", "description", "made_with", "held_out_accuracy", "held_out_images"),
    *("epochs", "seconds", "versions", "configuration", "configuration_hash", "weights_sha256"),
    "block_statistics",
}
Make = Callable[..., SourceConfig]

# Keras's save_weights converts TensorFlow variables in a way that NumPy 2 deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


@pytest.fixture
def path(tmp_path: Path, source_config: Make) -> Path:
    """The file of a tiny source task."""
    path = tmp_path / "tiny.json"
    path.write_text(source_config(epochs=1, rounds_per_epoch=1).model_dump_json())
    return path


def test_a_missing_file_exits_with_2_and_no_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["nowhere.json"]) == 2
    shown = capsys.readouterr().err
    assert shown.startswith("error: nowhere.json")
    assert "Traceback" not in shown


def test_help_needs_no_tensorflow() -> None:
    code = (
        "import sys, tl_keras.commands.pretrain as p\n"
        "try: p.main(['--help'])\n"
        "except SystemExit: sys.exit('tensorflow' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert "--preview" in done.stdout


def test_preview_is_a_picture_of_the_first_classes(tmp_path: Path, path: Path) -> None:
    assert main([str(path), "--preview", str(tmp_path / "sheet.png")]) == 0
    assert (tmp_path / "sheet.png").read_bytes().startswith(b"\x89PNG")


def test_preview_in_a_missing_folder_exits_with_2(
    tmp_path: Path, path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(path), "--preview", str(tmp_path / "none" / "sheet.png")]) == 2
    assert "cannot be written" in capsys.readouterr().err


def test_preview_of_photos_exits_with_2(
    tmp_path: Path, path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photos = ["--set", "generated=null", "--set", 'data={"folder": "photos"}']
    assert main([str(path), *photos, "--preview", str(tmp_path / "sheet.png")]) == 2
    assert "--preview shows generated images" in capsys.readouterr().err


def test_a_missing_folder_of_photos_exits_with_2(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photos = ["--set", "generated=null", "--set", 'data={"folder": "no/photos"}']
    assert main([str(path), *photos]) == 2
    assert "no/photos" in capsys.readouterr().err


def test_too_few_images_for_a_batch_exit_with_2(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(path), "--set", "batch_size=64"]) == 2
    assert "batch_size must be at most the images of a round, 18" in capsys.readouterr().err


def test_an_output_folder_with_other_files_exits_with_2(
    tmp_path: Path, path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(path), "--set", f"output={tmp_path}"]) == 2
    assert "with tiny.json" in capsys.readouterr().err
    assert path.is_file()


@pytest.mark.slow
def test_a_small_backbone_is_trained_on_photos_and_loads_as_weights(
    photos: Path, tmp_path: Path, source_config: Make, tiny_backbone: None
) -> None:
    from tl_keras.models.sources.source_models import load_source

    config = source_config(
        backbone="Tiny",
        generated=None,
        data={"folder": str(photos)},
        epochs=20,
        learning_rate=0.02,
        auxiliary_blocks=["stem"],
    )
    folder = pretrain(config, "command")
    card = json.loads((folder / "card.json").read_text())
    backbone, read = load_source("Tiny", image_size=48, weights=str(folder))

    assert set(card) == CARD_KEYS
    assert (card["images"], card["classes"], card["generated"]) == (30, 3, False)
    assert (card["held_out_images"], card["made_with"]) == (12, "command")
    assert card["held_out_accuracy"] > 0.6
    assert card["configuration_hash"] == config.fingerprint()
    weights = (folder / "model.weights.h5").read_bytes()
    assert card["weights_sha256"] == hashlib.sha256(weights).hexdigest()
    assert read is not None
    assert read.images == 30
    assert list(card["block_statistics"]) == ["stem", "block1", "top"]
    moments = card["block_statistics"]["top"]
    assert len(moments["mean"]) == len(moments["variance"]) == backbone.output.shape[-1]
    assert min(moments["variance"]) >= 0
    assert not np.allclose(moments["mean"], 0)


def test_bundled_card_fits_its_weights_and_the_shipped_configuration() -> None:
    card = json.loads((BUNDLED / "card.json").read_text(encoding="utf-8"))
    weights = (BUNDLED / "model.weights.h5").read_bytes()
    config = read_source_config(ROOT / "experiments" / "source_textures.json")

    assert set(card) == CARD_KEYS
    assert card["weights_sha256"] == hashlib.sha256(weights).hexdigest()
    assert len(weights) <= 10e6
    assert card["configuration"] == config.as_learned()
    assert card["configuration_hash"] == config.fingerprint()


@pytest.mark.slow
def test_a_killed_command_goes_on_at_its_last_checkpoint(tmp_path: Path, path: Path) -> None:
    rounds = ["--set", "epochs=6", "--set", "rounds_per_epoch=1", "--set", "alpha=0.35"]
    command = [sys.executable, "-m", "tl_keras", "pretrain", str(path), *rounds]
    state = tmp_path / "work" / "progress.json"
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 300
        while not state.exists() and time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.1)
        process.send_signal(signal.SIGKILL)
    done = json.loads(state.read_text())["rounds"]
    again = subprocess.run(command, capture_output=True, text=True, check=False)

    assert 1 <= done < 6
    assert again.returncode == 0, again.stderr
    assert "Traceback" not in again.stderr
    assert f"round {done + 1}/6" in again.stdout
    assert "round 1/6" not in again.stdout
    assert (tmp_path / "model" / "card.json").is_file()


@pytest.mark.slow
def test_photos_are_trained_on_by_two_replicas(photos: Path, tmp_path: Path, path: Path) -> None:
    data = json.dumps({"folder": str(photos)})
    changes = ["generated=null", f"data={data}", "replicas=2", "alpha=0.35"]
    command = [sys.executable, "-m", "tl_keras", "pretrain", str(path)]
    sets = [word for change in changes for word in ("--set", change)]
    done = subprocess.run([*command, *sets], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert "Held-out accuracy" in done.stdout
    card = json.loads((tmp_path / "model" / "card.json").read_text())
    assert (card["images"], card["alpha"], card["generated"]) == (30, 0.35, False)
