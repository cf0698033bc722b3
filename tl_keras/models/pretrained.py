"""A pretrained backbone by its name, for use from Python."""

import os

from tl_keras.keras_settings import needed_keras
from tl_keras.models.backbone import Backbone
from tl_keras.models.source_models import load_named


@needed_keras()
def load_backbone(
    name: str = "MobileNetV2",
    *,
    weights: str | os.PathLike[str] | None = "imagenet",
    image_size: int = 160,
    alpha: float | None = None,
) -> Backbone:
    """A network without its classifier, as named blocks.

    `.block_names` lists them, `.cut_after(name)` is the part up to one of them, and `.model` the
    Keras model from scaled images to activations.

    Args:
        name: of a Keras Applications network, a key of `tl_keras.backbone_table.BACKBONES`.
        weights: "imagenet" (from Keras), "bundled" (ships with the package), a weights file without
            the classifier, a source model's folder, the results folder of a finished experiment, or
            None for random ones.
        image_size: height and width of the input, pixels.
        alpha: width multiplier of the MobileNets; None is 1.0.

    Raises:
        ConfigError: a name, size or multiplier that the network does not have.
        WeightsError: the weights cannot be had or do not fit.
    """
    chosen = None if weights is None else os.fspath(weights)
    return load_named(name, image_size=image_size, alpha=alpha, weights=chosen)[0]
