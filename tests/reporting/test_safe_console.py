"""What is printed on the console is text, in lines, tables and progress bars."""

import io
import re

import pytest
from rich.table import Table

from tests.hostile.texts import TEXTS
from tl_keras.reporting.safe_console import SafeConsole, marked
from tl_keras.reporting.terminal import TerminalMonitor, show_warning
from tl_keras.safe_text import one_line, visible

# What rich itself writes: colours, the cursor, and the state of the line.
OWN = re.compile(r"\x1b\[\??\d*(?:;\d+)*[mKhlA-G]|\r")


def console(terminal: bool = False) -> SafeConsole:
    return SafeConsole(
        file=io.StringIO(), width=5000, force_terminal=terminal, _environ={"TERM": "xterm"}
    )


def shown(console: SafeConsole) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_in_a_notebook_lines_are_plain_text(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)
    with TerminalMonitor() as monitor:
        monitor.stage("Reading [bold]photos")
        monitor.warn("few photos")
    assert capsys.readouterr().out == "Reading [bold]photos ...\nwarning few photos\n"


def lines(name: str) -> list[str]:
    """As rich shows them, without space at the end."""
    return [line.rstrip() for line in visible(name, keep="\n").split("\n")]


@pytest.mark.parametrize("name", TEXTS.values(), ids=TEXTS)
def test_a_line_stands_as_it_is(name: str) -> None:
    plain, warned = console(), console()
    plain.print(name)
    show_warning(warned, name)
    assert [line.rstrip() for line in shown(plain).split("\n")[:-1]] == lines(name)
    assert shown(warned).startswith("warning ")
    assert one_line(shown(warned).replace("\n", "")) == shown(warned).replace("\n", "")


@pytest.mark.parametrize("name", TEXTS.values(), ids=TEXTS)
def test_a_table_stands_as_it_is(name: str) -> None:
    printed = console()
    table = Table(title=name)
    table.add_column(name)
    table.add_row(name)
    printed.print(table)
    text = shown(printed).replace("\n", "")
    assert one_line(text) == text
    assert text.count(lines(name)[0].strip()) >= 3


@pytest.mark.parametrize("name", TEXTS.values(), ids=TEXTS)
def test_a_progress_bar_stands_as_it_is(name: str) -> None:
    printed = console(terminal=True)
    with TerminalMonitor(printed) as monitor:
        monitor.stage(name)
        monitor.warn(name)
        printed.print(marked("note", "bold", name))
    text = OWN.sub("", shown(printed)).replace("\n", "")
    assert one_line(text) == text
    assert one_line(name).strip() in text


def test_a_mark_is_coloured_and_nothing_else() -> None:
    printed = console(terminal=True)
    printed.print(marked("note", "bold", "[red]a[/red] 12"))
    assert shown(printed) == "\x1b[1mnote\x1b[0m [red]a[/red] 12\n"
