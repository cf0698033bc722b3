"""How fast the package is: beside plain scripts that do the same, and beside an earlier commit.

    python -m benchmarks.speed BENCHMARK --images FOLDER --weights FILE
    python -m benchmarks.speed COMMAND --images FOLDER --weights FILE --beside CHECKOUT

BENCHMARK is one of

phase_1      the head for 20 epochs, beside one bare forward pass over the same images, beside the
             script of the Keras guide "Transfer learning & fine-tuning", and beside a script that
             computes the features once by hand, which the guide does not;
fine_tuning  the top 4 blocks for 10 epochs after that, beside the guide's script;
search       depths 0 to 5 with two rates each, beside a plain KerasTuner search; with `--all`
             also the whole backbone. The grid has 11 trials on both sides (13 with `--all`): with
             nothing unfrozen there is no second rate to try;
probes       linear probes of every block, beside one bare forward pass, and beside the same
             regressions by scikit-learn, one after the other;
convergence  the same 4 blocks, each phase until validation loss has not improved for 20 epochs
             (at most 200), whatever `--epochs` says.

FOLDER holds one sub-folder per class, FILE the weights of MobileNetV2 without its classifier.
Without them surface defects are drawn and the network starts at random, which tells of times alone.

All sides start from decoded uint8 photos in memory, with the same backbone, batch size, epochs and
optimizer, BatchNorm frozen, without augmentation, and but for `convergence` without early stopping.
Every measurement has a process of its own, in alternating order; imports are not timed, building
the network, loading its weights and tracing are. `accuracy` is on the validation images at the
epoch with the lowest validation loss, on every side.

COMMAND is one of the experiments of `benchmarks/experiments.py`: first_command, which needs neither
FOLDER nor FILE, steel_five_strategies, steel_probe and steel_fine_tuning. Here everything counts
from the start of `python -m tl_keras.run` to its end; `benchmarks/whole_commands.py` says what is
measured. CHECKOUT is one of another commit (`git worktree add CHECKOUT COMMIT`), which runs the
same experiments in turn with this one.

Adds its rows to results/benchmarks.csv.
"""

import argparse
import signal
from pathlib import Path

import pandas as pd

from benchmarks.experiments import add_inputs
from benchmarks.rows import Row
from benchmarks.whole_commands import WHOLE_COMMANDS, whole_command
from tl_keras.quiet import quiet_tensorflow

# Functions of `benchmarks.trainings`.
TRAININGS = ("phase_1", "fine_tuning", "search", "probes", "convergence")


def main() -> None:
    """Run one benchmark and keep its rows."""
    options = _parser().parse_args()
    # as Ctrl-C: what is measured is stopped, folders removed
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    measure = whole_command if options.benchmark in WHOLE_COMMANDS else training
    rows = measure(options)
    print(pd.DataFrame(rows).drop(columns=["benchmark", "case"]).to_string(index=False))
    # here, and not before commands are measured: it loads TensorFlow, see `whole_commands`
    with quiet_tensorflow():
        from benchmarks.record import record

    record(rows)


def training(options: argparse.Namespace) -> list[Row]:
    """Measure a training beside scripts that do the same."""
    from benchmarks import trainings
    from benchmarks.task import load_task

    task = load_task(
        options.images,
        options.weights,
        counts=options.counts,
        image_size=options.image_size,
        head_epochs=options.epochs[0],
        epochs=options.epochs[1],
    )
    case = f"{task.case}, depth all too" if options.all else task.case
    rows = getattr(trainings, options.benchmark)(task, options)
    return [{"benchmark": options.benchmark, "case": case, **row} for row in rows]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("benchmark", choices=[*TRAININGS, *WHOLE_COMMANDS])
    add_inputs(parser)
    parser.add_argument("--beside", type=Path, help="whole commands: a checkout of another commit")
    parser.add_argument("--all", action="store_true", help="search: the whole backbone too")
    parser.add_argument("--repeats", type=int, default=2, help="measurements of each side")
    parser.add_argument("--image-size", type=int, default=160, help="pixels")
    parser.add_argument(
        "--counts",
        type=int,
        nargs=3,
        default=(500, 200, 200),
        metavar=("TRAIN", "VALIDATION", "TEST"),
        help="images",
    )
    parser.add_argument(
        "--epochs", type=int, nargs=2, default=(20, 10), metavar=("HEAD", "FINE_TUNING")
    )
    return parser


if __name__ == "__main__":
    main()
