"""`tl-keras report RESULTS...`: the report of an experiment, or several compared."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from tl_keras.commands.command_line import Parser, carry_out, check_file, read_options, say

DESCRIPTION = """\
Write the report of a finished experiment again, as report.html in its folder. With several folders:
compare the experiments, what each chose and how the choices differ on test. Nothing is trained."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code: 0, 1 for a failure, 2 for a mistake."""
    options = read_options(_parser(), arguments)
    return carry_out(lambda: _report(options), words=options.words)


def _parser() -> argparse.ArgumentParser:
    parser = Parser("tl-keras report", description=DESCRIPTION)
    parser.add_argument(
        "results",
        nargs="+",
        type=Path,
        metavar="EXPERIMENT",
        help="the folder of a finished experiment, such as results/defects",
    )
    parser.add_argument(
        "--output",
        type=Path,
        metavar="FILE",
        help="file for the page, .html (default: report.html in the folder; of several experiments "
        "a file beside the first folder)",
    )
    return parser


def _report(options: argparse.Namespace) -> int:
    if options.output is not None:
        check_file(options.output, "--output", (".html", ".htm"))
    from tl_keras.reporting.comparison_page import write_comparison
    from tl_keras.reporting.report import write_report

    if len(options.results) == 1:
        say(write_report(options.results[0], options.output))
        return 0
    names = "-".join(Path(os.path.realpath(folder)).name for folder in options.results)
    default = Path(os.path.realpath(options.results[0])).parent / f"comparison-{names}.html"
    page = write_comparison(
        options.results,
        options.output or default,
        lambda caution: say(f"note {caution}", sys.stderr),
    )
    say(page)
    return 0
