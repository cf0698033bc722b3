"""Two-phase training: what changes, what stays, and that runs do not touch each other."""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from tl_keras.config.schema import PhaseConfig
from tl_keras.data.batches import Batches
from tl_keras.data.rows import whole
from tl_keras.data.splits import Draw
from tl_keras.models.backbone import Backbone, Depth
from tl_keras.models.blocks import set_trainable
from tl_keras.models.heads import build_head
from tl_keras.models.plain_classifier import plain_classifier
from tl_keras.models.pooling import MEAN, SPREAD
from tl_keras.transfer import phases
from tl_keras.transfer import trainer as trainer_module
from tl_keras.transfer.passes import Pass
from tl_keras.transfer.phases import PhaseResult, TrainingGraph, train_phase
from tl_keras.transfer.recipe import Recipe, Trained
from tl_keras.transfer.trainer import LabelledImages, Trainer

MakeBackbone = Callable[..., Backbone]
MakeTrainer = Callable[..., Trainer]
# Blocks of the fabricated backbone by layer
BLOCK_OF = {"stem": 0, "block1": 1, "block2": 2, "top": 3}
STOCHASTIC = {"drop": 0.5, "dropout": 0.5}
# Seven training images in classes of five, one and one
UNEQUAL = Draw(train=np.array([0, 3, 6, 9, 12, 1, 2]), validation=np.arange(14, 24))


def recipe(
    depth: Depth,
    augmentation: str = "none",
    *,
    units: tuple[int, ...] = (),
    epochs: int = 2,
    rate: float = 0.01,
    from_scratch: bool = False,
    cut: str | None = None,
    decay: float = 1.0,
    pooling: str = MEAN,
) -> Recipe:
    phase = PhaseConfig(epochs=epochs, learning_rate=rate, patience=epochs)
    return Recipe(depth, augmentation, units, phase, from_scratch, cut, decay, pooling)


SCRATCH = recipe("all", from_scratch=True)
EVERY_KIND = [
    recipe(0, "light"),
    recipe(2, units=(3,)),
    recipe("all", "strong"),
    recipe("block1:block2"),
    recipe(1, cut="block2", decay=0.5),
    recipe(2, pooling=SPREAD),
    SCRATCH,
]
KINDS = pytest.mark.parametrize(
    "kind",
    EVERY_KIND,
    ids=lambda kind: (
        f"{kind.unfrozen_blocks}-{kind.augmentation}-{kind.cut}-{kind.pooling}-{kind.from_scratch}"
    ),
)


@pytest.fixture(scope="module", autouse=True)
def every_graph_is_kept() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(phases, "MAX_GRAPHS", 100)
        yield


@pytest.fixture(scope="module")
def trainer(make_trainer: MakeTrainer) -> Trainer:
    """One for many tests: what it trains does not depend on what it trained before."""
    return make_trainer()


@pytest.fixture(scope="module")
def stochastic_trainer(make_trainer: MakeTrainer) -> Trainer:
    return make_trainer(**STOCHASTIC)


def assert_equal_weights(first: Sequence[np.ndarray], second: Sequence[np.ndarray]) -> None:
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, other)


def assert_same(first: Trained, second: Trained) -> None:
    """Equal bit for bit, seconds aside."""
    assert_equal_weights(first.head_weights, second.head_weights)
    assert first.backbone_weights.keys() == second.backbone_weights.keys()
    assert_equal_weights(
        list(first.backbone_weights.values()), list(second.backbone_weights.values())
    )
    pd.testing.assert_frame_equal(
        first.history.drop(columns="seconds"),
        second.history.drop(columns="seconds"),
        check_exact=True,
    )
    assert first.validation_loss == second.validation_loss
    assert first.trainable_parameters == second.trainable_parameters
    assert first.unfrozen_layers == second.unfrozen_layers


def all_weights(trainer: Trainer, trained: Trained) -> list[np.ndarray]:
    """Of the whole backbone."""
    source = dict(enumerate(trainer.backbone.source_weights))
    return list((source | dict(trained.backbone_weights)).values())


def by_path(backbone: Backbone, weights: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    return dict(zip((weight.path for weight in backbone.model.weights), weights, strict=True))


def losses(trained: Trained, phase: str) -> np.ndarray:
    rows = trained.history[trained.history["phase"] == phase]
    return rows["validation_loss"].to_numpy()


def cross_entropy(trainer: Trainer, trained: Trained, positions: np.ndarray) -> float:
    probabilities = trainer.probabilities(trained, positions)
    classes = trainer.images.class_indices[positions]
    return float(-np.log(probabilities[np.arange(len(positions)), classes]).mean())


@pytest.mark.parametrize(
    ("depth", "augmentation"), [(1, "none"), (2, "none"), ("all", "none"), (2, "light")]
)
def test_only_the_unfrozen_blocks_change_and_never_batch_norm(
    trainer: Trainer, draw: Draw, depth: Depth, augmentation: str
) -> None:
    trained = trainer.train(recipe(depth, augmentation, epochs=4), draw, 0)
    assert trained.validation_loss < losses(trained, "head").min()
    source = by_path(trainer.backbone, trainer.backbone.source_weights)
    after = by_path(trainer.backbone, all_weights(trainer, trained))
    first_unfrozen = 0 if depth == "all" else 4 - int(depth)
    for path, weights in source.items():
        frozen = BLOCK_OF[path.split("_")[0]] < first_unfrozen or "_bn/" in path
        assert np.array_equal(weights, after[path]) == frozen, path


@pytest.mark.parametrize("augmentation", ["none", "light"])
@pytest.mark.parametrize(
    ("depth", "cut", "unfrozen"),
    [
        ("block1:block2", None, {1, 2}),
        ("block1:block1", None, {1}),
        ("block1:block1", "block2", {1}),
        (1, "block2", {2}),
        ("all", "block1", {0, 1}),
    ],
)
def test_a_range_or_a_cut_trains_its_own_blocks_and_never_batch_norm(
    trainer: Trainer,
    draw: Draw,
    depth: Depth,
    cut: str | None,
    unfrozen: set[int],
    augmentation: str,
) -> None:
    trained = trainer.train(recipe(depth, augmentation, epochs=6, rate=0.002, cut=cut), draw, 0)
    assert trained.backbone_weights, "phase 2 must better phase 1 for this test to tell"
    source = by_path(trainer.backbone, trainer.backbone.source_weights)
    after = by_path(trainer.backbone, all_weights(trainer, trained))
    for path, weights in source.items():
        frozen = BLOCK_OF[path.split("_")[0]] not in unfrozen or "_bn/" in path
        assert np.array_equal(weights, after[path]) == frozen, path


@pytest.mark.parametrize(
    ("optimizer", "weight_decay", "depth", "cut"),
    [
        ("sgd", 0.0, "all", None),
        ("sgd", 0.1, "all", None),
        ("adam", 0.0, "all", None),
        ("adam", 0.1, "all", None),
        ("sgd", 0.1, "stem:block1", None),
        ("adam", 0.0, 1, "block2"),
    ],
)
def test_the_step_of_each_block_is_scaled_by_its_decay(
    make_trainer: MakeTrainer,
    draw: Draw,
    optimizer: str,
    weight_decay: float,
    depth: Depth,
    cut: str | None,
) -> None:
    settings = {"optimizer": optimizer, "batch_size": 14, "weight_decay": weight_decay}
    one, other = (
        first_step(make_trainer(phase_1=(1, 0.02), **settings), draw, depth, cut, decay)
        for decay in (1.0, 0.5)
    )
    top = 4 if cut is None else 3
    assert one.keys() == other.keys()
    for path in one:
        below = top - BLOCK_OF.get(path.split("_")[0], top)
        # The difference of two float32 weights has an error of its own.
        np.testing.assert_allclose(other[path], one[path] * 0.5**below, atol=5e-7, err_msg=path)
        assert np.abs(other[path]).max() > 1e-4, path


@pytest.mark.parametrize("gain", [1.0, 50.0])
def test_steps_are_those_of_a_network_with_its_normalisation_within_its_kernels(
    make_trainer: MakeTrainer, draw: Draw, gain: float
) -> None:
    trainer = make_trainer(batch_size=14)
    stem, norm = (trainer.backbone.model.get_layer(name) for name in ("stem_conv", "stem_bn"))
    stem.kernel.assign(stem.kernel.numpy() / gain)
    norm.set_weights([np.full(4, gain), np.zeros(4), np.full(4, 0.1 / gain), np.full(4, 0.999)])
    moved = first_step(trainer, draw, "all", None, 1.0)["stem_conv/kernel"] * gain
    # the rate, by which the first step of Adam moves every weight, all but its epsilon
    np.testing.assert_allclose(np.abs(moved), 0.05, rtol=0.1)


def first_step(
    trainer: Trainer, draw: Draw, depth: Depth, cut: str | None, decay: float
) -> dict[str, np.ndarray]:
    """How far the first step of phase 2 moves each weight that it trains."""
    trainer.train(recipe(0, cut=cut), draw, 0)
    graph = trainer._graph(recipe(depth, cut=cut, decay=decay))
    weights = {variable.path: variable.numpy() for variable in graph.model.trainable_weights}
    graph.start_again(0.05 if trainer.training.optimizer == "adam" else 5.0, 0)
    train = trainer._training_batches(recipe(depth, cut=cut), draw.train, 0)
    graph.train(train)
    after = {variable.path: variable.numpy() for variable in graph.model.trainable_weights}
    # Keras numbers the layers of heads through.
    return {
        f"head/{path.split('/')[-1]}" if "dense" in path else path: after[path] - weights[path]
        for path in after
    }


def test_recipes_share_what_lies_below_their_blocks(
    make_trainer: MakeTrainer, draw: Draw, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, object]] = []
    features = Pass.__call__

    def noted(way: Pass, pixels: np.ndarray) -> Any:
        asked.append((way.what["block"], way.what["gives"]))
        return features(way, pixels)

    monkeypatch.setattr(Pass, "__call__", noted)
    trainer = make_trainer()
    # All start at block2; phase 1 needs the pooled output of each cut, which are side by side.
    for kind in (recipe(2), recipe(1, cut="block2"), recipe("block2:block2")):
        trainer.train(kind, draw, 0)
    pooled = ("top", "moments of the outputs of all blocks")
    assert sorted(set(asked)) == [("block1", "output"), pooled]
    assert asked.count(pooled) == 2, "one for training and one for validation images"


def test_a_cut_is_a_network_that_ends_there(
    make_trainer: MakeTrainer, draw: Draw, trainer: Trainer
) -> None:
    alone = Trainer(
        make_trainer().backbone.cut_after("block2"), trainer.images, trainer.head, trainer.training
    )
    expected = alone.train(recipe(2), draw, 3)
    found = trainer.train(recipe(2, cut="block2"), draw, 3)
    assert_equal_weights(found.head_weights, expected.head_weights)
    columns = ["loss", "validation_loss"]
    np.testing.assert_array_equal(found.history[columns], expected.history[columns])
    assert found.trainable_parameters == expected.trainable_parameters
    assert trainer.trained_backbone(found).block_names == ("stem", "block1", "block2")


def test_phase_1_changes_the_head_alone(trainer: Trainer, draw: Draw) -> None:
    trained = trainer.train(recipe(0), draw, 0)
    assert trained.backbone_weights == {}
    assert_equal_weights(trainer.backbone.source_weights, trainer.backbone.model.get_weights())
    assert any(weights.any() for weights in trained.head_weights)


@pytest.mark.parametrize(
    ("depth", "layers", "parameters"),
    # Head 5 x 3 + 3; top 6 x 5 + 5; block2 9 x 4 x 6 + 6; block1 9 x 4 x 4 + 4; stem 9 x 3 x 4.
    [(0, 0, 18), (1, 1, 53), (2, 2, 275), ("all", 4, 531)],
)
def test_what_was_trained_is_counted(
    trainer: Trainer, draw: Draw, depth: Depth, layers: int, parameters: int
) -> None:
    trained = trainer.train(recipe(depth, epochs=1), draw, 0)
    assert (trained.unfrozen_layers, trained.trainable_parameters) == (layers, parameters)


def test_from_scratch_trains_batch_norm_too(trainer: Trainer, draw: Draw) -> None:
    trained = trainer.train(SCRATCH, draw, 0)
    # gamma and beta of 4, 4 and 6 channels
    assert (trained.unfrozen_layers, trained.trainable_parameters) == (7, 531 + 28)


class Uncached:
    """Both phases through the frozen layers, on the same batches as a trainer's."""

    def __init__(self, trainer: Trainer, backbone: Backbone, seed: int) -> None:
        self.trainer, self.backbone, self.seed = trainer, backbone, seed
        self.head = build_head(5, 3, hidden_units=(), dropout=0.0)
        keras.utils.set_random_seed(seed)
        self.head.set_weights(build_head(5, 3, hidden_units=(), dropout=0.0).get_weights())

    def train(
        self, depth: int, phase: PhaseConfig, draw: Draw, reached: np.ndarray | None
    ) -> PhaseResult:
        set_trainable(self.backbone.model, self.backbone.blocks, depth)
        model = self.backbone.augmented(depth, self.head, "none")
        return train_phase(
            TrainingGraph.of(model, self.trainer.training),
            self.batches(draw.train, 4, self.seed),
            self.batches(draw.validation, 64, None),
            phase,
            name="x",
            seed=self.seed,
            losses_so_far=reached,
        )

    def batches(self, rows: np.ndarray, size: int, seed: int | None) -> Batches:
        images = self.trainer.images
        weights = np.ones(len(rows), np.float32)
        if seed is not None:
            weights = images.balancing_weights(rows)
        return Batches(images.pixels[rows], images.one_hot(rows), size, weights, shuffle_seed=seed)


@pytest.mark.parametrize("depth", [0, 2])
def test_cached_features_train_as_the_whole_network_does(
    make_trainer: MakeTrainer, make_backbone: MakeBackbone, draw: Draw, depth: int
) -> None:
    # A frozen drop-connect of 0.9 would make a great difference if it were active.
    trainer = make_trainer(drop=0.9)
    trained = trainer.train(recipe(depth), draw, 5)
    direct = Uncached(trainer, make_backbone(drop=0.9), 5)
    results = [direct.train(0, trainer.training.phase_1, draw, None)]
    if depth:
        reached = results[0].validation_losses
        results.append(direct.train(depth, recipe(depth).last_phase, draw, reached))
    columns = ["loss", "accuracy", "validation_loss", "validation_accuracy"]
    history = pd.concat([result.history for result in results])
    np.testing.assert_allclose(trained.history[columns], history[columns], rtol=1e-4, atol=1e-6)
    backbone_weights = all_weights(trainer, trained)
    for cached, weights in (
        *zip(trained.head_weights, direct.head.get_weights(), strict=True),
        *zip(backbone_weights, direct.backbone.model.get_weights(), strict=True),
    ):
        np.testing.assert_allclose(cached, weights, rtol=1e-3, atol=1e-5)


def test_stochastic_layers_of_unfrozen_blocks_are_active(
    make_trainer: MakeTrainer, draw: Draw
) -> None:
    # In one batch with a head of zeros, nothing but the drop-connect depends on the seed.
    trainer = make_trainer(drop=0.9, batch_size=14, optimizer="sgd")
    first, second = (trainer.train(recipe(3), draw, seed).history["loss"] for seed in (0, 1))
    np.testing.assert_array_equal(first[:2], second[:2])
    assert abs(first[2:] - second[2:]).min() > 1e-4


def test_fine_tuning_that_fails_ends_with_phase_1(trainer: Trainer, draw: Draw) -> None:
    head_only = trainer.train(recipe(0), draw, 0)
    trained = trainer.train(recipe("all", epochs=3, rate=1.0), draw, 0)
    # The rate is absurd: no epoch of phase 2 comes near.
    assert losses(trained, "fine_tuning").min() > head_only.validation_loss
    assert trained.validation_loss == head_only.validation_loss
    assert_equal_weights(trained.head_weights, head_only.head_weights)
    assert trained.backbone_weights == {}, "its backbone is the source's"
    positions = np.arange(6)
    np.testing.assert_allclose(
        trainer.probabilities(trained, positions),
        trainer.probabilities(head_only, positions),
        atol=1e-6,
    )


@pytest.mark.parametrize("kind", [recipe(0), recipe(2, epochs=6, rate=0.1), SCRATCH])
def test_weights_kept_are_those_of_the_best_epoch_of_all_phases(
    trainer: Trainer, draw: Draw, kind: Recipe
) -> None:
    trained = trainer.train(kind, draw, 0)
    assert trained.validation_loss == trained.history["validation_loss"].min()
    found = cross_entropy(trainer, trained, draw.validation)
    assert found == pytest.approx(trained.validation_loss, rel=1e-4)


def test_history_says_which_weights_were_kept(trainer: Trainer, draw: Draw) -> None:
    for depth, rate, phase in ((0, 0.1, "head"), (2, 0.1, "fine_tuning"), (2, 1.0, "head")):
        trained = trainer.train(recipe(depth, epochs=6, rate=rate), draw, 0)
        (kept,) = trained.history[trained.history["kept"]].to_dict("records")
        assert kept["phase"] == phase
        assert kept["validation_loss"] == pytest.approx(trained.validation_loss)
        assert kept["validation_accuracy"] == trained.validation_accuracy


def test_the_last_weights_are_those_of_the_end_where_they_are_as_good(
    trainer: Trainer, draw: Draw
) -> None:
    best = recipe(2, epochs=6, rate=0.1)
    last = replace(best, last_phase=best.last_phase.model_copy(update={"keep": "last"}))
    trained = trainer.train(last, draw, 0)
    assert trained.history["kept"].to_numpy()[-1]
    assert trained.validation_loss == pytest.approx(losses(trained, "fine_tuning")[-1])
    found = cross_entropy(trainer, trained, draw.validation)
    assert found == pytest.approx(trained.validation_loss, rel=1e-4)
    absurd = PhaseConfig(epochs=3, learning_rate=1.0, patience=3, keep="last")
    assert trainer.train(replace(last, last_phase=absurd), draw, 0).backbone_weights == {}


def test_history_joins_the_phases(trainer: Trainer, draw: Draw) -> None:
    history = trainer.train(recipe(1, epochs=3), draw, 0).history
    assert list(history["phase"]) == ["head"] * 2 + ["fine_tuning"] * 3
    assert list(history["epoch"]) == [1, 2, 1, 2, 3]
    assert list(history.index) == list(range(5))


@pytest.fixture
def noted_phases(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, PhaseConfig, float]]:
    """Name, configuration and rate of each phase that is trained."""
    seen: list[tuple[str, PhaseConfig, float]] = []

    def noted(
        graph: TrainingGraph,
        train: Batches,
        validation: Batches,
        phase: PhaseConfig,
        *,
        name: str,
        **options: Any,
    ) -> PhaseResult:
        result = train_phase(graph, train, validation, phase, name=name, **options)
        seen.append((name, phase, float(graph.optimizer.learning_rate)))
        return result

    monkeypatch.setattr(trainer_module, "train_phase", noted)
    return seen


def test_each_phase_has_its_configuration(
    trainer: Trainer, draw: Draw, noted_phases: list[tuple[str, PhaseConfig, float]]
) -> None:
    fine_tuning, scratch = recipe(1, rate=0.007), replace(SCRATCH, last_phase=recipe(0).last_phase)
    trainer.train(fine_tuning, draw, 77)
    trainer.train(scratch, draw, 77)
    names, configurations, rates = zip(*noted_phases, strict=True)
    assert names == ("head", "fine_tuning", "from_scratch")
    assert configurations == (
        trainer.training.phase_1,
        fine_tuning.last_phase,
        scratch.last_phase,
    )
    np.testing.assert_allclose(rates, [0.02, 0.007, 0.01])


def test_depths_share_phase_1(
    trainer: Trainer, draw: Draw, noted_phases: list[tuple[str, PhaseConfig, float]]
) -> None:
    for depth in (0, 1, 2):
        trainer.train(recipe(depth, epochs=1), draw, 78)
    assert [name for name, *_ in noted_phases] == ["head", "fine_tuning", "fine_tuning"]


@pytest.mark.parametrize("part", ["train", "validation"])
def test_other_images_have_a_phase_1_of_their_own(
    trainer: Trainer,
    draw: Draw,
    noted_phases: list[tuple[str, PhaseConfig, float]],
    part: str,
) -> None:
    other = replace(draw, **{part: getattr(draw, part)[1:]})
    for one in (draw, other, draw):
        trainer.train(recipe(0), one, {"train": 79, "validation": 80}[part])
    assert [name for name, *_ in noted_phases] == ["head", "head"]


@pytest.mark.slow
@KINDS
def test_run_does_not_depend_on_the_runs_before(
    make_trainer: MakeTrainer, stochastic_trainer: Trainer, draw: Draw, kind: Recipe
) -> None:
    alone = make_trainer(**STOCHASTIC).train(kind, draw, 1)
    for before in (kind, *EVERY_KIND):
        stochastic_trainer.train(before, draw, 0)
    keras.utils.set_random_seed(99)
    random.seed(17)
    assert_same(stochastic_trainer.train(kind, draw, 1), alone)


def test_training_leaves_what_tensorflow_has_prepared(
    trainer: Trainer, draw: Draw, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seeding TensorFlow throws it away, and the next run of a whole network waits for seconds."""
    seeded: list[int] = []
    monkeypatch.setattr(tf.random, "set_seed", seeded.append)
    for kind in (recipe(0), recipe(2), SCRATCH):
        trainer.train(kind, draw, 81)
    assert not seeded


def test_run_does_not_depend_on_which_graphs_were_dropped(
    make_trainer: MakeTrainer, draw: Draw, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {**STOCHASTIC, "optimizer": "sgd"}
    alone = make_trainer(**settings).train(recipe(3), draw, 1)
    monkeypatch.setattr(phases, "MAX_GRAPHS", 1)
    trainer = make_trainer(**settings)
    trainer.train(recipe(1), draw, 0)
    # Predicting builds the graph of three blocks while one block is unfrozen.
    trainer.probabilities(alone, draw.validation)
    assert_same(trainer.train(recipe(3), draw, 1), alone)


def test_same_training_is_made_once_within_the_budget(
    trainer: Trainer, draw: Draw, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainer, "remembered_bytes", 2**20)
    first = trainer.train(recipe(1), draw, 0)
    assert trainer.train(recipe(1), draw, 0) is first
    assert trainer.train(recipe(1), draw, 1) is not first
    monkeypatch.setattr(trainer, "remembered_bytes", first.weight_bytes)
    trainer.train(recipe(1), draw, 2)
    assert trainer.train(recipe(1), draw, 0) is not first


def test_seed_decides_the_initialisation(trainer: Trainer, draw: Draw) -> None:
    slow = replace(SCRATCH, last_phase=PhaseConfig(epochs=1, learning_rate=1e-9, patience=1))
    first, second = (trainer.train(slow, draw, seed) for seed in (0, 1))
    assert not np.allclose(first.backbone_weights[0], second.backbone_weights[0])


def test_images_outside_the_draw_do_not_matter(
    make_trainer: MakeTrainer, trainer: Trainer, draw: Draw, images: LabelledImages
) -> None:
    pixels = whole(images.pixels)
    pixels[24:] = 0
    other = LabelledImages(pixels, images.class_indices.copy(), 3)
    other.class_indices[24:] = 99
    trained = make_trainer(labelled=other).train(recipe(1), draw, 0)
    assert_same(trained, trainer.train(recipe(1), draw, 0))


@KINDS
def test_probabilities_are_those_of_the_model_to_serve(
    stochastic_trainer: Trainer, draw: Draw, images: LabelledImages, kind: Recipe
) -> None:
    trained = stochastic_trainer.train(kind, draw, 0)
    stochastic_trainer.train(recipe("all", rate=0.5), draw, 1)
    positions = np.array([29, 3, 3, 17])
    probabilities = stochastic_trainer.probabilities(trained, positions)
    model = stochastic_trainer.inference_model(trained)
    served = model(images.pixels[positions].astype(np.float32), training=True)
    np.testing.assert_allclose(probabilities, served, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    # on some processors the last bit depends on the place in the batch
    np.testing.assert_allclose(probabilities[1], probabilities[2], rtol=1e-6)


@pytest.mark.parametrize("kind", [recipe("all"), recipe(1, cut="block2"), SCRATCH])
def test_a_copied_classifier_stays_while_the_trainer_goes_on(
    trainer: Trainer, draw: Draw, kind: Recipe
) -> None:
    pixels = trainer.images.pixels[draw.validation].astype(np.float32)
    model = trainer.inference_model(trainer.train(kind, draw, 0))
    copied, before = plain_classifier(model), np.asarray(model(pixels))
    faster = PhaseConfig(epochs=2, learning_rate=0.5, patience=2)
    trainer.train(replace(kind, last_phase=faster), draw, 1)
    np.testing.assert_array_equal(copied(pixels), before)
    assert not np.array_equal(model(pixels), before)


def test_balancing_weights_give_each_class_the_same_sum() -> None:
    labelled = LabelledImages(np.zeros((7, 8, 8, 3), np.uint8), np.array([0, 0, 0, 0, 1, 2, 2]), 3)
    weights = labelled.balancing_weights(np.array([0, 1, 2, 3, 4, 5]))
    assert weights.dtype == np.float32
    np.testing.assert_array_equal(weights, [0.5, 0.5, 0.5, 0.5, 2, 2])


def test_balancing_weights_of_equal_classes_are_one() -> None:
    labelled = LabelledImages(np.zeros((4, 8, 8, 3), np.uint8), np.array([1, 0, 0, 1]), 2)
    np.testing.assert_array_equal(labelled.balancing_weights(np.arange(4)), np.ones(4))


def test_class_without_images_does_not_weigh() -> None:
    labelled = LabelledImages(np.zeros((3, 8, 8, 3), np.uint8), np.array([0, 0, 2]), 3)
    np.testing.assert_allclose(labelled.balancing_weights(np.arange(3)), [0.75, 0.75, 1.5])


def test_one_hot_follows_the_positions(images: LabelledImages) -> None:
    np.testing.assert_array_equal(images.one_hot(np.array([2, 0])), [[0, 0, 1], [1, 0, 0]])


@pytest.mark.parametrize(
    "settings",
    [
        {"class_weights": "none"},
        {"label_smoothing": 0.3},
        {"weight_decay": 0.5},
        {"optimizer": "sgd"},
        {"batch_size": 7},
        {"dropout": 0.5},
    ],
    ids=str,
)
def test_settings_change_the_training(
    trainer: Trainer, make_trainer: MakeTrainer, settings: dict[str, Any]
) -> None:
    one, other = (
        each.train(recipe(0), UNEQUAL, 0).head_weights[0]
        for each in (trainer, make_trainer(**settings))
    )
    assert not np.allclose(one, other, rtol=1e-6)


def test_smoothed_and_weighted_targets_leave_the_validation_loss_as_it_is(
    make_trainer: MakeTrainer,
) -> None:
    trainer = make_trainer(label_smoothing=0.3)
    trained = trainer.train(recipe(0), UNEQUAL, 0)
    found = cross_entropy(trainer, trained, UNEQUAL.validation)
    assert found == pytest.approx(trained.validation_loss, rel=1e-4)


def test_training_loss_is_that_of_smoothed_and_weighted_targets(
    make_trainer: MakeTrainer, images: LabelledImages
) -> None:
    # A rate too small to matter, so that the loss is that of the initial head.
    trainer = make_trainer(phase_1=(1, 1e-9), label_smoothing=0.3)
    trained = trainer.train(recipe(0, units=(4,)), UNEQUAL, 0)
    probabilities = trainer.probabilities(trained, UNEQUAL.train)
    targets = np.full((7, 3), 0.1)
    targets[np.arange(7), images.class_indices[UNEQUAL.train]] = 0.8
    weights = np.array([7 / 15] * 5 + [7 / 3] * 2)
    expected = -(weights * (targets * np.log(probabilities)).sum(axis=1)).mean()
    assert trained.history["loss"][0] == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("augmentation", ["none", "strong"])
def test_from_scratch_the_statistics_are_those_of_the_training_images(
    trainer: Trainer, draw: Draw, images: LabelledImages, augmentation: str
) -> None:
    trained = trainer.train(replace(SCRATCH, augmentation=augmentation), draw, 0)
    network = trainer.trained_backbone(trained).model
    norms = [network.get_layer(name) for name in ("stem_bn", "block1_bn", "block2_bn")]
    kept = [(norm.moving_mean.numpy(), norm.moving_variance.numpy()) for norm in norms]
    scaled = images.pixels[draw.train].astype(np.float32) / 127.5 - 1
    entering = keras.Model(network.input, [norm.input for norm in norms])(scaled, training=True)
    for (mean, variance), activations in zip(kept, map(np.asarray, entering), strict=True):
        np.testing.assert_allclose(mean, activations.mean((0, 1, 2)), rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(variance, activations.var((0, 1, 2)), rtol=1e-3, atol=1e-6)


def test_from_scratch_the_network_learns_every_class(
    trainer: Trainer, draw: Draw, images: LabelledImages
) -> None:
    trained = trainer.train(recipe("all", epochs=40, rate=0.02, from_scratch=True), draw, 0)
    answers = trainer.probabilities(trained, draw.train).argmax(axis=1)
    assert (answers == images.class_indices[draw.train]).mean() > 0.8
    assert len(set(answers)) == 3


def test_nothing_handed_in_is_changed(
    trainer: Trainer, draw: Draw, images: LabelledImages, make_backbone: MakeBackbone
) -> None:
    pixels, classes, train = whole(images.pixels), images.class_indices.copy(), draw.train.copy()
    for kind in (recipe(2), recipe(2, "light"), SCRATCH):
        trainer.train(kind, draw, 0)
    np.testing.assert_array_equal(images.pixels, pixels)
    np.testing.assert_array_equal(images.class_indices, classes)
    np.testing.assert_array_equal(draw.train, train)
    assert_equal_weights(trainer.backbone.source_weights, make_backbone().source_weights)


def augmented(depth: Depth) -> Recipe:
    return recipe(depth, "strong")


@pytest.fixture
def batches_of(
    make_trainer: MakeTrainer, draw: Draw, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., list[tuple[Batches, Batches]]]:
    """`batches_of(recipe, seed=0, **training keys)`: those of each phase of a training."""

    def observed(kind: Recipe, seed: int = 0, **settings: object) -> list[tuple[Batches, Batches]]:
        seen: list[tuple[Batches, Batches]] = []

        def noting(*arguments: Any, **options: Any) -> PhaseResult:
            seen.append((arguments[1], arguments[2]))
            return train_phase(*arguments, **options)

        monkeypatch.setattr(trainer_module, "train_phase", noting)
        make_trainer(phase_1=(3, 0.02), **settings).train(kind, draw, seed)
        return seen

    return observed


@pytest.mark.parametrize("depth", [0, 2])
def test_validation_images_are_read_from_the_bank_and_unchanged(
    batches_of: Callable[..., Any], make_backbone: MakeBackbone, draw: Draw, depth: int
) -> None:
    images = batches_of(recipe(0))[0][1]
    for phase_depth, (_, validation) in zip((0, depth), batches_of(augmented(depth)), strict=False):
        part = make_backbone().frozen_part(phase_depth)
        assert part is not None
        assert validation.inputs.shape[1:] == part.output.shape[1:]
        if phase_depth == 0:
            np.testing.assert_array_equal(whole(validation.inputs), whole(images.inputs))


@pytest.mark.parametrize("kind", [augmented(2), augmented("all"), SCRATCH])
def test_images_that_change_in_every_batch_go_through_the_whole_network(
    batches_of: Callable[..., Any], kind: Recipe
) -> None:
    train, _ = batches_of(kind)[-1]
    assert train.inputs.shape == (14, 8, 8, 3)


@pytest.mark.parametrize("depth", [0, 2, "all"])
def test_validation_loss_is_that_of_the_whole_network(
    make_trainer: MakeTrainer, draw: Draw, depth: Depth
) -> None:
    trainer = make_trainer()
    trained = trainer.train(augmented(depth), draw, 0)
    pixels = trainer.images.pixels[draw.validation].astype(np.float32)
    probabilities = np.asarray(trainer.inference_model(trained)(pixels))
    classes = trainer.images.class_indices[draw.validation]
    loss = -np.log(probabilities[np.arange(len(classes)), classes]).mean()
    assert trained.validation_loss == pytest.approx(loss, rel=1e-4)
    predicted = trainer.probabilities(trained, draw.validation)
    np.testing.assert_allclose(predicted, probabilities, rtol=1e-4, atol=1e-6)
