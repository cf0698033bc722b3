"""Random changes of training images, as layers that are active in training only."""

import keras


def augmentation_layers(level: str) -> list[keras.layers.Layer]:
    """The layers of an augmentation level, for images with pixels 0..255.

    "none" is empty. "light" keeps what people would call the same picture taken again: small
    shifts, zooms and turns, brightness and contrast, no mirroring, because letters, digits and
    many parts have a handedness. "strong" mirrors and turns further, for objects that may lie
    any way round.

    Raises:
        ValueError: the level is unknown.
    """
    layers = keras.layers
    if level == "none":
        return []
    if level == "light":
        return [
            layers.RandomTranslation(0.08, 0.08, fill_mode="reflect"),
            layers.RandomZoom(0.1, fill_mode="reflect"),
            layers.RandomRotation(0.02, fill_mode="reflect"),
            layers.RandomBrightness(0.1, value_range=(0, 255)),
            layers.RandomContrast(0.15, value_range=(0, 255)),
        ]
    if level == "strong":
        return [
            layers.RandomFlip("horizontal_and_vertical"),
            layers.RandomTranslation(0.15, 0.15, fill_mode="reflect"),
            layers.RandomZoom(0.25, fill_mode="reflect"),
            layers.RandomRotation(0.25, fill_mode="reflect"),
            layers.RandomBrightness(0.2, value_range=(0, 255)),
            layers.RandomContrast(0.3, value_range=(0, 255)),
        ]
    raise ValueError(f'level must be "none", "light" or "strong"; got {level!r}')
