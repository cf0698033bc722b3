"""What an audit of images found, as tables."""

import json
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from tl_keras.atomic_files import write_csv, write_json
from tl_keras.config.files import refuse_experiment_folder, slug
from tl_keras.config.schema import DataConfig, ExperimentConfig
from tl_keras.data.file_audit import Audit
from tl_keras.data.listing import some_of
from tl_keras.data.picture_rows import with_rows
from tl_keras.data.sources import ImageTable
from tl_keras.errors import ConfigError
from tl_keras.home import with_home
from tl_keras.invocation import again, by_command
from tl_keras.path_kinds import is_inside
from tl_keras.results_layout import AUDIT, TABLES
from tl_keras.safe_text import brief
from tl_keras.transfer.label_errors import LabelCheck

FINDINGS = ["kind", "group", "image_id", "label", "detail"]
# Of which images an audit is.
SOURCE = "source.json"
_SIZES = ("large_pictures", "small_pictures", "odd_size", "aspect_ratio")


@dataclass(frozen=True, repr=False)
class AuditReport:
    """All that is known of a set of images.

    Attributes:
        name: of the set.
        table: all images that were listed, unreadable ones included.
        audit: facts and findings.
        labels: what probes say about the labels; None where they were left out.
        matches: pairs that look alike to the network: image_id, other_image_id, label,
            other_label, similarity, closeness; None where they were left out.
        notes: what was not done, and why.
        network: that looked at the labels, in words; "" where none did.
        data: where the images come from; None where that is not known.
    """

    name: str
    table: ImageTable
    audit: Audit
    labels: LabelCheck | None = None
    matches: pd.DataFrame | None = None
    notes: tuple[str, ...] = ()
    network: str = ""
    data: DataConfig | None = None

    def __repr__(self) -> str:
        """In words: tables would fill the cell of a notebook."""
        counted = f"{self.name}: {len(self.table)} images of {len(self.table.classes)} classes"
        found = [finding.message for finding in self.audit.findings]
        return "\n".join([counted, *found, *self.label_warnings(), *self.notes])

    def class_counts(self) -> pd.DataFrame:
        """A row per class, in their order: images that were `listed`, and `readable` of them."""
        listed, readable = (
            table.frame["label"].value_counts().reindex(list(self.table.classes), fill_value=0)
            for table in (self.table, self.audit.table)
        )
        return pd.DataFrame({"listed": listed, "readable": readable})

    def findings_table(self) -> pd.DataFrame:
        """A row for every finding and image, or without an image where it is about the set.

        Here and in the other tables the column row says which image of given arrays it is.
        """
        labels = self.table.frame.set_index("image_id")["label"]
        rows: list[tuple[str, int | None, str | None, str | None, str]] = []
        for finding in self.audit.findings:
            if not finding.image_ids:
                rows.append((finding.kind, None, None, None, finding.message))
            groups = finding.groups or (finding.image_ids,)
            for number, group in enumerate(groups, 1):
                for image in group:
                    detail = self.detail(finding.kind, image)
                    place = number if finding.groups else None
                    rows.append((finding.kind, place, image, labels[image], detail))
        return with_rows(pd.DataFrame(rows, columns=FINDINGS).astype({"group": "Int64"}))

    def label_errors(self) -> pd.DataFrame:
        """The suspects with names: rank, image_id, label, suggested_label and probabilities."""
        suspects = pd.DataFrame() if self.labels is None else self.labels.suspects
        frame, classes = self.audit.table.frame, dict(enumerate(self.table.classes))
        if not len(suspects):
            columns = ["rank", "image_id", "label", "suggested_label"]
            return pd.DataFrame(columns=[*columns, "probability_label", "probability_suggested"])
        named = suspects.assign(
            label=suspects["label"].map(classes),
            suggested_label=suspects["suggested_label"].map(classes),
        )
        ids = frame["image_id"].to_numpy()[suspects["position"].to_numpy(int)]
        named.insert(1, "image_id", ids)
        return with_rows(named.drop(columns="position"))

    def label_warnings(self) -> list[str]:
        """A sentence on labels that look wrong; empty where there is none."""
        errors = self.label_errors()
        if errors.empty:
            return []
        named = [
            f"{row['image_id']} (looks like {row['suggested_label']})"
            for row in errors.to_dict("records")
        ]
        return [f"{self.doubtful()}: {some_of(named, 3)}. {self.false_alarms()} See the report."]

    def false_alarms(self) -> str:
        """How many right labels are named too, in words; empty where no label was checked."""
        if self.labels is None:
            return ""
        one_in = round(1 / self.labels.false_alarms)
        return f"Of right labels up to 1 in {one_in} is named too, so look before you change one."

    def doubtful(self) -> str:
        """How many labels look wrong, and to which network, in words."""
        count = len(self.label_errors())
        told = "1 label looks wrong" if count == 1 else f"{count} labels look wrong"
        return f"{told} to {self.network}" if self.network else told

    def embedding_matches(self) -> pd.DataFrame:
        """The pairs that look alike to the network; no rows where they were left out."""
        if self.matches is not None:
            return with_rows(self.matches)
        columns = ["image_id", "other_image_id", "label", "other_label", "similarity", "closeness"]
        return pd.DataFrame(columns=columns)

    def detail(self, kind: str, image_id: str) -> str:
        """What there is to say about one image of a finding."""
        facts = self.audit.images.set_index("image_id").loc[image_id]
        if kind == "unreadable":
            return str(facts["error"])
        if kind == "nearly_empty":
            return (
                f"{facts['gray_levels']} gray levels, "
                f"{facts['darkest']} to {facts['brightest']} at 64 x 64 pixels, "
                f"at most {facts['contrast']} apart in a channel"
            )
        if kind == "wrong_extension":
            return f"{facts['format']} content"
        if kind == "exif_rotation":
            return f"orientation {facts['exif_orientation']}"
        if kind in _SIZES:
            return f"{facts['width']} x {facts['height']} px"
        if "duplicates" in kind:
            copies = self.audit.duplicates.set_index("image_id").loc[image_id]
            change = f", {copies['change']}" if copies["change"] else ""
            return f"like {copies['same_as']}{change}, correlation {copies['correlation']:.3f}"
        return ""

    def tables(self) -> dict[str, pd.DataFrame]:
        """What was found, by the name of the file."""
        return {
            "findings": self.findings_table(),
            "label_errors": self.label_errors(),
            "embedding_matches": self.embedding_matches(),
        }

    def write(self, folder: str | os.PathLike[str]) -> None:
        """Write all tables, each as a whole, into `tables/` of a folder, made if it is not there.

        Those that an earlier version wrote beside its page go: they are the same, of then.

        Raises:
            ConfigError: it is the folder of an experiment, or lies among the photos.
        """
        folder = Path(folder)
        refuse_experiment_folder(folder)
        if self.data is not None:
            refuse_among_photos(folder, self.data)
        tables = folder / TABLES
        tables.mkdir(parents=True, exist_ok=True)
        audited_before = (folder / AUDIT).exists()
        for name, table in {"images": self.audit.images, **self.tables()}.items():
            write_csv(tables / f"{name}.csv", table)
            if audited_before:
                (folder / f"{name}.csv").unlink(missing_ok=True)
        if self.data is not None:
            write_json(folder / SOURCE, _source(self.data, folder))


def refuse_among_photos(folder: Path, data: DataConfig) -> None:
    """Nothing, if a folder lies outside of that of the photos, whose folders are their classes.

    Args:
        folder: for an audit.
        data: which photos.

    Raises:
        ConfigError: it lies there.
    """
    if data.folder is not None and is_inside(folder, with_home(data.folder)):
        raise ConfigError(
            f"An audit must be written outside of the photos, where its folders would be taken for "
            f"classes; got {folder} in {data.folder}. Name another folder"
            f"{' (--output)' if by_command() else ''}."
        )


def refuse_other_audit(folder: Path, config: ExperimentConfig) -> None:
    """Nothing, if a folder holds no audit of other images, which a new one would replace.

    Args:
        folder: that images of this name are audited into.
        config: which images.

    Raises:
        ConfigError: it holds one.
    """
    try:
        there = json.loads((folder / SOURCE).read_text(encoding="utf-8"))
    # none, or one of an earlier version, or damaged
    except (OSError, ValueError):
        return
    here = _source(config.data, folder)
    if there == here or not isinstance(there, dict):
        return
    old, new = (brief(" ".join(map(str, each.values()))) for each in (there, here))
    kind = Path(str(config.data.table)).suffix.lstrip(".") or next(iter(here))
    name = slug(f"{config.name}_{kind}")
    raise ConfigError(
        f"{folder} holds the audit of other images, {old}, and that of {new} would replace it. "
        f"Give this one another name: {again({'name': name})}"
    )


def _source(data: DataConfig, folder: Path) -> dict[str, str]:
    """Where images come from; a path as it leads there from a folder, which may move with them."""
    if data.tfds is not None:
        return {"tfds": data.tfds}
    kind, place = ("table", data.table) if data.folder is None else ("folder", data.folder)
    whole = os.path.realpath(str(place))
    # on Windows a path on another drive has none
    with suppress(ValueError):
        whole = os.path.relpath(whole, os.path.realpath(folder))
    return {kind: Path(whole).as_posix()}
