"""One phase: its steps against numpy, its stop, what it keeps, and the pool of graphs."""

import gc
import weakref
from collections.abc import Callable
from typing import Any, get_args

import keras
import numpy as np
import pytest

from tl_keras.config.schema import Keep, PhaseConfig, TrainingConfig
from tl_keras.data.batches import Batches
from tl_keras.models.backbone import Backbone
from tl_keras.models.blocks import set_trainable
from tl_keras.models.heads import build_head
from tl_keras.transfer import phases
from tl_keras.transfer.phases import Evaluation, GraphPool, TrainingGraph, train_phase
from tl_keras.transfer.selection_losses import CrossFit

RNG = np.random.default_rng(0)
FEATURES = RNG.normal(size=(10, 4)).astype("float32")
CLASSES = np.array([0, 1, 2, 0, 1, 2, 0, 1, 2, 0])
TARGETS = np.eye(3, dtype="float32")[CLASSES]
KERNEL = RNG.normal(size=(4, 3)).astype("float32")
BIAS = np.array([0.5, -0.5, 0.0], "float32")
# What no training can be better than.
PERFECT = np.zeros(10, "float32")
KEPT: tuple[Keep, Keep] = ("best", "last")
OPTIMIZERS = get_args(TrainingConfig.model_fields["optimizer"].annotation)


def batches(size: int, *, seed: int | None = None, weights: np.ndarray | None = None) -> Batches:
    if weights is None:
        weights = np.ones(10, "float32")
    return Batches(FEATURES, TARGETS, size, weights, shuffle_seed=seed)


def compiled(*, dropout: float = 0.0, **training: Any) -> TrainingGraph:
    head = build_head(4, 3, hidden_units=(), dropout=dropout)
    head.set_weights([KERNEL, BIAS])
    return TrainingGraph.of(head, TrainingConfig(**training))


def restart(graph: TrainingGraph) -> TrainingGraph:
    graph.model.set_weights([KERNEL, BIAS])
    return graph


def phase(epochs: int, rate: float = 0.05, patience: int = 100, keep: Keep = "best") -> PhaseConfig:
    return PhaseConfig(epochs=epochs, learning_rate=rate, patience=patience, keep=keep)


def softmax(kernel: np.ndarray, bias: np.ndarray) -> np.ndarray:
    exponentials = np.exp(FEATURES @ kernel + bias)
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def cross_entropy(kernel: np.ndarray, bias: np.ndarray) -> float:
    return float(-np.log(softmax(kernel, bias)[np.arange(10), CLASSES]).mean())


def kernel_after_one_step(weights: np.ndarray, rate: float) -> np.ndarray:
    """Of gradient descent on the weighted cross-entropy of all images."""
    errors = (softmax(KERNEL, BIAS) - TARGETS) * weights[:, None]
    return KERNEL - rate * FEATURES.T @ errors / 10


def assert_equal_weights(first: list[np.ndarray], second: list[np.ndarray]) -> None:
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, other)


def test_one_step_is_gradient_descent_on_the_weighted_loss() -> None:
    weights = np.linspace(0.1, 2, 10).astype("float32")
    graph = compiled(optimizer="sgd")
    train_phase(
        graph, batches(10, weights=weights), batches(10), phase(1, 0.1), name="head", seed=0
    )
    np.testing.assert_allclose(
        graph.model.get_weights()[0], kernel_after_one_step(weights, 0.1), rtol=1e-5
    )


def test_weight_decay_shrinks_by_a_multiple_of_the_rate() -> None:
    graph = compiled(optimizer="sgd", weight_decay=0.5)
    graph.start_again(0.1, 0)
    graph.train(batches(10))
    expected = kernel_after_one_step(np.ones(10), 0.1) - 0.5 * 0.1 * KERNEL
    np.testing.assert_allclose(graph.model.get_weights()[0], expected, rtol=1e-5)


@pytest.mark.parametrize("decay", [0.0, 0.01])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_optimizer_lowers_the_loss(optimizer: str, decay: float) -> None:
    graph = compiled(optimizer=optimizer, weight_decay=decay)
    result = train_phase(graph, batches(4), batches(10), phase(8, 0.02), name="head", seed=0)
    assert result.validation_losses.mean() < 0.97 * cross_entropy(KERNEL, BIAS)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_no_weight_decay_is_really_none(optimizer: str) -> None:
    graph = compiled(optimizer=optimizer)
    targets = softmax(KERNEL, BIAS).astype("float32")
    settled = Batches(FEATURES, targets, 10, np.zeros(10, "float32"))
    graph.start_again(0.1, 0)
    graph.train(settled)
    assert_equal_weights(graph.model.get_weights(), [KERNEL, BIAS])


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_nothing_is_left_of_the_training_before(optimizer: str) -> None:
    graph = compiled(optimizer=optimizer, dropout=0.5)
    outcomes = []
    for _ in range(2):
        train_phase(restart(graph), batches(4, seed=1), batches(10), phase(3), name="head", seed=7)
        outcomes.append(graph.model.get_weights())
    assert_equal_weights(*outcomes)


def test_optimizer_starts_anew_at_the_rate_of_the_phase() -> None:
    graph = compiled(optimizer="adam")
    graph.start_again(0.1, 0)
    graph.train(batches(4))
    assert int(graph.optimizer.iterations) == 3
    graph.start_again(0.003, 0)
    states = {variable.path: variable.numpy() for variable in graph.optimizer.variables}
    assert float(graph.optimizer.learning_rate) == pytest.approx(0.003)
    moments = [value for path, value in states.items() if "momentum" in path or "velocity" in path]
    assert len(moments) == 4
    assert all(not value.any() for value in moments)
    assert int(graph.optimizer.iterations) == 0


def test_seed_decides_what_dropout_drops() -> None:
    graph = compiled(dropout=0.5)
    outcomes = []
    for seed in (1, 2):
        train_phase(restart(graph), batches(4), batches(10), phase(1), name="head", seed=seed)
        outcomes.append(graph.model.get_weights()[0])
    assert not np.array_equal(*outcomes)


def test_scores_are_means_over_images_of_unequal_batches() -> None:
    graph = compiled()
    held_out = graph.evaluate(batches(4))
    answers = softmax(KERNEL, BIAS)
    assert held_out.losses.mean() == pytest.approx(cross_entropy(KERNEL, BIAS), rel=1e-5)
    assert held_out.accuracy == pytest.approx((answers.argmax(axis=1) == CLASSES).mean())
    own = -np.log(answers[np.arange(10), CLASSES])
    np.testing.assert_allclose(held_out.losses, own, rtol=1e-5)
    np.testing.assert_allclose(held_out.log_probabilities, np.log(answers), rtol=1e-5)


def test_training_loss_of_one_epoch_forgets_the_epoch_before() -> None:
    graph = compiled(optimizer="sgd")
    graph.start_again(1e-9, 0)
    graph.train(Batches(FEATURES, TARGETS[::-1], 4, np.ones(10, "float32")))
    assert graph.train(batches(4))["loss"] == pytest.approx(cross_entropy(KERNEL, BIAS), rel=1e-5)


def test_penalties_on_weights_are_part_of_the_training_loss() -> None:
    features = keras.Input((4,))
    logits = keras.layers.Dense(3, kernel_regularizer=keras.regularizers.L2(0.1))(features)
    graph = TrainingGraph.of(keras.Model(features, logits), TrainingConfig(optimizer="sgd"))
    restart(graph).start_again(1e-9, 0)
    expected = cross_entropy(KERNEL, BIAS) + 0.1 * float((KERNEL**2).sum())
    assert graph.train(batches(4))["loss"] == pytest.approx(expected, rel=1e-5)


def test_how_many_batches_go_through_at_a_time_changes_no_number(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    graph, outcomes = compiled(dropout=0.5), []
    for numbers in (1, 20, 1000):
        monkeypatch.setattr("tl_keras.data.batches.MAX_NUMBERS", numbers)
        result = train_phase(
            restart(graph), batches(2, seed=1), batches(3), phase(3), name="x", seed=7
        )
        history = result.history.drop(columns="seconds").to_numpy()
        outcomes.append([*graph.model.get_weights(), result.seen.losses(), history])
    assert_equal_weights(outcomes[0], outcomes[1])
    assert_equal_weights(outcomes[0], outcomes[2])


def test_testing_changes_no_weight_and_drops_nothing() -> None:
    graph = compiled(dropout=0.5)
    first, second = (graph.evaluate(batches(4)) for _ in range(2))
    np.testing.assert_array_equal(first.log_probabilities, second.log_probabilities)
    assert first.accuracy == second.accuracy
    assert_equal_weights(graph.model.get_weights(), [KERNEL, BIAS])


def test_probabilities_are_the_softmax_of_the_logits() -> None:
    graph = compiled(dropout=0.5)
    probabilities = graph.probabilities(FEATURES, 4)
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities, softmax(KERNEL, BIAS), rtol=1e-5)


def test_history_has_a_row_per_epoch() -> None:
    result = train_phase(compiled(), batches(4), batches(10), phase(3), name="head", seed=0)
    assert list(result.history.columns) == [
        "phase",
        "epoch",
        "loss",
        "accuracy",
        "validation_loss",
        "validation_accuracy",
        "seconds",
        "kept",
    ]
    assert list(result.history["epoch"]) == [1, 2, 3]
    assert set(result.history["phase"]) == {"head"}
    assert (result.history["seconds"] > 0).all()


def test_weights_of_the_best_epoch_are_kept() -> None:
    graph = compiled(optimizer="sgd")
    # Far too large a rate: better at first, then worse and better in turns.
    result = train_phase(
        graph, batches(3, seed=2), batches(10), phase(12, 1.0), name="head", seed=0
    )
    losses = result.history["validation_loss"].to_numpy()
    assert losses.argmin() < len(losses) - 1
    assert result.validation_losses.mean() == losses.min()
    np.testing.assert_array_equal(graph.evaluate(batches(10)).losses, result.validation_losses)
    assert list(np.flatnonzero(result.history["kept"])) == [losses.argmin()]


def test_the_last_weights_are_kept_where_the_best_are_not_surely_better(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spread = np.linspace(-1, 1, 10, dtype=np.float32)
    # the second epoch is worse by 0.05, an eighth of a standard error
    scripts = [2.5 + 0 * spread, 2.55 + 2 * spread]
    waiting: list[np.ndarray] = []

    def scripted(self: TrainingGraph, data: Batches) -> Evaluation:
        own = waiting.pop(0)
        return Evaluation(own, 0.5, np.stack([-own, -own, -own], axis=1))

    monkeypatch.setattr(TrainingGraph, "evaluate", scripted)
    found = {}
    for epoch, keep in enumerate(KEPT):
        waiting += scripts
        settings = phase(2, keep=keep)
        found[keep] = train_phase(compiled(), batches(4), batches(10), settings, name="x", seed=0)
        assert list(np.flatnonzero(found[keep].history["kept"])) == [epoch]
        np.testing.assert_array_equal(found[keep].validation_losses, scripts[epoch])
    assert found["last"].seen.chosen.sum() > found["best"].seen.chosen.sum()


def test_training_stops_when_patience_is_at_its_end() -> None:
    graph = compiled()
    result = train_phase(
        graph,
        batches(4),
        batches(10),
        phase(50, patience=3),
        name="x",
        seed=0,
        losses_so_far=PERFECT,
    )
    assert len(result.history) == 3


def test_patience_counts_from_the_best_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    losses = iter([5.0, 3.0, 4.0, 2.0, 2.0, 6.0, 1.0, 0.0])
    graph = compiled()

    def scripted(self: TrainingGraph, data: Batches) -> Evaluation:
        loss = next(losses)
        return Evaluation(np.full(10, loss, np.float32), 0.5, np.full((10, 3), -loss))

    monkeypatch.setattr(TrainingGraph, "evaluate", scripted)
    result = train_phase(graph, batches(4), batches(10), phase(50, patience=2), name="x", seed=0)
    assert list(result.history["validation_loss"]) == [5.0, 3.0, 4.0, 2.0, 2.0, 6.0]
    assert result.validation_losses.mean() == 2.0


def test_training_that_improves_runs_to_its_end() -> None:
    result = train_phase(
        compiled(), batches(4), batches(10), phase(5, 0.001, patience=1), name="x", seed=0
    )
    assert len(result.history) == 5


def test_phase_that_never_improves_ends_where_it_started() -> None:
    graph = compiled()
    result = train_phase(
        graph,
        batches(4),
        batches(10),
        phase(4, patience=9),
        name="x",
        seed=0,
        losses_so_far=PERFECT,
    )
    assert_equal_weights(graph.model.get_weights(), [KERNEL, BIAS])
    assert result.validation_losses is PERFECT
    assert len(result.history) == 4
    assert result.seen.epochs == 4


def test_a_phase_goes_on_from_what_an_earlier_one_saw() -> None:
    seen = CrossFit.of(CLASSES)
    graph = compiled(optimizer="sgd")
    first = train_phase(graph, batches(4), batches(10), phase(3), name="x", seed=0, seen=seen)
    graph.model.set_weights([-9 * KERNEL, BIAS])
    second = train_phase(
        graph, batches(4), batches(10), phase(2, 1e-6), name="x", seed=0, seen=first.seen
    )
    assert (first.seen.epochs, second.seen.epochs) == (3, 5)
    assert (second.seen.least <= first.seen.least).all()
    assert set(second.seen.chosen[second.seen.chosen < 3]) <= set(first.seen.chosen)
    assert min(second.seen.chosen) < 3, "some halves stay with an epoch of the first phase"


def test_loss_that_is_no_number_is_never_the_best() -> None:
    graph = compiled(optimizer="sgd")
    broken = FEATURES.copy()
    broken[3] = np.nan
    train = Batches(broken, TARGETS, 4, np.ones(10, "float32"))
    train_phase(graph, train, batches(10), phase(3), name="x", seed=0)
    assert_equal_weights(graph.model.get_weights(), [KERNEL, BIAS])


def test_smaller_last_batch_is_not_traced_anew() -> None:
    graph = compiled()
    train_phase(graph, batches(4), batches(3), phase(2), name="x", seed=0)
    graph.probabilities(FEATURES, 7)
    steps = (graph.steps, graph.logits)
    assert [step.experimental_get_tracing_count() for step in steps] == [1, 1]


def test_trainable_parameters_are_counted() -> None:
    assert compiled().trainable_parameters == 4 * 3 + 3


def shapes_built(asked: str) -> str:
    """Which of the shapes asked for, one letter each, a pool builds."""
    pool, built = GraphPool(), []

    def build() -> TrainingGraph:
        built.append(shape)
        return compiled()

    for shape in asked:
        pool.get(shape, build)
    return "".join(built)


def test_pool_builds_each_shape_once() -> None:
    assert shapes_built("aba") == "ab"


def test_pool_drops_what_was_not_used_for_longest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(phases, "MAX_GRAPHS", 2)
    assert shapes_built("abacab") == "abcb"


def test_dropped_graph_is_freed(
    make_backbone: Callable[..., Backbone], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(phases, "MAX_GRAPHS", 1)
    backbone, pool = make_backbone(), GraphPool()
    head = build_head(5, 3, hidden_units=(), dropout=0.0)
    pixels = np.zeros((2, 8, 8, 3), np.uint8)
    data = Batches(pixels, TARGETS[:2], 2, np.ones(2, "float32"))

    def build() -> TrainingGraph:
        set_trainable(backbone.model, backbone.blocks, "all")
        return TrainingGraph.of(backbone.augmented("all", head, "none"), TrainingConfig())

    def traced() -> list[weakref.ref[Any]]:
        graph = pool.get("a", build)
        graph.train(data)
        graph.evaluate(data)
        graph.probabilities(pixels, 2)
        concrete = graph.steps.get_concrete_function()
        return [weakref.ref(part) for part in (graph.model, graph.optimizer, concrete.graph)]

    parts = traced()
    pool.get("b", compiled)
    keras.utils.set_random_seed(0)
    gc.collect()
    assert [part() for part in parts] == [None, None, None]
