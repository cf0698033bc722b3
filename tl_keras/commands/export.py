"""`tl-keras export RESULTS`: the model of a finished experiment, once more."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from tl_keras.commands.command_line import Parser, carry_out, warn
from tl_keras.quiet import quiet_tensorflow
from tl_keras.results.folder_lock import alone_in
from tl_keras.serving.targets import check_targets
from tl_keras.serving.versions import EXTRA
from tl_keras.target_table import TARGETS

DESCRIPTION = """\
Export the chosen run of a finished experiment again, as the next version, and in other formats if
you name some. Nothing is trained and nothing overwritten."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code: 0, 1 for a failure, 2 for a mistake."""
    options = _parser().parse_args(arguments)
    return carry_out(lambda: _export(options))


def _parser() -> argparse.ArgumentParser:
    parser = Parser("tl-keras export", description=DESCRIPTION)
    parser.add_argument("results", type=Path, help="its folder, such as results/defects")
    parser.add_argument(
        "--targets", nargs="+", default=[], choices=TARGETS, help="formats beside the SavedModel"
    )
    return parser


def _export(options: argparse.Namespace) -> int:
    check_targets(options.targets)
    if not options.results.is_dir():
        return _exported(options)
    # before TensorFlow is loaded
    with alone_in(options.results, warn):
        return _exported(options)


def _exported(options: argparse.Namespace) -> int:
    from tl_keras.reporting.safe_console import SafeConsole

    console = SafeConsole()
    console.print("Loading TensorFlow ...")
    with quiet_tensorflow():
        from tl_keras.experiment.stages import export_experiment
        from tl_keras.reporting.terminal import TerminalMonitor

    with TerminalMonitor(console) as monitor:
        version = export_experiment(options.results, options.targets, monitor=monitor)
    # as it was given, not the absolute path
    version = options.results / version.relative_to(options.results.resolve())
    text = f"SavedModel, checked: {version}"
    if options.targets:
        text += f"\nOther formats: {version / EXTRA}; how they compare: "
        text += f"{options.results / 'exports.csv'}"
    console.print(text, soft_wrap=True)
    return 0
