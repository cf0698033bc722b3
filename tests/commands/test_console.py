"""The one console script: its help, its sub-commands, and what it loads."""

import importlib
import pkgutil
import subprocess
import sys
from collections.abc import Sequence

import pytest

import tl_keras.commands
from tl_keras import __version__
from tl_keras.commands import run
from tl_keras.commands.console import SUBCOMMANDS, main


def test_help_lists_every_subcommand(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["--help"])
    assert stop.value.code == 0
    shown = capsys.readouterr().out
    assert all(f"  {name} " in shown and what in shown for name, what in SUBCOMMANDS.items())


@pytest.mark.parametrize("name", SUBCOMMANDS)
def test_a_subcommand_says_how_it_is_used(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main([name, "--help"])
    assert stop.value.code == 0
    assert capsys.readouterr().out.startswith(f"usage: tl-keras {name} ")


def test_every_command_line_is_a_subcommand() -> None:
    names = [module.name for module in pkgutil.iter_modules(tl_keras.commands.__path__)]
    modules = {name: importlib.import_module(f"tl_keras.commands.{name}") for name in names}
    with_main = {name for name, module in modules.items() if hasattr(module, "main")}
    assert with_main == {*SUBCOMMANDS, "console"}


def test_arguments_and_exit_code_are_those_of_the_subcommand(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def noted(arguments: Sequence[str]) -> int:
        given.extend(arguments)
        return 7

    given: list[str] = []
    monkeypatch.setattr(run, "main", noted)
    assert main(["run", "photos", "--fresh"]) == 7
    assert given == ["photos", "--fresh"]


@pytest.mark.parametrize("arguments", [[], ["rum"], ["--fresh"]])
def test_anything_else_is_a_mistake(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    assert "usage: tl-keras" in capsys.readouterr().err


def test_the_version_is_the_packages(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out == f"tl_keras {__version__}\n"


def test_help_comes_without_tensorflow_in_every_form() -> None:
    """`python -m tl_keras` and `python -m tl_keras.run` are the same command lines."""
    code = (
        "import runpy, sys; sys.argv[1:] = ['run', '--help'][{skip}:]\n"
        "try: runpy.run_module({module!r}, run_name='__main__')\n"
        "except SystemExit as stop: print(stop.code, 'tensorflow' in sys.modules)"
    )
    for module, skip in (("tl_keras", 0), ("tl_keras.run", 1)):
        answer = subprocess.run(
            [sys.executable, "-c", code.format(module=module, skip=skip)],
            capture_output=True,
            text=True,
            check=True,
        )
        assert answer.stdout.startswith("usage: tl-keras run")
        assert answer.stdout.endswith("0 False\n")
