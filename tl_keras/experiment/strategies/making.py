"""What the module of a strategy offers, and where it is found."""

import importlib
from collections.abc import Mapping, Sequence
from typing import Protocol, cast

import keras
import numpy as np

from tl_keras.config.schema import ExperimentConfig
from tl_keras.data.splits import Draw
from tl_keras.experiment.prepare import Prepared
from tl_keras.experiment.strategies.fitted import Fitted, Refitted
from tl_keras.models.backbone import Backbone
from tl_keras.results.runs_table import FinishedRun
from tl_keras.strategy_table import STRATEGIES
from tl_keras.transfer.run_plan import Run


class Making(Protocol):
    """The functions of a strategy's module."""

    def fit(self, prepared: Prepared, run: Run, draw: Draw) -> Fitted:
        """Make a run on the images of a draw."""

    def model(
        self, prepared: Prepared, run: FinishedRun, weights: Mapping[str, np.ndarray]
    ) -> keras.Model:
        """Rebuild the classifier of a finished run from the weights that it left.

        It takes images, 0..255 (batch, size, size, 3), and gives probabilities. It pools maps and
        ends in a Softmax layer, which is what the pictures of its errors are drawn from.
        """

    def seconds(self, run: Run, config: ExperimentConfig, train: int, validation: int) -> float:
        """Guess roughly how long a run takes with so many images."""


class ModelMaking(Making, Protocol):
    """The functions of the module of a strategy whose model can be fitted anew.

    Of one without them the measured model itself is handed over.
    """

    def refit(self, prepared: Prepared, runs: Sequence[FinishedRun], rows: np.ndarray) -> Refitted:
        """Fit the classifier of the first of some runs anew, with all that was chosen for it.

        How long it trains is what validation chose in the middle of these runs of one strategy.

        Args:
            prepared: the experiment.
            runs: finished ones.
            rows: positions of the images to learn from.
        """

    def probabilities(
        self,
        prepared: Prepared,
        run: FinishedRun,
        weights: Mapping[str, np.ndarray],
        rows: np.ndarray,
    ) -> np.ndarray:
        """What the classifier of a run says of images, float32 (images, classes)."""


class BackboneMaking(ModelMaking, Protocol):
    """The functions of the module of a strategy that changes the backbone."""

    def trained_backbone(
        self, prepared: Prepared, run: FinishedRun, weights: Mapping[str, np.ndarray]
    ) -> Backbone | None:
        """Rebuild the backbone of a finished run; None where nothing improved on the source's."""


def making(strategy: str) -> Making:
    """The module that makes the runs of a strategy."""
    return cast(Making, importlib.import_module(STRATEGIES[strategy].module))


def model_making(strategy: str) -> ModelMaking | None:
    """The module of a strategy; None where its model cannot be fitted anew."""
    module = making(strategy)
    return cast(ModelMaking, module) if hasattr(module, "refit") else None


def backbone_making(strategy: str) -> BackboneMaking:
    """The module of a strategy whose row says `changes_backbone`."""
    return cast(BackboneMaking, making(strategy))
