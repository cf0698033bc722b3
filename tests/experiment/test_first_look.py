"""What stops an experiment is found before TensorFlow is loaded, and as the run would find it."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tl_keras.config.files import parse_config
from tl_keras.config.schema import ExperimentConfig
from tl_keras.errors import (
    ConfigError,
    DataError,
    NoExportError,
    ResultsError,
    TlKerasError,
    TooFewImagesError,
    WeightsError,
)
from tl_keras.experiment.first_look import look_before

Configure = Callable[..., ExperimentConfig]

# What is set on the command line, and what the message must hold.
REFUSALS = {
    "seeds=0": "seeds must be",
    "data.folder=nowhere": "nowhere",
    "data.train_per_class=400": "data.train_per_class at most 5",
    "data.validation_per_class=400": "data.validation_per_class at most 6",
    "data.group_pattern=x": "group_pattern",
    "data.group_pattern=^.": "at least 3 groups",
    "backbone.weights=nowhere": "weights must be",
    "backbone.weights=absent.weights.h5": "absent.weights.h5",
    "backbone.weights=imagenet": "--set backbone.weights=bundled",
    'decision.positive=["none"]': "decision.positive must name classes",
    "results_dir=/proc/none": "/proc/none",
    "data.folder=lines": "one line",
}


@pytest.fixture
def configure(photos: Path, tmp_path: Path) -> Configure:
    """`configure(**keys)`: an experiment on the photos, whose results are not there yet."""

    def configured(**keys: Any) -> ExperimentConfig:
        data = {"folder": photos, "train_per_class": 4, **keys.pop("data", {})}
        base = {"name": "colours", "data": data, "results_dir": tmp_path / "results"}
        return parse_config({**base, "backbone": {"weights": None}, **keys})

    return configured


def test_what_is_refused_early_needs_no_tensorflow(photos: Path, tmp_path: Path) -> None:
    for label in ("a\nb", "c"):
        (tmp_path / "lines" / label).mkdir(parents=True)
        for picture in (photos / "blue").iterdir():
            (tmp_path / "lines" / label / picture.name).write_bytes(picture.read_bytes())
    experiment = {
        "name": "colours",
        "data": {"folder": str(photos), "train_per_class": 4},
        "backbone": {"name": "MobileNet", "alpha": 0.25, "weights": None, "image_size": 32},
    }
    (tmp_path / "x.json").write_text(json.dumps(experiment))
    code = f"""
import sys, urllib.error, urllib.request
from contextlib import redirect_stderr
from io import StringIO
from tl_keras.commands import run

def offline(*given, **settings):
    raise urllib.error.URLError("no network")

urllib.request.urlopen = offline
for text, words in {REFUSALS!r}.items():
    for options in ([], ["--dry-run"]):
        said = StringIO()
        with redirect_stderr(said):
            code = run.main(["x.json", *options, "--set", text])
        assert code == 2, (text, code, said.getvalue())
        assert words in said.getvalue(), (text, said.getvalue())
        assert "tensorflow" not in sys.modules, text
"""
    environment = {"KERAS_HOME": str(tmp_path / "keras"), "PYTHONPATH": str(Path.cwd())}
    ended = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.stderr == ""
    assert not (tmp_path / "results").exists()


def test_what_can_begin_is_not_stopped_and_leaves_nothing(
    configure: Configure, tmp_path: Path
) -> None:
    look_before(configure())
    look_before(configure(estimate={"method": "k_fold", "folds": 3}))
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    ("keys", "kind"),
    [
        ({"data": {"train_per_class": 400}}, TooFewImagesError),
        ({"data": {"folder": "nowhere"}}, DataError),
        ({"backbone": {"weights": "nowhere"}}, WeightsError),
        ({"decision": {"positive": ["none"]}}, ConfigError),
        ({"estimate": {"method": "k_fold", "folds": 20}}, TooFewImagesError),
    ],
)
def test_each_kind_has_its_error(
    configure: Configure, keys: dict[str, Any], kind: type[TlKerasError]
) -> None:
    with pytest.raises(kind) as refused:
        look_before(configure(**keys))
    assert refused.value.exit_code == 2


def test_other_results_stop_it_unless_they_are_moved_aside(
    configure: Configure, tmp_path: Path
) -> None:
    (tmp_path / "results" / "colours").mkdir(parents=True)
    (tmp_path / "results" / "colours" / "holiday.jpg").touch()
    with pytest.raises(ResultsError):
        look_before(configure())
    look_before(configure(), fresh=True)


def test_a_target_without_its_libraries_stops_it(
    configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(NoExportError, match="litert") as refused:
        look_before(configure(export_targets=["litert"]))
    assert refused.value.exit_code == 2
    look_before(configure(export_targets=["litert"], export=False))


@pytest.mark.parametrize("name", ["two\nlines", "two\u2028lines", "end\r", " "])
def test_a_name_that_no_export_holds_stops_it_where_one_is_asked_for(
    configure: Configure, photos: Path, tmp_path: Path, name: str
) -> None:
    for label in (name, "other"):
        (tmp_path / "own" / label).mkdir(parents=True)
        for number in range(20):
            (tmp_path / "own" / label / f"{number}.png").touch()
    own = {"folder": tmp_path / "own"}
    with pytest.raises(DataError, match=r"export=False"):
        look_before(configure(data=own))
    look_before(configure(data=own, export=False))
    look_before(configure(data=own, strategies=["majority_class"]))


@pytest.mark.parametrize("engine", [{"backend": "ray"}, {"address": "auto"}])
def test_ray_that_is_not_installed_is_said_with_what_to_do(
    configure: Configure, monkeypatch: pytest.MonkeyPatch, engine: dict[str, str]
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r'pip install "\.\[ray\]"'):
        look_before(configure(engine=engine))
