"""Transfer learning on small image sets: how much to borrow from a pretrained network.

Importing this package does not import TensorFlow; what it offers is loaded when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from tl_keras.keras_settings import check_keras, tensorflow_backend

if TYPE_CHECKING:
    from tl_keras.experiment.advise import advise
    from tl_keras.experiment.audit import audit_images
    from tl_keras.experiment.stages import run_experiment
    from tl_keras.models.pretrained import load_backbone
    from tl_keras.results.runs_table import load_runs
    from tl_keras.serving.predictions import predict
    from tl_keras.transfer.block_probes import probe_blocks
    from tl_keras.transfer.transfer_classifier import TransferClassifier
    from tl_keras.transfer.two_phase import fit_two_phase

__version__ = "0.1.0"

__all__ = [
    "TransferClassifier",
    "advise",
    "audit_images",
    "fit_two_phase",
    "load_backbone",
    "load_runs",
    "predict",
    "probe_blocks",
    "run_experiment",
]

_HOMES = {
    "TransferClassifier": "transfer.transfer_classifier",
    "advise": "experiment.advise",
    "audit_images": "experiment.audit",
    "fit_two_phase": "transfer.two_phase",
    "load_backbone": "models.pretrained",
    "load_runs": "results.runs_table",
    "predict": "serving.predictions",
    "probe_blocks": "transfer.block_probes",
    "run_experiment": "experiment.stages",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    # here Keras is imported, unless the caller did so before
    check_keras()
    with tensorflow_backend():
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
