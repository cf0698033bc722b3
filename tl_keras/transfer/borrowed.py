"""The backbone that trainings share: cut where a recipe says, and put back after each."""

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any

import numpy as np

from tl_keras.models.backbone import Backbone
from tl_keras.models.fused import fused, gains


class BorrowedBackbone:
    """A backbone that knows which of its weights are not the source's.

    Putting back what a training changed takes a fraction of the time of putting back all.
    """

    def __init__(self, backbone: Backbone) -> None:
        """Take over a backbone that holds its source weights."""
        self.whole = backbone
        self._parts: dict[str, Backbone] = {}
        self._variables = list(backbone.model.weights)
        self._position = {id(variable): at for at, variable in enumerate(self._variables)}
        self._changed: set[int] = set()

    @cached_property
    def gains(self) -> dict[int, float]:
        """By how much BatchNorm multiplies kernels; see `fused.gains`. No training changes it."""
        return gains(fused(self.whole.model))

    def up_to(self, cut: str | None) -> Backbone:
        """The part up to and with the block `cut`; None is the whole. All share their layers."""
        name = cut or self.whole.blocks[-1].name
        if name not in self._parts:
            self._parts[name] = self.whole.cut_after(name)
        return self._parts[name]

    def expect_changes(self, variables: Iterable[Any]) -> None:
        """Note that these variables, where they are the backbone's, may change from now on."""
        self._changed |= {self._position[id(v)] for v in variables if id(v) in self._position}

    def weights_of(self, variables: Iterable[Any]) -> dict[int, np.ndarray]:
        """Values of those variables that are the backbone's, by position in its weights."""
        return {
            self._position[id(variable)]: variable.numpy()
            for variable in variables
            if id(variable) in self._position
        }

    def load(self, weights: Mapping[int, np.ndarray]) -> None:
        """Set the weights at these positions, and the source's at all others."""
        for position in self._changed - weights.keys():
            self._variables[position].assign(self.whole.source_weights[position])
        for position, values in weights.items():
            self._variables[position].assign(values)
        self._changed = set(weights)
