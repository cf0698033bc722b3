"""Random changes of training images, as layers that are active in training only."""

import keras

from tl_keras.augmentation_table import AUGMENTATIONS


def augmentation_layers(level: str) -> list[keras.layers.Layer]:
    """The layers of an augmentation level, for images with pixels 0..255.

    Args:
        level: a key of `AUGMENTATIONS`.

    Raises:
        ValueError: the level is unknown.
    """
    if level not in AUGMENTATIONS:
        raise ValueError(f"level must be one of {', '.join(AUGMENTATIONS)}; got {level!r}")
    return [
        getattr(keras.layers, name)(**arguments) for name, arguments in AUGMENTATIONS[level].items()
    ]
