"""Images from TensorFlow Datasets, written once as files that a person can open."""

import csv
import difflib
import io
import os
import re
import socket
import sys
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tl_keras.atomic_files import replacing
from tl_keras.data.image_formats import FORMATS, format_by_content
from tl_keras.data.listing import IgnoredFile, Listing, some_of
from tl_keras.data.table_source import list_table
from tl_keras.errors import DataError

IMAGES_FOLDER, _TABLE, _IGNORED = "tl_keras_images", "images.csv", "ignored.csv"
_OWN_SPLITS = ("train", "validation", "test")


def list_tfds(name: str, data_dir: str | None = None) -> Listing:
    """Prepare a data set where that is still to do, and list its images.

    The encoded images are written once to
    `<data_dir>/<name>/<config>/<version>/tl_keras_images/<split>/<label>/<number>.<ending>`.
    Splits called test and validation are kept where train exists beside them and they are
    labelled; splits with other names are not used then. Without such splits all labelled images
    count alike.

    Args:
        name: As `tfds.builder` takes it: `name`, `name/config` or `name/config:version`.
        data_dir: Folder of TensorFlow Datasets; None is its own default.

    Raises:
        DataError: if the name is unknown, the data set cannot be prepared here, or it does not
            have one image and one class label per example.
    """
    builder = _builder(name, data_dir)
    features = _features(name, builder.info.features)
    _prepare(name, builder)
    folder = Path(builder.data_dir) / IMAGES_FOLDER
    if not folder.is_dir():
        with _complete_or_absent(folder) as unfinished:
            _write(builder, features, unfinished)
    ignored = tuple(IgnoredFile(*row) for row in _read_csv(folder / _IGNORED))
    notice = getattr(sys.modules.get(type(builder).__module__), "GENERATED_NOTICE", None)
    listing = list_table(str(folder / _TABLE), str(folder))
    return replace(listing, ignored=ignored, notice=notice)


def _builder(name: str, data_dir: str | None) -> Any:
    import tensorflow_datasets as tfds

    # Importing a module registers the package's own data set under its name.
    import tl_keras.data.handwritten_digits
    import tl_keras.drawn.surface_defects  # noqa: F401

    try:
        return tfds.builder(name, data_dir=data_dir, try_gcs=False)
    except tfds.core.registered.DatasetNotFoundError as error:
        known = tfds.list_builders(with_community_datasets=False)
        near = difflib.get_close_matches(re.split("[/:]", name)[0], known, n=3)
        hint = f" Did you mean {' or '.join(near)}?" if near else ""
        raise DataError(
            f'data.tfds must be the name of a TensorFlow Datasets data set; got "{name}", which '
            f"is neither known nor prepared in {_folder_of(data_dir)}.{hint}"
        ) from error
    except Exception as error:
        raise DataError(
            f'data.tfds "{name}" cannot be opened: {_in_short(error)}. Check its configuration '
            "and version."
        ) from error


def _folder_of(data_dir: str | None) -> str:
    return data_dir or "the default folder of TensorFlow Datasets"


def _in_short(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:500].rstrip('.')}"


def _prepare(name: str, builder: Any) -> None:
    if Path(builder.data_dir).is_dir():
        return
    try:
        _check_reachable(builder)
        with _progress_of_downloads(builder):
            builder.download_and_prepare()
    # What it raises offline depends on the data set: requests, urllib3, OSError, its own classes.
    except Exception as error:
        raise DataError(
            f'data.tfds "{name}" is not in {builder.data_dir} and could not be prepared '
            f"({_in_short(error)}). Its first use needs a network: connect this machine, or "
            "prepare it on one that is connected with "
            f"`tfds.builder('{name}', data_dir='FOLDER').download_and_prepare()`, copy FOLDER "
            "here and set data.data_dir to it."
        ) from error


@contextmanager
def _progress_of_downloads(builder: Any) -> Iterator[None]:
    """Show how a download goes on, but not how a set is made that takes seconds."""
    import tensorflow_datasets as tfds

    if builder.url_infos:
        yield
        return
    tfds.disable_progress_bar()
    try:
        with redirect_stdout(io.StringIO()):
            yield
    finally:
        tfds.enable_progress_bar()


def _check_reachable(builder: Any) -> None:
    """Fail at once offline: TensorFlow Datasets itself retries for more than three minutes."""
    above = 2 if builder.builder_config else 1
    downloaded = Path(builder.data_dir).parents[above] / "downloads"
    if urllib.request.getproxies() or any(downloaded.rglob("*.INFO")):
        return
    urls = builder.url_infos or ()
    hosts = sorted({urllib.parse.urlsplit(url).hostname or "" for url in urls} - {""})
    failures: list[OSError] = []
    for host in hosts:
        try:
            socket.create_connection((host, 443), timeout=5).close()
            return
        except OSError as error:
            failures.append(error)
    if failures:
        raise ConnectionError(f"{some_of(hosts)} cannot be reached, {failures[0]}")


@dataclass(frozen=True)
class _Features:
    image: str
    label: str
    names: Any


def _features(name: str, features: Any) -> _Features:
    import tensorflow_datasets as tfds

    # A LabeledImage is a segmentation mask.
    images = [
        key
        for key, feature in features.items()
        if isinstance(feature, tfds.features.Image)
        and not isinstance(feature, tfds.features.LabeledImage)
    ]
    labels = [key for key, value in features.items() if isinstance(value, tfds.features.ClassLabel)]
    image, label = _preferred("image", images), _preferred("label", labels)
    if image is None or label is None:
        found = some_of(f"{key} ({type(features[key]).__name__})" for key in sorted(features))
        raise DataError(
            f'data.tfds "{name}" must have one Image and one ClassLabel feature (called image and '
            f"label where there are several); it has {found}. Choose another data set, or "
            "write its images to a folder and use data.folder."
        )
    return _Features(image, label, features[label])


def _preferred(name: str, keys: list[str]) -> str | None:
    if name in keys:
        return name
    return keys[0] if len(keys) == 1 else None


@contextmanager
def _complete_or_absent(folder: Path) -> Iterator[Path]:
    try:
        with replacing(folder) as unfinished:
            unfinished.mkdir()
            yield unfinished
    except OSError:
        # Another process may have finished the same folder in the meantime.
        if not folder.is_dir():
            raise


def _write(builder: Any, features: _Features, folder: Path) -> None:
    rows: list[tuple[str, str, str]] = []
    ignored: list[tuple[str, str]] = []
    names = list(builder.info.splits)
    if "train" in names:
        unused = [name for name in names if name not in _OWN_SPLITS]
        ignored += [(name, "split that is not used") for name in unused]
        names = [name for name in _OWN_SPLITS if name in names]
    for split in names:
        for number, encoded, label in _examples(builder, features, split):
            if label is None:
                ignored.append((f"{split}/{number:06d}", "has no label"))
            else:
                path = _write_image(folder, split, number, encoded, label)
                rows.append((path, label, split))
    if not rows:
        raise DataError(
            f'data.tfds "{builder.info.name}" has no labelled images in {some_of(names)}. Choose '
            "another data set."
        )
    divided = "train" in names and len({split for *_, split in rows}) > 1
    _write_csv(
        folder / _TABLE,
        ("path", "label", "split"),
        [(path, label, split if divided else "") for path, label, split in rows],
    )
    _write_csv(folder / _IGNORED, ("path", "reason"), ignored)


def _examples(
    builder: Any, features: _Features, split: str
) -> Iterator[tuple[int, bytes, str | None]]:
    import tensorflow_datasets as tfds

    examples = builder.as_dataset(
        split=split,
        decoders={features.image: tfds.decode.SkipDecoding()},
        shuffle_files=False,
        # One file after the other: the numbers then name the same pictures everywhere.
        read_config=tfds.ReadConfig(interleave_cycle_length=1, try_autocache=False),
    )
    for number, example in enumerate(tfds.as_numpy(examples)):
        label = int(example[features.label])
        # TensorFlow Datasets writes -1 where there is no label.
        name = features.names.int2str(label) if label >= 0 else None
        yield number, example[features.image], name


def _write_image(folder: Path, split: str, number: int, encoded: bytes, label: str) -> str:
    ending = FORMATS[format_by_content(encoded) or "PNG"].endings[0]
    # Some labels hold a slash or a colon, which folders must not, or are a sentence.
    safe = re.sub(r'[/\\:*?"<>|\0-\x1f]|^\.+', "_", label)[:60]
    path = f"{split}/{safe}/{number:06d}{ending}"
    target = folder / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(encoded)
    return path


def _write_csv(path: Path, header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *rows])
        file.flush()
        os.fsync(file.fileno())


def _read_csv(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))[1:]
