"""What would stop an experiment, as far as it is known before TensorFlow is loaded.

Everything here is looked at again when its turn comes: pictures may be unreadable, copies of each
other are kept together, and weights may be of another network.
"""

from dataclasses import dataclass, replace

from tl_keras.config.asked_network import looking_at
from tl_keras.config.schema import ExperimentConfig
from tl_keras.data.division import divide
from tl_keras.data.sources import ImageTable, load_images
from tl_keras.engine.ray_workers import check_ray
from tl_keras.errors import DataError
from tl_keras.evaluation.positive_classes import check_positive
from tl_keras.invocation import settings
from tl_keras.models.sources.source_places import check_source
from tl_keras.results.store import Store
from tl_keras.serving.class_names import unusable_names
from tl_keras.serving.targets import check_targets
from tl_keras.strategy_table import STRATEGIES


@dataclass(frozen=True)
class FirstLook:
    """What is known of an experiment that can begin or go on, as far as was looked.

    Attributes:
        config: as it goes on in its folder.
        note: what that changes, in a sentence; or None.
        fresh: whether older results will be moved aside.
        listed: its images; None where they are not listed yet.
    """

    config: ExperimentConfig
    note: str | None = None
    fresh: bool = False
    listed: ImageTable | None = None


def look_before(config: ExperimentConfig, *, fresh: bool = False) -> FirstLook:
    """Refuse an experiment that cannot begin or go on, as far as this can tell.

    Args:
        config: of the experiment.
        fresh: whether older results will be moved aside.

    Raises:
        ResultsError: its folder holds results of another configuration, or cannot be written.
        NoExportError: a target needs what is not installed.
        WeightsError: the source weights cannot be had.
        ConfigError: `decision.positive` names classes that the images do not have; or Ray is asked
            for and not installed.
        DataError: the images cannot be used or divided as asked, or an export cannot hold the
            names of their classes.
    """
    found = look_at_results(config, fresh=fresh)
    config = found.config
    check_targets(config.export_targets if config.export else ())
    if config.engine.on_ray:
        check_ray()
    return replace(found, listed=look_at_inputs(config, exported=is_exported(config)))


def look_at_results(config: ExperimentConfig, *, fresh: bool = False) -> FirstLook:
    """As `look_before`, at the experiment's folder alone."""
    config, note = Store.continued(config, fresh=fresh)
    Store.check(config, fresh=fresh)
    return FirstLook(config, note, fresh)


def look_at_inputs(config: ExperimentConfig, *, exported: bool = False) -> ImageTable | None:
    """Refuse weights and images that are not there, or images that cannot be divided as asked.

    Args:
        config: of the experiment.
        exported: whether the names of their classes will stand in an export.

    Returns:
        The images; None of those of TFDS, which only TensorFlow lists.

    Raises:
        WeightsError: as `look_before`.
        ConfigError: as `look_before`.
        DataError: as `look_before`.
    """
    table = None if config.data.tfds is not None else load_images(config.data)
    networks = config.backbone.networks
    for entry in networks:
        with looking_at(networks, entry) as network:
            check_source(network)
    if table is not None:
        check_positive(config.decision.positive, table.classes)
        if exported:
            check_names(table.classes)
        divide(table, config)
    return table


def check_names(classes: tuple[str, ...]) -> None:
    """Nothing, if an export can hold the names of these classes.

    Raises:
        DataError: it cannot.
    """
    if fault := unusable_names(classes):
        raise DataError(
            f"The names of classes {fault}: the export holds them. Rename the class, or leave the "
            f"export out ({settings({'export': False})})."
        )


def is_exported(config: ExperimentConfig) -> bool:
    """Whether an experiment ends with an export: of a majority class there is none."""
    return bool(config.export) and not all(STRATEGIES[name].trivial for name in config.strategies)
