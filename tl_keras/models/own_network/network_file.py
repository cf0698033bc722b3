"""A network of one's own, from a file, as a backbone with a row of its own."""

import math
import shutil
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import keras

from tl_keras.backbone_table import BackboneSpec, Scaling
from tl_keras.digests import file_digest
from tl_keras.errors import ConfigError, WeightsError
from tl_keras.invocation import settings
from tl_keras.models.own_network.graph_blocks import blocks_of_graph
from tl_keras.models.own_network.open_network import UnfitError, copied, is_graph, opened
from tl_keras.models.own_network.scaling_fit import USUAL, own_scaling, scaling_distances
from tl_keras.models.stored.layer_match import match
from tl_keras.models.stored.network_facts import description, network_facts
from tl_keras.models.stored.older_networks import is_older, modern
from tl_keras.models.stored.stored_layers import ARCHIVE, kind_of_weights, stored_layers

# Where a network takes images of any size, its blocks are found at this one, pixels.
_USUAL_SIZE = 224
# Below it nothing is left of a picture after the usual five halvings.
_SMALLEST = 32


def load_network(
    path: Path, *, image_size: int, scaling: Scaling | None, trust_code: bool
) -> tuple[keras.Model, BackboneSpec]:
    """A network up to its last feature map, with the file's weights, and what is known of it.

    Args:
        path: of a file that describes it: `.keras`, `.h5`, or a SavedModel of Keras 2.
        image_size: height and width of the input, pixels.
        scaling: what the network wants to see; None is to find out.
        trust_code: whether code in the file may be run.

    Raises:
        WeightsError: the file cannot be read, or its network cannot be a backbone or take such
            images.
        ConfigError: the scaling is not given and cannot be found.
    """
    spec = network_spec(path, scaling=scaling, trust_code=trust_code)
    network = _network(path, spec.file_digest, trust_code)
    try:
        return copied(network, image_size), spec
    except UnfitError as error:
        raise WeightsError(
            f"The network in {path} cannot take images of {image_size} pixels: its layer {error} "
            f"was built for another size. Set backbone.image_size to {spec.imagenet_size}."
        ) from error


def network_spec(path: Path, *, scaling: Scaling | None, trust_code: bool) -> BackboneSpec:
    """What is known of the network in a file; arguments and errors are those of `load_network`."""
    # first, for what cannot be read at all is told there
    network_facts(path, trust_code=trust_code)
    return _spec(path, file_digest(path), scaling, trust_code)


@lru_cache(maxsize=4)
def _spec(path: Path, digest: str, scaling: Scaling | None, trust_code: bool) -> BackboneSpec:
    network = _network(path, digest, trust_code)
    names, rules = blocks_of_graph(network)
    side = int(network.input.shape[1])
    return BackboneSpec(
        name=path.stem,
        scaling=_scaling(path, network) if scaling is None else scaling,
        minimum_image_size=_SMALLEST,
        imagenet_size=side,
        gflops=_gflops(network) * (224 / side) ** 2,
        blocks=names,
        block_rules=rules,
        file_digest=digest,
    )


def _scaling(path: Path, network: keras.Model) -> Scaling:
    found = own_scaling(network)
    if found is None:
        why = "it has no BatchNorm layer that tells how it wants pixels scaled"
        if scaling_distances(network, USUAL[:1]) is not None:
            why = "no usual scaling fits its first BatchNorm layer clearly better than the others"
        raise ConfigError(
            f'backbone.scaling must be given for {path}: {why}. Set it to "tf" (-1 to 1), '
            '"torch", "caffe", "none" (0 to 255), or such as {"mean": 127, "std": 128}.'
        )
    return found


@lru_cache(maxsize=2)
def _network(path: Path, digest: str, trust_code: bool) -> keras.Model:
    """What `opened` gives of a file, kept for the next of its sizes; nobody trains it."""
    facts = network_facts(path, trust_code=trust_code)
    if not trust_code:
        _check_known(path, facts.foreign)
    side = facts.image_size or _USUAL_SIZE
    try:
        return opened(_read(path, trust_code), side)
    except UnfitError as error:
        raise WeightsError(
            f"The network in {path} cannot be taken apart: its layer {error} does not take what "
            f"comes of images of {side} pixels. Save it with a fixed input size."
        ) from error
    except WeightsError as error:
        raise WeightsError(f"{path}: {error}") from error


def _check_known(path: Path, foreign: tuple[str, ...]) -> None:
    """Refuse layers whose code Keras would look for by itself, and run."""
    unknown = [name for name in foreign if keras.saving.get_registered_object(name) is None]
    if unknown:
        raise WeightsError(
            f"{path} holds layers that are not Keras's own ({', '.join(unknown[:3])}). From "
            "Python, import the module that registers them "
            "(@keras.saving.register_keras_serializable) before; or, if you trust who made the "
            f"file, use {settings({'backbone.trust_code': True})}, and Keras imports them where "
            "they are installed."
        )


def _read(path: Path, trust_code: bool) -> Any:
    described = description(path)
    try:
        if kind_of_weights(path) == ARCHIVE and not is_older(described):
            model = _load(path, trust_code)
        else:
            model = _built(described, path, trust_code)
    except WeightsError:
        raise
    except Exception as error:
        # of what a file may hold, Keras raises whatever it stumbles over
        reason = " ".join(str(error).split())[:300]
        raise WeightsError(
            f"the network cannot be built from the file ({type(error).__name__}: {reason}). Save "
            "it with this version of Keras, with all layers of its own registered."
        ) from error
    if not is_graph(model):
        raise WeightsError("the network must have one input and one output.")
    return model


def _load(path: Path, trust_code: bool) -> Any:
    """What Keras 3 saved, whatever its name: Keras goes by that."""
    with TemporaryDirectory() as folder:
        if path.suffix != ".keras":
            path = Path(shutil.copy(path, Path(folder) / "network.keras"))
        return keras.models.load_model(path, compile=False, safe_mode=not trust_code)


def _built(described: Any, path: Path, trust_code: bool) -> Any:
    """What Keras 2 described, with its weights by the names of layers."""
    model = keras.saving.deserialize_keras_object(modern(described), safe_mode=not trust_code)
    found = match(model, stored_layers(path))
    if not found.is_whole:
        missing = [*found.absent, *(name for name, *_ in found.differing)]
        raise WeightsError(
            f"the file lacks the weights of {len(missing)} layers of its network ({missing[0]} "
            "first). Save the network again."
        )
    found.give(model)
    return model


def _gflops(network: keras.Model) -> float:
    """Multiply-adds of one image, in 1e9: of every kernel, at every place of what it gives."""
    return sum(
        math.prod(weight.shape) * math.prod(operation.output.shape[1:-1]) / 1e9
        for operation in network.operations
        for weight in getattr(operation, "weights", ())
        if len(weight.shape) >= 2
    )
