"""What answering from a photo's bytes costs beside the bare network.

    python -m benchmarks.serving [--photo FILE]

MobileNetV2 with random weights and a head of six classes is exported at 96, 160 and 224 px. Three
calls take turns, one photo each: `serving_default` of the loaded SavedModel; the Keras model alone,
on a decoded tensor; and decoding and resizing alone. Without a photo a JPEG of 640 x 480 pixels is
made. Adds its rows to results/benchmarks.csv.
"""

import argparse
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import keras
import numpy as np
import tensorflow as tf

from benchmarks.record import record
from tl_keras.data.decoding import load_pixels
from tl_keras.data.picture_reading import DEFAULTS
from tl_keras.models.backbone import Backbone
from tl_keras.models.heads import build_head
from tl_keras.models.networks import build_backbone
from tl_keras.serving.saved_model import export_classifier

SIZES = (96, 160, 224)
LABELS = ("a", "b", "c", "d", "e", "f")
CALLS, WARM_UP = 200, 20

Call = Callable[[], object]


def main() -> None:
    """Measure and keep the rows."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--photo", type=Path, help="a JPEG, PNG, BMP or GIF file")
    photo = parser.parse_args().photo
    encoded = photo.read_bytes() if photo else _made_photo()
    kind = photo.suffix if photo else "made .jpg"
    for size in SIZES:
        rows = _rows(_in_turn(_calls(size, encoded)))
        case = f"MobileNetV2, {size} px, batch 1, {kind} of {len(encoded)} bytes"
        print(
            case,
            *(f"  {row['measure']}: {row['value']:.3f} {row['unit']}" for row in rows),
            sep="\n",
        )
        record([{"benchmark": "serving", "case": case, **row} for row in rows])


def _calls(size: int, encoded: bytes) -> dict[str, Call]:
    model = _classifier(size)
    with TemporaryDirectory() as folder:
        version = export_classifier(
            model, labels=LABELS, image_size=size, reading=DEFAULTS, directory=Path(folder)
        )
        loaded = tf.saved_model.load(str(version))
    default, files = loaded.signatures["serving_default"], tf.constant([encoded])
    network = tf.function(lambda images: model(images, training=False), autograph=False)
    decode = tf.function(lambda file: load_pixels(file, size, DEFAULTS), autograph=False)
    pixels = tf.cast(decode(files[0])[tf.newaxis], tf.float32)

    def served() -> object:
        # `loaded` owns the variables: it must live as long.
        assert loaded is not None
        return default(image_bytes=files)["probabilities"].numpy()

    return {
        "serving_default": served,
        "network on a decoded tensor": lambda: network(pixels).numpy(),
        "decoding and resizing": lambda: decode(files[0]).numpy(),
    }


def _classifier(size: int) -> keras.Model:
    network = build_backbone("MobileNetV2", image_size=size, alpha=None)
    backbone = Backbone.wrap("MobileNetV2", None, network)
    return backbone.inference_model(
        build_head(backbone.channels, len(LABELS), hidden_units=(), dropout=0.0)
    )


def _in_turn(calls: Mapping[str, Call]) -> dict[str, float]:
    """Median milliseconds of each call."""
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(WARM_UP + CALLS):
        for name, call in calls.items():
            started = time.perf_counter()
            call()
            seconds[name].append(time.perf_counter() - started)
    return {name: 1000 * float(np.median(taken[WARM_UP:])) for name, taken in seconds.items()}


def _rows(times: Mapping[str, float]) -> list[dict[str, object]]:
    served, network, decoding = times.values()
    ratio = (served - decoding) / network
    return [
        *({"measure": name, "value": value, "unit": "ms"} for name, value in times.items()),
        {
            "measure": "serving_default less decoding / network",
            "value": ratio,
            "unit": "times",
            "target": "<= 1.3",
        },
    ]


def _made_photo() -> bytes:
    coarse = np.random.default_rng(0).uniform(0, 255, (12, 16, 3))
    picture = tf.cast(tf.image.resize(coarse, (480, 640), method="bicubic"), tf.uint8)
    return bytes(tf.io.encode_jpeg(picture).numpy())


if __name__ == "__main__":
    main()
