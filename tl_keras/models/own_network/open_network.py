"""A network of one's own, opened: one flat graph of layers, for images of any size."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import keras

from tl_keras.errors import WeightsError
from tl_keras.models.blocks import segments
from tl_keras.models.keras_internals import called_again
from tl_keras.models.networks import settle
from tl_keras.models.own_network.graph_blocks import WITHIN, counted

# What a classifier on pooled features may consist of, beside what has no weights.
_CLASSIFIER = (
    keras.layers.Dense,
    keras.layers.Conv2D,
    keras.layers.BatchNormalization,
    keras.layers.LayerNormalization,
    keras.layers.PReLU,
)

# What layers around a network are called; Keras counts others from 0 in every process, whatever the
# names in a file are.
_OUTSIDE = ("scaling", "backbone", "pooling", "head", "probabilities")

# What may stand before the first weights and change pixels only.
_SCALING = (keras.layers.Normalization, keras.layers.Rescaling, keras.layers.Resizing)


def opened(model: keras.Model, image_size: int) -> keras.Model:
    """The part of a network up to its last feature map, of layers of its own.

    What models inside the network compute is part of the same graph. A classifier, and the pooling
    before it, is left out.

    Args:
        model: functional or sequential, from images (batch, height, width, 3).
        image_size: height and width that it takes, pixels.

    Raises:
        WeightsError: it uses weights at several places, or has no feature map.
    """
    images, copies = keras.Input((image_size, image_size, 3)), _Copies()
    whole = keras.Model(images, copies.through(model, images))
    network = keras.Model(images, _feature_map(whole))
    copies.take_weights(network)
    return network


def copied(network: keras.Model, image_size: int, *, source_weights: bool = True) -> keras.Model:
    """A network that `opened` gives, of layers of its own, for images of another size.

    Args:
        network: from images.
        image_size: height and width of the copy's input, pixels.
        source_weights: whether it has the weights of the other; random ones otherwise, but for what
            scales pixels.

    Raises:
        UnfitError: a layer does not take what comes of such images.
    """
    images, copies = keras.Input((image_size, image_size, 3)), _Copies()
    copy = keras.Model(images, copies.through(network, images))
    copies.take_weights(copy, keep_random=not source_weights)
    return copy


def described(network: keras.Model) -> Any:
    """The graph of a network as JSON types, without its weights."""
    return keras.saving.serialize_keras_object(network)


def from_description(description: Any, weights: Sequence[Any]) -> keras.Model:
    """A network from what `described` gave, which may hold code, and from its weights."""
    found = keras.saving.deserialize_keras_object(description, safe_mode=False)
    # Keras 3.10 gives back a list of one input
    network = keras.Model(found.inputs[0], found.outputs[0], name=found.name)
    network.set_weights(list(weights))
    for layer in network.layers:
        settle(layer)
    return network


def rebuilt(layer: keras.Layer, **changes: Any) -> keras.Layer:
    """A layer with the same settings but for some, and weights of its own."""
    settings = {**layer.get_config(), **changes}
    if isinstance(layer, keras.layers.Lambda):
        # whoever loaded the network has been asked whether its code may run
        return keras.layers.Lambda.from_config(settings, safe_mode=False)
    return type(layer).from_config(settings)


class UnfitError(Exception):
    """A layer does not take what comes of images of a size; its name is the text."""


def is_graph(model: Any) -> bool:
    """Whether a model is a graph of layers, one of them the only input, one tensor the output."""
    return (
        isinstance(model, keras.Model)
        and len(getattr(model, "inputs", None) or ()) == 1
        and len(getattr(model, "outputs", None) or ()) == 1
    )


@dataclass
class _Copies:
    """Layers as those of a network, each with a name that no other has."""

    made: list[tuple[keras.Layer, keras.Layer]] = field(default_factory=list)
    names: set[str] = field(default_factory=set)

    def through(self, model: Any, inputs: Any) -> Any:
        """What a model makes of symbolic inputs, computed by copies of its layers."""
        return called_again(keras.Model(model.inputs, model.outputs), inputs, self._called)[0]

    def take_weights(self, network: keras.Model, *, keep_random: bool = False) -> None:
        """Give the copies in a network the weights of the layers that they are copies of."""
        inside = set(map(id, network.layers))
        for layer, copy in self.made:
            scales = isinstance(layer, _SCALING)
            if id(copy) not in inside or not copy.weights or (keep_random and not scales):
                continue
            try:
                copy.set_weights(layer.get_weights())
            except ValueError as error:
                raise UnfitError(layer.name) from error
            settle(copy)

    def _called(self, operation: Any, *inputs: Any, **options: Any) -> Any:
        # frozen parts are called so in training scripts: here each phase decides
        options.pop("training", None)
        if _is_augmentation(operation):
            return inputs[0]
        if is_graph(operation) and len(inputs) == 1:
            return self.through(operation, inputs[0])
        copy = self._copy_of(operation)
        try:
            return copy(*inputs, **options)
        except (ValueError, TypeError) as error:
            raise UnfitError(operation.name) from error

    def _copy_of(self, operation: Any) -> Any:
        if not isinstance(operation, keras.Layer):
            copy = _as_new(operation)
            copy.name = self._own_name(operation)
            return copy
        if operation.weights and any(layer is operation for layer, _ in self.made):
            raise WeightsError(
                f"Each layer with weights must stand at one place of the network; {operation.name} "
                "is used at several. Build the network with a layer for each place."
            )
        name = self._own_name(operation)
        # processors have no fast 16-bit numbers, and all that comes after has 32
        half = operation.compute_dtype in ("float16", "bfloat16")
        copy = rebuilt(operation, name=name, **({"dtype": "float32"} if half else {}))
        self.made.append((operation, copy))
        return copy

    def _own_name(self, operation: Any) -> str:
        """A name that neither the network has so far, nor a layer around it."""
        taken = operation.name in _OUTSIDE or counted(operation)
        own = f"{operation.name.removesuffix(WITHIN)}{WITHIN}" if taken else operation.name
        name, number = own, 1
        while name in self.names:
            name, number = f"{own}_{number}", number + 1
        self.names.add(name)
        return name


def _is_augmentation(operation: Any) -> bool:
    """Whether it changes images at random while training: here the experiment says how."""
    kind = type(operation)
    drawn = kind.__name__.startswith(("Random", "AugMix", "RandAugment"))
    return drawn and kind.__module__.startswith("keras.") and kind.__name__ != "RandomCrop"


def _as_new(operation: keras.Operation) -> Any:
    return keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(operation))


def _feature_map(network: keras.Model) -> Any:
    """The last tensor (batch, height, width, channels) that all after it is computed from.

    Raises:
        WeightsError: there is none, or what comes after it is no classifier.
    """
    found: Any = None
    above: list[keras.Operation] = []
    ended = False
    for segment in _without_scores(list(segments(network))):
        output = segment[-1].output
        ended = ended or _ends_maps(segment, found)
        if len(output.shape) == 4 and not (ended and _side(output) == 1):
            found, above, ended = output, [], False
        else:
            above.extend(segment)
    odd = [each for each in above if getattr(each, "weights", ()) and not _classifies(each)]
    if found is None or not _has_weights_below(network, found):
        raise WeightsError(
            "The network must have feature maps (batch, height, width, channels) behind its first "
            f"weights; got one that gives {network.output.shape}. Use a convolutional network."
        )
    if odd:
        raise WeightsError(
            "Behind the last feature map (batch, height, width, channels) there may be a "
            f"classifier of Dense layers only; got {odd[0].name} ({type(odd[0]).__name__}), as "
            "transformers have it. Use a convolutional network."
        )
    return found


def _without_scores(parts: list[list[keras.Operation]]) -> list[list[keras.Operation]]:
    """Segments less a last convolution that scores classes at every place, as SqueezeNet has it.

    Behind it there are no weights, nothing is left of height and width, and it has neither a kernel
    of more than one place nor a normalisation.
    """
    weighted = [part for part in parts if any(getattr(each, "weights", ()) for each in part)]
    if not weighted or len(parts[-1][-1].output.shape) != 2:
        return parts
    (last, *more) = weighted[-1]
    plain = isinstance(last, keras.layers.Conv2D) and last.kernel_size == (1, 1) and last.use_bias
    return parts[: parts.index(weighted[-1])] if plain and not more else parts


def _ends_maps(segment: Sequence[keras.Operation], before: Any) -> bool:
    """Whether a segment without weights leaves nothing of height and width, as pooling does."""
    output = segment[-1].output
    if before is None or any(getattr(each, "weights", ()) for each in segment):
        return False
    if len(output.shape) != 4:
        return len(output.shape) == 2
    pools = keras.layers.GlobalAveragePooling2D, keras.layers.GlobalMaxPooling2D
    return isinstance(segment[-1], pools) or (_side(output) == 1 and _side(before) > 1)


def _side(tensor: Any) -> int:
    return max(tensor.shape[1:3])


def _classifies(layer: Any) -> bool:
    return isinstance(layer, _CLASSIFIER)


def _has_weights_below(network: keras.Model, tensor: Any) -> bool:
    layers = keras.Model(network.input, tensor).layers
    return any(layer.weights and not isinstance(layer, _SCALING) for layer in layers)
