"""What all command lines share: errors as sentences and exit codes, and the option --set."""

import argparse
import errno
import io
import json
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from tempfile import gettempdir
from typing import TYPE_CHECKING, Any, NoReturn, TextIO

from tl_keras.atomic_files import scratch_folder
from tl_keras.commands.stop_signals import exit_code, stopping
from tl_keras.errors import ConfigError, TlKerasError
from tl_keras.home import with_home
from tl_keras.invocation import typed
from tl_keras.quiet import few_notes, quiet_tensorflow
from tl_keras.safe_text import brief, visible

if TYPE_CHECKING:
    from tl_keras.reporting.safe_console import SafeConsole

# What every command returns.
EXIT_CODES = {
    0: "done",
    1: "failed on the way, after everything was found right",
    2: "a mistake in what was typed, or in the files, folders and disks that it names",
    129: "its terminal was closed; what is finished is kept",
    130: "stopped by Ctrl-C; what is finished is kept",
    143: "terminated by another process; what is finished is kept",
}
_FAILED, _MISTAKE = 1, 2
_USED_UP = (
    "the memory of this machine, or of its GPU, is full, or the threads and processes that it "
    "allows are used up. What is finished is kept. End other programs, raise a limit (ulimit -v, "
    "ulimit -u, a container), or use less: --set engine.workers=1, --set training.batch_size=8, "
    "or a smaller backbone.image_size."
)
# What loading a library says that finds no memory.
_UNMAPPED = ("failed to map segment", "annot allocate memory")
# Of errors of a disk that has no room.
_FULL_DISK = (errno.ENOSPC, errno.EDQUOT)
_OF_TEMPORARY = "Temporary files are in {}: make room there, or set TMPDIR to another folder"


# What experiments and looks at images take.
IMAGES = (
    "a folder of images, with a sub-folder for each class; or a table of them (.csv, .tsv, "
    ".parquet) with the columns path and label; or a JSON file with settings, such as "
    "experiments/defects.json"
)


def carry_out(
    command: Callable[[], int],
    stopped: str = "stopped",
    *,
    words: Sequence[str] | None = None,
) -> int:
    """Run a command; its exit code, or that of its error, which is printed without a traceback.

    Args:
        command: returns 0, or another exit code.
        stopped: what to say after Ctrl-C, or when the system ends the process.
        words: of it, as it was typed; None where another command is carried out inside.
    """
    try:
        asked = nullcontext() if words is None else typed(words)
        with asked, stopping(), few_notes(), _no_warnings(), _any_letter():
            code = command()
            # here, where a full disk can be told
            sys.stdout.flush()
            return code
    except TlKerasError as error:
        say(f"error: {error}", sys.stderr)
        return error.exit_code
    except BrokenPipeError:
        # Whoever reads the output, such as `head`, has enough of it.
        _leave_output()
        return 0
    except OSError as error:
        if _is_used_up(error):
            say(f"error: {_USED_UP}", sys.stderr)
            return _FAILED
        try:
            sys.stdout.flush()
        except OSError:
            _leave_output()
        say(f"error: {_in_words(error)}. {_kept(stopped)}", sys.stderr)
        return _MISTAKE
    except KeyboardInterrupt as stop:
        print(stopped, file=sys.stderr)
        return exit_code(stop)
    except Exception as error:
        if not _is_used_up(error):
            raise
        say(f"error: {_USED_UP}", sys.stderr)
        return _FAILED


@contextmanager
def _no_warnings() -> Iterator[None]:
    """Keep what libraries warn programmers of from the person, unless it is asked for.

    Asked for are warnings with Python's -W, and where any is an error, as in tests.
    """
    with warnings.catch_warnings():
        if not sys.warnoptions and all(action != "error" for action, *_ in warnings.filters):
            warnings.simplefilter("ignore")
        yield


def _is_used_up(error: Exception) -> bool:
    """Whether the system gave Python or TensorFlow, which is not loaded for this, no more of it.

    Of memory, threads and processes, that is; disks are another matter.
    """
    if isinstance(error, OSError):
        return error.filename is None and error.errno in (errno.ENOMEM, errno.EAGAIN)
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "ResourceExhaustedError"
        or (isinstance(error, RuntimeError) and "can't start new thread" in str(error))
        or (isinstance(error, ImportError) and any(why in str(error) for why in _UNMAPPED))
    )


def _leave_output() -> None:
    """Write no more to the standard output, which would fail again when Python ends."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _in_words(error: OSError) -> str:
    """The file, where it is known, and what is wrong with it."""
    why = error.strerror or str(error) or type(error).__name__
    told = brief(why if error.filename is None else f"{error.filename}: {why}", 500)
    return f"{told}. {_OF_TEMPORARY.format(folder)}" if (folder := _temporary(error)) else told


def _temporary(error: OSError) -> str | None:
    """The folder of temporary files, where it is that which has no room, or may be."""
    if error.errno not in _FULL_DISK:
        return None
    with suppress(OSError):
        folder = gettempdir()
        if error.filename is None or Path(str(error.filename)).is_relative_to(folder):
            return folder
    return None


def _kept(stopped: str) -> str:
    """What to do, after the sentence of a command that was stopped."""
    _, _, goes_on = stopped.partition("; ")
    if goes_on:
        return f"What is finished is kept. Make room, or see to the permissions: {goes_on}."
    return "Make room, or see to the permissions, and run the command again."


class Parser(argparse.ArgumentParser):
    """A parser whose complaints can be shown: arguments may be names of anybody's files.

    In a `Path`, ~ is the home: not every shell replaces it in every place.
    """

    def __init__(self, *words: Any, **settings: Any) -> None:
        super().__init__(*words, **settings)
        self.register("type", Path, lambda text: Path(with_home(text)))

    def error(self, message: str) -> NoReturn:
        super().error(visible(message))


def read_options(
    parser: argparse.ArgumentParser, arguments: Sequence[str] | None
) -> argparse.Namespace:
    """The options that were typed; `words` is the whole command."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    return parser.parse_args(given, argparse.Namespace(words=[*parser.prog.split(), *given]))


def say(text: object, stream: TextIO | None = None) -> None:
    """Print for people, with names made visible, at once: a reader who has enough is noticed."""
    print(visible(text), file=stream, flush=True)


def warn(text: str) -> None:
    """Say what is no error, where whoever reads the output of the command does not meet it."""
    say(f"warning: {text}", sys.stderr)


@contextmanager
def loading(console: "SafeConsole", what: str = "TensorFlow") -> Iterator[None]:
    """Load TensorFlow and what the block imports, and say so for as long as it takes.

    Args:
        console: to say it on.
        what: is loaded.
    """
    from tl_keras.reporting.moving_line import MovingLine

    # what libraries keep of the streams when they are imported shall be the streams
    with MovingLine(console, takes_prints=False) as line:
        line.stage(f"Loading {what}")
        with quiet_tensorflow():
            yield


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
    except BrokenPipeError:
        raise
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be written: {error.strerror or error}. Choose another {option}."
        ) from error


def check_file(path: Path, option: str, endings: Sequence[str] = ()) -> None:
    """Nothing, if a file can be written; it is left as it is, and none is made.

    Args:
        path: of the file.
        option: that it was given by.
        endings: that its name may have; any where there are none.

    Raises:
        ConfigError: it cannot, or its name has another ending.
    """
    if endings and path.suffix.lower() not in endings:
        allowed = f"{', '.join(endings[:-1])} or {endings[-1]}" if endings[1:] else endings[0]
        raise ConfigError(
            f"{option} must name a file that ends in {allowed}; got {path}. Choose another name."
        )
    if not (path.exists() or path.parent.is_dir()):
        raise ConfigError(
            f"{path} cannot be written: there is no folder {path.parent}. Make it, or choose "
            f"another {option}."
        )
    with writing(path, option):
        if path.is_file() or path.is_dir():
            path.open("a").close()
        elif not path.exists():
            with scratch_folder(path.parent):
                pass


def add_overrides(
    parser: argparse.ArgumentParser, example: str = "data.train_per_class=10"
) -> None:
    """Let keys of a configuration be overridden: `--set KEY=VALUE`, into `options.set`."""
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help=f"give a setting another value, such as {example}; may be given several times",
    )


def add_networks(parser: argparse.ArgumentParser) -> None:
    """Let networks and sizes to choose among be named: for `overrides_in`."""
    parser.add_argument(
        "--networks",
        metavar="NAME,NAME",
        help="choose among these networks: names, such as MobileNetV2,EfficientNetB0, or .keras "
        'files (short for --set backbone.name=["NAME","NAME"])',
    )
    parser.add_argument(
        "--sizes",
        metavar="PX,PX",
        help="choose among these sizes of the input, such as 96,160,224 (short for "
        "--set backbone.image_size=[PX,PX])",
    )


def overrides_in(options: argparse.Namespace) -> list[str]:
    """Texts `KEY=VALUE` of networks, sizes and `--set`, which has the last word."""
    named = []
    if options.networks is not None:
        names = [name.strip() for name in options.networks.split(",")]
        value = json.dumps(names, ensure_ascii=False) if len(names) > 1 else names[0]
        named.append(f"backbone.name={value}")
    if options.sizes is not None:
        several = "," in options.sizes
        named.append(f"backbone.image_size={f'[{options.sizes}]' if several else options.sizes}")
    return [*named, *options.set]
