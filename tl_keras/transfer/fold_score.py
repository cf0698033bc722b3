"""What comes of one trial of a search on one fold, as it is stored."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

# whoever looks for damaged files needs the names alone
if TYPE_CHECKING:
    from tl_keras.transfer.recipe import Trained


@dataclass(frozen=True)
class FoldScore:
    """One configuration, trained on one fold.

    Attributes:
        epochs: trained, both phases together.
        validation_loss: mean cross-entropy on the fold's validation images.
        validation_loss_se: its standard error over these images, or over groups of them.
        validation_accuracy: of the same weights.
        trainable_parameters: numbers that the last phase could change.
        seconds: wall time.
    """

    epochs: int
    validation_loss: float
    validation_loss_se: float
    validation_accuracy: float
    trainable_parameters: int
    seconds: float

    @classmethod
    def of(cls, trained: "Trained", seconds: float) -> "FoldScore":
        return cls(
            epochs=len(trained.history),
            validation_loss=trained.validation_loss,
            validation_loss_se=trained.validation_loss_se,
            validation_accuracy=trained.validation_accuracy,
            trainable_parameters=trained.trainable_parameters,
            seconds=seconds,
        )
