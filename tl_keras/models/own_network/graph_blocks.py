"""Blocks of a network that the table does not know, with names from its graph."""

import re
from collections.abc import Iterator, Sequence
from itertools import groupby

import keras

from tl_keras.backbone_table import BlockRules
from tl_keras.models.blocks import segments

Segment = Sequence[keras.Operation]

# How those who build networks name the layers of a block, the most telling first.
_NAMES = (
    r"(.*?(?:stage|stack|group|layer|block|conv)s?[_./]?\d+[_./](?:block|unit|layer)s?[_./]?\d+[a-z]?)"
    r"(?=[_./]|$)",
    r"(.*?(?:stage|stack|group|layer)s?[_./]?\d+[_./]\d+)(?=[_./]|$)",
    r"(.*?(?:block|mixed|unit|cell|bottleneck|fire|module|expanded_conv)s?[_./]?\d+[a-z]?)"
    r"(?=[_./]|$)",
    r"(.*?(?:stage|stack|group|layer|features)s?[_./]?\d+[a-z]?)(?=[_./]|$)",
)
STEM, TOP = "stem", "top"
# Ends names of layers that others outside the network could have as well.
WITHIN = "_within"
# Names say where blocks are if they tell at least so many apart.
_FEWEST_NAMED = 3


def blocks_of_graph(network: keras.Model) -> tuple[tuple[str, ...], BlockRules]:
    """Names of the blocks from input to output, and which block each layer belongs to.

    The layers' own names say it where they fit the graph: each a run of segments that no other
    block interrupts. Else a block ends where branches join, and along a chain with a convolution
    over channels: one before a depthwise convolution, which widens, belongs to what follows.

    Args:
        network: functional, with one output (batch, height, width, channels).
    """
    parts = _with_maps(segments(network))
    named = _by_names(parts) or _by_structure(parts)
    names = tuple(dict.fromkeys(name for name, _ in named))
    rules = tuple(
        (re.escape(operation.name) + "$", name) for name, part in named for operation in part
    )
    return names, rules


def counted(operation: keras.Operation) -> bool:
    """Whether Keras made up the name, as `conv2d_12`."""
    kind = re.escape(type(operation).__name__.lower())
    name = operation.name.removesuffix(WITHIN).replace("_", "")
    return re.fullmatch(rf"{kind}\d*", name) is not None


def _with_maps(parts: Iterator[Segment]) -> list[list[keras.Operation]]:
    """Segments joined until each ends with a feature map (batch, height, width, channels)."""
    joined: list[list[keras.Operation]] = [[]]
    for part in parts:
        joined[-1].extend(part)
        if len(part[-1].output.shape) == 4:
            joined.append([])
    return [part for part in joined if part]


def _by_names(parts: Sequence[Segment]) -> list[tuple[str, Segment]] | None:
    """Each segment with the block that names say; None where they do not."""
    for pattern in _NAMES:
        labels = [_labels(part, pattern) for part in parts]
        if any(len(found) > 1 for found in labels):
            continue
        known = [next(iter(found), "") for found in labels]
        runs = [name for name, _ in groupby(filter(None, known))]
        convolving = [name for name, part in zip(known, parts, strict=True) if _has_kernel(part)]
        mostly = 2 * sum(map(bool, convolving)) >= len(convolving)
        if mostly and len(runs) >= _FEWEST_NAMED and len(set(runs)) == len(runs):
            return list(zip(_filled(known, parts), parts, strict=True))
    return None


def _labels(part: Segment, pattern: str) -> set[str]:
    found = (re.match(pattern, operation.name) for operation in part if not counted(operation))
    # they become parts of file names, and of ranges "first:last"
    return {re.sub(r"[^\w.-]", "_", match[1], flags=re.ASCII) for match in found if match}


def _filled(known: Sequence[str], parts: Sequence[Segment]) -> list[str]:
    """Names for segments without one: what comes before all, between, and after all."""
    places = [place for place, name in enumerate(known) if name]
    first, last = places[0], places[-1]
    filled = []
    current = STEM if any(map(_has_kernel, parts[:first])) else known[first]
    for place, (name, part) in enumerate(zip(known, parts, strict=True)):
        if place > last and _has_kernel(part):
            current = TOP
        current = name or current
        filled.append(current)
    return filled


def _by_structure(parts: Sequence[Segment]) -> list[tuple[str, Segment]]:
    """Each segment with a numbered block."""
    numbered: list[tuple[str, Segment]] = []
    number, inside = 1, list[Segment]()
    for part in parts:
        if _has_kernel(part):
            if inside and _begins(inside, part):
                number, inside = number + 1, []
            inside.append(part)
        numbered.append((f"block_{number}", part))
    return numbered


def _begins(inside: Sequence[Segment], part: Segment) -> bool:
    """Whether a segment that convolves is the first of a block, after others that do."""
    if _joins(part) or _joins(inside[-1]):
        return True
    if _weighs(part) or _weighs(inside[-1]):
        return False
    *_, before = kernels = [_kernel(each) for each in inside]
    if _is_depthwise(before):
        return False
    widened = _is_depthwise(_kernel(part)) and _is_pointwise(before)
    return not widened or any(map(_is_depthwise, kernels))


def _joins(part: Segment) -> bool:
    """Whether it ends with branches that become one, as residual blocks do."""
    return len(part) > 1 and not _weighs(part)


def _weighs(part: Segment) -> bool:
    """Whether it multiplies a map with what another branch makes of it (squeeze and excitation)."""
    return len(part) > 1 and type(part[-1]).__name__ == "Multiply"


def _kernel(part: Segment) -> keras.Operation:
    """The first of its layers that convolves."""
    return next(filter(_convolves, part))


def _has_kernel(part: Segment) -> bool:
    return any(_convolves(operation) for operation in part)


def _convolves(operation: keras.Operation) -> bool:
    return any(len(weight.shape) >= 2 for weight in getattr(operation, "weights", ()))


def _is_depthwise(operation: keras.Operation) -> bool:
    return isinstance(operation, keras.layers.DepthwiseConv2D) or (
        isinstance(operation, keras.layers.Conv2D) and operation.groups == operation.filters > 1
    )


def _is_pointwise(operation: keras.Operation) -> bool:
    return isinstance(operation, keras.layers.Conv2D) and operation.kernel_size == (1, 1)
