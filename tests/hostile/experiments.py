"""A tiny complete experiment, whose command can be killed, and all that its results say."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import pandas as pd
from PIL import Image

from tests.hostile.tiny_network import BACKBONE, SIDE, network
from tl_keras.quiet import quiet_tensorflow

COLOURS = {"amber": (200, 150, 90), "blue": (110, 110, 200), "green": (110, 190, 110)}
PHOTOS_PER_CLASS = 12
_ROOT = Path(__file__).parents[2]
# Columns and keys that tell of this process or this hour, not of the photos.
MEASURED = ("seconds", "milliseconds", "megabytes", "processors", "accelerators", "created", "date")
# Files that hold times, or what other files hold as well, drawn or packed.
NOT_COMPARED = (
    *(".html", ".md", ".png", ".jpg", ".parquet", ".keras", ".pb", ".part", ".lock"),
    # read with the .index beside it
    ".data-00000-of-00001",
)
NOT_COMPARED_NAMES = ("digests.json", "SHA256SUMS")
# Where damaged files are moved to, and what TensorBoard and KerasTuner keep for themselves.
NOT_COMPARED_FOLDERS = {"damaged", "tensorboard", "keras_tuner"}


@dataclass(frozen=True)
class TinyExperiment:
    """A folder with photos, source weights, a feature cache, a configuration and its results."""

    folder: Path

    @classmethod
    def make(cls, folder: Path, **keys: Any) -> "TinyExperiment":
        """Fabricate photos, weights and configuration.

        Args:
            folder: is created.
            keys: that the configuration shall have in place of its own.
        """
        experiment = cls(folder)
        write_photos(experiment.photos)
        write_weights(experiment.weights)
        (folder / "experiment.json").write_text(
            json.dumps(experiment._keys() | keys), encoding="utf-8"
        )
        return experiment

    @property
    def photos(self) -> Path:
        return self.folder / "photos"

    @property
    def weights(self) -> Path:
        return self.folder / "source.weights.h5"

    @property
    def cache(self) -> Path:
        return self.folder / "cache"

    @property
    def results(self) -> Path:
        return self.folder / "results" / "tiny"

    def _keys(self) -> dict[str, Any]:
        phase = {"epochs": 3, "learning_rate": 0.05}
        return {
            "name": "tiny",
            "data": {
                "folder": str(self.photos),
                "train_per_class": 6,
                "validation_per_class": 2,
                "test_fraction": 0.3,
            },
            "backbone": {"name": BACKBONE, "weights": str(self.weights), "image_size": SIDE},
            "training": {"batch_size": 8, "phase_1": phase, "phase_2": phase},
            "strategies": ["linear_probe", "feature_extraction", "fine_tuning", "searched"],
            "fine_tuning": {"unfrozen_blocks": [1]},
            "search": {
                "max_trials": 3,
                "unfrozen_blocks": [0, 1],
                "cuts": ["own"],
                "learning_rates": [0.01, 0.05],
                "folds": 2,
            },
            "cache": {"folder": str(self.cache)},
            "seeds": 2,
            "results_dir": str(self.results.parent),
        }

    def command(self, subcommand: str = "run", *arguments: str) -> list[str]:
        """Of a process of its own, with this experiment's configuration as the first argument."""
        return tl_keras(subcommand, str(self.folder / "experiment.json"), *arguments)

    def command_with(self, *settings: str) -> list[str]:
        """To run it with `KEY=VALUE` in place of what its configuration says."""
        return self.command("run", *(text for one in settings for text in ("--set", one)))

    def begin_anew(self) -> None:
        """Remove what was made of it."""
        for folder in (self.results.parent, self.cache):
            shutil.rmtree(folder, ignore_errors=True)


def tl_keras(*arguments: str) -> list[str]:
    """`tl-keras` with the tiny network, as a command."""
    return [sys.executable, "-m", "tests.hostile.tiny_network", *arguments]


def started(command: list[str], output: int | IO[bytes], **options: Any) -> subprocess.Popen[bytes]:
    """A command in a process group of its own, with both its outputs in one place."""
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        env=environment(),
        cwd=_ROOT,
        start_new_session=True,
        **options,
    )


def environment() -> dict[str, str]:
    """Of all processes: the same answers on every machine, and one thread each."""
    threads = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS")
    fixed = {"CUDA_VISIBLE_DEVICES": "-1", "MPLBACKEND": "agg", "COLUMNS": "200"}
    return {**os.environ, **dict.fromkeys(threads, "1"), **fixed, "PYTHONPATH": str(_ROOT)}


def write_photos(folder: Path, seed: int = 0) -> None:
    """Noisy pictures of three colours, one sub-folder each."""
    rng = np.random.default_rng(seed)
    for label, colour in COLOURS.items():
        (folder / label).mkdir(parents=True)
        for number in range(PHOTOS_PER_CLASS):
            noisy_picture(rng, colour).save(folder / label / f"{number}.png")


def noisy_picture(rng: np.random.Generator, colour: tuple[int, int, int]) -> Image.Image:
    """40 x 36 pixels around a shade of a colour."""
    shade = np.array(colour) + rng.normal(0, 30, 3)
    pixels = shade + rng.normal(0, 40, (36, 40, 3))
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def write_weights(path: Path, seed: int = 0) -> None:
    """Source weights of the network, as Keras writes them, made in this process."""
    with quiet_tensorflow():
        import keras

        keras.utils.set_random_seed(seed)
        network(False, None, (SIDE, SIDE, 3)).save_weights(path)


def answers(results: Path) -> dict[str, Any]:
    """All that an experiment's folder says of its photos, by file: times and pictures left out."""
    return {
        path.relative_to(results).as_posix(): _content_or_bytes(path)
        for path in sorted(results.rglob("*"))
        if path.is_file() and _is_compared(path, results)
    }


def answers_of_runs(results: Path) -> dict[str, Any]:
    """The same, but for where and by how many workers the runs were made."""
    return {name: _without_engine(content) for name, content in answers(results).items()}


def _without_engine(content: Any) -> Any:
    if isinstance(content, dict):
        return {key: _without_engine(item) for key, item in content.items() if key != "engine"}
    return content


def differing(expected: Mapping[str, Any], found: Mapping[str, Any]) -> list[str]:
    """What of two answers is not the same, in words; nothing where they are equal."""
    return [
        f"{name} {'differs' if name in expected and name in found else _only(name, expected)}"
        for name in sorted({*expected, *found})
        if name not in expected or name not in found or not _equal(expected[name], found[name])
    ]


def _only(name: str, expected: Mapping[str, Any]) -> str:
    return "is missing" if name in expected else "is there as well"


def _is_compared(path: Path, results: Path) -> bool:
    if path.suffix in NOT_COMPARED or path.name in NOT_COMPARED_NAMES:
        return False
    return not NOT_COMPARED_FOLDERS & set(path.relative_to(results).parts)


def _content_or_bytes(path: Path) -> Any:
    try:
        return _content(path)
    except Exception:
        # damaged somehow, and so unlike any sound one
        return path.read_bytes()


def _content(path: Path) -> Any:
    if path.suffix == ".csv":
        return _without_measured_columns(path)
    if path.suffix == ".json":
        return _without_measured_keys(json.loads(path.read_text(encoding="utf-8")))
    if path.suffix == ".npz":
        with np.load(path) as stored:
            return {name: stored[name].tobytes() for name in stored.files}
    if path.suffix == ".index":
        return _checkpoint(path.with_suffix(""))
    return path.read_bytes()


def _checkpoint(prefix: Path) -> dict[str, bytes]:
    """Its arrays by name; beside them it tells how often layers were built in that process."""
    with quiet_tensorflow():
        import tensorflow as tf
    stored = tf.train.load_checkpoint(str(prefix))
    arrays = sorted(set(stored.get_variable_to_shape_map()) - {"_CHECKPOINTABLE_OBJECT_GRAPH"})
    return {name: np.asarray(stored.get_tensor(name)).tobytes() for name in arrays}


def _without_measured_columns(path: Path) -> str:
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    return str(table[[name for name in table if not _is_measured(str(name))]].to_csv(index=False))


def _without_measured_keys(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            key: _without_measured_keys(item)
            for key, item in value.items()
            if not _is_measured(key)
        }
    return [*map(_without_measured_keys, value)] if isinstance(value, list) else value


def _is_measured(name: str) -> bool:
    return any(word in name for word in MEASURED)


def _equal(expected: Any, found: Any) -> bool:
    return bool(expected == found)


def children_of(pid: int) -> Iterator[int]:
    """The processes that a process started, and those that these started (Linux)."""
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children = [*map(int, path.read_text().split())]
        except OSError:
            continue
        for child in children:
            yield child
            yield from children_of(child)
