"""Memory and time of the feature bank: 5,000 to 20,000 images of 160 px through MobileNetV2.

    python -m benchmarks.feature_memory

Each number of images has a process of its own, random weights and noise for images: neither
changes how long it takes or how much memory it needs. The features are computed, and then read
once in batches as an epoch of training does. Time should grow as the images do. Adds to
results/benchmarks.csv.
"""

import argparse
import json
import subprocess
import sys
import time

import numpy as np

from tl_keras.data.rows import Rows
from tl_keras.quiet import quiet_tensorflow

SIDE, BATCH = 160, 32
TARGET_MEGABYTES = 2500


def main() -> None:
    """Measure every number of images, or one of them in this process."""
    options = _parser().parse_args()
    if options.here:
        print(json.dumps(measured(options.images[0], options.unfrozen_blocks)))
        return
    rows = []
    for images in options.images:
        figures = _in_its_own_process(images, options.unfrozen_blocks)
        print(f"{images} images:", figures, flush=True)
        rows += _rows(images, options.unfrozen_blocks, figures)
    from benchmarks.record import record

    record(rows)


def measured(images: int, unfrozen_blocks: int) -> dict[str, float]:
    """Seconds to compute the features and to read them, and the largest memory, megabytes."""
    with quiet_tensorflow():
        from tl_keras.models.backbone import Backbone
        from tl_keras.models.networks import build_backbone
        from tl_keras.results.environment import peak_memory_megabytes
        from tl_keras.transfer.features import FeatureBank

    model = build_backbone("MobileNetV2", image_size=SIDE)
    bank = FeatureBank(Backbone.wrap("MobileNetV2", None, model), _noise(images))
    positions = np.arange(images)
    # tracing takes the same time for any number of images
    bank.features(positions[:1], unfrozen_blocks)
    started = time.perf_counter()
    features = bank.features(positions, unfrozen_blocks)
    computed = time.perf_counter()
    order = np.random.default_rng(1).permutation(images)
    for start in range(0, images, BATCH):
        features[np.sort(order[start : start + BATCH])]
    return {
        "seconds_per_1000_images": 1000 * (computed - started) / images,
        "epoch_read_seconds": time.perf_counter() - computed,
        "peak_memory_megabytes": peak_memory_megabytes(),
    }


def _noise(images: int) -> Rows:
    """Pixels where an experiment keeps them: in memory, or beyond a budget in a file."""
    from tl_keras.data.pixels import allocate

    pixels = allocate((images, SIDE, SIDE, 3), np.uint8)
    generator = np.random.default_rng(0)
    for row in range(images):
        pixels[row] = np.frombuffer(generator.bytes(SIDE * SIDE * 3), np.uint8).reshape(
            SIDE, SIDE, 3
        )
    return pixels


def _in_its_own_process(images: int, unfrozen_blocks: int) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.feature_memory", "--here"]
    command += ["--images", str(images), "--unfrozen-blocks", str(unfrozen_blocks)]
    answer = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return dict(json.loads(answer.stdout.splitlines()[-1]))


def _rows(images: int, unfrozen_blocks: int, figures: dict[str, float]) -> list[dict[str, object]]:
    case = f"{images} images, {unfrozen_blocks} blocks unfrozen"
    units = {"seconds_per_1000_images": "s", "epoch_read_seconds": "s"}
    targets = {"peak_memory_megabytes": TARGET_MEGABYTES}
    return [
        {
            "benchmark": "feature_memory",
            "case": case,
            "measure": name,
            "value": value,
            "unit": units.get(name, "MB"),
            "target": targets.get(name),
        }
        for name, value in figures.items()
    ]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--images", type=int, nargs="+", default=[5_000, 10_000, 20_000])
    parser.add_argument(
        "--unfrozen-blocks", type=int, default=0, help="features are what these take"
    )
    parser.add_argument("--here", action="store_true", help="measure in this process")
    return parser


if __name__ == "__main__":
    main()
