"""`python -m tl_keras.advise EXPERIMENT`: how much to borrow, before anything is trained."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from tl_keras.config.files import load_config
from tl_keras.errors import TlKerasError
from tl_keras.quiet import quiet_tensorflow

DESCRIPTION = """\
Say how much of the pretrained network your images ask for: which blocks, whether to fine-tune, and
why. Looks at training and validation images only, trains no network, and takes seconds."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code: 0, 1 for a failure, 2 for a mistake."""
    options = _parser().parse_args(arguments)
    try:
        return _advise(options)
    except TlKerasError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m tl_keras.advise", description=DESCRIPTION)
    parser.add_argument("experiment", type=Path, help="a JSON file, or a folder of images")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="override a key, such as data.train_per_class=10; may be repeated",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the advice there as well")
    return parser


def _advise(options: argparse.Namespace) -> int:
    from rich.console import Console

    config = load_config(options.experiment, options.set)
    console = Console()
    console.print("Loading TensorFlow ...")
    with quiet_tensorflow():
        from tl_keras.advising import advise_on
        from tl_keras.reporting.terminal import TerminalMonitor, show_advice, show_blocks

    with TerminalMonitor(console) as monitor:
        advice = advise_on(config, monitor)
    if len(advice.blocks):
        show_blocks(console, advice)
    show_advice(console, advice)
    sets = " ".join(f"--set '{setting}'" for setting in (*options.set, *advice.settings()))
    console.print("To follow it:", highlight=False)
    print(f"python -m tl_keras.run {options.experiment} {sets}")
    if options.json is not None:
        options.json.write_text(json.dumps(advice.as_dict(), indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
