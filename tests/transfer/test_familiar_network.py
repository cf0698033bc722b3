"""The network's second answer is that of NumPy, from one pass, in every format."""

from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from tl_keras.models.backbone import Backbone
from tl_keras.models.heads import build_head
from tl_keras.models.pooling import SPREAD, Pooling
from tl_keras.transfer.familiar_network import (
    familiar_classifier,
    features_kept,
    features_of,
)
from tl_keras.transfer.familiarity import Familiarity, fit_familiarity
from tl_keras.transfer.features import FeatureBank
from tl_keras.transfer.probes import probe_classifier
from tl_keras.transfer.trainer import LabelledImages

ROWS = np.arange(30)
BLOCKS = ("block1", "block2")


def noise(count: int = 40) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (count, 8, 8, 3)).astype(np.uint8)


def fitted(backbone: Backbone, images: LabelledImages, blocks: tuple[str, ...]) -> Familiarity:
    features = features_of(backbone, blocks, images.pixels, ROWS)
    found = fit_familiarity(features, images.class_indices, ROWS)
    assert found is not None
    return found


def head(width: int, *hidden: int) -> keras.Model:
    made = build_head(width, 3, hidden_units=hidden, dropout=0.5)
    rng = np.random.default_rng(2)
    made.set_weights([rng.normal(size=values.shape) for values in made.get_weights()])
    return made


def probe(backbone: Backbone, blocks: tuple[str, ...], pooling: Pooling) -> keras.Model:
    width = sum(
        pooling.width(b.output.shape[-1]) for b in backbone.blocks if b.name in blocks
    )  # fmt: skip
    return probe_classifier(backbone, blocks, 3, head(width).get_weights(), pooling)


def trained(backbone: Backbone, pooling: Pooling) -> keras.Model:
    return backbone.inference_model(head(pooling.width(backbone.channels), 5), pooling)


CLASSIFIERS: dict[str, Callable[[Backbone], keras.Model]] = {
    "a probe of the last block": lambda b: probe(b, ("top",), Pooling()),
    "a probe of a watched block": lambda b: probe(b, ("block2",), Pooling()),
    "a probe of several blocks": lambda b: probe(b, ("stem", "block2", "top"), Pooling(SPREAD)),
    "a probe of mirrored images": lambda b: probe(b, ("block1", "top"), Pooling.of(SPREAD, "flip")),
    "a probe of images turned": lambda b: probe(b, ("block1", "top"), Pooling.of(SPREAD, "turns")),
    "the same of one block": lambda b: probe(b, ("block2",), Pooling.of("mean", "flip")),
    "a trained head": lambda b: trained(b, Pooling()),
    "a trained head of deviations": lambda b: trained(b, Pooling(SPREAD)),
    "a trained head on a cut": lambda b: trained(b.cut_after("block2"), Pooling()),
}


@pytest.mark.parametrize("make", CLASSIFIERS.values(), ids=CLASSIFIERS.keys())
def test_network_says_what_numpy_says(
    make: Callable[[Backbone], keras.Model],
    make_backbone: Callable[..., Backbone],
    images: LabelledImages,
) -> None:
    backbone = make_backbone()
    found = fitted(backbone, images, BLOCKS)
    model = make(backbone)
    network = familiar_classifier(model, backbone, found)
    pixels = np.concatenate([images.pixels[ROWS], noise()])
    answers = network(pixels.astype(np.float32))
    assert set(answers) == {"probabilities", "familiar"}
    assert np.array_equal(answers["probabilities"], model(pixels.astype(np.float32)))
    expected = found.familiar(features_of(backbone, BLOCKS, pixels, np.arange(len(pixels))))
    assert answers["familiar"].shape == (len(pixels),)
    said, decide = np.asarray(answers["familiar"]), expected < 0.2
    assert decide.sum() >= 10
    assert said[decide] == pytest.approx(expected[decide], abs=1e-5)
    # of what is much like the labelled photos the distances are small differences
    assert said == pytest.approx(expected, abs=1e-4)
    assert expected.std() > 0.1


def test_one_block_is_enough(
    make_backbone: Callable[..., Backbone], images: LabelledImages
) -> None:
    backbone = make_backbone()
    found = fitted(backbone, images, BLOCKS[:1])
    network = familiar_classifier(trained(backbone, Pooling()), backbone, found)
    said = network(images.pixels[ROWS].astype(np.float32))["familiar"]
    expected = found.familiar(features_of(backbone, BLOCKS[:1], images.pixels, ROWS))
    assert np.asarray(said) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("make", CLASSIFIERS.values(), ids=CLASSIFIERS.keys())
def test_images_pass_the_backbone_as_often_as_before(
    make: Callable[[Backbone], keras.Model],
    make_backbone: Callable[..., Backbone],
    images: LabelledImages,
) -> None:
    backbone = make_backbone()
    model = make(backbone)
    network = familiar_classifier(model, backbone, fitted(backbone, images, BLOCKS))
    assert convolutions(network) == convolutions(model)


def convolutions(model: keras.Model) -> int:
    traced = tf.function(lambda images: model(images, training=False)).get_concrete_function(
        tf.TensorSpec((None, 8, 8, 3))
    )
    return [operation.type for operation in traced.graph.get_operations()].count("Conv2D")


def test_classifier_stays_as_it_is(
    make_backbone: Callable[..., Backbone], images: LabelledImages
) -> None:
    backbone = make_backbone()
    model = probe(backbone, ("top",), Pooling.of("mean", "flip"))
    before = np.asarray(model(images.pixels[ROWS].astype(np.float32)))
    familiar_classifier(model, backbone, fitted(backbone, images, BLOCKS))
    assert model.output.shape == (None, 3)
    assert np.array_equal(model(images.pixels[ROWS].astype(np.float32)), before)


def test_what_is_kept_of_the_source_is_what_the_network_gives(
    make_backbone: Callable[..., Backbone], images: LabelledImages
) -> None:
    backbone = make_backbone()
    rows = np.array([4, 0, 7])
    kept = features_kept(FeatureBank(backbone, images.pixels), BLOCKS, rows)
    given = features_of(backbone, BLOCKS, images.pixels, rows)
    assert list(kept) == list(given) == list(BLOCKS)
    for name in BLOCKS:
        assert kept[name] == pytest.approx(given[name], abs=1e-4)


def test_litert_and_onnx_say_the_same(
    make_backbone: Callable[..., Backbone], images: LabelledImages, tmp_path: Path
) -> None:
    for library in ("ai_edge_litert", "onnxruntime", "tf2onnx"):
        pytest.importorskip(library)
    backbone = make_backbone()
    model = probe(backbone, ("block1", "top"), Pooling.of(SPREAD, "flip"))
    network = familiar_classifier(model, backbone, fitted(backbone, images, BLOCKS))
    pixels = np.concatenate([images.pixels[ROWS[:5]], noise(5)]).astype(np.float32)
    expected = {name: np.asarray(values) for name, values in network(pixels).items()}
    for answers in (by_litert(network, pixels), by_onnx(network, pixels)):
        for name, values in expected.items():
            assert answers[name] == pytest.approx(values, abs=1e-4)


def by_litert(network: keras.Model, pixels: np.ndarray) -> dict[str, np.ndarray]:
    from ai_edge_litert.interpreter import Interpreter

    classify = tf.function(
        lambda images: network(images, training=False),
        input_signature=[tf.TensorSpec((1, 8, 8, 3), tf.float32, name="images")],
    )
    owner = tf.Module()
    owner.kept = [variable.value for variable in network.variables]
    concrete = [classify.get_concrete_function()]
    converted = tf.lite.TFLiteConverter.from_concrete_functions(concrete, owner).convert()
    runner = Interpreter(model_content=converted).get_signature_runner()
    answers = [runner(images=pixels[place : place + 1]) for place in range(len(pixels))]
    return {name: np.concatenate([each[name] for each in answers]) for name in answers[0]}


def by_onnx(network: keras.Model, pixels: np.ndarray) -> dict[str, np.ndarray]:
    import onnxruntime
    import tf2onnx

    from tl_keras.models.keras_internals import frozen_graph

    classify = tf.function(
        lambda images: network(images, training=False),
        input_signature=[tf.TensorSpec((None, 8, 8, 3), tf.float32, name="images")],
    )
    concrete = classify.get_concrete_function()
    frozen = frozen_graph(concrete)
    names = [tensor.name for tensor in frozen.outputs]
    converted, _ = tf2onnx.convert.from_graph_def(
        frozen.graph.as_graph_def(), input_names=["images:0"], output_names=names, opset=15
    )
    session = onnxruntime.InferenceSession(converted.SerializeToString())
    given = session.run(names, {"images:0": pixels})
    return dict(zip(sorted(concrete.structured_outputs), given, strict=True))
