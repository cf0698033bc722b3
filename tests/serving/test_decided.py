"""A graph decides as the rule in NumPy does, on every border, in every format."""

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tests.hostile.borders import rule_on_borders
from tl_keras.evaluation.decision_rule import UNKNOWN, DecisionRule
from tl_keras.serving.decided import decide
from tl_keras.serving.onnx import OPSET
from tl_keras.serving.signature_names import CONFIDENCE, DECISION, FAMILIAR, PROBABILITIES

Arrays = dict[str, np.ndarray]


def traced(rule: DecisionRule, *given: np.ndarray) -> Any:
    """A function of tensors with the shapes of probabilities and, where given, of familiar."""

    def decided(probabilities: tf.Tensor, familiar: tf.Tensor | None = None) -> Any:
        known = {} if familiar is None else {FAMILIAR: familiar}
        found = decide({PROBABILITIES: probabilities, **known}, rule)
        return {name: found[name] for name in (CONFIDENCE, DECISION)}

    names = (PROBABILITIES, FAMILIAR)
    specs = [
        tf.TensorSpec(each.shape, each.dtype, name)
        for name, each in zip(names, given, strict=False)
    ]
    return tf.function(decided, input_signature=specs, autograph=False)


def in_tensorflow(rule: DecisionRule, *given: np.ndarray) -> Arrays:
    found = traced(rule, *given)(*map(tf.constant, given))
    return {name: values.numpy() for name, values in found.items()}


def in_litert(rule: DecisionRule, *given: np.ndarray) -> Arrays:
    from ai_edge_litert.interpreter import Interpreter

    concrete = traced(rule, *given).get_concrete_function()
    content = tf.lite.TFLiteConverter.from_concrete_functions([concrete], tf.Module()).convert()
    runner = Interpreter(model_content=content).get_signature_runner()
    names = (PROBABILITIES, FAMILIAR)
    found: Arrays = runner(**dict(zip(names, given, strict=False)))
    return found


def in_onnx(rule: DecisionRule, *given: np.ndarray) -> Arrays:
    import onnxruntime
    import tf2onnx

    model, _ = tf2onnx.convert.from_function(
        traced(rule, *given), traced(rule, *given).input_signature, opset=OPSET
    )
    session = onnxruntime.InferenceSession(model.SerializeToString())
    feeds = {each.name: values for each, values in zip(session.get_inputs(), given, strict=True)}
    found = session.run([CONFIDENCE, DECISION], feeds)
    return dict(zip((CONFIDENCE, DECISION), found, strict=True))


def needs(run: Callable[..., Arrays], module: str, rules: int) -> Any:
    mark = pytest.mark.skipif(find_spec(module) is None, reason=f"{module} is not installed")
    return pytest.param(run, rules, marks=mark, id=run.__name__)


@pytest.mark.parametrize(
    ("run", "rules"),
    [
        needs(in_tensorflow, "tensorflow", 20),
        needs(in_litert, "ai_edge_litert", 6),
        needs(in_onnx, "tf2onnx", 6),
    ],
)
def test_every_library_decides_as_numpy_does(run: Callable[..., Arrays], rules: int) -> None:
    seen = set()
    for seed in range(rules):
        rule, probabilities, familiar = rule_on_borders(seed, (2, 3, 7)[seed % 3])
        found = run(rule, probabilities, familiar)
        confidence, decision = rule.judged(probabilities, familiar)
        np.testing.assert_array_equal(found[DECISION], decision)
        np.testing.assert_array_equal(found[CONFIDENCE], confidence)
        assert [rule.names[each] for each in found[DECISION]] == rule.decisions(
            probabilities, familiar
        )
        seen |= set(decision.tolist())
    assert seen == {0, 1, 2, 3}, "no decision was left out"


def test_without_a_rule_the_outputs_are_those_of_the_network() -> None:
    given = {PROBABILITIES: tf.constant([[0.5, 0.5]])}
    assert decide(given, None) == given


def test_a_network_that_knows_no_strangers_calls_none_unknown() -> None:
    rule = DecisionRule(("a", "b"), 1.0, (1.0, 1.0), stranger_share=1.0)
    found = in_tensorflow(rule, np.array([[0.9, 0.1]], np.float32))
    assert found[DECISION].tolist() == [0]


def test_a_share_of_familiar_that_is_no_number_is_unknown() -> None:
    rule = DecisionRule(("a", "b"), 1.0, (1.0, 1.0), stranger_share=0.05)
    familiar = np.array([np.nan, 1.0], np.float32)
    found = in_tensorflow(rule, np.full((2, 2), 0.5, np.float32), familiar)
    assert [rule.names[each] for each in found[DECISION]] == [UNKNOWN, "accept"]


def test_probabilities_that_are_no_numbers_disturb_no_other_photo() -> None:
    rule = DecisionRule(("a", "b"), 2.0, (1.0, 3.0), ("a",), 0.5, 0.2)
    given = np.array([[0.9, 0.1], [np.nan, np.nan], [0.2, 0.8]], np.float32)
    found, expected = in_tensorflow(rule, given), rule.judged(given)
    np.testing.assert_array_equal(found[CONFIDENCE][[0, 2]], expected[0][[0, 2]])
    np.testing.assert_array_equal(found[DECISION], expected[1])
