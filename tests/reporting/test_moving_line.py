"""A line that moves in a terminal; elsewhere a word whenever nothing was said for long."""

import io
import threading
import time

import pytest

from tests.reporting.consoles import console, shown
from tl_keras.progress import counted, making
from tl_keras.reporting import moving_line
from tl_keras.reporting.moving_line import MovingLine
from tl_keras.reporting.safe_console import SafeConsole


def reminds() -> bool:
    # by name: a thread that another test left may end at any moment
    return any(thread.name == moving_line.THREAD for thread in threading.enumerate())


def wait_for(console: SafeConsole, text: str) -> None:
    for _ in range(10_000):
        if text in shown(console):
            return
        time.sleep(0.01)
    pytest.fail(f"{text!r} is not in {shown(console)!r}")


def test_a_log_file_has_a_word_in_a_long_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moving_line, "LOOK_SECONDS", 0.001)
    monkeypatch.setattr(moving_line, "FIRST_SECONDS", 0.0)
    monkeypatch.setattr(moving_line, "NEXT_SECONDS", 0.0)
    screen = console()
    with MovingLine(screen) as line:
        assert reminds()
        line.stage("Looking at the images")
        making("the \x1b[2J run")
        photos = counted(range(9), 9, "photos")
        next(photos)
        next(photos)
        wait_for(screen, "1 of 9 photos (0:")
    assert not reminds()
    *before, last = shown(screen).splitlines()
    assert "Looking at the images ..." in before
    assert "Looking at the images" in last and "run" in last
    assert "\x1b" not in shown(screen)


def test_a_second_word_comes_after_a_longer_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moving_line, "LOOK_SECONDS", 0.001)
    monkeypatch.setattr(moving_line, "FIRST_SECONDS", 0.0)
    screen = console()
    with MovingLine(screen) as line:
        for stage in ("First", "Second"):
            line.stage(stage)
            wait_for(screen, f"  {stage} (0:")
            time.sleep(0.05)
    assert shown(screen).count("  Second (0:") == 1


def test_a_log_file_of_short_stages_has_a_line_for_each() -> None:
    screen = console()
    with MovingLine(screen) as line:
        line.stage("First")
        line.stage("unsaid", said=False)
        list(counted(range(1000), 1000, "photos"))
        line.stage("Second")
    assert shown(screen).splitlines() == ["First ...", "Second ..."]


def test_a_terminal_shows_what_is_done_and_how_far() -> None:
    screen = console(terminal=True)
    with MovingLine(screen) as line:
        line.stage(
            "Fitting a strategy with a long name anew on all 1,000,000 photos that there are"
        )
        making("something")
        for _ in counted(range(2), 2, "photos"):
            pass
        line.far("epoch 3 of 5")
        line.show(total=10, completed=5, made="1/2 runs")
    text = shown(screen)
    assert "1/2 runs" in text and "left:" in text
    assert "Fitting a strategy" in text


def test_an_error_ends_it() -> None:
    with pytest.raises(ZeroDivisionError), MovingLine(console()):
        1 / 0  # noqa: B018
    assert not reminds()


def test_a_reader_who_has_enough_is_no_error_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moving_line, "LOOK_SECONDS", 0.001)
    monkeypatch.setattr(moving_line, "FIRST_SECONDS", 0.0)
    screen = console()
    with MovingLine(screen):
        assert isinstance(screen.file, io.StringIO)
        screen.file.close()
        time.sleep(0.05)
