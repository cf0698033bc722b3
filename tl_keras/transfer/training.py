"""Training a classifier: the head on the frozen backbone, then the unfrozen blocks with it."""

import time
from collections import OrderedDict
from dataclasses import dataclass, field, replace

import keras
import numpy as np
import pandas as pd

from tl_keras.config.schema import HeadConfig, PhaseConfig, TrainingConfig
from tl_keras.data.batches import Batches
from tl_keras.data.row_cache import RowCache
from tl_keras.data.rows import ChosenRows, Rows
from tl_keras.data.splits import Draw
from tl_keras.data.views import View
from tl_keras.models.backbones import build_backbone
from tl_keras.models.blocks import count_unfrozen, set_trainable
from tl_keras.models.classifier import Backbone, Depth
from tl_keras.models.heads import build_head
from tl_keras.transfer.batch_norm import BatchNormStatistics
from tl_keras.transfer.features import FeatureBank
from tl_keras.transfer.phases import GraphPool, PhaseResult, TrainingGraph, train_phase

PREDICTION_BATCH = 64


@dataclass(frozen=True)
class Recipe:
    """What is trained and how; together with a draw of images and a seed it fixes the result.

    Attributes:
        unfrozen_blocks: blocks that train in phase 2, from the head; 0 is phase 1 alone.
        augmentation: "none", "light" or "strong".
        hidden_units: hidden layers of the head.
        last_phase: length and rate of phase 2, or of the only phase from scratch.
        from_scratch: the whole network, from random initialisation, in one phase.
    """

    unfrozen_blocks: Depth
    augmentation: str
    hidden_units: tuple[int, ...]
    last_phase: PhaseConfig
    from_scratch: bool = False


@dataclass(frozen=True)
class Trained:
    """A trained classifier: its recipe, its weights and how it came to them.

    Attributes:
        recipe: what was asked for.
        head_weights: of the head.
        backbone_weights: of the whole backbone; None where they are the source's.
        history: one row per epoch of all phases (see `PhaseResult`).
        validation_loss: mean cross-entropy on the validation images, of the weights kept.
        phase_1_seconds, phase_2_seconds: wall time; features and tracing count where they
            happened first, and phase 1 is the time it took when it was first trained.
        unfrozen_layers: backbone layers with weights that the last phase trained.
        trainable_parameters: numbers that the last phase could change.
    """

    recipe: Recipe
    head_weights: list[np.ndarray]
    backbone_weights: list[np.ndarray] | None
    history: pd.DataFrame
    validation_loss: float
    phase_1_seconds: float
    phase_2_seconds: float
    unfrozen_layers: int
    trainable_parameters: int

    @property
    def weight_bytes(self) -> int:
        return sum(weight.nbytes for weight in (*self.head_weights, *(self.backbone_weights or ())))


@dataclass(frozen=True)
class LabelledImages:
    """All images of an experiment.

    Attributes:
        pixels: uint8 (n, size, size, 3), 0..255.
        class_indices: int (n,), 0..classes-1.
        classes: how many there are.
    """

    pixels: Rows
    class_indices: np.ndarray
    classes: int

    def one_hot(self, positions: np.ndarray) -> np.ndarray:
        return np.eye(self.classes, dtype=np.float32)[self.class_indices[positions]]

    def balancing_weights(self, positions: np.ndarray) -> np.ndarray:
        """float32 (k,) weights with mean 1 that give each class the same sum."""
        labels = self.class_indices[positions]
        counts = np.bincount(labels, minlength=self.classes)
        return (len(labels) / (np.count_nonzero(counts) * counts[labels])).astype(np.float32)


@dataclass
class Trainer:
    """Trains recipes on draws of one set of images, sharing what does not depend on the run.

    Shared are the frozen activations, the traced training functions, and phase 1 of recipes that
    differ in phase 2 only. None of it changes a number: every run starts from the source weights,
    a head initialised from its seed, and an optimizer in its initial state.

    Attributes:
        backbone: with the source weights.
        images: that draws refer to by position.
        head: the dropout of new heads.
        training: batch size, optimizer, phase 1 and so on.
        remembered_bytes: weights of finished trainings to keep, newest first, so that the same
            recipe, draw and seed (a trial, then a run) is trained once.
        cache: of the frozen activations.
    """

    backbone: Backbone
    images: LabelledImages
    head: HeadConfig
    training: TrainingConfig
    remembered_bytes: int = 0
    cache: RowCache = field(default_factory=RowCache)
    _bank: FeatureBank = field(init=False, repr=False)
    _scratch: Backbone | None = field(default=None, init=False, repr=False)
    _heads: dict[tuple[bool, tuple[int, ...]], keras.Model] = field(
        default_factory=dict, init=False
    )
    _graphs: GraphPool = field(default_factory=GraphPool, init=False)
    _phase_1: dict[tuple[object, ...], tuple[PhaseResult, list[np.ndarray], float]] = field(
        default_factory=dict, init=False
    )

    _finished: OrderedDict[tuple[object, ...], Trained] = field(
        default_factory=OrderedDict, init=False, repr=False
    )

    def __post_init__(self) -> None:
        self._bank = FeatureBank(self.backbone, self.images.pixels, self.cache)

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
        keras.utils.set_random_seed(seed)
        if recipe.from_scratch:
            return self._train_from_scratch(recipe, draw, seed)
        self.backbone.restore_source()
        head = self._head(recipe)
        phase_1, head_weights, seconds = self._train_head(recipe, draw, seed)
        head.set_weights(head_weights)
        frozen = Trained(
            recipe=recipe,
            head_weights=head_weights,
            backbone_weights=None,
            history=phase_1.history,
            validation_loss=phase_1.validation_loss,
            phase_1_seconds=seconds,
            phase_2_seconds=0.0,
            unfrozen_layers=0,
            trainable_parameters=sum(weight.size for weight in head_weights),
        )
        return frozen if recipe.unfrozen_blocks == 0 else self._fine_tune(frozen, draw, seed)

    def probabilities(self, trained: Trained, positions: np.ndarray) -> np.ndarray:
        """Class probabilities of the images at `positions`, float32 (k, classes)."""
        self._load(trained)
        inputs = self._inputs(trained.recipe, positions)
        return self._graph(trained.recipe).probabilities(inputs, PREDICTION_BATCH)

    def trained_backbone(self, trained: Trained) -> Backbone:
        """The backbone with the trained weights, until the trainer is asked for anything else."""
        return self._load(trained)[0]

    def inference_model(self, trained: Trained) -> keras.Model:
        """Images, 0..255 (batch, size, size, 3), to probabilities, with the trained weights."""
        backbone, head = self._load(trained)
        return backbone.inference_model(head)

    def _train_head(
        self, recipe: Recipe, draw: Draw, seed: int
    ) -> tuple[PhaseResult, list[np.ndarray], float]:
        images = (draw.train.tobytes(), draw.validation.tobytes())
        key = (seed, *images, recipe.hidden_units, recipe.augmentation)
        if key not in self._phase_1:
            started = time.perf_counter()
            self._initialise_head(recipe, seed)
            head_only = replace(recipe, unfrozen_blocks=0)
            result = self._fit(head_only, draw, seed, self.training.phase_1, "head")
            weights = self._head(recipe).get_weights()
            self._phase_1[key] = result, weights, time.perf_counter() - started
        return self._phase_1[key]

    def _fine_tune(self, frozen: Trained, draw: Draw, seed: int) -> Trained:
        started = time.perf_counter()
        recipe = frozen.recipe
        result = self._fit(
            recipe, draw, seed, recipe.last_phase, "fine_tuning", frozen.validation_loss
        )
        improved = result.validation_loss < frozen.validation_loss
        return replace(
            frozen,
            head_weights=self._head(recipe).get_weights(),
            backbone_weights=self.backbone.model.get_weights() if improved else None,
            history=pd.concat([frozen.history, result.history], ignore_index=True),
            validation_loss=result.validation_loss,
            phase_2_seconds=time.perf_counter() - started,
            unfrozen_layers=_trained_layers(self.backbone),
            trainable_parameters=self._graph(recipe).trainable_parameters,
        )

    def _train_from_scratch(self, recipe: Recipe, draw: Draw, seed: int) -> Trained:
        started = time.perf_counter()
        backbone = self._scratch_backbone()
        # The seed is set again so that the weights do not depend on what was built before.
        keras.utils.set_random_seed(seed)
        backbone.model.set_weights(self._random_network().get_weights())
        self._initialise_head(recipe, seed)
        result = self._fit(recipe, draw, seed, recipe.last_phase, "from_scratch")
        return Trained(
            recipe=recipe,
            head_weights=self._head(recipe).get_weights(),
            backbone_weights=backbone.model.get_weights(),
            history=result.history,
            validation_loss=result.validation_loss,
            phase_1_seconds=0.0,
            phase_2_seconds=time.perf_counter() - started,
            unfrozen_layers=_trained_layers(backbone),
            trainable_parameters=self._graph(recipe).trainable_parameters,
        )

    def _fit(
        self,
        recipe: Recipe,
        draw: Draw,
        seed: int,
        phase: PhaseConfig,
        name: str,
        loss_so_far: float = np.inf,
    ) -> PhaseResult:
        train, validation = self._batches(recipe, draw, seed, phase.epochs)
        graph = self._graph(recipe)
        return train_phase(
            graph, train, validation, phase, name=name, seed=seed, loss_so_far=loss_so_far
        )

    def _batches(
        self, recipe: Recipe, draw: Draw, seed: int, epochs: int
    ) -> tuple[Batches, Batches]:
        smoothing = self.training.label_smoothing
        balanced = self.training.class_weights == "balanced"
        inputs, *variants = self._training_inputs(recipe, draw.train, seed, epochs)
        train = Batches(
            inputs,
            self.images.one_hot(draw.train) * (1 - smoothing) + smoothing / self.images.classes,
            batch_size=self.training.batch_size,
            sample_weights=self.images.balancing_weights(draw.train)
            if balanced
            else np.ones(len(draw.train), np.float32),
            shuffle_seed=seed,
            variants=variants,
        )
        validation = Batches(
            self._inputs(recipe, draw.validation),
            self.images.one_hot(draw.validation),
            batch_size=PREDICTION_BATCH,
            sample_weights=np.ones(len(draw.validation), np.float32),
        )
        return train, validation

    def _training_inputs(
        self, recipe: Recipe, positions: np.ndarray, seed: int, epochs: int
    ) -> list[Rows]:
        """What the recipe's graph is trained on, epoch by epoch and then from the start again."""
        if self._changes_batches(recipe):
            return [ChosenRows(self.images.pixels, positions)]
        if recipe.augmentation == "none":
            return [self._inputs(recipe, positions)]
        return [
            self._bank.features(
                positions, recipe.unfrozen_blocks, View(recipe.augmentation, seed, number)
            )
            for number in range(min(self.training.augmented_views, epochs))
        ]

    def _inputs(self, recipe: Recipe, positions: np.ndarray) -> Rows:
        """What the recipe's graph is evaluated on: activations, or images with nothing frozen."""
        if recipe.from_scratch:
            return ChosenRows(self.images.pixels, positions)
        return self._bank.features(positions, recipe.unfrozen_blocks)

    def _changes_batches(self, recipe: Recipe) -> bool:
        """Whether images change anew in every batch, so that all of the network is needed."""
        if recipe.augmentation == "none":
            return False
        nothing_frozen = recipe.from_scratch or self._frozen_blocks(recipe) == 0
        return nothing_frozen or self.training.augmented_views == 0

    def _frozen_blocks(self, recipe: Recipe) -> int:
        blocks = self.backbone.blocks
        return len(blocks) - count_unfrozen(blocks, recipe.unfrozen_blocks)

    def _graph(self, recipe: Recipe) -> TrainingGraph:
        if not recipe.from_scratch:
            # The graphs share their layers, and a graph trains what is trainable when it is built
            # and when its first step is traced.
            set_trainable(self.backbone.model, self.backbone.blocks, recipe.unfrozen_blocks)
        shape = (
            recipe.from_scratch,
            recipe.unfrozen_blocks,
            recipe.augmentation if self._changes_batches(recipe) else "none",
            recipe.hidden_units,
        )
        return self._graphs.get(shape, lambda: self._build_graph(recipe))

    def _build_graph(self, recipe: Recipe) -> TrainingGraph:
        head = self._head(recipe)
        if recipe.from_scratch:
            backbone = self._scratch_backbone()
            model = backbone.augmented("all", head, recipe.augmentation)
            return TrainingGraph.compile(model, self.training, BatchNormStatistics(backbone))
        depth = recipe.unfrozen_blocks
        part = self.backbone.trained_part(depth, head)
        if not self._changes_batches(recipe):
            return TrainingGraph.compile(part, self.training)
        model = self.backbone.augmented(depth, head, recipe.augmentation)
        return TrainingGraph.compile(model, self.training, evaluated=part)

    def _head(self, recipe: Recipe) -> keras.Model:
        key = recipe.from_scratch, recipe.hidden_units
        if key not in self._heads:
            self._heads[key] = self._new_head(recipe)
        return self._heads[key]

    def _new_head(self, recipe: Recipe) -> keras.Model:
        # What is borrowed may be cut; from scratch the whole network is trained.
        backbone = self._scratch_backbone() if recipe.from_scratch else self.backbone
        return build_head(
            backbone.channels,
            self.images.classes,
            hidden_units=recipe.hidden_units,
            dropout=self.head.dropout,
        )

    def _initialise_head(self, recipe: Recipe, seed: int) -> None:
        head = self._head(recipe)
        # The seed is set again so that the head does not depend on what was built before.
        keras.utils.set_random_seed(seed)
        head.set_weights(self._new_head(recipe).get_weights())

    def _random_network(self) -> keras.Model:
        return build_backbone(
            self.backbone.spec.name,
            image_size=self.backbone.image_size,
            alpha=self.backbone.alpha,
        )

    def _scratch_backbone(self) -> Backbone:
        if self._scratch is None:
            self._scratch = Backbone.wrap(
                self.backbone.spec.name, self.backbone.alpha, self._random_network()
            )
            self._scratch.model.trainable = True
        return self._scratch

    def _load(self, trained: Trained) -> tuple[Backbone, keras.Model]:
        backbone = self._scratch_backbone() if trained.recipe.from_scratch else self.backbone
        if trained.backbone_weights is None:
            backbone.restore_source()
        else:
            backbone.model.set_weights(trained.backbone_weights)
        head = self._head(trained.recipe)
        head.set_weights(trained.head_weights)
        return backbone, head


def _trained_layers(backbone: Backbone) -> int:
    return sum(bool(layer.trainable_weights) for layer in backbone.model.layers)
