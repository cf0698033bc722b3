"""Workers that know the tiny network."""

from dataclasses import dataclass

import keras

from tests.hostile.tiny_network import BACKBONE, network, register_row
from tl_keras.experiment.prepare import Prepared
from tl_keras.experiment.shared_inputs import InFolder, InStore


@dataclass(frozen=True)
class TinyInFolder(InFolder):
    """What processes have of an experiment with the tiny network."""

    def __call__(self) -> Prepared:
        """The experiment, in a process that knew nothing of the network before."""
        _register()
        return super().__call__()


@dataclass(frozen=True)
class TinyInStore(InStore):
    """What workers of Ray have of it."""

    def __call__(self) -> Prepared:
        """The experiment, in a process that knew nothing of the network before."""
        _register()
        return super().__call__()


def _register() -> None:
    register_row()
    setattr(keras.applications, BACKBONE, network)
