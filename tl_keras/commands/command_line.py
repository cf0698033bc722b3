"""What all command lines share: errors as sentences and exit codes, and the option --set."""

import argparse
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tl_keras.errors import ConfigError, TlKerasError
from tl_keras.quiet import few_notes

STOPPED = 130


def carry_out(command: Callable[[], int], stopped: str = "stopped") -> int:
    """Run a command; its exit code, or that of its error, which is printed without a traceback.

    Args:
        command: returns 0, or another exit code.
        stopped: what to say after Ctrl-C.
    """
    try:
        with few_notes():
            return command()
    except TlKerasError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:
        # Whoever reads the output, such as `head`, has enough of it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        print(stopped, file=sys.stderr)
        return STOPPED


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
