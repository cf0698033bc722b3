"""The blocks of a backbone: where it can be cut, and which of its layers train."""

from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import keras

from tl_keras.backbone_table import BackboneSpec
from tl_keras.errors import ConfigError


@dataclass(frozen=True)
class Block:
    """A run of layers between two tensors that each separate the graph.

    Attributes:
        name: As in `BackboneSpec.blocks`.
        output: The tensor that everything after the block is computed from,
            `(batch, height, width, channels)`.
        layers: The backbone's layers in the block, in the order of computation.
    """

    name: str
    output: keras.KerasTensor
    layers: tuple[keras.Layer, ...]


def find_blocks(backbone: keras.Model, spec: BackboneSpec) -> tuple[Block, ...]:
    """The blocks from input to output; together they hold every layer of the backbone once.

    A segment (what lies between two neighbouring separators) belongs to the block that
    `spec.block_rules` read from its layers' names; a segment without a known name continues the
    block before it.

    Raises:
        ValueError: The backbone's graph has other blocks than the table says.
    """
    grouped: dict[str, list[keras.Operation]] = {}
    current = spec.blocks[0]
    for segment in segments(backbone):
        current = _segment_label(segment, spec) or current
        grouped.setdefault(current, []).extend(segment)
    if tuple(grouped) != spec.blocks:
        raise ValueError(
            f"The graph of {spec.name} must have the blocks {', '.join(spec.blocks)}; "
            f"got {', '.join(grouped)}. Is it a backbone built by build_backbone?"
        )
    return tuple(
        Block(name, operations[-1].output, tuple(o for o in operations if _is_layer(o)))
        for name, operations in grouped.items()
    )


def split_backbone(
    backbone: keras.Model, blocks: Sequence[Block], unfrozen_blocks: int | str
) -> tuple[keras.Model | None, keras.Model | None, keras.Model | None]:
    """The parts (below, unfrozen, above), which share their layers with the backbone.

    Applied one after the other they equal the backbone exactly. A part without blocks is None, and
    a part with all of them is the backbone itself. No trainable flag changes.

    Raises:
        ConfigError: `unfrozen_blocks` (as of `unfrozen_range`) does not suit the blocks.
    """
    unfrozen = unfrozen_range(blocks, unfrozen_blocks)
    tensors = [backbone.input, *(block.output for block in blocks)]

    def part(start: int, stop: int) -> keras.Model | None:
        if start == stop:
            return None
        if (start, stop) == (0, len(blocks)):
            return backbone
        return keras.Model(tensors[start], tensors[stop])

    return (
        part(0, unfrozen.start),
        part(unfrozen.start, unfrozen.stop),
        part(unfrozen.stop, len(blocks)),
    )


def set_trainable(
    backbone: keras.Model, blocks: Sequence[Block], unfrozen_blocks: int | str
) -> int:
    """Make the unfrozen blocks trainable and freeze the rest.

    Changes the flag of every layer of the backbone. BatchNormalization layers are frozen in every
    block: with few images their statistics would move, and `training=False` does not stop `fit`.
    A model that was compiled before must be compiled again.

    Returns:
        How many layers that hold weights are trainable now.

    Raises:
        ConfigError: `unfrozen_blocks` (as of `unfrozen_range`) does not suit the blocks.
    """
    unfrozen = unfrozen_range(blocks, unfrozen_blocks)
    # a container's flag is handed down to its children, so containers come before leaves
    backbone.trainable = len(unfrozen) > 0
    unfrozen_layers = 0
    for index, block in enumerate(blocks):
        for leaf in leaves(block.layers):
            leaf.trainable = index in unfrozen and not _is_batch_norm(leaf)
            unfrozen_layers += bool(leaf.trainable_weights)
    return unfrozen_layers


def leaves(layers: Sequence[keras.Layer]) -> Iterator[keras.Layer]:
    """The layers that have no layers inside, each once, in the order in which Keras walks."""
    waiting, seen = deque(layers), set()
    while waiting:
        layer = waiting.popleft()
        if id(layer) in seen:
            continue
        seen.add(id(layer))
        inside = _inside(layer)
        if not inside:
            yield layer
        waiting.extendleft(inside)


def block_of_variable(blocks: Sequence[Block]) -> dict[int, int]:
    """Position of the block that each variable belongs to, by the variable's `id`."""
    return {
        id(variable): index
        for index, block in enumerate(blocks)
        for leaf in leaves(block.layers)
        for variable in leaf.weights
    }


def unfrozen_range(blocks: Sequence[Block], unfrozen_blocks: int | str) -> range:
    """Positions of the blocks that train.

    Args:
        blocks: up to the head, from input to output.
        unfrozen_blocks: how many, counted from the head; "all"; or "first:last", the names of the
            lowest and the highest of them.

    Raises:
        ConfigError: there are fewer blocks, or none of these names, or in another order.
    """
    if isinstance(unfrozen_blocks, int) or unfrozen_blocks == "all":
        return range(len(blocks) - count_unfrozen(blocks, unfrozen_blocks), len(blocks))
    names = [block.name for block in blocks]
    first, _, last = unfrozen_blocks.partition(":")
    if first not in names or last not in names[names.index(first) :]:
        raise ConfigError(
            'unfrozen_blocks must be a number, "all", or first:last with two of the blocks '
            f"{', '.join(names)}, in this order; got {unfrozen_blocks}. Name blocks up to the cut."
        )
    return range(names.index(first), names.index(last) + 1)


def count_unfrozen(blocks: Sequence[Block], unfrozen_blocks: int | str) -> int:
    """`unfrozen_blocks`, a number or "all", as a number, 0 to the number of blocks.

    Raises:
        ConfigError: It is neither "all" nor within that range.
    """
    if unfrozen_blocks == "all":
        return len(blocks)
    if not isinstance(unfrozen_blocks, int) or not 0 <= unfrozen_blocks <= len(blocks):
        raise ConfigError(
            f'unfrozen_blocks must be 0 to {len(blocks)} or "all": the backbone has '
            f"{len(blocks)} blocks ({', '.join(block.name for block in blocks)}); "
            f"got {unfrozen_blocks}. Ask for fewer blocks."
        )
    return unfrozen_blocks


def segments(backbone: keras.Model) -> Iterator[list[keras.Operation]]:
    """The operations of a network, parted wherever one tensor carries everything.

    Every operation lies before or after a separating tensor, so any order of computation finds the
    same separators.
    """
    needed = Counter(
        id(tensor) for operation in backbone.operations for tensor in _inputs(operation)
    )
    needed.update(id(tensor) for tensor in backbone.outputs)
    waiting: Counter[int] = Counter()
    segment: list[keras.Operation] = []
    for operation in backbone.operations:
        segment.append(operation)
        waiting.subtract(id(tensor) for tensor in _inputs(operation))
        waiting.update({id(t): needed[id(t)] for t in keras.tree.flatten(operation.output)})
        waiting = +waiting
        if len(waiting) == 1:
            yield segment
            segment = []


def _inputs(operation: keras.Operation) -> list[Any]:
    if isinstance(operation, keras.layers.InputLayer):
        return []
    return list(keras.tree.flatten(operation.input))


def _segment_label(segment: Sequence[keras.Operation], spec: BackboneSpec) -> str | None:
    labels = {label for operation in segment if (label := spec.block_of(operation.name))}
    if len(labels) > 1:
        raise ValueError(
            f"No tensor separates the blocks {', '.join(sorted(labels))}: the rules of the "
            "backbone's row must give them one name."
        )
    return labels.pop() if labels else None


def _is_layer(operation: keras.Operation) -> bool:
    return isinstance(operation, keras.Layer)


def _is_batch_norm(layer: keras.Layer) -> bool:
    return isinstance(layer, keras.layers.BatchNormalization)


def _inside(layer: keras.Layer) -> list[keras.Layer]:
    if isinstance(layer, keras.Model):
        return list(layer.layers)
    return [value for value in vars(layer).values() if isinstance(value, keras.Layer)]
