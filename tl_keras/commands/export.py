"""`tl-keras export RESULTS`: the model of a finished experiment, once more."""

import argparse
import re
from collections.abc import Sequence
from pathlib import Path

from tl_keras.commands.command_line import Parser, carry_out, loading, read_options, warn
from tl_keras.errors import NoExportError
from tl_keras.results.folder_lock import alone_in
from tl_keras.results_layout import place
from tl_keras.serving.targets import check_targets
from tl_keras.serving.versions import EXTRA
from tl_keras.serving.wheels import COMPUTERS, OLDEST, Destination
from tl_keras.target_table import PORTABLE, TARGETS

DESCRIPTION = """\
Write the model of a finished experiment once more, as a new version beside the old ones, and in
other formats if you name some. Nothing is trained and nothing overwritten."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code: 0, 1 for a failure, 2 for a mistake."""
    options = read_options(_parser(), arguments)
    return carry_out(lambda: _export(options), words=options.words)


def _parser() -> argparse.ArgumentParser:
    parser = Parser("tl-keras export", description=DESCRIPTION)
    parser.add_argument(
        "results",
        type=Path,
        metavar="EXPERIMENT",
        help="the folder of a finished experiment, such as results/defects",
    )
    parser.add_argument(
        "--targets",
        nargs="+",
        default=[],
        choices=TARGETS,
        metavar="FORMAT",
        help=f"formats to write beside the SavedModel: {', '.join(TARGETS)}",
    )
    parser.add_argument(
        "--computers",
        nargs="+",
        default=[],
        choices=COMPUTERS,
        metavar="COMPUTER",
        help="computers that the format portable is for (default: this one): "
        + ", ".join(COMPUTERS),
    )
    parser.add_argument(
        "--pythons",
        nargs="+",
        default=[],
        metavar="3.N",
        help="versions of Python on these computers, such as 3.12 (default: that of this one)",
    )
    return parser


def _export(options: argparse.Namespace) -> int:
    from tl_keras.results.finished_experiment import check_experiment_folder

    check_targets(options.targets)
    _destination(options)
    # before TensorFlow is loaded
    check_experiment_folder(options.results)
    with alone_in(options.results, warn):
        return _exported(options)


def _destination(options: argparse.Namespace) -> Destination:
    if (options.computers or options.pythons) and PORTABLE not in options.targets:
        raise NoExportError(
            f"--computers and --pythons need the target {PORTABLE}, got no --targets {PORTABLE}. "
            "Add it, or leave them out."
        )
    wrong = [python for python in options.pythons if not re.fullmatch(r"3\.\d{2}", python)]
    if wrong or any(int(python[2:]) < OLDEST for python in options.pythons):
        raise NoExportError(
            f"--pythons must name versions from 3.{OLDEST} on, such as 3.12, got "
            f"{' '.join(options.pythons)}."
        )
    return Destination(tuple(options.computers), tuple(options.pythons))


def _exported(options: argparse.Namespace) -> int:
    from tl_keras.reporting.safe_console import SafeConsole

    console = SafeConsole()
    with loading(console):
        from tl_keras.experiment.stages import export_experiment
        from tl_keras.reporting.terminal import TerminalMonitor

    with TerminalMonitor(console) as monitor:
        version = export_experiment(
            options.results, options.targets, destination=_destination(options), monitor=monitor
        )
    # as it was given, not the absolute path
    version = options.results / version.relative_to(options.results.resolve())
    text = f"SavedModel, checked: {version}"
    if options.targets:
        text += f"\nOther formats: {version / EXTRA}; how they compare: "
        text += f"{place(options.results, 'exports.csv')}"
    console.print(text, soft_wrap=True)
    return 0
