"""SIGTERM and a closed terminal end a command as Ctrl-C does; callers keep their handlers."""

import os
import signal
import subprocess
import sys
import threading
from typing import Any

import pytest

from tl_keras.commands.command_line import carry_out
from tl_keras.commands.stop_signals import Stopped, stopping

SIGNALS = {"SIGINT": 130, "SIGTERM": 143, "SIGHUP": 129}

# A command that is stopped in its work, and says what its argument says.
COMMAND = """
import signal, sys, time
from tl_keras.commands.command_line import carry_out

class Swallowing:
    def __del__(self):
        print("ready", flush=True)
        time.sleep(30)

def plain():
    print("ready", flush=True)
    time.sleep(30)

def destructor():
    Swallowing()
    time.sleep(30)

def cleaning():
    try:
        plain()
    finally:
        print("cleaning", flush=True)
        time.sleep(30)

sys.exit(carry_out(globals()[sys.argv[1]], stopped="stopped; it goes on"))
"""


def started(work: str, **options: Any) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", COMMAND, work],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.mark.parametrize("name", SIGNALS)
def test_a_signal_ends_a_command_in_one_sentence(name: str) -> None:
    with started("plain") as process:
        process.send_signal(getattr(signal, name))
        _, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (SIGNALS[name], "stopped; it goes on\n")


def test_one_that_a_destructor_swallows_is_sent_again() -> None:
    with started("destructor") as process:
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (143, "stopped; it goes on\n")


def test_one_that_other_code_makes_another_error_of_is_a_stop() -> None:
    with pytest.raises(Stopped) as stopped, stopping():
        try:
            signal.raise_signal(signal.SIGTERM)
        except Stopped:
            raise TypeError("no tensor can be made of this") from None
    assert stopped.value.number == signal.SIGTERM


@pytest.mark.parametrize("second", SIGNALS)
def test_the_second_one_ends_it_at_once(second: str) -> None:
    with started("cleaning") as process:
        process.send_signal(signal.SIGTERM)
        assert process.stdout is not None
        assert process.stdout.readline() == "cleaning\n"
        process.send_signal(getattr(signal, second))
        assert process.wait(timeout=20) == -getattr(signal, second)


def test_what_nohup_ignores_stays_ignored() -> None:
    def ignore() -> None:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    with started("plain", preexec_fn=ignore) as process:
        process.send_signal(signal.SIGHUP)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=20)
    assert process.returncode == 143


def test_the_callers_handlers_are_back_afterwards() -> None:
    def own(number: int, frame: Any) -> None: ...

    before = signal.signal(signal.SIGTERM, own)
    try:

        def stop() -> int:
            os.kill(os.getpid(), signal.SIGTERM)
            return 0

        assert carry_out(stop) == 143
        assert signal.getsignal(signal.SIGTERM) is own
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGTERM, before)


def test_in_another_thread_nothing_changes() -> None:
    codes = []
    thread = threading.Thread(target=lambda: codes.append(carry_out(lambda: 5)))
    thread.start()
    thread.join()
    assert codes == [5]


def test_a_stop_is_a_keyboard_interrupt() -> None:
    with pytest.raises(KeyboardInterrupt) as stopped, stopping():
        os.kill(os.getpid(), signal.SIGTERM)
    assert isinstance(stopped.value, Stopped)
    assert stopped.value.number == signal.SIGTERM
