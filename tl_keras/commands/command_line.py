"""What all command lines share: errors as sentences and exit codes, and the option --set."""

import argparse
import errno
import io
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn, TextIO

from tl_keras.config.json_text import brief
from tl_keras.errors import ConfigError, TlKerasError
from tl_keras.quiet import few_notes
from tl_keras.safe_text import visible

STOPPED = 130
# What every command returns.
EXIT_CODES = {
    0: "done",
    1: "failed on the way, after everything was found right",
    2: "a mistake in what was typed, or in the files that it names: nothing was done",
    STOPPED: "stopped by Ctrl-C",
}


def carry_out(command: Callable[[], int], stopped: str = "stopped") -> int:
    """Run a command; its exit code, or that of its error, which is printed without a traceback.

    Args:
        command: returns 0, or another exit code.
        stopped: what to say after Ctrl-C.
    """
    try:
        with few_notes(), _any_letter():
            return command()
    except TlKerasError as error:
        say(f"error: {error}", sys.stderr)
        return error.exit_code
    except BrokenPipeError:
        # Whoever reads the output, such as `head`, has enough of it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        # it names the file and what the system said
        say(f"error: {brief(str(error), 500)}", sys.stderr)
        return 2 if error.errno == errno.ENAMETOOLONG else 1
    except KeyboardInterrupt:
        print(stopped, file=sys.stderr)
        return STOPPED


class Parser(argparse.ArgumentParser):
    """A parser whose complaints can be shown: arguments may be names of anybody's files.

    In a `Path`, ~ is the home: not every shell replaces it in every place.
    """

    def __init__(self, *words: Any, **settings: Any) -> None:
        super().__init__(*words, **settings)
        self.register("type", Path, _with_home)

    def error(self, message: str) -> NoReturn:
        super().error(visible(message))


def say(text: object, stream: TextIO | None = None) -> None:
    """Print for people, with names made visible, at once: a reader who has enough is noticed."""
    print(visible(text), file=stream, flush=True)


@contextmanager
def _any_letter() -> Iterator[None]:
    """Let the standard output, whose encoding may lack letters of a name, show their codes."""
    stream = sys.stdout
    if not isinstance(stream, io.TextIOWrapper):
        yield
        return
    before = stream.errors
    stream.reconfigure(errors="backslashreplace")
    try:
        yield
    finally:
        stream.reconfigure(errors=before)


@contextmanager
def writing(path: Path, option: str) -> Iterator[None]:
    """Say which place cannot be written, and by which option to choose another.

    Raises:
        ConfigError: the block raised an OSError.
    """
    try:
        yield
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be written: {error.strerror or error}. Choose another {option}."
        ) from error


def _with_home(text: str) -> Path:
    return Path(os.path.expanduser(text))  # noqa: PTH111 (leaves what has no home as it is)


def add_overrides(
    parser: argparse.ArgumentParser, example: str = "data.train_per_class=10"
) -> None:
    """Let keys of a configuration be overridden: `--set KEY=VALUE`, into `options.set`."""
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help=f"override a key, such as {example}; may be repeated",
    )
