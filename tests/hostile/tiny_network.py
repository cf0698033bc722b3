"""A network of three convolutions, and the package's command line that knows it.

    python -m tests.hostile.tiny_network SUBCOMMAND ...

is `tl-keras SUBCOMMAND ...`, and loads nothing sooner than that does.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import tl_keras.quiet
from tests.tiny_spec import BLOCKS, tiny_spec
from tl_keras.backbone_table import BACKBONES

BACKBONE, SIDE = "Tiny", 32


def register_row() -> None:
    """Let the table of backbones know the network."""
    BACKBONES[BACKBONE] = tiny_spec(SIDE)


def network(
    include_top: bool, weights: None, input_shape: tuple[int, int, int], alpha: float = 1.0
) -> Any:
    """Build it as `keras.applications` builds its own."""
    import keras

    images = outputs = keras.Input(input_shape)
    for block in BLOCKS:
        outputs = keras.layers.Conv2D(int(6 * alpha), 3, strides=2, name=f"{block}_conv")(outputs)
        outputs = keras.layers.BatchNormalization(name=f"{block}_bn")(outputs)
        outputs = keras.layers.ReLU(name=f"{block}_relu")(outputs)
    return keras.Model(images, outputs)


_quiet_tensorflow = tl_keras.quiet.quiet_tensorflow


@contextmanager
def _with_network() -> Iterator[None]:
    """What every command loads TensorFlow in; Keras knows the network then."""
    with _quiet_tensorflow():
        import keras

        setattr(keras.applications, BACKBONE, network)
        yield
        if (workers := sys.modules.get("tl_keras.experiment.workers")) is not None:
            from tests.hostile import tiny_workers

            vars(workers).update(
                InFolder=tiny_workers.TinyInFolder, InStore=tiny_workers.TinyInStore
            )


def main() -> int:
    """The command line of the package."""
    register_row()
    # the modules of the commands take it from there when they are imported, which is later
    tl_keras.quiet.quiet_tensorflow = _with_network
    from tl_keras.commands.console import main as console

    return console()


if __name__ == "__main__":
    sys.exit(main())
