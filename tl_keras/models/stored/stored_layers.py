"""Layers of weights by their names, from whatever kind of file has them; no code in it is run."""

import glob
import io
import re
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from tl_keras.errors import WeightsError
from tl_keras.invocation import literal
from tl_keras.path_kinds import A_FILE, NOTHING, kind_of

ARCHIVE, HDF5, CHECKPOINT, NPZ = "a .keras file", "an HDF5 file", "a checkpoint", "an .npz file"
_INDEX = ".index"
_KINDS = {".h5": HDF5, ".hdf5": HDF5, ".keras": ARCHIVE, ".npz": NPZ, _INDEX: CHECKPOINT}

_CONVERTED = (
    "made for answering, not for training. Use the Keras model that it was converted from, saved "
    'by model.save("net.keras")'
)
_TORCH = (
    "a file of PyTorch, which holds no network that Keras can build, and may hold code. Use the "
    "same network of Keras, or build it in Keras, give it these weights and save it by "
    'model.save("net.keras")'
)
_PACKED = "a packed file. Unpack it, and name what is inside"
_OTHERS = {
    ".pt": _TORCH,
    ".pth": _TORCH,
    ".safetensors": _TORCH,
    ".onnx": f"an ONNX file, {_CONVERTED}",
    ".tflite": f"a LiteRT file, {_CONVERTED}",
    ".pb": f"a frozen graph, {_CONVERTED}",
    ".pkl": "a pickle, which may hold code. Build the network and save it by model.save"
    '("net.keras")',
    ".tar": _PACKED,
    ".gz": _PACKED,
    ".tgz": _PACKED,
    ".zip": _PACKED,
}
# What is no weights of a network, though a model of Keras keeps it.
_NOT_LAYERS = {"optimizer", "metrics", "optimizer_weights"}
# What stands between a model and its layers in places of Keras 3.
_CONTAINERS = ("layers", "_layer_checkpoint_dependencies")


@dataclass(frozen=True)
class StoredLayer:
    """Weights that one layer had.

    Attributes:
        name: of the layer, behind those of models around it and slashes; empty where the file does
            not say.
        place: where the file has it; of a file of Keras 3, kinds of layers with numbers.
        arrays: by the name of the variable, or by its number.
    """

    name: str
    place: str
    arrays: Mapping[str, np.ndarray]

    @property
    def short_name(self) -> str:
        """The name without the models around it."""
        return self.name.rpartition("/")[2]


@dataclass(frozen=True)
class Stored:
    """What a file holds.

    Attributes:
        layers: those with weights.
        ordered: whether they stand in the order of the network.
    """

    layers: tuple[StoredLayer, ...]
    ordered: bool


def file_of(path: Path) -> Path:
    """The one file that stands for weights of several: the index of a checkpoint.

    Args:
        path: a weights file, a checkpoint by the name without its ending, or the folder of a
            SavedModel.
    """
    if path.name == "saved_model.pb":
        path = path.parent
    if kind_of(inside := path / "variables" / "variables.index") == A_FILE:
        return inside
    stem = re.sub(r"\.data-\d+-of-\d+$", "", str(path))
    index = Path(stem + _INDEX)
    return index if kind_of(path) == NOTHING or stem != str(path) else path


def files_in(folder: Path) -> list[Path]:
    """The weights files of a folder, and the indices of checkpoints."""
    return sorted(each for each in folder.iterdir() if each.suffix in _KINDS and each.is_file())


def kind_of_weights(path: Path) -> str:
    """What a file is by its content; its name counts where that says nothing.

    Raises:
        WeightsError: it is missing, damaged, or of a kind that cannot be read.
    """
    if (there := kind_of(path)) != A_FILE:
        found = "no" if there == NOTHING else f"{there} in place of a"
        raise WeightsError(
            f"There is {found} weights file {path} (a relative path starts at the working "
            f'directory {Path.cwd()}). weights must be "imagenet", "bundled", {literal(None)} or '
            "a file that exists."
        )
    with path.open("rb") as file:
        head = file.read(8)
    suffix = path.suffix.lower()
    if head == b"\x89HDF\r\n\x1a\n":
        return HDF5
    if head[:2] == b"PK" and zipfile.is_zipfile(path):
        return _kind_of_archive(path)
    if suffix == _INDEX and head[:4] != b"vers":
        return _kind_of_index(path)
    if head[4:] == b"TFL3":
        suffix = ".tflite"
    if other := _OTHERS.get(suffix):
        raise WeightsError(f"{path} is {other}.")
    if suffix in _KINDS:
        raise _unreadable(path, _KINDS[suffix])
    raise WeightsError(
        f'weights must be "imagenet", "bundled", {literal(None)}, a folder of a source model, or a '
        f"file of weights ({', '.join(_KINDS)}) or a SavedModel; got {path}."
    )


def _kind_of_index(path: Path) -> str:
    if any(path.parent.glob(f"{glob.escape(path.stem)}.data-*")):
        return CHECKPOINT
    raise WeightsError(
        f"The checkpoint {path} lacks its values, in files {path.stem}.data-00000-of-00001 and the "
        "like beside it. Copy these, too."
    )


def _kind_of_archive(path: Path) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            inside = archive.namelist()
    except Exception as error:
        # as in `stored_layers`
        raise _unreadable(path, "a sound archive") from error
    if "model.weights.h5" in inside:
        return ARCHIVE
    if any(name.endswith("data.pkl") for name in inside):
        raise WeightsError(f"{path} is {_TORCH}.")
    if inside and all(name.endswith(".npy") for name in inside):
        return NPZ
    if path.suffix == ".keras":
        raise _unreadable(path, "a .keras file with model.weights.h5 inside")
    raise WeightsError(f"{path} is {_PACKED} ({', '.join(inside[:3])}).")


def check_readable(path: Path) -> None:
    """Nothing, if weights can be read from a file; loads no TensorFlow, which checkpoints need.

    Raises:
        WeightsError: as of `stored_layers`.
    """
    if kind_of_weights(path) != CHECKPOINT:
        stored_layers(path)


def stored_layers(path: Path) -> Stored:
    """All weights in a file.

    Args:
        path: as of `file_of`.

    Raises:
        WeightsError: as of `kind_of_weights`; or it holds no weights.
    """
    kind = kind_of_weights(path)
    try:
        if kind == HDF5:
            with h5py.File(path, "r") as file:
                stored = _of_hdf5(path, file)
        elif kind == ARCHIVE:
            with zipfile.ZipFile(path) as archive:
                weights = io.BytesIO(archive.read("model.weights.h5"))
            with h5py.File(weights, "r") as file:
                stored = _of_hdf5(path, file)
        elif kind == NPZ:
            stored = _of_npz(path)
        else:
            stored = _of_checkpoint(path)
    except WeightsError:
        raise
    except Exception as error:
        # of a damaged file the libraries raise whatever they stumble over
        raise _unreadable(path, kind) from error
    return stored


def _of_hdf5(path: Path, file: Any) -> Stored:
    root = file.get("model_weights", file)
    if _listed(root, "layer_names"):
        return Stored(tuple(_of_keras_2(root)), ordered=True)
    layers = tuple(_of_keras_3(file))
    if not layers and "layers" not in file:
        held = ", ".join(sorted(file)[:5]) or "nothing"
        raise WeightsError(
            f"{path} is an HDF5 file without Keras weights (it holds {held}). Give a file written "
            "by save_weights."
        )
    return Stored(layers, ordered=False)


def _of_keras_2(root: Any) -> Iterator[StoredLayer]:
    """Layers of a file as Keras 2 wrote it: groups by name, weights by paths of their own."""
    for layer in _listed(root, "layer_names"):
        paths = _listed(root[layer], "weight_names")
        parents = {path.rpartition("/")[0] for path in paths}
        arrays: dict[str, dict[str, np.ndarray]] = {}
        for path in paths:
            parent, _, variable = path.rpartition("/")
            # a model inside the model has its layers' names in its weights'
            kept = arrays.setdefault(layer if len(parents) < 2 else parent, {})
            variable = variable.partition(":")[0]
            kept[path if variable in kept else variable] = np.asarray(root[layer][path])
        for name, of in arrays.items():
            yield StoredLayer(name, f"{layer}/{name}", of)


def _listed(group: Any, key: str) -> list[str]:
    """Names in an attribute of HDF5, or in several where they are too long for one."""
    found = group.attrs.get(key)
    if found is None:
        parts = [
            group.attrs[name]
            for name in sorted(group.attrs, key=_natural)
            if re.fullmatch(rf"{key}\d+", name)
        ]
        found = [name for part in parts for name in part]
    return [name.decode() if isinstance(name, bytes) else str(name) for name in found]


def _of_keras_3(file: Any) -> Iterator[StoredLayer]:
    """Layers of a file as Keras 3 writes it: places by kind and number, and names of late."""
    arrays: dict[str, dict[str, np.ndarray]] = {}

    def visit(path: str, item: Any) -> None:
        place, _, variable = path.rpartition("/vars/")
        parts = place.split("/")
        # random states of dropout layers are no weights
        if isinstance(item, h5py.Dataset) and place and parts[-1] != "seed_generator":
            arrays.setdefault(place, {})[variable] = np.asarray(item)

    file.visititems(visit)
    for place, of in arrays.items():
        if place.partition("/")[0] not in _NOT_LAYERS:
            name = file[f"{place}/vars"].attrs.get("name", "")
            ordered = {variable: of[variable] for variable in sorted(of, key=_natural)}
            short = "/".join(part for part in place.split("/") if part not in _CONTAINERS)
            yield StoredLayer(str(name), short, ordered)


def _of_npz(path: Path) -> Stored:
    """Arrays of `numpy.savez`, each by itself, or by names of layers before a slash."""
    layers: dict[str, dict[str, np.ndarray]] = {}
    with np.load(path) as held:
        for key in held.files:
            parent, _, variable = key.rpartition("/")
            layers.setdefault(parent or key, {})[variable.partition(":")[0]] = held[key]
        alone = set(held.files)
    named = (
        StoredLayer("" if place in alone else place, place, of) for place, of in layers.items()
    )
    return Stored(tuple(named), ordered=True)


def _of_checkpoint(path: Path) -> Stored:
    """Variables of a checkpoint of TensorFlow, or of a SavedModel, by their full names."""
    import tensorflow as tf

    from tl_keras.models.keras_internals import variable_names

    reader = tf.train.load_checkpoint(str(path).removesuffix(_INDEX))
    names = variable_names(reader) or {key: key for key in reader.get_variable_to_shape_map()}
    layers: dict[tuple[str, int], dict[str, np.ndarray]] = {}
    for key in sorted(reader.get_variable_to_shape_map(), key=_natural):
        if _NOT_LAYERS & set(key.split("/")) or ".OPTIMIZER_SLOT" in key or key not in names:
            continue
        parent, _, variable = names[key].rpartition("/")
        value = reader.get_tensor(key)
        # what Keras 3 exports holds each variable twice
        copy = 0
        while variable in (kept := layers.setdefault((parent, copy), {})):
            if np.array_equal(kept[variable], value):
                break
            copy += 1
        kept[variable] = value
    named = (StoredLayer(name, name, of) for (name, _), of in layers.items() if name)
    return Stored(tuple(named), ordered=False)


def _natural(name: str) -> list[tuple[str, int]]:
    """A key that sorts numbers within names by what they count."""
    return [(text, int(number or -1)) for text, number in re.findall(r"(\D*)(\d*)", name)]


def _unreadable(path: Path, wanted: str) -> WeightsError:
    return WeightsError(
        f"{path} ({path.stat().st_size} bytes) is not {wanted}, though its name says so. It may be "
        "an interrupted download or a pointer to the real file: fetch it again."
    )
