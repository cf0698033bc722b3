"""The command that serves an exported model, asked as `curl` and worse clients would."""

import base64
import http.client
import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tl_keras.commands.serve import main

MEGABYTE = 2**20


class Server:
    """A running `tl-keras serve`."""

    def __init__(self, export: Path, *options: str) -> None:
        command = [sys.executable, "-m", "tl_keras", "serve", str(export), "--port", "0", *options]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        lines = iter(self.process.stdout.readline, "")
        self.welcome = ""
        for line in lines:
            self.welcome += line
            if "Ctrl-C" in line:
                break
        found = re.search(r"http://127\.0\.0\.1:(\d+)(\S*)", self.welcome)
        assert found, self.welcome + self.stop()
        self.port, self.path = int(found[1]), found[2]

    def stop(self) -> str:
        """Send Ctrl-C and return what was written to the standard error."""
        self.process.send_signal(signal.SIGINT)
        _, errors = self.process.communicate(timeout=30)
        return errors

    def predict(self, request: Any) -> tuple[int, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        body = json.dumps(request).encode() if isinstance(request, dict) else request
        with closing(connection):
            connection.request("POST", f"{self.path}:predict", body)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())

    def send(self, *parts: bytes) -> bytes:
        """Write bytes to a new connection and return what comes back until it is closed."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=60) as connection:
            for part in parts:
                connection.sendall(part)
            return b"".join(iter(lambda: connection.recv(65536), b""))


@pytest.fixture(scope="module")
def server(served_export: Path) -> Iterator[Server]:
    running = Server(served_export, "--max-request-megabytes", "1", "--max-batch", "8")
    yield running
    errors = running.stop()
    assert set(errors.splitlines()) <= {"WARNING:  Invalid HTTP request received.", "stopped"}
    assert running.process.returncode == 130


def photo(colour: tuple[int, int, int]) -> dict[str, str]:
    buffer = io.BytesIO()
    Image.new("RGB", (5, 6), colour).save(buffer, "PNG")
    return {"b64": base64.b64encode(buffer.getvalue()).decode()}


def test_it_says_what_is_served_and_how_to_ask(server: Server, served_export: Path) -> None:
    folder, url = served_export / "3", f"http://127.0.0.1:{server.port}/v1/models/parts"
    assert f"Serving {folder} as model 'parts', version 3, at\n  {url}\n" in server.welcome
    assert f"| curl -d @- {url}:predict" in server.welcome
    assert "This server is for trying the model out." in server.welcome
    docker = f"docker run -p 8501:8501 -v {served_export}:/models/parts -e MODEL_NAME=parts"
    assert f"  {docker} tensorflow/serving\n" in server.welcome


def test_the_printed_command_asks_about_a_photo(server: Server, tmp_path: Path) -> None:
    (command,) = re.findall(r"^ +(\(printf.*)$", server.welcome, re.MULTILINE)
    shown = tmp_path / "photo.jpg"
    Image.effect_noise((450, 450), 90).convert("RGB").save(shown, "PNG")
    assert shown.stat().st_size > 128 * 1024, "longer than an argument may be"
    try:
        done = subprocess.run(
            ["sh", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        pytest.skip("no shell")
    if "curl: not found" in done.stderr:
        pytest.skip("no curl")
    (row,) = json.loads(done.stdout)["predictions"]
    assert row["decoded"] is True


def test_many_clients_at_once_get_their_own_answers(server: Server) -> None:
    colours = {"red": photo((255, 0, 0)), "grün": photo((0, 255, 0)), "blue": photo((0, 0, 255))}
    wanted = [*colours] * 8
    with ThreadPoolExecutor(24) as clients:
        answers = list(
            clients.map(lambda name: server.predict({"instances": [colours[name]]}), wanted)
        )
    assert [status for status, _ in answers] == [200] * 24
    assert [answer["predictions"][0]["label"] for _, answer in answers] == wanted


@pytest.mark.parametrize(
    ("garbage", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"400"),
        (b"GET\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: \xff\xfe\r\nConnection: close\r\n\r\n", b"404"),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n", b"400"),
        (b"GET /v1/models/%ff%fe%00 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", b"404"),
    ],
)
def test_garbage_is_refused_and_the_server_lives(
    server: Server, garbage: bytes, status: bytes
) -> None:
    assert server.send(garbage).startswith(b"HTTP/1.1 " + status)
    assert server.predict({"instances": [photo((255, 0, 0))]})[0] == 200


def test_a_path_without_end_does_no_harm(server: Server) -> None:
    # the refusal is lost where the server has closed the connection before all was read
    with suppress(ConnectionError):
        server.send(b"GET /", *[b"a" * 10_000] * 100)
    assert server.predict({"instances": [photo((255, 0, 0))]})[0] == 200


def test_a_client_that_hangs_up_does_no_harm(server: Server) -> None:
    head = f"POST {server.path}:predict HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n"
    for _ in range(3):
        with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
            connection.sendall(head.encode() + b'{"instances"')
            time.sleep(0.05)
    assert server.predict({"instances": [photo((255, 0, 0))]})[0] == 200


def test_a_large_body_is_refused(server: Server) -> None:
    status, answer = server.predict(b" " * (MEGABYTE + 1))
    assert status == 413
    assert f"at most {MEGABYTE} bytes (1 MB), got {MEGABYTE + 1} bytes" in answer["error"]


def test_a_large_body_without_a_length_is_refused(server: Server) -> None:
    # an iterable is sent in chunks
    status, answer = server.predict(iter([b" " * 0x10000] * 40))
    assert status == 413
    assert "at most 1048576 bytes" in answer["error"]


def test_a_large_batch_is_refused(server: Server) -> None:
    status, answer = server.predict({"instances": [""] * 9})
    assert status == 400
    assert "at most 8 items, got 9" in answer["error"]


def test_a_port_in_use_is_refused_before_anything_is_loaded(
    served_export: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main([str(served_export), "--port", str(port)]) == 2
    out, errors = capsys.readouterr()
    assert f"cannot listen on port {port} of 127.0.0.1" in errors
    assert "choose another with --port" in errors
    assert "Loading" not in out


def test_an_address_of_another_machine_is_refused(
    served_export: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(served_export), "--port", "0", "--host", "192.0.2.1"]) == 2
    assert "cannot listen on port 0 of 192.0.2.1" in capsys.readouterr().err


def test_a_folder_without_a_model_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path)]) == 1
    assert f"error: No exported model in {tmp_path}" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["", "a/b", "a:b", "a\nb"])
def test_a_name_that_is_no_part_of_a_path_is_refused(
    served_export: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(served_export), "--name", name]) == 2
    assert f"without / and :, because it is part of a path; got {name!r}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("mistake", "message"),
    [
        ([], "required: EXPORT"),
        (["x", "--port", "65536"], "--port: must be a whole number from 0 to 65535; got '65536'"),
        (["x", "--port", "-1"], "--port"),
        (["x", "--max-batch", "0"], "--max-batch: must be a whole number from 1"),
        (["x", "--max-request-megabytes", "0.5"], "from 1 to 2048; got '0.5'"),
        (["x", "--max-batch", "9" * 5000], "--max-batch: must be a whole number"),
    ],
)
def test_a_mistake_is_explained(
    mistake: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        main(mistake)
    assert stop.value.code == 2
    assert message in capsys.readouterr().err


def test_mistakes_and_help_load_no_tensorflow(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from tl_keras.commands.serve import main\n"
        "print(main([sys.argv[1]]))\n"
        "try: main(['--help'])\n"
        "except SystemExit as stop: print(stop.code)\n"
        "print({'tensorflow', 'keras', 'starlette'} & set(sys.modules))\n"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        env=os.environ,
        capture_output=True,
        text=True,
        check=True,
    )
    lines = answer.stdout.split("\n")
    assert (lines[0], lines[-3:-1]) == ("1", ["0", "set()"])
