"""Build a backbone of the table, and the layer that scales pixels as it wants them."""

import warnings
from typing import Any, Literal

import keras

from tl_keras.backbone_table import BACKBONES, BackboneSpec, MeanAndStd, Scaling
from tl_keras.errors import ConfigError

# of RGB pixels in 0..1, as `preprocess_input` of Keras Applications has them
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STDDEV = (0.229, 0.224, 0.225)
# of BGR pixels in 0..255, in that order
IMAGENET_MEAN_BGR = (103.939, 116.779, 123.68)


def build_backbone(
    name: str,
    *,
    image_size: int | None,
    alpha: float | None = None,
    weights: Literal["imagenet"] | None = None,
) -> keras.Model:
    """A backbone without its classifier: scaled images in, the last block's activations out.

    Takes `(batch, image_size, image_size, 3)`, scaled by `scaling_layer`, and gives
    `(batch, height, width, channels)`.

    Args:
        name: A key of `BACKBONES`.
        image_size: Pixels, at least the backbone's smallest; None takes images of any size.
        alpha: Width multiplier; None is 1.0, and the only choice where the table lists none.
        weights: None is random initialisation. For "imagenet" Keras downloads a file, or takes it
            from its cache folder.

    Raises:
        ConfigError: A name, size or multiplier that the table does not allow.
    """
    spec = find_spec(name)
    if image_size is not None and image_size < spec.minimum_image_size:
        raise ConfigError(
            f"image_size must be at least {spec.minimum_image_size} for {name}; got {image_size}. "
            "Enlarge image_size or choose another backbone."
        )
    options: dict[str, Any] = {} if alpha is None else {"alpha": _allowed_alpha(spec, alpha)}
    with warnings.catch_warnings():
        # where a size has no ImageNet weights of its own, those of 224 px are taken
        warnings.filterwarnings("ignore", message=".*will be loaded as the default")
        return getattr(keras.applications, name)(
            include_top=False,
            weights=weights,
            input_shape=(image_size, image_size, 3),
            **options,
        )


def scaling_layer(scaling: Scaling) -> keras.Layer:
    """A layer without trainable weights that maps RGB pixels 0..255 to what the backbone wants.

    Equals the family's `preprocess_input`, and consists of Keras's own layers, so that a saved
    model is loaded where there is nothing but Keras.
    """
    if isinstance(scaling, MeanAndStd):
        return _normalization(scaling)
    if scaling == "tf":
        return keras.layers.Rescaling(1 / 127.5, offset=-1.0, name="scaling")
    if scaling == "caffe":
        pixels = keras.Input((None, None, 3))
        # A variance of 1 leaves subtraction alone, without rounding.
        less_mean = keras.layers.Normalization(mean=list(IMAGENET_MEAN_BGR), variance=[1.0] * 3)
        return keras.Model(pixels, less_mean(keras.ops.flip(pixels, axis=-1)), name="scaling")
    if scaling == "torch":
        return _normalization(
            MeanAndStd(_of_bytes(IMAGENET_MEAN), _of_bytes(IMAGENET_STDDEV)),
        )
    return keras.layers.Rescaling(1.0, name="scaling")


def settle(layer: keras.Layer) -> None:
    """Let a layer that keeps what follows from its weights see new ones."""
    if isinstance(layer, keras.layers.Normalization) and layer.weights:
        layer.finalize_state()


def _normalization(scaling: MeanAndStd) -> keras.Layer:
    variance = [std**2 for std in scaling.std]
    return keras.layers.Normalization(mean=list(scaling.mean), variance=variance, name="scaling")


def _of_bytes(shares: tuple[float, float, float]) -> tuple[float, float, float]:
    red, green, blue = (255 * share for share in shares)
    return red, green, blue


def find_spec(name: str) -> BackboneSpec:
    """The row of a backbone.

    Raises:
        ConfigError: The table has no such row.
    """
    if name not in BACKBONES:
        raise ConfigError(f"backbone must be one of {', '.join(BACKBONES)}; got {name!r}.")
    return BACKBONES[name]


def _allowed_alpha(spec: BackboneSpec, alpha: float) -> float:
    if alpha not in spec.alphas:
        allowed = ", ".join(map(str, spec.alphas)) or "left out (it has no width multiplier)"
        raise ConfigError(f"alpha of {spec.name} must be {allowed}; got {alpha}.")
    return alpha
