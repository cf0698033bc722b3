"""The strategy majority_class: every image is answered with the class shares of the training."""

from collections.abc import Mapping

import keras
import numpy as np

from tl_keras.config.schema import ExperimentConfig
from tl_keras.data.splits import Draw
from tl_keras.errors import ExportError
from tl_keras.experiment.prepare import Prepared
from tl_keras.experiment.strategies.fitted import Fitted
from tl_keras.results.runs_table import FinishedRun
from tl_keras.transfer.run_plan import Run


def fit(prepared: Prepared, run: Run, draw: Draw) -> Fitted:
    """Count the classes of the training images."""
    counts = np.bincount(prepared.labels[draw.train], minlength=len(prepared.classes))
    shares = (counts / counts.sum()).astype(np.float32)
    validation, test = (
        np.tile(shares, (len(rows), 1)) for rows in (draw.validation, prepared.test_of(run))
    )
    return Fitted(validation, test, weights={})


def model(prepared: Prepared, run: FinishedRun, weights: Mapping[str, np.ndarray]) -> keras.Model:
    """Refuse: what looks at no image is no model.

    Raises:
        ExportError: always.
    """
    raise ExportError(f"{run.run_id} is no model: it answers all images alike.")


def seconds(run: Run, config: ExperimentConfig, train: int, validation: int) -> float:
    """Nothing to speak of."""
    return 0.0
