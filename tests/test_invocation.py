"""Messages name what their reader can type: options of a command, or arguments in Python."""

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

import tl_keras
from tl_keras.config.files import load_config
from tl_keras.config.overrides import read_overrides
from tl_keras.config.problems import schema_of
from tl_keras.config.schema import ExperimentConfig
from tl_keras.errors import DamagedError, ResultsError
from tl_keras.invocation import again, fresh, go_on, settings, typed
from tl_keras.results.folder_lock import in_a_sentence

PACKAGE = Path(tl_keras.__file__).parent
# What speaks to those who typed a command only, or of commands of others.
SPOKEN = (
    "commands",
    "config/overrides.py",
    "config/reading.py",
    "invocation.py",
    "engine/ray_workers.py",
    "experiment/dry_run.py",
    "reporting/folder_readme.py",
    "reporting/next_steps.py",
    "reporting/sections.py",
    "reporting/terminal.py",
    "serving/foreign_pages.py",
    "serving/portable",
    "serving/predict_request.py",
    "serving/request_bodies.py",
    "serving/wheels.py",
)
OPTION = re.compile(r"(?:^|[\s(`'])--[a-z]|\btl-keras run\b")
# What JSON calls None, True and False, in a sentence.
JSON_WORD = re.compile(r"\bnull\b|\bto (?:true|false)\b")
# Where JSON is what people write, and what describes its keys.
OF_JSON = (
    "config/json_text.py",
    "config/overrides.py",
    "config/schema.py",
    # of a variable of the environment
    "experiment/workers.py",
    "models/sources/source_card.py",
    "pretraining",
    "serving",
)
VALUES = {
    "seeds": 3,
    "data.columns": {"path": "file name", "label": "dé'fect"},
    "data.train_per_class": (5, 10),
    "data.test_fraction": 0.25,
    "backbone.alpha": None,
    "export": False,
    "backbone.weights": "my files/a.h5",
}


def texts(path: Path) -> Iterator[str]:
    """All strings of a module but its docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    docs = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs:
            yield node.value


def test_no_message_of_the_package_names_options_to_whoever_calls_it() -> None:
    files = [path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py")]
    quiet = [file for file in files if not file.startswith(SPOKEN)]
    found = {
        f"{file}: {text}" for file in quiet for text in texts(PACKAGE / file) if OPTION.search(text)
    }
    # the default of `other_place`, which knows who asks
    assert {text.partition(": ")[2] for text in found} <= {"--output", " (--output)"}


def test_no_message_of_the_package_speaks_json_to_whoever_calls_it() -> None:
    files = [path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py")]
    found = {
        f"{file}: {text}"
        for file in files
        if not file.startswith((*SPOKEN, *OF_JSON))
        for text in texts(PACKAGE / file)
        if JSON_WORD.search(text)
    }
    # the type of JSON Schema
    assert found == {"config/problems.py: null"}


def test_settings_come_out_of_a_shell_as_they_were_meant() -> None:
    with typed(["tl-keras", "run", "photos"]):
        words = shlex.split(settings(VALUES))
    assert words[::2] == ["--set"] * len(VALUES)
    read, problems = read_overrides(words[1::2], schema_of(ExperimentConfig))
    assert not problems
    assert {".".join(each.path): each.value for each in read} == VALUES | {
        "data.train_per_class": [5, 10]
    }


def test_settings_are_arguments_in_python() -> None:
    made = eval(f"dict({settings(VALUES)})")
    assert made == {
        "seeds": 3,
        "data": {
            "columns": VALUES["data.columns"],
            "train_per_class": (5, 10),
            "test_fraction": 0.25,
        },
        "backbone": {"alpha": None, "weights": "my files/a.h5"},
        "export": False,
    }


def test_a_command_is_said_again_with_one_setting_more() -> None:
    with typed(["tl-keras", "run", "--set", "seeds=2", "--", "-my photos"]):
        words = shlex.split(again({"name": "b"}))
    assert words == ["tl-keras", "run", "--set", "seeds=2", "--set", "name=b", "--", "-my photos"]


@pytest.mark.parametrize("command", [True, False])
def test_who_asks_is_spoken_to_in_their_language(tmp_path: Path, command: bool) -> None:
    (tmp_path / "config.json").touch()

    def say() -> tuple[str, str]:
        return fresh(), str(DamagedError(tmp_path / "runs.csv", "cut short"))

    if command:
        with typed(["tl-keras", "run", "x"]):
            said, damaged = say()
        assert said == "--fresh"
        assert damaged.endswith(f"tl-keras run {tmp_path / 'config.json'}")
    else:
        said, damaged = say()
        assert said == "fresh=True"
        assert damaged.endswith(go_on(tmp_path / "config.json"))
        assert "tl-keras" not in damaged


def test_a_folder_that_is_read_only_is_not_to_be_moved(tmp_path: Path) -> None:
    (tmp_path / "parts").mkdir()
    with pytest.raises(ResultsError) as refused, in_a_sentence(tmp_path / "parts"):
        raise PermissionError(13, "Permission denied", str(tmp_path / "parts"))
    assert "fresh" not in str(refused.value)
    assert "results_dir" in str(refused.value)


def test_results_named_with_another_name_begin_anew(tmp_path: Path) -> None:
    text = f'{{"name": "a", "data": {{"folder": "f"}}, "results_dir": "{tmp_path.as_posix()}"}}'
    (tmp_path / "a").mkdir()
    for name, content in {"config": text, "environment": "{}"}.items():
        (tmp_path / "a" / f"{name}.json").write_text(content)
    assert load_config(tmp_path / "a" / "config.json", ["name=b"]).name == "b"
