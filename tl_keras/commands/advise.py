"""`tl-keras advise EXPERIMENT`: how much to borrow, before anything is trained."""

import argparse
import json
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from tl_keras.atomic_files import write_json
from tl_keras.commands.command_line import (
    IMAGES,
    Parser,
    add_networks,
    add_overrides,
    carry_out,
    check_file,
    loading,
    overrides_in,
    read_options,
    say,
    writing,
)
from tl_keras.config.files import load_config, slug
from tl_keras.config.network_entries import entry_labels
from tl_keras.config.schema import ExperimentConfig

if TYPE_CHECKING:
    import pandas as pd

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
    add_networks(parser)
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

    overrides = overrides_in(options)
    config = load_config(options.experiment, overrides)
    if options.json is not None:
        check_file(options.json, "--json")
    from tl_keras.experiment.first_look import look_at_inputs

    look_at_inputs(config)
    console = SafeConsole()
    with loading(console):
        from tl_keras.experiment.advise import advise
        from tl_keras.reporting.terminal import (
            TerminalMonitor,
            show_advice,
            show_blocks,
            show_networks,
        )

    with TerminalMonitor(console) as monitor:
        advice = advise(config, monitor=monitor)
    show_networks(console, advice.networks)
    if len(advice.blocks):
        show_blocks(console, advice)
    show_advice(console, advice)
    console.print("To follow it:")
    settings = [*advice.settings(), *_beside(config, advice.network)]
    say(_run(options, overrides, settings))
    if len(advice.networks) and advice.networks["network"].nunique() > 1:
        console.print("To train each of the networks, and compare them:")
        for command in _to_compare(options, config, advice.networks, overrides):
            say(command)
    if options.json is not None:
        with writing(options.json, "--json"):
            write_json(options.json, advice.as_dict())
    return 0


def _beside(config: ExperimentConfig, entry: str | None) -> Iterator[str]:
    """What must not stand beside a network that was taken of several."""
    if entry is not None and config.backbone.networks[entry].scaling != config.backbone.scaling:
        yield "backbone.scaling=null"
    if entry is not None and config.backbone.trust_code:
        yield f"backbone.trust_code={json.dumps(config.backbone.networks[entry].trust_code)}"


def _run(options: argparse.Namespace, overrides: Sequence[str], settings: Sequence[str]) -> str:
    """The command that runs the experiment, with settings that replace what was typed of them."""
    keys = {text.partition("=")[0] for text in settings}
    kept = [text for text in overrides if text.partition("=")[0].strip() not in keys]
    sets = [word for text in (*kept, *settings) for word in ("--set", text)]
    return shlex.join(["tl-keras", "run", str(options.experiment), *sets])


def _to_compare(
    options: argparse.Namespace,
    config: ExperimentConfig,
    rows: "pd.DataFrame",
    overrides: list[str],
) -> Iterator[str]:
    """A command per network, at the size that its probes read best, and the one that compares."""
    folders = []
    best = (
        rows[rows["beside"].isna()]
        .sort_values("excess", kind="stable")
        .drop_duplicates("network")
        .sort_index()
    )
    labels = entry_labels(best["network"])
    for entry, size in zip(best["network"], best["image_size"], strict=True):
        name = slug(f"{config.name}-{labels[entry]}")
        named = [f"name={name}", f"backbone.name={entry}", f"backbone.image_size={size}"]
        yield _run(options, overrides, [*named, *_beside(config, entry)])
        folders.append((PurePath(config.results_dir) / name).as_posix())
    yield shlex.join(["tl-keras", "report", *folders])
