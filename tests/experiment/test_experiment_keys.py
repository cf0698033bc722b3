"""Every key of an experiment changes what is done: a key that nothing reads is a mistake.

The network is tiny, and one phase of training is replaced by a note of all that it is given.
"""

import copy
import hashlib
import pickle
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from PIL import Image
from pydantic import BaseModel

from tl_keras.backbone_table import BACKBONES
from tl_keras.config.schema import ExperimentConfig
from tl_keras.data.batches import Batches
from tl_keras.data.file_audit import audit
from tl_keras.data.folder_source import list_folder
from tl_keras.data.listing import Listing
from tl_keras.data.pixels import load_pictures
from tl_keras.data.rows import whole
from tl_keras.engine.here import Here
from tl_keras.errors import TlKerasError
from tl_keras.experiment.hand_over import HandedOver
from tl_keras.experiment.prepare import Prepared
from tl_keras.experiment.stages import run_experiment
from tl_keras.models.cost import Costs
from tl_keras.models.pooling import Pooling
from tl_keras.models.sources.source_models import load_source
from tl_keras.transfer.features import FeatureBank
from tl_keras.transfer.phases import PhaseResult, TrainingGraph
from tl_keras.transfer.selection_losses import CrossFit
from tl_keras.transfer.trainer import Trainer

# KerasTuner asks for the current thread by its old name.
pytestmark = pytest.mark.filterwarnings("ignore:(currentThread|getName):DeprecationWarning")

FINE_TUNING = {"strategies": ["fine_tuning"]}
OWN = {"backbone.name": "file", "backbone.weights": "own.keras"}
PROBE = {"strategies": ["linear_probe"]}
FROM_SCRATCH = {"strategies": ["from_scratch"]}
SEARCHED = {"strategies": ["searched"]}
BLUE = {"decision.positive": ["blue"]}
GRID = {
    "search.oracle": "grid",
    "search.cuts": ["own"],
    "search.unfrozen_blocks": [1, 0],
    "search.learning_rates": [0.1],
}

# the folds take the place of the seeds
FOLDS = {"estimate.method": "k_fold", "estimate.folds": 2, "estimate.repeats": 1, "seeds": 3}

NAMED = {"data.table": "named.csv", "data.root": "uneven"}

# key: (another value, what else must be set for it to tell)
CASES: dict[str, tuple[Any, dict[str, Any]]] = {
    "name": ("other", {}),
    "data.folder": ("uneven", {}),
    "data.table": ("images.csv", {}),
    "data.tfds": ("cats_vs_dogs", {}),
    "data.data_dir": ("datasets", {"data.tfds": "cats_vs_dogs"}),
    "data.root": ("uneven", {"data.table": "images.csv"}),
    "data.columns.path": ("other", NAMED),
    "data.columns.label": ("class", NAMED),
    "data.columns.group": ("digit", NAMED),
    "data.columns.split": ("part", NAMED),
    "data.group_pattern": (r"\d", {}),
    "data.class_level": (2, {"data.folder": "sites"}),
    "data.merge_labels": (True, {"data.folder": "spelled"}),
    "data.corrections": ("corrections.csv", {}),
    "data.keep_duplicates_together": (False, {"data.folder": "copied"}),
    "data.resize": ("pad", {}),
    "data.exif_rotation": ("ignore", {"data.folder": "turned"}),
    "data.range_16_bit": ("12_bit", {"data.folder": "deep"}),
    "data.max_megapixels": (0.005, {"data.skip_unreadable": True, "data.folder": "large"}),
    "data.split_seed": (1, {}),
    "data.test_fraction": (0.5, {}),
    "data.max_test_per_class": (2, {}),
    "data.train_per_class": (4, {}),
    "data.validation_per_class": (2, {}),
    "data.skip_unreadable": (True, {"data.folder": "broken"}),
    "backbone.name": ("Tiny2", {}),
    "backbone.alpha": (0.5, {}),
    "backbone.weights": ("source.weights.h5", {}),
    "backbone.scaling": ("torch", OWN),
    "backbone.scaling.mean": (100, OWN | {"backbone.scaling.std": 50}),
    "backbone.scaling.std": (100, OWN | {"backbone.scaling": {"std": 50}}),
    "backbone.scaling.scale": (0.5, OWN | {"backbone.scaling": {"scale": 1}}),
    "backbone.trust_code": (True, OWN),
    "backbone.cut": ("block1", {}),
    "backbone.image_size": (40, {}),
    "probe.pooling": ("mean", PROBE),
    "probe.views": ("turns", PROBE),
    "probe.penalty": (1000, PROBE),
    "probe.train_on": ("training", PROBE),
    "head.pooling": ("mean_std", {}),
    "head.hidden_units": ([4], {}),
    "head.dropout": (0.5, {}),
    "training.batch_size": (8, {}),
    "training.optimizer": ("sgd", {}),
    "training.weight_decay": (0.01, {}),
    "training.label_smoothing": (0.1, {}),
    "training.class_weights": ("none", {"data.folder": "uneven", "data.train_per_class": None}),
    "training.augmentation": ("light", {}),
    "training.layer_decay": (0.5, FINE_TUNING),
    "training.phase_1.epochs": (7, {}),
    "training.phase_1.learning_rate": (0.5, {}),
    "training.phase_1.patience": (3, {}),
    "training.phase_1.keep": ("last", {}),
    "training.phase_2.epochs": (7, FINE_TUNING),
    "training.phase_2.learning_rate": (0.5, FINE_TUNING),
    "training.threads": (1, {}),
    "training.phase_2.patience": (3, FINE_TUNING),
    "training.phase_2.keep": ("best", FINE_TUNING),
    "training.from_scratch.epochs": (7, FROM_SCRATCH),
    "training.from_scratch.learning_rate": (0.5, FROM_SCRATCH),
    "training.from_scratch.patience": (3, FROM_SCRATCH),
    "training.from_scratch.keep": ("last", FROM_SCRATCH),
    "strategies": (["feature_extraction", "majority_class"], {}),
    "fine_tuning.unfrozen_blocks": ([2], FINE_TUNING),
    "search.oracle": ("grid", SEARCHED | {"search.max_trials": 4}),
    "search.max_trials": (3, SEARCHED),
    "search.unfrozen_blocks": ([2], SEARCHED),
    "search.cuts": (["stem"], SEARCHED),
    "search.learning_rates": ([0.5], SEARCHED | {"search.unfrozen_blocks": [1]}),
    "search.layer_decays": ([0.5], SEARCHED | {"search.unfrozen_blocks": [1]}),
    "search.hidden_units": ([4], SEARCHED),
    "search.augmentations": (["light"], SEARCHED),
    "search.folds": (1, SEARCHED),
    # All trials score the same here: the best is the first, not the cheapest.
    "search.choice": ("best", SEARCHED | GRID),
    "search.seed": (1, SEARCHED),
    "estimate.method": ("k_fold", {"seeds": 3}),
    "estimate.folds": (3, FOLDS),
    "estimate.repeats": (2, FOLDS),
    "cache.memory_megabytes": (1, {}),
    "cache.folder": ("features", {}),
    "engine.workers": (2, FINE_TUNING | {"seeds": 2}),
    "engine.backend": ("ray", {}),
    "engine.address": ("auto", {"engine.backend": "ray"}),
    "engine.processors": (2, {"engine.backend": "ray"}),
    "engine.accelerators": (1, {"engine.backend": "ray"}),
    "decision.positive": (["blue"], {}),
    "decision.miss_cost": (5, BLUE),
    "decision.false_alarm_cost": (5, BLUE),
    "decision.target_recall": (0.5, BLUE),
    "decision.positive_share": (0.01, BLUE),
    "decision.review_share": (0.5, {}),
    "decision.stranger_share": (0.5, {}),
    "seeds": (2, {}),
    "learning_curve": (True, {}),
    "results_dir": ("elsewhere", {}),
    "export": (True, {}),
    "export.train_on": ("training", {"export": {}}),
    "export_targets": (["litert"], {"export": True}),
    "deterministic": (False, {}),
}
FOR_PEOPLE = {"description"}

BASE: dict[str, Any] = {
    "name": "keys",
    "data": {"folder": "photos", "train_per_class": 3},
    "backbone": {"name": "Tiny", "weights": None, "image_size": 32},
    "strategies": ["feature_extraction"],
    "fine_tuning": {"unfrozen_blocks": [1]},
    "search": {"max_trials": 2, "unfrozen_blocks": [0, 1, "all"]},
    "seeds": 1,
    "learning_curve": False,
    "export": False,
}


def leaves(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Every key of the schema that holds no keys itself."""
    for name, field in model.model_fields.items():
        # a section, or one that may be left out
        kinds = get_args(field.annotation) or (field.annotation,)
        models = [each for each in kinds if isinstance(each, type) and issubclass(each, BaseModel)]
        for kind in models:
            yield from leaves(kind, f"{prefix}{name}.")
        if len(models) < len(kinds):
            yield prefix + name


def with_keys(config: Mapping[str, Any], keys: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of a configuration with dotted keys set; one source of images replaces another."""
    changed = copy.deepcopy(dict(config))
    for key, value in keys.items():
        *path, last = key.split(".")
        section = changed
        for part in path:
            section = section.setdefault(part, {})
        if key in ("data.table", "data.tfds"):
            del section["folder"]
        section[last] = value
    return changed


def digest(values: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest()[:16]


def without_name(built: Any) -> dict[str, Any]:
    """The configuration of a layer or optimizer; Keras numbers their names through."""
    return {key: value for key, value in built.get_config().items() if key != "name"}


def facts(table: pd.DataFrame) -> str:
    """A table without what was measured and without what only repeats the configuration."""
    echoed = (
        "seconds|memory|experiment|configuration_hash|layer_decay|^backbone$|^weights$|^image_size$"
    )
    return table.drop(columns=list(table.filter(regex=echoed))).to_csv(index=False)


@pytest.fixture(scope="module")
def patch() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.fixture(scope="module")
def folders(
    photos: Path, tmp_path_factory: pytest.TempPathFactory, patch: pytest.MonkeyPatch
) -> None:
    """Go where `photos` and others lie: `uneven` has fewer blue ones, `spelled` a Blue folder.

    `turned` are so by their EXIF data, `deep` have 16 bits, and of `large` one is.
    """
    patch.chdir(tmp_path_factory.mktemp("keys"))
    folders = ("photos", "uneven", "broken", "copied", "turned", "deep", "large")
    for name in (*folders, "spelled", "sites/1", "sites/2"):
        shutil.copytree(photos, name)
    Path("spelled/blue").rename("spelled/Blue")
    Path("spelled/blue").mkdir()
    Path("spelled/Blue/3.png").rename("spelled/blue/3.png")
    for number in range(8, 14):
        Path("uneven/blue", f"{number}.png").unlink()
    Path("broken/blue/3.png").write_bytes(b"")
    with Image.open("photos/blue/3.png") as photo:
        photo.resize((100, 100)).save("large/blue/3.png")
    turn = Image.Exif()
    turn[0x0112] = 6
    for path in Path("turned").rglob("*.png"):
        with Image.open(path) as photo:
            photo.save(path, exif=turn)
    for path in Path("deep").rglob("*.png"):
        with Image.open(path) as photo:
            gray = np.asarray(photo.convert("L")).astype(np.uint16)
        Image.fromarray(gray * 16).save(path)
    for number in range(3, 14):
        shutil.copy(f"copied/blue/{number % 3}.png", f"copied/blue/{number}.png")
    paths = [path.relative_to("uneven") for path in sorted(Path("uneven").rglob("*.png"))]
    table = pd.DataFrame({"path": map(str, paths), "label": [path.parts[0] for path in paths]})
    table.to_csv("images.csv", index=False)
    Path("corrections.csv").write_text("image_id,was,label\nblue/3.png,blue,green\n")
    numbers = np.arange(len(table))
    table.assign(
        other=table["path"].to_numpy()[::-1],
        **{"class": np.roll(table["label"], 1)},
        digit=numbers // 2,
        part=np.array(["train", "validation", "test"])[numbers % 3],
    ).to_csv("named.csv", index=False)
    for path in paths:
        # where no root is given: under the same names, not the same pictures
        path.parent.mkdir(exist_ok=True)
        shutil.copy(Path("photos", "green", "0.png"), path)


def remembering(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, which answers the same arguments without doing it again."""
    known: dict[bytes, Any] = {}

    def remembered(*arguments: Any, **settings: Any) -> Any:
        asked = pickle.dumps((arguments, settings))
        if asked not in known:
            known[asked] = function(*arguments, **settings)
        return known[asked]

    return remembered


class Notes:
    """Stands in for what takes long, and keeps what it was given, as texts."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def note(self, *facts: object) -> None:
        self.texts.append(" ".join(map(str, facts)))

    def load_source(self, name: str, **settings: Any) -> Any:
        self.note("source", name, settings)
        return load_source(name, **settings | {"weights": None})

    def load_network(self, path: Path, *, image_size: int, **settings: Any) -> Any:
        self.note("network", path, settings)
        model, _ = load_source("Tiny", image_size=image_size, weights=None)
        return model, BACKBONES["Tiny"]

    def list_tfds(self, name: str, data_dir: str | None) -> Listing:
        self.note("tfds", name, data_dir)
        return list_folder("uneven")

    def train_phase(
        self,
        graph: TrainingGraph,
        train: Batches,
        validation: Batches,
        phase: Any,
        *,
        seen: CrossFit,
        watch: object = None,
        **settings: Any,
    ) -> PhaseResult:
        for batches in (train, validation):
            arrays = (whole(batches.inputs), batches.targets, batches.sample_weights)
            self.note("batches", batches.batch_size, *map(digest, arrays))
        self.note("phase", phase, settings)
        self.note("optimizer", without_name(graph.optimizer))
        for layer in graph.model._flatten_layers():
            if type(layer).__name__.startswith(("Dense", "Dropout", "Random")):
                self.note("layer", type(layer).__name__, without_name(layer))
        scores = dict.fromkeys(("loss", "accuracy", "validation_loss", "validation_accuracy"), 0.5)
        row = {"phase": settings["name"], "epoch": 1, "seconds": 0.0, "kept": True, **scores}
        losses = np.full(len(validation.targets), 0.5)
        even = np.log(np.full(validation.targets.shape, 1 / validation.targets.shape[1]))
        return PhaseResult(losses, seen.after(even), pd.DataFrame([row]))

    def scale_rates(self, optimizer: Any, factors: Mapping[int, float]) -> Any:
        self.note("rates", list(factors.values()))
        return optimizer

    def features(
        self, bank: FeatureBank, rows: np.ndarray, depth: Any, cut: str | None, pooling: Pooling
    ) -> Any:
        self.note("cache", bank.cache.memory_bytes, bank.cache.folder, pooling)
        return bank.pixels[rows]

    def train_epochs(self, *given: Any, **named: Any) -> pd.DataFrame:
        self.note("epochs", named["name"])
        return pd.DataFrame()

    def publish(
        self, prepared: Prepared, handed: HandedOver, targets: Sequence[str], **how: Any
    ) -> Path:
        self.note("export", handed.run.run_id, handed.facts["train_on"], targets)
        return Path("1")

    def worker(self, warm_up: Any, *_: Any, **reserved: Any) -> Here:
        self.note("worker", warm_up.args, reserved)
        return Here()

    def ray_cluster(self, address: str | None) -> AbstractContextManager[None]:
        self.note("cluster", address)
        return nullcontext()

    def enable_op_determinism(self) -> None:
        self.note("deterministic")


Outcome = Callable[[Mapping[str, Any]], list[str]]


@pytest.fixture(scope="module")
def outcome(folders: None, tiny_backbone: None, patch: pytest.MonkeyPatch) -> Outcome:
    """`outcome(config)`: all that an experiment gave to training and wrote down, as texts."""
    notes = Notes()
    # what takes longest and does not train
    patch.setattr("tl_keras.experiment.prepare.audit", remembering(audit))
    patch.setattr("tl_keras.data.pixels.load_pictures", remembering(load_pictures))
    patch.setattr("tl_keras.experiment.stages.write_advice", lambda prepared: None)
    patch.setattr("tl_keras.experiment.stages.write_report", lambda folder: None)
    patch.setattr("tl_keras.experiment.stages.explain", lambda prepared, runs, run_id: None)
    patch.setattr(Costs, "milliseconds", lambda *asked: 1.0)
    # which the notes below stand in for
    patch.setattr("tl_keras.experiment.first_look.check_source", lambda *given, **how: None)
    patch.setattr("tl_keras.models.sources.source_models.load_source", notes.load_source)
    patch.setattr("tl_keras.models.sources.source_models.load_network", notes.load_network)
    patch.setattr("tl_keras.data.sources.list_tfds", notes.list_tfds)
    patch.setattr("tl_keras.transfer.trainer.train_phase", notes.train_phase)
    patch.setattr("tl_keras.transfer.trainer.train_epochs", notes.train_epochs)
    patch.setattr("tl_keras.transfer.optimizers.scale_rates", notes.scale_rates)
    patch.setattr("tl_keras.experiment.export.publish", notes.publish)
    patch.setattr(
        "tl_keras.experiment.stages.fix_threads", lambda count: notes.note("threads", count)
    )
    patch.setattr("tl_keras.experiment.first_look.check_ray", lambda: None)
    workers = "tl_keras.experiment.workers"
    patch.setattr(f"{workers}.WorkerProcess", notes.worker)
    patch.setattr(f"{workers}.RayWorker", notes.worker)
    patch.setattr(f"{workers}.ray_cluster", notes.ray_cluster)
    patch.setattr(f"{workers}.places", lambda **reserved: 2)
    patch.setattr(f"{workers}.InFolder.write", lambda folder, prepared: lambda: prepared)
    patch.setattr(f"{workers}.InStore.of", lambda prepared: lambda: prepared)
    patch.setattr(tf.config.experimental, "enable_op_determinism", notes.enable_op_determinism)
    patch.setattr(FeatureBank, "features", lambda *asked, **how: notes.features(*asked, **how))
    patch.setattr(Trainer, "probabilities", lambda _, trained, rows: np.full((len(rows), 3), 1 / 3))

    def observed(config: Mapping[str, Any]) -> list[str]:
        notes.texts = []
        try:
            result = run_experiment(config, fresh=True)
        except TlKerasError as error:
            return [*notes.texts, str(error)]
        trials = [] if result.trials is None else [facts(result.trials)]
        shutil.rmtree(result.folder)
        tables = [facts(result.runs), facts(result.splits), *trials]
        return [*notes.texts, str(result.folder), *tables, str(result.decision)]

    return observed


@pytest.fixture(scope="module")
def base_outcome(outcome: Outcome) -> Outcome:
    """The same for configurations that many keys start from: each is run once."""
    return remembering(outcome)


def test_the_table_covers_every_key() -> None:
    assert set(CASES) | FOR_PEOPLE == set(leaves(ExperimentConfig))


@pytest.mark.slow
@pytest.mark.parametrize("key", CASES)
def test_a_key_changes_what_is_done(outcome: Outcome, base_outcome: Outcome, key: str) -> None:
    value, context = CASES[key]
    base = with_keys(BASE, context)
    assert base_outcome(base) != outcome(with_keys(base, {key: value}))


@pytest.mark.slow
def test_the_same_configuration_does_the_same(outcome: Outcome) -> None:
    config = with_keys(BASE, {"strategies": ["from_scratch", "fine_tuning", "searched"]})
    assert outcome(config) == outcome(config)


def test_a_description_changes_nothing(outcome: Outcome) -> None:
    assert outcome(BASE) == outcome(with_keys(BASE, {"description": "for people"}))
