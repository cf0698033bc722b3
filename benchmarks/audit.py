"""Time of an audit of 10,000 photos, the forward pass apart.

    python -m benchmarks.audit --images DATA --weights FILE

The photos are pieces of the cats and dogs in DATA, 300 to 500 px and encoded anew, in two classes.
Adds to results/benchmarks.csv.
"""

import argparse
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image

from tl_keras.data.picture_reading import DEFAULTS
from tl_keras.quiet import quiet_tensorflow

SET, SIDE, TARGET_SECONDS = "cats_vs_dogs", 160, 180.0


def main() -> None:
    """Make the photos, look at them, and record the seconds."""
    options = _parser().parse_args()
    with TemporaryDirectory() as folder:
        _make_photos(options.images / SET, Path(folder), options.photos)
        measured = _measured(Path(folder), options.weights)
    from benchmarks.record import record

    audit = measured["files and copies"] + measured["labels and matches"]
    rows: list[dict[str, object]] = [
        {"measure": f"seconds: {name}", "value": value, "unit": "s"}
        for name, value in measured.items()
    ]
    rows.append(
        {
            "measure": "seconds besides the forward pass",
            "value": audit,
            "unit": "s",
            "target": TARGET_SECONDS,
        }
    )
    case = f"pieces of {SET}, {options.photos} photos of 300 to 500 px, input {SIDE} px"
    record([{"benchmark": "audit", "case": case, **row} for row in rows])
    for row in rows:
        print(row)


def _make_photos(source: Path, folder: Path, count: int) -> None:
    """Different pieces of the photos, so that no more than chance makes them copies."""
    random = np.random.default_rng(0)
    for label in sorted(path.name for path in source.iterdir()):
        (folder / label).mkdir()
        files = sorted((source / label).iterdir())
        for number in range(count // 2):
            with Image.open(files[number % len(files)]) as photo:
                width, height = photo.size
                side = int(min(width, height) * random.uniform(0.3, 0.6))
                left, top = (int(random.integers(0, room - side)) for room in (width, height))
                piece = photo.convert("RGB").crop((left, top, left + side, top + side))
            size = int(random.integers(300, 501))
            piece.resize((size, size)).save(folder / label / f"{number:05d}.jpg", quality=90)


def _measured(folder: Path, weights: Path) -> dict[str, float]:
    with quiet_tensorflow():
        from tl_keras.config.files import parse_config
        from tl_keras.data.file_audit import examine
        from tl_keras.data.pixels import load_pictures
        from tl_keras.data.sources import load_images
        from tl_keras.experiment.audit import look_with_network
        from tl_keras.experiment.prepare import load_backbone
        from tl_keras.results.audit_report import AuditReport
        from tl_keras.transfer.features import FeatureBank

    config = parse_config(
        {
            "name": "audit",
            "data": {"folder": str(folder)},
            "backbone": {"weights": str(weights), "image_size": SIDE},
        }
    )
    started = time.perf_counter()
    table = load_images(config.data)
    checked = examine(table, image_size=SIDE)
    looked = time.perf_counter()
    rows = np.arange(len(checked.table.frame))
    paths = checked.table.frame["path"].tolist()
    pixels = load_pictures(paths, rows, image_size=SIDE, reading=DEFAULTS)
    backbone, _ = load_backbone(config)
    features = FeatureBank(backbone, pixels).pooled(rows).read()
    passed = time.perf_counter()
    report = AuditReport("audit", table, checked)
    look_with_network(report, list(features.items()), rows)
    ended = time.perf_counter()
    return {
        "files and copies": looked - started,
        "decoding and forward pass": passed - looked,
        "labels and matches": ended - passed,
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m benchmarks.audit", description=__doc__)
    parser.add_argument("--images", type=Path, required=True, help="folder of sets of photos")
    parser.add_argument("--weights", type=Path, required=True, help="of MobileNetV2, ImageNet")
    parser.add_argument("--photos", type=int, default=10_000)
    return parser


if __name__ == "__main__":
    main()
