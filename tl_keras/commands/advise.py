"""`tl-keras advise EXPERIMENT`: how much to borrow, before anything is trained."""

import argparse
import shlex
from collections.abc import Sequence
from pathlib import Path

from tl_keras.atomic_files import write_json
from tl_keras.commands.command_line import (
    IMAGES,
    Parser,
    add_overrides,
    carry_out,
    check_file,
    loading,
    read_options,
    say,
    writing,
)
from tl_keras.config.files import load_config

DESCRIPTION = """\
Say how much of the pretrained network your images ask for: which blocks, whether to fine-tune, and
why. Looks at training and validation images only, trains no network, and takes seconds."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code: 0, 1 for a failure, 2 for a mistake."""
    options = read_options(_parser(), arguments)
    return carry_out(lambda: _advise(options), words=options.words)


def _parser() -> argparse.ArgumentParser:
    parser = Parser("tl-keras advise", description=DESCRIPTION)
    parser.add_argument("experiment", type=Path, help=IMAGES)
    add_overrides(parser)
    parser.add_argument(
        "--json",
        type=Path,
        metavar="FILE",
        help="file to write the advice to as well, for programs",
    )
    return parser


def _advise(options: argparse.Namespace) -> int:
    from tl_keras.reporting.safe_console import SafeConsole

    config = load_config(options.experiment, options.set)
    if options.json is not None:
        check_file(options.json, "--json")
    from tl_keras.experiment.first_look import look_at_inputs

    look_at_inputs(config)
    console = SafeConsole()
    with loading(console):
        from tl_keras.experiment.advise import advise
        from tl_keras.reporting.terminal import TerminalMonitor, show_advice, show_blocks

    with TerminalMonitor(console) as monitor:
        advice = advise(config, monitor=monitor)
    if len(advice.blocks):
        show_blocks(console, advice)
    show_advice(console, advice)
    sets = [w for text in (*options.set, *advice.settings()) for w in ("--set", text)]
    console.print("To follow it:")
    say(shlex.join(["tl-keras", "run", str(options.experiment), *sets]))
    if options.json is not None:
        with writing(options.json, "--json"):
            write_json(options.json, advice.as_dict())
    return 0
