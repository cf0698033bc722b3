"""The model to serve, from a finished run: its SavedModel, checked and with its card."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd

from tl_keras.config.files import fingerprint
from tl_keras.config.schema import ExperimentConfig
from tl_keras.data.audit import Audit
from tl_keras.data.splits import Draw, Splits
from tl_keras.errors import ExportError
from tl_keras.experiment.decide import read_decision
from tl_keras.experiment.monitor import Monitor
from tl_keras.experiment.run_maker import RunMaker, unpack
from tl_keras.models.source_card import SourceCard
from tl_keras.quiet import quiet_tensorflow
from tl_keras.results.environment import environment
from tl_keras.results.store import Ledger, write_json
from tl_keras.serving.decision_record import RECORD
from tl_keras.serving.litert import CALIBRATION_IMAGES
from tl_keras.serving.measure import exports_table, measure_saved_model, measure_target
from tl_keras.serving.model_card import Evidence, model_card, write_card
from tl_keras.serving.saved_model import export_classifier
from tl_keras.serving.targets import file_of, write_target
from tl_keras.serving.verify import Verification, verify_export
from tl_keras.serving.versions import EXPORT_FOLDER, EXTRA
from tl_keras.transfer.recipe import Trained


@dataclass(frozen=True)
class Exported:
    """A version that was published.

    Attributes:
        path: its folder.
        run_id: whose model it is.
        trained: the classifier.
        verification: what the check of its answers found.
        labels: class names in the order of its probabilities.
        targets: rows of `exports.csv`; none where nothing but the SavedModel was asked for.
    """

    path: Path
    run_id: str
    trained: Trained
    verification: Verification
    labels: tuple[str, ...]
    targets: list[dict[str, object]]


class Exporter:
    """Exports runs of one experiment."""

    def __init__(
        self,
        config: ExperimentConfig,
        audit: Audit,
        splits: Splits,
        ledger: Ledger,
        maker: RunMaker,
        card: SourceCard | None,
        monitor: Monitor,
    ) -> None:
        """Take over what the experiment knows.

        Args:
            config: of the experiment.
            audit: of its images.
            splits: of its images.
            ledger: with the finished runs.
            maker: rebuilds a run's model.
            card: of the source weights; None is random initialisation.
            monitor: hears about targets.
        """
        self._config, self._audit, self._splits = config, audit, splits
        self._ledger, self._maker, self._card = ledger, maker, card
        self._monitor = monitor

    def export(self, run: pd.Series, targets: Sequence[str]) -> Exported:
        """Write the next version.

        Args:
            run: its row; its weights must still be there.
            targets: formats to write beside the SavedModel. One that cannot be written or answers
                otherwise is left out with a warning.

        Raises:
            ExportError: the exported model does not answer as the trained one; nothing is
                published then.
        """
        run_id = str(run["run_id"])
        trained = unpack(self._ledger.weights(run_id), run, self._config)
        model, evidence = self._maker.inference_model(run, trained), self._evidence(run)
        checks: list[Verification] = []
        rows: list[dict[str, object]] = []

        def complete(version: Path) -> None:
            checks.append(
                verify_export(
                    version, self._test_files(run), evidence.probabilities, evidence.classes
                )
            )
            if targets:
                rows.extend(self._write_targets(targets, model, version, run, evidence))
            card = model_card(self._facts(run), evidence, checks[0], rows, _megabytes(version))
            write_card(version / EXTRA, card)
            if card["decision"] is not None:
                write_json(version / EXTRA / RECORD, card["decision"])

        path = export_classifier(
            model,
            labels=evidence.classes,
            image_size=self._config.backbone.image_size,
            resize=self._config.data.resize,
            directory=self._ledger.folder / EXPORT_FOLDER,
            complete=complete,
        )
        return Exported(path, run_id, trained, checks[0], evidence.classes, rows)

    def _write_targets(
        self,
        targets: Sequence[str],
        model: keras.Model,
        version: Path,
        run: pd.Series,
        evidence: Evidence,
    ) -> Iterator[dict[str, object]]:
        """Rows of `exports.csv`: the SavedModel, and each target, written beside it."""
        pixels = self._maker.trainer().images.pixels
        training = _some(self._draw(run).train, CALIBRATION_IMAGES)
        test = pixels[self._test_rows(run)], evidence.labels, evidence.probabilities
        # its folder is named by the version only once it is published
        yield measure_saved_model(version, *test) | {"file": ""}
        for name in targets:
            self._monitor.stage(f"Writing {name}")
            try:
                # Converters report on standard error what they do.
                with quiet_tensorflow():
                    path = write_target(
                        name, model, version / EXTRA, pixels[training], evidence.classes
                    )
                yield measure_target(name, path, *test)
            except ExportError as error:
                (version / EXTRA / file_of(name)).unlink(missing_ok=True)
                self._monitor.warn(f"{name} is left out: {error}")

    def record(self, exported: Exported) -> None:
        """Write `export.json`, which says whose the newest version is."""
        write_json(
            self._ledger.folder / "export.json",
            {
                "run_id": exported.run_id,
                "version": exported.path.name,
                "verified_images": exported.verification.images,
                "largest_probability_difference": exported.verification.largest_difference,
                "labels": list(exported.labels),
            },
        )
        if exported.targets:
            table = exports_table(exported.targets)
            table.insert(0, "version", exported.path.name)
            self._ledger.write("exports", table)

    def _evidence(self, run: pd.Series) -> Evidence:
        # what was measured when the run finished, maybe before a restart
        probabilities = self._ledger.test_probabilities(str(run["run_id"]))
        rows, frame = self._test_rows(run), self._audit.table.frame
        groups = pd.factorize(frame["group"].iloc[rows])[0]
        classes = tuple(self._audit.table.classes)
        return Evidence(classes, self._labels(rows), probabilities, groups)

    def _test_rows(self, run: pd.Series) -> np.ndarray:
        return self._splits.test_of(int(run["seed"]))

    def _test_files(self, run: pd.Series) -> list[Path]:
        paths = self._audit.table.frame["path"].iloc[self._test_rows(run)]
        return [Path(name) for name in paths]

    def _labels(self, rows: np.ndarray) -> np.ndarray:
        return self._audit.table.frame["class_index"].to_numpy(np.int64)[rows]

    def _facts(self, run: pd.Series) -> dict[str, Any]:
        """What is known without asking the export."""
        config = self._config
        keys = ("run_id", "strategy", "seed", "learning_rate", "epochs", "validation_accuracy")
        model = ("backbone", "cut", "head_blocks", "unfrozen_blocks", "image_size", "parameters")
        return {
            "name": config.name,
            "description": config.description,
            "notice": self._audit.table.notice,
            "run": {key: _plain(run[key]) for key in keys},
            "trained_on": self._trained_on(run),
            "source": None
            if self._card is None or run["strategy"] == "from_scratch"
            else asdict(self._card),
            "model": {key: _plain(run[key]) for key in model},
            "doubtful_labels": self._doubtful_labels(run),
            "decision": read_decision(self._ledger.folder, str(run["run_id"])),
            "configuration": config.as_dict(),
            "configuration_hash": fingerprint(config),
            "versions": {
                key: value
                for key, value in environment().items()
                if key not in ("processors", "accelerators")
            },
        }

    def _trained_on(self, run: pd.Series) -> dict[str, Any]:
        parts = self._parts(run)
        used = np.concatenate(list(parts.values()))
        return {
            "training_images": len(parts["training"]),
            "validation_images": len(parts["validation"]),
            "per_class": {name: self._counts(rows) for name, rows in parts.items()},
            "manifest_sha256": self._manifest_digest(used),
            "division": self._division(int(run["seed"])),
        }

    def _doubtful_labels(self, run: pd.Series) -> dict[str, int]:
        """How many labels look wrong, by the part of the images; {} where none was checked."""
        if not (self._ledger.folder / "label_errors.csv").exists():
            return {}
        suspects = self._ledger.read("label_errors")["image_id"]
        names = self._audit.table.frame["image_id"]
        return {
            part: int(names.iloc[rows].isin(suspects).sum())
            for part, rows in self._parts(run).items()
        }

    def _parts(self, run: pd.Series) -> dict[str, np.ndarray]:
        """Rows of the images of a run, by what they were for."""
        draw = self._draw(run)
        tested = self._test_rows(run)
        return {"training": draw.train, "validation": draw.validation, "test": tested}

    def _division(self, seed: int) -> str:
        """In words, what the test images are beside the others."""
        folds = self._config.estimate.folds
        if folds is None:
            return "The test photos are a split that no run of the experiment learned from."
        repeat, fold = divmod(seed, folds)
        return (
            f"The test photos are fold {fold + 1} of {folds} (division {repeat + 1} of "
            f"{self._config.estimate.repeats}); it learned from photos of the other folds. How "
            "good the method is over all folds stands in summary.csv of the experiment."
        )

    def _draw(self, run: pd.Series) -> Draw:
        size = None if pd.isna(run["train_per_class"]) else int(run["train_per_class"])
        return self._splits.draws[int(run["seed"]), size]

    def _counts(self, rows: np.ndarray) -> dict[str, int]:
        classes = self._audit.table.classes
        counts = np.bincount(self._labels(rows), minlength=len(classes))
        return dict(zip(classes, counts.tolist(), strict=True))

    def _manifest_digest(self, rows: np.ndarray) -> str:
        """Of the names, contents and classes of the images used, in their order."""
        frame = self._audit.table.frame.iloc[rows][["image_id", "class_index"]]
        contents = self._audit.images.set_index("image_id")["sha256"]
        lines = frame.assign(sha256=contents.loc[frame["image_id"]].to_numpy()).to_csv(index=False)
        return hashlib.sha256(lines.encode()).hexdigest()


def _plain(value: Any) -> Any:
    """A cell of a table as a JSON type."""
    if pd.isna(value):
        return None
    return value.item() if isinstance(value, np.generic) else value


def _some(rows: np.ndarray, most: int) -> np.ndarray:
    """Up to so many, from all over the rows."""
    return rows[np.linspace(0, len(rows) - 1, min(len(rows), most)).round().astype(int)]


def _megabytes(version: Path) -> float:
    """Of the SavedModel itself, without what lies beside it, in 2^20 bytes."""
    files = [path for path in version.rglob("*") if path.is_file()]
    own = [path for path in files if EXTRA not in path.relative_to(version).parts]
    return sum(path.stat().st_size for path in own) / 2**20
