"""`tl-keras serve EXPORT`: try an exported model out over HTTP."""

import argparse
import importlib.util
import shlex
import socket
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from tl_keras.commands.command_line import Parser, carry_out, loading, read_options, say
from tl_keras.errors import ConfigError, installing
from tl_keras.quiet import error_stream
from tl_keras.reporting.safe_console import SafeConsole
from tl_keras.serving.versions import Version, find_version

if TYPE_CHECKING:
    from tl_keras.serving.served_model import ServedModel

DESCRIPTION = """\
Try the model of a finished experiment out in a browser, or from other programs over HTTP, on this
computer. In production TensorFlow Serving takes the same requests."""

_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code: 0, 1 for a failure, 2 for a mistake."""
    options = read_options(_parser(), arguments)
    return carry_out(lambda: _serve(options), words=options.words)


def _parser() -> argparse.ArgumentParser:
    parser = Parser("tl-keras serve", description=DESCRIPTION)
    parser.add_argument(
        "export",
        type=Path,
        metavar="EXPERIMENT",
        help="the folder of a finished experiment, such as results/defects, whose newest model is "
        "served; or one version of it, such as results/defects/export/1",
    )
    parser.add_argument(
        "--name", help="the model's name in the paths (default: that of the experiment's folder)"
    )
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="address to listen on (default: %(default)s, which only this computer reaches; "
        "0.0.0.0 is for all in its network)",
    )
    parser.add_argument(
        "--port",
        type=_whole_number(0, 65535),
        default=8501,
        help="port to listen on, 0 for any free one (default: %(default)s, "
        "that of TensorFlow Serving)",
    )
    parser.add_argument(
        "--max-request-megabytes",
        type=_whole_number(1, 2048),
        default=32,
        metavar="MB",
        help="largest request that is answered, in megabytes (default: %(default)s)",
    )
    parser.add_argument(
        "--max-batch",
        type=_whole_number(1, 10_000),
        default=64,
        metavar="IMAGES",
        help="most photos in one request (default: %(default)s)",
    )
    return parser


def _whole_number(lowest: int, highest: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if text.isascii() and text.isdecimal() and lowest <= int(text[:20]) <= highest:
            return int(text)
        raise argparse.ArgumentTypeError(
            f"must be a whole number from {lowest} to {highest}; got {text!r}"
        )

    return read


def _serve(options: argparse.Namespace) -> int:
    _check_extra()
    folder = find_version(options.export)
    name = _checked_name(options.name if options.name is not None else folder.model_name)
    with _listen(options.host, options.port) as listener:
        with loading(SafeConsole(), f"TensorFlow and {folder.path}"):
            from tl_keras.serving.request_bodies import MEGABYTE
            from tl_keras.serving.served_model import load_model
            from tl_keras.serving.server import Limits, serve

            model = load_model(folder, name)
        say(_welcome(model, folder, _url(options.host, listener.getsockname()[1])))
        limits = Limits(options.max_request_megabytes * MEGABYTE, options.max_batch)
        # of a request whose answer fails, while others are answered
        with redirect_stderr(error_stream()):
            serve(model, limits, listener, {options.host, socket.gethostname()})
    return 0


def _check_extra() -> None:
    absent = [name for name in ("starlette", "uvicorn") if importlib.util.find_spec(name) is None]
    if absent:
        raise ConfigError(
            f"tl-keras serve needs starlette and uvicorn, got an installation without "
            f"{' and '.join(absent)}: {installing('serve')}"
        )


def _checked_name(name: str) -> str:
    if not name or not name.isprintable() or set(name) & set("/:{}"):
        raise ConfigError(
            f"--name must be text without / : {{ and }}, because it is part of a path; got {name!r}"
        )
    return name


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except (OSError, UnicodeError) as error:
        raise ConfigError(
            f"cannot listen on port {port} of {host}: {getattr(error, 'strerror', None) or error}; "
            "choose another with --port, or --port 0 for any free one"
        ) from error


def _url(host: str, port: int) -> str:
    host = _EVERYWHERE.get(host, host)
    host = f"[{host}]" if ":" in host else host
    return f"http://{host}:{port}/"


def _welcome(model: "ServedModel", folder: Version, page: str) -> str:
    url = f"{page}v1/models/{quote(model.name)}"
    mount = shlex.quote(f"{folder.path.parent}:/models/{model.name}")
    variable = shlex.quote(f"MODEL_NAME={model.name}")
    # through a pipe: the photo would be too long for an argument
    request = """(printf '{"instances": [{"b64": "'; base64 < photo.jpg; printf '"}]}')"""
    return f"""\
Serving {folder.path} as model {model.name!r}, version {model.version}, at
  {url}
Drop photos on its page, in a browser:
  {page}
Ask about a photo:
  {request} | curl -d @- {url}:predict
This server is for trying the model out. Production belongs to TensorFlow Serving, which takes the
same requests:
  docker run -p 8501:8501 -v {mount} -e {variable} tensorflow/serving
Ctrl-C stops it."""
