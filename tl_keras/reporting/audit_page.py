"""The audit as one page with small pictures, which needs no other file."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import jinja2

from tl_keras.reporting.audit_report import AuditReport, matches_or_none
from tl_keras.reporting.thumbnails import thumbnail

MOST_PICTURES = 60
_SIDE = 160


@dataclass(frozen=True)
class Picture:
    """One picture of the page: a data URI or None, its name, and words below it."""

    source: str | None
    name: str
    words: str


@dataclass(frozen=True)
class Part:
    """Pictures that belong together."""

    title: str
    pictures: list[Picture]


@dataclass(frozen=True)
class Section:
    """One finding; `more` of its images are not shown."""

    kind: str
    title: str
    message: str
    parts: list[Part]
    more: int


def audit_page(report: AuditReport, most: int = MOST_PICTURES) -> str:
    """The page, HTML.

    Args:
        report: what was found.
        most: pictures of each finding.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("tl_keras.reporting"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
    )
    return environment.get_template("audit.html").render(
        name=report.name,
        images=len(report.table.frame),
        classes=list(report.class_counts().items()),
        notes=report.notes,
        sections=list(_sections(report, most)),
    )


def _sections(report: AuditReport, most: int) -> Iterator[Section]:
    pictures = _Pictures(report)
    for finding in report.audit.findings:
        groups = finding.groups or ((finding.image_ids,) if finding.image_ids else ())
        entries = [
            (
                f"Group {number}" if finding.groups else "",
                [(image, report.detail(finding.kind, image)) for image in group],
            )
            for number, group in enumerate(groups[:most], 1)
        ]
        count = len(finding.image_ids)
        yield pictures.section(finding.kind, finding.message, entries, count, most)
    errors = report.label_errors()
    if len(errors):
        words = [
            (
                row["image_id"],
                f"labelled {row['label']} ({row['probability_label']:.2f}), looks like "
                f"{row['suggested_label']} ({row['probability_suggested']:.2f})",
            )
            for row in errors.head(most).to_dict("records")
        ]
        text = f"{len(errors)} labels are probably wrong, the surest first."
        yield pictures.section("label_errors", text, [("", words)], len(errors), most)
    matches = matches_or_none(report.matches)
    if len(matches):
        pairs = [
            (
                f"Pair {number}",
                [(row["image_id"], row["label"]), (row["other_image_id"], row["other_label"])],
            )
            for number, row in enumerate(matches.head(most).to_dict("records"), 1)
        ]
        text = (
            f"{len(matches)} pairs look far more alike to the network than other images do: they "
            "may show the same thing."
        )
        yield pictures.section("embedding_matches", text, pairs, 2 * len(matches), most)


class _Pictures:
    """Makes the parts of a section, each picture read once."""

    def __init__(self, report: AuditReport) -> None:
        self._paths = report.table.frame.set_index("image_id")["path"]
        self._made: dict[str, str | None] = {}

    def section(
        self,
        kind: str,
        message: str,
        entries: list[tuple[str, list[tuple[Any, str]]]],
        count: int,
        most: int,
    ) -> Section:
        parts, left = [], most
        for title, images in entries:
            if left > 0:
                shown = [self._picture(str(image), words) for image, words in images[:left]]
                parts.append(Part(title, shown))
                left -= len(shown)
        title = kind.replace("_", " ").capitalize()
        return Section(kind, title, message, parts, max(0, count - (most - left)))

    def _picture(self, image_id: str, words: str) -> Picture:
        if image_id not in self._made:
            self._made[image_id] = thumbnail(self._paths[image_id], _SIDE)
        return Picture(self._made[image_id], image_id, words)
