"""What Python hands to an experiment: keys, and images in any of their forms."""

import os
from collections.abc import Mapping
from datetime import date
from numbers import Number
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tl_keras.backbone_table import FILE
from tl_keras.config.files import images_on_disk, load_config, parse_config
from tl_keras.config.schema import ExperimentConfig
from tl_keras.data.given_labels import as_text
from tl_keras.data.given_pictures import (
    are_paths,
    given_pictures,
    is_dataset,
    labels_and_groups,
)
from tl_keras.data.picture_files import write_pictures, write_table
from tl_keras.data.table_source import check_columns
from tl_keras.errors import ConfigError, DataError
from tl_keras.models.own_network.given_network import (
    NETWORKS,
    is_network,
    network_name,
    write_network,
)
from tl_keras.results_layout import PICTURES
from tl_keras.safe_text import brief

Configuration = ExperimentConfig | Mapping[str, Any] | str | os.PathLike[str]

_SOURCES = ("folder", "table", "tfds")
_COLUMNS = ("path", "label", "group")


def experiment_config(
    config: Configuration | None = None,
    images: Any = None,
    name: str | None = None,
    settings: Mapping[str, Any] | None = None,
) -> ExperimentConfig:
    """A configuration from what a caller gave.

    Images that are no files are written as such, without loss, below `results_dir`, once the keys
    are found right: the experiment goes on from there, and the same images are the same files when
    it is started again. So is a Keras model given as `backbone`, or as its `weights`.

    Args:
        config: a configuration, the same as a dict, or the path of a JSON file or of a folder of
            images; None where `images` and `settings` say all.
        images: a folder; a table, as the path of a CSV or Parquet file or as a `DataFrame` with
            columns path, label and optional group, split, or as `data.columns` calls them;
            `(x, y)` or `(x, y, groups)`, where x holds arrays or paths of files; or a
            `tf.data.Dataset` of (image, label).
        name: of the experiment; None is that of the folder or the table, else "images".
        settings: further keys of the experiment; those of a section change that section only.

    Raises:
        ConfigError: the configuration is not valid, or names images beside `images`.
        DataError: the images are not as they must be.
    """
    if isinstance(config, ExperimentConfig) and images is None and not (name or settings):
        return config
    raw = _merged(_as_dict(config), settings or {})
    if name is not None:
        raw["name"] = name
    if images is None and config is None:
        raise ConfigError("images or a configuration must be given; got neither.")
    raw, network = _without_network(raw)
    checked = _checked(raw, images)
    if network is not None:
        write_network(network, Path(str(checked.backbone.weights)))
    return checked


def _without_network(raw: Mapping[str, Any]) -> tuple[dict[str, Any], Any]:
    """Keys that name a file in place of a Keras model, and the model; None where there is none."""
    section = raw.get("backbone")
    network = section.get("weights") if isinstance(section, Mapping) else section
    if not is_network(network):
        return dict(raw), None
    path = Path(raw.get("results_dir") or "results") / NETWORKS / network_name(network)
    # its code, if it has any, is the caller's own
    named = {"name": FILE, "weights": str(path), "trust_code": True}
    others = section if isinstance(section, Mapping) else {}
    return {**raw, "backbone": {**others, **named}}, network


def _checked(raw: dict[str, Any], images: Any) -> ExperimentConfig:
    if images is None:
        return parse_config(raw)
    if isinstance(images, str | os.PathLike):
        return parse_config(_with_images(raw, *images_on_disk(Path(images))))
    checked = parse_config(_with_images(raw, "images", {"table": "not written yet"}))
    named = checked.data.columns.model_dump()
    written = _written(images, Path(checked.results_dir) / PICTURES, named)
    return parse_config(_with_images(raw, "images", written))


def _as_dict(config: Configuration | None) -> dict[str, Any]:
    if config is None:
        return {}
    if isinstance(config, Mapping):
        return dict(config)
    if isinstance(config, str | os.PathLike):
        config = load_config(config)
    if isinstance(config, ExperimentConfig):
        # the defaults follow from what the settings change
        return config.model_dump(mode="json", exclude_unset=True)
    raise ConfigError(
        "The configuration must be a dict, an ExperimentConfig or a path; got "
        f"{type(config).__name__}. Images are given as images=..."
    )


def _merged(raw: dict[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(raw)
    for key, value in settings.items():
        old = merged.get(key)
        if isinstance(old, Mapping) and isinstance(value, Mapping):
            value = _merged(dict(old), value)
        merged[key] = value
    return merged


def _with_images(raw: Mapping[str, Any], name: str, source: Mapping[str, str]) -> dict[str, Any]:
    """Keys with those of the section `data` that say where the images are; a name if there is none.

    Raises:
        ConfigError: the section is no dict, or says it already.
    """
    data = raw.get("data") or {}
    if not isinstance(data, Mapping):
        raise ConfigError(f"data must be a dict of keys; got {type(data).__name__}.")
    if given := [key for key in _SOURCES if data.get(key) is not None]:
        raise ConfigError(f"images and data.{given[0]} must not both be given; remove one of them.")
    return {"name": name, **raw, "data": {**data, **source}}


def _written(images: Any, folder: Path, named: Mapping[str, str]) -> dict[str, str]:
    """Write what is no file yet; the keys of the section `data` that say where.

    Args:
        images: as of `experiment_config`.
        folder: to write into.
        named: the columns of a table, as they are to be called.
    """
    if isinstance(images, tuple) and len(images) in (2, 3) and are_paths(images[0]):
        labels, groups = labels_and_groups(*images)
        columns = zip(_COLUMNS, (list(images[0]), labels, groups), strict=False)
        images = pd.DataFrame({named[name]: values for name, values in columns})
    if isinstance(images, pd.DataFrame):
        return {"table": str(_written_frame(images, folder, named))}
    if is_dataset(images):
        table = write_pictures(given_pictures(images), folder)
    elif isinstance(images, tuple) and len(images) in (2, 3):
        table = write_pictures(given_pictures(*images), folder)
    else:
        alone = isinstance(images, list | np.ndarray | pd.Series)
        raise DataError(
            "images must be a folder; a table (a path, or a DataFrame with columns path and "
            "label); (x, y) or (x, y, groups), where x holds arrays or paths of files and y the "
            "label of each; or a tf.data.Dataset of (image, label). Got "
            f"{type(images).__name__}{', which has no labels: images=(x, y)' * alone}."
        )
    return {"table": str(table), "root": str(folder)}


def _written_frame(frame: pd.DataFrame, folder: Path, named: Mapping[str, str]) -> Path:
    frame = frame.set_axis([str(name) for name in frame.columns], axis=1)
    first = [str(cell) for cell in frame.head(1).to_numpy().ravel()]
    check_columns("The DataFrame of images", list(frame.columns), named, first)
    columns = [name for name in named.values() if name in frame.columns]
    cells = frame[columns].astype(object).where(frame[columns].notna(), "")
    rows = [[_as_text(cell) for cell in row] for row in cells.itertuples(index=False)]
    return write_table(columns, rows, folder)


def _as_text(cell: Any) -> str:
    try:
        if isinstance(cell, str | bytes):
            text = as_text(cell)
            text.encode()
            return text
    except UnicodeError as error:
        raise DataError(f"The table of images must hold Unicode text; got {cell!a}.") from error
    if isinstance(cell, os.PathLike | Number | np.generic | date):
        return str(cell)
    raise DataError(
        "The table of images must hold text or numbers, one value in every row; got "
        f"{brief(repr(cell))}."
    )
