"""Which layers of a file are those of a network."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from tl_keras.models.blocks import leaves
from tl_keras.models.networks import settle
from tl_keras.models.stored.stored_layers import Stored, StoredLayer

Shapes = tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Match:
    """What a file has for a network.

    Attributes:
        values: of every layer that was found, in the order of its weights, by the layer's name.
        absent: layers that were not found.
        differing: layers whose weights have other shapes there: name, own shapes, those found.
        beside: what the file holds more.
    """

    values: Mapping[str, tuple[np.ndarray, ...]]
    absent: tuple[str, ...]
    differing: tuple[tuple[str, Shapes, Shapes], ...]
    beside: tuple[StoredLayer, ...]

    @property
    def is_whole(self) -> bool:
        """Whether the file has every layer of the network."""
        return not (self.absent or self.differing)

    def give(self, network: keras.Model) -> None:
        """Set the weights of the network."""
        for layer in _with_weights(network):
            layer.set_weights(list(self.values[layer.name]))
            settle(layer)


def match(network: keras.Model, stored: Stored) -> Match:
    """The best one: by names of layers, by their places in the file, or by their order there."""
    layers = _with_weights(network)
    by_name = _matched(layers, _by_name(layers, stored.layers), stored.layers)
    if by_name.is_whole:
        return by_name
    others = [_matched(layers, pairs, stored.layers) for pairs in _by_place(network, stored.layers)]
    whole = [each for each in others if each.is_whole]
    # of two such parts nobody knows which is meant
    if len(whole) == 1:
        return whole[0]
    return (_by_order(layers, stored.layers) if stored.ordered else None) or by_name


def _with_weights(network: keras.Model) -> list[keras.Layer]:
    return [layer for layer in leaves(network.layers) if layer.weights]


def _matched(
    layers: Sequence[keras.Layer],
    pairs: Mapping[str, StoredLayer],
    every: Sequence[StoredLayer],
) -> Match:
    values, differing = {}, []
    for layer in layers:
        if layer.name not in pairs:
            continue
        arrays = _in_order(layer, pairs[layer.name].arrays)
        own = tuple(tuple(weight.shape) for weight in layer.weights)
        found = tuple(array.shape for array in arrays)
        if own == found:
            values[layer.name] = arrays
        else:
            differing.append((layer.name, own, found))
    used = set(map(id, pairs.values()))
    return Match(
        values,
        tuple(layer.name for layer in layers if layer.name not in pairs),
        tuple(differing),
        tuple(each for each in every if id(each) not in used),
    )


def _in_order(layer: keras.Layer, arrays: Mapping[str, np.ndarray]) -> tuple[np.ndarray, ...]:
    """Arrays as the layer has its weights: by their names where these are known."""
    names = [weight.name for weight in layer.weights]
    depthwise = isinstance(layer, keras.layers.DepthwiseConv2D)
    # of Keras 2
    older = {"depthwise_kernel": "kernel", "depthwise_bias": "bias"} if depthwise else {}
    known = {older.get(name, name): array for name, array in arrays.items()}
    if set(names) == set(known):
        return tuple(known[name] for name in names)
    return tuple(arrays.values())


def _by_name(
    layers: Sequence[keras.Layer], stored: Sequence[StoredLayer]
) -> dict[str, StoredLayer]:
    kinds = {kind for layer in layers if _is_counted(layer.name, kind := _snake(type(layer)))}
    wanted = _ranked([layer.name for layer in layers], kinds)
    short = _ranked([each.short_name for each in stored], kinds)
    full = _ranked([each.name.replace("/", "_") for each in stored], kinds)
    pairs = {}
    for layer, name in zip(layers, wanted, strict=True):
        for names in (full, short):
            if names.count(name) == 1:
                pairs[layer.name] = stored[names.index(name)]
                break
    return pairs


def _ranked(names: Sequence[str], kinds: set[str]) -> list[str]:
    """Names of which those that Keras counts (conv2d_57) are counted anew, from 0.

    Where they begin depends on what else a process has built.
    """
    counted = {
        name: (kind, int(name[len(kind) + 1 :] or 0))
        for name in names
        for kind in kinds
        if _is_counted(name, kind)
    }
    places: dict[str, str] = {}
    for name, (kind, _) in sorted(counted.items(), key=lambda item: item[1]):
        before = sum(place.startswith(f"{kind}#") for place in places.values())
        places[name] = f"{kind}#{before}"
    return [places.get(name, name) for name in names]


def _is_counted(name: str, kind: str) -> bool:
    return re.fullmatch(rf"{kind}(_\d+)?", name) is not None


def _by_place(
    network: keras.Model, stored: Sequence[StoredLayer]
) -> Iterator[dict[str, StoredLayer]]:
    """By kind and number, as Keras 3 writes it, of the whole or of one model inside."""
    places = dict(_places(network.layers, ""))
    table = {each.place: each for each in stored}
    first = next(iter(places))
    starts = [place for place in table if f"/{place}".endswith(f"/{first}")]
    for prefix in (place.removesuffix(first) for place in starts):
        yield {
            name: table[prefix + place] for place, name in places.items() if prefix + place in table
        }


def _places(layers: Sequence[Any], around: str) -> Iterator[tuple[str, str]]:
    used: dict[str, int] = {}
    for layer in layers:
        kind = _snake(type(layer))
        number = used[kind] = used.get(kind, -1) + 1
        place = f"{around}{kind}_{number}" if number else f"{around}{kind}"
        if inside := getattr(layer, "layers", ()):
            yield from _places(inside, f"{place}/")
        elif layer.weights:
            yield place, layer.name


def _snake(kind: type) -> str:
    """The name of a class as Keras makes one for a layer of it."""
    parted = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", kind.__name__))
    return re.sub("([a-z])([A-Z])", r"\1_\2", parted).lower()


def _by_order(layers: Sequence[keras.Layer], stored: Sequence[StoredLayer]) -> Match | None:
    """By shapes one after the other, as Keras reads files of Keras 2; the rest is beside them."""
    wanted = [tuple(weight.shape) for layer in layers for weight in layer.weights]
    flat = [(each, array) for each in stored for array in each.arrays.values()]
    shapes = [array.shape for _, array in flat]
    for start in range(len(shapes) - len(wanted) + 1):
        if shapes[start : start + len(wanted)] == wanted:
            found = iter(flat[start : start + len(wanted)])
            values = {layer.name: tuple(next(found)[1] for _ in layer.weights) for layer in layers}
            used = {id(each) for each, _ in flat[start : start + len(wanted)]}
            return Match(values, (), (), tuple(each for each in stored if id(each) not in used))
    return None
