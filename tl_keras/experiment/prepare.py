"""The first stage: everything that can be wrong is found, before a file is written."""

from dataclasses import dataclass, field, replace
from pathlib import Path

import keras
import numpy as np
import pandas as pd

from tl_keras.config.asked_network import looking_at
from tl_keras.config.schema import BackboneConfig, ExperimentConfig
from tl_keras.data.division import divide
from tl_keras.data.duplicate_groups import duplicates_across_splits, keep_together
from tl_keras.data.file_audit import Audit, audit
from tl_keras.data.findings import in_order
from tl_keras.data.picture_reading import PictureReading
from tl_keras.data.sources import ImageTable, load_images
from tl_keras.data.splits import Draw, Splits
from tl_keras.errors import ConfigError
from tl_keras.evaluation.positive_classes import check_positive
from tl_keras.experiment.first_look import FirstLook, check_names, is_exported
from tl_keras.experiment.monitor import Monitor
from tl_keras.experiment.network_choice import candidate_in, choose_network, chosen_candidate
from tl_keras.experiment.workbench import Workbench
from tl_keras.models.backbone import Backbone
from tl_keras.models.sources.imagenet_weights import (
    DownloadError,
    check_imagenet,
    experiment_offline_error,
)
from tl_keras.models.sources.source_card import SourceCard
from tl_keras.models.sources.source_models import load_configured
from tl_keras.results.runs_table import FinishedRun
from tl_keras.results.store import Store
from tl_keras.results.test_results import run_name
from tl_keras.results_layout import place
from tl_keras.strategy_table import STRATEGIES, borrowing
from tl_keras.transfer.recipe import Recipe
from tl_keras.transfer.run_plan import Run, fitting_depths, plan_runs, recipes_for
from tl_keras.transfer.similarity import input_moments

# Where the folder of an experiment keeps what was advised.
ADVICE = "advice.json"


@dataclass(frozen=True)
class Images:
    """The audited images of an experiment, divided.

    Attributes:
        listed: all that the source has.
        audit: of them.
        splits: of those that can be used.
    """

    listed: ImageTable
    audit: Audit
    splits: Splits

    @property
    def table(self) -> ImageTable:
        """The images that can be used."""
        return self.audit.table

    def used_rows(self) -> np.ndarray:
        """Ascending positions of the images that any run trains, chooses or is tested on."""
        draws = self.splits.draws.values()
        used = [self.splits.tested, *(rows for d in draws for rows in (d.train, d.validation))]
        return np.unique(np.concatenate(used))


@dataclass(frozen=True)
class Prepared:
    """All that the stages of an experiment share.

    Attributes:
        config: of the experiment, with the network and the size that were chosen.
        asked: the same as it was given, of which its folder keeps the hash.
        images: audited and divided.
        backbone: the whole one, with its source weights.
        card: of the source; None is random initialisation.
        cut: the block that `backbone.cut` stands for.
        planned: every run, in the order in which they are made.
        store: the folder of results.
        monitor: hears how it goes on.
        bench: what runs share: decoded pictures, features, traced graphs.
        networks: of `choose_network`; None without a choice, or where an earlier start chose.
        familiar: by run_id, what `strangers.familiar_test_photos` found, for the stages after it.
    """

    config: ExperimentConfig
    asked: ExperimentConfig
    images: Images
    backbone: Backbone
    card: SourceCard | None
    cut: str
    planned: tuple[Run, ...]
    store: Store
    monitor: Monitor
    bench: Workbench
    networks: pd.DataFrame | None = None
    familiar: dict[str, np.ndarray | None] = field(default_factory=dict)

    @property
    def borrowed(self) -> Backbone:
        """What is borrowed, but for a search of other cuts."""
        return self.backbone.cut_after(self.cut)

    @property
    def labels(self) -> np.ndarray:
        """Int (images,), class indices of the images that can be used."""
        return self.bench.labels

    @property
    def groups(self) -> np.ndarray:
        """Int (images,), number of the group of each of them."""
        return self.bench.groups

    @property
    def classes(self) -> tuple[str, ...]:
        return self.images.table.classes

    def draw_of(self, run: Run | FinishedRun) -> Draw:
        """The images that a run was trained on and that chose its epoch."""
        return self.images.splits.draws[run.seed, run.train_per_class]

    def name_of(self, run: Run | FinishedRun) -> str:
        """A run for people."""
        return run_name(vars(run), self.config.estimate.folds)

    def recipes_of(self, run: Run, draw: Draw) -> tuple[Recipe, ...]:
        """What is trained by steps for a run; of several recipes, validation chooses one.

        Args:
            run: one whose search, where its strategy has one, is finished.
            draw: its images.
        """
        spec, bench = STRATEGIES[run.strategy], self.bench
        if spec.searches:
            return (bench.winners[run],)
        read = self.cut if spec.borrows else None
        pooling = bench.head_pooling(draw, run.seed, read)
        return recipes_for(run, self.config, self.cut, pooling)

    def test_of(self, run: Run | FinishedRun) -> np.ndarray:
        """Positions of the images that a run was tested on."""
        return self.images.splits.test_of(run.seed)


def prepare(looked: FirstLook, monitor: Monitor, *, mend: bool = False) -> Prepared:
    """Look at everything that an experiment needs, what is quick first, and open its folder.

    Args:
        looked: at the experiment.
        monitor: hears about the images.
        mend: set aside what is damaged of them, so that it is made again.

    Raises:
        ConfigError: depths or classes do not fit the images.
        DataError: the images cannot be used.
        WeightsError: the source weights cannot be had or do not fit.
        ResultsError: the folder holds results of another configuration.
    """
    asked = looked.config
    settled = _settled(looked)
    loaded = load_all(asked, settled)
    images = prepare_images(looked, monitor)
    if is_exported(asked):
        check_names(images.table.classes)
    networks = None
    if settled is None:
        networks = measured_networks(asked, images, 0, monitor)
        settled = chosen_candidate(asked, networks)
    config = asked.with_network(settled)
    backbone, card = load_backbone(config) if loaded is None else loaded
    bench = Workbench(config, backbone, images.table, images.used_rows(), monitor)
    cut = _chosen_cut(config, images.splits, bench)
    blocks = backbone.cut_after(cut).block_names
    planned = plan_runs(config, blocks)
    _warn_of_ranges_above_the_cut(config, blocks, monitor)
    return Prepared(
        config=config,
        asked=asked,
        images=images,
        backbone=backbone,
        card=card,
        cut=cut,
        planned=planned,
        store=Store.open(asked, fresh=looked.fresh, mend=monitor.warn if mend else None),
        monitor=monitor,
        bench=bench,
        networks=networks,
    )


def prepare_images(looked: FirstLook, monitor: Monitor) -> Images:
    """List the images unless they are, audit and divide them; warnings go to the monitor.

    Raises:
        DataError: the images cannot be used.
        ConfigError: `decision.positive` names classes that they do not have.
    """
    monitor.stage("Looking at the images")
    if looked.note is not None:
        monitor.warn(looked.note)
    config, data = looked.config, looked.config.data
    listed = load_images(data) if looked.listed is None else looked.listed
    checked = audit(
        listed,
        image_size=config.backbone.side,
        skip_unreadable=data.skip_unreadable,
        reading=PictureReading.of(data),
    )
    check_positive(config.decision.positive, checked.table.classes)
    if data.keep_duplicates_together:
        checked = replace(checked, table=keep_together(checked.table, checked.duplicates))
    splits = divide(checked.table, config)
    leak = duplicates_across_splits(checked.table, checked.duplicates, splits)
    if leak is not None:
        checked = replace(checked, findings=in_order((*checked.findings, leak)))
    for finding in checked.findings:
        monitor.warn(finding.message)
    return Images(listed, checked, splits)


def load_all(
    config: ExperimentConfig, settled: BackboneConfig | None
) -> tuple[Backbone, SourceCard | None] | None:
    """What `load_backbone` gives; None where there is a choice, whose networks can all be had.

    Args:
        config: of an experiment.
        settled: the network and size that it uses; None is to choose them.

    Raises:
        WeightsError: as `load_backbone`.
        ConfigError: as `load_backbone`.
    """
    networks = config.backbone.networks
    if settled is not None and len(networks) > 1:
        return load_backbone(config.with_network(settled))
    for entry in networks:
        with looking_at(networks, entry) as network:
            largest = settled or network.at_largest
            loaded = load_backbone(config.with_network(largest))
    return None if settled is None else loaded


def load_backbone(config: ExperimentConfig) -> tuple[Backbone, SourceCard | None]:
    """The whole backbone with its source weights, and the card of their source.

    Args:
        config: of an experiment with one network and one size of its input.

    Raises:
        WeightsError: the weights cannot be had or do not fit.
        ConfigError: the network is from a file or preset, and lacks blocks that are named; or how
            it wants pixels scaled is not given and cannot be found.
    """
    settings = config.backbone
    if settings.weights == "imagenet":
        # Keras would try the download, and not know what an experiment can do without
        check_imagenet(settings)
    # random source weights (`weights` null) must be the same when the experiment is started again
    keras.utils.set_random_seed(0)
    try:
        backbone, card = load_configured(settings, config.results_dir)
    except DownloadError as error:
        raise experiment_offline_error(settings, error.failure) from error
    if settings.table_blocks is None and (problems := config.block_problems(backbone.block_names)):
        raise ConfigError("\n".join(problems))
    return backbone, card


def _settled(looked: FirstLook) -> BackboneConfig | None:
    """The network and size where there is no choice, or an earlier start made it."""
    backbone = looked.config.backbone
    # results that will be moved aside say nothing
    if backbone.only is not None or looked.fresh:
        return backbone.only
    return candidate_in(place(Path(looked.config.results_folder), ADVICE), backbone)


def measured_networks(
    config: ExperimentConfig, images: Images, seed: int, monitor: Monitor
) -> pd.DataFrame:
    """What the labelled images of a seed, in the largest training size, tell of each network."""

    def load(single: ExperimentConfig) -> Backbone:
        return load_backbone(single)[0]

    draw = images.splits.draws[seed, config.data.training_sizes[-1]]
    return choose_network(config, images.table, draw, load, monitor)


def _chosen_cut(config: ExperimentConfig, splits: Splits, bench: Workbench) -> str:
    """The block that `backbone.cut` stands for.

    A searched one rests on training images that every size has; it is the last block where they
    are too few.
    """
    cut, names = config.backbone.cut, bench.backbone.block_names
    if cut != "search":
        return names[-1] if cut == "top" else cut
    if borrowing(config.strategies) and not place(Path(config.results_folder), ADVICE).exists():
        # The advice will ask for it, and one pass gives what both read.
        input_moments(bench.bank, splits.labelled(seed=0))
    return bench.probes.choose_cut(splits.draws[0, config.data.training_sizes[0]].train)


def _warn_of_ranges_above_the_cut(
    config: ExperimentConfig, blocks: tuple[str, ...], monitor: Monitor
) -> None:
    """A cut that the probes chose may lie below a range of blocks that was asked for."""
    depths = config.fine_tuning.unfrozen_blocks
    fitting = fitting_depths(depths, blocks)
    missing = [str(depth) for depth in depths if ":" in str(depth) and depth not in fitting]
    asked = any(STRATEGIES[name].asks_depths for name in config.strategies)
    if missing and asked:
        monitor.warn(
            f"Left out of fine_tuning.unfrozen_blocks: {', '.join(missing)}; the probes chose "
            f"the cut {blocks[-1]}, which lies below."
        )
