"""Load a weights file into a backbone completely, or say what is wrong with the file."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from tl_keras.backbone_table import FILE, BackboneSpec, rows_named
from tl_keras.config.asked_network import instead
from tl_keras.errors import WeightsError
from tl_keras.invocation import again
from tl_keras.models.networks import build_backbone
from tl_keras.models.stored.layer_match import Match, match
from tl_keras.models.stored.network_facts import has_network
from tl_keras.models.stored.stored_layers import Stored, StoredLayer, stored_layers
from tl_keras.safe_text import one_line

# How many layers a message names.
_NAMED = 3


def load_weight_file(
    backbone: keras.Model, path: Path, spec: BackboneSpec, alpha: float | None
) -> None:
    """Set every weight of a backbone from a file of its weights, or of a network around it.

    Args:
        backbone: built without its classifier.
        path: as of `stored_layers`.
        spec: its row.
        alpha: its width multiplier; None is 1.0.

    Raises:
        WeightsError: no weights file, or one without all weights of this architecture.
    """
    stored = stored_layers(path)
    found = match(backbone, stored)
    if not found.is_whole or _more_blocks(found, spec):
        raise WeightsError(_mismatch(backbone, path, spec, alpha, stored, found))
    found.give(backbone)
    broken = [
        weight.path
        for weight in backbone.weights
        if keras.backend.is_float_dtype(weight.dtype) and not np.isfinite(weight.numpy()).all()
    ]
    if broken:
        raise WeightsError(
            f"{path} has {len(broken)} arrays of {in_words(spec, alpha)} that are not finite "
            f"({broken[0]} first). Save the weights again from a sound network."
        )


def in_words(spec: BackboneSpec, alpha: float | None) -> str:
    """An architecture, for messages."""
    return f"{spec.name} with alpha {alpha or 1.0}" if spec.alphas else spec.name


def _more_blocks(found: Match, spec: BackboneSpec) -> list[StoredLayer]:
    """Layers of a larger network of the same kind, whose names begin as this one's.

    A classifier has no kernel beyond 1 x 1, or a name of its own.
    """
    return [
        each
        for each in found.beside
        if any(array.ndim == 4 and max(array.shape[:2]) > 1 for array in each.arrays.values())
        and (not each.name or spec.block_of(each.short_name))
    ]


def _mismatch(
    backbone: keras.Model,
    path: Path,
    spec: BackboneSpec,
    alpha: float | None,
    stored: Stored,
    found: Match,
) -> str:
    held = sum(array.size for each in stored.layers for array in each.arrays.values())
    told = (
        f"{path} does not hold the weights of {in_words(spec, alpha)}: {_fault(found, spec)}. "
        f"The network has {backbone.count_params():,} parameters, the file {held:,}."
    )
    fitting = next(_fitting(stored, spec, alpha), None)
    if fitting is not None:
        row, width = fitting
        kept = None if (width or 1.0) == (alpha or 1.0) == 1.0 else width
        changes = instead(name=row.name, alpha=kept, weights=str(path))
        return f"{told} It holds those of {in_words(row, width)}: {again(changes)}"
    if has_network(path):
        changes = instead(name=FILE, alpha=None, weights=str(path))
        return f"{told} It holds another network. What borrows from it: {again(changes)}"
    return (
        f"{told} Set backbone.name and backbone.alpha to what the file was made for, or give the "
        'network with its weights, as model.save("net.keras") writes it.'
    )


def _fault(found: Match, spec: BackboneSpec) -> str:
    if more := _more_blocks(found, spec):
        names = [each.name or each.place for each in more]
        return f"it is of a larger network, with layers such as {_some(names)}"
    if not found.values and not found.differing:
        return "none of its layers is in the file"
    faults = []
    if found.absent:
        faults.append(f"layers that the file lacks: {len(found.absent)} ({_some(found.absent)})")
    if found.differing:
        name, own, other = found.differing[0]
        faults.append(
            f"layers with other shapes there: {len(found.differing)} ({name} has {_shapes(other)}, "
            f"not {_shapes(own)})"
        )
    return "; ".join(faults)


def _some(names: Sequence[str]) -> str:
    shown = [one_line(name) for name in names[:_NAMED]]
    return ", ".join([*shown, *(["..."] if len(names) > _NAMED else [])])


def _shapes(shapes: Any) -> str:
    return " + ".join(" x ".join(map(str, shape)) or "1" for shape in shapes) or "nothing"


def _fitting(
    stored: Stored, spec: BackboneSpec, alpha: float | None
) -> Iterator[tuple[BackboneSpec, float | None]]:
    """Networks of the table whose weights a file holds, the one asked for first."""
    rows = rows_named(each.short_name for each in stored.layers)
    if spec in rows or not any(each.name for each in stored.layers):
        rows = [spec, *(each for each in rows if each is not spec)]
    for row in rows:
        for width in row.alphas or (None,):
            if (row, width or 1.0) == (spec, alpha or 1.0):
                continue
            built = build_backbone(row.name, image_size=row.minimum_image_size, alpha=width)
            found = match(built, stored)
            if found.is_whole and not _more_blocks(found, row):
                yield row, width
