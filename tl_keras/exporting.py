"""The model to serve, from a finished run: its SavedModel, checked and with its card."""

import hashlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tl_keras.config.files import fingerprint
from tl_keras.config.schema import ExperimentConfig
from tl_keras.data.audit import Audit
from tl_keras.data.splits import Splits
from tl_keras.models.source_card import SourceCard
from tl_keras.reporting.environment import environment
from tl_keras.reporting.ledger import Ledger, write_json
from tl_keras.runs import RunMaker, unpack
from tl_keras.serving.export import EXTRA, export_classifier
from tl_keras.serving.model_card import Evidence, model_card, write_card
from tl_keras.serving.verify import Verification, verify_export
from tl_keras.serving.versions import EXPORT_FOLDER
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
    """

    path: Path
    run_id: str
    trained: Trained
    verification: Verification
    labels: tuple[str, ...]


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
    ) -> None:
        """Take over what the experiment knows.

        Args:
            config: of the experiment.
            audit: of its images.
            splits: of its images.
            ledger: with the finished runs.
            maker: rebuilds a run's model.
            card: of the source weights; None is random initialisation.
        """
        self._config, self._audit, self._splits = config, audit, splits
        self._ledger, self._maker, self._card = ledger, maker, card

    def export(self, run: pd.Series) -> Exported:
        """Write the next version.

        Args:
            run: its row; its weights must still be there.

        Raises:
            ExportError: the exported model does not answer as the trained one; nothing is
                published then.
        """
        run_id = str(run["run_id"])
        trained = unpack(self._ledger.weights(run_id), run, self._config)
        evidence, checks = self._evidence(run_id), []

        def complete(version: Path) -> None:
            checks.append(
                verify_export(version, self._test_files(), evidence.probabilities, evidence.classes)
            )
            card = model_card(self._facts(run), evidence, checks[0], _megabytes(version))
            write_card(version / EXTRA, card)

        path = export_classifier(
            self._maker.inference_model(run, trained),
            labels=evidence.classes,
            image_size=self._config.backbone.image_size,
            resize=self._config.data.resize,
            directory=self._ledger.folder / EXPORT_FOLDER,
            complete=complete,
        )
        return Exported(path, run_id, trained, checks[0], evidence.classes)

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

    def _evidence(self, run_id: str) -> Evidence:
        # what was measured when the run finished, maybe before a restart
        probabilities = self._ledger.test_probabilities(run_id)
        return Evidence(
            tuple(self._audit.table.classes), self._labels(self._splits.test), probabilities
        )

    def _test_files(self) -> list[Path]:
        return [Path(name) for name in self._audit.table.frame["path"].iloc[self._splits.test]]

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
            "configuration": config.as_dict(),
            "configuration_hash": fingerprint(config),
            "versions": {
                key: value
                for key, value in environment().items()
                if key not in ("processors", "accelerators")
            },
        }

    def _trained_on(self, run: pd.Series) -> dict[str, Any]:
        size = None if pd.isna(run["train_per_class"]) else int(run["train_per_class"])
        draw = self._splits.draws[int(run["seed"]), size]
        parts = {"training": draw.train, "validation": draw.validation, "test": self._splits.test}
        used = np.concatenate(list(parts.values()))
        return {
            "training_images": len(draw.train),
            "validation_images": len(draw.validation),
            "per_class": {name: self._counts(rows) for name, rows in parts.items()},
            "manifest_sha256": self._manifest_digest(used),
        }

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


def _megabytes(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 10**6
