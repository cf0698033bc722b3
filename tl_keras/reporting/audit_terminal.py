"""The audit in a terminal."""

from rich.table import Table

from tl_keras.reporting.safe_console import SafeConsole, marked
from tl_keras.results.audit_report import AuditReport
from tl_keras.safe_text import one_line

_MOST_ROWS = 10


def show_audit(console: SafeConsole, report: AuditReport) -> None:
    """Images per class, the findings, and the labels that are probably wrong."""
    _show_classes(console, report)
    if report.audit.findings:
        table = Table(title="What was found, the graver first", show_edge=False)
        table.add_column("images", justify="right", no_wrap=True)
        table.add_column("finding")
        for finding in report.audit.findings:
            text = marked(finding.kind, "bold", finding.message)
            table.add_row(str(len(finding.image_ids) or ""), text)
        console.print(table)
    else:
        console.print("Nothing was found that speaks against the files.")
    if report.labels is not None and report.labels.checked:
        _show_labels(console, report)
    if report.matches is not None and len(report.matches):
        pairs = "pair" if len(report.matches) == 1 else "pairs"
        console.print(
            f"{len(report.matches)} {pairs} of images far more alike to the network than others; "
            "they may show the same thing."
        )
    for note in report.notes:
        console.print(marked("NOTE", "bold yellow", note))


def _show_classes(console: SafeConsole, report: AuditReport) -> None:
    counts = report.class_counts()
    table = Table(title=f"{counts['listed'].sum()} images", show_edge=False)
    table.add_column("class")
    table.add_column("images", justify="right")
    table.add_column("readable", justify="right")
    for label, listed, readable in counts.itertuples():
        table.add_row(one_line(label), str(listed), str(readable))
    console.print(table)


def _show_labels(console: SafeConsole, report: AuditReport) -> None:
    errors = report.label_errors()
    checked = report.labels.checked if report.labels is not None else 0
    console.print(f"{checked} labels checked: {report.doubtful()}. {report.false_alarms()}")
    if len(errors):
        table = Table(show_edge=False)
        for name in ("image", "label", "looks like", "probability"):
            table.add_column(name)
        for row in errors.head(_MOST_ROWS).to_dict("records"):
            names = (row["image_id"], row["label"], row["suggested_label"])
            probability = f"{row['probability_label']:.2f} / {row['probability_suggested']:.2f}"
            table.add_row(*map(one_line, names), probability)
        console.print(table)
        console.print("Mark them in the page, which saves corrections.csv for data.corrections.")
