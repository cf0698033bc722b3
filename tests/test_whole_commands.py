"""The benchmark of whole commands: what it sees of a command, and what it makes of that."""

import os
import subprocess
import sys
from argparse import Namespace
from pathlib import Path

import pandas as pd
import pytest

from benchmarks import speed
from benchmarks.commit import commit_of
from benchmarks.experiments import EXPERIMENTS
from benchmarks.whole_commands import (
    TRAINED,
    WHOLE_COMMANDS,
    WholeCommand,
    accuracies,
    measured,
    rows_of,
    whole_command,
)
from tl_keras.config.files import parse_config

# In place of the package: a worker that holds 60 MB and computes, lines, and a table.
STAND_IN = """
import json, os, subprocess, sys, time
from pathlib import Path

assert not [name for name in os.environ if name.startswith("TF_NUM_")]
assert os.environ["COLUMNS"] == "200"
config = json.loads(Path(sys.argv[1]).read_text())
places = Path(config["results_dir"]), Path(config["cache"]["folder"])
assert not any(place.exists() for place in places)
if "--dry-run" in sys.argv:
    sys.exit()
worker = "a = bytearray(b'x') * 60_000_000; import time; time.sleep(0.5); print(); "
worker += "[None for _ in iter(lambda: time.process_time() < 0.3, False)]"
process = subprocess.Popen([sys.executable, "-c", worker], stdout=subprocess.PIPE)
process.communicate()
print("  majority class, 20 per class, seed 0: validation 0.167, test 0.167 (0 s)")
time.sleep(0.3)
print("  linear probe, 20 per class, seed 0: validation 1.000, test 1.000 (1 s)", flush=True)
time.sleep(0.3)
folder = places[0] / config["name"]
folder.mkdir(parents=True)
(folder / "summary.csv").write_text(
    "strategy,unfrozen_blocks,test_accuracy_mean\\nlinear_probe,0,ACCURACY\\n"
)
sys.exit(config.get("code", 0))
"""
COMMAND = WholeCommand("a case", seconds=30, seconds_before=40)


def checkout(folder: Path, accuracy: float) -> Path:
    """A repository of one commit, in which the package is the stand-in."""
    package = folder / "tl_keras"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "run.py").write_text(STAND_IN.replace("ACCURACY", str(accuracy)))
    for command in (
        ["init", "--quiet"],
        ["add", "."],
        ["-c", "user.name=a", "-c", "user.email=a@b.c", "commit", "--quiet", "-m", "a"],
    ):
        subprocess.run(["git", *command], cwd=folder, check=True)
    return folder


def test_the_experiments_are_configurations(tmp_path: Path) -> None:
    weights = tmp_path / "a.weights.h5"
    weights.touch()
    for experiment in EXPERIMENTS.values():
        assert parse_config(experiment(Namespace(images=tmp_path, weights=weights))).strategies


def test_an_experiment_without_its_photos_is_not_measured(tmp_path: Path) -> None:
    for images in (None, tmp_path / "nowhere"):
        options = Namespace(images=images, weights=tmp_path)
        assert EXPERIMENTS["first_command"](options)
        for name in EXPERIMENTS.keys() - {"first_command"}:
            with pytest.raises(SystemExit, match="--images"):
                EXPERIMENTS[name](options)


def test_every_name_of_a_benchmark_is_that_of_something() -> None:
    from benchmarks import trainings

    assert all(callable(getattr(trainings, name)) for name in speed.TRAININGS)
    assert WHOLE_COMMANDS.keys() == EXPERIMENTS.keys()
    assert not WHOLE_COMMANDS.keys() & {*speed.TRAININGS}


def test_the_process_that_measures_memory_holds_no_tensorflow() -> None:
    code = "import sys, benchmarks.speed; sys.exit('tensorflow' in sys.modules)"
    environment = os.environ | {"PYTHONPATH": str(Path(speed.__file__).parents[1])}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)


def test_the_line_of_the_first_strategy_that_is_trained() -> None:
    line = "  {}, 20 per class, seed 0: validation {}, test {} (1 s)\n"
    assert TRAINED.match(line.format("linear probe", "1.000", "1.000"))
    assert TRAINED.match(line.format("fine-tuning (2 blocks)", "0.367", "0.285"))
    assert not TRAINED.match(line.format("majority class", "0.167", "0.167"))
    assert not TRAINED.match("  trial: up to top, 2 blocks unfrozen: validation loss 0.367\n")
    assert not TRAINED.match("Measuring a learning curve on the test images\n")


@pytest.mark.skipif(sys.platform == "win32", reason="processor time of children is not told")
def test_what_is_measured_of_a_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", "1")
    # this command is short
    monkeypatch.setattr("benchmarks.whole_commands._EVERY_SECONDS", 0.1)
    figures = measured({"name": "a"}, checkout(tmp_path, 0.5))
    assert figures["test accuracy of linear_probe"] == 0.5
    # the worker's 0.5 and 0.3, then 0.3 until the line and 0.3 until the end
    assert 1.1 <= figures["first_seconds"] <= figures["seconds"] - 0.3
    # the worker's are among them
    assert 0.3 <= figures["processor_seconds"] < figures["seconds"]
    if sys.platform == "linux":
        assert 60 < figures["peak_megabytes"] < 120


def test_a_command_that_fails_is_no_measurement(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="exit code 3"):
        measured({"name": "a", "code": 3}, checkout(tmp_path, 0.5))


def test_two_commits_are_measured_in_turn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    new, old = checkout(tmp_path / "new", 0.5), checkout(tmp_path / "old", 0.75)
    monkeypatch.setattr("benchmarks.whole_commands.HERE", new)
    options = Namespace(benchmark="first_command", beside=old, repeats=1)
    rows = {str(row["measure"]): row for row in whole_command(options)}
    assert rows["new less old, test accuracy of linear_probe"]["value"] == -25
    for commit in (commit_of(new), commit_of(old)):
        assert {f"commit {commit}, run 1, seconds", f"commit {commit}, seconds"} <= rows.keys()
    (new / "tl_keras" / "__init__.py").write_text("'''Changed.'''")
    assert commit_of(new).endswith("-dirty")
    for no_other in (new, tmp_path):
        options.beside = no_other
        with pytest.raises(SystemExit, match="checkout"):
            whole_command(options)


def test_strategies_of_several_depths_are_told_apart() -> None:
    summary = pd.DataFrame(
        {
            "strategy": ["linear_probe", "fine_tuning", "fine_tuning", "searched"],
            "unfrozen_blocks": ["0", "2", "all", "2"],
            "test_accuracy_mean": [0.1, 0.2, 0.3, 0.4],
        }
    )
    assert accuracies(summary) == {
        "test accuracy of linear_probe": 0.1,
        "test accuracy of fine_tuning, 2 unfrozen": 0.2,
        "test accuracy of fine_tuning, all unfrozen": 0.3,
        "test accuracy of searched": 0.4,
    }


def test_commits_are_compared_by_their_means() -> None:
    runs = pd.DataFrame(
        {
            "side": ["a", "b", "b", "a"],
            "repeat": [1, 1, 2, 2],
            "seconds": [20.0, 70.0, 50.0, 40.0],
            "peak_megabytes": [100.0, 200.0, 200.0, 100.0],
            "test accuracy of x": [0.5, 0.25, 0.25, 0.5],
            "test accuracy of y": [float("nan"), 0.75, 0.75, float("nan")],
        }
    )
    rows = {row["measure"]: row for row in rows_of(COMMAND, runs, "a", "b")}
    assert rows.keys() == {
        *(
            f"{side}, run {n}, {name}"
            for side in "ab"
            for n in (1, 2)
            for name in runs.columns[2:4]
        ),
        *(f"{side}, {name}" for side in "ab" for name in runs.columns[2:5]),
        "b, test accuracy of y",
        *(f"new / old, {name}" for name in runs.columns[2:4]),
        "new less old, test accuracy of x",
    }
    told = {name: tuple(row.values())[1:] for name, row in rows.items()}
    assert told["a, seconds"] == (30, "s", "<= 30")
    assert told["b, seconds"] == (60, "s", None)
    assert told["new / old, seconds"] == (0.5, "fraction", "<= 0.75")
    assert told["new / old, peak_megabytes"] == (0.5, "fraction", None)
    assert told["new less old, test accuracy of x"] == (25, "points", ">= 0")
    alone = rows_of(COMMAND, runs[runs["side"] == "a"], "a")
    assert [row["measure"] for row in alone] == [name for name in rows if str(name)[0] == "a"]
