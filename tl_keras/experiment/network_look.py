"""What the frozen network says of images: labels that are probably wrong, and pictures alike."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from tl_keras.data.duplicate_groups import keep_together
from tl_keras.results.audit_report import AuditReport
from tl_keras.transfer.embedding_matches import embedding_matches
from tl_keras.transfer.label_errors import check_labels


def look_with_network(
    report: AuditReport, blocks: Sequence[tuple[str, np.ndarray]], rows: np.ndarray
) -> AuditReport:
    """Add to an audit what features tell.

    Args:
        report: of the images.
        blocks: name and pooled features (n, features) of each block, from input to output.
        rows: positions of these n images among the readable ones.
    """
    together = keep_together(report.audit.table, report.audit.duplicates)
    frame = together.frame.iloc[rows]
    groups = frame["group"].to_numpy(str)
    labels = check_labels(blocks, frame["class_index"].to_numpy(np.int64), groups)
    suspects = labels.suspects.assign(position=rows[labels.suspects["position"].to_numpy(int)])
    pairs = embedding_matches(blocks[-1][1], np.unique(groups, return_inverse=True)[1].reshape(-1))
    return replace(
        report,
        labels=replace(labels, suspects=suspects),
        matches=_named(frame, pairs),
        notes=(*report.notes, *([labels.note] if labels.note else [])),
    )


def _named(frame: pd.DataFrame, pairs: pd.DataFrame) -> pd.DataFrame:
    firsts, seconds = (frame.iloc[pairs[side].to_numpy(np.int64)] for side in ("first", "second"))
    return pd.DataFrame(
        {
            "image_id": firsts["image_id"].to_numpy(),
            "other_image_id": seconds["image_id"].to_numpy(),
            "label": firsts["label"].to_numpy(),
            "other_label": seconds["label"].to_numpy(),
            "similarity": pairs["similarity"].to_numpy(float),
            "closeness": pairs["closeness"].to_numpy(float),
        }
    )
