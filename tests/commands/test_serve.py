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
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tl_keras.commands.serve import main

pytest.importorskip("starlette", reason="the extra serve is not installed")
pytest.importorskip("uvicorn", reason="the extra serve is not installed")

MEGABYTE = 2**20
COLOURS = {"red": (255, 0, 0), "grün": (0, 255, 0), "blue": (0, 0, 255)}


class Server:
    """A running `tl-keras serve`."""

    def __init__(self, export: Path, *options: str) -> None:
        command = [sys.executable, "-m", "tl_keras", "serve", str(export), "--port", "0", *options]
        # as users start it: TensorFlow's remarks on the processor are left out
        usual = {k: text for k, text in os.environ.items() if k != "TF_CPP_MIN_LOG_LEVEL"}
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=usual
        )
        assert self.process.stdout is not None
        self.welcome = ""
        for line in iter(self.process.stdout.readline, ""):
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

    def predict(self, body: bytes) -> tuple[int, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        with closing(connection):
            connection.request("POST", f"{self.path}:predict", body)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())

    def send(self, content: bytes) -> bytes:
        """Write bytes to a new connection and return what comes back until it is closed."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=60) as connection:
            connection.sendall(content)
            return b"".join(iter(lambda: connection.recv(65536), b""))


@pytest.fixture(scope="module")
def server(colour_export: Path) -> Iterator[Server]:
    running = Server(colour_export, "--max-request-megabytes", "1", "--max-batch", "8")
    yield running
    errors = running.stop()
    assert set(errors.splitlines()) <= {"WARNING:  Invalid HTTP request received.", "stopped"}
    assert running.process.returncode == 130


def asked(colour: str, times: int = 1) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (5, 6), COLOURS[colour]).save(buffer, "PNG")
    photo = {"b64": base64.b64encode(buffer.getvalue()).decode()}
    return json.dumps({"instances": [photo] * times}).encode()


def test_the_printed_commands_ask_about_a_photo_and_serve_it_in_production(
    server: Server, colour_export: Path, tmp_path: Path
) -> None:
    mount = f"-v {colour_export}:/models/colours -e MODEL_NAME=colours"
    assert f"docker run -p 8501:8501 {mount} tensorflow/serving" in server.welcome
    (command,) = re.findall(r"^ +(\(printf.*)$", server.welcome, re.MULTILINE)
    shown = tmp_path / "photo.jpg"
    Image.effect_noise((450, 450), 90).convert("RGB").save(shown, "PNG")
    assert shown.stat().st_size > 128 * 1024, "longer than an argument may be"
    done = subprocess.run(
        ["sh", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    if "curl: not found" in done.stderr:
        pytest.skip("no curl")
    (row,) = json.loads(done.stdout)["predictions"]
    assert row["decoded"] is True


def test_the_printed_address_of_the_page_shows_it(server: Server) -> None:
    address = f"http://127.0.0.1:{server.port}/"
    assert re.search(rf"^ +{address}$", server.welcome, re.MULTILINE)
    answer = server.send(
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept-Language: de\r\nConnection: close\r\n\r\n"
    )
    assert answer.startswith(b"HTTP/1.1 200")
    assert b"colours" in answer


def test_many_clients_at_once_get_their_own_answers(server: Server) -> None:
    wanted = [*COLOURS] * 8
    with ThreadPoolExecutor(24) as clients:
        answers = list(clients.map(lambda name: server.predict(asked(name)), wanted))
    assert [status for status, _ in answers] == [200] * 24
    assert [answer["predictions"][0]["label"] for _, answer in answers] == wanted


@pytest.mark.parametrize(
    ("garbage", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"400"),
        (b"GET\r\n\r\n", b"400"),
        (b"GET /x HTTP/1.1\r\nHost: \xff\xfe\r\nConnection: close\r\n\r\n", b"404"),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n", b"400"),
        (b"GET /v1/models/%ff%fe%00 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", b"404"),
    ],
)
def test_garbage_is_refused_and_the_server_lives(
    server: Server, garbage: bytes, status: bytes
) -> None:
    assert server.send(garbage).startswith(b"HTTP/1.1 " + status)
    assert server.predict(asked("red"))[0] == 200


@pytest.mark.parametrize(
    "head",
    [
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\nx",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\nx",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffff\r\nx",
        b"GET /" + b"a" * 100_000,
    ],
)
def test_a_lie_about_the_length_is_no_fault_of_the_server(server: Server, head: bytes) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
        connection.sendall(head)
        assert server.predict(asked("red"))[0] == 200


def test_a_hundred_and_twenty_half_sent_requests_lock_nobody_out(server: Server) -> None:
    head = f"POST {server.path}:predict HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n"
    address = ("127.0.0.1", server.port)
    with ExitStack() as stack:
        for number in range(120):
            connection = stack.enter_context(socket.create_connection(address, timeout=60))
            # half of them in the head, half in the body
            connection.sendall(head.encode() + b"\r\n{" * (number % 2))
        for _ in range(3):
            assert server.predict(asked("red"))[0] == 200


def test_a_client_that_hangs_up_does_no_harm(server: Server) -> None:
    head = f"POST {server.path}:predict HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n"
    for _ in range(3):
        with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
            connection.sendall(head.encode() + b'{"instances"')
    assert server.predict(asked("red"))[0] == 200


def test_the_options_are_the_limits(server: Server) -> None:
    assert server.predict(b" " * (MEGABYTE + 1))[0] == 413
    assert server.predict(asked("red", times=8))[0] == 200
    status, answer = server.predict(asked("red", times=9))
    assert status == 400
    assert "at most 8 photos, got 9" in answer["error"]


def test_a_port_in_use_is_refused_before_anything_is_loaded(
    colour_export: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main([str(colour_export), "--port", str(port)]) == 2
    out, errors = capsys.readouterr()
    assert f"cannot listen on port {port} of 127.0.0.1" in errors
    assert "Loading" not in out


@pytest.mark.parametrize("name", ["", "a/b", "a:b", "a\nb", "{a}"])
def test_a_name_that_is_no_part_of_a_path_is_refused(
    colour_export: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(colour_export), "--name", name]) == 2
    assert f"it is part of a path; got {name!r}" in capsys.readouterr().err


def test_without_its_libraries_the_extra_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert main([str(tmp_path)]) == 2
    assert 'without uvicorn: pip install ".[serve]"' in capsys.readouterr().err


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--port", "65536"),
        ("--max-batch", "0"),
        ("--max-batch", "10001"),
        ("--max-request-megabytes", "0.5"),
    ],
)
def test_a_mistake_is_explained(
    option: str, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["x", option, value])
    assert stop.value.code == 2
    message = capsys.readouterr().err
    assert option in message
    assert f"got '{value}'" in message


def test_a_folder_without_a_model_is_refused_without_tensorflow(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from tl_keras.commands.serve import main\n"
        "print(main([sys.argv[1]]), {'tensorflow', 'keras', 'starlette'} & set(sys.modules))\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    assert answer.stdout == "2 set()\n"
    assert f"No exported model in {tmp_path}" in answer.stderr
