"""`tl-keras SUBCOMMAND`: every command line of the package, by what a person wants to do."""

import argparse
import importlib
import sys
from collections.abc import Sequence

from tl_keras import __version__
from tl_keras.commands.command_line import EXIT_CODES, Parser, carry_out

# In the order in which a person meets them; each is a module of this folder with a `main`.
SUBCOMMANDS = {
    "audit": "look for what is wrong with your images, before they are used",
    "advise": "say how much to borrow, in seconds, before anything is trained",
    "run": "compare how much to borrow, measure it on held-out images, export the model",
    "report": "write an experiment's page again, or compare experiments",
    "predict": "classify photos with an exported model",
    "serve": "try an exported model out over HTTP, on this computer",
    "export": "export the chosen model again, also for a phone or another runtime",
    "pretrain": "train a source model of your own, to borrow from",
    "cache": "show and clear what is kept between runs",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a sub-command; returns its exit code: 0, 1 for a failure, 2 for a mistake."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    # what stops it may come while its module is loaded
    return carry_out(lambda: _carry_out(given))


def _carry_out(given: Sequence[str]) -> int:
    # The rest is the sub-command's own: only its module is imported.
    name = _parser().parse_args(given[:1]).subcommand
    command = importlib.import_module(f"tl_keras.commands.{name}")
    code: int = command.main(given[1:])
    return code


def _parser() -> argparse.ArgumentParser:
    width = max(map(len, SUBCOMMANDS))
    lines = [f"  {name:<{width}}  {what}" for name, what in SUBCOMMANDS.items()]
    codes = [f"  {code:<{width}}  {meaning}" for code, meaning in EXIT_CODES.items()]
    more = "tl-keras SUBCOMMAND --help tells more of each."
    parser = Parser(
        "tl-keras",
        description="How much to borrow from a pretrained network, measured on your images.",
        epilog="\n".join(["to", *lines, "", "exit codes", *codes, "", more]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"tl_keras {__version__}")
    parser.add_argument(
        "subcommand", choices=SUBCOMMANDS, metavar="SUBCOMMAND", help="one of those below"
    )
    return parser
