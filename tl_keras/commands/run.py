"""`tl-keras run EXPERIMENT`: one experiment from the command line."""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tl_keras.commands.command_line import (
    IMAGES,
    Parser,
    add_networks,
    add_overrides,
    carry_out,
    loading,
    overrides_in,
    read_options,
    say,
    warn,
)
from tl_keras.config.files import json_schema, load_config
from tl_keras.quiet import error_stream
from tl_keras.results.folder_lock import alone_in
from tl_keras.results_layout import REPORT, TABLES

if TYPE_CHECKING:
    from tl_keras.experiment.first_look import FirstLook

DESCRIPTION = """\
Compare how much to borrow from a pretrained network on your images: from scratch, feature
extraction, fine-tuning. Writes a report, tables and a model to results/NAME/, where NAME is that of
the folder or file of images. Started again, it goes on where it was."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code: 0, 1 for a failure, 2 for a mistake."""
    options = read_options(_parser(), arguments)
    if options.schema:
        return carry_out(lambda: _show(json.dumps(json_schema(), indent=2)), words=options.words)
    if options.experiment is None:
        _parser().error("an experiment is needed: a JSON file, a folder or a table of images")
    if options.json and not options.dry_run:
        _parser().error("--json goes with --dry-run; add it, or leave --json out")
    return carry_out(
        lambda: _experiment(options),
        words=options.words,
        stopped="stopped; the same command goes on where it was",
    )


def _experiment(options: argparse.Namespace) -> int:
    config = load_config(options.experiment, overrides_in(options))
    # pandas is loaded after the configuration was found right, TensorFlow after the rest was
    from tl_keras.experiment.first_look import look_before

    if options.dry_run:
        return _dry_run(look_before(config, fresh=options.fresh), options.json)
    with alone_in(Path(config.results_folder), warn):
        return _run(look_before(config, fresh=options.fresh))


def _parser() -> argparse.ArgumentParser:
    parser = Parser("tl-keras run", description=DESCRIPTION)
    parser.add_argument(
        "experiment",
        nargs="?",
        type=Path,
        help=IMAGES,
    )
    add_networks(parser)
    add_overrides(parser)
    parser.add_argument(
        "--fresh",
        action="store_true",
        help="begin anew: move earlier results of this name to a folder beside them first",
    )
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="only say what would run, on which images, and about how long",
    )
    parser.add_argument(
        "--json", action="store_true", help="with --dry-run: say it as JSON, with all settings"
    )
    parser.add_argument(
        "--schema",
        action="store_true",
        help="only print which settings there are, as JSON Schema, for editors",
    )
    return parser


def _run(looked: "FirstLook") -> int:
    from tl_keras.reporting.safe_console import SafeConsole

    console = SafeConsole()
    with loading(console):
        from tl_keras.experiment.stages import run_stages
        from tl_keras.reporting.answer import answer, choice_in_words
        from tl_keras.reporting.next_steps import next_steps
        from tl_keras.reporting.terminal import (
            TerminalMonitor,
            show_answer,
            show_decision,
            show_next_steps,
            show_probes,
            show_summary,
            show_warning,
        )
        from tl_keras.serving.decision_record import other_decision

    with TerminalMonitor(console, looked.config.estimate.folds) as monitor:
        result = run_stages(looked, monitor)
    if result.probes is not None:
        show_probes(console, result.probes)
    show_summary(console, result.summary, result.notice)
    finished = result.finished
    console.print(choice_in_words(finished))
    if result.decision is not None:
        show_decision(console, result.decision, finished.run_name)
    for sentence in (finished.facts("learning_curve") or {}).get("sentences", ()):
        console.print(sentence)
    if result.export is not None and (note := other_decision(result.export)):
        show_warning(console, note)
    places = {
        "Report, which explains every term": result.folder / REPORT,
        "Tables": result.folder / TABLES,
        "SavedModel, checked": result.export,
    }
    show_answer(console, answer(finished), {w: p for w, p in places.items() if p is not None})
    show_next_steps(console, next_steps(finished))
    return 0


def _dry_run(looked: "FirstLook", for_programs: bool) -> int:
    from tl_keras.reporting.safe_console import SafeConsole

    # the plan may be for programs
    with loading(SafeConsole(file=error_stream())):
        from tl_keras.experiment.dry_run import as_json, in_words, make_plan

    plan = make_plan(looked)
    return _show(json.dumps(as_json(plan), indent=2) if for_programs else in_words(plan))


def _show(text: str) -> int:
    say(text)
    return 0
