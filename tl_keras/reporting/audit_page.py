"""The audit as sections with small pictures: in a page of its own, and in a report."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from tl_keras.reporting.label_marks import Mark, label_mark, marking
from tl_keras.reporting.pages import Photo, render
from tl_keras.reporting.photo_names import short_names
from tl_keras.reporting.thumbnails import thumbnail
from tl_keras.results.audit_report import AuditReport

MOST_PHOTOS = 60
# In a report, whose reader has more to look at.
MOST_IN_REPORT = 12
# Findings that may make every figure wrong: they are shown at once, the others on a click.
GRAVE = (
    "label_errors",
    "unreadable",
    "nearly_empty",
    "duplicates_across_classes",
    "near_duplicates_across_classes",
    "duplicates_across_splits",
)
_SIDE = 160

# Findings of copies in several classes, of which one is wrong.
_ACROSS = "_across_classes"

# Image ids, what there is to say about each, and the class that it looks like; "" of none.
Entries = Sequence[tuple[str, str, str]]


@dataclass(frozen=True)
class Part:
    """Photos that belong together."""

    title: str
    photos: list[Photo]


@dataclass(frozen=True)
class Section:
    """One finding; `more` of its images are not shown."""

    kind: str
    title: str
    message: str
    parts: list[Part]
    more: int
    grave: bool


def audit_page(report: AuditReport, most: int = MOST_PHOTOS) -> str:
    """The page, HTML.

    Args:
        report: what was found.
        most: photos of each finding.
    """
    table = report.table
    return render(
        "audit.html",
        {
            "name": report.name,
            "audit": audit_facts(report, most),
            "marks": marking(table.classes, table.corrections),
        },
    )


def audit_facts(report: AuditReport, most: int = MOST_IN_REPORT) -> dict[str, Any]:
    """What a template shows of an audit, as JSON types.

    Args:
        report: what was found.
        most: photos of each finding.
    """
    return {
        "images": len(report.table.frame),
        "classes": [list(row) for row in report.class_counts().itertuples()],
        "notes": list(report.notes),
        "sections": [asdict(section) for section in _sections(report, most)],
    }


def _sections(report: AuditReport, most: int) -> Iterator[Section]:
    photos = _Photos(report, most)
    errors = report.label_errors()
    if len(errors):
        text = f"{report.doubtful()}, the surest first. {report.false_alarms()}"
        shown = [("", [_suspect(row) for row in errors.head(most).to_dict("records")])]
        yield photos.section("label_errors", text, shown, len(errors))
    for finding in report.audit.findings:
        groups = finding.groups or ((finding.image_ids,) if finding.image_ids else ())
        parts = [
            (
                f"Group {number}" if finding.groups else "",
                _entries(report, finding.kind, group, photos.labels),
            )
            for number, group in enumerate(groups[:most], 1)
        ]
        yield photos.section(finding.kind, finding.message, parts, len(finding.image_ids))
    matches = report.embedding_matches()
    if len(matches):
        text = (
            f"{len(matches)} {'pair is' if len(matches) == 1 else 'pairs are'} far more alike to "
            "the network than other images: they may show the same thing."
        )
        pairs = [
            (
                f"Pair {number}",
                [
                    (row["image_id"], row["label"], ""),
                    (row["other_image_id"], row["other_label"], ""),
                ],
            )
            for number, row in enumerate(matches.head(most).to_dict("records"), 1)
        ]
        yield photos.section("embedding_matches", text, pairs, 2 * len(matches))


def _suspect(row: dict[Any, Any]) -> tuple[str, str, str]:
    text = (
        f"labelled {row['label']} ({row['probability_label']:.2f}), looks like "
        f"{row['suggested_label']} ({row['probability_suggested']:.2f})"
    )
    return row["image_id"], text, row["suggested_label"]


def _entries(
    report: AuditReport, kind: str, group: Sequence[str], labels: Mapping[str, str]
) -> Entries:
    """What a finding says of some images; of copies in several classes, the one of another."""
    found = []
    for image in group:
        others = [labels[other] for other in group if labels[other] != labels[image]]
        other = others[0] if others and kind.endswith(_ACROSS) else ""
        found.append((image, report.detail(kind, image), other))
    return found


class _Photos:
    """Makes the parts of a section, each picture read once."""

    def __init__(self, report: AuditReport, most: int) -> None:
        frame = report.table.frame.set_index("image_id")
        self._paths = frame["path"]
        self.labels = dict(zip(frame.index, frame["label"], strict=True))
        self._names = short_names(self._paths.index)
        self._corrections = report.table.corrections
        self._reading, self._most = report.audit.reading, most
        self._made: dict[str, str | None] = {}

    def section(
        self, kind: str, message: str, parts: Sequence[tuple[str, Entries]], count: int
    ) -> Section:
        shown, left = [], self._most
        for title, entries in parts:
            if left > 0:
                chosen = [self._photo(*entry) for entry in entries[:left]]
                shown.append(Part(title, chosen))
                left -= len(chosen)
        title = kind.replace("_", " ").capitalize()
        more = max(0, count - (self._most - left))
        return Section(kind, title, message, shown, more, kind in GRAVE)

    def _photo(self, image_id: str, words: str, suggested: str) -> Photo:
        if image_id not in self._made:
            self._made[image_id] = thumbnail(self._paths[image_id], _SIDE, self._reading)
        mark: Mark | None = None
        if suggested:
            mark = label_mark(image_id, self.labels[image_id], suggested, self._corrections)
        name = self._names[image_id]
        lines = [name, *([words] if words else [])]
        path = image_id if image_id != name else ""
        return Photo([self._made[image_id]], lines, name, mark, path)
