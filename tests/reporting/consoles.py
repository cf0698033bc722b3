"""Consoles that keep what is shown."""

import io

from tl_keras.reporting.safe_console import SafeConsole


def console(terminal: bool = False) -> SafeConsole:
    return SafeConsole(
        file=io.StringIO(),
        width=80,
        force_terminal=terminal,
        force_interactive=terminal,
        color_system=None,
    )


def shown(console: SafeConsole) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()
