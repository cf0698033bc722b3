"""`tl-keras audit FOLDER`: what is wrong with images, before they are used."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from tl_keras.atomic_files import check_writable
from tl_keras.commands.command_line import (
    IMAGES,
    Parser,
    add_overrides,
    carry_out,
    check_file,
    loading,
    read_options,
    writing,
)
from tl_keras.config.files import load_config, refuse_experiment_folder
from tl_keras.results_layout import AUDIT

DESCRIPTION = """\
Look for unreadable files, copies, wrong labels and other faults among your images. Changes and
deletes nothing; writes tables and a page with pictures, audit.html."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code: 0, 1 for a failure, 2 for a mistake."""
    options = read_options(_parser(), arguments)
    return carry_out(lambda: _audit(options), words=options.words)


def _parser() -> argparse.ArgumentParser:
    parser = Parser("tl-keras audit", description=DESCRIPTION)
    parser.add_argument("experiment", type=Path, help=IMAGES)
    add_overrides(parser)
    parser.add_argument(
        "--output",
        type=Path,
        metavar="DIR",
        help="folder for the tables and the page (default: results/audit_NAME, where NAME is that "
        "of the folder or file of images)",
    )
    parser.add_argument(
        "--no-network",
        action="store_true",
        help="look at files and copies only, and not at labels, which takes a pretrained network",
    )
    return parser


def _audit(options: argparse.Namespace) -> int:
    from tl_keras.reporting.safe_console import SafeConsole

    config = load_config(options.experiment, options.set)
    folder = options.output or Path(config.results_dir) / f"audit_{config.name}"
    refuse_experiment_folder(folder)
    from tl_keras.results.audit_report import refuse_among_photos, refuse_other_audit

    refuse_among_photos(folder, config.data)
    if options.output is None:
        refuse_other_audit(folder, config)
    with writing(folder, "--output"):
        check_writable(folder)
    page = folder / AUDIT
    if page.exists():
        check_file(page, "--output")
    if config.data.tfds is None:
        from tl_keras.data.sources import load_images

        # images that are not there are told before TensorFlow is loaded
        load_images(config.data, to_train=False)
    console = SafeConsole()
    with loading(console):
        from tl_keras.experiment.audit import audit_images
        from tl_keras.reporting.audit_page import audit_page
        from tl_keras.reporting.audit_terminal import show_audit
        from tl_keras.reporting.folder_readme import write_audit_readme
        from tl_keras.reporting.pages import write_page
        from tl_keras.reporting.terminal import TerminalMonitor

    with TerminalMonitor(console) as monitor:
        report = audit_images(config, network=not options.no_network, monitor=monitor)
    with writing(folder, "--output"):
        report.write(folder)
    write_page(page, audit_page(report))
    with writing(folder, "--output"):
        write_audit_readme(folder)
    show_audit(console, report)
    console.print(f"Tables and pictures: {page}", soft_wrap=True)
    return 0
