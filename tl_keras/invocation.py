"""How a person asked: by a command, or from Python, so that messages name what can be typed there.

Messages are made deep in the package, where nobody knows who reads them. What a command line has
as options are arguments of functions in Python.
"""

import json
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

# The commands that are carried out, the innermost last. Of the process and not of one thread: what
# a command begins elsewhere is asked for by it as well.
_TYPED: list[Sequence[str]] = []
# Whether what is spoken of is written as JSON, in a file, whoever asks.
_IN_JSON: ContextVar[bool] = ContextVar("in_json", default=False)


@contextmanager
def typed(words: Sequence[str]) -> Iterator[None]:
    """Speak, inside the block, to somebody who typed a command.

    Args:
        words: of it, the program first.
    """
    _TYPED.append(words)
    try:
        yield
    finally:
        _TYPED.pop()


def by_command() -> bool:
    """Whether a command asks, and not a line of Python."""
    return bool(_TYPED)


@contextmanager
def in_json() -> Iterator[None]:
    """Speak, inside the block, of what stands in a file of JSON."""
    token = _IN_JSON.set(True)
    try:
        yield
    finally:
        _IN_JSON.reset(token)


def by_json() -> bool:
    """Whether values are written as JSON has them, in a file or behind `--set`."""
    return by_command() or _IN_JSON.get()


def literal(value: Any) -> str:
    """A value of JSON types as whoever asks writes it.

    >>> literal({"cut": None, "export": [True, "a"]})
    '{"cut": None, "export": [True, "a"]}'
    """
    return json.dumps(value, ensure_ascii=False) if by_json() else _in_python(value, repr)


def fresh() -> str:
    """What moves older results aside."""
    return "--fresh" if by_command() else "fresh=True"


def settings(values: Mapping[str, Any]) -> str:
    """What gives keys of the configuration other values, ready to paste.

    Args:
        values: by dotted key, of JSON types.

    >>> settings({"backbone.weights": "bundled", "backbone.alpha": None, "seeds": 3})
    'backbone={"weights": "bundled", "alpha": None}, seeds=3'
    """
    if by_command():
        return " ".join(f"--set {shlex.quote(text)}" for text in map(_override, values.items()))
    sections: dict[str, Any] = {}
    for key, value in values.items():
        section, _, name = key.partition(".")
        if name:
            sections.setdefault(section, {})[name] = value
        else:
            sections[section] = value
    return ", ".join(f"{name}={_in_python(value)}" for name, value in sections.items())


def again(values: Mapping[str, Any]) -> str:
    """The same command with other values of keys; from Python the arguments to add to the call.

    Args:
        values: as of `settings`.
    """
    return with_option(settings(values)) if by_command() else settings(values)


def with_option(option: str) -> str:
    """The command that was typed, with an option more.

    Args:
        option: and its value, quoted as a shell wants them.
    """
    words = list(_TYPED[-1])
    # behind it nothing is an option
    end = words.index("--") if "--" in words else len(words)
    rest = [shlex.join(words[end:])] if words[end:] else []
    return " ".join([shlex.join(words[:end]), option, *rest])


def go_on(config: Path) -> str:
    """What goes on with an experiment.

    Args:
        config: the file in its folder.
    """
    if by_command():
        return run_again(config)
    return f"tl_keras.run_experiment({_in_python(str(config))})"


def run_again(config: Path) -> str:
    """The command that goes on with an experiment, whoever asks: on pages and in files.

    Args:
        config: the file in its folder.
    """
    return f"tl-keras run {shlex.quote(config.as_posix())}"


def other_place(option: str, argument: str) -> str:
    """By which option, or by which argument of a function, something is written elsewhere."""
    return option if by_command() else argument


def _override(item: tuple[str, Any]) -> str:
    key, value = item
    if isinstance(value, str):
        return f"{key}={value}"
    if isinstance(value, float):
        return f"{key}={value:g}"
    return f"{key}={json.dumps(value, ensure_ascii=False, separators=(',', ':'))}"


def _in_python(value: Any, number: Callable[[float], str] = "{:g}".format) -> str:
    if isinstance(value, Mapping):
        pairs = (f"{_in_python(key)}: {_in_python(item, number)}" for key, item in value.items())
        return f"{{{', '.join(pairs)}}}"
    if isinstance(value, list):
        return f"[{', '.join(_in_python(item, number) for item in value)}]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    return number(value) if isinstance(value, float) else repr(value)
