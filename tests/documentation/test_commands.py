"""Every command of the README and of docs/ is one that its own parser takes."""

import configparser
import importlib
import importlib.util
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from tests.documentation.pages import (
    EVERY,
    EVERY_NAME,
    NAMES,
    PAGES,
    ROOT,
    SHELLS,
    blocks,
    commands,
)
from tests.documentation.pages import own_arguments as own
from tl_keras.commands.console import SUBCOMMANDS
from tl_keras.config.files import load_config
from tl_keras.config.overrides import read_overrides
from tl_keras.config.problems import schema_of
from tl_keras.pretraining.source_config import SourceConfig

# Taken from the command line of an experiment.
EXPERIMENTS = ("advise", "audit", "run")
# What is in single backquotes on one line or on two.
INLINE = re.compile(r"(?<!`)`([^`]+)`(?!`)")


def extras(words: list[str]) -> None:
    """What pip is asked for is this checkout or a package, with extras that there are."""
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(ROOT / "setup.cfg", encoding="utf-8")
    known = set(parser["options.extras_require"])
    commands_of_pip = pytest.importorskip("pip._internal.commands")
    words = words[words.index("pip") + 1 :]
    _, given = commands_of_pip.create_command(words[0]).parse_args(words[1:])
    asked = [match[1].split(",") for word in given if (match := re.search(r"\[(.+)\]", word))]
    assert {name for names in asked for name in names} <= known


def environments(words: list[str]) -> None:
    """Environments of tox that there are."""
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(ROOT / "tox.ini", encoding="utf-8")
    asked = [after for word, after in pairwise(words) if word == "-e"]
    assert {f"testenv:{name}" for name in asked} <= {*parser, "testenv:py311", "testenv:py312"}


def benchmark(words: list[str]) -> None:
    """A module that there is."""
    assert importlib.util.find_spec(words[2]) is not None


def nothing(words: list[str]) -> None:
    """A program that the tests do not have: only that its line can be taken apart."""


# Programs that no test runs, by their first words.
OTHERS: dict[str, Callable[[list[str]], None]] = {
    "pip": extras,
    "python -m pip": extras,
    "tox": environments,
    **dict.fromkeys(("docker", "curl", "ray", "kubectl", ".", "printf", "base64"), nothing),
    "python -m venv": nothing,
    "Invoke-WebRequest": nothing,
}


def check_of(words: list[str]) -> Callable[[list[str]], None]:
    """How a command of another program is looked at."""
    (found,) = (
        check for start, check in OTHERS.items() if start.split() == words[: len(start.split())]
    )
    return found


def parsed(arguments: list[str]) -> None:
    """Nothing, if the sub-command takes these, and an experiment its keys."""
    assert arguments[0] in SUBCOMMANDS
    module = importlib.import_module(f"tl_keras.commands.{arguments[0]}")
    options = module._parser().parse_args(arguments[1:])
    if arguments[0] in EXPERIMENTS and options.experiment is not None:
        load_config(options.experiment, options.set)


def set_key(texts: list[str]) -> None:
    """Nothing, if an experiment or the training of a source takes these after --set."""
    if read_overrides(texts, schema_of(SourceConfig))[1]:
        load_config(Path("photos"), texts)


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A working directory with what the pages name."""
    (tmp_path / "experiments").symlink_to(ROOT / "experiments")
    (tmp_path / "photos").mkdir()
    (tmp_path / "parts.json").write_text('{"name": "parts", "data": {"folder": "photos"}}')
    (tmp_path / "photos.csv").write_text("path,label\n")
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
@pytest.mark.usefixtures("workplace")
def test_every_command_is_one_that_its_parser_takes(page: Path) -> None:
    for block in blocks(page, *SHELLS):
        for words in commands(block.text):
            arguments = own(words)
            if arguments is not None:
                parsed(arguments)
            elif words[:2] != ["python", "-c"] and (block.mark != "Windows" or "pip" in words):
                check_of(words)(words)


@pytest.mark.parametrize("page", EVERY, ids=EVERY_NAME)
@pytest.mark.usefixtures("workplace")
def test_every_command_and_key_within_a_sentence_is_known(page: Path) -> None:
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.S | re.M)
    for code in (" ".join(found.split()) for found in INLINE.findall(text)):
        words = shlex.split(code) if code.startswith(("tl-keras ", "python -m ", "--set ")) else []
        if not words:
            continue
        arguments = own(words)
        # a sub-command alone is its name, "..." stands for what a person fills in
        if arguments is not None and len(arguments) > 1 and "..." not in arguments:
            parsed(arguments)
        elif words[:1] == ["--set"]:
            set_key(words[1::2])
        elif words[1:2] == ["-m"] and words[2].startswith("benchmarks"):
            benchmark(words)


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_a_line_of_python_in_a_shell_runs(page: Path) -> None:
    for block in blocks(page, "sh"):
        for words in commands(block.text):
            if words[:2] == ["python", "-c"]:
                subprocess.run([sys.executable, *words[1:]], check=True, capture_output=True)


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_only_a_block_that_says_so_has_what_no_test_runs(page: Path) -> None:
    for block in blocks(page, "sh"):
        if block.mark is None:
            for words in commands(block.text):
                assert own(words) is not None or words[:2] == ["python", "-c"]


def test_windows_has_every_command() -> None:
    def lines(page: Path, language: str) -> set[tuple[str, ...]]:
        every = [words for block in blocks(page, language) for words in commands(block.text)]
        return {tuple(words) for words in every if own(words) is not None}

    windows = ROOT / "docs" / "windows.md"
    elsewhere = set().union(*(lines(page, "sh") for page in PAGES if page != windows))
    assert elsewhere
    assert lines(windows, "powershell") == elsewhere
