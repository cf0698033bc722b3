"""Training a classifier: the head on the frozen backbone, then the unfrozen blocks with it."""

import time
from collections import OrderedDict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

import keras
import numpy as np
import pandas as pd

from tl_keras.config.schema import HeadConfig, PhaseConfig, TrainingConfig
from tl_keras.data.batches import Batches
from tl_keras.data.row_cache import RowCache
from tl_keras.data.rows import ChosenRows, Rows
from tl_keras.data.splits import Draw
from tl_keras.models.backbone import Backbone
from tl_keras.models.blocks import block_of_variable, set_trainable, unfrozen_range
from tl_keras.models.heads import build_head
from tl_keras.models.pooling import Pooling
from tl_keras.transfer.batch_norm import BatchNormStatistics
from tl_keras.transfer.borrowed import BorrowedBackbone
from tl_keras.transfer.features import FeatureBank
from tl_keras.transfer.phases import (
    GraphPool,
    PhaseResult,
    TrainingGraph,
    Watch,
    train_epochs,
    train_phase,
)
from tl_keras.transfer.recipe import Recipe, Trained
from tl_keras.transfer.seeds import seed_initialisers
from tl_keras.transfer.selection_losses import CrossFit

PREDICTION_BATCH = 64


@dataclass(frozen=True)
class LabelledImages:
    """All images of an experiment.

    Attributes:
        pixels: uint8 (n, size, size, 3), 0..255.
        class_indices: int (n,), 0..classes-1.
        classes: how many there are.
        groups: (n,), the group of each; None where each is its own.
    """

    pixels: Rows
    class_indices: np.ndarray
    classes: int
    groups: np.ndarray | None = None

    def one_hot(self, positions: np.ndarray) -> np.ndarray:
        return np.eye(self.classes, dtype=np.float32)[self.class_indices[positions]]

    def groups_of(self, positions: np.ndarray) -> np.ndarray | None:
        """Of these images, (k,); None where each is its own."""
        return None if self.groups is None else self.groups[positions]

    def balancing_weights(self, positions: np.ndarray) -> np.ndarray:
        """float32 (k,) weights with mean 1 that give each class the same sum."""
        labels = self.class_indices[positions]
        counts = np.bincount(labels, minlength=self.classes)
        return (len(labels) / (np.count_nonzero(counts) * counts[labels])).astype(np.float32)


@dataclass
class Trainer:
    """Trains recipes on draws of one set of images, sharing what does not depend on the run.

    Shared are the frozen activations, the traced training functions, and phase 1 of recipes that
    differ in phase 2 only: that starts from a head that fits the frozen features (LP-FT, Kumar et
    al. 2022, arXiv:2202.10054). None of it changes a number: every run starts from the source
    weights, a head initialised from its seed, and an optimizer in its initial state.

    Attributes:
        backbone: the whole one, with the source weights; recipes cut it.
        images: that draws refer to by position.
        head: the dropout of new heads.
        training: batch size, optimizer, phase 1 and so on.
        remembered_bytes: weights of finished trainings to keep, newest first, so that the same
            recipe, draw and seed (a trial, then a run) is trained once.
        cache: of the frozen activations.
        watch: sees every epoch, and may end a training.
        bank: of the backbone and the images, in the cache.
    """

    backbone: Backbone
    images: LabelledImages
    head: HeadConfig
    training: TrainingConfig
    remembered_bytes: int = 0
    cache: RowCache = field(default_factory=RowCache)
    watch: Watch = field(default_factory=Watch)
    bank: FeatureBank = field(init=False, repr=False)
    _borrowed: BorrowedBackbone = field(init=False, repr=False)
    _scratch: Backbone | None = field(default=None, init=False, repr=False)
    _heads: dict[tuple[object, ...], keras.Model] = field(default_factory=dict, init=False)
    _graphs: GraphPool = field(default_factory=GraphPool, init=False)
    _phase_1: dict[tuple[object, ...], tuple[PhaseResult, list[np.ndarray], float]] = field(
        default_factory=dict, init=False
    )
    _finished: OrderedDict[tuple[object, ...], Trained] = field(
        default_factory=OrderedDict, init=False, repr=False
    )

    def __post_init__(self) -> None:
        self._borrowed = BorrowedBackbone(self.backbone)
        self.bank = FeatureBank(self.backbone, self.images.pixels, self.cache)

    def train(self, recipe: Recipe, draw: Draw, seed: int) -> Trained:
        """Train `recipe` on the draw's training images, choosing epochs on its validation images.

        Args:
            recipe: what to train.
            draw: positions of training and validation images.
            seed: of initialisation, dropout, augmentation and the order of the images.
        """
        key = (recipe, seed, draw.train.tobytes(), draw.validation.tobytes())
        if key not in self._finished:
            self._finished[key] = self._train(recipe, draw, seed)
        trained = self._finished[key]
        while sum(kept.weight_bytes for kept in self._finished.values()) > self.remembered_bytes:
            self._finished.popitem(last=False)
        return trained

    def _train(self, recipe: Recipe, draw: Draw, seed: int) -> Trained:
        if recipe.from_scratch:
            return self._train_from_scratch(recipe, draw, seed)
        self._borrowed.load({})
        head = self._head(recipe)
        phase_1, head_weights, seconds = self._train_head(recipe, draw, seed)
        head.set_weights(head_weights)
        frozen = Trained(
            recipe=recipe,
            head_weights=head_weights,
            backbone_weights={},
            history=phase_1.history,
            validation_losses=phase_1.validation_losses,
            selection_losses=phase_1.seen.losses(),
            phase_1_seconds=seconds,
            phase_2_seconds=0.0,
            unfrozen_layers=0,
            trainable_parameters=sum(weight.size for weight in head_weights),
            validation_groups=self.images.groups_of(draw.validation),
        )
        if recipe.unfrozen_blocks == 0 or self.watch.ended:
            return frozen
        return self._fine_tune(frozen, phase_1, draw, seed)

    def train_on_all(
        self, recipe: Recipe, positions: np.ndarray, epochs: Mapping[str, int], seed: int
    ) -> tuple[list[np.ndarray], dict[int, np.ndarray], pd.DataFrame]:
        """Train `recipe` for so many epochs on images, of which none is held out.

        Args:
            recipe: what to train.
            positions: of the images.
            epochs: by phase ("head" and "fine_tuning", or "from_scratch"); 0 leaves it out.
            seed: as of `train`.

        Returns:
            The weights of the head, those of the backbone that are not the source's (as of
            `Trained`), and a row per epoch.
        """
        head_only = replace(recipe, unfrozen_blocks=0, layer_decay=1.0)
        if recipe.from_scratch:
            self._start_from_scratch(recipe, seed)
            stages = {"from_scratch": (recipe, recipe.last_phase)}
        else:
            self._borrowed.load({})
            self._initialise_head(recipe, seed)
            stages = {"head": (head_only, self.training.phase_1)}
            if epochs.get("fine_tuning"):
                stages["fine_tuning"] = (recipe, recipe.last_phase)
        rows = []
        for name, (part, phase) in stages.items():
            train, graph = self._training_batches(part, positions, seed), self._graph(part)
            self._borrowed.expect_changes(graph.changing)
            count = epochs[name]
            rows.append(
                train_epochs(graph, train, phase.learning_rate, count, name=name, seed=seed)
            )
        history = pd.concat(rows, ignore_index=True)
        return self._head(recipe).get_weights(), self._changed(recipe, stages), history

    def _changed(self, recipe: Recipe, stages: Collection[str]) -> dict[int, np.ndarray]:
        """The weights of the backbone that some phases have changed, by position."""
        if recipe.from_scratch:
            return dict(enumerate(self._scratch_backbone().model.get_weights()))
        if "fine_tuning" not in stages:
            return {}
        return dict(self._borrowed.weights_of(self._graph(recipe).changing))

    def probabilities(self, trained: Trained, positions: np.ndarray) -> np.ndarray:
        """Class probabilities of the images at `positions`, float32 (k, classes)."""
        self._load(trained)
        inputs = self._inputs(trained.recipe, positions)
        return self._graph(trained.recipe).probabilities(inputs, PREDICTION_BATCH)

    def trained_backbone(self, trained: Trained) -> Backbone:
        """The backbone up to the cut with the trained weights, until the trainer does more."""
        return self._load(trained)[0]

    def network(self, recipe: Recipe) -> tuple[Backbone, keras.Model]:
        """The backbone up to the cut and the head that a recipe trains, as they are now."""
        return self._backbone_of(recipe), self._head(recipe)

    def inference_model(self, trained: Trained) -> keras.Model:
        """Images, 0..255 (batch, size, size, 3), to probabilities, with the trained weights."""
        backbone, head = self._load(trained)
        return backbone.inference_model(head, _pooling(trained.recipe))

    def _train_head(
        self, recipe: Recipe, draw: Draw, seed: int
    ) -> tuple[PhaseResult, list[np.ndarray], float]:
        images = (draw.train.tobytes(), draw.validation.tobytes())
        reads = recipe.cut, recipe.pooling
        key = (seed, *images, *reads, recipe.hidden_units, recipe.augmentation)
        if key not in self._phase_1:
            started = time.perf_counter()
            self._initialise_head(recipe, seed)
            head_only = replace(recipe, unfrozen_blocks=0, layer_decay=1.0)
            result = self._fit(head_only, draw, seed, self.training.phase_1, "head")
            weights = self._head(recipe).get_weights()
            self._phase_1[key] = result, weights, time.perf_counter() - started
        return self._phase_1[key]

    def _fine_tune(self, frozen: Trained, phase_1: PhaseResult, draw: Draw, seed: int) -> Trained:
        started = time.perf_counter()
        recipe = frozen.recipe
        result = self._fit(recipe, draw, seed, recipe.last_phase, "fine_tuning", phase_1)
        improved = result.validation_losses is not phase_1.validation_losses
        graph = self._graph(recipe)
        head_history = frozen.history.assign(kept=frozen.history["kept"] & (not improved))
        return replace(
            frozen,
            head_weights=self._head(recipe).get_weights(),
            backbone_weights=self._borrowed.weights_of(graph.changing) if improved else {},
            history=pd.concat([head_history, result.history], ignore_index=True),
            validation_losses=result.validation_losses,
            selection_losses=result.seen.losses(),
            phase_2_seconds=time.perf_counter() - started,
            unfrozen_layers=_trained_layers(self._borrowed.up_to(recipe.cut)),
            trainable_parameters=graph.trainable_parameters,
        )

    def _train_from_scratch(self, recipe: Recipe, draw: Draw, seed: int) -> Trained:
        started = time.perf_counter()
        backbone = self._start_from_scratch(recipe, seed)
        result = self._fit(recipe, draw, seed, recipe.last_phase, "from_scratch")
        return Trained(
            recipe=recipe,
            head_weights=self._head(recipe).get_weights(),
            backbone_weights=dict(enumerate(backbone.model.get_weights())),
            history=result.history,
            validation_losses=result.validation_losses,
            selection_losses=result.seen.losses(),
            phase_1_seconds=0.0,
            phase_2_seconds=time.perf_counter() - started,
            unfrozen_layers=_trained_layers(backbone),
            trainable_parameters=self._graph(recipe).trainable_parameters,
            validation_groups=self.images.groups_of(draw.validation),
        )

    def _start_from_scratch(self, recipe: Recipe, seed: int) -> Backbone:
        """A network with random weights, and a head with others."""
        backbone = self._scratch_backbone()
        seed_initialisers(seed)
        backbone.model.set_weights(self.backbone.random_model().get_weights())
        self._initialise_head(recipe, seed)
        return backbone

    def _fit(
        self,
        recipe: Recipe,
        draw: Draw,
        seed: int,
        phase: PhaseConfig,
        name: str,
        before: PhaseResult | None = None,
    ) -> PhaseResult:
        train = self._training_batches(recipe, draw.train, seed)
        validation = Batches(
            self._inputs(recipe, draw.validation),
            self.images.one_hot(draw.validation),
            batch_size=PREDICTION_BATCH,
            sample_weights=np.ones(len(draw.validation), np.float32),
        )
        graph = self._graph(recipe)
        self._borrowed.expect_changes(graph.changing)
        return train_phase(
            graph,
            train,
            validation,
            phase,
            name=name,
            seed=seed,
            seen=self._unseen(draw.validation) if before is None else before.seen,
            losses_so_far=None if before is None else before.validation_losses,
            watch=self.watch,
        )

    def _unseen(self, validation: np.ndarray) -> CrossFit:
        labels = self.images.class_indices[validation]
        return CrossFit.of(labels, self.images.groups_of(validation))

    def _training_batches(self, recipe: Recipe, positions: np.ndarray, seed: int) -> Batches:
        smoothing = self.training.label_smoothing
        balanced = self.training.class_weights == "balanced"
        return Batches(
            self._training_inputs(recipe, positions),
            self.images.one_hot(positions) * (1 - smoothing) + smoothing / self.images.classes,
            batch_size=self.training.batch_size,
            sample_weights=self.images.balancing_weights(positions)
            if balanced
            else np.ones(len(positions), np.float32),
            shuffle_seed=seed,
        )

    def _training_inputs(self, recipe: Recipe, positions: np.ndarray) -> Rows:
        """What the recipe's graph is trained on: images that change in every batch need all of it.

        Else it is what the graph is evaluated on.
        """
        if recipe.augmentation != "none":
            return ChosenRows(self.images.pixels, positions)
        return self._inputs(recipe, positions)

    def _inputs(self, recipe: Recipe, positions: np.ndarray) -> Rows:
        """What the recipe's graph is evaluated on: activations, or images with nothing frozen."""
        if recipe.from_scratch:
            return ChosenRows(self.images.pixels, positions)
        depth, cut = recipe.unfrozen_blocks, recipe.cut
        return self.bank.features(positions, depth, cut, _pooling(recipe))

    def _graph(self, recipe: Recipe) -> TrainingGraph:
        shape: tuple[object, ...] = recipe.augmentation, recipe.hidden_units, recipe.pooling
        if not recipe.from_scratch:
            backbone = self._borrowed.up_to(recipe.cut)
            # The graphs share their layers, and a graph trains what is trainable when it is built
            # and when its first step is traced.
            set_trainable(backbone.model, backbone.blocks, recipe.unfrozen_blocks)
            unfrozen = unfrozen_range(backbone.blocks, recipe.unfrozen_blocks)
            shape += (len(backbone.blocks), unfrozen, recipe.layer_decay)
        return self._graphs.get(shape, lambda: self._build_graph(recipe))

    def _build_graph(self, recipe: Recipe) -> TrainingGraph:
        head, pooling = self._head(recipe), _pooling(recipe)
        if recipe.from_scratch:
            backbone = self._scratch_backbone()
            model = backbone.augmented("all", head, recipe.augmentation, pooling)
            return TrainingGraph.of(model, self.training, BatchNormStatistics(backbone))
        depth, backbone = recipe.unfrozen_blocks, self._borrowed.up_to(recipe.cut)
        part = backbone.trained_part(depth, head, pooling)
        factors = {}
        if depth:
            factors = rate_factors(backbone, recipe.layer_decay, self._borrowed.gains)
        if recipe.augmentation == "none":
            return TrainingGraph.of(part, self.training, rate_factors=factors)
        model = backbone.augmented(depth, head, recipe.augmentation, pooling)
        return TrainingGraph.of(model, self.training, evaluated=part, rate_factors=factors)

    def _head(self, recipe: Recipe) -> keras.Model:
        key = recipe.from_scratch, recipe.cut, recipe.hidden_units, recipe.pooling
        if key not in self._heads:
            self._heads[key] = self._new_head(recipe)
        return self._heads[key]

    def _backbone_of(self, recipe: Recipe) -> Backbone:
        if recipe.from_scratch:
            return self._scratch_backbone()
        return self._borrowed.up_to(recipe.cut)

    def _new_head(self, recipe: Recipe) -> keras.Model:
        return build_head(
            _pooling(recipe).width(self._backbone_of(recipe).channels),
            self.images.classes,
            hidden_units=recipe.hidden_units,
            dropout=self.head.dropout,
        )

    def _initialise_head(self, recipe: Recipe, seed: int) -> None:
        head = self._head(recipe)
        seed_initialisers(seed)
        head.set_weights(self._new_head(recipe).get_weights())

    def _scratch_backbone(self) -> Backbone:
        if self._scratch is None:
            self._scratch = self.backbone.random()
            self._scratch.model.trainable = True
        return self._scratch

    def _load(self, trained: Trained) -> tuple[Backbone, keras.Model]:
        backbone, head = self.network(trained.recipe)
        if trained.recipe.from_scratch:
            backbone.model.set_weights(list(trained.backbone_weights.values()))
        else:
            self._borrowed.load(trained.backbone_weights)
        head.set_weights(trained.head_weights)
        return backbone, head


def _pooling(recipe: Recipe) -> Pooling:
    return Pooling(recipe.pooling)


def _trained_layers(backbone: Backbone) -> int:
    return sum(bool(layer.trainable_weights) for layer in backbone.model.layers)


def rate_factors(
    backbone: Backbone, decay: float, multiplied: Mapping[int, float]
) -> dict[int, float]:
    """Of the learning rate in phase 2, for every variable that has another, by its `id`.

    The block below the head has the factor `decay`. And a step of Adam has one size whatever the
    gradient is, but BatchNorm with statistics that stand still multiplies what it changes, in
    networks as they are published up to tens of times: such a kernel takes steps as much smaller,
    so that they are those of the network with its normalisation within its kernels.

    Args:
        backbone: up to the block that the head reads.
        decay: from one block to the one below it.
        multiplied: by how much, as `gains` of all of the network.
    """
    top = len(backbone.blocks)
    factors = {
        variable: decay ** (top - block) / max(1.0, multiplied.get(variable, 1.0))
        for variable, block in block_of_variable(backbone.blocks).items()
    }
    # where the normalisation is within the kernels already, no more than its last digits are left
    return {variable: factor for variable, factor in factors.items() if factor < 0.9999}
