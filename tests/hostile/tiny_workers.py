"""Worker processes that know the tiny network."""

from dataclasses import dataclass

import keras

from tests.hostile.tiny_network import BACKBONE, network, register_row
from tl_keras.experiment.prepare import Prepared
from tl_keras.experiment.shared_inputs import InFolder


@dataclass(frozen=True)
class TinyInFolder(InFolder):
    """What workers of an experiment with the tiny network have."""

    def __call__(self) -> Prepared:
        """The experiment, in a process that knew nothing of the network before."""
        register_row()
        setattr(keras.applications, BACKBONE, network)
        return super().__call__()
